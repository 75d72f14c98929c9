"""Who calls us and whom we call, what is delivered or reported, and the ends."""

from __future__ import annotations

from chatproto.node.door import Door
from chatproto.node.events import (
    Bye,
    Exited,
    Failed,
    Incoming,
    MessageReceived,
    Notice,
    SessionChanged,
    Undelivered,
)
from chatproto.wire.limits import DEFAULTS
from tests.net import Wire, joined
from tests.node.plain_program import BOB, Case

WORDS = ("one", "two", "three")


class CalledTests(Case):
    """Somebody calls."""

    def test_with_plain_the_first_is_spoken_to_at_once(self) -> None:
        self.called("bob")
        [incoming] = self.told(Incoming)
        self.assertEqual((incoming.id, incoming.ask), ("bob", False))
        current = self.node.calls.current
        assert current is not None
        self.assertEqual(current.name, "bob")
        self.called("eve", 5004)
        self.assertIs(self.node.calls.current, current)

    def test_whom_we_ignore_is_dropped(self) -> None:
        self.node.ignore("bob")
        wire = self.called("bob")
        self.assertEqual(self.told(Incoming), [])
        self.closed(wire)
        self.node.ignore("bob")
        self.called("bob", 5004)
        self.assertEqual(len(self.told(Incoming)), 1)

    def test_whom_we_ignore_is_left_at_once_and_not_heard_again(self) -> None:
        wire = self.called("bob")
        self.called("carol", 5004)
        self.node.ignore("bob")
        self.closed(wire)
        [over] = [one for one in self.told(SessionChanged) if one.state == "closed"]
        self.assertEqual((over.id, over.reason), ("bob", "you left"))
        self.assertEqual([one.name for one in self.node.calls.all], ["carol"])

    def test_declined_they_are_left_and_no_word_of_theirs_is_shown(self) -> None:
        self.begin(answer="none")
        wire = self.called("bob")
        wire.says(b"hello\r\n")
        self.net.wait(1)
        self.node.decline()
        self.assertEqual(self.told(MessageReceived), [])
        self.closed(wire)
        self.assertEqual(len(self.node.calls.all), 0)

    def test_taken_what_they_said_meanwhile_is_shown(self) -> None:
        self.begin(answer="none")
        wire = self.called("bob")
        wire.says(b"hello\r\n")
        self.net.wait(1)
        self.node.accept("bob")
        self.assertEqual([heard.text for heard in self.told(MessageReceived)], ["hello"])

    def test_in_plain_text_where_all_is_encrypted_they_are_refused_and_told_of_once(self) -> None:
        self.begin(plain=False)
        for number in range(3):
            self.called("bob", 5003 + number)
        [notice] = self.told(Notice)
        self.assertIn("was refused (--open)", notice.text)
        self.assertEqual(self.told(Incoming), [])

    def test_of_too_many_who_say_nothing_the_oldest_goes(self) -> None:
        self.begin(DEFAULTS.with_values(["callers=3"]))
        door = Door(self.node.calls.links, self.net, self.node.limits)
        wires = [joined(door.buildProtocol(None), Wire("127.0.0.1", 6000 + n)) for n in range(4)]
        self.assertEqual([wire.aborted for wire in wires], [True, False, False, False])

    def test_held_nobody_is_read_until_the_screen_takes_more(self) -> None:
        wire = self.talking()
        self.node.calls.hold(True)
        self.assertEqual(wire.producerState, "paused")
        late = self.called("bob")
        self.assertEqual(late.producerState, "paused")
        self.node.calls.hold(False)
        self.assertEqual((wire.producerState, late.producerState), ("producing", "producing"))


