"""`lineage`: where an artifact comes from and what was made of it, as a tree."""

from __future__ import annotations

from argparse import Namespace

from pipeline.answers.explain import acceptances
from pipeline.answers.lineage import Step, Walk, find, walk
from scripts.answer import NOTHING_YET, Answer
from scripts.looks import printable
from scripts.project import Project
from scripts.words import ago, sized

_SHOWN = 400


def lineage(project: Project, options: Namespace) -> Answer:
    """Where an artifact comes from (`up`) and what was made of it (`down`); both when neither is asked for."""
    with project.pipeline.reading() as registry:
        if registry is None:
            return Answer({"artifact": options.artifact, "up": [], "down": []}, NOTHING_YET)
        ident, name, version, sha, size, rows, path, created_at, node, run_id = find(registry, options.artifact)
        nothing = Walk([], {})
        above = walk(registry, ident, up=True) if options.up or not options.down else nothing
        below = walk(registry, ident, up=False) if options.down or not options.up else nothing
        told = acceptances(registry)
    accepted = {s.attempt: s.node for s in (*above.steps, *below.steps) if s.attempt in told}
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
        "up": [s._asdict() for s in above.steps],
        "down": [s._asdict() for s in below.steps],
        "accepted": [{"attempt": attempt, "node": who, "reason": told[attempt]} for attempt, who in accepted.items()],
    }
    lines = [
        f"{printable(name)}@v{version}  {sha[:12]}  {sized(size)}{f'  {rows:,} rows' if rows is not None else ''}",
        f"made by {printable(node)}, {ago(created_at)}",
    ]
    lines += [f"≈ {printable(who)} was accepted, not computed: {printable(told[a])}" for a, who in accepted.items()]
    lines += ["", "made from", *_tree(above, ident)] if above.steps else []
    lines += ["", "used for", *_tree(below, ident)] if below.steps else []
    if not below.steps and below is not nothing:
        lines += ["", "nothing was made of it"]
    return Answer(data, "\n".join(lines))


def _tree(found: Walk, root: int) -> list[str]:
    """One line per edge, each attempt's edges unfolded once. Depth first, without recursion: chains are long."""
    lines: list[str] = []
    unfolded: set[str] = set()
    waiting: list[tuple[str, str, int | None, bool]] = []  # (stem, text, artifact to go on from, is it the last of its branch)

    def branch(artifact: int, stem: str) -> str:
        """Put what an artifact leads to on the stack; what to say on its own line when all of that was shown before."""
        told: list[tuple[str, int | None]] = []
        attempts = _by_attempt(found.below.get(artifact, []))
        if attempts and attempts.keys() <= unfolded:
            return f"  ({', '.join(printable(edges[0][0].node) for edges in attempts.values())} as above)"
        for attempt, edges in attempts.items():
            node = printable(edges[0][0].node)
            told += [(f"{node}, as above", None)] if attempt in unfolded else [(_named(step), end) for step, end in edges]
            unfolded.add(attempt)
        waiting.extend((stem, text, end, n == 0) for n, (text, end) in enumerate(reversed(told)))
        return ""

    branch(root, "")
    while waiting:
        stem, text, end, last = waiting.pop()
        if len(lines) == _SHOWN:
            return [*lines, f"… and more, {len(found.steps):,} in all: --json"]
        note = branch(end, stem + ("   " if last else "│  ")) if end is not None else ""
        lines.append(f"{stem}{'└─' if last else '├─'} {text}{note}")
    return lines


def _by_attempt(edges: list[tuple[Step, int | None]]) -> dict[str, list[tuple[Step, int | None]]]:
    found: dict[str, list[tuple[Step, int | None]]] = {}
    for step, end in edges:
        found.setdefault(step.attempt, []).append((step, end))
    return found


def _named(step: Step) -> str:
    version = f"@v{step.version}" if step.version is not None else ""
    via = "" if step.name == step.node else f"  {printable(step.node)}"
    return f"{printable(step.name)}{version}  {step.sha256[:12]}{via}"
