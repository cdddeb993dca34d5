"""Where the records are in an answer: the same place when a page is fetched and when it is read."""

from __future__ import annotations

from typing import Any

from config.mapping import found
from config.rest import Stream


class MisshapenError(ValueError):
    """An answer without its records."""


def records_in(document: Any, stream: Stream) -> list[Any]:
    """The records of an answer. One object where a list could be is one record; null is an empty page.

    Raises MisshapenError where there is neither: an API that has changed its answers must not look like one that has nothing new.
    """
    if not stream.records:
        place = document
    elif (place := found(document, stream.records)) is None:
        if not (stream.absent_is_empty or _is_null(document, stream.records)):
            raise MisshapenError
        return []
    if isinstance(place, list):
        return place
    if isinstance(place, dict):
        return [place]
    if place is None:
        return []
    raise MisshapenError


def _is_null(document: Any, path: str) -> bool:
    """Whether the place is there, with nothing in it."""
    above, _, last = path.rpartition(".")
    holder = found(document, above) if above else document
    return isinstance(holder, dict) and last in holder
