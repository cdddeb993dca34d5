"""What made one number, on the page: the rule, the readings used and not used, what was refused, and the raw record behind each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from config.errors import PDPError
from serving.charts.words import count, whole
from serving.pages import show
from serving.pages.labels import LABELS, shown
from serving.pages.words import cell, moment, plain

if TYPE_CHECKING:
    import pandas as pd

    from serving.pages.tools import Tools

Told = Mapping[str, Any]
_STAGES = {"ingestion": "as a record", "normalization": "when it was read", "validation": "when it was checked"}
"""Stage → where something was refused, in words."""
_LONGEST = 4_000
"""Characters of a raw record that are shown."""
_MOST = 200
"""Records that can be chosen from; the table above lists all readings."""


def number(at: date, column: str, tools: Tools) -> None:
    """The evidence of a cell, as `tools.evidence` tells it."""
    import streamlit as st

    try:
        told = tools.evidence(at, column)
    except PDPError as error:
        st.warning(str(error), icon=":material/warning:")
        return
    with st.container(border=True):
        st.subheader(f"{LABELS[column].words}: {plain(shown(column, told['value']))}", anchor=False)
        _rule(told)
        _facts(told["made_of"])
        _readings(told, column, tools)
        _refused(told["rejected"], column, at, tools)
        _records(told, column, at)
        _rest(told, column, tools)


def _rule(told: Told) -> None:
    import streamlit as st

    with st.container(gap=None):
        st.text(told["meaning"])
        st.text(f"How it is made: {told['rule']}")
    if told["reproduced"] is not None:
        if told["reproduced"]:
            st.badge("Made again from these readings: the same", icon=":material/check:", color="green")
        else:
            st.badge("Made again it is NOT the same: run `verify`", icon=":material/warning:", color="orange")
    if told["value"] is None:
        near = " and ".join(told.get("near", ()))
        st.text(f"It is empty on this day. Nearest days with a value: {near}." if near else "It is empty on every day.")


def _facts(facts: Sequence[Told]) -> None:
    """Other cells and settings."""
    import streamlit as st

    for fact in facts:
        name = f"The setting {fact['setting']}" if "setting" in fact else LABELS[fact["column"]].words
        st.text(f"It rests on {name[0].lower() + name[1:]}: {cell(fact['value'])}")


def _readings(told: Told, column: str, tools: Tools) -> None:
    import streamlit as st

    used, unused = ([r for r in told["readings"] if r["used"] is is_used] for is_used in (True, False))
    if not told["readings"]:
        st.text("No reading of this day stands behind it.")
        return
    name = f"{column}_{told['date']}"
    st.markdown(f"#### :material/check_circle: {count(len(used), 'reading')} used")
    if used:
        _dataframe(readings_table(used, told["date"]), f"{name}_used", tools)
    if unused:
        st.markdown(f"#### :material/cancel: {count(len(unused), 'reading')} not used")
        for why, times in Counter(_why(r, exactly=False) for r in unused).most_common():
            st.text(f"{why} ({times})")
        _dataframe(readings_table(unused, told["date"]), f"{name}_not_used", tools)


def readings_table(readings: Sequence[Told], day: str) -> pd.DataFrame:
    """Readings as a table: when, how much, (why not,) from where. Columns that say nothing are left out."""
    import pandas as pd

    rows = []
    for r in readings:
        row = {"Time": span_of(r["start"], r["end"], day), "Value": r["value"], "Unit": _UNITS.get(r["unit"], r["unit"])}
        if "why" in r:
            row["Why not"] = _why(r)
        elif "decides" in r:
            row["Decides"] = "this one" if r["decides"] else ""
        row |= {
            "Metric": r["metric"].replace("_", " "),
            "Part": r["part"] or "",
            "Source": r["source"],
            "Device": r["device"] or "",
        }
        rows.append(row | {"Scope": r["scope"], "Fate": r["fate"], "Record": r["raw_id"]})
    table = pd.DataFrame(rows)
    silent = [name for name in ("Metric", "Part", "Device", "Scope", "Fate") if table[name].nunique() == 1 and name != "Device"]
    silent += [name for name in ("Part", "Device") if not table[name].any() and name not in silent]
    return table.drop(columns=silent)


_UNITS = {"mm[Hg]": "mmHg", "{steps}": "steps", "{score}": "points"}
"""UCUM → as people write it."""


def span_of(start: str, end: str, day: str) -> str:
    """`07:22`, `22:40 – 06:25`; with the date where it is not the day's."""
    first, last = moment(start), moment(end)
    said = first.removeprefix(f"{day} ")
    return said if first == last else f"{said} – {last.removeprefix(f'{day} ').removeprefix(f'{first[:10]} ')}"


def _why(reading: Told, *, exactly: bool = True) -> str:
    instead = reading.get("counted_instead") if exactly else None
    return str(reading["why"]) + (f" Counted instead: {instead['source']}, {cell(instead['value'])}." if instead else "")


def _refused(refused: Sequence[Told], column: str, at: date, tools: Tools) -> None:
    import streamlit as st

    if refused:
        st.markdown(f"#### :material/block: {count(len(refused), 'reading or record', 'readings or records')} refused")
        _dataframe(refused_table(refused), f"{column}_{at}_refused", tools)


