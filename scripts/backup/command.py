"""`backup` and `restore`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from config import audit
from pipeline.signals import interruptible
from scripts.answer import Answer
from scripts.backup.locked import Lock, lock_of
from scripts.project import ROOT, Project, open_project
from scripts.words import counted, sized, when


def backup(project: Project, options: Namespace) -> Answer:
    """Save all there is to one encrypted file."""
    from scripts.backup.save import save

    key = lock_of(project.settings["state_key"], options.passphrase_file)
    with interruptible():
        saved = save(project, options.file, key, replace=options.force)
    audit.record(project.data_dir, "backup", versions=saved.versions, files=saved.files, bronze_rows=saved.bronze_rows)
    data = {
        "file": options.file,
        "bytes": saved.size,
        "versions": saved.versions,
        "files": saved.files,
        "bronze_rows": saved.bronze_rows,
    }
    lines = [
        f"Saved to {options.file}: {sized(saved.size)}, {counted(saved.versions, 'version')}, {counted(saved.files, 'file')} beside them, "
        + (
            f"{counted(saved.bronze_rows, 'row')} of bronze."
            if saved.bronze_rows is not None
            else "no bronze: back up your own server."
        ),
        f"It opens with {_opened_by(key)} only: keep that somewhere else. To bring it back: python main.py restore {options.file}",
    ]
    return Answer(data, "\n".join(lines))


def restore(options: Namespace) -> Answer:
    """Bring a backup back, and say whether everything is as it was committed. Works whatever state the data directory is in."""
    from config.snapshot import node_settings
    from scripts.backup.bring import bring
    from scripts.inspect import verify

    override = os.environ.get("PDP_SETTINGS")
    settings = node_settings(ROOT, [os.path.abspath(override) if override else os.path.join(ROOT, "config", "settings.yaml")])
    key = lock_of(settings["state_key"], options.passphrase_file)
    print("Restoring; nothing is replaced before all of it is there and proven.", file=sys.stderr)
    with interruptible():
        brought = bring(settings, options.file, key, ROOT, replace=options.force)
        checked = verify(open_project(), options)
    audit.record(
        str(settings["data_dir"]), "restore", versions=brought.versions, bronze_rows=brought.bronze_rows, ok=checked.data["ok"]
    )
    lines = [
        f"Restored as of {when(brought.made_at)}: {counted(brought.versions, 'version')}"
        + (f", {counted(brought.bronze_rows, 'row')} of bronze." if brought.bronze_rows is not None else ", no bronze in it.")
    ]
    if brought.bronze_kept:
        lines.append("The configured database holds bronze tables already and was left as it is.")
    if brought.settings:
        lines.append("Its settings differ from those here; they lie in the data directory as settings.restored.yaml.")
    if brought.aside:
        lines.append(f"What was there is in {brought.aside} of the data directory; remove it when you are content.")
    lines += [checked.text, "What is newer than the backup: python main.py brings it in again."]
    return Answer({"file": options.file, **brought._asdict(), **checked.data}, "\n".join(lines), checked.exit_code)


def _opened_by(key: Lock) -> str:
    return "its passphrase" if key.passphrase else "STATE_KEY"
