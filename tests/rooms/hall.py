"""Some rooms in memory, with three people in one of them, and what each of them gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.answers import RoomAnswers
from chatproto.rooms.effects import Effect, LineSent, Show, Spread, TellMember
from chatproto.rooms.policy import RoomPolicy
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.room_fields import Occupant
from chatproto.wire.strict import encode
from tests.limits import Limits

LONG_AGO = "1970-01-01T00:00:00Z"
NOW = 1000.0


@dataclass(eq=False)
class Person:
    """A connection with a key."""

    client_id: str | None
    key: str = ""
    host: str = "10.0.0.1"

    def __post_init__(self) -> None:
        self.key = self.key or f"key of {self.client_id}"


class Failing(MemoryRooms):
    """A store that can fail."""

    fails = False

    def append(self, room: str, sender: str, at: float, text: str, keep: bool = True) -> int:
        self.check()
        return super().append(room, sender, at, text, keep)

    def keep(self, room: RoomPolicy) -> None:
        self.check()
        super().keep(room)

    def check(self) -> None:
        if self.fails:
            raise StoreTrouble("the disk is full")


class Rooms(SynchronousTestCase):
    """Alice owns #tea; bob and carol are in it."""

    def setUp(self) -> None:
        self.now = NOW
        self.open()
        self.alice, self.bob, self.carol = self.people = [
            Person("alice"), Person("bob"), Person("carol"),
        ]  # fmt: skip
        for person in self.people:
            self.does(person, bcp2_rooms.Join(1, "#tea"))

    def open(self, **limits: float) -> None:
        values = Limits(**limits)  # type: ignore[arg-type]
        self.store = Failing(values)
        self.rooms = RoomAnswers(self.store, values, self.owner_of, self.find)

    def owner_of(self, client_id: str) -> str | None:
        person = self.find(client_id)
        return person.key if person else {"away": "key of away"}.get(client_id)

    def find(self, client_id: str) -> Person | None:
        return next((one for one in self.people if one.client_id == client_id), None)

    def does(self, person: Person, message: Bcp2Message) -> list[Effect]:
        effects = self.rooms.answer(message, person, self.now)
        for _, sent in self.sent(effects):
            encode(sent)  # all can be sent
        return effects

    def sent(self, effects: Iterable[Effect]) -> list[tuple[str | None, Bcp2Message]]:
        """List the receivers of messages, in order."""
        found: list[tuple[str | None, Bcp2Message]] = []
        for effect in effects:
            match effect:
                case TellMember(person, message):
                    found.append((person.client_id, message))
                case Spread(room, message, but):
                    found += [
                        (one.client_id, message) for one in room.members.values() if one is not but
                    ]
                case LineSent(room, number, sender, at, text, speaker, cseq):
                    for one in room.members.values():
                        said = bcp2_rooms.Said(room.name, sender, number, date_of(Wall(at)), text)
                        ack = bcp2_rooms.SayAck(cseq, room.name, number, date_of(Wall(at)))
                        found.append((one.client_id, ack if one is speaker else said))
                case Show(person, lines, last):
                    found += [
                        (
                            person.client_id,
                            bcp2_rooms.Said(
                                last.room, one[1], one[0], date_of(Wall(one[2])), one[3], last.cseq
                            ),
                        )
                        for one in lines
                    ]
                    found.append((person.client_id, last))
        return found

    def gets(self, person: Person, message: Bcp2Message) -> list[tuple[str | None, Bcp2Message]]:
        return self.sent(self.does(person, message))

    def assert_refused(
        self, status: int, person: Person, message: Bcp2Message, why: str = ""
    ) -> None:
        """Assert that only an ERROR answers; `why`: what a room asks for that admits nobody."""
        retry = 2 if status in (429, 503) else None
        cseq = getattr(message, "cseq", None)
        (told,) = self.gets(person, message)
        error = Error(status, cseq, retry_after=retry, why=why or getattr(told[1], "why", ""))
        self.assertEqual(told, (person.client_id, error))

    def names(self, room: str = "#tea") -> list[Occupant]:
        member = next(one for one in self.people if self.is_in(one, room))
        ack = self.gets(member, bcp2_rooms.Names(1, room))[0][1]
        assert isinstance(ack, bcp2_rooms.NamesAck)
        return list(ack.members)

    def is_in(self, person: Person, room: str = "#tea") -> bool:
        answer = self.gets(person, bcp2_rooms.History(1, room))[-1][1]
        return isinstance(answer, bcp2_rooms.HistoryAck)
