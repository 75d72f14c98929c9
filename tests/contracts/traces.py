"""Traces of requests that every store must answer alike, byte for byte.

A trace is a list of steps, each a few words and, for a request, the message as it is on the wire. A
`Row` carries the steps out with one store; `replay` returns all that it sent, in order. A further store
is one more row of `ROWS` in `tests/stores/test_traces.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Any, cast

from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import Origin
from chatproto.directory.keyed import KeyedDirectory
from chatproto.directory.registrations import ClientConnection
from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.server.room_side import REQUESTS, RoomSide
from chatproto.server.secure_side import SecureSide
from chatproto.server.work_queue import WorkQueue
from chatproto.stores.open import Store
from chatproto.wire import bcp2_rooms, bcp2_server, classic, codec, strict
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from tests.contracts.names import key
from tests.limits import Limits

NOW = 1_000_000.0
LIMITS = Limits(
    names_per_key=2,
    keep_names=400.0,
    keep_unused=200.0,
    names=9,
    presence_grace=30.0,
    watches=2,
    registrations=6,
    registrations_per_address=3,
    classic_lease=300.0,
    room_members=4,
    rooms=4,
    rooms_per_client=2,
    rooms_per_owner=2,
    room_ops=2,
    room_mutes=2,
    room_bans=2,
    room_invited=2,
    room_history=8,
    room_rate=1e6,
    room_burst=10**6,
    new_ids_per_address=10**6,
    topic=12,
)
"""Small ones, so that short traces reach them."""

SERVERS = 3
"""Servers, of which each connection is to one; a server that is alone is all of them."""
Step = tuple[str, ...]
"""`key N MESSAGE...`, `plain N MESSAGE`, `raw came|said|went NAME`, `operator MESSAGE`, `leave N`,
`wait SECONDS`. N is the number of a person, with a key below 10 and without from 10 on. Numbers
6 to 9 are other programs of the persons 1 to 4, with the same keys."""


def key_of(number: int) -> str:
    """Return the key of person `number`."""
    return key((number - 1) % 5 + 1)


class Watched:
    """Connection with a key; what it is sent is written down."""

    def __init__(self, row: Row, number: int) -> None:
        self.row = row
        self.number = number
        self.client = ClientConnection(
            *(key_of(number), f"192.0.2.{number % 3}", 4000 + number),
            number=next(row.numbers),
            node=str(row.server_of(number)),
        )
        row.secure.connections[self.client] = cast(Any, self)

    def say(self, message: Bcp2Message) -> None:
        self.send(strict.encode(message))

    def send(self, data: bytes) -> None:
        self.row.sent.append((f"key {self.number}", data))

    def dismiss(self, message: Bcp2Message) -> None:
        self.say(message)
        self.row.end(self.number)


class AnyRow:
    """Whatever carries out the steps of a trace; what it sends, and to whom, is in `sent`."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self._in_lobby: set[str] = set()
        self._came: Counter[int] = Counter()

    def do(self, step: Step) -> None:
        """Carry out one step."""
        kind, *words = step
        match kind:
            case "key":
                for word in words[1:]:
                    self.ask(int(words[0]), strict.decode(Sender.CLIENT, word.encode()))
                self.settle()
            case "plain":
                self.ask_plain(int(words[0]), codec.decode(words[1].encode()))
            case "operator":
                self.order(strict.decode(Sender.CLIENT, words[0].encode()))
            case "raw":
                self.raw(words[0], words[1])
                self.settle()
            case "leave":
                self.leave(int(words[0]))
            case "wait":
                self.wait(float(words[0]))
            case _:
                raise AssertionError(step)

    def ask(self, number: int, message: Bcp2Message) -> None:
        """Have a person with a key ask."""
        raise NotImplementedError

    def ask_plain(self, number: int, message: Any) -> None:
        """Have a person in plain text ask."""
        raise NotImplementedError

    def order(self, message: Bcp2Message) -> None:
        """Have the operator order something about rooms."""
        raise NotImplementedError

    def server_of(self, number: int) -> int:
        """Return the number of the server to which a person connects this time, each time another."""
        self._came[number] += 1
        return (number + self._came[number]) % SERVERS

    @property
    def lobby(self) -> Any:
        """The lobby, as its port sees it."""
        raise NotImplementedError

    def raw(self, what: str, name: str) -> None:
        """Have somebody in bare text come to the lobby, say something, or go."""
        if what == "came":
            if name in self._in_lobby:
                return  # its port lets in nobody who is there
            allowed = self.lobby.admits(name, "203.0.113.1")
            self.sent.append((name, b"in" if allowed else b"not in"))
            if allowed:
                self._in_lobby.add(name)
                self.lobby.raw_joined(name)
        elif what == "said":
            self.lobby.raw_message(name, "hello")
        else:
            self._in_lobby.discard(name)
            self.lobby.raw_left(name, "")

    def leave(self, number: int) -> None:
        """End a person's connection."""
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        raise NotImplementedError

    def settle(self) -> None:
        """Do all that is to be done in this moment."""
        raise NotImplementedError

    def refused(self, failure: Failure) -> None:
        """Note that an order was refused."""
        failure.trap(RemoteError)
        error: Any = failure.value
        self.sent.append(("operator", str(error.status).encode()))


