"""A link inside TLS for tests: its wire, its time, and an owner who keeps what it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.net.handshake import Handshake
from chatproto.net.receivers import StrictReceiver
from chatproto.session.effects import Connection, Effect, EntryWritten, Opening
from chatproto.session.ledger import MSG, LedgerTrouble, StreamEntry
from chatproto.session.secure_connection import SecurePeerConnection, message_of, opening_headers
from chatproto.session.session import PeerSession
from chatproto.wire.bcp2_common import Bcp2Message, Error, PingAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, MsgAck, Quit
from chatproto.wire.classic import Sender
from chatproto.wire.dialects import BCP2, Me
from chatproto.wire.reasons import Cause, Reason
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.net import Wire, joined

ME = Me("Alice", "10.0.0.1", 5001)
DATE = "2025-01-02T02:04:05.678Z"
AT = 1735783445.678
PING, SLOW, LINGER = DEFAULTS.peer_ping, DEFAULTS.handshake_wait, DEFAULTS.farewell_wait
OURS = Opening(False, "0123456789abcdef")
THEIRS = Opening(True, "fedcba9876543210", ("0123456789abcdef", 7), "theirs")
CALL = Chat("Bob", "full", "0" * 16, ("", 0), "")


def says(id: int, text: str) -> StreamEntry:
    """A message of ours."""
    return StreamEntry(id, MSG, Wall(AT), text)


class Shake(Handshake):
    """A handshake that has come out as it is told."""

    def __init__(self, good: bool = True) -> None:
        self.peer_key: str | None = "sha256:" + "B" * 52
        self._good = good

    def accepted(self) -> bool:
        return self._good

    def trouble(self, reason: Failure) -> Cause:
        return Cause(Reason.TLS_FAILED, "TLS failed")


class NotedSession(PeerSession):
    """Session that notes as messages what a connection tells it, and always answers `effects`.

    `trouble` is raised, and an entry in `taken_back` not wanted, when one is to be written.
    """

    def __init__(self, note: Callable[[Bcp2Message], None]) -> None:
        super().__init__(BCP2)
        self._note = note
        self.effects: list[Effect] = []
        self.trouble: LedgerTrouble | None = None
        self.taken_back: set[int] = set()

    def _noted(self, message: Bcp2Message) -> list[Effect]:
        self._note(message)
        return self.effects

    def entry_received(self, connection: Connection, entry: StreamEntry) -> list[Effect]:
        return self._noted(message_of(entry))

    def arrived(self, id: int) -> list[Effect]:
        return self._noted(MsgAck(id))

    def crossed(self, connection: Connection, theirs: Opening) -> list[Effect]:
        return self._noted(Chat("Bob", *opening_headers(theirs)))

    def alive(self, connection: Connection) -> list[Effect]:
        return self._noted(PingAck())

    def left(self, connection: Connection) -> list[Effect]:
        return self._noted(Quit())

    def refused(self, connection: Connection, status: int) -> list[Effect]:
        return self._noted(Error(status, about="CHAT"))

    def writes(self, entry: StreamEntry) -> EntryWritten | None:
        if self.trouble is not None:
            raise self.trouble
        return None if entry.id in self.taken_back else EntryWritten(entry, first=True)


class Owner:
    """Keeps what it is told, as the owner of a connection and as its conversation."""

    def __init__(self) -> None:
        self.made = 0
        self.news: list[Bcp2Message] = []
        self.notes = NotedSession(self._note)
        self.session: PeerSession = self.notes
        self.applied: list[Effect] = []
        self.spoken: list[StreamEntry] = []
        self.failed: list[LedgerTrouble] = []
        self.batches = 0
        self.lost: list[str] = []
        self.then: Any = None

    def _note(self, news: Bcp2Message) -> None:
        self.news.append(news)
        if self.then is not None:
            self.then(news)

    def secure_made(self, connection: SecurePeerConnection) -> None:
        self.made += 1

    def secure_called(self, connection: SecurePeerConnection, call: Chat) -> None:
        connection.conversation = self
        self._note(call)

    def secure_answered(self, connection: SecurePeerConnection, answer: ChatAck) -> None:
        self._note(answer)

    def secure_lost(self, connection: SecurePeerConnection, reason: str) -> None:
        self.lost.append(reason)

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, EntryWritten):
                self.spoken.append(effect.entry)
            else:
                self.applied.append(effect)

    def all_taken(self) -> None:
        self.batches += 1

    def store_failed(self, error: LedgerTrouble) -> None:
        self.failed.append(error)


class Case(SynchronousTestCase):
    """A connection, its wire, its time, and a reader of what it says."""

    def connection(self, called: bool = False, good: bool = True, done: bool = True) -> Wire:
        self.clock = Clock()
        self.owner = Owner()
        self.shake = Shake(good)
        self.l = SecurePeerConnection(self.owner, self.clock, DEFAULTS, self.shake, called)
        self.l.conversation = None if called else self.owner
        self.wire = joined(self.l, Wire("10.0.0.2", 40000))
        self.read = StrictReceiver(Sender.PEER, DEFAULTS)
        if done:
            self.l.handshakeCompleted()
        return self.wire

    def write_entry(self, entry: StreamEntry) -> None:
        """Have the connection send `entry`, as the owner says."""
        self.owner.apply(self.l.write_entry(entry))

    def talk(self) -> Wire:
        """A connection on which our call was taken."""
        wire = self.connection()
        self.l.ask(ME, OURS)
        self.says(ChatAck("Bob", "full", "0" * 16))
        self.wrote()
        self.owner.news.clear()
        return wire

    def says(self, *messages: Bcp2Message) -> None:
        self.wire.says(b"".join(map(encode, messages)))

    def wrote(self) -> list[Any]:
        return list(self.read.read(self.wire.new()))
