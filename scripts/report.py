"""`report`: a run as one page to keep, print or hand on: no script, nothing from outside, no measured value, no place on this machine,
no name of a dropped file."""

from __future__ import annotations

import contextlib
import os
from argparse import Namespace
from collections import Counter
from typing import Any

from pipeline.answers.history import Anomaly
from pipeline.answers.report import report as engine_report
from scripts.answer import NOTHING_YET, Answer
from scripts.discretion import Discretion
from scripts.gantt import gantt
from scripts.history import sentence
from scripts.looks import STATE_LOOKS, STATE_WORDS
from scripts.page import FONT, escaped, icon, page, write_private
from scripts.project import Project
from scripts.words import because, counted, lasted, sized, when

_FOLDER = "reports"
_REASONS, _REFUSED, _OUTPUTS = 4, 6, 6
"""How many of each a line of the table lists."""
_STYLE = f"""
body{{margin:0 auto;padding:32px 28px;max-width:1180px;background:var(--page);color:var(--ink);font:14px/1.5 {FONT}}}
h1{{font-size:24px;margin:0;display:flex;gap:10px;align-items:center}}h1 .icon{{width:22px;height:22px}}
h2{{font-size:16px;margin:34px 0 10px}}
.sub{{color:var(--soft);margin:4px 0 20px}}
.facts{{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin:0}}
.facts div{{background:var(--card);border:1px solid var(--line);border-radius:9px;padding:10px 14px}}
dt{{color:var(--soft);font-size:12px}}dd{{margin:0;font-size:20px;font-weight:600;font-variant-numeric:tabular-nums}}
.wide{{overflow-x:auto}}.wide>svg{{min-width:640px}}.wide>table{{min-width:960px}}table{{border-collapse:collapse;width:100%}}
th{{font-size:12px;font-weight:600;color:var(--soft);text-align:left;border-bottom:1px solid var(--line);padding:6px 10px 6px 0}}
td{{vertical-align:top;border-bottom:1px solid var(--line);padding:8px 10px 8px 0}}
.n{{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}}
.name{{font-weight:600;white-space:nowrap}}.it{{display:block;font-size:12.5px;overflow-wrap:break-word}}.it+.it{{margin-top:2px}}
.soft,small{{color:var(--soft);font-size:12px}}small{{display:block}}.icon{{vertical-align:-2px;margin-right:6px;flex:none}}
code{{font:12px/1.5 ui-monospace,"Cascadia Mono","DejaVu Sans Mono",monospace;overflow-wrap:anywhere}}
.warn{{border-left:3px solid var(--blocked);background:var(--card);padding:8px 14px;margin:6px 0;border-radius:0 7px 7px 0}}
.bad{{border-left-color:var(--failed)}}.env{{columns:3 200px;margin:0;padding:0;list-style:none}}
.gantt text{{fill:var(--ink);font-size:12px}}.gantt .soft{{fill:var(--soft);font-size:11px}}.gantt line{{stroke:var(--line)}}
.gantt{{display:block;width:100%;height:auto;font-family:{FONT}}}
footer{{margin-top:36px;color:var(--soft);font-size:12px}}
@media print{{body{{max-width:none;padding:0;font-size:11px}}h2{{break-after:avoid}}tr,.gantt,.warn{{break-inside:avoid}}
.wide{{overflow:visible}}.wide>*{{min-width:0}}}}
"""


def report(project: Project, options: Namespace) -> Answer:
    """Write the page of one run, for its owner alone: to `--out`, else to reports/run-<id>.html in the data directory."""
    with project.pipeline.reading() as registry:
        if registry is None:
            return Answer({"run_id": None, "nodes": []}, NOTHING_YET)
        found = engine_report(registry, options.run)
    path = options.out or _path(project.data_dir, found["run_id"])
    write_private(path, as_page(Discretion(project.pipeline.dag).run(found)))
    told = f"Run {found['run_id'][:8]}: {found['status']}, {counted(len(found['nodes']), 'step')}. Written to {path}"
    return Answer(found | {"file": path}, told)


def _path(data_dir: str, run_id: str) -> str:
    folder = os.path.join(data_dir, _FOLDER)
    with contextlib.suppress(OSError):  # writing the page tells it
        os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, f"run-{run_id[:8]}.html")


def as_page(found: dict[str, Any]) -> str:
    """A run's facts (`pipeline.answers.report`) as a page; every name in it is told."""
    parts = [
        f"<h1>{icon(STATE_LOOKS[found['status']])}Run {escaped(found['run_id'][:8])} {escaped(found['status'])}</h1>",
        f'<p class="sub">{escaped(when(found["started_at"]))} · asked for {escaped(found["asked"])}</p>',
        _headline(found),
        *_troubles(found),
        *(["<h2>When</h2>", _wide(gantt(found["nodes"])), "<h2>Steps</h2>", _table(found["nodes"])] if found["nodes"] else []),
        *_restored(found["restored_nodes"]),
        *_findings(found["nodes"]),
        *_environment(found["environment"]),
        f"<footer>Steps that were up to date leave no row in a run. Run <code>{escaped(found['run_id'])}</code>.</footer>",
    ]
    return page(f"Run {found['run_id'][:8]}", _STYLE, "\n".join(parts))


