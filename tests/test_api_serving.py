"""`serve api` as a person starts it: on a port, until it is stopped; and what it refuses to start with."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.api_bench import KEY, served
from tests.cli_bench import run
from tests.made_once import cluster


def get(address: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One GET over a connection of its own."""
    place = urlsplit(address)
    assert place.hostname
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def test_it_answers_on_a_port_and_ends_cleanly_when_told(tmp_path: Path) -> None:
    with served(tmp_path / "data", API_KEY=KEY) as (process, address):
        status, headers, body = get(address, "/health")
        assert (status, json.loads(body)) == (200, {"status": "degraded"})
        assert "server" not in headers
        assert get(address, "/stats")[0] == 401
        assert get(address, "/stats", X_API_Key=KEY)[0] == 200
        assert get(address, "/data?search=canary", X_API_Key=KEY)[0] == 503
        assert get(address, "/health", Host="evil.example")[0] == 400
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    assert "canary" not in out + err
    assert KEY not in out + err
    logged = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [line["route"] for line in logged if line["event"] == "request"][:2] == ["/health", "(none)"]
    assert all(set(line) == {"at", "level", "event", "method", "route", "status", "ms"} for line in logged)


def test_ctrl_c_ends_it_too(tmp_path: Path) -> None:
    with served(tmp_path / "data") as (process, address):
        assert get(address, "/stats", X_API_Key=KEY)[0] == 403
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=180)
    assert process.returncode == 0
    assert "No API_KEY is set" in err


def test_many_at_once_are_answered(tmp_path: Path) -> None:
    found: list[int] = []
    with served(tmp_path / "data", API_KEY=KEY) as (_, address):
        callers = [
            threading.Thread(
                target=lambda: found.extend(get(address, path, X_API_Key=KEY)[0] for path in ("/stats", "/sources", "/"))
            )
            for _ in range(20)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert found == [200] * 60


def test_words_that_are_no_http_end_nothing(tmp_path: Path) -> None:
    with served(tmp_path / "data", API_KEY=KEY) as (_, address):
        place = urlsplit(address)
        for sent in (
            b"\x16\x03\x01\x02\x00\x01",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\r\n" * 50,
        ):
            with socket.create_connection((place.hostname or "", place.port or 0), timeout=60) as raw:
                raw.sendall(sent)
                raw.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda raw=raw: raw.recv(65536), b""))
                assert b"200 OK" not in answer
                assert b"Traceback" not in answer
        assert get(address, "/health")[0] == 200


def test_a_taken_port_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(tmp_path / "data", "serve", "api", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (("--host", "0.0.0.0"), {}, "this machine only"),
        ((), {"API_HOST": "0.0.0.0"}, "this machine only"),
        (("--host", "0.0.0.0"), {"API_KEY": " , "}, "this machine only"),
        ((), {"API_KEY": "short"}, "fewer than 16"),
        (("--host", "no.such.host.invalid"), {"API_KEY": KEY}, "cannot listen"),
    ],
)
def test_what_would_stand_open_or_nowhere_does_not_start(
    tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], words: str
) -> None:
    done = run(tmp_path / "data", "serve", "api", *arguments, **env)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_embedded_database_is_left_as_it_was_found(tmp_path: Path) -> None:
    data = cluster(tmp_path / "data")
    (data / "inbox/bp_csv").mkdir(parents=True)
    (data / "inbox/bp_csv/bp.csv").write_text("Date,Heart rate,Systolic,Diastolic,Comments\n2025-03-01 07:31:00,61,128,82,\n")
    done = run(data)
    assert done.returncode == 0, done.stderr
    assert not list((data / "postgres").glob("pg*/postmaster.pid"))
    with served(data, API_KEY=KEY) as (process, address):
        assert json.loads(get(address, "/data", X_API_Key=KEY)[2])["total"] == 1
        assert list((data / "postgres").glob("pg*/postmaster.pid"))
        again = run(data)
        assert again.returncode == 0, again.stderr  # a run beside it
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=180)
    assert process.returncode == 0
    assert not list((data / "postgres").glob("pg*/postmaster.pid"))
