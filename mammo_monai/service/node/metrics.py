"""What a node counts, for Prometheus, in a registry of its own; nothing in it is about a patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from mammo_monai.dicom.network.refusals import Refusal
from mammo_monai.service.node.database import Database
from mammo_monai.service.node.states import DeliveryState, InstanceState


class Metrics:
    """Counters since the start, and gauges that are read from the queue when somebody asks.

    Args:
        gauges: further values, name → function.
    """

    def __init__(
        self, database: Database, destinations: Iterable[str], gauges: Mapping[str, Callable[[], float]]
    ) -> None:
        self._database, self._destinations, self._gauges = database, tuple(destinations), gauges
        self.registry = CollectorRegistry(auto_describe=False)
        self.received = Counter(
            "mammo_node_stores", "C-STORE requests by outcome", ["outcome"], registry=self.registry
        )
        self.marked = Counter(
            "mammo_node_images", "images worked on, by outcome", ["outcome"], registry=self.registry
        )
        self.marking_s = Histogram(
            "mammo_node_marking_seconds",
            "time to mark an image and make its results",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300),
            registry=self.registry,
        )
        self.delivered = Counter(
            "mammo_node_sendings",
            "results sent, by destination and outcome",
            ["destination", "outcome"],
            registry=self.registry,
        )
        self.refused = Counter(
            "mammo_node_refused",
            "callers refused and associations cut off, by reason",
            ["reason"],
            registry=self.registry,
        )
        for refusal in Refusal:
            self.refused.labels(refusal.word)
        self.errors = Counter(
            "mammo_node_errors", "unexpected errors by loop", ["loop"], registry=self.registry
        )
        self.registry.register(self)

    def image(self, outcome: str, seconds: float) -> None:
        """Counts an image that was worked on."""
        self.marked.labels(outcome).inc()
        self.marking_s.observe(seconds)

    def text(self) -> bytes:
        """The exposition format."""
        return bytes(generate_latest(self.registry))

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Gauges, as prometheus_client asks for them."""
        queue = GaugeMetricFamily("mammo_node_queue", "images by state", labels=["state"])
        counts = dict(map(tuple, self._database.rows("SELECT state, COUNT(*) FROM instances GROUP BY state")))
        for state in InstanceState:
            queue.add_metric([state.value], counts.get(state.value, 0))
        yield queue
        deliveries = GaugeMetricFamily(
            "mammo_node_deliveries", "results by destination and state", labels=["destination", "state"]
        )
        query = "SELECT destination, state, COUNT(*) FROM deliveries GROUP BY destination, state"
        found = {(row[0], row[1]): row[2] for row in self._database.rows(query)}
        names = dict.fromkeys((*self._destinations, *(name for name, _ in found)))
        for name in names:
            for delivery in DeliveryState:
                deliveries.add_metric([name, delivery.value], found.get((name, delivery.value), 0))
        yield deliveries
        for name, value in self._gauges.items():
            yield GaugeMetricFamily(f"mammo_node_{name}", name.replace("_", " "), value=value())
