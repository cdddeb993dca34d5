"""Change data capture from a real PostgreSQL: whatever happens to the rows, and wherever a round is cut short, the records know them.

A round "dies" as an exception behind a committed page; whole processes are killed in bench/streams.py and in test_streams.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from config.errors import SettingsError, SourceDenied, SourceUnavailable
from ingestion.cdc import pages, session, slot
from ingestion.cdc.check import check
from ingestion.cdc.values import SESSION, value_of
from tests.cdc_bench import Held, content, logical, settings_of
from tests.cli_bench import Cli

Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with logical(tmp_path_factory.mktemp("cdc") / "data") as found:
        yield found


@pytest.fixture
def db(dsn: str) -> Iterator[Session]:
    """A session on an empty schema; slots and publications of the test before are gone."""
    with psycopg.connect(dsn, autocommit=True) as found:
        found.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        _drop_all(found)
        yield found
        _drop_all(found)


def _drop_all(found: Session) -> None:
    found.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
    for (name,) in found.execute("SELECT pubname FROM pg_publication").fetchall():
        found.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(name)))


def made(dsn: str, *tables: str) -> dict[str, Any]:
    """Settings, slot and publication."""
    said = settings_of(dsn, *tables)
    with session.connected(said) as found:
        slot.create(found, "pdp", slot.wanted_tables(said))
    return said


def as_they_are(db: Session, table: str) -> dict[str, Any]:
    """The table as the database has it, its values read as ours are."""
    for name, value in SESSION.items():
        db.execute("SELECT set_config(%s, %s, false)", (name, value))
    with db.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(*table.split("."))))
        columns = [(c.name, c.type_code) for c in cursor.description or ()]
        result = cursor.pgresult
        assert result is not None
        raw = [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]
    rows = [{n: None if v is None else value_of(v, o) for (n, o), v in zip(columns, row, strict=True)} for row in raw]
    return {f"{table}:{row['id']}": row for row in rows}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_CHANGES", 3)


TABLE = "CREATE TABLE r (id int PRIMARY KEY, ts_utc timestamptz, v numeric, note text, big text STORAGE EXTERNAL, j jsonb)"


def test_a_snapshot_then_every_change_with_its_operation_time_and_place(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("INSERT INTO r VALUES (1, '2025-03-01 08:15+01', 72.50, E'a\\tb\\\\\\n', NULL, '{\"a\": [1]}')")
    held = Held(tmp_path, made(dsn, "r"))
    held.fetch()
    (first,) = held.records()
    assert (first.raw_id, first.raw["op"], first.raw["deleted"]) == ("public.r:1", "snapshot", False)
    assert first.raw["row"] == {
        "id": 1,
        "ts_utc": "2025-03-01T07:15:00Z",
        "v": 72.5,
        "note": "a\tb\\\n",
        "big": None,
        "j": {"a": [1]},
    }
    assert first.timestamp is not None
    assert first.timestamp.isoformat() == "2025-03-01T07:15:00+00:00"
    db.execute("UPDATE r SET v = 73 WHERE id = 1")
    db.execute("INSERT INTO r VALUES (2)")
    db.execute("UPDATE r SET id = 3 WHERE id = 2")
    db.execute("DELETE FROM r WHERE id = 1")
    held.fetch()
    told = held.records()[1:]
    assert [(r.raw_id[9:], r.raw["op"], r.raw["deleted"]) for r in told] == [
        ("1", "update", False),
        ("2", "insert", False),
        ("2", "delete", True),
        ("3", "update", False),
        ("1", "delete", True),
    ]
    assert [r.raw["row"] for r in told if r.raw["deleted"]] == [{"id": 2}, {"id": 1}]
    assert [r.revision for r in held.records()] == sorted(r.revision for r in held.records())
    assert held.rows("public.r") == as_they_are(db, "public.r")
    assert held.fetch()["balance"]["came"] == 0


def test_a_large_value_an_update_does_not_touch_is_in_its_record(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("INSERT INTO r (id, big) VALUES (1, repeat('x', 9000)), (2, repeat('y', 9000))")
    held = Held(tmp_path, made(dsn, "r"))
    held.fetch()
    db.execute("UPDATE r SET note = 'touched'")
    db.execute("UPDATE r SET id = 5 WHERE id = 2")
    held.fetch()
    db.execute("UPDATE r SET v = 1 WHERE id = 5")
    held.fetch()
    assert b"xxxx" not in Path(held.log.files[-1].path).read_bytes()
    assert b"yyyy" not in Path(held.log.files[-1].path).read_bytes()
    assert held.rows("public.r") == as_they_are(db, "public.r")
    assert not any(r.warnings for r in held.told())


def test_truncate_tells_every_known_row_as_gone(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("CREATE TABLE s (id int PRIMARY KEY)")
    db.execute("INSERT INTO r (id, note) SELECT n, 'note ' || n FROM generate_series(1, 5) n")
    db.execute("INSERT INTO s VALUES (1)")
    held = Held(tmp_path, made(dsn, "r", "s"))
    held.fetch()
    db.execute("DELETE FROM r WHERE id = 2")
    db.execute("TRUNCATE r")
    db.execute("INSERT INTO r (id) VALUES (9)")
    held.fetch()
    db.execute("TRUNCATE r, s")
    held.fetch()
    gone = [(r.raw_id, r.raw["row"].get("note")) for r in held.records() if r.raw["op"] == "truncate"]
    assert gone == [*((f"public.r:{n}", f"note {n}") for n in (1, 3, 4, 5)), ("public.r:9", None), ("public.s:1", None)]
    assert held.rows("public.r") == held.rows("public.s") == {}


def test_an_altered_table_is_told_and_its_rows_go_by_their_columns(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    held = Held(tmp_path, made(dsn, "r"))
    db.execute("INSERT INTO r (id) VALUES (1)")
    held.fetch()
    db.execute("ALTER TABLE r ADD COLUMN pulse int DEFAULT 60, DROP COLUMN j")
    db.execute("ALTER TABLE r RENAME COLUMN note TO remark")
    db.execute("INSERT INTO r (id, remark) VALUES (2, 'new')")
    db.execute("UPDATE r SET pulse = 61 WHERE id = 1")
    held.fetch()
    assert held.rows("public.r") == as_they_are(db, "public.r")
    assert set(held.rows("public.r")["public.r:2"]) == {"id", "ts_utc", "v", "remark", "big", "pulse"}


def test_a_table_that_logs_whole_rows_and_one_with_two_key_columns(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("ALTER TABLE r REPLICA IDENTITY FULL")
    db.execute("CREATE TABLE v (day date, who text, n int, PRIMARY KEY (day, who))")
    db.execute("INSERT INTO r (id, note, big) VALUES (1, 'a', repeat('z', 9000))")
    held = Held(tmp_path, made(dsn, "r", "v"))
    held.fetch()
    db.execute("UPDATE r SET id = 2")
    db.execute("INSERT INTO v VALUES ('2025-03-01', 'me', 1)")
    db.execute("DELETE FROM v")
    held.fetch()
    assert held.rows("public.r") == as_they_are(db, "public.r")
    told = {r.raw_id: r.raw for r in held.records() if r.raw["deleted"]}
    assert told['public.v:["2025-03-01","me"]']["row"] == {"day": "2025-03-01", "who": "me"}
    assert told["public.r:1"]["row"]["note"] == "a"


def test_a_transaction_that_was_open_when_the_snapshot_was_to_be_taken_is_not_lost(
    dsn: str, db: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute(TABLE)
    held = Held(tmp_path, made(dsn, "r"))
    with psycopg.connect(dsn) as other:
        other.execute("INSERT INTO r (id) VALUES (1)")
        monkeypatch.setattr(session, "PATIENCE", 0.2)
        with pytest.raises(SourceUnavailable, match="a transaction there stays open"):
            held.fetch()
        assert held.log.state() is None
    db.execute("INSERT INTO r (id) VALUES (2)")
    held.fetch()
    assert set(held.rows("public.r")) == {"public.r:1", "public.r:2"}


ROW = st.integers(1, 8)
STEP = st.one_of(
    st.tuples(st.just("INSERT INTO r (id, note) VALUES (%s, 'new') ON CONFLICT DO NOTHING"), ROW),
    st.tuples(st.just("UPDATE r SET v = coalesce(v, 0) + 1 WHERE id = %s"), ROW),
    st.tuples(st.just("UPDATE r SET big = repeat(md5(random()::text), 100) WHERE id = %s"), ROW),
    st.tuples(st.just("UPDATE r SET id = id + 8 WHERE id = %s AND NOT EXISTS (SELECT 1 FROM r AS o WHERE o.id = r.id + 8)"), ROW),
    st.tuples(st.just("DELETE FROM r WHERE id = %s"), ROW),
    st.tuples(st.just("DELETE FROM r WHERE id = %s + 8"), ROW),
    st.just(("TRUNCATE r", None)),
    st.just(("BEGIN", None)),
    st.just(("COMMIT", None)),
    st.just(("ROLLBACK", None)),
    st.tuples(st.just("fetch"), st.integers(0, 3)),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=40))
def test_whatever_is_done_and_wherever_it_dies_the_records_know_the_rows(
    dsn: str, db: Session, tmp_path: Path, small_pages: None, steps: list[tuple[str, Any]]
) -> None:
    db.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    _drop_all(db)
    db.execute(TABLE)
    db.execute("INSERT INTO r (id, big) SELECT n, repeat('b', 5000) FROM generate_series(1, 4) n")
    held = Held(tmp_path, made(dsn, "r"))
    with psycopg.connect(dsn, autocommit=True) as writer:
        for statement, value in steps:
            open_ = writer.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
            if statement == "fetch":
                if not (open_ and "lsn" not in (held.log.state() or {})):  # a snapshot would wait for the open transaction
                    held.fetch_killed_after(value) if value else held.fetch()
            elif (statement == "BEGIN") != open_ or statement not in ("BEGIN", "COMMIT", "ROLLBACK"):
                writer.execute(statement, None if value is None else (value,))
    held.fetch()
    assert held.rows("public.r") == as_they_are(db, "public.r")
    twice = [
        (r.raw_id, r.revision, json.dumps(content(r))) for r in held.told() if r.raw["op"] not in ("snapshot", "snapshot_end")
    ]
    assert len(twice) == len(set(twice))


@pytest.mark.usefixtures("small_pages")
def test_killed_after_every_page_loses_nothing_and_tells_nothing_twice(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("INSERT INTO r (id) SELECT n FROM generate_series(1, 8) n")
    held = Held(tmp_path, made(dsn, "r"))
    deaths = 0
    while held.fetch_killed_after(deaths + 1):  # a snapshot cut short is taken anew: it has to get further each time
        deaths += 1
    assert deaths == 4
    db.execute("INSERT INTO r (id) SELECT n FROM generate_series(11, 30) n")
    db.execute("UPDATE r SET v = id")
    db.execute("DELETE FROM r WHERE id < 5")
    commits = held.log.commits
    while held.fetch_killed_after(1):
        deaths += 1
    assert deaths == 4 + held.log.commits - commits
    assert [r.raw_id for r in held.records()].count("public.r:1") == 3
    assert len(held.records()) == 8 + 20 + 28 + 4
    assert held.rows("public.r") == as_they_are(db, "public.r")


def test_a_slot_made_anew_is_told_and_rows_that_went_meanwhile_are_told_as_gone(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("INSERT INTO r (id) VALUES (1), (2)")
    said = made(dsn, "r")
    held = Held(tmp_path, said)
    held.fetch()
    db.execute("SELECT pg_drop_replication_slot('pdp')")
    with pytest.raises(SourceDenied, match=r"slot pdp is not there.*cdc create"):
        held.fetch()
    db.execute("DELETE FROM r WHERE id = 1")
    db.execute("INSERT INTO r (id) VALUES (3)")
    made(dsn, "r")
    report = held.fetch()
    assert [f["code"] for f in report["findings"]] == ["changes_missed"]
    assert held.rows("public.r") == as_they_are(db, "public.r")
    assert [(r.raw_id, r.raw["op"]) for r in held.records() if r.raw["deleted"]] == [("public.r:1", "snapshot_end")]
    assert [r.raw_id for r in held.records()] == ["public.r:1", "public.r:2", "public.r:3", "public.r:1"]


def test_a_slot_the_server_gave_up_is_told_with_its_mend_and_mended_by_it(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    said = made(dsn, "r")
    held = Held(tmp_path, said)
    held.fetch()
    db.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    db.execute("SELECT pg_reload_conf()")
    try:
        for _ in range(4):
            db.execute("SELECT pg_logical_emit_message(false, 'x', 'x')")
            db.execute("SELECT pg_switch_wal()")
            db.execute("CHECKPOINT")
    finally:
        db.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        db.execute("SELECT pg_reload_conf()")
    with pytest.raises(SourceDenied, match=r"given up the replication slot pdp.*cdc create"):
        held.fetch()
    assert "given up" in check(said)[0]
    db.execute("INSERT INTO r (id) VALUES (7)")
    made(dsn, "r")
    assert [f["code"] for f in held.fetch()["findings"]] == ["changes_missed"]
    assert set(held.rows("public.r")) == {"public.r:7"}


def test_a_table_that_is_added_comes_with_a_snapshot_and_nothing_is_told_twice(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("CREATE TABLE s (id int PRIMARY KEY)")
    db.execute("INSERT INTO r (id) VALUES (1)")
    db.execute("INSERT INTO s VALUES (5)")
    held = Held(tmp_path, made(dsn, "r"))
    held.fetch()
    held.settings = settings_of(dsn, "r", "s")
    with pytest.raises(SourceDenied, match=r"not of the tables that CDC_TABLES names.*cdc create"):
        held.fetch()
    made(dsn, "r", "s")
    assert [f["code"] for f in held.fetch()["findings"]] == ["new_tables"]
    assert [r.raw_id for r in held.records()] == ["public.r:1", "public.s:5"]


def test_log_that_others_write_is_let_go_of(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("CREATE TABLE other (n int)")
    said = made(dsn, "r")
    held = Held(tmp_path, said)
    held.fetch()
    db.execute("INSERT INTO other SELECT generate_series(1, 20000)")
    (before,) = db.execute("SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots").fetchone() or (0,)
    held.fetch()
    (after,) = db.execute("SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots").fetchone() or (0,)
    assert before > 1_000_000 > 10_000 > after
    assert check(said)[0].startswith("ok: slot pdp, 1 tables; the server keeps ")


def test_much_log_that_is_kept_for_us_is_warned_of(dsn: str, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    db.execute(TABLE)
    said = made(dsn, "r")
    db.execute("INSERT INTO r (id) SELECT generate_series(1, 5000)")
    monkeypatch.setattr(slot, "MUCH", 100_000)
    assert check(said)[0].startswith("warning: slot pdp: the server keeps ")


@pytest.mark.parametrize(
    ("statement", "tables", "words"),
    [
        ("CREATE TABLE r (id int)", ("r",), "public.r cannot be told apart: it has no primary key"),
        ("CREATE VIEW r AS SELECT 1 AS id", ("r",), "no table public.r, or it is a view"),
        ("SELECT 1", ("nowhere.r",), "no table nowhere.r"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused_by_name(
    dsn: str, db: Session, statement: str, tables: tuple[str, ...], words: str
) -> None:
    db.execute(statement)
    with pytest.raises(SourceDenied, match=words):
        made(dsn, *tables)
    assert db.execute("SELECT count(*) FROM pg_publication").fetchone() == (0,)


def test_rows_that_a_policy_hides_are_an_error_and_not_left_out(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute(TABLE)
    db.execute("INSERT INTO r (id) VALUES (1)")
    held = Held(tmp_path, made(dsn, "r"))
    db.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN REPLICATION; GRANT SELECT ON r TO reader")
    db.execute("GRANT USAGE ON SCHEMA public TO reader; ALTER TABLE r ENABLE ROW LEVEL SECURITY")
    held.settings = settings_of(dsn.replace("user=postgres", "user=reader"), "r")
    with pytest.raises(SourceDenied, match="policies must not hide rows"):
        held.fetch()
    db.execute("DROP OWNED BY reader; DROP ROLE reader")


def test_by_the_commands_from_a_slot_to_readings_and_back(dsn: str, db: Session, tmp_path: Path) -> None:
    db.execute("CREATE TABLE events (id int PRIMARY KEY, metric text, value float8, unit text, at timestamptz)")
    db.execute(
        "INSERT INTO events VALUES (1, 'weight', 70.5, 'kg', '2025-03-01 07:00Z'), (2, 'mood', 1, '1', '2025-03-01 08:00Z')"
    )
    cli = Cli(tmp_path)
    address = f"{dsn} password=CANARY"
    env = {"CDC_DATABASE_URL": address, "CDC_TABLES": '["events"]', "CDC_TIME_COLUMN": "at"}
    assert cli("cdc", "create", **env).stdout == (
        "pdp: published 1 tables; made the slot; the next run takes a snapshot of the tables.\n"
    )
    done = cli("cdc", "--until-stage", "normalization", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(cli("cdc", "status", "--json", **env).stdout.splitlines()[-1])
    assert (told["ok"], told["tables"], told["wal_status"]) == (True, ["public.events"], "reserved")
    records = pq.read_table(tmp_path / "records/cdc.parquet").to_pylist()
    assert [(r["raw_id"], r["source_timestamp"].isoformat()) for r in records] == [
        ("public.events:1", "2025-03-01T07:00:00+00:00"),
        ("public.events:2", "2025-03-01T08:00:00+00:00"),
    ]
    seen = cli.json("source", "preview", "cdc", **env)["streams"].values()
    assert sum(stream["records"] for stream in seen) == 2
    readings = tmp_path / "processed/normalized/cdc.parquet"
    assert [(r["metric"], r["value"]) for r in pq.read_table(readings).to_pylist()] == [("weight", 70.5)]
    own = {"CDC_READINGS": '[{"metric": "=metric", "value": "value", "time": "at", "unit": "[lb_av]"}]'}
    assert cli("cdc", "--skip-ingestion", "--until-stage", "normalization", **env, **own).returncode == 0
    assert [(r["metric"], r["value"]) for r in pq.read_table(readings).to_pylist()] == [("weight", 31.978262)]
    assert cli("cdc", "drop", **env).stdout.startswith("pdp: dropped the slot")
    failed = cli("cdc", "status", **env)
    assert failed.returncode == 1
    assert "python main.py cdc create" in failed.stdout
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink())
    assert b"CANARY" not in kept + failed.stdout.encode() + failed.stderr.encode()


def test_a_database_without_an_address_or_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    for address, words in (("", "CDC_DATABASE_URL is not"), ("no string = at all =", "no connection string")):
        with pytest.raises(SettingsError, match=words):
            Held(tmp_path, settings_of(address, "r")).fetch()
    gone = settings_of(f"host={tmp_path} dbname=secret_name password=CANARY", "r")
    with pytest.raises(SourceUnavailable, match="cannot be reached") as error:
        Held(tmp_path, gone).fetch()
    assert "CANARY" not in str(error.value) + check(gone)[0]
    assert "secret_name" not in str(error.value)
