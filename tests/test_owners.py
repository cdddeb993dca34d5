"""Several people in one source: only the person's own records become readings; the others' are kept, listed and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.mi_fitness.records import records
from processing.normalizers.mi_fitness import normalize
from tests.blood_pressure_bench import Made, run
from tests.mi_fitness_exports import FITNESS, fitness, table
from tests.stage_bench import StageBench

OMBLEPY = "datetime,dia,sys,bpm,mov,ihb\n2025-03-01 07:30:00,{},{},64,0,0\n"
T = 1_765_284_300


def band(folder: Path, rows: list[list[str]], own_users: dict[str, list[str]]) -> tuple[list[float], list[str], Any]:
    """(heart rates, reasons of refusal, report) of an export with these rows."""
    folder.mkdir()
    (folder / "a.csv").write_text(table(FITNESS, rows))
    settings = {"timezone": "UTC", "timezone_overrides": [], "own_users": own_users}
    bench = StageBench(folder / "bench")
    _, out = bench.run(records, {"raw": folder / "a.csv"}, settings)
    report, after = bench.run(normalize, {"records": out / "records"}, settings)
    reasons = [row["reason"] for row in pq.read_table(after / "rejected").to_pylist()]
    return [row["value"] for row in pq.read_table(after / "readings").to_pylist()], reasons, report


def beats(account: str, at: int, bpm: int) -> list[str]:
    row = fitness("heart_rate", at, {"bpm": bpm})
    return [account, *row[1:]]


def test_of_two_accounts_the_one_with_most_records_counts_and_a_person_is_told(tmp_path: Path) -> None:
    rows = [beats("222", T, 60), beats("111", T, 90), beats("222", T + 60, 61)]
    values, reasons, report = band(tmp_path / "one", rows, {})
    assert (values, reasons) == ([60, 61], ["other_user"])
    assert [(f["code"], f["count"]) for f in report["findings"]] == [("other_people", 1)]
    assert not any(account in str(report["findings"]) for account in ("111", "222"))


def test_the_order_of_arrival_does_not_decide_who_counts(tmp_path: Path) -> None:
    rows = [beats("222", T, 60), beats("111", T, 90)]
    assert band(tmp_path / "one", rows, {})[0] == band(tmp_path / "two", rows[::-1], {})[0] == [90]


def test_the_setting_says_which_account_is_mine_and_two_of_mine_are_put_together(tmp_path: Path) -> None:
    rows = [beats("222", T, 60), beats("111", T, 90), beats("333", T, 70), beats("222", T + 60, 61)]
    assert band(tmp_path / "one", rows, {"mi_fitness": ["111"]})[0] == [90]
    values, reasons, report = band(tmp_path / "two", rows, {"mi_fitness": ["111", "222"]})
    assert (sorted(values), reasons, report["findings"]) == ([60, 61, 90], ["other_user"], [])


def test_one_account_is_nobodys_question(tmp_path: Path) -> None:
    values, reasons, report = band(tmp_path / "one", [beats("222", T, 60)], {})
    assert (values, reasons, report["findings"]) == ([60], [], [])


@pytest.mark.parametrize(("own_users", "values"), [({}, [("128", "82", "64")]), ({"bp_csv": ["User 2"]}, [("118", "72", "64")])])
def test_of_a_cuff_with_two_users_the_first_is_me_unless_i_say_otherwise(
    tmp_path: Path, own_users: dict[str, Any], values: list[tuple[str, str, str]]
) -> None:
    files: dict[str, bytes | str] = {"user1.csv": OMBLEPY.format(82, 128), "user2.csv": OMBLEPY.format(72, 118)}
    made = run("bp_csv", tmp_path, files, {"own_users": own_users})
    assert (len(made.records), made.values, made.reasons) == (2, values, [("other_user", "user")])


def log(folder: Path, text: str, own_users: dict[str, list[str]]) -> Made:
    return run("google_sheets", folder, {"log.csv": text}, {"own_users": own_users})


FAMILY = (
    "Data,Godzina,Skurczowe,Rozkurczowe,Tętno,Kto\n"
    "2025-03-01,07:30,128,82,61,Anna\n2025-03-01,07:40,141,91,70,Jan\n2025-03-02,07:30,126,81,60,anna\n2025-03-03,07:30,125,80,59,\n"
)
SIDE_BY_SIDE = "Date,Time,Anna,,,Jan,,\n,,SYS,DIA,Pulse,SYS,DIA,Pulse\n2025-03-01,07:30,128,82,61,141,91,70\n"


def test_a_log_with_a_column_of_names_gives_readings_of_one_person_and_of_rows_without_a_name(tmp_path: Path) -> None:
    made = log(tmp_path / "guessed", FAMILY, {})
    assert [v[0] for v in made.values] == ["128", "126", "125"]
    assert made.reasons == [("other_user", "user")]
    assert [f["code"] for f in made.normalized["findings"]] == ["other_people"]
    assert [v[0] for v in log(tmp_path / "said", FAMILY, {"google_sheets": ["JAN"]}).values] == ["141", "125"]


def test_people_side_by_side_are_told_apart_once_i_say_who_i_am(tmp_path: Path) -> None:
    assert len(log(tmp_path / "unsaid", SIDE_BY_SIDE, {}).values) == 2
    made = log(tmp_path / "said", SIDE_BY_SIDE, {"google_sheets": ["Jan"]})
    assert ([v[0] for v in made.values], made.reasons) == (["141"], [("other_user", "user")])


def test_names_over_the_columns_that_are_not_people_exclude_nobody(tmp_path: Path) -> None:
    twice = SIDE_BY_SIDE.replace("Anna", "Rano").replace("Jan", "Wieczór")
    assert len(log(tmp_path / "slots", twice, {"google_sheets": ["Jan"]}).values) == 2
