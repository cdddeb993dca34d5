"""Which encoding a copy of a Mi Fitness table is in: UTF-8, UTF-16, GB 18030, or UTF-8 that some tool turned into UTF-7.

The export itself is UTF-8. Copies saved by a Chinese Windows are GBK; some that passed through a spreadsheet or mail are UTF-7,
recognisable by `+AF8-` for an underscore and `+ACI` for a quote.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK = 1 << 20
_UTF7 = re.compile(rb"\+AF8-|\+AC[IJ]|\+AHs|\+AH0")
"""The UTF-7 spellings of `_`, `"`, `{` and `}`: a table of JSON cells cannot do without them."""
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def table_encoding(file: BinaryIO) -> str:
    """The encoding of a seekable table, read through in bounded memory; UTF-8 when nothing else fits, so that bad rows show."""
    file.seek(0)
    head = file.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if _is_ascii(file):
        return "utf-7" if _has_utf7(file) else "utf-8-sig"
    if _is(file, "utf-8"):
        return "utf-8-sig"
    return "gb18030" if _lines_speak_for_gb18030(file) and _is(file, "gb18030") else "utf-8-sig"


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(_CHUNK):
        yield block


def _is_ascii(file: BinaryIO) -> bool:
    return all(block.isascii() for block in _blocks(file))


def _has_utf7(file: BinaryIO) -> bool:
    tail = b""
    for block in _blocks(file):
        if _UTF7.search(tail + block):
            return True
        tail = block[-4:]
    return False


def _is(file: BinaryIO, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in _blocks(file):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines_speak_for_gb18030(file: BinaryIO) -> bool:
    """Whether most non-ASCII lines are not UTF-8: one stray Latin-1 row must not turn a UTF-8 file Chinese."""
    for_it = against = 0
    file.seek(0)
    while line := file.readline(_CHUNK):
        if not line.isascii():
            try:
                line.decode("utf-8")
                against += 1
            except UnicodeDecodeError:
                for_it += 1
    return for_it > against
