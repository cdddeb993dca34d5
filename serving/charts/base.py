"""What charts are built from: the axis of days, lanes stacked in one view, the magnetic crosshair, thresholds, bands, markers.

A chart is ONE layered view. Several panels become lanes of it: each lane has a y scale that covers its own pixels, so that
they share the x axis, one crosshair crosses them all, and the whole follows the width of the page (a concatenation does not:
Streamlit forces the width of its parts and cuts their axes). A layer that lies in a lane takes its y from `Lane.y`.

Days go in as text `YYYY-MM-DD` and are drawn on a UTC scale: the local calendar day is shown as it is, wherever the browser is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from serving.charts import theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

NEAR, DAY = "near", "day"
"""Names of the two selections: the day under the pointer, the day that was clicked."""


def iso(days: pd.Series) -> pd.Series:
    """Days as `YYYY-MM-DD`, as charts take them."""
    import pandas as pd

    return pd.to_datetime(days).dt.strftime("%Y-%m-%d")


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """A table as people read it: days without a time of day, figures with one decimal at most, rounded half up like all words."""
    import numpy as np
    import pandas as pd

    days = {name: table[name].dt.date for name in table.columns.astype(str) if pd.api.types.is_datetime64_any_dtype(table[name])}
    real = table.select_dtypes("float")
    rounded = np.copysign(np.floor(real.abs() * 10 + 0.5) / 10, real)
    return table.assign(**days, **{str(name): rounded[name] for name in rounded}).reset_index(drop=True)


def x(first: date, last: date, *, axis: bool = True, field: str = "date") -> alt.X:
    """The horizontal axis of local days from first to last, half a day of air on both sides."""
    import altair as alt

    days = (last - first).days + 1
    shape = "%a %-d" if days <= 10 else "%-d %b" if days <= 200 else "%b" if days <= 1_100 else "%Y"
    label = f"utcFormat(datum.value, utcmonth(datum.value) == 0 && {int(shape == '%b')} ? '%Y' : '{shape}')"
    ticks: Any = "day" if days <= 10 else "week" if days <= 120 else "month" if days <= 1_100 else "year"
    if 10 < days <= 21:
        ticks = alt.TimeIntervalStep(interval="day", step=2)
    return alt.X(
        f"{field}:T",
        scale=alt.Scale(type="utc", domain=[_noon(first - timedelta(days=1)), _noon(last)], nice=False),
        axis=alt.Axis(title=None, labelExpr=label, grid=False, ticks=True, tickCount=ticks) if axis else None,
    )


def bar_size(steps: int, share: float = 0.75, most: int = 40) -> alt.ExprRef:
    """Pixels of a bar that takes this share of its step when so many steps share the width, for `mark_bar(size=…)`."""
    import altair as alt

    return alt.ExprRef(f"clamp({share} * width / {max(steps, 1)}, 1.2, {most})")


class Lane(NamedTuple):
    """A horizontal strip of the view, `height` pixels from `top`, whose y runs from `low` to `high`."""

    top: int
    height: int
    low: float
    high: float

    def y(self, field: str, *, axis: bool = False, ticks: int | Sequence[float] = 3, form: str = ",d") -> alt.Y:
        """A field on the lane's scale; ONE layer of a lane draws the axis (`ticks`: how many, or which)."""
        import altair as alt

        if not axis:
            drawn = None
        elif isinstance(ticks, int):
            drawn = alt.Axis(title=None, orient="left", tickCount=ticks, format=form)
        else:
            drawn = alt.Axis(title=None, orient="left", values=list(ticks), format=form)
        return alt.Y(field, scale=self.scale(), axis=drawn)

    def scale(self) -> alt.Scale:
        """Pixels of the lane for its values; what lies outside is cut to its edge."""
        import altair as alt

        return alt.Scale(
            domain=[self.low, self.high], range=[self.top + self.height, self.top], zero=False, nice=False, clamp=True
        )


