"""The remote looked after: what nobody needs goes and nothing else, keys change, damage is found and mended, leases are a courtesy."""

from __future__ import annotations

import base64
import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.errors import BusyError, SettingsError, StateError, UsageError
from scripts.state import erase
from scripts.state.collect import Collected, collect
from scripts.state.manifest import Lease
from scripts.state.remote import Head
from scripts.state.rotate import Rotated, new_key, rotate
from scripts.state.verify import Verified, verify
from tests.state_bench import KEY, OTHER_KEY, Killed, Machine, Troubled, objects_below, spoil

DAY = 24 * 3600


@pytest.fixture
def here(tmp_path: Path) -> Callable[..., Machine]:
    return lambda name, **settings: Machine(tmp_path / name, tmp_path / "remote", **settings)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


def collected(machine: Machine, keep: int = 5, hours: float = 24, *, dry_run: bool = False) -> Collected:
    session = machine.session()
    with session.local.locked():
        return collect(session, keep, hours, dry_run=dry_run)


def verified(machine: Machine, *, quick: bool = False, repair: bool = False) -> Verified:
    session = machine.session()
    with session.local.locked():
        return verify(session, str(machine.data), quick=quick, repair=repair)


def rotated(machine: Machine, key: str = OTHER_KEY, wrap: type[Troubled] | None = None) -> Rotated:
    session = machine.session()
    if wrap:
        session.remote = wrap(session.remote)
    with session.local.locked():
        return rotate(session, key)


def older(remote: Path, seconds: float) -> None:
    """Everything there is was stored so long ago."""
    for path in objects_below(remote).values():
        os.utime(path, (path.stat().st_mtime - seconds,) * 2)


def test_five_generations_are_kept_and_what_only_older_ones_need_goes(here: Callable[..., Machine], remote: Path) -> None:
    a, b = here("a"), here("b")
    for n in range(7):
        a.run(one=f"{n}\n")
        a.push()
    assert [g.generation for g in a.head().history] == [7, 6, 5, 4, 3]
    assert collected(a).objects == 0  # all of it is younger than a day
    older(remote, 2 * DAY)
    assert collected(a).objects == 0  # by the remote's clock it still is
    a.run(one="last\n")
    a.push()
    wanted = collected(a, dry_run=True)
    assert wanted.objects >= 3
    assert collected(a) == wanted
    assert collected(a).objects == 0
    assert verified(a).problems == []
    b.pull()
    assert b.runs() == a.runs()
    for generation in (5, 8):
        b.pull(generation=generation)
        assert b.content("made/even")


def test_versions_removed_here_are_removed_there(here: Callable[..., Machine]) -> None:
    a, b = here("a"), here("b")
    for n in range(3):
        a.run(one=f"{n}\n")
    a.push()
    gone = a.project.pipeline.gc(1)
    assert gone.versions
    a.push()
    b.pull()
    assert b.kept() == a.kept()
    assert collected(a, 1, 0).objects == 4  # two contents, for a version may equal another; a registry and its core
    assert verified(b).problems == []


def test_litter_of_killed_jobs_goes(here: Callable[..., Machine], remote: Path) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    (remote / "blobs/ab").mkdir(exist_ok=True)
    (remote / "blobs/ab/half.tmp").write_bytes(b"half")
    assert collected(a, 5, 0).objects == 1
    assert verified(a).problems == []


