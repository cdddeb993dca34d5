"""The public dashboard cannot reach anything private: by its imports, by what it opens while it runs, and by what it serves."""

from __future__ import annotations

import ast
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from scripts.browsing import PATIENCE, dashboard, visit
from serving.pages import PAGES
from tests.browser_bench import Wire, browser, faults, overflow

REPO = Path(__file__).resolve().parent.parent
PRIVATE = ("config.settings", "config.snapshot", "scripts", "pipeline", "warehouse", "processing", "ingestion", "main")
PRIVATE += ("serving.dashboard.private", "serving.dashboard.private_lineage", "serving.sealed", "serving.api", "serving.metrics")
DOOR = ("serving.dashboard.access", "serving.dashboard.private")
"""The only place that loads the private side, by its name: when somebody asks to sign in."""


def file_of(module: str) -> Path | None:
    path = REPO / module.replace(".", "/")
    found = (p for p in (path / "__init__.py", path.with_suffix(".py")) if p.is_file())
    return next(found, None)


def imported(path: Path) -> tuple[set[str], set[str]]:
    """Modules of ours that a file imports anywhere in it, functions included; and those it names to import by name."""
    plain: set[str] = set()
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            plain |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, path
            plain |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"import_module", "importlib.import_module", "__import__"}:
            named.add(ast.unparse(node.args[0]))
    return {m for m in plain if file_of(m)}, named


def closure() -> tuple[set[str], dict[str, set[str]]]:
    pages = {f"serving.pages.{p.stem}" for p in (REPO / "serving/pages").glob("*.py")}
    open_ = {"dashboard", "serving.dashboard.app", *pages}
    seen: set[str] = set()
    by_name: dict[str, set[str]] = {}
    while open_:
        module = open_.pop()
        seen.add(module)
        path = file_of(module)
        assert path is not None, module
        plain, named = imported(path)
        module = module.removesuffix(".__init__")
        if named:
            by_name[module] = named
        parents = {module.rpartition(".")[0]} - {""}
        open_ |= (plain | parents) - seen
    return seen, by_name


def test_no_import_of_the_public_side_leads_to_settings_pipeline_or_private_code() -> None:
    seen, _ = closure()
    assert {"serving.dashboard.shell", "serving.pages.overview", "serving.gold", "serving.view"} <= seen
    assert {m for m in seen if any(m == p or m.startswith(f"{p}.") for p in PRIVATE)} == set()


def test_modules_loaded_by_name_are_the_pages_and_the_one_door() -> None:
    _, by_name = closure()
    assert by_name == {DOOR[0]: {repr(DOOR[1])}, "serving.pages": {"f'serving.pages.{module}'"}}


