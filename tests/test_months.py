"""The months of the records: equal where the records are, in whatever order, place and wording they came; different where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from config.stage import File
from ingestion.apple_health.records import records
from ingestion.records import Parsed, Record, collect
from tests.apple_health_exports import SUMMER, WARSAW, WINTER, export, heart
from tests.stage_bench import StageBench

Months = dict[str | None, tuple[int, bytes]]
SCHEMA = '{"type": "object", "properties": {"v": {"type": "integer"}}}'


def months_of(folder: Path, found: list[Record]) -> Months:
    """The months of these records, in this order."""
    folder.mkdir(exist_ok=True)
    (folder / "schema.json").write_text(SCHEMA)
    (folder / "raw").write_text("")

    def parse(_: File, __: Mapping[str, Any]) -> Iterator[Parsed]:
        yield from found

    def step(inputs: Any, outputs: Any, given: Any) -> Any:
        return collect(inputs, outputs, given, parse, str(folder / "schema.json"))

    return _read(StageBench(folder).run(step, {"raw": folder / "raw"})[1])


def apple_months(folder: Path, text: str) -> Months:
    folder.mkdir()
    (folder / "export.xml").write_text(text)
    return _read(StageBench(folder).run(records, {"raw": folder / "export.xml"}, WARSAW)[1])


def _read(out: Path) -> Months:
    return {row["month"]: (row["rows"], row["digest"]) for row in pq.read_table(out / "months").to_pylist()}


def record(name: str, value: Any = 1, month: int = 1, **more: Any) -> Record:
    return Record(name, datetime(2024, month, 5, 12, tzinfo=UTC), {"v": value}, more.pop("position", "line 1"), **more)


def test_a_month_holds_its_records_and_those_without_a_time_are_one_of_their_own(tmp_path: Path) -> None:
    edges = [
        datetime(2024, 1, 31, 23, 59, 59, 999_999, UTC),
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, tzinfo=UTC),
        None,
    ]
    found = months_of(tmp_path, [Record(str(n), stamp, {}, "") for n, stamp in enumerate([*edges, edges[0]])])
    assert {month: rows for month, (rows, _) in found.items()} == {None: 1, "1969-12": 1, "2024-01": 2, "2024-02": 1}


ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=12, unique_by=lambda r: r[0]
)


@settings(max_examples=15)
@given(ROWS, st.randoms(use_true_random=False))
def test_neither_order_nor_place_nor_revision_changes_a_month(
    tmp_path_factory: Any, rows: list[tuple[int, int, int]], chance: Any
) -> None:
    folder = tmp_path_factory.mktemp("months")
    first = [record(f"id{name}", value, month) for name, value, month in rows]
    again = [r._replace(position=f"line {n}", revision=n) for n, r in enumerate(chance.sample(first, len(first)), 7)]
    assert months_of(folder / "a", first) == months_of(folder / "b", again)


CHANGES = {
    "value": record("a", 2),
    "name": record("b"),
    "time": record("a")._replace(timestamp=datetime(2024, 1, 5, 13, tzinfo=UTC)),
    "verdict of the schema": record("a", "one"),
    "error": record("a", errors=("odd",)),
    "warning": record("a", warnings=("odd",)),
}


def test_any_change_of_a_record_changes_its_month_and_no_other(tmp_path: Path) -> None:
    seen = [months_of(tmp_path / "first", [record("a"), record("c", month=2)])]
    for number, changed in enumerate(CHANGES.values()):
        seen.append(months_of(tmp_path / str(number), [changed, record("c", month=2)]))
    assert len({found["2024-01"] for found in seen}) == len(CHANGES) + 1
    assert len({found["2024-02"] for found in seen}) == 1


def test_an_export_that_says_the_same_in_other_words_changes_no_month_and_a_day_more_changes_one(tmp_path: Path) -> None:
    days = [f"2024-0{month}-{day:02} 10:{minute:02}" for month in (4, 5, 6) for day in (1, 2) for minute in range(12)]
    first = export(*(heart(60 + n % 9, day, device="<<HKDevice: 0x1>, name:Watch>") for n, day in enumerate(days)))
    more = [heart(60 + n % 9, day, device="<<HKDevice: 0x2>, name:Watch>", offset=WINTER) for n, day in enumerate(days)]
    before = apple_months(tmp_path / "a", first)
    later = "2024-12-19 08:00"
    assert before == apple_months(tmp_path / "b", export(*more, exported=later, offset=WINTER))
    after = apple_months(
        tmp_path / "c", export(*more, heart(70, "2024-06-03 10:00", offset=WINTER), exported=later, offset=WINTER)
    )
    assert sorted(before.items() ^ after.items()) == sorted([("2024-06", before["2024-06"]), ("2024-06", after["2024-06"])])
    other = apple_months(tmp_path / "d", first.replace('value="61"', 'value="62"', 1))
    assert [month for month in before if other[month] != before[month]] == ["2024-04"]
    told = heart(60, days[0], offset=SUMMER, metadata={"HKTimeZone": "Asia/Tokyo"})
    assert (
        apple_months(tmp_path / "e", export(told))["2024-04"]
        != apple_months(tmp_path / "f", export(heart(60, days[0])))["2024-04"]
    )
