"""A shared server with a database that was made by a login without superuser, and one person for each role."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from bench.bronze_servers import Server
from tests.postgres_bench import ROOT, Artifacts, settings
from tests.stage_bench import StageBench
from warehouse.bronze.access.initialise import Made, initialise
from warehouse.bronze.load import load

PEOPLE = {"chief": "bronze_owner", "worker": "bronze_ingest", "ann": "bronze_analyst", "board": "bronze_dashboard"}
"""Login → its role."""

_OBJECTS = """
SELECT relname::text, relkind::text, relowner::regrole::text, ARRAY(SELECT unnest(relacl)::text ORDER BY 1), xmin::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
UNION ALL
SELECT p.oid::regprocedure::text, 'f', proowner::regrole::text,
       ARRAY(SELECT unnest(COALESCE(proacl, acldefault('f', proowner)))::text ORDER BY 1), xmin::text
FROM pg_proc AS p WHERE pronamespace = 'public'::regnamespace
ORDER BY 1
"""
_AROUND = """
SELECT ARRAY(SELECT unnest(nspacl)::text FROM pg_namespace WHERE nspname = 'public' ORDER BY 1),
       ARRAY(SELECT unnest(datacl)::text FROM pg_database WHERE datname = current_database() ORDER BY 1),
       ARRAY(SELECT defaclobjtype::text || unnest(defaclacl)::text FROM pg_default_acl ORDER BY 1),
       ARRAY(SELECT roleid::regrole::text || ' ' || member::regrole::text FROM pg_auth_members ORDER BY 1)
"""


class Place(NamedTuple):
    """One database of a server."""

    server: Server
    name: str
    folder: Path

    def dsn(self, login: str = "") -> str:
        """Connection string of this login; without a name, of the superuser."""
        return make_conninfo(self.server.dsn, dbname=self.name, **({"user": login} if login else {}))

    def settings(self, login: str) -> dict[str, Any]:
        """What a bronze node declares."""
        return settings(self.folder / "data", self.dsn(login))

    def run(self, statement: str, login: str = "") -> list[tuple[Any, ...]]:
        """One statement as this login, or the superuser."""
        with psycopg.connect(self.dsn(login), autocommit=True) as session:
            cursor = session.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def init(self, login: str, sources: Iterable[str] = ("demo", "other")) -> Made:
        """`bronze init` as this login."""
        return initialise(self.settings(login), sources)

    def load(
        self, login: str, rows: list[dict[str, Any]], letters: Iterable[dict[str, Any]] = (), **changed: Any
    ) -> dict[str, Any]:
        """Load these records as this login; gives the report."""
        number = sum(1 for _ in self.folder.glob("out*"))
        made = Artifacts(self.folder / f"artifacts{number}", changed.pop("source", "demo"))
        out = self.folder / f"out{number}"
        out.mkdir()
        return dict(StageBench(out).run(load, made.inputs(rows, letters), self.settings(login) | changed)[0])

    def objects(self) -> list[tuple[Any, ...]]:
        """Every bronze object with kind, owner, privileges, and the transaction that wrote its entry last."""
        return self.run(_OBJECTS)

    def around(self) -> list[tuple[Any, ...]]:
        """Privileges on the schema and the database, default privileges, members of the roles."""
        return self.run(_AROUND)

    def owners(self) -> set[str]:
        """Who owns something here."""
        return {row[2] for row in self.objects()}


def place(server: Server, name: str, folder: Path, owner: str, *attributes: str) -> Place:
    """An empty database of a new login with these attributes."""
    made = Place(server, name, folder / name)
    made.folder.mkdir()
    with psycopg.connect(server.dsn, autocommit=True) as session:
        session.execute(f"CREATE ROLE {owner} LOGIN {' '.join(attributes)}")
        session.execute(f"CREATE DATABASE {name} OWNER {owner}")
    return made


def documented() -> dict[str, dict[str, set[str]]]:
    """Object → role → privileges, as docs/bronze_roles.md lists them."""
    text = (ROOT / "docs/bronze_roles.md").read_text()
    rows = re.findall(r"^\| `(\w+(?:<source>\w*)?)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
    roles = ("bronze_ingest", "bronze_analyst", "bronze_dashboard")
    return {
        name: {role: set(cell.replace(",", " ").split()) for role, cell in zip(roles, cells, strict=True)}
        for name, *cells in rows
    }


def held(objects: list[tuple[Any, ...]], sources: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """The same, as a database has it: what no role may touch is left out; PUBLIC counts as a role."""
    words = {"r": "SELECT", "a": "INSERT", "U": "USAGE", "X": "EXECUTE"}
    found: dict[str, dict[str, set[str]]] = {}
    for name, _, owner, granted, _ in objects:
        plain = re.sub(rf"^bronze_({'|'.join(sources)})(?=$|_(id_seq|known|current)$)", "bronze_<source>", name.partition("(")[0])
        for grantee, _, letters in (entry.partition("/")[0].partition("=") for entry in granted):
            if grantee != owner:
                place = found.setdefault(plain, {role: set() for role in ("bronze_ingest", "bronze_analyst", "bronze_dashboard")})
                place.setdefault(grantee or "PUBLIC", set()).update(words.get(letter, letter) for letter in letters)
    return found
