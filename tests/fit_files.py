"""Writes FIT files byte by byte, as a watch would: what the tests of Garmin's files are made of."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import NamedTuple

_BASE = {"B": 0x02, "H": 0x84, "I": 0x86, "b": 0x01, "h": 0x83, "i": 0x85, "E": 0x00}
_CODES = {"E": "B"}
_EPOCH = datetime(1989, 12, 31, tzinfo=UTC)


class Message(NamedTuple):
    """One data message: its number in the profile, and (field number, type letter, value) of each field."""

    number: int
    fields: tuple[tuple[int, str, int], ...]


def fit_time(text: str) -> int:
    """ISO text, UTC, as FIT seconds."""
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH).total_seconds())


def message(number: int, *fields: tuple[int, str, int]) -> Message:
    return Message(number, fields)


def file_id(serial: int = 77, kind: int = 4) -> Message:
    return message(0, (0, "E", kind), (1, "H", 1), (3, "I", serial))


def fit(*messages: Message) -> bytes:
    """A whole file with its checksums."""
    body = b"".join(_define(m) + _data(m) for m in messages)
    head = struct.pack("<2BHI4s", 14, 0x20, 2132, len(body), b".FIT")
    head += struct.pack("<H", _crc(head))
    return head + body + struct.pack("<H", _crc(head + body))


def _define(m: Message) -> bytes:
    fields = b"".join(struct.pack("3B", n, struct.calcsize(_CODES.get(t, t)), _BASE[t]) for n, t, _ in m.fields)
    return struct.pack("<BBBHB", 0x40, 0, 0, m.number, len(m.fields)) + fields


def _data(m: Message) -> bytes:
    return b"\0" + b"".join(struct.pack("<" + _CODES.get(t, t), value) for _, t, value in m.fields)


def _crc(data: bytes) -> int:
    """The CRC-16 of the FIT protocol."""
    table = [0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401, 0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01]
    table += [0x8801, 0x4400]
    crc = 0
    for byte in data:
        for nibble in (byte & 0xF, byte >> 4):
            crc = (crc >> 4) ^ table[crc & 0xF] ^ table[nibble]
    return crc
