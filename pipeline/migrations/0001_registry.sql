-- The registry: runs, attempts, artifacts, lineage. A row here is the only commit point of the engine.
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    started_at REAL NOT NULL, ended_at REAL,                -- seconds since 1970
    selection TEXT NOT NULL,                                -- JSON: what was asked for
    host TEXT NOT NULL, pid INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'interrupted'))
) STRICT;
CREATE INDEX run_status ON run (status);

CREATE TABLE attempt (
    id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES run (id),
    node TEXT NOT NULL, stage TEXT NOT NULL,
    input_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('started', 'committed', 'failed', 'aborted', 'accepted')),
    code_id TEXT NOT NULL, settings_id TEXT NOT NULL, environment_id TEXT NOT NULL,
    started_at REAL NOT NULL, seconds REAL,
    rows INTEGER, peak_rss INTEGER,                         -- bytes
    report TEXT,                                            -- JSON: balance, findings
    reasons TEXT NOT NULL,                                  -- JSON: why it ran
    error TEXT
) STRICT;
CREATE INDEX attempt_key ON attempt (node, input_hash, state);
CREATE INDEX attempt_run ON attempt (run_id);
CREATE INDEX attempt_open ON attempt (state) WHERE state = 'started';

CREATE TABLE artifact (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL, version INTEGER NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, rows INTEGER,
    path TEXT NOT NULL,                                     -- relative to the data root, never reused for other bytes
    attempt_id TEXT NOT NULL REFERENCES attempt (id),       -- who made it first
    created_at REAL NOT NULL,
    removed_at REAL,                                        -- bytes deliberately removed (clean, gc); the row stays
    UNIQUE (name, version), UNIQUE (name, sha256)
) STRICT;

CREATE TABLE attempt_input (
    attempt_id TEXT NOT NULL REFERENCES attempt (id),
    role TEXT NOT NULL, name TEXT NOT NULL,
    artifact_id INTEGER REFERENCES artifact (id),           -- NULL: a file nobody makes, or a remote's fingerprint
    sha256 TEXT NOT NULL, size INTEGER,
    PRIMARY KEY (attempt_id, role, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_input_artifact ON attempt_input (artifact_id);

CREATE TABLE attempt_output (
    attempt_id TEXT NOT NULL REFERENCES attempt (id),
    artifact_id INTEGER NOT NULL REFERENCES artifact (id), role TEXT NOT NULL,
    PRIMARY KEY (attempt_id, artifact_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_output_artifact ON attempt_output (artifact_id);

-- the attempt whose outputs are in force, per node: what the plain names mean now
CREATE TABLE node_state (
    node TEXT PRIMARY KEY, attempt_id TEXT NOT NULL REFERENCES attempt (id)
) STRICT, WITHOUT ROWID;

-- every leaf of an identity, stored once per distinct identity: JSON [[name, digest, location], …]
CREATE TABLE identity (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('code', 'settings', 'environment')), leaves TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, run_id TEXT, attempt_id TEXT, kind TEXT NOT NULL, data TEXT NOT NULL
) STRICT;

-- caches: deleting them costs time, never correctness
CREATE TABLE cache_file (
    path TEXT PRIMARY KEY,                                  -- relative to the data root or the project, else absolute
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL, hashed_at_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE cache_value (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
