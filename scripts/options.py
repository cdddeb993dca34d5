"""The command line: every command, what it gives and its options. Importing it is cheap; nothing is run here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence

FLAGS = ("--json", "--debug")
"""They may stand before the command."""
COMMANDS = {
    "plan": "what a run would do, and why",
    "explain": "why a node would run or not, to the symbol, setting, library or file; how its outputs came to be",
    "status": "what is in force, step by step; what failed",
    "graph": "the DAG as text, Mermaid, SVG or a page",
    "lineage": "where an artifact comes from, what was made of it",
    "diff": "how two versions of an artifact differ",
    "trace": "from a cell of the daily table to the raw records behind it",
    "query": "SQL on the gold tables; which tables and columns there are",
    "gold": "the gold tables made again from bronze, beside those of the last run",
    "history": "a node's attempts",
    "runs": "the last runs; one run's nodes beside what is usual",
    "report": "one run as a page to keep",
    "openlineage": "one run as OpenLineage events",
    "verify": "whether every artifact, the registry and bronze are as committed",
    "accept": "take a node's outputs over as they are, on the record",
    "gc": "remove the bytes of superseded versions",
    "source": "which sources there are; whether they can be read",
    "bronze": "the bronze database: init, its tables, psql, backup, restore, upgrade",
    "dlq": "dead letters: what was refused; tried again after a fix",
    "serve": "the dashboard, or the read API",
    "password": "the hash of a password for the dashboard",
    "alerts": "what is not as it should be, and who was told; test tries every channel",
}
"""Command → what it gives."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as options; its first word, flags aside, may name a command. Ends the program on a wrong one, with 2."""
    arguments = list(argv)
    at, command = next(((n, a) for n, a in enumerate(arguments) if a not in FLAGS), (0, "run"))
    if command not in COMMANDS:
        return parser_of("run").parse_args(arguments)
    del arguments[at]
    return parser_of(command).parse_args(arguments)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The options of one command; `run` is what goes without a name."""
    parser = argparse.ArgumentParser(
        prog="python main.py" + (f" {command}" if command != "run" else ""),
        description=_described(COMMANDS.get(command, "Bring your health telemetry home: run what has to run.")),
        epilog=_listed() if command == "run" else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    _OPTIONS.get(command, _nothing)(parser)
    return parser


def _described(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _listed() -> str:
    lines = [f"  {name:<13}{text}" for name, text in COMMANDS.items()]
    return "\n".join(["commands, each with --help (a command comes first):", *lines])


def _run(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="run N independent nodes at a time")
    parser.add_argument(
        "--executor",
        default="",
        metavar="dask://HOST:PORT",
        help="run nodes on this Dask cluster; --jobs above 1 is how many at a time",
    )
    strict = "fail a node that reads or writes files it does not declare; on when CI is set"
    parser.add_argument("--strict", action=argparse.BooleanOptionalAction, default=bool(os.environ.get("CI")), help=strict)
    parser.add_argument("--dry-run", action="store_true", help="show the plan, or what --clean would remove; change nothing")
    parser.add_argument("--clean", action="store_true", help="remove generated artifacts; raw ones stay")
    parser.add_argument("--raw", action="store_true", help="with --clean: raw artifacts too")


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only look at these sources")
    parser.add_argument("--start-stage", metavar="STAGE", help="take what earlier stages have committed as it is")
    parser.add_argument("--until-stage", metavar="STAGE", help="leave out later stages")
    parser.add_argument("--only-stage", metavar="STAGE", help="look at this stage only")
    parser.add_argument("--skip-ingestion", action="store_true", help="use what is ingested, look at no inbox and no remote")
    parser.add_argument("--resume", action="store_true", help="finish what the last interrupted or failed run was asked for")
    parser.add_argument("--force", nargs="*", metavar="NODE", help="run these nodes in any case; all without a name")


def _lineage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT[@vN]")
    parser.add_argument("--up", action="store_true", help="only what it was made from")
    parser.add_argument("--down", action="store_true", help="only what was made of it")


def _node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE")


def _accept(parser: argparse.ArgumentParser) -> None:
    _node(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why its outputs are still right; kept in the registry")


def _graph(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "mermaid", "svg", "html"), default="text")
    parser.add_argument("--out", metavar="FILE", help="write it there instead of printing it")


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT")
    parser.add_argument("a", metavar="vA")
    parser.add_argument("b", metavar="vB")
    parser.add_argument("--values", action="store_true", help="show up to 20 changed values; without it none is ever shown")


def _trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("date", metavar="DATE", help="a day of the daily table, such as 2025-03-01")
    parser.add_argument("metric", metavar="METRIC", help="a column of the daily table, such as systolic")


def _query(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sql", nargs="?", metavar="SQL", help="one SELECT; without it the tables and columns are listed")
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    parser.add_argument("--limit", type=_positive, default=1000, metavar="N", help="rows at most (1000)")


def _gold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from-bronze", action="store_true", required=True, help="read the raw records from the bronze database")
    parser.add_argument("--out", metavar="FILE", help="write it there instead of gold/from_bronze.duckdb in the data directory")
    install = "let DuckDB fetch its postgres extension from the internet; without it records come through psycopg"
    parser.add_argument("--install-extension", action="store_true", help=install)


def _one_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="", metavar="RUN", help="a run's id or its beginning; the last one without")


def _runs(parser: argparse.ArgumentParser) -> None:
    one = "one run's nodes, slowest first: its id or its beginning, or last; the list of runs without"
    parser.add_argument("run", nargs="?", default="", metavar="RUN", help=one)
    parser.add_argument("--last", type=_positive, default=20, metavar="N", help="how many runs to list (20)")


def _report(parser: argparse.ArgumentParser) -> None:
    _one_run(parser)
    parser.add_argument(
        "--out", metavar="FILE", help="write the page there instead of reports/run-<id>.html in the data directory"
    )


def _openlineage(parser: argparse.ArgumentParser) -> None:
    _one_run(parser)
    parser.add_argument("--out", metavar="FILE", help="append the events there, one JSON object per line; else they are printed")
    parser.add_argument("--url", metavar="URL", help="send them there; OPENLINEAGE_URL when it is set")


def _gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", type=_positive, default=3, metavar="K", help="versions to keep of each artifact (3)")
    parser.add_argument("--raw", action="store_true", help="raw artifacts too; they cannot be made again")
    parser.add_argument("--dry-run", action="store_true", help="list what would go; change nothing")


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "check"))
    parser.add_argument("sources", nargs="*", metavar="NAME")


def _bronze(parser: argparse.ArgumentParser) -> None:
    _actions(parser, _BRONZE)


def _alerts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("test",), help="send a test notice through every channel")


def _dlq(parser: argparse.ArgumentParser) -> None:
    _actions(parser, _DLQ)


def _actions(parser: argparse.ArgumentParser, table: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions, each with --help")
    for name, (gives, options) in table.items():
        action = actions.add_parser(name, help=gives, description=_described(gives))
        for flag in FLAGS:  # after the action, too
            action.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        options(action)


def _psql(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="after --: passed on to psql")


def _backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the archive to write, such as bronze.dump")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an archive bronze backup has written")
    force = "replace what the embedded database holds, once FILE is restored beside it"
    parser.add_argument("--force", action="store_true", help=force)


def _upgrade(parser: argparse.ArgumentParser) -> None:
    where = "the folder of the old version's postgres; without it the usual places and PATH are searched"
    parser.add_argument("--old-bin", metavar="DIR", default="", help=where)
    parser.add_argument("--drop-old", action="store_true", help="remove the old version's data an earlier upgrade has kept")


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sql", action="store_true", help="only print what an administrator runs to make the roles")


def _letters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", default="", metavar="SOURCE", help="only this source's")
    states = ("open", "replayed", "obsolete", "ignored", "all")
    parser.add_argument("--state", choices=states, default="open", help="those in this state; open without it")
    parser.add_argument("--reason", default="", metavar="CODE", help="those refused for this reason")


def _letter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=_positive, metavar="ID", help="its number in dlq list")


def _show(parser: argparse.ArgumentParser) -> None:
    _letter(parser)
    parser.add_argument("--raw", action="store_true", help="print its bytes as they were received; without it nothing of them")


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these sources' letters; all without one")
    parser.add_argument("--id", nargs="+", action="extend", type=_positive, metavar="ID", help="the sources of these letters")
    parser.add_argument("--dry-run", action="store_true", help="tell which letters would be tried, and by which nodes")
    parser.set_defaults(jobs=1, executor="", strict=bool(os.environ.get("CI")))


def _ignore(parser: argparse.ArgumentParser) -> None:
    _letter(parser)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it will never be mended; kept with it")


def _reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these sources")
    parser.add_argument("--repair", action="store_true", help="load what is missing; rows that are there are never touched")


def _retain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these sources")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--before", metavar="DATE", help="the months that lie before this day entirely, such as 2020-01-01")
    what.add_argument("--restore", metavar="MONTH", help="attach a detached month again, such as 2019-12")
    parser.add_argument("--drop", action="store_true", help="drop them for good; without it they are detached and kept as tables")
    parser.add_argument("--apply", action="store_true", help="do it; without it nothing is changed")


def _nothing(parser: argparse.ArgumentParser) -> None:
    """A command without options of its own."""


_BRONZE = {
    "init": ("make the database ready: migrations, a table for every source, the four roles", _init),
    "status": ("tables, rows, bytes, freshness, quality, dead letters and loads", _nothing),
    "reconcile": ("whether the records in force, the ledger and the rows agree; load what is missing", _reconcile),
    "retain": ("take old months out: what would go, and with --apply it does", _retain),
    "psql": ("a console on the database", _psql),
    "backup": ("save the database to a file", _backup),
    "restore": ("bring a saved database back", _restore),
    "upgrade": ("bring the embedded database to the installed version of PostgreSQL", _upgrade),
}
"""Action of `bronze` → what it gives, its options."""

_DLQ = {
    "list": ("the dead letters, and how many there are for each reason", _letters),
    "show": ("all that is known of one", _show),
    "replay": ("try the open ones again, after a fix", _replay),
    "ignore": ("set one aside that nobody will mend", _ignore),
}
"""Action of `dlq` → what it gives, its options."""


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("dashboard", "api"))
    host = "address to listen on (127.0.0.1: this machine only; the API: API_HOST)"
    parser.add_argument("--host", metavar="ADDRESS", help=host)
    parser.add_argument("--port", type=_positive, metavar="PORT", help="port to listen on (dashboard 8501, API 8000)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number of at least 1, such as 2")
    return int(text)


_OPTIONS = {
    "run": _run,
    "plan": _selection,
    "explain": _node,
    "graph": _graph,
    "lineage": _lineage,
    "diff": _diff,
    "trace": _trace,
    "query": _query,
    "gold": _gold,
    "history": _node,
    "runs": _runs,
    "report": _report,
    "openlineage": _openlineage,
    "accept": _accept,
    "gc": _gc,
    "source": _source,
    "bronze": _bronze,
    "dlq": _dlq,
    "serve": _serve,
    "alerts": _alerts,
}
