"""Readings that came from one record: finding them together again, and recognising a record that another one repeats."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from processing.readings import Array, codes, numbers
from processing.validators.verdicts import Verdicts


def record_frame(table: pa.Table) -> pd.DataFrame:
    """One row per reading with its numbers, and `record`: the ordinal of its (source, raw id, scope, device, start, end)."""
    columns = {name: codes(table, name)[0] for name in ("source", "scope", "device")}
    frame = pd.DataFrame({**columns, **{name: numbers(table, name) for name in ("value", "start", "end", "local_date")}})
    metrics, names = codes(table, "metric")
    frame["metric"] = pd.Categorical.from_codes(metrics, categories=pd.Index(names, dtype="object"))
    frame["raw_id"] = pd.factorize(np.asarray(table["raw_id"].to_pylist(), dtype=object), sort=True)[0]
    frame["record"] = frame.groupby(["source", "raw_id", "scope", "device", "start", "end"]).ngroup()
    return frame


def find_repeated_records(verdicts: Verdicts, frame: pd.DataFrame) -> None:
    """A record is a duplicate when one of the same source, device and time says all it says (and perhaps more).

    Judged by whole records, never by single readings: two measurements of one minute that share a systolic value are two.
    """
    rows = frame[verdicts.accepted]
    place = rows.groupby(["source", "scope", "device", "start", "end"])["record"]
    crowded = rows[place.transform("nunique") > 1]
    repeated: set[int] = set()
    for _, at_one_time in crowded.groupby(["source", "scope", "device", "start", "end"]):
        repeated |= _repeated(at_one_time)
    verdicts.duplicate(frame["record"].isin(repeated).to_numpy())


def find_repeated_readings(verdicts: Verdicts) -> None:
    """A reading is a duplicate when the same source and device gave the same value of the same metric for the same time.

    The table's order puts such readings side by side but for the raw id, so only those with an equal neighbour are compared.
    """
    table = verdicts.table
    key = [codes(table, "metric")[0], numbers(table, "start"), numbers(table, "end"), codes(table, "source")[0]]
    accepted = np.flatnonzero(verdicts.accepted)
    same = np.logical_and.reduce([column[accepted][1:] == column[accepted][:-1] for column in key])
    near = accepted[np.append(False, same) | np.append(same, False)] if len(accepted) else accepted
    frame = pd.DataFrame({i: column[near] for i, column in enumerate(key)})
    for name in ("device", "scope"):
        frame[name] = codes(table, name)[0][near]
    frame["value"] = numbers(table, "value")[near]
    verdicts.duplicate(_mask(table.num_rows, near[frame.duplicated().to_numpy()]))


def _repeated(readings: pd.DataFrame) -> set[int]:
    """Of records at one place and time: those whose readings all stand in a fuller (or earlier named) one."""
    said: dict[int, set[tuple[str, float]]] = {}
    for record, metric, value in zip(readings["record"], readings["metric"], readings["value"], strict=True):
        said.setdefault(record, set()).add((metric, value))
    kept: list[int] = []
    for record in sorted(said, key=lambda r: (-len(said[r]), r)):  # record ordinals follow the raw ids
        if not any(said[record] <= said[other] for other in kept):
            kept.append(record)
    return set(said) - set(kept)


def _mask(size: int, rows: Array) -> Array:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask
