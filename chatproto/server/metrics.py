"""Serve `/metrics` for Prometheus and `/health` (`--metrics`).

The names are those of docs/operations.md. Only numbers are shown: no ids, keys, addresses or texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from chatproto.server.counters import BOUNDS, Counters
from chatproto.server.room_side import RoomSide
from chatproto.server.service import ChatServer

if TYPE_CHECKING:
    from chatproto.server.shared_rooms.rooms import SharedRooms

IDLE = 60.0
"""Seconds without a request after which a connection is closed."""
MOST = 32
"""Connections at the same time; one more closes the oldest."""


HELP = {
    "connections": "Connections that are open, of all kinds",
    "connections_most": "Connections that there may be",
    "connections_secure": "Open connections inside TLS",
    "registered_classic": "Registrations in the classic dialect",
    "registered_keyed": "Registrations with a key, connected or away",
    "rooms": "Rooms that there are",
    "room_members": "Members of all rooms, counted once for each room",
    "relay_pipes_open": "Pipes of the relay that are open",
    "relay_pipes": "Pipes of the relay that were made",
    "relay_bytes": "Bytes that went through the relay",
    "relay_refused": "Connections that asked the relay for what they may not have",
    "relay_alone": "Connections that waited for the other end in vain",
    "accepted": "Connections that were accepted",
}


class ServerOverview(Collector):
    """Collects the numbers of `server` and its `rooms`.

    `counters`: set as those of the server. `trouble`: returns a sentence about a problem of the store, or "".
    """

    def __init__(
        self,
        server: ChatServer,
        rooms: RoomSide | SharedRooms,
        counters: Counters,
        trouble: Callable[[], str],
    ) -> None:
        self.counters = server.factory.counters = counters
        self._server = server
        self._rooms = rooms
        self._trouble = trouble

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering the collector does not run it."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the current values of all metrics."""
        counters = self.counters
        for name, value in self.figures().items():
            yield GaugeMetricFamily(f"chatserver_{name}", HELP[name], value)
        for name, value in self.counts().items():
            yield CounterMetricFamily(f"chatserver_{name}", HELP[name], value)
        refused = Counter({(status,): count for status, count in counters.refused.items()})
        yield _counted("refused", "Connections that were one too many", refused, "status")
        yield _counted("requests", "What was asked", counters.requests, "dialect", "method")
        yield _counted(
            *("errors", "What was answered with an error", counters.errors), "dialect", "status"
        )
        yield from _store(counters)

    def figures(self) -> dict[str, float]:
        """Return the current values of the gauges."""
        factory = self._server.factory
        found: dict[str, float] = {
            "connections": factory.taken,
            "connections_most": factory.most,
            "registered_classic": len(self._server.directory.registry),
        }
        secure, relay, shared = self._server.secure, factory.relay, factory.shared
        found["connections_secure"] = len(secure.connections)
        found["registered_keyed"] = secure.directory.registered
        if shared is not None:
            found["registered_keyed"], found["registered_classic"] = shared.counts
        found["rooms"], found["room_members"] = self._rooms.size()
        if relay is not None:
            found["relay_pipes_open"] = relay.open_pipes
        return found

    def counts(self) -> dict[str, float]:
        """Return the totals since the start of the server."""
        found: dict[str, float] = {"accepted": self.counters.accepted}
        relay = self._server.factory.relay
        if relay is not None:
            found |= {f"relay_{name}": count for name, count in asdict(relay.counts).items()}
        return found

    def trouble(self) -> str:
        """Return one sentence about why the server is not healthy; "" if it is."""
        if not self._server.running:
            return "the server is starting or stopping"
        if self._server.draining:
            return "the server is draining: it takes no new connections and ends soon"
        return self._trouble()


def _counted(name: str, help_: str, counts: Counter[Any], *labels: str) -> Metric:
    """Return a counter for each value of the `labels`."""
    family = CounterMetricFamily(f"chatserver_{name}", help_, labels=labels)
    for values, count in counts.items():
        family.add_metric([*map(str, values)], count)
    return family


