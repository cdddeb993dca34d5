"""Every record says truthfully how good it is, and the time as it stood in it: `docs/quality.md`."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.metrics import METRICS
from config.sources import SOURCES
from ingestion.expected import Plans
from ingestion.mi_fitness.records import records as mi_records
from ingestion.quality import WEIGHTS, Judge, Verdict
from scripts.generate_mock_data import generate
from tests.blood_pressure_bench import run as run_pressures
from tests.mi_fitness_exports import FITNESS, fitness, table
from tests.stage_bench import StageBench

REPO = Path(__file__).parent.parent
SCHEMAS: dict[str, dict[str, Any]] = {
    name: json.loads((REPO / f"ingestion/{name}/schema.json").read_text("utf-8"))
    for name, source in SOURCES.items()
    if not source.rest
}
JUDGES = {name: Judge(schema) for name, schema in SCHEMAS.items()}
T = 1_765_284_300


def sample(key: str = "heart_rate", **value: Any) -> dict[str, Any]:
    """A row of a Mi Fitness export."""
    told = value or {"time": T, "bpm": 85}
    row = {"Uid": "1", "Sid": "huami.1", "Key": key, "Time": T, "Value": told, "UpdateTime": T + 1}
    return {"table": "hlth_center_fitness_data", **row}


def daily(key: str, **value: Any) -> dict[str, Any]:
    return sample(key, **value) | {"table": "hlth_center_aggregated_fitness_data", "Tag": "daily_report"}


def sheet(unit: str | None = None, **fields: Any) -> dict[str, Any]:
    """A measurement of a sheet."""
    about = {"sheet": "Log", "row": 2, "slot": None, "group": None, "unit": unit, "locale": "pl_PL", "timeZone": "Europe/Warsaw"}
    return {**about, "fields": {"date": 45745, "systolic": 128, "diastolic": 82} | fields, "other": {}}


def cuff(preset: str = "omron_connect", **fields: str) -> dict[str, Any]:
    """A row of a cuff's CSV."""
    told = {"date": "Jan 12 2025", "systolic": "128", "diastolic": "82"} | fields
    return {"preset": preset, "unit": None, "decimal": None, "ownUser": "1", "fields": told, "row": {}}


GOOD = {
    "mi_fitness": [
        sample(),
        sample("steps", steps=0, distance=0, calories=0.0),
        sample("spo2", spo2=97),
        sample("resting_heart_rate", bpm=58),
        sample("weight", weight=86.0),
        sample("sleep", bedtime=T, wake_up_time=T + 9, duration=407),
        sample("watch_daytime_sleep", bedtime=0, wake_up_time=0, duration=0, items=[{"state": 3}]),
        sample("stress", stress=20),
        daily("steps", steps=8000, distance=5000, calories=300),
        daily("heart_rate", avg_hr=70, min_hr=50, max_hr=120, avg_rhr=None),
        daily("heart_rate", avg_hr=70, min_hr=50, max_hr=120, avg_rhr=55),
        daily("sleep", total_duration=407, sleep_score=0),
        daily("spo2", avg_spo2=96),
        {"table": "hlth_center_data_source", "Sid": "huami.1", "Name": "", "Alias": "", "Model": "m6", "CreateTime": T},
        {"table": "user_fitness_data_records", "key": "x", "time": T, "value": {"a": 1}},
    ],
    "google_sheets": [
        sheet(),
        sheet("kPa", systolic=17.1, diastolic=10.9, pulse=64),
        sheet(systolic="128/82", diastolic=""),
        sheet(systolic="", diastolic="", pressure="128/82", pulse=""),
        sheet(date="") | {"dateAbove": 45745},
    ],
    "bp_csv": [
        cuff(),
        cuff("generic", systolic="130 na 85", diastolic=""),
        cuff("withings", systolic="", diastolic="", pulse="64"),
        cuff("bp_app", date="", timestamp_ms="1703175660000"),
    ],
}


def told(source: str, raw: dict[str, Any], *untimely: str) -> tuple[float, dict[str, Any], dict[str, Any], Verdict]:
    found = JUDGES[source].verdict(raw, untimely)
    return found.profile.score, json.loads(found.profile.metrics), json.loads(found.profile.checks), found


def why(source: str, raw: dict[str, Any]) -> list[str]:
    found: list[str] = told(source, raw)[2].get("why", [])
    return found


