"""A re-export costs the months that have changed, and its readings are byte for byte those made from nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.stage import File, Report
from config.tables import READINGS
from ingestion.apple_health import records as apple
from ingestion.fitbit import records as fitbit
from ingestion.gadgetbridge import records as gadgetbridge
from processing.normalizers import apple_health, sorting
from processing.normalizers import fitbit as fitbit_readings
from processing.normalizers import gadgetbridge as gadgetbridge_readings
from processing.normalizers.building import Normalized
from tests.apple_health_exports import SUMMER, WARSAW, WINTER, export, heart, pressure, record, sleep
from tests.gadgetbridge_exports import BAND, database, minute
from tests.stage_bench import BenchOutputs, StageBench, as_file
from tests.vendor_bench import VendorBench

SETTINGS = {**WARSAW, "own_users": {}}


class Bench:
    """One source over several exports: each is made from nothing and with the last one's outputs at hand, which must not show."""

    def __init__(self, folder: Path, records: Callable[..., Report], normalize: Callable[..., Report]) -> None:
        self._bench = StageBench(folder)
        self._folder, self._records, self._normalize = folder, records, normalize
        self._last: Path | None = None
        self._exports = 0

    def months(self, *exports: str) -> tuple[int, int]:
        """How many months were made and how many kept of these exports, read together."""
        self._exports += 1
        files = [self._folder / f"export{self._exports}.{number}" for number in range(len(exports))]
        for path, content in zip(files, exports, strict=True):
            path.write_text(content)
        return self.of_files([as_file(path) for path in files])

    def of_files(self, files: list[File]) -> tuple[int, int]:
        """The same of files as they are."""
        _, read = self._bench.run(self._records, {"raw": files}, SETTINGS)
        inputs: dict[str, Any] = {"records": read / "records", "months": read / "months"}
        anew, nothing = self._bench.run(self._normalize, inputs, SETTINGS)
        again, made = self._bench.run(self._normalize, inputs, SETTINGS, before=self._last)
        for role in ("readings", "rejected", "months"):
            assert (made / role).read_bytes() == (nothing / role).read_bytes(), role
        assert {**anew, "months": None} == {**again, "months": None}
        assert anew["months"]["kept"] == 0
        self._last = made
        return again["months"]["made"], again["months"]["kept"]


class Event(NamedTuple):
    """Something measured in an hour of 2024."""

    kind: str
    month: int
    day: int
    hour: int
    value: int


def told(event: Event, offset: str, device: str) -> str:
    """An event as an export tells it."""
    kind, month, day, hour, value = event
    start, end = f"2024-{month:02}-{day:02} {hour:02}:10", f"2024-{month:02}-{day:02} {hour:02}:40"
    more: Any = {"offset": offset, "device": f"<<HKDevice: {device}>, name:Watch>"}
    match kind:
        case "heart":
            return heart(50 + value, start, metadata={"HKTimeZone": "Asia/Tokyo"} if value == 7 else None, **more)
        case "steps":
            return record("StepCount", str(value), start, end, unit="count", **more)
        case "unread":
            return record("BasalEnergyBurned", str(value), start, end, unit="kcal", **more)
        case "no unit":
            return record("HeartRate", str(value), start, unit="parsec", **more)
        case "sleep":
            return sleep("AsleepCore", start, end, **more)
        case _:
            return pressure(str(110 + value), "70", start, **more)


def of(events: list[Event], exported: int = 0) -> str:
    """The whole export, the `exported`th that was made."""
    offset, device = (WINTER, "0x2") if exported % 2 else (SUMMER, "0x1")
    elements = [told(event, offset, device) for event in sorted(set(events))]
    return export(*elements, exported=f"2025-01-{1 + exported:02} 08:00", offset=offset)


def usual(seed: int = 1) -> list[Event]:
    """Four months of everything."""
    chance = random.Random(seed)
    kinds = ["heart"] * 12 + ["steps"] * 6 + ["unread"] * 4 + ["sleep"] * 2 + ["pressure"]
    return [
        Event(kind, month, chance.randint(1, 27), chance.randrange(24), chance.randrange(20))
        for month in (3, 4, 5, 6)
        for kind in kinds
    ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, apple.records, apple_health.normalize)


