"""A load is measured by all of its records and judged by what the settings want; a miss has a sentence and a mend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.settings import for_nodes, load
from config.stage import File
from config.tables import RECORDS, TableWriter
from tests.postgres_bench import START, python, record, said
from warehouse.bronze.loading.quality import Measured, Verdict, findings, measure, sla_of, verdicts

NOW = START + timedelta(days=3)
WANTED = {"completeness": 0.99, "validity": 0.999, "freshness_hours": 48.0}


def written(folder: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema = RECORDS) -> File:
    path = folder / "records.parquet"
    with path.open("wb") as sink, TableWriter(sink, schema) as writer:
        for row in rows:
            writer.append(row[name] for name in schema.names)
    data = path.read_bytes()
    return File("records/demo.parquet", str(path), hashlib.sha256(data).hexdigest(), len(data), 1)


def metrics(present: int, expected: int) -> str:
    return json.dumps({"completeness": round(present / expected, 4), "expected": expected, "present": present})


def test_a_load_is_measured_over_all_its_records(tmp_path: Path) -> None:
    rows = [record(n, quality_metrics=metrics(3, 3)) for n in range(40_000)]
    rows += [record(n, quality_metrics=metrics(2, 3), quality_score=0.5, status="warning") for n in range(20_000)]
    rows += [record(n, status="invalid", source_timestamp=None) for n in range(10_000)]
    found = measure(written(tmp_path, rows))
    assert (found.rows, found.newest) == (70_000, START + timedelta(hours=39_999))
    assert found.completeness == pytest.approx(float((40_000 + 20_000 * Fraction(2, 3) + 10_000) / 70_000), abs=1e-12)
    assert found.validity == 60_000 / 70_000
    assert found.score == pytest.approx(60_000 / 70_000, abs=1e-12)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["valid", "warning", "invalid"]),
        st.integers(0, 4),
        st.one_of(st.none(), st.integers(0, 9_999)),
        st.booleans(),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS)
def test_the_measures_are_those_of_a_plain_count(tmp_path: Path, made: list[tuple[str, int, int | None, bool]]) -> None:
    rows = [
        record(
            n,
            status=status,
            quality_metrics=metrics(present, 4) if judged else None,
            quality_score=present / 4 if judged else None,
            source_timestamp=None if hours is None else START + timedelta(hours=hours),
        )
        for n, (status, present, hours, judged) in enumerate(made)
    ]
    found = measure(written(tmp_path, rows))
    shares = [Fraction(present, 4) for _, present, _, judged in made if judged]
    times = [hours for status, _, hours, _ in made if status != "invalid" and hours is not None]
    assert found.rows == len(made)
    assert found.completeness == (pytest.approx(float(sum(shares) / len(shares))) if shares else None)
    assert found.score == (pytest.approx(float(sum(shares) / len(shares))) if shares else None)
    assert found.validity == (sum(status != "invalid" for status, *_ in made) / len(made) if made else None)
    assert found.newest == (START + timedelta(hours=max(times)) if times else None)


def test_a_record_from_the_future_makes_no_load_fresh(tmp_path: Path) -> None:
    rows = [record(0), record(1, status="invalid", source_timestamp=datetime(2099, 1, 1, tzinfo=UTC))]
    assert measure(written(tmp_path, rows)).newest == START


def test_records_older_than_their_quality_are_measured_for_what_they_have(tmp_path: Path) -> None:
    older = pa.schema([field for field in RECORDS if not field.name.startswith("quality_")])
    found = measure(written(tmp_path, [record(0), record(1, status="invalid")], older))
    assert found == Measured(2, None, 0.5, START, None)


_PEAK = """
import sys
import pyarrow as pa
from config.stage import File
from warehouse.bronze.loading.quality import measure
print(measure(File("", sys.argv[1], "", 0)).rows, pa.default_memory_pool().max_memory())
"""


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    batch = pa.Table.from_pylist([record(n) for n in range(32_768)], schema=RECORDS)
    peaks = []
    for batches in (2, 32):
        path = tmp_path / f"{batches}.parquet"
        with path.open("wb") as sink, TableWriter(sink, RECORDS) as writer:
            for _ in range(batches):
                writer.write(batch)
        rows, peak = map(int, said(python(_PEAK, str(path))).split())
        assert rows == 32_768 * batches
        peaks.append(peak)
    assert peaks[1] < 2 * peaks[0]


GOOD = Measured(10, 0.995, 1.0, NOW - timedelta(hours=5), 0.99)


def judged(measured: Measured, sla: dict[str, Any] | None = None) -> dict[str, Verdict]:
    return {v.measure: v for v in verdicts(measured, 3, 1, WANTED if sla is None else sla, NOW)}


def test_a_load_that_is_good_enough_says_so_in_every_measure() -> None:
    found = judged(GOOD)
    assert list(found) == ["completeness", "validity", "freshness_hours", "score", "duplicates", "dead_letters"]
    assert found["freshness_hours"] == Verdict("freshness_hours", 5.0, 48.0, True)
    assert [v.met for v in found.values()] == [True, True, True, None, None, None]
    assert (found["duplicates"].value, found["dead_letters"].value, found["score"].value) == (3, 1, 0.99)
    assert findings("demo", found.values()) == []


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        (
            {"completeness": 0.98999},
            "below_sla_completeness",
            ["98.99 % complete", "at least 99 %", "quality_checks of bronze_demo"],
        ),
        ({"validity": 0.99899}, "below_sla_validity", ["99.89 % valid", "at least 99.9 %", "error_message of bronze_demo"]),
        ({"newest": NOW - timedelta(hours=48, minutes=1)}, "below_sla_freshness", ["49 hours old", "at most 48", "again"]),
    ],
)
def test_a_miss_is_told_with_what_is_wanted_and_what_to_do(changed: dict[str, Any], code: str, words: list[str]) -> None:
    (found,) = findings("demo", judged(GOOD._replace(**changed)).values())
    assert found["code"] == code
    for word in [*words, "demo", "quality_sla", "docs/quality.md"]:
        assert word in found["message"]


def test_exactly_what_is_wanted_is_enough() -> None:
    found = judged(GOOD._replace(completeness=0.99, validity=0.999, newest=NOW - timedelta(hours=48)))
    assert [v.met for v in found.values()][:3] == [True, True, True]


def test_what_cannot_be_said_is_not_judged() -> None:
    nothing = judged(Measured(0, None, None, None, None))
    assert [v.met for v in nothing.values()] == [None] * 6
    assert findings("demo", nothing.values()) == []
    ancient = GOOD._replace(newest=NOW - timedelta(days=999))
    assert judged(ancient, WANTED | {"freshness_hours": None})["freshness_hours"].met is None


def test_a_newest_record_slightly_ahead_of_the_clock_is_fresh() -> None:
    assert judged(GOOD._replace(newest=NOW + timedelta(hours=2)))["freshness_hours"] == Verdict(
        "freshness_hours", 0.0, 48.0, True
    )


def test_a_source_s_own_wishes_win_and_the_others_hold_as_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUALITY_SLA", raising=False)
    wished = tmp_path / "settings.yaml"
    wished.write_text("quality_sla: {completeness: 0.9, sources: {mi_fitness: {freshness_hours: null}}}")
    plain = for_nodes(load([wished], tmp_path / ".env"))["quality_sla"]
    assert sla_of(plain, "mi_fitness") == {"completeness": 0.9, "validity": 0.999, "freshness_hours": None}
    assert sla_of(plain, "bp_csv") == {"completeness": 0.9, "validity": 0.999, "freshness_hours": 48.0}
