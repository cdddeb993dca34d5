"""The Parquet writer lets go of a file quietly when its stage is stopped or its disk is full."""

from __future__ import annotations

import contextlib
import gc
import io
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from config.tables import TableWriter, read_batches

SCHEMA = pa.schema([pa.field("n", pa.int64())])


class Full(io.BytesIO):
    full = False

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(data)


def write(sink: io.BytesIO, stop: type[BaseException] | None) -> None:
    """A row, then the disk is full or the stage is stopped; the file is closed before the writer is collected."""
    with contextlib.closing(sink), TableWriter(sink, SCHEMA) as writer:
        writer.append([1])
        if isinstance(sink, Full):
            sink.full = True
        if stop:
            raise stop


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


def test_a_stopped_stage_leaves_no_complaint_behind(complaints: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(io.BytesIO(), KeyboardInterrupt)
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("stop", [None, SystemExit])
def test_a_full_disk_is_told_once(complaints: list[Any], stop: type[BaseException] | None) -> None:
    with pytest.raises(stop or OSError):
        write(Full(), stop)
    gc.collect()
    assert complaints == []


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with open(tmp_path / "t", "wb") as sink, TableWriter(sink, SCHEMA) as writer:
        writer.append([1])
    assert [b.to_pylist() for b in read_batches(str(tmp_path / "t"))] == [[{"n": 1}]]
