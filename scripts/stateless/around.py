"""Pull → work → push: the remote state before and after a run, also a failed one; merged by the push means once more."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.errors import BusyError, PDPError, SettingsError, UsageError
from pipeline.signals import interruptible
from scripts.diary import tell
from scripts.project import Project, open_project
from scripts.stateless.folder import private_folder

Work = Callable[[Project], int]
"""What is done between pull and push, over the project as it was pulled; gives an exit code."""


def synced(project: Project, work: Work) -> int:
    """Pull into this data directory, work, push; gives the work's exit code, or raises what kept the state from travelling.

    Whatever ends the work, what it has committed is pushed; only a data directory that another run holds is left to that one.
    """
    with interruptible():
        _pull(project)
        pulled = open_project()
        if pulled.examples:
            raise UsageError(
                "There is nothing to run over the remote state: no source has anything to read, and examples do not belong there.",
                "Connect a source or fill the inbox: docs/sources.md",
            )
        try:
            code = work(pulled)
        except BusyError:
            raise
        except BaseException:
            _pushed_or_told()
            raise
        if code:
            _pushed_or_told()
        elif _push():
            code = work(open_project())  # what others have brought; cheap, since little has changed
            _push()
        return code


def stateless(project: Project, work: Work) -> int:
    """The same in a folder of its own that is removed afterwards. Files in the inbox are read where they lie."""
    with fresh_data(project):
        return synced(open_project(), work)


@contextmanager
def fresh_data(project: Project) -> Iterator[str]:
    """A new data directory, which DATA_DIR names inside the block, for child processes too. SettingsError without a remote state."""
    settings = project.settings.whole()
    if not settings.state_url and not settings.google_drive_state_folder_id:
        raise SettingsError("There is no remote state to work over.", "Set STATE_URL; see docs/state.md.")
    inbox = os.path.join(project.data_dir, "inbox")
    with private_folder(settings.stateless_dir or "") as folder, _temporary_files_in(os.path.join(folder, "tmp")):
        data_dir = os.path.join(folder, "data")
        os.mkdir(data_dir, 0o700)
        if os.path.isdir(inbox):
            os.symlink(inbox, os.path.join(data_dir, "inbox"))
        before = os.environ.get("DATA_DIR")
        os.environ["DATA_DIR"] = data_dir
        try:
            yield data_dir
        finally:
            _restored("DATA_DIR", before)
            _server_gone(data_dir)


def _pull(project: Project) -> None:
    from scripts.state.sync import pull

    done = pull(project)
    tell("state_pulled", generation=done.generation, merged=done.merged, bytes_up=done.up, bytes_down=done.down)


def _push() -> bool:
    """Push what is there now; True when others had pushed meanwhile and it was merged."""
    from scripts.state.sync import push

    done = push(open_project())
    tell("state_pushed", generation=done.generation, merged=done.merged, bytes_up=done.up, bytes_down=done.down)
    return done.merged


def _pushed_or_told() -> None:
    """The failure that came before is what the program ends with."""
    try:
        _push()
    except PDPError as error:
        tell("state_not_pushed", error=str(error))


def _server_gone(data_dir: str) -> None:
    """No embedded server may go on in a folder that goes away."""
    from warehouse.bronze.embedded.server import release, stop_if_unused

    release(data_dir)
    stop_if_unused(data_dir)


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """What libraries put aside for a moment stays in the folder, too."""
    os.mkdir(folder, 0o700)
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    try:
        yield
    finally:
        _restored("TMPDIR", before)
        tempfile.tempdir = None


def _restored(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
