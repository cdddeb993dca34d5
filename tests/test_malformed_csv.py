"""The malformed corpus of `docs/malformed.md`, CSV and sheets: each item one fixture; in = accepted + duplicates + rejected, exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import PDPError
from config.stage import File
from tests.blood_pressure_bench import STAGES, run
from tests.stage_bench import StageBench

HEAD = b"Date,Time,Systolic,Diastolic,Pulse,Note\n"
GOOD = b"2025-03-29,07:30,128,82,64,ok\n"
LATER = b"2025-03-30,07:30,118,72,54,ok\n"


class Item(NamedTuple):
    """A file of the corpus and what must come of it."""

    number: str
    source: str
    data: bytes
    fates: dict[str, int]
    """Of the records step, but for header rows."""
    normalized: dict[str, int] | None = None
    letter: bytes | None = None
    """The bytes the one dead letter must hold."""


def csv_item(
    number: str, rows: bytes, fates: dict[str, int], normalized: dict[str, int] | None = None, letter: bytes | None = None
) -> Item:
    """A row or more between two good ones."""
    return Item(number, "bp_csv", HEAD + GOOD + rows + LATER, {"accepted": 2, **fates}, normalized, letter)


def grid_item(number: str, rows: list[Any], fates: dict[str, int], normalized: dict[str, int] | None = None) -> Item:
    good = [["Date", "Time", "SYS", "DIA", "Pulse"], ["2025-03-29", "07:30", 128, 82, 64]]
    return Item(number, "google_sheets", json.dumps({"values": [*good, *rows]}).encode(), fates, normalized)


def value(cell: Any) -> list[Any]:
    return ["2025-03-30", "07:30", cell, 82, ""]


def refused(number: str, data: bytes, reason: str, source: str = "bp_csv") -> Item:
    return Item(number, source, data, {f"rejected:{reason}": 1})


BIG = b"x" * 200_000
RAGGED_SHORT = b"2025-03-31,07:30,128\n"
RAGGED_LONG = b"2025-03-31,07:30,36,6,82,64,\n"
CORPUS = [
    csv_item("1 field of 200 KB", b"2025-03-31,07:30,128,82,64," + BIG + b"\n", {"accepted": 3}),
    csv_item("1 field above 1 MB", b"2025-03-31,07:30,128,82,64," + BIG * 6 + b"\n", {"rejected:field_too_big": 1}),
    csv_item(
        "2 NUL byte", b"2025-03-31,07:30,12\x008,82,64,\n", {"rejected:nul_byte": 1}, None, b"2025-03-31,07:30,12\x008,82,64,\n"
    ),
    Item("3 byte-order mark", "bp_csv", b"\xef\xbb\xbf" + HEAD + GOOD, {"accepted": 1}),
    Item("4 UTF-16 with its mark", "bp_csv", (HEAD + GOOD).decode().encode("utf-16"), {"accepted": 1}),
    refused("4 UTF-16 without its mark", (HEAD + GOOD).decode().encode("utf-16-le"), "encoding"),
    refused("4 UTF-16 without its mark, sheet", (HEAD + GOOD).decode().encode("utf-16-be"), "encoding", "google_sheets"),
    csv_item(
        "5 Latin-1 in UTF-8",
        b"2025-03-31,07:30,128,82,64,\xe9t\xe9\n",
        {"rejected:encoding": 1},
        None,
        b"2025-03-31,07:30,128,82,64,\xe9t\xe9\n",
    ),
    refused("5 Latin-1 in the header", "Date,Time,Systolic,Diastolic,Pulse,Observação\n".encode("latin-1") + GOOD, "encoding"),
    refused("6 a lone quote", HEAD + b'2025-03-31,07:30,"128,82,64,\n' + GOOD, "broken_quotes"),
    refused("6 a lone quote, sheet", HEAD + b'2025-03-31,07:30,"128,82,64,\n' + GOOD, "broken_quotes", "google_sheets"),
    csv_item("7 ragged short", RAGGED_SHORT, {"rejected:ragged": 1}, None, RAGGED_SHORT),
    csv_item("8 ragged long", RAGGED_LONG, {"rejected:ragged": 1}, None, RAGGED_LONG),
    Item(
        "7 ragged short, sheet",
        "google_sheets",
        HEAD + GOOD + RAGGED_SHORT,
        {"accepted": 1, "rejected:ragged": 1},
        None,
        RAGGED_SHORT,
    ),
    refused("8 every row longer than the header", HEAD.replace(b",Note", b"") + GOOD + LATER, "ragged"),
    refused("9 duplicate headers", b"Date,Time,Systolic,Diastolic,Systolic\n2025-03-29,7:30,1,2,3\n", "duplicate_headers"),
    refused("9 duplicate unknown headers", HEAD[:-1] + b",x,X\n" + GOOD, "duplicate_headers"),
    Item("10 case and blanks in headers", "bp_csv", b" DATE ,time, SysTOLIC,diastolic ,PULSE,\n" + GOOD, {"accepted": 1}),
    Item("12 unknown extra column", "bp_csv", HEAD[:-1] + b",Mood\n" + GOOD[:-1] + b",fine\n", {"accepted": 1}),
    refused("13 missing required column", b"Date,Time,Systolic,Pulse\n2025-03-29,7:30,128,64\n", "preset_undecided"),
    refused(
        "13 missing required column, sheet", b"Date,Time,Systolic,Pulse\n2025-03-29,7:30,128,64\n", "no_header", "google_sheets"
    ),
    Item("14 empty file", "bp_csv", b"", {"unused:empty_file": 1}),
    Item("14 header only", "bp_csv", HEAD, {}),
    Item(
        "15 semicolons and decimal comma",
        "bp_csv",
        HEAD.replace(b",", b";") + b"2025-03-29;07:30;128,5;82,5;64;\n",
        {"accepted": 1},
        {"accepted": 1},
    ),
    csv_item("15 decimal comma between commas", b'2025-03-31,07:30,"128,5",82,64,\n', {"accepted": 3}, {"accepted": 3}),
    Item("16 CR only", "bp_csv", (HEAD + GOOD + LATER).replace(b"\n", b"\r"), {"accepted": 2}),
    Item("16 mixed newlines", "bp_csv", HEAD + GOOD.replace(b"\n", b"\r\n") + LATER.replace(b"\n", b"\r"), {"accepted": 2}),
    csv_item(
        "17 formulas are kept as text",
        b"2025-03-31,07:30,=1+1,82,,=cmd|' /C calc'!A0\n",
        {"accepted": 3},
        {"accepted": 2, "rejected:bad_number": 1},
    ),
    csv_item("18 NA is no number", b"2025-03-31,07:30,NA,82,,\n", {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}),
    csv_item(
        "21 thousands separator", b'2025-03-31,07:30,"1,280",82,,\n', {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}
    ),
    csv_item("21 underscores", b"2025-03-31,07:30,1_2_0,82,,\n", {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}),
    csv_item(
        "21 Arabic digits", "2025-03-31,07:30,١٢٠,82,,\n".encode(), {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}
    ),
    csv_item(
        "22 sheet error in a value", b"2025-03-31,07:30,#REF!,82,,\n", {"accepted": 3}, {"accepted": 2, "rejected:sheet_error": 1}
    ),
    csv_item("22 sheet error in the date", b"#N/A,07:30,128,82,64,\n", {"rejected:bad_date": 1}),
    csv_item("22 a serial date nobody declared", b"45292,07:30,128,82,64,\n", {"rejected:bad_date": 1}),
    csv_item("22 a date of two readings", b"03/04/05,07:30,128,82,64,\n", {"rejected:ambiguous_date": 1}),
    csv_item("23 a summary row", b"Average,,128,82,64,\n", {"rejected:summary_row": 1}),
    csv_item("23 the header again", HEAD, {"unused:repeated_header": 1}),
    refused("24 500,000 columns", b"Date," * 500_000 + b"\n", "too_many_columns"),
    refused("24 500,000 columns, sheet", b"Date," * 500_000 + b"\n", "too_many_columns", "google_sheets"),
    grid_item("25 NaN", [value(float("nan"))], {"accepted": 1, "rejected:not_json": 1}),
    grid_item("25 Infinity", [value(float("-inf"))], {"accepted": 1, "rejected:not_json": 1}),
    csv_item("25 NaN as text", b"2025-03-31,07:30,nan,inf,,\n", {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}),
    Item(
        "26 1e400", "google_sheets", b'{"values": [["Date", "SYS", "DIA"], ["2025-03-30", 1e400, 82]]}', {"rejected:not_json": 1}
    ),
    csv_item("26 1e400 as text", b"2025-03-31,07:30,1e400,82,,\n", {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}),
    grid_item("27 5,000 digits", [value("9" * 5000)], {"accepted": 2}, {"accepted": 1, "rejected:bad_number": 1}),
    Item(
        "27 5,000 digits as a number",
        "google_sheets",
        b'{"values": [["Date", "SYS", "DIA"], ["2025-03-30", ' + b"9" * 5000 + b", 82]]}",
        {"accepted": 1},
        {"rejected:bad_number": 1},
    ),
    grid_item("28 above 2^63", [value(2**63 + 1)], {"accepted": 2}, {"accepted": 1, "rejected:bad_number": 1}),
    grid_item("29 zeros", [["2025-03-30", "07:30", 0, 0, 0]], {"accepted": 2}, {"accepted": 1, "rejected:zero": 1}),
    csv_item("29 minus one", b"2025-03-31,07:30,-1,82,,\n", {"accepted": 3}, {"accepted": 2, "rejected:bad_number": 1}),
    csv_item(
        "30 systolic below diastolic",
        b"2025-03-31,07:30,115,120,,\n",
        {"accepted": 3},
        {"accepted": 2, "rejected:diastolic_not_below_systolic": 1},
    ),
    csv_item(
        "31 units mixed within a row",
        b"2025-03-31,07:30,17.1 kPa,82 mmHg,,\n",
        {"accepted": 3},
        {"accepted": 2, "rejected:unit_conflict": 1},
    ),
    grid_item("33 -0.0 and 120.0", [["2025-03-30", "07:30", 120.0, 80, -0.0]], {"accepted": 2}, {"accepted": 2}),
    *(
        csv_item(f"34 year {y}", f"{y}-01-01,07:30,128,82,64,\n".encode(), {"rejected:year_out_of_range": 1})
        for y in ("0001", "1677", "2262", "9999")
    ),
    Item(
        "34 milliseconds as seconds",
        "bp_csv",
        b"timestampUnixMs,systolic,diastolic,pulse,notes\n1703175660000000,128,82,64,\n",
        {"rejected:year_out_of_range": 1},
    ),
    csv_item("35 29 February of a common year", b"2025-02-29,07:30,128,82,64,\n", {"rejected:no_such_date": 1}),
    csv_item("35 24:00", b"2025-03-31,24:00:00,128,82,64,\n", {"rejected:hour_24": 1}),
    csv_item("35 leap second", b"2025-03-31,23:59:60,128,82,64,\n", {"rejected:leap_second": 1}),
    csv_item("36 an hour that did not exist", b"2025-03-30,02:30,128,82,64,\n", {"accepted": 3}, {"accepted": 3}),
    csv_item(
        "37 an hour that came twice",
        b"2025-10-26,02:30,128,82,64,\n2025-10-26,02:30,127,81,63,\n",
        {"accepted": 4},
        {"accepted": 4},
    ),
    csv_item("38 a time of no stated zone", b"2025-03-31,07:30,128,82,64,\n", {"accepted": 3}, {"accepted": 3}),
    csv_item("40 exact duplicate", GOOD, {"duplicate": 1}, {"accepted": 2}),
    csv_item("40 same time, other value", GOOD.replace(b"128", b"127"), {"accepted": 3}, {"accepted": 3}),
    csv_item("43 U+0001", b"2025-03-31,07:30,128,82,64,a\x01b\n", {"accepted": 3}),
    grid_item("43 U+0000", [["2025-03-30", "07:30", 128, "82\0", 64]], {"accepted": 2}, {"accepted": 2}),
    grid_item("44 lone surrogate", [value("\ud800")], {"accepted": 1, "rejected:not_json": 1}),
    refused("60 a web page saved as CSV", b"\n<!doctype html><html><body>Sign in</body></html>", "html_page"),
    refused("60 a workbook called CSV", b"PK\x03\x04" + bytes(100), "unknown_format"),
    refused("60 a database called CSV", b"SQLite format 3\0" + bytes(range(200)), "not_text"),
]


@pytest.mark.parametrize("item", CORPUS, ids=lambda item: item.number)
def test_every_item_of_the_corpus_ends_as_documented(tmp_path: Path, item: Item) -> None:
    made = run(item.source, tmp_path, {"a.csv": item.data})
    fates = {fate: count for fate, count in made.fates.items() if fate != "unused:header"}
    assert fates == item.fates
    if item.normalized is not None:
        assert made.normalized["balance"]["fates"] == item.normalized
    if item.letter is not None:
        assert [letter["raw"] for letter in made.letters] == [item.letter]
    refused_whole = [letter for letter in made.letters if letter["position"] == "file"]
    assert all(letter["raw_size"] == len(item.data) for letter in refused_whole)
    assert bool(refused_whole) == bool(made.report["findings"])


def test_39_a_time_after_the_file_s_arrival_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEAD + GOOD + LATER)
    file = File("a.csv", str(path), "0" * 64, path.stat().st_size, 1, arrived=1_743_150_000.0)  # 2025-03-28 08:20 UTC
    settings = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "bp_csv_presets": {}}
    report, _ = StageBench(tmp_path / "b").run(STAGES["bp_csv"][0], {"raw": [file]}, settings)
    assert report["balance"]["fates"] == {"accepted": 1, "rejected:future": 1, "unused:header": 1}


def test_41_rows_out_of_order_and_files_a_year_late_give_the_same_bytes(tmp_path: Path) -> None:
    early, late = b"2024-01-01,07:30,128,82,64,\n", b"2024-01-01,07:30,118,72,54,\n"
    one = run("bp_csv", tmp_path / "1", {"a.csv": HEAD + early + late + GOOD + LATER})
    two = run("bp_csv", tmp_path / "2", {"a.csv": HEAD + LATER + GOOD + late + early})
    assert (one.out / "readings").read_bytes() == (two.out / "readings").read_bytes()
    before = run("bp_csv", tmp_path / "3", {"a.csv": HEAD + GOOD, "b.csv": HEAD + LATER})
    after = run("bp_csv", tmp_path / "4", {"a.csv": HEAD + LATER, "b.csv": HEAD + GOOD})
    assert (before.out / "readings").read_bytes() == (after.out / "readings").read_bytes()


VALID = {
    "bp_csv": [
        HEAD + GOOD + LATER,
        b'Date,"Heart rate",Systolic,Diastolic,Comments\n"2023-07-28 06:27:47",56,,,\n"2023-07-28 07:27:47",60,128,82,"a, b"\n',
        b'timestampUnixMs, systolic, diastolic, pulse, notes\n1703175660000, 128, 82, 46, "x"\n',
        b"Date;Time;Blood pressure (kPa);Pulse (bpm);Note\n2025-12-22;06:57;17,6/11,2;70;\n",
        b"datetime,dia,sys,bpm,mov,ihb\r\n2025-01-12 08:15:42,82,128,64,1,1\r\n",
    ],
    "google_sheets": [
        HEAD + GOOD + LATER,
        json.dumps(
            {
                "locale": "pl_PL",
                "timeZone": "Europe/Warsaw",
                "values": [
                    ["", "Rano", "", "Wieczór"],
                    ["Data", "SYS", "DIA", "SYS", "DIA"],
                    [45745, 128, 82, "131", "84"],
                    ["30.03", "1/2", "", "HI"],
                ],
            }
        ).encode(),
        "Data;Godz.;Ciśnienie;Tętno\n29.03.2025;7.30;128/82;64\n;20.15;131/84;\nŚrednia;;130/83;64\n".encode(),
    ],
}
SPLINTERS = [
    b"",
    b",",
    b";",
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"128",
    b"/",
    b"-",
    b"NaN",
    b"1e400",
    b"[",
    b"}",
    b"<html>",
    "ś".encode(),
    b"\x1a",
    b"9" * 400,
    b"0001-01-01",
]


@pytest.mark.parametrize("source", VALID)
@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_valid_file_with_one_mutation_balances_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, source: str, data: st.DataObject
) -> None:
    valid = data.draw(st.sampled_from(VALID[source]))
    start = data.draw(st.integers(0, len(valid)))
    end = data.draw(st.integers(start, min(len(valid), start + 40)))
    splinter = data.draw(st.one_of(st.sampled_from(SPLINTERS), st.binary(max_size=8)))
    mutated = valid[:start] + splinter + valid[end:]
    try:
        made = run(source, tmp_path_factory.mktemp("m"), {"a.csv": mutated})
    except PDPError:
        return
    assert made.report["balance"]["came"] == sum(made.fates.values())
    assert made.fates.get("accepted", 0) == sum(record["status"] != "invalid" for record in made.records)
    rejected = sum(count for fate, count in made.fates.items() if fate.startswith("rejected:"))
    assert rejected == len(made.letters) + sum(record["status"] == "invalid" for record in made.records)
    rows = [
        letter["raw"]
        for letter in made.letters
        if letter["position"].startswith("line") and not mutated.startswith((b"\xff\xfe", b"\xfe\xff"))
    ]
    assert all(raw in mutated for raw in rows)
