"""`trace`: every cell of the daily table explains itself, down to the raw record, and comes out the same when made again."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.daily import FATES as WHY
from config.errors import UsageError
from processing.aggregators.columns import COLUMNS
from processing.aggregators.fates import ACCEPTED, DUPLICATE
from processing.aggregators.remaking import RULES, Choice, agrees, remake, why
from scripts.project import Project
from scripts.trace import trace
from scripts.tracing.tables import rows_where
from tests.cli_bench import environment, opened, run
from tests.google_fakes import SHEET_ID, fake_google
from tests.made_once import example_year
from tests.postgres_bench import sql
from warehouse.bronze.embedded import server

REPO = Path(__file__).resolve().parent.parent
SHEET = "Date,Time,SYS,DIA,Pulse\n2025-03-01,07:30,128,82,61\n2025-03-01,20:15,124,80,64\n2025-03-02,07:40,119/,,60\n"
CUFF = (
    "Date,Heart rate,Systolic,Diastolic,Comments\n"
    "2025-03-01 07:31:00,61,128,82,\n2025-03-01 13:00:00,70,118,78,\n2025-03-01 14:00:00,70\n"
)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The shipped example year, run once by the real pipeline."""
    data = example_year(tmp_path_factory.mktemp("year") / "data")
    yield opened(data)
    server.release(str(data))


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sheet and a cuff that tell one measurement twice; merged, never loaded into a database."""
    data = tmp_path_factory.mktemp("small") / "data"
    for name, text in {"google_sheets/log.csv": SHEET, "bp_csv/bp.csv": CUFF}.items():
        (data / "inbox" / name).parent.mkdir(parents=True)
        (data / "inbox" / name).write_text(text)
    done = run(data, "--until-stage", "merge", TIMEZONE="Europe/Warsaw")
    assert done.returncode == 0, done.stdout + done.stderr
    return data


@pytest.fixture
def small(merged: Path, tmp_path: Path) -> Path:
    """A copy of it to do things to."""
    return Path(shutil.copytree(merged, tmp_path / "data", symlinks=True))


def of(project: Project, day: str, metric: str) -> dict[str, Any]:
    answer = trace(project, Namespace(date=day, metric=metric))
    assert answer.text
    json.dumps(answer.data)
    return answer.data


NOT_IN_THE_EXAMPLES = {"hrv_sdnn", "hrv_rmssd", "basal_energy", "body_fat", "respiration_avg", "body_temperature"}
"""Columns that none of the examples' sources gives; `test_remaking` makes them again from any readings."""


