"""The end of a run as a person reads it: nothing refused is left out or told twice, and nothing is called up to date unseen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from pipeline.outcome import Outcome, Run
from pipeline.registry import Artifact
from scripts.project import Project, open_project
from scripts.summary import text

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for folder, name in {"bp_csv": "mine.csv", "google_sheet": "secret-name.csv", ".cache": "x", "empty": ""}.items():
        (tmp_path / "inbox" / folder).mkdir(parents=True)
        if name:
            (tmp_path / "inbox" / folder / name).write_text("x")
    return open_project()


def outcome(node: str, action: str = "ran", outputs: tuple[str, ...] = (), held: bool = False, **report: Any) -> Outcome:
    made = tuple(Artifact(1, name, 1, "", 0, 0, "", 0.0) for name in outputs)
    return Outcome(node, node.split(".")[0], action, "a", outputs=made, report=report, held=held)


def said(project: Project, *outcomes: Outcome) -> str:
    return text(Run("r", "succeeded", 0.1, list(outcomes)), project)


def balance(**fates: int) -> dict[str, Any]:
    return {
        "unit": "record",
        "came": sum(fates.values()),
        "fates": {k.replace("rejected_", "rejected:"): n for k, n in fates.items()},
    }


def test_refused_parts_are_told_with_the_refused_records_and_their_file(project: Project) -> None:
    name = "processed/normalized/bp_csv.rejected.parquet"
    told = said(
        project,
        outcome(
            "normalization.bp_csv",
            outputs=(name.replace(".rejected", ""), name),
            balance=balance(accepted=9, rejected_zero=2, rejected_half_reading=1),
            refused={"zero": 3, "partner_rejected": 1},
        ),
    )
    (line,) = (line for line in told.splitlines() if line.startswith("    normalization.bp_csv"))
    assert line.split(maxsplit=2)[1:] == ["7", "zero 5, half_reading 1, partner_rejected 1"]
    assert "4 of them parts of records" in told
    assert name in told


def test_what_was_refused_in_an_earlier_run_is_not_told_again(project: Project) -> None:
    report: dict[str, Any] = {"balance": balance(rejected_zero=2), "refused": {"zero": 3}}
    told = said(project, outcome("normalization.bp_csv", "restored", **report), outcome("validation.body"))
    assert "Refused" not in told


def test_months_that_were_taken_over_are_told(project: Project) -> None:
    told = said(project, outcome("normalization.fitbit", months={"made": 1, "kept": 59}))
    assert "Readings of 1 month were made anew, those of 59 taken over as they were." in told
    assert "taken over" not in said(project, outcome("normalization.fitbit", months={"made": 60, "kept": 0}))


def test_findings_tell_how_often(project: Project) -> None:
    found = [
        {"code": "a", "message": "Something.", "count": 1234},
        {"code": "b", "message": "Else.", "where": "x.csv", "count": 1},
    ]
    told = said(project, outcome("normalization.bp_csv", findings=found))
    assert "Something. (1,234)" in told
    assert "Else. (x.csv)" in told


def test_a_load_that_misses_what_is_wanted_warns_at_the_end_however_much_else_is_told(project: Project) -> None:
    many = [{"code": f"c{n}", "message": f"Something {n}."} for n in range(30)]
    miss = {"code": "below_sla_freshness", "message": "The newest record is old. Export it again."}
    lines = said(project, outcome("normalization.bp_csv", findings=many), outcome("bronze.bp_csv", findings=[miss])).splitlines()
    assert lines.count("  ! The newest record is old. Export it again.") == 1
    assert "    … and 10 more: status --json" in lines
    assert not any("bronze.bp_csv" in line for line in lines)
    alone = said(project, outcome("bronze.bp_csv", findings=[miss]))
    assert "Worth knowing" not in alone


def test_nodes_that_were_not_looked_at_are_not_called_up_to_date(project: Project) -> None:
    looked, held = outcome("validation.body", "skipped"), outcome("normalization.bp_csv", "skipped", held=True)
    assert said(project, looked, held).startswith("Nothing to do among the 1 node looked at; 1 not looked at")
    assert "all 1 nodes over 1 source are up to date" in said(project, looked)
    assert said(project, looked, held, outcome("merge.x")).startswith("Done: 1 ran, 1 skipped, 1 not looked at over")


def test_a_folder_of_the_inbox_that_nobody_reads_is_named_without_its_files(project: Project) -> None:
    assert project.strays == ["google_sheet"]
    told = said(project, outcome("validation.body", "skipped"))
    assert "inbox/google_sheet/ is no source's folder" in told
    assert "Did you mean inbox/google_sheets/?" in told
    assert "secret-name" not in told


def test_files_in_the_inbox_itself_are_mentioned(project: Project, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "export.zip").write_text("x")
    assert open_project().strays == ["", "google_sheet"]


def test_a_missing_settings_file_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PDP_SETTINGS", "nowhere.yaml")
    with pytest.raises(SettingsError, match="PDP_SETTINGS"):
        open_project()


def test_a_relative_settings_file_is_found_from_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TIMEZONE", raising=False)
    monkeypatch.setenv("PDP_SETTINGS", "mine.yaml")
    (tmp_path / "mine.yaml").write_text("timezone: Asia/Tokyo")
    (tmp_path / "inbox/bp_csv").mkdir(parents=True)
    (tmp_path / "inbox/bp_csv/x.csv").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert open_project().settings["timezone"] == "Asia/Tokyo"


def test_over_the_examples_only_sources_with_exports_are_named_as_folders_to_drop_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    told = said(open_project(), outcome("merge.daily_metrics"))
    folders = {line.strip().rstrip("/").rpartition("/")[2] for line in told.splitlines() if line.strip().endswith("/")}
    assert {"mi_fitness", "csv_url", "withings", "garmin"} <= folders
    assert not folders & {"demo_api", "toggl", "s3_events", "kinesis", "cdc"}
    assert "source add" in told
