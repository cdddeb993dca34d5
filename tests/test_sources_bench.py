"""What bench/sources.py measures with: exports as vendors write them, a re-export that tells the same days, DuckDB's days as ours."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.sources_counts import SAMPLES, of_samples, table
from bench.sources_duckdb import compare, make
from bench.sources_lab import EXPORTS, Export
from config.metrics import KINDS
from config.settings import for_nodes, load
from processing.aggregators.daily_metrics import merge
from processing.validators import readings as validators
from tests.cli_bench import REPO
from tests.stage_bench import StageBench, as_file

SETTINGS: dict[str, Any] = {**for_nodes(load([], Path("no.env"))), "timezone": "Europe/Warsaw"}


def read(tmp_path: Path, export: Export, days: int) -> tuple[Path, Path, dict[str, int]]:
    """The folders of records and readings of an export of so many days, and what became of its rows and records."""
    folder = tmp_path / f"{days}"
    folder.mkdir()
    export.write(folder / "export", days)
    bench = StageBench(folder)
    raw = as_file(folder / "export", f"raw/{export.source}/{export.name(days)}")
    records = import_module(f"ingestion.{export.source}.records").records
    first, made = bench.run(records, {"raw": [raw]}, SETTINGS)
    normalize = import_module(f"processing.normalizers.{export.source}").normalize
    second, given = bench.run(normalize, {"records": made / "records"}, SETTINGS)
    return made, given, {**first["balance"]["fates"], **second["balance"]["fates"]}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=list(EXPORTS))
def test_an_export_of_a_day_more_tells_the_days_before_in_the_same_words_and_all_of_it_is_read(
    tmp_path: Path, export: Export
) -> None:
    days = {}
    for number in (1, 2):
        made, given, fates = read(tmp_path, export, number)
        assert not [fate for fate in fates if fate.startswith("rejected")]
        records = set(pq.read_table(made / "records", columns=["raw_id"])["raw_id"].to_pylist())
        readings = pq.read_table(given / "readings", columns=["metric", "start", "value", "raw_id"]).to_pylist()
        days[number] = records, {tuple(reading.values()) for reading in readings}
    for before, after in zip(days[1], days[2], strict=True):
        assert before < after
        assert len(after) > 1.7 * len(before)


@pytest.mark.parametrize("export", EXPORTS.values(), ids=list(EXPORTS))
def test_equal_arguments_give_equal_bytes(tmp_path: Path, export: Export) -> None:
    held = [export.write(tmp_path / name, 1) for name in ("a", "b")]
    assert held[0] == held[1] > 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_duckdbs_days_are_ours_with_gaps_and_on_the_day_clocks_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, given, _ = read(tmp_path, EXPORTS["fitbit"], 2)
    bench = StageBench(tmp_path / "daily")
    valid = {
        kind: bench.run(getattr(validators, f"validate_{kind}"), {"fitbit": given / "readings"}, SETTINGS)[1] / "readings"
        for kind in KINDS
    }
    _, out = bench.run(merge, valid, SETTINGS)
    records, same, plain = (str(path) for path in (made / "records", tmp_path / "same", tmp_path / "plain"))
    make("same", records, same)
    compare(str(out / "parquet"), same)
    make("plain", records, plain)
    compare(str(out / "parquet"), plain)
    assert capsys.readouterr().out.splitlines() == ["2 0", "2 1"]  # a plain mean is another one where the band was charged


def test_the_documents_table_of_counts_is_what_the_command_prints_of_the_samples() -> None:
    printed = table(list(of_samples(SAMPLES))).splitlines()
    assert [line for line in printed if line not in (REPO / "docs/sources.md").read_text().splitlines()] == []
