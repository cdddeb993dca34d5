-- Silver in PostgreSQL: the unified records as they are now, where each source stands, and what every load did.
CREATE TABLE silver.migrations (
    name       TEXT PRIMARY KEY,
    sha256     TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE silver.records (
    source          TEXT NOT NULL,
    source_id       TEXT NOT NULL CHECK (source_id <> ''),
    event_id        TEXT,
    name            TEXT,
    value           DOUBLE PRECISION CHECK (value NOT IN ('NaN', 'Infinity', '-Infinity')),
    unit            TEXT,
    description     TEXT,
    occurred_at     TIMESTAMPTZ CHECK (occurred_at >= '1899-12-31' AND occurred_at < '2200-01-02'),
    created_at      TIMESTAMPTZ CHECK (created_at >= '1899-12-31' AND created_at < '2200-01-02'),
    updated_at      TIMESTAMPTZ CHECK (updated_at >= '1899-12-31' AND updated_at < '2200-01-02'),
    deleted         BOOLEAN NOT NULL,
    raw_id          TEXT NOT NULL,
    raw_artifact    TEXT NOT NULL,
    position        TEXT NOT NULL,
    first_loaded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_changed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (source, source_id)
);
CREATE INDEX records_occurred_at ON silver.records (occurred_at);

-- one row per source: what its records say of it, as of the newest load
CREATE TABLE silver.checkpoints (
    source            TEXT PRIMARY KEY,
    records           BIGINT NOT NULL,
    deleted           BIGINT NOT NULL,
    newest_occurred_at TIMESTAMPTZ,
    newest_updated_at  TIMESTAMPTZ,
    run               BIGINT NOT NULL
);

-- one row per load, and per erase or month taken out; the newest says which file the table holds
CREATE TABLE silver.runs (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action         TEXT NOT NULL CHECK (action IN ('load', 'erase', 'retain', 'restore')),
    run_id         TEXT,
    attempt_id     TEXT,
    file_hash      TEXT NOT NULL,
    loader_version TEXT NOT NULL,
    environment    TEXT NOT NULL,
    came           BIGINT NOT NULL,
    inserted       BIGINT NOT NULL,
    updated        BIGINT NOT NULL,
    unchanged      BIGINT NOT NULL,
    deleted        BIGINT NOT NULL,
    removed        BIGINT NOT NULL,
    retired        BIGINT NOT NULL,
    rejected       BIGINT NOT NULL,
    rows           BIGINT NOT NULL,
    hash_sum       NUMERIC NOT NULL,
    started_at     TIMESTAMPTZ NOT NULL,
    seconds        DOUBLE PRECISION NOT NULL,
    CHECK (action <> 'load' OR came = inserted + updated + unchanged + deleted + retired)
);