class Row(AnyRow):
    """One server over `store`, in the test's time; it has started at `began`."""

    def __init__(self, store: Store, began: float = NOW, limits: Limits = LIMITS) -> None:
        super().__init__()
        self._limits = limits
        self.clock = Clock()
        self.clock.advance(began)
        self.numbers = count(1)
        self.calls = count(1)
        self.people: dict[int, Watched] = {}
        self.plain: dict[int, Origin] = {}
        self.store = store
        self.keyed = KeyedDirectory(
            store.names,
            store.registry,
            lambda: f"call{next(self.calls)}",
            limits,
            presences=store.presences,
        )
        self.directory = Directory(store.registry, limits, store.names)
        self.directory.open = self.keyed
        self.rooms = RoomSide(
            self.clock, store.rooms, limits, store.names.owner, sees=self.keyed.sees
        )
        self.secure = SecureSide(
            cast(Any, None), self.keyed, WorkQueue(self.clock), rooms=self.rooms
        )
        self.clock.advance(NOW - began)

    def ask(self, number: int, message: Bcp2Message) -> None:
        if number not in self.people:
            self.people[number] = Watched(self, number)
        client, now = self.people[number].client, self.clock.seconds()
        if type(message) in REQUESTS:
            self.keyed.uses(client, now)
            self.rooms.answer(message, client, now)
        else:
            self.rooms.answered(client)
            self.secure.apply(self.keyed.answer(message, client, now))
            self.rooms.follow(client)

    def ask_plain(self, number: int, message: Any) -> None:
        origin = self.plain.get(number)
        if origin is None:
            origin = self.plain[number] = Origin(f"198.51.100.{number % 3}", number, False)
        answer = self.directory.answer(message, origin, self.clock.seconds())
        self.sent.append((f"plain {number}", codec.encode(answer)))

    def order(self, message: Bcp2Message) -> None:
        self.rooms.order(message).addErrback(self.refused)
        self.clock.advance(0)

    @property
    def lobby(self) -> Any:
        return self.rooms

    def settle(self) -> None:
        self.clock.advance(0)

    def leave(self, number: int) -> None:
        if number in self.people:
            self.end(number)
        elif number in self.plain:
            self.plain.pop(number).alive = False

    def end(self, number: int) -> None:
        """End the connection of a person with a key."""
        client = self.people.pop(number).client
        del self.secure.connections[client]
        self.rooms.lost(client, "")
        self.keyed.lost(client, self.clock.seconds())

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        now = self.clock.seconds()
        self.secure.apply(self.keyed.due(now))
        self.store.registry.expire(now - self._limits.classic_lease)
        self.rooms.due()
        self.store.write_behind()


def replay(row: AnyRow, trace: Iterable[Step]) -> list[list[str]]:
    """Return all that `row` sends in each step of `trace`: to whom, and the message."""
    answers = []
    for step in trace:
        row.do(step)
        answers.append([f"{who}: {data.decode()}" for who, data in row.sent])
        row.sent.clear()
    return answers


# Traces that hypothesis makes.

IDS = st.sampled_from(["ann", "Ann", "bob", "b0b", "carl", "cari", "server", "dora"])
ROOMS = st.sampled_from(["#tea", "#tea", "#lobby", "#den", "#T3A"])
_KEYED, _PLAIN = st.integers(1, 5), st.integers(10, 13)
_UNTIL = st.sampled_from(["", "", *(date_of(Wall(NOW + age)) for age in (-50.0, 20.0, 300.0))])
_KEYS = st.integers(1, 5).map(key)


def _requests(kind: type[Any], *values: st.SearchStrategy[Any], **named: Any) -> Any:
    return st.builds(kind, st.just(1), *values, **named)


