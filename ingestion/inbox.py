"""Dropped files → raw artifacts, byte for byte: what every source does with its `inbox/<source>/`.

A file already held with the same bytes is carried over, not copied. What an office program or a file manager leaves beside the
files (locks, thumbnails, unfinished downloads) is left out and counted; a name that could mean another place is refused.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping

from config.stage import File, Finding, Inputs, Outputs, Report

INBOX, RAW = "inbox", "raw"
_LEFT_BEHIND = re.compile(r"~\$.*|\.~lock\..*#|thumbs\.db|desktop\.ini|ehthumbs\.db|icon\r", re.IGNORECASE)
_UNFINISHED = re.compile(r".*\.(?:crdownload|part|partial|download|tmp)", re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^[A-Za-z]:|^/|(?:^|/)\.{0,2}(?:/|$)|[. ](?:/|$)|[\ud800-\udfff]")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.[^/]*)?", re.IGNORECASE)
_LONGEST_PART = 200


def copy_inbox(inputs: Inputs, outputs: Outputs) -> Report:
    """Role `inbox` (dropped files) → collection `raw`; a member is named by its path below `inbox/<source>/`.

    Fates: accepted, unused:left_behind, unused:unfinished, rejected:unsafe_name, rejected:name_collision.
    """
    held = outputs.previous(RAW)
    fates: Counter[str] = Counter()
    findings: list[Finding] = []
    taken: set[str] = set()
    for file in inputs.many(INBOX):
        member = member_name(file.name)
        fate = _judge(member, taken)
        fates[fate] += 1
        if fate == "accepted":
            taken.add(_alike(member))
            _carry(file, member, held, outputs)
        elif fate.startswith("rejected:"):
            reason = fate.partition(":")[2]
            findings.append({"code": reason, "message": _WHY[reason], "count": 1})
    return {
        "rows": {},
        "balance": {"unit": "file", "came": sum(fates.values()), "fates": dict(sorted(fates.items()))},
        "findings": findings,
    }


def member_name(name: str) -> str:
    """`inbox/bp_csv/2025/user1.csv` → `2025/user1.csv`."""
    parts = name.split("/", 2)
    return parts[2] if len(parts) == 3 and parts[0] == INBOX else name


def _judge(member: str, taken: set[str]) -> str:
    fate = fate_of(member)
    return "rejected:name_collision" if fate == "accepted" and _alike(member) in taken else fate


def fate_of(member: str) -> str:
    """What becomes of a file of this name: accepted, unused:left_behind, unused:unfinished, rejected:unsafe_name."""
    parts = member.split("/")
    if any(_LEFT_BEHIND.fullmatch(p) or p == "__MACOSX" or (p.startswith(".") and p.strip(".")) for p in parts):
        return "unused:left_behind"
    if _UNFINISHED.fullmatch(parts[-1]):
        return "unused:unfinished"
    too_long = any(len(p.encode("utf-8", "surrogatepass")) > _LONGEST_PART for p in parts)
    if too_long or _UNSAFE.search(member) or any(_DEVICE.fullmatch(p) for p in parts):
        return "rejected:unsafe_name"
    return "accepted"


def _alike(member: str) -> str:
    """Names that some file systems take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", member).casefold())


def _carry(file: File, member: str, held: Mapping[str, File], outputs: Outputs) -> None:
    if member in held and held[member].sha256 == file.sha256:
        outputs.keep(RAW, member)
        return
    with open(file.path, "rb") as source, outputs.open(RAW, member) as target:
        shutil.copyfileobj(source, target, 1 << 20)


_WHY = {
    "unsafe_name": "A dropped file has a name that not every system can hold; rename it.",
    "name_collision": "Two dropped files have names that differ only in case or accents' coding; rename one.",
}
