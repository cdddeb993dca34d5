"""What anybody may see: the invented person's tables and tools. Nothing here knows settings, keys or a data directory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from serving.evidence.cell import evidence
from serving.gold import Gold, demo
from serving.pages.tools import Tools


@st.cache_resource
def gold() -> Gold:
    """Opened once for everybody; the only data any cache of the dashboard holds."""
    return demo()


def tools() -> Tools:
    """Evidence from the tables themselves; the DAG as it was when they were made."""
    return Tools(evidence=partial(evidence, gold()), lineage=_lineage)


def _lineage() -> Mapping[str, Any] | None:
    from serving.pages.lineage_file import shipped

    return shipped()
