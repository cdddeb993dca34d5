"""What a stage function is given and what it gives back. Types only: nothing here runs, any other runner can offer the same.

A stage function is `def stage(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report`. It reads the files it
is handed, writes to the places it is handed and reports what it did; it never looks for a file, a setting or a registry itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple, Protocol, TypedDict


class File(NamedTuple):
    """One file handed to a stage."""

    name: str
    """Logical name: the artifact's (`raw/mi_fitness/export.zip`), or the path below the data root for a dropped file."""
    path: str
    """Where its bytes are now. Immutable for artifacts."""
    sha256: str
    size: int
    version: int | None = None
    """The artifact's version; None for a file that is no artifact."""
    arrived: float | None = None
    """When this version was first registered, seconds since 1970; None for a file that is no artifact."""


class Inputs(Protocol):
    """The node's declared inputs, by role."""

    def one(self, role: str) -> File:
        """The single artifact of this role."""

    def many(self, role: str) -> list[File]:
        """All files of this role, sorted by name; a role with a single artifact gives a list of one."""

    def roles(self) -> list[str]:
        """The roles declared, in declaration order."""


class Outputs(Protocol):
    """Where the node's declared outputs go. Nothing written here exists for anybody until the engine has committed all of it."""

    run_id: str
    attempt_id: str

    def open(self, role: str, member: str = "") -> BinaryIO:
        """A file to write once, hashed while written. `member` names the file within a collection (`raw/<source>/**`)."""

    def path(self, role: str, member: str = "") -> str:
        """A fresh path for a library that must open the file itself; hashed after the stage."""

    def previous(self, role: str) -> dict[str, File]:
        """The collection's members as last committed, by member name: what need not be fetched again."""

    def before(self, role: str) -> File | None:
        """This output as made by an attempt from which only the data differ: same code, settings and libraries. None without one, when
        its bytes are gone or damaged, and when the run was forced. A stage may take rows from it, if it makes the same bytes without it.
        """

    def keep(self, role: str, member: str) -> None:
        """Carry a member of `previous` over, byte for byte, without writing it again."""

    def pages(self, role: str, stream: str) -> Pages:
        """The pages of one stream below `role`, the collection its node names in `Node.pages`. A stream is a folder: letters, digits,
        dots, dashes and underscores, parts joined by slashes; a first letter "_" marks one that never brings a page."""

    def cache(self) -> str:
        """A private folder below `cache/` of the data root, the same for every attempt of this node and part of no hash: a bucket of a
        rate limit, a library's own store of tokens. What lies there may be gone at any time."""


class Page(NamedTuple):
    """One committed page."""

    member: str
    """Its name in the collection: `posts/000017-1f2e3d4c5b6a.json`."""
    facts: dict[str, Any]
    """Plain data its stage said of it. No measured value, no secret."""
    path: str = ""
    """Where its bytes lie now. Immutable."""


class Pages(Protocol):
    """A stream of a remote, read page by page. Each page is committed for itself: an attempt that dies keeps what it has committed, and the
    next one goes on from `state()`. Downstream sees nothing of them until an attempt has ended well: then the collection is what the stage
    wrote and kept, all pages in force before, and all `new()` ones."""

    def state(self) -> dict[str, Any] | None:
        """Where to go on, as last committed; None at first and after a reset. Small: a cursor, a page token, a sequence number."""

    def commit(
        self,
        body: bytes,
        state: Mapping[str, Any],
        *,
        facts: Mapping[str, Any],
        records: int,
        digest: str = "",
        suffix: str = ".json",
    ) -> Page:
        """Keep a page and the state that follows it: its bytes are durable before, the rest is one transaction. `digest` is what `known`
        finds it by (the body's SHA-256 unless given); `records` counts what it brought. Raises StageError, StoreError."""

    def advance(self, state: Mapping[str, Any], *, repeated: int = 0) -> None:
        """The state alone: nothing new was brought. `repeated` counts pages that came again."""

    def known(self, digest: str) -> bool:
        """Whether a page of this stream with that digest is held."""

    def new(self) -> list[Page]:
        """Pages committed but in no outputs in force yet, in their order: by attempts that died, and by this one."""


class Balance(TypedDict):
    """Every unit that came in has exactly one fate; the engine refuses a report in which the sums differ."""

    unit: str
    came: int
    fates: dict[str, int]
    """Fate → count. `accepted` or a telling word; `duplicate`; `rejected:<reason>`; `unused:<why>`."""


class Finding(TypedDict, total=False):
    """Something a person should know. Never a measured value."""

    code: str
    message: str
    count: int
    where: str


class Report(TypedDict, total=False):
    """What a stage did."""

    rows: dict[str, int]
    """Rows written, by output role (for a collection: by `role/member`)."""
    balance: Balance
    findings: list[Finding]
    refused: dict[str, int]
    """Parts of records refused beyond the fates, by reason: a record whose pulse was usable may have lost its pressures."""
    months: dict[str, int]
    """Months `made` now and `kept` from before, of a stage that does not make again what is as it was."""


class Stage(Protocol):
    """A stage function."""

    def __call__(self, inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report: ...
