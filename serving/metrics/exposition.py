"""The metrics as Prometheus reads them, gathered at the moment they are asked for. Needs the extra `api`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scripts.project import Project
from serving.alerts.state import active
from serving.metrics.catalog import CATALOG, Metric
from serving.metrics.facts import Facts, gather
from serving.metrics.samples import Sample, merged, samples

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family


def render(project: Project) -> bytes:
    """All metrics in the text format. Raises PDPError when the registry cannot be read, ImportError without the extra."""
    return text_of(gather(project), project.data_dir)


def text_of(facts: Facts, data_dir: str) -> bytes:
    """Likewise, of facts that were gathered already."""
    from prometheus_client import CollectorRegistry, generate_latest

    found = merged(samples(facts, active(data_dir)))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(found))
    return generate_latest(registry)


class _Collector:
    """Hands the samples over, family by family."""

    def __init__(self, found: Sequence[Sample]) -> None:
        self._found = found

    def collect(self) -> Iterator[Family]:
        for metric in CATALOG.values():
            mine = [sample for sample in self._found if sample.metric == metric.name]
            if mine:
                yield _family(metric, mine)

    def describe(self) -> list[Family]:
        return []


def _family(metric: Metric, found: Sequence[Sample]) -> Family:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

    if metric.kind == "summary":
        summary = SummaryMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        for sample in found:
            summary.add_metric(sample.labels, count_value=sample.number or 0, sum_value=sample.value)
        return summary
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for sample in found:
        family.add_metric(sample.labels, sample.value)
    return family