def made_it(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [r for r in data["readings"] if r["used"]]


def test_every_cell_of_the_year_comes_out_the_same_when_made_again(example: Project) -> None:
    merged = Path(example.data_dir, "processed/merged")
    choices: dict[date, list[Choice]] = {}
    for row in pq.read_table(merged / "choices.parquet").to_pylist():
        times = {name: int(row[name].timestamp() * 1_000_000) for name in ("start", "end")}
        choices.setdefault(row["local_date"], []).append(Choice(**row | times))
    rows = pq.read_table(merged / "merged_daily_metrics.parquet").to_pylist()
    wrong, filled = [], dict.fromkeys(RULES, 0)
    for row in rows:
        for column in COLUMNS:
            mine = [c for c in choices[row["date"]] if not column.metrics or c.metric in column.metrics]
            made = remake(column.name, mine, row)
            filled[column.name] += row[column.name] is not None
            if not agrees(row[column.name], made.value):
                wrong.append((row["date"], column.name))
    assert wrong == []
    assert len(rows) == 365
    assert all(n >= 30 for name, n in filled.items() if name != "event" and name not in NOT_IN_THE_EXAMPLES), filled


def test_every_column_has_a_rule() -> None:
    assert list(RULES) == [c.name for c in COLUMNS]


@pytest.mark.parametrize("name", [c.name for c in COLUMNS if c.name not in NOT_IN_THE_EXAMPLES])
def test_every_column_can_be_traced_to_its_raw_records(example: Project, name: str) -> None:
    days = {"weight": first_day_with(example, "weight"), "event": "2025-06-14", "nap_duration": "2025-01-10"}
    data = of(example, days.get(name, "2025-10-02"), name)
    assert data["value"] is not None
    assert data["reproduced"] is True
    assert {"date", "metric", "value", "readings"} <= set(data)
    assert made_it(data) or data["made_of"]
    for reading in data["readings"]:
        assert {"value", "unit", "start", "source", "raw_id", "used", "records"} <= set(reading)
        assert sum(r["used"] for r in reading["records"]) == 1, reading
    for record in (r for reading in data["readings"] for r in reading["records"]):
        assert record["version"] == 1
        assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
        assert record["bronze"]["table"].startswith("bronze_")
        assert record["fetched"]["from"]["file"].startswith("examples/")
        assert record["raw"]
    assert data["notes"] == []


def first_day_with(project: Project, column: str) -> str:
    table = pq.read_table(Path(project.data_dir, "processed/merged/merged_daily_metrics.parquet"), columns=["date", column])
    return next(r["date"].isoformat() for r in table.to_pylist() if r[column] is not None)


def test_the_bronze_row_holds_the_record(example: Project) -> None:
    readings = made_it(of(example, "2025-10-02", "systolic"))
    for record in (r for reading in readings for r in reading["records"]):
        found = record["bronze"]
        rows = sql(example.data_dir, f"SELECT raw_id, raw_data FROM {found['table']} WHERE id = %s", found["id"])
        assert rows == [(record["raw_id"], record["raw"])]


def test_a_reading_that_lost_to_a_source_believed_first_says_to_which(example: Project) -> None:
    lost = [r for r in of(example, "2025-10-02", "systolic")["readings"] if not r["used"]]
    assert {r["fate"] for r in lost} == {DUPLICATE}
    for reading in lost:
        assert reading["source"] == "bp_csv"
        assert reading["why"] == WHY[DUPLICATE]
        assert reading["counted_instead"]["source"] == "google_sheets"
        assert reading["counted_instead"]["value"] == reading["value"]


def test_raw_rows_beside_the_days_total_are_told_apart(example: Project) -> None:
    data = of(example, "2025-04-11", "steps")
    assert [r["scope"] for r in made_it(data)] == ["day"]
    assert made_it(data)[0]["value"] == data["value"]
    assert {r["fate"] for r in data["readings"] if not r["used"]} == {"unused:superseded_by_daily_total"}


def test_evening_columns_are_made_of_the_evening(example: Project) -> None:
    data = of(example, "2025-04-11", "systolic_evening")
    assert {r["part"] for r in made_it(data)} == {"evening"}
    others = [r for r in data["readings"] if not r["used"]]
    assert {r["why"] for r in others} == {"It belongs to the morning; this column is made of the evening."}


def test_naps_are_told_from_the_main_sleep(example: Project) -> None:
    data = of(example, "2025-01-10", "nap_duration")
    assert {(r["part"], r["metric"]) for r in made_it(data)} == {("nap", "sleep_duration")}
    assert sum(r["value"] for r in made_it(data)) == data["value"] > 0
    main = [r for r in data["readings"] if r["part"] == "main" and r["metric"] == "sleep_duration"]
    assert [r["used"] for r in main] == [False]
    whole = of(example, "2025-01-10", "total_duration")
    assert sum(r["value"] for r in made_it(whole)) == whole["value"]


def test_the_lowest_sample_is_pointed_out(example: Project) -> None:
    data = of(example, "2025-04-11", "min_hr")
    assert {r["value"] for r in made_it(data) if r["decides"]} == {data["value"]}


def test_a_reading_refused_by_validation_is_shown_with_its_reason(example: Project) -> None:
    (refused,) = of(example, "2025-01-05", "avg_hr")["rejected"]
    assert (refused["stage"], refused["reason"]) == ("validation", "device_sentinel")
    assert refused["why"]
    assert refused["records"][0]["raw"]["Value"]["bpm"] == refused["value"] == 255
    assert refused["records"][0]["bronze"]["table"] == "bronze_mi_fitness"


def test_a_record_refused_by_normalization_is_shown_with_its_reason(example: Project) -> None:
    refused = of(example, "2025-02-22", "diastolic")["rejected"]
    assert [(r["stage"], r["reason"], r["field"]) for r in refused] == [("normalization", "half_reading", "diastolic")]
    assert refused[0]["records"][0]["position"] == "row 15"
    assert of(example, "2025-02-22", "pulse")["rejected"] == []


def test_of_a_record_in_two_exports_the_older_stays_to_be_seen(example: Project) -> None:
    (total,) = made_it(of(example, "2025-07-19", "steps"))
    older, newer = sorted(total["records"], key=lambda r: r["revision"])
    assert (older["used"], newer["used"]) == (False, True)
    assert older["raw_artifact"] != newer["raw_artifact"]
    assert newer["raw"]["Value"]["steps"] == total["value"] > older["raw"]["Value"]["steps"]
    assert {older["bronze"]["version"], newer["bronze"]["version"]} == {1, 2}


def test_the_missing_data_flag_names_what_is_missing(example: Project) -> None:
    table = pq.read_table(Path(example.data_dir, "processed/merged/merged_daily_metrics.parquet")).to_pylist()
    row = next(r for r in table if r["missing_data_flag"])
    data = of(example, row["date"].isoformat(), "missing_data_flag")
    missing = [f["column"] for f in data["made_of"] if f["missing"]]
    assert missing == [name for name in ("systolic", "avg_hr", "total_duration", "steps") if row[name] is None] != []
    assert data["reproduced"] is True


def test_a_category_shows_its_scheme_and_an_event_its_setting(example: Project) -> None:
    category = of(example, "2025-10-02", "bp_category")
    assert category["made_of"][0]["setting"] == "bp_scheme"
    assert category["value"] in [grade["name"] for grade in category["made_of"][0]["categories"]]
    event = of(example, "2025-06-14", "event")
    assert [f["setting"] for f in event["made_of"]] == ["med_start_date", "events"]
    assert event["value"] == "; ".join(f["value"] for f in event["made_of"])


def test_an_empty_cell_is_an_answer_with_the_nearest_days(example: Project) -> None:
    first = first_day_with(example, "weight")
    data = of(example, "2025-01-01" if first != "2025-01-01" else "2025-01-02", "weight")
    assert data["value"] is None
    assert data["reproduced"] is True
    assert first in data["near"]


def test_a_setting_that_has_changed_since_is_not_taken_for_what_made_the_table(small: Path) -> None:
    data = of(opened(small, TIMEZONE="Europe/Warsaw", MED_START_DATE="2025-03-01"), "2025-03-01", "event")
    assert data["reproduced"] is None
    assert data["notes"] == ["The setting `med_start_date` has changed since; the next run will follow it."]


def test_a_question_that_cannot_be_answered_is_a_sentence(example: Project) -> None:
    with pytest.raises(UsageError, match=r"365 days from 2025-01-01 to 2025-12-31; nearest: 2025-12-31") as error:
        of(example, "2030-01-01", "systolic")
    assert error.value.exit_code == 2
    with pytest.raises(UsageError, match="lost the clock"):
        of(example, "2010-01-01", "systolic")
    with pytest.raises(UsageError, match="Did you mean systolic"):
        of(example, "2025-01-01", "sistolic")
    with pytest.raises(UsageError, match=r"avg_hr or min_hr"):
        of(example, "2025-01-01", "heart_rate")
    with pytest.raises(UsageError, match="no date"):
        of(example, "yesterday", "systolic")


def test_before_the_first_run_there_is_nothing_to_trace(tmp_path: Path) -> None:
    done = run(tmp_path / "data", "trace", "2025-03-01", "systolic")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == ["There is no daily table yet.", "Run the pipeline first: python main.py"]


def test_without_a_database_everything_else_is_told(small: Path) -> None:
    done = run(small, "trace", "2025-03-01", "systolic", "--json", TIMEZONE="Europe/Warsaw")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout.splitlines()[-1])
    assert data["value"] == pytest.approx((128 + 124 + 118) / 3, abs=0.005)
    assert {r["bronze"] for reading in data["readings"] for r in reading["records"]} == {None}
    assert any("no bronze database" in note for note in data["notes"])
    assert not (small / "postgres").exists()


