"""Every error a person can meet: one sentence what is wrong, one how to mend it, and the exit code it ends in.

PDPError                     1   base; never raised itself
├── UsageError               2   the command line asks for something that is not there
├── SettingsError            2   a setting is missing, misspelt or of the wrong type
├── BusyError               75   another run holds the data directory; try again
│   └── StateConflict       75   others kept changing the remote state while we pushed; nothing is lost
├── PipelineError            2   the DAG itself is wrong: found while planning, nothing has run
├── RegistryError            1   the registry cannot be used: corrupt, newer than the code, not a registry
├── StoreError               1   the disk refused: full, read-only, unreadable
├── StageError               1   one node failed; what does not depend on it goes on
│   ├── InputMoved               an input changed while the node was reading it
│   ├── BalanceError             a node lost count of its rows: in is not out + rejected
│   ├── UndeclaredSetting        a node read a setting it does not declare
│   └── UndeclaredAccess         a strict node touched a file, program or network it does not declare
├── SourceError              1   a place data comes from failed
│   ├── SourceDenied             401, 403, 404: credentials or sharing; never retried
│   ├── SourceUnavailable        429, 5xx, connection lost: retried, then given up for this run
│   └── SourceRefused            a file that cannot be read at all, with the reason
├── LineageError             1   the lineage server cannot be reached or took not all events; no run ever fails of it
├── DeliveryError            1   an alert or metrics could not be handed over; no run ever fails of it
├── AccessError              1   the dashboard's sign-in has ended, or was refused
├── StateError               1   the remote state cannot be used: refused, damaged, another key, older than what was seen
│   ├── StateMissing             the remote has no object of this name
│   └── HeadMoved                somebody else has committed since the head was read; pushed again after a merge
├── ClusterError             1   the Dask cluster cannot be reached, or was lost
└── WarehouseError           1   Postgres: unreachable, refused, out of step
"""

from __future__ import annotations


class PDPError(Exception):
    """`what` is wrong and how to `mend` it; neither ever carries a measured value, a token or a secret."""

    exit_code = 1

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what} {self.mend}".rstrip()


class UsageError(PDPError):
    """The command line asks for something that is not there."""

    exit_code = 2


class SettingsError(PDPError):
    """A setting is missing, misspelt or of the wrong type."""

    exit_code = 2


class BusyError(PDPError):
    """Another run holds the data directory."""

    exit_code = 75


class StateConflict(BusyError):
    """Others kept changing the remote state while we pushed."""


class PipelineError(PDPError):
    """The DAG itself is wrong; found while planning."""

    exit_code = 2


class RegistryError(PDPError):
    """The registry cannot be used."""


class StoreError(PDPError):
    """The disk refused."""


class StageError(PDPError):
    """One node failed."""


class InputMoved(StageError):
    """An input changed while the node was reading it."""


class BalanceError(StageError):
    """A node lost count of its rows."""


class UndeclaredSetting(StageError):
    """A node read a setting it does not declare."""


class UndeclaredAccess(StageError):
    """A strict node touched a file, a program or the network without declaring it."""


class SourceError(PDPError):
    """A place data comes from failed."""


class SourceDenied(SourceError):
    """Credentials or sharing are wrong."""


class SourceUnavailable(SourceError):
    """The other side is busy or gone, even after retries."""


class SourceRefused(SourceError):
    """A file that cannot be read at all. `reason` is the stable code its dead letter carries."""

    def __init__(self, what: str, mend: str = "", reason: str = "unreadable") -> None:
        super().__init__(what, mend)
        self.reason = reason
        self.args = (what, mend, reason)


class LineageError(PDPError):
    """The lineage server did not take an event."""


class DeliveryError(PDPError):
    """Nobody took an alert or the metrics."""


class AccessError(PDPError):
    """Somebody is not, or no longer, signed in at the dashboard."""


class StateError(PDPError):
    """The remote state cannot be used."""


class StateMissing(StateError):
    """The remote has no object of this name."""


class HeadMoved(StateError):
    """The remote's head is not what it was when it was read."""


class ClusterError(PDPError):
    """The Dask cluster cannot be reached, or was lost."""


class WarehouseError(PDPError):
    """Postgres cannot be used."""
