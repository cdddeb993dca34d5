"""Records by the ten thousand come to the same as one by one: the same readings, the same rejections, the same fates, byte for byte."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.tables import RECORDS, write_table
from config.timezones import PersonZones
from processing.normalizers import apple_health, apple_health_columns, bulk, fitbit, fitbit_columns
from processing.normalizers.apple_health_columns import converted_many
from processing.normalizers.apple_health_units import QUANTITIES, converted
from processing.normalizers.hashes import hashes
from processing.normalizers.newest import read_newest
from processing.normalizers.sorting import Sorter
from tests.stage_bench import StageBench

AFRESH = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WARSAW: dict[str, Any] = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "own_users": []}
TRIP = [{"from": "2024-03-30", "to": "2024-03-31", "timezone": "Asia/Tokyo"}]
WHOLE = np.empty(0, np.int64)
NOTHING = bulk.Told([], WHOLE, WHOLE, np.empty(0), WHOLE, {})
Found = tuple[str, datetime | None, str, str, int]
"""raw_id, time, text, status, revision."""


def table(path: Path, rows: list[Found]) -> Path:
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in RECORDS.names}
    given = zip(*rows, strict=True) if rows else [()] * 5
    columns.update({n: list(c) for n, c in zip(("raw_id", "source_timestamp", "raw", "status", "revision"), given, strict=True)})
    columns |= {"raw_artifact": ["export.zip"] * len(rows), "raw_sha256": ["0"] * len(rows)}
    columns |= {"position": [f"line {n}" for n in range(len(rows))], "record_index": list(range(len(rows)))}
    with path.open("wb") as sink:
        write_table(sink, pa.table(columns, schema=RECORDS), RECORDS)
    return path


def both_roads(tmp_path: Path, source: Any, columns: Any, rows: list[Found], **more: Any) -> dict[str, Any]:
    """What columns and what rows alone make of these records, which must be the same; gives the fates."""
    bench = StageBench(tmp_path / str(datetime.now(UTC).timestamp()))
    bench.folder.mkdir()
    path = table(bench.folder / "records", rows)
    found = [bench.run(source.normalize, {"records": path}, {**WARSAW, **more})]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns.Columns, "told", lambda *_: NOTHING)
        found.append(bench.run(source.normalize, {"records": path}, {**WARSAW, **more}))
    (one, first), (other, second) = found
    assert one == other
    for role in ("readings", "rejected"):
        assert (first / role).read_bytes() == (second / role).read_bytes(), pq.read_table(first / role).to_pylist()
    return dict(one["balance"]["fates"])


def usually(rng: random.Random, usual: Any, *odd: Any) -> Any:
    return rng.choice(odd) if rng.random() < 0.15 else usual


def number(rng: random.Random) -> str:
    found = rng.choice([str(rng.randrange(1, 300)), str(rng.random()), str(rng.random() * 1e4)])
    odd = ("0", "-0.0", "-3", "nan", "inf", "1e999", "1e15", "1_0", " 5", "", "x", "0.0000005", "97", "1.")
    return str(usually(rng, found, *odd))


def told(rng: random.Random, raw_id: str, at: datetime, raw: dict[str, Any]) -> Found:
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    status = usually(rng, "valid", "warning", "invalid")
    return raw_id, usually(rng, at.replace(tzinfo=UTC), None), text, status, rng.randrange(3)


def apple_record(rng: random.Random) -> Found:
    start = datetime(2024, 3, 29) + timedelta(seconds=rng.randrange(3 * 86_400))
    end = start + timedelta(seconds=usually(rng, rng.choice([0, 60, 600]), -5, 86_400 * 3))
    offset = usually(rng, "+0100", "-0730", "+0000", "+1400")
    ends = usually(rng, f"{end} {offset}", f"{end} +0200", f"{end}\u00a0{offset}", "2024-03-31 9:00:00 PM +0100")
    kind = usually(rng, rng.choice(sorted(QUANTITIES)), "StandTime")
    units = QUANTITIES.get(kind, QUANTITIES["StepCount"]).units
    unit = usually(rng, rng.choice(sorted(units)), "furlong", None)
    source = usually(rng, "Apple Watch", "zażółć \U0001f600", 'quote " \\ back', ',"creationDate":"', "")
    raw: dict[str, Any] = {"type": f"HKQuantityTypeIdentifier{kind}", "sourceName": source}
    raw |= {} if unit is None else {"unit": unit}
    raw |= {"table": "Record", "creationDate": f"{start} {offset}", "startDate": f"{start} {offset}", "endDate": ends}
    raw |= {"value": number(rng)}
    odd: tuple[dict[str, str], ...] = (
        {},
        {"HKWasUserEntered": "1"},
        {"HKTimeZone": "Asia/Tokyo"},
        {"HKTimeZone": "Nowhere"},
        {"value": '"1"'},
    )
    metadata = usually(rng, None, *odd)
    return told(rng, f"{kind}/{rng.randrange(40)}", start, raw if metadata is None else raw | {"metadata": metadata})


@AFRESH
@given(seed=st.integers(0, 2**32))
def test_apple_quantities_come_to_the_same_on_both_roads(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rows = [apple_record(rng) for _ in range(rng.randrange(150))]
    both_roads(tmp_path, apple_health, apple_health_columns, rows, timezone_overrides=TRIP)


def fitbit_record(rng: random.Random) -> Found:
    name = rng.choice(["json.heart_rate", "csv.heart_rate", "json.steps", "csv.minute_spo2", "csv.distance", "json.weight"])
    stamp = datetime(2024, 3, 29) + timedelta(seconds=rng.randrange(3 * 86_400))
    written = stamp.strftime("%m/%d/%y %H:%M:%S") if name.startswith("json") else f"{stamp.isoformat()}Z"
    at = usually(rng, written, '12:00 \\ "today"', "", "9" * 50)
    raw: dict[str, Any] = {"table": name, "dateTime" if name.startswith("json") else "timestamp": at}
    if name == "json.heart_rate":
        sure = {"bpm": rng.randrange(30, 200), "confidence": rng.randrange(4)}
        raw |= {"value": usually(rng, sure, {"bpm": 0}, {"bpm": "x", "confidence": 1}, 5)}
    elif name == "json.weight":
        raw |= {"fat": 20.5, "weight": 80}
    else:
        fields = {"csv.heart_rate": "beats per minute", "csv.distance": "distance"}
        raw |= {fields.get(name, "value"): usually(rng, number(rng), "50")}
        raw |= rng.choice([{}, {"data source": "Charge 6"}, {"data source": "Health Connect"}, {"table_field": "x"}])
    return told(rng, f"{name}/{at}/{raw.get('data source', '')}", stamp, raw)


@AFRESH
@given(seed=st.integers(0, 2**32))
def test_fitbit_series_come_to_the_same_on_both_roads(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rows = [fitbit_record(rng) for _ in range(rng.randrange(150))]
    both_roads(tmp_path, fitbit, fitbit_columns, rows, timezone_overrides=TRIP)


HALVES = st.integers(-999, 999).map(lambda n: n / 2e6)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["%", "kJ", "degF", "K", "lb", "count"]), st.lists(st.floats(-1e14, 1e14) | HALVES))
def test_units_are_converted_to_the_last_bit_as_one_by_one(unit: str, values: list[float]) -> None:
    units = next(q.units for q in QUANTITIES.values() if unit in q.units)
    found = converted_many(np.array(values, np.float64), unit, units[unit])
    assert found.tolist() == [converted(value, unit, units) for value in values]


@given(st.lists(st.text(max_size=20) | st.sampled_from(["x" * 600, "x" * 601]), max_size=30), st.integers(0, 5))
def test_equal_texts_have_equal_hashes_wherever_they_stand(texts: list[str], skipped: int) -> None:
    found = hashes(pa.array(["lead", *texts, *texts], pa.string()).slice(1)).tolist()
    assert found[: len(texts)] == found[len(texts) :]
    assert len(set(found)) == len(set(texts))
    assert hashes(pa.array(texts, pa.string()).slice(skipped)).tolist() == found[skipped : len(texts)]


def test_readings_that_waited_on_disk_are_sorted_like_those_that_did_not() -> None:
    rng, rows = np.random.default_rng(1), 400_000
    cells = {
        "metric": pa.array(rng.integers(0, 3, rows), pa.int8()),
        "value": pa.array(rng.random(rows)),
        "start": pa.array(rng.integers(0, 60_000, rows) * 1_000_000_000),
        "end": pa.array(rng.integers(0, 2, rows)),
        "raw_id": pa.array(rng.integers(0, 9, rows)).cast(pa.string()),
        "device": pa.array(rng.integers(0, 3, rows), pa.int32()),
        "scope": pa.array(rng.integers(0, 4, rows), pa.int8()),
        "utc_offset": pa.array(np.zeros(rows, np.int32)),
    }
    whole, rank = pa.table(cells), pa.array([2, 0, 1], pa.int32())
    sorter = Sorter(whole.schema)
    for at in range(0, rows, 50_000):
        sorter.add(whole.slice(at, 50_000))
    found = pa.concat_tables(sorter.take(rank))
    keys = [(name, "ascending") for name in ("metric", "start", "end", "raw_id", "device", "scope", "value", "utc_offset")]
    ranked = whole.set_column(whole.schema.get_field_index("device"), "device", rank.take(whole["device"].combine_chunks()))
    assert found.equals(whole.take(pc.sort_indices(ranked, sort_keys=keys)))


def test_of_three_revisions_the_newest_counts_and_a_month_left_out_is_not_read(tmp_path: Path) -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    rows: list[Found] = [
        ("a", at, "1", "valid", 2),
        ("a", at, "2", "valid", 1),
        ("a", at, "3", "valid", 3),
        ("b", at, "4", "invalid", 1),
    ]
    path = str(table(tmp_path / "records", rows))
    assert [standing for _, standing in read_newest(path)] == ["superseded", "superseded", "newest", "invalid"]


def test_the_person_travelled_and_the_clocks_changed_at_many_instants_as_at_each() -> None:
    zones = PersonZones("Europe/Warsaw", TRIP)
    stamps = np.arange(1_711_000_000, 1_712_500_000, 601, dtype=np.int64) * 1_000_000
    assert bulk.offsets(zones, stamps).tolist() == [zones.offset(stamp / 1_000_000) for stamp in stamps.tolist()]
    assert bulk.offsets(zones, stamps[:0]).tolist() == []
