"""Calling what a node names: its functions are found by reference, and whatever they raise becomes one sentence."""

from __future__ import annotations

import importlib
import operator
import os

from config.errors import PDPError, StageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def load(ref: str) -> Callable[..., Any]:
    """The function a `"module:function"` or `"module:Class.method"` reference names. Raises StageError when there is none."""
    module, _, name = ref.partition(":")
    try:
        found = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise StageError(f"{ref!r} cannot be loaded: {error}.", "Install what it needs, or mend the node's reference.") from error
    return found  # type: ignore[no-any-return]


def ask(ref: str, *arguments: Any) -> Any:
    """Call a node's fingerprint or sink function. Whatever foreign it raises becomes a StageError without its text."""
    function = load(ref)
    try:
        return function(*arguments)
    except (PDPError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise StageError(sentence(error)) from error


def sentence(error: BaseException) -> str:
    """An error as a person reads it. A foreign exception gives its type and place only: its text may hold values."""
    if isinstance(error, PDPError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The disk or network refused: {error.strerror}{_folder(error)}. Mend that, then run again."
    if isinstance(error, MemoryError):
        return "The node ran out of memory. Give it more, or feed it less at once."
    return f"{type(error).__name__} in {_place(error)}. Run again with --debug to see where."


def _folder(error: OSError) -> str:
    """The folder a file error is about; the file's own name is a person's, and not told."""
    return f" (in {os.path.basename(os.path.dirname(error.filename)) or '.'})" if isinstance(error.filename, str) else ""


def _place(error: BaseException) -> str:
    frame, place = error.__traceback__, "an unknown place"
    while frame is not None:
        code = frame.tb_frame.f_code
        if "site-packages" not in code.co_filename and not code.co_filename.startswith("<"):
            place = f"{os.path.basename(code.co_filename)}:{frame.tb_lineno}"
        frame = frame.tb_next
    return place
