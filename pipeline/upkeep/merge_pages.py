"""The pages of two registries as one: every page that one of them holds is held; a stream goes on where the later one is.

Pages are not merged as rows are: one that is missing on a side may have been lost there, and its stream begun anew. As long as anyone holds
it, it counts; if its bytes turn out to be gone, the next run begins its stream anew. What is erased is gone from both. A page both have
fetched at the same place is one page: its name says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping

from pipeline.pages import HELD, RETIRING
from pipeline.upkeep.sides import Key, Page, Row, Stream

Streams = Mapping[Stream, Row]
Pages = Mapping[tuple[Stream, Key], Page]


def merged_streams(ours: Streams, theirs: Streams, base: Streams) -> dict[Stream, Row]:
    """The later state of each stream, with what both have counted since `base`; one that a side has forgotten is forgotten."""
    found: dict[Stream, Row] = {}
    for stream in sorted(theirs.keys() | ours.keys()):
        old = base.get(stream)
        if stream in ours and stream in theirs:
            sides = ours[stream][1:4], theirs[stream][1:4], old[1:4] if old else (0, 0, 0)
            counted = (max(a, b, a + b - c) for a, b, c in zip(*sides, strict=True))
            state, _, _, _, *since = _later(stream, ours, theirs)
            found[stream] = (state, *counted, *since)
        elif (row := ours.get(stream) or theirs[stream]) != old:
            found[stream] = row
    return found


def merged_pages(
    ours: Pages, theirs: Pages, streams: tuple[Streams, Streams], versions: Container[Key]
) -> dict[tuple[Stream, Key], Page]:
    """Every page whose version is left; theirs keep their numbers, ours come after. `streams` are ours and theirs: pages make room for
    a new round only where the state goes on that they were to be replaced from."""
    found = {at: page for at, page in theirs.items() if at[1] in versions}
    highest: dict[Stream, int] = defaultdict(lambda: -1)
    for (stream, _), page in found.items():
        highest[stream] = max(highest[stream], page.number)
    for at, page in sorted(ours.items(), key=lambda item: (item[0][0], item[1].number)):
        if at in found:
            found[at] = found[at]._replace(fate=max(_fate(at[0], found[at], streams, 1), _fate(at[0], page, streams, 0)))
        elif at[1] in versions:
            highest[at[0]] += 1
            found[at] = page._replace(number=highest[at[0]], fate=_fate(at[0], page, streams, 0))
    return {at: page if at in ours else page._replace(fate=_fate(at[0], page, streams, 1)) for at, page in found.items()}


def _later(stream: Stream, ours: Streams, theirs: Streams) -> Row:
    return max(ours[stream], theirs[stream], key=lambda row: (row[4], repr(row)))


def _fate(stream: Stream, page: Page, streams: tuple[Streams, Streams], side: int) -> int:
    """What becomes of a page as one side has it."""
    if page.fate != RETIRING or stream not in streams[1 - side] or stream not in streams[side]:
        return page.fate
    return RETIRING if _later(stream, *streams) == streams[side][stream] else HELD
