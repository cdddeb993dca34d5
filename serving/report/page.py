"""The report as one self-contained HTML page to print on A4.

Nothing in it is fetched or runs: no script, no font, no picture from outside. Every value is escaped. Not medical advice.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from serving.charts.protocol import PROTOCOLS
from serving.charts.words import figure, known, on, pair, whole
from serving.report.drawing import drawing
from serving.report.week import Week, category, rules_in_words, title, verdict

if TYPE_CHECKING:
    import pandas as pd

_STYLE = """
:root{color-scheme:light;--ink:#1b2430;--soft:#55606d;--line:#cfd6dd;--band:#f2f5f7;--mark:#0b6bab}
*{box-sizing:border-box}
body{margin:0;background:#e9edf0;color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:210mm;margin:16px auto;background:#fff;padding:14mm;box-shadow:0 1px 6px #0002}
h1{font-size:22px;margin:0}h2{font-size:15px;margin:18px 0 6px}p{margin:4px 0}
header{display:flex;flex-wrap:wrap;gap:12px 32px;justify-content:space-between;border-bottom:2px solid var(--ink);padding-bottom:10px}
.who{min-width:60mm;color:var(--soft)}.who div{border-bottom:1px solid var(--ink);height:26px;padding-top:8px}
.sum{display:flex;flex-wrap:wrap;gap:8px 28px;align-items:center;background:var(--band);border-left:4px solid var(--mark);padding:10px 14px;
margin:14px 0}
.big{font-size:34px;font-weight:700;white-space:nowrap}.big small{font-size:14px;font-weight:400;color:var(--soft)}
.sum div+div{flex:1 1 70mm}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}caption{text-align:left;color:var(--soft);padding-bottom:4px}
th,td{border-bottom:1px solid var(--line);padding:3px 8px 3px 0;text-align:left;vertical-align:top}
thead th{border-bottom:1.5px solid var(--ink);font-size:12px}tbody th{font-weight:600;white-space:nowrap}
.out{color:var(--soft)}.out s{text-decoration-thickness:1px}
.soft{color:var(--soft);font-size:12.5px}.notes div{border-bottom:1px solid var(--line);height:26px}
.synthetic{border:1.5px dashed var(--ink);padding:4px 10px;margin:10px 0 0;font-weight:600}
svg{display:block;width:100%;height:auto;margin-top:4px}
footer{border-top:1px solid var(--line);margin-top:16px;padding-top:6px;color:var(--soft);font-size:12px}
@page{size:A4;margin:13mm}
@media print{body{background:#fff;font-size:10.5px;line-height:1.35}.soft,caption{font-size:10px}thead th{font-size:10px}h1{font-size:19px}
main{max-width:none;margin:0;padding:0;box-shadow:none}
h2{font-size:12.5px;margin:9px 0 3px}section,tr,svg,.sum{break-inside:avoid}.big{font-size:26px}.synthetic{margin:6px 0 0;padding:2px 8px}
.sum{margin:8px 0;padding:6px 12px;-webkit-print-color-adjust:exact;print-color-adjust:exact}.who div,.notes div{height:22px}}
@media (max-width:600px){main{padding:16px;margin:0}th,td{padding-right:4px;font-size:12.5px}tbody th{white-space:normal}}
.reading{white-space:nowrap}.reading,.out{margin-right:10px}
"""


_FOOTER = (
    "Made by the person from their own home measurements with the Personal Data Platform. "
    "Not medical advice: figures to talk about with a doctor."
)


def document(told: Week) -> str:
    """The whole document."""
    facts = told.facts
    name = PROTOCOLS[facts["protocol"]]
    body = [
        "<header><div><h1>Home blood pressure</h1>",
        f"<p>{_text(title(facts))}</p><p>Protocol: {_text(name)}</p></div>",
        '<div class="who"><div>Name:</div><div>Date of birth:</div></div></header>',
        '<p class="synthetic">Synthetic example: an invented person.</p>' if told.synthetic else "",
        _summary(told),
        f"<section><h2>Averages</h2>{_averages(told)}</section>",
        f"<section><h2>Every reading</h2>{drawing(told)}</section>",
        f"<section>{_days(told)}</section>",
        f"<section><h2>Medication</h2>{_medication(told)}</section>",
        f'<section><h2>The rules of this protocol</h2><p class="soft">{_text(rules_in_words(told.rules))}</p></section>',
        f"<footer>{_FOOTER}</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Home blood pressure, {_text(title(facts))}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(filter(None, body))
        + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    return escape(str(value))


def _summary(told: Week) -> str:
    facts = told.facts
    pulse = f", pulse {whole(facts['pulse'])}" if known(facts["pulse"]) else ""
    return (
        f'<div class="sum"><div class="big">{pair(facts["systolic"], facts["diastolic"], "–")} <small>mmHg{pulse}</small></div>'
        f"<div><p><b>{_text(category(told))}</b></p><p>{_text(verdict(told))}</p></div></div>"
    )


def _averages(told: Week) -> str:
    facts, counted = told.facts, told.counted
    by_part = {part: int((counted["part"] == part).sum()) for part in ("morning", "evening")}
    lines = [
        ("All averaged readings", "", facts["n_readings"]),
        ("Morning", "_morning", by_part["morning"]),
        ("Evening", "_evening", by_part["evening"]),
        ("Mean of the daily means", "_of_days", facts["n_readings"]),
    ]
    rows = "".join(
        f'<tr><th scope="row">{words}</th>'
        + "".join(f"<td>{_number(facts[metric + of])}</td>" for metric in ("systolic", "diastolic", "pulse"))
        + f"<td>{number}</td></tr>"
        for words, of, number in lines
    )
    head = _head("", "Systolic, mmHg", "Diastolic, mmHg", "Pulse, beats/min", "Readings")
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def _number(value: float | None) -> str:
    """One decimal, rounded half up, as the average is written in letters to doctors."""
    return "–" if value is None else figure(value, 1)


def _head(*names: str) -> str:
    return "<thead><tr>" + "".join(f'<th scope="col">{name}</th>' if name else "<td></td>" for name in names) + "</tr></thead>"


def _days(told: Week) -> str:
    named = told.readings["part"].isin(("morning", "evening"))
    elsewhere = not named.all()
    rows = []
    for _, mine in told.readings.groupby("date"):
        parts = (
            mine[mine["part"] == "morning"],
            mine[mine["part"] == "evening"],
            *([mine[~mine["part"].isin(("morning", "evening"))]] if elsewhere else []),
        )
        at = mine["date"].iloc[0]
        day = f"{at:%a} {at.day} {at:%b}"
        rows.append(f'<tr><th scope="row">{_text(day)}</th>' + "".join(f"<td>{_cell(part)}</td>" for part in parts) + "</tr>")
    head = _head("Day", "Morning", "Evening", *(["Other times"] if elsewhere else []))
    caption = "<caption>Systolic/diastolic mmHg · pulse, and the time. Struck through: left out of the average.</caption>"
    return f"<table>{caption}{head}<tbody>{''.join(rows)}</tbody></table>"


def _cell(readings: pd.DataFrame) -> str:
    return " ".join(_reading(r) for r in readings.to_dict("records")) or '<span class="out">–</span>'


def _reading(r: dict[Any, Any]) -> str:
    pulse = f" · {whole(r['pulse'])}" if known(r["pulse"]) else ""
    said = f"{pair(r['systolic'], r['diastolic'])}{pulse}"
    time = f'<span class="soft">{r["local_start"]:%H:%M}</span>'
    if not r["left_out"]:
        return f'<span class="reading">{said} {time}</span>'
    return f'<span class="out"><span class="reading"><s>{said}</s> {time}</span> <span class="soft">{_text(r["left_out"])}</span></span>'


def _medication(told: Week) -> str:
    items = "".join(f"<li>{_text(on(at))}: {_text(label)}</li>" for at, label in told.medication)
    known = f"<ul>{items}</ul>" if items else '<p class="soft">Nothing was noted.</p>'
    return f'{known}<div class="notes"><div class="soft">Notes:</div><div></div></div>'
