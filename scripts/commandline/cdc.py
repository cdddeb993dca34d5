"""Actions of `cdc`; they have no options of their own."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import actions, nothing


def cdc(parser: argparse.ArgumentParser) -> None:
    """The actions of `cdc`."""
    actions(parser, _CDC)


_CDC = {
    "create": (
        "publication and slot of CDC_TABLES in the database whose changes are read; anew where the slot was lost",
        nothing,
    ),
    "drop": ("both go: from then on that server keeps no log for us", nothing),
    "status": ("the slot, the log it keeps, and the tables", nothing),
}
"""Action of `cdc` → what it gives, its options."""
