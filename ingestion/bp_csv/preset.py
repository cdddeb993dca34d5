"""A preset read from settings or from the shipped ones: checked once, with errors a person can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.errors import SettingsError
from ingestion.bp_csv.presets import GENERIC, SHIPPED
from ingestion.words import fold

WHEN = ("timestamp_ms", "timestamp_s", "datetime", "date")
FIELDS = (*WHEN, "time", "systolic", "diastolic", "pressure", "pulse", "note", "irregular", "movement", "user")
_KEYS: dict[str, tuple[type, str]] = {
    "columns": (dict, "{systolic: [Sys], diastolic: [Dia], date: [Datum]}"),
    "requires": (list, "[TruRead]"),
    "delimiter": (str, '";"'),
    "padded": (bool, "true"),
    "encoding": (str, "cp1252"),
    "decimal": (str, '","'),
    "date_formats": (list, '["%d.%m.%Y"]'),
    "time_formats": (list, '["%H:%M"]'),
    "unit": (str, "kPa"),
    "na": (list, '["-"]'),
    "own_user": (str, '"1"'),
    "user_in_name": (str, "'user(\\d+)'"),
}
_CHOICES: dict[str, tuple[str, ...]] = {"delimiter": (",", ";", "\t"), "decimal": (".", ","), "unit": ("mmHg", "kPa")}
_ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "cp1250",
    "cp1251",
    "cp1252",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "mac_roman",
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Preset(NamedTuple):
    """One layout; `presets` explains the keys."""

    name: str
    columns: dict[str, frozenset[str]]
    """Field → folded header names."""
    requires: frozenset[str]
    delimiter: str | None = None
    padded: bool = False
    encoding: str = "utf-8"
    decimal: str | None = None
    date_formats: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ()
    unit: str | None = None
    na: frozenset[str] = frozenset()
    own_user: str | None = None
    user_in_name: str | None = None


def shipped() -> list[Preset]:
    """The layouts PDP knows, but for the generic one."""
    return [read_preset(name, given) for name, given in SHIPPED.items()]


def own(settings: Mapping[str, Any]) -> list[Preset]:
    """The person's own presets out of `bp_csv_presets`; a SettingsError names the key that is wrong."""
    return [read_preset(str(name), given) for name, given in settings.items()]


def generic() -> Preset:
    """The layout of a table read by its header words alone."""
    return Preset(GENERIC, {}, frozenset(), own_user="1")


def read_preset(name: str, given: Any) -> Preset:
    """A preset out of plain data. SettingsError: names the key, what it must be and an example."""
    where = f"bp_csv_presets.{name[:60]}"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{where} is no name for a preset.", "Use small letters, digits and _, such as my_cuff.")
    if not isinstance(given, Mapping):
        raise SettingsError(f"{where} must be a mapping.", "For example my_cuff: {columns: {…}}.")
    for key, value in given.items():
        _check(where, str(key), value)
    columns = _columns(where, given.get("columns", {}))
    return Preset(
        name=name,
        columns=columns,
        requires=frozenset(fold(header) for header in given.get("requires", ())),
        na=frozenset(fold(word) for word in given.get("na", ())),
        date_formats=tuple(given.get("date_formats", ())),
        time_formats=tuple(given.get("time_formats", ())),
        **{k: given[k] for k in _PLAIN if k in given},
    )


_PLAIN = ("delimiter", "padded", "encoding", "decimal", "unit", "own_user", "user_in_name")


def _check(where: str, key: str, value: Any) -> None:
    if key not in _KEYS:
        raise SettingsError(f"{where} has no key {key[:40]!r}.", f"Known keys: {', '.join(_KEYS)}.")
    kind, example = _KEYS[key]
    texts = value if isinstance(value, list) else []
    if not isinstance(value, kind) or not all(isinstance(text, str) for text in texts):
        wanted = "a list of texts" if kind is list else {str: "a text", bool: "true or false", dict: "a mapping"}[kind]
        raise SettingsError(f"{where}.{key} must be {wanted}, not {type(value).__name__}.", f"For example {key}: {example}.")
    _check_value(where, key, value, example)


def _check_value(where: str, key: str, value: Any, example: str) -> None:
    if key in _CHOICES and value not in _CHOICES[key]:
        choices = ", ".join(repr(c) for c in _CHOICES[key])
        raise SettingsError(f"{where}.{key} must be one of {choices}.", f"For example {key}: {example}.")
    if key == "encoding" and value.lower() not in _ENCODINGS:
        raise SettingsError(f"{where}.encoding is not known.", f"Known encodings: {', '.join(_ENCODINGS)}.")
    if key == "user_in_name" and not _is_pattern(value):
        raise SettingsError(f"{where}.{key} must be a regular expression with one group.", f"For example {key}: {example}.")


def _columns(where: str, given: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    for field, names in given.items():
        if field not in FIELDS:
            raise SettingsError(f"{where}.columns has no field {str(field)[:40]!r}.", f"Known fields: {', '.join(FIELDS)}.")
        if not isinstance(names, list) or not names or not all(isinstance(n, str) and n.strip() for n in names):
            raise SettingsError(
                f"{where}.columns.{field} must be a list of header names.", f"For example {field}: [{field.title()}]."
            )
    if not any(field in given for field in WHEN):
        raise SettingsError(f"{where}.columns does not say where the time is.", f"Name one of {', '.join(WHEN)}.")
    if not ({"systolic", "diastolic"} <= given.keys() or "pressure" in given):
        raise SettingsError(f"{where}.columns does not say where the values are.", "Name systolic and diastolic, or pressure.")
    return {str(field): frozenset(fold(n) for n in names) for field, names in given.items()}


def _is_pattern(text: str) -> bool:
    try:
        return re.compile(text).groups == 1
    except re.error:
        return False
