-- what a run found that had nothing to do, with every fact it looked at; gone as soon as anything it rests on changes
CREATE TABLE standing (
    id INTEGER PRIMARY KEY, selection TEXT NOT NULL UNIQUE, asked TEXT NOT NULL, installed TEXT NOT NULL,
    files INTEGER NOT NULL, names INTEGER NOT NULL, outcomes INTEGER NOT NULL    -- how many rows belong to it
) STRICT;
CREATE TABLE standing_file (
    standing_id INTEGER NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    path TEXT NOT NULL,                                     -- relative to the data root, or absolute
    ino INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, dev INTEGER NOT NULL,
    PRIMARY KEY (standing_id, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE standing_name (
    standing_id INTEGER NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('link', 'absent', 'files', 'modules', 'glob', 'remote', 'sink')),
    base TEXT NOT NULL, name TEXT NOT NULL, found TEXT NOT NULL,
    PRIMARY KEY (standing_id, kind, base, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE standing_outcome (
    standing_id INTEGER NOT NULL REFERENCES standing (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    node TEXT NOT NULL, stage TEXT NOT NULL, attempt_id TEXT NOT NULL, rows INTEGER, warnings TEXT NOT NULL, held INTEGER NOT NULL,
    PRIMARY KEY (standing_id, position)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER standing_state_new AFTER INSERT ON node_state BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_state_other AFTER UPDATE ON node_state BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_state_gone AFTER DELETE ON node_state BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_artifact AFTER UPDATE ON artifact BEGIN DELETE FROM standing; END;

-- the source of a symbol as it was when a node ran, by the digest its leaf has: what `explain` shows the difference to
CREATE TABLE source_text (digest TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- a worker was lost and may still write: the next start sweeps the store
ALTER TABLE run ADD COLUMN litter INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_litter ON run (id) WHERE litter = 1;

-- a node's history by row number (clocks jump), and the restores of a node and of a run
CREATE INDEX attempt_node ON attempt (node);
CREATE INDEX event_attempt ON event (attempt_id);
CREATE INDEX event_run ON event (run_id);