def span(*columns: pd.Series, step: float = 10, include: Iterable[float] = ()) -> tuple[float, float]:
    """Lowest and highest value of all columns and of `include`, widened to multiples of `step`."""
    import math

    values = [float(v) for column in columns for v in (column.min(), column.max()) if not math.isnan(v)]
    values += include
    low, high = math.floor(min(values, default=0) / step) * step, math.ceil(max(values, default=1) / step) * step
    return low, high if high > low else low + step


def heading(lane: Lane, text: str) -> Any:
    """What the lane shows and its unit, above it at the left; pair it with `reading` at the right."""
    import altair as alt

    return (
        alt.Chart(_inline([{"text": text}]))
        .mark_text(align="left", baseline="bottom", fontWeight="bold")
        .encode(
            text=alt.Text("text:N"),
            x=fixed(alt.XValue, 0),
            y=fixed(alt.YValue, lane.top - 6),
            color=fixed(alt.ColorValue, theme.INK),
        )
    )


def fixed(channel: Any, value: object) -> Any:
    """A channel with one value, `fixed(alt.YValue, 20)`: what `y=alt.value(20)` means, which takes Altair 20 ms to find out."""
    return channel(value)


def caption(text: str) -> Any:
    """How to read the marks, in one short line at the very top."""
    import altair as alt

    chart = alt.Chart(_inline([{"text": text}])).mark_text(align="left", baseline="top", fontSize=11)
    return chart.encode(
        text=alt.Text("text:N"), x=fixed(alt.XValue, 0), y=fixed(alt.YValue, 0), color=fixed(alt.ColorValue, theme.INK)
    )


def reading(data: pd.DataFrame, lane: Lane, field: str) -> Any:
    """The text column `field` of the day under the pointer, above the lane at the right."""
    import altair as alt

    return (
        alt.Chart(data)
        .mark_text(align="right", baseline="bottom")
        .encode(
            text=alt.Text(f"{field}:N"),
            x=fixed(alt.XValue, "width"),
            y=fixed(alt.YValue, lane.top - 6),
            color=fixed(alt.ColorValue, theme.INK),
        )
        .transform_filter(near())
    )


def near() -> alt.Parameter:
    """The magnetic crosshair: the day nearest to the pointer; nothing when the pointer leaves."""
    import altair as alt

    return alt.selection_point(name=NEAR, nearest=True, on="pointerover", clear="pointerout", fields=["date"], empty=False)


def day() -> alt.Parameter:
    """The day that was clicked."""
    import altair as alt

    return alt.selection_point(name=DAY, nearest=True, on="click", fields=["date"], empty=False)


def crosshair(
    data: pd.DataFrame, first: date, last: date, height: int, tooltip: Sequence[alt.Tooltip], *, days: bool = True
) -> list[Any]:
    """Layers that go on top of all others: the rule, and the selectors.

    Args:
        data: one row per step with `date`, gaps included, so that the nearest day is never a far one.
        tooltip: carries all series; text columns say "no reading" better than null does.
        days: a click chooses the day (selection `day`); not for steps longer than a day.
    """
    import altair as alt

    chart = alt.Chart(data).encode(x=x(first, last))
    rule = chart.mark_rule(color=theme.GREY, strokeWidth=1.5).transform_filter(near())
    catcher = chart.mark_point(opacity=0, size=1).encode(y=fixed(alt.YValue, height / 2), tooltip=list(tooltip))
    return [rule, catcher.add_params(near(), day()) if days else catcher.add_params(near())]


def thresholds(lane: Lane, rules: Sequence[tuple[float, str]]) -> list[Any]:
    """Dashed lines across the lane; their labels stand outside at the right, where no data lie under them.

    A label is broken at its last space, so that a phone has room beside it: the words above, the figure at the line. An empty
    one is none.
    """
    import altair as alt

    seen = [(at, label) for at, label in rules if lane.low < at < lane.high]
    y = lane.y("at:Q")
    if any(label for _, label in seen):
        lines = {f"{at:g}": label.rsplit(" ", 1) for at, label in seen}
        y = alt.Y("at:Q", scale=lane.scale(), axis=_labels(list(dict.fromkeys(at for at, _ in seen)), lines))
    data = _inline([{"at": at, "label": label} for at, label in seen])
    return [alt.Chart(data).mark_rule(strokeDash=[4, 3], color=theme.GREY, opacity=0.9).encode(y=y)]


