"""A zip from a stranger is read member by member or refused whole, with a stable reason, before anything has been handed out."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
import pyzipper
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import SourceRefused
from ingestion import archives
from ingestion.archives import is_zip, members


def pack(path: Path, files: list[tuple[str | zipfile.ZipInfo, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return path


def packed(files: list[tuple[str, bytes]]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return sink.getvalue()


def refusal(path: Path) -> str:
    handed_out: list[str] = []
    with pytest.raises(SourceRefused) as refused:
        handed_out.extend(member.name for member in members(str(path)))
    assert handed_out == []
    return refused.value.reason


def test_members_come_with_their_bytes_and_can_be_read_twice(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("folder/", b""), ("folder/a.csv", b"1,2\n"), ("b.csv", b"x" * 100_000)])
    seen = []
    for member in members(str(path)):
        first = member.file.read()
        member.file.seek(0)
        assert member.file.read() == first
        seen.append((member.name, first, member.size))
    assert seen == [("folder/a.csv", b"1,2\n", 4), ("b.csv", b"x" * 100_000, 100_000)]


def test_a_large_member_goes_through_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_SPOOL", 1000)
    data = bytes(range(256)) * 100
    (member,) = [(m.name, m.file.read()) for m in members(str(pack(tmp_path / "a.zip", [("a", data)])))]
    assert member == ("a", data)


def test_an_archive_inside_the_archive_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("inner.zip", packed([("deep/a.csv", b"1")])), ("b.csv", b"2")])
    assert [(m.name, m.file.read()) for m in members(str(path))] == [("inner.zip/deep/a.csv", b"1"), ("b.csv", b"2")]


def test_three_levels_are_refused(tmp_path: Path) -> None:
    inner = packed([("c.zip", packed([("d.csv", b"1")]))])
    assert refusal(pack(tmp_path / "a.zip", [("ok.csv", b"1"), ("b.zip", inner)])) == "nested_too_deep"


@pytest.mark.parametrize(
    "name",
    ["../x.csv", "a/../../x", "/etc/passwd", "\\\\host\\x", "C:\\x.csv", "c:x", "..\\x", "a\nb", "a\x7f", "x" * 1025, ".."],
)
def test_names_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    assert refusal(pack(tmp_path / "a.zip", [("ok.csv", b"1"), (info, b"evil")])) == "bad_member_name"


def test_a_name_cut_short_by_nul_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("ok.csv_.exe", b"1")])
    path.write_bytes(path.read_bytes().replace(b"ok.csv_.exe", b"ok.csv\0.exe"))
    assert refusal(path) == "bad_member_name"


def test_dots_inside_names_are_fine(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("a..b/..c.csv", b"1")])
    assert [m.name for m in members(str(path))] == ["a..b/..c.csv"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("one", "two"), [("a.csv", "a.csv"), ("a.csv", "A.CSV"), ("\u00e9.csv", "e\u0301.csv")])
def test_two_members_of_one_name_are_refused(tmp_path: Path, one: str, two: str) -> None:
    assert refusal(pack(tmp_path / "a.zip", [(one, b"1"), (two, b"2")])) == "duplicate_member"


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o600, stat.S_IFIFO | 0o600, stat.S_IFREG | 0o4755])
def test_links_devices_and_setuid_files_are_refused(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("a.csv")
    info.external_attr = mode << 16
    assert refusal(pack(tmp_path / "a.zip", [("ok.csv", b"1"), (info, b"/etc/passwd")])) == "special_member"


@pytest.mark.parametrize(("field", "value"), [("flag", 0x1), ("flag", 0x41), ("method", 99)])
def test_encrypted_archives_are_refused_and_say_so(tmp_path: Path, field: str, value: int) -> None:
    path = pack(tmp_path / "a.zip", [("a.csv", b"secret")], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, central + (8 if field == "flag" else 10), value)
    path.write_bytes(data)
    assert refusal(path) == "encrypted"


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("a.csv", b"1")], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 93)
    path.write_bytes(data)
    assert refusal(path) == "unknown_compression"


def test_a_wrong_checksum_in_the_last_member_refuses_all(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("a.csv", b"aaaa"), ("b.csv", b"bbbb")], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"bbbb", b"bXbb"))
    assert refusal(path) == "bad_member"


def test_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = pack(tmp_path / "a.zip", [("a.csv", b"1" * 1000)]).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    page = tmp_path / "page.zip"
    page.write_bytes(b"<html>sign in</html>")
    assert refusal(cut) == refusal(page) == "bad_zip"
    assert not is_zip(page.read_bytes())
    assert is_zip(whole)


def test_bombs_are_refused_by_member_and_by_sum(tmp_path: Path) -> None:
    assert refusal(pack(tmp_path / "one.zip", [("a", b"\0" * (30 << 20))])) == "bomb"
    assert refusal(pack(tmp_path / "many.zip", [(f"a{i}", b"\0" * (1 << 20)) for i in range(30)])) == "bomb"
    nested = packed([(f"a{i}", b"\0" * (1 << 20)) for i in range(30)])
    assert refusal(pack(tmp_path / "nested.zip", [("b.zip", nested)])) == "bomb"


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("a", b"\0" * (30 << 20))])
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(data)
    assert refusal(path) == "bad_member"


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    assert refusal(pack(tmp_path / "a.zip", [(f"a{i}", b"") for i in range(6)])) == "too_many_members"


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = kernel.compress(b"1" * 1000) + kernel.flush()
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, zlib.crc32(b"1" * 1000), len(body), 1000, 1, 0) + b"a" + body
    entries = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, zlib.crc32(b"1" * 1000), len(body), 1000, 1, 0, 0, 0, 0, 0, 0)
        + n
        for n in (b"a", b"b")
    )
    path = tmp_path / "a.zip"
    path.write_bytes(local + entries + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(entries), len(local), 0))
    assert refusal(path) == "overlapping_members"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_gives_the_right_bytes_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = packed([("a.csv", b"Uid,Sid\n1,2\n" * 20), ("b.csv", b"x")])
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:position] + bytes([data.draw(st.integers(0, 255))]) + whole[position + 1 :]
    path = tmp_path_factory.mktemp("fuzz") / "a.zip"
    path.write_bytes(damaged)
    try:
        found, reason = {m.file.read() for m in members(str(path))}, ""
    except SourceRefused as refused:
        found, reason = set(), refused.reason
    assert reason in ("", *archives._WHY)
    assert found <= {b"Uid,Sid\n1,2\n" * 20, b"x"}


def locked(password: str, files: list[tuple[str, bytes]], **how: int) -> bytes:
    """An archive as WinZip encrypts it."""
    sink = io.BytesIO()
    with pyzipper.AESZipFile(sink, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        archive.setencryption(pyzipper.WZ_AES, **how)
        for name, data in files:
            archive.writestr(name, data)
    return sink.getvalue()


def read_locked(path: Path, data: bytes, password: str) -> list[tuple[str, bytes]] | str:
    path.write_bytes(data)
    try:
        return [(member.name, member.file.read()) for member in members(str(path), password)]
    except SourceRefused as refused:
        return refused.reason


@pytest.mark.parametrize("how", [{"nbits": 128}, {"nbits": 192}, {"nbits": 256}, {"force_wz_aes_version": 1}])
def test_an_aes_archive_opens_with_its_password_only(tmp_path: Path, how: dict[str, int]) -> None:
    files = [("a.csv", b"1,2\n" * 1000), ("b/c.csv", b"")]
    data = locked("secret", files, **how)
    assert read_locked(tmp_path / "a.zip", data, "secret") == files
    assert read_locked(tmp_path / "a.zip", data, "Secret") == "wrong_password"
    assert read_locked(tmp_path / "a.zip", data, "") == "encrypted"


def test_an_aes_archive_within_an_archive_opens_too(tmp_path: Path) -> None:
    data = packed([("mail.zip", locked("secret", [("a.csv", b"1")])), ("b.csv", b"2")])
    assert read_locked(tmp_path / "a.zip", data, "secret") == [("mail.zip/a.csv", b"1"), ("b.csv", b"2")]


def test_a_password_does_not_make_a_plain_archive_harder_to_read(tmp_path: Path) -> None:
    assert read_locked(tmp_path / "a.zip", packed([("a.csv", b"1")]), "secret") == [("a.csv", b"1")]


def test_an_encrypted_bomb_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_FREE", 1 << 16)
    assert read_locked(tmp_path / "a.zip", locked("secret", [("a", bytes(4 << 20))]), "secret") == "bomb"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(min_value=0), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_aes_archive_is_refused_or_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(locked("secret", [("a.csv", b"1,2\n" * 300)]))
    for place, value in changes:
        data[place % len(data)] = value
    found = read_locked(tmp_path_factory.mktemp("any") / "a.zip", bytes(data), "secret")
    assert isinstance(found, str) or [content for _, content in found] in ([b"1,2\n" * 300], [])
