-- streams of remotes: where each goes on, as of its last committed page
CREATE TABLE stream (
    node TEXT NOT NULL, stream TEXT NOT NULL,
    state TEXT,                                             -- JSON; NULL: begin anew
    pages INTEGER NOT NULL, records INTEGER NOT NULL, repeated INTEGER NOT NULL,    -- counted since the first page ever
    updated_at REAL NOT NULL,
    attempt_id TEXT,                                        -- who wrote it last; NULL: a person, by command
    PRIMARY KEY (node, stream)
) STRICT, WITHOUT ROWID;

-- pages that are held: each is part of its node's collection from the next attempt on that ends well
CREATE TABLE page (
    node TEXT NOT NULL, stream TEXT NOT NULL, number INTEGER NOT NULL,
    artifact_id INTEGER NOT NULL UNIQUE REFERENCES artifact (id),
    digest TEXT NOT NULL,                                   -- what its stage knows it by
    facts TEXT NOT NULL,                                    -- JSON
    records INTEGER NOT NULL,
    attempt_id TEXT NOT NULL, created_at REAL NOT NULL,
    fate INTEGER NOT NULL CHECK (fate IN (0, 1, 2)),        -- 0 held, 1 held until a whole new round is in, 2 replaced
    PRIMARY KEY (node, stream, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX page_digest ON page (node, stream, digest);

CREATE TRIGGER standing_stream_new AFTER INSERT ON stream BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_stream_other AFTER UPDATE ON stream BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_stream_gone AFTER DELETE ON stream BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_page_new AFTER INSERT ON page BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_page_other AFTER UPDATE ON page BEGIN DELETE FROM standing; END;
CREATE TRIGGER standing_page_gone AFTER DELETE ON page BEGIN DELETE FROM standing; END;
