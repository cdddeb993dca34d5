"""The DAG of PDP as data: ingestion → normalization → validation → merge → bronze → gold. Imports none of the functions it names."""

from __future__ import annotations

from collections.abc import Iterable

from config.metrics import KINDS
from config.sources import SOURCES, Source
from pipeline.node import Node

STAGES = ("ingestion", "normalization", "validation", "merge", "bronze", "gold")

_CALLS = "raw/{}.calls/**"
"""The calls that brought raw artifacts from an origin, one beside each."""
_MONTHS = "records/{}.months.parquet"
"""Which records there are of each month."""
_PERSON = ("timezone", "timezone_overrides")
_READ_AS = (*_PERSON, "bp_scheme", "home_bp_protocol", "morning_hours", "evening_hours", "med_start_date", "events")


def nodes(sources: Iterable[str], live: Iterable[str] = (), *, sealed: bool = False) -> list[Node]:
    """The DAG over these sources; those in `live` also look at their remote. `sealed` adds the encrypted copy of gold."""
    chosen = [SOURCES[name] for name in sources]
    remote = set(live)
    found: list[Node] = []
    for source in chosen:
        found += _source_nodes(source, source.name in remote)
    if chosen:
        found += [_validation(kind, chosen) for kind in KINDS]
        found.append(_MERGE)
        found += [_bronze(source) for source in chosen]
        found.append(_gold(chosen))
        if sealed:
            found.append(_SEALED)
    return found


def _source_nodes(source: Source, live: bool) -> list[Node]:
    name = source.name
    return [
        Node(
            f"ingestion.{name}.extract",
            "ingestion",
            f"ingestion.{name}.extract:extract",
            files={"inbox": f"inbox/{name}/**"},
            outputs={"raw": f"raw/{name}/**", "calls": _CALLS.format(name)},
            settings=tuple(dict.fromkeys((*source.extract_settings, f"origins_{name}", "google_api_endpoint"))),
            secrets=tuple(dict.fromkeys((*source.secrets, "google_credentials", "object_stores"))),
            remote=f"ingestion.{name}.extract:fingerprint" if live else None,
        ),
        Node(
            f"ingestion.{name}.records",
            "ingestion",
            f"ingestion.{name}.records:records",
            inputs={"raw": f"raw/{name}/**"},
            outputs={
                "records": f"records/{name}.parquet",
                "dead_letters": f"records/{name}.dead_letters.parquet",
                "months": _MONTHS.format(name),
            },
            settings=(*source.settings, f"on_drift_{name}"),
            secrets=source.record_secrets,
            resources=(f"ingestion/{name}/*.json",),
        ),
        Node(
            f"normalization.{name}",
            "normalization",
            source.normalizer,
            inputs={"records": f"records/{name}.parquet"} | ({"months": _MONTHS.format(name)} if source.by_month else {}),
            outputs={
                "readings": f"processed/normalized/{name}.parquet",
                "rejected": f"processed/normalized/{name}.rejected.parquet",
            }
            | ({"months": f"processed/normalized/{name}.months.parquet"} if source.by_month else {}),
            settings=(*_PERSON, "own_users"),
        ),
    ]


def _validation(kind: str, sources: list[Source]) -> Node:
    return Node(
        f"validation.{kind}",
        "validation",
        f"processing.validators.readings:validate_{kind}",
        inputs={s.name: f"processed/normalized/{s.name}.parquet" for s in sources},
        outputs={"readings": f"processed/validated/{kind}.parquet", "rejected": f"processed/validated/{kind}.rejected.parquet"},
        settings=("plausibility",),
    )


_MERGE = Node(
    "merge.daily_metrics",
    "merge",
    "processing.aggregators.daily_metrics:merge",
    inputs={kind: f"processed/validated/{kind}.parquet" for kind in KINDS},
    outputs={
        "csv": "processed/merged/merged_daily_metrics.csv",
        "parquet": "processed/merged/merged_daily_metrics.parquet",
        "by_source": "processed/merged/daily_by_source.parquet",
        "protocol": "processed/merged/home_bp_protocol.parquet",
        "choices": "processed/merged/choices.parquet",
    },
    settings=("source_priority", *_READ_AS),
)


def _gold(sources: list[Source]) -> Node:
    merged = {role: _MERGE.outputs[role] for role in ("parquet", "by_source", "protocol", "choices")}
    refused = {f"{kind}.rejected": f"processed/validated/{kind}.rejected.parquet" for kind in KINDS}
    return Node(
        "gold.metrics",
        "gold",
        "warehouse.gold.build:build",
        inputs={**merged, **refused, **{role: name for source in sources for role, name in _brought(source.name).items()}},
        outputs={"gold": "gold/gold.duckdb"},
        settings=(*_READ_AS, "environment", "steps_goal", "sleep_target_minutes"),
        secrets=("pipeline_version",),
        resources=("warehouse/gold/sql/*.sql", "warehouse/gold/*.csv"),
    )


def _brought(name: str) -> dict[str, str]:
    return {
        f"{name}.rejected": f"processed/normalized/{name}.rejected.parquet",
        f"{name}.records": f"records/{name}.parquet",
        f"{name}.dead_letters": f"records/{name}.dead_letters.parquet",
        f"{name}.raw": f"raw/{name}/**",
    }


_SEALED = Node(
    "gold.sealed",
    "gold",
    "warehouse.gold.seal:sealed",
    inputs={"gold": "gold/gold.duckdb"},
    outputs={"sealed": "gold/gold.sealed"},
    settings=("state_key_id",),
    secrets=("state_key",),
)


def _bronze(source: Source) -> Node:
    name = source.name
    return Node(
        f"bronze.{name}",
        "bronze",
        "warehouse.bronze.load:load",
        inputs={
            "records": f"records/{name}.parquet",
            "dead_letters": f"records/{name}.dead_letters.parquet",
            "raw": f"raw/{name}/**",
            "calls": _CALLS.format(name),
        },
        settings=("environment", "quality_sla", *source.settings),
        secrets=("database", "data_dir", "pipeline_version"),
        resources=(
            "warehouse/bronze/migrations/*.sql",
            "warehouse/bronze/source_migrations/*.sql",
            "warehouse/bronze/access/*.sql",
        ),
        sink="warehouse.bronze.ledger:holds",
        touches=("postgres/**",),
    )
