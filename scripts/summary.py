"""The end of a run, for a person: what ran, how many rows survived each stage, what was refused and why, where things are."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from config.sources import SOURCES, hint
from config.stage import Finding
from pipeline.outcome import Outcome, Run
from scripts.looks import printable
from scripts.project import Project
from scripts.words import counted

_TABLE = "processed/merged/merged_daily_metrics.csv"
_MOST_UNREAD = 3
_GOLD = os.path.join("gold", "gold.duckdb")


def as_json(run: Run) -> dict[str, Any]:
    """The run as DESIGN's `--json` object."""
    return {
        "run_id": run.run_id,
        "status": run.status,
        "seconds": round(run.seconds, 3),
        "nodes": [
            {
                "node": o.node,
                "stage": o.stage,
                "action": o.action,
                "attempt": o.attempt,
                "seconds": round(o.seconds, 3),
                "rows": o.rows,
                "outputs": [{"name": a.name, "version": a.version, "sha256": a.sha256, "path": a.path} for a in o.outputs],
                "error": o.error,
            }
            for o in run.outcomes
        ],
    }


def text(run: Run, project: Project, stays: bool = True, named: bool = False) -> str:
    """The summary. What a node refused is told when it ran, not again when its outputs are found to stand.

    `stays`: the data directory is there afterwards, and so are the places to look at. `named`: only some sources were asked for; nobody
    need hear of the others.
    """
    lines = [_headline(run, project), *_failures(run.outcomes)]
    if any(o.action in {"ran", "restored"} for o in run.outcomes):
        lines += ["", *_stages(run.outcomes), *_months(run.outcomes), *_refused(run.outcomes, project), *_findings(run.outcomes)]
        lines += _unusual(run, project)
    lines += [*_warnings(run.outcomes), *_misses(run.outcomes)]
    lines += [f"  ! {_stray(name)}" for name in project.strays]
    lines += [f"  ! {_undeclared(name)}" for name in project.undeclared]
    lines += (
        ["", *_places(project), *_advice(run, project, named)] if stays else ["", "  Ask it: python main.py state with -- status"]
    )
    return "\n".join(lines)


def _headline(run: Run, project: Project) -> str:
    actions = Counter(o.action for o in run.outcomes)
    whose = "the shipped examples" if project.examples else f"{counted(len(project.sources), 'source')}"
    held = sum(o.held for o in run.outcomes)
    if set(actions) <= {"skipped"}:
        if held:
            looked = len(run.outcomes) - held
            return f"Nothing to do among the {counted(looked, 'node')} looked at; {held} not looked at ({run.seconds:.2f} s)."
        return f"Nothing to do: all {len(run.outcomes)} nodes over {whose} are up to date ({run.seconds:.2f} s)."
    actions["skipped"] -= held
    actions["not looked at"] = held
    done = ", ".join(
        f"{n} {a}" for a in ("ran", "restored", "skipped", "not looked at", "failed", "blocked") if (n := actions[a])
    )
    return f"{'Done' if run.status == 'succeeded' else 'Not all done'}: {done} over {whose} in {run.seconds:.1f} s."


def _failures(outcomes: Iterable[Outcome]) -> list[str]:
    return [f"  ✗ {o.node}: {o.error}" for o in outcomes if o.action in {"failed", "blocked"}]


def _stages(outcomes: list[Outcome]) -> list[str]:
    """A line per stage: nodes and rows."""
    lines = [f"  {'stage':<15}{'ran':>5}{'skipped':>9}{'rows':>12}{'seconds':>10}"]
    for stage in dict.fromkeys(o.stage for o in outcomes):
        mine = [o for o in outcomes if o.stage == stage]
        ran = sum(o.action in {"ran", "restored"} for o in mine)
        skipped = sum(o.action == "skipped" for o in mine)
        rows = sum(o.rows or 0 for o in mine)
        lines.append(f"  {stage:<15}{ran:>5}{skipped:>9}{rows:>12,}{sum(o.seconds for o in mine):>10.2f}")
    return lines


def _months(outcomes: Iterable[Outcome]) -> list[str]:
    """What was not made again within the nodes that ran."""
    told = [o.report["months"] for o in outcomes if o.action == "ran" and o.report.get("months", {}).get("kept")]
    made, kept = (sum(months[what] for months in told) for what in ("made", "kept"))
    return [f"  Readings of {counted(made, 'month')} were made anew, those of {kept:,} taken over as they were."] if told else []


def _refused(outcomes: Iterable[Outcome], project: Project) -> list[str]:
    """What did not get through in the nodes that ran, whole or in part, by node and reason, and where it is kept."""
    lines: list[str] = []
    for o in outcomes:
        fates = o.report.get("balance", {}).get("fates", {}) if o.action == "ran" else {}
        bad = Counter({k.removeprefix("rejected:"): n for k, n in fates.items() if k.startswith("rejected:")})
        parts = Counter(o.report.get("refused", {}) if o.action == "ran" else {})
        bad.update(parts)
        if not bad.total():
            continue
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(bad.items(), key=lambda p: (-p[1], p[0])) if n)
        lines.append(f"    {o.node:<34}{bad.total():>7,}   {reasons}")
        told = [f"{parts.total():,} of them parts of records, whose other parts are judged apart"] * bool(parts) + _kept(
            o, project
        )
        lines += [f"    {'':<34}{'':>7}   {line}" for line in told]
    return ["", "  Refused, kept with the reason:", *lines] if lines else []


