"""The overview in a real browser: one crosshair through all its lanes, values of all of them, the same day in every time zone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gold_bench import build

REPO = Path(__file__).resolve().parent.parent
PATIENCE = 120_000
"""Milliseconds; a loaded machine needs many of them."""
APP = """
import sys
sys.path.insert(0, {repo!r})
from datetime import date, timedelta
import streamlit as st
from serving.charts import base, overview
from serving.gold import open_file
from serving.view import View
panel = overview.panel(open_file({gold!r}), View(date(2025, 12, 2), date(2025, 12, 31), "30"))
event = st.altair_chart(panel.chart, width="stretch", key="overview", on_select="rerun", selection_mode="day")
st.text(f"chosen {{base.chosen_day(event)}}")
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Streamlit server that shows nothing but the overview."""
    folder = tmp_path_factory.mktemp("overview")
    script = folder / "app.py"
    script.write_text(APP.format(repo=str(REPO), gold=str(build(folder / "gold.duckdb", 1))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"server.port": port, "server.address": "127.0.0.1", "server.headless": "true", "browser.gatherUsageStats": "false"}
    command = [sys.executable, "-m", "streamlit", "run", str(script), *(f"--{name}={value}" for name, value in options.items())]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    import time

    for _ in range(600):
        assert server.poll() is None, "Streamlit ended."
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("Streamlit did not answer.")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(browser: Any, address: str, **context: Any) -> Any:
    page = browser.new_context(**context).new_page()
    page.goto(address)
    page.locator("[data-testid=stVegaLiteChart] svg").wait_for(timeout=PATIENCE)
    return page


def hovered(page: Any, across: float) -> Any:
    """The tooltip at this share of the chart's width."""
    box = page.locator("[data-testid=stVegaLiteChart] svg").bounding_box()
    tooltip = page.locator("#vg-tooltip-element.visible")
    for wiggle in range(60):  # the view listens only once it is laid out
        page.mouse.move(box["x"] + box["width"] * across + wiggle % 2, box["y"] + box["height"] * 0.4)
        if tooltip.count():
            break
        page.wait_for_timeout(250)
    return tooltip


@pytest.mark.parametrize("width", [1400, 390])
def test_hovering_shows_the_values_of_one_day_in_all_lanes_and_one_rule_through_them(
    width: int, browser: Any, address: str
) -> None:
    page = opened(browser, address, viewport={"width": width, "height": 900})
    tooltip = hovered(page, 0.6)
    tooltip.wait_for(timeout=PATIENCE)
    told = dict(zip(tooltip.locator("td.key").all_inner_texts(), tooltip.locator("td.value").all_inner_texts(), strict=True))
    assert set(told) == {"Day", "Blood pressure", "Heart rate", "Sleep", "Steps"}
    assert told["Day"].endswith("December 2025")
    texts = page.locator("[data-testid=stVegaLiteChart] svg text").all_text_contents()
    assert [told[name] for name in ("Blood pressure", "Heart rate", "Sleep", "Steps") if told[name] not in texts] == []
    rules = page.locator("[data-testid=stVegaLiteChart] svg .mark-rule line")
    heights = rules.evaluate_all("lines => lines.map(line => line.getBoundingClientRect().height)")
    assert max(heights) > 4 * 110
    page.mouse.move(2, 2)
    tooltip.wait_for(state="hidden", timeout=PATIENCE)
    page.locator("[data-testid=stVegaLiteChart] svg text", has_text=told["Blood pressure"]).wait_for(
        state="detached", timeout=PATIENCE
    )


def test_the_chart_fits_a_phone(browser: Any, address: str) -> None:
    page = opened(browser, address, viewport={"width": 390, "height": 844})
    box = page.locator("[data-testid=stVegaLiteChart] svg").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_click_chooses_the_day_the_tooltip_names_wherever_the_browser_is(browser: Any, address: str) -> None:
    days = set()
    for zone in ("America/Los_Angeles", "Pacific/Auckland"):
        page = opened(browser, address, viewport={"width": 1000, "height": 900}, timezone_id=zone)
        tooltip = hovered(page, 0.5)
        tooltip.wait_for(timeout=PATIENCE)
        named = tooltip.locator("td.value").first.inner_text()
        page.mouse.down()
        page.mouse.up()
        page.get_by_text(f"chosen 2025-12-{int(named.split()[1]):02d}").wait_for(timeout=PATIENCE)
        days.add(named)
    assert len(days) == 1
