"""Words as people write them: folded so that case, accents, width and composition make no difference, and cut into tokens."""

from __future__ import annotations

import re
import unicodedata

_STROKES = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe", "ʼ": "'", "’": "'"})
_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f\u200b\ufeff]+")
_TOKEN = re.compile(r"[^\W_]+|[σ∑ø]")


def clean(text: str) -> str:
    """The text with every kind of blank as one plain space, none at the ends."""
    return _SPACES.sub(" ", text).strip()


def fold(text: str) -> str:
    """`Tętno ` and `TE̜TNO` alike: compatibility form, case folded, accents off, blanks single."""
    if text.isascii():
        return " ".join(text.lower().split())
    lowered = unicodedata.normalize("NFKC", text).casefold().translate(_STROKES)
    bare = "".join(c for c in unicodedata.normalize("NFD", lowered) if not unicodedata.combining(c))
    return clean(bare)


def tokens(folded: str) -> tuple[str, ...]:
    """The words and numbers of a folded text, in order, without punctuation."""
    return tuple(_TOKEN.findall(folded))


def words(text: str) -> frozenset[str]:
    """A vocabulary written as one text: entries separated by `|`, folded."""
    return frozenset(fold(entry) for entry in text.split("|"))