@pytest.mark.parametrize(("source", "raw"), [(source, raw) for source, good in GOOD.items() for raw in good])
def test_a_good_record_of_any_kind_is_flawless(source: str, raw: dict[str, Any]) -> None:
    score, metrics, checks, found = told(source, raw)
    assert (score, metrics["completeness"], metrics["violations"], found.refusals) == (1.0, 1.0, 0, ())
    assert metrics["expected"] == metrics["present"] >= 3
    assert set(checks.values()) <= {"passed", "not_applicable"}


@pytest.mark.parametrize(
    ("source", "raw", "expected"),
    [
        ("mi_fitness", sample(time=T), ["missing:Value.bpm"]),
        ("mi_fitness", sample(bpm=0), ["zero:Value.bpm"]),
        ("mi_fitness", sample(bpm=255), ["above:Value.bpm"]),
        ("mi_fitness", sample(bpm=-1), ["below:Value.bpm"]),
        ("mi_fitness", sample(bpm=10**30), ["above:Value.bpm"]),
        ("mi_fitness", sample() | {"Sid": " "}, ["missing:Sid"]),
        ("mi_fitness", sample() | {"Value": "x"}, ["missing:Value.bpm", "schema:Value:type"]),
        ("mi_fitness", sample() | {"Key": ""}, ["missing:Key", "schema:Key:minLength"]),
        (
            "mi_fitness",
            daily("heart_rate", avg_hr=0, min_hr=0, max_hr=0),
            ["zero:Value.avg_hr", "zero:Value.max_hr", "zero:Value.min_hr"],
        ),
        ("mi_fitness", daily("heart_rate", avg_hr=70, min_hr=50, max_hr=99, avg_rhr=0), []),
        ("mi_fitness", daily("heart_rate", avg_hr=70, min_hr=50, max_hr=99, avg_rhr=200), ["above:Value.avg_rhr"]),
        ("google_sheets", sheet(diastolic=""), ["missing:fields.diastolic"]),
        ("google_sheets", sheet(systolic="128", diastolic=None), ["missing:fields.diastolic"]),
        ("google_sheets", sheet(date="  "), ["missing:fields.date"]),
        ("google_sheets", sheet(systolic=17), []),
        ("google_sheets", sheet("mmHg", systolic=17), ["below:fields.systolic"]),
        ("google_sheets", sheet("kPa"), ["above:fields.diastolic", "above:fields.systolic"]),
        ("google_sheets", sheet(pulse=0), []),
        ("google_sheets", sheet(systolic=0), ["zero:fields.systolic"]),
        ("google_sheets", sheet() | {"row": 0}, ["schema:row:exclusiveMinimum"]),
        ("bp_csv", cuff(diastolic=""), ["missing:fields.diastolic"]),
        ("bp_csv", cuff(systolic="", diastolic="", pulse="64"), ["missing:fields.systolic", "missing:fields.diastolic"]),
    ],
)
def test_what_is_wrong_is_named_by_its_field(source: str, raw: dict[str, Any], expected: list[str]) -> None:
    assert why(source, raw) == expected


@pytest.mark.parametrize(
    ("source", "raw", "score"),
    [
        ("mi_fitness", sample(time=T), 0.84),  # of five fields four earn 0.8 each, the last nothing
        ("mi_fitness", sample(bpm=0), 0.84),
        ("mi_fitness", sample(bpm=255), 0.96),
        ("mi_fitness", sample() | {"Value": "x"}, 0.76),  # one there but of the wrong shape, one missing
        (
            "mi_fitness",
            daily("heart_rate", avg_hr=70, min_hr=50, max_hr=99, avg_rhr=200),
            0.975,
        ),  # within a field: it is that field's
        ("google_sheets", sheet() | {"row": 0}, 0.9),  # elsewhere: one more field that is checked
        ("google_sheets", sheet(diastolic=""), 0.7333),
    ],
)
def test_the_score_is_the_formula_s(source: str, raw: dict[str, Any], score: float) -> None:
    assert told(source, raw)[0] == score


def test_a_time_that_cannot_be_used_is_a_failed_check() -> None:
    score, metrics, checks, found = told("mi_fitness", sample(), "future")
    assert (score, metrics["timeliness"], checks["timeliness"], checks["why"]) == (0.8, 0.0, "failed", ["future"])
    assert found.refusals == ()  # what refuses the record for its time is the collector's to say


def test_texts_are_not_judged_by_their_value() -> None:
    assert told("google_sheets", sheet(systolic="999", diastolic="82"))[2]["plausibility"] == "not_applicable"
    assert told("google_sheets", sheet(systolic="999", diastolic=82))[2]["plausibility"] == "passed"


