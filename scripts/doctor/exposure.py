"""Does anything stand open: the API, the dashboard, secrets or data in git?"""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec

from config.errors import SettingsError
from config.settings import Settings
from scripts.doctor.finding import Findings, Patient, note, ok, problem, warning

_NO_HASH = "DASHBOARD_PASSWORD_HASH is no argon2id hash: nobody can sign in."
_MAKE_HASH = "Make one with: python main.py password; in .env put it in single quotes, for its dollar signs."


def examine(patient: Patient) -> Findings:
    """What would answer others, and what git would hand on."""
    if patient.settings is not None:
        yield from _api(patient.settings)
        yield from _dashboard(patient)
    yield from _git(patient)


def _api(settings: Settings) -> Findings:
    from serving.api.configuration import configuration, is_loopback

    try:
        wanted = configuration(settings)
    except SettingsError as error:
        yield problem(error.what, error.mend)
        return
    if is_loopback(wanted.host):
        yield ok("the API answers this machine only")
        return
    yield note("the API answers the network, to those who have a key", "Put it behind TLS: docs/security.md")
    if wanted.metrics_open:
        yield warning(
            "Metrics are told without a key.",
            "Set METRICS_OPEN=false, or keep the API off the internet.",
        )
    if "*" in wanted.hosts:
        yield warning("The API answers under any name.", "List the names it has in API_ALLOWED_HOSTS.")


def _dashboard(patient: Patient) -> Findings:
    settings = patient.settings
    kept = settings.dashboard_password_hash.get_secret_value().strip() if settings and settings.dashboard_password_hash else ""
    provider = os.path.exists(os.path.join(patient.root, ".streamlit", "secrets.toml"))
    if kept and (not kept.startswith("$argon2id$") or not _is_hash(kept)):
        yield problem(_NO_HASH, _MAKE_HASH)
    elif kept:
        yield ok("the dashboard asks for a password")
    elif settings and settings.dashboard_allowed_users and not provider:
        yield problem(
            "Users of a provider are listed, but no provider is set up.", "Write .streamlit/secrets.toml: docs/dashboard.md"
        )
    elif not kept and not provider:
        yield note(
            "nobody can sign in at the dashboard: it shows the invented person only", "python main.py password makes a sign-in."
        )


def _is_hash(kept: str) -> bool:
    if find_spec("argon2") is None:
        return True
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    try:
        extract_parameters(kept)
    except InvalidHashError:
        return False
    return True


def _git(patient: Patient) -> Findings:
    """In a work tree: `.env` and the data must be nothing git would take along."""
    root = patient.root
    if not os.path.isdir(os.path.join(root, ".git")):
        return
    if _says(root, "ls-files", "--error-unmatch", ".env"):
        yield problem("git keeps .env.", "Take it out (git rm --cached .env), and change every secret in it: history remembers.")
    inside = os.path.realpath(patient.data_dir).startswith(os.path.realpath(root) + os.sep)
    if inside and not _says(root, "check-ignore", "-q", patient.data_dir):
        yield problem("git would take the data directory along.", "Add it to .gitignore, or choose a DATA_DIR outside.")
    elif inside:
        yield ok("git leaves the data and .env alone")


def _says(root: str, *question: str) -> bool:
    try:
        done = subprocess.run(["git", "-C", root, *question], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return question[0] == "check-ignore"  # no git, nothing to take along
    return done.returncode == 0
