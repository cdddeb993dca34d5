"""Who may look, for how long, and who may try how often: the parts of the dashboard's access that need no browser."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import SettingsError, UsageError
from serving.dashboard import passwords
from serving.dashboard.addresses import browser, lane
from serving.dashboard.downloads import Offer, Shelf
from serving.dashboard.faults import keep_logs_quiet, place
from serving.dashboard.sessions import Sessions, Terms
from serving.dashboard.throttle import LONGEST, PLACES, RATE, Queue, Throttle, Verdict

REPO = Path(__file__).resolve().parent.parent


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


# Sessions


def test_a_sign_in_ends_when_nothing_is_done_and_lasts_while_something_is() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    assert sessions.begin("mine", Terms(900, 28_800)) == ""
    for _ in range(10):
        clock.now += 899
        assert sessions.over("mine") == ""
        sessions.touch("mine")
    clock.now += 900
    assert sessions.over("mine") == "Nothing was done for 15 minutes."
    assert sessions.left("mine") == 0


def test_a_sign_in_ends_after_its_hours_however_much_is_done() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    sessions.begin("mine", Terms(900, 28_800))
    for _ in range(28_800 // 600):
        assert sessions.over("mine") == ""
        clock.now += 600
        sessions.touch("mine")
    assert sessions.over("mine") == "A sign-in lasts 8 hours."


def test_looking_at_the_clock_is_not_doing_something() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    sessions.begin("mine", Terms(900, 28_800))
    for _ in range(60):
        clock.now += 15
        sessions.over("mine")
        sessions.left("mine")
    assert sessions.over("mine") != ""


def test_a_lock_ends_a_sign_in_in_all_its_tabs_and_for_good() -> None:
    sessions = Sessions(Clock())
    sessions.begin("mine", Terms(900, 28_800))
    sessions.end("mine")
    assert sessions.over("mine") == sessions.begin("mine", Terms(900, 28_800)) == "It was locked."


def test_a_sign_in_of_long_ago_that_nobody_has_seen_since_is_over() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    assert sessions.begin("fresh", Terms(900, 28_800), clock.now - 10) == ""
    assert sessions.begin("old", Terms(900, 28_800), clock.now - 901) == "Nothing was done for 15 minutes."


def test_a_sign_in_nobody_knows_is_closed() -> None:
    assert Sessions(Clock()).over("anybody") == "It was locked."


# Throttle


def attack(queue: Queue, lanes: list[str], until: float, rate: float = 20.0) -> Iterator[float]:
    """Wrong passwords from these lanes in turn, `rate` a second, the queue served meanwhile; gives the time after each."""
    now, number = 0.0, 0
    while now < until:
        queue.arrive(lanes[number % len(lanes)], now)
        number += 1
        serve(queue, now)
        now += 1 / rate
        yield now


def serve(queue: Queue, now: float, right: str = "") -> list[str]:
    """Check all whose turn it is; the lane `right` has the right password."""
    served = []
    while (called := queue.turn(now)[0]) is not None:
        queue.told(called.lane, called.lane == right, now)
        served.append(called.lane)
    return served


def wait_of(queue: Queue, owner: str, now: float, lanes: list[str], rate: float = 20.0) -> float:
    """How long the owner's attempt waits while the attack goes on."""
    ticket, came, number = queue.arrive(owner, now), now, 0
    while not ticket.turned_away:
        if any(lane == owner for lane in serve(queue, now, owner)):
            return now - came
        now += 1 / rate
        queue.arrive(lanes[number % len(lanes)], now)
        number += 1
    return float("inf")


def test_no_more_than_the_pace_is_checked_whoever_asks() -> None:
    queue = Queue()
    served = sum(len(serve(queue, now)) for now in attack(queue, [f"10.0.{n // 250}.{n % 250}" for n in range(1_000)], 60))
    assert served <= 60 * RATE + 1


def test_the_owner_on_an_address_of_their_own_is_next_while_an_attacker_fills_every_place() -> None:
    queue, attacker = Queue(), ["203.0.113.9"]
    *_, now = attack(queue, attacker, 30)
    assert wait_of(queue, "198.51.100.1", now, attacker) <= 1 / RATE + 0.1


def test_the_owner_is_checked_in_bounded_time_while_many_addresses_attack() -> None:
    queue, attackers = Queue(), [f"203.0.113.{n}" for n in range(50)]
    *_, now = attack(queue, attackers, 30)
    assert wait_of(queue, "198.51.100.1", now, attackers) <= 50 / RATE


