"""What may be done to a bronze table by hand, what `reconcile` names then, and whether a repair mends it.

`T` is the source's table, `S` the source. It holds `RECORDS`.
"""

from __future__ import annotations

from tests.postgres_bench import record

JAN, FEB, MARCH, NO_TIME = "2024-01", "2024-02", "2024-03", "undated"
LATER = {"n": 9, "corrected": True}
RECORDS = [
    *(record(n) for n in range(40)),  # the first in January, the others in February
    record(9, LATER, revision=1),
    record(50, source_timestamp=None),
    record(51, source_timestamp=None),
    record(60, '{"a": NaN}'),  # the database refuses it
    record(61, '{"a": "\0"}'),
]

Named = set[tuple[str, str | None, int]]
COLUMNS = "source, raw_data, content_hash, version, raw_id"
AGAIN = (
    f"INSERT INTO T ({COLUMNS}, source_timestamp, partition_key)"
    f" SELECT {COLUMNS}, '2024-03-01', '2024-03-01' FROM T WHERE raw_id = 'reading:7'"
)
MENDED: dict[str, tuple[list[str], Named]] = {
    "rows deleted": (
        ["DELETE FROM T WHERE raw_id IN ('reading:7', 'reading:8', 'reading:0')"],
        {
            ("rows_lost", JAN, 1),
            ("rows_lost", FEB, 2),
            ("records_missing", JAN, 1),
            ("records_missing", FEB, 2),
            ("known_stale", None, 3),
        },
    ),
    "row deleted and another forgotten": (
        ["DELETE FROM T WHERE raw_id = 'reading:7'", "DELETE FROM T_known WHERE id_hash = hashtextextended('reading:8', 0)"],
        {("rows_lost", FEB, 1), ("records_missing", FEB, 1), ("known_stale", None, 1), ("known_missing", None, 1)},
    ),
    "undated rows deleted": (
        ["DELETE FROM T WHERE source_timestamp IS NULL"],
        {("rows_lost", NO_TIME, 2), ("records_missing", NO_TIME, 2), ("known_stale", None, 2)},
    ),
    "latest version deleted": (
        ["DELETE FROM T WHERE version = 2"],
        {("rows_lost", FEB, 1), ("records_missing", FEB, 1), ("revisions_stale", None, 1)},
    ),
    "month dropped": (
        ["DROP TABLE T_y2024m02"],
        {
            ("partition_missing", FEB, 40),
            ("records_missing", FEB, 40),
            ("known_stale", None, 39),
            ("revisions_stale", None, 1),
        },
    ),
    "default dropped": (
        ["DROP TABLE T_default"],
        {("partition_missing", NO_TIME, 2), ("records_missing", NO_TIME, 2), ("known_stale", None, 2)},
    ),
    "table dropped": (["DROP TABLE T CASCADE"], {("table_missing", None, 43)}),
    "revisions deleted": (["DELETE FROM bronze_revisions WHERE source = 'S'"], {("revisions_missing", None, 1)}),
    "known deleted": (
        ["DELETE FROM T_known WHERE id_hash = hashtextextended('reading:7', 0)"],
        {("known_missing", None, 1)},
    ),
    "known invented": (
        ["INSERT INTO T_known VALUES (1, 2), (1, 3), (2, NULL)"],
        {("known_stale", None, 2)},
    ),
    "letter deleted": (
        ["DELETE FROM bronze_dead_letters WHERE source = 'S' AND record_index = 90"],
        {("letters_missing", None, 1), ("letters_lost", None, 1)},
    ),
    "letter of the database deleted": (
        ["DELETE FROM bronze_dead_letters WHERE source = 'S' AND record_index = 60"],
        {("records_missing", FEB, 1), ("letters_lost", None, 1)},
    ),
}
"""What was done by hand, what is named; a repair mends all of it."""
STRANGE = "INSERT INTO T (source, raw_data, content_hash, raw_id) VALUES ('S', '{}', sha256('{}'), 'strange')"
NAMED: dict[str, tuple[list[str], Named]] = {
    "content altered": (["UPDATE T SET raw_data = '{}' WHERE raw_id = 'reading:7'"], {("rows_altered", FEB, 1)}),
    "row invented": ([STRANGE], {("rows_unknown", NO_TIME, 1), ("known_missing", None, 1)}),
    "row twice": (
        [
            "SELECT create_partition_if_not_exists('S', '2024-03-01')",
            AGAIN,
        ],
        {("rows_unknown", MARCH, 1), ("rows_repeated", MARCH, 1), ("versions_repeated", None, 1)},
    ),
    "version raised": (
        ["UPDATE T SET version = 3 WHERE version = 2", "UPDATE bronze_revisions SET version = 3 WHERE source = 'S'"],
        {("versions_missing", None, 1)},
    ),
    "version repeated": (
        ["UPDATE T SET version = 1 WHERE version = 2"],
        {("versions_repeated", None, 1), ("revisions_stale", None, 1)},
    ),
    "version below one": (["UPDATE T SET version = 0 WHERE raw_id = 'reading:7'"], {("versions_repeated", None, 1)}),
    "revision invented": (["INSERT INTO bronze_revisions VALUES ('S', 'reading:7', 2)"], {("revisions_stale", None, 1)}),
    "letter invented": (
        [
            (
                "INSERT INTO bronze_dead_letters (source, target_table, stage, environment, file_path, file_hash, record_index, position,"
                " raw_size, error_class, error_message, lineage_id, pipeline_run_id)"
                " VALUES ('S', '', 'ingestion', '', '', '', 0, '', 0, '', '', '', '')"
            )
        ],
        {("letters_unknown", None, 1)},
    ),
    "months forgotten": (
        ["DELETE FROM bronze_loaded_months WHERE source = 'S' AND month = '2024-02-01'"],
        {("rows_unknown", FEB, 40), ("load_unbalanced", None, 1)},
    ),
    "count changed": (
        [
            "UPDATE bronze_loads SET rows_read = rows_read + 2, rows_duplicate = rows_duplicate + 2 WHERE target_table = 'bronze_S'"
        ],
        {("records_miscounted", None, 2)},
    ),
    "month detached": (
        ["ALTER TABLE T DETACH PARTITION T_y2024m02"],
        {
            ("partition_detached", None, 1),
            ("partition_missing", FEB, 40),
            ("records_missing", FEB, 40),
            ("known_stale", None, 39),
            ("revisions_stale", None, 1),
        },
    ),
    "month kept by nobody": (["CREATE TABLE T_y2020m01_kept (n int)"], {("partition_detached", None, 1)}),
}
"""What was done by hand, what is named, and still is after a repair."""
LISTS = {("known_missing", None, 1), ("known_stale", None, 39)}
"""Of those: what the repair mends after all."""
