"""The DAG as a picture: one SVG with everything in it, for a page, a terminal's viewer or a README."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from pipeline.answers.graph import Vertex
from scripts.flowchart import legend, said
from scripts.layout import CARD_HEIGHT, CARD_WIDTH, EDGE, PAD, Curve, Detour, Layout, Line, Place, Stage, layout
from scripts.looks import WORDS
from scripts.page import FONT, STYLE, escaped, mark
from scripts.words import lasted, listed

_LEGEND = 30
"""Height of the line below a picture that stands alone."""
_MANY = 2_000
"""With more steps than this, none shows its lines under the pointer: the rules for it would outweigh the picture."""
_BUSY = 12
"""A step with more lines than this has them drawn faintly, or they would hide everything else."""
_BEND, _BACK = 18, 6
"""How far a curve leaves its end level, at least; how far before its end a detour turns down."""
_TITLE_CUT, _NAME_CUT, _NOTE_CUT, _LISTED = 28, 23, 29, 12
"""Letters that fit into a stage's title and a card's two lines; reasons and neighbours a tooltip lists."""
_DRAWING = f"""
.stage{{fill:var(--band)}}.head{{font-weight:600;fill:var(--soft);font-size:12px;letter-spacing:.04em}}
.card rect{{fill:var(--card);stroke:var(--line)}}.name{{font-weight:600;fill:var(--ink);font-size:13px}}
.note{{fill:var(--soft);font-size:11px}}.edge{{fill:none;stroke:var(--soft);stroke-opacity:.55;stroke-width:1.4}}
.faint{{stroke-opacity:.03}}.tip{{fill:var(--soft)}}.legend{{fill:var(--soft);font-size:12px}}
svg.dag{{font-family:{FONT}}}
"""


def svg(vertices: list[Vertex], alone: bool = True) -> str:
    """The picture; `alone` gives it the colours and the ground a page would have brought, and the legend."""
    drawn = layout(vertices)
    width, height = drawn.width, drawn.height + _LEGEND * alone
    style = (STYLE if alone else "") + _DRAWING + (_hover(len(vertices)) if len(vertices) <= _MANY else "")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dag" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escaped(legend(vertices))}"><style>{style}</style><defs>'
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 .8 7.4 4 0 7.2z"/></marker></defs>'
    )
    parts = [head]
    if alone:
        parts.append(f'<rect width="{width:g}" height="{height:g}" rx="8" fill="var(--page)"/>')
    parts += [_stage(stage) for stage in drawn.stages]
    busy = _busy(drawn)
    parts += [_line(line, faint=line.source in busy or line.target in busy) for line in drawn.lines]
    parts += [_card(v, n, drawn.cards[v.node]) for n, v in enumerate(vertices)]
    if alone:
        parts.append(f'<text class="legend" x="{EDGE}" y="{drawn.height + _LEGEND / 4:g}">{escaped(legend(vertices))}</text>')
    return "\n".join([*parts, "</svg>"])


def _stage(stage: Stage) -> str:
    corner = stage.corner
    return (
        f'<rect class="stage" x="{corner.x:g}" y="{corner.y:g}" width="{stage.width:g}" height="{stage.height:g}" rx="10"/>'
        f'<text class="head" x="{corner.x + PAD:g}" y="{corner.y + 22:g}">{escaped(_cut(stage.name, _TITLE_CUT))}</text>'
    )


def _busy(drawn: Layout) -> set[int]:
    """Steps whose lines are drawn faintly; in layers every line has its lane."""
    ends = Counter(end for line in drawn.lines for end in (line.source, line.target))
    return set() if drawn.layered else {step for step, count in ends.items() if count > _BUSY}


def _line(line: Line, faint: bool) -> str:
    path = _corners(line.way) if isinstance(line.way, Detour) else _curves(line.way)
    tip = "" if faint else ' marker-end="url(#tip)"'
    return f'<path class="edge e{line.source} e{line.target}{" faint" * faint}" d="{path}"{tip}/>'


def _corners(way: Detour) -> str:
    a, corner, b = way
    return f"M{a.x:g} {a.y:.1f}H{corner.x:g}V{corner.y:.1f}H{b.x - _BACK:g}V{b.y:.1f}H{b.x:g}"


def _curves(way: tuple[Curve, ...]) -> str:
    path = f"M{way[0].start.x:g} {way[0].start.y:.1f}{_curve(way[0])}"
    for before, curve in pairwise(way):
        path += f"H{curve.start.x:g}" if before.end.y == curve.start.y else f"L{curve.start.x:g} {curve.start.y:.1f}"
        path += _curve(curve)
    return path


def _curve(curve: Curve) -> str:
    (x, y), (to_x, to_y) = curve
    bend = max((to_x - x) / 2, _BEND)
    return f"C{x + bend:g} {y:.1f} {to_x - bend:g} {to_y:.1f} {to_x:g} {to_y:.1f}"


def _card(v: Vertex, number: int, place: Place) -> str:
    name = v.node.removeprefix(v.stage + ".")
    told = [v.node, said(v), *_facts(v), *v.reasons[:_LISTED], *([v.error] if v.error else [])]
    tip = "\n".join(escaped(line) for line in told)
    return (
        f'<g class="card" id="n{number}" transform="translate({place.x:g} {place.y:.1f})"><title>{tip}</title>'
        f'<rect width="{CARD_WIDTH}" height="{CARD_HEIGHT}" rx="7"/>'
        f'<path d="M7 0H5Q0 0 0 7V{CARD_HEIGHT - 7}Q0 {CARD_HEIGHT} 5 {CARD_HEIGHT}H7z" fill="var(--{v.look})"/>'
        f"{mark(v.look, 15, 8)}"
        f'<text class="name" x="38" y="20">{escaped(_cut(name, _NAME_CUT))}</text>'
        f'<text class="note" x="38" y="36">{escaped(_cut(_note(v), _NOTE_CUT))}</text></g>'
    )


def _note(v: Vertex) -> str:
    """The second line of a card."""
    rows = f" · {v.rows:,} rows" if v.rows is not None and v.look == "skip" else ""
    if v.look == "skip" and v.state == "accepted":
        return f"accepted{rows}"
    if v.look == "run":
        kinds = ", ".join(dict.fromkeys(r.partition(":")[0] for r in v.reasons))
        return f"{WORDS['run']}: {kinds}" if kinds else WORDS["run"]
    return f"{said(v)}{rows}"


def _facts(v: Vertex) -> list[str]:
    """The last attempt's figures, and what the step reads."""
    figures = ", ".join(
        [*([f"{v.rows:,} rows"] if v.rows is not None else []), *([lasted(v.seconds)] if v.seconds is not None else [])]
    )
    reads = f"reads {listed(v.upstream, _LISTED)}" if v.upstream else ""
    return [line for line in (figures, reads) if line]


def _hover(count: int) -> str:
    """A step under the pointer shows its own lines; no script needed."""
    rules = (f"svg.dag:has(#n{n}:hover) .e{n}" for n in range(count))
    return f"{','.join(rules)}{{stroke:var(--ink);stroke-opacity:1;stroke-width:2}}" if count else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
