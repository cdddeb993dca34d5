"""The producer sends what its seed says, counts it rightly, and sends again what nobody took; the runner survives being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.errors import DeliveryError, UsageError
from config.metrics import METRICS
from ingestion.events.reading import items
from main import main
from scripts.event_stream.package import build
from scripts.event_stream.producer import FURTHEST, ZONES, Plan, messages
from scripts.event_stream.send import deliver
from scripts.event_stream.targets import target
from tests.kinesis_fake import KinesisFake, kinesis_fake
from tests.s3_fake import S3Fake, s3_fake
from tests.test_events_handler import held as stored

REPO = Path(__file__).resolve().parent.parent
PLAN = Plan(events=2000, users=5, disorder=0.2, duplicates=0.1, late=0.1, bad=0.05)


def test_a_seed_decides_every_byte_and_another_seed_every_event() -> None:
    first = list(messages(PLAN))
    assert first == list(messages(PLAN))
    ids = {m.body for m in first}
    assert not ids & {m.body for m in messages(PLAN._replace(seed=8))}


def test_good_events_are_events_of_the_catalogue_and_bad_ones_are_not() -> None:
    for message in messages(PLAN):
        (item,) = items(message.body)
        assert (item.event is None) == (message.kind == "bad"), message
        if item.event:
            assert item.event.unit == METRICS[item.event.metric].unit
            low, high = METRICS[item.event.metric].reject
            assert low <= item.event.value <= high


def test_shares_are_kept_and_disorder_and_lateness_are_bounded() -> None:
    sent = list(messages(PLAN))
    kinds = Counter(m.kind for m in sent)
    assert kinds["good"] + kinds["bad"] == len({m.body for m in sent}) == PLAN.events
    assert 60 < kinds["bad"] < 140
    assert 140 < kinds["duplicate"] < 260
    assert 150 < sum(m.late for m in sent if m.kind != "duplicate") < 250
    place = {m.body: n for n, m in enumerate(messages(PLAN._replace(disorder=0, duplicates=0)))}
    moved = [n - place[m.body] for n, m in enumerate(sent)]
    assert 50 < max(map(abs, moved)) <= 3 * FURTHEST
    assert sum(m.disordered for m in sent if m.kind != "duplicate") > 300


def test_people_live_by_their_own_clocks_and_clocks_change() -> None:
    offsets: dict[str, set[int]] = {}
    for message in messages(Plan(events=400, users=4)):
        event = json.loads(message.body)
        offsets.setdefault(event["user"], set()).add(event["offset_s"])
    assert dict(zip(ZONES, offsets.values(), strict=True)) == {
        "Europe/Warsaw": {3600, 7200},
        "America/New_York": {-14400},
        "Asia/Kolkata": {19800},
        "UTC": {0},
    }


def test_the_halves_of_a_blood_pressure_are_of_one_person_moment_and_device() -> None:
    halves: dict[str, Counter[tuple[str, str, str]]] = {"systolic": Counter(), "diastolic": Counter()}
    for message in messages(PLAN._replace(bad=0, duplicates=0, events=501)):
        event = json.loads(message.body)
        if event["metric"] in halves:
            halves[event["metric"]][event["user"], event["ts_utc"], event["device"]] += 1
    assert halves["systolic"] == halves["diastolic"]
    assert len(halves["systolic"]) == halves["systolic"].total() > 10


class Refusing(NamedTuple):
    url: str
    bodies: list[bytes]
    answers: list[int]


@pytest.fixture
def refusing() -> Iterator[Refusing]:
    """Answers with the statuses it is given, then 200; a 0 breaks the connection once it has the body."""
    found = Refusing("", [], [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = found.answers.pop(0) if found.answers else 200
            if status == 0:
                self.connection.close()
                return
            if status in {200, 400}:
                found.bodies.append(body)
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except (ValueError, OSError):
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found._replace(url=f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_batch_nobody_took_is_sent_again_until_somebody_does(refusing: Refusing) -> None:
    refusing.answers.extend([429, 503, 0, 200, 500, 400])
    plan = Plan(events=100, duplicates=0.1, bad=0.1)
    counts = deliver(plan, target(refusing.url, 40, pause=0.001))
    assert b"\n".join(refusing.bodies).split(b"\n") == [m.body for m in messages(plan)]
    assert counts["sent"] == counts["events"] + counts["duplicates"] + counts["bad"]
    assert (counts["batches"], counts["retries"]) == (3, 4)


def test_nothing_is_sent_again_to_whoever_refuses_it_and_patience_ends(refusing: Refusing) -> None:
    refusing.answers.extend([403])
    with pytest.raises(DeliveryError, match="403"):
        deliver(Plan(events=1), target(refusing.url, 1, pause=0))
    refusing.answers.extend([500] * 8)
    with pytest.raises(DeliveryError, match="8 tries"):
        deliver(Plan(events=1), target(refusing.url, 1, pause=0))
    assert refusing.bodies == []


def test_a_rate_is_kept(refusing: Refusing) -> None:
    assert 0.09 < deliver(Plan(events=20), target(refusing.url, 2), rate=200)["seconds"] < 2


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[KinesisFake, S3Fake]]:
    with kinesis_fake() as stream, s3_fake() as bucket:
        yield stream, bucket


@pytest.fixture
def aws(servers: tuple[KinesisFake, S3Fake], monkeypatch: pytest.MonkeyPatch) -> tuple[KinesisFake, S3Fake]:
    access = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something", "AWS_REGION": "us-east-1"}
    own = {"AWS_ENDPOINT_URL_KINESIS": servers[0].url, "AWS_ENDPOINT_URL_S3": servers[1].url}
    for name, value in {**access, **own}.items():
        monkeypatch.setenv(name, value)
    servers[0].add("s", 2)
    servers[1].objects.clear()
    return servers


def test_records_a_stream_refused_are_sent_again_and_only_those(aws: tuple[KinesisFake, S3Fake]) -> None:
    stream, _ = aws
    stream.refuse = lambda n: n % 3 == 0
    counts = deliver(PLAN, target("kinesis:s", 500, pause=0.001))
    stream.refuse = lambda _: False
    held = [record for shard in stream.streams["s"] for record in shard.records]
    assert len(held) == counts["sent"]
    assert counts["retries"] > 0
    with pytest.raises(DeliveryError, match="ResourceNotFoundException"):
        deliver(PLAN, target("kinesis:nowhere", 500))


def test_the_command_writes_a_file_for_its_owner_and_says_how_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["events", "send", "--to", str(tmp_path / "e.ndjson"), "--events", "300", "--duplicates", "0.1", "--bad", "0.1"]
    assert main([*typed, "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    lines = (tmp_path / "e.ndjson").read_bytes().splitlines()
    assert len(lines) == counts["sent"]
    assert len(set(lines)) == counts["events"] + counts["bad"] == 300
    assert (tmp_path / "e.ndjson").stat().st_mode & 0o777 == 0o600
    assert main(typed) == 2
    assert main([*typed[:2], "--to", str(tmp_path / "f"), "--bad", "1.5"]) == 2
    assert main([*typed[:2], "--to", "ftp://somewhere"]) == 2
    assert os.listdir(tmp_path) == ["e.ndjson"]
    with pytest.raises(UsageError, match="cannot be written"):
        target(str(tmp_path / "no/where"), 1)


def test_a_runner_killed_while_an_object_is_stored_goes_on_and_every_count_is_right(
    aws: tuple[KinesisFake, S3Fake], tmp_path: Path
) -> None:
    _, bucket = aws
    build(tmp_path / "lambda.zip")
    counts = deliver(PLAN._replace(events=400), target("kinesis:s", 500))
    running: list[subprocess.Popen[str]] = []
    bucket.puts = 0

    def kill_if(now: bool) -> None:
        if now:
            os.kill(running[-1].pid, signal.SIGKILL)

    bucket.before = lambda number: kill_if(number == 3)
    bucket.after = lambda _: kill_if(len(bucket.objects) == 8)
    about = {
        "--kinesis": "s",
        "--bucket": "bucket",
        "--zip": tmp_path / "lambda.zip",
        "--state": tmp_path / "state",
        "--batch": 60,
    }
    typed = ["events", "run-lambda", "--until-idle", "--json", *(str(word) for pair in about.items() for word in pair)]
    codes: list[int] = []
    while not codes or codes[-1] == -signal.SIGKILL:
        running.append(
            subprocess.Popen([sys.executable, str(REPO / "main.py"), *typed], stdout=-1, stderr=-3, text=True, cwd=tmp_path)
        )
        printed, _ = running[-1].communicate(timeout=60)
        codes.append(running[-1].returncode)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    told: dict[str, Any] = json.loads(printed)
    assert told["failures"] == told["dead"] == told["waiting"] == 0
    rows, refused = stored(bucket)
    assert (len(rows), len(refused)) == (counts["events"], counts["bad"])
    assert len({name for name, _ in rows}) == counts["events"]


WRONG = {
    "run-lambda --kinesis s": "No bucket is named.",
    "count": "No bucket is named.",
    "run-lambda --bucket b": "There is nothing to listen to.",
    "run-lambda --bucket b --port 0 --until-idle": "Only a stream can be read to its end",
    "run-lambda --bucket b --port 0 --zip nowhere.zip": "There is no such zip.",
    "run-lambda --bucket b --port 99999": "Port 99999 cannot be served on.",
    "build-lambda --out .": "The zip cannot be written",
    "send --to e.ndjson --late 2": "--late is a share of the events.",
}


@pytest.mark.parametrize("typed", WRONG)
def test_a_wrong_command_says_what_is_wrong(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVENTS_BUCKET", raising=False)
    assert main(["events", *typed.split(" ")]) == 2
    assert WRONG[typed] in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
