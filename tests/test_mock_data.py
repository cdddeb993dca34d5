"""The invented year: alike on every run, plausible as a body, exact as a vendor's layout, messy in the ways it promises."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any
from zipfile import ZipFile

import pytest

from config.errors import SettingsError
from scripts.generate_mock_data import Summary, generate, main
from scripts.mock.person import Person
from scripts.mock.plan import DAY, make_plan

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
END = date(2025, 12, 31)
GIVEN_NAMES = re.compile(
    r"\b("
    r"Adam|Agnieszka|Alice|Andrzej|Anna|Barbara|Bob|Carlos|David|Elena|Emily|Emma|Ewa|Grzegorz|Hans|Ivan|Jakub|"
    r"James|Jan|Jane|Jerzy|Joanna|John|José|Katarzyna|Krzysztof|Laura|Li|Maciej|Magdalena|Maria|Marie|Marek|"
    r"Mary|Michael|Mohammed|Monika|Olga|Paul|Paweł|Peter|Piotr|Robert|Sarah|Sofia|Stanisław|Thomas|Tomasz|Wang|"
    r"William|Zofia"
    r")\b"
)


class Year:
    """What the script wrote for its default year, opened once."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.summary: Summary = generate(out, end=END)
        self.person = Person(self.summary.plan)
        self.grid: dict[str, Any] = json.loads((out / "google_sheets/blood_pressure_log.json").read_text("utf-8"))
        self.old_zip, self.new_zip = sorted((out / "mi_fitness").iterdir())
        self.samples = table(self.new_zip, "hlth_center_fitness_data")
        self.reports = table(self.new_zip, "hlth_center_aggregated_fitness_data")

    def values(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(row["Value"]) for row in self.samples if row["Key"] == key]

    def daily(self, key: str) -> dict[str, dict[str, Any]]:
        rows = (r for r in self.reports if (r["Tag"], r["Key"]) == ("daily_report", key))
        return {utc(r["Time"]).date().isoformat(): json.loads(r["Value"]) for r in rows}

    def cuff(self, name: str, delimiter: str = ",") -> list[list[str]]:
        (path,) = (self.out / "bp_csv").glob(name)
        return list(csv.reader(io.StringIO(path.read_text("utf-8"), newline=""), delimiter=delimiter))


def members(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def table(path: Path, name: str) -> list[dict[str, str]]:
    (text,) = (content.decode() for member, content in members(path).items() if member.endswith(f"_MiFitness_{name}.csv"))
    return list(csv.DictReader(io.StringIO(text, newline="")))


def contents(folder: Path) -> dict[str, bytes | dict[str, bytes]]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): members(p) if p.suffix == ".zip" else p.read_bytes() for p in files}


def texts(folder: Path) -> Iterator[str]:
    for content in contents(folder).values():
        parts = content.values() if isinstance(content, dict) else [content]
        yield from (part.decode("utf-8") for part in parts)


def utc(seconds: str | int) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    return Year(tmp_path_factory.mktemp("mock") / "inbox")


# -- alike


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, days=60, end=END, seed=3)
    first, second = ({p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("a", "b"))
    assert first == second
    assert len(first) == 8


def test_another_seed_is_another_person(tmp_path: Path) -> None:
    for seed in (3, 4):
        generate(tmp_path / str(seed), days=60, end=END, seed=seed)
    one, other = (contents(tmp_path / str(seed)) for seed in (3, 4))
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] == other[name]] == []


def test_the_shipped_examples_are_what_the_script_writes(year: Year, tmp_path: Path) -> None:
    assert contents(EXAMPLES / "inbox") == contents(year.out)
    assert main(["--out", str(tmp_path / "inbox"), "--days", "365"]) == 0
    assert (tmp_path / "settings.yaml").read_bytes() == (EXAMPLES / "settings.yaml").read_bytes()


def test_the_shipped_examples_are_small() -> None:
    assert sum(p.stat().st_size for p in EXAMPLES.rglob("*") if p.is_file()) < 2_500_000


def test_zips_carry_no_clock_and_no_machine(year: Year) -> None:
    with ZipFile(year.new_zip) as archive:
        infos = archive.infolist()
    assert {(i.date_time, i.create_system, i.extra) for i in infos} == {((2026, 1, 1, 12, 0, 0), 3, b"")}


