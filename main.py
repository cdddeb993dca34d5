"""The front door of the Personal Data Platform: parses the command line and hands over. `python main.py --help` tells all."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

_FLAGS = ("--json", "--debug")
_COMMANDS = ("plan", "status", "lineage", "verify", "source", "bronze")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 done, 1 a node failed, 2 usage or settings, 75 try again, 130/143 stopped."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next(((n, a) for n, a in enumerate(arguments) if a not in _FLAGS), (0, "run"))
    if command[1] in _COMMANDS:
        del arguments[command[0]]
        options = _parser(command[1]).parse_args(arguments)
    else:
        options = _parser("run").parse_args(arguments)
    os.umask(0o077)
    from config.errors import PDPError
    from scripts import commands

    try:
        return commands.dispatch(options)
    except PDPError as error:
        if options.debug:
            traceback.print_exc()
        print(f"{error.what}\n{error.mend}".strip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print("Stopped. What was finished stands; the next run goes on from there.", file=sys.stderr)
        return 128 + int(stop.args[0]) if stop.args else 130
    except BrokenPipeError:  # the reader has seen enough: `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python main.py" + (f" {command}" if command != "run" else ""),
        description="Bring your health telemetry home: run what has to run.",
        epilog=f"Further commands, each with --help: {', '.join(_COMMANDS)}." if command == "run" else None,
    )
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    {"run": _run, "plan": _selection, "lineage": _lineage, "source": _source, "bronze": _bronze}.get(command, _nothing)(parser)
    return parser


def _run(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="run N independent nodes at a time")
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


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "check"))
    parser.add_argument("sources", nargs="*", metavar="NAME")


def _bronze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("status", "psql"))
    parser.add_argument("arguments", nargs="*", help="for psql, after --: passed on")


def _nothing(parser: argparse.ArgumentParser) -> None:
    """A command without options of its own."""


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number of at least 1, such as 2")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
