"""Says in one sentence that Google's libraries are missing: they are an extra, because the inbox needs none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from config.errors import SettingsError


@contextmanager
def google_libraries() -> Iterator[None]:
    """Around the import of what talks to Google."""
    try:
        yield
    except ImportError:
        raise SettingsError(
            "Google's client libraries are not installed.", "Install them with: pip install 'personal-data-platform[google]'."
        ) from None
