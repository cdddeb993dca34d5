"""Pull and push: what one machine has done, every other gets; nothing is lost, nothing is overwritten, whatever goes wrong."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.errors import BusyError, HeadMoved, SettingsError, StateConflict, StateError
from pipeline.lock import exclusive
from scripts.state import open as opening
from scripts.state.complete import complete
from scripts.state.remote import Remote
from tests.s3_bench import access, bucket, s3_server
from tests.state_bench import OTHER_KEY, Killed, Machine, Troubled, objects_below, spoil


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=["folder", "s3"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Machine]:
    """Makes machines that share one remote."""
    if request.param == "folder":
        return lambda name: Machine(tmp_path / name, tmp_path / "remote")
    endpoint = request.getfixturevalue("endpoint")
    url = f"s3://{bucket(endpoint)}/state"
    return lambda name: Machine(tmp_path / name, url, **access(endpoint))


@pytest.fixture
def here(tmp_path: Path) -> Callable[[str], Machine]:
    return lambda name: Machine(tmp_path / name, tmp_path / "remote")


def spoiled(monkeypatch: pytest.MonkeyPatch, kind: type[Troubled]) -> list[Troubled]:
    """From now on every remote that is opened is one of these."""
    made: list[Troubled] = []
    open_remote = opening.open_remote

    def spoiling(settings: object) -> Remote:
        remote = open_remote(settings)  # type: ignore[arg-type]
        assert remote
        made.append(kind(remote))
        return made[-1]

    monkeypatch.setattr(opening, "open_remote", spoiling)
    return made


def test_an_empty_machine_gets_the_registry_at_once_and_files_when_they_are_needed(new: Callable[[str], Machine]) -> None:
    a, b = new("a"), new("b")
    a.run(one="1\n2\n")
    pushed = a.push()
    assert (pushed.generation, pushed.changed, pushed.merged) == (1, True, False)
    pulled = b.pull()
    assert (pulled.generation, pulled.changed, pulled.merged) == (1, True, False)
    assert (b.runs(), b.kept(), b.files()) == (a.runs(), a.kept(), set())
    assert pulled.down < 20_000
    assert b.content("made/odd") == a.content("made/odd") == b"2\n"
    assert len(b.files()) == 1
    assert b.verify() == []


def test_a_run_after_a_pull_finds_everything_done_and_a_push_after_it_moves_little(new: Callable[[str], Machine]) -> None:
    a, b = new("a"), new("b")
    a.run(one="1\n2\n")
    a.push()
    b.pull()
    assert b.run(one="1\n2\n") == {"gather": "skipped", "split": "skipped"}
    assert b.files() == set()
    pushed = b.push()
    assert pushed.up + pushed.down < 20_000
    assert not pushed.changed or b.runs() > a.runs()


def test_what_changed_travels_and_nothing_else(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(**{f"f{n}": f"{n}\n" * 9 for n in range(9)})
    a.push()
    b.pull()
    b.run(**{f"f{n}": f"{n}\n" * 9 for n in range(8)}, f8="new\n")
    assert b.push().objects <= 1 + 2 + 1 + 1  # the member, the two outputs, the registry; explanations of new code
    a.pull()
    assert a.kept() == b.kept()
    assert a.content("made/even").endswith(b"NEW\n")


def test_two_machines_that_worked_at_the_same_time_lose_nothing(new: Callable[[str], Machine]) -> None:
    a, b = new("a"), new("b")
    a.run(base="0\n")
    a.push()
    b.pull()
    a.run(base="0\n", one="1\n")
    b.run(base="0\n", two="2\n")
    a.push()
    pushed = b.push()
    assert (pushed.generation, pushed.merged) == (3, True)
    assert a.pull().changed
    assert a.runs() == b.runs()
    assert a.kept() == b.kept()
    assert {"raw/one.txt", "raw/two.txt"} <= {name for name, _ in a.kept()}
    assert a.verify() == b.verify() == []
    b.run(base="0\n", one="1\n", two="2\n")
    b.push()
    a.pull()
    assert a.content("made/even") + a.content("made/odd") == b"0\n2\n1\n"


def test_a_pull_keeps_what_only_this_machine_has(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(base="0\n")
    a.push()
    b.pull()
    b.run(base="0\n", two="2\n")
    a.run(base="0\n", one="1\n")
    a.push()
    own = b.runs()
    assert b.pull().merged
    assert b.runs() == own | a.runs()
    pushed = b.push()
    assert (pushed.changed, pushed.merged) == (True, False)


def test_a_machine_with_runs_of_its_own_must_pull_before_it_pushes(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    b.run(two="2\n")
    a.push()
    with pytest.raises(StateError, match="state pull"):
        b.push()
    assert a.head().generation == 1
    assert b.pull().merged
    assert b.push().generation == 2
    a.pull()
    assert a.runs() == b.runs()


def test_pushing_twice_is_pushing_once(here: Callable[[str], Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    first, second = a.push(), a.push()
    assert (second.generation, second.changed, second.objects) == (first.generation, False, 0)
    assert not a.pull().changed


def test_nothing_is_pushed_where_nothing_ran_and_an_empty_remote_is_no_error(
    here: Callable[[str], Machine], tmp_path: Path
) -> None:
    a = here("a")
    assert a.pull().generation is None
    assert a.push().generation is None
    assert not (tmp_path / "remote/head").exists()


def test_a_push_waits_for_no_run_and_a_run_in_between_is_not_lost(here: Callable[[str], Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    with exclusive(str(a.data)), pytest.raises(BusyError):
        a.push()
    assert a.head() is None


def test_a_run_between_the_push_and_taking_over_the_merge_is_not_lost(
    here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = here("a"), here("b")
    a.run(base="0\n")
    a.push()
    b.pull()
    a.run(base="0\n", one="1\n")
    b.run(base="0\n", two="2\n")
    a.push()

    class Meanwhile(Troubled):
        def after(self, call: str) -> None:
            if call == "commit_head":
                b.run(base="0\n", two="2\n", three="3\n")

    with monkeypatch.context() as patch:
        spoiled(patch, Meanwhile)
        with pytest.raises(BusyError):
            b.push()
    b.push()
    a.pull()
    assert a.runs() == b.runs()
    assert "raw/three.txt" in {name for name, _ in a.kept()}


def test_killed_at_any_call_of_a_push_the_remote_is_old_or_new_and_the_next_push_ends_it(
    here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, reader = here("a"), here("b"), here("reader")
    a.run(base="0\n")
    a.push()
    b.pull()
    steps = 0
    while True:
        a.run(**{"base": "0\n", f"a{steps}": "1\n"})
        b.run(**{"base": "0\n", f"b{steps}": "2\n"})
        a.push()
        done = []

        class Dying(Troubled):
            def after(self, call: str) -> None:
                if len(self.calls) == steps + 1:
                    raise Killed

        with monkeypatch.context() as patch:
            spoiled(patch, Dying)
            with contextlib.suppress(Killed):
                b.push()
                done.append(1)
        reader.pull()
        assert reader.verify() == []
        assert a.runs() <= reader.runs()
        b.push()
        reader.pull()
        assert reader.runs() == a.runs() | b.runs()
        assert reader.verify() == []
        a.pull()
        if done:
            break
        steps += 1
    assert steps >= 5


def test_killed_at_any_call_of_a_pull_the_old_or_the_new_registry_stands(
    here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = here("a"), here("b")
    a.run(base="0\n")
    a.push()
    steps, done = 0, False
    while not done:
        a.run(**{f"a{steps}": "1\n"})
        a.push()
        known = b.runs()

        class Dying(Troubled):
            def after(self, call: str) -> None:
                if len(self.calls) == steps + 1:
                    raise Killed

        with monkeypatch.context() as patch:
            spoiled(patch, Dying)
            with contextlib.suppress(Killed):
                b.pull()
                done = True
        assert b.runs() in (known, a.runs())
        b.pull()
        assert b.runs() == a.runs()
        steps += 1
    assert steps >= 3


def test_a_lost_answer_to_the_commit_is_found_out(here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    a = here("a")
    a.run(one="1\n")

    class Lost(Troubled):
        def after(self, call: str) -> None:
            if call == "commit_head":
                raise StateError("The connection was lost.")

    class Repeated(Troubled):
        def after(self, call: str) -> None:
            if call == "commit_head":
                raise HeadMoved("A client has sent it twice, and met its own.")

    for number, kind in enumerate((Lost, Repeated), 1):
        a.run(one=f"{number}\n")
        with monkeypatch.context() as patch:
            spoiled(patch, kind)
            assert a.push().generation == number
        assert a.head().generation == number
        assert not a.push().changed


def test_others_who_commit_all_the_time_end_the_push_without_a_change_here(
    here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = here("a"), here("b")
    a.run(base="0\n")
    a.push()
    b.pull()
    b.run(base="0\n", two="2\n")
    before = (b.runs(), b.kept(), b.files())

    class Overtaken(Troubled):
        def before(self, call: str) -> None:
            if call == "commit_head":
                raise HeadMoved("Somebody was quicker.")

    with monkeypatch.context() as patch:
        spoiled(patch, Overtaken)
        patch.setattr("scripts.state.push.time.sleep", lambda _: None)
        with pytest.raises(StateConflict) as told:
            b.push()
    assert told.value.exit_code == 75
    assert (b.runs(), b.kept(), b.files()) == before
    assert b.push().generation == 2


def test_a_push_that_broke_off_does_not_send_twice_what_it_had_sent(
    here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = here("a")
    a.run(**{f"f{n}": f"{n}\n" for n in range(6)})

    class Broken(Troubled):
        def before(self, call: str) -> None:
            if self.calls.count("put") == 5:
                raise StateError("The connection was lost.")

    with monkeypatch.context() as patch:
        spoiled(patch, Broken)
        with pytest.raises(StateError):
            a.push()
    with monkeypatch.context() as patch:
        made = spoiled(patch, Troubled)
        a.push()
    whole = len(a.kept()) + 3  # the explanations, the registry and its core
    assert made[0].calls.count("put") <= whole - 4


def test_what_a_broken_push_had_sent_is_looked_for_before_it_counts(
    here: Callable[[str], Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = here("a"), here("b")
    a.run(**{f"f{n}": f"{n}\n" for n in range(6)})

    class Broken(Troubled):
        def before(self, call: str) -> None:
            if self.calls.count("put") == 5:
                raise StateError("The connection was lost.")

    with monkeypatch.context() as patch:
        spoiled(patch, Broken)
        with pytest.raises(StateError):
            a.push()
    shutil.rmtree(tmp_path / "remote/blobs")
    a.push()
    b.pull()
    for name, _ in b.kept():
        assert b.content(name) is not None


def test_damage_on_the_way_is_noticed_and_fetched_again(here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n2\n")
    a.push()

    class Noisy(Troubled):
        def get(self, name: str, path: str) -> None:
            super().get(name, path)
            if self.calls.count("get") % 2:
                content = Path(path).read_bytes()
                Path(path).write_bytes(content[: len(content) // 2] if self.calls.count("get") % 4 == 1 else content[:-1] + b"\0")

    with monkeypatch.context() as patch:
        spoiled(patch, Noisy)
        b.pull()
        assert b.content("made/odd") == b"2\n"
    assert b.runs() == a.runs()


def test_a_damaged_registry_replaces_nothing(here: Callable[[str], Machine], tmp_path: Path) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    b.pull()
    before = (b.runs(), b.kept())
    a.run(one="2\n")
    a.push()
    for content in (a.head().registry, a.head().core):
        spoil(objects_below(tmp_path / "remote")[a.session().sealer.name(content.sha256)])
    with pytest.raises(StateError, match="damaged"):
        b.pull()
    assert (b.runs(), b.kept()) == before
    assert b.verify() == []


def test_a_registry_that_is_none_replaces_nothing(here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    b.pull()
    a.run(one="2\n")

    def nonsense(path: str) -> None:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE notes (text TEXT)")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.pipeline.Pipeline.snapshot", lambda _, to: nonsense(to))
        with pytest.raises(Exception):  # noqa: PT011 - whoever notices first
            a.push()
    assert a.head().generation == 1


def test_the_wrong_key_and_no_key_are_told_and_touch_nothing(here: Callable[[str], Machine], tmp_path: Path) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    head = (tmp_path / "remote/head").read_bytes()
    other = Machine(tmp_path / "other", tmp_path / "remote", OTHER_KEY)
    other.run(two="2\n")
    for call in (other.pull, other.push):
        with pytest.raises(SettingsError, match="STATE_KEY is not the key"):
            call()
    keyless = Machine(tmp_path / "keyless", tmp_path / "remote", "")
    with pytest.raises(SettingsError, match="state_plain"):
        keyless.pull()
    with pytest.raises(SettingsError, match="STATE_KEY is not set"):
        Machine(tmp_path / "keyless", tmp_path / "remote", "", state_plain=True).pull()
    assert (tmp_path / "remote/head").read_bytes() == head


def test_nothing_of_the_content_can_be_read_in_the_remote(here: Callable[[str], Machine], tmp_path: Path) -> None:
    a = here("a")
    a.run(canary="CANARY 177/77\n" * 50)
    a.push()
    hashes = {sha.encode() for _, sha in a.kept()}
    for path in (p for p in (tmp_path / "remote").rglob("*") if p.is_file()):
        content = path.read_bytes() + str(path).encode()
        assert not any(word in content for word in (b"CANARY", b"canary", b"177/77", b"SQLite", b"gather", *hashes)), path


def test_a_plain_state_must_be_asked_for_and_works(tmp_path: Path) -> None:
    a, b = (Machine(tmp_path / name, tmp_path / "remote", "", state_plain=True) for name in "ab")
    a.run(one="1\n2\n")
    a.push()
    b.pull()
    assert b.content("made/odd") == b"2\n"


def test_a_remote_that_went_back_is_refused_until_it_is_accepted_and_nothing_is_lost(
    here: Callable[[str], Machine], tmp_path: Path
) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    old = (tmp_path / "remote/head").read_bytes()
    a.run(one="1\n", two="2\n")
    a.push()
    (tmp_path / "remote/head").write_bytes(old)
    for call in (a.pull, a.push):
        with pytest.raises(StateError, match="went back"):
            call()
    known = a.runs()
    a.pull(accept_rollback=True)
    assert a.runs() == known
    pushed = a.push()
    assert pushed.changed
    b.pull()
    assert b.runs() == known
    assert b.head().generation > 2


def test_a_remote_that_went_back_and_another_way_is_noticed(here: Callable[[str], Machine], tmp_path: Path) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    b.pull()
    old = (tmp_path / "remote/head").read_bytes()
    a.run(one="1\n", two="2\n")
    a.push()
    (tmp_path / "remote/head").write_bytes(old)
    for n in range(2):
        b.run(one="1\n", other=f"{n}\n")
        b.push()
    assert b.head().generation == 3
    with pytest.raises(StateError, match="went back"):
        a.pull()
    a.pull(accept_rollback=True)
    a.push()
    b.pull()
    assert b.runs() == a.runs()


def test_an_emptied_remote_and_another_state_are_refused(here: Callable[[str], Machine], tmp_path: Path) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    shutil.rmtree(tmp_path / "remote")
    for call in (a.pull, a.push):
        with pytest.raises(StateError, match="no state any more"):
            call()
    b.run(two="2\n")
    b.push()
    for call in (a.pull, a.push):
        with pytest.raises(StateError, match="another state"):
            call()
    shutil.rmtree(tmp_path / "remote")
    assert a.push(anew=True).changed
    c = here("c")
    c.pull()
    assert c.kept() == a.kept()


def test_an_earlier_generation_can_be_made_the_present_again(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    first = a.kept()
    a.run(one="wrong\n")
    a.push()
    b.pull()
    b.pull(generation=1)
    assert b.kept() == first
    assert b.content("made/even") == b"1\n"
    assert b.push().generation == 3
    a.pull()
    assert a.kept() == first
    assert a.verify() == []
    with pytest.raises(Exception, match="Generations that are kept: 3, 2, 1"):
        a.pull(generation=9)


def test_a_pull_after_going_back_returns_to_the_present_and_keeps_what_ran_meanwhile(here: Callable[[str], Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    a.run(one="2\n")
    a.push()
    present = (a.runs(), a.kept())
    a.pull(generation=1)
    a.pull()
    assert (a.runs(), a.kept()) == present
    a.pull(generation=1)
    a.run(one="3\n")
    own = a.runs()
    a.pull()
    assert a.runs() == own | present[0]
    a.push()
    assert a.verify() == []


def test_going_back_does_not_lose_what_was_never_pushed(here: Callable[[str], Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    a.run(one="2\n")
    a.push()
    a.run(one="3\n")
    with pytest.raises(StateError, match="state push"):
        a.pull(generation=1)


def test_what_is_damaged_here_is_not_sent(here: Callable[[str], Machine]) -> None:
    a = here("a")
    a.run(one="1\n2\n")
    for path in (a.data / "store/made").rglob("*"):
        if path.is_file():
            spoil(path)
    with pytest.raises(StateError, match="is not what was committed"):
        a.push()
    assert a.head() is None


def test_what_this_machine_remembers_is_fetched_again_when_it_is_damaged(here: Callable[[str], Machine]) -> None:
    a = here("a")
    a.run(one="1\n")
    a.push()
    (base,) = (a.data / "state").glob("base-*.db")
    spoil(base)
    a.run(one="2\n")
    assert a.push().generation == 2
    (a.data / "state/manifest.json").write_text("{")
    with pytest.raises(StateError, match="state pull"):
        a.push()


def test_explanations_travel_when_there_are_new_ones_and_come_when_they_are_asked_for(
    here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    texts = a.head().texts
    assert texts
    b.pull()
    with b.project.pipeline.reading() as registry:
        assert registry
        (code,) = {c.code_id for c in registry.state().values() if c.node == "split"}
        assert any("letters" in leaf[0] for leaf in registry.leaves(code))
    b.run(one="2\n")
    b.push()
    assert b.head().texts == texts
    made = spoiled(monkeypatch, Troubled)
    assert not b.pull().changed
    assert made[0].calls == ["read_head"]


def test_everything_kept_here_is_private(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    a.push()
    b.pull()
    b.content("made/even")
    for machine in (a, b):
        for path in (machine.data / "state", *(machine.data / "state").rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path


def test_two_who_begin_at_the_same_time_on_an_empty_remote_lose_nothing(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    assert (a.pull().generation, b.pull().generation) == (None, None)
    a.run(one="1\n")
    b.run(two="2\n")
    a.push()
    pushed = b.push()
    assert (pushed.generation, pushed.merged) == (2, True)
    a.pull()
    assert a.runs() == b.runs()
    assert a.kept() == b.kept()


def test_a_first_push_that_somebody_overtakes_merges(here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = here("a"), here("b")
    a.run(one="1\n")
    b.run(two="2\n")
    open_remote = opening.open_remote

    class Overtaken(Troubled):
        def before(self, call: str) -> None:
            if call == "commit_head" and "overtaken" not in self.calls:
                self.calls.append("overtaken")
                monkeypatch.setattr(opening, "open_remote", open_remote)
                b.push()

    spoiled(monkeypatch, Overtaken)
    assert a.push().merged
    b.pull()
    assert a.runs() == b.runs()


def test_who_was_told_of_an_alert_travels_and_a_change_of_it_is_reason_enough_to_push(here: Callable[[str], Machine]) -> None:
    a, b, c = here("a"), here("b"), here("c")
    noted = a.data / "alerts.json"
    a.run(one="1\n")
    noted.write_text("told at noon")
    a.push()
    for machine in (b, c):
        machine.pull()
    there = b.data / "alerts.json"
    assert there.read_text() == "told at noon"
    assert there.stat().st_mode & 0o077 == 0
    there.write_text("told at one")
    assert b.push().changed
    assert not b.push().changed
    a.pull()
    assert noted.read_text() == "told at one"
    noted.write_text("told at two")
    (c.data / "alerts.json").unlink()
    c.run(one="2\n")
    assert c.push().changed  # it has none of its own: those there stay
    a.push()
    c.pull()
    assert (c.data / "alerts.json").read_text() == "told at two"


def test_an_empty_machine_pulls_the_core_however_long_the_history_is_and_can_go_on_from_it(
    here: Callable[[str], Machine],
) -> None:
    a, b = here("a"), here("b")
    for n in range(9):
        a.run(one=f"{n}\n", **({"early": "x\n"} if n else {}))
    a.push()
    b.pull()
    assert len(b.runs()) < 20
    assert b.kept() < a.kept()
    assert b.verify() == []
    assert b.run(one="8\n", early="x\n") == {"gather": "skipped", "split": "skipped"}
    assert not b.push().changed
    assert b.run(one="3\n")["split"] in {"ran", "restored"}  # as it was once: that version is not known here
    pushed = b.push()
    assert (pushed.changed, pushed.merged) == (True, False)
    a.pull()
    assert a.runs() == b.runs()
    assert a.kept() == b.kept()
    assert len({sha for name, sha in b.kept() if name == "raw/one.txt"}) == 9
    assert a.verify() == b.verify() == []
    assert a.content("made/even") == b.content("made/even")


def test_the_core_does_not_grow_with_the_number_of_runs(here: Callable[[str], Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.upkeep.core.RUNS", 3)
    monkeypatch.setattr("pipeline.upkeep.core.ATTEMPTS", 2)
    a = here("a")
    sizes = []
    for n in range(12):
        a.run(one=f"{n % 5}\n", two=f"{n}\n")
        if n in {5, 11}:
            a.push()
            sizes.append((len(a.runs()), a.head().core.size, a.head().registry.size))
    (_, early, _), (_, late, whole) = sizes
    assert late <= early + 4096 < whole


def test_history_is_brought_for_what_looks_at_it_and_runs_of_this_machine_stay(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    for n in range(9):
        a.run(one=f"{n}\n")
    a.push()
    b.pull()
    b.run(one="other\n")
    known, own = a.runs(), b.runs()
    assert complete(b.project)
    assert b.runs() == known | own
    assert a.kept() < b.kept()
    assert b.verify() == []
    assert not complete(b.project)
    assert b.push().changed
    a.pull()
    assert a.runs() == b.runs()


def test_two_machines_with_no_more_than_the_core_lose_nothing(here: Callable[[str], Machine]) -> None:
    a, b, c = here("a"), here("b"), here("c")
    for n in range(7):
        a.run(one=f"{n}\n")
    a.push()
    b.pull()
    c.pull()
    b.run(one="6\n", b="b\n")
    c.run(one="6\n", c="c\n")
    assert b.push().changed
    assert c.push().merged
    a.pull(whole=True)
    assert a.runs() >= b.runs() | c.runs()
    assert {"raw/b.txt", "raw/c.txt"} <= {name for name, _ in a.kept()}
    assert c.runs() == a.runs()
    assert a.verify() == c.verify() == []


def test_a_core_follows_a_core_and_whole_history_stays_whole(here: Callable[[str], Machine]) -> None:
    a, b = here("a"), here("b")
    for n in range(7):
        a.run(one=f"{n}\n")
    a.push()
    b.pull()
    a.run(one="7\n")
    a.push()
    assert b.pull().changed
    assert b.content("made/even") == b"7\n"
    assert b.kept() < a.kept()
    assert b.pull(whole=True).changed
    assert b.runs() == a.runs()
    a.run(one="8\n")
    a.push()
    b.pull()
    assert (b.runs(), b.kept()) == (a.runs(), a.kept())


def test_a_damaged_core_costs_bytes_and_nothing_else(here: Callable[[str], Machine], tmp_path: Path) -> None:
    a, b = here("a"), here("b")
    for n in range(3):  # of a first run the core is the whole
        a.run(one=f"{n}\n")
    a.push()
    spoil(objects_below(tmp_path / "remote")[a.session().sealer.name(a.head().core.sha256)])
    b.pull()
    assert b.runs() == a.runs()
