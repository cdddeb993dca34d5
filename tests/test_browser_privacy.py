"""What a public session can get hold of while a private one is open, in a real browser: not one byte of the private person."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from scripts.browsing import PATIENCE, Dashboard, dashboard, settled, sign_in, visit, walk
from serving.pages import PAGES
from tests.browser_bench import Wire, browser, faults
from tests.private_bench import CANARIES, PASSWORD, found_in, private_root

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Visits(NamedTuple):
    """Two people at one dashboard at the same time, and all that went over the wire to each."""

    server: Dashboard
    private: Wire
    public: Wire
    link: str
    """A private download the private page offered."""
    own_copy: bytes
    """What the signed-in browser got of it."""
    problems: list[str]


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    folder = tmp_path_factory.mktemp("private")
    with browser() as chromium:
        env = private_root(folder)
        with dashboard(folder, env) as server:
            owner = chromium.new_context(viewport={"width": 1400, "height": 1000}).new_page()
            other = chromium.new_context(viewport={"width": 1400, "height": 1000}).new_page()
            private, public = Wire(owner), Wire(other)
            visit(other, server.url)
            sign_in(owner, server.url, PASSWORD)
            link, own_copy, problems = "", b"", list[str]()
            for entry in PAGES:
                walk(owner, entry.title)
                problems += [f"private {entry.title}: {fault}" for fault in faults(owner)]
                if entry.title == "Blood pressure":
                    link = download_link(owner)
                    own_copy = owner.context.request.get(server.url + link).body()
                    problems += ["a stranger may have the download"] if b"177" in anonymous(server.url + link) else []
                if entry.title == "Day":
                    trace(owner, "Sleep", "Asleep")
                walk(other, entry.title)
                problems += [f"public {entry.title}: {fault}" for fault in faults(other)]
            yield Visits(server, private, public, link, own_copy, problems)


def download_link(page: Any) -> str:
    """Open the first table of the page; where its CSV is to be had."""
    page.locator("[data-testid=stExpander] summary").first.click()
    link = page.locator("a[href^='/private-download/']").first
    link.wait_for(timeout=PATIENCE)
    return str(link.get_attribute("href"))


def trace(page: Any, group: str, number: str) -> None:
    """On the day's page: what made this number, down to the raw record; the band and the account are named in it."""
    page.get_by_test_id("stMain").get_by_role("radio", name=group, exact=True).click()
    page.get_by_test_id("stMain").get_by_role("button", name=number).first.click()
    page.get_by_role("heading", name=f"{number}:").wait_for(timeout=PATIENCE)
    settled(page)


def anonymous(url: str) -> bytes:
    """What a stranger without any cookie gets."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as refused:
        return bytes(refused.read())


def test_every_page_was_shown_to_both(visits: Visits) -> None:
    assert visits.problems == []
    assert len(visits.public.frames) > len(PAGES)
    assert len(visits.private.frames) > len(PAGES)


def test_the_scanner_finds_every_canary_in_the_private_session(visits: Visits) -> None:
    assert found_in(visits.private.everything()) == [canary.decode() for canary in CANARIES]


def test_no_frame_and_no_body_of_the_public_session_holds_a_canary(visits: Visits) -> None:
    assert found_in(visits.public.everything()) == []


def test_what_the_private_session_fetched_is_open_to_no_stranger(visits: Visits) -> None:
    fetched = {url for url in visits.private.urls if url.startswith(visits.server.url)}
    assert any("/_stcore/" in url for url in fetched)
    assert {url: found for url in fetched if (found := found_in(anonymous(url)))} == {}


def test_a_private_download_is_handed_to_the_signed_in_browser_alone(visits: Visits) -> None:
    assert b"177" in visits.own_copy
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(visits.server.url + visits.link, timeout=60)
    assert not [url for url in visits.private.urls if url.startswith(f"{visits.server.url}/media/")]


def test_the_log_of_the_server_holds_no_canary(visits: Visits) -> None:
    assert found_in(visits.server.log.read_bytes()) == []
    assert PASSWORD.encode() not in visits.server.log.read_bytes()


def test_nobody_is_asked_but_the_dashboard_itself(visits: Visits) -> None:
    own = (visits.server.url, visits.server.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in (*visits.private.urls, *visits.public.urls) if not url.startswith(own)] == []
