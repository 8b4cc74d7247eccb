"""What `/metrics` shows Prometheus, right whichever web process is asked.

Gauges are counted in the database at the moment of asking. Counters and histograms are the sums of all
processes, kept in Valkey by `commandcenter.measurements`.
"""

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import func, select

from commandcenter.measurements import DURATION_BUCKETS_SECONDS
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import LIVE
from commandcenter.services import Services

_COUNTERS = {
    "sandbox_spawn_total": ("Sandboxes that were started.", ("provider",)),
    "sandbox_error_total": ("Failures of providers, by kind.", ("provider", "kind")),
    "reconcile_findings_total": (
        "Disagreements between providers and records that were settled, by what was found.",
        ("provider", "finding"),
    ),
}
_DURATION = "sandbox_execution_duration_seconds"


async def expose(services: Services) -> bytes:
    """The metrics in Prometheus's text format."""
    measured = await services.measurements.read()
    active = await _active_sandboxes(services)
    registry = CollectorRegistry()
    registry.register(_Collected([_gauge(active), *_counters(measured), _histogram(measured)]))
    return generate_latest(registry)


class _Collected:
    """Metrics that were collected before Prometheus's client asks, as it cannot wait for a database."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


async def _active_sandboxes(services: Services) -> dict[tuple[str, str], int]:
    async with services.database.system_transaction() as session:
        rows = await session.execute(
            select(Sandbox.provider, Sandbox.status, func.count())
            .where(Sandbox.status.in_(LIVE))
            .group_by(Sandbox.provider, Sandbox.status)
        )
        return {(provider, status.lower()): count for provider, status, count in rows}


def _gauge(active: dict[tuple[str, str], int]) -> Metric:
    gauge = GaugeMetricFamily(
        "sandbox_active_count", "Sandboxes that have not ended.", labels=("provider", "status")
    )
    for labels, count in active.items():
        gauge.add_metric(labels, count)
    return gauge


def _counters(measured: dict[str, float]) -> Iterator[Metric]:
    for name, (description, label_names) in _COUNTERS.items():
        counter = CounterMetricFamily(name, description, labels=label_names)
        for field, value in measured.items():
            metric, labels, _ = _parse(field)
            if metric == name:
                counter.add_metric([labels.get(label, "") for label in label_names], value)
        yield counter


def _histogram(measured: dict[str, float]) -> Metric:
    label_names = ("provider", "status")
    values: defaultdict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for field, value in measured.items():
        metric, labels, part = _parse(field)
        if metric == _DURATION:
            values[tuple(labels.get(name, "") for name in label_names)][part] = value
    histogram = HistogramMetricFamily(_DURATION, "How long executions took.", labels=label_names)
    bounds = [*(str(bound) for bound in DURATION_BUCKETS_SECONDS), "+Inf"]
    for label_values, parts in values.items():
        total = 0.0
        buckets = []
        for bound in bounds:
            total += parts.get(f"le={bound}", 0.0)
            buckets.append((bound, total))
        histogram.add_metric(label_values, buckets, sum_value=parts.get("sum", 0.0))
    return histogram


def _parse(field: str) -> tuple[str, dict[str, str], str]:
    """Metric, labels and part (`le=<bound>`, `sum` or nothing) of a field of the shared measurements."""
    metric, labels, *part = field.split("|")
    pairs = (pair.partition("=") for pair in labels.split(",") if pair)
    return metric, {name: value for name, _, value in pairs}, part[0] if part else ""
