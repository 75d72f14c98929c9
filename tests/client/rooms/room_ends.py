"""The rooms of a real server in memory, and people whose connections to it break where a test wants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.app import ServerAccess
from chatproto.client.context import Context
from chatproto.client.events import Event, Failed, MessageReceived, RoomChanged, Sent
from chatproto.client.server.server_news import ServerEvents
from chatproto.client.settings import ClientSettings
from chatproto.directory.answer import ServerRefused
from chatproto.directory.client import ServerUnreachable
from chatproto.directory.room_client import RoomClient
from chatproto.identity.pins import Pins
from chatproto.net.receivers import StrictReceiver
from chatproto.server.room_side import RoomSide
from chatproto.session.ledger import Ledger
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.classic import Sender
from chatproto.wire.fields import Contact
from chatproto.wire.strict import encode
from tests.client.codes import coded
from tests.client.typing_person import made
from tests.limits import DEFAULTS, Limits

START = 1_700_000_000.0
SERVER_KEY = "sha256:" + "S" * 52


class Guest:
    """One connection, as the server sees it."""

    def __init__(self, line: Line, key: str, client_id: str) -> None:
        self.key = key
        self.host = "10.0.0.1"
        self.client_id: str | None = client_id
        self._line = line
        self._read = StrictReceiver(Sender.SERVER, DEFAULTS)

    def say(self, message: Bcp2Message) -> None:
        self.send(encode(message))

    def send(self, data: bytes) -> None:
        self._line.answers += [(self, message) for message in self._read.read(data)]


class Line:
    """Connection to the server, as the client's rooms use it.

    `up` carries one request to the server, `down` one message to the client.
    """

    def __init__(self, hall: Hall, key: str, client_id: str) -> None:
        self.requests: deque[Bcp2Message] = deque()
        self.answers: deque[tuple[Guest, Any]] = deque()
        self.pushed: Callable[[Bcp2Message], None] = lambda push: None
        self._hall = hall
        self._key, self._id = key, client_id
        self._asked: dict[int, tuple[type[Bcp2Message], Deferred[Bcp2Message], Any]] = {}
        self._cseq = 0
        self.guest: Guest | None = None

    def ready(self) -> Deferred[None]:
        return succeed(None)

    def seconds(self) -> float:
        return self._hall.clock.seconds()

    def ask(
        self,
        make: Callable[[int], Bcp2Message],
        wanted: type[Bcp2Message],
        part: Callable[[Bcp2Message], None] | None = None,
    ) -> Deferred[Bcp2Message]:
        if self.guest is None:
            return fail(ServerUnreachable("no connection"))
        self._cseq += 1
        answer: Deferred[Bcp2Message] = Deferred()
        self._asked[self._cseq] = wanted, answer, part
        self.requests.append(make(self._cseq))
        return answer

    def connect(self) -> None:
        """A new connection, whose end the server may not have seen of the one before."""
        self.guest = Guest(self, self._key, self._id)
        self._hall.guests[self.guest] = self.guest

    def up(self) -> bool:
        """The server reads one request; whether there was one."""
        if not self.requests or self.guest is None:
            return False
        if isinstance(asked := self.requests[0], bcp2_server.Info):
            self.requests.popleft()
            self.answers.append((self.guest, self._hall.listed(asked)))
            return True
        self._hall.side.answer(self.requests.popleft(), self.guest, self._hall.clock.seconds())
        self._hall.side.flush()
        return True

    def down(self) -> bool:
        """The program reads one message; whether there was one."""
        while self.answers:
            guest, message = self.answers.popleft()
            if guest is self.guest:
                self._take(message)
                return True
        return False

    def breaks(self) -> None:
        """The connection is gone, with all that was on its way; the server sees it too."""
        guest, self.guest = self.guest, None
        self.requests.clear()
        self.answers.clear()
        if guest is not None:
            self._hall.side.lost(guest, "")
        asked, self._asked = self._asked, {}
        for _, answer, _ in asked.values():
            answer.errback(ServerUnreachable("connection lost"))

    def _take(self, message: Any) -> None:
        cseq = getattr(message, "cseq", None)
        if cseq not in self._asked:
            self.pushed(message)
            return
        wanted, answer, part = self._asked[cseq]
        if part is not None and not isinstance(message, wanted | Error):
            part(message)
            return
        del self._asked[cseq]
        if isinstance(message, Error):
            answer.errback(
                ServerRefused(f"{message.status}", message.status, message.retry_after, message.why)
            )
        else:
            assert isinstance(message, wanted)
            answer.callback(message)


class Hall:
    """A server's rooms."""

    def __init__(self, limits: Limits = DEFAULTS) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.limits = limits
        self.people: dict[str, Person] = {}
        self.guests: dict[Guest, Guest] = {}
        self.asked_about: list[str] = []  # prefixes of INFO
        self.restart()

    def restart(self) -> None:
        """Restart the server without its memory."""
        self.side = RoomSide(
            self.clock,
            MemoryRooms(self.limits),
            self.limits,
            lambda name: self.people[name].key if name in self.people else None,
        )
        self.side.connections = self.guests

    def person(self, name: str, **limits: Any) -> Person:
        """Add a connected client."""
        self.people[name] = Person(self, name, **limits)
        return self.people[name]

    def listed(self, asked: bcp2_server.Info) -> bcp2_server.InfoAck:
        """Answer INFO: all are listed, each with its key."""
        self.asked_about.append(asked.prefix)
        found = sorted(name for name in self.people if name.startswith(asked.prefix))
        rows = (Contact(name, "10.0.0.1", 5000, self.people[name].key) for name in found)
        return bcp2_server.InfoAck(asked.cseq, tuple(rows)[: asked.limit])

    def settle(self) -> None:
        """All that is on its way arrives."""
        lines = [one.line for one in self.people.values()]
        while any(line.up() or line.down() for line in lines):
            self.clock.advance(0.01)


