"""OMRON exports: the app's CSV in its languages and layouts, omblepy's files, several tables in one report, one cuff, two people."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.stage import Report
from ingestion.omron.records import records
from processing.normalizers.omron import normalize
from tests.stage_bench import StageBench, as_file

SETTINGS: dict[str, Any] = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "own_users": {}}
CONNECT = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes\n"
OMBLEPY = "datetime,dia,sys,bpm,mov,ihb\n"
LOGBOOK = "Measurement Date,Time Zone,SYS,DIA,Pulse,Device Model Name\n"
REPORT = "Your Requested OMRON Report from Jan 01 2025 to Jan 22 2025.csv"
Files = Mapping[str, str | bytes]


def made(folder: Path, files: Files) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Report, Path]:
    raw = []
    folder.mkdir(parents=True, exist_ok=True)
    for n, (name, data) in enumerate(sorted(files.items())):
        (folder / f"file{n}").write_bytes(data.encode() if isinstance(data, str) else data)
        raw.append(as_file(folder / f"file{n}", f"raw/omron/{name}"))
    done, out = StageBench(folder / "records").run(records, {"raw": raw}, SETTINGS)
    found = pq.read_table(out / "records").to_pylist()
    for record in found:
        record["raw"] = json.loads(record["raw"])
    return found, pq.read_table(out / "dead_letters").to_pylist(), done, out / "records"


def read(folder: Path, files: Files, **given: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
    *_, path = made(folder, files)
    done, out = StageBench(folder / "normalized").run(normalize, {"records": path}, SETTINGS | given)
    return pq.read_table(out / "readings").to_pylist(), pq.read_table(out / "rejected").to_pylist(), done["balance"]["fates"]


def pressures(readings: list[dict[str, Any]]) -> list[tuple[datetime, float, float]]:
    at = {metric: {r["start"]: r["value"] for r in readings if r["metric"] == metric} for metric in ("systolic", "diastolic")}
    return [(start, value, at["diastolic"][start]) for start, value in sorted(at["systolic"].items())]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def packed(files: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sink.getvalue()


def test_a_report_of_the_app_is_read_and_a_dash_is_nothing(tmp_path: Path) -> None:
    rows = "Jan 12 2025,08:15,128,82,64,-,-,Off,ok\nJan 6 2025,05:22 am,117,76,-,-,-,-,-\n"
    readings, rejected, fates = read(tmp_path, {REPORT: CONNECT + rows})
    assert pressures(readings) == [(utc(2025, 1, 6, 4, 22), 117, 76), (utc(2025, 1, 12, 7, 15), 128, 82)]
    assert [r["value"] for r in readings if r["metric"] == "pulse"] == [64]
    assert (rejected, fates) == ([], {"accepted": 2})


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            "Datum;Uhrzeit;Systolisch (mmHg);Diastolisch (mmHg);Puls (bpm);Symptome;Eingenommen;TruRead;Notizen",
            "12. Jan. 2025;08:15;128;82;64;-;-;Aus;-",
        ),
        (
            "Data,Godzina,Skurczowe (mmHg),Rozkurczowe (mmHg),Tętno (bpm),Objawy,Przyjęte,TruRead,Notatki",
            "12 sty 2025,08:15,128,82,64,-,-,-,-",
        ),
        ("Data,Godzina,Skurczowe (mmHg),Rozkurczowe (mmHg),Tętno (bpm),Objawy,Notatki", "12 sty 2025,08:15,128,82,64,-,-"),
        (
            "Date,Heure,Systolique (mmHg),Diastolique (mmHg),Pouls (bpm),Symptômes,TruRead,Remarques",
            "12 janv. 2025,08:15,128,82,64,-,-,-",
        ),
        ("Fecha,Hora,Sistólica (mmHg),Diastólica (mmHg),Pulso (bpm),TruRead,Notas", "12 ene 2025,08:15,128,82,64,-,-"),
        ("Data;Ora;Sistolica (mmHg);Diastolica (mmHg);Polso (bpm);TruRead;Note", "12 gen 2025;08:15;128;82;64;-;-"),
        (
            "Дата,Время,Систолическое (мм рт. ст.),Диастолическое (мм рт. ст.),Пульс (уд/мин),TruRead,Заметки",
            "12.01.2025,08:15,128,82,64,-,-",
        ),
        ("Datum;Uhrzeit;Systolisch (kPa);Diastolisch (kPa);Puls (bpm);TruRead;Notizen", "12.01.2025;08:15;17,1;10,9;64;-;-"),
    ],
)
def test_the_apps_languages_say_the_same(tmp_path: Path, header: str, row: str) -> None:
    readings, rejected, _ = read(tmp_path, {REPORT: f"\ufeff{header}\n{row}\n"})
    ((start, high, low),) = pressures(readings)
    assert (start, round(high), round(low), rejected) == (utc(2025, 1, 12, 7, 15), 128, 82, [])


def test_a_file_of_omblepy_has_the_diastolic_first_and_seconds(tmp_path: Path) -> None:
    readings, _, _ = read(tmp_path, {"user1.csv": OMBLEPY + "2025-01-12 08:15:40,82,128,64,1,1\n"})
    assert pressures(readings) == [(utc(2025, 1, 12, 7, 15, 40), 128, 82)]
    assert readings[0]["flags"] == ["irregular_heartbeat", "movement"]


def test_the_cuffs_second_user_is_somebody_else_unless_said_otherwise(tmp_path: Path) -> None:
    files = {
        "user1.csv": OMBLEPY + "2025-01-12 08:15:40,82,128,64,0,0\n",
        "user2.csv": OMBLEPY + "2025-01-12 09:15:40,90,140,70,0,0\n",
    }
    readings, rejected, fates = read(tmp_path / "1", files)
    assert [high for _, high, _ in pressures(readings)] == [128]
    assert ([r["reason"] for r in rejected], fates) == (["other_user"], {"accepted": 1, "rejected:other_user": 1})
    readings, _, _ = read(tmp_path / "2", files, own_users={"omron": ["User 2"]})
    assert [high for _, high, _ in pressures(readings)] == [140]


def test_a_measurement_told_by_app_and_omblepy_counts_once_whichever_comes_first(tmp_path: Path) -> None:
    app, cable = CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,ok\n", OMBLEPY + "2025-01-12 08:15:40,82,128,64,0,1\n"
    for n, names in enumerate((("a.csv", "user1.csv"), ("z.csv", "user1.csv"))):
        readings, _, fates = read(tmp_path / str(n), {names[0]: app, names[1]: cable})
        assert pressures(readings) == [(utc(2025, 1, 12, 7, 15, 40), 128, 82)]
        assert fates == {"accepted": 1, "duplicate": 1}


def test_two_measurements_of_one_minute_are_two(tmp_path: Path) -> None:
    files = {
        "a.csv": CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\n",
        "user1.csv": OMBLEPY + "2025-01-12 08:15:40,80,124,63,0,0\n",
    }
    readings, _, fates = read(tmp_path, files)
    assert (len(pressures(readings)), fates) == (2, {"accepted": 2})


def test_the_other_users_equal_values_take_nothing_away(tmp_path: Path) -> None:
    files = {
        "a.csv": CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\n",
        "user2.csv": OMBLEPY + "2025-01-12 08:15:40,82,128,64,0,0\n",
    }
    readings, _, fates = read(tmp_path, files)
    assert (pressures(readings), fates) == ([(utc(2025, 1, 12, 7, 15), 128, 82)], {"accepted": 1, "rejected:other_user": 1})


def test_overlapping_reports_give_each_measurement_once(tmp_path: Path) -> None:
    rows = ["Jan 12 2025,08:15,128,82,64,-,-,Off,-\n", "Jan 13 2025,08:15,126,80,62,-,-,Off,-\n"]
    _, _, done, _ = made(tmp_path, {"a.csv": CONNECT + rows[0], "b.csv": CONNECT + rows[1] + rows[0]})
    assert done["balance"]["fates"] == {"accepted": 2, "duplicate": 1, "unused:header": 2}


def test_a_row_with_its_own_zone_was_measured_there_and_counts_for_the_day_there(tmp_path: Path) -> None:
    rows = "2025/03/04 07:30,Asia/Tokyo,120,80,60,HEM-7361T\n2025/03/06 07:30,UTC-05:00,121,81,61,HEM-7361T\n"
    readings, _, _ = read(tmp_path, {"log.csv": LOGBOOK + rows})
    assert [start for start, _, _ in pressures(readings)] == [utc(2025, 3, 3, 22, 30), utc(2025, 3, 6, 12, 30)]
    assert readings[0]["local_date"] == date(2025, 3, 4)


def test_a_zone_nobody_knows_is_flagged_and_the_persons_own_is_taken(tmp_path: Path) -> None:
    found, _, _, _ = made(tmp_path, {"log.csv": LOGBOOK + "2025/03/05 07:30,Mars/Base,120,80,60,HEM-7361T\n"})
    assert (found[0]["source_timestamp"], found[0]["errors"]) == (utc(2025, 3, 5, 6, 30), ["unknown_zone"])


def test_a_cuff_whose_clock_fell_back_has_no_time_to_trust(tmp_path: Path) -> None:
    rows = "2010-01-01 00:05:10,80,120,60,0,0\n2010-01-02 00:05:10,80,121,60,0,0\n"
    found, _, done, _ = made(tmp_path, {"user1.csv": OMBLEPY + rows})
    assert [(r["status"], r["errors"]) for r in found] == [("invalid", ["clock_reset"]), ("valid", [])]
    assert found[0]["time_text"] == "2010-01-01 00:05:10"
    assert done["balance"]["fates"]["rejected:clock_reset"] == 1


def test_further_tables_of_a_report_are_named_and_counted_not_read_as_pressure(tmp_path: Path) -> None:
    more = '\n"Date","Total steps","Total distance (mi)","Calories"\n"Jan 12 2025","4000","2.1","120"\n"Jan 13 2025","4100","2.2","121"\n'
    found, letters, done, _ = made(tmp_path, {REPORT: CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\n" + more})
    assert (len(found), letters) == (1, [])
    assert done["balance"]["fates"] == {"accepted": 1, "unused:blank": 1, "unused:header": 2, "unused:table_not_read": 2}
    assert "Total steps" in done["findings"][0]["message"]


def test_pressure_after_another_table_keeps_its_lines(tmp_path: Path) -> None:
    steps = "Date,Total steps,Calories\nJan 12 2025,4000,120\n"
    found, _, _, _ = made(tmp_path, {REPORT: steps + CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\n"})
    assert [r["position"] for r in found] == ["line 4"]


def test_reports_in_an_archive_are_read_and_an_odd_member_stops_none(tmp_path: Path) -> None:
    inside = {
        "user2.csv": OMBLEPY + "2025-01-12 09:15:40,90,140,70,0,0\n",
        "a.pdf": b"%PDF-1.7",
        "x/r.csv": CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\n",
    }
    found, letters, _, _ = made(tmp_path, {"mail.zip": packed(inside)})
    assert [(r["raw"]["fields"].get("user"), r["position"]) for r in found] == [
        ("2", "user2.csv line 2"),
        (None, "x/r.csv line 2"),
    ]
    assert [x["position"] for x in letters] == ["a.pdf"]


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x02", b"<html>login</html>", b"PK\x03\x04", b"a,b\n1,2\n", b'"' + b"x" * 100])
def test_a_file_that_is_something_else_is_refused_and_the_others_are_read(tmp_path: Path, data: bytes) -> None:
    good = CONNECT + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\n"
    found, letters, done, _ = made(tmp_path, {"bad.csv": data, "good.csv": good})
    assert len(found) == 1
    assert len(letters) == (1 if data else 0)
    assert sum(done["balance"]["fates"].values()) == done["balance"]["came"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.sampled_from([CONNECT, OMBLEPY, LOGBOOK]), lines=st.lists(st.text(max_size=60), max_size=5))
def test_whatever_stands_below_a_header_nothing_breaks(
    tmp_path_factory: pytest.TempPathFactory, header: str, lines: list[str]
) -> None:
    text = header + "".join(f"{line}\n" for line in lines)
    _, _, done, _ = made(tmp_path_factory.mktemp("any"), {"a.csv": text.encode("utf-8", "surrogatepass")})
    assert sum(done["balance"]["fates"].values()) == done["balance"]["came"]
