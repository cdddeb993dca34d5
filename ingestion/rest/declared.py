"""REST sources declared in YAML: their nodes carry the whole declaration as the setting `rest_<name>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.rest import RestDeclaration
from config.stage import Inputs, Outputs, Report
from ingestion.rest import RestSource


class Declared(RestSource):
    """Whatever the settings hold."""

    @classmethod
    def declaration(cls, settings: Mapping[str, Any]) -> RestDeclaration:
        return RestDeclaration.model_validate(next(settings[name] for name in settings if name.startswith("rest_")))


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """As `RestSource.extract`."""
    return Declared.extract(inputs, outputs, settings)


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """As `RestSource.records`."""
    return Declared.records(inputs, outputs, settings)


def fingerprint(settings: Mapping[str, Any]) -> None:
    """As `RestSource.fingerprint`: looked at in every run."""
    return Declared.fingerprint(settings)


def check(settings: Mapping[str, Any]) -> list[str]:
    """As `RestSource.check`."""
    return Declared.check(settings)


def discover(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """As `RestSource.discover`."""
    return Declared.discover(settings)
