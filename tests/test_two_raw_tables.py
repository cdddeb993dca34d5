"""An API's records and a CSV's rows lie in two bronze tables and become one table of unified records, upserted, with its runs told."""

from __future__ import annotations

from pathlib import Path

from tests import live_bench, made_once
from tests.live_bench import Asked, Said, serving
from tests.postgres_bench import sql
from warehouse.bronze.embedded import server

SHEET = "id,name,value,description,updated_at\n7,bottle,0.5,full,2025-03-01T08:00:00Z\n8,cup,{cup},half,2025-03-01T08:00:00Z\n"


def test_an_api_and_a_csv_become_one_table_and_only_what_changed_is_written_again(tmp_path: Path) -> None:
    posts = [{"userId": 1, "id": n, "title": f"post {n}", "body": "text"} for n in (1, 2, 3)]

    def say(asked: Asked) -> Said:
        return Said(posts if asked.path == "/posts" and asked.query["_page"] == "1" else [])

    data = made_once.cluster(tmp_path / "data")
    sheet = data / "inbox/csv_url/things.csv"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(SHEET.format(cup="0.2"))
    try:
        with serving(say) as fake:
            done = live_bench.run(data, "--until-stage", "silver", API_HOST=fake.url)
            assert done.returncode == 0, done.stdout + done.stderr
            assert sql(data, "SELECT count(*) FROM bronze_demo_api UNION ALL SELECT count(*) FROM bronze_csv_url") == [(3,), (2,)]
            unified = "SELECT source, source_id, name, value, description FROM silver.records ORDER BY source, source_id"
            assert sql(data, unified) == [
                ("csv_url", "7", "bottle", 0.5, "full"),
                ("csv_url", "8", "cup", 0.2, "half"),
                *(("demo_api", f"posts:{n}", f"post {n}", None, "text") for n in (1, 2, 3)),
            ]
            posts[1]["title"] = "post 2, mended"
            sheet.write_text(SHEET.format(cup="0.3"))
            done = live_bench.run(data, "--until-stage", "silver", API_HOST=fake.url)
            assert done.returncode == 0, done.stdout + done.stderr
        assert [row[2:4] for row in sql(data, unified)][1:4:2] == [("cup", 0.3), ("post 2, mended", None)]
        told = sql(data, "SELECT came, inserted, updated, unchanged, rejected FROM silver.runs ORDER BY id")
        assert told == [(5, 5, 0, 0, 0), (5, 0, 2, 3, 0)]
        assert sql(data, "SELECT source, records FROM silver.checkpoints ORDER BY source") == [("csv_url", 2), ("demo_api", 3)]
    finally:
        server.release(str(data))
