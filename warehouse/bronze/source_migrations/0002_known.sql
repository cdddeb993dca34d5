-- What this table has taken so far, 40 bytes a record: a load tells new records from known ones here, without visiting every month.
CREATE TABLE {known} (
    id_hash BIGINT NOT NULL,   -- hashtextextended(raw_id, 0)
    digest  BIGINT             -- the same of time and text as received; NULL for rows older than this table
);
INSERT INTO {known} (id_hash) SELECT hashtextextended(raw_id, 0) AS id_hash FROM {table} WHERE raw_id IS NOT NULL ORDER BY id_hash;
CREATE INDEX {known_id_hash} ON {known} (id_hash);
