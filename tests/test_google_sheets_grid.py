"""Blood pressure sheets as people keep them: every messy shape gives its measurements, or says why not, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.stage import File
from ingestion.google_sheets.records import parse
from ingestion.records import Record
from tests.blood_pressure_bench import SETTINGS, Made, run

HEADER = ["Data", "Godz.", "SYS", "DIA", "Puls", "Uwagi"]


def grid(rows: list[list[Any]], locale: str | None = "pl_PL", **more: Any) -> bytes:
    return json.dumps({"locale": locale, "timeZone": "Europe/Warsaw", "values": rows, **more}).encode()


def sheet(folder: Path, rows: list[list[Any]], locale: str | None = "pl_PL", **more: Any) -> Made:
    return run("google_sheets", folder, {"sheet.json": grid(rows, locale, **more)})


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_plain_sheet_gives_one_record_per_row(tmp_path: Path) -> None:
    made = sheet(tmp_path, [HEADER, [45745, 0.3125, 128, 82, 64, "ok"]])
    assert made.values == [("128", "82", "64")]
    (record,) = made.records
    assert (record["raw_id"], record["status"], record["position"]) == ("2025-03-29T07:30#1", "valid", "row 2")
    assert record["source_timestamp"] == datetime(2025, 3, 29, 6, 30, tzinfo=UTC)
    assert made.raws()[0]["fields"] == {
        "date": 45745,
        "time": 0.3125,
        "systolic": 128,
        "diastolic": 82,
        "pulse": 64,
        "note": "ok",
    }
    (reading,) = [r for r in made.readings if r["metric"] == "systolic"]
    assert (reading["utc_offset"], reading["local_date"], reading["unit"]) == (3600, dt.date(2025, 3, 29), "mm[Hg]")


def test_title_rows_before_the_header_are_layout(tmp_path: Path) -> None:
    made = sheet(
        tmp_path, [["Dzienniczek ciśnienia"], ["po 5 minutach odpoczynku"], [], HEADER, ["29.03.2025", "07:30", 128, 82, 64]]
    )
    assert made.values == [("128", "82", "64")]
    assert made.fates == {"accepted": 1, "unused:header": 1, "unused:title": 3}


def test_merged_group_cells_give_a_record_per_group(tmp_path: Path) -> None:
    top = ["", "Rano", "", "", "", "Wieczór", "", "", "", ""]
    head = ["Data", "Godz.", "SYS", "DIA", "Puls", "Godz.", "SYS", "DIA", "Puls", "Uwagi"]
    rows = [top, head, [45745, 0.3125, 128, 82, 64, 0.8, 135, 85, 70, "x"], [45746, "", "", "", "", "", 131, 84, "", ""]]
    made = sheet(tmp_path, rows)
    assert made.values == [("128", "82", "64"), ("135", "85", "70"), ("131", "84", "")]
    assert [r["slot"] for r in made.raws()] == ["morning", "evening", "evening"]
    assert [r["raw_id"] for r in made.records] == ["2025-03-29T07:30#1", "2025-03-29T19:12#1", "2025-03-30/evening#1"]
    assert [r["fields"]["note"] for r in made.raws()] == ["x", "x", ""]


@pytest.mark.parametrize(
    "rows",
    [
        [["Date", "Morning", "", "", "Evening", "", ""], ["", "SYS", "DIA", "Pulse", "SYS", "DIA", "Pulse"]],
        [["Date", "SYS", "", "DIA", "", "Pulse", ""], ["", "morning", "evening", "morning", "evening", "morning", "evening"]],
        [["Date", "Morning SYS", "Morning DIA", "Morning Pulse", "Evening SYS", "Evening DIA", "Evening Pulse"]],
        [["Date", "AM sys", "AM dia", "AM pulse", "PM sys", "PM dia", "PM pulse"]],
    ],
)
def test_groups_are_found_however_they_are_written(tmp_path: Path, rows: list[list[Any]]) -> None:
    nested = len(rows) > 1 and rows[0][1] == "SYS"
    values = [128, 135, 82, 85, 64, 70] if nested else [128, 82, 64, 135, 85, 70]
    made = sheet(tmp_path, [*rows, ["2025-03-29", *values]])
    assert made.values == [("128", "82", "64"), ("135", "85", "70")]
    assert [r["raw_id"] for r in made.records] == ["2025-03-29/morning#1", "2025-03-29/evening#1"]


def test_numbered_measurements_of_one_row_are_told_apart(tmp_path: Path) -> None:
    made = sheet(tmp_path, [["Date", "Time", "SYS 1", "DIA 1", "SYS 2", "DIA 2"], ["2025-03-29", "07:30", 128, 82, 124, 80]])
    assert sorted(made.values) == [("124", "80", ""), ("128", "82", "")]
    made = sheet(
        tmp_path / "2",
        [
            ["", "", "Pomiar 1", "", "Pomiar 2", ""],
            ["Data", "Godz.", "SYS", "DIA", "SYS", "DIA"],
            ["2025-03-29", "07:30", 128, 82, 124, 80],
        ],
    )
    assert sorted(made.values) == [("124", "80", ""), ("128", "82", "")]


def test_a_group_title_over_pressures_only_changes_nothing(tmp_path: Path) -> None:
    made = sheet(
        tmp_path,
        [["Data", "Ciśnienie", "", "Puls"], ["", "SYS", "DIA", ""], ["", "mmHg", "mmHg", "bpm"], ["2025-03-29", 128, 82, 64]],
    )
    assert made.values == [("128", "82", "64")]
    assert made.raws()[0]["unit"] == "mmHg"
    assert made.fates["unused:header"] == 3


@pytest.mark.parametrize(
    "header",
    [
        ["Date", "Time", "Systolic (mmHg)", "Diastolic (mmHg)", "Pulse (bpm)", "Notes"],
        ["date", "TIME", " sys ", "Dia.", "HR", "comment"],
        ["Data", "Godzina", "Ciśnienie skurczowe", "Ciśnienie rozkurczowe", "Tętno", "Uwagi"],
        ["DATA POMIARU", "godz", "Górne", "Dolne", "te\u0328tno", "notatki"],
        ["Datum", "Uhrzeit", "Systolisch", "Diastolisch", "Puls", "Bemerkung"],
        ["Datum", "Zeit", "Oberer Wert", "Unterer Wert", "Herzfrequenz", "Notiz"],
        ["Fecha", "Hora", "Sistólica", "Diastólica", "Pulso", "Observaciones"],
        ["Día", "Hora", "Sistólica", "Diastólica", "Pulso", "Notas"],
        ["Date", "Heure", "Systolique", "Diastolique", "Pouls", "Remarques"],
        ["Data", "Ora", "Sistolica", "Diastolica", "Frequenza cardiaca", "Note"],
        ["Data", "Hora", "Máxima", "Mínima", "Pulsação", "Observações"],
        ["Дата", "Время", "Верхнее", "Нижнее", "Пульс", "Примечание"],
        ["Дата", "Час", "Систолічний", "Діастолічний", "Пульс", "Примітки"],
        ["Datum", "Tijd", "Bovendruk", "Onderdruk", "Hartslag", "Opmerkingen"],
        ["Datum", "Čas", "Systolický tlak", "Diastolický tlak", "Tep", "Poznámka"],
        ["", "Time", "SYS", "DIA", "Pulse", ""],
    ],
)
def test_header_names_of_many_languages_are_known(tmp_path: Path, header: list[str]) -> None:
    made = sheet(tmp_path, [header, ["2025-03-29", "07:30", 128, 82, 64, "ok"]])
    assert made.values == [("128", "82", "64")]
    assert made.records[0]["raw_id"] == "2025-03-29T07:30#1"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *(("128/82", ("128", "82")), ("124 / 80 ", ("124", "80")), ("131\\84", ("131", "84")), ("120-80", ("120", "80"))),
        *(
            ("128/82 mmHg", ("128", "82")),
            ("\u00a0128/82", ("128", "82")),
            ("130 na 80", ("130", "80")),
            ("80/120", ("120", "80")),
        ),
        *(
            ("17.1/10.9", ("128.261", "81.7568")),
            ("17,1/10,9", ("128.261", "81.7568")),
            ("17.1/10.9 kPa", ("128.261", "81.7568")),
        ),
    ],
)
@pytest.mark.parametrize("name", ["Ciśnienie", "Blood pressure", "RR", "SYS/DIA"])
def test_a_combined_cell_is_taken_apart(tmp_path: Path, name: str, cell: str, expected: tuple[str, str]) -> None:
    made = sheet(tmp_path, [["Data", "Godz.", name, "Puls"], ["2025-03-29", "07:30", cell, 64]])
    assert made.values == [(*expected, "64")]


def test_flags_tell_what_was_done_to_a_value(tmp_path: Path) -> None:
    made = sheet(tmp_path, [["Data", "Ciśnienie"], ["2025-03-29 07:30", "80/120"], ["2025-03-30 07:30", "17.1/10.9"]])
    flags = {(r["local_date"].day, r["metric"]): r["flags"] for r in made.readings}
    assert flags == {
        (29, "systolic"): ["swapped"],
        (29, "diastolic"): ["swapped"],
        (30, "systolic"): ["converted_kpa", "assumed_kpa"],
        (30, "diastolic"): ["converted_kpa", "assumed_kpa"],
    }


def test_pressures_without_a_unit_are_told_to_a_person(tmp_path: Path) -> None:
    cells = ["16/10", "12x8", "17.1/10.9", "17.1/10.9 kPa", "128x82"]
    made = sheet(tmp_path, [["Data", "Ciśnienie"], *([f"2025-03-{day} 07:30", cell] for day, cell in enumerate(cells, 10))])
    assert made.values == [("128.261", "81.7568", "")] * 2 + [("128", "82", "")]
    assert made.reasons == [("unit_unknown", None)] * 2
    assert [(f["code"], f["count"]) for f in made.normalized["findings"]] == [("assumed_kpa", 1), ("unit_unknown", 2)]


def test_parts_refused_of_records_that_were_used_are_reported(tmp_path: Path) -> None:
    rows = [(133, "", 64), (133, "", ""), ("HI", 82, 0), (118, 121, 71), (128, 82, "HI")]
    made = sheet(tmp_path, [HEADER, *(["2025-03-29", f"07:3{n}", *cells] for n, cells in enumerate(rows))])
    fates = made.normalized["balance"]["fates"]
    refused = {"device_error": 1, "half_reading": 1, "partner_rejected": 1, "zero": 1}
    assert made.normalized["refused"] == refused
    whole = sum(n for fate, n in fates.items() if fate.startswith("rejected:"))
    assert whole + sum(refused.values()) == len(made.rejected)


def test_a_combined_cell_under_systolic_is_taken_apart(tmp_path: Path) -> None:
    made = sheet(tmp_path, [HEADER, ["2025-03-29", "07:30", "148/94", "", 72], ["2025-03-30", "07:30", "148/94", "148/94", 72]])
    assert made.values == [("148", "94", "72")] * 2


@pytest.mark.parametrize(
    ("cells", "reasons", "values"),
    [
        (("133,5", "90,0", 71), [], [("133.5", "90", "71")]),
        (("147 mmHg", " 95\u00a0", "67 bpm"), [], [("147", "95", "67")]),
        ((133, "", ""), [("half_reading", "diastolic")], []),
        ((133, "", 64), [("half_reading", "diastolic")], [("", "", "64")]),
        (("129/", "", 64), [("half_reading", "diastolic")], [("", "", "64")]),
        ((83, 131, 71), [], [("131", "83", "71")]),
        ((118, 121, 71), [("diastolic_not_below_systolic", None), ("partner_rejected", "pulse")], []),
        ((118, 121, ""), [("diastolic_not_below_systolic", None)], []),
        (("HI", "", ""), [("device_error", "systolic")], []),
        (("LO", "Err", 64), [("device_error", "systolic")], [("", "", "64")]),
        (("#VALUE!", "", ""), [("sheet_error", "systolic")], []),
        (("Loading...", 82, "#REF!"), [("sheet_error", "systolic"), ("sheet_error", "pulse")], []),
        ((128, 82, "HI"), [("device_error", "pulse")], [("128", "82", "")]),
        ((0, 0, 0), [("zero", "systolic"), ("zero", "pulse")], []),
        ((128, 82, 0), [("zero", "pulse")], [("128", "82", "")]),
        (("1.234", 82, 64), [("bad_number", "systolic")], [("", "", "64")]),
        (("1_2_0", "٨٢", "６４"), [("bad_number", "pulse"), ("bad_number", "systolic")], []),
        ((True, 82, "abc"), [("bad_number", "pulse"), ("bad_number", "systolic")], []),
        (("-", "–", "-"), [], []),
        (("9" * 5000, 82, "1e2"), [("bad_number", "pulse"), ("bad_number", "systolic")], []),
        (("17.1 kPa", "10.9 mmHg", ""), [("unit_conflict", None)], []),
    ],
)
def test_what_hands_write_into_a_value_cell(
    tmp_path: Path, cells: tuple[Any, ...], reasons: list[Any], values: list[Any]
) -> None:
    made = sheet(tmp_path, [HEADER, ["2025-03-29", "07:30", *cells]])
    assert (sorted(made.reasons, key=str), made.values) == (sorted(reasons, key=str), values)
    fate = "accepted" if values else f"rejected:{made.reasons[0][0]}" if reasons else "unused:no_measurement"
    assert sum(made.normalized["balance"]["fates"].values()) == 1
    assert list(made.normalized["balance"]["fates"]) == [fate] or len({r for r, _ in reasons}) > 1


def test_a_unit_in_the_header_decides_and_contradictions_are_refused(tmp_path: Path) -> None:
    made = sheet(tmp_path, [["Data", "SYS (kPa)", "DIA (kPa)"], ["2025-03-29", 17.1, 10.9], ["2025-03-30", 128, 82]])
    assert made.values == [("128.261", "81.7568", "")]
    assert made.reasons == [("unit_conflict", None)]


def test_summary_rows_are_records_that_are_no_measurement(tmp_path: Path) -> None:
    words = ["Średnia", "Average", "Mittelwert", "Max", "Min.", "Σ", "Media", "Moyenne", "Среднее", "Gemiddelde", "Průměr", "śr."]
    made = sheet(
        tmp_path,
        [
            HEADER,
            ["2025-03-29", "07:30", 128, 82, 64],
            *([w, "", 128.5, 82.25, 64.1] for w in words),
            ["", "Średnia", 128, 82, 64],
        ],
    )
    assert made.fates == {"accepted": 1, "rejected:summary_row": 13, "unused:header": 1}
    assert made.values == [("128", "82", "64")]
    assert made.normalized["balance"]["fates"] == {"accepted": 1, "unused:invalid_record": 13}
    assert made.reasons == [("summary_row", None)] * 13
    assert made.normalized["refused"] == {}


def test_repeated_headers_and_blank_rows_are_layout(tmp_path: Path) -> None:
    made = sheet(
        tmp_path, [HEADER, ["2025-03-29", "07:30", 128, 82, 64], [], ["", " "], HEADER, ["2025-03-30", "07:30", 128, 82, 64]]
    )
    assert made.fates == {"accepted": 2, "unused:blank": 2, "unused:header": 1, "unused:repeated_header": 1}


def test_a_blank_date_below_a_date_means_the_same_day_until_a_blank_row(tmp_path: Path) -> None:
    rows = [
        HEADER,
        ["2025-03-29", "07:30", 128, 82, 64],
        ["", "20:00", 130, 84, 66],
        [],
        ["", "21:00", 120, 80, 60],
        ["#REF!", "7:00", 1, 1, 1],
        ["", "8:00", 2, 2, 2],
    ]
    made = sheet(tmp_path, rows)
    assert [r["raw_id"].split("#")[0] for r in made.records[:2]] == ["2025-03-29T07:30", "2025-03-29T20:00"]
    assert [list(r["errors"]) for r in made.records] == [[], ["date_carried"], ["date_missing"], ["bad_date"], ["bad_date"]]
    assert made.raws()[1]["dateAbove"] == "2025-03-29"


def test_rows_with_no_value_are_layout_and_prefilled_dates_wait(tmp_path: Path) -> None:
    made = sheet(
        tmp_path,
        [
            HEADER,
            ["2025-03-29", "07:30", 128, 82, 64],
            ["2025-03-30"],
            ["2025-03-31", "", "", "", "", "forgot"],
            ["Kwiecień 2025"],
        ],
    )
    assert made.fates == {"accepted": 1, "unused:header": 1, "unused:no_measurement": 3}


def test_other_columns_are_kept_and_never_mistaken(tmp_path: Path) -> None:
    head = ["Data", "Dzień", "SYS", "DIA", "Puls", "MAP", "Pulse pressure", "Waga", "", "2nd arm"]
    made = sheet(tmp_path, [head, ["2025-03-29", "sobota", 128, 82, 64, 97.3, 46, 80.5, "x", "no"]])
    assert made.values == [("128", "82", "64")]
    assert made.raws()[0]["other"] == {
        "Dzień": "sobota",
        "MAP": 97.3,
        "Pulse pressure": 46,
        "Waga": 80.5,
        "column 9": "x",
        "2nd arm": "no",
    }


def test_a_date_column_without_a_name_is_found_by_what_is_in_it(tmp_path: Path) -> None:
    assert sheet(tmp_path, [["Kiedy", "SYS", "DIA"], ["29.03.2025", 128, 82]]).values == [("128", "82", "")]
    assert (
        sheet(tmp_path / "2", [["Time", "SYS", "DIA"], ["29.03.2025 7:30", 128, 82]]).records[0]["raw_id"] == "2025-03-29T07:30#1"
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (grid([["Data", "Waga"], ["2025-03-29", 80]]), "no_header"),
        (grid([["SYS", "DIA"], [128, 82]]), "no_date_column"),
        (grid([["Data", "SYS", "DIA", "Puls", "SYS", "DIA", "Puls"], ["2025-03-29", 1, 2, 3, 4, 5, 6]]), "duplicate_headers"),
        (grid([["Data", "SYS", "DIA", "Note", "Note"], ["2025-03-29", 1, 2, "", ""]]), "duplicate_headers"),
        (b'{"values": [[1', "bad_json"),
        (b'{"error": {"code": 401}}', "bad_grid"),
        (b"[1, 2]", "bad_grid"),
        (b"[" * 100_000, "too_deep"),
        (b'{"locale": "pl_PL", "values": [], "values": []}', "duplicate_keys"),
        (grid([["a"] * 2001]), "too_many_columns"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "html_page"),
        (b"\xef\xbb\xbf  <html>", "html_page"),
        (b"PK\x03\x04 not a workbook", "bad_zip"),
        (b"%PDF-1.7", "not_text"),
        ("Data,SYS\n".encode("utf-16-le"), "encoding"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    made = run("google_sheets", tmp_path, {"a.json": data, "good.json": grid([HEADER, ["2025-03-29", "07:30", 128, 82, 64]])})
    assert made.fates == {"accepted": 1, f"rejected:{reason}": 1, "unused:header": 1}
    assert [(letter["reason"], letter["raw_size"]) for letter in made.letters] == [(reason, len(data))]
    assert [f["code"] for f in made.report["findings"]] == [reason]


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf\n", b'{"locale": "pl_PL", "timeZone": "Europe/Warsaw"}', grid([])])
def test_an_empty_sheet_is_accepted_and_marked(tmp_path: Path, data: bytes) -> None:
    assert run("google_sheets", tmp_path, {"a": data}).fates == {"unused:empty_file": 1}


def test_a_header_without_rows_is_accepted(tmp_path: Path) -> None:
    assert sheet(tmp_path, [HEADER]).fates == {"unused:header": 1}


def test_bad_cells_cost_their_row_only(tmp_path: Path) -> None:
    rows = [
        HEADER,
        ["2025-03-29", "07:30", {"a": 1}, 82, 64],
        ["2025-03-30", "07:30", 128, 82, 64],
        "text",
        ["2025-03-31", "07:30", float("nan"), 82, 64],
    ]
    made = sheet(tmp_path, [*rows, ["2025-04-01", "07:30", float("inf"), 82, 64], ["2025-04-02", "07:30", "\ud800", 82, 64]])
    assert made.fates == {"accepted": 1, "rejected:bad_cell": 2, "rejected:not_json": 3, "unused:header": 1}
    assert b'{"a": 1}' in made.letters[0]["raw"]


def test_the_same_sheet_as_json_csv_and_xlsx_has_the_same_ids_and_readings(tmp_path: Path) -> None:
    rows = [["Dzienniczek"], HEADER, ["29.03.2025", "07:30", "128,5", 82, 64, "a"], ["30.03.2025", "20:15", "131/84", "", 66, ""]]
    text = "\n".join(";".join(str(c) for c in [*row, *[""] * (6 - len(row))]) for row in rows)
    files = {"a.json": grid(rows), "b.csv": text, "c.xlsx": workbook(Arkusz1=rows)}
    made = [run("google_sheets", tmp_path / name, {name: data}) for name, data in files.items()]
    assert len({tuple(m.values) for m in made}) == len({tuple(r["raw_id"] for r in m.records) for m in made}) == 1
    assert (
        (made[0].out / "readings").read_bytes()
        == (made[1].out / "readings").read_bytes()
        == (made[2].out / "readings").read_bytes()
    )
    together = run("google_sheets", tmp_path / "all", files)
    assert together.values == made[0].values
    assert together.normalized["balance"]["fates"] == {"accepted": 2, "superseded": 4}


def test_an_xlsx_is_read_with_its_dates_its_visible_sheets_and_nothing_hidden(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Log"
    book.active.append(HEADER)
    book.active.append([dt.datetime(2025, 3, 29), dt.time(7, 30), 128, 82, 64])
    book.active.append([dt.datetime(2025, 3, 30, 20, 15), None, 131.5, "#VALUE!", 66])
    book.create_sheet("Leki").append(["Lek", "Dawka"])
    secret = book.create_sheet("Secret")
    secret.sheet_state = "hidden"
    secret.append(HEADER)
    out = io.BytesIO()
    book.save(out)
    made = run("google_sheets", tmp_path, {"book.xlsx": out.getvalue()})
    assert [(r["raw_id"], r["position"]) for r in made.records] == [
        ("2025-03-29T07:30#1", "Log!row 2"),
        ("2025-03-30T20:15#1", "Log!row 3"),
    ]
    assert made.fates == {"accepted": 2, "unused:header": 1, "unused:hidden_sheet": 1, "unused:sheet_without_blood_pressure": 1}
    assert made.values == [("128", "82", "64"), ("", "", "66")]


def test_a_worksheet_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    made = run(
        "google_sheets",
        tmp_path,
        {"b.xlsx": workbook(Good=[HEADER, ["2025-03-29", "7:30", 1, 2, 3]], Bad=[["Data", "SYS", "DIA", "SYS", "DIA"]])},
    )
    assert made.fates == {"accepted": 1, "rejected:duplicate_headers": 1, "unused:header": 1}
    assert made.letters[0]["position"] == "Bad"


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    data = bytearray(workbook(Log=[HEADER]))
    data[len(data) // 2] ^= 0xFF
    made = run("google_sheets", tmp_path, {"b.xlsx": bytes(data)})
    assert len(made.letters) == 1
    assert made.letters[0]["reason"] in {"bad_zip", "bad_member", "bad_xlsx", "bad_member_name"}


def test_worksheets_named_for_a_part_of_the_day_do_not_collide(tmp_path: Path) -> None:
    row = ["2025-03-29", "", 128, 82, 64]
    made = run(
        "google_sheets", tmp_path, {"a.json": grid([HEADER, row], title="Rano"), "b.json": grid([HEADER, row], title="Wieczór")}
    )
    assert [r["raw_id"] for r in made.records] == ["2025-03-29/morning@Rano#1", "2025-03-29/evening@Wieczór#1"]
    assert [sorted(set(r["flags"])) for r in made.readings if r["metric"] == "pulse"] == [["time_from_slot"]] * 2


def ids(rows: list[list[Any]], folder: Path) -> dict[str, Any]:
    path = folder / "g.json"
    path.write_bytes(grid(rows))
    found = parse(File("g.json", str(path), "", 0), SETTINGS)
    return {r.raw_id: r.raw["fields"]["systolic"] for r in found if isinstance(r, Record)}


ROWS = [
    ["2025-03-29", "07:30", 128, 82, 64],
    ["2025-03-29", "07:30", 124, 80, 64],
    ["30.03.2025", "rano", 121, 80, 64],
    ["2025-03-31", "", 131, 81, 61],
]


@given(
    st.permutations(ROWS),
    st.lists(st.sampled_from([[], ["2025-01-01", "06:00", 111, 71, 51], ["#REF!", "", 1, 1, 1]]), max_size=3),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_inserted_or_sorted_change_no_id(tmp_path: Path, rows: list[list[Any]], more: list[list[Any]]) -> None:
    before = ids([HEADER, *ROWS], tmp_path)
    assert before.items() <= ids([["Title"], HEADER, *more, *rows], tmp_path).items()


def test_an_edited_value_keeps_its_id_and_the_newer_document_wins(tmp_path: Path) -> None:
    old = grid([HEADER, ["2025-03-29", "07:30", 128, 82, 64]], modifiedTime="2025-04-01T10:00:00Z")
    new = grid([["New title"], HEADER, ["2025-03-29", "07:30", 118, 82, 64]], modifiedTime="2025-04-02T10:00:00Z")
    for folder, files in (("1", {"a.json": old, "b.json": new}), ("2", {"a.json": new, "b.json": old})):
        made = run("google_sheets", tmp_path / folder, files)
        assert [r["raw_id"] for r in made.records] == ["2025-03-29T07:30#1"] * 2
        assert made.values == [("118", "82", "64")]
        assert made.normalized["balance"]["fates"] == {"accepted": 1, "superseded": 1}


def test_repeated_rows_and_overlapping_exports_are_duplicates(tmp_path: Path) -> None:
    rows = [HEADER, ["2025-03-29", "07:30", 128, 82, 64], ["2025-03-29", "07:30", 128, 82, 64]]
    made = run(
        "google_sheets", tmp_path, {"a.json": grid(rows), "b.json": grid([["Title"], *rows, ["2025-03-30", "07:30", 1, 2, 3]])}
    )
    assert made.fates == {"accepted": 2, "duplicate": 3, "unused:header": 2, "unused:title": 1}


def test_a_future_date_is_refused_and_dates_that_are_none_say_why(tmp_path: Path) -> None:
    dates = ["29.02.2025", "2025-03-29 24:00", "0001-01-01", "9999-12-31", "#N/A", "03/04/2025"]
    made = sheet(tmp_path, [HEADER, *([d, "", 128, 82, 64] for d in dates)], locale=None)
    assert [r["errors"][0] for r in made.records] == [
        "no_such_date",
        "hour_24",
        "year_out_of_range",
        "year_out_of_range",
        "bad_date",
        "ambiguous_date",
    ]
    assert not made.readings
    assert sorted(r for r, _ in made.reasons).count("year_out_of_range") == 2
    assert made.normalized["balance"]["fates"] == {"unused:invalid_record": 6}
    assert all(r["source_timestamp"] is None for r in made.records)


def test_changed_clocks_are_flagged_on_the_readings(tmp_path: Path) -> None:
    made = sheet(tmp_path, [HEADER, ["2025-03-30", "02:30", 128, 82, 64], ["2025-10-26", "02:30", 128, 82, 64]])
    assert [r["status"] for r in made.records] == ["warning", "warning"]
    assert [r["flags"] for r in made.readings if r["metric"] == "pulse"] == [["dst_gap"], ["dst_overlap"]]
    assert [r["utc_offset"] for r in made.readings if r["metric"] == "pulse"] == [7200, 7200]


def test_the_sheets_own_zone_counts_and_an_unknown_one_is_flagged(tmp_path: Path) -> None:
    rows = [HEADER, ["2025-03-29", "07:30", 128, 82, 64]]
    tokyo = run("google_sheets", tmp_path, {"a.json": json.dumps({"timeZone": "Asia/Tokyo", "values": rows})})
    assert tokyo.records[0]["source_timestamp"] == datetime(2025, 3, 28, 22, 30, tzinfo=UTC)
    assert {(r["utc_offset"], r["local_date"]) for r in tokyo.readings} == {(32_400, dt.date(2025, 3, 29))}
    nowhere = run("google_sheets", tmp_path / "2", {"a.json": json.dumps({"timeZone": "Mars/Olympus", "values": rows})})
    assert nowhere.records[0]["errors"] == ["unknown_time_zone"]
    assert nowhere.records[0]["source_timestamp"] == datetime(2025, 3, 29, 6, 30, tzinfo=UTC)


def test_no_message_repeats_a_cell(tmp_path: Path) -> None:
    made = sheet(tmp_path, [HEADER, ["Jan Kowalski", "07:30", "geheim", 182, 64], ["2025-03-29", "07:30", "geheim", 182, 64]])
    told = json.dumps([made.report, made.normalized]) + "".join(str(r["errors"]) for r in made.records) + str(made.rejected)
    assert "Kowalski" not in told
    assert "geheim" not in told
