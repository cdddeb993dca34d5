"""Every record of a stream gets its fate, in order within its shard, whatever fails and whoever dies on the way."""

from __future__ import annotations

import base64
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import BusyError, SourceDenied, SourceUnavailable, StoreError
from ingestion.events.lambda_handler import handler
from scripts.event_stream import checkpoints
from scripts.event_stream.aws import client, explained
from scripts.event_stream.checkpoints import held
from scripts.event_stream.function import LARGEST, InvocationFailed
from scripts.event_stream.poller import Poller
from tests.kinesis_fake import KinesisFake, kinesis_fake
from tests.s3_fake import S3Fake, s3_fake
from tests.test_events_handler import held as stored
from tests.test_events_handler import text


class Taker:
    """A function in this process: keeps what it takes, in order; fails as it is told."""

    def __init__(self, fails: Callable[[list[bytes]], Any] = lambda _: None) -> None:
        self.taken: list[bytes] = []
        self.batches: list[int] = []
        self._fails = fails

    def invoke(self, event: Mapping[str, Any]) -> Any:
        bodies = [base64.b64decode(r["kinesis"]["data"]) for r in event["Records"]]
        self.batches.append(len(bodies))
        failed = self._fails(bodies)
        if failed is None:
            self.taken += bodies
            return None
        if isinstance(failed, int):
            self.taken += bodies[:failed]
            listed = [r["kinesis"]["sequenceNumber"] for r in reversed(event["Records"][failed:])]
            return {"batchItemFailures": [{"itemIdentifier": n} for n in listed]}
        return failed


@pytest.fixture(scope="module")
def server() -> Iterator[KinesisFake]:
    with kinesis_fake() as fake:
        yield fake


@pytest.fixture
def stream(server: KinesisFake, monkeypatch: pytest.MonkeyPatch) -> KinesisFake:
    access = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something", "AWS_REGION": "us-east-1"}
    for name, value in {**access, "AWS_ENDPOINT_URL_KINESIS": server.url}.items():
        monkeypatch.setenv(name, value)
    server.faults.clear()
    server.add("s")
    return server


def numbered(count: int) -> list[bytes]:
    return [f"{n}".encode() for n in range(count)]


def poll(function: Any, folder: Path, **options: Any) -> Poller:
    poller = Poller(function, "s", folder, pause=0, **options)
    poller.run(until_idle=True)
    return poller


def test_a_stream_is_read_once_over_many_runs(stream: KinesisFake, tmp_path: Path) -> None:
    function = Taker()
    stream.put("s", *numbered(25))
    assert poll(function, tmp_path, batch=10).counts == {"records": 25, "batches": 3}
    stream.put("s", b"25")
    poll(function, tmp_path)
    poll(function, tmp_path)
    assert function.taken == numbered(26)
    assert {oct(p.stat().st_mode & 0o777) for p in tmp_path.iterdir()} == {"0o600"}


def test_a_batch_taken_in_part_goes_on_from_the_first_record_that_failed(stream: KinesisFake, tmp_path: Path) -> None:
    answers = deque([4, 2])
    function = Taker(lambda _: answers.popleft() if answers else None)
    stream.put("s", *numbered(10))
    assert poll(function, tmp_path).counts == {"records": 10, "batches": 3, "failures": 2}
    assert (function.taken, function.batches) == (numbered(10), [10, 6, 4])


@pytest.mark.parametrize("odd", ["", 7.5, {"batchItemFailures": [{"id": "1"}]}, {"batchItemFailures": [{"itemIdentifier": ""}]}])
def test_an_answer_aws_would_not_understand_is_a_failure_of_the_whole_batch(
    stream: KinesisFake, tmp_path: Path, odd: Any
) -> None:
    answers = deque([odd] if odd != "" else [{"batchItemFailures": [{"itemIdentifier": None}]}])
    function = Taker(lambda _: answers.popleft() if answers else None)
    stream.put("s", *numbered(3))
    assert poll(function, tmp_path).counts["failures"] == 1
    assert function.taken == numbered(3)


def test_a_record_that_spoils_its_batch_is_found_kept_and_given_again_after_a_fix(stream: KinesisFake, tmp_path: Path) -> None:
    def raises(bodies: list[bytes]) -> None:
        if b"6" in bodies:
            raise InvocationFailed("exited")

    function = Taker(raises)
    stream.put("s", *numbered(10))
    poller = poll(function, tmp_path, retries=2)
    assert function.taken == [n for n in numbered(10) if n != b"6"]
    assert (poller.counts["records"], poller.counts["dead"], poller.waiting) == (10, 1, 1)
    poll(function, tmp_path)
    mended = Taker()
    poller = Poller(mended, "s", tmp_path, pause=0)
    poller.redrive()
    assert (mended.taken, poller.counts["given"], poller.waiting) == ([b"6"], 1, 0)


def test_no_invocation_is_larger_than_lambda_allows(stream: KinesisFake, tmp_path: Path) -> None:
    sizes: list[int] = []
    function = Taker(lambda bodies: sizes.append(sum(map(len, bodies))))
    stream.put("s", *[bytes(1_000_000)] * 6, bytes(5_000_000))
    assert poll(function, tmp_path).counts["records"] == 7
    assert max(sizes[:-1]) * 4 / 3 < LARGEST


