"""Settings: from environment, .env and YAML; wrong ones are named with a mend and never with their value."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from config import settings as module
from config.errors import SettingsError
from config.home_protocols import PRESETS
from config.snapshot import node_settings

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in module.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def load(tmp_path: Path, text: str = "", env: str = "") -> module.Settings:
    (tmp_path / "settings.yaml").write_text(text)
    (tmp_path / ".env").write_text(env)
    return module.load([tmp_path / "settings.yaml"], tmp_path / ".env")


def test_the_environment_wins_over_env_file_over_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path, "timezone: Europe/Warsaw").timezone == "Europe/Warsaw"
    assert load(tmp_path, "timezone: Europe/Warsaw", "TIMEZONE=Europe/Paris").timezone == "Europe/Paris"
    monkeypatch.setenv("TIMEZONE", "Asia/Tokyo")
    assert load(tmp_path, "timezone: Europe/Warsaw", "TIMEZONE=Europe/Paris").timezone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timezon: Europe/Warsaw", "Did you mean 'timezone'"),
        ("timezone: Mars/Base", "no time zone named"),
        ("- a\n- b", "does not hold settings"),
        ("a: [", "not valid YAML at line"),
        ("bp_scheme: mine", "bp_scheme"),
        ("plausibility: {puls: {reject: [1, 2]}}", "no metric 'puls'"),
        ("source_priority: {steps: [nokia]}", "no source 'nokia'"),
        ("timezone_overrides: [{from: 2025-01-01, timezone: Europe/Warsaw}]", "timezone_overrides"),
        ("events: [{date: 2025-01-01, label: x, colour: red}]", "events"),
        ("source_priority: [a]", "source_priority is wrong: it should hold"),
        ("source_priority: {steps: mi_fitness}", "it should be a list"),
        ("source_priority: {stepps: [mi_fitness]}", "no metric or kind 'stepps'"),
        ("plausibility: 5", "plausibility is wrong: it should hold"),
        ("plausibility: {pulse: 5}", r"plausibility \(pulse\)"),
        ("plausibility: {pulse: {reject: [250, 20]}}", "lower bound lies above"),
        ("plausibility: {pulse: {reject: [20]}}", "a part is missing"),
        ("plausibility: {pulse: {reject: [.nan, 20]}}", "lower bound lies above"),
        ("med_start_date: 2025-13-01", "med_start_date is wrong: it should be a date that exists"),
        ("med_start_date: 20250101", "YYYY-MM-DD"),
        ("med_start_date: '1735689600'", "YYYY-MM-DD"),
        ("timezone_overrides: [{from: 2025-02-01, to: 2025-01-01, timezone: Europe/Warsaw}]", "`from` lies after `to`"),
        ("timezone_overrides: [{from: 2025-02-30, to: 2025-03-01, timezone: Europe/Warsaw}]", "a date that exists"),
        ("home_bp_protocol: mine", "one of 'esh_2021'"),
        ("environment: My Flat", "environment is wrong"),
        ("morning_hours: [4, 12]", "morning_hours"),
        ("pg_port: 99999", "too large"),
        ("quality_sla: {completeness: 99}", r"quality_sla \(completeness\) is wrong: the number is too large"),
        ("quality_sla: {validity: -0.1}", "the number is too small"),
        ("quality_sla: {completeness: null}", "it should be a number"),
        ("quality_sla: {freshness_hours: 0}", "the number is too small"),
        ("quality_sla: {freshness: 48}", "there is no such part"),
        ("quality_sla: {sources: {nokia: {validity: 1}}}", "no source 'nokia'"),
        ("quality_sla: {sources: {bp_csv: {steps: 1}}}", r"sources.bp_csv.steps"),
        ("quality_sla: 0.99", "quality_sla is wrong: it should hold"),
        ("false", "does not hold settings"),
        ("[" * 2000, "nested too deep|not valid YAML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load(tmp_path, text)
    assert caught.value.mend
    assert caught.value.exit_code == 2
    assert "pattern" not in str(caught.value) + caught.value.mend
    assert "Mend it" not in caught.value.mend


def test_every_setting_that_can_be_wrong_has_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, field in module.Settings.model_fields.items():
        if field.metadata or field.annotation not in (str, str | None, SecretStr | None):
            assert field.examples, name
            assert field.description, name
    monkeypatch.setenv("EVENTS", "soon")
    with pytest.raises(SettingsError, match="events is wrong: in the environment it should be JSON") as caught:
        load(tmp_path)
    assert "New tablets" in caught.value.mend


def test_the_examples_are_right(tmp_path: Path) -> None:
    examples = {name: field.examples[0] for name, field in module.Settings.model_fields.items() if field.examples}
    assert load(tmp_path, json.dumps(examples)).log_level == "WARNING"


def test_dates_stay_dates_and_an_empty_name_is_no_setting(tmp_path: Path) -> None:
    found = load(tmp_path, "med_start_date: 2025-03-01\nsource_priority:\nplausibility:\n")
    assert module.for_nodes(found)["med_start_date"] == "2025-03-01"
    assert (found.source_priority, found.plausibility) == ({}, {})


def test_what_is_wanted_of_loads_has_defaults_and_a_source_keeps_only_what_is_said_of_it(tmp_path: Path) -> None:
    found = module.for_nodes(load(tmp_path))["quality_sla"]
    assert found == {"completeness": 0.99, "validity": 0.999, "freshness_hours": 48, "sources": {}}
    text = "quality_sla: {freshness_hours: null, sources: {bp_csv: {validity: 0.9}, mi_fitness: {freshness_hours: null}}}"
    found = module.for_nodes(load(tmp_path, text))["quality_sla"]
    assert (found["freshness_hours"], found["completeness"]) == (None, 0.99)
    assert found["sources"] == {"bp_csv": {"validity": 0.9}, "mi_fitness": {"freshness_hours": None}}


def test_the_level_of_the_log_may_be_written_small(tmp_path: Path) -> None:
    assert load(tmp_path, env="LOG_LEVEL=debug").log_level == "DEBUG"


def test_the_home_protocols_are_those_of_the_code() -> None:
    assert set(get_args(module.Settings.model_fields["home_bp_protocol"].annotation)) == set(PRESETS)


def test_a_wrong_secret_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        module.secrets(load(tmp_path, env="GOOGLE_CREDENTIALS_BASE64=CANARY!!"))
    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(load(tmp_path, env="DATABASE_URL=postgresql://u:CANARY@h/d"))


def test_postgres_parts_become_one_address(tmp_path: Path) -> None:
    found = module.secrets(load(tmp_path, env="PG_HOST=db\nPG_PORT=5433\nPG_USER=me\nPG_PASS=a b'c\nPG_DB=x"))
    from psycopg.conninfo import conninfo_to_dict

    assert conninfo_to_dict(found["database"]) == {"host": "db", "port": "5433", "user": "me", "password": "a b'c", "dbname": "x"}


def test_the_shipped_schema_is_that_of_the_code() -> None:
    assert json.loads((REPO / "config/settings.schema.json").read_text()) == json.loads(module.json_schema())


def test_the_shipped_yaml_holds_no_surprises() -> None:
    loaded = module.load([REPO / "config/settings.yaml"], REPO / "no.env")
    assert loaded.timezone == "UTC"


def snapshot(root: Path) -> dict[str, object]:
    (root / "data").mkdir(exist_ok=True)  # who only reads settings makes no folder
    return dict(node_settings(str(root), [str(root / "settings.yaml")]).plain)


def test_the_snapshot_follows_every_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("timezone: Europe/Warsaw")
    assert snapshot(tmp_path)["timezone"] == "Europe/Warsaw"
    (kept,) = (tmp_path / "data").glob(".settings-*.json")
    assert kept.stat().st_mode & 0o077 == 0
    assert snapshot(tmp_path)["timezone"] == "Europe/Warsaw"
    (tmp_path / "settings.yaml").write_text("timezone: Europe/Berlin")
    assert snapshot(tmp_path)["timezone"] == "Europe/Berlin"
    monkeypatch.setenv("TIMEZONE", "Asia/Tokyo")
    assert snapshot(tmp_path)["timezone"] == "Asia/Tokyo"
    monkeypatch.delenv("TIMEZONE")
    (tmp_path / ".env").write_text("TIMEZONE=Europe/Rome")
    assert snapshot(tmp_path)["timezone"] == "Europe/Rome"


def test_the_snapshot_holds_no_secret_and_notices_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("")
    found = node_settings(str(tmp_path), [str(tmp_path / "settings.yaml")])
    assert found["database"] == ""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:CANARY@h/d")
    found = node_settings(str(tmp_path), [str(tmp_path / "settings.yaml")])
    assert found["database"] == "postgresql://u:CANARY@h/d"
    assert all("CANARY" not in p.read_text() for p in (tmp_path / "data").glob(".settings-*"))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 1}'])
def test_a_damaged_snapshot_is_made_again(tmp_path: Path, damage: str) -> None:
    (tmp_path / "settings.yaml").write_text("timezone: Europe/Warsaw")
    snapshot(tmp_path)
    for kept in (tmp_path / "data").glob(".settings-*.json"):
        kept.write_text(damage)
    assert snapshot(tmp_path)["timezone"] == "Europe/Warsaw"


def test_settings_that_exist_keep_their_names() -> None:
    promised = (
        "DATA_DIR TIMEZONE ENVIRONMENT LOG_LEVEL DATABASE_URL PG_HOST PG_PORT PG_DB PG_USER PG_PASS GOOGLE_APPLICATION_CREDENTIALS "
        "GOOGLE_CREDENTIALS_BASE64 GOOGLE_SHEETS_BP_ID MI_BAND_DRIVE_FOLDER_ID GOOGLE_DRIVE_STATE_FOLDER_ID STATE_URL STATE_KEY "
        "DASHBOARD_PASSWORD_HASH API_KEY API_HOST CSV_URL MED_START_DATE AWS_ENDPOINT_URL"
    )
    assert {name.lower() for name in promised.split()} <= set(module.Settings.model_fields)
    assert os.path.exists(REPO / ".env.example")


def test_another_key_in_the_file_is_noticed_though_nothing_else_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("STATE_KEY_FILE", str(tmp_path / "key"))
    seen = []
    for letter in ("aa", "bb"):
        (tmp_path / "key").write_text(letter * 32 + "\n")
        found = node_settings(str(tmp_path), [str(tmp_path / "settings.yaml")])
        seen.append((found["state_key_id"], found["state_key"]))
    assert len(set(seen)) == 2
    assert [key for _, key in seen] == ["aa" * 32, "bb" * 32]