def refused_table(refused: Iterable[Told]) -> pd.DataFrame:
    """What never came to be counted, and why."""
    import pandas as pd

    rows = [
        {
            "Why": r["why"],
            "Value": r.get("value"),
            "Unit": r.get("unit") or "",
            "Refused": _STAGES.get(r["stage"], r["stage"]),
            "Reason": r["reason"],
            "Metric": r.get("metric") or r.get("field") or "",
            "Start": moment(r["start"]) if r.get("start") else "",
            "Source": r["source"],
            "Record": r["raw_id"] or "",
        }
        for r in refused
    ]
    return pd.DataFrame(rows)


def _dataframe(rows: pd.DataFrame, name: str, tools: Tools) -> None:
    import streamlit as st

    st.dataframe(rows, hide_index=True, width="stretch", placeholder="–", height="content" if len(rows) <= 6 else 245)
    if len(rows) > 6:
        show.csv_button(name, rows, tools)


def records_of(told: Told) -> dict[str, Told]:
    """Label → record, each once: of the readings used, then of the others, then of what was refused."""
    found: dict[tuple[Any, ...], tuple[str, Told]] = {}
    for r in [*told["readings"], *told["rejected"]]:
        fate = "used" if r.get("used") else "not used" if "used" in r else "refused"
        for record in r["records"]:
            place = (record["raw_artifact"], record["position"], record.get("revision"))
            where = f"{r['source']} · {record['position'] or 'position not known'} · {fate}"
            found.setdefault(place, (where, record))
    labels: dict[str, Told] = {}
    for where, record in found.values():
        number_of = sum(label == where or label.startswith(f"{where} (") for label in labels)
        labels[f"{where} ({number_of + 1})" if number_of else where] = record
    return labels


def _records(told: Told, column: str, at: date) -> None:
    import streamlit as st

    records = records_of(told)
    if not records:
        return
    st.markdown("#### :material/description: The raw record")
    chosen = st.selectbox("Record", list(records)[:_MOST], key=f"record-{column}-{at}", label_visibility="collapsed")
    record = records[chosen or next(iter(records))]
    with st.container(gap=None):
        for name, value in facts_of(record):
            st.text(f"{name}: {value}")
    if record["raw"] is None:
        st.text("Its text is not kept here.")
    else:
        raw = record["raw"]
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, indent=2)
        st.code(text[:_LONGEST], language="json", wrap_lines=True)
        if len(text) > _LONGEST:
            st.caption(f"And {whole(len(text) - _LONGEST)} characters more: take everything along as JSON.")


def facts_of(record: Told) -> list[tuple[str, str]]:
    """(what, value): the file with its version and hash, the place in it, the fetch, the bronze row."""
    version = f", version {record['version']}" if record["version"] is not None else ""
    facts = [("File", f"{record['raw_artifact']}{version}"), ("Place in it", record["position"] or "not known")]
    if record["sha256"]:
        facts.append(("SHA-256 of the file", record["sha256"]))
    facts.append(("Fetched", _fetch(record.get("fetched"))))
    row = record.get("bronze")
    if row:
        revision = f", version {row['version']}" if row.get("version") is not None else ""
        facts.append(("Bronze row", f"{row['table']} id {row['id']}{revision}"))
    else:
        facts.append(("Bronze row", f"in the source's bronze table, raw_id {record.get('raw_id') or 'not known'}"))
    if record.get("errors"):
        facts.append(("Noted in it", ", ".join(record["errors"])))
    return facts


def _fetch(fetched: Told | None) -> str:
    """When it arrived and, where the registry could be asked, from where, by which step and run."""
    if not fetched:
        return "not known here"
    said = f"{moment(fetched['at'])} UTC"
    if origin := fetched.get("from"):
        said += f" from {origin['file']}" if origin["kind"] == "inbox" else f" from {origin['remote']}, live"
        said += f", fingerprint {origin['fingerprint']}" if origin.get("fingerprint") else ""
    return said + (f", by {fetched['node']} in run {fetched['run_id'][:8]}" if "run_id" in fetched else "")


def _rest(told: Told, column: str, tools: Tools) -> None:
    """The versions of the tables it was read from, what could not be shown, and all of it as JSON."""
    import pandas as pd
    import streamlit as st

    for note in told["notes"]:
        st.caption(f":material/info: {plain(note)}")
    if told["artifacts"]:
        st.markdown("#### :material/account_tree: It rests on")
        names = {
            "role": "Role",
            "name": "Table",
            "version": "Version",
            "sha256": "SHA-256",
            "node": "Made by",
            "made_at": "Made at",
        }
        rows = pd.DataFrame([{title: a.get(name) for name, title in names.items()} for a in told["artifacts"]])
        st.dataframe(rows, hide_index=True, width="stretch", placeholder="–", height="content")
    name = f"{column}_{told['date']}"
    tools.download(
        "Everything as JSON",
        f"{name}.json",
        "application/json",
        lambda: json.dumps(told, ensure_ascii=False, indent=2, default=str).encode(),
        key=f"json-{name}",
    )