def test_a_record_that_does_not_say_what_it_is_earns_nothing_for_its_fields() -> None:
    raw = sample()
    del raw["Key"]
    score, metrics, _, _ = told("mi_fitness", raw)
    assert (score, metrics["expected"], metrics["present"]) == (WEIGHTS["timeliness"], 4, 3)


def test_the_weights_make_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_the_example_of_the_document_is_what_comes_out() -> None:
    text = (REPO / "docs/quality.md").read_text("utf-8")
    raw, metrics, checks = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    score, found_metrics, found_checks, _ = told("mi_fitness", raw)
    assert (found_metrics, found_checks) == (metrics, checks)
    assert f"= {score}" in text


def test_the_document_gives_the_formula_s_weights_and_every_expected_field() -> None:
    text = (REPO / "docs/quality.md").read_text("utf-8")
    for name, weight in WEIGHTS.items():
        assert f"| `{name}` | {weight} |" in text
    for schema in SCHEMAS.values():
        for part in parts(schema):
            for field in part.get("x-expected", ()):
                for place in field if isinstance(field, list) else [field]:
                    name = place if isinstance(place, str) else place["path"]
                    assert f"`{name}`" in text, name


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for rule in schema.get("allOf", ()):
        yield from (rule[branch] for branch in ("then", "else") if branch in rule)


def test_the_ranges_are_those_of_the_catalogue() -> None:
    band = SCHEMAS["mi_fitness"]["$defs"]
    named = {"heart_rate": "heart_rate", "resting_heart_rate": "resting_heart_rate", "spo2": "spo2", "weight": "weight"}
    named |= {"sleep_minutes": "sleep_duration"}
    ranges = {metric: band[name] for name, metric in named.items()}
    walked = band["walked"]["properties"]
    ranges |= {"steps": walked["steps"], "distance": walked["distance"], "active_energy": walked["calories"]}
    ranges |= SCHEMAS["google_sheets"]["$defs"]["mmhg"]["properties"] | {"pulse": SCHEMAS["google_sheets"]["$defs"]["pulse"]}
    for metric, span in ranges.items():
        assert (span["minimum"], span["maximum"]) == METRICS[metric].reject, metric
    assert (band["sleep_score"]["minimum"], band["sleep_score"]["maximum"]) == (
        1,
        METRICS["sleep_score"].reject[1],
    )  # 0: no score
    kilopascal = SCHEMAS["google_sheets"]["$defs"]["kpa"]["properties"]
    for metric in ("systolic", "diastolic"):
        low, high = METRICS[metric].reject
        assert kilopascal[metric]["minimum"] == pytest.approx(low / 7.50062, abs=0.1)
        assert kilopascal[metric]["maximum"] == pytest.approx(high / 7.50062, abs=0.1)
        assert kilopascal[metric]["minimum"] * 7.50062 <= low
        assert kilopascal[metric]["maximum"] * 7.50062 >= high


@pytest.mark.parametrize("source", SCHEMAS)
def test_conditions_ask_for_texts_at_the_top_of_the_record_only(source: str) -> None:
    always = set(SCHEMAS[source]["required"])
    for rule in SCHEMAS[source].get("allOf", ()):
        asked = rule["if"]["properties"]
        assert set(rule["if"]) <= {"properties", "required"}
        assert set(asked) <= always | set(rule["if"].get("required", ()))
        for test in asked.values():
            assert set(test) <= {"const", "enum", "pattern"}
            assert all(isinstance(text, str) for text in [*test.get("enum", ()), test.get("const", "")])


ODD = st.sampled_from(
    [None, "", " ", "x", "85", "128/82", 0, -1, 85, 86.5, 300, 10**30, True, {}, [], [1], {"bpm": 85}, {"x": 1}]
)
NAMES = {
    "mi_fitness": ["table", "Sid", "Tag", "Key", "Time", "Value", "time", "key", "value", "more"],
    "google_sheets": ["sheet", "row", "unit", "fields", "other", "dateAbove", "more"],
    "bp_csv": ["preset", "unit", "fields", "row", "more"],
}
INSIDE = {
    "mi_fitness": ("Value", ["bpm", "spo2", "steps", "distance", "avg_hr", "avg_rhr", "duration", "items", "more"]),
    "google_sheets": ("fields", ["date", "systolic", "diastolic", "pulse", "pressure", "more"]),
    "bp_csv": ("fields", ["date", "systolic", "diastolic", "pulse", "pressure", "more"]),
}


