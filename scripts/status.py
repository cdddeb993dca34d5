"""`status`: what is in force, step by step, for a person: rows, size, time, what failed and how to mend it, what never ran."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from pipeline.answers.history import asked
from pipeline.answers.status import status as engine_status
from pipeline.node import Node, is_collection
from pipeline.partitions import is_part, whole
from scripts.answer import NOTHING_YET, Answer
from scripts.looks import STATE_MARKS, STATE_WORDS, printable
from scripts.project import Project
from scripts.words import ago, counted, lasted, listed, sized

_PARTS = 5


def status(project: Project, options: Namespace) -> Answer:
    """What is in force. A node that failed keeps its earlier outputs in force, so both are told.

    What a run would do now is only asked when the last one failed: its cause may be gone, and a run with nothing to do leaves no trace.
    """
    with project.pipeline.reading() as registry:
        data = engine_status(registry)
    dag = project.pipeline.dag
    known = {n["node"]: n for n in data["nodes"]}
    data["missing"] = [name for name in dag.order if name not in known]
    if not known:
        return Answer(data, NOTHING_YET)
    shown = [known[name] for name in dag.order if name in known]
    parts: dict[str, list[dict[str, Any]]] = {}
    for name, n in known.items():
        if is_part(name):
            parts.setdefault(whole(name), []).append(n)
    gone = [n for name, n in known.items() if whole(name) not in dag.nodes]
    width = min(max(len(n["node"]) for n in known.values()), 48) + 2
    lines = [f"    {'node':<{width}}{'rows':>10}{'size':>10}{'seconds':>9}  {'when':<13}outputs"]
    for stage in dict.fromkeys(n["stage"] for n in shown):
        lines += ["", stage]
        for n in (n for n in shown if n["stage"] == stage):
            mine = parts.get(n["node"], [])
            lines += [*_lines(n, dag.nodes[n["node"]], width, len(mine)), *_bad(mine, width)]
    if gone:
        lines += [
            "",
            "not looked at now: nothing in the DAG is called so",
            *(line for n in gone for line in _lines(n, None, width)),
        ]
    if data["missing"]:
        lines += ["", f"Nothing in force yet: {listed(data['missing'], 8)}"]
        lines += [line for name in data["missing"] for line in _bad(parts.get(name, []), width)]
    return Answer(data, "\n".join([*lines, "", *_last_run(data["last_run"], project), _totals(known.values())]))


def _lines(n: dict[str, Any], node: Node | None, width: int, parts: int = 0) -> list[str]:
    rows = f"{n['rows']:,}" if n["rows"] is not None else ""
    size = sized(sum(o["size"] for o in n["outputs"])) if n["outputs"] else ""
    seconds = f"{n['seconds']:.2f}" if n["seconds"] is not None else ""
    said = [] if n["state"] == "committed" else [STATE_WORDS.get(n["state"], n["state"])]
    said += [counted(parts, "part")] if parts else []
    mark = f"  {STATE_MARKS[n['state']]} {printable(n['node']):<{width}}"
    head = f"{mark}{rows:>10}{size:>10}{seconds:>9}  {ago(n['started_at']):<13}"
    lines = [f"{head}{printable(_made(n, node))}{_in_brackets(said)}".rstrip()]
    if n["failed"]:
        lines.append(f"      {_past_failure(n['failed'])}")
    return [*lines, f"      {printable(n['error'])}"] if n["error"] else lines


def _in_brackets(said: list[str]) -> str:
    return f"  ({', '.join(said)})" if said else ""


def _past_failure(last: dict[str, Any]) -> str:
    """A later attempt that made nothing, or is at it; what was in force stands."""
    if last["state"] == "started":
        return f"running since {ago(last['started_at'])}; what it made before is in force"
    what = "failed" if last["state"] == "failed" else "was interrupted"
    error = f": {printable(last['error'])}" if last["error"] and last["state"] == "failed" else ""
    return f"its last attempt {what} {ago(last['started_at'])}, what it made before is in force{error}"


def _bad(parts: list[dict[str, Any]], width: int) -> list[str]:
    """Parts of a mapped node that did not succeed."""
    bad = [p for p in parts if p["failed"] or p["state"] not in {"committed", "accepted"}]
    more = [f"      … and {len(bad) - _PARTS} more of its parts: --json"] * (len(bad) > _PARTS)
    return [line for p in bad[:_PARTS] for line in _lines(p, None, width)] + more


def _made(n: dict[str, Any], node: Node | None) -> str:
    """The node's product and how much else it made."""
    product = next(iter(node.outputs.values())) if node and node.outputs else ""
    members = [o for o in n["outputs"] if is_collection(product) and o["name"].startswith(product[:-2])]
    if members:
        told, shown = f"{product} {len(members)} file{'s' * (len(members) != 1)}", len(members)
    else:
        first = next((o for o in n["outputs"] if o["name"] == product), *n["outputs"][:1] or [None])
        told, shown = (f"{first['name']}@v{first['version']}", 1) if first else ("", 0)
    return f"{told} +{len(n['outputs']) - shown}" if len(n["outputs"]) > shown else told


def _last_run(run: dict[str, Any] | None, project: Project) -> list[str]:
    if run is None:
        return []
    took = f" in {lasted(max(run['ended_at'] - run['started_at'], 0))}" if run["ended_at"] is not None else ""
    what = printable(asked(json.loads(run["selection"])))
    mend = ""
    if run["status"] == "interrupted":
        mend = " Run again: it goes on from there."
    elif run["status"] == "failed":
        left = any(f.action != "skip" for f in project.pipeline.plan(project.selection()))
        mend = " Mend the above and run again." if left else " A run now would find nothing to do."
    return [f"Last run {run['run_id'][:8]}, {ago(run['started_at'])}, asked for {what}: {run['status']}{took}.{mend}"]


def _totals(nodes: Iterable[dict[str, Any]]) -> str:
    found = list(nodes)
    size = sum({o["path"]: o["size"] for n in found for o in n["outputs"]}.values())  # a part's are its whole's, too
    failed = sum(n["state"] == "failed" for n in found)
    stood = sum(bool(n["failed"]) and n["failed"]["state"] == "failed" for n in found)
    count = sum(bool(n["outputs"]) or n["state"] in {"committed", "accepted"} for n in found if not is_part(n["node"]))
    told = [f"{counted(count, 'node')}, {sized(size)} in force"]
    told += [f"{failed} failed, with nothing in force"] if failed else []
    told += [f"{stood} failed last time, with what came before in force"] if stood else []
    return f"{'; '.join(told)}."
