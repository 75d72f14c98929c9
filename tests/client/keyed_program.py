"""Alice's program in its default, encrypted mode: real TLS, real keys, and a server if a test wants one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.app import ServerAccess, Storage, no_server
from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.client.context import Context
from chatproto.client.events import Event
from chatproto.client.server.introducers import SecureIntroducer
from chatproto.client.server.server_news import ServerEvents, ServerNews
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import TrustStore
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.keys import Identity, new_identity
from chatproto.identity.pins import NO_SERVER, Pin, PinFile
from chatproto.identity.tls import Tls
from chatproto.net.clock import Wall
from chatproto.session.ledger import Ledger
from tests.client.codes import coded
from tests.client.tls_net import FarPerson, FarServer, TlsNet, punch
from tests.client.typing_person import made
from tests.limits import DEFAULTS, Limits
from tests.stores.memory_ledger import MemoryLedger
from tests.transfer.ends import Steps

BOB_HOST, BOB_PORT = "10.0.0.2", 5002
BOB = f"{BOB_HOST}:{BOB_PORT}"
SERVER_HOST, SERVER_PORT = "10.0.0.9", 5555
IDENTITIES = {name: new_identity() for name in ("alice", "bob", "carol", "eve", "server")}
"""Made once: what a test changes is in its own folder."""


def key_of(name: str) -> str:
    """The key of one of `IDENTITIES`."""
    return IDENTITIES[name].name


class Case(SynchronousTestCase):
    """Alice's program; `known`: people whose keys she has pinned; `server`: whether there is one."""

    known: tuple[str, ...] = ("bob", "carol")
    server = False
    answer = "known"
    ahead = 0.0
    """Seconds by which the system's clock is set forward."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.begin()

    def begin(
        self, limits: Limits = DEFAULTS, ledger: Ledger | None = None, **settings: Any
    ) -> Any:
        """Start the program, with all that is known of before kept in its home."""
        self.net = TlsNet()
        self.events: list[Event] = []
        self.codes: list[int] = []
        self.held: list[bool] = []
        values: dict[str, Any] = {"answer": self.answer} | settings
        chosen = ClientSettings("alice", **values)
        pins = PinFile(self.home / "known_peers")
        where = key_of("server") if self.server else NO_SERVER
        for name in self.known:
            pins.put(Pin(where, name, key_of(name)))
        tls = Tls(IDENTITIES["alice"])
        known = TrustStore(tls, pins, self.net.seconds)
        self.ledger = ledger or MemoryLedger()
        self.disk = self.new_disk()
        node = self.node = made(
            self.net,
            chosen,
            limits,
            known,
            self.ledger,
            Random(7),
            connect=partial(self._introducer, known) if self.server else no_server,
            now=lambda: Wall(self.net.seconds() + self.ahead),
            storage=Storage(self.disk, self.home, self.home / "downloads"),
        )
        node.finished.listen(self.codes.append)
        node.publish.listen(lambda event: self.events.append(coded(event)))
        node.hold_input.listen(self.held.append)
        node.start("10.0.0.1", 5001)
        self.factory = PlainPeerFactory(node.plain_calls, self.net, limits)
        if self.server:
            self.at_server()
        return node

    def new_disk(self) -> Any:
        """Make what waits for the disk; its jobs are done in `work`."""
        return Steps()

    def _introducer(
        self,
        known: TrustStore,
        context: Context,
        events: ServerEvents,
    ) -> ServerAccess:
        where = f"{SERVER_HOST}:{SERVER_PORT}"
        news = ServerNews(context, events, where)
        server = SecureServer(
            self.net,
            SERVER_HOST,
            SERVER_PORT,
            lambda: known.handshake(lambda key: None),
            news,
            lambda: 0.5,
            context.limits,
        )
        return ServerAccess(SecureIntroducer(server))

    def at_server(self) -> FarServer:
        """The server takes the connection that the program asks for."""
        self.directory = FarServer(self.net, self.net.accept(), IDENTITIES["server"])
        self.net.settle()
        return self.directory

    def work(self) -> None:
        """Let all bytes move and the disk do its jobs."""
        self.net.settle()
        while self.disk.step():
            self.net.wait(0)

    def told(self, kind: type[Event]) -> list[Any]:
        """Events of one kind."""
        return [event for event in self.events if type(event) is kind]

    def kept(self) -> list[str]:
        """The texts that wait for somebody in the outbox."""
        return [
            entry.text
            for key, _, _ in self.ledger.waiting()
            for entry in self.ledger.entries(key)
            if entry.text
        ]

    def texts(self, kind: type[Event]) -> list[str]:
        """The texts of events of one kind."""
        return [event.text for event in self.told(kind)]

    def person(self, name: str = "bob", identity: Identity | None = None, **how: Any) -> FarPerson:
        """Take the next connection that the program asks for, as `name` with their key."""
        one = FarPerson(
            self.net, self.net.accept(), identity or IDENTITIES[name], name, client=False, **how
        )
        self.net.settle()
        return one

    def talking(self) -> FarPerson:
        """Call Bob by his address; he accepts."""
        self.node.chat(BOB)
        return self.person()

    def called(
        self,
        name: str = "bob",
        identity: Identity | None = None,
        host: str = BOB_HOST,
        call: str = "",
        **how: Any,
    ) -> FarPerson:
        """`name` calls us; `call`: the introduction that they name first."""
        wire = self.net.arrive(self.factory, host, 41000 + len(self.net.ends))
        first = punch(call) if call else b""
        one = FarPerson(
            self.net,
            wire,
            identity or IDENTITIES[name],
            name,
            client=how.pop("client", True),
            first=first,
            **how,
        )
        one.calls()
        return one
