"""Errors in the log: their kind and where they were raised, never their text, which can hold what was measured."""

from __future__ import annotations

import logging
import os
import traceback

_SPEAKING = ("streamlit.error_util", "streamlit.runtime.backend_operation_handler", "uvicorn.error", "asyncio")
"""Loggers around us that write whole tracebacks."""
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def place(error: BaseException) -> str:
    """`KeyError at shell.py:40 < show.py:12`: the innermost places in our own code, without a value."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(_ROOT) and "site-packages" not in f.filename] or frames
    return f"{type(error).__name__} at " + " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in own[:-4:-1])


def keep_logs_quiet() -> None:
    """From here on the server's logs hold places instead of tracebacks, no warning that quotes what a chart says, no session's id."""
    for name in _SPEAKING:
        logging.getLogger(name).addFilter(_place_only)
    logging.getLogger("streamlit.elements").setLevel(logging.ERROR)
    logging.getLogger("streamlit.runtime.websocket_session_manager").addFilter(_grave_only)


def _grave_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _place_only(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[1]:
        record.msg, record.args = f"{record.getMessage()}: {place(record.exc_info[1])}", ()
        record.exc_info = record.exc_text = None
    return True
