"""Which column of a table means what: recognised by the words of its header, in five languages, never by its values."""

from __future__ import annotations

from collections.abc import Sequence

from config.metrics import METRICS
from ingestion.words import fold, tokens

TIMES = ("occurred_at", "created_at", "updated_at")
"""Fields that hold a moment."""

_TABLE = """
id           id sourceid eventid recordid rowid externalid entryid itemid identifier uuid guid key nr numer number nummer numero
name         name title subject label item activity task nazwa tytul titel bezeichnung nom titre nombre titulo
value        value amount quantity result reading measurement wartosc ilosc wynik wert betrag valeur montant valor cantidad
unit         unit units uom unitofmeasure jednostka einheit unite unidad
metric       metric metricname measure parameter type kind typ rodzaj art messgrosse mesure tipo
description  description desc body text note notes comment comments details remark remarks opis uwagi notatka beschreibung notiz
description  bemerkung remarque descripcion notas comentario
occurred_at  timestamp datetime occurredat occurred measuredat recordedat tsutc ts when starttime startedat start dateandtime date
occurred_at  day data dataigodzina dzien datum zeitstempel zeitpunkt horodatage fecha fechahora
clock        time timeofday hour czas godzina uhrzeit zeit heure hora
created_at   createdat created creationdate datecreated createdon createdtime utworzono erstelltam creele creado
updated_at   updatedat updated modifiedat modified lastmodified dateupdated datemodified updatedon modifiedon lastupdated at
updated_at   zmieniono geandertam modifiele actualizado
deleted      deleted deletedat isdeleted removed usunieto geloscht supprime eliminado
device       device devicename sensor urzadzenie gerat appareil dispositivo
"""


def _vocabulary() -> dict[str, list[str]]:
    words: dict[str, list[str]] = {metric: [metric.replace("_", "")] for metric in METRICS}
    for line in _TABLE.strip().splitlines():
        field, *said = line.split()
        words.setdefault(field, []).extend(said)
    return words


_WORDS = _vocabulary()
"""Field → the words it goes by, the likeliest first, folded and without blanks, `_` and `-`. A metric's column goes by its name."""


def meanings(header: Sequence[str]) -> dict[str, int]:
    """Field → its column; of several that could be it the one with the likelier word, then the first."""
    places: dict[str, int] = {}
    for index, name in enumerate(header):
        places.setdefault("".join(tokens(fold(name))), index)
    found = {field: next((places[word] for word in words if word in places), None) for field, words in _WORDS.items()}
    known = {field: index for field, index in found.items() if index is not None}
    if "occurred_at" not in known and "clock" in known:  # a column called `time` alone says when
        known["occurred_at"] = known["clock"]
    if known.get("clock") == known.get("occurred_at"):
        known.pop("clock", None)
    return known
