"""Whatever a stranger puts into an export of any of the ten sources is refused or left with a reason, and the good file beside it is read
as if it lay there alone. Bombs, links and names within archives: also tests/test_archives.py; JSON of 200 MB: tests/test_json_stream.py;
XML: tests/test_apple_health.py; SQLite: tests/test_sqlite_export.py; FIT: tests/test_garmin_fit.py."""

from __future__ import annotations

import io
import os
import stat
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from config.stage import File
from ingestion import csv_text
from ingestion.csv_text import rows
from ingestion.records import DeadLetter
from pipeline.listing import below
from tests.fit_files import file_id, fit, message
from tests.stage_bench import StageBench, as_file
from tests.vendor_bench import SETTINGS
from tests.vendor_exports import SOURCES, Export, export

GIVEN = {**SETTINGS, "zepp_life_password": ""}
Files = Mapping[str, bytes]


class Taken(NamedTuple):
    """What the records step made of some files."""

    good: list[tuple[str, str]]
    """(raw id, raw) of the good file's records."""
    others: dict[str, int]
    """Records of each other file that gave any."""
    all: set[tuple[str, str]]
    """(raw id, raw) of every record."""
    refused: dict[str, set[str]]
    """File → reasons of its dead letters."""
    fates: Counter[str]
    """Of all that came in."""
    said: str
    """All that was written and reported."""


class Bench:
    """The records step of one source."""

    def __init__(self, source: str, folder: Path) -> None:
        self._records = import_module(f"ingestion.{source}.records").records
        self._bench, self._folder, self._made = StageBench(folder), folder, 0
        self.good = export(source)
        self.alone = self.take({})

    def take(self, hostile: Files) -> Taken:
        """Hostile files beside the good one, all in one run."""
        files = [self._file(name, data) for name, data in {**hostile, self.good.name: self.good.data}.items()]
        report, out = self._bench.run(self._records, {"raw": files}, GIVEN)
        found, letters = (pq.read_table(out / role).to_pylist() for role in ("records", "dead_letters"))
        good, others, refused = [], Counter[str](), dict[str, set[str]]()
        for record in found:
            if (name := record["raw_artifact"].removeprefix("raw/")) == self.good.name:
                good.append((record["raw_id"], record["raw"]))
            else:
                others[name] += 1
        for letter in letters:
            refused.setdefault(letter["raw_artifact"].removeprefix("raw/"), set()).add(letter["reason"])
        fates = Counter(report["balance"]["fates"])
        return Taken(good, dict(others), {(r["raw_id"], r["raw"]) for r in found}, refused, fates, f"{found}{letters}{report}")

    def _file(self, name: str, data: bytes) -> File:
        self._made += 1
        path = self._folder / f"file{self._made}"
        path.write_bytes(data)
        return as_file(path, f"raw/{name}")


