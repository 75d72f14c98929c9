"""Test conversations in both modes: calls, messages, farewells, and the end of the program."""

from __future__ import annotations

from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from chatproto.client.app import END_WAIT
from chatproto.client.calls.connections import EXIT_WAIT
from chatproto.client.events import (
    Bye,
    Delivered,
    Exited,
    Failed,
    IncomingCallEvent,
    MessageReceived,
    Notice,
    Sent,
    SessionChanged,
    Undelivered,
)
from chatproto.wire.reasons import Reason
from tests.client.both_modes import BOB, Both, Other, in_both_modes
from tests.limits import DEFAULTS

WORDS = ("one", "two", "three")


class Called(Both):
    """Incoming calls."""

    def test_the_first_is_spoken_to_at_once(self) -> None:
        bob = self.calls("bob")
        [incoming] = self.told(IncomingCallEvent)
        self.assertEqual((incoming.id, incoming.ask), ("bob", False))
        carol = self.calls("carol")
        bob.says("your turn")
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual((bob.texts, carol.texts), (["hello"], []))

    def test_messages_of_a_caller_show_its_name(self) -> None:
        self.calls("bob").says("hello")
        [heard] = self.told(MessageReceived)
        self.assertEqual((heard.from_, heard.text), ("bob", "hello"))
        self.assertEqual(heard.id, 1 if self.keyed else None)  # where messages have a number

    def test_an_ignored_caller_is_dropped(self) -> None:
        self.node.ignore("bob")
        bob = self.calls("bob")
        self.net.wait(1)
        self.assertEqual(self.told(IncomingCallEvent), [])
        self.assertTrue(bob.over)
        self.node.ignore("bob")
        self.calls("bob")
        self.assertEqual(len(self.told(IncomingCallEvent)), 1)

    def test_ignoring_ends_the_conversation(self) -> None:
        bob, carol = self.calls("bob"), self.calls("carol")
        self.node.ignore("bob")
        self.net.wait(1)
        self.assertTrue(bob.over)
        [over] = [one for one in self.told(SessionChanged) if one.state == "closed"]
        self.assertEqual((over.id, over.reason), ("bob", "you left"))
        self.assertFalse(carol.over)

    def test_messages_of_a_declined_caller_are_not_shown(self) -> None:
        self.begin(answer="none")
        bob = self.calls("bob")
        bob.says("hello")
        self.node.decline()
        self.net.wait(1)
        self.assertEqual(self.told(MessageReceived), [])
        self.assertTrue(bob.over)

    def test_a_call_rings_until_it_is_accepted(self) -> None:
        self.begin(answer="none")
        bob = self.calls("bob")
        self.assertTrue(self.told(IncomingCallEvent)[0].ask)
        self.node.accept("bob")
        self.net.wait(1)
        bob.says("hello")
        self.assertEqual([one.text for one in self.told(MessageReceived)], ["hello"])

    def test_unanswered_call_times_out(self) -> None:
        self.begin(answer="none")
        bob = self.calls("bob")
        self.net.wait(DEFAULTS.ring_wait + 5, 1)
        self.node.accept("bob")
        self.assertEqual(self.told(Failed)[-1].text, '"bob" is not calling')
        self.assertTrue(bob.over)

    def test_no_more_calls_ring_than_may(self) -> None:
        self.begin(DEFAULTS.with_values(["ringing=1"]), answer="none")
        bob, carol = self.calls("bob"), self.calls("carol")
        self.net.wait(1)
        self.assertEqual([one.id for one in self.told(IncomingCallEvent)], ["bob"])
        self.assertEqual((bob.over, carol.over), (False, True))

    def test_held_input_stops_reading_of_connections(self) -> None:
        bob = self.calls("bob")
        self.node.connections.hold(True)
        self.assertEqual(bob.wire.producerState, "paused")
        self.node.connections.hold(False)
        self.assertEqual(bob.wire.producerState, "producing")


