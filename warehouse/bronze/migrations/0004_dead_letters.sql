-- Dead letters are settled by the load that tried them again: how often they were tried, by which run, what became of them.

ALTER TABLE bronze_dead_letters
    ADD COLUMN tried_by TEXT,              -- run of the last attempt; NULL: the first, pipeline_run_id, is the only one
    ADD COLUMN tried_at TIMESTAMP,
    DROP CONSTRAINT bronze_dead_letters_status_check,
    -- replayed: its record is a row, named in resolution; obsolete: neither refused nor a row of its own any more; ignored: by a person
    ADD CONSTRAINT bronze_dead_letters_status_check CHECK (status IN ('open', 'replayed', 'ignored', 'obsolete'));

-- One more attempt for the letters that are refused again, at most one per run. An obsolete one that is refused again is open again.
-- The five arrays are parallel, one element per letter.
CREATE FUNCTION bronze_refuse_letters(source_name TEXT, run_id TEXT, file_hashes TEXT[], record_indexes BIGINT[],
    error_classes TEXT[], file_paths TEXT[], positions TEXT[]) RETURNS VOID
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE bronze_dead_letters AS d
    SET attempts = d.attempts + 1, tried_by = $2, tried_at = timezone('UTC', now()),
        status = 'open', resolved_at = NULL, resolved_by = NULL, resolution = NULL
    FROM unnest($3, $4, $5, $6, $7) AS k (file_hash, record_index, error_class, file_path, "position")
    WHERE d.source = $1 AND d.file_hash = k.file_hash AND d.record_index = k.record_index AND d.error_class = k.error_class
      AND md5(d.file_path) = md5(k.file_path) AND md5(d.position) = md5(k.position)
      AND d.status IN ('open', 'obsolete') AND COALESCE(d.tried_by, d.pipeline_run_id) <> $2;
$$;
REVOKE EXECUTE ON FUNCTION bronze_refuse_letters(TEXT, TEXT, TEXT[], BIGINT[], TEXT[], TEXT[], TEXT[]) FROM PUBLIC;

-- Afterwards, in the same transaction: the open letters of these raw artifacts that the run has not refused again are done with.
-- Each is looked for at its place among the rows the run has inserted: a letter of a whole file, or of a part of one, has no bytes
-- of its own, and its rows lie anywhere within it. Joined by hash, for nobody has analysed rows that were inserted a moment ago.
CREATE FUNCTION bronze_settle_letters(source_name TEXT, run_id TEXT, file_hashes TEXT[]) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_nestloop = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM bronze_dead_letters AS d WHERE d.source = source_name AND d.file_hash = ANY (file_hashes)
                   AND d.status = 'open' AND COALESCE(d.tried_by, d.pipeline_run_id) <> run_id) THEN RETURN; END IF;
    EXECUTE format($query$
        WITH letter AS MATERIALIZED (
            SELECT id, file_hash, file_path, record_index, position, COALESCE(octet_length(raw_bytes) = 0, false) AS whole
            FROM bronze_dead_letters
            WHERE source = $1 AND file_hash = ANY ($3) AND status = 'open' AND COALESCE(tried_by, pipeline_run_id) <> $2
        ), come AS MATERIALIZED (
            SELECT id, file_hash, file_path, record_index, metadata ->> 'position' AS position
            FROM %1$I WHERE pipeline_run_id = $2 AND file_hash IN (SELECT file_hash FROM letter)
        ), found AS (
            SELECT l.id, c.id AS row_id, c.record_index = l.record_index AS exact, c.file_path = l.file_path AS same
            FROM letter AS l JOIN come AS c ON c.file_hash = l.file_hash AND c.position = l.position
            UNION  -- a place the letter named shorter than the record: row 5, Log!row 5
            SELECT l.id, c.id, true, c.file_path = l.file_path
            FROM letter AS l JOIN come AS c ON c.file_hash = l.file_hash AND c.record_index = l.record_index
            WHERE NOT l.whole AND right(c.position, length(l.position)) = l.position
            UNION
            SELECT l.id, c.id, false, c.file_path = l.file_path
            FROM letter AS l JOIN come AS c ON c.file_hash = l.file_hash
            WHERE l.whole AND (l.position IN ('file', 'sheet') OR starts_with(c.position, l.position || ' ')
                               OR starts_with(c.position, l.position || '!'))
        ), row_of AS (
            SELECT DISTINCT ON (id) id, row_id, count(*) OVER (PARTITION BY id) - 1 AS more
            FROM found ORDER BY id, exact DESC, same DESC, row_id
        ), refusal AS (
            SELECT DISTINCT ON (l.id) l.id, n.id AS letter_id, n.error_class
            FROM letter AS l JOIN bronze_dead_letters AS n
              ON n.source = $1 AND n.file_hash = l.file_hash AND n.file_path = l.file_path AND n.position = l.position
            WHERE n.status = 'open' AND COALESCE(n.tried_by, n.pipeline_run_id) = $2
            ORDER BY l.id, n.id
        )
        UPDATE bronze_dead_letters AS d
        SET attempts = d.attempts + 1, tried_by = $2, tried_at = timezone('UTC', now()),
            status = CASE WHEN r.id IS NULL THEN 'obsolete' ELSE 'replayed' END,
            resolved_at = timezone('UTC', now()), resolved_by = $2,
            resolution = CASE
                WHEN r.id IS NOT NULL THEN %1$L || ' ' || r.row_id || CASE WHEN r.more > 0 THEN ' and ' || r.more || ' more' ELSE '' END
                WHEN n.id IS NOT NULL THEN 'refused for another reason now: letter ' || n.letter_id || ', ' || n.error_class
                ELSE 'no row of its own: it repeats another record, or is none' END
        FROM letter AS l LEFT JOIN row_of AS r USING (id) LEFT JOIN refusal AS n USING (id)
        WHERE d.id = l.id
    $query$, 'bronze_' || source_name) USING source_name, run_id, file_hashes;
END $$;
REVOKE EXECUTE ON FUNCTION bronze_settle_letters(TEXT, TEXT, TEXT[]) FROM PUBLIC;
