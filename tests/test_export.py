"""`export`: everything of a person as files others can read; nothing of others; whole or not at all; the same bytes again."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.errors import StoreError, UsageError
from pipeline.registry import Artifact
from scripts.export import fhir, omh
from scripts.export.command import export as answer
from scripts.export.person import Names
from scripts.export.readings import BLOOD_PRESSURE, Measurement, Reading
from scripts.options import parse
from tests import fhir_check, omh_check
from tests.afar_bench import Shelf
from tests.cli_bench import REPO, Cli, environment, opened
from tests.made_once import example_year

_PAIR = ("systolic", "diastolic")
WARSAW = {"TIMEZONE": "Europe/Warsaw"}


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped year."""
    return example_year(tmp_path_factory.mktemp("year") / "data")


@pytest.fixture(scope="module")
def whole(year: Path) -> Path:
    """All of it, exported to a folder."""
    done = Cli(year)("export", "--out", str(year.parent / "out"))
    assert done.returncode == 0, done.stderr
    return year.parent / "out"


def export(data: Path, *arguments: str, **env: str) -> dict[str, Any]:
    """`export …` on this data root, within this process."""
    found: dict[str, Any] = answer(opened(data, **WARSAW | env), parse(["export", *arguments])).data
    return found


def run(data: Path, **env: str) -> None:
    """The pipeline as far as the daily table, within this process."""
    project = opened(data, **WARSAW | env)
    assert project.pipeline.run(project.selection(until_stage="merge")).status == "succeeded"


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def readings(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "parquet/readings.parquet").to_pylist()
    return found


def accepted(out: Path) -> list[dict[str, Any]]:
    return [r for r in readings(out) if r["fate"] == "accepted"]


def test_the_manifest_lists_every_file_with_its_size_digest_and_rows(whole: Path) -> None:
    found = manifest(whole)
    named = {f["path"]: f for f in found["files"]}
    on_disk = {str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file()}
    assert on_disk - set(named) == {"manifest.json", "README.txt"}
    for path, said in named.items():
        data = (whole / path).read_bytes()
        assert (said["size"], said["sha256"]) == (len(data), hashlib.sha256(data).hexdigest()), path
        assert said["what"], path
        if path.endswith(".ndjson"):
            assert said["rows"] == data.count(b"\n") > 0
        elif path.endswith(".parquet"):
            assert said["rows"] == pq.read_metadata(whole / path).num_rows > 0
            with (whole / path.replace("parquet", "csv")).open(newline="", encoding="utf-8") as text:
                assert said["rows"] == sum(1 for _ in csv.reader(text)) - 1
    assert found["examples"]
    (said,) = found["left_out"]
    assert said["file"] == "omh/"
    assert "distance (" in said["why"]


def test_only_the_owner_may_read_an_export(whole: Path, year: Path) -> None:
    assert {stat.S_IMODE(p.stat().st_mode) for p in whole.rglob("*") if p.is_file()} == {0o600}
    assert {stat.S_IMODE(p.stat().st_mode) for p in [whole, *whole.rglob("*")] if p.is_dir()} == {0o700}
    assert not [p for p in year.parent.iterdir() if p.name.startswith(".")]


def test_raw_files_are_handed_out_byte_for_byte(whole: Path, year: Path) -> None:
    mine = {p.relative_to(whole / "raw"): p.read_bytes() for p in (whole / "raw").rglob("*") if p.is_file()}
    assert mine == {p.relative_to(year / "raw"): p.read_bytes() for p in (year / "raw").rglob("*") if p.is_file()}
    assert len(mine) == 8


def test_the_tables_hold_what_the_pipeline_made(whole: Path, year: Path) -> None:
    merged = year / "processed/merged"
    assert pq.read_table(whole / "parquet/readings.parquet").drop_columns("loinc") == pq.read_table(merged / "choices.parquet")
    assert pq.read_table(whole / "parquet/daily.parquet") == pq.read_table(merged / "merged_daily_metrics.parquet")
    assert (whole / "csv/daily.csv").read_bytes() == (merged / "merged_daily_metrics.csv").read_bytes()
    for source in ("google_sheets", "mi_fitness", "bp_csv"):
        theirs = pq.read_table(year / f"records/{source}.parquet")
        assert pq.read_table(whole / f"parquet/records/{source}.parquet") == theirs


