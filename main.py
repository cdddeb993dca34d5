"""The front door of the Personal Data Platform: parses the command line and hands over. `python main.py --help` tells all."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scripts import options


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code: 0 done, 1 a node failed, 2 usage or settings, 75 try again, 130/143 stopped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no ✓ shows ?
            stream.reconfigure(errors="replace")
    parsed = options.parse(sys.argv[1:] if argv is None else argv)
    os.umask(0o077)
    from config.errors import PDPError
    from scripts import commands

    try:
        return commands.dispatch(parsed)
    except PDPError as error:
        if parsed.debug:
            import traceback

            traceback.print_exc()
        print(f"{error.what}\n{error.mend}".strip(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as stop:
        print("Stopped. What was finished stands; the next run goes on from there.", file=sys.stderr)
        return 128 + int(stop.args[0]) if stop.args else 130
    except BrokenPipeError:  # the reader has seen enough: `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - a person gets a sentence; --debug shows the rest
        if parsed.debug:
            import traceback

            traceback.print_exc()
        from pipeline.execution.calls import sentence

        print(sentence(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
