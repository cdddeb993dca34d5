"""Loading into bronze: every record once, versions, dead letters, exactness after crashes. On the real embedded server."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from config.errors import WarehouseError
from tests.postgres_bench import Artifacts, CommitCutter, letter, migrated, python, record, said, served, settings, sql
from tests.stage_bench import StageBench
from warehouse.bronze import schema
from warehouse.bronze.checking.status import status, verify
from warehouse.bronze.connection import connect
from warehouse.bronze.embedded import server
from warehouse.bronze.load import load


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    """A source of its own for each test: they share one server."""
    return "s_" + str(request.node.name).removeprefix("test_").split("[")[0][:30].rstrip("_").lower()


@pytest.fixture
def made(tmp_path: Path, source: str) -> Artifacts:
    return Artifacts(tmp_path / "artifacts", source)


def run(tmp_path: Path, data: Path, inputs: dict[str, Any], **changed: Any) -> dict[str, Any]:
    bench = StageBench(tmp_path / f"out{time.monotonic_ns()}")
    return dict(bench.run(load, inputs, settings(data) | changed)[0])


def count(data: Path, source: str) -> int:
    return int(sql(data, f'SELECT count(*) FROM "bronze_{source}"')[0][0])


def test_every_record_becomes_a_row_with_what_is_known_about_it(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    inputs = made.inputs(
        [record(0), record(1, status="warning", errors=["dst_gap"], revision=7), record(2, source_timestamp=None)]
    )
    report = run(tmp_path, data, inputs)
    assert report["balance"] == {"unit": "record", "came": 3, "fates": {"accepted": 3, "duplicate": 0}}
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn, row_factory=psycopg.rows.dict_row) as session:
        rows = session.execute(
            f'SELECT *, content_hash = sha256(raw_data::text::bytea) AS sound FROM "bronze_{source}" ORDER BY id'
        )
        first, second, third = rows.fetchall()
    raw = inputs["raw"][0]
    assert first["raw_data"] == {"n": 0}
    assert (first["source"], first["raw_id"], first["version"], first["environment"]) == (source, "reading:0", 1, "development")
    assert str(first["source_timestamp"]) == "2024-01-31 23:00:00"
    assert str(first["partition_key"]) == "2024-01-31"
    assert (first["pipeline_run_id"], first["pipeline_version"]) == ("run-1", "1.2.3")
    assert first["lineage_id"] == f"records/{source}.parquet@v1"
    assert first["parent_lineage_ids"] == [f"raw/{source}/export.csv@v1"]
    assert (first["lineage_type"], first["lineage_source"]) == ("source", f"ingestion.{source}.records")
    assert str(first["lineage_timestamp"]) == "2023-11-14 22:13:20"
    assert (first["file_path"], first["file_hash"], first["file_size"]) == (raw.name, raw.sha256, raw.size)
    assert (first["compression_type"], first["encoding"]) == ("none", "utf-8")
    assert first["metadata"] == {"position": "line 2", "revision": 0}
    assert first["processing_end_time"] - first["processing_start_time"] >= first["processing_duration"] * 0
    assert first["processing_steps"] == [f"ingestion.{source}.extract", f"ingestion.{source}.records", f"bronze.{source}"]
    assert first["sound"]
    assert first["error_message"] is first["api_endpoint"] is None
    assert (first["quality_score"], first["quality_metrics"], first["quality_checks"]) == (1.0, {"completeness": 1.0}, {})
    assert (second["validation_status"], second["error_message"]) == ("warning", "dst_gap")
    assert second["quality_checks"] == {"reasons": ["dst_gap"]}
    assert third["source_timestamp"] is None
    assert str(third["partition_key"]) == "0001-01-01"


def test_the_table_has_the_templates_columns_in_order_and_its_seven_indexes(
    tmp_path: Path, data: Path, source: str, made: Artifacts
) -> None:
    run(tmp_path, data, made.inputs([record(0)]))
    columns = [
        c
        for (c,) in sql(data, "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", f"bronze_{source}")
    ]
    assert len(columns) == 41
    assert columns[:4] == ["id", "source", "raw_data", "ingested_at"]
    assert columns[37:] == ["processing_errors", "partition_key", "content_hash", "record_index"]
    indexes = sql(data, "SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexname LIKE 'idx%%'", f"bronze_{source}")
    assert len(indexes) == 7
    assert sum("gin" in definition for (definition,) in indexes) == 1


def test_a_second_and_third_load_change_nothing(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    inputs = made.inputs([record(n) for n in range(50)], [letter(60)])
    first = run(tmp_path, data, inputs)
    again = run(tmp_path, data, inputs)
    assert first["balance"]["fates"] == {"accepted": 50, "duplicate": 0}
    assert again["balance"]["fates"] == {"unused:already_loaded": 50}
    grown = run(tmp_path, data, made.inputs([record(n) for n in range(51)], [letter(60), letter(61)]))
    assert grown["balance"]["fates"] == {"accepted": 1, "duplicate": 50}
    assert grown["rows"] == {f"bronze_{source}": 1, "bronze_dead_letters": 1}
    assert count(data, source) == 51
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


def test_a_changed_record_is_the_next_version_and_the_old_row_stays(
    tmp_path: Path, data: Path, source: str, made: Artifacts
) -> None:
    run(tmp_path, data, made.inputs([record(0, {"v": 1})]))
    run(tmp_path, data, made.inputs([record(0, {"v": 3}, revision=9), record(0, {"v": 2}, revision=4, record_index=1)]))
    rows = sql(data, f'SELECT version, raw_data FROM "bronze_{source}" ORDER BY version')
    assert rows == [(1, {"v": 1}), (2, {"v": 2}), (3, {"v": 3})]


def test_key_order_and_spaces_make_no_new_version(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([record(0, '{"a": 1, "b": 2}')]))
    report = run(tmp_path, data, made.inputs([record(0, '{"b":2,"a":1}')]))
    assert report["balance"]["fates"] == {"accepted": 0, "duplicate": 1}


def test_the_same_record_twice_in_one_artifact_is_one_row(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    report = run(tmp_path, data, made.inputs([record(0), record(0, record_index=1)]))
    assert report["balance"]["fates"] == {"accepted": 1, "duplicate": 1}


def test_text_that_looks_like_copy_syntax_arrives_unchanged(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    nasty = "\\N \\. \t \r\n \\\\ \x02 \u2028 ' \" {,} 😀"
    run(
        tmp_path,
        data,
        made.inputs([record(0, {"text": nasty}, raw_id=nasty, position=nasty, errors=["a,b", "c"], status="invalid")]),
    )
    rows = sql(data, f"SELECT raw_data->>'text', raw_id, metadata->>'position', error_message FROM \"bronze_{source}\"")
    assert rows == [(nasty, nasty, nasty, "a,b, c")]


def test_rows_cannot_be_changed_removed_or_truncated(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([record(0)]))
    for statement in ("UPDATE {} SET version = 2", "DELETE FROM {}", "TRUNCATE {}"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            sql(data, statement.format(f'"bronze_{source}"'))


def test_months_get_partitions_and_undated_rows_the_default_one(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([record(0), record(1), record(2, source_timestamp=None)]))
    found = sql(data, f'SELECT tableoid::regclass::text, count(*) FROM "bronze_{source}" GROUP BY 1 ORDER BY 1')
    assert found == [(f"bronze_{source}_{part}", 1) for part in ("default", "y2024m01", "y2024m02")]


def test_a_date_outside_all_reason_is_kept_undated_and_marked(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    years = [1, 1899, 2200, 9999]
    rows = [record(y, source_timestamp=record(0)["source_timestamp"].replace(year=y)) for y in years]
    report = run(tmp_path, data, made.inputs(rows))
    assert report["balance"]["fates"] == {"accepted": 4, "duplicate": 0}
    query = f'SELECT DISTINCT source_timestamp, validation_status, error_message, processing_errors FROM "bronze_{source}"'
    assert sql(data, query) == [(None, "invalid", "timestamp_out_of_range", ["timestamp_out_of_range"])]


REFUSED = {
    "escaped NUL": ('{"a": "x\\u0000y"}', "json_unicode"),
    "escaped NUL in key": ('{"a\\u0000": 1}', "json_unicode"),
    "raw NUL": ('{"a": "\0"}', "json_syntax"),
    "lone high surrogate": ('{"a": "\\ud800"}', "json_syntax"),
    "lone low surrogate": ('{"a": "\\udc00"}', "json_syntax"),
    "swapped pair": ('{"a": "\\ude00\\ud83d"}', "json_syntax"),
    "NaN": ('{"a": NaN}', "json_syntax"),
    "Infinity": ('{"a": -Infinity}', "json_syntax"),
    "1e131072": ('{"a": 1e131072}', "json_number"),
    "1e-20000": ('{"a": 1e-20000}', "json_number"),
    "150k digits": ('{"a": ' + "9" * 150_000 + "}", "json_number"),
    "too deep": ("[" * 50_000 + "]" * 50_000, "json_too_deep"),
    "BOM": ('\ufeff{"a": 1}', "json_syntax"),
    "raw tab": ('{"a": "\t"}', "json_syntax"),
    "empty": ("", "json_syntax"),
    "trailing comma": ('{"a": 1,}', "json_syntax"),
    "comment": ('{"a": 1} // no', "json_syntax"),
    "single quotes": ("{'a': 1}", "json_syntax"),
    "two documents": ('{"a": 1} {"a": 2}', "json_syntax"),
    "truncated": ('{"a": ', "json_syntax"),
}
TAKEN = {
    "double-escaped": '{"a": "x\\\\u0000y"}',
    "pair": '{"a": "\\ud83d\\ude00"}',
    "2^64": '{"a": 18446744073709551616}',
    "1e400": '{"a": 1e400}',
    "1e131071": '{"a": 1e131071}',
    "1e-16383": '{"a": 1e-16383}',
    "40 digits": '{"a": 0.1234567890123456789012345678901234567890}',
    "130k digits": '{"a": ' + "9" * 130_000 + "}",
    "duplicate keys": '{"a": 1, "a": 2}',
    "deep": "[" * 5000 + "]" * 5000,
    "U+2028": '{"a": "\u2028"}',
    "U+FFFF": '{"a": "\uffff"}',
    "scalar": "5",
    "null": "null",
}


def test_what_jsonb_refuses_is_a_dead_letter_and_nothing_else_is(
    tmp_path: Path, data: Path, source: str, made: Artifacts
) -> None:
    rows = [record(n, text, raw_id=name) for n, (name, text) in enumerate(TAKEN.items())]
    rows += [record(100 + n, text or " ", raw_id=name, raw=text) for n, (name, (text, _)) in enumerate(REFUSED.items())]
    report = run(tmp_path, data, made.inputs(rows))
    fates = report["balance"]["fates"]
    assert fates["accepted"] == len(TAKEN)
    assert sum(n for fate, n in fates.items() if fate.startswith("rejected:")) == len(REFUSED)
    query = "SELECT record_index, error_class, raw_bytes, raw_size FROM bronze_dead_letters WHERE source = %s ORDER BY 1"
    found = sql(data, query, source)
    assert found == [(100 + n, reason, text.encode(), len(text.encode())) for n, (text, reason) in enumerate(REFUSED.values())]
    assert {name for (name,) in sql(data, f'SELECT raw_id FROM "bronze_{source}"')} == set(TAKEN)
    assert report["findings"] == [
        {"code": "refused_by_database", "message": "Records PostgreSQL cannot hold are dead letters.", "count": len(REFUSED)}
    ]


def test_an_identity_no_index_can_hold_is_a_dead_letter(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    ids = ["x" * 2000, "x" * 2001, "ż" * 1001, "", "a\0b"]
    report = run(tmp_path, data, made.inputs([record(n, raw_id=raw_id) for n, raw_id in enumerate(ids)]))
    assert report["balance"]["fates"] == {
        "accepted": 1,
        "duplicate": 0,
        "rejected:no_raw_id": 1,
        "rejected:raw_id_nul": 1,
        "rejected:raw_id_too_long": 2,
    }


def test_ingestions_dead_letters_come_along_once(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    big = b"x" * ((1 << 20) + 1)
    letters = [letter(5), letter(6, b"\xed\xa0\x80"), letter(7, big), letter(8, raw=b"", raw_size=9)]
    letters[3]["raw"] = None
    run(tmp_path, data, made.inputs([], letters))
    run(tmp_path, data, made.inputs([record(0)], letters))
    query = "SELECT record_index, raw_bytes, raw_size, error_class, stage FROM bronze_dead_letters WHERE source = %s ORDER BY 1"
    assert sql(data, query, source) == [
        (5, b"\x00\xffbroken", 8, "not_json", "ingestion"),
        (6, b"\xed\xa0\x80", 3, "not_json", "ingestion"),
        (7, None, len(big), "not_json", "ingestion"),
        (8, None, 9, "not_json", "ingestion"),
    ]


def test_no_records_at_all_is_a_load_like_any_other(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    inputs = made.inputs([])
    assert run(tmp_path, data, inputs)["balance"]["came"] == 0
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


@pytest.mark.parametrize(
    "name", ["records/Mi.parquet", "records/x-y.parquet", "records/loads.parquet", "records/a_y2024m01.parquet"]
)
def test_a_name_that_cannot_be_a_table_is_refused(tmp_path: Path, data: Path, made: Artifacts, name: str) -> None:
    inputs = made.inputs([record(0)])
    inputs["records"] = inputs["records"]._replace(name=name)
    with pytest.raises(WarehouseError, match="no name for a table"):
        run(tmp_path, data, inputs)


def test_the_longest_source_name_fits(tmp_path: Path, data: Path) -> None:
    name = "s" * 41
    run(tmp_path, data, Artifacts(tmp_path / "a", name).inputs([record(0)]))
    assert count(data, name) == 1


def test_examples_make_room_for_real_records(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    inputs = made.inputs([record(n) for n in range(5)], [letter(9)])
    run(tmp_path, data, inputs, environment="example")
    assert run(tmp_path, data, inputs, environment="production")["balance"]["fates"] == {"accepted": 5, "duplicate": 0}
    assert sql(data, f'SELECT DISTINCT environment FROM "bronze_{source}"') == [("production",)]
    assert sql(data, "SELECT environment FROM bronze_dead_letters WHERE source = %s", source) == [("production",)]
    assert sql(data, "SELECT DISTINCT environment FROM bronze_loads WHERE source = %s", source) == [("production",)]


def test_the_first_real_load_takes_away_the_examples_of_every_source(
    tmp_path: Path, data: Path, source: str, made: Artifacts
) -> None:
    example, busy = (Artifacts(tmp_path / name, f"{source}_{name}") for name in ("gone", "busy"))
    for artifacts in (example, busy, made):
        run(tmp_path, data, artifacts.inputs([record(0)], [letter(9)]), environment="example")
    marked = {t["source"]: t["example"] for t in status(settings(data))["tables"]}
    assert (marked[example.source], marked[source]) == (True, True)
    with connect(settings(data)) as other, other.transaction():
        other.execute(f'SELECT count(*) FROM "bronze_{busy.source}"')  # somebody looks at it: it is not waited for
        run(tmp_path, data, made.inputs([record(1)]), environment="production")
    assert {t["source"]: t["example"] for t in status(settings(data))["tables"] if t["source"].startswith(source)} == {
        busy.source: True,
        source: False,
    }
    for table in ("bronze_loads", "bronze_dead_letters"):
        assert sql(data, f"SELECT count(*) FROM {table} WHERE source = %s", example.source) == [(0,)]
    run(tmp_path, data, made.inputs([record(2)]), environment="production")
    assert busy.source not in {t["source"] for t in status(settings(data))["tables"]}


def test_two_first_real_loads_at_once_leave_no_examples_and_no_gap(
    tmp_path: Path, data: Path, source: str, made: Artifacts
) -> None:
    second = Artifacts(tmp_path / "second", source + "_b")
    for artifacts in (made, second):
        run(tmp_path, data, artifacts.inputs([record(n) for n in range(5)]), environment="example")
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(run, tmp_path / a.source, data, a.inputs([record(n) for n in range(400)]), environment="production")
            for a in (made, second)
        ]
        assert [b.result()["balance"]["fates"] for b in both] == [{"accepted": 400, "duplicate": 0}] * 2
    for name in (source, second.source):
        assert sql(data, f'SELECT environment, count(*) FROM "bronze_{name}" GROUP BY 1') == [("production", 400)]


def test_a_table_taken_away_while_its_load_waited_is_made_again(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([record(n) for n in range(5)]), environment="example")
    with connect(settings(data)) as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))", (f"bronze_{source}",))
            load = pool.submit(run, tmp_path, data, made.inputs([record(n) for n in range(9)]), environment="production")
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while not sql(data, waits)[0][0]:
                time.sleep(0.01)
            schema.drop_source(other, source)
        assert load.result()["balance"]["fates"] == {"accepted": 9, "duplicate": 0}
    assert count(data, source) == 9


def test_examples_are_refused_beside_real_records(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([record(0)]))
    with pytest.raises(WarehouseError, match="real records"):
        run(tmp_path, data, made.inputs([record(1)]), environment="example")
    assert count(data, source) == 1


def test_two_loaders_at_once_load_every_record_once(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    many, more = (made.inputs([record(n) for n in range(size)]) for size in (600, 900))
    loaders = [loader(data, inputs) for inputs in (many, more, many)]
    fates = [json.loads(said(process))["balance"]["fates"] for process in loaders]
    assert count(data, source) == 900
    assert sum(f.get("accepted", 0) for f in fates) == 900
    assert verify(settings(data), {source: more["records"].sha256}) == []


ROWS = 'INSERT INTO "bronze_'
MANY = 12_000  # the statement lasts long enough to be seen, and no large load begins
STEPS = ("COPY bronze_stage", "CREATE TEMP TABLE bronze_keys", ROWS, "committed")


@pytest.mark.parametrize("step", STEPS, ids=("copy", "keys", "rows", "committed"))
def test_a_loader_killed_in_the_middle_leaves_all_or_nothing(
    tmp_path: Path, data: Path, source: str, made: Artifacts, step: str
) -> None:
    source = made.source = f"{source[:20]}_{STEPS.index(step)}"
    inputs = made.inputs([record(n) for n in range(MANY)], [letter(MANY + 1)])
    process = loader(data, inputs)
    if step == "committed":
        assert "balance" in said(process)
    else:
        seen_in(data, step)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    alone(data)
    assert count(data, source) == (MANY if step == "committed" else 0)
    assert verify(settings(data), {}) == []
    run(tmp_path, data, inputs)
    assert count(data, source) == MANY
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


def test_a_server_killed_during_the_load_is_started_again_and_the_load_is_exact(
    tmp_path: Path, source: str, made: Artifacts
) -> None:
    inputs = made.inputs([record(n) for n in range(MANY)])
    with served(tmp_path / "data") as data:
        run(tmp_path, data, made.inputs([]))
        hit = beside(lambda: os.kill(seen_in(data, ROWS) and postmaster(data), signal.SIGKILL))
        report = run(tmp_path, data, inputs)
        hit()
        assert report["balance"]["fates"] == {"accepted": MANY, "duplicate": 0}
        assert count(data, source) == MANY
        assert verify(settings(data), {source: inputs["records"].sha256}) == []


def test_a_session_ended_by_the_server_is_loaded_again(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([]))
    inputs = made.inputs([record(n) for n in range(12_000)])
    hit = beside(lambda: seen_in(data, ROWS, "pg_terminate_backend(pid)"))
    report = run(tmp_path, data, inputs)
    assert hit() is True
    assert report["balance"]["fates"] == {"accepted": 12_000, "duplicate": 0}
    assert count(data, source) == 12_000


@pytest.mark.parametrize("arrives", [True, False])
def test_a_commit_whose_answer_is_lost_is_decided_by_the_ledger(
    tmp_path: Path, data: Path, source: str, made: Artifacts, arrives: bool
) -> None:
    source = made.source = f"{source[:20]}_{arrives}".lower()
    inputs = made.inputs([record(n) for n in range(50)], [letter(60)])
    with server.embedded(str(data)) as dsn, tempfile.TemporaryDirectory() as folder:
        host = conninfo_to_dict(dsn)["host"]
        cutter = CommitCutter(Path(folder), f"{host}/.s.PGSQL.5432", arrives)
        try:
            report = run(tmp_path, data, inputs, database=make_conninfo(dsn, host=folder))
        finally:
            cutter.close()
    assert cutter.cuts == 1
    assert report["balance"]["fates"] == {"accepted": 50, "duplicate": 0}  # ours, not "already loaded"
    assert report["rows"] == {f"bronze_{source}": 50, "bronze_dead_letters": 1}
    assert count(data, source) == 50
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


def test_a_lock_held_too_long_is_waited_for_and_then_named(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([]))
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn) as rival:
        rival.execute(f'LOCK TABLE "bronze_{source}" IN ACCESS EXCLUSIVE MODE')
        release = threading.Timer(0.5, rival.rollback)
        release.start()
        report = run(tmp_path, data, made.inputs([record(0)]))
        release.join()
    assert report["balance"]["fates"] == {"accepted": 1, "duplicate": 0}


def test_a_configured_server_that_is_gone_is_an_error_without_a_word_of_the_connection(tmp_path: Path, made: Artifacts) -> None:
    inputs = made.inputs([record(0)])
    dsn = "postgresql+psycopg://someone:hunter2@127.0.0.1:9/secretdb"
    began = time.monotonic()
    with pytest.raises(WarehouseError) as caught:
        run(tmp_path, tmp_path / "data", inputs, database=dsn)
    assert time.monotonic() - began < 10
    assert "DATABASE_URL" in str(caught.value)
    for word in ("hunter2", "someone", "secretdb", "127.0.0.1"):
        assert word not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not (tmp_path / "data").exists()  # no second store was made instead


def test_a_connection_string_that_is_none_is_named_without_being_quoted(tmp_path: Path, made: Artifacts) -> None:
    with pytest.raises(WarehouseError, match="no connection string") as caught:
        run(tmp_path, tmp_path, made.inputs([]), database="password=hunter2 nonsense")
    assert "hunter2" not in str(caught.value)


def test_a_configured_server_is_used(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    with server.embedded(str(data)) as dsn:
        run(tmp_path, tmp_path / "unused", made.inputs([record(0)]), database=dsn)
    assert count(data, source) == 1
    assert not (tmp_path / "unused").exists()


def test_sessions_are_utc_with_timeouts(data: Path) -> None:
    with connect(settings(data)) as session:
        shown = [session.execute(f"SHOW {name}").fetchone() for name in ("timezone", "lock_timeout", "application_name")]
    assert shown == [("UTC",), ("30s",), ("pdp",)]


def test_migrations_are_applied_once_even_by_two_and_a_newer_database_is_left_alone(data: Path) -> None:
    with connect(settings(data)) as session:
        schema.migrate(session)
        schema.migrate(session)
        assert session.execute("SELECT count(*) FROM bronze_migrations WHERE name NOT LIKE '%/%'").fetchone() == (
            len(schema.migrations()),
        )
        with session.transaction(force_rollback=True):
            session.execute("INSERT INTO bronze_migrations (name, sha256) VALUES ('9999_future.sql', '')")
            with pytest.raises(WarehouseError, match="newer version"):
                schema.migrate(session)


def test_a_table_removed_by_hand_is_made_and_loaded_again(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    inputs = made.inputs([record(0), record(1, '{"a": NaN}')], [letter(2)])
    run(tmp_path, data, inputs)
    sql(data, f'DROP TABLE "bronze_{source}" CASCADE')
    assert run(tmp_path, data, inputs)["balance"]["fates"] == {"accepted": 1, "duplicate": 0, "rejected:json_syntax": 1}
    assert verify(settings(data), {source: inputs["records"].sha256}) == []


def test_status_counts_what_is_there(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    run(tmp_path, data, made.inputs([record(0), record(1)], [letter(2)]))
    found = status(settings(data))
    (table,) = [t for t in found["tables"] if t["source"] == source]
    assert found["database"] == "embedded"
    assert (table["rows"], table["partitions"], table["dead_letters"], table["loads"]) == (2, 3, 1, 1)
    assert table["bytes"] > 0


def test_verify_sees_lost_altered_and_missing_rows(tmp_path: Path, data: Path, source: str, made: Artifacts) -> None:
    inputs = made.inputs([record(0), record(1)], [letter(2)])
    run(tmp_path, data, inputs)
    expected = {source: inputs["records"].sha256}
    table = f'"bronze_{source}"'

    def mine() -> list[str]:
        return [problem for problem in verify(settings(data), expected) if source in problem]

    assert mine() == []
    sql(data, f"ALTER TABLE {table} DISABLE TRIGGER USER")
    sql(data, f"""UPDATE {table} SET raw_data = '{{"n": 5}}' WHERE raw_id = 'reading:0'""")
    assert mine() == [f"bronze_{source}: the content of 1 rows does not match its hash."]
    sql(data, f"DELETE FROM {table} WHERE raw_id = 'reading:0'")
    assert mine() == [f"bronze_{source}: the ledger says 2 rows, the table has 1."]
    sql(data, f"DROP TABLE {table} CASCADE")
    assert mine() == [f"bronze_{source}: the table is missing."]
    sql(data, "DELETE FROM bronze_loads WHERE source = %s", source)
    sql(data, "DELETE FROM bronze_dead_letters WHERE source = %s", source)
    assert mine() == [f"bronze_{source}: the table is missing."]


def seen_in(data: Path, step: str, does: str = "pid") -> Any:
    """Waits until a loader runs a statement that begins like this; gives its backend's pid, or what `does` gives, in that moment."""
    query = (
        f"SELECT {does} FROM pg_stat_activity"
        " WHERE application_name = 'pdp' AND state = 'active' AND ltrim(query, E'\\n') LIKE %s"
    )
    deadline = time.monotonic() + 60
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn, autocommit=True) as session:
        while time.monotonic() < deadline:
            found = session.execute(query, (step + "%",)).fetchone()
            if found:
                return found[0]
    raise AssertionError(f"no loader was seen in {step}")


