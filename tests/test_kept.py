"""Records kept by an erase: read again as they were, repeats told as ever, nothing older taken in from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.stage import File
from config.tables import read_batches
from ingestion import kept
from ingestion.bp_csv.records import records as bp_csv
from ingestion.mi_fitness.records import records as mi_fitness
from tests.stage_bench import StageBench, as_file

SETTINGS: Mapping[str, Any] = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "bp_csv_presets": {}}
BEGINS = datetime(2025, 6, 14, 22, tzinfo=UTC)
HEAD = "Date,Heart rate,Systolic,Diastolic,Comments\n"
ROWS = [
    "2025-06-01 06:27:47,56,121,79,old\n",
    "2025-06-14 23:59:59,57,122,78,old\n",
    "2025-06-15 00:00:00,58,123,77,young\n",
    "2025-06-16 06:27:47,,300,77,young\n",
    "not a date,58,123,77,undated\n",
]
MI_HEAD = "Uid,Sid,Key,Time,Value,UpdateTime\n"


def mi(second: int, update: int, value: int = 61) -> str:
    return f'1,s,heart_rate,{second},"{{""time"":{second},""bpm"":{value}}}",{update}\n'


def dropped(folder: Path, name: str, text: str, source: str = "bp_csv") -> File:
    path = folder / name
    path.write_text(text)
    return as_file(path, f"raw/{source}/{name}")


def kept_of(folder: Path, records: Path, begins: datetime = BEGINS, source: str = "bp_csv") -> File:
    path = folder / "2025-06-15.kept.parquet"
    with path.open("wb") as sink:
        kept.write(sink, read_batches(str(records)), begins)
    return as_file(path, f"raw/{source}/{path.name}")


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "records").to_pylist()
    return found


def content(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without where it lies."""
    return [
        {k: v for k, v in row.items() if k not in {"raw_artifact", "raw_sha256", "position", "record_index"}} for row in found
    ]


def test_what_is_kept_is_what_it_was_but_for_its_place(tmp_path: Path) -> None:
    bench = StageBench(tmp_path / "bench")
    first, out = bench.run(bp_csv, {"raw": [dropped(tmp_path, "a.csv", HEAD + "".join(ROWS))]}, SETTINGS)
    before = rows(out)
    report, out = bench.run(bp_csv, {"raw": [kept_of(tmp_path, out / "records")]}, SETTINGS)
    after = rows(out)
    assert content(after) == content(
        [row for row in before if row["source_timestamp"] is None or row["source_timestamp"] >= BEGINS]
    )
    assert [row["position"] for row in after] == ["row 3", "row 4", "row 5"]
    assert report["balance"]["fates"]["unused:erased"] == 2
    (finding,) = report["findings"]
    assert (finding["code"], finding["count"], finding["where"]) == ("erased", 2, "raw/bp_csv/2025-06-15.kept.parquet")
    assert first["balance"]["came"] == report["balance"]["came"] + 1  # the header


def test_an_export_with_the_same_rows_adds_nothing_whatever_it_is_called(tmp_path: Path) -> None:
    bench = StageBench(tmp_path / "bench")
    _, out = bench.run(bp_csv, {"raw": [dropped(tmp_path, "a.csv", HEAD + "".join(ROWS))]}, SETTINGS)
    holds = kept_of(tmp_path, out / "records")
    _, alone = bench.run(bp_csv, {"raw": [holds]}, SETTINGS)
    for name in ("0.csv", "z.csv"):
        report, out = bench.run(bp_csv, {"raw": [dropped(tmp_path, name, HEAD + "".join(ROWS)), holds]}, SETTINGS)
        assert rows(out) == rows(alone)
        assert report["balance"]["fates"]["duplicate"] == 3


def test_the_latest_day_holds(tmp_path: Path) -> None:
    bench = StageBench(tmp_path / "bench")
    file = dropped(tmp_path, "a.csv", HEAD + "".join(ROWS))
    _, out = bench.run(bp_csv, {"raw": [file]}, SETTINGS)
    (tmp_path / "later").mkdir()
    later = kept_of(tmp_path / "later", out / "records", datetime(2025, 6, 15, 22, tzinfo=UTC))
    earlier = kept_of(tmp_path, out / "records")._replace(name="raw/bp_csv/other.kept.parquet")
    _, out = bench.run(bp_csv, {"raw": [earlier, file, later]}, SETTINGS)
    assert [row["source_timestamp"] and row["source_timestamp"].day for row in rows(out)] == [16, None]


def test_a_vendors_update_time_makes_no_new_version_of_what_was_kept(tmp_path: Path) -> None:
    bench = StageBench(tmp_path / "bench")
    text = MI_HEAD + mi(1_750_000_000, 1_750_000_500) + mi(1_751_000_000, 1_751_000_500)
    _, out = bench.run(mi_fitness, {"raw": [dropped(tmp_path, "hlth_center_fitness_data.csv", text, "mi_fitness")]}, SETTINGS)
    assert len(rows(out)) == 2
    holds = kept_of(tmp_path, out / "records", datetime.fromtimestamp(1_750_500_000, UTC), "mi_fitness")
    later = MI_HEAD + mi(1_750_000_000, 1_760_000_000) + mi(1_751_000_000, 1_760_000_000)
    edited = MI_HEAD + mi(1_751_000_000, 1_770_000_000, 70)
    files = [dropped(tmp_path, "hlth_later.csv", later, "mi_fitness"), dropped(tmp_path, "hlth_most.csv", edited, "mi_fitness")]
    report, out = bench.run(mi_fitness, {"raw": [holds, *files]}, SETTINGS)
    assert [(row["revision"], '"bpm":70' in row["raw"]) for row in rows(out)] == [
        (1_751_000_500_000_000, False),
        (1_770_000_000_000_000, True),
    ]
    assert report["balance"]["fates"]["unused:erased"] == 2


@pytest.mark.parametrize("damage", ["empty", "text", "another table"])
def test_a_file_that_only_has_the_name_is_refused_and_the_others_go_on(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.kept.parquet"
    if damage == "another table":
        pq.write_table(pa.table({"a": [1]}), path)
    else:
        path.write_bytes(b"" if damage == "empty" else b"date,systolic\n")
    files = [as_file(path, "raw/bp_csv/x.kept.parquet"), dropped(tmp_path, "a.csv", HEAD + ROWS[0])]
    report, out = StageBench(tmp_path / "bench").run(bp_csv, {"raw": files}, SETTINGS)
    assert len(rows(out)) == 1
    assert report["balance"]["fates"] == {"accepted": 1, "rejected:unknown_format": 1, "unused:header": 1}
