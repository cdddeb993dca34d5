"""A run's steps over time, as an SVG for its page: a bar per attempt, in the order they began."""

from __future__ import annotations

from typing import Any

from scripts.looks import STATE_LOOKS, STATE_WORDS
from scripts.page import escaped
from scripts.words import lasted

_NAMES, _BARS, _MARGIN = 250, 800, 40
"""Widths: of the names, of the time axis, of what may stick out at its end."""
_ROW, _BAR, _AXIS = 24, 14, 34
"""Heights: of a row, of the bar in it, of the axis below."""
_TICKS = 5
_CUT = 34
"""Letters of a name that fit."""
_WORTH_TELLING = 60
"""From this width on a bar's time is written beside it."""
_BESIDE = 90
"""So much room a time needs to the right of its bar; with less it is written to the left."""


def gantt(nodes: list[dict[str, Any]]) -> str:
    """The attempts of a run (`pipeline.answers.report`), at least one."""
    begin = min(n["started_at"] for n in nodes)
    span = max(max(n["started_at"] + (n["seconds"] or 0) for n in nodes) - begin, 0.001)
    height = len(nodes) * _ROW + _AXIS
    bars = (_bar(n, number * _ROW, begin, span) for number, n in enumerate(nodes))
    return (
        f'<svg class="gantt" viewBox="0 0 {_NAMES + _BARS + _MARGIN} {height}" role="img" aria-label="Each step\'s time in the run">'
        f"{_axis(span, height)}{''.join(bars)}</svg>"
    )


def _axis(span: float, height: int) -> str:
    lines = []
    for tick in range(_TICKS + 1):
        x = _NAMES + _BARS * tick / _TICKS
        lines.append(f'<line x1="{x:g}" y1="0" x2="{x:g}" y2="{height - _AXIS + 8}"/>')
        lines.append(f'<text class="soft" x="{x:g}" y="{height - 10}" text-anchor="middle">{lasted(span * tick / _TICKS)}</text>')
    return "".join(lines)


def _bar(n: dict[str, Any], y: int, begin: float, span: float) -> str:
    x = _NAMES + _BARS * (n["started_at"] - begin) / span
    width = max(_BARS * (n["seconds"] or 0) / span, 2)
    look, said = STATE_LOOKS[n["state"]], STATE_WORDS.get(n["state"], n["state"])
    name = n["node"] if len(n["node"]) <= _CUT else n["node"][: _CUT - 1] + "…"
    return (
        f'<text x="0" y="{y + 16}">{escaped(name)}</text>'
        f'<rect x="{x:.1f}" y="{y + (_ROW - _BAR) // 2}" width="{width:.1f}" height="{_BAR}" rx="3" fill="var(--{look})">'
        f"<title>{escaped(n['node'])}: {lasted(n['seconds'])}, {said}</title></rect>"
    ) + (_told(n, said, x, width, y) if look != "skip" or width > _WORTH_TELLING else "")


def _told(n: dict[str, Any], said: str, x: float, width: float, y: int) -> str:
    """The time, and how it went unless it went well, beside the bar."""
    right = x + width < _NAMES + _BARS - _BESIDE
    at, anchor = (x + width + 6, "start") if right else (x - 6, "end")
    text = lasted(n["seconds"]) + ("" if n["state"] == "committed" else f", {said}")
    return f'<text class="soft" x="{at:.1f}" y="{y + 16}" text-anchor="{anchor}">{escaped(text)}</text>'
