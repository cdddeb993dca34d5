"""`doctor`: every area tells its problem and the mend, none keeps another from being examined, nothing secret is told."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from scripts.doctor import exposure, versions
from scripts.doctor import settings as settings_area
from scripts.doctor.finding import AREAS, Finding, Patient
from tests.cli_bench import CSV, Cli
from tests.google_fakes import FOLDER_ID, fake_google

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
NOBODY = "postgresql://me:CANARY@127.0.0.1:1/none?connect_timeout=1"


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("doctor") / "data"
    (data / "inbox/bp_csv").mkdir(parents=True)
    (data / "inbox/bp_csv/bp.csv").write_text(CSV)
    done = Cli(data)("--until-stage", "merge")
    assert done.returncode == 0, done.stdout + done.stderr
    os.chmod(data, 0o700)
    os.chmod(data / "inbox/bp_csv/bp.csv", 0o600)
    return data


@pytest.fixture
def data(run_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_once, tmp_path / "data", symlinks=True))


def found(data: Path, *areas: str, code: int | None = None, **env: str) -> list[dict[str, str]]:
    """What the doctor finds that is not well."""
    done = Cli(data)("doctor", *areas, "--json", **env)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] == (done.returncode == 0)
    assert code is None or done.returncode == code, answer
    assert answer["problems"] == sum(f["state"] == "problem" for f in answer["findings"])
    return [f for f in answer["findings"] if f["state"] != "ok"]


def states(findings: list[dict[str, str]]) -> set[str]:
    return {f["state"] for f in findings}


def test_a_sound_installation_has_no_problem(data: Path) -> None:
    assert "problem" not in states(found(data, code=0))
    text = Cli(data)("doctor").stdout
    assert [area for area in AREAS if f"\n{area} " in "\n" + text] == list(AREAS)
    assert "0 problems" in text


def test_who_only_looks_makes_nothing(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_told_and_the_rest_examined(data: Path) -> None:
    findings = found(data, code=1, TIMEZONE="Mars/Base")
    assert findings[0]["area"] == "settings"
    assert "no time zone named" in findings[0]["what"]
    assert "Europe/Warsaw" in findings[0]["mend"]
    assert {f["area"] for f in findings} >= {"settings", "versions", "clock", "registry"}


def test_an_area_there_is_not_is_a_usage_error(data: Path) -> None:
    done = Cli(data)("doctor", "teeth")
    assert done.returncode == 2
    assert "Areas are: settings" in done.stderr


def test_a_misspelt_variable_is_recognised(data: Path) -> None:
    (finding,) = found(data, "settings", MI_BAND_DRIVE_FOLDR_ID="x")
    assert finding["state"] == "warning"
    assert "MI_BAND_DRIVE_FOLDER_ID" in finding["mend"]


def test_days_counted_in_utc_for_want_of_a_zone_are_told(data: Path) -> None:
    cli = Cli(data)
    del cli.env["TIMEZONE"]
    findings = json.loads(cli("doctor", "settings", "--json").stdout)["findings"]
    assert any("UTC" in f["what"] and f["state"] == "warning" for f in findings)


def test_a_secret_in_the_shared_settings_is_told_without_its_value(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("timezone: Europe/Warsaw\napi_key: CANARY-CANARY-CANARY\n")
    (finding,) = found(data, "settings", PDP_SETTINGS=str(file))
    assert "api_key" in finding["what"]
    assert "CANARY" not in json.dumps(finding)


def test_open_permissions_are_told_by_area_and_mended(data: Path, tmp_path: Path) -> None:
    table = data / "processed/merged/merged_daily_metrics.csv"
    os.chmod(os.path.realpath(table), 0o644)
    os.chmod(data / "inbox", 0o755)
    (behind,) = found(data, "permissions", code=0)[:1]
    assert behind["state"] == "warning"
    assert "Only the folder above" in behind["what"]
    os.chmod(data, 0o755)
    outside = tmp_path / "not-ours.txt"
    outside.write_text("x")
    os.chmod(outside, 0o644)
    (data / "inbox/bp_csv/link.csv").symlink_to(outside)
    (problem,) = [f for f in found(data, "permissions", code=1) if f["state"] == "problem"]
    assert "inbox (1)" in problem["what"]
    assert "merged_daily" not in problem["what"]
    done = Cli(data)("doctor", "permissions", "--fix", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"]) == (0, True)
    assert answer["mended"] >= 2
    assert (data / "inbox").stat().st_mode & 0o777 == 0o700
    assert outside.stat().st_mode & 0o777 == 0o644
    assert json.loads(Cli(data)("doctor", "permissions", "--fix", "--json").stdout)["mended"] == 0


def test_a_key_others_can_read_is_told(data: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    os.chmod(key, 0o640)
    findings = found(data, "permissions", code=1, STATE_KEY_FILE=str(key))
    assert any("STATE_KEY_FILE" in f["what"] for f in findings)


@pytest.mark.parametrize(
    "secret", ["DATABASE_URL", "GOOGLE_CREDENTIALS_BASE64", "API_KEY", "STATE_KEY", "DASHBOARD_PASSWORD_HASH"]
)
def test_no_secret_is_told(data: Path, tmp_path: Path, secret: str) -> None:
    value = NOBODY if secret == "DATABASE_URL" else "CANARY" * 4
    done = Cli(data)(
        "doctor", **{secret: value}, GOOGLE_SHEETS_BP_ID="CANARYCANARYCANARY", API_HOST="0.0.0.0", STATE_URL=f"{tmp_path}/CANARY"
    )
    assert done.returncode == 1
    assert "CANARY" not in (done.stdout + done.stderr).replace(f"STATE_URL={tmp_path}/CANARY", "")


def test_a_clock_that_was_set_back_is_told(data: Path) -> None:
    with sqlite3.connect(data / "registry.db") as registry:
        registry.execute("UPDATE run SET started_at = started_at + 90000")
    (problem,) = [f for f in found(data, "clock", code=1) if f["state"] == "problem"]
    assert "set back" in problem["what"]


@contextmanager
def server(ahead: float, token: dict[str, str] | None = None) -> Iterator[str]:
    """A web server whose clock is that many seconds ahead; it refuses everything but to answer for a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", formatdate(time.time() + ahead, usegmt=True))
            self.end_headers()

        def do_POST(self) -> None:
            body = json.dumps({"expires_in": 3600, "token_type": "Bearer", **(token or {})}).encode()
            self.send_response_only(400 if "error" in (token or {}) else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("ahead", "state"), [(0, "ok"), (30, "warning"), (-30, "warning"), (3600, "problem"), (-3600, "problem")]
)
def test_a_clock_that_disagrees_with_the_object_stores_is_told(data: Path, ahead: float, state: str) -> None:
    with server(ahead) as url:
        done = Cli(data)("doctor", "clock", "--json", AWS_ENDPOINT_URL=url)
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["state"] == state, finding
    assert ("behind" if ahead > 0 else "ahead" if ahead < 0 else "agrees") in finding["what"]


