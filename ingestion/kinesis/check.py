"""Can the stream be read? Lists its shards; reads no record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from ingestion.origins import check as origins
from ingestion.verdicts import verdict


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding; see `ingestion.origins.check`."""
    lines = origins.check("kinesis", settings)
    return [*lines, _verdict(settings)] if settings["kinesis_stream"] else lines


def _verdict(settings: Mapping[str, Any]) -> str:
    from ingestion.kinesis.client import Kinesis

    try:
        stream = Kinesis(settings, waits=(0.2, 0.5))
        _, kept_for = stream.about()
        shards = stream.shards()
    except PDPError as error:
        return verdict(error)
    open_ = sum(not shard.closed for shard in shards)
    return f"ok: KINESIS_STREAM has {open_} open and {len(shards) - open_} closed shards; it keeps a record {kept_for / 3600:.0f} hours."
