"""What batch jobs leave for Prometheus: a file and a push, whole or not at all; no run ever fails of it or waits long."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.errors import DeliveryError
from serving import delivery
from serving.metrics.heartbeat import replaced
from serving.metrics.textfile import push, write
from tests.monitoring_bench import CANARY, REPO, Cli, HttpFake, running


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    found = Cli(tmp_path_factory.mktemp("leaving") / "data")
    found.feed()
    first = found()
    assert first.returncode == 0, first.stdout + first.stderr
    return found


@pytest.fixture
def gateway() -> Iterator[HttpFake]:
    with running(HttpFake()) as fake:
        yield fake


def values(text: str) -> dict[str, float]:
    return {f"{s.name}{sorted(s.labels.items())}": s.value for f in text_string_to_metric_families(text) for s in f.samples}


def test_a_run_that_did_something_replaces_all_metrics_and_one_that_did_not_only_says_that_it_was_there(
    cli: Cli, gateway: HttpFake, tmp_path: Path
) -> None:
    path = tmp_path / "pdp.prom"
    env = {"METRICS_TEXTFILE": str(path), "METRICS_PUSH_URL": gateway.url + "/", "ENVIRONMENT": "home"}
    assert cli("--force", "merge.daily_metrics", **env).returncode == 0
    before = values(path.read_text())
    inode = path.stat().st_ino
    idle = cli(**env)
    assert (idle.returncode, idle.stderr) == (0, "")
    after = values(path.read_text())
    assert {name for name in before if before[name] != after.get(name)} == {"pdp_last_start_timestamp_seconds[]"}
    assert before.keys() == after.keys()
    assert after["pdp_last_start_timestamp_seconds[]"] > before["pdp_last_start_timestamp_seconds[]"]
    assert path.stat().st_ino != inode, "written in place: somebody may read half of it"
    assert list(tmp_path.iterdir()) == [path]
    (all_of_it, beat) = gateway.taken
    assert [(method, where) for method, where, _, _ in gateway.taken] == [
        ("PUT", "/metrics/job/pdp/environment/home"),
        ("POST", "/metrics/job/pdp/environment/home"),
    ]
    assert all_of_it[2]["Content-Type"].startswith("text/plain; version=0.0.4")
    assert values(all_of_it[3].decode()) == before
    told = values(beat[3].decode())
    assert told.items() <= after.items()
    assert {name.partition("[")[0] for name in told} == {"pdp_last_start_timestamp_seconds", "pdp_alerts_active"}


def test_a_run_with_nothing_to_do_loads_nothing_for_it(cli: Cli) -> None:
    code = (
        "import sys, main; main.main([])\n"
        "heavy = ('prometheus_client', 'serving', 'duckdb', 'psycopg', 'pydantic', 'pandas', 'http', 'smtplib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    env = {**cli.env, "PYTHONPATH": str(REPO)}
    for _ in range(2):  # the first may have settings to validate
        done = subprocess.run([sys.executable, "-c", code], cwd=REPO, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_the_extra_a_run_says_so_and_succeeds(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not installed')")
    env = {"METRICS_TEXTFILE": str(tmp_path / "pdp.prom"), "PYTHONPATH": str(tmp_path)}
    done = cli("--force", "merge.daily_metrics", **env)
    assert done.returncode == 0
    assert "they need the extra `api`" in done.stderr
    assert not (tmp_path / "pdp.prom").exists()


@pytest.mark.parametrize("status", [500, 301, 0])
def test_a_gateway_that_refuses_costs_one_line(cli: Cli, gateway: HttpFake, tmp_path: Path, status: int) -> None:
    gateway.status = status
    env = {"METRICS_TEXTFILE": str(tmp_path / "pdp.prom"), "METRICS_PUSH_URL": gateway.url}
    done = cli("--force", "merge.daily_metrics", **env)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "Metrics" in line]
    assert line.startswith("  ! Metrics were not left: the server ")
    assert CANARY not in line
    assert gateway.url not in line
    assert (tmp_path / "pdp.prom").exists(), "one place that fails keeps the metrics from the other"
    assert len(gateway.taken) <= 1, "a redirect was followed"


def test_a_gateway_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DeliveryError, match="cannot be reached"):
        push(f"http://127.0.0.1:{silent.getsockname()[1]}", "home", b"x 1\n", anew=True)


def test_the_file_is_its_owners_below_the_data_root_and_everybodys_elsewhere(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path, mode in ((data / "pdp.prom", 0o600), (tmp_path / "pdp.prom", 0o644)):
        before = os.umask(0o077)
        try:
            write(str(path), b"x 1\n", str(data))
        finally:
            os.umask(before)
        assert (path.stat().st_mode & 0o777, path.read_bytes()) == (mode, b"x 1\n")


def test_a_file_that_cannot_be_written_is_told_without_its_path_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "CANARY").mkdir()
    for path in (tmp_path / "missing/CANARY.prom", tmp_path / "CANARY"):
        with pytest.raises(DeliveryError, match="METRICS_TEXTFILE cannot be written") as caught:
            write(str(path), b"x 1\n", str(tmp_path))
        assert CANARY not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["CANARY"]


def test_a_beat_replaces_only_its_own_metrics() -> None:
    text = '# HELP a A.\n# TYPE a gauge\na{x="1"} 1.0\na{x="2"} 2.0\n# HELP ab B.\n# TYPE ab gauge\nab 3.0\n'
    beat = replaced(text, {"a": ['a{x="1"} 5'], "missing": ["missing 1"]})
    assert beat == '# HELP a A.\n# TYPE a gauge\na{x="1"} 5\n# HELP ab B.\n# TYPE ab gauge\nab 3.0\n'


def test_without_a_file_from_before_a_beat_makes_none(cli: Cli, tmp_path: Path) -> None:
    done = cli(METRICS_TEXTFILE=str(tmp_path / "pdp.prom"))
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
