"""The calls that brought raw artifacts: taken from real answers over a socket, kept as long as the bytes are the same."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from config.sources import SOURCES
from config.stage import File
from ingestion.calls import Call
from ingestion.google import drive
from ingestion.google_sheets import extract as sheets_extract
from ingestion.mi_fitness import extract as mi_extract
from pipeline import Pipeline
from pipeline.node import Node
from pipeline.nodes import nodes
from scripts.stages import Given
from tests.google_fakes import FOLDER_ID, SHEET_ID, FakeGoogle, fake_google
from tests.stage_bench import StageBench, as_file
from warehouse.bronze.loading.calls import read

REPO = Path(__file__).resolve().parent.parent
SAID = {
    "X-GUploader-UploadID": "upload-{n}",
    "X-RateLimit-Limit": "300",
    "X-RateLimit-Remaining": "299.5",
    "RateLimit-Policy": '"reads";q=60;w=60;pk=:d2hvc2U=:',
    "Retry-After": "7",
    "X-RateLimit-User": "somebody",
    "Set-Cookie": "session=secret",
}
LIMITS = {"x-ratelimit-limit": 300, "x-ratelimit-remaining": 299.5, "ratelimit-policy": '"reads";q=60;w=60', "retry-after": 7}
LOG: list[list[Any]] = [["Date", "Time", "SYS", "DIA", "Pulse"], ["2025-03-01", "07:30", 128, 82, 61]]


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with fake_google() as fake, stamina.set_testing(True, attempts=4, cap=True):
        yield fake


class Fetched:
    """One extraction by the real client libraries: raw artifacts and calls as the stage wrote them, by member name."""

    def __init__(
        self,
        folder: Path,
        google: FakeGoogle,
        source: str,
        before: Fetched | None = None,
        inbox: dict[str, Path] | None = None,
        **settings: Any,
    ) -> None:
        stage = {"google_sheets": sheets_extract.extract, "mi_fitness": mi_extract.extract}[source]
        dropped = [as_file(path, f"inbox/{source}/{name}") for name, path in (inbox or {}).items()]
        previous = {role: before.files(role) for role in ("raw", "calls")} if before else None
        google.requests.clear()
        _, self.out = StageBench(folder / f"{len(list(folder.iterdir()))}").run(
            stage, {"inbox": dropped}, google.settings(**settings), previous
        )
        self.source = source
        self.asked = [path for path, _ in google.requests]

    def files(self, role: str) -> dict[str, File]:
        folder = self.out / role
        paths = sorted(p for p in folder.rglob("*") if p.is_file())
        prefix = f"raw/{self.source}" + (".calls" if role == "calls" else "")
        return {name: as_file(p, f"{prefix}/{name}") for p in paths for name in [p.relative_to(folder).as_posix()]}

    def bytes(self, role: str = "calls") -> dict[str, bytes]:
        return {name: Path(file.path).read_bytes() for name, file in self.files(role).items()}

    def told(self) -> dict[str, dict[str, Any]]:
        return {name: json.loads(data) for name, data in self.bytes().items()}


# ── facts ───────────────────────────────────────────────────────────────────


def test_a_worksheets_call_is_the_one_that_gave_its_cells(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets, google.headers = {"2023": LOG, "2024": LOG}, SAID
    found = Fetched(tmp_path, google, "google_sheets")
    reads = [n for n, path in enumerate(found.asked, 1) if "/values/" in path]
    assert len(reads) == 2
    assert found.told() == {
        f"live/{year}.json.json": {
            "api_version": "v4",
            "endpoint": f"{google.url}/v4/spreadsheets/{{spreadsheetId}}/values/{{range}}",
            "request_id": f"upload-{n}",
            "response_code": 200,
            "rate_limit": LIMITS,
        }
        for year, n in zip(("2023", "2024"), reads, strict=True)
    }


def test_a_drive_files_call_is_its_download(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("file-0123456789", "a.csv", b"one")
    google.headers = SAID
    found = Fetched(tmp_path, google, "mi_fitness")
    (call,) = found.told().values()
    (at,) = [n for n, path in enumerate(found.asked, 1) if "alt=media" in path]
    assert call == {
        "api_version": "v3",
        "endpoint": f"{google.url}/drive/v3/files/{{fileId}}",
        "request_id": f"upload-{at}",
        "response_code": 206,
        "rate_limit": LIMITS,
    }


def test_a_download_in_pieces_has_the_call_of_its_last_piece_and_one_tried_again_the_call_that_went_well(
    tmp_path: Path, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive, "_CHUNK", 1000)
    google.put("a", "a.csv", b"x" * 2500)
    google.fail("alt=media", "status", status=503, skip=2)
    google.headers = SAID
    found = Fetched(tmp_path, google, "mi_fitness")
    (call,) = found.told().values()
    media = [n for n, path in enumerate(found.asked, 1) if "alt=media" in path]
    assert len(media) == 4
    assert (call["response_code"], call["request_id"]) == (206, f"upload-{media[-1]}")


def test_what_the_server_does_not_say_is_null(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets = {"Log": LOG}
    google.put("a", "a.csv", b"one")
    for source in ("google_sheets", "mi_fitness"):
        (call,) = Fetched(tmp_path, google, source).told().values()
        assert (call["request_id"], call["rate_limit"]) == (None, None)
        assert call["api_version"]


def test_a_call_names_no_id_no_person_no_query_and_no_secret(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets, google.headers = {"Log": LOG}, SAID
    google.put("file-0123456789", "a.csv", b"one")
    for source in ("google_sheets", "mi_fitness"):
        (text,) = Fetched(tmp_path, google, source).bytes().values()
        assert json.loads(text)["endpoint"].startswith(google.url + "/")
        for private in (SHEET_ID, FOLDER_ID, "file-0123456789", "token", "robot", "somebody", "secret", "pk=", "?", "Log"):
            assert private.encode() not in text, private


def test_a_call_is_one_canonical_line(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets, google.headers = {"Log": LOG}, SAID
    (text,) = Fetched(tmp_path, google, "google_sheets").bytes().values()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("headers", "request_id", "limits"),
    [
        ({}, None, None),
        ({"x-request-id": " a-1 "}, "a-1", None),
        ({"X-Request-Id": "a-1", "X-GUploader-UploadID": "b"}, "a-1", None),
        ({"X-Request-Id": "a\x00b"}, None, None),
        ({"X-Request-Id": "ż" * 3, "X-Goog-Request-Id": "b"}, "b", None),
        ({"X-Request-Id": "a" * 300}, None, None),
        ({"RateLimit": '"default";r=50;t=30'}, None, {"ratelimit": '"default";r=50;t=30'}),
        ({"Fitbit-Rate-Limit-Remaining": "149"}, None, {"fitbit-rate-limit-remaining": 149}),
        ({"X-ReadRateLimit-Usage": "1,2", "X-ReadRateLimit-Limit": "100,1000"}, None, {"x-readratelimit-limit": "100,1000"}),
        ({"RateLimit-Reset": "1e5", "RateLimit-Limit": "9" * 40}, None, {"ratelimit-reset": "1e5", "ratelimit-limit": "9" * 40}),
        ({"X-RateLimit-Key": "k", "X-Api-Key": "k", "RateLimit-Limit": ""}, None, None),
    ],
)
def test_only_ids_and_limits_are_taken_from_the_headers(
    headers: dict[str, str], request_id: str | None, limits: dict[str, Any] | None
) -> None:
    call = Call.answered("v1", "https://user:password@host.example:8443/v1/{id}?key=k#f", 200, headers)
    assert call == ("v1", "https://host.example:8443/v1/{id}", request_id, 200, limits, None)


# ── the same bytes have the same call ───────────────────────────────────────


def test_cells_that_are_the_same_keep_the_call_that_first_brought_them(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets, google.headers = {"A": LOG, "B": LOG}, {"X-Request-Id": "first"}
    first = Fetched(tmp_path, google, "google_sheets")
    google.headers = {"X-Request-Id": "second"}
    second = Fetched(tmp_path, google, "google_sheets", first)
    assert any("/values/" in path for path in second.asked)
    assert second.bytes() == first.bytes()
    assert second.bytes("raw") == first.bytes("raw")
    google.sheets["B"] = [*LOG, ["2025-03-02", "07:30", 121, 80, 60]]
    third = Fetched(tmp_path, google, "google_sheets", second)
    assert {name: call["request_id"] for name, call in third.told().items()} == {
        "live/A.json.json": "first",
        "live/B.json.json": "second",
    }


@pytest.mark.parametrize("checksums", [("sha256",), ()])
def test_drive_files_that_are_the_same_keep_their_call_fetched_again_or_not(
    tmp_path: Path, google: FakeGoogle, checksums: tuple[str, ...]
) -> None:
    google.put("a", "a.csv", b"one", checksums=checksums)
    google.put("b", "b.csv", b"two", checksums=checksums)
    google.headers = {"X-Request-Id": "first"}
    first = Fetched(tmp_path, google, "mi_fitness")
    google.put("b", "b.csv", b"TWO", checksums=checksums)
    google.headers = {"X-Request-Id": "second"}
    second = Fetched(tmp_path, google, "mi_fitness", first)
    assert sum("alt=media" in path for path in second.asked) == (1 if checksums else 2)
    assert {name: call["request_id"] for name, call in second.told().items()} == {
        "drive/a.csv.json": "first",
        "drive/b.csv.json": "second",
    }


def test_a_raw_artifact_from_before_calls_were_kept_has_none_until_its_bytes_come_again(
    tmp_path: Path, google: FakeGoogle
) -> None:
    google.put("a", "a.csv", b"one")
    google.put("b", "b.csv", b"two", checksums=())
    first = Fetched(tmp_path, google, "mi_fitness")
    for path in (first.out / "calls/drive").iterdir():
        path.unlink()
    assert set(Fetched(tmp_path, google, "mi_fitness", first).told()) == {"drive/b.csv.json"}


def test_a_file_that_is_gone_takes_its_call_along(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"one")
    google.put("b", "b.csv", b"two")
    first = Fetched(tmp_path, google, "mi_fitness")
    google.files.pop("a")
    assert set(Fetched(tmp_path, google, "mi_fitness", first).told()) == {"drive/b.csv.json"}


# ── what no call brought ────────────────────────────────────────────────────


def test_dropped_files_have_no_call(tmp_path: Path, google: FakeGoogle) -> None:
    dropped = tmp_path / "dropped.csv"
    dropped.write_bytes(b"Date,SYS\n")
    google.sheets = {"Log": LOG}
    first = Fetched(tmp_path, google, "google_sheets")
    inbox = {"saved.csv": dropped, "live/Log.json": dropped}
    found = Fetched(tmp_path, google, "google_sheets", first, inbox=inbox)
    assert {"saved.csv", "live/Log.json"} < set(found.bytes("raw"))
    (fetched,) = set(found.bytes("raw")) - set(inbox)
    assert set(found.told()) == {f"{fetched}.json"}


def test_without_a_live_setting_there_is_no_call(tmp_path: Path, google: FakeGoogle) -> None:
    off: dict[str, Any] = {"mi_band_drive_folder_id": "", "google_sheets_bp_id": "", "google_credentials": ""}
    for source in ("google_sheets", "mi_fitness"):
        assert Fetched(tmp_path, google, source, **off).told() == {}


def test_every_source_has_calls_for_its_origins_and_its_bronze_reads_them() -> None:
    dag = {node.name: node for node in nodes(SOURCES)}
    for name in SOURCES:
        made, read_by = dag[f"ingestion.{name}.extract"].outputs, dag[f"bronze.{name}"].inputs
        assert made.get("calls") == read_by.get("calls") == f"raw/{name}.calls/**"
        assert "calls" not in dag[f"ingestion.{name}.records"].inputs


# ── what bronze reads ───────────────────────────────────────────────────────


def test_bronze_finds_a_call_by_the_raw_artifacts_name(tmp_path: Path, google: FakeGoogle) -> None:
    google.folder("sub", "old.calls", FOLDER_ID)
    google.put("a", "a.csv", b"one", parent="sub")
    google.put("b", "b.zip", b"two")
    google.headers = SAID
    found = Fetched(tmp_path, google, "mi_fitness")
    calls = read(Given({"calls": list(found.files("calls").values())}))
    assert (
        set(calls)
        == {f.name for f in found.files("raw").values()}
        == {"raw/mi_fitness/drive/old.calls/a.csv", "raw/mi_fitness/drive/b.zip"}
    )
    call = calls["raw/mi_fitness/drive/b.zip"]
    assert call[:2] == ("v3", f"{google.url}/drive/v3/files/{{fileId}}")
    assert (call.request_id or "").startswith("upload-")
    assert call.response_code == 206
    assert json.loads(call.rate_limit_json or "") == LIMITS


def test_bronze_takes_null_for_what_was_not_said_and_nothing_from_a_source_without_calls(
    tmp_path: Path, google: FakeGoogle
) -> None:
    google.put("a", "a.csv", b"one")
    found = Fetched(tmp_path, google, "mi_fitness")
    (call,) = read(Given({"calls": list(found.files("calls").values())})).values()
    assert (call.request_id, call.rate_limit_json) == (None, None)
    assert read(Given({"calls": []})) == {}
    assert read(Given({"raw": list(found.files("raw").values())})) == {}


# ── through the pipeline ────────────────────────────────────────────────────

READER = """
import json
from warehouse.bronze.loading.calls import read
def run(inputs, outputs, settings):
    with outputs.open("out") as sink:
        sink.write(json.dumps(read(inputs), sort_keys=True).encode())
