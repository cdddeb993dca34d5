"""A measuring week as the doctor needs it: its figures, its readings and what became of each, sentences about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from config.bp_schemes import Grade
from config.home_protocols import PRESETS, SITTING, Preset
from serving.charts import theme
from serving.charts.protocol import REASONS
from serving.charts.schemes import steps
from serving.charts.words import count, half_up, through
from serving.view import SCHEMES

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold

_WEEKS = "SELECT * FROM protocol_weeks ORDER BY start DESC"
_READINGS = f"""
WITH pairs AS (
    SELECT *, coalesce(epoch(start) - lag(epoch(start)) OVER by_time > {SITTING}, true) AS opens
    FROM bp_readings WHERE used AND systolic IS NOT NULL AND diastolic IS NOT NULL
    WINDOW by_time AS (ORDER BY start, raw_id)
), sat AS (SELECT *, sum(opens::INT) OVER (ORDER BY start, raw_id) AS sitting FROM pairs)
SELECT date, local_start, systolic, diastolic, pulse, part, source,
       row_number() OVER (PARTITION BY sitting ORDER BY start, raw_id) AS place, count(*) OVER (PARTITION BY sitting) AS size
FROM sat WHERE date BETWEEN $first AND $last ORDER BY start, raw_id
"""
_MEDICATION = "SELECT date, label FROM events WHERE kind = 'medication' AND date <= $last ORDER BY date DESC LIMIT 6"


class Week(NamedTuple):
    """A measuring week, with all that its report says."""

    facts: dict[str, Any]
    """Its row of `protocol_weeks`; None for what is empty."""
    readings: pd.DataFrame
    """`readings`: its readings with what became of each in the average."""
    medication: Sequence[tuple[date, str]]
    """(day, label) of medication events up to its end, latest first."""
    synthetic: bool
    """Of an invented person."""

    @property
    def rules(self) -> Preset:
        return PRESETS[self.facts["protocol"]]

    @property
    def counted(self) -> pd.DataFrame:
        """The readings that are averaged."""
        return self.readings[self.readings["left_out"] == ""]


def weeks(gold: Gold) -> pd.DataFrame:
    """All measuring weeks, latest first: the rows of `protocol_weeks`."""
    return gold.table(_WEEKS)


def week(gold: Gold, start: date) -> Week | None:
    """The measuring week that starts on this day; None when none does."""
    import pandas as pd

    found = [row for row in weeks(gold).to_dict("records") if row["start"].date() == start]
    if not found:
        return None
    facts: dict[str, Any] = {str(name): None if pd.isna(value) else value for name, value in found[0].items()}
    days = {name: facts[name].date() for name in ("start", "end")}
    events = gold.table(_MEDICATION, {"last": days["end"]})
    medication = [(at.date(), str(label)) for at, label in events.itertuples(index=False)]
    return Week(facts | days, readings(gold, days["start"], days["end"], PRESETS[facts["protocol"]]), medication, gold.synthetic)


def readings(gold: Gold, first: date, last: date, rules: Preset) -> pd.DataFrame:
    """Readings of these days: date, local_start, systolic, diastolic, pulse, part, source, left_out (why; "" when averaged)."""
    rows = gold.table(_READINGS, {"first": first, "last": last})
    begins = first + timedelta(days=rules.discard_days)
    rows["left_out"] = [
        _left_out(at.date(), part, place, size, begins, rules)
        for at, part, place, size in zip(rows["date"], rows["part"], rows["place"], rows["size"], strict=True)
    ]
    return rows.drop(columns=["place", "size"])


def _left_out(day: date, part: Any, place: int, size: int, begins: date, rules: Preset) -> str:
    if day < begins:
        return "first day" if rules.discard_days == 1 else f"first {rules.discard_days} days"
    if part not in ("morning", "evening"):
        return "neither morning nor evening"
    return "first of a sitting" if rules.drop_first_of and size >= rules.drop_first_of and place == 1 else ""


def rules_in_words(rules: Preset) -> str:
    """What the protocol asks for, in a few sentences."""
    out = {0: "No day is left out; but", 1: "The first day is left out; so are"}
    left_out = out.get(rules.discard_days, f"The first {rules.discard_days} days are left out; so are")
    rest = "are." if not rules.discard_days else "of the day."
    said = [
        f"Measure for {rules.days} days, in the morning and in the evening, twice each.",
        f"{left_out} readings at other times {rest}",
    ]
    if rules.drop_first_of:
        said.append(f"Of {rules.drop_first_of} or more readings in one sitting the first is left out.")
    said.append(
        f"The average of the rest is valid from {rules.least_readings} readings on, with a morning and an evening reading "
        f"on at least {rules.least_days} days."
    )
    return " ".join(said)


def verdict(told: Week) -> str:
    """Whether the average is valid and what it rests on, a sentence or two."""
    facts = told.facts
    rests = f"{count(facts['n_readings'], 'reading')} on {count(facts['n_days'], 'day')}, "
    rests += f"{facts['n_full_days']} of them with morning and evening"
    left = f"; {count(facts['n_discarded'], 'reading')} left out" if facts["n_discarded"] else ""
    if facts["valid"]:
        return f"Valid by this protocol: {rests}{left}."
    return f"Not valid by this protocol: {REASONS[facts['reason']]} ({rests}{left})."


def category(told: Week) -> str:
    """The category of the average with its bounds; of an invalid week that there is none."""
    if told.facts["category"] is None:
        return "No category: the week is not valid."
    chain = steps(told.rules.scheme)
    step = next(step for step in chain if step.name == told.facts["category"])
    return f"{theme.look(step.name).label} by {SCHEMES[told.rules.scheme]}, {bounds(step)}."


def bounds(step: Grade) -> str:
    """`from 135 systolic or 85 diastolic`; of the lowest category: below all others."""
    told = [f"{half_up(at)} {name}" for name, at in (("systolic", step.systolic), ("diastolic", step.diastolic)) if at]
    return f"{'above' if step.above else 'from'} {' or '.join(told)} mmHg" if told else "below all other categories"


def rows(told: Week) -> pd.DataFrame:
    """The week's readings for a spreadsheet."""
    import pandas as pd

    return pd.DataFrame(
        {
            "Date": told.readings["date"].dt.strftime("%Y-%m-%d"),
            "Time": told.readings["local_start"].dt.strftime("%H:%M"),
            "Systolic (mmHg)": told.readings["systolic"],
            "Diastolic (mmHg)": told.readings["diastolic"],
            "Pulse (beats/min)": told.readings["pulse"],
            "Part of the day": told.readings["part"].fillna(""),
            "Averaged": ["no" if why else "yes" for why in told.readings["left_out"]],
            "Left out because": told.readings["left_out"],
            "Source": told.readings["source"],
        }
    )


def title(facts: Mapping[str, Any]) -> str:
    """`1 to 7 March 2025`."""
    return through(facts["start"], facts["end"])
