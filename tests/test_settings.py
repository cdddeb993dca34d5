"""Settings: from environment, .env and YAML; wrong ones are named with a mend and never with their value."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from config import settings as module
from config.errors import SettingsError
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
        ("plausibility: {puls: {reject: [1, 2]}}", "unknown metric 'puls'"),
        ("source_priority: {steps: [nokia]}", "unknown source 'nokia'"),
        ("timezone_overrides: [{from: 2025-01-01, timezone: Europe/Warsaw}]", "timezone_overrides"),
        ("events: [{date: 2025-01-01, label: x, colour: red}]", "events"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        load(tmp_path, text)
    assert caught.value.mend
    assert caught.value.exit_code == 2


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
