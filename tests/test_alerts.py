"""Alerts: each rule at its threshold, what is told when and to whom, and what becomes of a failing channel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.alerting import Alerts
from config.errors import DeliveryError, SettingsError
from config.settings import load
from pipeline.execution.calls import sentence
from serving.alerts import state
from serving.alerts.channels import Channel
from serving.alerts.evaluation import tell
from serving.alerts.rules import RULES, Verdict, Watched, ended_early, judge
from serving.alerts.state import Alert
from serving.metrics.facts import Facts
from serving.metrics.freshness import Readings
from serving.metrics.rate_limits import RateLimit
from serving.metrics.registry_facts import History, LastRun
from serving.metrics.storage import Storage
from tests.monitoring_bench import CANARY, NOW, facts, step

HOUR = 3600.0


def wanted(**rules: Any) -> dict[str, Any]:
    """The setting with these rules changed, as plain values."""
    return Alerts(**rules).model_dump(mode="json")


def found(watched: Facts | Watched, **rules: Any) -> dict[tuple[str, str], str]:
    return judge(watched if isinstance(watched, Watched) else Watched(watched), wanted(**rules)).firing


def ended(status: str, *failed: str) -> Facts:
    return facts(history=History({}, (1, 1.0), LastRun(status, NOW, 1.0, list(failed)), None, []))


def read(hours: float, source: str = "bp_csv") -> list[Readings]:
    return [Readings(source, "sleep", NOW - 900 * HOUR, {}), Readings(source, "heart_rate", NOW - hours * HOUR, {})]


def room(free: int = 50, **places: int) -> Facts:
    return facts(storage=Storage(places, free, 100))


def limited(remaining: float, hours: float = 1) -> Facts:
    return facts(rate_limits=[RateLimit("google_sheets", 100, remaining, NOW - hours * HOUR)])


def refusing(came: int = 1000, **rejected: int) -> Facts:
    return facts(steps=[step(came=came, rejected=rejected)])


def missing(*measures: str) -> Facts:
    return facts(steps=[step("bronze.bp_csv", source="bp_csv", missed=list(measures))])


def making(rows: int, node: str = "validation.sleep", **changed: Any) -> Facts:
    return facts(steps=[step(node, rows=rows, **changed)])


WRONG: list[tuple[str, str, Facts, Facts, dict[str, Any]]] = [
    ("failed_runs", "", ended("failed", "bronze.bp_csv"), ended("succeeded"), {}),
    ("failed_runs", "", ended("interrupted"), ended("succeeded"), {}),
    ("error_rate", "validation.sleep", refusing(zero=11), refusing(zero=10), {}),
    ("error_rate", "validation.sleep", refusing(100, zero=2), refusing(99, zero=99), {}),
    ("error_rate", "validation.sleep", refusing(a=300, b=201), refusing(a=500), {"share": 0.5}),
    ("freshness", "bp_csv", facts(readings=read(73)), facts(readings=read(72)), {}),
    ("freshness", "bp_csv", facts(readings=read(3)), facts(readings=read(2)), {"hours": 2}),
    ("freshness", "bp_csv", facts(readings=read(3)), facts(readings=read(3, "mi_fitness")), {"sources": {"bp_csv": 2}}),
    ("quality", "bp_csv", missing("validity"), missing("freshness"), {}),
    ("quality", "bp_csv", missing("freshness"), missing(), {"measures": ["freshness"]}),
    ("storage", "disk", room(free=4), room(free=5), {}),
    ("storage", "used", room(store=6, gold=5), room(store=5, gold=5), {"used_bytes": 10}),
    ("rate_limit", "google_sheets", limited(9), limited(10), {}),
    ("rate_limit", "google_sheets", limited(9, hours=24), limited(9, hours=25), {}),
    ("row_counts", "validation.sleep", making(499), making(500), {}),
    ("row_counts", "validation.sleep", making(1501), making(1501, earlier=2), {}),
    ("row_counts", "validation.sleep", making(0), making(0, usual_rows=None), {}),
    ("row_counts", "validation.sleep", making(0), making(0, "bronze.bp_csv"), {}),
    ("row_counts", "validation.sleep", making(0), making(0, committed_at=NOW - 25 * HOUR), {}),
    ("row_counts", "validation.sleep", making(800), making(900), {"change": 0.15}),
]


@pytest.mark.parametrize(("rule", "subject", "wrong", "right", "limits"), WRONG)
def test_a_rule_fires_past_its_threshold_and_only_when_it_is_on(
    rule: str, subject: str, wrong: Facts, right: Facts, limits: dict[str, Any]
) -> None:
    assert list(found(wrong, **{rule: limits})) == [(rule, subject)]
    assert (rule, subject) not in found(right, **{rule: limits})
    assert found(wrong, **{rule: {**limits, "enabled": False}}) == {}


def test_every_rule_has_a_case_here_and_nothing_fires_when_all_is_well() -> None:
    assert {rule for rule, *_ in WRONG} == set(RULES)
    assert found(facts(readings=read(1))) == {}


def test_sources_that_are_not_watched_or_rest_may_be_old() -> None:
    old = facts(readings=read(9000))
    assert found(old, freshness={"sources": {"bp_csv": None}}) == {}
    assert found(Watched(old, resting=frozenset({"bp_csv"}))) == {}


def test_of_the_examples_only_the_platform_is_judged() -> None:
    bad = step("bronze.bp_csv", source="bp_csv", rejected={"zero": 900}, missed=["validity"])
    odd = facts(steps=[bad, step(rows=1)], readings=read(9000), storage=Storage({}, 0, 100))
    assert set(found(Watched(odd, examples=True))) == {("storage", "disk")}
    assert {rule for rule, _ in found(odd)} == {"storage", "error_rate", "freshness", "quality", "row_counts"}


def test_what_cannot_be_judged_is_left_as_it_was() -> None:
    unknown = facts(history=None, readings=None, storage=Storage({}, None, None))
    assert judge(Watched(unknown), wanted()).judged == set(RULES) - {"failed_runs", "freshness", "storage"}
    before = [Alert("freshness", "bp_csv", "old", NOW - HOUR, {"log": NOW})]
    assert state.judged(before, judge(Watched(unknown), wanted()), NOW) == before


def test_sentences_hold_no_name_or_value_that_somebody_wrote() -> None:
    odd = facts(
        history=History({}, (1, 1.0), LastRun("failed", NOW, 1.0, ["CANARY step", "bronze.bp_csv"]), None, []),
        steps=[step("CANARY step", rows=1, rejected={"CANARY": 900}, missed=["CANARY"])],
        readings=read(9000, "CANARY source"),
    )
    told = found(odd)
    assert {rule for rule, _ in told} == {"failed_runs", "error_rate", "freshness", "row_counts"}
    assert CANARY not in str(told)
    assert told["failed_runs", ""] == "The last run failed at 2 steps: other, bronze.bp_csv."


FIRING = Verdict(frozenset(RULES), {("storage", "disk"): "Full."})
CALM = Verdict(frozenset(RULES), {})


class Listener:
    """A channel that can be made to fail."""

    def __init__(self, name: str = "webhook") -> None:
        self.heard: list[str] = []
        self.broken = False
        self.channel = Channel(name, self._take)

    def _take(self, due: Any) -> None:
        if self.broken:
            raise DeliveryError("the server cannot be reached.", "Is it running?")
        self.heard += [f"{alert.rule} {alert.state}" for alert in due]


class Installation:
    """Just what `tell` needs of a project."""

    def __init__(self, data: Path, repeat_hours: float = 24) -> None:
        self.data_dir = str(data)
        self.settings = {"alerts": wanted(repeat_hours=repeat_hours)}

    def after(self, verdict: Verdict, hours: float, *listeners: Listener) -> list[list[str]]:
        """What each listener hears at that hour."""
        for listener in listeners:
            listener.heard = []
        tell(self, verdict, [listener.channel for listener in listeners], NOW + hours * HOUR)  # type: ignore[arg-type]
        return [listener.heard for listener in listeners]


def test_an_alert_is_told_once_again_after_the_window_and_when_it_is_over(tmp_path: Path) -> None:
    here, one = Installation(tmp_path), Listener()
    assert here.after(FIRING, 0, one) == [["storage firing"]]
    assert here.after(FIRING, 1, one) == [[]]
    assert here.after(FIRING, 23.9, one) == [[]]
    assert here.after(FIRING, 24, one) == [["storage firing"]]
    assert here.after(FIRING, 25, one) == [[]]
    assert here.after(CALM, 26, one) == [["storage resolved"]]
    assert here.after(CALM, 27, one) == [[]]
    assert state.load(str(tmp_path)) == []
    assert here.after(FIRING, 28, one) == [["storage firing"]]


def test_since_when_it_holds_is_kept(tmp_path: Path) -> None:
    here, one = Installation(tmp_path), Listener()
    here.after(FIRING, 0, one)
    here.after(Verdict(FIRING.judged, {("storage", "disk"): "Fuller."}), 5, one)
    (alert,) = state.load(str(tmp_path))
    assert (alert.since, alert.text) == (NOW, "Fuller.")


def test_a_channel_that_fails_is_told_next_time_and_the_others_are_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, one, two = Installation(tmp_path), Listener("webhook"), Listener("email")
    one.broken = True
    assert here.after(FIRING, 0, one, two) == [[], ["storage firing"]]
    assert capsys.readouterr().err.startswith("  ! Alerts did not reach the webhook: the server cannot be reached.")
    one.broken = False
    assert here.after(FIRING, 1, one, two) == [["storage firing"], []]
    two.broken = True
    assert here.after(CALM, 2, one, two) == [["storage resolved"], []]
    two.broken = False
    assert here.after(CALM, 3, one, two) == [[], ["storage resolved"]]
    assert state.load(str(tmp_path)) == []


def test_what_is_back_before_its_end_was_told_is_not_told_as_new(tmp_path: Path) -> None:
    here, one = Installation(tmp_path), Listener()
    here.after(FIRING, 0, one)
    one.broken = True
    here.after(CALM, 1, one)
    one.broken = False
    assert here.after(FIRING, 2, one) == [[]]
    assert here.after(CALM, 3, one) == [["storage resolved"]]


def test_what_was_never_told_ends_silently(tmp_path: Path) -> None:
    here, one = Installation(tmp_path), Listener()
    one.broken = True
    here.after(FIRING, 0, one)
    assert here.after(CALM, 1, one) == [[]]
    assert state.load(str(tmp_path)) == []


def test_a_channel_that_was_switched_off_is_forgotten(tmp_path: Path) -> None:
    here, one, two = Installation(tmp_path), Listener("webhook"), Listener("email")
    here.after(FIRING, 0, one, two)
    assert here.after(CALM, 1, two) == [["storage resolved"]]
    assert state.load(str(tmp_path)) == []


def test_without_a_channel_alerts_are_still_kept(tmp_path: Path) -> None:
    Installation(tmp_path).after(FIRING, 0)
    assert state.active(str(tmp_path))["storage"] == 1


def test_a_clock_that_was_set_back_does_not_silence_an_alert(tmp_path: Path) -> None:
    here, one = Installation(tmp_path), Listener()
    here.after(FIRING, 0, one)
    assert here.after(FIRING, -1000, one) == [["storage firing"]]


def test_a_run_that_raised_is_told_and_says_nothing_of_the_other_rules(tmp_path: Path) -> None:
    here, one = Installation(tmp_path), Listener()
    here.after(FIRING, 0, one)
    assert here.after(ended_early("StoreError"), 1, one) == [["failed_runs firing"]]
    assert here.after(CALM, 2, one) == [["failed_runs resolved", "storage resolved"]]


def test_the_state_is_its_owners_alone_whole_and_holds_only_what_was_told(tmp_path: Path) -> None:
    Installation(tmp_path).after(FIRING, 0, Listener())
    path = tmp_path / state.NAME
    assert path.stat().st_mode & 0o777 == 0o600
    kept = json.loads(path.read_text())
    assert kept["alerts"] == [
        {"rule": "storage", "subject": "disk", "text": "Full.", "since": NOW, "told": {"webhook": NOW}, "resolved_at": None}
    ]
    assert {p.name for p in tmp_path.iterdir()} == {state.NAME, ".alerts.lock"}


ROW = {"rule": "a", "subject": "b", "text": "c", "since": 1, "told": {}, "resolved_at": None}
DAMAGED = [[7], [{"rule": 1}], [ROW | {"since": "d"}], [ROW | {"told": 5}], [ROW | {"rule": None}], [ROW | {"more": 1}], 5]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 9, "alerts": []}', *(json.dumps({"version": 1, "alerts": rows}) for rows in DAMAGED)]
)
def test_a_damaged_state_costs_one_repeated_notice(tmp_path: Path, damage: str) -> None:
    (tmp_path / state.NAME).write_text(damage)
    assert Installation(tmp_path).after(FIRING, 0, one := Listener()) == [["storage firing"]]
    assert one.heard
    assert len(state.load(str(tmp_path))) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alerts: {error_rate: {share: 5}}", r"alerts \(error_rate.share\) is wrong: the number is too large"),
        ("alerts: {error_rat: {}}", "there is no such part"),
        ("alerts: {freshness: {sources: {nokia: 5}}}", "no source 'nokia'"),
        ("alerts: {quality: {measures: [beauty]}}", "it should be one of"),
        ("alerts: {repeat_hours: 0}", "the number is too small"),
        ("alerts: {row_counts: {attempts: 2}}", "the number is too small"),
        ("alerts: {email: {host: mail.example.org, sender: a@b, to: []}}", "too few values"),
        ("alerts: {email: {host: 'a b', sender: a@b, to: [c@d]}}", "not written as it should be"),
        ("alerts: {email: {host: a, sender: nobody, to: [c@d]}}", "a mail address such as"),
        ("alerts: {email: {host: a, sender: 'a@b\\nTo: x@y', to: [c@d]}}", "a mail address such as"),
        ("alerts: {email: {host: a, security: none, sender: a@b, to: [c@d]}}", "it should be one of"),
        ("alert_webhook_url: http://CANARY.example.org/x", "http:// is for this machine alone"),
        ("alert_webhook_url: ftp://CANARY", "should begin with http"),
        ("alert_webhook_header: CANARY", "a name, a colon"),
        ('alert_webhook_header: "X: CANARY\\r\\nY: z"', "a name, a colon"),
        ("metrics_push_url: http://u:CANARY@h", "a user or a password"),
    ],
)  # fmt: skip
def test_a_wrong_alert_setting_is_named_with_its_mend_and_without_its_value(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load([tmp_path / "settings.yaml"], tmp_path / ".env")
    assert caught.value.mend
    assert CANARY not in sentence(caught.value)


def test_a_webhook_on_this_machine_needs_no_encryption(tmp_path: Path) -> None:
    for address in ("http://localhost:9/x", "http://127.0.0.1:9", "http://[::1]:9", "https://chat.example.org/x"):
        (tmp_path / ".env").write_text(f"ALERT_WEBHOOK_URL={address}")
        loaded = load([], tmp_path / ".env")
        assert loaded.alert_webhook_url is not None
        assert loaded.alert_webhook_url.get_secret_value() == address
        assert address not in repr(loaded)
