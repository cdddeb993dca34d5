"""What lies in the remote: opened by its key only, whole or not at all, under names that tell nothing."""

from __future__ import annotations

import hashlib
import io
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError, StateError
from scripts.state.seal import Sealer
from tests.state_bench import KEY, OTHER_KEY

FRAME = 1 << 20
HEADER = 50
SEALER = Sealer(KEY)


@given(st.binary(max_size=3000), st.integers(1, 2000))
def test_what_is_packed_is_unpacked_the_same(content: bytes, times: int) -> None:
    for sealer in (SEALER, Sealer()):
        assert sealer.unpacked(sealer.packed(content * times, "blobs/x"), "blobs/x") == content * times


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_sizes_around_a_frame_come_back_with_their_hash(size: int) -> None:
    content = os.urandom(size)  # does not compress: what is packed has exactly these frames
    packed, out = SEALER.packed(content, "n"), io.BytesIO()
    assert SEALER.unpack(io.BytesIO(packed), out, "n", size) == hashlib.sha256(content).hexdigest()
    assert out.getvalue() == content
    assert SEALER.pack(io.BytesIO(content), io.BytesIO(), "n") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"", b"steps,8000\n" * 400_000, os.urandom(3 * FRAME), os.urandom(FRAME) * 3])
def test_tightly_packed_comes_back_too_and_is_smaller_where_it_repeats(content: bytes) -> None:
    tight, loose = io.BytesIO(), SEALER.packed(content, "n")
    SEALER.pack(io.BytesIO(content), tight, "n", tight=True)
    assert SEALER.unpacked(tight.getvalue(), "n") == content
    assert len(tight.getvalue()) <= len(loose)


def test_tightly_packed_is_whole_or_refused_and_never_larger_than_it_may_be() -> None:
    packed, out = io.BytesIO(), io.BytesIO()
    Sealer().pack(io.BytesIO(b"\0" * (50 << 20)), packed, "n", tight=True)
    with pytest.raises(StateError):
        Sealer().unpacked(packed.getvalue()[:-1], "n")
    with pytest.raises(StateError):
        Sealer().unpack(io.BytesIO(packed.getvalue()), out, "n", limit=1000)
    assert out.tell() <= 2 * FRAME


def test_text_is_compressed_and_noise_is_not() -> None:
    assert len(SEALER.packed(b"steps,8000\n" * 100_000, "n")) < 20_000
    noise = os.urandom(2 * FRAME)
    assert len(noise) < len(SEALER.packed(noise, "n")) < len(noise) + 200


def test_two_packings_of_the_same_share_no_bytes_but_the_header() -> None:
    one, two = (SEALER.packed(b"a" * 5000, "n") for _ in range(2))
    assert one[:18] == two[:18]
    assert one[18:] != two[18:]
    assert b"aaaa" not in one


def test_names_tell_nobody_the_content_without_the_key() -> None:
    sha = hashlib.sha256(b"a known file").hexdigest()
    assert sha not in SEALER.name(sha)
    assert SEALER.name(sha) != Sealer(OTHER_KEY).name(sha)
    assert Sealer().name(sha) == f"blobs/{sha[:2]}/{sha}"


def test_any_changed_byte_is_found() -> None:
    packed = SEALER.packed(os.urandom(300), "n")
    for at in range(len(packed)):
        with pytest.raises((StateError, SettingsError)):
            SEALER.unpacked(packed[:at] + bytes([packed[at] ^ 0x40]) + packed[at + 1 :], "n")


def test_any_cut_is_found() -> None:
    packed = SEALER.packed(os.urandom(300), "n")
    for end in range(len(packed)):
        with pytest.raises(StateError):
            SEALER.unpacked(packed[:end], "n")


def frames(packed: bytes) -> list[bytes]:
    found, at = [], HEADER
    while at < len(packed):
        end = at + 4 + int.from_bytes(packed[at : at + 4], "big")
        found.append(packed[at:end])
        at = end
    return found


def test_frames_cannot_be_dropped_swapped_or_repeated() -> None:
    packed = SEALER.packed(os.urandom(3 * FRAME), "n")
    head, (a, b, c) = packed[:HEADER], frames(packed)
    assert head + a + b + c == packed
    for wrong in ((a, b), (a, c), (b, c), (b, a, c), (a, b, b, c), (a, b, c, c), ()):
        with pytest.raises(StateError):
            SEALER.unpacked(head + b"".join(wrong), "n")


def test_an_object_cannot_stand_in_for_another() -> None:
    with pytest.raises(StateError):
        SEALER.unpacked(SEALER.packed(b"x", "blobs/one"), "blobs/other")


def test_another_key_is_said_to_be_another_key() -> None:
    with pytest.raises(SettingsError, match="STATE_KEY is not the key") as told:
        Sealer(OTHER_KEY).unpacked(SEALER.packed(b"x", "n"), "n")
    assert KEY not in str(told.value)
    with pytest.raises(SettingsError, match="STATE_KEY is not set"):
        Sealer().unpacked(SEALER.packed(b"x", "n"), "n")


def test_with_a_key_nothing_unsealed_is_believed() -> None:
    with pytest.raises(StateError, match="not sealed"):
        SEALER.unpacked(Sealer().packed(b"x", "n"), "n")


def test_plain_packing_finds_damage_by_the_hash_and_cuts_by_itself() -> None:
    plain = Sealer()
    packed = plain.packed(b"steps,8000\n" * 5000, "n")
    with pytest.raises(StateError):
        plain.unpacked(packed[:-1], "n")
    noise = bytearray(plain.packed(os.urandom(100), "n"))
    noise[-1] ^= 1
    content = bytes(noise[HEADER + 4 :])
    assert plain.unpack(io.BytesIO(bytes(noise)), io.BytesIO(), "n") == hashlib.sha256(content).hexdigest()


def test_what_inflates_beyond_its_size_is_stopped_early() -> None:
    bomb = Sealer().packed(b"\0" * (200 << 20), "n")
    assert len(bomb) < 1 << 20
    out = io.BytesIO()
    with pytest.raises(StateError):
        Sealer().unpack(io.BytesIO(bomb), out, "n", limit=1000)
    assert out.tell() <= 2 * FRAME


def test_bytes_after_the_end_of_the_compressed_stream_are_refused() -> None:
    packed = Sealer().packed(b"a" * 1000, "n")
    extra = zlib.compress(b"more")
    with pytest.raises(StateError):
        Sealer().unpacked(packed + len(extra).to_bytes(4, "big") + extra, "n")


@pytest.mark.parametrize("content", [b"", b"PDPSTATE", b"<html>not found</html>" * 10, b"PDPSTATE\x09" + bytes(60)])
def test_what_is_none_of_ours_is_refused(content: bytes) -> None:
    with pytest.raises(StateError):
        SEALER.unpacked(content, "n")
