"""A piece of a body is an event or it is not, and then it says why; every piece comes out once."""

from __future__ import annotations

import json

import pytest

from config.events import check
from config.metrics import METRICS
from ingestion.events import reading
from ingestion.events.reading import items
from tests.test_events_handler import GOOD, text

FAULTS = {
    "event_id": [(None, "missing"), (7, "type"), ("", "format"), ("a b", "format"), ("é", "format"), ("x" * 129, "format")],
    "source": [(None, "missing"), ("", "format"), ("a\nb", "format"), ("\ud800", "format"), ("x" * 129, "format")],
    "user": [(7, "type"), ("", "format")],
    "metric": [(None, "missing"), ([], "type")],
    "ts_utc": [
        (None, "missing"),
        (1_740_000_000, "type"),
        ("2025-03-30T00:59:59", "format"),
        ("2025-03-30T00:59:59+01:00", "format"),
        ("2025-03-30 00:59:59Z", "format"),
        ("2025-02-30T00:59:59Z", "format"),
        ("2025-03-30T24:00:00Z", "format"),
        ("1899-12-31T23:59:59Z", "range"),
    ],
    "offset_s": [(3600.0, "type"), (True, "type"), (64_801, "range"), (-64_801, "range")],
    "value": [(None, "missing"), ("61", "type"), (True, "type"), (10**400, "range"), (float("inf"), "range")],
    "unit": [(None, "missing"), ("", "format")],
    "device": [(0, "type")],
}


@pytest.mark.parametrize(("field", "value", "fault"), [(f, v, r) for f, listed in FAULTS.items() for v, r in listed])
def test_a_faulty_field_is_named_with_what_is_wrong_with_it(field: str, value: object, fault: str) -> None:
    assert check({**GOOD, field: value}) == [f"{field}_{fault}"]


def test_optional_fields_may_be_missing_unknown_keys_and_metrics_are_no_fault() -> None:
    least = {k: v for k, v in GOOD.items() if k not in {"user", "offset_s", "device"}}
    assert check(least) == check({**GOOD, "user": None, "metric": "mood", "firmware": "1.2"}) == []
    assert check([]) == ["not_object"]


def test_every_metric_of_the_catalogue_can_be_an_event() -> None:
    assert all(check({**GOOD, "metric": name, "unit": metric.unit}) == [] for name, metric in METRICS.items())


PIECES = [
    (b"", []),
    (b" \n\n", []),
    (b"[]", []),
    (b"\xef\xbb\xbf" + text(), [()]),
    (json.dumps(GOOD, indent=2).encode(), [()]),
    (b"[" + text() + b" ,\n" + text(event_id="e-2") + b"]", [(), ()]),
    (text() + b"\r\n\n" + text(event_id="e-2"), [(), ()]),
    (text() + b"\n" + text()[:-1] + b"\n" + text(), [(), ("not_json",), ()]),
    (text() + b"\n\xff\n" + text(), [(), ("not_utf8",), ()]),
    (text() + text(), [("not_json",)]),
    (b"[" + text() + b",]", [("not_json",)]),
    (b"[" + text(), [("not_json",)]),
    (b"[" + text() + b"] x", [("not_json",)]),
    (b"[\xff]", [("not_utf8",)]),
    (b"[" + text(value=float("nan")) + b"," + text() + b"]", [("not_json",), ()]),
    (b'{"event_id":"a","event_id":"b"}\n' + text(), [("duplicate_json_keys",), ()]),
    (b"7\n" + text(), [("not_object",), ()]),
    (b"[" * 100_000, [("not_json",)]),
    (b'{"a":' * 100_000, [("not_json",)]),
    (b"9" * 10_000, [("not_json",)]),
]


@pytest.mark.parametrize(("body", "reasons"), PIECES)
def test_a_body_falls_into_its_pieces(body: bytes, reasons: list[tuple[str, ...]]) -> None:
    found = items(body)
    assert [item.reasons for item in found] == reasons
    assert all((item.event is None) == bool(item.reasons) for item in found)
    assert all(item.raw in body for item in found)


def test_a_body_of_too_many_pieces_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST", 3)
    for body in (b"[1,1,1,1]", b"1\n1\n1\n1"):
        assert [(i.raw, i.reasons) for i in items(body)] == [(body, ("too_many_events",))]
    assert len(items(b"[1,1,1]")) == 3
