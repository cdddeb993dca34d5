"""The real dashboard in a real browser: a server on a free port, headless Chromium, and knowing when a page stands.

For the photographs (`scripts.screenshots`), the measurements (`bench/dashboard.py`) and the browser tests.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from config.errors import StageError, UsageError
from scripts.project import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 90_000
"""Milliseconds a page may take on a loaded machine; a quick one never waits for it."""
_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
_STANDS = """charts => {
    const app = document.querySelector('[data-testid=stApp]')
    return app.getAttribute('data-test-script-state') === 'notRunning'
        && app.getAttribute('data-test-connection-state') === 'CONNECTED'
        && !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')
        && document.querySelector('h1, [data-testid=stAlert]')
        && document.querySelectorAll('[data-testid=stVegaLiteChart] :is(canvas, svg)').length >= charts
}"""
_ANOTHER = """before => {
    const title = document.querySelector('h1')
    return title ? title.innerText !== before : document.querySelector('[data-testid=stAlert]')
}"""


class Dashboard(NamedTuple):
    """A dashboard that is up."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]


def chromium() -> str:
    """Path of a Chromium. Raises UsageError when there is none."""
    found = next((path for name in _CHROMIUMS if (path := shutil.which(name))), "")
    if not found:
        raise UsageError("There is no Chromium on this machine.", "Install the package chromium.")
    return found


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def dashboard(
    folder: Path, env: Mapping[str, str] | None = None, script: str = "dashboard.py", port: int = 0
) -> Iterator[Dashboard]:
    """The dashboard with these variables and no other settings of the surroundings; it is stopped at the end."""
    port = port or free_port()
    home, log = folder / "home", folder / "dashboard.log"
    home.mkdir(parents=True, exist_ok=True)
    surroundings = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV", "PYTHONPATH") if name in os.environ}
    surroundings |= {"HOME": str(home), "TMPDIR": str(folder), "DATA_DIR": str(folder / "nothing"), **(env or {})}
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port), "--server.headless", "true"]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=out, stderr=out, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process)
        yield Dashboard(url, log, process)
    finally:
        _stop(process)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield opened
        finally:
            opened.close()


def settled(page: Page, charts: int = 0) -> None:
    """Wait until the app has finished its run and drawn at least so many charts."""
    page.wait_for_selector("[data-testid=stApp]", timeout=PATIENCE)
    page.wait_for_function(_STANDS, arg=charts, timeout=PATIENCE)


def visit(page: Page, url: str, charts: int = 0) -> None:
    """Open an address and wait until it stands."""
    page.goto(url, timeout=PATIENCE, wait_until="domcontentloaded")
    settled(page, charts)


def hover(page: Page, at: float = 0.5, chart: int = 0) -> None:
    """Put the pointer on a chart, `at` from its left (0) to its right (1), and wait for what it says there."""
    drawn = page.locator("[data-testid=stVegaLiteChart]").nth(chart)
    drawn.scroll_into_view_if_needed()
    box = drawn.bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
    until = time.monotonic() + PATIENCE / 1000
    for step in range(10_000):
        page.mouse.move(box["x"] + box["width"] * at + step % 7, box["y"] + box["height"] * 0.3 + step % 5)
        if page.locator("#vg-tooltip-element.visible").count():
            return
        page.wait_for_timeout(50)
        if time.monotonic() > until:
            break
    raise StageError("A chart says nothing where the pointer is.")


def sign_in(page: Page, url: str, password: str) -> None:
    """From the sign-in page to one's own overview."""
    visit(page, f"{url}/sign-in")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Your own data", exact=False).first.wait_for(timeout=PATIENCE)
    settled(page)


def walk(page: Page, title: str) -> None:
    """To another page by its link in the side bar, as a signed-in person goes: loading the page anew would lock it."""
    link = page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=True)
    before = page.locator("h1").first.inner_text() if page.locator("h1").count() else ""
    link.click()
    if not before.startswith(title):
        page.wait_for_function(_ANOTHER, arg=before, timeout=PATIENCE)
    settled(page)


def _wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise StageError("The dashboard did not come up.", "Start it by hand: streamlit run dashboard.py")


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
