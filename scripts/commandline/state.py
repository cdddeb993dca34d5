"""Options of `state` and its actions."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import actions, nothing, positive
from scripts.commandline.stateless import with_state


def state(parser: argparse.ArgumentParser) -> None:
    """What to do with the state kept elsewhere."""
    actions(parser, _STATE)


def _pull(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "patterns", nargs="*", metavar="PATTERN", help="bring the files of these artifacts at once, such as 'gold/*'"
    )
    parser.add_argument("--all", action="store_true", help="bring the whole history and every kept version at once")
    back = "set this machine back to an earlier state the remote keeps; the next push makes it the present"
    parser.add_argument("--generation", type=positive, metavar="N", help=back)
    rollback = "take a remote that went back, such as one restored from a backup; what only this machine has stays"
    parser.add_argument("--accept-rollback", action="store_true", help=rollback)


def _push(parser: argparse.ArgumentParser) -> None:
    anew = "begin a new state in a remote that is empty though this machine has pulled or pushed before"
    parser.add_argument("--anew", action="store_true", help=anew)


def _unlock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="end a sweep, too: only when it is surely dead")


def _gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", type=positive, metavar="K", help="how many generations to keep (state_keep_generations: 5)")
    parser.add_argument("--apply", action="store_true", help="do it; without it nothing is changed")


def _rotate(parser: argparse.ArgumentParser) -> None:
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--to-file", metavar="FILE", help="the new key's file; made with a new key in it if it is not there")
    key.add_argument("--new-key-env", metavar="NAME", help="the environment variable that holds the new key")


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="only whether every object is there; without it each is read")
    parser.add_argument("--repair", action="store_true", help="store again what is missing or damaged, from what is here")


_STATE = {
    "pull": ("bring the state here: the registry at once, files when they are needed", _pull),
    "push": ("commit what is here as the next generation; merged with what others have pushed", _push),
    "show": ("what the remote holds, since when and by whom, and how this machine stands to it", nothing),
    "verify": ("whether every object that a kept generation needs is there and whole", _verify),
    "gc": ("objects no kept generation needs: what would go, and with --apply it does", _gc),
    "rotate": ("seal everything with a new STATE_KEY; to be repeated if it is interrupted", _rotate),
    "unlock": ("end the lease of a job that died", _unlock),
    "with": ("any command over a fresh pull, which is gone afterwards", with_state),
}
"""Action of `state` → what it gives, its options."""
