"""The one small object that says what the state is now: which registry, made by whom, from which one before."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from config.errors import StateError

FORMAT = 1
NAME = "head"
"""What the manifest is sealed for: it cannot stand in for another object."""


class Content(NamedTuple):
    """What a blob holds."""

    sha256: str
    size: int


class Generation(NamedTuple):
    """A state that can still be pulled."""

    generation: int
    created: float
    """Seconds since 1970, by its writer's clock."""
    registry: Content
    texts: Content | None


class Lease(NamedTuple):
    """Who is at work: a job by courtesy (nobody has to heed it), a sweep by right (nobody may push meanwhile)."""

    owner: str
    kind: str
    """job · sweep"""
    token: str
    expires: float


class Manifest(NamedTuple):
    """The head. `history` holds the kept generations, the present one first."""

    state: str
    """Names this line of generations: made with the first one, never changed."""
    generation: int
    parent: str
    """SHA-256 of the manifest before; empty for the first."""
    run_id: str
    """Drawn anew for each commit: who sees it in the head knows that its commit has succeeded."""
    writer: str
    created: float
    registry: Content
    texts: Content | None
    history: tuple[Generation, ...]
    core: Content | None = None
    """What of the registry the next run needs: all that an empty machine pulls."""
    lease: Lease | None = None
    sweeps: int = 0
    """How often objects were removed: who has stored one before and commits after must look whether it is still there."""
    alerts: str = ""
    """Who was told of which alert, so that a job on an empty machine tells nobody twice."""

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        fields: dict[str, Any] = {
            **self._asdict(),
            "format": FORMAT,
            "registry": self.registry._asdict(),
            "texts": self.texts and self.texts._asdict(),
            "core": self.core and self.core._asdict(),
            "lease": self.lease and self.lease._asdict(),
            "history": [
                {**g._asdict(), "registry": g.registry._asdict(), "texts": g.texts and g.texts._asdict()} for g in self.history
            ],
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def present(self) -> Generation:
        """This very state, as the history holds it."""
        return Generation(self.generation, self.created, self.registry, self.texts)


def parsed(text: bytes) -> Manifest:
    """The manifest of these bytes. Raises StateError for what is none, or of a newer format."""
    try:
        fields = json.loads(text)
        if fields.pop("format") != FORMAT:
            raise StateError("The remote state is of a newer format than this program knows.", "Update the program.")
        lease = fields.pop("lease")
        history = tuple(_generation(g) for g in fields.pop("history"))
        contents: dict[str, Any] = {name: (said := fields.pop(name)) and _content(said) for name in ("registry", "texts", "core")}
        manifest = Manifest(**fields, **contents, lease=lease and Lease(**lease), history=history)
        if type(manifest.generation) is not int or not manifest.state:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StateError("The head of the remote state is no manifest.", "Is STATE_URL right? See docs/recover.md.") from None
    return manifest


def _generation(fields: dict[str, Any]) -> Generation:
    return Generation(
        fields["generation"], fields["created"], _content(fields["registry"]), fields["texts"] and _content(fields["texts"])
    )


def _content(fields: dict[str, Any]) -> Content:
    sha256, size = fields["sha256"], fields["size"]
    if not isinstance(sha256, str) or len(sha256) != 64 or type(size) is not int:
        raise ValueError
    return Content(sha256, size)
