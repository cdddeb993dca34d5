"""Where the DAG's cards, lines and stages lie in the picture: columns by stage, lines that go around the cards.

A small graph is laid out in layers (a long line gets a lane of its own, neighbours are brought to one height). A large one flows like
text: columns of cards, then the next row of columns, so that a thousand steps can still be scrolled and searched.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from pipeline.answers.graph import Vertex

CARD_WIDTH, CARD_HEIGHT = 212, 46
EDGE = 24
"""Free margin of the picture."""
PAD = 14
"""Between a stage's edge and its cards."""
_TITLE = 34
"""From a stage's upper edge to its first card: its title is in there."""
_GAP = 14
"""Between two cards of a column."""
_AISLE = 54
"""Between two columns, where the lines bend."""
_LANE = 4
"""Height of a line that passes a column."""
_CLEAR = 8
"""A passing line is straight this far beyond the cards it passes."""
_TIP = 2
"""Between the tip of an arrow and the card it points to."""
_LAYERS, _LAYER = 14, 24
"""So many columns of so many cards are laid out in layers; more of them flow."""
_ROW, _COLUMN = 7, 30
"""Columns in a row, and cards in a column, of a picture that flows."""
_SWEEPS, _ORDERING = 24, 16
"""How often the columns are gone through, and how many of these times their order may change."""


class Place(NamedTuple):
    """A point; y grows downwards."""

    x: float
    y: float


class Curve(NamedTuple):
    """A bent piece of a line, level at both ends."""

    start: Place
    end: Place


class Detour(NamedTuple):
    """A line with corners: aside, up or down to the corner's height, along it, then to the end."""

    start: Place
    corner: Place
    end: Place


class Line(NamedTuple):
    """From one step to another, both by their number."""

    source: int
    target: int
    way: tuple[Curve, ...] | Detour
    """Curves are joined by straight pieces."""


class Stage(NamedTuple):
    """The box behind a stage's cards."""

    name: str
    corner: Place
    width: float
    height: float


class Layout(NamedTuple):
    """The whole picture."""

    cards: dict[str, Place]
    """Step → upper left corner of its card."""
    lines: list[Line]
    stages: list[Stage]
    width: float
    height: float
    layered: bool


_Item = tuple[str, int]
"""(step, column): its card, or where a line from it to a later column passes through this one."""


class _Columns(NamedTuple):
    """Where columns lie beside each other."""

    xs: list[float]
    """Left edge of each."""
    stages: list[tuple[str, float, float]]
    """(name, left, width) of each run of columns of one stage."""
    right: float


def layout(vertices: list[Vertex]) -> Layout:
    """The picture of these steps, given in topological order."""
    columns = _columns(vertices)
    small = len(columns) <= _LAYERS and all(len(c) <= _LAYER for c in columns)
    return _layered(vertices, columns) if small else _flowing(vertices, columns)


def _columns(vertices: list[Vertex]) -> list[list[Vertex]]:
    """By stage, and within a stage by depth: every line goes to a later column."""
    stages = {stage: n for n, stage in enumerate(dict.fromkeys(v.stage for v in vertices))}
    depth: dict[str, int] = {}
    stage_of = {v.node: v.stage for v in vertices}
    found: dict[tuple[int, int], list[Vertex]] = {}
    for v in vertices:
        depth[v.node] = 1 + max((depth[u] for u in v.upstream if stage_of[u] == v.stage), default=-1)
        found.setdefault((stages[v.stage], depth[v.node]), []).append(v)
    return [found[key] for key in sorted(found)]


def _beside(columns: list[list[Vertex]]) -> _Columns:
    xs: list[float] = []
    stages: list[tuple[str, float, float]] = []
    x = float(EDGE)
    for column in columns:
        stage = column[0].stage
        if stages and stages[-1][0] == stage:
            x += _AISLE - PAD
            stages[-1] = (stage, stages[-1][1], x + CARD_WIDTH + PAD - stages[-1][1])
        else:
            x += (_AISLE - PAD if stages else 0) + PAD
            stages.append((stage, x - PAD, CARD_WIDTH + 2 * PAD))
        xs.append(x)
        x += CARD_WIDTH + PAD
    return _Columns(xs, stages, x)


# -- layers ---------------------------------------------------------------------------------------------------------------


def _layered(vertices: list[Vertex], columns: list[list[Vertex]]) -> Layout:
    """Cards and lanes in columns, ordered so that few lines cross, at the height of their neighbours."""
    column = {v.node: n for n, c in enumerate(columns) for v in c}
    number = {v.node: n for n, v in enumerate(vertices)}
    items, links = _items(vertices, columns, column)
    middle = _middles(items, links, column)
    highest = min((y - _tall(item, column) / 2 for item, y in middle.items()), default=0)
    down = EDGE + _TITLE - highest
    xs, stages, right = _beside(columns)

    def way(source: str, target: str) -> tuple[Curve, ...]:
        first, last = column[source], column[target]
        points = [Place(xs[first] + CARD_WIDTH, middle[source, first] + down)]
        for n in range(first + 1, last):
            y = middle[source, n] + down
            points += [Place(xs[n] - _CLEAR, y), Place(xs[n] + CARD_WIDTH + _CLEAR, y)]
        points.append(Place(xs[last] - _TIP, middle[target, last] + down))
        return tuple(Curve(a, b) for a, b in zip(points[::2], points[1::2], strict=True))

    lines = [Line(number[u], number[v.node], way(u, v.node)) for v in vertices for u in v.upstream]
    cards = {name: Place(xs[n], middle[name, n] + down - CARD_HEIGHT / 2) for name, n in column.items()}
    lowest = max((y + _tall(item, column) / 2 for item, y in middle.items()), default=0) + down + PAD
    boxes = [Stage(name, Place(x, EDGE), width, lowest - EDGE) for name, x, width in stages]
    return Layout(cards, lines, boxes, right + EDGE, lowest + EDGE, layered=True)


