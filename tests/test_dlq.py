"""Dead letters: each load says what became of them; after a fix a replay moves them in exactly once. On the real embedded server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.errors import UsageError
from scripts.stages import Given
from tests.made_once import cluster
from tests.postgres_bench import START, Artifacts, letter, migrated, record, served, settings, sql
from tests.stage_bench import BenchOutputs
from warehouse.bronze.checking.status import verify
from warehouse.bronze.connection import connect
from warehouse.bronze.embedded import server
from warehouse.bronze.letter_lookup import Letter, find, ignore, show
from warehouse.bronze.load import load

REPO = Path(__file__).resolve().parent.parent


# -- what a load says of its letters ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


class Loads:
    """Loads into a source of its own; every load is a run of its own unless told otherwise."""

    def __init__(self, folder: Path, data: Path, source: str) -> None:
        self.folder, self.data, self.source = folder, data, source
        self.made = Artifacts(folder / "artifacts", source)
        self._runs = 0

    def __call__(self, *given: Any, run: str = "", **more: Any) -> dict[str, Any]:
        return self.again(self.made.inputs(*given, **more), run)

    def again(self, inputs: dict[str, Any], run: str = "") -> dict[str, Any]:
        self._runs += 1
        outputs = BenchOutputs(self.folder / f"out{self._runs}")
        outputs.run_id = run or f"run-{self._runs}"
        load(Given({role: f if isinstance(f, list) else [f] for role, f in inputs.items()}), outputs, settings(self.data))
        return inputs

    def letters(self) -> list[Letter]:
        return find(settings(self.data), self.source)

    def one(self) -> Letter:
        (found,) = self.letters()
        return found

    def told(self) -> list[tuple[str, int]]:
        return [(found.state, found.attempts) for found in self.letters()]

    def row(self, index: int) -> int:
        query = f"SELECT id FROM bronze_{self.source} WHERE record_index = %s"
        return int(sql(self.data, query, index)[0][0])


@pytest.fixture
def loads(tmp_path: Path, data: Path, request: pytest.FixtureRequest) -> Loads:
    return Loads(tmp_path, data, f"s_{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}")


def test_a_letter_whose_record_comes_in_is_replayed_and_names_its_row(loads: Loads, data: Path) -> None:
    loads([record(1), record(2)], [letter(3)])
    assert loads.told() == [("open", 1)]
    loads([record(1), record(2), record(3)])
    row = show(settings(data), loads.one().id)
    assert (row["status"], row["attempts"], row["resolved_by"], row["tried_by"]) == ("replayed", 2, "run-2", "run-2")
    assert row["resolution"] == f"bronze_{loads.source} {loads.row(3)}"
    assert row["resolved_at"] >= row["first_seen"]


def test_a_letter_is_found_at_its_place_when_the_fix_counts_differently(loads: Loads) -> None:
    loads([record(1)], [letter(3)])
    loads([record(1), record(5, position="line 5"), record(3, position="line 9")])  # index 3 lies on another line now
    assert loads.one().resolution == f"bronze_{loads.source} {loads.row(5)}"


def test_of_several_rows_of_its_place_the_one_that_counts_alike_is_named(loads: Loads) -> None:
    loads([], [letter(3)])
    loads([record(2, position="line 5"), record(3)])
    assert loads.one().resolution == f"bronze_{loads.source} {loads.row(3)} and 1 more"


def test_a_row_that_was_there_before_is_not_taken_for_it(loads: Loads) -> None:
    loads([record(2, position="line 5")], [letter(3)])
    loads([record(2, position="line 5"), record(9)])
    assert loads.one().state == "obsolete"


def test_a_place_named_without_its_sheet_is_found_by_its_index(loads: Loads) -> None:
    loads([], [letter(3, position="row 5")])
    loads([record(3, position="Log!row 5"), record(4, position="Log!row 15")])
    assert loads.one().resolution == f"bronze_{loads.source} {loads.row(3)}"


def test_every_run_that_refuses_it_again_counts_once(loads: Loads) -> None:
    inputs = loads([record(1)], [letter(3)])
    loads([record(1), record(2)], [letter(3)], run="second")
    loads.again(inputs, run="third")  # known to the ledger: nothing is loaded, the attempt counts
    loads.again(inputs, run="third")
    assert loads.told() == [("open", 3)]


def test_letters_of_files_that_are_not_in_force_stay_as_they_are(loads: Loads) -> None:
    loads([], [letter(3)])
    loads([record(3)], raw=b"time,value\nanother export\n")
    assert loads.told() == [("open", 1)]


def test_a_letter_refused_for_another_reason_is_obsolete_and_names_its_successor(loads: Loads) -> None:
    loads([], [letter(3)])
    loads([], [letter(3, reason="bad_number")])
    first, second = loads.letters()
    assert (first.state, first.attempts, second.state, second.attempts) == ("obsolete", 2, "open", 1)
    assert first.resolution == f"refused for another reason now: letter {second.id}, bad_number"


def test_a_letter_that_is_no_record_any_more_is_obsolete_until_it_is_refused_again(loads: Loads) -> None:
    loads([record(1)], [letter(3)])
    loads([record(1), record(2)])
    assert loads.told() == [("obsolete", 2)]
    assert "repeats another record, or is none" in str(loads.one().resolution)
    loads([record(1)], [letter(3), letter(4)])
    assert loads.told() == [("open", 3), ("open", 1)]
    assert loads.letters()[0].resolution is None


@pytest.mark.parametrize(
    ("whole", "inside"), [("file", "line {}"), ("data.csv", "data.csv line {}"), ("Log", "Log!row {}"), ("sheet", "row {}")]
)
def test_a_letter_of_a_whole_file_or_part_is_replayed_by_the_rows_in_it(loads: Loads, whole: str, inside: str) -> None:
    loads([], [letter(0, b"", position=whole, record_index=0, raw_size=99)])
    loads([record(n, position=inside.format(n)) for n in (1, 2, 3)])
    found = loads.one()
    assert (found.state, found.resolution) == ("replayed", f"bronze_{loads.source} {loads.row(1)} and 2 more")


def test_a_part_is_not_taken_for_one_whose_name_begins_alike(loads: Loads) -> None:
    loads([], [letter(0, b"", position="Log")])
    loads([record(1, position="Log2!row 5")])
    assert loads.one().state == "obsolete"


def test_what_the_database_refuses_stays_open_until_it_does_not(loads: Loads) -> None:
    bad = record(2, '{"n": "\\u0000"}')
    inputs = loads([record(1), bad])
    loads([record(1), bad, record(3)])
    loads.again(inputs)
    assert loads.told() == [("open", 3)]
    loads([record(1), record(2), record(3)])
    assert (loads.one().state, loads.one().resolution) == ("replayed", f"bronze_{loads.source} {loads.row(2)}")


def test_a_replayed_letter_stays_replayed_when_the_fix_is_taken_back(loads: Loads, data: Path) -> None:
    before = loads([record(1)], [letter(3), letter(4)])
    loads([record(1), record(3)], [letter(4)])
    loads.again(before)
    loads([record(1), record(2)], [letter(3), letter(4)])
    assert loads.told() == [("replayed", 2), ("open", 4)]
    assert verify(settings(data), {}) == []


def test_an_ignored_letter_is_tried_no_more(loads: Loads, data: Path) -> None:
    loads([], [letter(3), letter(4)])
    first, _ = loads.letters()
    ignore(settings(data), first.id, "a test export")
    loads([], [letter(3), letter(4)])
    loads([record(3), record(4)])
    assert loads.told() == [("ignored", 1), ("replayed", 3)]
    assert loads.letters()[0].resolution == "a test export"
    with pytest.raises(UsageError, match="is ignored"):
        ignore(settings(data), first.id, "again")


def test_a_large_load_settles_thousands_of_letters(loads: Loads) -> None:
    loads([], [letter(n) for n in range(30_000)])
    stamps = [START + timedelta(minutes=n) for n in range(21_000)]  # so many that months are filled aside
    good = [record(n, source_timestamp=stamp) for n, stamp in enumerate(stamps)]
    good[5] = record(5, '{"n": "\\u0000"}', source_timestamp=stamps[5])
    loads(good, [letter(n) for n in range(21_000, 30_000)])
    told = loads.told()
    assert told.pop(5) == ("obsolete", 2)  # PostgreSQL refuses it now
    assert told[:20_999] == [("replayed", 2)] * 20_999
    assert told[20_999:] == [("open", 2)] * 9_000 + [("open", 1)]


def test_who_may_only_insert_can_settle_and_nothing_else(loads: Loads, data: Path) -> None:
    loads([], [letter(3), letter(4)])
    hashes = [found.file_hash for found in loads.letters()]
    refuse = (
        "SELECT bronze_refuse_letters(%s, 'r', %s::text[], '{3}'::bigint[], '{not_json}'::text[], %s::text[], '{line 5}'::text[])"
    )
    settle = "SELECT bronze_settle_letters(%s, 'r', %s::text[])"
    calls = ((refuse, (loads.source, hashes[:1], [f"raw/{loads.source}/export.csv"])), (settle, (loads.source, hashes[:1])))
    with connect(settings(data)) as session:
        session.execute("CREATE ROLE inserts; GRANT SELECT, INSERT ON bronze_dead_letters TO inserts")
        session.execute(f"GRANT SELECT, INSERT ON bronze_{loads.source} TO inserts; SET ROLE inserts")
        for query, terms in calls:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(query, terms)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("UPDATE bronze_dead_letters SET attempts = 9")
        session.execute("RESET ROLE")
        session.execute("GRANT EXECUTE ON FUNCTION bronze_refuse_letters, bronze_settle_letters TO inserts; SET ROLE inserts")
        session.execute("CREATE TEMP TABLE bronze_dead_letters (id BIGINT); SET search_path = pg_temp, public")
        for query, terms in calls:
            session.execute(query, terms)
        session.execute("RESET ROLE")
    assert loads.told() == [("open", 2), ("obsolete", 2)]


# -- the commands ---------------------------------------------------------------------------------------------------------

CUFF = (
    "Datum;Sys;Dia;Puls;Notiz\n01.03.2025 07:30;128;82;61;\n01.03.2025 20:15;124;80;64;Käse\n02.03.2025 07:40;119;78;60;\n"
).encode("cp1252")
SHEET = {
    "locale": "en_US",
    "timeZone": "Europe/Berlin",
    "values": [["Date", "Time", "SYS", "DIA", "Pulse", "Note"], ["2025-03-01", "07:30", "127", "83", "66", "a\0b"]],
}
PRESET = {
    "columns": {"datetime": ["Datum"], "systolic": ["Sys"], "diastolic": ["Dia"], "pulse": ["Puls"], "note": ["Notiz"]},
    "delimiter": ";",
    "date_formats": ["%d.%m.%Y %H:%M"],
}


class Cli:
    """The program over a data root of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.settings = data.parent / "settings.yaml"
        plain = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "PG_HOST"}}
        own = {"DATA_DIR": str(data), "TIMEZONE": "Europe/Berlin", "PDP_SETTINGS": str(self.settings)}
        self.env = {**plain, **own}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "main.py", *arguments], cwd=REPO, env=self.env, capture_output=True, text=True, check=False
        )

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def preset(self, **more: str) -> None:
        """Say how the cuff's file is to be read."""
        self.settings.write_text(json.dumps({"bp_csv_presets": {"my_cuff": PRESET | more}}))

    def states(self) -> dict[str, tuple[str, int]]:
        """Reason → state and attempts."""
        letters = self.json("dlq", "list", "--state", "all")["letters"]
        return {found["reason"]: (found["state"], found["attempts"]) for found in letters}

    def rows(self, source: str = "bp_csv") -> list[tuple[Any, ...]]:
        """The rows, complete."""
        return sql(self.data, f"SELECT to_jsonb(b) FROM bronze_{source} AS b ORDER BY id")

    @contextmanager
    def replaying(self) -> Iterator[subprocess.Popen[bytes]]:
        """A replay of its own, killed at the end of the block if it still goes on."""
        command = [sys.executable, "main.py", "dlq", "replay", "bp_csv"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=REPO, env=self.env, **quiet) as process:  # type: ignore[call-overload]
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that refused a row of a cuff's file, for its encoding, and a row of a sheet, which PostgreSQL cannot hold."""
    folder = tmp_path_factory.mktemp("refused")
    for name, content in {"bp_csv/cuff.csv": CUFF, "google_sheets/log.json": json.dumps(SHEET).encode()}.items():
        (folder / "data/inbox" / name).parent.mkdir(parents=True)
        (folder / "data/inbox" / name).write_bytes(content)
    cli = Cli(cluster(folder / "data"))
    cli.preset()
    done = cli()
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def cli(refused: Path, tmp_path: Path) -> Iterator[Cli]:
    """A copy of it to do things to; a server's files keep their owner."""
    subprocess.run(["cp", "-a", f"{refused}/.", str(tmp_path)], check=True)
    with served(tmp_path / "data") as data:
        yield Cli(data)


