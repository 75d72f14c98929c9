"""Whom we call and what is said to them: what waits, what is delivered or reported, and the ends."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.node.door import Door
from chatproto.node.events import (
    Bye,
    Event,
    Exited,
    Failed,
    Incoming,
    MessageReceived,
    Notice,
    Sent,
    SessionChanged,
    Undelivered,
)
from chatproto.node.node import Node
from chatproto.node.settings import Settings
from chatproto.wire.limits import DEFAULTS, Limits
from tests.net import Net, Wire, joined

BOB = "127.0.0.1:5002"
WORDS = ("one", "two", "three")


class Case(SynchronousTestCase):
    """Alice's program without a server."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, limits: Limits = DEFAULTS, **settings: Any) -> Node:
        self.net = Net()
        self.events: list[Event] = []
        self.codes: list[int] = []
        values: dict[str, Any] = {"plain": True, "dialect": "lobby"} | settings
        chosen = Settings("alice", **values)
        self.node = Node(self.net, chosen, limits, None, self.codes.append)
        self.node.tell = self.events.append
        self.node.start("127.0.0.1", 5001)
        return self.node

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def talking(self) -> Wire:
        """We have called somebody."""
        self.node.chat(BOB)
        return self.net.accept()

    def called(self, name: str, port: int = 5003) -> Wire:
        """Somebody calls us."""
        door = Door(self.node.calls.links, self.net, self.node.limits)
        wire = joined(door.buildProtocol(None), Wire("127.0.0.1", 40000 + port))
        wire.says(
            b"CHAT\r\nclientID: %s\r\nIP: 127.0.0.1\r\nPort: %d\r\n\r\n" % (name.encode(), port)
        )
        return wire

    def spent(self, wire: Wire) -> list[bytes]:
        """What has been written after some time."""
        self.net.wait(1)
        return wire.writes

    def closed(self, wire: Wire) -> None:
        """They close when we have."""
        self.net.wait(0.2)
        self.assertTrue(wire.half_closed)
        wire.ends()


class WaitingTests(Case):
    """What is said before there is a connection."""

    def test_goes_out_when_it_is_there_in_its_order(self) -> None:
        self.node.chat(BOB)
        for text in ("one", "two"):
            self.node.say(text)
        self.assertEqual(self.told(Sent), [])
        wire = self.net.accept()
        self.assertEqual(self.spent(wire), [b"one", b"two"])
        self.assertEqual([sent.text for sent in self.told(Sent)], ["one", "two"])

    def test_is_reported_when_nobody_answers(self) -> None:
        self.node.chat(BOB)
        self.node.say("one")
        self.net.refuse()
        [lost] = self.told(Undelivered)
        self.assertEqual((lost.to, lost.text), (BOB, "one"))
        self.assertIn("connection refused", lost.reason)
        self.assertEqual(self.told(SessionChanged)[-1].state, "closed")

    def test_or_when_it_is_given_up(self) -> None:
        self.node.chat(BOB)
        self.node.say("one")
        self.node.quit()
        [lost] = self.told(Undelivered)
        self.assertEqual(lost.text, "one")

    def test_more_than_may_wait_is_not_taken(self) -> None:
        self.begin(DEFAULTS.with_values(["waiting-messages=3"]))
        self.node.chat(BOB)
        for number in range(4):
            self.node.say(str(number))
        [failed] = self.told(Failed)
        self.assertEqual((failed.status, failed.command), (429, "say"))
        self.assertEqual(self.spent(self.net.accept()), [b"0", b"1", b"2"])

    def test_one_that_is_too_long_is_refused(self) -> None:
        self.talking()
        self.node.say("é" * (DEFAULTS.message // 2 + 1))
        [failed] = self.told(Failed)
        self.assertEqual(failed.status, 413)

    @given(
        st.lists(
            st.one_of(st.integers(0, 999), st.sampled_from(["accept", "wait", "reset"])),
            max_size=20,
        )
    )
    def test_whatever_happens_each_is_sent_or_reported_once(self, steps: list[int | str]) -> None:
        self.begin()
        self.node.chat(BOB)
        wire: Wire | None = None
        said: list[str] = []
        for step in steps:
            if step == "accept" and self.net.dialled:
                wire = self.net.accept()
            elif step == "reset" and wire is not None:
                wire.ends(True)
            elif step == "wait":
                self.net.wait(0.1)
            elif isinstance(step, int) and self.node.calls.current is not None:
                said.append(f"m{len(said)}")
                self.node.say(said[-1])
        self.node.end_of_input()
        self.net.wait(DEFAULTS.end_wait + DEFAULTS.exit_wait + 1)
        told = [event.text for event in self.told(Sent) + self.told(Undelivered)]
        self.assertEqual(sorted(told), sorted(said))
        self.assertEqual(self.codes, [0])


class MistakeTests(Case):
    """What cannot be is said in one sentence."""

    def test_each_with_its_command(self) -> None:
        for ask, command, words in (
            (lambda: self.node.say("hello"), "say", "you are talking with nobody"),
            (lambda: self.node.msg("hello", "bob"), "msg", "you are not talking with bob"),
            (lambda: self.node.switch("bob"), "switch", "there is no conversation with bob"),
            (lambda: self.node.accept(), "accept", "nobody calls"),
            (lambda: self.node.decline("bob"), "decline", "bob does not call"),
            (lambda: self.node.mode("half"), "mode", "you are talking with nobody"),
            (lambda: self.node.over(), "over", "you are talking with nobody"),
            (lambda: self.node.verify("bob"), "verify", "nothing is encrypted with --plain"),
            (lambda: self.node.trust("bob", "x"), "trust", "nothing is encrypted with --plain"),
            (lambda: self.node.chat("", "latin"), "chat", "there is no dialect latin"),
            (lambda: self.node.chat(), "chat", "whom?"),
            (lambda: self.node.chat("bob"), "chat", "no address for bob"),
            (lambda: self.node.chat("127.0.0.1:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("localhost:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("[::1]:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("here:there"), "chat", "port"),
            (lambda: self.node.register(), "register", "there is no server"),
            (lambda: self.node.info(), "info", "there is no server"),
            (lambda: self.node.bridge(), "bridge", "there is no server"),
        ):
            self.begin()
            ask()
            [failed] = self.told(Failed)
            self.assertEqual(failed.command, command)
            self.assertIn(words, failed.text)
            self.assertNotIn("\n", failed.text)
            self.assertEqual((len(self.node.calls.all), self.net.dialled), (0, 0))

    def test_a_call_without_a_key(self) -> None:
        self.begin(plain=False)
        self.node.chat(BOB)
        [failed] = self.told(Failed)
        self.assertEqual(failed.text, "there is no key to call with")

    def test_the_turn_cannot_be_passed_by_itself(self) -> None:
        self.talking()
        self.node.over()
        [failed] = self.told(Failed)
        self.assertIn("lobby dialect passes the turn only with a message", failed.text)


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
