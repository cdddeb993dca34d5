"""Cells and rows as 64-bit digests, and which of them are the same in two versions.

Equal values have equal digests in every file and batch; a null has one of its own. Two different cells have the same digest once in 2⁶⁴.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

Digests = npt.NDArray[np.uint64]
_NULL = np.uint64(0x9AE16A3B2F90404F)


def digests(column: pa.Array, kind: pa.DataType) -> Digests:
    """A digest per cell. Equal values of one kind have equal digests in every file and batch."""
    if column.type != kind:
        column = column.cast(kind)
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type) and not column.flatten().null_count:
        joined, length = pc.binary_join(column, "\x1f"), pc.list_value_length(column)
        return mixed([digests(joined, pa.string()), digests(length, pa.int32())], len(column))
    if pa.types.is_floating(kind):
        numbers = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False) + 0.0  # -0.0 is 0.0
        numbers = np.where(np.isnan(numbers), np.nan, numbers)
        return _nulled(_scrambled(numbers.view(np.uint64)), column)
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind) or pa.types.is_boolean(kind):
        whole = column if pa.types.is_integer(kind) else column.cast(_width(kind))
        return _nulled(_scrambled(whole.cast(pa.int64(), safe=False).fill_null(0).to_numpy().view(np.uint64)), column)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)):
        column = pa.array([None if v is None else repr(v) for v in column.to_pylist()], pa.string())
    words = pc.dictionary_encode(column)
    if not len(words.dictionary):
        return np.full(len(column), _NULL, np.uint64)
    distinct = hash_array(words.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    return _nulled(distinct[words.indices.fill_null(0).to_numpy()], column)


def _width(kind: pa.DataType) -> pa.DataType:
    """The integer a moment, a day, a time or a truth is kept as."""
    return pa.int32() if kind.bit_width == 32 else pa.int8() if kind.bit_width == 1 else pa.int64()


def _nulled(digests: Digests, column: pa.Array) -> Digests:
    if not column.null_count:
        return digests
    return np.where(column.is_null().to_numpy(zero_copy_only=False), _NULL, digests)


def _scrambled(bits: Digests) -> Digests:
    """Every bit of the input moves every bit of the digest (the finaliser of SplitMix64)."""
    x = bits + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def mixed(columns: Sequence[Digests], rows: int) -> Digests:
    """One digest of several, in which their order counts."""
    return functools.reduce(lambda mixed, column: _scrambled(mixed ^ column), columns, np.full(rows, 1, np.uint64))


def paired(a: Digests, b: Digests) -> tuple[Any, Any]:
    """Row numbers of equal digests in both; what occurs several times is paired as often as it occurs in both."""
    _, in_a, in_b = np.intersect1d(_numbered(a), _numbered(b), assume_unique=True, return_indices=True)
    return in_a, in_b


def _numbered(digests: Digests) -> Digests:
    """Digests made distinct: the second equal one gets another, the same in every file."""
    order = np.argsort(digests, kind="stable")
    ranked = digests[order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(ranked) else np.empty(0, np.int64)
    length = np.diff(np.append(first, len(ranked)))
    nth = np.arange(len(ranked)) - np.repeat(first, length)
    found = np.empty_like(digests)
    found[order] = np.where(nth == 0, ranked, mixed([ranked, nth.astype(np.uint64)], len(ranked)))
    return found