def test_the_list_tells_reasons_and_places_and_no_values(cli: Cli) -> None:
    done = cli("dlq", "list")
    assert done.returncode == 0
    assert re.search(r"bp_csv +encoding +open +1 .*line 3 of raw/bp_csv/cuff\.csv", done.stdout)
    assert re.search(r"google_sheets +json_unicode +open +1 .*row 2 of raw/google_sheets/log\.json", done.stdout)
    assert done.stdout.rstrip().endswith("2 dead letters: encoding 1, json_unicode 1")
    found = cli.json("dlq", "list", "bp_csv", "--reason", "encoding")
    assert found["reasons"] == {"encoding": 1}
    assert {"id", "source", "reason", "state", "attempts", "position", "file", "first_seen"} <= set(found["letters"][0])
    assert cli.json("dlq", "list", "bp_csv", "--reason", "json_unicode") == {"letters": [], "reasons": {}}
    shown = cli("dlq", "show", str(found["letters"][0]["id"])).stdout
    assert "The row holds bytes that are not in the file's encoding." in shown
    assert "32, sha256 " in shown
    assert not re.search(r"124|20:15", re.sub(r"[0-9a-f]{32,}", "", done.stdout + shown))


def test_raw_bytes_are_shown_when_asked_for_as_text_or_as_a_dump(cli: Cli) -> None:
    letters = {found["reason"]: str(found["id"]) for found in cli.json("dlq", "list")["letters"]}
    dump = cli("dlq", "show", letters["encoding"], "--raw").stdout
    assert "00000010  3b 31 32 34 3b 38 30 3b 36 34 3b 4b e4 73 65 0a  ;124;80;64;K.se." in dump
    assert cli.json("dlq", "show", letters["encoding"], "--raw")["raw"] == {"hex": CUFF.splitlines(keepends=True)[2].hex()}
    assert '"a\\u0000b"' in cli("dlq", "show", letters["json_unicode"], "--raw").stdout
    assert "raw" not in cli.json("dlq", "show", letters["json_unicode"])
    sql(cli.data, "UPDATE bronze_dead_letters SET raw_bytes = convert_to(E'\\x1b[2J', 'UTF8') WHERE id = %s", letters["encoding"])
    assert "1b 5b 32 4a" in cli("dlq", "show", letters["encoding"], "--raw").stdout