def test_every_fhir_resource_passes_the_schema_and_its_profile(whole: Path) -> None:
    observations = lines(whole / "fhir/Observation.ndjson")
    devices, patients = lines(whole / "fhir/Device.ndjson"), lines(whole / "fhir/Patient.ndjson")
    assert {w for resource in (*observations, *devices, *patients) for w in fhir_check.wrong(resource)} == set()
    names = [f"{r['resourceType']}/{r['id']}" for r in (*observations, *devices, *patients)]
    assert len(names) == len(set(names))
    assert {reference for o in observations for reference in fhir_check.references(o)} <= set(names)
    profiles = Counter(p.rpartition("/")[2] for o in observations for p in o["meta"].get("profile", ()))
    assert set(profiles) == {"bp", "heartrate", "oxygensat", "bodyweight"}


def test_the_observations_are_the_readings_that_count_and_no_others(whole: Path) -> None:
    observations = lines(whole / "fhir/Observation.ndjson")
    counted = accepted(whole)
    alone = Counter((r["raw_id"], r["value"]) for r in counted if r["metric"] not in _PAIR)
    told = Counter(
        (o["identifier"][0]["value"], float(o["valueQuantity"]["value"])) for o in observations if "component" not in o
    )
    assert told == alone
    pressures = [o for o in observations if "component" in o]
    assert len(pressures) == sum(r["metric"] == "systolic" for r in counted) > 800
    for code, metric in (("8480-6", "systolic"), ("8462-4", "diastolic")):
        values = [
            (o["identifier"][0]["value"], float(part["valueQuantity"]["value"]))
            for o in pressures
            for part in o["component"]
            if part["code"]["coding"][0]["code"] == code
        ]
        assert Counter(values) == Counter((r["raw_id"], r["value"]) for r in counted if r["metric"] == metric)


def test_every_month_is_a_transaction_that_stands_alone(whole: Path) -> None:
    bundles = sorted((whole / "fhir/bundles").iterdir())
    assert [b.stem for b in bundles] == [f"2025-{month:02}" for month in range(1, 13)]
    names: list[str] = []
    for path in bundles:
        bundle = json.loads(path.read_text())
        assert (bundle["type"], fhir_check.wrong(bundle), fhir_check.dangling(bundle)) == ("transaction", [], set())
        for entry in bundle["entry"]:
            r = entry["resource"]
            assert entry["request"] == {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}
            names += [r["id"]] if r["resourceType"] == "Observation" else []
    assert sorted(names) == sorted(o["id"] for o in lines(whole / "fhir/Observation.ndjson"))


@pytest.mark.parametrize("path", sorted(omh_check.SCHEMAS.glob("*/*/*/*.json")), ids=lambda p: f"{p.parts[-4]}-{p.stem}")
def test_the_schemas_of_open_mhealth_judge_as_published(path: Path) -> None:
    name, version, should, _ = path.parts[-4:]
    assert omh_check.validator(name, version).is_valid(json.loads(path.read_text())) == (should == "shouldPass")


def test_every_data_point_passes_the_schema_it_names(whole: Path) -> None:
    counted = Counter(r["metric"] for r in accepted(whole))
    want = {
        "blood-pressure": counted["systolic"],
        "heart-rate": counted["heart_rate"] + counted["pulse"] + counted["resting_heart_rate"],
        "sleep-duration": counted["sleep_duration"],
        "step-count": counted["steps"],
        "calories-burned": counted["active_energy"],
        "body-weight": counted["weight"],
        "oxygen-saturation": counted["spo2"],
    }
    got = {}
    for path in (whole / "omh").iterdir():
        points = lines(path)
        assert {w for point in points for w in omh_check.wrong(point)} == set()
        assert {point["header"]["schema_id"]["name"] for point in points} == {path.stem}
        got[path.stem] = len(points)
    assert got == want
    said = {p["header"]["acquisition_provenance"]["modality"] for p in lines(whole / "omh/blood-pressure.ndjson")}
    assert said == {"self-reported", "sensed"}


def test_the_same_data_gives_the_same_bytes_as_zip_and_as_folder(year: Path) -> None:
    folder, *zips = [year.parent / name for name in ("sheet", "a.zip", "b.zip")]
    said = [export(year, "--source", "google_sheets", "--out", str(place)) for place in (folder, *zips)]
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with zipfile.ZipFile(zips[0]) as archive:
        assert {n: archive.read(n) for n in archive.namelist()} == files
    assert zips[0].read_bytes() == zips[1].read_bytes()
    assert stat.S_IMODE(zips[0].stat().st_mode) == 0o600
    assert {s["manifest_sha256"] for s in said} == {hashlib.sha256(files["manifest.json"]).hexdigest()}
    assert {(s["files"], s["observations"]) for s in said} == {(len(files), len(lines(folder / "fhir/Observation.ndjson")))}