def _labels(values: list[float], lines: dict[str, list[str]]) -> alt.Axis:
    """An axis at the right that writes the lines of text for each of the values."""
    import json

    import altair as alt

    return alt.Axis(
        title=None,
        orient="right",
        values=values,
        grid=False,
        labelExpr=f"{json.dumps(lines)}[format(datum.value, '~r')] || ''",
        labelFontSize=10.5,
        labelPadding=4,
        labelOverlap=False,
        labelLineHeight=12,
        labelOffset=-12,
    )


def bands(lane: Lane, areas: Sequence[tuple[float, float, str]], *, opacity: float = 0.13) -> Any:
    """Areas (low, high, colour) behind everything in the lane, cut to it."""
    import altair as alt

    values = [
        {"low": max(low, lane.low), "high": min(high, lane.high), "color": color}
        for low, high, color in areas
        if low < lane.high and high > lane.low
    ]
    return (
        alt.Chart(_inline(values))
        .mark_rect(opacity=opacity)
        .encode(y=lane.y("low:Q"), y2=alt.Y2("high:Q"), color=alt.Color("color:N", scale=None))
    )


def markers(events: pd.DataFrame, first: date, last: date, top: int) -> list[Any]:
    """A dashed line with its label for every event (`date`, `label`); the table `events` between first and last."""
    import altair as alt

    lines = [13 * (nth % 3) for nth in range(len(events))]  # neighbours' labels stand below each other
    chart = alt.Chart(events.assign(date=iso(events["date"]), line=lines)[["date", "label", "line"]]).encode(x=x(first, last))
    line = chart.mark_rule(color=theme.EVENT, strokeDash=[2, 2], strokeWidth=2)
    late = f"time(toDate(datum.date)) > {_middle(first, last)}"  # there the label stands before its line, not cut by the edge
    label = chart.mark_text(
        align=alt.ExprRef(f"{late} ? 'right' : 'left'"),
        dx=alt.ExprRef(f"{late} ? -5 : 5"),
        dy=alt.ExprRef("datum.line"),
        baseline="top",
        fontSize=11,
        limit=170,
    )
    line = line.encode(y=fixed(alt.YValue, top), y2=fixed(alt.Y2Value, "height"))
    return [line, label.encode(text=alt.Text("label:N"), y=fixed(alt.YValue, top), color=fixed(alt.ColorValue, theme.INK))]


def finished(layers: Sequence[Any], height: int, said: str) -> Any:
    """The layers as one chart of this height, as wide as the page; scales of y and colour are each layer's own."""
    import altair as alt

    own = alt.Resolve(scale=alt.ScaleResolveMap(y="independent", color="independent", shape="independent"))
    return alt.layer(*layers, height=height, width="container", resolve=own, **theme.dress(said))


def chosen_day(event: Any) -> date | None:
    """The day a click chose, from what `st.altair_chart(…, on_select="rerun", selection_mode="day")` returns."""
    try:
        told = event["selection"][DAY][0]["date"]
    except (KeyError, IndexError, TypeError):
        return None
    if isinstance(told, int | float):
        return datetime.fromtimestamp(told / 1000, UTC).date()
    try:
        return date.fromisoformat(str(told)[:10])
    except ValueError:
        return None


def week_of(day: date) -> date:
    """Its Monday."""
    return day - timedelta(days=day.weekday())


def _inline(values: list[dict[str, object]]) -> Any:
    import altair as alt

    return alt.InlineData(values=values)


def _middle(first: date, last: date) -> int:
    middle = datetime(first.year, first.month, first.day, tzinfo=UTC) + (last - first) / 2
    return int(middle.timestamp() * 1000)


def _noon(day: date) -> alt.DateTime:
    import altair as alt

    return alt.DateTime(utc=True, year=day.year, month=day.month, date=day.day, hours=12)
