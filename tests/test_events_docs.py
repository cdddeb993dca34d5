"""docs/events.md, typed from its first line to its last against an emulator: the counts it promises are there."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.docs_bench import Line, lines, typed_in
from tests.s3_bench import s3_server

REPO = Path(__file__).resolve().parent.parent
DOC = REPO / "docs/events.md"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_what_the_page_says_is_what_happens(tmp_path: Path) -> None:
    port = free_port()
    access = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    own = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "EVENTS_"))}
    serving: list[subprocess.Popen[str]] = []
    told: dict[str, list[dict[str, int]]] = {}
    with s3_server() as emulator:
        env = {**own, **access, "AWS_ENDPOINT_URL": emulator}

        def start(typed: str) -> subprocess.Popen[str]:
            words = typed.replace("8800", str(port)).removeprefix("python ").split(" ")
            at = REPO / words[0] if words[0] == "main.py" else words[0]
            return subprocess.Popen([sys.executable, str(at), *words[1:]], env=env, cwd=tmp_path, stdout=-1, stderr=-1, text=True)

        try:
            for typed in typed_in(DOC):
                if made := re.fullmatch(r'python -c "(.*)"', typed):
                    subprocess.run([sys.executable, "-c", made[1]], env=env, check=True, timeout=60)
                elif "--port" in typed:
                    serving.append(start(typed))
                    assert serving[0].stderr
                    assert "Events by POST" in serving[0].stderr.readline()
                elif typed.startswith("python main.py"):
                    done = start(f"{typed} --json")
                    out, err = done.communicate(timeout=90)
                    assert done.returncode == 0, (typed, out, err)
                    told.setdefault(Line("", typed, block=True).command.split(" ")[1], []).append(json.loads(out))
        finally:
            for process in serving:
                process.terminate()
                out, _ = process.communicate(timeout=30)
    _, over_http, over_kinesis = told["send"]
    (count,) = told["count"]
    assert count["events"] == count["contents"] == over_http["events"] + over_kinesis["events"]
    assert count["rejected"] == over_http["bad"] + over_kinesis["bad"]
    assert out == f"{over_http['batches']} invocations, 0 failures\n"
    assert told["run-lambda"][0]["records"] == over_kinesis["sent"]


def test_a_sentence_of_the_page_names_every_column_and_variable() -> None:
    from config.events import COLUMNS

    text = DOC.read_text()
    assert all(f"`{name}`" in text for name, _ in COLUMNS if name != "raw")
    assert list(lines(DOC))
