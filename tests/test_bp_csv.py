"""Blood pressure CSVs of several tools: the preset is found by the header or the file says what could not be decided."""

from __future__ import annotations

import datetime as dt
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from config.stage import File
from ingestion.bp_csv.extract import extract
from ingestion.bp_csv.preset import read_preset
from ingestion.bp_csv.presets import SHIPPED
from tests.blood_pressure_bench import Made, run
from tests.stage_bench import StageBench, as_file

OMRON = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes\n"
APP_2 = "\ufefftimestampUnixMs;systolic;diastolic;pulse;notes;color;intakes;bodyweight\n"


def csv_of(folder: Path, text: str | bytes, presets: dict[str, Any] | None = None, name: str = "a.csv") -> Made:
    return run("bp_csv", folder, {name: text}, {"bp_csv_presets": presets or {}})


def test_omron_connect_is_read_with_its_dashes_for_nothing(tmp_path: Path) -> None:
    made = csv_of(tmp_path, OMRON + "Jan 12 2025,08:15,128,82,64,-,-,Off,ok\nJan 11 2025,20:15,-,-,-,-,-,Off,-\n")
    assert made.values == [("128", "82", "64")]
    record = made.records[0]
    assert (record["raw_id"], record["position"]) == ("omron_connect:2025-01-12T08:15#1", "line 2")
    assert record["source_timestamp"] == datetime(2025, 1, 12, 7, 15, tzinfo=UTC)
    raw = made.raws()[0]
    assert (raw["preset"], raw["unit"], raw["row"]["TruRead"], raw["fields"]["note"]) == ("omron_connect", "mmHg", "Off", "ok")
    assert made.normalized["balance"]["fates"] == {"accepted": 1, "unused:no_measurement": 1}


@pytest.mark.parametrize(
    ("header", "date"),
    [
        ("Datum,Zeit,Systolisch (mmHg),Diastolisch (mmHg),Puls (bpm),Symptome,Eingenommen,TruRead,Notizen", "12.01.2025"),
        ("Data,Godzina,Skurczowe (mmHg),Rozkurczowe (mmHg),Tętno (bpm),Objawy,Przyjęte,TruRead,Notatki", "12 sty 2025"),
        ("Fecha,Hora,Sistólica (mmHg),Diastólica (mmHg),Pulso (bpm),Síntomas,Consumido,TruRead,Notas", "12 ene 2025"),
        ("Date,Heure,Systolique (mmHg),Diastolique (mmHg),Pouls (bpm),Symptômes,Consommé,TruRead,Remarques", "12 janv. 2025"),
        ("Pvm,Kello,Systolic pressure (mmHg),Diastolic pressure (mmHg),Pulse (bpm),x,y,TruRead,Date", "2025-01-12"),
    ],
)
def test_omron_connect_is_known_in_other_languages(tmp_path: Path, header: str, date: str) -> None:
    last = date if header.startswith("Pvm") else ""
    made = csv_of(tmp_path, f"{header}\n{date},08:15,128,82,64,-,-,Off,{last}\n")
    assert made.values == [("128", "82", "64")]
    assert made.raws()[0]["preset"] == ("generic" if last else "omron_connect")
    assert made.records[0]["source_timestamp"].date() == dt.date(2025, 1, 12)


def test_a_second_user_of_the_cuff_is_kept_as_record_and_gives_no_reading(tmp_path: Path) -> None:
    header = OMRON.replace("Notes", "User")
    rows = "Jan 12 2025,08:15,128,82,64,-,-,Off,User 1\nJan 12 2025,08:15,118,72,60,-,-,Off,User 2\n"
    made = csv_of(tmp_path, header + rows)
    assert (len(made.records), made.values, made.reasons) == (2, [("128", "82", "64")], [("other_user", "user")])
    files = {"user1.csv": "datetime,dia,sys,bpm,mov,ihb\n2025-01-12 08:15:00,82,128,64,0,0\n"}
    files["user2.csv"] = files["user1.csv"].replace("82,128", "72,118")
    assert run("bp_csv", tmp_path / "omblepy", files).values == [("128", "82", "64")]
    mine = {"my_cuff": {**SHIPPED["omblepy"], "own_user": "2"}}
    assert run("bp_csv", tmp_path / "mine", files, {"bp_csv_presets": mine}).values == [("118", "72", "64")]


