"""What may differ between the records in force, the ledger and the rows: every kind has a code, a sentence and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

UNDATED = date(1, 1, 1)
"""Stands for the partition of rows without a time."""

_REPAIR = "python main.py bronze reconcile {source} --repair"
_BACKUP = "It is left alone: compare it with a backup (bronze restore)."
_LOAD = "Load it: python main.py, or {repair}"
_KINDS = {
    "table_missing": ("row", "the table is missing.", "Load it again: python main.py"),
    "records_gone": ("file", "the bytes of the records in force are gone.", "Have them made again: python main.py"),
    "records_not_loaded": ("record", "the ledger does not know the records in force ({n}).", _LOAD),
    "records_miscounted": ("record", "the ledger's count of the records in force is off by {n}.", _BACKUP),
    "records_missing": (
        "record",
        "the records in force hold {n}{where} that the table does not.",
        "Load what is missing: {repair}",
    ),
    "letters_missing": ("dead letter", "the records in force come with {n} that the database does not hold.", "{repair}"),
    "letters_lost": (
        "dead letter",
        "the ledger knows {n} that the database no longer holds.",
        "{repair} brings back those that come with the records in force; the others are only in a backup.",
    ),
    "letters_unknown": ("dead letter", "the database holds {n} that the ledger does not know.", _BACKUP),
    "rows_lost": (
        "row",
        "the ledger knows {n}{where} that the table no longer holds.",
        "{repair} brings back those the records in force hold; the others are only in a backup.",
    ),
    "rows_unknown": ("row", "the table holds {n}{where} that the ledger does not know.", _BACKUP),
    "rows_exchanged": ("row", "the checksum of the {n}{where} is not the ledger's.", _BACKUP),
    "rows_altered": ("row", "the content of {n}{where} does not match its hash.", _BACKUP),
    "rows_repeated": ("row", "the table holds {n}{where} whose record and content it has already.", _BACKUP),
    "rows_undated": ("row", "the records in force know the time of {n} that the table holds undated.", "{repair}"),
    "versions_missing": ("record", "the versions of {n} have gaps.", _BACKUP),
    "versions_repeated": ("record", "the versions of {n} repeat, or begin below 1.", _BACKUP),
    "revisions_missing": ("version", "the list of revisions lacks {n}.", "{repair}"),
    "revisions_stale": ("version", "the list of revisions has {n} that no row has.", _BACKUP),
    "known_missing": ("row", "the list of known records lacks {n}.", "{repair}"),
    "known_stale": (
        "record",
        "the list of known records has {n} without a row; a load would pass over what returns.",
        "{repair}",
    ),
    "load_unbalanced": ("load", "the months of {n} do not add up to the rows the ledger says.", _BACKUP),
    "load_unlisted": ("load", "the ledger has months of {n} that it does not list.", _BACKUP),
    "partition_missing": (
        "row",
        "the partition{where} is gone, and with it {n} that the ledger knows.",
        "{repair} brings back those the records in force hold; the others are only in a backup.",
    ),
    "partition_detached": ("table", "it is named like a partition and is not attached.", "Attach it, or drop it: bronze psql"),
    "retired_back": ("row", "{n}{where} are there although the month was retired.", "Retire it again: bronze retain"),
    "scratch_left": ("table", "it is left over from a load that was killed.", "The next load of the source removes it."),
}
"""Code → what is counted, the sentence, the mend."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be. It carries no value and no raw id."""

    code: str
    source: str
    table: str
    count: int
    month: date | None = None
    """`UNDATED` for rows without a time; None where no month is concerned."""

    @property
    def what(self) -> str:
        """What is wrong."""
        noun, sentence, _ = _KINDS[self.code]
        number = f"{self.count:,} {noun}{'' if self.count == 1 else 's'}"
        return f"{self.table}: {sentence.format(n=number, where=self._where())}"

    @property
    def mend(self) -> str:
        """What mends it."""
        return _KINDS[self.code][2].format(repair=_REPAIR.format(source=self.source))

    def told(self) -> dict[str, Any]:
        """As JSON says it."""
        shown = None if self.month is None else "undated" if self.month == UNDATED else f"{self.month:%Y-%m}"
        return {
            "code": self.code,
            "source": self.source,
            "table": self.table,
            "month": shown,
            "count": self.count,
            "what": self.what,
            "mend": self.mend,
        }

    def _where(self) -> str:
        if self.month is None:
            return ""
        return " without a time" if self.month == UNDATED else f" of {self.month:%Y-%m}"
