"""The conversations that are not over: their names, who rings, and which one goes one way only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.conversation import Conversation
from chatproto.client.conversations import Conversations
from chatproto.client.events import Event, Notice
from chatproto.client.settings import ClientSettings
from chatproto.session.plain_connection import GREET_WAIT, PlainPeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.dialects import BCP2, CANON, LOBBY, RAW, Dialect
from chatproto.wire.errors import LocalError
from tests.client.codes import coded
from tests.client.typing_person import made
from tests.limits import DEFAULTS
from tests.net import Wire, joined


class Case(SynchronousTestCase):
    """The conversations of a node that answers no call by itself."""

    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.clock = Clock()
        self.events: list[Event] = []
        settings = ClientSettings("alice", plain=True, answer="none")
        self.node = made(self.clock, settings)
        self.node.publish.listen(lambda event: self.events.append(coded(event)))
        self.node.start("10.0.0.1", 5001)
        self.all: Conversations = self.node.calls.all

    def called(self, host: str, data: bytes) -> Wire:
        """Call from `host` and send `data`."""
        connection = PlainPeerConnection(self.node.plain_calls, self.clock, DEFAULTS, None)
        wire = joined(connection, Wire(host, 40000))
        if data:
            wire.says(data)
        else:
            self.clock.advance(GREET_WAIT)
        return wire

    def rings(self, name: str, host: str = "10.0.0.2") -> Wire:
        where = f"IP: {host}\r\nPort: 5002\r\n\r\n"
        return self.called(host, f"CHAT\r\nclientID: {name}\r\n{where}".encode())

    def dialled(self, host: str, dialect: Dialect = RAW) -> tuple[Conversation, Wire]:
        """Call a peer at `host`, which accepts."""
        calls = self.node.calls
        conversation = calls.begin("them", dialect)
        conversation.session.call()
        connection = PlainPeerConnection(self.node.plain_calls, self.clock, DEFAULTS, dialect)
        wire = joined(connection, Wire(host, 5002))
        self.node.connections.join(connection, conversation)
        session = conversation.session
        assert not session.dialect.numbered
        conversation.apply(session.connected(connection))
        return conversation, wire

    def refused(self, what: str = "") -> str:
        error = self.assertRaises(LocalError, self.all.ringing, what)
        assert isinstance(error, LocalError)
        self.assertEqual(error.status, 404)
        return error.detail


class NameTests(Case):
    """Each has a name of its own."""

    def test_another_of_the_same_name_is_numbered(self) -> None:
        made = [self.node.calls.begin("", BCP2) for _ in range(3)]
        for one in made:
            self.all.rename(one, "bob", named=True)
        self.assertEqual([one.name for one in made], ["bob", "bob~2", "bob~3"])
        self.assertTrue(made[0].named)

    def test_its_own_name_is_not_taken(self) -> None:
        one = self.node.calls.begin("bob", BCP2)
        self.all.rename(one, "bob", named=False)
        self.assertEqual((one.name, one.named), ("bob", False))

    def test_a_name_in_doubt_is_found_without_its_mark(self) -> None:
        doubted = self.node.calls.begin("bob?", BCP2)
        self.assertIs(self.all.called("bob"), doubted)
        self.assertIs(self.all.called("bob?"), doubted)
        sure = self.node.calls.begin("bob", BCP2)
        self.assertIs(self.all.called("bob"), sure)
        self.assertIsNone(self.all.named("eve"))

    @given(st.lists(st.tuples(st.sampled_from(["bob", "eve", "bob~2"]), st.booleans())))
    def test_names_are_unique_and_numbers_are_never_reused(
        self, steps: list[tuple[str, bool]]
    ) -> None:
        self.begin()
        numbers = []
        for wanted, ends in steps:
            one = self.node.calls.begin("", BCP2)
            numbers.append(one.number)
            self.all.rename(one, wanted, named=True)
            self.assertTrue(one.name.startswith(wanted))
            if ends:
                self.all.end(next(iter(self.all)))
            names = [each.name for each in self.all]
            self.assertEqual(len(names), len(set(names)))
        self.assertEqual(numbers, list(range(1, len(steps) + 1)))


class CurrentTests(Case):
    """Current conversation."""

    def test_there_is_no_current_conversation_at_first(self) -> None:
        self.assertIsNone(self.all.current)
        error = self.assertRaises(LocalError, self.all.need_current)
        assert isinstance(error, LocalError)
        self.assertEqual(error.detail, "you are in no conversation: /chat ID calls a peer")

    def test_there_is_no_current_conversation_after_its_end(self) -> None:
        one, other = (self.node.calls.begin(name, BCP2) for name in ("bob", "eve"))
        self.all.move_to(one)
        self.all.end(other)
        self.assertIs(self.all.need_current(), one)
        self.all.end(one)
        self.assertIsNone(self.all.current)
        self.assertEqual(len(self.all), 0)


class RingingTests(Case):
    """Ringing calls."""

    def test_the_last_or_the_one_of_a_name_or_a_number(self) -> None:
        self.rings("bob", "10.0.0.2")
        self.rings("eve", "10.0.0.3")
        bob, eve = self.all
        self.assertEqual((bob.state, eve.state), (SessionState.RINGING, SessionState.RINGING))
        self.assertIs(self.all.ringing(), eve)
        for what in ("bob", str(bob.number)):
            self.assertIs(self.all.ringing(what), bob)

    def test_unconfirmed_caller_is_found_without_its_question_mark(self) -> None:
        self.rings("bob")
        [bob] = self.all
        self.all.rename(bob, "bob?", named=True)
        self.assertIs(self.all.ringing("bob"), bob)
        self.assertIs(self.all.ringing("bob?"), bob)

    def test_without_a_ringing_call_there_is_none(self) -> None:
        self.assertEqual(self.refused(), "nobody is calling")
        self.assertEqual(self.refused("bob"), '"bob" is not calling')
        self.rings("bob")
        self.assertEqual(self.refused("eve"), '"eve" is not calling')

    def test_one_that_was_taken_rings_no_more(self) -> None:
        self.rings("bob")
        self.node.accept("bob")
        self.assertEqual(self.refused("bob"), '"bob" is not calling')

    def test_unanswered_call_is_not_ringing(self) -> None:
        wire = self.rings("bob")
        self.clock.advance(DEFAULTS.ring_wait)
        self.assertEqual(self.refused(), "nobody is calling")
        self.clock.advance(1)
        self.assertTrue(wire.half_closed)
        self.assertEqual(len(self.all), 0)

    def test_more_than_may_ring_are_dropped(self) -> None:
        wires = [self.rings(f"p{n}", f"10.0.1.{n}") for n in range(DEFAULTS.ringing + 1)]
        self.assertEqual(len(self.all), DEFAULTS.ringing)
        self.assertEqual([wire.half_closed for wire in wires].count(True), 1)
        self.assertTrue(wires[-1].half_closed)


class OneWayTests(Case):
    """Bare connections on which only one has spoken."""

    def test_our_unanswered_connection_is_one_way(self) -> None:
        one, wire = self.dialled("10.0.0.2")
        self.assertIs(self.all.one_way("10.0.0.2", dialled=True), one)
        self.assertIsNone(self.all.one_way("10.0.0.3", dialled=True))
        self.assertIsNone(self.all.one_way("10.0.0.2", dialled=False))
        wire.says(b"hello\n")
        self.clock.advance(1)
        self.assertIsNone(self.all.one_way("10.0.0.2", dialled=True))

    def test_caller_from_the_same_host_belongs_to_it(self) -> None:
        one, _ = self.dialled("10.0.0.2")
        self.called("10.0.0.2", b"hello\n")
        self.clock.advance(1)
        self.assertEqual(list(self.all), [one])

    def test_caller_without_a_name_is_one_way(self) -> None:
        self.called("10.0.0.2", b"")
        [one] = self.all
        self.node.accept()
        self.assertIs(one.state, SessionState.OPEN)
        self.assertIs(self.all.one_way("10.0.0.2", dialled=False), one)

    def test_two_candidates_mean_none(self) -> None:
        self.dialled("10.0.0.2")
        self.dialled("10.0.0.2")
        self.assertIsNone(self.all.one_way("10.0.0.2", dialled=True))

    def test_an_opener_of_ours_without_an_answer_is_one_too(self) -> None:
        conversation, _ = self.dialled("10.0.0.2", CANON)
        self.assertIs(self.all.one_way("10.0.0.2", dialled=True), conversation)

    def test_lobby_has_no_one_way_connection(self) -> None:
        self.dialled("10.0.0.2", LOBBY)
        self.assertIsNone(self.all.one_way("10.0.0.2", dialled=True))


class RowTests(Case):
    """Rows of /who."""

    def test_rows_contain_the_state(self) -> None:
        self.rings("bob")
        self.node.accept("bob")
        self.rings("eve", "10.0.0.3")
        bob, eve = self.all.rows()
        self.assertEqual(
            bob,
            {
                "id": "bob",
                "key": None,
                "host": "10.0.0.2",
                "port": 5002,
                "state": "open",
                "security": "open",
                "path": "lan",
                "turn": bob["turn"],
                "current": True,
            },
        )
        self.assertEqual((eve["state"], eve["current"]), ("ringing", False))

    def test_queued_messages_are_counted_over_all(self) -> None:
        self.assertEqual(self.all.unsent, 0)
        for name in ("bob", "eve"):
            conversation = self.node.outgoing.prepare(name, CANON)
            assert conversation is not None
            self.node.say("one")
        self.node.msg("two", "bob")
        self.assertEqual(self.all.unsent, 3)

    def test_remaining_conversations_are_listed(self) -> None:
        self.rings("bob")
        self.node.accept("bob")
        self.rings("eve", "10.0.0.3")
        self.node.quit()
        self.assertIn(Notice("other conversations: eve (/switch)"), self.events)
