"""The Parquet writer lets go of a file quietly when its stage is stopped or its disk is full."""

from __future__ import annotations

import contextlib
import gc
import io
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config import tables
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


def test_rows_lie_in_the_same_row_groups_however_they_come() -> None:
    count, schema = 40_000, pa.schema([*SCHEMA, pa.field("raw", pa.string())])

    def written(*pieces: int) -> bytes:
        sink, at = io.BytesIO(), 0
        with TableWriter(sink, schema) as writer:
            for piece in pieces:
                rows = [(n, f"{n}" * 100) for n in range(at, at + piece)]
                if piece > 1:
                    writer.write(pa.table(list(zip(*rows, strict=True)), schema=schema))
                else:
                    writer.append(rows[0])
                at += piece
        return sink.getvalue()

    whole = written(count)
    assert whole == written(*[1] * 100, 30_000, *[1] * 900, 9_000) == written(*[10_000] * 4)
    assert pq.ParquetFile(io.BytesIO(whole)).metadata.num_row_groups == 3


def test_rows_with_long_texts_do_not_wait_for_a_whole_row_group() -> None:
    sink, schema = io.BytesIO(), pa.schema([pa.field("raw", pa.string())])
    with patch.object(tables, "_BYTES", 2_000), TableWriter(sink, schema) as writer:
        for n in range(7):
            writer.append([f"{n}" * 1_000], 1_000)
    file = pq.ParquetFile(io.BytesIO(sink.getvalue()))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 2, 2, 1]
    assert [str(text)[0] for text in file.read()["raw"]] == list("0123456")


def test_a_disk_that_fills_up_while_rows_are_written_beside_stops_the_stage(complaints: list[Any]) -> None:
    def fill(sink: Full) -> None:
        with contextlib.closing(sink), TableWriter(sink, SCHEMA) as writer:
            sink.full = True
            for _ in range(4):
                writer.write(pa.table({"n": range(20_000)}, schema=SCHEMA))

    with pytest.raises(OSError, match="No space left"):
        fill(Full())
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
