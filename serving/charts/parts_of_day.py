"""Morning against evening: the same scale side by side, each with its mean, and the difference in words."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from serving.charts import base, theme, words
from serving.charts.days import clipped, step_of
from serving.charts.panel import Panel
from serving.charts.pressure import LEAST, readings_of

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

NAME, TITLE = "parts_of_day", "Morning and evening"
_PARTS = {"morning": theme.MORNING, "evening": theme.EVENING}
_COMPONENTS = {"systolic": "circle", "diastolic": "diamond"}
_TOP, _HEIGHT, _GAP = 24, 130, 38


def panel(gold: Gold, view: View) -> Panel:
    """Means of morning and evening per day (per week in long views), one lane each on one scale."""
    chosen, view = view, clipped(gold, view)
    table, parameters = readings_of(view)
    step = step_of(view)
    rows = gold.table(
        f"""
        SELECT greatest(date_trunc('{step}', date), $first::DATE)::DATE AS date, part,
               avg(systolic) AS systolic, avg(diastolic) AS diastolic, avg(pulse) AS pulse, count(*) AS readings
        FROM {table} WHERE part IS NOT NULL GROUP BY ALL ORDER BY date, part DESC
        """,
        parameters,
    )
    means = gold.table(
        f"""
        SELECT part, avg(systolic) AS systolic, avg(diastolic) AS diastolic, count(*) AS readings
        FROM {table} WHERE part IS NOT NULL GROUP BY part
        """,
        parameters,
    ).set_index("part")
    if rows.empty:
        sentence = words.nothing(
            gold, chosen, "blood pressure in the morning or evening", "coalesce(systolic_morning, systolic_evening)"
        )
        return Panel(NAME, TITLE, "", None, _readable(rows, step), sentence)
    sentence = _said(means)
    return Panel(NAME, TITLE, sentence, _drawn(rows, means, view, sentence), _readable(rows, step), day=step == "day")


def _said(means: pd.DataFrame) -> str:
    """`Morning 128/80, evening 121/76: systolic 7 higher in the morning (62 and 58 readings).`"""
    told: dict[str, Any] = {part: means.loc[part] for part in _PARTS if part in means.index}
    pairs = {part: words.pair(row["systolic"], row["diastolic"]) for part, row in told.items()}
    if len(told) == 1:
        ((part, pair),) = pairs.items()
        other = "evening" if part == "morning" else "morning"
        return f"{part.capitalize()} {pair} ({words.count(int(told[part]['readings']), 'reading')}), no reading in the {other}."
    counts = [int(told[part]["readings"]) for part in _PARTS]
    begin = f"Morning {pairs['morning']}, evening {pairs['evening']}"
    if min(counts) < LEAST:
        return f"{begin}: {counts[0]} and {words.count(counts[1], 'reading')} only, too few to compare."
    morning, evening = (words.half_up(told[part]["systolic"]) for part in _PARTS)
    difference = morning - evening  # of the figures shown, so that it adds up for a reader
    which = (
        f"systolic {abs(difference)} {'higher' if difference > 0 else 'lower'} in the morning"
        if difference
        else "systolic the same"
    )
    return f"{begin}: {which} ({words.whole(counts[0])} and {words.count(counts[1], 'reading')})."


def _readable(rows: pd.DataFrame, step: str) -> pd.DataFrame:
    names = {
        "date": "Date" if step == "day" else "Week from",
        "part": "Part of the day",
        "systolic": "Systolic (mmHg)",
        "diastolic": "Diastolic (mmHg)",
        "pulse": "Pulse (per minute)",
        "readings": "Readings",
    }
    return base.plain(rows.rename(columns=names)[list(names.values())])


def _drawn(rows: pd.DataFrame, means: pd.DataFrame, view: View, sentence: str) -> Any:
    import altair as alt
    import pandas as pd

    step = step_of(view)
    every = _steps(rows["date"].min(), rows["date"].max(), step)
    first, last = every[0].date(), every[-1].date()
    low, high = base.span(rows["systolic"], rows["diastolic"])
    data = pd.DataFrame({"date": base.iso(every.to_series()).to_list(), "when": [words.when(day.date(), step) for day in every]})
    layers: list[Any] = []
    top = _TOP
    for part, color in _PARTS.items():
        of = rows[rows["part"] == part].set_index("date").reindex(every)
        pairs = zip(of["systolic"], of["diastolic"], of["readings"], strict=True)
        data[f"{part}_text"] = [
            f"{words.pair(s, d)} ({words.count(int(n), 'reading')})" if words.known(s) else "no reading" for s, d, n in pairs
        ]
        for component in _COMPONENTS:
            data[f"{part}_{component}"] = of[component].round(2).to_numpy()
        layers += _lane(data, means, base.Lane(top, _HEIGHT, low, high), part, color)
        top += _HEIGHT + _GAP
    height = top - _GAP
    tooltip = [alt.Tooltip("when:N", title=step.capitalize())]
    tooltip += [alt.Tooltip(f"{part}_text:N", title=part.capitalize()) for part in _PARTS]
    return base.finished([*layers, *base.crosshair(data, first, last, height, tooltip, days=step == "day")], height, sentence)


def _steps(first: pd.Timestamp, last: pd.Timestamp, step: str) -> pd.DatetimeIndex:
    """The days from first to last, or its weeks: their Mondays, the first one cut to `first`."""
    import pandas as pd

    if step == "day":
        return pd.date_range(first, last, freq="D")
    weeks = pd.date_range(first - pd.Timedelta(days=first.weekday()), last, freq="7D")
    return pd.DatetimeIndex([first, *weeks[1:]])


def _lane(data: pd.DataFrame, means: pd.DataFrame, lane: base.Lane, part: str, color: str) -> list[Any]:
    """Points of one part of the day, and a rule with a label at each mean."""
    import altair as alt

    first, last = date.fromisoformat(data["date"].iloc[0]), date.fromisoformat(data["date"].iloc[-1])
    chart = alt.Chart(data).encode(x=base.x(first, last))
    layers: list[Any] = [
        base.heading(lane, f"{part.capitalize()}, mmHg: ● systolic ◆ diastolic"),
        base.reading(data, lane, f"{part}_text"),
    ]
    for at, (component, shape) in enumerate(_COMPONENTS.items()):
        points = chart.mark_point(color=color, shape=shape, filled=True, size=26 if len(data) <= 120 else 10, opacity=0.85)
        layers.append(points.encode(y=lane.y(f"{part}_{component}:Q", axis=at == 0)))
        if part in means.index:
            mean = float(means[component][part])
            layers += base.thresholds(lane, [(mean, f"mean {words.whole(mean)}")])
    return layers