def _kept(outcome: Outcome, project: Project) -> list[str]:
    """Where a node's refused rows are to be found."""
    if outcome.stage == "bronze":
        return ["in bronze_dead_letters"]
    names = [a.name for a in outcome.outputs]
    files = [n for n in names if n.endswith((".rejected.parquet", "/rejected.parquet"))] or sorted(
        (n for n in names if n.startswith("records/")), key=len
    )
    return [f"in {' and '.join(_short(os.path.join(project.data_dir, n)) for n in files)}"] if files else []


def _findings(outcomes: Iterable[Outcome]) -> list[str]:
    found = [(o.node, f) for o in outcomes for f in _folded(o.node, o.report.get("findings", [])) if not _is_miss(f)]
    lines = [f"    {node:<34}{f.get('message', f.get('code', ''))}{_where(f)}" for node, f in found[:20]]
    if len(found) > 20:
        lines.append(f"    … and {len(found) - 20} more: status --json")
    return ["", "  Worth knowing:", *lines] if lines else []


def _folded(node: str, findings: list[Finding]) -> list[Finding]:
    """The same, with one line for many names of what is not read: `source preview` tells them all."""
    unread = [f for f in findings if f.get("code") == "not_read"]
    if len(unread) <= _MOST_UNREAD:
        return findings
    source = node.split(".")[1]
    message = f"{len(unread)} kinds of things in the export are not read here; named by: python main.py source preview {source}"
    told: Finding = {"code": "not_read", "message": message}
    return [*(f for f in findings if f.get("code") != "not_read"), told]


def _unusual(run: Run, project: Project) -> list[str]:
    """What is out of the ordinary in the nodes that ran, against their own past."""
    if not any(o.action == "ran" for o in run.outcomes):
        return []
    from pipeline.answers.history import anomalies
    from scripts.history import sentence

    with project.pipeline.reading() as registry:
        found = anomalies(registry, run.run_id)
    return ["", "  Out of the ordinary:", *(f"    ! {sentence(a)}" for a in found)] if found else []


def _where(finding: Mapping[str, Any]) -> str:
    """The place and the number of times; once in one place goes without saying."""
    where, count = finding.get("where", ""), finding.get("count", 0)
    times = f"{count:,}" if count > 1 or (count and not where) else ""
    return f" ({', '.join(filter(None, (where, times)))})" if where or times else ""


def _warnings(outcomes: Iterable[Outcome]) -> list[str]:
    found = sorted({w for o in outcomes for w in o.warnings})
    return [f"  ! {w}" for w in found]


def _misses(outcomes: Iterable[Outcome]) -> list[str]:
    """Loads that are not as good as the settings want (`quality_sla`): each is told, however much else is worth knowing."""
    return [f"  ! {f['message']}" for o in outcomes for f in o.report.get("findings", []) if _is_miss(f)]


def _is_miss(finding: Mapping[str, Any]) -> bool:
    return str(finding.get("code", "")).startswith("below_sla_")


def _undeclared(name: str) -> str:
    """What a source has brought whose declaration is gone."""
    again = f"Bring {name}.yaml back; to forget it for good, with `paused: true`, then: {command()} erase --source {name}"
    return f"{name} is declared no more: what it has brought is here still and counts for nothing. {again}"


def _stray(folder: str) -> str:
    """A folder of the inbox that nobody reads; '' is the inbox itself. Its files are not named."""
    if not folder:
        return "Files directly in inbox/ are not read: put them into a source's folder."
    import difflib

    close = difflib.get_close_matches(folder.casefold(), SOURCES, 1)
    mend = f"Did you mean inbox/{close[0]}/?" if close else f"Sources are: {', '.join(SOURCES)}."
    shown = printable(folder)
    return f"inbox/{shown}/ is no source's folder: nothing in it is read. {mend}"


def _places(project: Project) -> list[str]:
    table = os.path.join(project.data_dir, _TABLE)
    lines = []
    if os.path.exists(table):
        lines.append(f"  Daily table   {_short(table)}")
    if os.path.exists(os.path.join(project.data_dir, _GOLD)):
        lines.append(f"  Gold          {command()} query")
    lines.append(f"  Bronze        {command()} bronze psql")
    lines.append(f"  Inbox         {_short(os.path.join(project.data_dir, 'inbox'))}/<source>/")
    return lines


def _advice(run: Run, project: Project, named: bool) -> list[str]:
    lines = [""]
    if project.examples:
        lines.append("  These are synthetic examples. To see your own data, drop an export into the inbox and run again:")
    lines += [f"  {source.name} is left out: {hint(source.name, project.settings)}." for source in project.left_out if not named]
    if project.examples:
        exporting = [source.name for source in SOURCES.values() if not source.is_remote]
        lines += [f"    {_short(os.path.join(project.data_dir, 'inbox', name))}/" for name in exporting]
        lines.append(f"  An API, a stream, a database: {command()} source list · source add")
    if not project.examples and project.settings["timezone"] == "UTC":
        lines.append("  Days are counted in UTC. Set TIMEZONE to where you live, for example TIMEZONE=Europe/Warsaw.")
    if run.status == "failed":
        lines.append("  What succeeded stands. Mend the above and run again: only what is missing runs.")
    else:
        lines.append(f"  Next: {command()} status · lineage {_TABLE} · verify")
    return lines


def command() -> str:
    """How this program was called, to be typed again."""
    interpreter = os.path.relpath(sys.executable)
    return f"{'python' if interpreter.startswith('..') else interpreter} main.py"


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
