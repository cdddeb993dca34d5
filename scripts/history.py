"""`history` and `runs`: how a node and how whole runs went, and what was out of the ordinary."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from config.errors import UsageError
from pipeline.answers.history import Anomaly, attempts_of
from pipeline.answers.history import history as engine_history
from pipeline.answers.history import run as one_run
from pipeline.answers.history import runs as engine_runs
from pipeline.answers.lineage import did_you_mean
from scripts.answer import NOTHING_YET, Answer
from scripts.looks import STATE_MARKS, printable
from scripts.project import Project
from scripts.words import ago, because, counted, lasted, listed, sized, when

_SHOWN = 40


def history(project: Project, options: Namespace) -> Answer:
    """A node's attempts, newest first; also of a node that is no longer in the DAG. UsageError for one nobody ever heard of."""
    name = options.node
    with project.pipeline.reading() as registry:
        found = engine_history(registry, name)
        known = {*project.pipeline.dag.nodes} | ({n for (n,) in registry.db.execute(_NODES)} if registry else set())
    if name not in known:
        mend = did_you_mean(name, known) or "`python main.py graph` shows them."
        raise UsageError(f"There is no node named {name!r}.", mend)
    data = {"node": name, "attempts": found}
    if not found:
        return Answer(data, f"{name} has never run: python main.py")
    lines = [f"{name}: {counted(len(found), 'attempt')}, newest first"]
    for a in found[:_SHOWN]:
        rows = f"{a['rows']:>12,} rows" if a["rows"] is not None else " " * 17
        state = a["state"] + (", in force" if a["in_force"] else "")
        lines.append(
            f"  {STATE_MARKS[a['state']]} {when(a['at'])[:16]}  {state:<20}{_seconds(a['seconds']):>10}{rows}  run {a['run_id'][:8]}"
        )
        note = [f"accepted because: {a['note']}"] if a["note"] else []
        told = (*note, *_why(a["reasons"]), *_made(a["made"]), *([a["error"]] if a["error"] else []))
        lines += [f"      {printable(line)}" for line in told]
    if len(found) > _SHOWN:
        lines.append(f"  … and {len(found) - _SHOWN} earlier: --json")
    return Answer(data, "\n".join(lines))


def runs(project: Project, options: Namespace) -> Answer:
    """The last runs; or one run's nodes, slowest first, beside what is usual for them."""
    with project.pipeline.reading() as registry:
        if registry is None:
            return Answer({"runs": []}, NOTHING_YET)
        if options.run:
            found = one_run(registry, "" if options.run == "last" else options.run)
            data = {**found, "nodes": attempts_of(registry, found["run_id"])}
            return Answer(data, _one(data))
        found_runs = engine_runs(registry, options.last)
    if not found_runs:
        return Answer({"runs": []}, NOTHING_YET)
    lines = [f"    {'run':<10}{'when':<18}{'':<14}{'seconds':>9}{'ran':>6}{'back':>6}{'failed':>8}  asked for"]
    for r in found_runs:
        took = f"{r['seconds']:>9.2f}" if r["seconds"] is not None else f"{'–':>9}"
        counts = f"{r['ran'] or '':>6}{r['restored'] or '':>6}{r['failed'] or '':>8}"
        head = f"  {STATE_MARKS[r['status']]} {r['run_id'][:8]:<10}{when(r['started_at'])[:16]:<18}{ago(r['started_at']):<14}"
        lines.append(f"{head}{took}{counts}  {printable(r['asked'])}{'' if r['status'] in _QUIET else ', ' + r['status']}")
    lines.append("A run that finds nothing to do leaves no trace. One run's nodes: runs RUN")
    return Answer({"runs": found_runs}, "\n".join(lines))


def sentence(anomaly: Anomaly) -> str:
    """An anomaly as a person reads it."""
    node, kind, value, usual = anomaly
    if kind == "rows":
        return f"{node}: {value:,.0f} rows, usually {usual:,.0f} ({_change(value, usual)})"
    if kind == "duration":
        return f"{node}: took {lasted(value)}, usually {lasted(usual)}"
    return f"{node}: {value:.1%} refused, usually {usual:.1%}"


_NODES = "SELECT DISTINCT node FROM attempt"
_QUIET = ("succeeded", "failed")


def _one(found: dict[str, Any]) -> str:
    head = f"{STATE_MARKS[found['status']]} run {found['run_id'][:8]}  {when(found['started_at'])}"
    lines = [
        f"{head}  {found['status']}, {lasted(found['seconds'])}",
        f"  asked for {printable(found['asked'])}; {found['ran']} ran, {found['restored']} restored, {found['failed']} failed",
    ]
    if found["nodes"]:
        width = max(len(n["node"]) for n in found["nodes"]) + 2
        lines += ["", f"    {'node':<{width}}{'seconds':>9}{'usual':>9}{'rows':>12}{'usual':>12}{'memory':>10}"]
    for n in found["nodes"]:
        past = n["past"]
        lines.append(
            f"  {STATE_MARKS[n['state']]} {printable(n['node']):<{width}}{_figure(n['seconds'], '9.2f')}{_figure(past['seconds'], '9.2f')}"
            f"{_figure(n['rows'], '12,')}{_figure(past['rows'], '12,.0f')}{sized(n['peak_bytes']):>10}"
        )
        lines += [f"      {printable(n['error'])}"] if n["error"] else []
    told = [Anomaly(**a) for n in found["nodes"] for a in n["anomalies"]]
    lines += ["", "  Out of the ordinary:", *(f"    ! {printable(sentence(a))}" for a in told)] if told else []
    few = sum(n["past"]["attempts"] < 3 for n in found["nodes"])
    if few:
        told_few = counted(few, "node has", "nodes have")
        lines += ["", f"  {told_few} fewer than 3 earlier attempts: too few to say what is usual."]
    return "\n".join(lines)


def _figure(value: float | None, form: str) -> str:
    return f"{value:>{form}}" if value is not None else f"{'':>{form.partition('.')[0].rstrip(',')}}"


def _seconds(value: float | None) -> str:
    return f"{value:.2f} s" if value is not None else ""


def _why(reasons: list[dict[str, str]]) -> list[str]:
    told = [because(r) for r in reasons[:3]]
    return told + [f"… and {len(reasons) - 3} more reasons"] * (len(reasons) > 3)


def _made(made: Iterable[dict[str, Any]]) -> list[str]:
    fresh = [f"{m['name']}@v{m['version']}" for m in made if m["new"]]
    same = sum(not m["new"] for m in made)
    told = [f"made {listed(fresh, 4)}"] if fresh else []
    return told + [counted(same, "output as it was before", "outputs as they were before")] * bool(same)


def _change(value: float, usual: float) -> str:
    return f"{(value - usual) / usual:+.0%}" if usual else "from none"
