"""Options of `source` and its actions."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import actions, nothing


def source(parser: argparse.ArgumentParser) -> None:
    """What to do with which sources."""
    actions(parser, _SOURCE)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="NAME", help="only these sources")


def _discover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="NAME", help="the source to ask")


def _preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="NAME", help="whose export it is, or the API to look at")
    parser.add_argument("files", nargs="*", metavar="FILE", help="files or folders; without any the source's inbox")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NEW", help="what the new source is to be called: heart_cloud")
    parser.add_argument("--url", metavar="URL", help="address of one of its lists, as its documentation shows it")
    auth = "how it signs in: none, bearer:VARIABLE, header:NAME:VARIABLE, query:NAME:VARIABLE or basic:USER_VARIABLE:PASSWORD_VARIABLE"
    parser.add_argument("--auth", metavar="HOW", help=auth)
    parser.add_argument("--stream", metavar="LIST", help="what the list is called; else the end of its address")
    parser.add_argument("--records", metavar="PATH", help="where in an answer its records are, such as data.items")
    parser.add_argument("--id", metavar="FIELD", help="the field that names a record")
    pages = "how the list goes on: auto, single, page, offset, cursor, json_link or header_link"
    parser.add_argument("--pages", metavar="KIND", help=pages)
    parser.add_argument("--cursor", metavar="FIELD:PARAM", help="the field and the parameter that ask for what is new")
    parser.add_argument("--initial", metavar="DATE", help="where the first round begins, such as 2025-01-01")
    reading = (
        "METRIC=VALUE@TIME, such as heart_rate=bpm@measured_at; with a unit heart_rate=bpm@measured_at:/min; may be repeated"
    )
    parser.add_argument("--reading", action="append", metavar="READING", help=reading)
    parser.add_argument("--rate", metavar="RATE", help="most requests per time, such as 20/s,1000/h")
    parser.add_argument("--allow-private", action="store_true", help="let its host's name lead into the own network")
    parser.add_argument("--yes", action="store_true", help="ask nothing: what is not given is taken as proposed")
    parser.add_argument("--dry-run", action="store_true", help="show the file, write nothing")


def _state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("show", "set", "reset"), help="what to do with where its streams go on")
    parser.add_argument("source", metavar="NAME", help="the source")
    parser.add_argument("stream", nargs="?", metavar="STREAM", help="only this stream; set needs one")
    parser.add_argument("value", nargs="?", metavar="JSON", help="set: the new state, a JSON object")
    parser.add_argument("--pages", action="store_true", help="reset: replace the pages, too, once a whole new round is in")


_SOURCE = {
    "list": ("which sources there are, and whether each has something to read", nothing),
    "check": ("whether each can be read now; changes nothing", _check),
    "discover": ("its streams and their fields, by asking it once; no value is shown", _discover),
    "preview": ("what an export or an API's first pages hold before anything is taken in; no value is shown", _preview),
    "add": ("a new API: asked for, tried once, written down as YAML", _add),
    "state": ("where its streams go on: show, set or reset", _state),
}
