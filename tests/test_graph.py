"""The pictures of the DAG: right, readable, well-formed, escaped, on their own."""

from __future__ import annotations

import re
import stat
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.answers.graph import Vertex
from scripts.drawing import svg
from scripts.flowchart import as_mermaid, as_text
from scripts.graph import _page, graph
from scripts.layout import Curve, layout
from scripts.looks import MARKS
from tests.answers_bench import Bench

NASTY = 'a"<b>&\x1b[31m;`#'
SVG = "{http://www.w3.org/2000/svg}"


def vertex(name: str, stage: str = "s", action: str = "skip", upstream: tuple[str, ...] = (), **more: Any) -> Vertex:
    base = Vertex(name, stage, action, "committed", (), None, None, None, upstream)
    return base._replace(**more)


def pdp() -> list[Vertex]:
    """The shape of the real pipeline: six stages, lines that jump over several of them."""
    from config.sources import SOURCES
    from pipeline.dag import Dag
    from pipeline.nodes import STAGES, nodes

    dag = Dag(nodes(SOURCES), STAGES)
    return [vertex(n, dag.nodes[n].stage, upstream=tuple(dag.upstream[n])) for n in dag.order]


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def refuse_outside(text: str) -> None:
    """No script, nothing loaded from anywhere."""
    for tag, attributes in Tags(text).found:
        assert tag not in {"script", "link", "img", "iframe", "object"}, tag
        assert not {name for name in attributes if name.startswith("on") or name in {"src", "href"}}, (tag, attributes)
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#tip"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = Bench(tmp_path)
    found.feed("x")
    return found


def test_the_states_are_those_of_a_forecast_and_of_the_last_attempt(bench: Bench) -> None:
    asked = {"format": "text", "out": None}
    assert [n["action"] for n in bench.ask(graph, **asked).data["nodes"]] == ["skip", "skip"]
    bench.feed("boom")
    answer = bench.ask(graph, **asked)
    assert [(n["action"], n["state"]) for n in answer.data["nodes"]] == [("skip", "committed"), ("run", "failed")]
    assert answer.data["edges"] == [["count.lines", "shout.lines"]]
    assert "✗ shout.lines  failed last time  ← count.lines" in answer.text
    assert "ValueError in stage.py" in answer.text
    assert "2 steps: ✓ 1 up to date · ✗ 1 failed last time" in answer.text
    bench.write({"data/in.txt": "x\n"})
    assert [n["action"] for n in bench.ask(graph, **asked).data["nodes"]] == ["restore", "skip"]
    bench.write({"data/in.txt": "new\n"})
    assert [n["action"] for n in bench.ask(graph, **asked).data["nodes"]] == ["run", "run"]


@pytest.mark.parametrize("form", ["text", "mermaid", "svg", "html"])
def test_out_writes_a_private_file_whole(bench: Bench, tmp_path: Path, form: str) -> None:
    out = tmp_path / "picture"
    out.write_text("old")
    answer = bench.ask(graph, format=form, out=str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "shout" in out.read_text()
    assert answer.data["file"] == str(out)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("picture")] == ["picture"]


@pytest.mark.parametrize("form", ["svg", "html", "mermaid"])
def test_no_picture_names_a_dropped_file(bench: Bench, tmp_path: Path, form: str) -> None:
    bench.nodes = [{**bench.nodes[0], "files": {"text": "inbox/bp/**"}}, bench.nodes[1]]
    bench.write({"data/inbox/bp/John Smith.csv": "x\n", "data/inbox/bp/Jane.csv": "y\n"})
    out = tmp_path / "picture"
    answer = bench.ask(graph, format=form, out=str(out))
    assert "John Smith" in str(answer.data["nodes"])
    assert not {"John", "Smith", "Jane"} & set(re.findall(r"\w+", out.read_text()))
    if form != "mermaid":
        assert out.read_text().count("data: inbox/bp/… – new") == 1


def test_text_groups_by_stage_and_shows_no_control_characters() -> None:
    text = as_text([vertex(NASTY, "one"), vertex("b", "two", "blocked", (NASTY,), reasons=("data: x\x07",))])
    assert [line for line in text.splitlines() if line and line[0].isalpha()] == ["one", "two"]
    assert "■ b" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_mermaid_escapes_whatever_could_mean_something_to_it() -> None:
    text = as_mermaid([vertex(NASTY, 'st"age'), vertex("end", "t", "run", (NASTY,))])
    assert "n0 --> n1" in text
    assert 'subgraph s0["st#34;age"]' in text
    labels = re.findall(r'n\d+\["(.*?)"\]:::', text)
    assert labels == ["✓ a#34;#60;b#62;#38;#27;#91;31m#59;#96;#35;<br/>up to date", "▶ end<br/>would run"]
    assert {line.split()[1] for line in text.splitlines() if "classDef" in line} == set(MARKS)


