"""Signing in by password in a real browser: the way in, the ways out, and what is left behind (nothing)."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.browsing import PATIENCE, Dashboard, dashboard, settled, visit
from tests.browser_bench import browser
from tests.gold_bench import build

PASSWORD = "a passphrase for the tests"
CANARY = "canary_source_7731"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def tables(folder: Path) -> Path:
    """A data root with the gold of somebody whose only source has a name that is nowhere else."""
    import duckdb

    (folder / "data/gold").mkdir(parents=True)
    file = build(folder / "data/gold/gold.duckdb")
    with duckdb.connect(str(file)) as db:
        db.execute("UPDATE meta SET synthetic = false")
        db.execute(f"UPDATE daily_by_source SET source = '{CANARY}'")
    return folder / "data"


def environment(folder: Path, **more: str) -> dict[str, str]:
    from serving.dashboard.passwords import hashed

    return {"DATA_DIR": str(tables(folder)), "DASHBOARD_PASSWORD_HASH": hashed(PASSWORD), **more}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("private")
    with dashboard(folder, environment(folder)) as up:
        yield up


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def try_password(page: Any, url: str, password: str) -> None:
    visit(page, f"{url}/sign-in")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def sign_in(page: Any, url: str) -> None:
    try_password(page, url, PASSWORD)
    page.get_by_role("button", name="Lock").wait_for(timeout=PATIENCE)
    settled(page)


def sources(page: Any) -> list[str]:
    """What the source filter offers."""
    page.get_by_role("combobox", name="Source").click()
    offered = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    return list(offered)


def test_a_wrong_password_opens_nothing(server: Dashboard, page: Any) -> None:
    try_password(page, server.url, "not the passphrase")
    page.get_by_text("That is not the password.").wait_for(timeout=PATIENCE)
    assert page.get_by_role("button", name="Lock").count() == 0
    visit(page, server.url)
    assert page.get_by_text("An invented person").count() == 1
    assert CANARY.replace("_", " ") not in sources(page)


def test_the_right_password_opens_ones_own_data_and_nobody_elses_page(server: Dashboard, page: Any, chromium: Any) -> None:
    sign_in(page, server.url)
    assert page.get_by_text("An invented person").count() == 0
    assert CANARY.replace("_", " ") in sources(page)
    other = chromium.new_page()
    visit(other, server.url)
    assert other.get_by_text("An invented person").count() == 1
    assert CANARY.replace("_", " ") not in sources(other)
    other.close()


def test_reloading_the_page_locks_it(server: Dashboard, page: Any) -> None:
    sign_in(page, server.url)
    visit(page, server.url)
    assert page.get_by_text("An invented person").count() == 1
    assert page.get_by_role("button", name="Lock").count() == 0


def test_the_lock_clears_the_page_its_address_and_its_downloads(server: Dashboard, page: Any) -> None:
    sign_in(page, server.url)
    page.get_by_role("link", name="Blood pressure").click()
    page.wait_for_url("**/blood-pressure", timeout=PATIENCE)
    settled(page, 1)
    page.get_by_role("radio", name="30 days", exact=True).click()
    page.wait_for_url("**/blood-pressure?range=30", timeout=PATIENCE)
    link = download_link(page)
    assert page.request.get(server.url + link).status == 200
    page.get_by_role("button", name="Lock").click()
    page.get_by_text("Locked.").wait_for(timeout=PATIENCE)
    settled(page)
    assert page.get_by_text("An invented person").count() == 1
    assert page.url == f"{server.url}/blood-pressure"
    assert page.request.get(server.url + link).status == 404
    assert CANARY.replace("_", " ") not in sources(page)


def download_link(page: Any) -> str:
    """Of the first table on the page."""
    page.locator("[data-testid=stExpander] summary").first.click()
    link = page.locator("a[href^='/private-download/']").first
    link.wait_for(timeout=PATIENCE)
    return str(link.get_attribute("href"))


def test_a_download_is_handed_to_the_signed_in_browser_and_to_nobody_else(server: Dashboard, page: Any, chromium: Any) -> None:
    sign_in(page, server.url)
    page.get_by_role("link", name="Blood pressure").click()
    page.wait_for_url("**/blood-pressure", timeout=PATIENCE)
    settled(page, 1)
    link = download_link(page)
    with page.expect_download(timeout=PATIENCE) as got:
        page.locator("a[href^='/private-download/']").first.click()
    assert got.value.suggested_filename == "blood_pressure.csv"
    assert Path(got.value.path()).read_text().startswith("Date,")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(server.url + link, timeout=PATIENCE / 1000)
    with chromium.new_context() as stranger:
        visit(stranger.new_page(), server.url)  # a browser with a cookie of its own
        assert stranger.request.get(server.url + link).status == 404


def test_a_page_nobody_touches_clears_itself(chromium: Any, tmp_path: Path) -> None:
    with dashboard(tmp_path, environment(tmp_path, DASHBOARD_IDLE_MINUTES="0.1")) as server, chromium.new_context() as context:
        page = context.new_page()
        sign_in(page, server.url)
        page.get_by_text("Locked. Nothing was done for 6 seconds.").wait_for(timeout=PATIENCE)
        settled(page)
        assert page.get_by_text("An invented person").count() == 1
        assert CANARY.replace("_", " ") not in sources(page)


def test_a_page_in_use_is_cleared_when_its_hours_are_over(chromium: Any, tmp_path: Path) -> None:
    with dashboard(tmp_path, environment(tmp_path, DASHBOARD_SESSION_HOURS="0.005")) as server, chromium.new_context() as context:
        page = context.new_page()
        sign_in(page, server.url)
        over = page.get_by_text("An invented person")  # the reason stands above it, until the next click
        for name in ("Heart", "Sleep") * 200:
            if over.count():
                break
            page.locator("[data-testid=stSidebar]").get_by_role("link", name=name).click(timeout=PATIENCE)
            page.wait_for_timeout(300)
        over.wait_for(timeout=PATIENCE)
        settled(page)
        assert page.get_by_role("button", name="Lock").count() == 0
        assert CANARY.replace("_", " ") not in sources(page)


def test_an_error_is_a_sentence_and_the_log_holds_no_traceback(chromium: Any, tmp_path: Path) -> None:
    import duckdb

    env = environment(tmp_path)
    with duckdb.connect(f"{env['DATA_DIR']}/gold/gold.duckdb") as db:
        db.execute("ALTER TABLE daily RENAME COLUMN systolic TO canary_column_7731")
    with dashboard(tmp_path, env) as server, chromium.new_context() as context:
        page = context.new_page()
        sign_in(page, server.url)
        page.get_by_text("This part could not be shown.").first.wait_for(timeout=PATIENCE)
        assert "Traceback" not in page.content()
        log = server.log.read_text()
    assert "BinderException at " in log
    assert "Traceback" not in log
    assert "canary" not in log.lower()
    assert "GET /" not in log


def test_sealed_tables_are_opened_in_memory_and_a_wrong_key_is_a_sentence(chromium: Any, tmp_path: Path) -> None:
    import io

    import duckdb
    import pyarrow.parquet as pq

    from config.sealing import key_of, seal

    env = environment(tmp_path)
    plain = Path(env["DATA_DIR"], "gold/gold.duckdb")
    parts = {}
    with duckdb.connect(str(plain), read_only=True) as db:
        for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            out = io.BytesIO()
            pq.write_table(db.table(name).to_arrow_table(), out)
            parts[name] = out.getvalue()
    key = "11" * 32
    plain.with_name("gold.sealed").write_bytes(seal(parts, key_of(key)))
    plain.unlink()
    with dashboard(tmp_path, {**env, "STATE_KEY": key}) as server, chromium.new_context() as context:
        page = context.new_page()
        sign_in(page, server.url)
        assert CANARY.replace("_", " ") in sources(page)
        made = {p.name for p in Path(env["DATA_DIR"]).rglob("*") if p.is_file() and not p.name.startswith(".settings-")}
    assert made == {"gold.sealed", "audit.jsonl"}  # a sign-in is told, with no value
    with dashboard(tmp_path / "other", {**env, "STATE_KEY": "22" * 32}) as server, chromium.new_context() as context:
        page = context.new_page()
        try_password(page, server.url, PASSWORD)
        page.locator("[data-testid=stAlert]").get_by_text("key").first.wait_for(timeout=PATIENCE)
        assert page.get_by_role("button", name="Lock").count() == 0
