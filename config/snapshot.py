"""The settings as nodes see them, without validating them again when nothing that decides them has changed.

A run with nothing to do must not pay for importing a validation library. What was validated last time is kept beside the registry
(0600, no secrets); it is believed only while the environment, `.env`, the YAML files and the code of `config/` are byte for byte or
stamp for stamp what they were. Deleting it costs time, never correctness.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from config import VERSION
from config.sources import DECLARED, MISNAMED, SOURCES

_CODE = (
    "settings.py",
    "addresses.py",
    "alerting.py",
    "declared.py",
    "mapping.py",
    "mapping_models.py",
    "metrics.py",
    "origins.py",
    "remotes.py",
    "rest.py",
    "rest_files.py",
    "rest_parts.py",
    "sealing.py",
    "sources.py",
    "table_rows.py",
    "timezones.py",
    "units.py",
    "wrong_settings.py",
    "yaml_file.py",
)


class NodeSettings(Mapping[str, Any]):
    """Name → plain value. Secrets are looked up only when a node that declares them runs."""

    def __init__(
        self,
        plain: Mapping[str, Any],
        unset: list[str],
        load_secrets: Callable[[], Mapping[str, str]],
        load_all: Callable[[], Any] = lambda: None,
    ) -> None:
        self.plain = dict(plain)
        self._unset = unset
        self._load_secrets = load_secrets
        self._load_all = load_all
        self._secrets: Mapping[str, str] | None = None

    def whole(self) -> Any:
        """`config.settings.Settings`: with the secrets and all that no node declares, validated anew; for what serves and watches."""
        return self._load_all()

    def __getitem__(self, name: str) -> Any:
        if name in self.plain:
            return self.plain[name]
        if name not in SECRETS:
            raise KeyError(name)
        if name in self._unset:
            return ""
        if self._secrets is None:
            self._secrets = self._load_secrets()
        return self._secrets[name]

    def __contains__(self, name: object) -> bool:
        return name in self.plain or name in SECRETS

    def __iter__(self) -> Iterator[str]:
        yield from (*self.plain, *SECRETS)

    def __len__(self) -> int:
        return len(self.plain) + len(SECRETS)


SECRETS = (
    "google_credentials",
    "object_stores",
    "zepp_life_password",
    "database",
    "openlineage_api_key",
    "state_key",
    "alert_webhook_url",
    "alert_webhook_header",
    "alert_email_password",
    *(f"tokens_{name}" for name in SOURCES),
)


def node_settings(root: str, yaml_files: list[str]) -> NodeSettings:
    """The settings of the project at `root`; raises SettingsError when one is wrong."""
    env_file = os.path.join(root, ".env")
    watched = [env_file, *yaml_files]

    def load() -> Any:
        from pathlib import Path

        from config import settings

        return settings.load([Path(f) for f in yaml_files], Path(env_file))

    def load_secrets() -> Mapping[str, str]:
        from config import settings

        return settings.secrets(load())

    found = _remembered(root, watched)
    if found is None:
        from config import settings

        loaded = load()
        plain = settings.for_nodes(loaded)
        plain["data_dir"] = os.path.abspath(os.path.join(root, plain["data_dir"]))
        found = (plain, [name for name, value in settings.secrets(loaded).items() if not value])
        _remember(root, watched, *found, _names(settings.Settings, loaded.declared().variables()))
    return NodeSettings({**found[0], "pipeline_version": VERSION}, found[1], load_secrets, load)


def _names(model: Any, tokens: list[str]) -> list[list[Any]]:
    """[variable, is it a secret] of every setting, and of every secret that a source declares for itself."""
    own = [[name.upper(), "Secret" in str(field.annotation)] for name, field in model.model_fields.items()]
    return sorted(own + [[name, True] for name in tokens])


def _remembered(root: str, watched: list[str]) -> tuple[dict[str, Any], list[str]] | None:
    try:
        with open(_path(root, watched), encoding="utf-8") as file:
            kept = json.load(file)
        return (kept["plain"], kept["unset"]) if kept["key"] == _key(root, watched, kept["names"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(root: str, watched: list[str], plain: dict[str, Any], unset: list[str], names: list[list[Any]]) -> None:
    path = _path(root, watched)
    if os.path.dirname(path) != plain["data_dir"] or not os.path.isdir(plain["data_dir"]):  # who only reads makes no folder
        return
    text = json.dumps({"key": _key(root, watched, names), "names": names, "plain": plain, "unset": unset})
    with contextlib.suppress(OSError):  # a cache: torn or missing, it is not believed
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


def _path(root: str, watched: list[str]) -> str:
    """Beside the registry, if DATA_DIR is where the environment or `.env` says; one per set of files."""
    folder = os.environ.get("DATA_DIR") or _from_env_file(os.path.join(root, ".env")) or "data"
    files = hashlib.sha256("\0".join(os.path.relpath(f, root) for f in watched).encode()).hexdigest()[:8]
    return os.path.join(os.path.abspath(os.path.join(root, folder)), f".settings-{files}.json")


def _from_env_file(path: str, wanted: str = "DATA_DIR") -> str | None:
    for line in _bytes(path).decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip().upper() == wanted:
            return value.strip().strip("'\"")
    return None


def _key(root: str, watched: list[str], names: list[list[Any]]) -> str:
    """What the settings are made of: public variables, which secrets are set, the files' bytes, the code's stamps."""
    folder = os.path.dirname(os.path.abspath(__file__))
    folded = {name.upper(): value for name, value in os.environ.items()}
    seen: list[Any] = [[name, bool(folded.get(name)) if secret else folded.get(name)] for name, secret in names]
    for name in ("STATE_KEY", "ZEPP_LIFE_PASSWORD"):  # another key is another `state_key_id`
        seen += [hashlib.sha256(folded.get(name, "").encode()).hexdigest()]
    key_file = folded.get("STATE_KEY_FILE") or _from_env_file(os.path.join(root, ".env"), "STATE_KEY_FILE") or ""
    seen.append(hashlib.sha256(_bytes(os.path.expanduser(key_file)) if key_file else b"").hexdigest())
    seen += [[os.path.relpath(f, root), hashlib.sha256(_bytes(f)).hexdigest()] for f in watched]
    declared = [[name, hashlib.sha256(_bytes(path)).hexdigest()] for name, path in DECLARED.items()]
    seen += [[os.path.relpath(path, root) for path in DECLARED.values()], declared, MISNAMED]
    for name in _CODE:
        stamp = os.stat(os.path.join(folder, name))
        seen.append([name, stamp.st_size, stamp.st_mtime_ns, stamp.st_ctime_ns])
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
