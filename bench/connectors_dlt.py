"""dlt's REST source on the fake API, as its documentation has it, started in its own environment: `connectors_dlt.py WAY ADDRESS FOLDER`.

Imports nothing of the project. Both ways load JSON Lines into a folder, the lightest destination dlt has. `whole` is one run; `pieces` is
what its documentation advises for long lists: runs of a few pages each, every one going on at the incremental cursor of the one before.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

_PIECE = 10
"""Pages to a run: a state is saved after each run."""


def main(way: str, address: str, folder: str) -> None:
    """Load all there is into `folder`/loaded; what dlt remembers lies in `folder`/pipelines."""
    os.environ |= {
        "DLT_DATA_DIR": f"{folder}/dlt",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DATA_WRITER__DISABLE_COMPRESSION": "true",
    }
    dlt = importlib.import_module("dlt")
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{folder}/pipelines",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/loaded"),
        dataset_name="heart",
        progress=None,
    )
    if way == "whole":
        pipeline.run(_source(address), loader_file_format="jsonl")
        return
    while True:
        pipeline.run(_source(address).add_limit(_PIECE), loader_file_format="jsonl")
        if not pipeline.last_trace.last_normalize_info.row_counts.get("heart"):
            return


def _source(address: str) -> Any:
    rest_api = importlib.import_module("dlt.sources.rest_api")
    return rest_api.rest_api_source(
        {
            "client": {
                "base_url": address,
                "auth": {"type": "bearer", "token": os.environ["HEART_TOKEN"]},
                "paginator": {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "cursor"},
            },
            "resources": [
                {
                    "name": "heart",
                    "primary_key": "id",
                    "endpoint": {
                        "path": "heart",
                        "data_selector": "data",
                        "incremental": {
                            "cursor_path": "updated_at",
                            "start_param": "updated_since",
                            "initial_value": "2025-01-01T00:00:00Z",
                        },
                    },
                }
            ],
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
