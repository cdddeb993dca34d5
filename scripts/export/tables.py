"""The tables of an export: which there are, and the rows and columns of them that were asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from config.daily import COLUMNS
from config.metrics import KINDS
from config.tables import read_batches
from config.timezones import PersonZones
from processing.normalizers.subjects import metrics_of
from scripts.export import codes
from scripts.export.asked import Asked
from scripts.export.holdings import Holdings
from scripts.export.readings import within

_DAILY = "processed/merged/merged_daily_metrics.parquet"
_PRESSURES = {"systolic", "diastolic", "pulse"}
_OF_A_DAY = ("source", "date")
"""Columns of a daily table that say whose row it is."""


class Table(NamedTuple):
    """A table to write: its name below csv/ or parquet/, what it is, and its rows, a bounded batch at a time."""

    name: str
    what: str
    batches: Iterable[pa.RecordBatch]


def tables(holdings: Holdings, asked: Asked, settings: Mapping[str, Any]) -> Iterator[Table]:
    """Every table that has rows to show, in a fixed order."""
    for name, what, batches in _all(holdings, asked, settings):
        rows = (batch for batch in batches if batch.num_rows)
        first = next(rows, None)
        if first is not None:
            yield Table(name, what, _first_and(first, rows))


def _first_and(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _all(holdings: Holdings, asked: Asked, settings: Mapping[str, Any]) -> Iterator[Table]:
    yield from _daily(holdings, asked)
    choices = holdings.path("processed/merged/choices.parquet")
    what = "Every validated reading, its unit in UCUM and its LOINC code, with what became of it: `fate` is accepted where it counts."
    yield Table("readings", what, map(_coded, _read(choices, _readings(asked))))
    for kind in KINDS:
        path = holdings.path(f"processed/validated/{kind}.parquet")
        what = f"Readings of {kind} a person should know something of: see `flags`."
        yield Table(f"flagged/{kind}", what, _read(path, _flagged(asked)))
        path = holdings.path(f"processed/validated/{kind}.rejected.parquet")
        yield Table(f"rejected_readings/{kind}", f"Readings of {kind} that nobody can believe.", _read(path, _readings(asked)))
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    for source in filter(asked.of, holdings.sources):
        yield from _of_source(holdings, asked, source, zones)


def _daily(holdings: Holdings, asked: Asked) -> Iterator[Table]:
    columns = _columns_of(asked)
    if asked.sources is None:
        yield Table(
            "daily", "One row per local day, all sources put together.", _read(holdings.path(_DAILY), _days(asked), columns)
        )
        if asked.metrics is None or asked.metrics & _PRESSURES:
            path = holdings.path("processed/merged/home_bp_protocol.parquet")
            what = "Home blood pressure by the measuring protocol."
            yield Table("home_bp_protocol", what, _read(path, _days(asked, "start")))
    path = holdings.path("processed/merged/daily_by_source.parquet")
    yield Table("daily_by_source", "One row per local day and source.", _read(path, _days(asked), columns, ("source",)))


def _of_source(holdings: Holdings, asked: Asked, source: str, zones: PersonZones) -> Iterator[Table]:
    own = None if asked.others else holdings.own(source)
    mixed = set() if asked.others else holdings.mixed(source)

    def records(batch: pa.RecordBatch) -> pa.Array:
        if not mixed and not asked.cut:
            return pa.array([True] * batch.num_rows, pa.bool_())
        raws = map(json.loads, batch.column("raw").to_pylist())
        stamps = batch.column("source_timestamp").cast(pa.int64()).to_pylist()
        return pa.array(
            [
                (own is None or own(raw))
                and (asked.metrics is None or bool(metrics_of(source, raw, None) & asked.metrics))
                and (not asked.dated or (at is not None and asked.on(zones.local_date(at / 1_000_000))))
                for raw, at in zip(raws, stamps, strict=True)
            ],
            pa.bool_(),
        )

    def unmixed(batch: pa.RecordBatch) -> pa.Array:
        return pc.invert(pc.is_in(batch.column("raw_artifact"), pa.array(sorted(mixed), pa.string())))

    def refused(batch: pa.RecordBatch) -> pa.Array:
        return pc.and_(unmixed(batch), pc.not_equal(batch.column("reason"), "other_user")) if mixed else unmixed(batch)

    what = "Raw records, as JSON: the rows of the bronze table."
    yield Table(f"records/{source}", what, _read(holdings.path(f"records/{source}.parquet"), records))
    if not asked.cut:
        path = holdings.path(f"records/{source}.dead_letters.parquet")
        yield Table(f"dead_letters/{source}", "What could not become a record.", _read(path, unmixed))
        path = holdings.path(f"processed/normalized/{source}.rejected.parquet")
        yield Table(f"rejected_records/{source}", "Records, or parts of them, that gave no reading.", _read(path, refused))


def _coded(readings: pa.RecordBatch) -> pa.RecordBatch:
    """With the LOINC code of each as its last column; null for a metric that has none."""
    metrics = readings.column("metric").dictionary_encode()

    def said(scope: str) -> pa.Array:
        found = [next(iter(codes.loinc(metric, scope)), None) for metric in metrics.dictionary.to_pylist()]
        return pa.array(found, pa.string()).take(metrics.indices)

    of_day = pc.equal(readings.column("scope"), "day")
    return readings.append_column("loinc", pc.if_else(of_day, said("day"), said("interval")))


def _columns_of(asked: Asked) -> list[str] | None:
    """The columns of a daily table that the metrics asked for have a part in."""
    if asked.metrics is None:
        return None
    return ["date", *(name for name, told in COLUMNS.items() if asked.metrics & set(told.metrics))]


def _readings(asked: Asked) -> Callable[[pa.RecordBatch], pa.Array]:
    def kept(batch: pa.RecordBatch) -> pa.Array:
        mask = pa.array([True] * batch.num_rows, pa.bool_())
        for name, wanted in (("source", asked.sources), ("metric", asked.metrics)):
            if wanted is not None:
                mask = pc.and_(mask, pc.is_in(batch.column(name), pa.array(sorted(wanted), pa.string())))
        return pc.and_(mask, within(batch.column("local_date"), asked)) if asked.dated else mask

    return kept


def _flagged(asked: Asked) -> Callable[[pa.RecordBatch], pa.Array]:
    wanted = _readings(asked)
    return lambda batch: pc.and_(wanted(batch), pc.greater(pc.list_value_length(batch.column("flags")), 0))


def _days(asked: Asked, column: str = "date") -> Callable[[pa.RecordBatch], pa.Array]:
    def kept(batch: pa.RecordBatch) -> pa.Array:
        mask = within(batch.column(column), asked) if asked.dated else pa.array([True] * batch.num_rows, pa.bool_())
        if asked.sources is not None and "source" in batch.schema.names:
            mask = pc.and_(mask, pc.is_in(batch.column("source"), pa.array(sorted(asked.sources), pa.string())))
        return mask

    return kept


def _read(
    path: str,
    wanted: Callable[[pa.RecordBatch], pa.Array],
    columns: Sequence[str] | None = None,
    besides: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """The wanted rows of a file; nothing of one that is not there."""
    for batch in read_batches(path, threads=False) if path else ():
        found = batch.filter(wanted(batch))
        yield found if columns is None else found.select([*besides, *columns])
