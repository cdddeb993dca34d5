"""A parser whose `--help` is a manual page."""

from __future__ import annotations

import argparse


class Manual(argparse.ArgumentParser):
    """Like its base; what lays the page out is imported when somebody asks for it."""

    commands: dict[str, str] | None = None
    """Listed on the page of the run."""

    def format_help(self) -> str:
        from scripts.commandline.page import page_of
        from scripts.commandline.text import written

        name = self.prog.removeprefix("python main.py").strip()
        return written(page_of(self, name), self.commands)