@pytest.fixture(params=SOURCES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    found = Bench(request.param, tmp_path)
    assert found.alone.good
    return found


def packed(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return sink.getvalue()


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def wrong_checksum(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 16
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


ZEROS = bytes(3 << 20)


def attacks(good: Export) -> dict[str, tuple[str, bytes]]:
    """Name of an archive that holds the good file and something else → why it is refused whole, and the archive."""
    mine = good.name, good.data
    found = {
        "upwards.zip": ("bad_member_name", packed(mine, ("../../evil.csv", b"x"))),
        "absolute.zip": ("bad_member_name", packed(mine, ("/etc/evil", b"x"))),
        "drive.zip": ("bad_member_name", packed(mine, ("C:/evil", b"x"))),
        "link.zip": ("special_member", packed(mine, (link("export.csv"), b"/etc/passwd"))),
        "bomb.zip": ("bomb", packed(mine, ("zeros.csv", ZEROS))),
        "bomb within.zip": ("bomb", packed(mine, ("inner.zip", packed(("zeros.csv", ZEROS))))),
        "three levels.zip": ("nested_too_deep", packed(("a.zip", packed(("b.zip", packed(mine)))))),
        "one name twice.zip": ("duplicate_member", packed(mine, (good.name.upper(), b"x"))),
        "checksum.zip": ("bad_member", wrong_checksum(packed(mine))),
    }
    return found | {f"cut at {share}.zip": ("bad_zip", cut(packed(mine), share)) for share in (0.25, 0.5, 0.9, 0.999)}


def test_an_archive_that_cannot_be_trusted_gives_nothing(bench: Bench) -> None:
    told = attacks(bench.good)
    taken = bench.take({name: data for name, (_, data) in told.items()})
    assert (taken.good, taken.others) == (bench.alone.good, {})
    assert taken.refused == {name: {reason} for name, (reason, _) in told.items()}


BOMB = b"<!DOCTYPE r [<!ENTITY a '" + b"lol" * 50 + b"'>"
BOMB += b"".join(b"<!ENTITY %c '%s'>" % (n, b"&%c;" % (n - 1) * 10) for n in range(ord("b"), ord("k")))
ELSE = {
    "a web page": b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Your session has ended.</body></html>\n",
    "a picture": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8,
    "a document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type /Catalog>>\nendobj\n" * 20,
    "an entity bomb": b'<?xml version="1.0"?>\n' + BOMB + b"]>\n<r>&j;</r>\n",
    "another database": b"SQLite format 3\0" + bytes(4096),
    "nothing": b"",
    "noughts": bytes(5000),
}


def test_a_file_that_is_something_else_is_left_with_a_reason_loose_or_in_an_archive(bench: Bench) -> None:
    folder, _, name = bench.good.name.rpartition("/")
    hostile = {f"{folder or 'x'}/{number}/{name}": data for number, data in enumerate(ELSE.values())}
    hostile |= {f"{number}.zip": packed((f"{number}/{name}", data)) for number, data in enumerate(ELSE.values())}
    taken = bench.take(hostile)
    assert (taken.good, taken.others) == (bench.alone.good, {})
    left = Counter({fate: n for fate, n in (taken.fates - bench.alone.fates).items() if fate.startswith("unused:")})
    assert left.total() >= len(hostile.keys() - taken.refused.keys())
    assert left["unused:empty_file"] >= 2


def test_an_entity_never_reads_a_file_of_this_machine(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("nobody-may-see-this")
    text = f'<?xml version="1.0"?>\n<!DOCTYPE HealthData [<!ENTITY x SYSTEM "file://{secret}">]>\n<HealthData><Record type="&x;"'
    text += ' startDate="2025-03-01 12:00:00 +0100" endDate="2025-03-01 12:00:00 +0100" value="&x;">&x;</Record></HealthData>\n'
    taken = bench.take({"export.xml": text.encode(), bench.good.name + ".xml": text.encode()})
    assert taken.good == bench.alone.good
    assert "nobody-may" not in taken.said


def test_a_file_cut_anywhere_gives_what_is_whole_in_it_and_says_so(bench: Bench) -> None:
    good = bench.good
    hostile = {f"{share}/{good.name}": cut(good.data, share) for share in (0.1, 0.5, 0.8, 0.97)}
    hostile |= {f"{share}.zip": packed((good.name, cut(good.data, share))) for share in (0.3, 0.5, 0.97)}
    taken = bench.take(hostile)
    assert taken.all >= set(bench.alone.good)
    assert set().union(*taken.refused.values()) <= CUT[good.kind]
    if good.kind != "csv":  # a table may end anywhere
        assert taken.refused.keys() == hostile.keys()


CUT = {
    "csv": {"short_row", "missing_column", "no_header", "unknown_table", "ragged", "broken_quotes"},
    "json": {"json_truncated"},
    "sqlite": {"damaged_database"},
    "xml": {"truncated", "unknown_format"},
}


def test_a_text_of_more_than_a_megabyte_costs_its_row_at_most(bench: Bench, request: pytest.FixtureRequest) -> None:
    huge = export(request.node.callspec.params["bench"], "x" * (3 << 19))
    taken = bench.take({f"huge/{huge.name}": huge.data})
    assert taken.all >= set(bench.alone.good) or taken.others
    assert taken.refused == ({f"huge/{huge.name}": {"field_too_big"}} if huge.kind == "csv" else {})


def test_a_good_file_under_another_name_is_read_or_named(bench: Bench) -> None:
    names = ("scan.jpg", "export.bin", "noname", "x.txt", "x.csv")
    folder = bench.good.name.rpartition("/")[0]
    taken = bench.take({f"{folder}/{name}": bench.good.data for name in names})
    assert (taken.all, taken.refused) == (set(bench.alone.good), {})
    read = 1 + len(names) - taken.fates["unused:file_not_read"]
    assert taken.fates["accepted"] + taken.fates["duplicate"] == read * len(bench.alone.good)


def test_folders_named_like_files_are_folders_and_links_lead_nowhere(bench: Bench, tmp_path: Path) -> None:
    inbox, outside = tmp_path / "data/inbox/x", tmp_path / "outside"
    for folder in (inbox / "export.zip", inbox / "empty.csv", outside):
        folder.mkdir(parents=True)
    (inbox / "export.zip/good").write_bytes(bench.good.data)
    (outside / "secret.csv").write_text("a,b\n")
    (inbox / "outside").symlink_to(outside)
    (inbox / "gone.csv").symlink_to(tmp_path / "gone")
    (inbox / "circle").symlink_to(inbox)
    os.mkfifo(inbox / "pipe.csv")
    assert [name for name, _ in below(str(tmp_path / "data"), "inbox/x/**")] == ["inbox/x/export.zip/good"]
    taken = bench.take({f"export.zip/{bench.good.name}": bench.good.data})
    assert taken.all == set(bench.alone.good)


def test_a_damaged_fit_file_costs_nothing_but_itself(tmp_path: Path) -> None:
    watch = fit(file_id(), *(message(20, (253, "I", 1_110_000_000 + n), (3, "B", 60)) for n in range(20)))
    bench = Bench("garmin", tmp_path)
    hostile = {f"{share}.fit": cut(watch, share) for share in (0.02, 0.3, 0.6, 0.99)}
    hostile["flipped.zip"] = packed(("a.fit", watch[:-3] + bytes([watch[-3] ^ 1]) + watch[-2:]), ("b.fit", watch))
    taken = bench.take(hostile)
    assert taken.refused == {name: {"damaged_fit"} for name in hostile}
    assert (taken.good, taken.others) == (bench.alone.good, {"flipped.zip": 20})


# ── a row of a CSV without an end ───────────────────────────────────────────


@pytest.mark.parametrize(
    "row",
    [
        b"1," + b"x" * 400_000,
        b'1,"' + b"x" * 400_000 + b'"',
        b'1,"' + b'""' * 200_000 + b'"',
        b'1,"' + b"xy\n" * 20_000 + b'",z',
    ],
    ids=["a line", "in quotes", "quotes", "many lines"],
)
def test_a_row_is_never_held_whole_and_the_rows_after_it_are_read(monkeypatch: pytest.MonkeyPatch, row: bytes) -> None:
    monkeypatch.setattr(csv_text, "MAX_ROW", 10_000)
    file = io.BytesIO(b"a,b\n" + row + b"\n2,3\n")
    tracemalloc.start()
    try:
        found = list(rows(file))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(r.reason, r.position) if isinstance(r, DeadLetter) else r.cells for r in found] == [
        ["a", "b"],
        ("too_big", "line 2"),
        ["2", "3"],
    ]
    assert peak < 300_000


@pytest.mark.parametrize("begin", [0, 9_990, 9_999, 10_000, 10_001, 20_000])
def test_wherever_a_row_is_cut_the_next_one_stands_apart(monkeypatch: pytest.MonkeyPatch, begin: int) -> None:
    monkeypatch.setattr(csv_text, "MAX_ROW", 10_000)
    for text in ('"', 'a""b', 'a""b"'):
        quoted = f'1,"{"x" * begin}{text if text.count(chr(34)) % 2 == 0 else text + chr(34)}","y\n{"z" * 12_000}"'
        found = list(rows(io.BytesIO(f"a,b,c\n{quoted}\n2,3,4\n".encode())))
        assert isinstance(found[1], DeadLetter)
        assert [r.cells for r in found if not isinstance(r, DeadLetter)] == [["a", "b", "c"], ["2", "3", "4"]]
