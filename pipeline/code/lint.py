"""Warns of code whose result depends on more than a node's key: the clock, chance, the environment, the network.

A name means what the closure found it to mean, through imports and aliases. A line that says why it may is not told of:
`pause(secrets.randbelow(9))  # impure: how long to wait, not what comes of it`.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping

from pipeline.code.names import Foreign, Meaning, Names
from pipeline.code.references import chain
from pipeline.code.source_index import Statement

CLOCK, CHANCE, ENVIRONMENT, NETWORK = "clock", "chance", "environment", "network"
_NAMES = {
    CLOCK: """
        datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow datetime.date.today time.time time.time_ns time.ctime
        time.clock_gettime time.clock_gettime_ns pandas.Timestamp.now pandas.Timestamp.today pandas.Timestamp.utcnow
        """,
    CHANCE: """
        random secrets numpy.random os.urandom os.getrandom uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 uuid.getnode
        """,
    ENVIRONMENT: """
        os.environ os.environb os.getenv os.getenvb os.getcwd os.getcwdb os.getlogin os.uname os.path.expanduser os.path.expandvars
        pathlib.Path.home pathlib.Path.cwd getpass.getuser locale platform socket.gethostname socket.getfqdn
        time.localtime time.tzset time.tzname time.timezone time.altzone time.daylight
        """,
    NETWORK: """
        socket ssl requests urllib.request urllib3 http.client httpx aiohttp ftplib smtplib imaplib poplib
        """,
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_FINE = frozenset(
    """
    random.Random numpy.random.Generator numpy.random.SeedSequence numpy.random.PCG64 secrets.compare_digest
    requests.exceptions requests.RequestException
    """.split()  # noqa: SIM905 - a table reads better than a list
)
_SAYS = {
    CLOCK: "reads the clock",
    CHANCE: "is left to chance",
    ENVIRONMENT: "reads the environment",
    NETWORK: "uses the network",
}
_EXCUSE = re.compile(r"#\s*impure:\s*\S")


def impurities(names: Names, included: Mapping[tuple[str, int], Statement], where: Callable[[str], str]) -> list[tuple[str, str]]:
    """(kind, warning) of the impure lines of a closure that do not say why they are; `where` gives a module's relative path."""
    told = set()
    for module in sorted({module for module, _ in included}):
        found = [(s, _by_name(names, module, s)) for (owner, _), s in included.items() if owner == module]
        uses = {use for statement, _ in found for use in _by_local_import(names, statement)}
        if uses or any(by_name for _, by_name in found):
            tree, excused = _read(names, module)
            for statement, by_name in found:
                uses |= set(_lines(tree, statement, by_name))
            for line, name in uses:
                if line not in excused:
                    kind = _kind(name)
                    said = f"{name} {_SAYS[kind]}; hand it in as a setting, or say why it may: `# impure: …`"
                    told.add((kind, f"{where(module)}:{line}: {said}"))
    return sorted(told)


def _by_name(names: Names, module: str, statement: Statement) -> dict[str, str]:
    """Name in the source → what impure thing it is."""
    refs = [r.name for r in statement.refs if not r.optional]
    return {ref: name for ref in refs for name in _impure(names.lookup(module, ref.split(".")))}


def _by_local_import(names: Names, statement: Statement) -> Iterator[tuple[int, str]]:
    for local in statement.locals:
        if local.rest is not None:
            chained = [*([local.name] if local.name else []), *local.rest]
            yield from ((local.line, name) for name in _impure(names.member(local.module, chained)))


def _lines(tree: ast.AST, statement: Statement, impure: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Every line of a statement on which one of these names is evaluated; the first where the name stands in no line (`getattr`)."""
    node = next((n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno == statement.line), tree)
    evaluated = [(chain(n), n.lineno) for n in _evaluated(node) if isinstance(n, (ast.Name, ast.Attribute))] if impure else []
    yield from ((line, impure[ref]) for ref, line in evaluated if ref in impure)
    written = {chain(n) for n in ast.walk(node)} if impure else set()
    yield from ((r.line, impure[r.name]) for r in statement.refs if r.name in impure and r.name not in written)


def _impure(meanings: Iterator[Meaning]) -> list[str]:
    return [m.name for m in meanings if isinstance(m, Foreign) and _kind(m.name)]


def _kind(name: str) -> str:
    parts = name.split(".")
    prefixes = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return "" if any(p in _FINE for p in prefixes) else next((_KINDS[p] for p in prefixes if p in _KINDS), "")


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """All of a tree but what is only named: annotations, and the errors a handler takes."""
    yield node
    for field, value in ast.iter_fields(node):
        if field not in {"annotation", "returns"} and not (field == "type" and isinstance(node, ast.ExceptHandler)):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _evaluated(child)


def _read(names: Names, module: str) -> tuple[ast.AST, set[int]]:
    """A module's tree, and the lines that say why they are impure."""
    found = names.finder.find(module)
    with open(found.path if found and found.path else "", "rb") as file:
        text = file.read()
    tokens = tokenize.tokenize(io.BytesIO(text).readline)
    return ast.parse(text), {t.start[0] for t in tokens if t.type == tokenize.COMMENT and _EXCUSE.match(t.string)}
