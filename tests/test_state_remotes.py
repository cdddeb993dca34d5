"""Every kind of place keeps the same promises: objects that never change, a head that changes by compare-and-swap only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import HeadMoved, SettingsError, StateError, StateMissing
from config.settings import Settings
from scripts.state.folder import FolderRemote
from scripts.state.objects import ObjectRemote
from scripts.state.open import open_remote
from scripts.state.remote import Head, Remote
from tests.s3_bench import bucket, s3_server, s3_settings

PART = 8 << 20


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=["folder", "memory", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, endpoint: str) -> Remote:
    if request.param == "folder":
        return FolderRemote(str(tmp_path / "remote"))
    if request.param == "memory":
        from obstore.store import MemoryStore

        return ObjectRemote(MemoryStore(), "memory://")
    opened = open_remote(s3_settings(endpoint, f"s3://{bucket(endpoint)}/my/state"))
    assert opened
    return opened


def file(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / f"file{len(os.listdir(tmp_path))}"
    path.write_bytes(content)
    return str(path)


def got(remote: Remote, name: str, tmp_path: Path) -> bytes:
    path = tmp_path / f"got{len(os.listdir(tmp_path))}"
    remote.get(name, str(path))
    assert path.stat().st_mode & 0o077 == 0
    return path.read_bytes()


def head_of(remote: Remote) -> Head:
    head = remote.read_head()
    assert head
    return head


def test_a_new_place_has_no_head_and_no_objects(remote: Remote) -> None:
    assert remote.read_head() is None
    assert list(remote.list()) == []


def test_the_head_changes_only_from_what_its_writer_has_read(remote: Remote) -> None:
    first = remote.commit_head(b"one", None)
    assert head_of(remote) == Head(b"one", first)
    second = remote.commit_head(b"two", first)
    for stale in (first, None):
        with pytest.raises(HeadMoved):
            remote.commit_head(b"three", stale)
    assert head_of(remote) == Head(b"two", second)


def test_a_head_that_is_gone_is_not_changed(remote: Remote) -> None:
    tag = remote.commit_head(b"one", None)
    remote.erase()
    with pytest.raises(HeadMoved):
        remote.commit_head(b"two", tag)
    assert remote.read_head() is None


@pytest.mark.parametrize("size", [0, 1, PART + 1])
def test_an_object_comes_back_as_it_was_stored_and_never_changes(remote: Remote, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    remote.put("blobs/ab/abc", file(tmp_path, content))
    remote.put("blobs/ab/abc", file(tmp_path, b"x" * size))
    assert got(remote, "blobs/ab/abc", tmp_path) == content
    assert remote.exists("blobs/ab/abc")


def test_what_is_not_there_is_said_to_be_missing(remote: Remote, tmp_path: Path) -> None:
    assert not remote.exists("blobs/ab/abc")
    with pytest.raises(StateMissing):
        remote.get("blobs/ab/abc", str(tmp_path / "new"))


def test_objects_are_listed_with_size_and_age_and_the_head_is_not(remote: Remote, tmp_path: Path) -> None:
    remote.commit_head(b"one", None)
    for n in range(3):
        remote.put(f"blobs/a{n}/name{n}", file(tmp_path, b"x" * n))
    assert {(s.name, s.size) for s in remote.list()} == {(f"blobs/a{n}/name{n}", n) for n in range(3)}
    assert all(s.modified > 1_700_000_000 for s in remote.list())


def test_deleting_twice_is_no_error_and_leaves_the_others(remote: Remote, tmp_path: Path) -> None:
    for n in range(3):
        remote.put(f"blobs/aa/{n}", file(tmp_path, b"x"))
    for _ in range(2):
        remote.delete(["blobs/aa/0", "blobs/aa/2"])
    assert [s.name for s in remote.list()] == ["blobs/aa/1"]
    remote.delete([])


def test_erasing_leaves_nothing(remote: Remote, tmp_path: Path) -> None:
    remote.commit_head(b"one", None)
    remote.put("blobs/ab/abc", file(tmp_path, b"x"))
    remote.erase()
    assert remote.read_head() is None
    assert list(remote.list()) == []
    remote.erase()


def test_a_probe_leaves_nothing(remote: Remote) -> None:
    remote.probe()
    assert remote.read_head() is None
    assert list(remote.list()) == []


def test_ten_writers_at_once_lose_no_update(remote: Remote) -> None:
    remote.commit_head(b"0", None)
    moved = []

    def increment() -> None:
        for _ in range(3):
            while True:
                head = head_of(remote)
                try:
                    remote.commit_head(str(int(head.manifest) + 1).encode(), head.tag)
                    break
                except HeadMoved:
                    moved.append(1)

    writers = [threading.Thread(target=increment) for _ in range(10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert head_of(remote).manifest == b"30"


def test_a_folder_keeps_everything_private_and_clears_up_behind_a_killed_put(tmp_path: Path) -> None:
    remote = FolderRemote(str(tmp_path / "remote"))
    remote.commit_head(b"one", None)
    remote.put("blobs/ab/abc", file(tmp_path, b"x"))
    for path in (tmp_path / "remote").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    (tmp_path / "remote/blobs/ab/half.tmp").write_bytes(b"x")
    assert not remote.exists("blobs/ab/half")
    assert "blobs/ab/half.tmp" in {s.name for s in remote.list()}


def test_a_folder_that_refuses_is_told_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    remote = FolderRemote(str(tmp_path / "file/remote"))
    with pytest.raises(StateError, match="STATE_URL") as told:
        remote.commit_head(b"x", None)
    assert str(tmp_path) not in str(told.value)
    with pytest.raises(StateError):
        remote.probe()


def test_a_bucket_that_is_not_there_and_wrong_credentials_are_told_apart(endpoint: str, tmp_path: Path) -> None:
    nowhere = open_remote(s3_settings(endpoint, "s3://no-such-bucket/x"))
    assert nowhere
    with pytest.raises(StateError, match="bucket of the remote state is not there"):
        nowhere.commit_head(b"x", None)
    with pytest.raises(StateError):
        nowhere.probe()
    with pytest.raises(StateError, match="bucket of the remote state is not there"):
        nowhere.put("blobs/aa/a", file(tmp_path, b"x"))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://b/p/q/", "s3://b/p/q"),
        ("gs://b", "gs://b"),
        ("az://c/p", "az://c/p"),
        ("file:///srv/my%20state", "file:///srv/my state"),
        ("/srv/state", "file:///srv/state"),
    ],
)
def test_the_kind_of_place_is_told_by_its_address(url: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    opened = open_remote(Settings(_env_file=None, state_url=url))  # type: ignore[call-arg]
    assert opened
    assert opened.place == place


@pytest.mark.parametrize("url", ["ftp://host/x", "s3:///x", "drive:", "file://host/x", "https://example.org/state"])
def test_an_address_of_no_known_kind_is_refused_with_examples(url: str) -> None:
    with pytest.raises(SettingsError, match="STATE_URL="):
        open_remote(Settings(_env_file=None, state_url=url))  # type: ignore[call-arg]


def test_an_address_with_a_secret_in_it_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as told:
        open_remote(Settings(_env_file=None, state_url="s3://name:secret@bucket/x"))  # type: ignore[call-arg]
    assert "secret" not in str(told.value)


def test_without_an_address_there_is_no_remote() -> None:
    assert open_remote(Settings(_env_file=None, state_url="")) is None  # type: ignore[call-arg]