def test_a_database_that_is_down_is_a_note(small: Path) -> None:
    env = {"TIMEZONE": "Europe/Warsaw", "DATABASE_URL": "postgresql://me:hidden-word@127.0.0.1:1/pdp"}
    done = run(small, "trace", "2025-03-01", "systolic", **env)
    assert done.returncode == 0, done.stderr
    assert "Bronze could not be asked. The PostgreSQL server cannot be reached." in done.stdout
    assert "hidden-word" not in done.stdout + done.stderr


def test_a_row_that_became_no_record_is_shown_on_its_day(small: Path) -> None:
    refused = of(opened(small, TIMEZONE="Europe/Warsaw"), "2025-03-01", "systolic")["rejected"]
    assert [(r["stage"], r["reason"]) for r in refused] == [("ingestion", "ragged")]
    assert refused[0]["records"][0]["raw"].startswith("2025-03-01 14:00:00")
    assert refused[0]["records"][0]["fetched"]["from"] == {"kind": "inbox", "file": "inbox/bp_csv/bp.csv"}


def test_a_fetch_from_a_live_sheet_says_so(tmp_path: Path) -> None:
    with fake_google() as google:
        google.sheets["Log"] = [["Date", "Time", "SYS", "DIA", "Pulse"], ["2025-03-01", "07:30", 128, 82, 61]]
        env = {
            "TIMEZONE": "Europe/Warsaw",
            "GOOGLE_API_ENDPOINT": google.url,
            "GOOGLE_SHEETS_BP_ID": SHEET_ID,
            "GOOGLE_CREDENTIALS_BASE64": base64.b64encode(google.credentials().encode()).decode(),
        }
        done = run(tmp_path / "data", "--until-stage", "merge", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    (reading,) = made_it(of(opened(tmp_path / "data", **env), "2025-03-01", "systolic"))
    (record,) = reading["records"]
    assert record["raw_artifact"] == "raw/google_sheets/live/Log.json"
    origin = record["fetched"]["from"]
    assert (origin["kind"], origin["remote"]) == ("remote", "Google Sheet with blood pressure")
    assert origin["fingerprint"]


def test_a_table_is_explained_by_what_made_it_even_when_newer_records_have_come(small: Path) -> None:
    (small / "inbox/google_sheets/log.csv").write_text(SHEET.replace("128,82", "150,95"))
    assert run(small, "--until-stage", "validation", TIMEZONE="Europe/Warsaw").returncode == 0
    data = of(opened(small, TIMEZONE="Europe/Warsaw"), "2025-03-01", "systolic_max")
    assert data["value"] == 128
    (top,) = (r for r in made_it(data) if r["decides"])
    (record,) = top["records"]
    assert record["raw"]["fields"]["systolic"] in ("128", 128)
    assert record["version"] == 1
    assert {a["version"] for a in data["artifacts"]} == {1}
    assert run(small, "--until-stage", "merge", TIMEZONE="Europe/Warsaw").returncode == 0
    after = of(opened(small, TIMEZONE="Europe/Warsaw"), "2025-03-01", "systolic_max")
    (top,) = (r for r in made_it(after) if r["decides"])
    assert (after["value"], top["records"][0]["version"]) == (150, 2)


def test_an_accepted_attempt_made_nothing(small: Path) -> None:
    before = of(opened(small, TIMEZONE="Europe/Warsaw"), "2025-03-01", "systolic")
    registry = sqlite3.connect(small / "registry.db", isolation_level=None)
    node, attempt = "merge.daily_metrics", "f" * 32
    row = registry.execute(
        "SELECT a.* FROM attempt a JOIN node_state s ON s.attempt_id = a.id WHERE s.node = ?", (node,)
    ).fetchone()
    names = [column[1] for column in registry.execute("PRAGMA table_info(attempt)")]
    accepted = dict(zip(names, row, strict=True)) | {"id": attempt, "state": "accepted", "input_hash": "0" * 64}
    registry.execute(
        f"INSERT INTO attempt ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", [accepted[n] for n in names]
    )
    registry.execute(
        "INSERT INTO attempt_output SELECT ?, artifact_id, role FROM attempt_output WHERE attempt_id = ?", (attempt, row[0])
    )
    registry.execute("UPDATE node_state SET attempt_id = ? WHERE node = ?", (attempt, node))
    registry.close()
    assert of(opened(small, TIMEZONE="Europe/Warsaw"), "2025-03-01", "systolic") == before


def test_records_that_are_no_longer_kept_are_missed_not_mourned(small: Path) -> None:
    shutil.rmtree(small / "store/records/google_sheets.parquet")
    data = of(opened(small, TIMEZONE="Europe/Warsaw"), "2025-03-01", "systolic")
    assert data["reproduced"] is True
    assert {r["source"]: bool(r["records"]) for r in made_it(data)} == {"google_sheets": False, "bp_csv": True}
    assert "records/google_sheets.parquet@v1 is no longer kept, so what it held cannot be shown." in data["notes"]


def test_nothing_is_written_and_nothing_logged(example: Project) -> None:
    def files() -> dict[str, int]:
        found = (p for p in Path(example.data_dir).rglob("*") if "postgres" not in p.parts and p.is_file())
        return {str(p): p.stat().st_mtime_ns for p in found if not p.name.startswith((".settings", "registry.db-"))}

    before = files()
    done = run(Path(example.data_dir), "trace", "2025-10-02", "systolic")
    assert (done.returncode, done.stderr) == (0, "")
    assert files() == before
    log = Path(example.data_dir, "postgres/server.log")
    assert "omron_connect" not in log.read_text(encoding="utf-8", errors="replace")


def test_a_person_reads_a_tree_from_the_cell_to_the_row(example: Project) -> None:
    text = trace(example, Namespace(date="2025-10-02", metric="systolic")).text
    lines = text.splitlines()
    assert lines[0] == "systolic on 2025-10-02: 120.75"
    assert "Made again: the same." in lines[2]
    for word in (
        "4 readings made it",
        "2 readings did not",
        "└ record",
        "raw     {",
        "@v1",
        "fetched",
        "bronze_google_sheets id",
    ):
        assert word in text
    many = trace(example, Namespace(date="2025-04-11", metric="avg_hr")).text
    assert "47 readings made it" in many
    assert "… 41 more: --json …" in many


def test_an_empty_cell_says_that_there_was_no_reading_and_that_making_it_again_gives_the_same(example: Project) -> None:
    first = first_day_with(example, "weight")
    text = trace(example, Namespace(date="2025-01-01" if first != "2025-01-01" else "2025-01-02", metric="weight")).text
    assert "Made again: the same." in text
    assert "Nearest day with a value: " in text or "Nearest days with a value: " in text
    assert "No reading of this day came to the merge." in text
    event = trace(example, Namespace(date="2025-01-02", metric="event")).text
    assert "event on 2025-01-02: empty" in event
    assert "No reading" not in event


def test_what_else_a_cell_rests_on_ends_in_a_last_branch(example: Project) -> None:
    text = trace(example, Namespace(date="2025-10-02", metric="missing_data_flag")).text
    assert "Made again: the same." in text
    assert [line.strip()[0] for line in text.splitlines() if " column " in line] == ["├", "├", "├", "└"]


def test_a_reading_that_counts_elsewhere_is_not_labelled_with_a_fate(example: Project) -> None:
    text = trace(example, Namespace(date="2025-04-11", metric="systolic_evening")).text
    assert "It belongs to the morning; this column is made of the evening. (1)" in text
    assert "(accepted" not in text


def test_what_a_terminal_would_obey_is_shown_harmless(small: Path) -> None:
    (small / "inbox/bp_csv/bp.csv").write_text(CUFF.replace("118,78,", "118,78,\x9b31mred\u202e"))
    assert run(small, "--until-stage", "merge", TIMEZONE="Europe/Warsaw").returncode == 0
    text = trace(opened(small, TIMEZONE="Europe/Warsaw"), Namespace(date="2025-03-01", metric="systolic")).text
    assert "?31mred?" in text
    assert not {"\x9b", "\u202e"} & set(text)


def test_every_lost_reading_has_a_sentence() -> None:
    choice = Choice(date(2025, 1, 1), "steps", 0, 0, "day", 1.0, "{steps}", 0, "a", None, "x", ACCEPTED, None)
    steps = next(c for c in COLUMNS if c.name == "steps")
    for fate in WHY:
        assert why(choice._replace(fate=fate), steps).endswith(".")


def test_rows_are_found_as_if_the_whole_table_were_read(example: Project) -> None:
    path = str(Path(example.data_dir, "records/mi_fitness.parquet"))
    day = date(2025, 7, 19)
    whole = [r for r in pq.read_table(path).to_pylist() if r["source_timestamp"] and r["source_timestamp"].date() == day]
    found = rows_where(path, {"source_timestamp": {day}})
    assert [(r["raw_id"], r["revision"]) for r in found] == [(r["raw_id"], r["revision"]) for r in whole] != []
    ids = {r["raw_id"] for r in whole[::7]}
    assert {r["raw_id"] for r in rows_where(path, {"raw_id": ids}, ["raw_id"])} == ids
    assert rows_where(path, {"raw_id": {"nobody"}}) == rows_where(path, {"raw_id": set()}) == []


def test_an_answer_needs_no_pandas(small: Path) -> None:
    code = (
        "import sys; from argparse import Namespace; from scripts.project import open_project; from scripts.trace import trace\n"
        "assert trace(open_project(), Namespace(date='2025-03-01', metric='systolic')).data['readings']\n"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPO,
        env=environment(small, TIMEZONE="Europe/Warsaw"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "False", done.stderr
