"""Are the settings right, and do the variables mean what their writer thinks?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from scripts.doctor.finding import Finding, Findings, Patient, ok, warning

_LIKE_OURS = 0.86
"""How alike an unknown variable is to one of ours before we take it for a slip of the pen."""
_OTHERS = ("AWS_", "AZURE_", "PG", "PYTHON", "OTEL_", "STREAMLIT_")
"""Variables that begin so are other programs', too."""


def examine(patient: Patient) -> Findings:
    """Wrong values, misspelt names, secrets in the wrong file, a time zone nobody has set."""
    if patient.wrong:
        yield patient.wrong
    yield from _misspelt(patient)
    settings = patient.settings
    if settings is None:
        return
    yield ok("every setting is well formed")
    if "timezone" not in settings.model_fields_set:
        yield warning("No time zone is set: a reading counts for its day in UTC.", "Set TIMEZONE, such as Europe/Warsaw.")
    yield from _secrets_in_yaml(patient)


def _misspelt(patient: Patient) -> Findings:
    from difflib import get_close_matches

    from config.settings import Settings

    known = {name.upper() for name in Settings.model_fields} | {"PDP_SETTINGS"}
    for name in sorted({*os.environ, *_named_in(os.path.join(patient.root, ".env"))}):
        if name.upper() in known or name.upper().startswith(_OTHERS) or len(name) < 6:
            continue
        if close := get_close_matches(name.upper(), known, 1, _LIKE_OURS):
            yield warning(f"The variable {name} is nobody's.", f"Did you mean {close[0]}?")


def _named_in(env_file: str) -> Iterator[str]:
    try:
        with open(env_file, encoding="utf-8", errors="replace") as file:
            for line in file:
                if found := re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=", line):
                    yield found[1]
    except OSError:
        return


def _secrets_in_yaml(patient: Patient) -> Iterator[Finding]:
    """`settings.yaml` is made to be shown and committed."""
    from config.settings import Settings

    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    path = os.environ.get("PDP_SETTINGS") or os.path.join(patient.root, "config", "settings.yaml")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            held = sorted({found[1] for line in file if (found := re.match(r"(\w+)\s*:\s*\S", line)) and found[1] in secret})
    except OSError:
        return
    for name in held:
        yield warning(
            f"The secret {name} is in a settings file that is made to be shared.", f"Move it to .env as {name.upper()}."
        )
