"""What made a number, told from gold alone, is what `trace` tells of the same run from the registry and the store."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from config.daily import COLUMNS
from config.errors import UsageError
from scripts.project import Project
from scripts.trace import trace
from serving.dashboard.private_lineage import told as lineage_told
from serving.evidence.cell import evidence
from serving.evidence.rules import made
from serving.gold import Gold, demo, open_file
from serving.pages.tools import Tools
from tests.cli_bench import opened
from tests.made_once import example_year
from warehouse.bronze.embedded import server

REPO = Path(__file__).resolve().parent.parent
DAYS = [date(2025, 2, 2), date(2025, 6, 14), date(2025, 10, 26)]
"""Refusals and an illness; new tablets; duplicates and a change of the clock."""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Gold]]:
    """The shipped example year, run once by the real pipeline, and the gold it made."""
    data = example_year(tmp_path_factory.mktemp("evidence") / "data")
    with open_file(str(data / "gold" / "gold.duckdb")) as gold:
        yield opened(data), gold
    server.release(str(data))


_SAME = ("value", "meaning", "rule", "near")
_OF_READING = (
    "metric", "value", "unit", "start", "end", "utc_offset", "scope", "device", "source", "raw_id", "used", "fate", "part", "why",
    "counted_instead", "decides",
)  # fmt: skip
_OF_RECORD = ("raw_artifact", "version", "sha256", "position", "raw", "raw_id", "status")


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_cell_is_explained_as_trace_explains_it(day: date, year: tuple[Project, Gold]) -> None:
    project, gold = year
    for column in COLUMNS:
        wanted = trace(project, Namespace(date=day.isoformat(), metric=column)).data
        got = evidence(gold, day, column)
        json.dumps(got)
        where = f"{day} {column}"
        assert {name: got.get(name) for name in _SAME} == {name: wanted.get(name) for name in _SAME}, where
        assert got["reproduced"] in (None, wanted["reproduced"]), where
        facts = [{k: v for k, v in fact.items() if k != "categories"} for fact in wanted["made_of"]]
        assert got["made_of"] == facts, where
        assert picked(got["readings"], _OF_READING) == picked(wanted["readings"], _OF_READING), where
        for mine, theirs in zip(got["readings"], wanted["readings"], strict=True):
            if mine["records"]:
                newest = [record for record in theirs["records"] if record["used"]]
                assert picked(mine["records"], _OF_RECORD) == picked(newest, _OF_RECORD), where
                assert mine["records"][0]["fetched"]["at"] == newest[0]["fetched"]["at"], where
        assert refused(got) == [r for r in refused(wanted) if r[1] != "duplicate"], where


def picked(told: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: one.get(name) for name in names} for one in told]


def refused(told: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Exact repeats are dropped before gold is made; trace alone finds them again."""
    return sorted((r["stage"], r["reason"], r["source"], str(r["raw_id"]), str(r.get("value"))) for r in told["rejected"])


def test_the_lineage_of_a_run_names_every_step_and_tells_no_path_hash_or_dropped_file(year: tuple[Project, Gold]) -> None:
    project, _ = year
    told = lineage_told(project)
    assert [node["node"] for node in told["nodes"]] == list(project.pipeline.dag.order)
    assert {node["state"] for node in told["nodes"]} == {"committed"}
    assert ["merge.daily_metrics", "gold.metrics"] in told["edges"]
    assert told["svg"].startswith("<svg")
    text = json.dumps(told)
    assert project.data_dir not in text
    assert "MiFitness" not in text
    assert "sha256" not in text


def test_the_richer_evidence_of_ones_own_data_shows_the_fetch_and_the_bronze_row(year: tuple[Project, Gold]) -> None:
    def script(at: "Any", with_tools: "Any") -> None:  # noqa: UP037  its source runs alone
        from serving.pages import explain

        for column in ("systolic", "avg_hr", "total_duration", "steps", "bp_category", "event", "missing_data_flag", "spo2_avg"):
            explain.number(at, column, with_tools)

    def told(day: date, column: str) -> dict[str, Any]:
        return dict(trace(year[0], Namespace(date=day.isoformat(), metric=column)).data)

    tools = Tools(evidence=told, lineage=lambda: None, private=True)
    app = AppTest.from_function(script, default_timeout=300, args=(date(2025, 2, 2), tools)).run()
    assert not app.exception
    assert not app.warning
    text = "\n".join(str(element.value) for element in app.text)
    assert re.search(r"Bronze row: bronze\S+ id \d+, version 1", text)
    assert re.search(r"Fetched: \S+ \S+ UTC from examples/\S.* by ingestion\.\S+ in run [0-9a-f]{8}", text)
    assert any("validated readings" in str(table.value) for table in app.dataframe)