def test_a_browser_that_has_signed_in_before_waits_for_nobody_even_behind_the_attackers_address() -> None:
    queue, attacker = Queue(), ["203.0.113.9"]
    queue.remember("browser a")
    *_, now = attack(queue, attacker, 30, rate=200)
    assert wait_of(queue, "browser a", now, attacker, rate=200) <= 1 / RATE + 0.1


@pytest.mark.parametrize("rivals", [1, 40, PLACES - 1])
def test_an_owner_behind_the_attackers_address_waits_the_longest_delay_and_those_before_at_most(rivals: int) -> None:
    queue, now = Queue(), 0.0
    for _ in range(10):
        queue.told("203.0.113.9", False, now)
    for _ in range(rivals):
        queue.arrive("203.0.113.9", now)
    ticket = queue.arrive("203.0.113.9", now)
    while (called := queue.turn(now)[0]) is not ticket:
        if called is not None:
            queue.told("203.0.113.9", False, now)
            queue.arrive("203.0.113.9", now)  # the attacker never rests
        now += 0.125
    assert not ticket.turned_away
    assert now <= LONGEST + (rivals + 1) / RATE


def test_delays_grow_with_wrong_passwords_up_to_the_longest_and_are_forgotten() -> None:
    queue, seen = Queue(), []
    for _ in range(6):
        seen.append(queue.delay("a", 0))
        queue.told("a", False, 0)
    assert seen == [0, 0.5, 1, 2, 4, LONGEST]
    assert queue.delay("b", 0) == 0
    assert queue.delay("a", 901) == 0
    queue.told("a", True, 1)
    assert queue.delay("a", 1) == 0


def test_who_is_turned_away_is_one_of_those_who_fill_the_places() -> None:
    queue = Queue()
    owner = queue.arrive("198.51.100.1", 0)
    others = [queue.arrive("203.0.113.9", 0) for _ in range(PLACES * 3)]
    assert not owner.turned_away
    assert sum(t.turned_away for t in others) == PLACES * 2 + 1


PLACES_HERE = 16


def test_of_many_addresses_those_that_have_failed_give_way_to_one_that_has_not() -> None:
    queue = Queue(places=PLACES_HERE)
    for n in range(100):
        queue.told(f"203.0.113.{n}", False, 0)
    others = [queue.arrive(f"203.0.113.{n}", 0) for n in range(100)]
    owner = queue.arrive("198.51.100.1", 0)
    assert not owner.turned_away
    assert sum(t.turned_away for t in others) == 100 - PLACES_HERE + 1


def test_a_known_browser_that_guesses_is_known_no_longer() -> None:
    queue = Queue()
    queue.remember("browser a")
    for _ in range(10):
        queue.told("browser a", False, 0)
    assert not queue.knows("browser a")


def test_the_process_checks_one_password_at_a_time_and_gives_each_its_own_verdict() -> None:
    throttle = Throttle(Queue(rate=1_000, longest=0.01, places=100))
    running, most, lock = 0, 0, threading.Lock()
    verdicts: dict[int, Verdict] = {}

    def verify(n: int) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1
        return n == 7

    def attempt(n: int) -> None:
        verdicts[n] = throttle.check(f"10.0.0.{n}", "", lambda: verify(n))

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(20)]
    [t.start() for t in threads]
    [t.join(60) for t in threads]
    assert most == 1
    assert {n: v for n, v in verdicts.items() if v is not Verdict.WRONG} == {7: Verdict.RIGHT}
    assert len(verdicts) == 20


def test_the_order_holds_when_slow_checks_take_longer_than_the_pace() -> None:
    throttle = Throttle(Queue(rate=1_000, longest=0.01))
    order: list[str] = []
    first, go = threading.Event(), threading.Event()

    def verify(name: str) -> bool:
        order.append(name)
        first.set()
        go.wait(60)
        return False

    def attempt(address: str, name: str) -> threading.Thread:
        thread = threading.Thread(target=throttle.check, args=(address, "", lambda: verify(name)))
        thread.start()
        return thread

    throttle._queue.told("203.0.113.9", False, throttle._clock())
    threads = [attempt("203.0.113.9", "attacker") for _ in range(6)]
    first.wait(60)
    threads.append(attempt("198.51.100.1", "owner"))
    while len(throttle._queue._waiting) < 6:
        threading.Event().wait(0.001)
    go.set()
    [t.join(60) for t in threads]
    assert order.index("owner") == 1