@pytest.mark.parametrize(
    "vertices", [[], [vertex(NASTY, NASTY, "run", reasons=(NASTY,), error=NASTY)], pdp()], ids=["none", "nasty", "pdp"]
)
def test_an_svg_is_well_formed_and_on_its_own(vertices: list[Vertex]) -> None:
    text = svg(vertices)
    root = ET.fromstring(text)
    refuse_outside(text)
    cards = [g for g in root.iter(f"{SVG}g") if g.get("class") == "card"]
    assert len(cards) == len(vertices)
    for card, v in zip(cards, vertices, strict=True):
        title = card.find(f"{SVG}title")
        assert title is not None
        assert title.text is not None
        assert title.text.startswith(v.node.replace("\x1b", "?"))
    assert "prefers-color-scheme:dark" in text


def test_every_look_has_a_colour_a_mark_and_a_word() -> None:
    for look in MARKS:
        v = vertex("n", action="run" if look == "failed" else look, state="failed" if look == "failed" else "committed")
        text = svg([v])
        assert v.look == look
        assert f'fill="var(--{look})"' in text
        assert f'stroke="var(--{look})"' in text
        assert f"--{look}:#" in text
    assert (
        len({svg([vertex("n", action=look)]).partition('class="card"')[2] for look in ("run", "skip", "restore", "blocked")}) == 4
    )


def overlaps(boxes: list[tuple[float, float]]) -> int:
    return sum(abs(a[0] - b[0]) < 212 and abs(a[1] - b[1]) < 46 for n, a in enumerate(boxes) for b in boxes[:n])


def test_cards_never_overlap_and_lines_go_to_the_right_around_them() -> None:
    vertices = pdp()
    drawn = layout(vertices)
    assert drawn.layered
    assert len(drawn.cards) == len(vertices)
    assert overlaps([(p.x, p.y) for p in drawn.cards.values()]) == 0
    for line in drawn.lines:
        curves = [curve for curve in line.way if isinstance(curve, Curve)]
        points = [point for curve in curves for point in curve]
        assert [p.x for p in points] == sorted(p.x for p in points)
        for before, after in pairwise(curves):
            lane_in, lane_out = before.end, after.start
            assert lane_in.y == lane_out.y
            hit = [c for c in drawn.cards.values() if lane_in.x < c.x < lane_out.x and c.y < lane_in.y < c.y + 46]
            assert hit == []


@pytest.mark.parametrize("vertices", [pdp(), [vertex("n")], [vertex(f"n{n}") for n in range(40)]], ids=["pdp", "one", "flowing"])
def test_no_card_touches_its_stages_title_or_leaves_its_box(vertices: list[Vertex]) -> None:
    drawn = layout(vertices)
    box = {s.name: s for s in drawn.stages}
    for v in vertices:
        stage, card = box[v.stage], drawn.cards[v.node]
        assert card.y - stage.corner.y >= 34  # the title's baseline is at 22
        assert card.y + 46 < stage.corner.y + stage.height < drawn.height


def test_a_thousand_nodes_are_drawn_in_rows_that_can_be_scrolled() -> None:
    fan = [vertex("root", "a"), *(vertex(f"leaf{n}", "b", upstream=("root",)) for n in range(998))]
    fan.append(vertex("last", "c", upstream=tuple(v.node for v in fan[1:])))
    chain = [vertex(f"n{n}", "s", upstream=(f"n{n - 1}",) if n else ()) for n in range(1000)]
    for vertices in (fan, chain):
        root = ET.fromstring(svg(vertices))
        places = [re.findall(r"[\d.]+", str(g.get("transform"))) for g in root.iter(f"{SVG}g") if g.get("class") == "card"]
        assert len({tuple(p) for p in places}) == 1000
        assert float(str(root.get("width"))) < 2_200
        assert overlaps([(float(x), float(y)) for x, y in places[::7]]) == 0


def test_a_page_needs_nothing_but_itself() -> None:
    vertices = [vertex("<script>alert(1)</script>", reasons=("<img src=x>",)), *pdp()]
    text = _page(vertices, svg(vertices, alone=False))
    refuse_outside(text)
    assert "default-src 'none'" in text
    assert text.count("--skip:") >= 3  # light, dark, printed
