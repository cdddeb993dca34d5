"""The live paths, driven by the real gspread and google-api-python-client against a fake Google over HTTP."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError, SourceDenied, SourceUnavailable
from config.stage import File, Report
from ingestion.google import drive, retry
from ingestion.google.names import distinct, safe_name
from ingestion.google.retry import NotSharedError
from ingestion.google_sheets import check as sheets_check
from ingestion.google_sheets import extract as sheets_extract
from ingestion.mi_fitness import check as mi_check
from ingestion.mi_fitness import extract as mi_extract
from ingestion.retry_after import retry_after
from tests.google_fakes import FOLDER, FOLDER_ID, SHEET_ID, FakeGoogle, fake_google
from tests.stage_bench import StageBench, as_file


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    with fake_google() as fake, stamina.set_testing(True, attempts=4, cap=True):
        yield fake


class Fetched:
    """One extraction: its report, its members and what it asked for."""

    def __init__(
        self,
        folder: Path,
        google: FakeGoogle,
        stage: Any,
        previous: Fetched | None = None,
        inbox: list[File] | None = None,
        **settings: Any,
    ) -> None:
        google.requests.clear()
        before = {"raw": previous.as_files()} if previous else None
        self.report: Report
        self.report, out = StageBench(folder).run(stage, {"inbox": inbox or []}, google.settings(**settings), before)
        self.folder = out / "raw"
        paths = sorted(p for p in self.folder.rglob("*") if p.is_file()) if self.folder.exists() else []
        self.files = {p.relative_to(self.folder).as_posix(): p.read_bytes() for p in paths}
        self.downloads = len(google.asked("alt=media"))

    def as_files(self) -> dict[str, File]:
        return {name: as_file(self.folder / name, f"raw/mi_fitness/{name}") for name in self.files}

    @property
    def fates(self) -> dict[str, int]:
        return self.report["balance"]["fates"]


def mi(
    tmp_path: Path, google: FakeGoogle, previous: Fetched | None = None, inbox: list[File] | None = None, **settings: Any
) -> Fetched:
    count = len(list(tmp_path.iterdir()))
    return Fetched(tmp_path / str(count), google, mi_extract.extract, previous, inbox, **settings)


def sheet(tmp_path: Path, google: FakeGoogle, **settings: Any) -> Fetched:
    return Fetched(tmp_path / str(len(list(tmp_path.iterdir()))), google, sheets_extract.extract, **settings)


# ── Drive: listing ──────────────────────────────────────────────────────────


def test_a_folder_is_listed_through_all_its_pages_on_shared_drives_too(tmp_path: Path, google: FakeGoogle) -> None:
    google.page_size = 3
    for n in range(8):
        google.put(f"file-{n}", f"{n}.csv", f"content {n}".encode())
    found = mi(tmp_path, google)
    assert found.files == {f"drive/{n}.csv": f"content {n}".encode() for n in range(8)}
    assert found.fates == {"accepted": 8}
    lists = [q for q in google.queries if "q" in q]
    assert [q.get("pageToken", [""])[0] for q in lists] == ["", "3", "6"]
    assert all(q["supportsAllDrives"] == q["includeItemsFromAllDrives"] == ["true"] for q in lists)


def test_what_is_no_export_stays_on_drive_and_is_counted(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"1")
    google.put("b", "b.ZIP", b"2", mime="application/octet-stream")
    google.put("c", "export", b"3", mime="application/zip")
    google.put("d", "photo.jpg", b"4", mime="image/jpeg")
    google.files["e"] = {"id": "e", "name": "notes", "mimeType": "application/vnd.google-apps.document", "parents": [FOLDER_ID]}
    found = mi(tmp_path, google)
    assert set(found.files) == {"drive/a.csv", "drive/b.ZIP", "drive/export"}
    assert found.fates == {"accepted": 3, "unused:not_an_export": 1}


def test_subfolders_and_shortcuts_are_followed_once_and_never_in_circles(tmp_path: Path, google: FakeGoogle) -> None:
    google.folder("sub", "2025.csv", FOLDER_ID)
    google.put("a", "a.csv", b"1", parent="sub")
    google.put("b", "2025.csv", b"2")
    google.put("elsewhere", "c.csv", b"3", parent="other")
    google.shortcut("link1", "elsewhere")
    google.shortcut("link2", "elsewhere")
    google.shortcut("link3", FOLDER_ID, FOLDER)
    google.shortcut("link4", "sub", FOLDER, parent="sub")
    google.shortcut("link5", "gone")
    found = mi(tmp_path, google)
    assert found.files == {"drive/2025.csv_/a.csv": b"1", "drive/2025.csv": b"2", "drive/c.csv": b"3"}


def test_files_of_one_name_are_both_kept_whatever_the_order_of_listing(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("id-1", "data.csv", b"1")
    google.put("id-2", "data.csv", b"2")
    google.put("id-3", "DATA.csv", b"3")
    google.put("id-4", "other.csv", b"4")
    one = mi(tmp_path, google)
    google.files = dict(reversed(google.files.items()))
    two = mi(tmp_path, google)
    assert one.files == two.files
    assert sorted(one.files.values()) == [b"1", b"2", b"3", b"4"]
    assert "drive/other.csv" in one.files
    assert "drive/data.csv" not in one.files


def test_a_dropped_file_of_the_same_name_collides_with_nothing(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("id-1", "a.csv", b"drive")
    dropped = tmp_path / "0"
    dropped.write_bytes(b"inbox")
    found = mi(tmp_path, google, inbox=[as_file(dropped, "inbox/mi_fitness/drive/a.csv")])
    assert sorted(found.files.values()) == [b"drive", b"inbox"]
    assert found.files["drive/a.csv"] == b"inbox"
    assert found.fates == {"accepted": 2}


def test_names_from_drive_never_leave_the_folder(tmp_path: Path, google: FakeGoogle) -> None:
    names = ["../../etc/x.csv", "a/b.csv", "..", "con.csv", "a\nb.csv", " .csv", "x" * 400 + ".csv", ".hidden.csv", "C:\\x.csv"]
    for n, name in enumerate(names):
        google.put(f"f{n}", name, b"1", mime="text/csv")
    found = mi(tmp_path, google)
    assert len(found.files) == len(names)
    assert all(name.count("/") == 1 and name.startswith("drive/") for name in found.files)


@given(st.text(max_size=300))
def test_any_name_becomes_one_safe_segment(name: str) -> None:
    safe = safe_name(name.encode("utf-8", "ignore").decode())
    assert safe
    assert len(safe.encode()) <= 140
    assert not set(safe) & set('/\\:*?"<>|\0\n')
    assert safe not in (".", "..")
    assert not safe.endswith(".")


@given(
    st.lists(st.sampled_from(["a.csv", "A.csv", "b.csv", "x/a.csv"]), max_size=6), st.sampled_from([(), ("a.csv",), ("B.CSV",)])
)
def test_distinct_paths_are_distinct_even_without_case(paths: list[str], taken: tuple[str, ...]) -> None:
    found = distinct([(p, f"id{n}") for n, p in enumerate(paths)], taken)
    assert len({p.casefold() for p in [*found, *taken]}) == len(paths) + len(taken)


# ── Drive: what has not changed is not fetched ──────────────────────────────


@pytest.mark.parametrize("checksums", [("sha256", "md5"), ("sha256",), ("md5",)])
def test_unchanged_files_are_kept_without_download(tmp_path: Path, google: FakeGoogle, checksums: tuple[str, ...]) -> None:
    google.put("a", "a.csv", b"one", checksums=checksums)
    google.put("b", "b.csv", b"two", checksums=checksums)
    first = mi(tmp_path, google)
    assert first.downloads == 2
    google.put("b", "b.csv", b"TWO", checksums=checksums)
    second = mi(tmp_path, google, first)
    assert second.downloads == 1
    assert second.files == {"drive/a.csv": b"one", "drive/b.csv": b"TWO"}
    assert second.fates == {"accepted": 1, "kept": 1}


def test_without_a_checksum_a_file_is_fetched_again(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"one", checksums=())
    assert mi(tmp_path, google, mi(tmp_path, google)).downloads == 1


def test_the_fingerprint_changes_with_the_files_and_with_nothing_else(google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"one")
    google.put("b", "b.csv", b"two")
    seen = [mi_extract.fingerprint(google.settings())]
    google.files = dict(reversed(google.files.items()))
    google.put("c", "photo.jpg", b"x", mime="image/jpeg")
    assert mi_extract.fingerprint(google.settings()) == seen[0]
    assert google.asked("alt=media") == []
    for change in (
        lambda: google.put("b", "b.csv", b"TWO"),
        lambda: google.put("b", "renamed.csv", b"TWO"),
        lambda: google.put("d", "d.csv", b"new"),
        lambda: google.files.pop("a"),
        lambda: google.put("b", "renamed.csv", b"TWO", checksums=()),
        lambda: google.put("b", "renamed.csv", b"TwO", checksums=()),
    ):
        change()
        seen.append(mi_extract.fingerprint(google.settings()))
    assert None not in seen
    assert len(set(seen)) == len(seen)


# ── Drive: downloads that break ─────────────────────────────────────────────


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "_CHUNK", 1000)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", ["drop", "truncate", "status"])
def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path, google: FakeGoogle, kind: str) -> None:
    content = bytes(range(256)) * 12
    google.put("a", "a.csv", content)
    google.fail("alt=media", kind, skip=1)
    found = mi(tmp_path, google)
    assert found.files == {"drive/a.csv": content}
    ranges = google.ranges()
    assert ranges[0] == "bytes=0-999"
    assert ranges.count("bytes=1000-1999") >= 2
    assert ranges.count("bytes=0-999") == 1


@pytest.mark.parametrize("kind", ["corrupt", "short", "html"])
def test_bytes_that_do_not_match_the_checksum_are_fetched_again(tmp_path: Path, google: FakeGoogle, kind: str) -> None:
    google.put("a", "a.csv", b"content" * 100)
    google.fail("alt=media", kind, times=2)
    assert mi(tmp_path, google).files == {"drive/a.csv": b"content" * 100}
    google.fail("alt=media", kind, times=99)
    with pytest.raises(SourceUnavailable, match="damaged three times"):
        mi(tmp_path, google)


def test_a_file_replaced_during_its_download_arrives_as_the_new_one(
    tmp_path: Path, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.put("a", "a.csv", b"old")
    fetch = drive.Drive._fetch

    def replaced_meanwhile(self: Any, file: Any, spool: Any) -> None:
        if google.contents["a"] == b"old":
            google.put("a", "a.csv", b"newer")
        fetch(self, file, spool)

    monkeypatch.setattr(drive.Drive, "_fetch", replaced_meanwhile)
    assert mi(tmp_path, google).files == {"drive/a.csv": b"newer"}


def test_an_empty_file_is_a_file(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"")
    assert mi(tmp_path, google).files == {"drive/a.csv": b""}


def test_a_server_that_sends_nothing_for_ever_is_given_up(tmp_path: Path, google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"content")
    google.fail("alt=media", "empty", times=99)
    with pytest.raises(SourceUnavailable):
        mi(tmp_path, google)


def test_a_page_token_that_repeats_is_given_up(google: FakeGoogle) -> None:
    google.page_size = 0
    google.put("a", "a.csv", b"content")
    with pytest.raises(SourceUnavailable, match="same page"):
        mi_extract.fingerprint(google.settings())


# ── Refusals and patience ───────────────────────────────────────────────────


def read_sheet(tmp_path: Path, google: FakeGoogle) -> Any:
    google.sheets = {"Log": [["a"]]}
    return sheet(tmp_path, google).files


def read_folder(tmp_path: Path, google: FakeGoogle) -> Any:
    return mi_extract.fingerprint(google.settings())


BOTH = pytest.mark.parametrize(("read", "path"), [(read_sheet, "/v4/"), (read_folder, "/drive/v3/files?")])


@BOTH
@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (401, "authError", SourceDenied),
        (403, "forbidden", SourceDenied),
        (404, "notFound", NotSharedError),
        (400, "badRequest", SourceDenied),
    ],
)
def test_a_refusal_is_said_at_once_with_its_mend(
    tmp_path: Path, google: FakeGoogle, read: Any, path: str, status: int, reason: str, error: type[SourceDenied]
) -> None:
    google.fail(path, "status", status=status, reason=reason, times=99)
    with pytest.raises(error) as denied:
        read(tmp_path, google)
    assert denied.value.mend
    assert len(google.asked(path)) <= 3  # 401 makes the libraries ask for a new token; nothing is retried by us
    text = str(denied.value)
    for secret in ("secret-id", FOLDER_ID, SHEET_ID, "robot@example.invalid", "token"):
        assert secret not in text


@BOTH
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("status", {"status": 429}),
        ("status", {"status": 429, "headers": {"Retry-After": "3"}}),
        ("status", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("status", {"status": 408}),
        ("status", {"status": 500}),
        ("status", {"status": 503, "headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}}),
        ("status", {"status": 403, "reason": "userRateLimitExceeded"}),
        ("drop", {}),
        ("truncate_json", {}),
        ("html", {}),
    ],
)
def test_what_may_pass_is_tried_again_and_bounded(
    tmp_path: Path, google: FakeGoogle, read: Any, path: str, kind: str, more: dict[str, Any]
) -> None:
    google.fail(path, kind, times=2, **more)
    assert read(tmp_path, google)
    google.requests.clear()
    if kind == "truncate_json":
        return
    google.fail(path, kind, times=99, **more)
    with pytest.raises(SourceUnavailable):
        read(tmp_path, google)
    assert 4 <= len(google.asked(path)) <= 16


@BOTH
def test_a_server_that_asks_to_wait_very_long_is_left_alone(tmp_path: Path, google: FakeGoogle, read: Any, path: str) -> None:
    google.fail(path, "status", status=429, headers={"Retry-After": "3600"}, times=99)
    with pytest.raises(SourceUnavailable):
        read(tmp_path, google)
    assert len(google.asked(path)) == 1


@BOTH
def test_an_error_dressed_as_success_is_no_data(tmp_path: Path, google: FakeGoogle, read: Any, path: str) -> None:
    google.fail(path, "error200", times=99)
    with pytest.raises(SourceUnavailable):
        read(tmp_path, google)


@BOTH
def test_a_silent_server_is_not_waited_for_for_ever(
    tmp_path: Path, google: FakeGoogle, monkeypatch: pytest.MonkeyPatch, read: Any, path: str
) -> None:
    monkeypatch.setattr(retry, "TIMEOUT", 0.2)
    google.fail(path, "stall")
    assert read(tmp_path, google)
    assert len(google.asked(path)) >= 2


def test_credentials_that_google_does_not_accept_are_a_refusal(google: FakeGoogle) -> None:
    google.fail("/token", "status", status=400, reason="invalid_grant", times=99)
    with pytest.raises(SourceDenied, match="does not accept the credentials"):
        mi_extract.fingerprint(google.settings())


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"type":"service_account","private_key":"secret-key"}', "[1]"])
def test_credentials_that_are_none_say_so_without_quoting_them(google: FakeGoogle, text: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        mi_extract.fingerprint(google.settings(google_credentials=text))
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(wrong.value)
    assert "secret-key" not in str(wrong.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_a_positive_wait_or_none(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}) == seconds


def test_retry_after_may_be_a_date() -> None:
    wait = retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)})
    assert wait is not None
    assert 25 < wait <= 30


def test_a_links_id_is_found_and_nonsense_is_not_sent(google: FakeGoogle) -> None:
    google.put("a", "a.csv", b"one")
    plain = mi_extract.fingerprint(google.settings())
    link = f"https://drive.google.com/drive/folders/{FOLDER_ID}?usp=sharing"
    assert mi_extract.fingerprint(google.settings(mi_band_drive_folder_id=link)) == plain
    for nonsense in ("x' or '1'='1", "short", "../../../etc/passwd"):
        with pytest.raises(SettingsError):
            mi_extract.fingerprint(google.settings(mi_band_drive_folder_id=nonsense))


def test_a_file_instead_of_a_folder_is_said_to_be_one(google: FakeGoogle) -> None:
    google.put("file-0123456789", "a.csv", b"1")
    with pytest.raises(SettingsError, match="not a folder"):
        mi_extract.fingerprint(google.settings(mi_band_drive_folder_id="file-0123456789"))


# ── Sheets ──────────────────────────────────────────────────────────────────


def test_worksheets_come_as_raw_grids_with_the_sheets_own_locale_and_zone(tmp_path: Path, google: FakeGoogle) -> None:
    values = [["Ciśnienie", "", "Puls"], [45745, 0.3125, "128/82"], [], ["36,6", True, 7]]
    google.sheets = {"Dziennik": values, "It's": [["x"]], "Empty": []}
    found = sheet(tmp_path, google)
    assert set(found.files) == {"live/Dziennik.json", "live/It's.json", "live/Empty.json"}
    grid = json.loads(found.files["live/Dziennik.json"])
    assert (grid["locale"], grid["timeZone"], grid["title"]) == ("pl_PL", "Europe/Warsaw", "Dziennik")
    assert grid["values"] == [["Ciśnienie", "", "Puls"], [45745, 0.3125, "128/82"], ["", "", ""], ["36,6", True, 7]]
    reads = [q for q in google.queries if "valueRenderOption" in q]
    assert all(q["valueRenderOption"] == ["UNFORMATTED_VALUE"] and q["dateTimeRenderOption"] == ["SERIAL_NUMBER"] for q in reads)
    assert found.report["rows"]["raw/live/Dziennik.json"] == 4


def test_the_same_cells_give_the_same_bytes(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets = {"Log": [["a", 1.5], ["b", 2]]}
    digests = {hashlib.sha256(sheet(tmp_path, google).files["live/Log.json"]).hexdigest() for _ in range(2)}
    assert len(digests) == 1


def test_only_the_worksheets_asked_for_are_read(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets = {"A": [["1"]], "B": [["2"]]}
    assert set(sheet(tmp_path, google, google_sheets_worksheets=["B"]).files) == {"live/B.json"}
    with pytest.raises(SettingsError, match="google_sheets_worksheets"):
        sheet(tmp_path, google, google_sheets_worksheets=["C"])


def test_titles_that_clash_as_file_names_stay_apart(tmp_path: Path, google: FakeGoogle) -> None:
    google.sheets = {"a/b": [["1"]], "a:b": [["2"]], "A_b": [["3"]]}
    found = sheet(tmp_path, google)
    assert len(found.files) == 3
    assert sorted(json.loads(f)["title"] for f in found.files.values()) == ["A_b", "a/b", "a:b"]


def test_the_sheets_fingerprint_is_its_version_and_none_where_drive_may_not_be_asked(google: FakeGoogle) -> None:
    first = sheets_extract.fingerprint(google.settings())
    assert first == sheets_extract.fingerprint(google.settings())
    google.files[SHEET_ID]["version"] = "8"
    assert sheets_extract.fingerprint(google.settings()) not in (None, first)
    google.fail("/drive/v3/", "status", status=403, reason="accessNotConfigured", times=99)
    assert sheets_extract.fingerprint(google.settings()) is None


def test_without_a_live_setting_nothing_is_asked(tmp_path: Path, google: FakeGoogle) -> None:
    off = {"mi_band_drive_folder_id": "", "google_sheets_bp_id": "", "google_credentials": ""}
    assert mi(tmp_path, google, **off).files == {}
    assert sheet(tmp_path, google, **off).files == {}
    assert mi_extract.fingerprint(google.settings(**off)) is None
    assert sheets_extract.fingerprint(google.settings(**off)) is None
    assert google.requests == []


# ── check ───────────────────────────────────────────────────────────────────


def test_check_says_in_one_line_what_is_the_matter(google: FakeGoogle) -> None:
    def said(check: Any, **settings: Any) -> str:
        (line,) = check(google.settings(**settings))
        assert "\n" not in line
        return line.split(":")[0]

    assert said(mi_check.check) == "empty"
    google.put("a", "a.csv", b"1")
    google.sheets = {"Log": [["1"]]}
    assert said(mi_check.check) == said(sheets_check.check) == "ok"
    assert google.asked("alt=media") == []
    assert google.asked("/values/") == []
    assert said(mi_check.check, mi_band_drive_folder_id="") == said(sheets_check.check, google_sheets_bp_id=None) == "off"
    assert said(mi_check.check, mi_band_drive_folder_id="nobody-0123456789") == "not shared"
    assert said(sheets_check.check, google_sheets_bp_id="nobody-0123456789") == "not shared"
    assert said(mi_check.check, google_credentials="{}") == said(sheets_check.check, google_credentials="{}") == "wrong settings"
    assert said(sheets_check.check, google_sheets_worksheets=["X"]) == "wrong settings"
    for more, word in (({"status": 403, "reason": "forbidden"}, "denied"), ({"status": 503}, "unreachable")):
        google.faults.clear()
        google.fail("/drive/", "status", times=99, **more)
        google.fail("/v4/", "status", times=99, **more)
        assert said(mi_check.check) == said(sheets_check.check) == word
