"""A CSV of any header behind a web address: fetched when it changed, read by its header's words, a date never guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.errors import SettingsError, SourceRefused
from config.settings import for_nodes, load
from ingestion.csv_url.check import check
from ingestion.csv_url.columns import meanings
from ingestion.csv_url.records import SCHEMA, parse, records
from ingestion.records import DeadLetter, Layout, Parsed, Record
from tests import live_bench
from tests.stage_bench import StageBench, as_file
from tests.test_origins import FakeWeb, web

__all__ = ["web"]

SETTINGS = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "on_drift_csv_url": "evolve"}
TABLE = (
    "id,Title,Notes,value,unit,metric,timestamp,updated_at\n"
    "1,morning,calm,72,/min,heart_rate,2025-03-01T08:00:00+01:00,2025-03-01T09:00:00Z\n"
    "2,walk,,7300,,steps,2025-03-01,\n"
    "3,scale,,165.3,[lb_av],weight,2025-03-01 07:00,\n"
    "4,mood,,8,,mood,2025-03-01 07:00,\n"
)


def read(tmp_path: Path, text: str | bytes) -> list[Parsed]:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(parse(as_file(path), SETTINGS))


def rows(tmp_path: Path, text: str | bytes) -> list[Record]:
    return [item for item in read(tmp_path, text) if isinstance(item, Record)]


def test_a_row_is_kept_as_written_beside_what_its_columns_mean(tmp_path: Path) -> None:
    first, *_ = rows(tmp_path, TABLE)
    assert first.raw["row"] == dict(zip(TABLE.split("\n")[0].split(","), TABLE.split("\n")[1].split(","), strict=True))
    assert first.raw["fields"] == {
        "id": "1",
        "name": "morning",
        "description": "calm",
        "value": "72",
        "unit": "/min",
        "metric": "heart_rate",
        "occurred_at": "2025-03-01T08:00:00+01:00",
        "updated_at": "2025-03-01T09:00:00+00:00",
    }
    assert (first.raw_id, first.timestamp, first.position) == ("1", datetime(2025, 3, 1, 7, tzinfo=UTC), "line 2")
    assert first.revision == 1_740_819_600_000
    assert (first.errors, first.warnings, first.utc_offset) == ((), (), 3600)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("Source ID,Created At,Last-Modified,Kommentar,Betrag", {"id": 0, "created_at": 1, "updated_at": 2, "value": 4}),
        ("Data,Godzina,Wartość,Jednostka", {"occurred_at": 0, "clock": 1, "value": 2, "unit": 3}),
        ("time,heart_rate,SpO2", {"occurred_at": 0, "heart_rate": 1, "spo2": 2}),
        ("title,name", {"name": 1}),
        ("ident,whatever", {}),
    ],
)
def test_columns_are_known_by_the_words_of_their_header(header: str, wanted: dict[str, int]) -> None:
    assert meanings(header.split(",")) == wanted


def test_which_number_is_the_day_is_decided_by_the_rows_that_allow_one_order(tmp_path: Path) -> None:
    told, sure = rows(tmp_path, "Datum;Uhrzeit;Wert\n01/02/2025;08:00;36,6\n28/02/2025;9:00;36,7\n")
    assert [r.raw["fields"]["occurred_at"] for r in (told, sure)] == ["2025-02-01T08:00:00+01:00", "2025-02-28T09:00:00+01:00"]
    assert told.raw["fields"]["value"] == "36.6"
    (unsure,) = rows(tmp_path, "Datum;Wert\n01/02/2025;36,6\n")
    assert (unsure.timestamp, unsure.errors) == (None, ("ambiguous_date",))
    both = rows(tmp_path, "date,value\n28/02/2025,1\n02/28/2025,2\n03/04/2025,3\n")
    assert [r.errors for r in both] == [(), (), ("ambiguous_date",)]


def test_an_hour_of_the_night_on_which_clocks_change_is_told(tmp_path: Path) -> None:
    gap, twice = rows(tmp_path, "when,value\n2025-03-30 02:30,1\n2025-10-26 02:30,2\n")
    assert (gap.warnings, twice.warnings) == (("dst_gap",), ("dst_overlap",))
    assert gap.raw["fields"]["occurred_at"] == "2025-03-30T02:30:00+01:00"


def test_counts_since_1970_are_moments(tmp_path: Path) -> None:
    for text in ("1741000000", "1741000000000"):
        (row,) = rows(tmp_path, f"ts,value\n{text},1\n")
        assert row.timestamp == datetime(2025, 3, 3, 11, 6, 40, tzinfo=UTC)


def test_a_row_without_an_id_is_known_by_its_content_and_a_thing_needs_no_time(tmp_path: Path) -> None:
    first, again, other = rows(tmp_path, "name,note\na,x\na,x\na,y\n")
    assert first.raw_id == again.raw_id != other.raw_id
    assert first.raw["fields"]["id"] == first.raw_id
    report, out = StageBench(tmp_path).run(records, {"raw": tmp_path / "table.csv"}, SETTINGS)
    assert report["balance"]["fates"] == {"accepted": 2, "duplicate": 1, "unused:header": 1}
    assert pq.read_table(out / "records")["source_timestamp"].to_pylist() == [None, None]


def test_a_measurement_without_its_time_is_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("date,steps\n,5\nnever,6\n2025-03-01,7\n")
    report, _ = StageBench(tmp_path).run(records, {"raw": tmp_path / "table.csv"}, SETTINGS)
    assert report["balance"]["fates"] == {"accepted": 1, "rejected:bad_date": 1, "rejected:no_time": 1, "unused:header": 1}


def test_a_damaged_row_is_a_dead_letter_and_the_rest_goes_on(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b\n1\n2,3\n\n4,5,6\na,b\n")
    assert [(i.reason, i.position) for i in found if isinstance(i, DeadLetter)] == [
        ("short_row", "line 2"),
        ("long_row", "line 5"),
    ]
    assert [i.what for i in found if isinstance(i, Layout)] == ["header", "blank", "header"]
    assert sum(isinstance(i, Record) for i in found) == 1


@pytest.mark.parametrize(
    "text",
    ["\tname\n1\tżółw\n".encode("utf-16"), "|name\n1|żółw\n".encode(), b"\xef\xbb\xbf,name\n1,\xc5\xbc\xc3\xb3\xc5\x82w\n"],
)
def test_any_delimiter_and_unicode_and_a_column_without_a_name(tmp_path: Path, text: bytes) -> None:
    (row,) = rows(tmp_path, text)
    assert row.raw["row"] == {"column 1": "1", "name": "żółw"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html><body>", "html_page"),
        ('{"a": 1}', "unknown_format"),
        ("a,a\n1,2\n", "duplicate_columns"),
        ('a,b\n"1,2\n', "broken_quotes"),
        ("%PDF-1.7", "not_text"),
    ],
)
def test_what_is_no_csv_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        read(tmp_path, text)
    assert refused.value.reason == reason
    assert read(tmp_path, " \n") == [Layout("empty_file")]


def test_the_schema_takes_what_the_reader_makes() -> None:
    assert json.loads(Path(SCHEMA).read_text())["required"] == ["fields", "row"]


# ── live ────────────────────────────────────────────────────────────────────


@pytest.fixture
def table(web: FakeWeb) -> FakeWeb:
    web.content = TABLE.encode()
    return web


def origins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **env: str) -> Any:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return for_nodes(load([], tmp_path / "none.env"))["origins_csv_url"]


def test_csv_url_is_the_first_of_its_origins_and_must_be_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert origins(tmp_path, monkeypatch, CSV_URL="") == []
    more = '{"csv_url": ["https://b.example.org/b.csv"]}'
    found = origins(tmp_path, monkeypatch, CSV_URL="https://a.example.org/a.csv", ORIGINS=more)
    assert found == ["https://a.example.org/a.csv", "https://b.example.org/b.csv"]
    with pytest.raises(SettingsError, match="https"):
        origins(tmp_path, monkeypatch, CSV_URL="http://a.example.org/a.csv")
    with pytest.raises(SettingsError, match="key belongs"):
        origins(tmp_path, monkeypatch, CSV_URL="https://CANARY@a.example.org/a.csv")


def test_a_check_says_what_can_be_read(table: FakeWeb) -> None:
    settings = {"origins_csv_url": [], "google_api_endpoint": None, "google_credentials": "", "object_stores": ""}
    assert check(settings)[0].startswith("off: CSV_URL is not set")
    (line,) = check(settings | {"origins_csv_url": [table.url]})
    assert line.startswith("ok: origin 1, a web address")


def test_rows_become_readings_and_an_unchanged_table_is_not_fetched_again(tmp_path: Path, table: FakeWeb) -> None:
    def readings() -> list[tuple[str, float, str]]:
        done = live_bench.run(tmp_path, "csv_url", "--until-stage", "normalization", CSV_URL=table.url, TIMEZONE="Europe/Warsaw")
        assert done.returncode == 0, done.stderr
        found = pq.read_table(tmp_path / "processed/normalized/csv_url.parquet").to_pylist()
        return sorted((row["metric"], round(row["value"], 2), row["local_date"].isoformat()) for row in found)

    first = [("heart_rate", 72.0, "2025-03-01"), ("steps", 7300.0, "2025-03-01"), ("weight", 74.98, "2025-03-01")]
    assert readings() == first
    assert readings() == first
    assert table.downloads == 1
    table.content, table.headers = TABLE.replace("7300", "7400").encode(), {"ETag": '"v2"'}
    table.drop_after = [40]  # the connection breaks; the rest is fetched, not the whole
    assert readings()[1] == ("steps", 7400.0, "2025-03-01")
    assert ("GET", "bytes=40-") in table.asked


def test_the_address_stands_in_no_message(tmp_path: Path, table: FakeWeb) -> None:
    table.statuses = [404] * 5
    done = live_bench.run(tmp_path, "csv_url", CSV_URL=f"{table.url}?token=CANARY")
    assert done.returncode == 1
    assert "has no export there" in done.stderr + done.stdout
    assert "CANARY" not in done.stderr + done.stdout