class QuittingTests(Case):
    """Leaving a conversation, and the program."""

    def test_with_plain_the_only_conversation_ends_the_program(self) -> None:
        wire = self.talking()
        self.node.quit()
        self.assertEqual(self.codes, [])
        self.assertEqual(self.spent(wire), [b"quit"])
        self.closed(wire)
        self.assertEqual((self.codes, self.events[-1]), ([0], Exited(0)))

    def test_of_two_it_ends_only_the_current_one(self) -> None:
        self.talking()
        other = self.called("bob")
        self.node.quit()
        self.net.wait(10)
        self.assertEqual((len(self.node.calls.all), self.codes), (1, []))
        self.assertFalse(other.closing)
        self.assertIn(Notice("still there: bob (/switch)"), self.events)

    def test_without_plain_the_program_goes_on(self) -> None:
        self.begin(plain=False, open=True, answer="all")
        wire = self.called("bob")
        self.node.quit()
        self.closed(wire)
        self.assertEqual(self.codes, [])
        self.node.quit()
        self.assertEqual(self.codes, [0])

    def test_who_does_not_close_is_not_waited_for_for_ever(self) -> None:
        self.talking()
        self.node.stop(3)
        self.net.wait(DEFAULTS.exit_wait - 0.1)
        self.assertEqual(self.codes, [])
        self.net.wait(0.2)
        self.assertEqual(self.codes, [3])

    def test_all_are_told_farewell_and_strangers_closed(self) -> None:
        wires = [self.talking(), self.called("bob")]
        stranger = Door(self.node.calls.links, self.net, DEFAULTS).buildProtocol(None)
        wires.append(joined(stranger, Wire()))
        self.node.stop()
        for wire in wires:
            self.closed(wire)
        self.assertEqual(self.codes, [0])
        self.node.stop()
        self.node.end_of_input()
        self.net.wait(30, 1)
        self.assertEqual(self.codes, [0])

    def test_their_farewell_is_told(self) -> None:
        wire = self.called("bob")
        wire.says(b"QUIT\r\n\r\n")
        self.net.wait(1)
        self.assertEqual(self.told(Bye), [Bye("bob", None)])
        self.assertEqual(len(self.node.calls.all), 0)


class EndOfInputTests(Case):
    """Nothing more will be typed."""

    def test_with_nothing_to_do_it_ends_at_once(self) -> None:
        self.node.end_of_input()
        self.assertEqual(self.codes, [0])

    def test_what_was_said_is_delivered_first(self) -> None:
        self.node.chat(BOB)
        for text in WORDS:
            self.node.say(text)
        self.node.end_of_input()
        self.net.wait(2)
        wire = self.net.accept()
        self.assertEqual(self.spent(wire), [b"one", b"two", b"three", b"quit"])
        self.closed(wire)
        self.assertEqual((self.codes, self.told(Undelivered)), ([0], []))

    def test_or_reported_within_its_time(self) -> None:
        self.node.chat(BOB)
        for text in WORDS:
            self.node.say(text)
        self.node.end_of_input()
        self.net.wait(DEFAULTS.end_wait - 0.1)
        self.assertEqual((self.told(Undelivered), self.codes), ([], []))
        self.net.wait(0.2)
        self.assertEqual([lost.text for lost in self.told(Undelivered)], list(WORDS))
        self.assertEqual(self.codes, [0])

    def test_a_peer_who_does_not_read_is_reported_too(self) -> None:
        wire = self.talking()
        wire.full = True
        for text in WORDS:
            self.node.say(text)
        self.node.end_of_input()
        self.net.wait(DEFAULTS.end_wait + 0.1)
        self.net.wait(DEFAULTS.farewell_wait + 0.1)
        wire.ends()
        self.net.wait(DEFAULTS.exit_wait)
        self.assertEqual([lost.text for lost in self.told(Undelivered)], ["two", "three"])
        self.assertEqual(self.codes, [0])


class CallingTests(Case):
    """Where calls go."""

    def test_somebody_called_before_is_gone_on_with(self) -> None:
        self.called("bob", 5003)
        self.talking()
        self.node.chat("bob")
        self.assertEqual(self.net.dialled, 0)
        current = self.node.calls.current
        assert current is not None
        self.assertEqual(current.name, "bob")

    def test_who_called_can_be_called_by_name_later(self) -> None:
        wire = self.called("bob", 5003)
        self.called("eve", 5004)
        wire.says(b"QUIT\r\n\r\n")
        self.net.wait(3)
        wire.ends()
        self.node.chat("bob")
        self.assertEqual(self.net.wanted[-1], ("127.0.0.1", 5003))

    def test_in_the_dialect_that_is_named(self) -> None:
        self.node.chat(BOB, "canon")
        wire = self.net.accept()
        self.assertEqual(
            self.spent(wire), [b"CHAT\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 5001\r\n\r\n"]
        )

    def test_where_each_message_has_its_own_connection(self) -> None:
        self.node.chat(BOB, "dialback")
        self.assertEqual(self.net.dialled, 0)
        self.node.say("one")
        wire = self.net.accept()
        [frame] = self.spent(wire)
        self.assertIn(b"content: one", frame)
        self.assertTrue(wire.half_closed)

    def test_a_call_given_up_stops_dialling_and_leaves_no_error(self) -> None:
        self.node.chat(BOB)
        self.node.quit()
        self.net.wait(1)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual((self.told(Failed), self.codes), ([], [0]))
