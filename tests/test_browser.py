"""The public dashboard as a person meets it, in a real browser: every page, light and dark, wide and narrow, by eye and by address."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from scripts.browsing import PATIENCE, Dashboard, dashboard, hover, settled, visit
from serving.pages import PAGES, Entry
from tests.browser_bench import Wire, browser, faults, overflow

WIDE, PHONE = {"width": 1400, "height": 1000}, {"width": 390, "height": 844}
NAMES = [entry.title for entry in PAGES]
STREAMLITS_OWN = {"scrollable-region-focusable": "the box of st.code, which a keyboard cannot scroll sideways"}
"""Findings of axe-core that only Streamlit itself can mend."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("dashboard")) as up:
        yield up


@pytest.fixture(scope="module")
def light(chromium: Any, server: Dashboard) -> Iterator[tuple[Any, Wire]]:
    yield from _opened(chromium, server, "light")


@pytest.fixture(scope="module")
def dark(chromium: Any, server: Dashboard) -> Iterator[tuple[Any, Wire]]:
    yield from _opened(chromium, server, "dark")


def _opened(chromium: Any, server: Dashboard, scheme: str) -> Iterator[tuple[Any, Wire]]:
    """One tab, used by all tests of its colours, so that the suite stays quick."""
    with chromium.new_context(viewport=WIDE, color_scheme=scheme) as context:
        page = context.new_page()
        wire = Wire(page)
        visit(page, server.url)
        yield page, wire


@pytest.mark.parametrize("entry", PAGES, ids=NAMES)
def test_a_page_stands_in_light_on_a_screen_and_on_a_phone(entry: Entry, light: tuple[Any, Wire], server: Dashboard) -> None:
    stands(light[0], f"{server.url}/{entry.url_path}")


@pytest.mark.parametrize("entry", PAGES, ids=NAMES)
def test_a_page_of_all_days_stands_in_the_dark_and_is_light(entry: Entry, dark: tuple[Any, Wire], server: Dashboard) -> None:
    page, wire = dark
    wire.frames.clear()
    stands(page, f"{server.url}/{entry.url_path}?range=all")
    assert wire.received < 1_000_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_page_stands_and_says_that_nobody_can(scheme: str, server: Dashboard, request: pytest.FixtureRequest) -> None:
    page, _ = request.getfixturevalue(scheme)
    stands(page, f"{server.url}/sign-in")
    assert page.get_by_text("Nobody can sign in here").is_visible()


def stands(page: Any, url: str) -> None:
    page.set_viewport_size(WIDE)
    visit(page, url)
    assert faults(page) == []
    assert page.locator("h1").count() == 1
    assert page.get_by_text("Synthetic data").first.is_visible()
    assert overflow(page) <= 0
    assert serious(page) == {}
    page.set_viewport_size(PHONE)
    settled(page)
    assert faults(page) == []
    assert overflow(page) <= 0, "a phone would have to scroll sideways"


def serious(page: Any) -> dict[str, list[str]]:
    """Serious and critical findings of axe-core: rule → what it points at; those of Streamlit's own parts left out."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "iframes": False}
    found = Axe().run(page, options=options).response["violations"]
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]]
        for rule in found
        if rule["impact"] in {"serious", "critical"} and rule["id"] not in STREAMLITS_OWN
    }


def test_hovering_the_overview_reads_every_lane_of_that_day(light: tuple[Any, Wire], server: Dashboard) -> None:
    page, _ = light
    page.set_viewport_size(WIDE)
    visit(page, server.url, charts=1)
    hover(page)
    read = page.locator("#vg-tooltip-element").inner_text()
    assert re.search(r"Blood pressure\s+\d+/\d+", read)
    assert re.search(r"Heart rate\s+mean \d+", read)
    assert re.search(r"Sleep\s+\d+ h", read)
    assert re.search(r"Steps\s+\d", read)


def test_the_address_alone_brings_a_view_back(chromium: Any, light: tuple[Any, Wire], server: Dashboard) -> None:
    page, _ = light
    page.set_viewport_size(WIDE)
    visit(page, f"{server.url}/blood-pressure?range=custom&from=2025-03-01&to=2025-03-31&scheme=esc_2024_home&source=bp_csv")
    shown = page.get_by_test_id("stMain").inner_text()
    address = page.url
    with chromium.new_context(viewport=WIDE) as other:
        again = other.new_page()
        visit(again, address)
        assert again.get_by_test_id("stMain").inner_text() == shown
        visit(again, f"{server.url}/blood-pressure")
        assert again.get_by_test_id("stMain").inner_text() != shown


def test_choosing_a_preset_writes_the_address(light: tuple[Any, Wire], server: Dashboard) -> None:
    page, _ = light
    page.set_viewport_size(WIDE)
    visit(page, f"{server.url}/heart")
    page.get_by_test_id("stMain").get_by_role("radio", name="30 days").click()
    page.wait_for_url("**/heart?*range=30*", timeout=PATIENCE)
    settled(page)
    assert faults(page) == []


def test_a_range_without_data_is_told_in_a_sentence(light: tuple[Any, Wire], server: Dashboard) -> None:
    page, _ = light
    for entry in PAGES:
        if entry.title in {"Overview", "Blood pressure", "Sleep"}:
            visit(page, f"{server.url}/{entry.url_path}?range=custom&from=2019-01-01&to=2019-01-31")
            assert faults(page) == []
            assert page.get_by_test_id("stAlert").count() >= 1


def test_no_request_leaves_the_machine(light: tuple[Any, Wire], dark: tuple[Any, Wire], server: Dashboard) -> None:
    own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    for _, wire in (light, dark):
        assert len(wire.urls) > 10
        assert [url for url in wire.urls if not url.startswith(own)] == []


def test_the_server_says_what_a_careful_server_says(server: Dashboard) -> None:
    with urllib.request.urlopen(server.url, timeout=60) as answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=" in headers["set-cookie"]


def test_no_agent_is_served_and_nothing_can_be_uploaded(server: Dashboard) -> None:
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    for path in ("interact", "mcp"):
        status, said = _posted(f"{server.url}/_stcore/agent/{path}", call)
        assert status >= 400
        assert b"does not serve the agent API" in said
    assert _posted(f"{server.url}/_stcore/upload_file/session/file", b"x")[0] in {400, 403, 404, 405}


def test_a_page_of_another_site_cannot_open_the_socket(server: Dashboard) -> None:
    assert _socket(server.url, server.url) == 101
    assert _socket(server.url, "https://elsewhere.example") == 403


def _posted(url: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a program that posts JSON."""
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json", "MCP-Protocol-Version": "2025-06-18"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return int(answer.status), bytes(answer.read())
    except urllib.error.HTTPError as refused:
        return int(refused.code), bytes(refused.read())


def _socket(url: str, origin: str) -> int:
    """The answer to a request for the app's WebSocket from a page of this origin."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Origin": origin}
    connection.request("GET", "/_stcore/stream", headers=headers | {"Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode()})
    try:
        return connection.getresponse().status
    finally:
        connection.close()