def alone(data: Path) -> None:
    """Waits until the backends of killed loaders have ended: only then is what they left behind final."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pdp' AND state <> 'idle'"
    deadline = time.monotonic() + 30
    while sql(data, query) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def beside(act: Callable[[], Any]) -> Callable[[], Any]:
    """Runs `act` in a thread; the function it gives waits for the outcome, and raises what it raised."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(act)
    pool.shutdown(wait=False)
    return future.result


def postmaster(data: Path) -> int:
    (cluster,) = (data / "postgres").glob("pg[0-9][0-9]")
    return int((cluster / "postmaster.pid").read_text().split()[0])


def loader(data: Path, inputs: dict[str, Any]) -> Any:
    """The load in a process of its own; prints an empty line when it begins, then its report."""
    files = {role: [list(f) for f in (given if isinstance(given, list) else [given])] for role, given in inputs.items()}
    return python(
        """
        import json, sys, tempfile
        from pathlib import Path
        from config.stage import File
        from tests.stage_bench import StageBench
        from warehouse.bronze.load import load
        files = {role: [File(*f) for f in given] for role, given in json.loads(sys.argv[1]).items()}
        print(flush=True)
        with tempfile.TemporaryDirectory() as folder:
            report, _ = StageBench(Path(folder)).run(load, files, json.loads(sys.argv[2]))
        print(json.dumps(report))
        """,
        json.dumps(files),
        json.dumps(settings(data)),
    )


def test_records_written_before_quality_was_measured_are_loaded_without_it(
    tmp_path: Path, data: Path, source: str, made: Artifacts
) -> None:
    inputs = made.inputs([record(0), record(1, status="warning", errors=["dst_gap"])])
    path = Path(inputs["records"].path)
    older = pq.read_table(path).drop_columns(["time_text", "utc_offset", "quality_score", "quality_metrics", "quality_checks"])
    pq.write_table(older, path)
    report = run(tmp_path, data, inputs)
    assert report["balance"]["fates"] == {"accepted": 2, "duplicate": 0}
    rows = sql(data, f'SELECT quality_score, quality_metrics, quality_checks, metadata FROM "bronze_{source}" ORDER BY id')
    assert rows == [
        (None, None, None, {"position": "line 2", "revision": 0}),
        (None, None, {"reasons": ["dst_gap"]}, {"position": "line 3", "revision": 0}),
    ]
