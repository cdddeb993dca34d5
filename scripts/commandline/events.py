"""Actions of `events` and their options."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from scripts.commandline.kinds import actions, positive


def events(parser: argparse.ArgumentParser) -> None:
    """The actions of `events`."""
    actions(parser, _EVENTS)


def _send(parser: argparse.ArgumentParser) -> None:
    where = "an HTTP address, kinesis:STREAM, or a new file for one event a line"
    parser.add_argument("--to", required=True, metavar="TARGET", help=where)
    parser.add_argument("--events", type=positive, default=1000, metavar="N", help="different messages (1000)")
    parser.add_argument("--users", type=positive, default=1, metavar="N", help="people they are about, in several zones (1)")
    parser.add_argument(
        "--rate", type=float, default=0.0, metavar="R", help="messages a second; without it as fast as they are taken"
    )
    parser.add_argument("--batch", type=positive, default=100, metavar="N", help="messages sent at once (100)")
    parser.add_argument(
        "--disorder", type=float, default=0.0, metavar="SHARE", help="sent after others that were measured later (0)"
    )
    parser.add_argument("--duplicates", type=float, default=0.0, metavar="SHARE", help="sent twice (0)")
    parser.add_argument(
        "--late", type=float, default=0.0, metavar="SHARE", help="measured hours or days before they are sent (0)"
    )
    parser.add_argument("--bad", type=float, default=0.0, metavar="SHARE", help="broken (0)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="another seed, other events (7)")
    first = datetime(2025, 3, 29, tzinfo=UTC)
    parser.add_argument("--start", type=_day, default=first, metavar="DATE", help="the UTC day they begin at (2025-03-29)")
    parser.add_argument("--days", type=float, default=3.0, metavar="N", help="days they are spread over (3)")


def _build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("build/events.zip"), metavar="FILE", help="where the zip goes (build/events.zip)"
    )


def _run(parser: argparse.ArgumentParser) -> None:
    _bucket(parser)
    parser.add_argument("--zip", type=Path, metavar="FILE", help="the function; without it the zip is built anew")
    parser.add_argument("--port", type=int, metavar="N", help="take events by POST on this port of 127.0.0.1; 0 for a free one")
    parser.add_argument("--payload", choices=("2.0", "1.0"), default="2.0", help="API Gateway's payload format (2.0)")
    parser.add_argument("--kinesis", default="", metavar="STREAM", help="hand on the records of this stream")
    state = "folder for checkpoints and dead letters (events-state)"
    parser.add_argument("--state", type=Path, default=Path("events-state"), metavar="DIR", help=state)
    parser.add_argument("--batch", type=positive, default=500, metavar="N", help="records handed on at once (500)")
    retries = "how often a record that fails alone is tried again before it is a dead letter (5)"
    parser.add_argument("--retries", type=positive, default=5, metavar="N", help=retries)
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for one invocation (60)")
    parser.add_argument("--until-idle", action="store_true", help="end once the stream has been read to its end")
    parser.add_argument("--redrive", action="store_true", help="hand on the dead letters first")


def _bucket(parser: argparse.ArgumentParser) -> None:
    text = "the bucket events are stored in (EVENTS_BUCKET)"
    parser.add_argument("--bucket", default=os.environ.get("EVENTS_BUCKET", ""), metavar="NAME", help=text)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError("give a day, such as 2025-03-29") from None


_EVENTS = {
    "send": ("a mock API's events: to an HTTP address, a stream or a file", _send),
    "build-lambda": ("the function's zip, the same bytes wherever it is built", _build),
    "run-lambda": ("the function on this machine: behind HTTP, fed from a stream", _run),
    "count": ("what a bucket holds: events, rejected pieces", _bucket),
}
"""Action of `events` → what it gives, its options."""