def test_a_folder_that_others_copy_about_is_told(run_once: Path, tmp_path: Path) -> None:
    data = tmp_path / "Dropbox/pdp"
    shutil.copytree(run_once, data, symlinks=True)
    (finding,) = found(data, "disk", code=0)
    assert "synchronises" in finding["what"]


def test_a_damaged_registry_is_told(data: Path) -> None:
    registry = data / "registry.db"
    for tail in ("-wal", "-shm"):
        Path(f"{registry}{tail}").unlink(missing_ok=True)
    whole = registry.read_bytes()
    registry.write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])
    assert "problem" in states(found(data, "registry", code=1))


def test_a_run_that_failed_is_told(data: Path) -> None:
    with sqlite3.connect(data / "registry.db") as registry:
        registry.execute("UPDATE run SET status = 'failed'")
    (finding,) = found(data, "registry", code=0)
    assert finding["state"] == "warning"
    assert "status" in finding["mend"]


def test_a_database_out_of_reach_is_told(data: Path) -> None:
    (finding,) = found(data, "database", code=1, DATABASE_URL=NOBODY)
    assert finding["state"] == "problem"
    assert finding["mend"]


def test_nobody_is_asked_when_offline(data: Path) -> None:
    findings = found(
        data, "database", "remote", "--offline", code=0, DATABASE_URL=NOBODY, STATE_URL=str(data.parent / "r"), STATE_KEY=KEY
    )
    assert states(findings) == {"note"}
    assert not (data.parent / "r").exists()


