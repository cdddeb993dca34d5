"""Exports that lie elsewhere: web addresses, object stores and Drive folders as origins of any source, over a real server each."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.errors import PDPError, SettingsError, SourceDenied, SourceUnavailable
from config.origins import origin
from config.sources import SOURCES, is_live
from config.stage import File, Report
from ingestion.bp_csv import check as bp_check
from ingestion.bp_csv import extract as bp_extract
from ingestion.origins import guard
from pipeline.nodes import nodes
from tests.cli_bench import CSV, Cli
from tests.google_fakes import FOLDER_ID, fake_google
from tests.s3_bench import s3_server
from tests.stage_bench import StageBench, as_file

CONTENT = b"Date,SYS,DIA\n2025-03-01 08:00,120,80\n" * 3_000


@dataclass
class FakeWeb:
    """One file behind an address, with the faults a server has."""

    url: str = ""
    content: bytes = CONTENT
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"v1"'})
    drop_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers to GET break off."""
    statuses: list[int] = field(default_factory=list)
    """Answered before anything else, one a request."""
    redirect: str = ""
    no_head: bool = False
    change_on_drop: bytes = b""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(method, Range) of every request."""

    @property
    def downloads(self) -> int:
        return sum(method == "GET" and range_ != "bytes=0-0" for method, range_ in self.asked)


def _answer(fake: FakeWeb, request: BaseHTTPRequestHandler) -> None:
    asked = request.headers.get("Range", "")
    fake.asked.append((request.command, asked))
    if fake.statuses:
        request.send_response(fake.statuses.pop(0))
        request.send_header("Retry-After", "0")
        request.end_headers()
        return
    if fake.redirect and request.path != "/export.csv":
        request.send_response(302)
        request.send_header("Location", fake.redirect)
        request.end_headers()
        return
    if fake.no_head and request.command == "HEAD":
        request.send_response(405)
        request.end_headers()
        return
    content, begin = fake.content, 0
    tag = fake.headers.get("ETag", "")
    if asked and request.headers.get("If-Range", tag) == tag:
        first, _, last = asked.removeprefix("bytes=").partition("-")
        begin = int(first)
        content = content[begin : int(last) + 1 if last else None]
    request.send_response(206 if asked and request.headers.get("If-Range", tag) == tag else 200)
    if begin or asked == "bytes=0-0":
        request.send_header("Content-Range", f"bytes {begin}-{begin + len(content) - 1}/{len(fake.content)}")
    for name, value in fake.headers.items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    if request.command == "HEAD":
        return
    if fake.drop_after and asked != "bytes=0-0":
        content = content[: fake.drop_after.pop(0)]
        if fake.change_on_drop:
            fake.content, fake.headers = fake.change_on_drop, {"ETag": '"v2"'}
    request.wfile.write(content)


@pytest.fixture
def web() -> Iterator[FakeWeb]:
    fake = FakeWeb()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(fake, self)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/export.csv"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


class Brought:
    """One extraction of bp_csv: its report and what it wrote."""

    def __init__(self, tmp_path: Path, settings: dict[str, Any], previous: Brought | None = None) -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        held = {role: previous.files(role) for role in ("raw", "calls")} if previous else None
        self.report: Report
        self.report, self.out = StageBench(folder).run(bp_extract.extract, {"inbox": []}, settings, held)

    def files(self, role: str) -> dict[str, File]:
        base = self.out / role
        paths = sorted(p for p in base.rglob("*") if p.is_file())
        return {p.relative_to(base).as_posix(): as_file(p, f"{role}/{p.relative_to(base).as_posix()}") for p in paths}

    def bytes(self) -> dict[str, bytes]:
        return {name: Path(file.path).read_bytes() for name, file in self.files("raw").items()}

    @property
    def fates(self) -> dict[str, int]:
        return self.report["balance"]["fates"]


def at(*addresses: str, **more: Any) -> dict[str, Any]:
    plain = {"google_api_endpoint": None, "google_credentials": "", "object_stores": "", "bp_csv_presets": {}}
    return {**plain, "origins_bp_csv": list(addresses), **more}


# ── how an origin is written ────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "kind", "place", "prefix"),
    [
        ("drive:abcdefghij12345", "drive", "abcdefghij12345", ""),
        ("https://drive.google.com/drive/u/0/folders/abcdefghij12345?usp=sharing", "drive", "abcdefghij12345", ""),
        ("https://cloud.example.org/s/token/download", "url", "https://cloud.example.org/s/token/download", ""),
        ("s3://bucket/exports/phone/", "s3", "bucket", "exports/phone"),
        ("gs://bucket", "gs", "bucket", ""),
        ("az://container/x", "az", "container", "x"),
    ],
)
def test_an_origin_is_understood_as_people_write_it(text: str, kind: str, place: str, prefix: str) -> None:
    assert origin(text) == (kind, place, prefix)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "drive:",
        "drive:../x",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "http://example.org/x",
        "s3://b/../c",
        "/tmp/x",
        "https://u:p@h/",
    ],
)
def test_what_is_no_origin_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        origin(text)


def test_the_folder_of_an_origin_says_nothing_of_its_address() -> None:
    folder = origin("https://cloud.example.org/s/secret-token/download").folder
    assert folder.startswith("url/")
    assert "secret" not in folder
    assert len(folder) == len("url/12345678")


def test_a_source_with_an_origin_is_live_and_its_extract_asks_for_the_fingerprint() -> None:
    settings = {"origins_bp_csv": ["s3://b"], "origins_mi_fitness": [], "mi_band_drive_folder_id": None}
    assert is_live("bp_csv", settings)
    assert not is_live("mi_fitness", settings)
    for name in (name for name, source in SOURCES.items() if not source.rest):
        extract = next(node for node in nodes([name], [name]) if node.name.endswith("extract"))
        assert extract.remote == f"ingestion.{name}.extract:fingerprint"
        assert {f"origins_{name}", "google_api_endpoint"} <= set(extract.settings)
        assert {"google_credentials", "object_stores"} <= set(extract.secrets)


# ── web addresses ───────────────────────────────────────────────────────────


def test_a_source_that_is_read_by_its_api_has_no_origins(tmp_path: Path) -> None:
    from config.settings import load

    wrong = tmp_path / "settings.yaml"
    wrong.write_text("origins: {toggl: ['https://cloud.example.org/export.zip']}\n")
    with pytest.raises(SettingsError, match="read by its API"):
        load([wrong], tmp_path / ".env")


def test_a_file_behind_an_address_becomes_a_raw_artifact_with_its_call(tmp_path: Path, web: FakeWeb) -> None:
    found = Brought(tmp_path, at(web.url))
    (name,) = found.files("raw")
    assert name == f"{origin(web.url).folder}/export.csv"
    assert found.bytes()[name] == CONTENT
    call = json.loads(Path(found.files("calls")[name + ".json"].path).read_bytes())
    assert call["endpoint"] == "https://127.0.0.1/{path}"
    assert call["response_code"] == 200
    assert found.fates == {"accepted": 1}


def test_the_server_may_name_the_file_but_not_where_it_goes(tmp_path: Path, web: FakeWeb) -> None:
    web.headers["Content-Disposition"] = 'attachment; filename="../../my export.zip"'
    (name,) = Brought(tmp_path, at(web.url)).files("raw")
    assert name == f"{origin(web.url).folder}/my export.zip"


def test_an_unchanged_file_is_not_fetched_again(tmp_path: Path, web: FakeWeb) -> None:
    first = Brought(tmp_path, at(web.url))
    again = Brought(tmp_path, at(web.url), first)
    assert again.fates == {"kept": 1}
    assert again.bytes() == first.bytes()
    assert web.downloads == 1


def test_a_changed_file_is_fetched_again(tmp_path: Path, web: FakeWeb) -> None:
    first = Brought(tmp_path, at(web.url))
    web.content, web.headers = CONTENT + b"x", {"ETag": '"v2"'}
    again = Brought(tmp_path, at(web.url), first)
    assert again.fates == {"accepted": 1}
    assert list(again.bytes().values()) == [web.content]


@pytest.mark.parametrize("headers", [{"ETag": '"v1"'}, {"Last-Modified": "Sat, 01 Mar 2025 08:00:00 GMT"}])
def test_the_fingerprint_follows_what_the_server_says_of_change(web: FakeWeb, headers: dict[str, str]) -> None:
    web.headers = headers
    before = bp_extract.fingerprint(at(web.url))
    assert before == bp_extract.fingerprint(at(web.url))
    assert before is not None
    web.headers = {name: value.replace("1", "2") for name, value in headers.items()}
    assert bp_extract.fingerprint(at(web.url)) != before
    assert web.downloads == 0


def test_without_a_word_on_change_the_file_is_fetched_every_time(tmp_path: Path, web: FakeWeb) -> None:
    web.headers = {}
    assert bp_extract.fingerprint(at(web.url)) is None
    first = Brought(tmp_path, at(web.url))
    assert Brought(tmp_path, at(web.url), first).fates == {"accepted": 1}


def test_a_server_that_knows_no_head_is_asked_for_the_first_byte(tmp_path: Path, web: FakeWeb) -> None:
    web.no_head = True
    assert bp_extract.fingerprint(at(web.url)) is not None
    assert list(Brought(tmp_path, at(web.url)).bytes().values()) == [CONTENT]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, web: FakeWeb) -> None:
    web.drop_after = [50_000]
    found = Brought(tmp_path, at(web.url))
    assert list(found.bytes().values()) == [CONTENT]
    assert [r for m, r in web.asked if m == "GET"] == ["", "bytes=50000-"]


def test_a_file_that_changes_while_it_breaks_off_is_never_glued_together(tmp_path: Path, web: FakeWeb) -> None:
    web.drop_after, web.change_on_drop = [50_000], b"new" * 30_000
    assert list(Brought(tmp_path, at(web.url)).bytes().values()) == [b"new" * 30_000]


def test_a_weak_etag_is_no_reason_to_resume(tmp_path: Path, web: FakeWeb) -> None:
    web.headers, web.drop_after = {"ETag": 'W/"v1"'}, [50_000]
    assert list(Brought(tmp_path, at(web.url)).bytes().values()) == [CONTENT]
    assert [r for m, r in web.asked if m == "GET"] == ["", ""]


def test_a_busy_server_is_asked_again(tmp_path: Path, web: FakeWeb) -> None:
    web.statuses = [503, 429]
    assert Brought(tmp_path, at(web.url)).fates == {"accepted": 1}


@pytest.mark.parametrize(
    ("status", "error"), [(401, SourceDenied), (404, SourceDenied), (410, SourceDenied), (500, SourceUnavailable)]
)
def test_a_refusal_is_told_without_the_address(web: FakeWeb, status: int, error: type[PDPError]) -> None:
    web.statuses = [status] * 10
    with pytest.raises(error) as told:
        bp_extract.fingerprint(at(web.url))
    assert "export.csv" not in str(told.value)
    assert str(status) in str(told.value)


def test_a_name_that_leads_into_a_private_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "rebound.example.org": "127.0.0.1",
        "cloud.example.org": "169.254.169.254",
        "mapped.example.org": "::ffff:10.0.0.1",
    }

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[host], port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for host in answers:
        with pytest.raises(SourceDenied, match="private network"):
            guard.connect("https", host, None, named=True)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0", "224.0.0.1"]
)
def test_where_clouds_keep_credentials_is_never_reached_even_if_named(address: str) -> None:
    with pytest.raises(SourceDenied, match="private network"):
        guard.connect("https", address, None, named=True)


@pytest.mark.parametrize("target", ["https://10.0.0.1/x", "http://example.org/x", "file:///etc/passwd", "https://u:p@h/"])
def test_a_redirect_never_leads_inside_or_to_what_is_unsafe(web: FakeWeb, target: str) -> None:
    web.redirect = target
    address = web.url.replace("/export.csv", "/moved")
    with pytest.raises((SourceDenied, SourceUnavailable)):
        bp_extract.fingerprint(at(address))


def test_a_redirect_within_the_named_machine_is_followed_and_an_endless_one_is_not(tmp_path: Path, web: FakeWeb) -> None:
    address = web.url.replace("/export.csv", "/moved")
    web.redirect = web.url
    assert list(Brought(tmp_path, at(address)).bytes().values()) == [CONTENT]
    web.redirect = address
    with pytest.raises(SourceDenied, match="for ever"):
        bp_extract.fingerprint(at(address))


def test_a_file_that_is_too_large_is_refused_and_the_others_come(
    tmp_path: Path, web: FakeWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.origins.extraction.MAX_FILE", 100)
    found = Brought(tmp_path, at(web.url))
    assert found.fates == {"rejected:too_big": 1}
    assert [f["code"] for f in found.report["findings"]] == ["too_big"]


def test_a_server_that_sends_more_than_it_said_is_stopped(tmp_path: Path, web: FakeWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestion.origins.web.MAX_FILE", 100)
    with pytest.raises(SourceDenied, match="GB"):
        Brought(tmp_path, at(web.url))


def test_two_origins_with_files_of_one_name_do_not_meet(tmp_path: Path, web: FakeWeb) -> None:
    found = Brought(tmp_path, at(web.url, web.url + "?other=1"))
    assert len(found.files("raw")) == 2
    assert found.fates == {"accepted": 2}


def test_a_server_that_breaks_off_again_and_again_is_given_up(web: FakeWeb, tmp_path: Path) -> None:
    web.headers, web.drop_after = {}, [10] * 50
    with pytest.raises(SourceUnavailable, match="breaks off"):
        Brought(tmp_path, at(web.url))
    assert len(web.drop_after) == 45


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def shake() -> None:
            stream, _ = listening.accept()
            with contextlib.suppress(OSError), context.wrap_socket(stream, server_side=True):
                pass
            stream.close()

        thread = threading.Thread(target=shake)
        thread.start()
        with pytest.raises(SourceDenied, match="certificate"):
            bp_extract.fingerprint(at(f"https://localhost:{listening.getsockname()[1]}/x"))
        thread.join()


# ── object stores and Drive ─────────────────────────────────────────────────


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    with s3_server() as address:
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=address, **keys)
        client.create_bucket(Bucket="exports")
        secret = {"access_key_id": "test", "secret_access_key": "test", "region": "us-east-1", "endpoint": address}
        yield {"client": client, "object_stores": json.dumps({"s3": secret})}


def test_what_lies_below_a_prefix_comes_in_and_only_what_is_new_is_fetched(tmp_path: Path, s3: dict[str, Any]) -> None:
    put = s3["client"].put_object
    put(Bucket="exports", Key="mine/2025/user1.csv", Body=CONTENT)
    put(Bucket="exports", Key="mine/.DS_Store", Body=b"x")
    put(Bucket="exports", Key="other/user9.csv", Body=b"not mine")
    settings = at("s3://exports/mine", object_stores=s3["object_stores"])
    before = bp_extract.fingerprint(settings)
    first = Brought(tmp_path, settings)
    folder = origin("s3://exports/mine").folder
    assert first.bytes()[f"{folder}/2025/user1.csv"] == CONTENT
    assert not any("user9" in name for name in first.bytes())
    put(Bucket="exports", Key="mine/2025/user2.csv", Body=b"new")
    assert bp_extract.fingerprint(settings) not in (before, None)
    again = Brought(tmp_path, settings, first)
    assert again.fates["accepted"] == 1
    assert again.fates["kept"] >= 1
    assert bp_check.check(settings)[0].startswith("ok: origin 1, S3, holds")


def test_a_bucket_that_is_not_there_is_told_by_check(s3: dict[str, Any]) -> None:
    (line,) = bp_check.check(at("s3://nowhere-at-all", object_stores=s3["object_stores"]))
    assert line.startswith("denied: origin 1")
    assert "nowhere" not in line


def test_a_drive_folder_is_an_origin_of_any_source(tmp_path: Path) -> None:
    with fake_google() as google:
        google.folder()
        google.put("a", "cuff.csv", CONTENT)
        more = {"google_credentials": google.credentials(), "google_api_endpoint": google.url}
        settings = at(f"drive:{FOLDER_ID}", **more)
        before = bp_extract.fingerprint(settings)
        first = Brought(tmp_path, settings)
        assert list(first.bytes()) == [f"{origin(f'drive:{FOLDER_ID}').folder}/cuff.csv"]
        assert Brought(tmp_path, settings, first).fates == {"kept": 1}
        google.put("b", "later.csv", b"new")
        assert bp_extract.fingerprint(settings) != before
        assert bp_check.check(settings) == ["ok: origin 1, a Drive folder, holds 2 files."]


def test_without_credentials_a_drive_origin_says_what_is_missing() -> None:
    with pytest.raises(SettingsError, match="no Google credentials"):
        bp_extract.fingerprint(at(f"drive:{FOLDER_ID}"))


# ── with the program itself ─────────────────────────────────────────────────


def test_a_run_reads_an_origin_the_next_fetches_nothing_and_a_change_comes_in(tmp_path: Path, web: FakeWeb) -> None:
    web.content = CSV.encode()
    cli = Cli(tmp_path / "data")
    env = {"ORIGINS": json.dumps({"bp_csv": [web.url]})}
    until = ("--until-stage", "merge")
    first = cli(*until, **env)
    assert first.returncode == 0, first.stdout + first.stderr
    daily = tmp_path / "data/processed/merged/merged_daily_metrics.csv"
    assert [line[:10] for line in daily.read_text().splitlines()[1:]] == ["2025-03-03"]
    assert web.downloads == 1
    assert cli(*until, **env).stdout.startswith("Nothing to do")
    assert web.downloads == 1
    web.content, web.headers = CSV.encode() + b"2025-03-04 06:30:00,57,122,80,\n", {"ETag": '"v2"'}
    assert cli(*until, **env).returncode == 0
    assert len(daily.read_text().splitlines()) == 3
    assert web.downloads == 2


def test_a_wrong_origin_is_a_settings_error_that_names_what_is_possible(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("source", "list", ORIGINS='{"bp_csv": ["ftp://example.org/x"]}')
    assert done.returncode == 2
    assert "drive:YOUR_FOLDER_ID" in done.stderr
    assert "Traceback" not in done.stderr
