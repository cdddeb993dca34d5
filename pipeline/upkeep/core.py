"""What of a registry the next run needs, whatever its history: small for good, so that a job on an empty machine brings little.

What is in force with all it read and made, the newest version of every name (numbers go on from it), the last attempts of every node and
the last runs (what is usual is told from them). Other rows stay behind; a merge against the core brings them together again.
"""

from __future__ import annotations

from pipeline.registry import as_uri
from pipeline.upkeep.snapshot import new_file, opened

ATTEMPTS, RUNS = 5, 20
"""How many of the last are kept: attempts of each node, and runs."""

_CHOSEN = (
    "CREATE TEMP TABLE force AS SELECT attempt_id AS id FROM whole.node_state",
    """CREATE TEMP TABLE version AS
    SELECT artifact_id AS id FROM whole.attempt_output WHERE attempt_id IN (SELECT id FROM force)
    UNION SELECT artifact_id FROM whole.attempt_input WHERE attempt_id IN (SELECT id FROM force) AND artifact_id IS NOT NULL
    UNION SELECT id FROM (SELECT id, max(version) FROM whole.artifact GROUP BY name)""",
    # a version in force counts as made by who has it in force: who made it first is history
    """CREATE TEMP TABLE held AS
    SELECT artifact_id AS id, min(attempt_id) AS attempt FROM whole.attempt_output
    WHERE attempt_id IN (SELECT id FROM force) GROUP BY artifact_id""",
    """CREATE TEMP TABLE tried AS
    SELECT id FROM force
    UNION SELECT attempt_id FROM whole.artifact WHERE id IN (SELECT id FROM version) AND id NOT IN (SELECT id FROM held)
    UNION SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY node ORDER BY rowid DESC) AS n FROM whole.attempt) WHERE n <= ?""",
)
_FILLED = {
    "run": """SELECT * FROM whole.run WHERE id IN (SELECT run_id FROM whole.attempt WHERE id IN (SELECT id FROM tried))
        OR rowid IN (SELECT rowid FROM whole.run ORDER BY rowid DESC LIMIT ?) ORDER BY rowid""",
    # one that is not in force has no key here: what it made is not all here, so nothing may be restored from it
    "attempt": """SELECT id, run_id, node, stage, iif(id IN (SELECT id FROM force), input_hash, ''), state, code_id, settings_id,
        environment_id, started_at, seconds, rows, peak_rss, report, iif(id IN (SELECT id FROM force), reasons, '[]'), error
        FROM whole.attempt WHERE id IN (SELECT id FROM tried) ORDER BY rowid""",
    "artifact": """SELECT f.id, name, version, sha256, size, rows, path, coalesce(held.attempt, attempt_id), created_at, removed_at
        FROM whole.artifact f LEFT JOIN held ON held.id = f.id WHERE f.id IN (SELECT id FROM version) ORDER BY f.id""",
    "attempt_input": "SELECT * FROM whole.attempt_input WHERE attempt_id IN (SELECT id FROM force)",
    "attempt_output": """SELECT o.* FROM whole.attempt_output o JOIN main.artifact f ON f.id = o.artifact_id
        WHERE o.attempt_id = f.attempt_id OR o.attempt_id IN (SELECT id FROM force)""",
    "node_state": "SELECT * FROM whole.node_state",
    "identity": """SELECT * FROM whole.identity WHERE id IN (
        SELECT code_id FROM main.attempt UNION SELECT settings_id FROM main.attempt UNION SELECT environment_id FROM main.attempt)""",
    "event": """SELECT * FROM whole.event WHERE attempt_id IN (SELECT id FROM tried)
        OR (attempt_id IS NULL AND run_id IN (SELECT id FROM main.run)) ORDER BY id""",
    "stream": "SELECT * FROM whole.stream",
    "page": "SELECT * FROM whole.page",
}


def core(snapshot_file: str, to: str) -> None:
    """Write the core of a snapshot to the new file `to`, which is a snapshot, too. Raises StoreError, RegistryError."""
    with opened(snapshot_file):
        pass  # looked at first: another program's file is refused
    with new_file(to) as made:
        made.execute("ATTACH ? AS whole", (as_uri(snapshot_file, "mode=ro"),))
        made.execute("BEGIN")
        for statement in _CHOSEN:
            made.execute(statement, (ATTEMPTS,) * statement.count("?"))
        for table, statement in _FILLED.items():
            made.execute(f"INSERT INTO main.{table} {statement}", (RUNS,) * statement.count("?"))
        made.execute("COMMIT")
        for name in ("force", "version", "held", "tried"):
            made.execute(f"DROP TABLE temp.{name}")
        made.execute("DETACH whole")