@st.composite
def records(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A source and a record of it that has seen better days."""
    source = draw(st.sampled_from(list(GOOD)))
    raw = copy.deepcopy(draw(st.sampled_from(GOOD[source])))
    outer, names = INSIDE[source]
    for name in draw(st.lists(st.sampled_from(names), max_size=3)):
        if isinstance(raw.get(outer), dict):
            raw[outer][name] = draw(ODD)
    for name in draw(st.lists(st.sampled_from(NAMES[source]), max_size=2)):
        raw[name] = draw(ODD)
    return source, raw


def without(raw: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """The record with one field less; None when it has none such."""
    less = copy.deepcopy(raw)
    inside: Any = less
    for name in path[:-1]:
        inside = inside.get(name) if isinstance(inside, dict) else None
    if not isinstance(inside, dict) or path[-1] not in inside:
        return None
    del inside[path[-1]]
    return less


TIMES = st.sampled_from([(), ("future",), ("no_time",), ("bad_date",)])


@given(records(), TIMES)
def test_a_score_lies_between_nought_and_one_and_depends_on_nothing_but_the_record(
    made: tuple[str, dict[str, Any]], untimely: tuple[str, ...]
) -> None:
    source, raw = made
    found = JUDGES[source].verdict(raw, untimely)
    assert 0 <= found.profile.score <= 1
    assert found == Judge(SCHEMAS[source]).verdict(copy.deepcopy(raw), untimely)
    metrics = json.loads(found.profile.metrics)
    assert 0 <= metrics["present"] <= metrics["expected"]
    assert all(metrics[name] is None or 0 <= metrics[name] <= 1 for name in WEIGHTS)


@given(records(), TIMES)
def test_taking_an_expected_field_away_never_raises_the_score(
    made: tuple[str, dict[str, Any]], untimely: tuple[str, ...]
) -> None:
    source, raw = made
    judge = JUDGES[source]
    score = judge.verdict(raw, untimely).profile.score
    for field in Plans(SCHEMAS[source]).of(raw).fields:
        for place in field:
            less = without(raw, place.path)
            if less is not None:
                assert judge.verdict(less, untimely).profile.score <= score, place.path


@given(records())
def test_ranges_refuse_nothing_and_the_rest_of_the_schema_refuses_as_ever(made: tuple[str, dict[str, Any]]) -> None:
    import jsonschema_rs

    source, raw = made
    plain = jsonschema_rs.validator_for(unranged(SCHEMAS[source]))
    codes = {
        f"schema:{'.'.join(map(str, e.instance_path)) or '$'}:{e.schema_path[-1] if e.schema_path else 'invalid'}"
        for e in plain.iter_errors(raw)
    }
    assert list(JUDGES[source].verdict(raw).refusals) == sorted(codes)


def unranged(schema: Any) -> Any:
    if isinstance(schema, list):
        return [unranged(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: unranged(v) for k, v in schema.items() if k not in ("minimum", "maximum")}


@given(records(), TIMES)
def test_the_short_way_for_flawless_records_says_what_the_long_way_says(
    made: tuple[str, dict[str, Any]], untimely: tuple[str, ...]
) -> None:
    source, raw = made
    judge = JUDGES[source]
    assert judge.verdict(raw, untimely) == judge._flawed(judge.plans.of(raw), raw, untimely)


def test_no_value_and_no_nul_gets_into_a_profile() -> None:
    raw = sheet(date="CANARY", systolic=[31337]) | {"unit": "CANARY", "other": {"a\0": []}}
    found = JUDGES["google_sheets"].verdict(raw)
    assert "31337" not in repr(found)
    assert "CANARY" not in repr(found)
    assert "schema:other.a:type" in found.profile.checks
    assert json.loads(found.profile.checks)["conformity"] == "failed"


def test_a_record_of_very_many_faults_has_a_short_profile() -> None:
    raw = sheet() | {"x" * 5_000 + str(n): 1 for n in range(500)} | {"other": {"y" * 5_000 + str(n): [] for n in range(500)}}
    found = JUDGES["google_sheets"].verdict(raw)
    assert len(found.profile.checks) < 10_000
    assert json.loads(found.profile.metrics)["violations"] > 500


def test_an_export_has_few_different_profiles_and_none_that_names_a_record(tmp_path: Path) -> None:
    generate(tmp_path / "inbox", days=60, end=date(2025, 12, 31), seed=3, timezone="Europe/Warsaw", hr_minutes=30)
    files: list[str | Path] = [*sorted((tmp_path / "inbox/mi_fitness").iterdir())]
    _, out = StageBench(tmp_path / "bench").run(mi_records, {"raw": files}, {"timezone": "UTC", "timezone_overrides": []})
    rows = pq.read_table(out / "records").to_pylist()
    profiles = {(r["quality_score"], r["quality_metrics"], r["quality_checks"]) for r in rows}
    assert len(rows) > 5_000
    assert len(profiles) < 25
    assert {r["status"] for r in rows if "above:" in r["quality_checks"] or "zero:" in r["quality_checks"]} == {"valid"}


def test_the_time_of_a_sheet_is_kept_as_written_with_the_offset_it_was_read_with(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["Data", "Godz.", "SYS", "DIA"],
        ["29.03.2025", " 07:30", 128, 82],
        ["", "21:00", 128, 83],
        ["2025-07-01 07:30+05:30", "", 128, 84],
        ["30.03.2025", "02:30", 128, 85],
        [45745, 0.3125, 128, 86],
        [45746, "rano", 128, 87],
        ["soon", "", 128, 88],
        ["Średnia", "", 128, 89],
    ]
    text = json.dumps({"locale": "pl_PL", "timeZone": "Europe/Warsaw", "values": rows})
    made = run_pressures("google_sheets", tmp_path, {"sheet.json": text})
    assert [(r["time_text"], r["utc_offset"]) for r in made.records] == [
        ("29.03.2025  07:30", 3600),
        ("29.03.2025 21:00", 3600),
        ("2025-07-01 07:30+05:30", 19_800),
        ("30.03.2025 02:30", 3600),  # does not exist: read with the offset before the gap
        (None, None),
        (None, None),
        ("soon", None),
        (None, None),
    ]
    assert made.records[2]["source_timestamp"] == datetime(2025, 7, 1, 2, 0, tzinfo=UTC)
    assert [json.loads(r["quality_checks"])["timeliness"] for r in made.records] == ["passed"] * 6 + ["failed"] * 2
    assert [json.loads(r["quality_checks"])["why"][-1] for r in made.records[-2:]] == ["bad_date", "summary_row"]


def test_the_offset_is_that_of_the_zone_the_sheet_is_kept_in(tmp_path: Path) -> None:
    values = [["Date", "Time", "SYS", "DIA"], ["2025-03-29", "07:30", 128, 82]]
    text = json.dumps({"locale": "en_GB", "timeZone": "Asia/Tokyo", "values": values})
    (row,) = run_pressures("google_sheets", tmp_path, {"sheet.json": text}).records
    assert (row["time_text"], row["utc_offset"]) == ("2025-03-29 07:30", 32_400)


def test_the_time_of_a_cuff_is_kept_as_written_and_an_epoch_is_no_text(tmp_path: Path) -> None:
    omron = "Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Symptoms,Consumed,TruRead,Notes\n"
    made = run_pressures("bp_csv", tmp_path / "a", {"a.csv": omron + "Jul 12 2025,08:15,128,82,64,-,-,Off,-\n"})
    assert [(r["time_text"], r["utc_offset"]) for r in made.records] == [("Jul 12 2025 08:15", 7200)]
    epoch = "timestampUnixMs,systolic,diastolic,pulse,notes\n1703175660000,128,82,64,\n"
    made = run_pressures("bp_csv", tmp_path / "b", {"b.csv": epoch})
    assert [(r["time_text"], r["utc_offset"], r["status"]) for r in made.records] == [(None, None, "valid")]
    columns = {"timestamp_s": ["at"], "date": ["day"], "systolic": ["sys"], "diastolic": ["dia"]}
    both = "at,day,sys,dia\n1703175660,2023-12-21,128,82\n"
    made = run_pressures("bp_csv", tmp_path / "c", {"c.csv": both}, {"bp_csv_presets": {"mine": {"columns": columns}}})
    assert [(r["time_text"], r["utc_offset"], r["status"]) for r in made.records] == [(None, None, "valid")]


def test_the_time_of_a_band_is_kept_where_it_is_text(tmp_path: Path) -> None:
    heart = fitness("heart_rate", T, {"bpm": 85})
    late, odd, long = ([*heart[:3], text, *heart[4:]] for text in (str(T + 60), "yesterday", "x" * 300))
    (tmp_path / "a.csv").write_text(table(FITNESS, [late, odd, long]))
    given = {"timezone": "UTC", "timezone_overrides": []}
    _, out = StageBench(tmp_path / "bench").run(mi_records, {"raw": tmp_path / "a.csv"}, given)
    rows = pq.read_table(out / "records").to_pylist()
    assert [(r["time_text"], r["utc_offset"], r["errors"]) for r in rows] == [
        (None, None, []),
        ("yesterday", None, ["bad_time"]),
        (None, None, ["bad_time"]),
    ]
    assert [r["quality_score"] for r in rows] == [1.0, 0.8, 0.8]