def test_what_is_not_there_is_a_usage_error(cli: Cli) -> None:
    for arguments in (["show", "99"], ["replay", "--id", "99"], ["list", "bp_cvs"], ["replay", "bp_cvs"], ["show", "x"], []):
        done = cli("dlq", *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert "Traceback" not in done.stderr


def test_without_a_database_the_list_is_one_sentence(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    cli.preset()
    done = cli("dlq", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "There is no bronze database yet, so there are no dead letters in it: python main.py\n"
    assert cli.json("dlq", "list") == {"letters": [], "reasons": {}}
    assert cli("dlq", "replay").returncode == 0
    assert not (tmp_path / "data").exists()


def test_a_replay_after_the_fix_moves_the_letter_in_exactly_once(cli: Cli) -> None:
    before = cli.rows()
    cli.preset(encoding="cp1252")
    done = cli.json("dlq", "replay", "bp_csv")
    assert done["nodes"] == ["ingestion.bp_csv.records", "bronze.bp_csv"]
    assert done["run"]["status"] == "succeeded"
    assert done["reasons"] == {"encoding": {"moved in": 1}}
    rows = cli.rows()
    assert rows[: len(before)] == before
    (moved,) = [row for (row,) in rows[len(before) :]]
    assert (moved["metadata"]["position"], moved["raw_data"]["fields"]["note"]) == ("line 3", "Käse")
    assert done["letters"][0]["note"] == f"bronze_bp_csv {moved['id']}"
    assert cli.states() == {"encoding": ("replayed", 2), "json_unicode": ("open", 1)}
    again = cli("dlq", "replay", "bp_csv")
    assert (again.returncode, again.stdout) == (0, "There is nothing to replay: no open dead letter of a file in force.\n")
    assert cli("--force").returncode == 0
    assert cli.rows() == rows
    assert cli.states()["encoding"] == ("replayed", 2)
    assert cli.json("verify") == {"ok": True, "problems": []}


def test_a_replay_that_mends_nothing_counts_the_attempt(cli: Cli) -> None:
    rows = cli.rows("google_sheets")
    for attempt in (2, 3):
        done = cli("dlq", "replay", "google_sheets")
        assert done.returncode == 0, done.stderr
        assert f"row 2 of raw/google_sheets/log.json: still refused, attempt {attempt}" in done.stdout
    assert cli.states() == {"encoding": ("open", 1), "json_unicode": ("open", 3)}
    assert cli.rows("google_sheets") == rows


def test_a_dry_run_tells_what_would_be_tried_and_changes_nothing(cli: Cli) -> None:
    ids = {found["reason"]: str(found["id"]) for found in cli.json("dlq", "list")["letters"]}
    found = cli.json("dlq", "replay", "--id", ids["encoding"], "--dry-run")
    assert (found["nodes"], found["run"]) == (["ingestion.bp_csv.records", "bronze.bp_csv"], None)
    assert found["reasons"] == {"encoding": {"would be tried": 1}}
    text = cli("dlq", "replay", "--dry-run").stdout
    assert text.startswith("2 dead letters would be tried again, by ingestion.google_sheets.records, bronze.google_sheets, ")
    assert cli.states() == {"encoding": ("open", 1), "json_unicode": ("open", 1)}


def test_a_letter_of_a_replaced_file_is_out_of_reach_and_can_be_ignored(cli: Cli) -> None:
    (cli.data / "inbox/bp_csv/cuff.csv").write_bytes(CUFF.replace("Käse".encode("cp1252"), b"cheese"))
    assert cli().returncode == 0
    text = cli("dlq", "replay", "bp_csv").stdout
    assert text.startswith("There is nothing to replay")
    assert "line 3 of raw/bp_csv/cuff.csv: not tried, its file is no longer in force" in text
    (letter_id,) = [str(found["id"]) for found in cli.json("dlq", "list", "bp_csv")["letters"]]
    assert cli("dlq", "ignore", letter_id, "--reason", "mended by hand").returncode == 0
    assert cli.states() == {"encoding": ("ignored", 1), "json_unicode": ("open", 1)}
    assert cli("dlq", "ignore", letter_id, "--reason", "twice").returncode == 2


def test_a_replay_reads_what_is_there_and_not_the_inbox(cli: Cli) -> None:
    (cli.data / "inbox/bp_csv/cuff.csv").unlink()
    cli.preset(encoding="cp1252")
    assert cli.json("dlq", "replay", "bp_csv")["reasons"] == {"encoding": {"moved in": 1}}


@contextmanager
def held_up(cli: Cli, table: str = "bronze_dead_letters") -> Iterator[Callable[[], None]]:
    """Nobody can write to a shared table meanwhile; gives a function that waits until somebody wants to."""
    with server.embedded(str(cli.data)) as dsn, psycopg.connect(dsn) as session:
        session.execute(f"LOCK TABLE {table} IN SHARE MODE")

        def wait() -> None:
            until(
                lambda: bool(
                    session.execute(
                        "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)", (table,)
                    ).fetchall()
                )
            )

        yield wait


def until(done: Callable[[], bool]) -> None:
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it never happened")


def test_a_replay_killed_before_its_commit_has_moved_nothing_and_the_next_moves_all(cli: Cli) -> None:
    rows = cli.rows()
    cli.preset(encoding="cp1252")
    with held_up(cli) as wait, cli.replaying():
        wait()
    assert cli.states() == {"encoding": ("open", 1), "json_unicode": ("open", 1)}
    assert cli.rows() == rows
    assert cli("dlq", "replay").returncode == 0
    assert cli.states() == {"encoding": ("replayed", 2), "json_unicode": ("open", 2)}
    assert len(cli.rows()) == len(rows) + 1
    assert cli.json("verify") == {"ok": True, "problems": []}


def test_a_replay_killed_after_its_commit_has_moved_it_in_once(cli: Cli) -> None:
    rows = len(cli.rows())
    cli.preset(encoding="cp1252")
    with closing(sqlite3.connect(cli.data / "registry.db", isolation_level=None)) as registry, cli.replaying():
        with held_up(cli) as wait:
            wait()
            registry.execute("BEGIN IMMEDIATE")  # the engine cannot write down that the load is done
        until(lambda: sql(cli.data, "SELECT 1 FROM bronze_dead_letters WHERE status = 'replayed'") != [])
    moved = cli.rows()
    assert len(moved) == rows + 1
    assert cli("dlq", "replay", "bp_csv").stdout.startswith("There is nothing to replay")
    assert cli().returncode == 0
    assert cli.rows() == moved
    assert cli.states()["encoding"] == ("replayed", 2)
    assert cli.json("verify") == {"ok": True, "problems": []}


def test_a_replay_beside_another_run_asks_to_be_tried_again(cli: Cli) -> None:
    with cli.replaying() as process:
        with held_up(cli) as wait:
            wait()
            assert cli("dlq", "replay").returncode == 75
        assert process.wait() == 0
