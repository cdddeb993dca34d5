"""How far the figures can be trusted: which days have data, what was refused and why, how fresh every source is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.charts import base, days, reasons, theme, words
from serving.charts.metrics import METRICS, TOLD_BY_FEW
from serving.charts.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.view import View

_COVERED = (
    *("systolic", "diastolic", "pulse", "avg_hr", "resting_hr", "total_duration", "steps", "weight", "spo2_avg"),
    *TOLD_BY_FEW,
)
_TOLD = {"systolic": "blood pressure", "avg_hr": "heart rate", "total_duration": "sleep", "steps": "steps"}
"""Metrics whose share stands in the sentence: what the daily table expects of every day."""
_STAGES = {
    "record": "Record that could not be read",
    "normalization": "Record that gave no reading",
    "validation": "Reading that cannot be",
}


def coverage(gold: Gold, view: View) -> Panel:
    """The share of days with a value, by metric and month (by week up to 200 days, by day up to 31)."""
    view = days.clipped(gold, view)
    unit = "day" if view.days <= 31 else "week" if view.days <= 200 else "month"
    shares = _shares(gold, view, unit)
    rows = shares[["period", "words", "days", "with_data", "percent"]].set_axis(
        [f"{unit.capitalize()} from" if unit != "day" else "Day", "Metric", "Days", "Days with data", "Share (%)"], axis="columns"
    )
    title = "Days with data"
    if not shares["with_data"].sum():
        return Panel("coverage", title, "", None, rows.iloc[:0], words.nothing(gold, view, "data", "date", thing="day"))
    said = _covered(gold, view, shares)
    return Panel("coverage", title, said, _coverage_chart(shares, unit, said), rows)


def _shares(gold: Gold, view: View, unit: str) -> pd.DataFrame:
    table, parameters = days.daily(view)
    covered = days.told(gold, _COVERED)
    values = ", ".join(f"{metric}::DOUBLE AS {metric}" for metric in covered)
    shares = gold.table(
        f"""
        WITH calendar AS (
            SELECT unnest(generate_series(greatest($first, first_date)::TIMESTAMP, least($last, last_date), INTERVAL 1 DAY))::DATE AS day
            FROM meta
        ), told AS (
            UNPIVOT (SELECT date, {values} FROM {table}) ON {", ".join(covered)} INTO NAME metric VALUE value
        )
        SELECT strftime(greatest(date_trunc('{unit}', day), $first::DATE), '%Y-%m-%d') AS period, wanted.metric,
               count(*) AS days, count(value) AS with_data
        FROM calendar CROSS JOIN (SELECT unnest($metrics) AS metric) AS wanted
        LEFT JOIN told ON told.date = day AND told.metric = wanted.metric
        GROUP BY ALL ORDER BY period
        """,
        {**parameters, "first": view.first, "last": view.last, "metrics": covered},
    )
    shares["words"] = [METRICS[metric].words for metric in shares["metric"]]
    shares["percent"] = [_percent(n, of) for n, of in zip(shares["with_data"], shares["days"], strict=True)]
    return shares.sort_values(["period", "metric"], key=lambda column: column.map(_place) if column.name == "metric" else column)


def _percent(n: float, of: float) -> int:
    """Rounded, but 100 only when nothing is missing and 0 only when all is."""
    return 100 if n == of else max(min(words.half_up(100 * n / of), 99), 1 if n else 0)


def _place(metric: str) -> int:
    return _COVERED.index(metric)


def _covered(gold: Gold, view: View, shares: pd.DataFrame) -> str:
    total = shares.groupby("metric")[["days", "with_data"]].sum()
    parts = [
        f"{what} on {_percent(*total.loc[metric, ['with_data', 'days']])} % of the days"
        for metric, what in _TOLD.items()
        if total.loc[metric, "with_data"]
    ]
    missing = [what for metric, what in _TOLD.items() if not total.loc[metric, "with_data"]]
    if missing:
        parts.append(f"no {' and no '.join(missing)}")
    said = "; ".join(parts).capitalize().replace(" % of the days; ", " %; ") + "."
    return said + _longest_gap(gold, view)


def _longest_gap(gold: Gold, view: View) -> str:
    """The longest run of days without one of the expected metrics, of the merged days."""
    if view.source:
        return ""
    found = gold.table(
        """
        SELECT metric, min(date) AS since, count(*) AS length FROM (
            SELECT metric, date, value, count(value) OVER (PARTITION BY metric ORDER BY date) AS stretch
            FROM rolling WHERE date BETWEEN $first AND $last AND list_contains($metrics, metric)
        ) WHERE value IS NULL GROUP BY metric, stretch ORDER BY length DESC, since DESC, metric LIMIT 1
        """,
        {"first": view.first, "last": view.last, "metrics": list(_TOLD)},
    )
    if found.empty:
        return " No day is missing any of them."
    gap = found.to_dict("records")[0]
    return f" Longest gap: {words.count(int(gap['length']), 'day')} without {_TOLD[gap['metric']]} from {words.on(gap['since'])}."


def _coverage_chart(shares: pd.DataFrame, unit: str, said: str) -> Any:
    import altair as alt

    present = shares.groupby("metric")["with_data"].transform("sum") > 0
    data = shares[present]
    periods = data["period"].nunique()
    shape = {"day": "%-d %b", "week": "%-d %b", "month": "%b %Y"}[unit]
    chart = alt.Chart(data).encode(
        x=alt.X(
            "period:O",
            title=None,
            axis=alt.Axis(labelExpr=f"utcFormat(toDate(datum.value), '{shape}')", labelAngle=0, labelOverlap="greedy"),
        ),
        y=alt.Y("words:N", title=None, sort=[METRICS[m].words for m in _COVERED], axis=alt.Axis(labelLimit=150, minExtent=0)),
        tooltip=[
            alt.Tooltip("period:N", title={"day": "Day", "week": "Week from", "month": "Month from"}[unit]),
            alt.Tooltip("words:N", title="Metric"),
            alt.Tooltip("percent:Q", title="Days with data (%)"),
            alt.Tooltip("with_data:Q", title="Days with data"),
            alt.Tooltip("days:Q", title="Days"),
        ],
    )
    cells = chart.mark_rect(cornerRadius=2).encode(
        color=alt.Color(
            "percent:Q",
            scale=alt.Scale(scheme=theme.SEQUENCE, domain=[0, 100]),
            legend=alt.Legend(title="% of days", gradientLength=120, titleOrient="left"),
        )
    )
    figures = chart.mark_text(fontSize=10).encode(
        text="percent:Q",
        color=alt.condition("datum.percent > 55", alt.value("black"), alt.value("white")),
        opacity=alt.value(alt.ExprRef(f"width / {periods} > 26 ? 1 : 0")),
    )
    height = 26 * data["metric"].nunique()
    return theme.dressed((cells + figures if unit != "day" else cells).properties(height=height, width="container"), said)


def rejections(gold: Gold, view: View) -> Panel:
    """How many records and readings were refused, by reason; those without a date count in every range."""
    found = gold.table(
        """
        SELECT reason, stage, count(*) AS n, count(*) FILTER (WHERE date IS NULL) AS undated, max(date) AS latest
        FROM rejected WHERE (date IS NULL OR date BETWEEN $first AND $last) AND source = coalesce(nullif($source, ''), source)
        GROUP BY ALL ORDER BY n DESC, reason, stage
        """,
        {"first": view.first, "last": view.last, "source": view.source},
    )
    found["why"] = [reasons.said(code) for code in found["reason"]]
    found["what"] = [_STAGES.get(stage, stage) for stage in found["stage"]]
    found["latest"] = base.iso(found["latest"]).fillna("–")
    rows = found[["why", "what", "n", "undated", "latest", "reason"]].set_axis(
        ["Why", "What was refused", "How many", "Of them without a date", "Latest", "Reason code"], axis="columns"
    )
    title = "Refused, and why"
    if found.empty:
        return Panel(
            "rejections", title, "", None, rows, "Nothing was refused in this range: every record gave readings that can be."
        )
    by_reason = found.groupby("why")["n"].sum().sort_values(ascending=False, kind="stable")
    order = [str(why) for why in by_reason.index]
    total, undated = int(found["n"].sum()), int(found["undated"].sum())
    refused = words.count(total, "record or reading", "records and readings")
    said = f"{refused} refused; most often: {order[0]} ({words.whole(by_reason.max())})."
    if undated:
        said += f" {words.whole(undated)} of them {'carries' if undated == 1 else 'carry'} no date, so every range counts "
        said += "it." if undated == 1 else "them."
    return Panel("rejections", title, said, _rejections_chart(found, order, said), rows)


def _rejections_chart(found: pd.DataFrame, order: list[str], said: str) -> Any:
    import altair as alt

    stages = list(_STAGES.values())
    colors = [theme.ORANGE, theme.BLUE, theme.VERMILLION]
    up = alt.Y("why:N", sort=order, title=None, axis=None, scale=alt.Scale(paddingInner=0.62, paddingOuter=0.4))
    chart = alt.Chart(found).encode(y=up)
    bars = chart.mark_bar(cornerRadiusEnd=2).encode(
        x=alt.X("sum(n):Q", title="How many", axis=alt.Axis(tickMinStep=1, format=",d", tickCount=5)),
        color=alt.Color("what:N", scale=alt.Scale(domain=stages, range=colors), legend=alt.Legend(title=None, columns=2)),
        tooltip=[
            alt.Tooltip("why:N", title="Why"),
            alt.Tooltip("what:N", title="What was refused"),
            alt.Tooltip("sum(n):Q", title="How many", format=",d"),
        ],
    )
    per = found.groupby("why", as_index=False)["n"].sum()
    per["label"] = [f"{why} · {words.whole(n)}" for why, n in zip(per["why"], per["n"], strict=True)]
    labels = (
        alt.Chart(per)
        .mark_text(align="left", baseline="bottom", dx=1)
        .encode(color=alt.value(theme.INK), y=up, yOffset=alt.value(-8), x=alt.value(0), text="label:N")
    )
    return theme.dressed((bars + labels).properties(height=40 * len(order) + 10, width="container"), said)


def freshness(gold: Gold, view: View) -> Panel:
    """From when to when every source tells something, and how long before the end of the data it fell silent."""
    found = gold.table(
        """
        SELECT source, kind, freshness.first_date AS since, freshness.last_date AS until, accepted,
               date_diff('day', freshness.last_date, meta.last_date) AS behind
        FROM freshness, meta WHERE source = coalesce(nullif($source, ''), source) AND freshness.last_date IS NOT NULL
        ORDER BY behind, source, kind
        """,
        {"source": view.source},
    )
    found["name"] = [_feed(source, kind) for source, kind in zip(found["source"], found["kind"], strict=True)]
    found["last"] = [_behind(days) for days in found["behind"]]
    found["since"], found["until"] = base.iso(found["since"]), base.iso(found["until"])
    rows = found[["name", "since", "until", "last", "accepted"]].set_axis(
        ["Source", "First reading", "Last reading", "Freshness", "Accepted readings"], axis="columns"
    )
    title = "Freshness"
    if found.empty:
        return Panel("freshness", title, "", None, rows, "No source has given a reading yet. Drop an export into the inbox.")
    said = _fresh(gold, found)
    return Panel("freshness", title, said, _freshness_chart(gold, found, said), rows)


def _feed(source: str, kind: str) -> str:
    title = words.source_title(source)
    what = kind.replace("_", " ")
    return title if what in title.lower() else f"{title}: {what}"


def _behind(behind: int) -> str:
    return (
        "last reading on the last day of the data"
        if behind <= 0
        else f"last reading {words.count(behind, 'day')} before the end of the data"
    )


def _fresh(gold: Gold, found: pd.DataFrame) -> str:
    end = words.on(days.first_row(gold, "SELECT last_date FROM meta")["last_date"])
    late = found[found["behind"] > 0].sort_values("behind", ascending=False)
    if late.empty:
        return f"{'All sources reach' if len(found) > 1 else 'The source reaches'} the end of the data, {end}."
    worst = late.to_dict("records")[0]
    fresh = len(found) - len(late)
    reach = f"{words.of(fresh, len(found), 'feed')} {'reaches' if fresh == 1 else 'reach'}"
    said = f"{reach} the end of the data, {end}. " if fresh else ""
    return f"{said}Furthest behind: {worst['name']}, {worst['last']}."


def _freshness_chart(gold: Gold, found: pd.DataFrame, said: str) -> Any:
    import altair as alt

    meta = days.first_row(gold, "SELECT first_date, last_date FROM meta")
    first, last = meta["first_date"].date(), meta["last_date"].date()
    up = alt.Y("name:N", sort=list(found["name"]), title=None, axis=None)
    tips = [
        alt.Tooltip("name:N", title="Source"),
        alt.Tooltip("since:N", title="First reading"),
        alt.Tooltip("until:N", title="Last reading"),
        alt.Tooltip("last:N", title="Freshness"),
        alt.Tooltip("accepted:Q", title="Accepted readings", format=",d"),
    ]
    chart = alt.Chart(found).encode(y=up, tooltip=tips)
    spans = chart.mark_rule(strokeWidth=6, strokeCap="round", opacity=0.35, color=theme.BLUE).encode(
        x=base.x(first, last, field="since"), x2="until:T"
    )
    fresh = alt.Scale(domain=["Up to the end of the data", "Ends earlier"], range=[theme.BLUE, theme.VERMILLION])
    shapes = alt.Scale(domain=list(fresh.domain), range=["circle", "diamond"])
    state = "datum.behind > 0 ? 'Ends earlier' : 'Up to the end of the data'"
    dots = (
        chart.transform_calculate(state=state)
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x=base.x(first, last, field="until"),
            color=alt.Color("state:N", scale=fresh, legend=alt.Legend(title=None)),
            shape=alt.Shape("state:N", scale=shapes, legend=alt.Legend(title=None)),
        )
    )
    labels = (
        alt.Chart(found)
        .mark_text(align="left", baseline="bottom", dx=1, dy=-7)
        .encode(color=alt.value(theme.INK), y=up, x=alt.value(0), text="name:N")
    )
    return theme.dressed((spans + dots + labels).properties(height=42 * len(found) + 10, width="container"), said)
