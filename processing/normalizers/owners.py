"""Whose a record is, where one source holds several people: the users of a cuff, the accounts of a band, the names in a shared log.

Other people's rows stay in the raw artifacts and in bronze as they were received. They become no readings, and no export hands
them out unless it is asked to.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from config.stage import Finding
from config.tables import read_batches

Record = Mapping[str, Any]
OTHER = "other_user"
"""Why a record of somebody else gives no reading."""


def mine(source: str, records: str, own_users: Mapping[str, Sequence[str]]) -> Callable[[Record], bool]:
    """Tells a person's own records of a source from those of others; a record that names nobody is the person's own.

    `records`: path of the source's records table. Who is meant says the setting `own_users`, else the preset of the file (a cuff's
    first user), else whoever has the most records.
    """
    owner, same = _OWNER.get(source), _slot if source in _CUFFS else _folded
    if owner is None:
        return lambda raw: True  # noqa: ARG005  nobody else can be in it
    named = {same(name) for name in own_users.get(source, ())}
    if source == "google_sheets" and named & _groups(records):  # a person's columns side by side: Anna | Jan over SYS, DIA
        return lambda raw: raw.get("slot") is not None or not raw.get("group") or _folded(raw["group"]) in named
    usual = named or (set() if source in _CUFFS else _most_frequent(source, records, owner))
    known: dict[tuple[str, str | None], bool] = {}

    def own(raw: Record) -> bool:
        who, preset = owner(raw), raw.get("ownUser")
        if who is None:
            return True
        if (who, preset) not in known:
            wanted = usual or ({same(preset)} if preset is not None else set())
            known[who, preset] = not wanted or same(who) in wanted
        return known[who, preset]

    return own


def guessed(source: str, own_users: Mapping[str, Sequence[str]], others: int) -> list[Finding]:
    """What a person should know when others were told apart without being asked."""
    if not others or own_users.get(source):
        return []
    return [{"code": "other_people", "message": _OTHER_PEOPLE, "count": others}]


def _most_frequent(source: str, records: str, owner: Callable[[Record], str | None]) -> set[str]:
    """The owner of most records, in a set; of equally many the first by name. Empty when no record names one."""
    counts: Counter[str] = Counter()
    for batch in read_batches(records, ["raw"]):
        quick = _QUICK.get(source)
        if quick:
            found = pc.struct_field(pc.extract_regex(batch.column("raw"), quick), "owner").to_pylist()
        else:
            found = [owner(json.loads(text)) for text in batch.column("raw").to_pylist()]
        counts.update(_folded(who) for who in found if who)
    return {min(counts, key=lambda who: (-counts[who], who))} if counts else set()


def _groups(records: str) -> set[str]:
    """The names over groups of columns that are no part of the day."""
    raws = (json.loads(text) for batch in read_batches(records, ["raw"]) for text in batch.column("raw").to_pylist())
    return {_folded(raw["group"]) for raw in raws if raw.get("group") and raw.get("slot") is None}


def _user_of_cuff(raw: Record) -> str | None:
    return str(raw["fields"].get("user", "")).strip() or None


def _account_of_band(raw: Record) -> str | None:
    return str(raw.get("Uid") or raw.get("uid") or "") or None


def _account_of_app(raw: Record) -> str | None:
    return str(raw.get("account") or "") or None


def _account_of_garmin(raw: Record) -> str | None:
    return str(raw.get("userProfilePK") or "") or None


def _user_of_event(raw: Record) -> str | None:
    return str(raw.get("user") or "") or None


def _user_of_row(raw: Record) -> str | None:
    return str(raw.get("row", {}).get("user") or "") or None


def _name_in_log(raw: Record) -> str | None:
    """What the column says that asks who was measured."""
    return (
        next((str(cell).strip() for name, cell in raw.get("other", {}).items() if _folded(name) in _WHO and cell), None) or None
    )


def _slot(name: str) -> str:
    """A cuff's user: `User 2` and `2` are the same."""
    digits = re.findall(r"\d+", name)
    return digits[0].lstrip("0") if len(digits) == 1 else name.strip().casefold()


def _folded(text: str) -> str:
    """A name whatever its case, accents and blanks."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


_OTHER_PEOPLE = "Records of other people were left out; say in own_users which user or account is you."
_OWNER: Mapping[str, Callable[[Record], str | None]] = {
    "bp_csv": _user_of_cuff,
    "omron": _user_of_cuff,
    "zepp_life": _account_of_app,
    "mi_fitness": _account_of_band,
    "google_sheets": _name_in_log,
    "garmin": _account_of_garmin,
    "s3_events": _user_of_event,
    "kinesis": _user_of_event,
    "cdc": _user_of_row,
}
_CUFFS = ("bp_csv", "omron")
"""Where users are the numbers of a cuff's memory, and the first is meant unless somebody says otherwise."""
_QUICK = {
    "mi_fitness": r'"[Uu]id":"(?P<owner>[^"\\]+)"',
    "zepp_life": r'"account":"(?P<owner>[^"\\]+)"',
    "garmin": r'"userProfilePK":(?P<owner>[0-9]+)',
}
"""Where records are many: how their owner is found without reading them as JSON, good enough to count by."""
_PERSON = (
    "person|who|name|user|member|family member|patient|osoba|kto|imię|imię i nazwisko|użytkownik|pacjent|wer|benutzer|nutzer"
    "|qui|personne|nom|prénom|utilisateur|quién|persona|nombre|usuario|paciente|nome|chi|utente|paziente|pessoa|quem|utilizador"
    "|кто|имя|пациент|пользователь|хто|ім'я|пацієнт|користувач|wie|naam|gebruiker|kdo|jméno|uživatel|pacient"
)
_WHO = frozenset(_folded(word) for word in _PERSON.split("|"))
"""Headers, folded, of a column that says who was measured."""