def test_an_export_can_be_cut_to_a_source_a_kind_and_days(year: Path) -> None:
    out = year.parent / "cut"
    asked = ("--source", "google_sheets", "--metric", "systolic", "--from", "2025-03-01", "--to", "2025-03-31")
    said = export(year, *asked, "--out", str(out))
    found = readings(out)
    assert {r["source"] for r in found} == {"google_sheets"}
    assert {r["metric"] for r in found} == set(_PAIR)  # a pressure never comes without its partner
    assert {f"{r['local_date']:%Y-%m}" for r in found} == {"2025-03"}
    assert said["observations"] == said["data_points"] == len(found) / 2 > 20
    assert sorted(p.name for p in (out / "omh").iterdir()) == ["blood-pressure.ndjson"]
    columns = set(pq.read_schema(out / "parquet/daily_by_source.parquet").names)
    assert {"source", "date", "systolic", "map", "bp_category"} <= columns
    assert not {"pulse", "steps", "avg_hr"} & columns
    days = {f"{r['source_timestamp']:%Y-%m}" for r in pq.read_table(out / "parquet/records/google_sheets.parquet").to_pylist()}
    assert days <= {"2025-02", "2025-03"}
    assert [p.name for p in (out / "parquet/records").iterdir()] == ["google_sheets.parquet"]
    assert (said["left_out"][0]["file"], (out / "raw").exists(), (out / "csv/daily.csv").exists()) == ("raw/", False, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "new", "--source", "nokia"], "nothing of a source named 'nokia'"),
        (["--out", "new", "--metric", "mood"], "no metric named 'mood'"),
        (["--out", "new", "--from", "yesterday"], "is no date"),
        (["--out", "new", "--from", "2025-02-01", "--to", "2025-01-01"], "--from lies after --to"),
        (["--out", "new", "--format", "raw", "--metric", "pulse"], "handed out whole"),
        (["--out", "new", "--from", "1999-01-01", "--to", "1999-02-01"], "Nothing matches"),
        (["--out", "there"], "already there"),
        (["--out", "data/inbox/mi_fitness/mine.zip"], "the pipeline's own files"),
        (["--out", "data"], "already there"),
    ],
)
def test_what_cannot_be_exported_is_said_and_leaves_nothing_behind(year: Path, arguments: list[str], words: str) -> None:
    (year.parent / "there").mkdir(exist_ok=True)
    (year.parent / "there/file").touch()
    arguments[1] = str(year.parent / arguments[1])
    before = sorted(year.parent.iterdir())
    with pytest.raises(UsageError, match=words) as caught:
        export(year, *arguments)
    assert caught.value.mend
    assert sorted(year.parent.iterdir()) == before


def test_the_audit_log_tells_that_there_was_an_export_and_no_value(tmp_path: Path) -> None:
    data = log(tmp_path / "data", "2025-03-01,07:30,128,82,61\n")
    export(data, "--out", str(tmp_path / "out"), "--format", "csv", "fhir")
    (line,) = [each for each in lines(data / "audit.jsonl") if each["what"] == "export"]
    assert (line["formats"], line["cut"], line["other_people"]) == (["csv", "fhir"], False, False)
    assert not {"128", "82", "61"} & set(json.dumps(line).replace(",", " ").split())


def log(data: Path, rows: str, **env: str) -> Path:
    """A data root with a blood pressure log in the inbox, run as far as the daily table."""
    inbox = data / "inbox/google_sheets"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / "log.csv").write_text("Date,Time,SYS,DIA,Pulse\n" + rows)
    run(data, **env)
    return data


