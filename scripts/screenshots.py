"""Photographs the dashboard for the README: `make screenshots`. Everything on them is invented, the private view's person, too.

python -m scripts.screenshots [NAME …]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import PDPError, StageError
from scripts.browsing import browser, dashboard, hover, settled, sign_in, visit, walk
from scripts.project import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUT = Path(ROOT) / "docs" / "img"
LARGEST = 300_000
"""Bytes of one picture at most."""
_PASSWORD = "an invented person signs in"  # noqa: S105 - opens nothing but what this script has made
_TRACED = "2025-11-14"


def public(page: Page, url: str) -> None:
    """The overview anybody sees."""
    visit(page, url, charts=1)


def crosshair(page: Page, url: str) -> None:
    """The pointer on a day: every lane says its value."""
    visit(page, url, charts=1)
    page.evaluate("document.querySelector('[data-testid=stVegaLiteChart]').scrollIntoView({block: 'center'})")
    hover(page, 0.55)
    page.wait_for_timeout(300)


def pressure(page: Page, url: str) -> None:
    """A year of blood pressure with the day the tablets began."""
    visit(page, f"{url}/blood-pressure?range=365", charts=1)


def sleep(page: Page, url: str) -> None:
    """Sleep in the dark theme."""
    visit(page, f"{url}/sleep?range=30", charts=1)


def traced(page: Page, url: str) -> None:
    """One day, one number, its readings and the raw record."""
    visit(page, f"{url}/day?day={_TRACED}")


def report(page: Page, url: str) -> None:
    """The page for the doctor."""
    visit(page, f"{url}/report?range=all")


def lineage(page: Page, url: str) -> None:
    """The DAG with its last states."""
    visit(page, f"{url}/lineage")


def private(page: Page, url: str) -> None:
    """One's own data after signing in."""
    sign_in(page, url, _PASSWORD)
    walk(page, "Heart")
    settled(page, charts=1)


SHOTS: dict[str, tuple[Callable[[Page, str], None], tuple[int, int], str]] = {
    "public": (public, (1280, 1000), "light"),
    "crosshair": (crosshair, (1280, 1000), "light"),
    "blood_pressure": (pressure, (1280, 1000), "light"),
    "dark": (sleep, (1280, 1000), "dark"),
    "phone": (public, (390, 844), "light"),
    "day": (traced, (1280, 1250), "light"),
    "report": (report, (1280, 1250), "light"),
    "lineage": (lineage, (2500, 1000), "light"),
    "private": (private, (1280, 1000), "light"),
}
"""Name → what to open, how large the window is, which colours."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Gives 0 when the pictures are written, the error's own code otherwise."""
    parser = argparse.ArgumentParser(description="Photograph the dashboard for docs/img.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(SHOTS)}")
    names = parser.parse_args(argv).names or list(SHOTS)
    if unknown := set(names) - set(SHOTS):
        parser.error(f"no picture is named {', '.join(sorted(unknown))}")
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="pdp-screens-") as folder, browser() as chromium:
            env = someone(Path(folder)) if "private" in names else {}
            with dashboard(Path(folder), env) as server:
                for name in names:
                    size = photograph(chromium, server.url, name)
                    print(f"{name:16}{size / 1000:6.0f} kB")
    except PDPError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def photograph(chromium: Browser, url: str, name: str) -> int:
    """One picture; gives its bytes. Raises StageError for one that grew too large."""
    prepare, (width, height), scheme = SHOTS[name]
    with _page(chromium, width, height, scheme) as page:
        prepare(page, url)
        page.wait_for_timeout(500)  # fonts and the last transition
        image = page.screenshot(path=str(OUT / f"{name}.png"), scale="css", animations="disabled")
    if len(image) > LARGEST:
        raise StageError(f"The picture {name} is larger than {LARGEST // 1000} kB.", "Make its window smaller in SHOTS.")
    return len(image)


@contextmanager
def _page(chromium: Browser, width: int, height: int, scheme: Any) -> Iterator[Page]:
    with chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme) as context:
        yield context.new_page()


def someone(folder: Path) -> dict[str, str]:
    """Another invented person's data root, run like anybody's; gives the environment of her dashboard."""
    from scripts.generate_mock_data import generate
    from scripts.mock.demo_settings import write_settings
    from serving.dashboard.passwords import hashed

    made = generate(folder / "data" / "inbox", days=200, end=date(2026, 10, 31), seed=23, timezone="Europe/Lisbon")
    write_settings(folder / "settings.yaml", made.plan)
    env = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    env |= {"DATA_DIR": str(folder / "data"), "PDP_SETTINGS": str(folder / "settings.yaml")}
    done = subprocess.run([sys.executable, "main.py"], cwd=ROOT, env=env, capture_output=True, check=False)
    if done.returncode:
        raise StageError("The invented person's run failed.", "See what python main.py says.")
    return env | {"DASHBOARD_PASSWORD_HASH": hashed(_PASSWORD)}


if __name__ == "__main__":
    sys.exit(main())
