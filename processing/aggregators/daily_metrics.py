"""The merge: validated readings of all kinds become one row per local day, and every reading learns what became of it.

A day has a row when it has any validated reading whose day is known; days are never invented. Rules: `docs/domain.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from config.daily import EXPECTED
from config.metrics import KINDS, METRICS
from config.stage import Balance, Finding, Inputs, Outputs, Report
from config.tables import TableWriter
from config.timezones import PersonZones
from processing.aggregators import activity, blood_pressure, body, heart_rate, sleep
from processing.aggregators.choice import CHOICES, Priority, frame_of
from processing.aggregators.columns import BY_SOURCE, COLUMNS, GROUPS, SCHEMA
from processing.aggregators.events import marks
from processing.aggregators.fates import ACCEPTED, CLOCK_RESET, FATES
from processing.aggregators.home_protocol import PROTOCOL, protocol_weeks
from processing.aggregators.spreadsheet import write_csv
from processing.aggregators.windows import windows
from processing.readings import Array, codes, has_flag, is_word, load, numbers, write

_EPOCH = date(1970, 1, 1)
_SLICE = 32_768


class Chosen(NamedTuple):
    """The readings of every kind, each with its fate."""

    tables: dict[str, pa.Table]
    frames: dict[str, pd.DataFrame]
    nights: list[sleep.Night]
    worn: activity.Worn


def merge(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """The daily table as CSV and Parquet, the day as each source alone tells it, the measuring weeks of the home protocol, and the
    choices behind every cell."""
    files = {kind: inputs.many(kind) for kind in KINDS}
    merged = _Merged()
    with outputs.open("choices") as sink, TableWriter(sink, CHOICES) as choices:
        for tables in windows(files, {kind: _metrics(kind) for kind in KINDS}):
            for part in merged.take(choose(tables, settings), settings):
                choices.write(part)
    daily = pa.concat_tables(merged.days)
    weeks = _weeks(load(files["blood_pressure"], _metrics("blood_pressure")), settings)
    rows = {}
    with outputs.open("csv") as sink:
        rows["csv"] = write_csv(sink, daily)
    with outputs.open("parquet") as sink:
        rows["parquet"] = write(sink, daily, SCHEMA)
    with outputs.open("protocol") as sink:
        rows["protocol"] = write(sink, weeks, PROTOCOL)
    with outputs.open("by_source") as sink:
        rows["by_source"] = write(sink, merged.by_source(), BY_SOURCE)
    rows["choices"] = choices.rows
    return {"rows": rows, "balance": merged.balance(), "findings": _events_without_day(settings, daily)}


class _Merged:
    """What the days seen so far come to."""

    def __init__(self) -> None:
        self.days: list[pa.Table] = []
        """Rows of the daily table, by day."""
        self._alone: dict[str, list[pa.Table]] = {}
        self._came = 0
        self._fates = dict.fromkeys(FATES, 0)

    def take(self, chosen: Chosen, settings: Mapping[str, Any]) -> Iterator[pa.Table]:
        """Some more days; gives the choices behind them, a slice at a time."""
        parts = _parts(chosen, settings)
        self.days.append(_daily_table(chosen, parts, settings))
        for source in _sources_of(chosen):
            alone = _alone(chosen, source, settings)
            table = _daily_table(alone, {**parts, **_parts(alone, settings, but=_undivided(chosen, source))}, settings)
            self._alone.setdefault(source, []).append(table)
        self._came += sum(table.num_rows for table in chosen.tables.values())
        for frame in chosen.frames.values():
            for fate, count in frame["fate"].value_counts().items():
                self._fates[str(fate)] += int(count)
        choices = _choices(chosen)
        for offset in range(0, choices.num_rows, _SLICE):
            yield choices.slice(offset, _SLICE)

    def by_source(self) -> pa.Table:
        """The day as each source alone tells it, by source and day."""
        told = [
            table.add_column(0, BY_SOURCE.field("source"), pa.repeat(source, table.num_rows))
            for source, tables in sorted(self._alone.items())
            for table in tables
        ]
        return pa.concat_tables([BY_SOURCE.empty_table(), *told])

    def balance(self) -> Balance:
        """One fate per reading."""
        fates = {fate: n for fate, n in self._fates.items() if n or fate == ACCEPTED}
        return {"unit": "reading", "came": self._came, "fates": fates}


def choose(tables: Mapping[str, pa.Table], settings: Mapping[str, Any], worn: activity.Worn | None = None) -> Chosen:
    """The fate of every reading. A day's fates follow from that day's readings alone, so any set of whole days may be asked.

    `worn`: the signs of wear, where these tables are not all that could show one.
    """
    priority = Priority(settings["source_priority"])
    frames = {kind: frame_of(table) for kind, table in tables.items()}
    hours = settings["morning_hours"], settings["evening_hours"]
    blood_pressure.choose(tables["blood_pressure"], frames["blood_pressure"], priority, *hours)
    heart_rate.choose(frames["heart_rate"], priority)
    nights = sleep.choose(tables["sleep"], frames["sleep"], priority)
    if worn is None:
        worn = activity.worn(*(frames[kind] for kind in ("heart_rate", "sleep", "activity", "body")))
    activity.choose(frames["activity"], priority, worn)
    body.choose(frames["body"], priority)
    for kind, frame in frames.items():
        frame.loc[has_flag(tables[kind], "clock_reset"), "fate"] = CLOCK_RESET
    return Chosen(dict(tables), frames, nights, worn)


def _parts(chosen: Chosen, settings: Mapping[str, Any], but: Collection[str] = ()) -> dict[str, pd.DataFrame]:
    """The daily columns that each kind of reading gives, by day; without the kinds in `but`."""
    frames = chosen.frames
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    makers: dict[str, Callable[[], pd.DataFrame]] = {
        "blood_pressure": lambda: blood_pressure.daily(frames["blood_pressure"], settings["bp_scheme"]),
        "heart_rate": lambda: heart_rate.daily(frames["heart_rate"]),
        "sleep": lambda: sleep.daily(chosen.nights, zones),
        "activity": lambda: activity.daily(frames["activity"]),
        "body": lambda: body.daily(frames["body"]),
    }
    return {kind: make() for kind, make in makers.items() if kind not in but}


def _sources_of(chosen: Chosen) -> list[str]:
    return sorted({source for frame in chosen.frames.values() for source in frame["source"].cat.categories})


def _undivided(chosen: Chosen, source: str) -> set[str]:
    """The kinds that nobody but this source told: alone it tells them as all together do."""
    return {kind for kind, frame in chosen.frames.items() if list(frame["source"].cat.categories) == [source]}


def _alone(chosen: Chosen, source: str, settings: Mapping[str, Any]) -> Chosen:
    """The readings of one source, chosen as if there were no other. Only where others spoke too is chosen again."""
    same = _undivided(chosen, source)
    tables = {
        kind: table.schema.empty_table() if kind in same else table.filter(pa.array(is_word(table, "source", source)))
        for kind, table in chosen.tables.items()
    }
    again = choose(tables, settings, chosen.worn)
    kept = {kind: chosen.frames[kind] for kind in same}
    nights = chosen.nights if "sleep" in same else again.nights
    return again._replace(frames={**again.frames, **kept}, nights=nights)


def _weeks(table: pa.Table, settings: Mapping[str, Any]) -> pa.Table:
    """The measuring weeks of all blood pressures; a week knows no borders, and there are few of them."""
    none = table.schema.empty_table()
    chosen = choose({kind: table if kind == "blood_pressure" else none for kind in KINDS}, settings)
    return protocol_weeks(blood_pressure.measurements(chosen.frames["blood_pressure"]), settings["home_bp_protocol"])


def _daily_table(chosen: Chosen, parts: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]) -> pa.Table:
    frames = chosen.frames
    known = (frame.loc[frame["fate"] != CLOCK_RESET, "day"].unique() for frame in frames.values())
    days = pd.Index(sorted({int(day) for of_kind in known for day in of_kind}), name="day", dtype="int64")
    table = pd.concat([part.reindex(days) for part in parts.values()], axis=1)
    table["date"] = days
    sources = _sources(frames)
    table["sources"] = [sources.get(day, "") for day in days]
    table["missing_data_flag"] = table[list(EXPECTED)].isna().any(axis=1)
    labels = _events(settings)
    table["event"] = ["; ".join(labels[day]) if day in labels else None for day in days]
    arrays = [_array(table[column.name], column.type) for column in COLUMNS]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _array(values: pd.Series[Any], kind: pa.DataType) -> pa.Array:
    """A column as it is written: real numbers to two decimals, missing ones null."""
    if pa.types.is_floating(kind):
        return pa.array(values.to_numpy(dtype=float).round(2), kind, from_pandas=True)
    if pa.types.is_date(kind):
        return pa.array(values.to_numpy(dtype=np.int32)).cast(kind)
    return pa.array([None if pd.isna(value) else value for value in values.astype(object)], kind)


def _sources(frames: Mapping[str, pd.DataFrame]) -> dict[int, str]:
    """Day → `group=source/scope+…;…` of its accepted readings, in the order of GROUPS."""
    found: dict[int, dict[str, set[str]]] = {}
    for frame in frames.values():
        used = frame.loc[frame["fate"] == ACCEPTED, ["day", "metric", "source", "scope"]].drop_duplicates()
        for day, metric, source, scope in used.itertuples(index=False, name=None):
            found.setdefault(int(day), {}).setdefault(metric, set()).add(f"{source}/{scope}")
    return {day: _source_text(by_metric) for day, by_metric in found.items()}


def _source_text(by_metric: Mapping[str, set[str]]) -> str:
    groups = {group: sorted(set().union(*(by_metric.get(m, set()) for m in metrics))) for group, metrics in GROUPS.items()}
    return ";".join(f"{group}={'+'.join(sources)}" for group, sources in groups.items() if sources)


def _events(settings: Mapping[str, Any]) -> dict[int, list[str]]:
    """Day → the labels of its events, each once."""
    labels: dict[int, list[str]] = {}
    for mark in marks(settings):
        labels.setdefault((date.fromisoformat(mark.day) - _EPOCH) // timedelta(days=1), []).append(mark.label)
    return {day: list(dict.fromkeys(at)) for day, at in labels.items()}


def _events_without_day(settings: Mapping[str, Any], daily: pa.Table) -> list[Finding]:
    """A finding when an event lies on a day that has no row."""
    days = set(daily["date"].cast(pa.int32()).to_pylist())
    dated = [(date.fromisoformat(mark.day) - _EPOCH) // timedelta(days=1) for mark in marks(settings)]
    outside = sum(day not in days for day in dated)
    message = "Events lie on days without any reading, so the daily table does not show them."
    return [{"code": "event_without_day", "message": message, "count": outside}] if outside else []


def _choices(chosen: Chosen) -> pa.Table:
    """All readings with fate and part, by day and then in the readings' order."""
    parts = []
    for kind in KINDS:
        table, frame = chosen.tables[kind], chosen.frames[kind]
        for name in ("fate", "part"):
            words = frame[name].cat
            table = table.append_column(name, _words(words.codes.to_numpy(), list(words.categories)))
        parts.append(table.select(CHOICES.names))
    whole = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    order = np.lexsort((np.arange(whole.num_rows), codes(whole, "metric")[0], numbers(whole, "local_date")))
    return whole.take(pa.array(order))


def _words(found: Array, words: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(found, pa.int32(), mask=found < 0), pa.array(words, pa.string()))


def _metrics(kind: str) -> set[str]:
    return {name for name, metric in METRICS.items() if metric.kind == kind}
