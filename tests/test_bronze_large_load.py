"""A large load uses several sessions and fills new months aside: the rows are those a single session would have made."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples_of
from hypothesis import strategies as st

from tests.postgres_bench import Artifacts, migrated, python, record, settings, sql
from tests.stage_bench import StageBench
from warehouse.bronze import load as loading
from warehouse.bronze.checking.status import verify
from warehouse.bronze.connection import connect
from warehouse.bronze.load import load
from warehouse.bronze.loading import records, staging

ROWS = (
    "SELECT raw_id, version, source_timestamp, raw_data::text, validation_status, error_message, metadata - 'dated_at', file_path,"
    ' quality_score, partition_key, content_hash, record_index, parent_lineage_ids, quality_checks FROM "bronze_{}" ORDER BY 1, 2, 11'
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten records make a load large, five a month."""
    monkeypatch.setattr(loading, "_LARGE", 10)
    monkeypatch.setattr(records, "_WORTH_A_TABLE", 5)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    return "l_" + str(request.node.name).removeprefix("test_").split("[")[0][:26].rstrip("_").lower()


def run(tmp_path: Path, data: Path, inputs: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return dict(StageBench(tmp_path / f"out{time.monotonic_ns()}").run(load, inputs, settings(data) | changed)[0])


def months(data: Path, source: str) -> dict[str, int]:
    query = f'SELECT tableoid::regclass::text, count(*) FROM "bronze_{source}" GROUP BY 1 ORDER BY 1'
    return {name.removeprefix(f"bronze_{source}_"): count for name, count in sql(data, query)}


def scratch(data: Path) -> list[str]:
    return [name for (name,) in sql(data, "SELECT relname FROM pg_class WHERE starts_with(relname, 'bronze_tmp')")]


def year(per_month: int = 8, **changed: Any) -> list[dict[str, Any]]:
    """Records over twelve months, in an order of their own."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = []
    for number in range(12 * per_month):
        month, within = divmod(number * 7 % (12 * per_month), per_month)
        stamp = start.replace(month=month + 1) + timedelta(hours=within)
        rows.append(record(number, source_timestamp=stamp) | changed)
    return rows


def test_every_month_is_a_partition_with_the_indexes_of_the_others_and_nothing_is_left_behind(
    tmp_path: Path, data: Path, source: str
) -> None:
    report = run(tmp_path, data, Artifacts(tmp_path / "a", source).inputs([*year(), record(500, source_timestamp=None)]))
    assert report["balance"]["fates"] == {"accepted": 97, "duplicate": 0}
    assert months(data, source) == {"default": 1, **{f"y2024m{m:02d}": 8 for m in range(1, 13)}}
    counted = sql(
        data,
        "SELECT count(*), count(DISTINCT indrelid) FROM pg_index JOIN pg_inherits ON inhrelid = indrelid WHERE inhparent = %s::regclass",
        f"bronze_{source}",
    )
    assert counted == [(9 * 13, 13)]
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass"
    assert sql(data, triggers, f"bronze_{source}_y2024m03") == sql(data, triggers, f"bronze_{source}_default")
    assert scratch(data) == []
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(data, f'UPDATE "bronze_{source}_y2024m05" SET version = 3')


def test_index_names_tell_their_month(tmp_path: Path, data: Path, source: str) -> None:
    run(tmp_path, data, Artifacts(tmp_path / "a", source).inputs(year()))
    names = sql(data, "SELECT indexname FROM pg_indexes WHERE tablename = %s", f"bronze_{source}_y2024m07")
    assert all(name.startswith(f"bronze_{source}_y2024m07") for (name,) in names)


@pytest.mark.parametrize("length", [2, 20, 41])
def test_sources_with_long_names_are_loaded_alike(tmp_path: Path, data: Path, length: int) -> None:
    source = "n" * length
    run(tmp_path, data, Artifacts(tmp_path / "a", source).inputs(year()))
    assert sum(months(data, source).values()) == 96


def test_a_second_large_load_adds_only_what_is_new(tmp_path: Path, data: Path, source: str) -> None:
    made = Artifacts(tmp_path / "a", source)
    run(tmp_path, data, made.inputs(year()))
    later = [record(1000 + n, source_timestamp=datetime(2025, 1, 1 + n, tzinfo=UTC)) for n in range(10)]
    inputs = made.inputs([*year(), *later, record(3, {"n": "corrected"}, source_timestamp=datetime(2024, 10, 1, tzinfo=UTC))])
    report = run(tmp_path, data, inputs)
    assert report["balance"]["fates"] == {"accepted": 11, "duplicate": 96}
    assert sql(data, f'SELECT max(version) FROM "bronze_{source}" WHERE raw_id = %s', "reading:3") == [(2,)]
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


def test_a_record_that_moves_to_a_new_month_is_its_next_version(tmp_path: Path, data: Path, source: str) -> None:
    made = Artifacts(tmp_path / "a", source)
    run(tmp_path, data, made.inputs(year()))
    moved = [record(n, {"n": 1000 + n}, source_timestamp=datetime(2025, 6, 1 + n, tzinfo=UTC)) for n in range(12)]
    report = run(tmp_path, data, made.inputs(moved))
    assert report["balance"]["fates"] == {"accepted": 12, "duplicate": 0}
    assert sql(data, f'SELECT DISTINCT version FROM "bronze_{source}_y2025m06"') == [(2,)]
    assert sql(data, f'SELECT count(*) FROM "bronze_{source}_current" WHERE raw_id = %s AND version = 2', "reading:4") == [(1,)]
    assert sql(data, f'SELECT count(*) FROM "bronze_{source}_current"') == [(96,)]


def test_what_postgres_refuses_in_a_new_month_is_a_dead_letter_and_the_rest_is_loaded(
    tmp_path: Path, data: Path, source: str
) -> None:
    rows = year()
    for number, text in ((5, '{"a": "\\u0000"}'), (17, '{"a": 1e131072}'), (30, '{"a": "\0"}'), (31, '{"a": ')):
        rows[number] = rows[number] | {"raw": text}
    report = run(tmp_path, data, Artifacts(tmp_path / "a", source).inputs(rows))
    fates = report["balance"]["fates"]
    assert fates == {
        "accepted": 92,
        "duplicate": 0,
        "rejected:json_number": 1,
        "rejected:json_syntax": 2,
        "rejected:json_unicode": 1,
    }
    query = "SELECT error_class, octet_length(raw_bytes) FROM bronze_dead_letters WHERE source = %s ORDER BY 1, 2"
    assert sql(data, query, source) == [("json_number", 15), ("json_syntax", 6), ("json_syntax", 10), ("json_unicode", 15)]
    assert sql(data, f'SELECT count(*) FROM "bronze_{source}_known"') == [(92,)]


def test_an_undated_row_moves_to_its_month_when_the_time_becomes_known(tmp_path: Path, data: Path, source: str) -> None:
    made = Artifacts(tmp_path / "a", source)
    run(tmp_path, data, made.inputs([record(n, source_timestamp=None) for n in range(13)]))
    before = sql(data, f'SELECT id, raw_id, version, content_hash FROM "bronze_{source}" ORDER BY id')
    inputs = made.inputs([*(record(n) for n in range(12)), record(12, source_timestamp=None)])
    report = run(tmp_path, data, inputs)
    assert report["balance"]["fates"] == {"accepted": 0, "duplicate": 13}
    assert months(data, source) == {"default": 1, "y2024m01": 1, "y2024m02": 11}
    assert sql(data, f'SELECT id, raw_id, version, content_hash FROM "bronze_{source}" ORDER BY id') == before
    assert verify(settings(data), {source: inputs["records"].sha256}) == []
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(data, f'DELETE FROM "bronze_{source}_default"')


def test_a_retired_month_is_not_loaded_again(tmp_path: Path, data: Path, source: str) -> None:
    made = Artifacts(tmp_path / "a", source)
    run(tmp_path, data, made.inputs(year()))
    with connect(settings(data)) as session, session.transaction():
        session.execute(
            "INSERT INTO bronze_retired (source, month, rows, hash_sum, action) SELECT source, month, rows, hash_sum, 'dropped'"
            " FROM bronze_loaded_months WHERE source = %s AND month = '2024-02-01'",
            (source,),
        )
        session.execute(f'DROP TABLE "bronze_{source}_y2024m02"')
    changed = [r | {"raw": '{"n": "again"}'} for r in year()]
    report = run(tmp_path, data, made.inputs(changed))
    assert report["balance"]["fates"] == {"accepted": 88, "duplicate": 8}
    assert "y2024m02" not in months(data, source)


def test_a_loader_killed_while_it_fills_months_leaves_nothing_that_counts(tmp_path: Path, data: Path, source: str) -> None:
    made = Artifacts(tmp_path / "a", source)
    inputs = made.inputs(year(300))
    for pause in (0.05, 0.15, 0.3, 0.5):
        loader = python(
            """
            import sys, json
            from pathlib import Path
            from config.stage import File
            from tests.stage_bench import StageBench
            from warehouse.bronze import load as loading
            from warehouse.bronze.loading import records
            loading._LARGE, records._WORTH_A_TABLE = 10, 5
            inputs = {k: [File(*f) for f in v] if isinstance(v[0], list) else File(*v) for k, v in json.loads(sys.argv[1]).items()}
            print("up", flush=True)
            StageBench(Path(sys.argv[2])).run(loading.load, inputs, json.loads(sys.argv[3]))
            """,
            json.dumps({"records": inputs["records"], "dead_letters": inputs["dead_letters"], "raw": inputs["raw"]}),
            str(tmp_path / f"killed{pause}"),
            json.dumps(settings(data)),
        )
        assert loader.stdout is not None
        loader.stdout.readline()
        time.sleep(pause)
        loader.send_signal(signal.SIGKILL)
        loader.communicate()
    run(tmp_path, data, inputs)
    assert sum(months(data, source).values()) == 3600
    assert sql(data, f'SELECT count(*), count(DISTINCT raw_id) FROM "bronze_{source}"') == [(3600, 3600)]
    assert scratch(data) == []
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


contents = st.fixed_dictionaries(
    {
        "number": st.integers(0, 14),
        "value": st.integers(0, 2),
        "month": st.sampled_from([None, 1, 1, 1, 2, 2, 3]),
        "revision": st.integers(0, 2),
    }
)


@examples_of(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(contents, min_size=10, max_size=40), min_size=1, max_size=2))
def test_several_sessions_make_the_rows_one_session_makes(tmp_path: Path, data: Path, loads: list[list[dict[str, Any]]]) -> None:
    stamp = time.monotonic_ns()
    found = []
    for large in (True, False):
        source = f"p{stamp}_{int(large)}"
        made = Artifacts(tmp_path / source, source)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loading, "_LARGE", 10 if large else 10**9)
            for load_number, rows in enumerate(loads):
                artifact = [_built(n, load_number, **row) for n, row in enumerate(rows)]
                inputs = made.inputs(artifact)
                run(tmp_path, data, inputs)
        assert verify(settings(data), {source: inputs["records"].sha256}) == []
        rows_there = sql(data, ROWS.format(source))
        found.append([str(row).replace(source, "s") for row in rows_there])
    assert found[0] == found[1]


def _built(index: int, load_number: int, number: int, value: int, month: int | None, revision: int) -> dict[str, Any]:
    at = None if month is None else datetime(2024, month, 1 + number, tzinfo=UTC)
    place = {"record_index": index, "position": f"load {load_number} line {index}"}
    return record(number, {"v": value}, source_timestamp=at, revision=revision, **place)


def test_the_names_of_scratch_tables_leave_room_for_index_names() -> None:
    assert len(staging.prefix_of("bronze_" + "x" * 41) + "y2024m01") <= 28