def _headline(found: dict[str, Any]) -> str:
    refused = sum(sum(n["refused"].values()) for n in found["nodes"])
    peak = max((n["peak_bytes"] or 0 for n in found["nodes"]), default=0)
    facts = {
        "took": lasted(found["seconds"]),
        "steps that ran": f"{found['ran']:,}",
        "came back": f"{found['restored']:,}",
        "failed": f"{found['failed']:,}",
        "refused": f"{refused:,}",
        "peak memory": sized(peak) if peak else "–",
    }
    return f'<dl class="facts">{"".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())}</dl>'


def _troubles(found: dict[str, Any]) -> list[str]:
    """Failures and anomalies, before anything else."""
    lines = [
        f'<p class="warn bad">{icon("failed")}<b>{escaped(n["node"])}</b> {escaped(n["error"])}</p>'
        for n in found["nodes"]
        if n["error"]
    ]
    odd = [Anomaly(**a) for n in found["nodes"] for a in n["anomalies"]]
    lines += [f'<p class="warn">{icon("blocked")}{escaped(sentence(a))}</p>' for a in odd]
    return ["<h2>Look at this</h2>", *lines] if lines else []


def _table(nodes: list[dict[str, Any]]) -> str:
    figures = "".join(f'<th class="n">{name}</th>' for name in ("rows", "seconds", "memory"))
    heads = f"<th>step</th><th>why</th>{figures}<th>refused</th><th>made</th>"
    rows = []
    for n in nodes:
        name = f'<span class="name">{icon(STATE_LOOKS[n["state"]])}{escaped(n["node"])}</span>'
        cells = [
            f"<td>{name}<small>{escaped(n['stage'])} · {STATE_WORDS.get(n['state'], n['state'])}</small></td>",
            f"<td>{_list([_reason(r) for r in n['reasons']], _REASONS)}</td>",
            f'<td class="n">{_number(n["rows"], ",")}{_usual(n["past"]["rows"], ",.0f")}</td>',
            f'<td class="n">{_number(n["seconds"], ".2f")}{_usual(n["past"]["seconds"], ".2f")}</td>',
            f'<td class="n">{sized(n["peak_bytes"])}</td>',
            f"<td>{_list([f'{count:,} {reason}' for reason, count in n['refused'].items()], _REFUSED)}</td>",
            f"<td>{_made(n['outputs'])}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>")


def _restored(nodes: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"<tr><td>{icon('restore')}{escaped(n['node'])}</td><td>{_list([_reason(r) for r in n['reasons']], _REASONS)}</td></tr>"
        for n in nodes
    ]
    head = "<h2>Came back without running</h2><table><thead><tr><th>step</th><th>why</th></tr></thead><tbody>"
    return [f"{head}{''.join(lines)}</tbody></table>"] if lines else []


def _findings(nodes: list[dict[str, Any]]) -> list[str]:
    told = []
    for n in nodes:
        for f in n["findings"]:
            extra = ", ".join(str(p) for p in (f.get("where"), f"{f['count']:,}" if f.get("count") else "") if p)
            told.append(
                f'<tr><td class="name">{escaped(n["node"])}</td><td>{escaped(f.get("message", f.get("code", "")))}'
                f"{f' ({escaped(extra)})' if extra else ''}</td></tr>"
            )
    return [f"<h2>Worth knowing</h2><table>{''.join(told)}</table>"] if told else []


def _environment(versions: dict[str, str]) -> list[str]:
    items = "".join(f"<li>{escaped(name)} <span class=soft>{escaped(version)}</span></li>" for name, version in versions.items())
    return [f'<h2>Environment the steps reached</h2><ul class="env">{items}</ul>'] if items else []


def _reason(reason: dict[str, str]) -> str:
    if reason["kind"] == "new" and reason["detail"]:
        return reason["detail"]
    return because(reason)


def _made(outputs: list[dict[str, Any]]) -> str:
    told = [
        f'<span class="it">{escaped(o["name"])}@v{o["version"]} <code class="soft">{escaped(o["sha256"][:12])}</code>'
        f"{'' if o['new'] else ' <span class=soft>as before</span>'}</span>"
        for o in outputs[:_OUTPUTS]
    ]
    return "".join(told) + _more(len(outputs) - _OUTPUTS)


def _list(items: list[str], most: int) -> str:
    """Equal ones once, with their number."""
    counted = [f"{item} ({count:,})" if count > 1 else item for item, count in Counter(items).items()]
    return "".join(f'<span class="it">{escaped(item)}</span>' for item in counted[:most]) + _more(len(counted) - most)


def _more(count: int) -> str:
    return f"<small>… and {count:,} more</small>" if count > 0 else ""


def _wide(part: str) -> str:
    """Something that is scrolled sideways where the page is too narrow for it."""
    return f'<div class="wide">{part}</div>'


def _number(value: float | None, form: str) -> str:
    return f"{value:{form}}" if value is not None else "–"


def _usual(value: float | None, form: str) -> str:
    return f"<small>usually {value:{form}}</small>" if value is not None else ""
