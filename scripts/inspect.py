"""The reading commands: plan, status, lineage, verify. Each gives a JSON object and the text a person reads."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from pipeline import Selection
from pipeline.lineage import Step, downstream, find, upstream
from pipeline.status import status as engine_status
from scripts.project import Project


class Answer(NamedTuple):
    """What a command prints and how it ends."""

    data: dict[str, Any]
    text: str
    exit_code: int = 0


def plan(project: Project, selection: Selection) -> Answer:
    """What a run would do, and why."""
    found = project.pipeline.plan(selection)
    data = {
        "nodes": [
            {"node": f.node, "stage": f.stage, "action": f.action, "reasons": [r._asdict() for r in f.reasons]} for f in found
        ]
    }
    lines = []
    for f in found:
        lines.append(f"  {f.action:<8} {f.node}")
        lines += [f"           {r.kind}: {r.name}{f' – {r.detail}' if r.detail else ''}" for r in f.reasons[:6]]
        if len(f.reasons) > 6:
            lines.append(f"           … and {len(f.reasons) - 6} more")
    moving, held = sum(f.action != "skip" for f in found), sum(f.held for f in found)
    unseen = f" {held} are not looked at." if held else ""
    lines.append(
        f"{moving} of {len(found) - held} nodes would run.{unseen}"
        if moving
        else f"Nothing to do among {len(found) - held} nodes.{unseen}"
    )
    return Answer(data, "\n".join(lines))


def status(project: Project) -> Answer:
    """What is in force."""
    with project.pipeline.reading() as registry:
        data = engine_status(registry)
    if not data["nodes"]:
        return Answer(data, "Nothing has run yet: python main.py")
    lines = [f"{'node':<34}{'state':<11}{'rows':>10}{'seconds':>9}  {'when':<17}outputs"]
    for n in data["nodes"]:
        made = ", ".join(f"{o['name'].rpartition('/')[2]}@v{o['version']}" for o in n["outputs"][:3])
        more = f" +{len(n['outputs']) - 3}" if len(n["outputs"]) > 3 else ""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(n["started_at"]))
        rows = f"{n['rows']:,}" if n["rows"] is not None else ""
        lines.append(f"{n['node']:<34}{n['state']:<11}{rows:>10}{n['seconds'] or 0:>9.2f}  {when:<17}{made}{more}")
        if n["error"]:
            lines.append(f"    {n['error']}")
    return Answer(data, "\n".join(lines))


def lineage(project: Project, artifact: str, up: bool, down: bool) -> Answer:
    """Where an artifact comes from (`up`) and what was made of it (`down`); both when neither is asked for."""
    with project.pipeline.reading() as registry:
        ident, name, version, sha, size, rows, path, created_at, node, run_id = find(registry, artifact)
        assert registry is not None
        above = upstream(registry, ident) if up or not down else []
        below = downstream(registry, ident) if down or not up else []
    data = {
        "artifact": name,
        "version": version,
        "sha256": sha,
        "size": size,
        "rows": rows,
        "path": path,
        "created_at": created_at,
        "node": node,
        "run_id": run_id,
        "up": [s._asdict() for s in above],
        "down": [s._asdict() for s in below],
    }
    lines = [
        f"{name}@v{version}  {sha[:16]}  {size:,} bytes{f'  {rows:,} rows' if rows is not None else ''}",
        f"  made by {node}",
    ]
    lines += ["", "made from"] * bool(above) + [_step(s) for s in above]
    lines += ["", "used for"] * bool(below) + [_step(s) for s in below]
    return Answer(data, "\n".join(lines))


def verify(project: Project) -> Answer:
    """Every artifact, the registry, the views and the bronze ledger."""
    from scripts.bronze import problems as bronze_problems

    problems = [*project.pipeline.verify(), *bronze_problems(project)]
    data = {"ok": not problems, "problems": problems}
    text = "\n".join(problems) if problems else "All is well: every artifact has the bytes that were committed."
    return Answer(data, text, 1 if problems else 0)


def _step(step: Step) -> str:
    version = f"@v{step.version}" if step.version is not None else ""
    return f"{'  ' * step.depth}{step.name}{version}  {step.sha256[:12]}  {step.node}"
