"""The DAG of PDP as data: ingestion → normalization → validation → merge → bronze → silver → gold. Imports no function it names."""

from __future__ import annotations

from collections.abc import Iterable

from config.metrics import KINDS
from config.sources import SOURCES, Source
from pipeline.node import Node

STAGES = ("ingestion", "normalization", "validation", "merge", "bronze", "silver", "gold")

_CALLS = "raw/{}.calls/**"
"""The calls that brought raw artifacts from an origin, one beside each."""
_BY_MAPPING = "processing.normalizers.mapped:normalize"
"""The normalizer of a source that names none: it goes by the mapping its declaration gives."""
_MONTHS = "records/{}.months.parquet"
"""Which records there are of each month."""
_PERSON = ("timezone", "timezone_overrides")
_READ_AS = (*_PERSON, "bp_scheme", "home_bp_protocol", "morning_hours", "evening_hours", "med_start_date", "events")


def nodes(
    sources: Iterable[str], live: Iterable[str] = (), *, sealed: bool = False, unified: Iterable[str] | None = None
) -> list[Node]:
    """The DAG over these sources; those in `live` also look at their remote. `sealed` adds the encrypted copy of gold.

    Those in `unified` go to silver, too; None: those whose entry in `SOURCES` says how. Without any there is no silver.
    """
    chosen = [SOURCES[name] for name in sources]
    remote = set(live)
    found: list[Node] = []
    for source in chosen:
        found += source_nodes(source, source.name in remote)
    if chosen:
        found += [_validation(kind, chosen) for kind in KINDS]
        found.append(_MERGE)
        found += [_bronze(source) for source in chosen]
        found += _silver([s for s in chosen if (s.unify is not None if unified is None else s.name in set(unified))])
        found.append(_gold(chosen))
        if sealed:
            found.append(_SEALED)
    return found


def source_nodes(source: Source, live: bool) -> list[Node]:
    """A source's own steps, from its remote or inbox to its readings."""
    name = source.name
    return [
        Node(
            f"ingestion.{name}.extract",
            "ingestion",
            step(source, "extract"),
            files={"inbox": f"inbox/{name}/**"},
            outputs={"raw": f"raw/{name}/**", "calls": _CALLS.format(name)},
            settings=tuple(dict.fromkeys((*source.extract_settings, *_reached(source)))),
            secrets=tuple(dict.fromkeys((*source.secrets, *_signs_in(source)))),
            remote=step(source, "fingerprint") if live else None,
            pages="raw" if source.rest or source.pages else "",
        ),
        Node(
            f"ingestion.{name}.records",
            "ingestion",
            step(source, "records"),
            inputs={"raw": f"raw/{name}/**"},
            outputs={
                "records": f"records/{name}.parquet",
                "dead_letters": f"records/{name}.dead_letters.parquet",
                "months": _MONTHS.format(name),
            },
            settings=(*source.settings, f"on_drift_{name}", *((f"rest_{name}",) if source.rest else ())),
            secrets=source.record_secrets,
            resources=() if source.rest else (f"ingestion/{name}/*.json",),
        ),
        Node(
            f"normalization.{name}",
            "normalization",
            source.normalizer or _BY_MAPPING,
            inputs={"records": f"records/{name}.parquet"} | ({"months": _MONTHS.format(name)} if source.by_month else {}),
            outputs={
                "readings": f"processed/normalized/{name}.parquet",
                "rejected": f"processed/normalized/{name}.rejected.parquet",
            }
            | ({"months": f"processed/normalized/{name}.months.parquet"} if source.by_month else {}),
            settings=(*_PERSON, "own_users", *(() if source.normalizer else (f"readings_{name}", f"unify_{name}"))),
        ),
    ]


def step(source: Source, function: str) -> str:
    """Where a source's function is: in its folder, in its class, or for all that a file declares. `extract`, `fingerprint`, `records`,
    `check` or `discover`."""
    if source.rest == "yaml":
        return f"ingestion.rest.declared:{function}"
    if source.rest:
        return f"{source.rest}.{function}"
    module = {"fingerprint": "extract", "discover": "check"}.get(function, function)
    return f"ingestion.{source.name}.{module}:{function}"


def _reached(source: Source) -> tuple[str, ...]:
    """Settings that say where its extraction reads."""
    return (f"rest_{source.name}",) if source.rest else (f"origins_{source.name}", "google_api_endpoint")


def _signs_in(source: Source) -> tuple[str, ...]:
    """Secrets beside those it names itself."""
    own = (f"tokens_{source.name}",) if source.rest or source.tokens else ()
    return own if source.rest else (*own, "google_credentials", "object_stores")


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


def _silver(sources: list[Source]) -> list[Node]:
    if not sources:
        return []
    unify = Node(
        "silver.unify",
        "silver",
        "warehouse.silver.unify:unify",
        inputs={s.name: f"records/{s.name}.parquet" for s in sources},
        outputs={"records": "processed/silver/records.parquet", "rejected": "processed/silver/rejected.parquet"},
        settings=(*_PERSON, *(f"unify_{s.name}" for s in sources)),
    )
    load = Node(
        "silver.load",
        "silver",
        "warehouse.silver.load:load",
        inputs=unify.outputs,
        settings=("environment",),
        secrets=("database", "data_dir"),
        resources=("warehouse/bronze/migrations/*.sql", "warehouse/silver/migrations/*.sql", "warehouse/silver/*.sql"),
        sink="warehouse.silver.ledger:holds",
        touches=("postgres/**",),
    )
    return [unify, *(_silver_tables(source) for source in sources), load]


def _silver_tables(source: Source) -> Node:
    return Node(
        f"silver.tables.{source.name}",
        "silver",
        f"warehouse.silver.tables:{'tables_by_stream' if source.rest else 'tables'}",
        inputs={"records": f"records/{source.name}.parquet"},
        outputs={"tables": f"processed/silver/tables/{source.name}/**"},
    )
