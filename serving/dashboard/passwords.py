"""Passwords: kept as argon2id hashes only, compared in a time that tells nothing of whether there is one."""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from config.errors import SettingsError, UsageError

SHORTEST, LONGEST = 15, 1024
"""Characters. NIST SP 800-63B-4 §3.1.1.2 asks for 15 where the password is the only factor."""
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$8NqJ6m0B39LR6mGAyAjlBQ$Ul4Bzj8HSzOR+UXFCxiEYjBgg4YrVc+tvAljnjLu9Zs"
"""Of a random password nobody has kept: what is compared when no password is set, as long as a real one takes."""


def hashed(password: str) -> str:
    """The argon2id hash to keep (RFC 9106: 64 MiB, 3 passes, 4 lanes). UsageError for one that is too short or too long."""
    plain = _normal(password)
    if not SHORTEST <= len(plain) <= LONGEST:
        raise UsageError(
            f"The password has {len(plain)} characters; it needs {SHORTEST} to {LONGEST}.", "Four or five random words do well."
        )
    return PasswordHasher().hash(plain)


def right(password: str, kept: str) -> bool:
    """Whether this is the password of the hash; never, for an empty one. Takes some 0.1 s and 64 MiB: one at a time.

    Raises SettingsError for a hash that is none.
    """
    kept = kept.strip()
    try:
        PasswordHasher().verify(kept or _NOBODYS, _normal(password[: LONGEST + 1]))
    except VerifyMismatchError:
        return False
    except (InvalidHashError, VerificationError, UnicodeEncodeError):
        raise SettingsError(
            "DASHBOARD_PASSWORD_HASH is no argon2id hash.",
            "Make one with: python main.py password; in .env put it in single quotes, for its dollar signs.",
        ) from None
    return bool(kept)


def _normal(password: str) -> str:
    """One spelling for letters that can be typed in two ways."""
    return unicodedata.normalize("NFC", password)