def test_a_day_more_costs_its_month_and_the_same_again_in_other_words_costs_nothing(bench: Bench) -> None:
    events = usual()
    assert bench.months(of(events)) == (4, 0)
    assert bench.months(of(events, 1)) == (0, 4)
    day = [Event("heart", 6, 28, hour, 9) for hour in range(24)]
    assert bench.months(of([*events, *day], 2)) == (1, 3)
    assert bench.months(of([*events, *day, Event("heart", 7, 1, 9, 9)], 3)) == (1, 4)
    moved = [Event("heart", 1, 1, 0, 3), *events]  # all others stand a line further down
    assert bench.months(of(moved, 4)) == (2, 3)  # and what came last is gone again


def test_a_value_that_changes_and_a_record_that_is_gone_cost_their_month(bench: Bench) -> None:
    events = usual()
    bench.months(of(events))
    heart_in_april = next(e for e in events if e.kind == "heart" and e.month == 4)
    changed = [e._replace(value=e.value + 21) if e is heart_in_april else e for e in events]
    assert bench.months(of(changed, 1)) == (1, 3)
    assert bench.months(of([e for e in changed if e.value < 21], 2)) == (1, 3)
    night_in_may = next(e for e in events if e.kind == "sleep" and e.month == 5)
    assert bench.months(of([e for e in changed if e.value < 21 and e is not night_in_may], 3)) == (1, 3)


def test_a_month_with_a_refused_record_is_made_again_each_time_for_its_place_may_move(bench: Bench) -> None:
    events = [*usual(), Event("no unit", 4, 1, 1, 1)]
    assert bench.months(of(events)) == (4, 0)
    assert bench.months(of([Event("heart", 1, 1, 0, 3), *events], 1)) == (2, 3)
    assert bench.months(of([Event("heart", 1, 1, 0, 3), *events], 2)) == (1, 4)


def test_a_month_with_a_superseded_record_is_made_again_each_time_for_another_revision_may_count(bench: Bench) -> None:
    first, second = Event("heart", 4, 1, 1, 1), Event("heart", 4, 1, 1, 2)
    assert bench.months(of([first, *usual()], 0), of([second, *usual()], 1)) == (4, 0)
    assert bench.months(of([first, *usual()], 4), of([second, *usual()], 1)) == (1, 3)  # now the other one is the newer


def test_a_month_of_fitbits_is_made_again_when_another_telling_of_it_is_believed(tmp_path: Path) -> None:
    export = VendorBench("fitbit", tmp_path)
    bench = Bench(tmp_path / "bench", fitbit.records, fitbit_readings.normalize)
    days = [f"2026-{month:02}-{day:02}" for month in (1, 2, 3) for day in (10, 20, 31) if (month, day) != (2, 31)]
    tree: dict[str, Any] = {f"heart_rate-{day}.json": fitbit_beats(day) for day in days}
    assert bench.of_files(export.tree(tree)) == (3, 0)
    tree["steps-2026-01-10.json"] = [{"dateTime": "01/10/26 09:00:00", "value": "17"}]
    assert bench.of_files(export.tree(tree)) == (1, 2)
    tree["heart_rate_2026-02-10.csv"] = "timestamp,beats per minute\n2026-02-10T08:00:02Z,71.0\n"
    assert bench.of_files(export.tree(tree)) == (1, 2)
    tree["heart_rate_2026-02-01.csv"] = "timestamp,beats per minute\n2026-01-31T23:30:02Z,71.0\n"  # February where the person is
    assert bench.of_files(export.tree(tree)) == (2, 1)
    assert bench.of_files(export.tree(dict(reversed(tree.items())))) == (0, 3)


def fitbit_beats(day: str) -> list[dict[str, Any]]:
    printed = f"{day[5:7]}/{day[8:]}/{day[2:4]}"
    return [{"dateTime": f"{printed} 08:{n:02}:00", "value": {"bpm": 60 + n, "confidence": n % 3}} for n in range(20)]


