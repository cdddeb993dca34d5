"""Sealed gold: opened only by its key, only in memory; what is wrong with it is told in a sentence."""

from __future__ import annotations

import base64
import builtins
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from config.errors import PDPError, SettingsError, StoreError
from config.sealing import key_id, key_of, seal, unseal
from config.snapshot import node_settings
from pipeline.files import Files
from pipeline.identity import Identities
from pipeline.nodes import nodes
from scripts import demo
from serving.sealed import open_sealed
from tests.stage_bench import StageBench
from warehouse.gold.seal import sealed, tables

KEY = bytes(range(32))
CANARY = "CANARY-OF-A-PRIVATE-PERSON"
REPO = Path(__file__).resolve().parent.parent


@pytest.fixture
def gold_file(tmp_path: Path) -> Path:
    path = tmp_path / "gold.duckdb"
    with duckdb.connect(str(path)) as gold:
        gold.execute("CREATE TABLE meta AS SELECT false AS synthetic")
        start = "TIMESTAMPTZ '2025-03-01 10:00+02' AS start"
        gold.execute(f"CREATE TABLE notes AS SELECT n, '{CANARY}-' || n AS note, {start} FROM range(200000) AS r(n)")
        gold.execute("CREATE VIEW few AS FROM notes WHERE n < 3")
    return path


def sealed_bytes(gold_file: Path, key: bytes = KEY) -> bytes:
    return seal(tables(str(gold_file))[0], key)


def test_what_was_sealed_comes_back_whole(gold_file: Path) -> None:
    with open_sealed(sealed_bytes(gold_file), KEY) as gold:
        assert gold.synthetic is False
        assert gold.table("SELECT count(*) AS n, min(note) AS a, max(start) AS t FROM notes").astype(str).to_dict("records") == [
            {"n": "200000", "a": f"{CANARY}-0", "t": "2025-03-01 08:00:00+00:00"}
        ]
        assert list(gold.table("SELECT n FROM few ORDER BY n")["n"]) == [0, 1, 2]
        with pytest.raises(duckdb.Error):
            gold.table(f"FROM read_text('{gold_file}')")


def test_the_sealed_bytes_show_nothing_and_differ_each_time(gold_file: Path) -> None:
    one, other = sealed_bytes(gold_file), sealed_bytes(gold_file)
    assert CANARY.encode() not in one
    assert KEY not in one
    assert b"PAR1" not in one
    assert one != other


def test_another_key_is_named_as_such(gold_file: Path) -> None:
    with pytest.raises(SettingsError, match="not the key this file was sealed with"):
        open_sealed(sealed_bytes(gold_file), bytes(32))


def test_every_damaged_byte_is_noticed() -> None:
    blob = seal({"a": b"some rows", "b": b""}, KEY)
    assert unseal(blob, KEY) == {"a": b"some rows", "b": b""}
    for at in range(len(blob)):
        damaged = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        with pytest.raises(PDPError):
            unseal(damaged, KEY)
    for length in range(len(blob)):
        with pytest.raises(StoreError):
            unseal(blob[:length], KEY)


def test_a_header_that_lies_about_its_key_is_damage() -> None:
    blob = seal({"a": b"rows"}, KEY)
    forged = blob[:9] + bytes.fromhex(key_id(bytes(32))) + blob[17:]
    with pytest.raises(StoreError, match="damaged or has been changed"):
        unseal(forged, bytes(32))