def _items(
    vertices: list[Vertex], columns: list[list[Vertex]], column: dict[str, int]
) -> tuple[list[list[_Item]], list[tuple[_Item, _Item]]]:
    """Cards and lanes by column, and which of neighbouring columns belong together."""
    items: list[list[_Item]] = [[(v.node, n) for v in c] for n, c in enumerate(columns)]
    links: dict[tuple[_Item, _Item], None] = {}
    for v in vertices:
        for u in v.upstream:
            way = [(u, n) for n in range(column[u], column[v.node])] + [(v.node, column[v.node])]
            for item in way[1:-1]:
                if item not in items[item[1]]:
                    items[item[1]].append(item)
            links |= dict.fromkeys(pairwise(way))
    return items, list(links)


def _tall(item: _Item, column: dict[str, int]) -> int:
    name, n = item
    return CARD_HEIGHT if column[name] == n else _LANE


def _middles(
    items: list[list[_Item]],
    links: list[tuple[_Item, _Item]],
    column: dict[str, int],
) -> dict[_Item, float]:
    """The middle of every item, after some sweeps to and fro: order by the neighbours' mean, then as near to it as there is room."""
    near: dict[_Item, list[_Item]] = {}
    for a, b in links:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    y: dict[_Item, float] = {}
    for layer in items:
        _stack(layer, y, dict.fromkeys(layer, 0.0), column)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for n in range(len(items)) if forward else reversed(range(len(items))):
            side = [[m for m in near.get(i, []) if (m[1] < n) == forward] for i in items[n]]
            wish = {i: sum(y[m] for m in s) / len(s) if s else y[i] for i, s in zip(items[n], side, strict=True)}
            if sweep < _ORDERING:
                items[n].sort(key=lambda i: (wish[i], y[i]))
            else:  # the order stands: lean on both sides
                both = {i: near.get(i, []) for i in items[n]}
                wish = {i: sum(y[m] for m in s) / len(s) if s else y[i] for i, s in both.items()}
            _stack(items[n], y, wish, column)
    return y


def _stack(layer: list[_Item], y: dict[_Item, float], wish: dict[_Item, float], column: dict[str, int]) -> None:
    """Put a column's items in their order, without overlap, as near to their wishes as possible (least squares)."""
    tall = [_tall(item, column) for item in layer]
    offset, at = [], 0.0
    for n, height in enumerate(tall):
        at += (tall[n - 1] / 2 + _GAP + height / 2) if n else 0
        offset.append(at)
    blocks: list[tuple[float, int]] = []  # (mean wish, items): neighbours that would overlap move as one
    for item, off in zip(layer, offset, strict=True):
        mean, size = wish[item] - off, 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    means = [mean for mean, size in blocks for _ in range(size)]
    for item, off, mean in zip(layer, offset, means, strict=True):
        y[item] = mean + off


# -- rows -----------------------------------------------------------------------------------------------------------------


def _flowing(vertices: list[Vertex], columns: list[list[Vertex]]) -> Layout:
    """Columns of a bounded height, some beside each other, row below row."""
    number = {v.node: n for n, v in enumerate(vertices)}
    short = [c[n : n + _COLUMN] for c in columns for n in range(0, len(c), _COLUMN)]
    cards: dict[str, Place] = {}
    aisle: dict[str, float] = {}
    boxes: list[Stage] = []
    top, right = float(EDGE), 0.0
    for start in range(0, len(short), _ROW):
        row = short[start : start + _ROW]
        xs, stages, end = _beside(row)
        tall = _TITLE + max(len(c) for c in row) * (CARD_HEIGHT + _GAP) - _GAP + PAD
        for x, column in zip(xs, row, strict=True):
            for n, v in enumerate(column):
                cards[v.node] = Place(x, top + _TITLE + n * (CARD_HEIGHT + _GAP))
                aisle[v.node] = top - EDGE / 2
        boxes += [Stage(name, Place(x, top), width, tall) for name, x, width in stages]
        top += tall + EDGE
        right = max(right, end + EDGE)
    lines = [
        Line(number[u], number[v.node], _across(cards[u], cards[v.node], aisle[v.node])) for v in vertices for u in v.upstream
    ]
    return Layout(cards, lines, boxes, right, top, layered=False)


def _across(source: Place, target: Place, aisle: float) -> tuple[Curve] | Detour:
    """From card to card; a line that goes back to the left takes the aisle above the target's row."""
    a = Place(source.x + CARD_WIDTH, source.y + CARD_HEIGHT / 2)
    b = Place(target.x - _TIP, target.y + CARD_HEIGHT / 2)
    return (Curve(a, b),) if b.x > a.x else Detour(a, Place(a.x + _CLEAR, aisle), b)