"""


def test_calls_that_are_the_same_make_no_work_for_who_reads_them(
    tmp_path: Path, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "calls_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    extract, *_ = nodes(["google_sheets"], ["google_sheets"])
    inputs = {"calls": extract.outputs["calls"]}
    reader = Node("reader", "bronze", "calls_reader:run", inputs=inputs, outputs={"out": "calls.json"})
    settings = google.settings()

    def run() -> dict[str, str]:
        pipeline = Pipeline([extract, reader], str(tmp_path / "data"), settings, ("ingestion", "bronze"), code_root=str(REPO))
        done = pipeline.run()
        assert done.status == "succeeded", done.outcomes
        return {o.node: o.action for o in done.outcomes}

    def told() -> dict[str, Any]:
        return {name: call[2] for name, call in json.loads((tmp_path / "data/calls.json").read_text()).items()}

    google.sheets, google.headers = {"Log": LOG}, {"X-Request-Id": "first"}
    assert run() == {extract.name: "ran", "reader": "ran"}
    assert told() == {"raw/google_sheets/live/Log.json": "first"}
    google.headers = {"X-Request-Id": "second"}
    assert run() == {extract.name: "skipped", "reader": "skipped"}
    google.files[SHEET_ID]["version"] = "8"
    assert run() == {extract.name: "ran", "reader": "skipped"}
    google.files[SHEET_ID]["version"] = "9"
    google.sheets["Log"] = [*LOG, ["2025-03-02", "07:30", 121, 80, 60]]
    assert run() == {extract.name: "ran", "reader": "ran"}
    assert told() == {"raw/google_sheets/live/Log.json": "second"}


def test_a_second_run_up_to_the_records_does_nothing(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets, google.headers = {"Log": LOG}, SAID
    export = REPO / "examples/inbox/mi_fitness"
    for number, path in enumerate(sorted(export.iterdir())):
        google.put(f"export-{number}", path.name, path.read_bytes(), mime="application/zip")
    env = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "PG_HOST", "PDP_SETTINGS"}} | {
        "DATA_DIR": str(tmp_path / "data"),
        "TIMEZONE": "Europe/Warsaw",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GOOGLE_API_ENDPOINT": google.url,
        "GOOGLE_SHEETS_BP_ID": SHEET_ID,
        "MI_BAND_DRIVE_FOLDER_ID": FOLDER_ID,
        "GOOGLE_CREDENTIALS_BASE64": base64.b64encode(google.credentials().encode()).decode(),
    }

    def run() -> list[dict[str, Any]]:
        command = [sys.executable, "main.py", "--until-stage", "ingestion", "--strict", "--json"]
        done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])["nodes"]
        return found

    first = run()
    assert {n["action"] for n in first} == {"ran"}
    names = {o["name"] for n in first for o in n["outputs"]}
    calls = {f"raw/mi_fitness.calls/drive/{path.name}.json" for path in export.iterdir()}
    assert names >= {"raw/google_sheets.calls/live/Log.json.json", *calls}
    before = len(google.asked("alt=media"))
    assert {n["action"] for n in run()} == {"skipped"}
    for file in google.files.values():  # an export on Drive is the same file with another version
        file["version"] = "99"
    third = {n["node"]: n["action"] for n in run()}
    assert third["ingestion.google_sheets.extract"] == "ran"
    assert {third[n] for n in third if n.endswith(".records")} == {"skipped"}
    assert len(google.asked("alt=media")) == before
