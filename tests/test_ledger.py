"""A ledger gives back what was put down last, and forgets nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingestion.ledger import Ledger

KEYS = st.binary(min_size=8, max_size=8).map(lambda key: b"\0\0" + key) | st.sampled_from(
    [b"\0" * 10, b"\0\0" + b"\1" * 8, b"\0\0" + b"\0\1" * 4, b"\0\0" + b"\1\0" * 4, b"\1" * 10]
)
VALUES = st.sampled_from([b"\0" * 16, b"\1" * 16, b"\0\1" * 8, b"\1\0" * 8])


@given(st.lists(st.tuples(KEYS, VALUES), max_size=40))
def test_a_ledger_is_a_dictionary(puts: list[tuple[bytes, bytes]]) -> None:
    ledger, known = Ledger(16), dict[bytes, bytes]()
    for key, value in puts:
        assert ledger.get(key) == known.get(key)
        assert ledger.swap(key, value) == known.get(key)
        known[key] = value
    assert {key: ledger.get(key) for key in known} == known


@given(st.lists(KEYS, max_size=40))
def test_a_key_without_a_value_is_new_once(keys: list[bytes]) -> None:
    ledger, known = Ledger(0), set[bytes]()
    for key in keys:
        assert (ledger.swap(key, b"") is None) == (key not in known)
        known.add(key)
