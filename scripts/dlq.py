"""`dlq`: what could not become a record or a row, listed and shown. Nothing out of a file is printed unless `--raw` asks for it."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from config.errors import UsageError
from config.sources import SOURCES
from scripts.answer import Answer
from scripts.bronze.status import for_bronze
from scripts.looks import printable
from scripts.project import Project
from scripts.words import counted, when

if TYPE_CHECKING:
    from warehouse.bronze.letter_lookup import Letter

_NO_DATABASE = "There is no bronze database yet, so there are no dead letters in it: python main.py"


def answer(project: Project, options: Namespace) -> Answer:
    """What `dlq ACTION` says."""
    if options.action == "replay":
        from scripts.dlq_replay import replay

        return replay(project, options)
    return {"list": _list, "show": _show, "ignore": _ignore}[options.action](project, options)


def has_database(project: Project) -> bool:
    """Whether there is a database to ask; a configured one is."""
    from warehouse.bronze.embedded.server import exists

    return bool(project.settings["database"]) or exists(project.data_dir)


def as_json(letter: Letter) -> dict[str, Any]:
    """A letter as `--json` tells it."""
    return letter._asdict() | {"first_seen": letter.first_seen.isoformat()}


def place(position: str, file: str) -> str:
    """`line 4 of raw/bp_csv/bp.csv`; the file's name alone when all of it was refused."""
    return printable(file if position == "file" else f"{position} of {file}")


def known_source(name: str) -> None:
    """Raises UsageError for a source that is not there."""
    if name not in SOURCES:
        raise UsageError(f"There is no source named {name!r}.", f"Sources are: {', '.join(SOURCES)}.")


def _list(project: Project, options: Namespace) -> Answer:
    if options.source:
        known_source(options.source)
    if not has_database(project):
        return Answer({"letters": [], "reasons": {}}, _NO_DATABASE)
    from warehouse.bronze.letter_lookup import find

    state = "" if options.state == "all" else options.state
    found = find(for_bronze(project), options.source, state, options.reason)
    reasons = dict(sorted(Counter(letter.reason for letter in found).items()))
    data = {"letters": [as_json(letter) for letter in found], "reasons": reasons}
    if not found:
        return Answer(data, f"There are no {state} dead letters.".replace("  ", " "))
    lines = [f"{'id':>6}  {'source':<13} {'reason':<21} {'state':<9} {'tried':>5}  {'first seen':<25}  where"]
    lines += [_line(letter) for letter in found]
    lines += ["", f"{counted(len(found), 'dead letter')}: {', '.join(f'{reason} {n:,}' for reason, n in reasons.items())}"]
    return Answer(data, "\n".join(lines))


def _line(letter: Letter) -> str:
    what = f"{letter.id:>6}  {letter.source:<13} {letter.reason:<21} {letter.state:<9} {letter.attempts:>5}"
    return f"{what}  {when(letter.first_seen.timestamp()):<25}  {place(letter.position, letter.file)}"


def _show(project: Project, options: Namespace) -> Answer:
    from warehouse.bronze.letter_lookup import show

    row = show(for_bronze(project), options.id)
    raw: bytes | None = row.pop("raw_bytes")
    data = {name: f"{value.isoformat()}Z" if isinstance(value, datetime) else value for name, value in row.items()}
    if options.raw and raw is not None:
        data["raw"] = {"text": raw.decode()} if _is_text(raw) else {"hex": raw.hex()}
    lines = [f"Dead letter {options.id} is {row['status']}."]
    lines += [f"  {name:<12}{printable(told)}" for name, told in (_told(row) | {"bytes": _size(row, raw)}).items() if told]
    return Answer(data, "\n".join([*lines, *(_shown(raw) if options.raw and raw else [])]))


def _told(row: Mapping[str, Any]) -> dict[str, str]:
    source, tried = row["source"], row.get("tried_at")
    resolved, by = row["resolved_at"], row["resolved_by"] if row["status"] == "ignored" else f"run {row['resolved_by']}"
    return {
        "source": source,
        "reason": f"{row['error_class']}: {row['error_message']}",
        "where": place(row["position"], row["file_path"]),
        "file": f"sha256 {row['file_hash']}, item {row['record_index']} of it",
        "refused by": f"ingestion.{source}.records" if row["stage"] == "ingestion" else f"bronze.{source}",
        "data": row["environment"],
        "first seen": f"{_moment(row['first_seen'])} by run {row['pipeline_run_id']}",
        "tried": counted(row["attempts"], "time") + (f", last {_moment(tried)} by run {row['tried_by']}" if tried else ""),
        row["status"]: f"{_moment(resolved)} by {by}: {row['resolution']}" if resolved else "",
    }


def _moment(utc: datetime) -> str:
    return when(utc.replace(tzinfo=UTC).timestamp())


def _size(row: Mapping[str, Any], raw: bytes | None) -> str:
    if raw is None:
        return f"{row['raw_size']:,}: too many to be kept here; the file has them"
    return f"{len(raw):,}, sha256 {row['raw_sha256']}" if raw else "none of its own: all of it was refused"


def _shown(raw: bytes) -> list[str]:
    """The bytes as text when they are one, else as a hex dump."""
    if _is_text(raw):
        return ["", raw.decode().rstrip("\r\n")]
    rows = [raw[at : at + 16] for at in range(0, len(raw), 16)]
    return ["", *(f"{number * 16:08x}  {row.hex(' '):<47}  {_ascii(row)}" for number, row in enumerate(rows))]


def _is_text(raw: bytes) -> bool:
    """UTF-8 in which nothing moves a terminal's cursor back."""
    try:
        return all(c.isprintable() or c in "\t\n" for c in raw.decode().replace("\r\n", "\n"))
    except UnicodeDecodeError:
        return False


def _ascii(row: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)


def _ignore(project: Project, options: Namespace) -> Answer:
    from warehouse.bronze.letter_lookup import ignore

    ignore(for_bronze(project), options.id, options.reason)
    return Answer({"id": options.id, "state": "ignored"}, f"Dead letter {options.id} is ignored: no replay tries it.")
