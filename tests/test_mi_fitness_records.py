"""Mi Fitness raw artifacts become records whatever the copy was named, packed or encoded as; no row vanishes."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.epoch import epoch_micros
from config.stage import File, Report
from ingestion.mi_fitness import encodings
from ingestion.mi_fitness.records import records
from ingestion.mi_fitness.values import parse_value
from ingestion.strict_json import BadJSONError
from tests.mi_fitness_exports import (
    AGGREGATED,
    BAND,
    FITNESS,
    OLDER,
    PHONE,
    SOURCES,
    SPORT,
    archive,
    fitness,
    older,
    report,
    table,
    utf7_mangled,
)
from tests.stage_bench import StageBench, as_file

SETTINGS = {"timezone": "Asia/Shanghai", "timezone_overrides": []}
T = 1_765_284_300
HEART = fitness("heart_rate", T, {"time": T, "bpm": 85, "type": 0})
LOCAL_MIDNIGHT = 1_765_152_000  # 2025-12-08T00:00Z, written for the day 2025-12-08 in Shanghai


def read(
    tmp_path: Path, *files: Path, given: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Report]:
    done, out = StageBench(tmp_path / "bench").run(records, {"raw": list(files)}, given or SETTINGS)
    found = pq.read_table(out / "records").to_pylist()
    for record in found:
        record["raw"] = json.loads(record["raw"])
    return found, pq.read_table(out / "dead_letters").to_pylist(), done


def fates(done: Report) -> dict[str, int]:
    return done["balance"]["fates"]


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_row_becomes_a_record_with_its_value_parsed(tmp_path: Path) -> None:
    (record,), letters, done = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, [HEART])))
    assert record["raw"] == {
        "table": "hlth_center_fitness_data",
        "Uid": "123",
        "Sid": BAND,
        "Key": "heart_rate",
        "Time": T,
        "Value": {"time": T, "bpm": 85, "type": 0},
        "UpdateTime": T + 1,
    }
    assert record["raw_id"] == f"hlth_center_fitness_data/123/{BAND}/heart_rate/{T}"
    assert record["source_timestamp"] == datetime.fromtimestamp(T, UTC)
    assert (record["status"], record["position"], record["revision"]) == ("valid", "line 2", (T + 1) * 1_000_000)
    assert letters == []
    assert fates(done) == {"accepted": 1, "unused:header": 1}


def test_every_table_is_known_by_its_header_not_by_its_name(tmp_path: Path) -> None:
    files = {
        "a.csv": table(FITNESS, [HEART]),
        "b.csv": table(AGGREGATED, [report("steps", LOCAL_MIDNIGHT, {"steps": 1631})]),
        "c.csv": table(SPORT, [["123", BAND, "outdoor_running", str(T), "running", '{"duration":1800}', str(T)]]),
        "d.csv": table(SOURCES, [["123", BAND, "x", "m", "Band 8", "", "1", "1700000000123456789", "1"]]),
        "e.csv": table(OLDER, [older("days", "watch_steps_report", LOCAL_MIDNIGHT, {"steps": 217})]),
        "f.csv": table(["uid", "did", "key", "time", "gpx"], [["123", "1", "k", str(T), "https://x"]]),
        "g.pdf": b"%PDF-1.7 ...",
    }
    found, letters, done = read(tmp_path, archive(tmp_path / "export.zip", files))
    assert [r["raw"]["table"] for r in found] == [
        "hlth_center_fitness_data",
        "hlth_center_aggregated_fitness_data",
        "hlth_center_sport_record",
        "hlth_center_data_source",
        "user_fitness_data_records",
    ]
    assert found[0]["position"] == "a.csv line 2"
    assert found[3]["source_timestamp"] == datetime.fromtimestamp(1_700_000_000, UTC).replace(microsecond=123456)
    assert letters == []
    assert fates(done) == {"accepted": 5, "unused:header": 5, "unused:table_not_read": 2, "unused:not_a_table": 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_header_case_order_and_delimiter_do_not_matter(tmp_path: Path, delimiter: str) -> None:
    plain, _, _ = read(tmp_path / "1", put_in(tmp_path / "1", table(FITNESS, [HEART])))
    order = [4, 3, 0, 5, 2, 1]
    header = [" TIME ", "uid", "Value", "update_time", "KEY", "Did"]
    names = {"time": 3, "uid": 0, "value": 4, "updatetime": 5, "key": 2, "did": 1}
    order = [names[h.strip().lower().replace("_", "")] for h in header]
    other, _, _ = read(tmp_path / "2", put_in(tmp_path / "2", table(header, [[HEART[i] for i in order]], delimiter)))
    assert other[0]["raw"] == plain[0]["raw"]
    assert other[0]["raw_id"] == plain[0]["raw_id"]


def put_in(folder: Path, text: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return put(folder / "x.csv", text)


def test_the_byte_order_mark_and_utf16_do_not_matter(tmp_path: Path) -> None:
    text = table(FITNESS, [HEART])
    for index, encoding in enumerate(("utf-8", "utf-8-sig", "utf-16")):
        found, _, _ = read(tmp_path / str(index), put_in(tmp_path / str(index), text.encode(encoding)))
        assert [r["raw"]["Key"] for r in found] == ["heart_rate"]


def test_a_gbk_copy_is_read_and_says_its_chinese(tmp_path: Path) -> None:
    text = table(SOURCES, [["123", BAND, "x", "m", "小米手环", "我的", "1", "1700000000000000000", "1"]])
    (record,), letters, _ = read(tmp_path, put(tmp_path / "x.csv", text.encode("gbk")))
    assert record["raw"]["Name"] == "小米手环"
    assert letters == []


def test_a_line_without_an_end_is_not_held_to_know_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "_CHUNK", 10_000)
    file = io.BytesIO(b"\xff\x81" * 1_000_000)
    tracemalloc.start()
    try:
        assert encodings.table_encoding(file) == "utf-8-sig"
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_one_latin1_row_among_utf8_rows_is_one_dead_letter(tmp_path: Path) -> None:
    rows = [["123", sid, "x", "m", "Zegarek ł", "", "1", "1700000000000000000", "1"] for sid in ("a", "b", "c")]
    bad = "123,d,x,m,noël,,1,1700000000000000000,1\n".encode("latin-1")
    found, letters, done = read(tmp_path, put(tmp_path / "x.csv", table(SOURCES, rows).encode() + bad))
    assert [r["raw"]["Name"] for r in found] == ["Zegarek ł"] * 3
    assert [(x["reason"], x["raw"]) for x in letters] == [("encoding", bad.rstrip(b"\n"))]
    assert fates(done) == {"accepted": 3, "rejected:encoding": 1, "unused:header": 1}


def test_a_utf7_mangled_copy_gives_the_same_records(tmp_path: Path) -> None:
    rows = [HEART, fitness("single_spo2", T, {"spo2": 97, "time": T})]
    text = table(FITNESS, rows)
    mangled = utf7_mangled(text)
    assert b"+AF8-" in mangled
    assert b"+ACIAIg-" in mangled
    plain, _, _ = read(tmp_path / "1", put_in(tmp_path / "1", text))
    restored, letters, _ = read(tmp_path / "2", put_in(tmp_path / "2", mangled))
    assert [(r["raw_id"], r["raw"]) for r in restored] == [(r["raw_id"], r["raw"]) for r in plain]
    assert letters == []


def test_a_plus_sign_in_a_plain_file_is_no_utf7(tmp_path: Path) -> None:
    (record,), _, _ = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, [fitness("noise", T, {"zone": "GMT+08-x+AB-"})])))
    assert record["raw"]["Value"]["zone"] == "GMT+08-x+AB-"


def test_overlapping_exports_give_each_row_once_and_update_time_is_no_change(tmp_path: Path) -> None:
    again = fitness("heart_rate", T, {"time": T, "bpm": 85, "type": 0}, update=T + 999)
    changed = fitness("heart_rate", T, {"time": T, "bpm": 86, "type": 0}, update=T + 1000)
    one = archive(tmp_path / "1.zip", {"x.csv": table(FITNESS, [HEART])})
    two = archive(tmp_path / "2.zip", {"y.csv": table(FITNESS, [again, changed])})
    found, _, done = read(tmp_path, one, two)
    assert [r["raw"]["Value"]["bpm"] for r in found] == [85, 86]
    assert found[0]["raw_id"] == found[1]["raw_id"]
    assert found[0]["revision"] < found[1]["revision"]
    assert fates(done) == {"accepted": 2, "duplicate": 1, "unused:header": 2}


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("{not json", "bad_value_json"),
        ("", "bad_value_json"),
        ('{"bpm":1,"bpm":2}', "duplicate_json_keys"),
        ('{"a":[{"b":1,"b":2}]}', "duplicate_json_keys"),
        ('{"bpm":NaN}', "not_json"),
        ('{"bpm":-Infinity}', "not_json"),
        ('{"bpm":1e400}', "not_json"),
        ('{"a":"\\ud800"}', "not_json"),
        ('{"bpm":' + "9" * 5000 + "}", "bad_value_json"),
        ('{"a":' * 200 + "1" + "}" * 200, "json_too_deep"),
        ("[" * 100_000, "json_too_deep"),
    ],
)
def test_a_value_that_is_no_json_is_a_dead_letter_with_its_row(tmp_path: Path, cell: str, reason: str) -> None:
    text = table(FITNESS, [fitness("heart_rate", T, cell), HEART])
    found, (letter,), done = read(tmp_path, put(tmp_path / "x.csv", text))
    assert len(found) == 1
    assert (letter["reason"], letter["position"]) == (reason, "line 2")
    assert fates(done) == {"accepted": 1, f"rejected:{reason}": 1, "unused:header": 1}


def test_a_hundred_brackets_in_a_string_are_not_depth() -> None:
    assert parse_value(json.dumps({"a": "[" * 500 + '\\"{'})) == {"a": "[" * 500 + '\\"{'}


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_any_cell_is_json_or_a_reason(text: str) -> None:
    try:
        json.dumps(parse_value(text))
        reason = ""
    except BadJSONError as bad:
        reason = str(bad)
    assert reason in {"", "bad_value_json", "duplicate_json_keys", "not_json", "json_too_deep"}


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_times_in_any_unit_are_told_apart(tmp_path: Path, unit: int) -> None:
    row = ["123", BAND, "heart_rate", str(T * unit), '{"bpm":85}', "0"]
    (record,), _, _ = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, [row])))
    assert record["source_timestamp"] == datetime.fromtimestamp(T, UTC)
    assert record["raw_id"].endswith(f"/{T}")


@pytest.mark.parametrize("time", ["0", "-1", "1230767999", "4102444800", "", "abc", "1e9", "١٧٦٥٢٨٤٣٠٠", "007", "1765284300.5"])
def test_a_time_outside_the_device_era_makes_the_record_invalid_and_keeps_it(tmp_path: Path, time: str) -> None:
    row = ["123", BAND, "heart_rate", time, '{"bpm":85}', "0"]
    (record,), _, done = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, [row])))
    assert (record["status"], record["errors"], record["source_timestamp"]) == ("invalid", ["bad_time"], None)
    assert fates(done) == {"rejected:bad_time": 1, "unused:header": 1}


@given(st.integers(1_230_768_000, 4_102_444_799), st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
def test_magnitude_decides_without_doubt(seconds: int, unit: int) -> None:
    assert epoch_micros(seconds * unit) == seconds * 1_000_000


def test_a_record_from_after_the_file_arrived_is_invalid(tmp_path: Path) -> None:
    path = put(tmp_path / "x.csv", table(FITNESS, [HEART]))
    file: File = as_file(path)._replace(arrived=float(T - 3 * 86400))
    done, out = StageBench(tmp_path / "bench").run(records, {"raw": [file]}, SETTINGS)
    assert pq.read_table(out / "records")["errors"].to_pylist() == [["future"]]
    assert done["balance"]["fates"]["rejected:future"] == 1


def test_a_day_row_is_stamped_with_the_midnight_of_its_local_day(tmp_path: Path) -> None:
    rows = [
        report("steps", LOCAL_MIDNIGHT, {"steps": 1631}),  # the local date as if it were UTC
        report("heart_rate", LOCAL_MIDNIGHT - 8 * 3600, {"avg_hr": 72}),  # really the local midnight
    ]
    found, _, _ = read(tmp_path, put(tmp_path / "x.csv", table(AGGREGATED, rows)))
    assert [r["source_timestamp"] for r in found] == [datetime(2025, 12, 7, 16, tzinfo=UTC)] * 2


def test_a_sample_taken_at_utc_midnight_is_no_day_row(tmp_path: Path) -> None:
    rows = [
        fitness("heart_rate", LOCAL_MIDNIGHT, {"time": LOCAL_MIDNIGHT, "bpm": 60}),
        fitness("resting_heart_rate", LOCAL_MIDNIGHT, {"date_time": LOCAL_MIDNIGHT, "bpm": 60}),
    ]
    found, _, _ = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, rows)))
    assert [r["source_timestamp"].hour for r in found] == [0, 16]


def test_ragged_rows_blank_rows_and_repeated_headers_are_counted(tmp_path: Path) -> None:
    text = "\n" + table(FITNESS, [HEART, HEART[:4], [*HEART, "x"], FITNESS]) + "\n\n"
    found, letters, done = read(tmp_path, put(tmp_path / "x.csv", text))
    assert len(found) == 1
    assert found[0]["position"] == "line 3"
    assert [x["reason"] for x in letters] == ["short_row", "long_row", "repeated_header"]
    assert letters[0]["raw"] == f"123,{BAND},heart_rate,{T}".encode()
    assert fates(done) == {
        "accepted": 1,
        "rejected:long_row": 1,
        "rejected:repeated_header": 1,
        "rejected:short_row": 1,
        "unused:blank": 3,
        "unused:header": 1,
    }


def test_an_unknown_column_is_kept_and_warned_about(tmp_path: Path) -> None:
    text = table([*FITNESS, "ZoneOffset", "table"], [[*HEART, "28800", "t"]])
    (record,), _, _ = read(tmp_path, put(tmp_path / "x.csv", text))
    assert (record["raw"]["ZoneOffset"], record["raw"]["table_column"]) == ("28800", "t")
    assert (record["status"], record["errors"]) == ("warning", ["unknown_column"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (table(["Uid", "Sid", "Key", "Time", "UpdateTime"], []), "missing_column"),
        (table([*FITNESS, "Sid"], []), "duplicate_columns"),
        (table([*FITNESS, "Did"], []), "duplicate_columns"),
        (table([*FITNESS, ""], []), "unnamed_column"),
        (table(["date", "systolic"], [["1", "2"]]), "unknown_table"),
        ("<!DOCTYPE html><html>sign in</html>", "html"),
        (table(FITNESS, [HEART]) + '1,2,"3\n', "broken_quotes"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole_and_the_others_go_on(tmp_path: Path, text: str, reason: str) -> None:
    good = put(tmp_path / "good.csv", table(FITNESS, [HEART]))
    found, (letter,), done = read(tmp_path, put(tmp_path / "bad.csv", text), good)
    assert len(found) == 1
    assert letter["reason"] == reason
    assert [f["code"] for f in done["findings"]] == [reason]


def test_one_odd_member_does_not_cost_the_archive(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "x.zip", {"a.csv": "what,is\nthis,?\n", "b.csv": table(FITNESS, [HEART]), "c.csv": "", "d": "\n \n"}
    )
    found, (letter,), done = read(tmp_path, path)
    assert len(found) == 1
    assert (letter["reason"], letter["position"]) == ("unknown_table", "a.csv")
    assert fates(done)["unused:empty_file"] == 2


def test_an_encrypted_archive_is_refused_with_the_mend(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", {"a.csv": table(FITNESS, [HEART])})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    found, (letter,), done = read(tmp_path, path)
    assert found == []
    assert letter["reason"] == "encrypted"
    assert "password" in done["findings"][0]["message"]


def test_a_header_only_file_gives_no_records(tmp_path: Path) -> None:
    found, letters, done = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, [])))
    assert (found, letters, fates(done)) == ([], [], {"unused:header": 1})


def test_two_accounts_and_two_devices_are_never_one_record(tmp_path: Path) -> None:
    rows = [HEART, ["456", *HEART[1:]], fitness("heart_rate", T, {"time": T, "bpm": 85, "type": 0}, sid=PHONE)]
    found, _, _ = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, rows)))
    assert len({r["raw_id"] for r in found}) == 3


def test_a_value_of_the_wrong_kind_is_invalid_by_schema_and_kept(tmp_path: Path) -> None:
    (record,), _, done = read(tmp_path, put(tmp_path / "x.csv", table(FITNESS, [fitness("heart_rate", T, "[1]")])))
    assert (record["status"], record["errors"]) == ("invalid", ["schema:Value:type"])
    assert fates(done) == {"rejected:schema:Value:type": 1, "unused:header": 1}


def test_no_temporary_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    read(tmp_path, archive(tmp_path / "x.zip", {"a.csv": table(FITNESS, [HEART] * 1000)}))
    assert os.listdir(tmp_path / "tmp") == []
