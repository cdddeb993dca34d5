"""Makes the public example: the shipped exports through the real pipeline, every gold table as Parquet in `serving/demo/`.

    python -m scripts.demo

Only `examples/` decides the result: no setting of the environment, of `.env` or of `config/settings.yaml` is looked at, and the
same code and libraries write the same bytes again. The dashboard shows these tables to everybody.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import VERSION
from config.errors import PDPError, StageError
from config.snapshot import NodeSettings
from pipeline import Pipeline
from pipeline.nodes import STAGES
from scripts.project import ROOT, Project, example_project

if TYPE_CHECKING:
    import pyarrow as pa

OUT = Path(ROOT) / "serving" / "demo"
EXPORTED = "2026-01-01 12:00:00+00"
"""When the invented exports are said to have arrived: the instant in their archives. The clock has no part in the demo."""


def project(data_dir: str, *, bronze: bool = True, state_key: str = "") -> Project:
    """The pipeline over the shipped examples with their own settings alone; without `bronze` no database is started."""
    plain = _settings(state_key) | {"data_dir": data_dir, "pipeline_version": VERSION}
    secrets = {"google_credentials": "", "object_stores": "", "database": "", "state_key": state_key}
    made = example_project(NodeSettings(plain, [], lambda: secrets), data_dir, ROOT, [])
    if bronze:
        return made
    kept = [node for node in made.pipeline.dag.nodes.values() if node.stage != "bronze"]
    stages = [stage for stage in STAGES if stage != "bronze"]
    return made._replace(pipeline=Pipeline(kept, data_dir, made.settings, stages, made.pipeline.roots, ROOT))


def build(made: Project) -> None:
    """Run it all. Raises StageError if a node fails."""
    run = made.pipeline.run(made.selection())
    failed = [outcome.node for outcome in run.outcomes if outcome.action in {"failed", "blocked"}]
    if failed:
        raise StageError(f"The example did not run through: {', '.join(failed)}.", "See: python main.py --debug")


def tables(made: Project) -> Iterator[tuple[str, pa.Table]]:
    """Name and rows of every gold table, in a fixed order of tables and rows."""
    import duckdb

    with duckdb.connect(os.path.join(made.data_dir, "gold", "gold.duckdb"), read_only=True) as gold:
        gold.execute("SET TimeZone = 'UTC'")
        found = gold.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY 1").fetchall()
        for (name,) in found:
            arrived = f" REPLACE (TIMESTAMPTZ '{EXPORTED}' AS arrived)" if name == "records" else ""
            yield name, gold.sql(f'SELECT *{arrived} FROM "{name}" ORDER BY ALL').to_arrow_table()


def lineage(made: Project) -> dict[str, Any]:
    """The DAG as it stands after the run, without what depends on the clock and the machine."""
    from serving.dashboard.private_lineage import told

    return told(made, clock=False)


def write(made: Project, out: Path) -> int:
    """Replace what the folder holds; gives the bytes written."""
    import pyarrow.parquet as pq

    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("*.parquet"):
        stale.unlink()
    for name, rows in tables(made):
        pq.write_table(rows, out / f"{name}.parquet", compression="zstd", compression_level=12)
    text = json.dumps(lineage(made), indent=1, sort_keys=True) + "\n"
    (out / "lineage.json").write_text(text, encoding="utf-8", newline="")
    return sum(file.stat().st_size for file in out.iterdir())


def main() -> int:
    """The command. Gives 0 when written, the error's own code otherwise."""
    with tempfile.TemporaryDirectory(prefix="pdp-demo-") as folder:
        made = project(folder)
        try:
            build(made)
            size = write(made, OUT)
        except PDPError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    print(f"{len(list(OUT.glob('*.parquet')))} tables, {size / 1e6:.2f} MB in {OUT}")
    return 0


def _settings(state_key: str) -> dict[str, Any]:
    """The examples' own settings, the defaults for the rest."""
    import yaml
    from pydantic import SecretStr

    from config import settings

    class Shipped(settings.Settings):
        """Takes its values as they are given."""

        @classmethod
        def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
            return (sources["init_settings"],)

    own = yaml.safe_load((Path(ROOT) / "examples" / "settings.yaml").read_text(encoding="utf-8"))
    return settings.for_nodes(Shipped(**own, state_key=SecretStr(state_key)))


if __name__ == "__main__":
    sys.exit(main())
