"""Every command README and docs tell people to type is typed: in order, document by document, over a season of somebody's data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import options
from tests import every_vendor
from tests.docs_bench import DOCS, Line, Place, lines, words
from tests.monitoring_bench import HttpFake, running
from tests.test_dlq import CUFF

ELSEWHERE = {
    r"serve (api|dashboard)": "tests/test_api_serving.py",
    r"password": "tests/test_dashboard_access.py",
    r"--executor dask": "tests/test_executors.py",
    r"bronze upgrade": "tests/test_bronze_upgrade.py",
    r"bronze init --sql": "tests/test_bronze_roles.py",
    r"my_scale|trace 2025-03-01 weight": "tests/test_docs_extend.py",
    r"cdc (create|status|drop)": "tests/test_cdc.py",
    r"events (run-lambda|count|send --to (http|kinesis))": "tests/test_events_docs.py",
    r".*(\bheart\b|max_hr|avg_hr)": "tests/test_connectors.py",
    r"--schedule (?!.*--dry-run)": "tests/test_schedule.py",
}
"""What starts something that stays, asks at a terminal or needs a machine of its own, and the tests that prove it."""
NO = {"bronze restore bronze.dump": 2, "restore pdp.backup": 2}
"""What rightly says no where there is data already, and its exit code."""
FIRST = {"diff": [("--until-stage merge", {"TIMEZONE": "UTC"}), ("--until-stage merge", {})]}
"""What a document says has to be there before."""
READS = (
    "trace|explain|plan|status|lineage|graph|runs|history|report|query|verify|source|dlq list|alerts|doctor|audit|help|state show"
    "|bronze reconcile|gold --from-bronze|export"
)
"""What changes nothing, or makes a file of its own, is typed once, however many documents name it in the same words."""
INBOX = {"dead_letters": {f"bp_csv/cuff{n}.csv": CUFF + b"\n" * n for n in range(3)}}
"""What a document is about, where that is not in the season."""
MORE = {"connect": every_vendor.drop}
"""What a document is about beside the season."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running(HttpFake()) as fake:
        yield fake.url


@pytest.fixture(scope="module")
def typed() -> set[str]:
    return set()


@pytest.mark.parametrize("path", DOCS, ids=lambda p: p.stem)
def test_every_command_of_a_document_is_one_the_program_knows(path: Path) -> None:
    assert [line.text for line in lines(path) if not known(line)] == []


def known(line: Line) -> bool:
    """A sentence may also name a command, or one of its actions, without what it needs."""
    if not line.block and re.fullmatch(rf"({'|'.join(options.COMMANDS)})( [a-z]+)?( …)?", line.command):
        return True
    try:
        options.parse(words(line.command))
    except SystemExit as said:
        return said.code == 0  # --help
    return True


@pytest.mark.parametrize("path", [p for p in DOCS if any(line.block for line in lines(p))], ids=lambda p: p.stem)
def test_every_command_of_a_block_does_what_it_says(path: Path, tmp_path: Path, server: str, typed: set[str]) -> None:
    place, wrong = Place(tmp_path, server, INBOX.get(path.stem), MORE.get(path.stem)), []
    for line in lines(path):
        if line.block and line.command not in typed and not any(re.match(pattern, line.command) for pattern in ELSEWHERE):
            for command, env in FIRST.get(line.command.split(" ")[0], []):
                place.type(command, **env)
            done = place.type(line.command, **line.env)
            if done.returncode != NO.get(line.command, 0) or "Traceback" in done.stderr:
                wrong.append(f"{line.text}\n{done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}")
            elif re.match(READS, line.command):
                typed.add(line.command)
    assert not wrong, "\n\n".join(wrong)