def test_a_check_that_fails_leaves_the_throttle_usable() -> None:
    throttle = Throttle(Queue(rate=1_000))

    def broken() -> bool:
        raise SettingsError("No hash.", "Make one.")

    with pytest.raises(SettingsError):
        throttle.check("10.0.0.1", "", broken)
    assert throttle.check("10.0.0.1", "", lambda: True) is Verdict.RIGHT


# Passwords


def test_the_right_password_opens_and_no_other_does() -> None:
    kept = passwords.hashed("correct horse battery staple")
    assert kept.startswith("$argon2id$v=19$m=65536,")
    assert passwords.right("correct horse battery staple", kept)
    assert not passwords.right("correct horse battery stapler", kept)
    assert not passwords.right("", kept)


def test_without_a_hash_no_password_opens_and_a_check_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = passwords.PasswordHasher.verify
    monkeypatch.setattr(passwords.PasswordHasher, "verify", lambda self, h, p: checked.append(h) or real(self, h, p))
    assert not passwords.right("anything at all, really", "")
    assert checked[0].startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_letters_typed_in_two_ways_are_the_same_password() -> None:
    assert passwords.right("se\u0301same ouvre-toi vite", passwords.hashed("s\u00e9same ouvre-toi vite"))


def test_a_hash_that_is_none_is_named_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="DASHBOARD_PASSWORD_HASH") as error:
        passwords.right("x", "hunter2-in-clear")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("damage", [("t=3", "t=0"), ("m=65536", "m=1"), ("$argon2id", "$argon2id\u00e9")])
def test_a_damaged_hash_is_told_apart_from_a_wrong_password(damage: tuple[str, str]) -> None:
    kept = passwords.hashed("correct horse battery staple")
    with pytest.raises(SettingsError, match="DASHBOARD_PASSWORD_HASH"):
        passwords.right("correct horse battery staple", kept.replace(*damage))


def test_a_line_end_after_the_hash_is_not_part_of_it() -> None:
    kept = passwords.hashed("correct horse battery staple")
    assert passwords.right("correct horse battery staple", f"{kept}\n")
    assert not passwords.right("correct horse battery staple", " \n")


@pytest.mark.parametrize("password", ["short", "a" * 14, "b" * 1025])
def test_a_password_that_is_too_short_or_too_long_gets_no_hash(password: str) -> None:
    with pytest.raises(UsageError, match="characters"):
        passwords.hashed(password)


