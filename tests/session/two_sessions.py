"""Two people who talk inside TLS, without bytes: their sessions, ledgers, and the cables between them."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any

from chatproto.net.clock import Wall
from chatproto.session.delivery import Delivery
from chatproto.session.effects import (
    AcceptCall,
    Acknowledge,
    Drop,
    Effect,
    Leave,
    MessageOutcome,
    Opening,
    ProbeConnection,
    Received,
    Redial,
    Refuse,
    SendChat,
    SendEntry,
    SessionEnded,
    TurnPassed,
    Unsaid,
)
from chatproto.session.ledger import MSG, StreamEntry
from chatproto.session.session import PeerSession
from chatproto.session.state import SessionState
from chatproto.wire.dialects import BCP2
from tests.limits import DEFAULTS, Limits
from tests.stores.memory_ledger import MemoryLedger

KEYS = ("sha256:" + "A" * 52, "sha256:" + "B" * 52)
STREAMS = count(1)


class Cable:
    """One connection: what each end wrote and the other has not read, in order."""

    def __init__(self, caller: Person) -> None:
        self.caller = caller
        self.flying: dict[Person, deque[tuple[str, Any]]] = {
            caller: deque(),
            caller.other: deque(),
        }
        self.unwritten: dict[Person, deque[StreamEntry | int]] = {
            caller: deque(),
            caller.other: deque(),
        }
        self.closed: set[Person] = set()  # who closed it or knows that it is closed
        self.asked: set[Person] = set()  # who called on it: both, where two dials met

    def write(self, who: Person, what: str, about: Any = None) -> None:
        """`who` says it."""
        if who not in self.closed:
            self.flying[who].append((what, about))

    def flush(self, who: Person) -> None:
        """The transport of `who` takes what waits for it."""
        while self.unwritten[who] and who not in self.closed:
            entry = self.unwritten[who].popleft()
            if isinstance(entry, int):
                self.write(who, "ack", entry)
                continue
            written = who.session.writes(entry)
            if written is not None:
                who.first_writes += written.first
                self.flying[who].append(("entry", entry))

    def close(self, who: Person) -> None:
        """`who` closes it, once all that it has written is read."""
        if who not in self.closed:
            self.write(who, "close")
            self.closed.add(who)

    def cut(self) -> None:
        """Break the connection, and drop everything on its way."""
        for who in tuple(self.flying):
            self.flying[who].clear()
            if who not in self.closed:
                self.closed.add(who)
                who.apply(who.session.lost(self, "cut"))

    def deliver(self, writer: Person) -> bool:
        """The other side of `writer` reads one thing; whether there was one."""
        reader = writer.other
        if not self.flying[writer]:
            return False
        what, about = self.flying[writer].popleft()
        if what == "close":
            if reader not in self.closed:
                self.closed.add(reader)
                reader.apply(reader.session.lost(self, "closed"))
        elif reader not in self.closed or what == "ack":
            reader.read(self, what, about)
        return True


class Person:
    """One of the two: takes every call, and dials again when the session wants it and the test says so."""

    other: Person

    def __init__(self, number: int, cables: list[Cable], limits: Limits, half: bool) -> None:
        self.number = number
        self.ledger = MemoryLedger()
        self.cables = cables
        self.limits = limits
        self.half = half
        self.answers = True
        self.full = False
        self.wants_dial = False
        self.first_writes = 0
        self.heard: list[str] = []
        self.fates: dict[int, list[str]] = {}
        self.unsaid: list[str] = []
        self.effects: list[Effect] = []
        self.ends: list[str] = []
        self.restart()

    def restart(self) -> None:
        """A new program on the same ledger."""
        self.delivery = Delivery(
            self.ledger,
            KEYS[1 - self.number],
            "them",
            self.number == 0,
            lambda: f"{next(STREAMS):016x}",
            self.limits,
        )
        self.renew()

    def renew(self) -> None:
        """Another conversation in the same program."""
        self.session = PeerSession(BCP2, half=self.half, limits=self.limits)
        self.wants_dial = False

    # What the person does.

    def call(self) -> None:
        """Begin a call; it dials when the test says so."""
        self.apply(self.session.call())
        self.attach()
        self.wants_dial = self.session.state is SessionState.CALLING

    def attach(self) -> None:
        """Attach the delivery, now that the peer's key is known."""
        self.apply(self.session.attach(self.delivery, Wall(0.0)))

    def dial(self) -> Cable | None:
        """The connection that is wanted comes about; the call is on its way."""
        if not self.wants_dial:
            return None
        self.wants_dial = False
        cable = Cable(self)
        self.cables.append(cable)
        self.apply(self.session.connected(cable))
        return cable

    def say(self, text: str) -> None:
        self.apply(self.session.say(text, Wall(0.0)))

    # What happens to them.

    def read(self, cable: Cable, what: str, about: Any) -> None:
        """Handle a message that arrived on `cable`."""
        if what == "ask" and self.session.state is SessionState.CLOSED:
            self.renew()
        session = self.session
        match what:
            case "ask" if self in cable.asked:
                self.apply(session.crossed(cable, about))
            case "ask":
                if session.state is not SessionState.NEW or self.answers:
                    self.attach()
                self.apply(session.called(cable, about))
                if session.state is SessionState.RINGING and self.answers:
                    self.apply(session.accept())
            case "answer":
                self.apply(session.answered(cable, about))
            case "refuse":
                self.apply(session.refused(cable, about))
            case "entry":
                self.apply(session.entry_received(cable, about))
            case "ack":
                self.apply(session.arrived(about))
            case "ping":
                cable.write(self, "alive")
            case "alive":
                self.apply(session.alive(cable))
            case "quit":
                self.apply(session.left(cable))

    def apply(self, effects: list[Effect]) -> None:
        """As the node does it."""
        self.effects += effects
        for effect in effects:
            match effect:
                case SendChat(Cable() as cable, opening):
                    cable.asked.add(self)
                    cable.write(self, "ask", opening)
                case AcceptCall(Cable() as cable, opening):
                    cable.write(self, "answer", opening)
                case Refuse(Cable() as cable, status):
                    cable.write(self, "refuse", status)
                    cable.close(self)
                case SendEntry(Cable() as cable, entry):
                    cable.unwritten[self].append(entry)
                    if not self.full:
                        cable.flush(self)
                case Acknowledge(Cable() as cable, id):
                    cable.unwritten[self].append(id)
                    if len(cable.unwritten[self]) == 1:
                        cable.flush(self)
                case ProbeConnection(Cable() as cable):
                    cable.write(self, "ping")
                case Leave(Cable() as cable, _):
                    cable.unwritten[self].clear()
                    cable.write(self, "quit")
                    cable.close(self)
                case Drop(Cable() as cable):
                    cable.close(self)
                case Redial():
                    self.wants_dial = True
                case Received(text):
                    self.heard.append(text)
                case MessageOutcome(id, state):
                    self.fates.setdefault(id, []).append(state)
                case Unsaid(text):
                    self.unsaid.append(text)
                case SessionEnded(reason):
                    self.ends.append(reason)
                case TurnPassed(turn):
                    assert turn is self.session.floor.turn or effect is not effects[-1]

    def told(self, kind: type[Effect]) -> list[Any]:
        """All effects of one kind."""
        return [one for one in self.effects if isinstance(one, kind)]

    @property
    def waiting(self) -> list[str]:
        """Texts in the outbox."""
        return [one.text for one in self.ledger.entries(KEYS[1 - self.number]) if one.kind == MSG]


