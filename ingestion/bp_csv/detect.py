"""Which preset a file follows, decided by its header names alone, or the reason why that cannot be decided."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from config.errors import SourceRefused
from ingestion.blood_pressure_layout import is_blood_pressure, read_header, read_headers
from ingestion.bp_csv.preset import WHEN, Preset, generic, own, shipped
from ingestion.bp_csv.presets import GENERIC
from ingestion.dropped_text import DELIMITERS, read_lines
from ingestion.words import fold

SEARCH_LINES = 20
_HEAD = 1 << 16
_MMHG_FIELDS = ("systolic", "diastolic", "pressure")


class Choice(NamedTuple):
    """A preset that fits a file."""

    preset: Preset
    delimiter: str
    header: list[str]
    columns: dict[str, int]
    """Field → column."""

    @property
    def unit(self) -> str | None:
        """The preset's unit, else the one its value columns name."""
        named = {read_header(self.header[i]).unit for f, i in self.columns.items() if f in _MMHG_FIELDS} - {None}
        return self.preset.unit or (named.pop() if len(named) == 1 else None)


def choose_preset(data: bytes, presets: Mapping[str, Any]) -> Choice:
    """The one preset whose names the header has. `presets`: the setting `bp_csv_presets`.

    The person's own are tried first, then the shipped ones; the one that explains most columns wins. SourceRefused
    `preset_undecided` when several explain equally many or none any; `duplicate_headers` when two columns share a name.
    """
    for candidates in (own(presets), shipped(), [generic()]):
        found = [choice for preset in candidates for choice in _fits(data, preset)]
        if found:
            return _best(found)
    read_lines(data, ",")  # quotes that do not match are the better reason
    raise _undecided(data)


def matching(cells: Sequence[str], preset: Preset) -> dict[str, int] | None:
    """Field → column when this row is the preset's header; None when it is not."""
    if preset.name == GENERIC:
        return _by_words(cells)
    folded = [fold(cell) for cell in cells]
    if not preset.requires <= set(folded):
        return None
    columns: dict[str, int] = {}
    for field, names in preset.columns.items():
        places = [i for i, name in enumerate(folded) if name in names]
        if len(places) > 1:
            raise _duplicate(cells[places[1]])
        if places:
            columns[field] = places[0]
    whole = any(f in columns for f in WHEN) and ({"systolic", "diastolic"} <= columns.keys() or "pressure" in columns)
    return columns if whole else None


def _by_words(cells: Sequence[str]) -> dict[str, int] | None:
    found = read_headers(cells)
    fields = [c.field for c in found]
    if not is_blood_pressure(found) or "date" not in fields:
        return None
    columns: dict[str, int] = {}
    for index, field in enumerate(fields):
        if field is not None and columns.setdefault(field, index) != index and field != "note":
            raise _duplicate(cells[index])
    return columns


def _fits(data: bytes, preset: Preset) -> list[Choice]:
    found = []
    for delimiter in (preset.delimiter,) if preset.delimiter else DELIMITERS:
        for cells in _first_rows(data, delimiter, preset):
            columns = matching(cells, preset)
            if columns is not None:
                found.append(Choice(preset, delimiter, cells, columns))
                break
    return found


def _best(found: list[Choice]) -> Choice:
    def explained(choice: Choice) -> int:
        return len(choice.columns) + len(choice.preset.requires)

    best = max(found, key=explained)
    rivals = sorted({c.preset.name for c in found if explained(c) == explained(best)})
    if len(rivals) > 1:
        raise SourceRefused(
            f"The header fits the presets {' and '.join(rivals)} equally well.",
            "Give one of them a `requires` name that only its files have.",
            "preset_undecided",
        )
    names = [fold(cell) for cell in best.header if cell.strip()]
    repeated = next((cell for cell in best.header if cell.strip() and names.count(fold(cell)) > 1), None)
    if repeated is not None:
        raise _duplicate(repeated)
    return best


def _first_rows(data: bytes, delimiter: str, preset: Preset) -> list[list[str]]:
    """The first rows, leniently: only names are looked for here."""
    head = data[:_HEAD]
    encoding = (
        "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig" if head[:3] == b"\xef\xbb\xbf" else preset.encoding
    )
    lines = head.decode(encoding, "replace").splitlines()[:SEARCH_LINES]
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=preset.padded))
    except csv.Error:
        return []


def _undecided(data: bytes) -> SourceRefused:
    """Says which names were seen: those of the first row that has several and no digits, so that no value is repeated."""
    rows = [row for delimiter in DELIMITERS for row in _first_rows(data, delimiter, generic())]
    header = next((row for row in rows if len(row) > 1 and not any(c.isdigit() for cell in row for c in cell)), None)
    if header is None:
        what = "No row of the file names the columns of a blood pressure table."
    else:
        seen = ", ".join(repr(cell.strip()[:40]) for cell in header[:12])
        what = f"The header {seen} fits no preset: {_missing(header)}."
    return SourceRefused(what, "Describe the file by a preset of your own under bp_csv_presets.", "preset_undecided")


def _missing(header: list[str]) -> str:
    fields = {c.field for c in read_headers(header)}
    gaps = [f"no column is known to hold the {name}" for name in ("systolic", "diastolic", "date") if name not in fields]
    if "pressure" in fields:
        gaps = [gap for gap in gaps if gap.endswith("date")]
    return " and ".join(gaps) or "its columns contradict each other"


def _duplicate(name: str) -> SourceRefused:
    return SourceRefused(
        f"Two columns are named {name.strip()[:40]!r} or mean the same value.", "Export it with one of them.", "duplicate_headers"
    )