def test_the_command_prints_a_hash_and_never_the_password(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "main.py", "password", "--json"]
    done = subprocess.run(command, cwd=REPO, env=env, input="a passphrase of mine\n", capture_output=True, text=True, check=True)
    assert passwords.right("a passphrase of mine", json.loads(done.stdout)["hash"])
    assert "passphrase" not in done.stdout + done.stderr
    done = subprocess.run(command, cwd=REPO, env=env, input="short\n", capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "15 to 1024" in done.stderr


# Addresses


def test_an_address_is_believed_from_a_header_on_fly_only() -> None:
    told = {"Fly-Client-IP": "203.0.113.9"}
    assert lane("10.0.0.1", told, {}) == "10.0.0.1"
    assert lane("10.0.0.1", told, {"FLY_APP_NAME": "pdp"}) == "203.0.113.9"
    assert lane("10.0.0.1", {}, {"FLY_APP_NAME": "pdp"}) == "10.0.0.1"


def test_a_customer_with_many_ipv6_addresses_has_one_lane() -> None:
    assert lane("2001:db8:1:2::1", {}, {}) == lane("2001:db8:1:2:ffff::9", {}, {}) == "2001:db8:1:2::/64"
    assert lane("2001:db8:1:3::1", {}, {}) != "2001:db8:1:2::/64"
    assert lane("::ffff:203.0.113.9", {}, {}) == "203.0.113.9"
    assert lane(None, {}, {}) == "127.0.0.1"
    assert lane("no address", {}, {}) == "unknown"


def test_a_browsers_name_does_not_tell_its_cookie() -> None:
    assert browser({}) == ""
    assert browser({"pdp_browser": "a"}) != browser({"pdp_browser": "b"})
    assert "secret-cookie" not in browser({"pdp_browser": "secret-cookie"})


# Downloads


def test_a_download_is_for_the_browser_that_signed_in_while_it_is() -> None:
    shelf, open_ = Shelf(), [True]
    offer = Offer("browser a", "x.csv", "text/csv", lambda: b"1", lambda: open_[0])
    token = shelf.put(offer)
    assert shelf.take(token, "browser a") is offer
    assert shelf.take(token, "browser b") is None
    assert shelf.take(token, "") is None
    assert shelf.take("guess", "browser a") is None
    open_[0] = False
    assert shelf.take(token, "browser a") is None


def test_a_browser_without_a_name_gets_nothing_even_from_a_session_without_one() -> None:
    shelf = Shelf()
    offer = Offer("", "x.csv", "text/csv", lambda: b"1", lambda: True)
    assert shelf.take(shelf.put(offer), "") is None


def test_an_offer_goes_with_the_session_that_keeps_it() -> None:
    shelf = Shelf()
    session = {"csv": Offer("browser a", "x.csv", "text/csv", lambda: b"1", lambda: True)}
    token = shelf.put(session["csv"])
    session.clear()
    gc.collect()
    assert shelf.take(token, "browser a") is None


# Logs


def test_an_error_in_the_log_has_a_place_and_no_value() -> None:
    try:
        int("CANARY-7731")
    except ValueError as error:
        told = place(error)
    assert told.startswith("ValueError at test_dashboard_access.py:")
    assert "CANARY" not in told


@pytest.mark.parametrize("name", ["uvicorn.error", "asyncio"])
def test_the_servers_own_log_holds_no_traceback(name: str, caplog: pytest.LogCaptureFixture) -> None:
    keep_logs_quiet()
    try:
        int("CANARY-7731")
    except ValueError:
        logging.getLogger(name).exception("Exception in ASGI application\n")
    assert "ValueError at test_dashboard_access.py:" in caplog.text
    assert "CANARY" not in caplog.text


def test_the_log_tells_no_sessions_id(caplog: pytest.LogCaptureFixture) -> None:
    from streamlit.runtime import websocket_session_manager  # whose logger it is

    keep_logs_quiet()
    log = websocket_session_manager._LOGGER
    log.addHandler(caplog.handler)  # Streamlit's loggers hand nothing on
    log.warning("Session with id %s is already connected!", "CANARY-7731")
    log.error("Something grave.")
    log.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records] == ["Something grave."]


# Fragments


@pytest.mark.parametrize(
    ("asking", "ended", "cleared"), [("a", False, False), ("b", False, True), ("", False, True), ("a", True, True)]
)
def test_a_fragment_answers_only_the_browser_that_signed_in(
    asking: str, ended: bool, cleared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.dashboard import private

    drawn_anew: list[bool] = []
    monkeypatch.setattr("streamlit.rerun", lambda: drawn_anew.append(True))
    monkeypatch.setattr(private, "browser", lambda _: asking)
    private._clear_if_over(lambda: not ended, "login", "a")
    assert bool(drawn_anew) is cleared


# Who is on the list


@pytest.mark.parametrize(
    ("claims", "comes_in"),
    [
        ({"sub": "Subject-7"}, True),
        ({"sub": "subject-7"}, False),  # a subject is told apart by its capitals
        ({"sub": "me@example.org"}, False),  # a name one may choose is no verified address
        ({"sub": "x", "email": "ME@example.org", "email_verified": True}, True),
        ({"sub": "x", "email": "me@example.org", "email_verified": "true"}, True),
        ({"sub": "x", "email": "me@example.org", "email_verified": 1}, False),
        ({"sub": "x", "email": "me@example.org", "email_verified": "false"}, False),
        ({"sub": "x", "email": "me@example.org", "email_verified": ["true"]}, False),
        ({"sub": "x", "email": "me@example.org"}, False),
        ({"sub": "x", "email": "kim@strasse.example", "email_verified": True}, False),  # another domain than the one listed
        ({"sub": "x", "email": "\u212aim@example.org", "email_verified": True}, False),  # a Kelvin sign becomes a k
        ({"sub": "", "email": "", "email_verified": True}, False),
        ({}, False),
    ],
)
def test_who_is_on_the_list(claims: dict[str, object], comes_in: bool) -> None:
    from serving.dashboard.private import allowed

    listed = ["Me@Example.org", " Subject-7 ", "", " ", "kim@stra\u00dfe.example", "kim@example.org"]
    assert allowed(claims, listed) is comes_in
    assert not allowed(claims, [])