def test_a_closed_shard_is_read_to_its_end_before_its_children(stream: KinesisFake, tmp_path: Path) -> None:
    function = Taker()
    stream.add("s", 2)
    stream.put("s", *numbered(5))
    first = stream.open("s")[0]
    stream.split("s", first)
    stream.put("s", *[f"{n}".encode() for n in range(5, 9)])
    stream.merge("s", *stream.open("s")[1:])
    stream.merge("s", *stream.open("s"))
    stream.put("s", *[f"{n}".encode() for n in range(9, 12)])
    poll(function, tmp_path, batch=2)
    assert function.taken == numbered(12)
    stream.trim("s", first)
    assert poll(function, tmp_path).counts == {}


def test_a_stream_made_anew_is_read_from_its_beginning(stream: KinesisFake, tmp_path: Path) -> None:
    function = Taker()
    stream.add("s", 2)
    stream.put("s", b"old")
    stream.merge("s", *stream.open("s"))
    poll(function, tmp_path)
    stream.add("s", 2)
    stream.put("s", b"new")
    poll(function, tmp_path)
    assert function.taken == [b"old", b"new"]


def test_expired_iterators_and_throttling_cost_time_and_nothing_else(stream: KinesisFake, tmp_path: Path) -> None:
    stream.put("s", *numbered(30))
    stream.faults["GetRecords"] = deque(["ExpiredIteratorException", "ProvisionedThroughputExceededException"])
    function = Taker(lambda _: stream.expire())
    poll(function, tmp_path, batch=7)
    assert function.taken == numbered(30)


def test_what_aws_says_becomes_a_sentence(stream: KinesisFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceDenied, match="ResourceNotFoundException"), explained():
        Poller(Taker(), "nowhere", tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceUnavailable, match="EndpointConnectionError"), explained():
        client("kinesis").list_shards(StreamName="s")


def test_a_folder_is_one_runners_and_damaged_checkpoints_are_told(stream: KinesisFake, tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(BusyError), held(tmp_path):
        pass
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(StoreError):
        Poller(Taker(), "s", tmp_path)


class Killed(BaseException):
    """No handler may swallow it: as SIGKILL does, it ends everything."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Fake]:
    with s3_fake() as fake:
        yield fake


class Handler:
    """The real handler, in this process."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def invoke(self, event: Mapping[str, Any]) -> Any:
        self._step()
        answer = handler(event, None)
        self._step()
        return answer


def killed_at(n: int, folder: Path, patch: pytest.MonkeyPatch) -> bool:
    """One run that dies at its n-th step: before or after an invocation, before or after a file is replaced. Whether it came so far."""
    left = [n]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    replace = os.replace

    def replaced(*names: Any) -> None:
        step()
        replace(*names)
        step()

    with patch.context() as patched:
        patched.setattr(checkpoints.os, "replace", replaced)
        try:
            Poller(Handler(step), "s", folder, pause=0, batch=7, retries=1).run(until_idle=True)
        except Killed:
            return True
    return False


def test_killed_at_every_step_it_loses_nothing_and_stores_every_event_once(
    stream: KinesisFake, bucket: S3Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_ENDPOINT_URL_S3": bucket.url, "AWS_DEFAULT_REGION": "us-east-1", "EVENTS_BUCKET": "bucket"}.items():
        monkeypatch.setenv(name, value)
    sent = [text(event_id=f"e-{n % 15}", ts_utc=f"2025-03-{1 + n % 3:02}T00:00:00Z") for n in range(20)]
    sent += [text(event_id="late", value="x"), b"oops"]
    bucket.objects.clear()
    kills = 0
    for at in range(1, 200):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        stream.add("s", 2)
        for n, body in enumerate(sent):
            stream.put("s", body, key=f"{n % 5}")
        bucket.objects.clear()
        killed = killed_at(at, folder, monkeypatch)
        kills += killed
        assert not killed_at(10_000, folder, monkeypatch)
        rows, refused = stored(bucket)
        assert rows == {(json.loads(body)["event_id"], body.decode()) for body in sent[:20]}
        assert set(refused) == set(sent[20:])
        if not killed:
            break
    assert kills >= 4 * 3, kills


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["ok", "raise", "part", "odd", "die"]), max_size=30),
    st.integers(1, 9),
    st.lists(st.sampled_from(["split", "merge", "put"]), max_size=5),
)
def test_whatever_happens_in_whatever_order_every_record_is_taken_and_only_those_on_the_way_twice(
    stream: KinesisFake, tmp_path_factory: pytest.TempPathFactory, fates: list[str], batch: int, turns: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    waiting = deque(fates)

    def fail(bodies: list[bytes]) -> Any:
        fate = waiting.popleft() if waiting else "ok"
        if fate == "raise":
            raise InvocationFailed("exited")
        if fate == "die":
            raise Killed
        return {"part": len(bodies) // 2, "odd": {"batchItemFailures": [{}]}, "ok": None}[fate]

    function = Taker(fail)
    stream.add("s", 2)
    sent: list[bytes] = []
    for turn in ["put", *turns, "put"]:
        reshard(stream, turn)
        for _ in range(8):
            sent.append(f"{len(sent)}".encode())
            stream.put("s", sent[-1], key=f"{len(sent) % 4}")
        while dies(function, folder, batch):
            pass
    assert set(function.taken) == set(sent)
    by_key = [[n for n in function.taken if int(n) % 4 == key] for key in range(4)]
    assert all(list(dict.fromkeys(taken)) == sorted(set(taken), key=int) for taken in by_key)


def reshard(stream: KinesisFake, turn: str) -> None:
    live = stream.open("s")
    if turn == "split":
        stream.split("s", live[0])
    elif turn == "merge" and len(live) > 1:
        stream.merge("s", live[0], live[1])


def dies(function: Any, folder: Path, batch: int) -> bool:
    try:
        poll(function, folder, batch=batch, retries=100)
    except Killed:
        return True
    return False