def test_no_html_of_ours_can_carry_data_and_no_cache_is_shared_but_three() -> None:
    unsafe: list[str] = []
    shared: list[str] = []
    for path in [REPO / "dashboard.py", *(REPO / "serving").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg in {"unsafe_allow_html", "unsafe_allow_javascript"}:
                unsafe.append(path.name)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "st.html":
                unsafe += [] if all(ast.unparse(a).isupper() for a in node.args) else [path.name]  # a constant of ours
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "st.iframe":
                page = ast.unparse(node.args[0])  # a document of its own origin, which can run no script
                unsafe += [] if page.startswith(("f'data:text/html;base64,", 'f"data:')) else [path.name]
            if isinstance(node, ast.Attribute) and node.attr in {"cache_data", "cache_resource", "lru_cache"}:
                shared.append(path.name)
    assert unsafe == []
    assert sorted(shared) == ["access.py", "private.py", "public.py"]


WATCH = """
import os, sys
_out = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def _hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.fsdecode(arguments[0])
        if path.startswith({canary!r}) or os.path.basename(path) in (".env", "settings.yaml", "registry.db"):
            os.write(_out, f"opened {{path}}\\n".encode())
    if event in ("os.listdir", "os.scandir", "sqlite3.connect") and str(arguments[0]).startswith({canary!r}):
        os.write(_out, f"{{event}} {{arguments[0]}}\\n".encode())
    if event == "import" and any(arguments[0] == p or arguments[0].startswith(p + ".") for p in {private!r}):
        os.write(_out, f"imported {{arguments[0]}}\\n".encode())
sys.addaudithook(_hook)
os.write(_out, b"watching\\n")
"""


class Visit(NamedTuple):
    """A public visit to every page, at a desk and on a phone."""

    url: str
    wire: Wire
    watched: list[str]
    faults: list[str]
    labels: list[int]
    wider: list[int]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Visit]:
    folder = tmp_path_factory.mktemp("public")
    canary, log = folder / "private-canary", folder / "watched"
    canary.mkdir()
    (canary / "registry.db").write_text("CANARY")
    (folder / "sitecustomize.py").write_text(WATCH.format(log=str(log), canary=str(canary), private=PRIVATE))
    env = {"PYTHONPATH": str(folder), "DATA_DIR": str(canary), "STATE_KEY": "CANARYKEY", "DASHBOARD_PASSWORD_HASH": "CANARYHASH"}
    with dashboard(folder, env) as server:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        wire = Wire(page)
        seen: list[str] = []
        labels, wider = [], []
        for entry in PAGES:
            visit(page, f"{server.url}/{entry.url_path}")
            seen += [f"{entry.title}: {fault}" for fault in faults(page)]
            labels.append(page.get_by_text("An invented person").count())
        page.set_viewport_size({"width": 390, "height": 800})
        for entry in PAGES[:2]:
            visit(page, f"{server.url}/{entry.url_path}")
            labels.append(page.get_by_text("An invented person").count())
            wider.append(overflow(page))
        yield Visit(server.url, wire, log.read_text().splitlines(), seen, labels, wider)


def test_a_public_visit_to_every_page_opens_nothing_private_and_imports_nothing_private(public: Visit) -> None:
    assert set(public.watched) == {"watching"}


def test_every_page_is_ready_without_a_click_and_labelled_as_synthetic(public: Visit) -> None:
    assert public.faults == []
    assert min(public.labels) >= 1


def test_a_phone_shows_no_page_wider_than_itself(public: Visit) -> None:
    assert max(public.wider) <= 0


def test_nothing_is_fetched_from_elsewhere_and_nothing_private_is_sent(public: Visit) -> None:
    hosts = {urlsplit(url).netloc for url in public.wire.urls if urlsplit(url).scheme in {"http", "https", "ws", "wss"}}
    assert hosts == {urlsplit(public.url).netloc}
    assert b"CANARY" not in public.wire.everything()


def answered(url: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE / 1000)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_every_page_comes_with_strict_headers_and_a_cookie_no_script_can_read(public: Visit) -> None:
    status, headers, _ = answered(public.url, "/")
    assert status == 200
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "connect-src 'self';" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    _, behind_tls, _ = answered(public.url, "/", {"X-Forwarded-Proto": "https"})
    assert "; Secure" in behind_tls["set-cookie"]


def test_a_browser_keeps_the_cookie_it_has(public: Visit) -> None:
    _, headers, _ = answered(public.url, "/", {"Cookie": "pdp_browser=abc"})
    assert "set-cookie" not in headers


@pytest.mark.parametrize(
    "theirs",
    ['theme={"dark": true}; pdp_browser=abc', "a=b c; pdp_browser=abc", "a/b=1; pdp_browser=abc", "a,b@c=1; pdp_browser=abc"],
)
def test_cookies_of_other_programs_on_this_machine_break_nothing_and_hide_nothing(public: Visit, theirs: str) -> None:
    status, headers, _ = answered(public.url, "/", {"Cookie": theirs})
    assert status == 200
    assert "set-cookie" not in headers


@pytest.mark.parametrize("cookie", ["pdp_browser=", "a/b=1", "xpdp_browser=abc"])
def test_a_browser_without_a_name_is_given_one(public: Visit, cookie: str) -> None:
    status, headers, _ = answered(public.url, "/", {"Cookie": cookie})
    assert status == 200
    assert headers["set-cookie"].startswith("pdp_browser=")


