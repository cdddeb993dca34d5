"""Who is looking: anybody at the invented person, or somebody signed in at their own data. Asked at the top of every run.

Everything here is public code. What can reach private data is loaded by `door` alone, when somebody asks to sign in or comes back
from a sign-in by OIDC.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import streamlit as st

from serving.dashboard import filters
from serving.dashboard.addresses import browser
from serving.dashboard.downloads import OFFERED
from serving.dashboard.sessions import Sessions

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools

_OPENED, _NOTICE, _REFUSED = "access: opened", "access: notice", "access: refused"


@dataclass(frozen=True)
class Opened:
    """One session's view of private data."""

    login: str
    browser: str
    gold: Gold
    tools: Tools
    by_provider: bool
    """Signed in by OIDC: signing out takes its cookie away, too."""


@st.cache_resource
def sessions() -> Sessions:
    """The sign-ins of this process; times only."""
    return Sessions()


def door() -> Any:
    """The private side, loaded now."""
    return import_module("serving.dashboard.private")


def opened() -> Opened | None:
    """What this session has opened, if it still may see it; somebody has just done something. Ends what is over."""
    found: Opened | None = st.session_state.get(_OPENED)
    if found is None and _came_back():
        found = door().come_in()
        if found is not None:
            keep(found)
    if found is None:
        return None
    if reason := over(found):
        close(reason)
        return None
    st.session_state.pop(OFFERED, None)
    sessions().touch(found.login)
    return found


def over(found: Opened) -> str:
    """Why it has ended; '' while it is open to this browser."""
    return sessions().over(found.login) or (
        "" if found.browser == browser(st.context.cookies) else "It was opened in another browser."
    )


def keep(found: Opened) -> None:
    """Open it for this session."""
    st.session_state[_OPENED] = found


def close(reason: str = "", sign_out: bool = False) -> None:
    """Lock: what the session has opened, chosen, drawn and offered is gone. By OIDC, `sign_out` takes its cookie away, too."""
    found: Opened | None = st.session_state.get(_OPENED)
    st.session_state.clear()
    filters.clear()
    refuse(f"Locked. {reason}".strip())
    if found is None:
        return
    sessions().end(found.login)
    found.gold.close()
    if found.by_provider and sign_out:
        st.logout()
        st.stop()  # a run begun now would take back the word that sends the browser to sign out


def refuse(said: str) -> None:
    """Nobody comes into this session by itself again; the person is told why, once."""
    st.session_state[_NOTICE], st.session_state[_REFUSED] = said, True


def notice() -> str:
    """What the person should know of the session that has ended, once."""
    return str(st.session_state.pop(_NOTICE, ""))


def watch(found: Opened) -> None:
    """In the side bar: how long the session lasts, the lock; a page nobody touches clears itself."""
    left = sessions().left(found.login)
    st.fragment(_watch, run_every=max(1.0, min(15.0, left / 4)))(found)
    if st.button("Lock", icon=":material/lock:", width="stretch", help="Clears everything this page has shown"):
        close(sign_out=True)
        st.rerun()


def _watch(found: Opened) -> None:
    if over(found):
        st.rerun()
    minutes = sessions().left(found.login) / 60
    st.caption(f"Your own data. Locks in {minutes:.0f} min." if minutes >= 1 else "Your own data. Locks in less than a minute.")


def _came_back() -> bool:
    """Somebody is signed in by OIDC, and has not just been locked out."""
    return bool(st.user.get("is_logged_in")) and _REFUSED not in st.session_state
