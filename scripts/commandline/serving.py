"""Options of what serves and watches."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import positive


def serve(parser: argparse.ArgumentParser) -> None:
    """What is served, and where."""
    parser.add_argument("what", choices=("dashboard", "api"))
    host = "address to listen on (127.0.0.1: this machine only; the API: API_HOST)"
    parser.add_argument("--host", metavar="ADDRESS", help=host)
    parser.add_argument("--port", type=positive, metavar="PORT", help="port to listen on (dashboard 8501, API 8000)")


def alerts(parser: argparse.ArgumentParser) -> None:
    """Whether to try the channels."""
    parser.add_argument("action", nargs="?", choices=("test",), help="send a test notice through every channel")
