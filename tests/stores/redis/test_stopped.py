"""A server that is stopped until the others give it up, and continued: what its clients had asked is old.

Races made on purpose, in simulated time, with a Redis in this process and with a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chatproto.directory.shared import GroupState
from chatproto.stores.redis.group_text import read_group
from chatproto.wire import bcp2_rooms, bcp2_server, classic, strict
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.classic import ClassicRegister, Sender
from chatproto.wire.fields import fold
from tests.contracts.shared_row import SHARED_LIMITS, OneServer, Person, SharedRow

LIMITS = SHARED_LIMITS.with_values(["server-beat=2", "server-lapse=6"])
STOPPED = 40.0
ALICE, ALICE_AGAIN, BOB = 1, 6, 2
"""Numbers of programs with a key; the first two have the same one."""
REGISTER = bcp2_server.Register
ROOM = "#tea"


class Stopped(SharedRow):
    """Three servers, of which the first is stopped; each person is at the server that `at` has for it."""

    def __init__(self, port: int) -> None:
        self.at = {ALICE: 0, ALICE_AGAIN: 1, BOB: 2, 3: 1, 10: 0, 13: 1}
        super().__init__(LIMITS, port)

    def server_of(self, number: int) -> int:
        return self.at[number]

    def since(self) -> float:
        return self.clock.seconds()

    @property
    def first(self) -> OneServer:
        return self.servers[0]

    def told(self, number: int, message: Bcp2Message) -> Any:
        """Have a client ask, and return the last that it is told."""
        self.ask(number, message)
        self.wait(1.0)
        return self.heard(number)[-1]

    def heard(self, number: int) -> list[Any]:
        """Return all that a client with a key was told."""
        data = [data for who, data in self.sent if who == f"key {number}"]
        return [strict.decode(Sender.SERVER, one) for one in data]

    def plain_told(self, number: int, message: Any) -> bytes:
        """Have a classic client ask, and return the first word of the answer."""
        self.ask_plain(number, message)
        self.wait(1.0)
        return self.sent[-1][1].split()[0]

    def stop(self) -> None:
        """Stop the first server; what Redis sends it arrives when it continues."""
        for connection in self.network.connections:
            if connection.ends[0].reactor is self.first.reactor:
                self.network.stall(connection.pipes[1], STOPPED)
        self.first.reactor.pause(STOPPED)

    def left_in_its_socket(self, after: float, message: Bcp2Message) -> None:
        """Have the stopped server find a request of alice `after` seconds after it has continued."""
        alice = self.people[ALICE]
        self.first.reactor.callLater(STOPPED + after, self._ask_unless_gone, alice, message)

    def _ask_unless_gone(self, person: Person, message: Bcp2Message) -> None:
        if self.people.get(person.number) is person:
            person.ask(message)

    def group(self, name: str) -> GroupState:
        """Return the group that Redis has."""
        key = f"chatproto:{{i:{fold(name)}}}"
        version, data = self.redis.ask("HMGET", key, "version", "data")
        return read_group(fold(name), int(version), data.decode())


@pytest.fixture(params=["here", "real"])
def hall(request: pytest.FixtureRequest) -> Iterator[Stopped]:
    port = request.getfixturevalue("port") if request.param == "real" else 0
    hall = Stopped(port)
    yield hall
    hall.redis.close()


@pytest.mark.parametrize("after", [0.0, 0.001, 0.5, 3.0])
@pytest.mark.parametrize("first", [REGISTER(1, "alice", 5000), bcp2_server.Observe(1)])
def test_a_registration_of_a_connection_that_was_left_is_not_written_over_a_newer_one(
    hall: Stopped, after: float, first: Bcp2Message
) -> None:
    hall.told(ALICE, first)
    hall.stop()
    hall.left_in_its_socket(after, REGISTER(2, "alice", 6000))
    hall.wait(15.0)
    assert isinstance(hall.told(ALICE_AGAIN, REGISTER(1, "alice", 5001)), bcp2_server.RegAck)
    hall.wait(STOPPED)
    assert [type(one) for one in hall.heard(ALICE_AGAIN)] == [bcp2_server.RegAck]
    assert hall.group("alice").presences["alice"].registration.port == 5001


@pytest.mark.parametrize("after", [0.0, 0.001])
@pytest.mark.parametrize("what", ["again", "quit", "nothing"])
def test_a_classic_registration_is_not_undone_by_an_older_request(
    hall: Stopped, after: float, what: str
) -> None:
    hall.plain_told(10, ClassicRegister("ann", "198.51.100.1", 3000))
    hall.stop()
    if what == "again":
        again = ClassicRegister("ann", "198.51.100.1", 3001)
        hall.first.reactor.callLater(STOPPED + after, hall.ask_plain, 10, again)
    elif what == "quit":
        hall.first.reactor.callLater(
            STOPPED + after, hall.ask_plain, 10, classic.ClassicQuit("ann")
        )
    hall.wait(15.0)
    answer = hall.plain_told(13, ClassicRegister("ann", "198.51.100.1", 4000))
    assert answer == b"REGACK"
    hall.leave(13)
    hall.wait(STOPPED)
    assert hall.group("ann").classic["ann"].lease.port == 4000


def test_live_connection_survives_a_stopped_server(hall: Stopped) -> None:
    hall.told(ALICE, REGISTER(1, "alice", 5000))
    hall.told(BOB, REGISTER(1, "bob", 5000))
    hall.stop()
    hall.wait(15.0)
    assert hall.told(BOB, bcp2_server.Bridge(2, "alice")).status == 480
    hall.wait(STOPPED)
    assert isinstance(hall.told(BOB, bcp2_server.Bridge(3, "alice")), bcp2_server.BridgeAck)
    assert isinstance(hall.told(ALICE, REGISTER(4, "alice", 6000)), bcp2_server.RegAck)


@pytest.mark.parametrize("after", [0.0, 0.001, 0.5, 3.0])
def test_a_join_of_such_a_connection_takes_no_place_from_the_newer_one(
    hall: Stopped, after: float
) -> None:
    hall.told(ALICE, REGISTER(1, "alice", 5000))
    hall.told(ALICE, bcp2_rooms.Join(2, ROOM))
    hall.told(ALICE, bcp2_rooms.Part(3, ROOM))
    hall.stop()
    hall.left_in_its_socket(after, bcp2_rooms.Join(4, ROOM))
    hall.wait(15.0)
    hall.told(ALICE_AGAIN, REGISTER(1, "alice", 5001))
    hall.told(ALICE_AGAIN, bcp2_rooms.Join(2, ROOM))
    for number in range(100):
        answer = hall.told(ALICE_AGAIN, bcp2_rooms.Say(number + 3, ROOM, "still here"))
        assert isinstance(answer, bcp2_rooms.SayAck)


@pytest.mark.parametrize("after", [0.0, 0.001, 0.5, 3.0])
def test_delayed_ban_is_not_made_after_an_unban(hall: Stopped, after: float) -> None:
    for number, name in ((ALICE, "alice"), (BOB, "bob")):
        hall.told(number, REGISTER(1, name, 5000))
        hall.told(number, bcp2_rooms.Join(2, ROOM))
    hall.stop()
    hall.left_in_its_socket(after, bcp2_rooms.Ban(3, ROOM, "carl"))
    hall.wait(15.0)
    hall.told(ALICE_AGAIN, REGISTER(1, "alice", 5001))
    hall.told(ALICE_AGAIN, bcp2_rooms.Join(2, ROOM))
    hall.told(ALICE_AGAIN, bcp2_rooms.Ban(4, ROOM, "carl"))
    lifted = hall.told(ALICE_AGAIN, bcp2_rooms.Unban(5, ROOM, "carl"))
    assert isinstance(lifted, bcp2_rooms.UnbanAck)
    hall.wait(STOPPED)
    hall.told(3, REGISTER(1, "carl", 5000))
    assert isinstance(hall.told(3, bcp2_rooms.Join(2, ROOM)), bcp2_rooms.JoinAck)


def test_delayed_kick_of_a_deposed_moderator_is_refused(hall: Stopped) -> None:
    hall.at |= {ALICE: 2, BOB: 0}
    for number, name in ((ALICE, "alice"), (BOB, "bob"), (3, "carl")):
        hall.told(number, REGISTER(1, name, 5000))
        hall.told(number, bcp2_rooms.Join(2, ROOM))
    hall.told(ALICE, bcp2_rooms.Op(3, ROOM, "bob"))
    hall.stop()
    kick = bcp2_rooms.Kick(3, ROOM, "carl")
    hall.first.reactor.callLater(STOPPED + 2.0, hall.people[BOB].ask, kick)
    hall.wait(5.0)
    deposed = bcp2_rooms.Op(4, ROOM, "bob", "1970-01-02T00:00:00Z")
    assert isinstance(hall.told(ALICE, deposed), bcp2_rooms.OpAck)
    hall.wait(STOPPED)
    assert [one.status for one in hall.heard(BOB) if isinstance(one, Error)] == [403]
    assert isinstance(hall.told(3, bcp2_rooms.Say(3, ROOM, "hi")), bcp2_rooms.SayAck)
