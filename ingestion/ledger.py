"""What a `records` step remembers of millions of records: fixed-width rows under the digest of a key, in ten bytes a row and its value.

The rows lie in 65,536 buckets, byte strings by the first two bytes of the digest; eight more tell the keys of a bucket apart. So two of
ten million keys are taken for one with a probability of one in ten billion.
"""

from __future__ import annotations

_BUCKET, _KEY = 2, 10


class Ledger:
    """Digest → value of `width` bytes."""

    def __init__(self, width: int) -> None:
        self._row = _KEY - _BUCKET + width
        self._buckets: dict[bytes, bytearray] = {}

    def swap(self, digest: bytes, value: bytes) -> bytes | None:
        """Put a value down; gives the one that stood there, None at first."""
        bucket = self._buckets.setdefault(digest[:_BUCKET], bytearray())
        at = self._at(bucket, digest)
        if at < 0:
            bucket += digest[_BUCKET:_KEY] + value
            return None
        begin = at + _KEY - _BUCKET
        known = bytes(bucket[begin : at + self._row])
        bucket[begin : at + self._row] = value
        return known

    def get(self, digest: bytes) -> bytes | None:
        """The value that stands under a digest."""
        bucket = self._buckets.get(digest[:_BUCKET], b"")
        at = self._at(bucket, digest)
        return None if at < 0 else bytes(bucket[at + _KEY - _BUCKET : at + self._row])

    def _at(self, bucket: bytes | bytearray, digest: bytes) -> int:
        key = digest[_BUCKET:_KEY]
        at = bucket.find(key)
        while at > 0 and at % self._row:  # across two rows it is no key
            at = bucket.find(key, at + 1)
        return at