def test_a_push_that_began_before_a_sweep_stores_again_what_the_sweep_removed(
    here: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = here("a"), here("b"), here("c")
    a.run(one="1\n")
    a.push()
    b.pull()
    b.run(one="1\n", two="2\n")
    from scripts.state import open as opening

    open_remote = opening.open_remote

    class Swept(Troubled):
        """Before the first commit of b, a sweep removes all that b has stored."""

        def before(self, call: str) -> None:
            if call == "commit_head" and "commit_head" not in self.calls:
                self.calls.append("commit_head")
                monkeypatch.setattr(opening, "open_remote", open_remote)
                assert collected(a, 5, 0).objects >= 2

    monkeypatch.setattr(opening, "open_remote", lambda settings: Swept(open_remote(settings)))  # type: ignore[arg-type]
    assert b.push().changed
    assert verified(b).problems == []
    c.pull(whole=True)
    assert c.kept() == b.kept()


def test_a_push_waits_for_the_end_of_a_sweep(here: Callable[..., Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    session = b.session()
    head, tag = session.head() or (None, "")
    assert head
    fence = Lease("another", "sweep", "token", time.time() + 1000)
    session.commit(head._replace(lease=fence, run_id=uuid.uuid4().hex), tag)
    with pytest.raises(BusyError, match="Another sweep"):
        collected(b)
    a.run(one="2\n")
    pushed: list[int | None] = []
    thread = threading.Thread(target=lambda: pushed.append(a.push().generation))
    thread.start()
    thread.join(0.5)
    assert pushed == []
    found = session.head()
    assert found
    session.commit(found[0]._replace(lease=None, run_id=uuid.uuid4().hex), found[1])
    thread.join(60)
    assert pushed == [2]


def test_a_sweep_that_died_stops_nobody_for_ever(here: Callable[..., Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    session = a.session()
    head, tag = session.head() or (None, "")
    assert head
    session.commit(head._replace(lease=Lease("another", "sweep", "token", time.time() - 1), run_id=uuid.uuid4().hex), tag)
    a.run(one="2\n")
    assert a.push().generation == 2
    assert a.head().lease is None


def test_a_sweep_that_died_on_this_machine_stops_it_not_at_all_and_others_for_a_while(here: Callable[..., Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    b.pull()

    class Dying(Troubled):
        def before(self, call: str) -> None:
            if call == "list":
                raise Killed

        def read_head(self) -> Head | None:
            if "commit_head" in self.calls:
                raise Killed
            return super().read_head()

    session = a.session()
    session.remote = Dying(session.remote)
    with session.local.locked(), pytest.raises(Killed):
        collect(session, 5, 0, dry_run=False)
    assert a.head().lease.kind == "sweep"
    with pytest.raises(BusyError):
        collected(b)
    a.run(one="2\n")
    assert a.push().generation == 2
    assert collected(b).objects == 0


def test_a_sweep_that_fails_lets_others_push(here: Callable[..., Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()

    class Refusing(Troubled):
        def before(self, call: str) -> None:
            if call == "list":
                raise StateError("No listing today.")

    session = a.session()
    session.remote = Refusing(session.remote)
    with session.local.locked(), pytest.raises(StateError):
        collect(session, 5, 0, dry_run=False)
    assert a.head().lease is None


def test_missing_and_damaged_objects_are_found_and_stored_again_from_what_is_here(
    here: Callable[..., Machine], remote: Path
) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n2\n")
    a.push()
    assert verified(a) == Verified([1], len(objects_below(remote)), [], 0, *verified(a)[4:])
    names = {name: a.session().sealer.name(sha) for name, sha in a.kept()}
    objects_below(remote)[names["made/even"]].unlink()
    spoil(objects_below(remote)[names["made/odd"]])
    found = verified(a)
    assert sorted(found.problems) == ["made/even@v1 is missing: generation 1.", "made/odd@v1 is damaged: generation 1."]
    assert len(verified(a, quick=True).problems) == 1
    b.pull()
    assert verified(b, repair=True).repaired == 0  # its bytes are not there
    mended = verified(a, repair=True)
    assert (mended.problems, mended.repaired) == ([], 2)
    assert verified(a).problems == []
    assert b.content("made/odd") == b"2\n"


def test_a_damaged_registry_is_told_and_the_present_one_is_stored_again_by_who_has_it(
    here: Callable[..., Machine], remote: Path
) -> None:
    a, b = here("a"), here("b")
    for n in range(2):
        a.run(one=f"{n}\n")
        a.push()
    present, earlier = a.head().history
    for generation in (present, earlier):
        spoil(objects_below(remote)[a.session().sealer.name(generation.registry.sha256)])
    assert verified(a).problems == [
        "The registry of generation 2 is damaged: it cannot be pulled.",
        "The registry of generation 1 is damaged: it cannot be pulled.",
    ]
    mended = verified(a, repair=True)
    assert mended.repaired == 1
    assert mended.problems == ["The registry of generation 1 is damaged: it cannot be pulled."]
    b.pull()
    assert b.runs() == a.runs()
    assert b.content("made/even") == b"1\n"


def test_damaged_explanations_are_told_and_hinder_no_push(
    here: Callable[..., Machine], remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    texts = a.head().texts
    spoil(objects_below(remote)[a.session().sealer.name(texts.sha256)])
    assert verified(a).problems == ["What explains generation 1 is damaged: runs do not need it."]
    new = b'{"identity":{"new":["settings",[]]},"source_text":{}}'
    monkeypatch.setattr("pipeline.pipeline.Pipeline.texts", lambda *_: new)
    a.run(one="2\n")
    assert a.push().changed
    assert a.head().texts.size == len(new)


def test_with_a_new_key_the_old_one_opens_nothing_any_more(here: Callable[..., Machine], remote: Path) -> None:
    a, b = here("a"), here("b", key=OTHER_KEY)
    for n in range(2):
        a.run(one=f"{n}\n")
        a.push()
    before = set(objects_below(remote))
    done = rotated(a)
    assert (done.objects, done.removed) == (len(before), len(before))
    assert before.isdisjoint(objects_below(remote))
    with pytest.raises(SettingsError, match="not the key"):
        a.pull()
    b.pull()
    assert b.runs() == a.runs()
    assert b.content("made/even") == b"1\n"
    b.pull(generation=1)
    assert b.content("made/even") == b"0\n"
    a.key = OTHER_KEY
    a.run(one="2\n")
    assert a.push().generation == 3


def test_an_interrupted_rotation_goes_on_where_it_was_and_the_old_key_stays_the_key(here: Callable[..., Machine]) -> None:
    a, c = here("a"), here("c")
    a.run(one="1\n")
    a.push()
    calls = 0
    while True:

        class Dying(Troubled):
            def after(self, call: str) -> None:
                if len(self.calls) == calls:
                    raise Killed

        calls += 5
        if calls == 15:
            a.run(one="2\n")
            a.push()  # others go on meanwhile
        with contextlib.suppress(Killed):
            rotated(a, wrap=Dying)
            break
        try:
            c.pull(whole=True)
        except SettingsError:  # killed after its commit
            rotated(a)
            break
        assert c.runs() == a.runs()
    b = here("b", key=OTHER_KEY)
    b.pull(whole=True)
    assert b.runs() == a.runs()
    assert verified(b).problems == []
    assert collected(b, 5, 0).objects == 0


def test_a_rotation_killed_after_its_commit_is_ended_by_the_next(here: Callable[..., Machine], remote: Path) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    old = set(objects_below(remote))

    class Dying(Troubled):
        def after(self, call: str) -> None:
            if call == "commit_head":
                raise Killed

    with contextlib.suppress(Killed):
        rotated(a, wrap=Dying)
    assert old < set(objects_below(remote))
    assert rotated(a).objects == 0
    assert old.isdisjoint(objects_below(remote))


def test_the_new_key_is_made_once_in_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SimpleNamespace(to_file=str(tmp_path / "key"), new_key_env=None)
    made = new_key(options)  # type: ignore[arg-type]
    assert len(base64.b64decode(made)) == 32
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert new_key(options) == made  # type: ignore[arg-type]
    monkeypatch.setenv("NEW", KEY)
    assert new_key(SimpleNamespace(to_file=None, new_key_env="NEW")) == KEY  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="NOT_SET"):
        new_key(SimpleNamespace(to_file=None, new_key_env="NOT_SET"))  # type: ignore[arg-type]


def test_the_same_key_or_none_is_no_rotation(here: Callable[..., Machine]) -> None:
    a, plain = here("a"), here("plain", key="", state_plain=True)
    a.run(one="1\n")
    a.push()
    with pytest.raises(UsageError, match="present STATE_KEY"):
        rotated(a, KEY)
    with pytest.raises(SettingsError, match="no key to replace"):
        rotated(plain)


def test_a_lease_makes_others_wait_and_ends_with_the_push(here: Callable[..., Machine]) -> None:
    a, b = here("a", state_lease_minutes=30), here("b", state_lease_minutes=30)
    a.run(one="1\n")
    a.push()
    a.pull()
    with pytest.raises(BusyError, match="state unlock") as told:
        b.pull()
    assert told.value.exit_code == 75
    a.pull()  # its own is no hindrance
    a.push()  # nothing new, but it ends
    b.pull()
    assert b.head().lease.owner
    b.run(one="1\n", two="2\n")
    b.push()
    assert b.head().lease is None


def test_a_lease_is_a_courtesy_a_push_heeds_nobodys(here: Callable[..., Machine]) -> None:
    a, b = here("a"), here("b", state_lease_minutes=30)
    a.run(one="1\n")
    a.push()
    b.pull()
    a.run(one="1\n", two="2\n")
    assert a.push().generation == 2
    assert b.head().lease is not None
    b.run(one="1\n", three="3\n")
    assert b.push().merged
    assert b.head().lease is None


def test_a_lease_that_ran_out_hinders_nobody(here: Callable[..., Machine]) -> None:
    a, b = here("a", state_lease_minutes=0.0001), here("b")
    a.run(one="1\n")
    a.push()
    a.pull()
    time.sleep(0.05)
    assert b.pull().changed


def test_erasing_from_the_remote_leaves_only_what_the_present_registry_speaks_of(
    here: Callable[..., Machine], remote: Path
) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n", two="2\n")
    a.push()
    b.pull()
    (a.data / "in/two.txt").unlink()
    a.run(one="1\n")
    a.push()
    gone = a.project.pipeline.erase(lambda name: name == "raw/two.txt")
    assert gone.versions
    names = {a.session().sealer.name(sha) for sha in set(gone.sha256) - {sha for _, sha in a.kept()}}
    assert names & set(objects_below(remote))
    plan = erase.plan(a.project)
    assert (plan["generations"], plan["blobs"]) == (2, len(objects_below(remote)))
    assert erase.apply(a.project, everything=False)["blobs"] >= len(names)
    assert not names & set(objects_below(remote))
    assert [g.generation for g in a.head().history] == [3]
    b.pull()
    assert b.kept() == a.kept()
    assert verified(b).problems == []


def test_erasing_everything_leaves_an_empty_place_and_a_machine_that_never_met_it(
    here: Callable[..., Machine], remote: Path
) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    assert erase.apply(a.project, everything=True)["generations"] == 1
    assert not (remote / "head").exists()
    assert objects_below(remote) == {}
    assert erase.plan(a.project)["blobs"] == 0
    assert a.push().generation == 1
