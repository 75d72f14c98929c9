"""Test /metrics and /health of a real server on loopback."""

from __future__ import annotations

import tempfile
from typing import Any, cast

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import ClientCreator, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from chatproto.relay.protocol import Relays
from chatproto.server.counters import Counters
from chatproto.server.metrics import HELP, MOST, ServerOverview, metrics_site
from chatproto.server.port_service import PortService
from chatproto.server.room_side import RoomSide
from chatproto.server.service import ChatServer
from chatproto.stores.open import MemoryStore
from chatproto.stores.timed import TimedStore
from chatproto.wire import bcp2_rooms, bcp2_server
from tests.server.secure_ends import LOOPBACK, Client, Served


class Reader(Protocol):
    """Reads an answer to its end."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.all: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.all.callback(self.data)


class MetricsTests(Served):
    def setUp(self) -> None:
        super().setUp()
        self.trouble = ""

    def watched(self) -> None:
        """A server with everything, and its figures."""
        factory = self.serve()
        assert factory.secure is not None
        self.counters = Counters()
        store = TimedStore(MemoryStore(), self.counters.spent)
        factory.relay = Relays(self.clock, factory.limits, str)
        rooms = RoomSide(self.clock, store.rooms, factory.limits)
        rooms.connections = factory.secure.connections
        factory.secure.rooms = factory.secure.delivery = rooms
        self.server = ChatServer(reactor, (), store.registry, factory.secure)
        self.server.factory = factory
        self.server.running = True
        overview = ServerOverview(self.server, rooms, self.counters, lambda: self.trouble)
        said: list[str] = []
        site = metrics_site(reactor, overview)
        service = PortService(reactor, LOOPBACK, site, "metrics", said.append)
        service.startService()
        self.addCleanup(service.stopService)
        self.assertRegex(said[0], r"^\* metrics listening on 127\.0\.0\.1:\d+$")
        self.where = int(said[0].rpartition(":")[2])

    async def get(self, path: str) -> tuple[str, str]:
        """The status line and the body."""
        head, body = await self.request("GET", path)
        return head.partition("\r\n")[0], body

    async def request(self, method: str, path: str) -> tuple[str, str]:
        """The head and the body."""
        creator = ClientCreator(reactor, Reader)
        reader: Reader = await creator.connectTCP("127.0.0.1", self.where)
        reader.transport.write(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = (await reader.all).decode().partition("\r\n\r\n")
        return head, body

    async def figures(self) -> dict[str, float]:
        """Each sample by its name and labels."""
        status, text = await self.get("/metrics")
        self.assertIn(" 200 ", status)
        self.text = text
        return {
            ":".join([sample.name, *(sample.labels[key] for key in sorted(sample.labels))]): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def got(self, client: Client, count: int) -> None:
        while len(client.got) < count:
            await deferLater(reactor, 0.001)

    async def test_metrics_report_present_and_past_values(self) -> None:
        self.watched()
        alice = await self.come()
        alice.send(
            bcp2_server.Register(1, "alice-the-first", 3000),
            bcp2_rooms.Join(2, "#tea"),
            bcp2_rooms.Say(3, "#tea", "secret words"),
            bcp2_server.Bridge(4, "nobody-here"),
        )
        await self.got(alice, 4)
        plain = await self.connect()
        plain.send(b"REGISTER\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\nNO\r\n\r\n")
        while b"405" not in plain.bytes:
            await deferLater(reactor, 0.001)
        found = await self.figures()
        expected = {
            "chatserver_connections": 2,
            "chatserver_connections_secure": 1,
            "chatserver_connections_most": 1000,
            "chatserver_accepted_total": 2,
            "chatserver_registered_keyed": 1,
            "chatserver_room_members": 1,
            "chatserver_relay_pipes_open": 0,
            "chatserver_relay_bytes_total": 0,
            "chatserver_requests_total:bcp2:REGISTER": 1,
            "chatserver_requests_total:bcp2:SAY": 1,
            "chatserver_requests_total:classic:REGISTER": 1,
            "chatserver_requests_total:classic:-": 1,
            "chatserver_errors_total:bcp2:404": 1,
            "chatserver_errors_total:classic:405": 1,
            "chatserver_store_seconds_count:append:rooms": 3,  # two rooms that began, and what was said
            "chatserver_store_failures_total:append:rooms": 0,
        }
        for name, value in expected.items():
            self.assertEqual(found.get(name), value, name)
        self.assertIn("process_resident_memory_bytes", found)
        for word in ("alice", "bob", "nobody-here", "tea", "secret", "127.0.0.1", "sha256"):
            self.assertNotIn(word, self.text)

    async def test_every_name_is_explained(self) -> None:
        self.watched()
        await self.figures()
        for name in HELP:
            self.assertIn(f"# HELP chatserver_{name}", self.text)

    async def test_connections_that_were_one_too_many(self) -> None:
        self.watched()
        self.factory.most = 0
        client = await self.connect()
        await client.ended
        self.assertEqual((await self.figures())["chatserver_refused_total:503"], 1)

    async def test_well_or_not_and_then_why(self) -> None:
        self.watched()
        self.assertEqual(await self.get("/health"), ("HTTP/1.0 200 OK", "ok\n"))
        self.trouble = "cannot use server.sqlite: the disk is full"
        status, body = await self.get("/health")
        self.assertIn(" 503 ", status)
        self.assertEqual(body, f"{self.trouble}\n")
        self.trouble, self.server.running = "", False
        self.assertEqual((await self.get("/health"))[1], "the server is starting or stopping\n")

    async def test_of_too_many_silent_connections_the_oldest_is_closed(self) -> None:
        self.watched()
        creator = ClientCreator(reactor, Reader)
        silent = [await creator.connectTCP("127.0.0.1", self.where) for _ in range(MOST + 2)]
        self.assertIn(" 200 ", (await self.get("/health"))[0])  # it needs a place, too
        for one in silent[:2]:
            self.assertEqual(await one.all, b"")
        self.assertFalse(silent[-1].all.called)
        for one in silent:
            one.transport.abortConnection()
        await DeferredList([one.all for one in silent])

    async def test_a_body_is_stored_nowhere(self) -> None:
        self.watched()
        self.patch(tempfile, "TemporaryFile", self.fail)
        creator = ClientCreator(reactor, Reader)
        reader: Reader = await creator.connectTCP("127.0.0.1", self.where)
        head = b"GET /health HTTP/1.0\r\nContent-Length: 300000\r\n\r\n"
        reader.transport.write(head + bytes(300_000))
        self.assertIn(b" 200 ", await reader.all)

    async def test_other_paths_are_404(self) -> None:
        self.watched()
        for path in ("/", "/other"):
            self.assertIn(" 404 ", (await self.get(path))[0])

    async def test_head_is_get_without_a_body_and_without_a_line_in_the_log(self) -> None:
        self.watched()
        lines: list[LogEvent] = []
        observer = cast(ILogObserver, lines.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for path in ("/health", "/metrics", "/nothing"):
            head, body = await self.request("HEAD", path)
            asked, _ = await self.get(path)
            self.assertEqual(head.splitlines()[0], asked)
            self.assertEqual(body, "")
            if path != "/nothing":
                self.assertRegex(head, r"(?i)content-length: [1-9]")
        self.assertEqual([line for line in lines if "request" in str(line.get("log_format"))], [])


class UnwatchedTests(Served):
    async def test_nothing_is_counted_without_metrics(self) -> None:
        factory = self.serve()
        client = await self.come()
        client.send(bcp2_server.Register(1, "alice", 3000))
        while not client.got:
            await deferLater(reactor, 0.001)
        self.assertIsNone(factory.counters)