def test_a_remote_is_tried_and_left_as_it_was(data: Path, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    assert found(data, "remote", code=0, STATE_URL=str(remote), STATE_KEY=KEY) == []
    assert [p.name for p in remote.rglob("*") if p.is_file()] in ([], [".lock"])
    (finding,) = found(data, "remote", code=1, STATE_URL=str(remote))
    assert "no key" in finding["what"]


def test_a_remote_that_takes_nothing_is_told(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "remote"
    file.write_text("a file where a folder should be")
    (finding,) = [f for f in found(data, "remote", code=1, STATE_URL=str(file), STATE_KEY=KEY) if f["state"] == "problem"]
    assert finding["mend"]


def test_what_the_inbox_will_not_be_read_of_is_told(data: Path) -> None:
    (data / "inbox/polar").mkdir()
    (data / "inbox/polar/x.csv").write_text("1")
    (data / "inbox/bp_csv/empty.csv").write_text("")
    findings = found(data, "inbox", code=0)
    assert any("'polar'" in f["what"] for f in findings)
    assert any("1 file for bp_csv is empty" in f["what"] for f in findings)


def test_a_source_without_credentials_is_told(data: Path) -> None:
    (finding,) = found(data, "credentials", code=1, GOOGLE_SHEETS_BP_ID="1AbcDefGhiJklMno")
    assert "google_sheets" in finding["what"]


def test_credentials_nobody_uses_or_that_are_none_are_told(data: Path) -> None:
    nonsense = base64.b64encode(b'{"type": "user"}').decode()
    findings = found(data, "credentials", code=1, GOOGLE_CREDENTIALS_BASE64=nonsense)
    assert [f["state"] for f in findings] == ["problem", "warning"]


def test_a_live_source_is_asked_and_its_answer_told(data: Path) -> None:
    with fake_google() as google:
        google.folder()
        google.put("f1", "export.csv", b"x")
        key = base64.b64encode(google.credentials().encode()).decode()
        env = {"GOOGLE_CREDENTIALS_BASE64": key, "GOOGLE_API_ENDPOINT": google.url, "MI_BAND_DRIVE_FOLDER_ID": FOLDER_ID}
        assert found(data, "credentials", code=0, **env) == []
        assert found(data, "credentials", "--offline", code=0, **env) == []
        asked = len(google.requests)
        env["MI_BAND_DRIVE_FOLDER_ID"] = "another-folder-0123456789"
        (finding,) = found(data, "credentials", code=1, **env)
        assert "not shared" in finding["what"]
        assert len(google.requests) > asked


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        ({"access_token": "t", "scope": "https://www.googleapis.com/auth/drive.file"}, "ok", "drive.file"),
        ({"access_token": "t", "scope": "https://www.googleapis.com/auth/drive https://mail.google.com/"}, "warning", "mail"),
        ({"error": "invalid_grant", "error_description": "CANARY"}, "problem", "refuses"),
    ],
    ids=["enough", "too much", "refused"],
)
def test_the_scopes_of_an_oauth_token_are_told(data: Path, answer: dict[str, str], state: str, word: str) -> None:
    with server(0, answer) as url:
        env = {"GOOGLE_OAUTH_CLIENT_ID": "me", "GOOGLE_OAUTH_CLIENT_SECRET": "CANARY", "GOOGLE_OAUTH_REFRESH_TOKEN": "CANARY"}
        done = Cli(data)("doctor", "credentials", "--json", GOOGLE_API_ENDPOINT=url, **env)
    assert "CANARY" not in done.stdout + done.stderr
    found_states = {f["state"]: f["what"] for f in json.loads(done.stdout)["findings"]}
    assert word in found_states[state]


def test_an_api_open_to_the_network_without_a_key_is_told(data: Path) -> None:
    problems = [f for f in found(data, "exposure", code=1, API_HOST="0.0.0.0") if f["state"] == "problem"]
    assert "API_KEY" in problems[0]["what"]
    findings = found(data, "exposure", code=0, API_HOST="0.0.0.0", API_KEY="k" * 32, METRICS_OPEN="true")
    assert any("Metrics" in f["what"] for f in findings)


def test_a_hash_that_is_none_is_told(data: Path) -> None:
    findings = found(data, "exposure", code=1, DASHBOARD_PASSWORD_HASH="argon2id")
    assert any("no argon2id hash" in f["what"] for f in findings)


def _patient(root: Path, data_dir: Path) -> Patient:
    return Patient(str(root), str(data_dir), load([], root / "none.env"), None, None, offline=True)


def test_secrets_and_data_in_git_are_told(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / ".env").write_text("API_KEY=x\n")
    (tmp_path / "data").mkdir()
    patient = _patient(tmp_path, tmp_path / "data")

    def problems() -> list[Finding]:
        return [f for f in exposure.examine(patient) if f.state == "problem"]

    assert [f.what for f in problems()] == ["git would take the data directory along."]
    subprocess.run([*git, "add", "-f", ".env"], check=True)
    assert len(problems()) == 2
    subprocess.run([*git, "rm", "-q", "--cached", ".env"], check=True)
    (tmp_path / ".gitignore").write_text("/data/\n.env\n")
    assert problems() == []


def test_packages_other_than_the_locks_are_told(tmp_path: Path) -> None:
    lock = ["pyyaml==0.0.1 \\", "    --hash=sha256:0", "no-such-package==1", "only-elsewhere==1 ; os_name == 'nt'", ""]
    (tmp_path / "requirements.lock").write_text("\n".join(lock))
    whats = [f.what for f in versions.examine(_patient(tmp_path, tmp_path)) if f.state == "warning"]
    missing = "Packages of the lock are not installed: no-such-package."
    assert whats == [missing, "Packages have another version than the lock names: pyyaml."]


def test_variables_of_other_programs_are_nobodys_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGIONS", "PG_HOSTS", "PATH", "HOME"):
        monkeypatch.setenv(name, "x")
    assert [f.what for f in settings_area.examine(_patient(tmp_path, tmp_path)) if "nobody" in f.what] == []