@pytest.mark.parametrize(
    "text", [KEY.hex(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode(), f" {KEY.hex().upper()}\n"]
)
def test_a_key_may_be_hex_or_base64(text: str) -> None:
    assert key_of(text) == KEY


@pytest.mark.parametrize("text", ["", "secret-of-mine", KEY.hex()[:-2], base64.b64encode(KEY + b"x").decode(), "é" * 32])
def test_what_is_no_key_is_told_without_showing_it(text: str) -> None:
    with pytest.raises(SettingsError, match="32 bytes in base64 or hex") as caught:
        key_of(text)
    assert not text or text not in str(caught.value)


def test_opening_writes_no_file_anywhere(gold_file: Path, tmp_path: Path) -> None:
    """Nothing is opened for writing, nothing stays open, nothing is left where temporary files go."""
    blob = tmp_path / "gold.sealed"
    blob.write_bytes(sealed_bytes(gold_file))
    code = f"""
import os, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" and (args[2] or 0) & 3 else None)
from serving.sealed import open_sealed
gold = open_sealed(open({str(blob)!r}, "rb").read(), bytes(range(32)))
gold.table("SELECT note, count(*) OVER (ORDER BY note DESC) AS c FROM notes")
held = [os.path.realpath(f"/proc/self/fd/{{n}}") for n in os.listdir("/proc/self/fd")]
print(opened, [name for name in held if os.path.isfile(name) and not name.startswith("/proc")])
"""
    home = tmp_path / "home"
    home.mkdir()
    env = os.environ | {"TMPDIR": str(home), "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", code], cwd=home, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []", done.stdout
    assert list(home.rglob("*")) == []


def test_the_stage_seals_what_gold_holds(gold_file: Path, tmp_path: Path) -> None:
    report, out = StageBench(tmp_path).run(sealed, {"gold": gold_file}, {"state_key": KEY.hex(), "state_key_id": key_id(KEY)})
    assert report["rows"] == {"sealed": 200_004}
    with open_sealed((out / "sealed").read_bytes(), KEY) as gold:
        assert len(gold.table("FROM few")) == 3


def test_the_node_exists_only_with_a_key_and_runs_again_with_another() -> None:
    (node,) = (node for node in nodes(["bp_csv"], sealed=True) if node.name == "gold.sealed")
    assert node.outputs == {"sealed": "gold/gold.sealed"}
    assert "state_key_id" in node.settings
    assert "state_key" in node.secrets
    assert "gold.sealed" not in {node.name for node in nodes(["bp_csv"])}


def test_a_new_key_is_a_new_setting_and_the_key_itself_is_kept_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    seen = []
    for key in (KEY, KEY, bytes(32)):
        monkeypatch.setenv("STATE_KEY", key.hex())
        found = node_settings(str(tmp_path), [])
        seen.append((found["state_key_id"], found["state_key"]))
    assert seen == [(key_id(k), k.hex()) for k in (KEY, KEY, bytes(32))]
    assert not [p for p in (tmp_path / "data").rglob("*") if KEY.hex() in p.read_text()]
    monkeypatch.delenv("STATE_KEY")
    assert node_settings(str(tmp_path), [])["state_key_id"] == ""
    monkeypatch.setenv("STATE_KEY", "no key")
    with pytest.raises(SettingsError, match="STATE_KEY"):
        node_settings(str(tmp_path), [])


def test_without_the_package_that_encrypts_a_person_reads_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match="pip install cryptography"):
        seal({}, KEY)


def test_the_pipeline_seals_anew_for_another_key_and_only_then(tmp_path: Path) -> None:
    def run(key: bytes) -> tuple[str, bytes]:
        """What became of the node, and the file it left."""
        made = demo.project(str(tmp_path), bronze=False, state_key=key.hex())
        (outcome,) = (o for o in made.pipeline.run(made.selection()).outcomes if o.node == "gold.sealed")
        assert outcome.error is None, outcome.details
        return outcome.action, (tmp_path / "gold" / "gold.sealed").read_bytes()

    action, first = run(KEY)
    assert action == "ran"
    with open_sealed(first, KEY) as gold:
        assert gold.table("SELECT count(*) AS n FROM daily")["n"][0] == 365
    assert run(KEY) == ("skipped", first)
    action, second = run(bytes(32))
    assert action == "ran"
    with pytest.raises(SettingsError):
        open_sealed(second, KEY)
    assert run(KEY) == ("restored", first)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.hex().encode() in path.read_bytes()]


def test_the_code_that_seals_can_be_followed_and_imports_nothing_dear(tmp_path: Path) -> None:
    (node,) = (node for node in nodes(["bp_csv"], sealed=True) if node.name == "gold.sealed")
    identities = Identities(None, Files(None, str(tmp_path)), str(REPO), {"state_key_id": ""})
    assert list(identities.of(node).warnings) == []
    code = "import sys, warehouse.gold.seal; print([m for m in ('duckdb', 'pyarrow', 'cryptography') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True).stdout == "[]\n"
