"""The page at `/`: every address, its parameters and how to ask it, from the OpenAPI document; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d8dee4;--page:#fff;--box:#f6f8fa;--mark:#0a5f8a}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--line:#30363d;--page:#0d1117;--box:#161b22;--mark:#6cb8e6}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1.25rem 4rem;background:var(--page);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
h1{font-size:1.6rem;margin:0 0 .5rem}
h2{font-size:1.05rem;margin:2.25rem 0 .35rem;padding-top:1.5rem;border-top:1px solid var(--line);font-family:ui-monospace,monospace}
h2 span{color:var(--mark);margin-right:.5rem}
p{margin:.35rem 0}
a{color:var(--mark)}
small,.soft{color:var(--soft)}
pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;overflow-x:auto;font-size:.85rem}
code{font-family:ui-monospace,monospace;font-size:.9em;white-space:nowrap}
td code{margin-right:.6em}
td:last-child{min-width:14rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.6rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:500}
"""
STYLE_SOURCE = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""How the Content-Security-Policy names the one style there is."""


_KINDS = {"date": "a day, YYYY-MM-DD", "integer": "a whole number", "boolean": "true or false"}


def page(document: Mapping[str, Any]) -> str:
    """The page for this OpenAPI document."""
    info = document["info"]
    listed = "".join(
        _address(path, operation) for path, operations in document["paths"].items() for operation in operations.values()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main><h1>{escape(info['title'])}</h1>"
        f'{_paragraphs(info["description"])}<p class="soft">Version {escape(info["version"])}. '
        f'For programs: <a href="openapi.json">openapi.json</a>.</p>{listed}</main></body></html>'
    )


def _address(path: str, operation: Mapping[str, Any]) -> str:
    parameters = operation.get("parameters", [])
    rows = "".join(_row(parameter) for parameter in parameters)
    table = (
        f'<div class="wide" tabindex="0"><table><tr><th>parameter<th>what it may be<th>meaning</tr>{rows}</table></div>'
        if rows
        else ""
    )
    return (
        f"<h2><span>GET</span>{escape(path)}</h2>{_paragraphs(operation.get('description', ''))}{table}{_curl(path, operation)}"
    )


def _row(parameter: Mapping[str, Any]) -> str:
    meaning = _marked(parameter.get("description") or parameter["schema"].get("description", ""))
    return f"<tr><td><code>{escape(parameter['name'])}</code><td>{'; '.join(_bounds(parameter))}<td>{meaning}</tr>"


def _bounds(parameter: Mapping[str, Any]) -> Iterator[str]:
    """A schema in words."""
    schema = parameter["schema"]
    kind = next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)
    if "enum" in kind:
        yield " ".join(f"<code>{escape(str(word))}</code>" for word in kind["enum"])
    else:
        yield escape(_KINDS.get(kind.get("format") or kind.get("type", ""), "text"))
    if "maximum" in kind:
        yield f"{kind.get('minimum', 0):,} to {kind['maximum']:,}"
    if schema.get("default") is not None:
        yield f"<code>{escape(str(schema['default']).lower())}</code> without it"


def _curl(path: str, operation: Mapping[str, Any]) -> str:
    """How to ask, with the examples of the document."""
    query: list[str] = []
    for parameter in operation.get("parameters", []):
        examples = parameter["schema"].get("examples") or parameter.get("examples") or []
        if examples and parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(examples[0]))
        elif examples and len(query) < 3:
            query.append(f"{parameter['name']}={examples[0]}")
    address = f"http://127.0.0.1:8000{path}" + (f"?{'&'.join(query)}" if query else "")
    key = '-H "X-API-Key: $API_KEY" ' if operation.get("security") else ""
    return f'<pre tabindex="0">curl {key}{escape(repr(address) if query else address)}</pre>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_marked(part)}</p>" for part in text.split("\n\n") if part)


def _marked(text: str) -> str:
    """Words between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