def test_omblepy_has_diastolic_first_and_marks(tmp_path: Path) -> None:
    made = csv_of(
        tmp_path, "datetime,dia,sys,bpm,mov,ihb\r\n2025-01-12 08:15:42,82,128,64,1,1\r\n2025-01-12 08:17:42,80,126,63,0,0\r\n"
    )
    assert made.values == [("128", "82", "64"), ("126", "80", "63")]
    assert [r["flags"] for r in made.readings if r["metric"] == "pulse"] == [["irregular_heartbeat", "movement"], []]


@pytest.mark.parametrize(
    "header",
    [
        'Date,"Heart rate",Systolic,Diastolic,Comments',
        "Date,Heart rate (bpm),Systolic (mmHg),Diastolic (mmHg),Comments",
    ],
)
def test_withings_rows_with_a_pulse_only_are_no_blood_pressure(tmp_path: Path, header: str) -> None:
    made = csv_of(tmp_path, f'{header}\n"2023-07-28 06:27:47",56,,,\n"2023-07-28 07:27:47",60,128,82,"after, coffee"\n')
    assert [(r["raw_id"], r["status"]) for r in made.records] == [
        ("withings:2023-07-28T06:27:47#1", "warning"),
        ("withings:2023-07-28T07:27:47#1", "valid"),
    ]
    assert made.values == [("", "", "56"), ("128", "82", "60")]
    assert made.readings[2]["flags"] in (["pulse_only"], [])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('timestampUnixMs, systolic, diastolic, pulse, notes\n1703175660000, 312, 315, 46, "test, fajkfb"\n', []),
        (
            APP_2 + "1541545200000;null;null;null;;;;\n1703175660000;128;82;64;;;;\n",
            [("128", "82", "64")],
        ),
        (
            'timestampUnixMs,systolic,diastolic,pulse,notes,needlePin\n1703175193324,123,83,53,sdfsdfds,"{""color"":4285132974}"\n',
            [("123", "83", "53")],
        ),
    ],
)
def test_the_app_s_three_layouts(tmp_path: Path, text: str, values: list[Any]) -> None:
    made = csv_of(tmp_path, text)
    assert made.values == values
    assert not made.letters


def test_a_table_in_kilopascals_of_no_known_tool(tmp_path: Path) -> None:
    made = csv_of(tmp_path, "Date;Time;Blood pressure (kPa);Pulse (bpm);Note\n2025-12-22;06:57;17,6/11,2;70;\n")
    assert made.values == [("132.011", "84.0069", "70")]
    assert made.raws()[0]["unit"] == "kPa"


def test_own_presets_win_and_say_everything(tmp_path: Path) -> None:
    mine = {
        "clinic": {
            "delimiter": ";",
            "encoding": "cp1250",
            "decimal": ",",
            "columns": {"date": ["Dzień"], "time": ["Pora"], "systolic": ["A"], "diastolic": ["B"], "pulse": ["C"]},
            "date_formats": ["%m/%d/%Y"],
            "time_formats": ["%Hh%M"],
            "unit": "kPa",
            "na": ["brak"],
        }
    }
    made = csv_of(
        tmp_path, "Dzień;Pora;A;B;C\n03/04/2025;07h30;17,1;10,9;brak\n03/05/2025;07h30;17.1;10,9;60\n".encode("cp1250"), mine
    )
    assert made.values == [("128.261", "81.7568", ""), ("", "", "60")]
    assert made.records[0]["raw_id"] == "clinic:2025-03-04T07:30#1"
    assert made.reasons == [("bad_number", "systolic")]
    assert (
        csv_of(tmp_path / "2", OMRON + "2025-03-29,8:00,1,2,3,,,,\n", {"own": {**SHIPPED["omron_connect"]}}).raws()[0]["preset"]
        == "own"
    )


