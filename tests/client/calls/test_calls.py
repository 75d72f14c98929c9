"""Calls in plain text and their ends; what holds in both modes is in `test_both_modes.py`."""

from __future__ import annotations

from chatproto.client.app import ENDS_WITH_PEER
from chatproto.client.calls.connections import EXIT_WAIT
from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.client.events import (
    Exited,
    IncomingCallEvent,
    MessageReceived,
    Notice,
)
from tests.client.plain_program import BOB, Case
from tests.client.tls_net import Literals
from tests.limits import DEFAULTS
from tests.net import Wire, joined

WORDS = ("one", "two", "three")


class CalledTests(Case):
    """Incoming calls."""

    def test_with_plain_the_first_is_spoken_to_at_once(self) -> None:
        self.called("bob")
        [incoming] = self.told(IncomingCallEvent)
        self.assertEqual((incoming.id, incoming.ask), ("bob", False))
        current = self.node.calls.all.current
        assert current is not None
        self.assertEqual(current.name, "bob")
        self.called("eve", 5004)
        self.assertIs(self.node.calls.all.current, current)

    def test_accepted_call_shows_earlier_messages(self) -> None:
        self.begin(answer="none")
        wire = self.called("bob")
        wire.says(b"hello\r\n")
        self.net.wait(1)
        self.node.accept("bob")
        self.assertEqual([heard.text for heard in self.told(MessageReceived)], ["hello"])

    def test_plain_calls_are_refused_and_reported_once_without_plain(self) -> None:
        self.begin(plain=False)
        for number in range(3):
            self.called("bob", 5003 + number)
        [notice] = self.told(Notice)
        self.assertIn("(--open would take it)", notice.text)
        self.assertEqual(self.told(IncomingCallEvent), [])

    def test_oldest_silent_connection_is_closed_beyond_the_limit(self) -> None:
        self.begin(DEFAULTS.with_values(["callers=3"]))
        factory = PlainPeerFactory(self.node.plain_calls, self.net, self.node.limits)
        wires = [joined(factory.buildProtocol(None), Wire("127.0.0.1", 6000 + n)) for n in range(4)]
        self.assertEqual([wire.aborted for wire in wires], [True, False, False, False])

    def test_held_input_stops_reading_of_connections(self) -> None:
        wire = self.talking()
        self.node.connections.hold(True)
        self.assertEqual(wire.producerState, "paused")
        late = self.called("bob")
        self.assertEqual(late.producerState, "paused")
        self.node.connections.hold(False)
        self.assertEqual((wire.producerState, late.producerState), ("producing", "producing"))


class ClaimTests(Case):
    """In plain text an id is only a claim, and so is an address."""

    def heard(self) -> list[tuple[str, str]]:
        return [(event.from_, event.text) for event in self.told(MessageReceived)]

    def test_same_id_from_another_machine_is_another_peer(self) -> None:
        first = self.called("bob", host="10.0.0.2")
        other = self.called("bob", 5004, host="10.0.0.3")
        for wire, text in ((first, b"from bob\r\n"), (other, b"from another\r\n")):
            wire.says(text)
            self.net.wait(1)
        self.assertEqual(self.heard(), [("bob", "from bob"), ("bob~2", "from another")])
        self.node.msg("for bob", "bob")
        self.assertIn(b"for bob", b"".join(self.spent(first)))
        self.assertNotIn(b"for bob", b"".join(self.spent(other)))

    def test_same_id_from_the_same_machine_is_the_same_peer(self) -> None:
        first = self.called("bob", host="10.0.0.2")
        again = self.called("bob", host="10.0.0.2")
        for wire in (first, again):
            wire.says(b"hello\r\n")
            self.net.wait(1)
        self.assertEqual(self.heard(), [("bob", "hello")] * 2)
        self.assertEqual(len(self.told(IncomingCallEvent)), 1)

    def test_two_open_calls_with_one_id_are_two_peers(self) -> None:
        first = self.called("bob", host="10.0.0.2", says="10.0.0.2")
        other = self.called("bob", 5004, host="10.0.0.2", says="10.0.0.2")
        for wire, text in ((first, b"from bob\r\n"), (other, b"from another\r\n")):
            wire.says(text)
            self.net.wait(1)
        self.assertEqual(self.heard(), [("bob", "from bob"), ("bob~2", "from another")])
        self.node.msg("for bob", "bob")
        self.assertIn(b"for bob", b"".join(self.spent(first)))
        self.assertNotIn(b"for bob", b"".join(self.spent(other)))

    def test_loopback_address_announced_remotely_is_not_called(self) -> None:
        for told, called in (
            ("127.0.0.1", "10.0.0.2"),
            ("127.9.9.9", "10.0.0.2"),
            ("::1", "10.0.0.2"),
            ("10.0.0.7", "10.0.0.7"),
        ):
            self.begin()
            self.net.nameResolver = Literals()
            wire = self.called("bob", host="10.0.0.2", says=told)
            self.called("eve", 5004)
            wire.says(b"QUIT\r\n\r\n")
            self.net.wait(3)
            wire.ends()
            self.node.chat("bob")
            self.assertEqual(self.net.wanted, [(called, 5003)], told)

    def test_loopback_address_announced_locally_is_called(self) -> None:
        wire = self.called("bob", host="127.0.0.1", says="127.0.0.2")
        self.called("eve", 5004)
        wire.says(b"QUIT\r\n\r\n")
        self.net.wait(3)
        wire.ends()
        self.net.nameResolver = Literals()
        self.node.chat("bob")
        self.assertEqual(self.net.wanted, [("127.0.0.2", 5003)])