class Waiting(Both):
    """Messages before there is a connection."""

    def test_queued_messages_are_sent_in_order_after_the_call(self) -> None:
        self.node.chat(BOB)
        for text in WORDS:
            self.node.say(text)
        self.assertEqual(self.told(Sent), [])
        bob = self.dials()
        self.net.wait(1)
        self.assertEqual(bob.texts, list(WORDS))
        self.assertEqual([sent.text for sent in self.told(Sent)], list(WORDS))

    def test_queued_message_is_reported_when_the_call_is_unanswered(self) -> None:
        self.node.chat(BOB)
        self.node.say("one")
        self.net.refuse()
        self.net.wait(1)
        [lost] = self.told(Undelivered)
        self.assertEqual((lost.to, lost.text), (BOB, "one"))
        self.assertIn("connection refused", lost.reason)
        self.assertEqual(self.told(SessionChanged)[-1].state, "closed")

    def test_queued_message_is_reported_when_the_call_is_cancelled(self) -> None:
        self.node.chat(BOB)
        self.node.say("one")
        self.node.quit()
        self.net.wait(1)
        [lost] = self.told(Undelivered)
        self.assertEqual(lost.text, "one")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_message_beyond_the_queue_limit_is_refused(self) -> None:
        self.begin(DEFAULTS.with_values(["waiting-messages=3"]))
        self.node.chat(BOB)
        for number in range(3):
            self.node.say(str(number))
        self.node.say("and one")
        if self.keyed:  # which waits by itself, and all input behind it
            self.assertEqual(self.held, [True])
            self.node.say("and another")
        [failed] = self.told(Failed)
        self.assertEqual((failed.status, failed.command), (429, "say"))
        bob = self.dials()
        self.net.wait(1)
        self.assertEqual(bob.texts[:3], ["0", "1", "2"])

    def test_a_text_that_is_too_long_is_refused(self) -> None:
        self.calls("bob")
        self.node.say("é" * (DEFAULTS.message // 2 + 1))
        [failed] = self.told(Failed)
        self.assertEqual(failed.status, 413)

    @given(
        st.lists(
            st.one_of(st.integers(0, 999), st.sampled_from(["accept", "wait", "reset"])),
            max_size=20,
        )
    )
    # The two modes are two test cases with one method.
    @given_settings(
        max_examples=given_settings().max_examples // 4,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    def test_every_message_is_reported_exactly_once(self, steps: list[int | str]) -> None:
        self.begin()
        self.node.chat(BOB)
        bob: Other | None = None
        said: list[str] = []
        for step in steps:
            if step == "accept" and self.net.dialled:
                bob = self.dials()
            elif step == "reset" and bob is not None:
                bob.cut()
            elif step == "wait":
                self.net.wait(0.1)
            elif isinstance(step, int) and self.node.calls.all.current is not None:
                said.append(f"m{len(said)}")
                self.node.say(said[-1])
        self.node.end_of_input()
        self.net.wait(END_WAIT + EXIT_WAIT + 1, 0.5)
        sent = {one.text for one in self.told(Sent)}
        lost = [one.text for one in self.told(Undelivered)]
        kept = self.kept() if self.keyed else []
        self.assertEqual(sent | set(lost) | set(kept), set(said))
        self.assertEqual(len(lost), len(set(lost)))
        self.assertEqual(self.codes, [0])


class Quitting(Both):
    """Leaving a conversation, and the program."""

    def test_quit_sends_a_farewell(self) -> None:
        bob = self.calls("bob")
        self.node.quit()
        self.net.wait(1)
        self.assertTrue(bob.left)

    def test_quit_ends_only_the_current_of_two_conversations(self) -> None:
        bob, carol = self.calls("bob"), self.calls("carol")
        self.node.quit()
        self.net.wait(10, 1)
        self.assertEqual((bob.left, carol.left, self.codes), (True, False, []))
        self.assertIn(Notice("other conversations: carol (/switch)"), self.events)

    def test_outside_a_conversation_the_program_ends(self) -> None:
        self.node.quit()
        self.assertEqual((self.codes, self.events[-1]), ([0], Exited(0)))

    def test_all_peers_get_a_farewell_before_the_end(self) -> None:
        others = [self.calls("bob"), self.calls("carol")]
        self.node.stop(3)
        self.net.wait(EXIT_WAIT + 0.1)
        self.assertEqual([one.left for one in others], [True, True])
        self.assertEqual(self.codes, [3])
        self.node.stop()
        self.node.end_of_input()
        self.net.wait(30, 1)
        self.assertEqual(self.codes, [3])

    def test_farewell_of_the_peer_is_shown(self) -> None:
        self.calls("bob").leaves()
        self.net.wait(1)
        self.assertEqual(self.told(Bye), [Bye("bob", None, Reason.PEER_LEFT)])
        self.assertEqual(len(self.node.calls.all), 0)


class EndOfInput(Both):
    """End of input."""

    def test_end_of_input_ends_the_idle_program_at_once(self) -> None:
        self.node.end_of_input()
        self.assertEqual(self.codes, [0])

    def test_end_of_input_waits_for_delivery(self) -> None:
        self.node.chat(BOB)
        for text in WORDS:
            self.node.say(text)
        self.node.end_of_input()
        self.net.wait(2)
        bob = self.dials()
        self.net.wait(DEFAULTS.farewell_wait + EXIT_WAIT + 1)
        self.assertEqual((bob.texts, bob.left), (list(WORDS), True))
        self.assertEqual((self.codes, self.told(Undelivered)), ([0], []))

    def test_or_reported_within_its_time(self) -> None:
        self.node.chat(BOB)
        for text in WORDS:
            self.node.say(text)
        self.node.end_of_input()
        self.net.wait(END_WAIT - 0.1)
        self.assertEqual((self.told(Undelivered), self.codes), ([], []))
        self.net.wait(0.2)
        self.assertEqual([lost.text for lost in self.told(Undelivered)], list(WORDS))
        self.assertEqual(self.codes, [0])

    def test_a_call_in_vain_is_not_waited_for(self) -> None:
        self.node.chat(BOB)
        self.node.say("one")
        self.node.end_of_input()
        self.net.refuse()
        self.net.wait(1)
        self.assertEqual([lost.text for lost in self.told(Undelivered)], ["one"])
        self.assertEqual(self.codes, [0])

    def test_end_of_input_does_not_wait_for_a_peer_that_does_not_read(self) -> None:
        bob = self.calls("bob")
        self.stop_reading(bob)
        for text in WORDS:
            self.node.say(text)
        self.node.end_of_input()
        self.net.wait(END_WAIT + DEFAULTS.farewell_wait + 0.2)
        bob.wire.ends()
        self.net.wait(EXIT_WAIT)
        self.assertEqual(self.codes, [0])
        self.assertEqual(self.told(Delivered), [])


class Mistakes(Both):
    """Impossible commands, each with one sentence."""

    def test_each_with_its_command(self) -> None:
        for ask, command, words in (
            (lambda: self.node.say("hello"), "say", "you are in no conversation"),
            (lambda: self.node.msg("hello", "dora"), "msg", 'no conversation with "dora"'),
            (lambda: self.node.switch("dora"), "switch", 'no conversation with "dora"'),
            (lambda: self.node.accept(), "accept", "nobody is calling"),
            (lambda: self.node.decline("dora"), "decline", '"dora" is not calling'),
            (lambda: self.node.mode("half"), "mode", "you are in no conversation"),
            (lambda: self.node.over(), "over", "you are in no conversation"),
            (lambda: self.node.chat("", "latin"), "chat", 'no dialect "latin": choose one of'),
            (lambda: self.node.chat(), "chat", "no peer to call"),
            (lambda: self.node.chat("dora"), "chat", 'no address of "dora" is known'),
            (lambda: self.node.chat("127.0.0.1:5001"), "chat", "that is your own address"),
            (lambda: self.node.chat("here:there"), "chat", "port"),
            (lambda: self.node.register(), "register", "no server is used"),
            (lambda: self.node.info(), "info", "no server is used"),
            (lambda: self.node.bridge(), "bridge", "no server is used"),
        ):
            self.begin()
            ask()
            [failed] = self.told(Failed)
            self.assertEqual(failed.command, command)
            self.assertIn(words, failed.text)
            self.assertNotIn("\n", failed.text)
            self.assertEqual(self.net.dialled, 0)


class Orders(Both):
    """Each order goes to the conversation that is meant."""

    def two(self) -> tuple[Other, Other]:
        """Bob and Carol have called and were taken; Carol is the current one."""
        self.begin(answer="none")
        others = []
        for name in ("bob", "carol"):
            others.append(self.calls(name))
            self.node.accept(name)
            self.net.wait(1)
            others[-1].says("hello")
        self.events.clear()
        return others[0], others[1]

    def test_text_goes_to_the_current_or_named_conversation(self) -> None:
        bob, carol = self.two()
        self.node.say("hello")
        self.node.msg("and you", "bob")
        self.net.wait(1)
        sent = {(one.text, one.to) for one in self.told(Sent)}
        self.assertEqual(sent, {("hello", "carol"), ("and you", "bob")})
        self.assertEqual((bob.texts, carol.texts), (["and you"], ["hello"]))

    def test_another_one_becomes_the_current_one(self) -> None:
        bob, carol = self.two()
        self.node.switch("bob")
        [changed] = self.told(SessionChanged)
        self.assertEqual((changed.id, changed.current), ("bob", True))
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual((bob.texts, carol.texts), (["hello"], []))

    def test_call_to_an_open_conversation_makes_it_current(self) -> None:
        bob, carol = self.two()
        self.node.chat("bob")
        self.assertEqual(self.net.dialled, 0)
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual((bob.texts, carol.texts), (["hello"], []))

    def test_a_ringing_call_is_taken_by_a_call_back(self) -> None:
        self.begin(answer="none")
        bob = self.calls("bob")
        self.node.chat("bob")
        self.net.wait(1)
        self.assertEqual(self.net.dialled, 0)
        bob.says("your turn")
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual(bob.texts, ["hello"])

    def test_leave_ends_the_current_conversation_or_reports_none(self) -> None:
        bob, carol = self.two()
        self.node.quit()
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual((carol.left, bob.texts), (True, []))
        self.assertIn("you are in no conversation", self.told(Failed)[0].text)


KeyedCalled, PlainCalled = in_both_modes(Called)
KeyedWaiting, PlainWaiting = in_both_modes(Waiting)
KeyedQuitting, PlainQuitting = in_both_modes(Quitting)
KeyedEndOfInput, PlainEndOfInput = in_both_modes(EndOfInput)
KeyedMistakes, PlainMistakes = in_both_modes(Mistakes)
KeyedOrders, PlainOrders = in_both_modes(Orders)