def _store(counters: Counters) -> Iterator[Metric]:
    """Yield the times and failures of store calls."""
    seconds = HistogramMetricFamily(
        "chatserver_store_seconds", "Time that the store took", labels=["part", "call"]
    )
    for labels, spent in counters.store.items():
        up_to, buckets = 0, []
        for bound, count in zip((*map(repr, BOUNDS), "+Inf"), spent.counts, strict=True):
            up_to += count
            buckets.append((bound, up_to))
        seconds.add_metric(labels, buckets, spent.seconds)
    yield seconds
    failed = Counter({labels: spent.failed for labels, spent in counters.store.items()})
    yield _counted("store_failures", "Calls that the store failed at", failed, "part", "call")


class MetricsPage(Resource):
    """Page `/metrics`, made in one turn of the reactor, so that its numbers are consistent.

    `prometheus_client.twisted` would make it in a thread, while the server changes them.
    """

    isLeaf = True

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def render_GET(self, request: Request) -> bytes:
        encode, kind = choose_encoder(request.getHeader("accept") or "")
        request.setHeader(b"content-type", kind.encode())
        return encode(self._registry)


class HealthPage(Resource):
    """Page `/health`: 200 and `ok`, or 503 and one sentence about the problem."""

    isLeaf = True

    def __init__(self, trouble: Callable[[], str]) -> None:
        super().__init__()
        self._trouble = trouble

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        trouble = self._trouble()
        if trouble:
            request.setResponseCode(SERVICE_UNAVAILABLE)
        return f"{trouble or 'ok'}\n".encode()


class Nothing(Resource):
    """Root resource: 404 for all paths except `/metrics` and `/health`."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        return notFound()


class BodilessRequest(Request):
    """Request whose body is dropped: Twisted would store it on the disk, whatever its length.

    HEAD is answered with the headers of GET; Twisted would log a line for each.
    """

    def render(self, resrc: Resource) -> None:
        """Answer with `resrc`."""
        if self.method != b"HEAD":
            super().render(resrc)
            return
        body = resrc.render(self)
        if isinstance(body, bytes):  # else an error page, which finishes by itself
            self.setHeader(b"content-length", b"%d" % len(body))
            self.write(b"")
            self.finish()

    def gotLength(self, length: int | None) -> None:
        """Prepare for an empty body, whatever `length` says."""
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        """Drop a part of the body."""


class QuietSite(Site):
    """Site without an access log."""

    noisy = False

    def log(self, request: object) -> None:
        """Log nothing."""


class BoundedSite(WrappingFactory):
    """Site of at most MOST connections, so that open files are left for the server's clients."""

    noisy = False

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._places: dict[ProtocolWrapper, None] = {}  # the oldest first

    def registerProtocol(self, p: ProtocolWrapper) -> None:
        """Note that `p` is connected, and close the oldest connection if there are too many."""
        super().registerProtocol(p)
        self._places[p] = None
        if len(self._places) > MOST:
            oldest = next(iter(self._places))
            del self._places[oldest]
            connection: Any = oldest.transport
            connection.abortConnection()

    def unregisterProtocol(self, p: ProtocolWrapper) -> None:
        """Note the end of `p`."""
        super().unregisterProtocol(p)
        self._places.pop(p, None)


def metrics_site(reactor: Any, server: ServerOverview) -> BoundedSite:
    """Build the site that listens on `--metrics`."""
    registry = CollectorRegistry()
    registry.register(server)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    root = Nothing()
    root.putChild(b"metrics", MetricsPage(registry))
    root.putChild(b"health", HealthPage(server.trouble))
    site = QuietSite(root, BodilessRequest, timeout=IDLE, reactor=reactor)
    site.displayTracebacks = False
    return BoundedSite(site)