@pytest.fixture(scope="module")
def gold() -> Iterator[Gold]:
    with demo() as opened:
        yield opened


def test_a_day_without_a_row_and_a_column_that_is_none_are_refused_with_what_there_is(gold: Gold) -> None:
    with pytest.raises(UsageError, match=r"2019-01-01 has no row.*2025-01-01"):
        evidence(gold, date(2019, 1, 1), "systolic")
    with pytest.raises(UsageError, match="no column 'sysolic'"):
        evidence(gold, date(2025, 1, 1), "sysolic")


def test_an_empty_cell_tells_the_nearest_days_with_a_value(gold: Gold) -> None:
    told = evidence(gold, date(2025, 10, 2), "weight")
    assert told["value"] is None
    assert len(told["near"]) == 2
    assert told["near"][0] < "2025-10-02" < told["near"][1]


@pytest.mark.parametrize(
    ("column", "metric", "gives"),
    [
        ("hrv_sdnn", "hrv_sdnn", 45),
        ("hrv_rmssd", "hrv_rmssd", 45),
        ("respiration_avg", "respiratory_rate", 45),
        ("body_temperature", "body_temperature", 45),
        ("body_fat", "body_fat", 50),
        ("basal_energy", "basal_energy", 40),
    ],
)
def test_what_few_devices_tell_is_given_by_its_readings(column: str, metric: str, gives: float) -> None:
    def told(value: float, scope: str, fate: str = "accepted") -> dict[str, Any]:
        return {"metric": metric, "value": value, "scope": scope, "fate": fate, "part": None}

    of_day = "day" if column == "basal_energy" else "instant"
    used, number = made(column, [told(50, "instant"), told(40, of_day), told(9, "instant", "unused:superseded_by_later")])
    assert number == gives
    assert [r["value"] for r in used] == ([50, 40] if gives == 45 else [gives])


def test_a_number_that_its_readings_do_not_give_is_not_called_reproduced(gold: Gold) -> None:
    class Changed(Gold):
        def __init__(self) -> None:
            pass

        def table(self, query: str, parameters: Any = None) -> Any:
            rows = gold.table(query, parameters)
            return rows.assign(systolic=rows["systolic"] + 1) if "FROM daily WHERE date = $day" in query else rows

    assert evidence(gold, date(2025, 10, 2), "systolic")["reproduced"] is True
    assert evidence(Changed(), date(2025, 10, 2), "systolic")["reproduced"] is False


def reading(metric: str, value: float, **more: Any) -> dict[str, Any]:
    plain = {
        "start": 0,
        "end": 0,
        "scope": "instant",
        "source": "s",
        "device": None,
        "raw_id": "r",
        "fate": "accepted",
        "part": None,
    }
    return {**plain, "metric": metric, "value": value, **more}


def test_a_session_without_stated_minutes_is_made_of_its_stages() -> None:
    stages = [
        reading(f"sleep_{name}", 100, scope="session", end=8 * 3600 * 10**6, part="main") for name in ("deep", "light", "rem")
    ]
    assert made("total_duration", stages) == (stages, 300)
    stated = reading("sleep_duration", 290, scope="session", end=8 * 3600 * 10**6, part="main")
    assert made("total_duration", [*stages, stated]) == ([stated], 290)
    assert made("sleep_efficiency", [*stages, stated])[1] == pytest.approx(290 / 480 * 100)
    assert made("nap_duration", [*stages, stated]) == ([], 0)


def test_the_sources_own_total_stands_alone_and_what_lost_does_not_count() -> None:
    total, half_hour = reading("steps", 5000, scope="day"), reading("steps", 700, scope="interval")
    assert made("steps", [half_hour, total]) == ([total], 5000)
    assert made("steps", [half_hour]) == ([half_hour], None)
    assert made("steps", [{**total, "fate": "duplicate"}]) == ([], None)


def test_the_lowest_is_that_of_the_samples_and_of_daily_figures_only_without_them() -> None:
    sample, figure = reading("heart_rate", 60), reading("heart_rate_min", 48)
    assert made("min_hr", [sample, figure]) == ([sample], 60)
    assert made("min_hr", [figure]) == ([figure], 48)
    assert made("min_hr", []) == ([], None)
