"""`serve dashboard` as a person starts it: it answers where it was told to, ends when it is stopped, and says what is missing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from argparse import Namespace
from pathlib import Path

import pytest

from config.errors import UsageError
from scripts import packages, serve
from scripts.browsing import free_port
from scripts.project import open_project

REPO = Path(__file__).resolve().parent.parent


def test_the_dashboard_answers_on_its_port_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, str(REPO / "main.py"), "serve", "dashboard", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        until, answer = time.monotonic() + 90, 0
        while answer != 200 and time.monotonic() < until and process.poll() is None:
            try:
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).status
            except OSError:
                time.sleep(0.1)
        process.terminate()
        said = process.communicate(timeout=60)[0]
    assert answer == 200, said
    assert f"URL: http://127.0.0.1:{port}" in said
    assert not (tmp_path / "data").exists()


def test_open_to_the_network_it_asks_no_service_elsewhere_what_its_address_is(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        there = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "http_proxy": there, "https_proxy": there}
        command = [sys.executable, str(REPO / "main.py"), "serve", "dashboard", "--host", "0.0.0.0", "--port", str(port)]
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            said = next((line for line in process.stdout if f":{port}" in line), "")
            process.terminate()
            process.communicate(timeout=60)
        proxy.setblocking(False)
        try:  # it would have asked before it said where it is
            proxy.accept()[0].close()
        except BlockingIOError:
            asked = False
        else:
            asked = True
    assert f"http://localhost:{port}" in said
    assert not asked


@pytest.mark.parametrize("what", ["dashboard", "api"])
def test_without_its_packages_it_says_how_to_get_them(what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"requirements-serve\.lock"):
        serve.serve(open_project(), Namespace(what=what, host=None, port=None))