def test_times_stand_on_the_clock_they_were_measured_by(tmp_path: Path) -> None:
    travel = {"TIMEZONE_OVERRIDES": '[{"from": "2025-07-01", "to": "2025-07-14", "timezone": "America/St_Johns"}]'}
    rows = "2025-03-29,07:30,128,82,61\n2025-03-30,07:30,127,81,60\n2025-07-04,07:30,126,80,59\n"
    data = log(tmp_path / "data", rows, **travel)
    export(data, "--out", str(tmp_path / "out"), "--metric", "blood_pressure", **travel)
    wanted = ["2025-03-29T07:30:00+01:00", "2025-03-30T07:30:00+02:00", "2025-07-04T07:30:00-02:30"]
    pressures = [o for o in lines(tmp_path / "out/fhir/Observation.ndjson") if "component" in o]
    assert [o["effectiveDateTime"] for o in pressures] == wanted
    points = lines(tmp_path / "out/omh/blood-pressure.ndjson")
    assert [p["body"]["effective_time_frame"]["date_time"] for p in points] == wanted
    assert [w for o in pressures for w in fhir_check.wrong(o)] == [w for p in points for w in omh_check.wrong(p)] == []


def test_a_pressure_without_its_partner_says_so_and_is_no_data_point() -> None:
    moment = 1_740_810_600_000_000
    lone = Reading(date(2025, 3, 1), "systolic", moment, moment, "instant", 128.0, "mm[Hg]", 3600, "bp_csv", None, "x")
    measured = Measurement(BLOOD_PRESSURE, {"systolic": lone}, 0)
    half = fhir.observation(Names("here"), fhir.in_bulk, measured, ["dst_gap"])
    assert fhir_check.wrong(half) == []
    assert half["component"][0]["valueQuantity"]["value"] == 128
    assert half["component"][1]["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert half["note"] == [{"text": "dst_gap"}]
    assert omh.data_point(Names("here"), measured, 0.0) is None


def test_names_stay_from_export_to_export_and_are_nobody_elses(tmp_path: Path) -> None:
    rows, more = "2025-03-01,07:30,128,82,61\n", "2025-03-02,07:30,127,81,60\n"
    names: list[set[str]] = []
    for home, text in (("mine", rows), ("mine", rows + more), ("theirs", rows)):
        out = tmp_path / f"out{len(names)}"
        export(log(tmp_path / home, text), "--format", "fhir", "--out", str(out))
        names.append({o["id"] for o in lines(out / "fhir/Observation.ndjson")})
    assert names[0] < names[1]
    assert not names[1] & names[2]


def test_superseded_versions_of_a_raw_file_are_the_persons_too(tmp_path: Path) -> None:
    for row in ("2025-03-01,07:30,128,82,61\n", "2025-03-01,07:30,129,82,61\n"):
        data = log(tmp_path / "data", row)
    export(data, "--out", str(tmp_path / "out"), "--format", "raw")
    assert "129" in (tmp_path / "out/raw/google_sheets/log.csv").read_text()
    assert "128" in (tmp_path / "out/raw_superseded/v1/google_sheets/log.csv").read_text()


def test_the_shipped_examples_are_nobodys_data_once_there_is_other(year: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(year, data, symlinks=True, ignore=shutil.ignore_patterns("postgres"))
    log(data, "2025-03-01,07:30,128,82,61\n")
    export(data, "--format", "raw", "csv", "--out", str(tmp_path / "out"))
    assert [str(p.relative_to(tmp_path / "out/raw")) for p in (tmp_path / "out").rglob("raw*/**/*.*")] == [
        "google_sheets/log.csv"
    ]
    assert not manifest(tmp_path / "out")["examples"]


OMRON = (
    "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),User,TruRead,Notes\n"
    "2025-03-01,07:30,128,82,64,1,-,mine\n2025-03-01,07:40,118,72,54,2,-,somebody elses\n2025-13-01,07:50,117,71,53,2,-,somebody elses\n"
)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A cuff with two users, one file of both and one of each."""
    inbox = tmp_path / "data/inbox/bp_csv"
    inbox.mkdir(parents=True)
    (inbox / "both.csv").write_text(OMRON)
    for user, systolic in ((1, 131), (2, 141)):
        (inbox / f"user{user}.csv").write_text(
            f"datetime,dia,sys,bpm,mov,ihb\n2025-03-02 07:30:00,80,{systolic},64,0,0\nbroken\n"
        )
    run(tmp_path / "data")
    return tmp_path / "data"


def systolics(out: Path) -> set[float]:
    return {p["body"]["systolic_blood_pressure"]["value"] for p in lines(out / "omh/blood-pressure.ndjson")}


def test_nothing_of_other_people_is_handed_out(family: Path, tmp_path: Path) -> None:
    said = export(family, "--out", str(tmp_path / "out"))
    assert {o["file"] for o in said["left_out"]} == {"raw/bp_csv/both.csv", "raw/bp_csv/user2.csv"}
    assert [p.name for p in (tmp_path / "out/raw/bp_csv").iterdir()] == ["user1.csv"]
    records = pq.read_table(tmp_path / "out/parquet/records/bp_csv.parquet").to_pylist()
    assert sorted(json.loads(r["raw"])["fields"]["systolic"] for r in records) == ["128", "131"]
    everything = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file() and p.suffix != ".parquet")
    assert b"mine" in everything
    assert not [text for text in (b"somebody elses", b",118", b'"118', b",141", b'"141') if text in everything]
    letters = pq.read_table(tmp_path / "out/parquet/dead_letters/bp_csv.parquet").to_pylist()
    assert [letter["raw_artifact"] for letter in letters] == ["raw/bp_csv/user1.csv"]
    assert not (tmp_path / "out/csv/rejected_records/bp_csv.csv").exists()
    assert systolics(tmp_path / "out") == {128, 131}


def test_other_people_come_along_when_they_are_asked_for_and_never_as_the_persons_own(family: Path, tmp_path: Path) -> None:
    said = export(family, "--with-others", "--out", str(tmp_path / "out"))
    assert said["left_out"] == []
    assert sorted(p.name for p in (tmp_path / "out/raw/bp_csv").iterdir()) == ["both.csv", "user1.csv", "user2.csv"]
    assert pq.read_metadata(tmp_path / "out/parquet/records/bp_csv.parquet").num_rows == 5
    assert systolics(tmp_path / "out") == {128, 131}


def test_a_setting_says_who_is_meant(family: Path, tmp_path: Path) -> None:
    mine = {"OWN_USERS": '{"bp_csv": ["2"]}'}
    run(family, **mine)
    export(family, "--out", str(tmp_path / "out"), **mine)
    assert [p.name for p in (tmp_path / "out/raw/bp_csv").iterdir()] == ["user2.csv"]
    assert systolics(tmp_path / "out") == {118, 141}


def test_bytes_that_lie_in_the_remote_state_come_for_the_export(family: Path, tmp_path: Path) -> None:
    project, shelf = opened(family, **WARSAW), Shelf(tmp_path / "shelf")
    with project.pipeline.reading() as registry:
        assert registry
        everything = [Artifact(*row) for row in registry.db.execute(f"SELECT {', '.join(Artifact._fields)} FROM artifact")]
        shelf.put(project.pipeline, everything)
    shutil.rmtree(family / "store")
    with pytest.raises(StoreError, match="is missing from the store"):
        answer(project, parse(["export", "--out", str(tmp_path / "none")]))
    project.pipeline.afar = shelf
    answer(project, parse(["export", "--format", "raw", "omh", "--out", str(tmp_path / "out")]))
    assert systolics(tmp_path / "out") == {128, 131}
    assert (tmp_path / "out/raw/bp_csv/user1.csv").read_text().startswith("datetime")
    assert set(shelf.brought) == {"raw/bp_csv/user1.csv", "records/bp_csv.parquet", "processed/merged/choices.parquet"}


@pytest.mark.parametrize("out", ["out", "out.zip"])
def test_a_raw_file_that_was_changed_on_the_disk_is_not_handed_out(family: Path, tmp_path: Path, out: str) -> None:
    (stored,) = (family / "store/raw/bp_csv/user1.csv").iterdir()
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes().replace(b"131", b"132"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=r"raw/bp_csv/user1\.csv@v1 is not as it was received"):
        export(family, "--out", str(tmp_path / out))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("out", "number", "left"), [("o", signal.SIGTERM, 0), ("o.zip", signal.SIGTERM, 0), ("o.zip", signal.SIGKILL, 1)]
)
def test_an_export_that_is_stopped_or_killed_leaves_nothing_for_long(
    year: Path, tmp_path: Path, out: str, number: int, left: int
) -> None:
    command = [sys.executable, "main.py", "export", "--out", str(tmp_path / out)]
    running = subprocess.Popen(command, cwd=REPO, env=environment(year), stderr=subprocess.DEVNULL)
    while not os.listdir(tmp_path):
        assert running.poll() is None
    running.send_signal(number)
    assert running.wait() != 0
    assert (len(os.listdir(tmp_path)), (tmp_path / out).exists()) == (left, False)
    export(year, "--source", "google_sheets", "--format", "omh", "--out", str(tmp_path / out))
    assert os.listdir(tmp_path) == [out]
