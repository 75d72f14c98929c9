"""A large room hears everything, in its order, a few members at a time."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.registrations import ClientConnection, PushTo
from chatproto.net.receivers import StrictReceiver
from chatproto.rooms.room_feed import RoomFeed
from chatproto.server.room_delivery import AT_ONCE
from chatproto.server.room_side import RoomSide
from chatproto.server.secure_side import SecureSide
from chatproto.server.work_queue import TURN, WorkQueue
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.bcp2_server import Presence
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.strict import encode
from tests.contracts.names import key

GUESTS = [cast(Any, f"g{number}") for number in range(5)]
MOST = {"go": 1, "three": 3, "all": 5}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "own", "join", "leave", "catch", *MOST]),
        st.sampled_from(GUESTS),
    ),
    max_size=60,
)


class FeedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.got: dict[Any, bytes] = {}
        self.writes = 0

    def send(self, member: Any, data: bytes) -> None:
        self.writes += 1
        self.got[member] = self.got.get(member, b"") + data

    def send_all(self, members: list[Any], data: bytes) -> None:
        for member in members:
            self.send(member, data)

    @given(STEPS, st.booleans())
    def test_members_get_the_lines_of_their_stay_in_order(
        self, steps: list[tuple[str, Any]], together: bool
    ) -> None:
        self.got = {}
        members = set(GUESTS[:3])
        feed = RoomFeed(GUESTS[:3], self.send, self.send_all if together else None)
        wanted: dict[Any, bytes] = {}
        for number, (step, member) in enumerate(steps):
            line = b"<%d>" % number
            if step in ("add", "own"):
                feed.add(line, {member: b"ack"} if step == "own" else None)
                for one in members:
                    own = step == "own" and one == member
                    wanted[one] = wanted.get(one, b"") + (b"ack" if own else line)
            elif step == "join" and member not in members:
                members.add(member)
                feed.join(member)
            elif step == "leave" and member in members:
                feed.catch_up(member)
                feed.leave(member)
                members.discard(member)
            elif step == "catch":
                feed.catch_up(member)
                self.assertEqual(self.got.get(member, b""), wanted.get(member, b""))
            elif step in MOST:
                waiting = feed.send_more(MOST[step])
                self.assertEqual(waiting, bool(feed))
        while feed.send_more(2):
            pass
        self.assertFalse(feed)
        self.assertEqual((self.got, feed.size), (wanted, 0))

    def test_equally_served_members_get_one_write_except_the_speaker(self) -> None:
        together: list[list[Any]] = []

        def send_all(members: list[Any], data: bytes) -> None:
            together.append(members)
            self.send_all(members, data)

        feed = RoomFeed(GUESTS, self.send, send_all)
        feed.add(b"one", {GUESTS[1]: b""})
        self.assertFalse(feed.send_more(9))
        feed.leave(GUESTS[0])
        feed.add(b"two", {GUESTS[0]: b"gone"})
        feed.add(b"three")
        self.assertFalse(feed.send_more(9))
        self.assertEqual(together, [[GUESTS[0], *GUESTS[2:]], GUESTS[1:]])
        wanted = {GUESTS[0]: b"one", GUESTS[1]: b"twothree"}
        self.assertEqual(self.got, wanted | dict.fromkeys(GUESTS[2:], b"onetwothree"))

    def test_a_few_are_sent_at_once_and_one_may_leave_meanwhile(self) -> None:
        def send(member: Any, data: bytes) -> None:
            self.send(member, data)
            if member is GUESTS[0]:  # does not read: put out, and so is another one
                feed.leave(member)
                feed.leave(GUESTS[1])

        feed = RoomFeed(GUESTS, send)
        feed.add(b"one")
        self.assertTrue(feed.send_more(2))
        self.assertEqual(list(self.got), [GUESTS[0], GUESTS[2]])
        self.assertFalse(feed.send_more(9))
        feed.add(b"two")
        self.assertFalse(feed.send_more(9))
        self.assertEqual(self.got, {GUESTS[0]: b"one"} | dict.fromkeys(GUESTS[2:], b"onetwo"))

    def test_queued_lines_are_one_write_per_member(self) -> None:
        feed = RoomFeed(GUESTS, self.send)
        for number in range(100):
            feed.add(b"%d " % number)
        while feed.send_more():
            pass
        self.assertEqual((self.writes, len(self.got)), (5, 5))


class Seat:
    """A connection that remembers what it was sent, and what that took."""

    def __init__(self, clock: Clock) -> None:
        self.got: list[Bcp2Message] = []
        self.host = ""
        self._clock = clock
        self._decoder = StrictReceiver(Sender.SERVER)

    def say(self, message: Bcp2Message) -> None:
        self.send(encode(message))

    def dismiss(self, message: Bcp2Message) -> None:
        self.say(message)

    def send(self, data: bytes) -> None:
        self._clock.rightNow += 0.0001
        found = self._decoder.read(data)
        assert not any(isinstance(one, RemoteError) for one in found)
        self.got += cast(list[Bcp2Message], found)


class LargeCase(SynchronousTestCase):
    """Many clients, on a clock that only work moves."""

    COUNT = AT_ONCE + 44

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.turns = WorkQueue(self.clock)
        self.addCleanup(self.turns.rest)
        self.members = [
            ClientConnection(
                key(number), f"10.0.{number >> 8}.{number & 255}", 40000, client_id=f"m{number}"
            )
            for number in range(self.COUNT)
        ]
        self.seats = {member: Seat(self.clock) for member in self.members}

    def run_all(self) -> float:
        """Until nothing is to be done; the longest turn."""
        longest = 0.0
        while self.clock.calls:
            begun = self.clock.seconds()
            call = self.clock.calls.pop(0)  # `advance` would go on with what it leads to
            call.called = 1
            call.func(*call.args, **call.kw)
            longest = max(longest, self.clock.seconds() - begun)
        return longest


class LargeRoomTests(LargeCase):
    def setUp(self) -> None:
        super().setUp()
        self.rooms = RoomSide(self.clock, MemoryRooms(), turns=self.turns)
        for member in self.members:
            self.rooms.answer(bcp2_rooms.Join(1, "#crowd"), member, self.clock.seconds())
        self.run_all()  # those who came later were told to nobody
        self.rooms.connections = self.seats

    def ask(self, member: ClientConnection, message: Bcp2Message) -> None:
        self.rooms.answer(message, member, self.clock.seconds())

    def test_the_queue_of_the_server_serves_its_rooms_too(self) -> None:
        self.assertIs(self.rooms.turns, self.turns)

    def test_a_message_to_many_takes_many_turns_and_all_hear_the_same(self) -> None:
        speaker, second, *others = self.members
        self.ask(speaker, bcp2_rooms.Say(1, "#crowd", "one"))
        self.ask(second, bcp2_rooms.Say(1, "#crowd", "two"))
        self.assertLess(self.run_all(), 2 * TURN)
        orders = {
            tuple(getattr(message, "id", 0) for message in self.seats[one].got)
            for one in self.members
        }
        self.assertEqual(len(orders), 1)
        kinds = [type(message) for message in self.seats[speaker].got]
        self.assertEqual(kinds, [bcp2_rooms.SayAck, bcp2_rooms.Said])
        self.assertEqual(
            [type(m) for m in self.seats[others[-1]].got], [bcp2_rooms.Said, bcp2_rooms.Said]
        )

    def test_long_messages_of_many_in_a_small_room_take_many_turns(self) -> None:
        members = self.members[:40]
        for member in members:
            self.ask(member, bcp2_rooms.Join(1, "#small"))
        for member in members:
            self.seats[member].got.clear()
            self.ask(member, bcp2_rooms.Say(2, "#small", "x" * 8000))
        self.rooms.flush()
        self.assertFalse(any(self.seats[one].got for one in members))
        self.assertLess(self.run_all(), 2 * TURN)
        for member in members:
            kinds = [type(message) for message in self.seats[member].got]
            self.assertEqual(
                (kinds.count(bcp2_rooms.SayAck), kinds.count(bcp2_rooms.Said)), (1, 39)
            )

    def test_requests_are_answered_after_earlier_lines(self) -> None:
        speaker, *_, last = self.members
        self.ask(speaker, bcp2_rooms.Say(1, "#crowd", "one"))
        self.rooms.flush()
        self.assertEqual(self.seats[last].got, [])
        self.ask(last, bcp2_rooms.Part(2, "#crowd"))
        self.ask(speaker, bcp2_rooms.Say(3, "#crowd", "two"))
        self.run_all()
        kinds = [type(message) for message in self.seats[last].got]
        self.assertEqual(kinds, [bcp2_rooms.Said, bcp2_rooms.PartAck])
        self.ask(last, bcp2_rooms.Join(4, "#crowd"))
        self.ask(speaker, bcp2_rooms.Say(5, "#crowd", "three"))
        self.run_all()
        kinds = [type(message) for message in self.seats[last].got[2:]]
        self.assertEqual(kinds, [bcp2_rooms.JoinAck, bcp2_rooms.Said])

    def test_many_parts_are_sent_together(self) -> None:
        gone, left = self.members[:50], self.members[50:]
        begun = self.clock.seconds()
        for member in gone:
            self.rooms.lost(member, "")
        self.assertLess(self.clock.seconds() - begun, TURN)
        self.assertLess(self.run_all(), 2 * TURN)
        for one in left:
            names = [cast(bcp2_rooms.Parted, message).peer_id for message in self.seats[one].got]
            self.assertEqual(names, [f"m{number}" for number in range(50)])

    def test_all_is_sent_before_the_end(self) -> None:
        self.ask(self.members[0], bcp2_rooms.Say(1, "#crowd", "last words"))
        self.rooms.close()
        self.assertEqual({len(seat.got) for seat in self.seats.values()}, {1})


class ManyWatchersTests(LargeCase):
    def test_changing_presence_is_sent_in_slices_with_the_latest_status(self) -> None:
        side = SecureSide(cast(Any, None), cast(Any, None), self.turns)
        side.connections = cast(Any, self.seats)
        for status in ("online", "offline", "online"):
            news = Presence("alice", status)
            begun = self.clock.seconds()
            side.apply([PushTo(member, news) for member in self.members])
            self.assertLess(self.clock.seconds() - begun, TURN)
        self.assertLess(self.run_all(), 2 * TURN)
        self.assertEqual({len(seat.got) for seat in self.seats.values()}, {1})
        self.assertEqual(self.seats[self.members[-1]].got, [Presence("alice", "online")])