def test_the_agent_interface_is_off(public: Visit) -> None:
    status, _, body = answered(public.url, "/_stcore/agent/openapi.json")
    assert status == 404 or "not enabled" in json.dumps(json.loads(body)).lower() or "disabled" in body.decode().lower()


def test_a_download_nobody_offered_is_not_found(public: Visit) -> None:
    assert answered(public.url, "/private-download/guess", {"Cookie": "pdp_browser=abc"})[0] == 404


def test_the_socket_takes_no_page_of_another_site(public: Visit) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "streamlit",
    }
    same = {**headers, "Origin": public.url}
    port = urlsplit(public.url).port
    assert port
    others = (
        "https://evil.example",
        f"http://localhost:{port + 1}",
        f"http://localhost:{port}",
        "http://127.0.0.1",
        "null",
        "http://[",
    )
    for origin in others:  # a page of another program on this machine is another site, too
        assert answered_upgrade(public.url, {**headers, "Origin": origin}) == 403, origin
    assert answered_upgrade(public.url, same) == 101


def answered_upgrade(url: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE / 1000)
    try:
        connection.request("GET", "/_stcore/stream", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def query(page: Any) -> str:
    return str(urlsplit(page.url).query)


def chosen(page: Any) -> str:
    return str(page.locator("[data-testid=stButtonGroup] button[aria-checked=true]").first.inner_text())


def wait_for_query(page: Any, text: str) -> None:
    page.wait_for_url(lambda url: urlsplit(url).query == text, timeout=PATIENCE)


def test_the_view_stands_in_the_address_and_the_address_gives_the_view(public: Visit, page: Any) -> None:
    visit(page, public.url)
    assert (query(page), chosen(page)) == ("", "90 days")
    page.get_by_role("radio", name="30 days", exact=True).click()
    wait_for_query(page, "range=30")
    page.get_by_role("radio", name="1 year").click()
    wait_for_query(page, "range=365")
    page.get_by_role("link", name="Blood pressure").click()
    page.wait_for_url("**/blood-pressure?range=365", timeout=PATIENCE)
    page.go_back()
    page.wait_for_url(lambda url: urlsplit(url).path == "/" and urlsplit(url).query == "range=365", timeout=PATIENCE)
    page.go_back()
    wait_for_query(page, "range=30")
    page.wait_for_function("document.querySelector('[data-testid=stButtonGroup] [aria-checked=true]').innerText == '30 days'")
    visit(page, f"{public.url}/heart?range=custom&from=2025-03-01&to=2025-03-31&source=mi_fitness&scheme=esc_2024_home")
    assert chosen(page) == "Custom"
    assert page.get_by_role("combobox", name="Blood pressure categories").input_value() == "ESC 2024, home"
    assert page.get_by_role("combobox", name="Source").input_value() == "mi fitness"
    assert query(page) == "range=custom&from=2025-03-01&to=2025-03-31&source=mi_fitness&scheme=esc_2024_home"


def test_a_wrong_address_falls_back_and_says_what_is_shown(public: Visit, page: Any) -> None:
    visit(page, f"{public.url}/?range=evil&source=<b>nobody</b>&scheme=9&from=x")
    assert faults(page) == []
    assert chosen(page) == "90 days"
    wait_for_query(page, "")


def test_custom_begins_with_what_was_shown(public: Visit, page: Any) -> None:
    visit(page, f"{public.url}/?range=7")
    page.get_by_role("radio", name="Custom").click()
    wait_for_query(page, "range=custom&from=2025-12-25&to=2025-12-31")


def test_the_keyboard_reaches_the_content_first_and_then_every_control(public: Visit, page: Any) -> None:
    visit(page, public.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to main content"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("(document.activeElement.innerText || document.activeElement.ariaLabel || '').split('\\n').pop()")
        )
    assert {"Overview", "Sign in", "7 days"} <= reached


def test_where_nothing_is_set_up_nobody_can_sign_in(tmp_path: Path, page: Any) -> None:
    with dashboard(tmp_path) as server:
        visit(page, f"{server.url}/sign-in")
        assert page.get_by_text("Nobody can sign in here").count() == 1
        assert page.locator("input[type=password]").count() == 0
