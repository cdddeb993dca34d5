"""Signing in at a provider (OIDC), offline against one of our own: who is on the list comes in, nobody else, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from scripts.browsing import PATIENCE, dashboard, free_port, settled, visit
from tests.browser_bench import browser
from tests.oidc_bench import Provider, provider, secrets_toml
from tests.test_dashboard_access_private import tables


class Place(NamedTuple):
    url: str
    provider: Provider


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "home/.streamlit").mkdir(parents=True)
    with provider() as idp:
        (folder / "home/.streamlit/secrets.toml").write_text(secrets_toml(idp, url))
        env = {"DATA_DIR": str(tables(folder)), "DASHBOARD_ALLOWED_USERS": '["Me@Example.org", "subject-7"]'}
        with dashboard(folder, env, port=port):
            yield Place(url, idp)


@pytest.fixture
def page(chromium: Any, place: Place) -> Iterator[Any]:
    place.provider.claims = {"sub": "subject-1", "email": "me@example.org", "email_verified": True}
    place.provider.age = 0
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def sign_in(page: Any, place: Place) -> None:
    visit(page, f"{place.url}/sign-in")
    page.get_by_role("button", name="Sign in with your account").click()
    page.wait_for_url(f"{place.url}/", timeout=PATIENCE)


def test_a_verified_address_on_the_list_comes_in_and_a_reload_keeps_it_in(place: Place, page: Any) -> None:
    sign_in(page, place)
    page.get_by_role("button", name="Lock").wait_for(timeout=PATIENCE)
    visit(page, place.url)
    page.get_by_role("button", name="Lock").wait_for(timeout=PATIENCE)
    assert page.get_by_text("An invented person").count() == 0


def test_a_subject_on_the_list_comes_in_without_an_address(place: Place, page: Any) -> None:
    place.provider.claims = {"sub": "subject-7"}
    sign_in(page, place)
    page.get_by_role("button", name="Lock").wait_for(timeout=PATIENCE)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "subject-2", "email": "other@example.org", "email_verified": True},
        {"sub": "subject-2", "email": "me@example.org", "email_verified": False},
        {"sub": "subject-2", "email": "me@example.org"},
        {"sub": "subject-2"},
    ],
)
def test_being_signed_in_is_not_enough(place: Place, page: Any, claims: dict[str, Any]) -> None:
    place.provider.claims = claims
    sign_in(page, place)
    page.get_by_text("This account may not see this data.").wait_for(timeout=PATIENCE)
    settled(page)
    assert page.get_by_text("An invented person").count() == 1
    assert page.get_by_role("button", name="Lock").count() == 0


def test_a_sign_in_of_hours_ago_does_not_count_however_long_its_cookie_lives(place: Place, page: Any) -> None:
    place.provider.age = 16 * 60
    sign_in(page, place)
    page.get_by_text("This sign-in has ended. Nothing was done for 15 minutes.").wait_for(timeout=PATIENCE)
    assert page.get_by_role("button", name="Lock").count() == 0


def test_the_lock_signs_out_here_and_in_every_other_tab(place: Place, page: Any) -> None:
    sign_in(page, place)
    page.get_by_role("button", name="Lock").wait_for(timeout=PATIENCE)
    cookies = page.context.cookies()
    other = page.context.new_page()
    visit(other, place.url)
    other.get_by_role("button", name="Lock").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Lock").click()
    page.get_by_text("An invented person").wait_for(timeout=PATIENCE)
    until = time.monotonic() + PATIENCE / 1000
    while "_streamlit_user" in {cookie["name"] for cookie in page.context.cookies()}:
        assert time.monotonic() < until, "the provider's cookie stays"
        page.wait_for_timeout(100)
    other.locator("[data-testid=stSidebar]").get_by_role("link", name="Heart").click()
    other.get_by_text("An invented person").wait_for(timeout=PATIENCE)
    page.context.add_cookies(cookies)  # somebody has kept the cookie
    visit(page, place.url)
    page.get_by_text("This sign-in has ended. It was locked.").wait_for(timeout=PATIENCE)
    assert page.get_by_role("button", name="Lock").count() == 0
