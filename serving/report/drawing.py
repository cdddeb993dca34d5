"""The report's chart: every reading of the week as an SVG, drawn without a library, to be read in black and white too."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple

from serving.charts.schemes import steps
from serving.charts.words import pair
from serving.report.week import Week

_WIDTH, _HEIGHT = 720, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 92, 14, 30
_STEP = 20
"""Lines of the grid, mmHg."""
_LOOK = (
    'role="img" aria-label="Every reading of the week; the table below tells them one by one" '
    'font-family="system-ui,sans-serif" font-size="11" fill="#55606d"'
)
_SYSTOLIC, _DIASTOLIC = "#b04a00", "#0b6bab"


class _Scale(NamedTuple):
    first: date
    days: int
    low: float
    high: float

    def x(self, at: Any) -> float:
        """A local time."""
        passed: float = (at.to_pydatetime().date() - self.first).days + (at.hour * 60 + at.minute) / 1440
        return _LEFT + passed / self.days * (_WIDTH - _LEFT - _RIGHT)

    def y(self, pressure: float) -> float:
        return _TOP + (self.high - pressure) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def drawing(told: Week) -> str:
    """Systolic readings as filled circles, diastolic ones as squares, joined by a thin line; left-out ones hollow."""
    readings = told.readings
    if readings.empty:
        return ""
    lines = thresholds(told.rules.scheme)
    low = min(readings["diastolic"].min(), *lines) - 10
    high = max(readings["systolic"].max(), *lines) + 10
    days = (told.facts["end"] - told.facts["start"]).days + 1
    scale = _Scale(told.facts["start"], days, low // _STEP * _STEP, -(-high // _STEP) * _STEP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_LOOK}>',
        *_grid(scale),
        *(_threshold(scale, at, name) for at, name in zip(lines, ("systolic", "diastolic"), strict=True)),
        *(_reading(scale, r) for r in readings.to_dict("records")),
        "</svg>",
        '<p class="soft">● systolic &nbsp; ■ diastolic &nbsp; ○ □ left out of the average</p>',
    ]
    return "".join(parts)


def thresholds(scheme: str) -> tuple[float, float]:
    """Where a scheme's highest category short of the severe one begins, systolic and diastolic."""
    step = [s for s in steps(scheme) if s.systolic and s.diastolic and not s.above][-1]
    return float(step.systolic or 0), float(step.diastolic or 0)


def _grid(scale: _Scale) -> list[str]:
    end = _WIDTH - _RIGHT
    parts = []
    for at in range(int(scale.low), int(scale.high) + 1, _STEP):
        y = scale.y(at)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{end}" stroke="#e1e6ea"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{at}</text>')
    wide = (end - _LEFT) / scale.days
    for number in range(scale.days):
        x, day = _LEFT + number * wide, scale.first + timedelta(days=number)
        if number:
            parts.append(f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#e1e6ea"/>')
        parts.append(f'<text x="{x + wide / 2:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{day:%a} {day.day} {day:%b}</text>')
    return parts


def _threshold(scale: _Scale, at: float, name: str) -> str:
    y, end = scale.y(at), _WIDTH - _RIGHT
    return (
        f'<path d="M{_LEFT} {y:.1f}H{end}" stroke="#1b2430" stroke-dasharray="5 4"/>'
        f'<text x="{end + 6}" y="{y + 4:.1f}">{at:g} {name}</text>'
    )


def _reading(scale: _Scale, r: dict[Any, Any]) -> str:
    x, high, low = scale.x(r["local_start"]), scale.y(r["systolic"]), scale.y(r["diastolic"])
    fill = (_SYSTOLIC, _DIASTOLIC) if not r["left_out"] else ("#fff", "#fff")
    return (
        f"<g><title>{r['local_start']:%Y-%m-%d %H:%M}: {pair(r['systolic'], r['diastolic'])}</title>"
        f'<path d="M{x:.1f} {high:.1f}V{low:.1f}" stroke="#9aa5b1"/>'
        f'<circle cx="{x:.1f}" cy="{high:.1f}" r="3.4" fill="{fill[0]}" stroke="{_SYSTOLIC}"/>'
        f'<rect x="{x - 3:.1f}" y="{low - 3:.1f}" width="6" height="6" fill="{fill[1]}" stroke="{_DIASTOLIC}"/></g>'
    )