@pytest.mark.parametrize(
    ("preset", "told"),
    [
        ("text", "must be a mapping"),
        ({"colums": {}}, "no key 'colums'"),
        ({"columns": []}, "columns must be a mapping, not list"),
        ({"columns": {"sys": ["Sys"]}}, "no field 'sys'"),
        ({"columns": {"date": "Datum"}}, "columns.date must be a list"),
        ({"columns": {"date": ["Datum"]}}, "where the values are"),
        ({"columns": {"pressure": ["BP"]}}, "where the time is"),
        ({"delimiter": "|"}, "delimiter must be one of"),
        ({"unit": "mmhg"}, "unit must be one of"),
        ({"padded": "yes"}, "padded must be true or false, not str"),
        ({"na": [1]}, "na must be a list of texts"),
        ({"encoding": "utf-7"}, "encoding is not known"),
        ({"user_in_name": "("}, "regular expression"),
    ],
)
def test_a_wrong_preset_names_its_key_and_an_example(preset: Any, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        read_preset("mine", preset)
    assert "bp_csv_presets.mine" in error.value.what
    assert error.value.mend


def test_a_preset_needs_a_plain_name() -> None:
    with pytest.raises(SettingsError, match="no name"):
        read_preset('x"; DROP TABLE', {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Datum,Gewicht\n2025-03-29,80\n", "'Datum', 'Gewicht'.*systolic and no column.*diastolic"),
        ("Systolic,Diastolic,Pulse\n128,82,64\n", "no column is known to hold the date"),
        ("2025-03-29,128,82\n2025-03-30,128,82\n", "No row of the file names"),
        ("Report for a person\nPvm,Ylä,Ala\n2025-03-30,128,82\n", "'Pvm', 'Ylä', 'Ala' fits no preset"),
    ],
)
def test_a_file_no_preset_fits_says_what_could_not_be_decided(tmp_path: Path, text: str, told: str) -> None:
    made = csv_of(tmp_path, text)
    assert made.fates == {"rejected:preset_undecided": 1}
    assert re.search(told, made.letters[0]["message"])
    assert "128" not in made.letters[0]["message"]


def test_presets_that_fit_equally_are_not_chosen_between(tmp_path: Path) -> None:
    columns = {"date": ["Datum"], "systolic": ["S"], "diastolic": ["D"]}
    made = csv_of(tmp_path, "Datum,S,D\n2025-03-29,128,82\n", {"one": {"columns": columns}, "two": {"columns": columns}})
    assert made.letters[0]["reason"] == "preset_undecided"
    assert "one and two" in made.letters[0]["message"]


def test_dates_of_either_order_are_decided_by_the_file_or_refused(tmp_path: Path) -> None:
    header = "Date,Time,Systolic,Diastolic\n"
    decided = csv_of(tmp_path, header + "03/04/2025,8:00,128,82\n25/04/2025,8:00,128,82\n")
    assert [r["raw_id"] for r in decided.records] == ["generic:2025-04-03T08:00#1", "generic:2025-04-25T08:00#1"]
    unsure = csv_of(tmp_path / "2", header + "03/04/2025,8:00,128,82\n")
    assert unsure.records[0]["errors"] == ["ambiguous_date"]
    assert not unsure.readings


def test_title_lines_summaries_blank_lines_and_repeated_headers(tmp_path: Path) -> None:
    text = "Report of May\n\n" + OMRON + "Jan 12 2025,08:15,128,82,64,-,-,Off,ok\n\n" + OMRON + "Average,,128,82,64,,,,\n"
    made = csv_of(tmp_path, text)
    assert made.fates == {
        "accepted": 1,
        "rejected:summary_row": 1,
        "unused:blank": 1,
        "unused:header": 1,
        "unused:repeated_header": 1,
        "unused:title": 2,
    }


def test_reordered_columns_and_rows_give_the_same_readings(tmp_path: Path) -> None:
    one = csv_of(tmp_path / "1", OMRON + "Jan 12 2025,08:15,128,82,64,,,,\nJan 13 2025,08:15,118,72,54,,,,\n")
    other = "TruRead,Pulse (bpm),Diastolic (mmHg),Systolic (mmHg),Time,Date,Extra\n"
    two = csv_of(tmp_path / "2", other + ",54,72,118,08:15,Jan 13 2025,x\n,64,82,128,08:15,Jan 12 2025,y\n")
    assert (one.out / "readings").read_bytes() == (two.out / "readings").read_bytes()


def test_overlapping_exports_are_one_and_an_edited_row_is_a_new_version(tmp_path: Path) -> None:
    old = OMRON + "Jan 12 2025,08:15,128,82,64,-,-,Off,-\nJan 13 2025,08:15,118,72,54,-,-,Off,-\n"
    new = (
        OMRON
        + "Jan 14 2025,08:15,119,72,54,-,-,Off,-\nJan 13 2025,08:15,118,72,54,-,-,Off,a note\nJan 12 2025,08:15,128,82,64,-,-,Off,-\n"
    )
    made = run("bp_csv", tmp_path, {"export.csv": old, "export (1).csv": new})
    assert made.fates == {"accepted": 4, "duplicate": 1, "unused:header": 2}
    assert made.normalized["balance"]["fates"] == {"accepted": 3, "superseded": 1}
    assert len(made.values) == 3


def test_two_measurements_of_one_minute_are_two(tmp_path: Path) -> None:
    made = csv_of(
        tmp_path, OMRON + "Jan 12 2025,08:15,128,82,64,,,,\nJan 12 2025,08:15,124,80,63,,,,\nJan 12 2025,08:15,124,80,63,,,,\n"
    )
    assert [r["raw_id"][-2:] for r in made.records] in (["#1", "#2"], ["#2", "#1"])
    assert made.fates == {"accepted": 2, "duplicate": 1, "unused:header": 1}


def test_the_home_zone_its_nights_and_a_journey(tmp_path: Path) -> None:
    text = OMRON + "Mar 30 2025,02:30,128,82,64,,,,\nSep 21 2025,20:15,128,82,64,,,,\n"
    travel = {"timezone_overrides": [{"from": "2025-09-20", "to": "2025-09-26", "timezone": "America/New_York"}]}
    made = run("bp_csv", tmp_path, {"a.csv": text}, travel)
    pulses = [r for r in made.readings if r["metric"] == "pulse"]
    assert [r["flags"] for r in pulses] == [["dst_gap"], []]
    assert [(r["utc_offset"], r["local_date"].day) for r in pulses] == [(7200, 30), (-14_400, 21)]
    assert pulses[1]["start"] == datetime(2025, 9, 22, 0, 15, tzinfo=UTC)


@pytest.fixture
def dropped(tmp_path: Path) -> list[File]:
    made = {
        "user1.csv": b"1",
        "2025/user1.csv": b"2",
        ".hidden": b"",
        "~$log.xlsx": b"",
        ".~lock.log.ods#": b"",
        "Thumbs.db": b"",
        "new.csv.crdownload": b"",
        "__MACOSX/a.csv": b"",
    }
    files = []
    for number, (name, data) in enumerate(made.items()):
        (tmp_path / str(number)).write_bytes(data)
        files.append(as_file(tmp_path / str(number), f"inbox/bp_csv/{name}"))
    return files


def test_dropped_files_become_raw_artifacts_byte_for_byte(tmp_path: Path, dropped: list[File]) -> None:
    report, out = StageBench(tmp_path / "b").run(extract, {"inbox": dropped}, {"origins_bp_csv": []})
    assert report["balance"] == {
        "unit": "file",
        "came": 8,
        "fates": {"accepted": 2, "unused:left_behind": 5, "unused:unfinished": 1},
    }
    assert {p.relative_to(out / "raw").as_posix(): p.read_bytes() for p in (out / "raw").rglob("*") if p.is_file()} == {
        "user1.csv": b"1",
        "2025/user1.csv": b"2",
    }


def test_a_file_held_already_is_carried_over_not_copied(tmp_path: Path, dropped: list[File]) -> None:
    held = {"raw": {"user1.csv": dropped[0], "2025/user1.csv": dropped[0], "gone.csv": dropped[0]}}
    report, out = StageBench(tmp_path / "b").run(extract, {"inbox": dropped}, {"origins_bp_csv": []}, previous=held)
    assert report["balance"]["fates"]["accepted"] == 2
    assert (out / "raw/user1.csv").read_bytes() == b"1"
    assert (out / "raw/2025/user1.csv").read_bytes() == b"2"
    assert not (out / "raw/gone.csv").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../x.csv",
        "a/../x.csv",
        "/etc/x.csv",
        "a\\b.csv",
        "C:x.csv",
        "a\nb.csv",
        "x" * 201 + ".csv",
        "con.csv",
        "nul",
        "a./x.csv",
        "x ",
        "é" * 120,
    ],
)
def test_a_name_not_every_system_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "f").write_bytes(b"1")
    report, out = StageBench(tmp_path / "b").run(
        extract, {"inbox": [as_file(tmp_path / "f", f"inbox/bp_csv/{name}")]}, {"origins_bp_csv": []}
    )
    assert report["balance"]["fates"] == {"rejected:unsafe_name": 1}
    assert not (out / "raw").exists()
    assert name not in json.dumps(report)


@pytest.mark.parametrize("twin", ["LOG-Ś.csv", "log-s\u0301.csv"])
def test_names_some_systems_take_for_one_are_told_apart_or_refused(tmp_path: Path, twin: str) -> None:
    (tmp_path / "f").write_bytes(b"1")
    files = [as_file(tmp_path / "f", f"inbox/bp_csv/{n}") for n in ("log-ś.csv", twin)]
    report, _ = StageBench(tmp_path / "b").run(extract, {"inbox": files}, {"origins_bp_csv": []})
    assert report["balance"]["fates"] == {"accepted": 1, "rejected:name_collision": 1}