class Person:
    """Client's program, with all events that it reported."""

    def __init__(
        self,
        hall: Hall,
        name: str,
        limits: Limits = DEFAULTS,
        ledger: Ledger | None = None,
        pins: Mapping[str, str] = MappingProxyType({}),
        **parts: Any,
    ) -> None:
        self.name, self.key = name, "sha256:" + (name[0].upper() * 52)
        self.events: list[Event] = []
        self.held = False
        self.codes: list[int] = []
        self.line = Line(hall, self.key, name)
        self.hall = hall
        known: Any = None  # nobody is called here
        if ledger or pins:
            kept = Pins("".join(f"{SERVER_KEY} {one} {key}\n" for one, key in pins.items()))
            known = SimpleNamespace(
                own_key=self.key,
                current_server=SERVER_KEY,
                server_key=SERVER_KEY,
                file=SimpleNamespace(pins=kept),
                knows=lambda key: False,
                is_verified=lambda key: False,
                was_introduced=lambda client_id, key: False,
                pinned=lambda name: kept.person(SERVER_KEY, name),
            )
        self.node: Any = made(
            hall.clock, ClientSettings(name), limits, known, ledger, connect=self._connect, **parts
        )
        self.node.finished.listen(self.codes.append)
        self.node.publish.listen(lambda event: self.events.append(coded(event)))
        self.node.hold_input.listen(lambda held: setattr(self, "held", held))
        self.node.start("127.0.0.1", 5556)
        self.comes()

    def _connect(self, context: Context, events: ServerEvents) -> ServerAccess:
        self.server_events = events
        self.line.pushed = events.pushed
        server: Any = self.line
        return ServerAccess(None, RoomClient(server, context.limits))

    def comes(self) -> None:
        """Connected, and registered."""
        self.line.connect()
        self.server_events.registered(None)

    def breaks(self, again: bool = True) -> None:
        """The connection is gone."""
        self.line.breaks()
        self.server_events.lost(again)

    def joins(self, room: str = "#den", secret: str = "") -> None:
        self.node.join(room, secret)
        self.hall.settle()

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def texts(self) -> list[str]:
        """List the texts that the user was shown."""
        return [event.text for event in self.told(MessageReceived)]

    def seen(self) -> list[tuple[Any, str, str]]:
        """All that was said in rooms: number, speaker, text; in the order in which it was told."""
        return [
            (event.id, event.from_ if isinstance(event, MessageReceived) else self.name, event.text)
            for event in self.events
            if isinstance(event, MessageReceived | Sent)
        ]

    def changes(self) -> list[str]:
        return [event.change for event in self.told(RoomChanged)]

    def failures(self) -> list[str]:
        return [event.text for event in self.told(Failed)]


class Case(SynchronousTestCase):
    """Alice and Bob, whom the server knows."""

    def setUp(self) -> None:
        self.hall = Hall()
        self.alice = self.hall.person("alice")
        self.bob = self.hall.person("bob")
        self.node = self.alice.node

    def both_join(self) -> None:
        self.alice.joins()
        self.bob.joins()
        self.alice.events.clear()
        self.bob.events.clear()
