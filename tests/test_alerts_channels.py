"""The channels over real sockets: webhook, mail and log after real runs; encryption is checked, secrets stay where they belong."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from config.errors import DeliveryError
from serving.alerts import mail
from serving.alerts.mail import send_mail
from tests.monitoring_bench import CANARY, Cli, HttpFake, SmtpFake, certificate, running

ROTTEN = "postgresql://me:CANARY@127.0.0.1:1/pdp?sslmode=disable"


@pytest.fixture
def hook() -> Iterator[HttpFake]:
    with running(HttpFake()) as fake:
        yield fake


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def post(pem: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpFake]:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with running(SmtpFake(pem)) as fake:
        yield fake


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    found = Cli(tmp_path / "data")
    found.feed()
    return found


def server(fake: SmtpFake, **changed: Any) -> dict[str, Any]:
    plain = {"host": "localhost", "port": fake.port, "security": "starttls", "user": "me"}
    return plain | {"sender": "pdp@example.org", "to": ["a@example.org", "b@example.org"]} | changed


def rules(hook: HttpFake, number: int) -> set[tuple[str, str]]:
    return {(alert["rule"], alert["state"]) for alert in hook.bodies[number]["alerts"]}


def test_a_failed_run_is_told_once_and_its_mending_too(cli: Cli, hook: HttpFake) -> None:
    env = {"ALERT_WEBHOOK_URL": f"{hook.url}/hooks/CANARY-secret?key=1", "ALERT_WEBHOOK_HEADER": "Authorization: Bearer CANARY"}
    env["ALERTS"] = json.dumps({"freshness": {"hours": 1e9}, "quality": {"enabled": False}})
    first = cli(**env, DATABASE_URL=ROTTEN)
    assert first.returncode == 1
    assert rules(hook, 0) == {("failed_runs", "firing")}
    method, path, headers, _ = hook.taken[0]
    assert (method, path, headers["Authorization"]) == ("POST", "/hooks/CANARY-secret?key=1", "Bearer CANARY")
    assert headers["Content-Type"] == "application/json"
    body = hook.bodies[0]
    assert body["text"].splitlines()[0] == "Personal Data Platform: 1 alert"
    assert body["environment"] == "development"
    assert "bronze.bp_csv" in body["alerts"][0]["text"]
    for secret in (CANARY, str(cli.data), "127.0.0.1", "128", "121"):
        assert secret not in json.dumps(body)
    assert cli(**env, DATABASE_URL=ROTTEN).returncode == 1
    assert len(hook.taken) == 1, "told again within the window"
    kept = cli.data / "alerts.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert CANARY not in kept.read_text()
    shown = json.loads(cli("alerts", "--json", **env).stdout)
    assert [(alert["rule"], sorted(alert["told"])) for alert in shown["alerts"]] == [("failed_runs", ["log", "webhook"])]
    assert (shown["channels"], shown["rules"]["freshness"]) == (["log", "webhook"], True)
    last = cli(**env)
    assert last.returncode == 0, last.stderr
    assert rules(hook, 1) == {("failed_runs", "resolved")}
    assert cli("alerts", **env).stdout.startswith("No alert.")
    assert CANARY not in first.stderr + last.stderr + cli("alerts", **env).stdout
    assert json.loads(kept.read_text())["alerts"] == []


def test_data_that_grows_old_is_told_after_a_run_that_finds_nothing_to_do(cli: Cli, hook: HttpFake) -> None:
    quiet = {"log": False, "quality": {"enabled": False}}
    env = {"ALERT_WEBHOOK_URL": hook.url, "ALERTS": json.dumps({**quiet, "freshness": {"hours": 1e9}})}
    assert cli(**env).returncode == 0
    assert hook.taken == []
    env["ALERTS"] = json.dumps({**quiet, "freshness": {"hours": 48, "sources": {"bp_csv": None}}})
    idle = cli(**env)
    assert idle.stdout.startswith("Nothing to do")
    (told,) = hook.bodies
    assert [(alert["rule"], alert["subject"]) for alert in told["alerts"]] == [("freshness", "google_sheets")]
    assert "days old; wanted: at most 48 h." in told["text"]


def test_the_log_is_told_without_any_setting_and_not_twice(cli: Cli) -> None:
    lines = [json.loads(line) for line in cli().stderr.splitlines()]
    told = [line for line in lines if line["event"] == "alert"]
    assert {(line["rule"], line["subject"], line["level"]) for line in told} == {
        ("freshness", "google_sheets", "WARNING"),
        ("freshness", "bp_csv", "WARNING"),
        ("quality", "google_sheets", "WARNING"),
    }
    assert CANARY not in json.dumps(told)
    again = [json.loads(line) for line in cli("--force", "merge.daily_metrics").stderr.splitlines()]
    assert [line for line in again if line["event"] == "alert"] == []
    shown = cli("alerts").stdout
    assert "The newest reading of bp_csv is" in shown
    assert "told: log" in shown


def test_a_run_that_could_not_start_is_told(cli: Cli, hook: HttpFake) -> None:
    cli.data.joinpath(".lock").mkdir()
    done = cli(ALERT_WEBHOOK_URL=hook.url)
    assert done.returncode == 1
    assert [alert["text"] for alert in hook.bodies[0]["alerts"]] == ["The last run ended early (StoreError)."]


def test_a_secret_that_cannot_be_read_any_more_does_not_fail_the_run(cli: Cli, hook: HttpFake, tmp_path: Path) -> None:
    key = tmp_path / "CANARY.json"
    key.write_text("{}")
    env = {"ALERT_WEBHOOK_URL": hook.url, "GOOGLE_APPLICATION_CREDENTIALS": str(key)}
    assert cli(**env).returncode == 0
    assert cli(**env).returncode == 0
    key.unlink()
    done = cli(**env)
    assert done.returncode == 0, done.stderr
    assert "Nobody was told of this run: GOOGLE_APPLICATION_CREDENTIALS" in done.stderr
    assert CANARY not in done.stderr


@pytest.mark.parametrize("status", [500, 302, 0])
def test_a_webhook_that_refuses_is_tried_again_next_time(cli: Cli, hook: HttpFake, status: int) -> None:
    env = {"ALERT_WEBHOOK_URL": f"{hook.url}/CANARY"}
    hook.status = status
    done = cli(**env)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "did not reach the webhook" in line]
    assert CANARY not in line
    tried = len(hook.taken)
    hook.status = 200
    assert cli(**env).returncode == 0
    assert len(hook.taken) == tried + 1
    assert ("freshness", "firing") in rules(hook, -1)


@pytest.mark.parametrize("tls", [False, True])
def test_a_mail_is_encrypted_signed_in_and_whole(pem: Path, monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    offers = ("AUTH PLAIN",) if tls else ("STARTTLS", "AUTH PLAIN")
    with running(SmtpFake(pem, tls=tls, offers=offers)) as post:
        send_mail(server(post, security="tls" if tls else "starttls"), "secret word", "Subject – one", "- Ünï\n.\n- two")
    (text,) = post.mails
    told = message_from_string(text, policy=default)
    assert (told["Subject"], told["From"], told["To"]) == ("Subject – one", "pdp@example.org", "a@example.org, b@example.org")
    assert told["Auto-Submitted"] == "auto-generated"
    assert told["Message-ID"].endswith("@example.org>")
    assert told.get_body().get_content().splitlines() == ["- Ünï", ".", "- two"]
    assert sum("RCPT" in command.upper() for command in post.commands) == 2


def test_a_server_without_sign_in_needs_none(post: SmtpFake) -> None:
    send_mail(server(post, user=None), "", "s", "t")
    assert len(post.mails) == 1
    assert not any(command.startswith("AUTH") for command in post.commands)


def test_no_password_goes_to_a_server_whose_certificate_is_not_trusted(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for tls in (False, True):
        with running(SmtpFake(pem, tls=tls)) as post:
            with pytest.raises(DeliveryError, match="certificate or encryption is not accepted"):
                send_mail(server(post, security="tls" if tls else "starttls"), "secret word", "s", "t")
            assert not any("AUTH" in command or "MAIL" in command for command in post.commands)


def test_no_mail_goes_to_a_server_of_another_name(post: SmtpFake) -> None:
    with pytest.raises(DeliveryError, match="certificate"):
        send_mail(server(post, host="127.0.0.1"), "secret word", "s", "t")
    assert post.mails == []


def test_no_mail_goes_to_a_server_that_does_not_encrypt(pem: Path) -> None:
    with running(SmtpFake(pem, offers=("AUTH PLAIN",))) as post:
        with pytest.raises(DeliveryError, match="offers no encryption"):
            send_mail(server(post), "secret word", "s", "t")
        assert not any("AUTH" in command or "MAIL" in command for command in post.commands)


@pytest.mark.parametrize(
    ("refuses", "words"), [("MAIL", "refused the mail"), ("RCPT", "refused the mail"), ("AUTH", "credentials")]
)
def test_what_a_mail_server_refuses_is_told_without_its_words(post: SmtpFake, refuses: str, words: str) -> None:
    post.refuses = refuses if refuses != "AUTH" else ""
    password = "wrong CANARY" if refuses == "AUTH" else "secret word"
    with pytest.raises(DeliveryError, match=words) as caught:
        send_mail(server(post), password, "s", "t")
    assert CANARY not in str(caught.value)
    assert "example.org" not in str(caught.value)


def test_a_mail_server_that_is_gone_or_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(mail, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for host in ("127.0.0.1", "nobody.invalid"):
            told = {"host": host, "port": port, "security": "starttls", "user": None, "sender": "a@b", "to": ["c@d"]}
            with pytest.raises(DeliveryError, match="cannot be reached"):
                send_mail(told, "", "s", "t")


def test_a_test_notice_goes_through_every_channel(cli: Cli, hook: HttpFake, post: SmtpFake) -> None:
    env = {"ALERT_WEBHOOK_URL": hook.url, "ALERT_EMAIL_PASSWORD": "secret word", "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]}
    env["ALERTS"] = json.dumps({"email": server(post)})
    done = cli("alerts", "test", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["A test notice went through 3 channels; 0 failed.", "  ✓ log", "  ✓ webhook", "  ✓ email"]
    assert hook.bodies[0]["alerts"][0]["rule"] == "test"
    assert "This is a test" in post.mails[0]
    assert json.loads(done.stderr)["rule"] == "test"
    assert not (cli.data / "alerts.json").exists()
    hook.status = 403
    failed = cli("alerts", "test", "--json", **env)
    assert failed.returncode == 1
    told = json.loads(failed.stdout)["channels"]
    assert {name: channel["ok"] for name, channel in told.items()} == {"log": True, "webhook": False, "email": True}
    assert told["webhook"]["error"] == "the server refused with status 403. Check its key."


def test_without_a_channel_the_test_says_how_to_get_one(cli: Cli) -> None:
    done = cli("alerts", "test", ALERTS='{"log": false}')
    assert done.returncode == 0
    assert "docs/monitoring.md" in done.stdout
    assert cli("alerts").stdout.startswith("Nothing has run yet")
