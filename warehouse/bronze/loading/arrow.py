"""NumPy arrays and plain values as Arrow ones, and back. pyarrow's own ways import pandas first: 40 MB and half a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def int64(values: Any) -> pa.Array:
    """A NumPy array of whole numbers."""
    values = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def boolean(values: Any) -> pa.Array:
    """A NumPy array of truth values."""
    bits = np.packbits(np.asarray(values, dtype=bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def numbers(array: pa.Array) -> Any:
    """An int64 array without nulls as a NumPy array."""
    return np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + len(array)]


def number(value: int) -> pa.Scalar:
    """A whole number."""
    return int64(np.array([value]))[0]


def text(value: str) -> pa.Scalar:
    """A text."""
    data = value.encode()
    ends = np.array([0, len(data)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])[0]


def frugal() -> None:
    """From here on give memory back soon: a load reads much and keeps nothing."""
    found = "jemalloc" in pa.supported_memory_backends()
    pa.set_memory_pool(pa.jemalloc_memory_pool() if found else pa.system_memory_pool())
