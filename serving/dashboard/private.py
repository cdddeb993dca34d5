"""The private side: signing in, and opening one's own tables for one session. Loaded only when somebody asks to sign in.

Nothing that is read here outlives the session: no cache holds it, and what is sealed is decrypted in memory. Without a password
hash and without allowed users nobody can sign in.
"""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import streamlit as st

from config import audit
from config.errors import AccessError, PDPError, StoreError
from config.sealing import key_of
from scripts.in_force import GOLD, SEALED, in_force
from scripts.project import Project, open_project
from serving.dashboard import access, passwords
from serving.dashboard.access import Opened
from serving.dashboard.addresses import browser, lane
from serving.dashboard.downloads import OFFERED, SHELF, Offer
from serving.dashboard.sessions import Terms
from serving.dashboard.throttle import Queue, Throttle, Verdict
from serving.evidence.cell import evidence
from serving.gold import Gold, open_file
from serving.pages.tools import Tools

if TYPE_CHECKING:
    import pandas as pd

    from config.settings import Settings


@st.cache_resource
def throttle() -> Throttle:
    """One for the process; it knows addresses and counts, no password."""
    return Throttle(Queue())


def sign_in() -> None:
    """The page where a person signs in; says how to set it up where nobody can."""
    project = open_project()
    settings: Settings = project.settings.whole()
    kept = settings.dashboard_password_hash.get_secret_value() if settings.dashboard_password_hash else ""
    by_provider = _provider() and bool(settings.dashboard_allowed_users)
    st.title("Sign in", anchor=False)
    if not kept and not by_provider:
        st.info("Nobody can sign in here: neither a password nor a provider is set up. `docs/dashboard.md` says how.")
        return
    if kept:
        _by_password(project, settings, kept)
    if by_provider:
        _by_provider()


def come_in() -> Opened | None:
    """After a sign-in by OIDC: the session, if the person may have one. Being signed in is not enough: the list decides."""
    project = open_project()
    settings: Settings = project.settings.whole()
    told = st.user.to_dict()
    if not allowed(told, settings.dashboard_allowed_users):
        raise AccessError("This account may not see this data.", "Sign out, then sign in with one that may.")
    issued = told.get("iat")
    if not isinstance(issued, int | float) or not 0 < issued <= time.time() + 60:  # so written, NaN is refused, too
        raise AccessError("The provider does not tell when this sign-in was.", "Sign out, then sign in again.")
    login = f"{told.get('iss')} {told.get('sub')} {issued}"
    if reason := access.sessions().begin(login, _terms(settings), issued):
        raise AccessError(f"This sign-in has ended. {reason}", "Sign in again.")
    return _opened(project, settings, login, by_provider=True)


def allowed(told: Mapping[str, Any], users: list[str]) -> bool:
    """Whether the claims of an id token name somebody on the list: by subject, or by an e-mail address the provider has verified.

    An entry with an @ is an address and never a subject, which some providers let a person choose.
    """
    listed = {user.strip() for user in users if user.strip()}
    addresses = {_address(user) for user in listed if "@" in user}
    verified = told.get("email_verified")
    email = _address(str(told.get("email") or "")) if verified is True or verified == "true" else ""
    return str(told.get("sub") or "") in {user for user in listed if "@" not in user} or email in addresses


def _address(text: str) -> str:
    """Capitals are no difference in ASCII; elsewhere two letters that become one would make two people one."""
    return text.lower() if text.isascii() else text


def _by_password(project: Project, settings: Settings, kept: str) -> None:
    with st.form("sign in", clear_on_submit=True, border=False, width=420):
        typed = st.text_input("Password", type="password", autocomplete="current-password", max_chars=passwords.LONGEST)
        if not st.form_submit_button("Sign in", icon=":material/login:"):
            return
    address = lane(st.context.ip_address, st.context.headers)
    with st.spinner("Checking …"):
        verdict = throttle().check(address, browser(st.context.cookies), lambda: passwords.right(typed, kept))
    if verdict is Verdict.RIGHT:
        login = token_urlsafe(32)
        access.sessions().begin(login, _terms(settings))
        access.keep(_opened(project, settings, login, by_provider=False))
        st.rerun()
    busy = "Many are trying at once, and this was not checked. Try again."
    st.error("That is not the password. The next try takes a little longer." if verdict is Verdict.WRONG else busy)


