"""Zepp Life exports become records from tree, zip and AES zip, in every layout; nothing that is odd stops the rest or vanishes."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.strict_json import BadJSONError
from ingestion.zepp_life.lines import cells, naps
from ingestion.zepp_life.tables import Origin, kind_of_name, origin, understand
from tests.zepp_life_bench import ACCOUNT, HEADERS, MADE, SAMPLES, Zepp, fates, packed, table, tree

STEPS = "2025-01-15,8432,7040,2100,385"


def test_a_row_becomes_a_record_with_its_cells_as_received(tmp_path: Path) -> None:
    (record,), letters, done = Zepp(tmp_path).export({"ACTIVITY": [STEPS]}).records()
    assert record["raw"] == {
        "table": "ACTIVITY",
        "date": "2025-01-15",
        "steps": "8432",
        "distance": "7040",
        "runDistance": "2100",
        "calories": "385",
        "account": ACCOUNT,
        "export": MADE,
    }
    assert (record["raw_id"], record["status"], record["position"]) == (f"ACTIVITY/{ACCOUNT}/2025-01-15", "valid", "line 2")
    assert record["source_timestamp"] == datetime(2025, 1, 14, 23, tzinfo=UTC)
    assert letters == []
    assert fates(done) == {"accepted": 1, "unused:header": 1}


def test_the_shared_samples_are_read_to_the_last_row(tmp_path: Path) -> None:
    files = {f"{p.parent.name}/{p.name}": p.read_bytes() for p in sorted(SAMPLES.rglob("*.csv"))}
    found, letters, done = Zepp(tmp_path).put(files).records()
    assert fates(done) == {"accepted": 181, "unused:header": 8}
    assert (len(found), letters, done["findings"]) == (181, [], [])
    assert {r["status"] for r in found} == {"valid"}


def test_the_byte_order_mark_hides_no_column(tmp_path: Path) -> None:
    with_mark, without = table("ACTIVITY", [STEPS]), table("ACTIVITY", [STEPS]).removeprefix(b"\xef\xbb\xbf")
    for n, data in enumerate((with_mark, without)):
        (record,), _, _ = Zepp(tmp_path / str(n)).put({"ACTIVITY.csv": data}).records()
        assert record["raw"]["date"] == "2025-01-15"


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    swapped = table("ACTIVITY", ["2025-01-15,8432,385,7040,2100"], "date,steps,calories,distance,runDistance")
    (record,), _, _ = Zepp(tmp_path).put({"ACTIVITY.csv": swapped}).records()
    assert (record["raw"]["calories"], record["raw"]["distance"]) == ("385", "7040")


@pytest.mark.parametrize("name", list(HEADERS))
def test_a_table_is_known_by_its_header_whatever_its_file_is_called(name: str) -> None:
    assert understand(HEADERS[name]).table.name == name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("date,lastSyncTime,deepSleepTime,shallowSleepTime,wakeTime,start,stop", "SLEEP"),
        ("date,lastSyncTime,steps,distance,runDistance,calories", "ACTIVITY"),
        ("timestamp,heartRate", "HEARTRATE"),
        ("timestamp,weight,height,bmi,fatRate,bodyWaterRate,boneMass,metabolism,muscleRate,visceralFat,impedance", "BODY"),
    ],
)
def test_the_layouts_of_2018_and_2019_are_known(header: str, name: str) -> None:
    assert understand(header).table.name == name  # type: ignore[union-attr]


def test_a_file_with_nothing_but_its_header_is_no_fault(tmp_path: Path) -> None:
    found, letters, done = Zepp(tmp_path).export({"SPORT": []}).put({"x/BODY.csv": b"\xef\xbb\xbf"}).records()
    assert (found, letters, fates(done)) == ([], [], {"unused:empty_file": 1, "unused:header": 1})


NAPS = [{"start": 1_736_950_000, "stop": 1_736_953_600}, {"start": 1_736_960_000, "stop": 1_736_963_600}]
PLAIN = json.dumps(NAPS, separators=(",", ":"))
NIGHT = "2025-01-15,68,312,0,2025-01-14 23:30:00+0000,2025-01-15 06:35:00+0000,45"


@pytest.mark.parametrize(
    "cell",
    [
        '"' + PLAIN.replace('"', '\\"') + '"',
        '"' + PLAIN.replace('"', '""') + '"',
        PLAIN.replace('"', '\\"'),
        PLAIN,
    ],
    ids=["backslashes", "doubled", "backslashes without quotes", "bare"],
)
def test_naps_are_read_however_their_quotes_are_written(tmp_path: Path, cell: str) -> None:
    rows = [f"{NIGHT},{cell}", NIGHT.replace("2025-01-15,68", "2025-01-16,68") + ",0"]
    found, letters, _ = Zepp(tmp_path).export({"SLEEP": rows}).records()
    assert letters == []
    assert [r["raw"]["naps"] for r in found] == [NAPS, 0]
    assert found[0]["raw"]["REMTime"] == "45"


def test_naps_in_the_middle_of_the_columns_leave_the_others_in_place() -> None:
    keys = ["date", "naps", "start", "stop"]
    assert cells('2025-01-15,"[{\\"start\\":1,\\"stop\\":2}]",a,b', keys) == [
        "2025-01-15",
        '"[{\\"start\\":1,\\"stop\\":2}]"',
        "a",
        "b",
    ]


def test_naps_that_are_no_json_are_kept_as_text_and_flagged(tmp_path: Path) -> None:
    (record,), _, _ = Zepp(tmp_path).export({"SLEEP": [f"{NIGHT},later"]}).records()
    assert (record["raw"]["naps"], record["status"], record["errors"]) == ("later", "warning", ["bad_naps"])


def test_local_clock_and_utc_stamps_are_told_apart(tmp_path: Path) -> None:
    tables = {"HEARTRATE_AUTO": ["2025-07-09,00:05,70"], "HEARTRATE": ["2025-07-09 00:05:00+0000,70"]}
    found, _, _ = Zepp(tmp_path).export(tables).records()
    assert [(r["raw"]["table"], r["source_timestamp"].hour, r["source_timestamp"].day) for r in found] == [
        ("HEARTRATE", 0, 9),
        ("HEARTRATE_AUTO", 22, 8),
    ]
    assert [(r["time_text"], r["utc_offset"]) for r in found] == [("2025-07-09 00:05:00+0000", 0), ("2025-07-09 00:05", 7200)]


def test_an_epoch_in_seconds_or_milliseconds_is_a_time(tmp_path: Path) -> None:
    data = table("HEARTRATE", ["1574412026,67", "1574412027000,68"], "timestamp,heartRate")
    found, _, _ = Zepp(tmp_path).put({"HEARTRATE_1.csv": data}).records()
    assert [r["source_timestamp"] for r in found] == [datetime(2019, 11, 22, 8, 40, s, tzinfo=UTC) for s in (26, 27)]


def test_the_hour_that_comes_twice_is_two_hours_of_samples(tmp_path: Path) -> None:
    rows = [f"2025-10-26,02:{m:02d},{60 + n}" for n in (0, 1) for m in (0, 30)]
    found, _, done = Zepp(tmp_path).export({"HEARTRATE_AUTO": rows}).records()
    assert [(r["source_timestamp"].hour, r["source_timestamp"].minute) for r in found] == [(0, 0), (0, 30), (1, 0), (1, 30)]
    assert len({r["raw_id"] for r in found}) == 4
    assert fates(done)["accepted"] == 4


def test_an_hour_that_does_not_exist_is_moved_on_and_flagged(tmp_path: Path) -> None:
    (record,), _, _ = Zepp(tmp_path).export({"HEARTRATE_AUTO": ["2025-03-30,02:30,60"]}).records()
    assert (record["source_timestamp"].hour, record["errors"]) == (1, ["dst_gap"])


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("HEARTRATE_AUTO", "2025-02-30,00:05,70"),
        ("HEARTRATE_AUTO", "2025-02-03,24:05,70"),
        ("HEARTRATE", "2025-02-03 10:20:26,70"),
        ("HEARTRATE", "null,70"),
        ("ACTIVITY", "yesterday,1,1,1,1"),
    ],
)
def test_a_time_that_cannot_be_read_makes_the_record_invalid_not_the_file(tmp_path: Path, name: str, row: str) -> None:
    good = {"HEARTRATE_AUTO": "2025-02-03,00:05,70", "HEARTRATE": "2025-02-03 10:20:26+0000,70", "ACTIVITY": STEPS}[name]
    found, _, done = Zepp(tmp_path).export({name: [row, good]}).records()
    assert [(r["status"], r["errors"]) for r in found] == [("invalid", ["bad_time"]), ("valid", [])]
    assert fates(done) == {"accepted": 1, "rejected:bad_time": 1, "unused:header": 1}


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_an_aes_zip_is_read_with_its_password(tmp_path: Path, bits: int) -> None:
    data = packed(tree({"ACTIVITY": [STEPS], "SPORT": []}), "aB3#ł", bits)
    found, letters, done = Zepp(tmp_path).put({f"{ACCOUNT}_{MADE}.zip": data}).records(zepp_life_password="aB3#ł")
    assert [r["raw"]["steps"] for r in found] == ["8432"]
    assert found[0]["position"] == f"{ACCOUNT}_{MADE}/ACTIVITY/ACTIVITY_{MADE}.csv line 2"
    assert (letters, fates(done)) == ([], {"accepted": 1, "unused:header": 2})


@pytest.mark.parametrize(("password", "reason"), [("", "encrypted"), ("other", "wrong_password")])
def test_an_aes_zip_without_its_password_is_refused_with_the_mend_and_the_rest_goes_on(
    tmp_path: Path, password: str, reason: str
) -> None:
    locked = packed(tree({"ACTIVITY": [STEPS]}), "right")
    found, (letter,), done = (
        Zepp(tmp_path).put({"a.zip": locked}).export({"ACTIVITY": [STEPS]}).records(zepp_life_password=password)
    )
    assert (len(found), letter["reason"]) == (1, reason)
    (finding,) = [f for f in done["findings"] if f["code"] == reason]
    assert "ZEPP_LIFE_PASSWORD" in finding["message"]
    assert "right" not in json.dumps(done)


def test_a_damaged_aes_zip_is_refused_whole(tmp_path: Path) -> None:
    data = bytearray(packed(tree({"ACTIVITY": [STEPS] * 300}), "right"))
    data[120] ^= 0xFF
    found, (letter,), _ = Zepp(tmp_path).put({"a.zip": bytes(data)}).records(zepp_life_password="right")
    assert (found, letter["reason"]) == ([], "bad_member")


def test_tree_zip_and_aes_zip_of_one_export_are_one(tmp_path: Path) -> None:
    files = tree({"ACTIVITY": [STEPS], "HEARTRATE_AUTO": ["2025-01-09,00:05,70"]})
    dropped = {f"{ACCOUNT}_{MADE}.zip": packed(files), f"again/user/{ACCOUNT}_{MADE}.zip": packed(files, "p"), **files}
    found, _, done = Zepp(tmp_path).put(dropped).records(zepp_life_password="p")
    assert len(found) == 2
    assert fates(done) == {"accepted": 2, "duplicate": 4, "unused:header": 6}


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (f"raw/zepp_life/{ACCOUNT}_{MADE}/SLEEP/SLEEP_{MADE + 5}.csv", Origin(ACCOUNT, MADE + 5)),
        (f"user/{ACCOUNT}_{MADE}/user/SLEEP/SLEEP.csv", Origin(ACCOUNT, MADE)),
        (f"raw/zepp_life/{ACCOUNT}_{MADE} (1).zip/SLEEP/SLEEP_{MADE}.csv", Origin(ACCOUNT, MADE)),
        ("SLEEP/SLEEP_1695000000.csv", Origin("", 1_695_000_000_000)),
        ("SLEEP.csv", Origin("", 0)),
    ],
)
def test_account_and_time_of_the_export_are_in_its_names(place: str, found: Origin) -> None:
    assert origin(place) == found


def test_what_is_not_read_is_counted_and_named_without_anybodys_number(tmp_path: Path) -> None:
    extra = {
        f"{ACCOUNT}_{MADE}/PAI/PAI_{MADE}.csv": b"date,pai\n2025-01-01,3\n2025-01-02,4\n",
        f"{ACCOUNT}_{MADE}/avatar_{ACCOUNT}.jpg": b"\xff\xd8\xff....",
    }
    _, letters, done = Zepp(tmp_path).put({"a.zip": packed(tree({"ACTIVITY": [STEPS]}) | extra)}).records()
    assert letters == []
    assert fates(done) == {"accepted": 1, "unused:header": 2, "unused:not_a_table": 1, "unused:table_not_read": 2}
    messages = " ".join(finding["message"] for finding in done["findings"])
    assert "PAI.csv" in messages
    assert "avatar.jpg" in messages
    assert ACCOUNT not in messages


def test_a_column_nobody_knows_is_told_as_drift_and_kept(tmp_path: Path) -> None:
    data = table("ACTIVITY", [STEPS + ",7"], HEADERS["ACTIVITY"] + ",floors")
    (record,), _, done = Zepp(tmp_path).put({"ACTIVITY.csv": data}).records()
    assert record["raw"]["floors"] == "7"
    assert [f["code"] for f in done["findings"]] == ["schema_drift"]
    assert "floors" in done["findings"][0]["message"]


def test_odd_lines_are_dead_letters_with_their_place_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines = [
        b"2025-01-09,00:00,70",
        b"2025-01-09,00:05",
        b"2025-01-09,00:10,70,1",
        b"2025-01-09,00:1\xff,7",
        b"2025-01-09,0\x000,7",
    ]
    data = b"\n".join(
        [HEADERS["HEARTRATE_AUTO"].encode(), *lines, b"2025-01-09,00:20," + b"9" * 3_000_000, b"", b"2025-01-09,00:25,71"]
    )
    found, letters, done = Zepp(tmp_path).put({"HEARTRATE_AUTO.csv": data}).records()
    assert [r["raw"]["heartRate"] for r in found] == ["70", "71"]
    assert [(x["reason"], x["position"]) for x in letters] == [
        ("short_row", "line 3"),
        ("long_row", "line 4"),
        ("encoding", "line 5"),
        ("nul_byte", "line 6"),
        ("field_too_big", "line 7"),
    ]
    assert fates(done)["unused:blank"] == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!DOCTYPE html><html>", "unknown_table"),
        (b"%PDF-1.7", "unknown_table"),
        ("date,steps".encode("utf-16"), "encoding"),
        (b"date,date,steps\n1,2,3\n", "duplicate_columns"),
        (b"PK\x03\x04 and no more", "bad_zip"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    found, (letter,), _ = Zepp(tmp_path).put({"SLEEP.csv": data}).export({"ACTIVITY": [STEPS]}).records()
    assert (len(found), letter["reason"]) == (1, reason)


def test_a_newer_export_of_the_same_day_is_a_version_and_an_older_one_is_kept(tmp_path: Path) -> None:
    rows = {MADE: "2025-01-15,100,1,1,1", MADE + 1: "2025-01-15,900,1,1,1", MADE + 2: "2025-01-15,100,1,1,1"}
    zepp = Zepp(tmp_path)
    for made, row in rows.items():
        zepp.export({"ACTIVITY": [row]}, made=made)
    found, _, _ = zepp.records()
    assert [(r["raw"]["steps"], r["revision"]) for r in found] == [("100", MADE), ("900", MADE + 1), ("100", MADE + 2)]
    assert len({r["raw_id"] for r in found}) == 1


def test_two_nights_of_one_date_are_two_records_and_a_row_told_twice_is_one(tmp_path: Path) -> None:
    other = "2025-01-15,30,60,0,2025-01-15 12:00:00+0000,2025-01-15 13:30:00+0000,0,0"
    found, _, done = Zepp(tmp_path).export({"SLEEP": [f"{NIGHT},0", other, f"{NIGHT},0"]}).records()
    assert [r["raw_id"].rpartition("/")[2] for r in found] == ["2025-01-15", "2025-01-15#2"]
    assert fates(done)["duplicate"] == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(HEADERS)), lines=st.lists(st.text(max_size=80) | st.binary(max_size=80), max_size=6))
def test_whatever_stands_below_a_header_every_line_has_one_fate(
    tmp_path_factory: pytest.TempPathFactory, name: str, lines: list[str | bytes]
) -> None:
    body = b"\n".join(x.encode("utf-8", "surrogatepass") if isinstance(x, str) else x for x in lines)
    data = HEADERS[name].encode() + b"\n" + body
    _, _, done = Zepp(tmp_path_factory.mktemp("any")).put({f"{name}.csv": data}).records()
    assert sum(fates(done).values()) == done["balance"]["came"] == 1 + body.count(b"\n") + bool(body and not body.endswith(b"\n"))


@given(st.text(max_size=200))
def test_naps_give_json_or_say_why_not(text: str) -> None:
    with suppress(BadJSONError):
        json.dumps(naps(text))


@given(st.text(max_size=100))
def test_names_of_what_is_not_read_hold_no_long_numbers(name: str) -> None:
    assert len(kind_of_name(f"{name}_{ACCOUNT}_{MADE}.csv")) <= 60
    assert ACCOUNT not in kind_of_name(f"{name}_{ACCOUNT}_{MADE}.csv")