class Two:
    """Alice, whose key is the smaller one, and Bob."""

    def __init__(
        self,
        limits: Limits = DEFAULTS,
        half: tuple[bool, bool] = (False, False),
    ) -> None:
        self.cables: list[Cable] = []
        self.alice = Person(0, self.cables, limits, half[0])
        self.bob = Person(1, self.cables, limits, half[1])
        self.alice.other, self.bob.other = self.bob, self.alice

    @property
    def both(self) -> tuple[Person, Person]:
        return self.alice, self.bob

    def open(self) -> Two:
        """Alice has called Bob, who took it."""
        self.alice.call()
        self.alice.dial()
        self.settle()
        assert self.alice.session.state is self.bob.session.state is SessionState.OPEN
        return self

    def meet(self) -> None:
        """Both dial at the same moment, if both want to, and the two dials are one connection."""
        if all(who.wants_dial for who in self.both):
            cable = Cable(self.alice)
            self.cables.append(cable)
            for who in self.both:
                who.wants_dial = False
                who.apply(who.session.connected(cable))

    def deliver_one(self, choice: int) -> None:
        """One of the directions in which something flies moves on by one thing."""
        moving = [
            (cable, who) for cable in self.cables for who in cable.flying if cable.flying[who]
        ]
        if moving:
            cable, who = moving[choice % len(moving)]
            cable.deliver(who)

    def settle(self) -> None:
        """All that flies is read, and all that was full has room, until nothing moves."""
        for who in self.both:
            who.full = False
        moved = True
        while moved:
            moved = False
            for cable in tuple(self.cables):
                for who in cable.flying:
                    cable.flush(who)
                    while cable.deliver(who):
                        moved = True

    def cut(self) -> None:
        """Every connection is gone."""
        for cable in tuple(self.cables):
            cable.cut()
        self.cables.clear()

    def mend(self) -> None:
        """Both dial as long as they want to."""
        for _ in range(20):
            self.settle()
            dialled = [who.dial() for who in self.both]
            if not any(dialled):
                return
        raise AssertionError("they call each other without end")

    def restore(self, who: Person, before: MemoryLedger) -> None:
        """The home of `who` is put back to an older copy; the program begins anew."""
        who.ledger = before
        who.restart()


def opening(stream: str = "e" * 16, **values: Any) -> Opening:
    """Make the opening that a caller receives."""
    return Opening(values.pop("half", False), stream, **values)
