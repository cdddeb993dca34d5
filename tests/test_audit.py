"""The audit log: lines are added and never lost, nobody else reads them, and a command shows them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from config import audit
from tests.cli_bench import Cli


def test_a_line_says_when_and_what_and_is_its_owners_alone(tmp_path: Path) -> None:
    audit.record(str(tmp_path / "data"), "erase", of="--all", records=3)
    (line,) = audit.lines(str(tmp_path / "data"))
    assert list(line) == ["at", "what", "of", "records"]
    assert line["at"].endswith("Z")
    assert (tmp_path / "data" / audit.NAME).stat().st_mode & 0o777 == 0o600


def test_lines_of_many_at_once_are_all_there_and_whole(tmp_path: Path) -> None:
    threads = [threading.Thread(target=audit.record, args=(str(tmp_path), "export"), kwargs={"files": n}) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["files"] for line in audit.lines(str(tmp_path))) == list(range(50))


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    audit.record(str(tmp_path), "backup")
    with (tmp_path / audit.NAME).open("a") as file:
        file.write('{"at": "2025')
    audit.record(str(tmp_path), "restore")
    assert [line["what"] for line in audit.lines(str(tmp_path))] == ["backup", "restore"]


def test_a_disk_that_refuses_and_a_link_stop_nobody(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    os.symlink(tmp_path / "elsewhere", tmp_path / audit.NAME)
    audit.record(str(tmp_path), "erase")
    assert (tmp_path / "elsewhere").read_text() == ""
    audit.record("/proc/nowhere", "erase")


def test_the_command_shows_the_newest_last(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    assert cli("audit").stdout == "Nothing is on record yet.\n"
    for number in range(5):
        audit.record(str(tmp_path), "export", files=number, sources=["bp_csv", "mi_fitness"])
    assert [line["files"] for line in cli.json("audit", "--last", "2")["lines"]] == [3, 4]
    assert cli("audit", "--last", "1").stdout.rstrip().endswith("export   files 4, sources bp_csv mi_fitness")
