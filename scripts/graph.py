"""`graph`: the DAG as text, Mermaid, SVG or a page, each step with what a run would do and how it went last."""

from __future__ import annotations

from argparse import Namespace

from pipeline.answers.graph import Vertex
from pipeline.answers.graph import graph as engine_graph
from pipeline.answers.status import status
from scripts.answer import Answer
from scripts.flowchart import as_mermaid, as_text, legend
from scripts.project import Project

_PAGE = """
body{margin:0;padding:28px;background:var(--page);color:var(--ink)}
h1{font-size:20px;margin:0 0 2px}p{margin:0 0 18px;color:var(--soft)}.wide{overflow:auto}svg.dag{display:block}
@media (min-width:1200px){.fit svg.dag{max-width:100%;height:auto}}
ul{list-style:none;display:flex;flex-wrap:wrap;gap:6px 20px;padding:0;margin:18px 0 0;color:var(--soft)}
li{display:flex;gap:7px;align-items:center}
"""


def graph(project: Project, options: Namespace) -> Answer:
    """Draw it; `--out` writes a file for its owner alone, otherwise the drawing itself is printed."""
    forecast = project.pipeline.plan(project.selection())
    with project.pipeline.reading() as registry:
        vertices = engine_graph(project.pipeline.dag, forecast, status(registry))
    data = {
        "nodes": [{k: v for k, v in vertex._asdict().items() if k != "upstream"} for vertex in vertices],
        "edges": [[u, v.node] for v in vertices for u in v.upstream],
    }
    drawing = _drawn(vertices if options.format == "text" else _discreet(vertices, project), options.format)
    if not options.out:
        return Answer(data, drawing)
    from scripts.page import write_private

    write_private(options.out, drawing + "\n")
    return Answer(data | {"file": options.out}, f"{legend(vertices)}\nWritten to {options.out}")


def _discreet(vertices: list[Vertex], project: Project) -> list[Vertex]:
    """Pictures are handed on: without the names of dropped files."""
    from scripts.discretion import Discretion

    told = Discretion(project.pipeline.dag).prose
    return [v._replace(reasons=tuple(dict.fromkeys(map(told, v.reasons))), error=v.error and told(v.error)) for v in vertices]


def _drawn(vertices: list[Vertex], form: str) -> str:
    if form == "text":
        return as_text(vertices)
    if form == "mermaid":
        return as_mermaid(vertices)
    from scripts.drawing import svg

    return svg(vertices) if form == "svg" else _page(vertices, svg(vertices, alone=False))


def _page(vertices: list[Vertex], picture: str) -> str:
    import time

    from scripts.looks import MARKS, WORDS
    from scripts.page import FONT, escaped, icon, page
    from scripts.words import when

    looks = "".join(f"<li>{icon(look)}{WORDS[look]}</li>" for look in MARKS)
    body = [
        "<h1>The pipeline</h1>",
        f"<p>{escaped(legend(vertices))} · as of {escaped(when(time.time()))}</p>",
        f'<div class="wide{" fit" if len(vertices) <= 100 else ""}">{picture}</div>',
        f"<ul>{looks}<li>Hold the pointer over a step for its reasons and its lines.</li></ul>",
    ]
    return page("The pipeline", f"body{{font:14px/1.5 {FONT}}}{_PAGE}", "\n".join(body))