def test_a_year_and_a_month_take_the_same_memory(tmp_path: Path) -> None:
    peaks = []
    for days in (10, 15, 90):  # the first pays for caches and imports
        tracemalloc.start()
        generate(tmp_path / str(days), days=days, end=END, hr_minutes=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 500_000


def test_only_the_standard_library_is_needed() -> None:
    allowed = {*sys.stdlib_module_names, "config", "scripts"}
    for path in [*(ROOT / "scripts/mock").glob("*.py"), ROOT / "scripts/generate_mock_data.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {n.split(".")[0] for n in names} <= allowed, path.name


# -- plausible


def test_the_medication_lowers_the_pressure_by_about_twelve(year: Year) -> None:
    plan = year.person.plan
    readings = [(day, r.systolic) for day in plan.whole.days() for r in year.person.readings(day)]
    before = mean(s for day, s in readings if day < plan.medication)
    after = mean(s for day, s in readings if day >= plan.medication + 21 * DAY)
    assert 9 < before - after < 16
    rows = [row for row in year.grid["values"][5:] if row and isinstance(row[0], int) and isinstance(row[2], int)]
    started = (plan.medication - date(1899, 12, 30)).days
    early, late = ([row[2] for row in rows if (row[0] < started) is first and row[2] > 100] for first in (True, False))
    assert mean(early) - mean(late) > 6


def test_both_nights_on_which_clocks_change_are_recorded(year: Year) -> None:
    nights = {utc(v["wake_up_time"]).date(): v for v in year.values("watch_night_sleep")}
    for day, before, after in ((date(2025, 3, 30), 4, 8), (date(2025, 10, 26), 8, 4)):
        night = year.person.night(day)
        assert night is not None
        assert nights[day]["bedtime"] == night.start
        assert nights[day]["timezone"] == after
        assert year.person.plan.offset(day - DAY, night.start) // 900 == before
        hours = (year.person.plan.begins(day + DAY) - year.person.plan.begins(day)) / 3600
        assert hours == 24 - (after - before) / 4


def test_a_year_has_the_counts_of_a_life(year: Year) -> None:
    beats = [v["bpm"] for v in year.values("heart_rate")]
    valid = [b for b in beats if b not in (0, 255)]
    steps = [v["steps"] for v in year.daily("steps").values()]
    nights = [v["total_duration"] for v in year.daily("sleep").values()]
    assert 15_000 < len(beats) < 17_520
    assert 60 < mean(valid) < 80
    assert min(valid) > 35 < max(valid) < 190
    assert 5_000 < mean(steps) < 9_000
    assert 330 < len(nights) < 365
    assert 380 < mean(nights) < 500
    assert 1_000 < sum(len(year.person.readings(d)) for d in year.person.plan.whole.days()) < 1_460
    assert all(r.diastolic < r.systolic for d in year.person.plan.whole.days() for r in year.person.readings(d))


def test_weekdays_seasons_and_sport_leave_their_mark(year: Year) -> None:
    steps = {date.fromisoformat(d): v["steps"] for d, v in year.daily("steps").items()}
    ordinary = {d: n for d, n in steps.items() if not year.person.plan.is_holiday(d)}
    assert mean(n for d, n in ordinary.items() if d.weekday() < 5) > mean(n for d, n in ordinary.items() if d.weekday() > 4)
    assert mean(n for d, n in ordinary.items() if d.month in (6, 7)) > mean(n for d, n in ordinary.items() if d.month in (1, 12))
    assert mean(n for d, n in steps.items() if year.person.plan.is_holiday(d)) > 9_000
    assert len(table(year.new_zip, "hlth_center_sport_record")) > 50


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
def test_days_join_without_hole_or_overlap_in_any_zone(zone: str) -> None:
    plan = make_plan(400, END, 7, zone)
    begins = [plan.begins(day) for day in plan.whole.days()]
    lengths = [b - a for a, b in pairwise(begins)]
    assert all(8 * 3600 < n < 40 * 3600 for n in lengths)  # from Lord Howe Island to New York the clock goes back 15 hours
    local = [(s, plan.zones.local_date(s), plan.zones.local_date(s - 1)) for s in begins]
    assert all((today - before).days == 1 for _, today, before in local)


@pytest.mark.parametrize("days", [7, 20, 40])
def test_short_lives_are_written_too(tmp_path: Path, days: int) -> None:
    summary = generate(tmp_path / "inbox", days=days, end=END, hr_minutes=5)
    assert len(summary.files) == 8
    assert all(f.rows > 0 for f in summary.files)


# -- the vendors' layouts


def test_mi_fitness_headers_are_exact(year: Year) -> None:
    stem = "20260101_1234567890_MiFitness_"
    headers = {name.removeprefix(stem): text.split(b"\n", 1)[0].decode() for name, text in members(year.new_zip).items()}
    assert year.new_zip.name == f"{stem}fr1_data_copy.zip"
    assert headers["hlth_center_fitness_data.csv"] == "Uid,Sid,Key,Time,Value,UpdateTime"
    assert headers["hlth_center_aggregated_fitness_data.csv"] == "Uid,Sid,Tag,Key,Time,Value,UpdateTime"
    assert headers["hlth_center_sport_record.csv"] == "Uid,Sid,Key,Time,Category,Value,UpdateTime"
    assert headers["hlth_center_data_source.csv"] == "Uid,Sid,Identifier,Model,Name,Alias,Status,CreateTime,UpdateTime"
    assert set(headers) == {*list(headers)[:4], "user_fitness_profile.csv"}


def test_mi_fitness_has_every_key_and_three_senders(year: Year) -> None:
    keys = {"steps", "calories", "heart_rate", "single_heart_rate", "resting_heart_rate", "single_spo2", "spo2", "sleep"}
    assert {r["Key"] for r in year.samples} == keys | {"watch_night_sleep", "watch_daytime_sleep", "weight", "stress"}
    assert {r["Sid"].split(".")[0] for r in year.samples} == {"huami", "hlth", "xiaomiwear_app_manually"}
    assert {r["Tag"] for r in year.reports} == {"daily_report", "daily_mark", "daily_fitness"}


def test_blood_pressure_csv_headers_are_exact(year: Year) -> None:
    def heading(name: str) -> str:
        return next((year.out / "bp_csv").glob(name)).read_text("utf-8").splitlines()[0]

    omron = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes"
    assert heading("Your Requested OMRON Report from Oct 02 2025 to Nov 26 2025.csv") == omron
    assert heading("user1.csv") == "datetime,dia,sys,bpm,mov,ihb"
    assert heading("bp.csv") == 'Date,"Heart rate",Systolic,Diastolic,Comments'
    assert heading("blood_press_export.csv").startswith("timestampUnixMs,systolic,diastolic,pulse,notes")
    assert "kPa" in heading("clinic_kpa.csv")


def test_the_sheet_is_what_the_sheets_api_gives(year: Year) -> None:
    assert {k: year.grid[k] for k in ("locale", "timeZone")} == {"locale": "pl_PL", "timeZone": "Europe/Warsaw"}
    assert year.grid["values"][3] == ["", "Rano", "", "", "", "Wieczór", "", "", "", ""]
    assert year.grid["values"][4] == ["Data", "Godz.", "SYS", "DIA", "Puls", "Godz.", "SYS", "DIA", "Puls", "Uwagi"]
    serials = [row[0] for row in year.grid["values"][5:] if row and isinstance(row[0], int)]
    assert serials == sorted(serials)
    assert 200 < len(serials) < 250
    window = year.person.plan.sheet
    assert (serials[0], serials[-1]) == tuple((d - date(1899, 12, 30)).days for d in window)


# -- the traps


def test_the_sheet_has_every_promised_mess(year: Year) -> None:
    rows = year.grid["values"][5:]
    cells = [str(c) for row in rows for c in row]
    assert [] in rows
    assert sum(row[:1] == ["Średnia"] for row in rows) >= 8
    for shape in (
        r"\d{2,3}/\d{2,3}",
        r"\d+,5",
        r"\d+ mmHg",
        r" \d+\u00a0",
        r"HI",
        r"#VALUE!",
        r"\d{2}\.\d{2}\.2025",
        r"\d\.\d{2}",
    ):
        assert any(re.fullmatch(shape, c) for c in cells), shape
    numbers = [row for row in rows if row and isinstance(row[0], int) and isinstance(row[2], int)]
    assert sum(isinstance(row[3], int) and row[2] < row[3] for row in numbers) == 1
    assert any(row[3] == "" for row in numbers)
    assert any(row[9] for row in numbers)


def test_day_rows_are_stamped_utc_midnight_of_the_local_day(year: Year) -> None:
    assert all(int(r["Time"]) % 86400 == 0 for r in year.reports)
    resting = [r for r in year.samples if r["Key"] == "resting_heart_rate"]
    assert all(json.loads(r["Value"])["date_time"] == int(r["Time"]) for r in resting)
    assert all(int(r["Time"]) % 86400 == 0 for r in resting)


def test_the_latest_heart_rate_carries_the_local_clock_as_if_it_were_utc(year: Year) -> None:
    gaps = {v["latest_hr"]["time"] - v["latest_hr"]["dbTime"] for v in year.daily("heart_rate").values() if "latest_hr" in v}
    assert gaps == {3600, 7200, -4 * 3600}  # winter, summer, the week abroad


def test_zero_and_255_stand_for_nothing_measured(year: Year) -> None:
    beats = [v["bpm"] for v in year.values("heart_rate")]
    assert beats.count(0) > 5 < beats.count(255)
    assert any(v["spo2"] == 0 for v in year.values("spo2"))
    assert any(v["avg_hr"] == 0 for v in year.daily("sleep").values())
    assert any(v["avg_hr"] == 0 for v in year.daily("heart_rate").values())


def test_a_night_stands_twice_and_its_stages_fill_it(year: Year) -> None:
    nights = {v["wake_up_time"]: v for v in year.values("watch_night_sleep")}
    sleeps = {v["wake_up_time"]: v for v in year.values("sleep")}
    assert nights.keys() < sleeps.keys()
    for wake, night in nights.items():
        items = night["items"]
        assert (items[0]["start_time"], items[-1]["end_time"]) == (night["bedtime"], wake)
        assert all(a["end_time"] == b["start_time"] for a, b in pairwise(items))
        stages = sum(night[f"sleep_{s}_duration"] for s in ("deep", "light", "rem"))
        assert night["duration"] == stages == (wake - night["bedtime"]) // 60 - night["sleep_awake_duration"]
    naps = [v for v in sleeps.values() if v["duration"] < 120]
    assert len(naps) == len(year.values("watch_daytime_sleep")) > 10
    assert any({i["state"] for i in v["items"]} <= {5, 6} for v in sleeps.values())


def test_the_daily_sleep_report_adds_its_segments_up(year: Year) -> None:
    for report in year.daily("sleep").values():
        assert report["total_duration"] == sum(s["duration"] for s in report["segment_details"])
    assert any(len(report["segment_details"]) > 1 for report in year.daily("sleep").values())


def test_steps_of_phone_and_band_overlap_and_the_report_is_not_their_sum(year: Year) -> None:
    day, report = "2025-05-14", year.daily("steps")["2025-05-14"]["steps"]
    begin = year.person.plan.begins(date.fromisoformat(day))
    own = [r for r in year.samples if r["Key"] == "steps" and begin <= int(r["Time"]) < begin + 86400]
    by_sid: dict[str, int] = {}
    for row in own:
        by_sid[row["Sid"]] = by_sid.get(row["Sid"], 0) + json.loads(row["Value"])["steps"]
    assert len(by_sid) == 2
    assert max(by_sid.values()) <= report < sum(by_sid.values())


def test_some_days_have_samples_but_no_report(year: Year) -> None:
    marked = {r["Time"] for r in year.reports if (r["Tag"], r["Key"]) == ("daily_mark", "sleep")}
    reported = {r["Time"] for r in year.reports if (r["Tag"], r["Key"]) == ("daily_report", "sleep")}
    assert 3 <= len(marked - reported) < 25


def test_the_band_was_off_for_days(year: Year) -> None:
    plan = year.person.plan
    seen = {plan.zones.local_date(int(r["Time"])) for r in year.samples if r["Key"] == "heart_rate"}
    missing = [d for d in plan.whole.days() if d not in seen]
    assert missing == [d for d in plan.whole.days() if not plan.is_worn(d)]
    assert 5 < len(missing) < 40
    assert any(b - a == DAY for a, b in pairwise(missing))


def test_rows_repeat_inside_one_export(year: Year) -> None:
    keys = [(r["Sid"], r["Key"], r["Time"]) for r in year.samples]
    assert 0 < len(keys) - len(set(keys)) < 100


def test_the_older_export_overlaps_with_older_update_times_and_half_a_last_day(year: Year) -> None:
    def by_key(rows: list[dict[str, str]]) -> dict[tuple[str | None, ...], dict[str, str]]:
        return {(r["Sid"], r.get("Tag"), r["Key"], r["Time"]): r for r in rows}

    new, old = by_key(year.samples), by_key(table(year.old_zip, "hlth_center_fitness_data"))
    assert len(old) > 4_000
    assert old.keys() < new.keys()
    assert all(int(row["UpdateTime"]) < int(new[key]["UpdateTime"]) for key, row in old.items())
    assert all(row["Value"] == new[key]["Value"] for key, row in old.items())
    reports, earlier = by_key(year.reports), by_key(table(year.old_zip, "hlth_center_aggregated_fitness_data"))
    differing = {key[3] for key, row in earlier.items() if row["Value"] != reports[key]["Value"]}
    assert {utc(str(t)).date() for t in differing} == {year.person.plan.old_export.last}


def test_the_week_abroad_moves_the_clock_of_the_band(year: Year) -> None:
    quarters = {v["timezone"] for v in year.values("sleep")}
    assert quarters == {4, 8, -16}


def test_the_cuff_repeats_the_sheet_for_a_fortnight(year: Year) -> None:
    omron = {(r[0], r[1], r[2], r[3]) for r in year.cuff("Your*")[1:]}
    twins = 0
    for row in year.grid["values"][5:]:
        if row and isinstance(row[0], int):
            day = date(1899, 12, 30) + timedelta(days=row[0])
            for clock, high, low in (row[1:4], row[5:8]):
                if isinstance(clock, float):
                    minute = round(clock * 1440)
                    text = f"{day:%b} {day.day} {day.year}", f"{minute // 60:02d}:{minute % 60:02d}", str(high), str(low)
                    twins += text in omron
    assert twins > 15


def test_each_cuff_file_carries_its_trap(year: Year) -> None:
    omron, omblepy, withings, app = (year.cuff(n)[1:] for n in ("Your*", "user1.csv", "bp.csv", "blood_press_export.csv"))
    assert sum(row[2:5] == ["0", "0", "0"] for row in omron) == 1
    assert len(omron) - len({tuple(r) for r in omron}) == 1
    assert omblepy[0][0].startswith("2010-01-01")
    assert sum(row[2:4] == ["", ""] for row in withings) > 14
    assert sum(row[2] != "" for row in withings) > 2
    assert sum(int(row[1]) < int(row[2]) for row in app) == 1
    assert any(json.loads(row[5]) for row in app if row[5])
    pairs = [row[2] for row in year.cuff("clinic_kpa.csv", ";")[1:]]
    assert len(pairs) > 20
    assert all(re.fullmatch(r"1\d\.\d/\d{1,2}\.\d", p) for p in pairs)


# -- harmless


def test_no_real_looking_names_or_addresses(year: Year) -> None:
    for text in [*texts(year.out), (EXAMPLES / "settings.yaml").read_text("utf-8")]:
        plain = re.sub(r"^Jan \d", "", text, flags=re.MULTILINE)  # a month, not a man
        assert not GIVEN_NAMES.search(plain)
        assert "@" not in text
    devices = table(year.new_zip, "hlth_center_data_source")
    assert {(r["Name"], r["Alias"]) for r in devices} == {("Mi Smart Band 6", ""), ("Phone", ""), ("Entered by hand", "")}


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    real = tmp_path / "inbox/bp_csv/mine.csv"
    real.parent.mkdir(parents=True)
    real.write_text("mine")
    with pytest.raises(FileExistsError):
        generate(tmp_path / "inbox", days=7, end=END)
    assert [p.name for p in (tmp_path / "inbox").rglob("*.*")] == ["mine.csv"]


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    generate(tmp_path / "inbox", days=20, end=END)
    summary = generate(tmp_path / "inbox", days=10, end=END - 40 * DAY)
    assert sorted(p for p in (tmp_path / "inbox").rglob("*.*")) == sorted(f.path for f in summary.files)


@pytest.mark.parametrize("wrong", [{"days": 3}, {"hr_minutes": 7}])
def test_wrong_arguments_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least 7|half an hour"):
        generate(tmp_path / "inbox", end=END, **wrong)


def test_an_unknown_zone_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        generate(tmp_path / "inbox", end=END, timezone="Europe/Nowhere")
    assert not (tmp_path / "inbox").exists()


def test_the_command_prints_a_summary_and_keeps_somebody_elses_settings(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/generate_mock_data.py"), "--out", str(tmp_path / "inbox"), "--days", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 10
    (tmp_path / "settings.yaml").write_text("timezone: UTC\n")
    again = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1
    assert (tmp_path / "settings.yaml").read_text() == "timezone: UTC\n"
