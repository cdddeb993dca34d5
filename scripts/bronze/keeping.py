"""`bronze backup`, `bronze restore`, `bronze upgrade`: the database saved, brought back, brought to a newer PostgreSQL."""

from __future__ import annotations

import sys
from argparse import Namespace

from config.errors import UsageError
from scripts.answer import Answer
from scripts.bronze.status import for_bronze
from scripts.project import Project
from scripts.words import counted, sized


def backup(project: Project, options: Namespace) -> Answer:
    """Save the database to a file."""
    from warehouse.bronze.saving.backup import backup as save

    _say("Saving the bronze database; loads may go on meanwhile.")
    saved = save(for_bronze(project), options.file, replace=options.force)
    data = {
        "file": options.file,
        "bytes": saved.size,
        "tables": [{"table": table, "rows": rows} for table, rows in saved.tables.items()],
        "rows": saved.rows,
        "dead_letters": saved.dead_letters,
        "loads": saved.loads,
    }
    held = f"{counted(len(saved.tables), 'table')}, {counted(saved.rows, 'row')}, {counted(saved.dead_letters, 'dead letter')}"
    lines = [
        f"Saved to {options.file}: {sized(saved.size)}, {held}.",
        "It holds your raw records and is readable by you alone; keep it that way.",
        f"To bring it back: python main.py bronze restore {options.file}",
    ]
    return Answer(data, "\n".join(lines))


def restore(project: Project, options: Namespace) -> Answer:
    """Bring a saved database back, and say whether it agrees with its own ledger."""
    from warehouse.bronze.checking.status import status, verify
    from warehouse.bronze.saving.restore import restore as bring

    settings = for_bronze(project)
    _say("Restoring the bronze database; nothing is replaced before all of it is there.")
    made = bring(settings, options.file, replace=options.force)
    problems = verify(settings, {})
    found = status(settings)
    data = {
        "file": options.file,
        **{key: found[key] for key in ("tables", "rows", "dead_letters", "loads")},
        "problems": problems,
    }
    held = f"{counted(len(found['tables']), 'table')}, {counted(found['rows'], 'row')}, {counted(found['dead_letters'], 'dead letter')}"
    lines = [f"Restored: {held}."]
    lines += problems or ["Every row agrees with the ledger."]
    if not made.roles.complete:
        lines.append(
            "Roles and grants are not part of a backup, and this login may not make them: python main.py bronze init tells how."
        )
    lines.append("What is newer than the backup: python main.py loads it.")
    return Answer(data, "\n".join(lines), 1 if problems else 0)


def upgrade(project: Project, options: Namespace) -> Answer:
    """Bring the embedded database to the installed major version; or remove what an earlier upgrade has kept."""
    from warehouse.bronze.embedded import upgrade as work

    if project.settings["database"]:
        raise UsageError("Only the embedded database is upgraded here.", "Upgrade your own server by its own means.")
    if options.drop_old:
        gone, size = work.drop_old(project.data_dir)
        text = f"Removed {', '.join(gone)}, {sized(size)}." if gone else "Nothing to remove: no earlier version's data is kept."
        return Answer({"removed": gone, "bytes": size}, text)
    done = work.upgrade(project.data_dir, options.old_bin, _say)
    if done is None:
        return Answer({"from": None, "to": None, "rows": None}, "Nothing to upgrade: the data is of the installed version.")
    data = {"from": done.old, "to": done.new, "kept": done.kept, "rows": done.rows}
    what = (
        "An upgrade that was interrupted is finished"
        if done.rows is None
        else f"Upgraded, {counted(done.rows, 'row')} in all tables"
    )
    lines = [
        f"{what}: from PostgreSQL {done.old} to {done.new}.",
        f"The old data is kept in {done.kept}; once you are content: python main.py bronze upgrade --drop-old",
    ]
    return Answer(data, "\n".join(lines))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
