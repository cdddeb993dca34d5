"""`password`: asks twice and gives the hash that the dashboard compares with; the password itself is kept nowhere."""

from __future__ import annotations

import sys
from argparse import Namespace
from getpass import getpass

from config.errors import UsageError
from scripts.answer import Answer
from scripts.packages import need
from scripts.project import Project

_HOW = """Put this line into .env, with its single quotes (in compose files write $$ for $), and start the dashboard again:

DASHBOARD_PASSWORD_HASH='{hash}'"""


def password(project: Project, options: Namespace) -> Answer:
    """Ask at the terminal, or read one line from a pipe. UsageError when the two differ or it is too short."""
    need("argon2", "the dashboard")
    from serving.dashboard.passwords import hashed

    made = hashed(_asked())
    return Answer({"hash": made}, _HOW.format(hash=made))


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass("Password for the dashboard: ")
    if getpass("Once more: ") != first:
        raise UsageError("The two are not the same.", "Run the command again.")
    return first
