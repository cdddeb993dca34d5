"""The changes in the log, in pages: looked at, committed, and only then let go of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.stage import Pages
from ingestion.cdc import slot as slots
from ingestion.cdc.pages import LOG, Frame, Writer, is_change
from ingestion.cdc.pgoutput import OPTIONS, Begin, Commit, decode, lsn_number, lsn_text
from ingestion.cdc.session import Connection

_AT_ONCE = 20_000
"""Changes after whose transaction the server stops looking; what it holds meanwhile it holds on disk."""
_FETCHED = 500


class Log:
    """What follows a state: `lsn`, before which every transaction is held, and of the next one `part`: how many changes are."""

    def __init__(
        self, session: Connection, pages: Pages, slot: str, tables: Sequence[slots.Table], state: Mapping[str, Any]
    ) -> None:
        self._session, self._pages, self._slot = session, pages, slot
        self._tables = [table.full for table in tables]
        self._writer = Writer({table.full: table.key for table in tables if table.identity == "f"})
        self._lsn = lsn_number(state["lsn"])
        self._part: tuple[int, int] | None = None
        if part := state.get("part"):
            self._part = lsn_number(part["commit"]), int(part["changes"])
        self.count = 0

    def follow(self) -> int:
        """Commit all changes up to where the log ends now; gives how many pages that were."""
        end = slots.log_end(self._session)
        slots.advance(self._session, self._slot, lsn_text(self._lsn))  # an attempt that died may have left it behind
        while self._some(end):
            slots.advance(self._session, self._slot, lsn_text(self._lsn))
        if end > self._lsn:  # nothing of ours up to there: else the server would keep the log of others for us
            self._lsn = end
            self._pages.advance(self._state())
            slots.advance(self._session, self._slot, lsn_text(self._lsn))
        return self.count

    def _some(self, end: int) -> bool:
        """The next transactions, all behind the place the slot stands at; whether there were any."""
        before, begin, number, seen = self._lsn, None, 0, False
        for frame in self._frames(end):
            message = decode(frame.data)
            seen = True
            if isinstance(message, Begin):
                begin, number = message, 0
            held = begin is not None and begin.commit < self._lsn
            if isinstance(message, Commit):
                self._lsn, self._part = max(self._lsn, message.end), None
            if message is None:
                continue
            skip = False
            if is_change(frame.data) and begin is not None:
                number += 1
                skip = held or (self._part is not None and self._part[0] == begin.commit and number <= self._part[1])
            self._writer.add(frame, message, skip=skip)
            if is_change(frame.data) and begin is not None and not skip:
                self._part = begin.commit, number
                if self._writer.full:
                    self._commit()
        if self._writer.changes:
            self._commit()
        elif self._lsn > before:
            self._pages.advance(self._state())
        return seen

    def _frames(self, end: int) -> Iterator[Frame]:
        """Messages up to the end of the transaction that passes it or `_AT_ONCE` changes; the slot stays where it is."""
        publication = '"' + self._slot.replace('"', '""') + '"'
        with self._session.transaction(), self._session.cursor("pdp_log", binary=True) as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(_PEEK, (self._slot, lsn_text(end), _AT_ONCE, [*OPTIONS, publication]))
            for lsn, xid, data in cursor:
                yield Frame(lsn, xid, data)

    def _commit(self) -> None:
        changes = self._writer.changes
        body = self._writer.take()
        self._pages.commit(body, self._state(), facts={"kind": "changes"}, records=changes, suffix=LOG)
        self.count += 1

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"lsn": lsn_text(self._lsn), "tables": self._tables}
        if self._part is not None:
            state["part"] = {"commit": lsn_text(self._part[0]), "changes": self._part[1]}
        return state


_PEEK = """
SELECT (lsn - '0/0'::pg_lsn)::bigint, xid::text::bigint, data
  FROM pg_logical_slot_peek_binary_changes(%s, %s::pg_lsn, %s, VARIADIC %s::text[])"""