class QuittingTests(Case):
    """Leaving a conversation, and the program."""

    def test_with_plain_the_only_conversation_ends_the_program(self) -> None:
        wire = self.talking()
        self.node.quit()
        self.assertEqual(self.codes, [])
        self.assertEqual(self.spent(wire), [b"quit"])
        self.closed(wire)
        self.assertEqual((self.codes, self.events[-1]), ([0], Exited(0)))
        self.assertEqual(self.told(Notice), [])

    def test_with_plain_a_leaving_peer_ends_the_program_with_a_notice(self) -> None:
        wire = self.called("bob")
        wire.says(b"hello\r\n")
        self.net.wait(1)
        wire.says(b"QUIT\r\n\r\n")
        self.net.wait(3)
        wire.ends()
        self.assertEqual([one.text for one in self.told(Notice)], [ENDS_WITH_PEER])
        self.net.wait(EXIT_WAIT)
        self.assertEqual(self.codes, [0])

    def test_without_plain_the_program_continues(self) -> None:
        self.begin(plain=False, open=True, answer="all")
        wire = self.called("bob")
        self.node.quit()
        self.closed(wire)
        self.assertEqual(self.codes, [])
        self.node.quit()
        self.assertEqual(self.codes, [0])

    def test_peer_that_does_not_close_is_aborted(self) -> None:
        self.talking()
        self.node.stop(3)
        self.net.wait(EXIT_WAIT - 0.1)
        self.assertEqual(self.codes, [])
        self.net.wait(0.2)
        self.assertEqual(self.codes, [3])

    def test_quit_says_farewell_to_peers_and_closes_unknown_connections(self) -> None:
        wires = [self.talking(), self.called("bob")]
        stranger = PlainPeerFactory(self.node.plain_calls, self.net, DEFAULTS).buildProtocol(None)
        wires.append(joined(stranger, Wire()))
        self.node.stop()
        for wire in wires:
            self.closed(wire)
        self.assertEqual(self.codes, [0])
        self.node.stop()
        self.node.end_of_input()
        self.net.wait(30, 1)
        self.assertEqual(self.codes, [0])


class CallingTests(Case):
    """Outgoing calls."""

    def test_second_call_uses_the_open_conversation(self) -> None:
        self.called("bob", 5003)
        self.talking()
        self.node.chat("bob")
        self.assertEqual(self.net.dialled, 0)
        current = self.node.calls.all.current
        assert current is not None
        self.assertEqual(current.name, "bob")

    def test_caller_can_be_called_by_name_later(self) -> None:
        wire = self.called("bob", 5003)
        self.called("eve", 5004)
        wire.says(b"QUIT\r\n\r\n")
        self.net.wait(3)
        wire.ends()
        self.node.chat("bob")
        self.assertEqual(self.net.wanted[-1], ("127.0.0.1", 5003))

    def test_call_uses_the_named_dialect(self) -> None:
        self.node.chat(BOB, "canon")
        wire = self.net.accept()
        self.assertEqual(
            self.spent(wire), [b"CHAT\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 5001\r\n\r\n"]
        )

    def test_dialect_with_a_connection_per_message(self) -> None:
        self.node.chat(BOB, "dialback")
        self.assertEqual(self.net.dialled, 0)
        self.node.say("one")
        wire = self.net.accept()
        [frame] = self.spent(wire)
        self.assertIn(b"content: one", frame)
        self.assertTrue(wire.half_closed)