_TARGETS: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.fixed_dictionaries({"peer_id": IDS}),
    st.fixed_dictionaries({"key": _KEYS}),
    st.fixed_dictionaries({"address": st.sampled_from(["192.0.2.1", "192.0.2.2"])}),
    st.just({}),
)
DIRECTORY = st.one_of(
    _requests(
        bcp2_server.Register,
        IDS,
        st.just(5000),
        expires=st.sampled_from([None, None, 0, 60, 300]),
        listed=st.booleans(),
        allow=st.lists(_KEYS, max_size=2).map(tuple),
        open=st.booleans(),
        away=st.sampled_from(["", "", "lunch"]),
    ),
    _requests(bcp2_server.Bridge, IDS | st.just("")),
    _requests(bcp2_server.Info, limit=st.sampled_from([None, 1, 3])),
    _requests(bcp2_server.Watch, IDS),
    _requests(bcp2_server.Unwatch, IDS),
)
MODERATION = st.one_of(
    _requests(bcp2_rooms.Topic, ROOMS, st.sampled_from(["", "hot", "much too long for it", "a\nb"])),
    _requests(bcp2_rooms.Kick, ROOMS, IDS),
    *(
        st.builds(lambda room, until, target, kind=kind: kind(1, room, until=until, **target),
                  ROOMS, _UNTIL, _TARGETS)
        for kind in (bcp2_rooms.Ban, bcp2_rooms.Unban)
    ),
    *(
        _requests(kind, ROOMS, IDS, _UNTIL)
        for kind in (bcp2_rooms.Mute, bcp2_rooms.Op, bcp2_rooms.Invite)
    ),
    _requests(
        bcp2_rooms.Settings,
        ROOMS,
        st.sampled_from([None, "", "sesame"]),
        st.sampled_from([None, None, True, False]),
        st.sampled_from([None, True, False]),
    ),
)  # fmt: skip
IN_ROOMS = st.one_of(
    _requests(bcp2_rooms.Join, ROOMS, st.sampled_from(["", "", "sesame"])),
    _requests(bcp2_rooms.Say, ROOMS, st.sampled_from(["hi", "hello"])),
    _requests(bcp2_rooms.Part, ROOMS),
    _requests(bcp2_rooms.Names, ROOMS),
    _requests(bcp2_rooms.History, ROOMS),
    _requests(bcp2_rooms.Rooms),
    MODERATION,
)
CLASSIC = st.one_of(
    st.builds(
        classic.ClassicRegister,
        IDS,
        st.sampled_from(["198.51.100.1", "10.0.0.1"]),
        st.integers(3000, 3001),
    ),
    st.builds(classic.ClassicBridge, IDS),
    st.just(classic.ClassicInfo()),
    st.builds(classic.Unregister, IDS),
)


def _keyed_step(number: int, message: Bcp2Message) -> Step:
    return "key", str(number), strict.encode(message).decode()


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(_keyed_step, _KEYED, DIRECTORY),
    st.builds(_keyed_step, _KEYED, IN_ROOMS),
    st.builds(_keyed_step, st.integers(1, 3), IN_ROOMS),
    st.builds(_keyed_step, st.integers(1, 3), MODERATION),
    st.builds(
        lambda number, message: ("plain", str(number), codec.encode(message).decode()),
        _PLAIN,
        CLASSIC,
    ),
    st.builds(lambda message: ("operator", strict.encode(message).decode()), MODERATION),
    st.builds(
        lambda what, name: ("raw", what, name),
        st.sampled_from(["came", "said", "went"]),
        st.sampled_from(["guest-1", "B0b"]),
    ),
    st.builds(lambda number: ("leave", str(number)), _KEYED | _PLAIN),
    st.builds(
        lambda seconds: ("wait", str(seconds)), st.sampled_from([0.25, 1.0, 31.0, 61.0, 250.0])
    ),
)


def _opening() -> list[Step]:
    """Three people who are registered and in a room, and one classic client."""
    steps: list[Step] = []
    for number, name in enumerate(("ann", "bob", "carl"), 1):
        steps.append(_keyed_step(number, bcp2_server.Register(1, name, 5000)))
        steps += [_keyed_step(number, bcp2_rooms.Join(2, room)) for room in ("#tea", "#lobby")]
    steps.append(_keyed_step(2, bcp2_server.Watch(3, "ann")))
    dora = codec.encode(classic.ClassicRegister("dora", "198.51.100.1", 3000)).decode()
    return [*steps, ("plain", "10", dora)]


OPENING = _opening()
TRACES = st.lists(STEPS, min_size=20, max_size=60).map(lambda steps: [*OPENING, *steps])
