"""What a place must be able to do to keep the state: a few immutable objects by name, and one head that changes by compare-and-swap.

Names are relative, of lower-case letters, digits, `/`, `-`, `_` and `.`: `blobs/3f/3f…`, `registries/…`, `texts/…`. What is stored
under a name never changes; only the head does, and only from what its writer has read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class Head(NamedTuple):
    """The remote's head as it was read."""

    manifest: bytes
    tag: str
    """What `commit_head` compares: an ETag, a generation, an id. Only the remote that gave it understands it."""


class Stored(NamedTuple):
    """An object of the remote."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970, by the remote's clock."""


class Remote(Protocol):
    """Every method raises StateError with its mend when the remote refuses or stays away after retries.

    `get` may be called by several threads at once.
    """

    place: str
    """Where this is, for people: `s3://bucket/prefix`. No secret is in it."""

    def read_head(self) -> Head | None:
        """The head, read after every commit that had succeeded when the call began; None when there is none yet."""

    def commit_head(self, manifest: bytes, tag: str | None) -> str:
        """Make `manifest` the head if the head still is the one `tag` names; None: if there is none. Gives the new tag.

        Raises HeadMoved when it is not, StateError when the answer was lost: the head may then be either.
        """

    def put(self, name: str, path: str) -> None:
        """Store a file. One that is there under this name with this size is left as it is: names of objects tell their content.

        Nothing is seen under the name until all of it is there.
        """

    def get(self, name: str, path: str) -> None:
        """Write an object to the new file `path`. Raises StateMissing when there is none; may leave a part of the file on failure."""

    def exists(self, name: str) -> bool:
        """Whether an object of this name is there, whole."""

    def list(self) -> Iterator[Stored]:
        """Every object but the head and what its keeping needs; may lag behind, so nothing is ever concluded from an absence."""

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; one that is gone already is no error."""

    def erase(self) -> None:
        """Remove everything: the head first, with earlier revisions where the remote keeps them, then every object."""

    def probe(self) -> None:
        """Create an object, change a head of its own by compare-and-swap, be refused a stale one, and delete both.

        Raises StateError with the mend for the first thing that does not work.
        """