def test_gadgetbridges_minutes_make_the_same_nights_across_a_month_taken_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, gadgetbridge.records, gadgetbridge_readings.normalize)
    made = iter(range(99))

    def months(minutes: list[dict[str, Any]], name: str = "Band", **more: list[dict[str, Any]]) -> tuple[int, int]:
        folder = tmp_path / f"export{next(made)}"
        folder.mkdir()
        tables = {EXTENDED: minutes, "HUAMI_SPO2_SAMPLE": [{"TIMESTAMP": NIGHT * 1000, "TYPE_NUM": 1, "SPO2": 96}], **more}
        return bench.of_files([as_file(database(folder / "Gadgetbridge.db", tables, devices=[{**BAND, "ALIAS": name}]))])

    night = [minute(NIGHT + 60 * n, 120, 255 if n % 3 else 58, DEEP_SLEEP=170 * (n % 50 < 20), REM_SLEEP=0) for n in range(400)]
    day = [minute(NIGHT + 60 * n, 1, 70 + n % 9, n % 5) for n in range(-900, -100)]  # from March into April the person sleeps
    assert months(day + night) == (2, 0)
    assert months(day + night, MI_BAND_ACTIVITY_SAMPLE=[minute(NIGHT - 86_400 * 40, 1, 60)]) == (1, 2)
    assert months(day + night + [minute(NIGHT + 86_400 * 3, 1, 66, 4)]) == (1, 1)
    assert months([*day, *night[:200], *(m | {"RAW_KIND": 115} for m in night[200:])]) == (1, 1)
    assert months([m for m in day + night if m["TIMESTAMP"] != NIGHT + 60 * 30]) == (
        2,
        0,
    )  # a minute of March, and April as it was first
    assert months(day + night[100:], name="Wrist") == (2, 0)  # readings go by the device's name
    assert months(day[300:] + night[100:], name="Wrist") == (1, 1)


EXTENDED = "HUAMI_EXTENDED_ACTIVITY_SAMPLE"
NIGHT = int(datetime(2025, 3, 31, 22, tzinfo=UTC).timestamp())


def test_readings_taken_over_in_other_pieces_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "_MOST", 4_000)  # as millions would be, they are sorted on disk and come back in pieces
    n, minute_ = 30_000, 60_000_000
    starts = pa.array(np.arange(n) * minute_, READINGS.field("start").type)
    text = {"metric": "steps", "unit": "{steps}", "scope": "instant", "device": "x", "source": "demo"}
    columns = {name: pa.repeat(pa.scalar(word), n) for name, word in text.items()}
    columns |= {
        "value": pa.array(np.arange(n, dtype=float)),
        "start": starts,
        "end": starts,
        "local_date": starts.cast(pa.date32()),
    }
    columns |= {"utc_offset": pa.array(np.zeros(n, np.int32)), "flags": pa.array([[]] * n, READINGS.field("flags").type)}
    columns["raw_id"] = pa.array([f"{number:0120}/{number * 7919 % 10_007}" for number in range(n)])
    table = pa.table(columns).select(READINGS.names).cast(READINGS)
    made = []
    for number, pieces in enumerate(([n], [1_000] * 30, [777, 12_345, 5, 16_873])):
        out, at = Normalized("demo"), 0
        for piece in pieces:
            out.take_over(table.slice(at, piece))
            at += piece
        (tmp_path / str(number)).mkdir()
        out.write(BenchOutputs(tmp_path / str(number)))
        made.append((tmp_path / str(number) / "readings").read_bytes())
    assert pq.read_table(tmp_path / "0/readings").equals(table)
    assert made[0] == made[1] == made[2]


EVENTS = st.builds(
    Event,
    st.sampled_from(["heart", "heart", "steps", "unread", "no unit", "sleep", "pressure"]),
    st.integers(1, 3),
    st.sampled_from([1, 28]),
    st.integers(0, 3),
    st.sampled_from([0, 5, 7]),
)


@settings(max_examples=12)
@given(st.lists(st.lists(EVENTS, max_size=8), min_size=2, max_size=4))
def test_whatever_exports_follow_each_other_the_readings_are_those_made_from_nothing(
    tmp_path_factory: Any, exports: list[list[Event]]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("kept"), apple.records, apple_health.normalize)
    for number, events in enumerate(exports):
        bench.months(of(events, number))
        bench.months(of(events, number), of(exports[0], number + 9))
