"""Two sessions in one process: what one has opened, the other cannot find, in its page or in any cache they share."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_dashboard_access_private import CANARY, PASSWORD, tables

pytestmark = pytest.mark.filterwarnings("default")  # what Streamlit says of running without a server
APP = Path(__file__).resolve().parent.parent / "serving/dashboard/app.py"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import streamlit as st

    from serving.dashboard import access, private
    from serving.dashboard.passwords import hashed

    data = tables(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(data))
    monkeypatch.setenv("DASHBOARD_PASSWORD_HASH", hashed(PASSWORD))
    for module in (access, private):  # AppTest has no browser: its cookies are no text
        monkeypatch.setattr(module, "browser", lambda cookies: "")
    yield data
    st.cache_resource.clear()


def app() -> Any:
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(APP), default_timeout=120)


def session(private: bool = False) -> Any:
    """A session that has run once; a private one is signed in."""
    made = app().run()
    return through_the_door(made) if private else made


def through_the_door(made: Any) -> Any:
    """Sign in as the page does; the sign-in page itself is walked in a browser."""
    from scripts.project import open_project
    from serving.dashboard import access, private

    project = open_project()
    login = "a login nobody can guess"
    access.sessions().begin(login, private.Terms(900, 28_800))
    made.session_state["access: opened"] = private._opened(project, project.settings.whole(), login, by_provider=False)
    return made.run()


def shown(made: Any) -> str:
    """All that the session's page holds."""
    return "\n".join(str(element.proto) for element in made.main) + "\n".join(str(element.proto) for element in made.sidebar)


def test_a_public_session_finds_nothing_of_a_private_one_in_its_page_or_in_a_shared_cache(root: Path) -> None:
    owner = session(private=True)
    assert CANARY in shown(owner).replace(" ", "_")
    assert [button.label for button in owner.sidebar.button] == ["Lock"]
    other = session()
    assert CANARY not in shown(other).replace(" ", "_")
    assert "An invented person" in shown(other)
    assert CANARY in shown(owner.run()).replace(" ", "_")


def test_no_object_of_a_private_session_outlives_its_lock(root: Path) -> None:
    owner = session(private=True)
    gold = owner.session_state["access: opened"].gold
    inner, gone = gold._gold, weakref.ref(gold)
    next(button for button in owner.sidebar.button if button.label == "Lock").click().run()
    assert "An invented person" in shown(owner)
    assert "access: opened" not in owner.session_state
    with pytest.raises(Exception, match="closed"):
        inner.table("SELECT 1 AS one")
    del gold
    owner.run()
    gc.collect()
    assert gone() is None


def test_private_tables_answer_nobody_once_the_session_has_ended(root: Path) -> None:
    from serving.dashboard import access

    owner = session(private=True)
    opened = owner.session_state["access: opened"]
    assert len(opened.gold.table("SELECT 1 AS one")) == 1
    access.sessions().end(opened.login)
    with pytest.raises(Exception, match="session has ended"):
        opened.gold.table("SELECT 1 AS one")
    with pytest.raises(Exception, match="session has ended"):
        opened.tools.evidence(opened.gold._gold.table("SELECT last_date FROM meta")["last_date"].iloc[0].date(), "systolic")
    owner.run()
    assert "An invented person" in shown(owner)
    assert any("Locked." in warning.value for warning in owner.warning)


def test_shared_caches_hold_the_invented_person_times_and_counts_and_nothing_else(root: Path) -> None:
    from serving.dashboard import access, private, public

    session(private=True)
    shared = [public.gold(), access.sessions(), private.throttle()]
    assert shared[0].synthetic
    assert CANARY not in str(shared[0].table("SELECT DISTINCT source FROM daily_by_source"))
    assert CANARY not in str([vars(thing) for thing in shared[1:]])


def test_a_sign_in_is_on_record_and_its_line_tells_nothing_but_when_and_how(root: Path) -> None:
    from config import audit

    session()
    assert list(audit.lines(str(root))) == []
    session(private=True)
    (line,) = audit.lines(str(root))
    assert (line.pop("what"), line.pop("by")) == ("sign_in", "password")
    assert list(line) == ["at"]
