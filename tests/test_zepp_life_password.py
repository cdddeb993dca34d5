"""A new ZEPP_LIFE_PASSWORD makes the exports be read again, whether it comes from the environment or `.env`, and is stored nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.snapshot import node_settings
from config.sources import SOURCES
from pipeline.nodes import nodes


def password(root: Path) -> tuple[str, str]:
    """(what decides whether the node runs, what it is given) as a new process sees them."""
    found = node_settings(str(root), [str(root / "settings.yaml")])
    return found["zepp_life_password_id"], found["zepp_life_password"]


def test_the_password_decides_by_a_digest_that_changes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("ZEPP_LIFE_PASSWORD", raising=False)
    assert password(tmp_path) == ("", "")
    seen = set()
    for text in ("Abc123", "Abc124", "Zażółć"):
        monkeypatch.setenv("ZEPP_LIFE_PASSWORD", text)
        digest, given = password(tmp_path)
        assert (given, len(digest)) == (text, 16)
        assert password(tmp_path) == (digest, text)
        seen.add(digest)
    monkeypatch.delenv("ZEPP_LIFE_PASSWORD")
    (tmp_path / ".env").write_text("ZEPP_LIFE_PASSWORD='Abc123'\n")
    assert password(tmp_path)[0] in seen
    assert len(seen) == 3
    (tmp_path / ".env").unlink()
    assert not any(b"Abc12" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_only_the_step_that_opens_archives_is_given_the_password() -> None:
    given = {node.name for node in nodes(SOURCES) if "zepp_life_password" in (*node.settings, *node.secrets)}
    assert given == {"ingestion.zepp_life.records"}
    (node,) = [node for node in nodes(SOURCES) if node.name in given]
    assert "zepp_life_password" in node.secrets
    assert "zepp_life_password_id" in node.settings