def _by_provider() -> None:
    st.write("With your account at the provider that is set up here:")
    if st.button("Sign in with your account", icon=":material/account_circle:"):
        st.login()
    if st.user.get("is_logged_in") and st.button("Sign out of that account", icon=":material/logout:"):
        st.logout()


def _provider() -> bool:
    """Whether Streamlit has been told of a provider."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def _terms(settings: Settings) -> Terms:
    return Terms(settings.dashboard_idle_minutes * 60, settings.dashboard_session_hours * 3600)


def _opened(project: Project, settings: Settings, login: str, by_provider: bool) -> Opened:
    """The tables and tools of one session, which answer only while it is open."""
    who = browser(st.context.cookies)

    def still_open() -> bool:
        return not access.sessions().over(login)

    gold = Watched(open_gold(project, settings), still_open)
    audit.record(project.data_dir, "sign_in", by="provider" if by_provider else "password")
    checked = partial(_clear_if_over, still_open, login, who)
    tools = Tools(
        evidence=partial(_evidence, project, gold),
        lineage=partial(_lineage, checked),
        private=True,
        download=partial(_download, who, still_open),
        still_open=checked,
    )
    return Opened(login, who, gold, tools, by_provider)


class Watched(Gold):
    """Private tables: they answer only while somebody is signed in."""

    def __init__(self, gold: Gold, still_open: Callable[[], bool]) -> None:
        self._gold, self._still_open = gold, still_open
        self.synthetic = gold.synthetic

    def table(self, query: str, parameters: Mapping[str, object] | None = None) -> pd.DataFrame:
        """As `Gold.table`; AccessError once the session has ended."""
        if not self._still_open():
            raise AccessError("Your session has ended.", "Sign in again.")
        return self._gold.table(query, parameters)

    def close(self) -> None:
        """Forget everything."""
        self._gold.close()


def open_gold(project: Project, settings: Settings) -> Gold:
    """One's own tables: the sealed ones, decrypted in memory, if there is a key and such a file; else the local file.

    Raises StoreError when there are none yet, SettingsError for a wrong key.
    """
    key = settings.state_key.get_secret_value() if settings.state_key else ""
    sealed = _path(project, SEALED) if key else ""
    if sealed:
        from serving.sealed import open_sealed

        try:
            with open(sealed, "rb") as file:
                data = file.read()
        except OSError as error:
            raise StoreError(f"The sealed tables cannot be read: {error.strerror}.", "Run the pipeline again.") from None
        return open_sealed(data, key_of(key))
    plain = _path(project, GOLD)
    if not plain:
        raise StoreError("There are no tables of yours yet.", "Run the pipeline: python main.py")
    return open_file(plain)


def _path(project: Project, name: str) -> str:
    """Of the artifact in force; without a registry, where only sealed tables were brought, the plain name. '' when there is none."""
    with project.pipeline.reading() as registry:
        found = in_force(registry, name)
    path = project.pipeline.local(found) if found else os.path.join(project.data_dir, name)
    return path if os.path.isfile(path) else ""


def _evidence(project: Project, gold: Gold, day: date, metric: str) -> Mapping[str, Any]:
    """Down to fetch and bronze row where the registry is at hand; from the tables themselves where it is not."""
    told = evidence(gold, day, metric)
    try:
        from scripts.trace import trace

        return trace(project, Namespace(date=day.isoformat(), metric=metric)).data
    except PDPError:
        return told


def _lineage(check: Callable[[], None]) -> Mapping[str, Any] | None:
    from serving.dashboard.private_lineage import lineage

    check()
    return lineage()


def _download(
    who: str, still_open: Callable[[], bool], label: str, name: str, kind: str, make: Callable[[], bytes], *, key: str
) -> None:
    """A link instead of Streamlit's button: see `serving.dashboard.downloads`."""
    offer = Offer(who, name, kind, make, still_open)
    st.session_state.setdefault(OFFERED, {})[key] = offer
    st.link_button(label, f"/private-download/{SHELF.put(offer)}", icon=":material/download:")


def _clear_if_over(still_open: Callable[[], bool], login: str, who: str) -> None:
    """At the top of a fragment, which runs because somebody does something in it: the shell is not asked then."""
    if not still_open() or browser(st.context.cookies) != who:
        st.rerun()
    access.sessions().touch(login)
