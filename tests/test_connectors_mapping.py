"""Records become readings by a mapping alone: paths, times, zones, units; what cannot be used is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.mapping import Mapped, Unify, found, plain
from config.metrics import METRICS
from config.stage import Report
from config.tables import RECORDS, TableWriter
from config.timezones import PersonZones
from config.units import converted, known, scale
from processing.normalizers.mapped import normalize
from processing.normalizers.mapped_time import UnreadableTimeError, moment
from tests.stage_bench import StageBench, as_file

HEART = Mapped("heart_rate", "bpm", "at")


def records(folder: Path, raws: Sequence[Any], streams: Sequence[str] = (), revisions: Sequence[int] = ()) -> Path:
    path = folder / "records"
    with path.open("wb") as sink, TableWriter(sink, RECORDS) as table:
        for n, raw in enumerate(raws):
            stream = streams[n] if streams else "heart"
            known = {
                "raw_id": str(raw.get("id", n)) if isinstance(raw, dict) else str(n),
                "raw": json.dumps(raw),
                "status": "valid",
                "raw_artifact": f"raw/api/{stream}/000001-0123456789ab.json",
                "raw_sha256": "0" * 64,
                "position": f"record {n}",
                "record_index": n,
                "revision": revisions[n] if revisions else 0,
            }
            table.append(known.get(field.name) for field in RECORDS)
    return path


def mapped(
    folder: Path, raws: Sequence[Any], *maps: Mapped, unify: Unify | None = None, zone: str = "Europe/Warsaw", **more: Any
) -> tuple[list[dict[str, Any]], Report, list[dict[str, Any]]]:
    """(readings, report, refused) of these records."""
    settings = {
        "timezone": zone,
        "timezone_overrides": more.pop("overrides", []),
        "own_users": {},
        "readings_api": [plain(m) for m in maps or (HEART,)],
        "unify_api": plain(unify) if unify else None,
    }
    report, out = StageBench(Path(mkdtemp(dir=folder))).run(
        normalize, {"records": as_file(records(folder, raws, **more))}, settings
    )
    return pq.read_table(out / "readings").to_pylist(), report, pq.read_table(out / "rejected").to_pylist()


def one(folder: Path, raw: Any, *maps: Mapped, **more: Any) -> dict[str, Any]:
    readings, report, _ = mapped(folder, [raw], *maps, **more)
    assert report["balance"]["fates"] == {"accepted": 1}, report
    return readings[0]


def refused(folder: Path, raw: Any, *maps: Mapped, **more: Any) -> str:
    readings, report, listed = mapped(folder, [raw], *maps, **more)
    assert readings == []
    assert [row["reason"] for row in listed] == [fate.partition(":")[2] for fate in report["balance"]["fates"]]
    return str(listed[0]["reason"])


def test_a_path_reaches_into_objects_lists_and_keys_with_dots() -> None:
    record = {"a": {"b": [{"c": 1}, {"c": 2}]}, "x.y": 3, "x": {"y": 4, "z.w": 5}}
    assert found(record, "a.b.1.c") == 2
    assert found(record, "x.y") == 3
    assert found(record, "x.z.w") == 5
    assert [found(record, path) for path in ("", "a.b.2.c", "a.q", "a.b.c", "a.b.1.c.d", "b")] == [None] * 6


def test_a_reading_has_the_day_the_person_was_in(tmp_path: Path) -> None:
    row = one(
        tmp_path, {"bpm": 61, "at": "2025-03-01T23:30:00Z", "device": {"name": "Band 7"}}, HEART._replace(device="device.name")
    )
    assert (row["metric"], row["value"], row["unit"], row["scope"], row["device"]) == (
        "heart_rate",
        61,
        "/min",
        "instant",
        "Band 7",
    )
    assert row["start"] == datetime(2025, 3, 1, 23, 30, tzinfo=UTC)
    assert (row["local_date"], row["utc_offset"]) == (date(2025, 3, 2), 3600)


@pytest.mark.parametrize(
    ("said", "offset", "utc", "seconds"),
    [
        ("2025-07-01T08:00:00", None, "2025-07-01T06:00:00", 7200),
        ("2025-07-01 08:00", None, "2025-07-01T06:00:00", 7200),
        ("2025-07-01T08:00:00.123456789Z", None, "2025-07-01T08:00:00.123456", 7200),
        ("2025-07-01T08:00:00 UTC", None, "2025-07-01T08:00:00", 7200),
        ("2025-07-01T08:00:00-05:00", None, "2025-07-01T13:00:00", -18000),
        ("2025-07-01T08:00:00+0000", None, "2025-07-01T08:00:00", 7200),
        ("2025-07-01T08:00:00", "-05:00", "2025-07-01T13:00:00", -18000),
        ("2025-07-01T08:00:00", 20700, "2025-07-01T02:15:00", 20700),
        ("2025-07-01T08:00:00Z", "-05:00", "2025-07-01T08:00:00", -18000),
        (1_751_356_800, None, "2025-07-01T08:00:00", 7200),
        ("1751356800000", None, "2025-07-01T08:00:00", 7200),
        (1_751_356_800.5, None, "2025-07-01T08:00:00.500000", 7200),
    ],
)
def test_times_are_read_with_and_without_an_offset(tmp_path: Path, said: object, offset: object, utc: str, seconds: int) -> None:
    row = one(tmp_path, {"bpm": 61, "at": said, "off": offset}, HEART._replace(offset="off"))
    assert row["start"] == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert row["utc_offset"] == seconds


def test_the_hours_when_clocks_change_are_flagged_and_a_journey_is_another_zone(tmp_path: Path) -> None:
    assert one(tmp_path, {"bpm": 61, "at": "2025-03-30T02:30:00"})["flags"] == ["dst_gap"]
    assert one(tmp_path, {"bpm": 61, "at": "2025-10-26T02:30:00"})["flags"] == ["dst_overlap"]
    away = [{"from": "2025-07-01", "to": "2025-07-14", "timezone": "America/New_York"}]
    row = one(tmp_path, {"bpm": 61, "at": "2025-07-02T02:00:00Z"}, overrides=away)
    assert (row["local_date"], row["utc_offset"]) == (date(2025, 7, 1), -14400)


def test_a_bare_date_is_the_whole_day_23_hours_long_when_the_clocks_change(tmp_path: Path) -> None:
    row = one(tmp_path, {"n": "8123", "day": "2025-03-30"}, Mapped("steps", "n", "day"))
    assert (row["scope"], row["local_date"], row["value"]) == ("day", date(2025, 3, 30), 8123)
    assert (row["end"] - row["start"]).total_seconds() == 23 * 3600


def test_what_has_an_end_is_an_interval_and_a_sleep_a_session_of_the_day_of_waking(tmp_path: Path) -> None:
    walk = {"n": 900, "from": "2025-03-01T08:00:00Z", "to": "2025-03-01T08:10:00Z"}
    row = one(tmp_path, walk, Mapped("steps", "n", "from", end="to"))
    assert (row["scope"], (row["end"] - row["start"]).seconds) == ("interval", 600)
    night = {"s": 25_200, "from": "2025-03-01T22:00:00Z", "to": "2025-03-02T06:00:00Z"}
    row = one(tmp_path, night, Mapped("sleep_duration", "s", "from", unit="s", end="to"))
    assert (row["scope"], row["local_date"], row["value"]) == ("session", date(2025, 3, 2), 420)


@pytest.mark.parametrize(
    ("metric", "unit", "value", "wanted"),
    [
        ("weight", "[lb_av]", 154.0, 69.853225),
        ("weight", "lbs", 154.0, 69.853225),
        ("weight", "g", 71_400, 71.4),
        ("body_temperature", "[degF]", 98.6, 37.0),
        ("body_temperature", "K", 310.15, 37.0),
        ("systolic", "kPa", 16.0, 120.009869),
        ("distance", "[mi_i]", 2, 3218.688),
        ("active_energy", "kJ", 418.4, 100.0),
        ("heart_rate", "{beats}/min", 61, 61),
        ("heart_rate", "1/min", 61, 61),
        ("heart_rate", "Hz", 1, 60),
        ("spo2", "1", 0.97, 97.0),
        ("sleep_duration", "h", 7.5, 450.0),
        ("steps", "{count}", 900, 900),
    ],
)
def test_units_go_over_into_the_catalogues(metric: str, unit: str, value: float, wanted: float) -> None:
    scaled = scale(metric, unit)
    assert scaled is not None
    assert converted(value, scaled) == pytest.approx(wanted, abs=1e-6)


def test_no_unit_goes_over_into_one_of_another_dimension() -> None:
    for metric in METRICS:
        assert scale(metric, "") == (1.0, 0.0)
        assert scale(metric, known(metric)[0]) == (1.0, 0.0)
        assert scale(metric, "furlong") is None
    assert scale("weight", "m") is None
    assert scale("heart_rate", "ms") is None


def test_unit_metric_and_factor_may_come_from_the_record_or_the_mapping(tmp_path: Path) -> None:
    any_metric = Mapped("=kind", "v", "at", unit="=u")
    at = "2025-03-01T08:00:00Z"
    raws = [
        {"kind": "weight", "v": 154, "u": "lb", "at": at},
        {"kind": "weight", "v": 71, "at": at},
        {"kind": "steps", "v": 10, "u": None, "at": at},
        {"kind": "mood", "v": 3, "at": at},
        {"v": 3, "at": at},
        {"kind": "weight", "v": 1, "u": "furlong", "at": at},
        {"kind": "weight", "v": 1, "u": ["kg"], "at": at},
    ]
    readings, report, listed = mapped(tmp_path, raws, any_metric)
    assert {(r["metric"], r["value"]) for r in readings} == {("weight", 69.853225), ("weight", 71), ("steps", 10)}
    assert report["balance"]["fates"] == {"accepted": 3, "unused:unknown_metric": 2, "rejected:unknown_unit": 2}
    assert report["findings"][0]["count"] == 2
    assert {row["reason"] for row in listed} == {"unknown_unit"}
    assert one(tmp_path, {"w": 71_400, "at": at}, Mapped("weight", "w", "at", factor=0.001))["value"] == pytest.approx(71.4)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"bpm": "many", "at": "2025-03-01T08:00:00Z"}, "not_a_number"),
        ({"bpm": True, "at": "2025-03-01T08:00:00Z"}, "not_a_number"),
        ({"bpm": {"v": 1}, "at": "2025-03-01T08:00:00Z"}, "not_a_number"),
        ({"bpm": 1e300, "at": "2025-03-01T08:00:00Z"}, "not_a_number"),
        ({"bpm": 0, "at": "2025-03-01T08:00:00Z"}, "zero"),
        ({"bpm": 61}, "no_time"),
        ({"bpm": 61, "at": ""}, "no_time"),
        ({"bpm": 61, "at": "yesterday"}, "bad_time"),
        ({"bpm": 61, "at": "03/01/25 08:00"}, "bad_time"),
        ({"bpm": 61, "at": "2025-02-30T08:00:00Z"}, "bad_time"),
        ({"bpm": 61, "at": "x" * 10_000}, "bad_time"),
        ({"bpm": 61, "at": 12}, "bad_time"),
        ({"bpm": 61, "at": [1]}, "bad_time"),
        ({"bpm": 61, "at": "1066-10-14T08:00:00Z"}, "year_out_of_range"),
        ({"bpm": 61, "at": "9999-12-31"}, "year_out_of_range"),
        ({"bpm": 61, "at": "2025-03-01T08:00:00", "off": "near Warsaw"}, "bad_offset"),
        ({"bpm": 61, "at": "2025-03-01T08:00:00", "off": 123}, "bad_offset"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(tmp_path: Path, raw: dict[str, Any], reason: str) -> None:
    assert refused(tmp_path, raw, HEART._replace(offset="off")) == reason


def test_a_sleep_without_an_end_and_an_end_before_its_beginning_are_refused(tmp_path: Path) -> None:
    night = Mapped("sleep_duration", "s", "from", end="to")
    assert refused(tmp_path, {"s": 400, "from": "2025-03-01T22:00:00Z"}, night) == "no_end"
    assert refused(tmp_path, {"s": 400, "from": "2025-03-01T22:00:00Z", "to": "2025-03-01T21:00:00Z"}, night) == "bad_end"
    assert refused(tmp_path, {"s": 400, "from": "2025-03-01T22:00:00Z", "to": "2025-03-09T21:00:00Z"}, night) == "bad_end"
    assert one(tmp_path, {"s": 400, "from": "2025-03-02"}, night)["scope"] == "day"


def test_one_record_may_hold_a_whole_measurement_and_lose_a_part_of_it(tmp_path: Path) -> None:
    cuff = [Mapped(metric, metric, "at") for metric in ("systolic", "diastolic", "pulse")]
    raw = {"systolic": 128, "diastolic": 82, "pulse": "?", "at": "2025-03-01T08:00:00Z"}
    readings, report, listed = mapped(tmp_path, [raw], *cuff)
    assert {r["metric"] for r in readings} == {"systolic", "diastolic"}
    assert report["balance"]["fates"] == {"accepted": 1}
    assert [(row["reason"], row["field"]) for row in listed] == [("not_a_number", "pulse")]
    assert report["refused"] == {"not_a_number": 1}


def test_a_measurement_told_by_several_records_is_one_again(tmp_path: Path) -> None:
    at, later = "2025-03-01T08:00:00Z", "2025-03-01T08:01:00Z"
    told = [("dia", "diastolic", 82, at, "cuff"), ("sys", "systolic", 128, at, "cuff"), ("pul", "pulse", 61, at, "cuff")]
    told += [
        ("alone", "systolic", 130, later, "cuff"),
        ("other", "diastolic", 80, later, "other cuff"),
        ("p2", "pulse", 60, later, ""),
    ]
    raws = [{"id": i, "k": k, "v": v, "at": t, "dev": d} for i, k, v, t, d in told]
    readings, report, _ = mapped(tmp_path, raws, Mapped("=k", "v", "at", device="dev"))
    assert {(r["metric"], r["raw_id"]) for r in readings} == {
        ("systolic", "sys"), ("diastolic", "sys"), ("pulse", "sys"), ("systolic", "alone"), ("diastolic", "other"), ("pulse", "p2"),
    }  # fmt: skip
    assert report["balance"]["fates"] == {"accepted": 6}


def test_records_of_another_shape_or_stream_give_no_reading_and_are_counted(tmp_path: Path) -> None:
    at = "2025-03-01T08:00:00Z"
    raws = [{"v": 61, "at": at}, {"v": 71, "at": at}, {"note": "none"}, {"v": None, "at": at}]
    heart, scale_ = Mapped("heart_rate", "v", "at", stream="heart"), Mapped("weight", "v", "at", stream="scale")
    readings, report, _ = mapped(tmp_path, raws, heart, scale_, streams=["heart", "scale", "heart", "heart"])
    assert [(r["metric"], r["value"]) for r in readings] == [("heart_rate", 61), ("weight", 71)]
    assert report["balance"]["fates"] == {"accepted": 2, "unused:no_measurement": 2}


def test_a_record_deleted_at_its_source_gives_no_reading_any_more(tmp_path: Path) -> None:
    at = "2025-03-01T08:00:00Z"
    raws = [{"id": 1, "bpm": 61, "at": at}, {"id": 1, "bpm": 61, "at": at, "gone": "2025-03-02"}, {"id": 2, "bpm": 62, "at": at}]
    readings, report, _ = mapped(tmp_path, raws, unify=Unify("id", deleted="gone"), revisions=[1, 2, 1])
    assert [r["value"] for r in readings] == [62]
    assert report["balance"]["fates"] == {"accepted": 1, "superseded": 1, "unused:deleted": 1}


def test_the_order_of_arrival_leaves_no_trace_in_the_bytes(tmp_path: Path) -> None:
    raws = [{"id": n, "bpm": 50 + n, "at": 1_751_356_800 + 60 * (n % 7)} for n in range(50)]
    made = []
    for name, given_ in (("one", raws), ("other", raws[::-1])):
        (tmp_path / name).mkdir()
        mapped(tmp_path / name, given_)
        made += [path.read_bytes() for path in (tmp_path / name).glob("*/out1/readings")]
    assert len(made) == 2
    assert made[0] == made[1]


@given(st.one_of(st.text(max_size=40), st.integers(), st.floats(), st.none(), st.booleans(), st.datetimes().map(str)), st.text())
def test_whatever_a_time_is_it_is_read_or_refused_by_name(said: object, offset: str) -> None:
    try:
        found_ = moment(said, offset, PersonZones("Europe/Warsaw"))
    except UnreadableTimeError as why:
        known_reason = str(why) in ("no_time", "bad_time", "bad_offset", "year_out_of_range")
    else:
        known_reason = found_.day is not None or 0 <= found_.micros < 4_200_000_000_000_000
    assert known_reason
