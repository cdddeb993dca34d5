"""Whether the packages of a part that is not always installed are there."""

from __future__ import annotations

from importlib.util import find_spec

from config.errors import UsageError


def need(package: str, what: str, lock: str = "requirements-serve.lock") -> None:
    """UsageError without the package, which is one of those of `what` and in this lock."""
    if find_spec(package) is None:
        raise UsageError(f"The packages of {what} are not installed.", f"Install them with: pip install -r {lock}")
