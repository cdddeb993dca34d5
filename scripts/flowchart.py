"""The DAG as text for a terminal and as a Mermaid flowchart."""

from __future__ import annotations

from collections import Counter

from pipeline.answers.graph import Vertex
from scripts.looks import COLOURS, MARKS, WORDS, printable
from scripts.words import counted, listed


def as_text(vertices: list[Vertex]) -> str:
    """By stage, one line per step: mark, name, what would happen, whom it reads."""
    width = min(max((len(v.node) for v in vertices), default=0), 48)
    lines: list[str] = []
    for stage in dict.fromkeys(v.stage for v in vertices):
        lines += ["", printable(stage)] if lines else [printable(stage)]
        mine = [v for v in vertices if v.stage == stage]
        for v in mine:
            branch = "└─" if v is mine[-1] else "├─"
            reads = f"  ← {_some(v.upstream)}" if v.upstream else ""
            lines.append(f"{branch} {MARKS[v.look]} {printable(v.node):<{width}}  {said(v)}{reads}")
            stem = "   " if v is mine[-1] else "│  "
            told = [v.error] if v.look == "failed" and v.error else [r for r in v.reasons if not r.startswith("upstream: ")][:3]
            lines += [f"{stem}    {printable(line)}" for line in told]
    return "\n".join([*lines, "", legend(vertices)])


def as_mermaid(vertices: list[Vertex]) -> str:
    """A Mermaid flowchart, one subgraph per stage, one class per look."""
    number = {v.node: n for n, v in enumerate(vertices)}
    lines = ["flowchart LR"]
    for s, stage in enumerate(dict.fromkeys(v.stage for v in vertices)):
        lines.append(f'  subgraph s{s}["{_entities(stage)}"]')
        lines += [
            f'    n{number[v.node]}["{MARKS[v.look]} {_entities(v.node)}<br/>{_entities(said(v))}"]:::{v.look}'
            for v in vertices
            if v.stage == stage
        ]
        lines.append("  end")
    lines += [f"  n{number[u]} --> n{number[v.node]}" for v in vertices for u in v.upstream]
    for look in MARKS:
        lines.append(f"  classDef {look} fill:{COLOURS[look].light}22,stroke:{COLOURS[look].light},stroke-width:2px")
    return "\n".join(lines)


def said(vertex: Vertex) -> str:
    """What would happen to a step, and how it went last where that says more."""
    if vertex.look == "failed":
        return "failed last time"
    last = {"failed": " (failed last time)", "aborted": " (was interrupted)", "accepted": " (accepted)"}
    return WORDS[vertex.action] + ("" if vertex.action != "skip" and vertex.state == "accepted" else last.get(vertex.state, ""))


def legend(vertices: list[Vertex]) -> str:
    """How many steps there are of each look."""
    counts = Counter(v.look for v in vertices)
    told = [f"{MARKS[look]} {counts[look]} {WORDS[look]}" for look in MARKS if counts[look]]
    return f"{counted(len(vertices), 'step')}: {' · '.join(told)}" if vertices else "There are no steps."


def _some(names: tuple[str, ...]) -> str:
    return listed([printable(n) for n in names], 3)


def _entities(text: str) -> str:
    """Mermaid's own escape, for everything that could mean something to it."""
    return "".join(c if c.isalnum() or c in " ._-," else f"#{ord(c)};" for c in text)
