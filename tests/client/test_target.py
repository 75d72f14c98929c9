"""A line goes where the person was last told that it goes, or nowhere."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import (
    CommandOutput,
    Event,
    Failed,
    MessageReceived,
    Notice,
    Sent,
    Undelivered,
)
from chatproto.client.outbox import LISTED
from chatproto.client.targets import TAKEOVER, Target
from chatproto.net.clock import EPOCH
from chatproto.net.dates import date_of
from chatproto.session.state import SessionState
from chatproto.ui.commands import TypedText, run_for
from chatproto.ui.control import for_others
from chatproto.ui.view import json_object, plain_lines
from chatproto.wire.actions import split_mark
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_peer import Msg
from chatproto.wire.reasons import FILE_NEEDS_CONVERSATION, Reason
from tests.client.keyed_program import BOB, Case
from tests.client.rooms import room_ends
from tests.client.tls_net import AT, DATE, FarPerson
from tests.limits import DEFAULTS
from tests.stores.memory_ledger import MemoryLedger


class QueueTests(Case):
    """Contact with a pinned key that is away."""

    def test_line_after_a_failed_call_is_queued(self) -> None:
        self.node.chat("bob")
        self.net.wait(1)
        self.assertEqual(self.lines()[-1], "* what you type is queued for bob, who is away")
        self.node.say("hello")
        (notice,) = self.told(Notice)
        self.assertEqual((notice.to, notice.id), ("bob", 1))
        self.assertEqual(self.kept(), ["hello"])
        self.assertEqual(self.told(Undelivered), [])

    def test_file_for_an_away_contact_is_refused(self) -> None:
        self.node.chat("bob")
        self.net.wait(1)
        for to in ("", "bob"):
            self.events.clear()
            self.node.send([str(self.home)], to)
            (failed,) = self.told(Failed)
            self.assertEqual(failed.text, FILE_NEEDS_CONVERSATION(peer="bob"))

    def lines(self) -> list[str]:
        return [line for event in self.events for line in plain_lines(event, EPOCH)]

    def test_queued_line_is_sent_when_the_contact_is_back(self) -> None:
        self.node.chat("bob")
        self.net.wait(1)
        self.node.say("one")
        bob = self.called("bob")
        self.node.say("two")
        self.net.wait(1)
        self.assertEqual(bob.texts, ["one", "two"])
        self.assertIn("* talking with bob (encrypted, same network)", self.lines())
        self.node.quit()
        self.assertIsNone(self.node.calls.all.target)

    def test_switch_to_an_away_contact(self) -> None:
        carol = self.called("carol")
        self.node.switch("bob")
        self.node.say("for bob")
        self.net.wait(1)
        self.assertEqual((carol.texts, self.kept()), ([], ["for bob"]))
        self.assertEqual(
            self.lines()[-2:],
            [
                "* what you type is queued for bob, who is away",
                "* message 1 is queued for bob (/unsend 1 bob to cancel)",
            ],
        )
        self.node.switch("carol")
        self.node.say("for carol")
        self.net.wait(1)
        self.assertEqual(carol.texts, ["for carol"])
        self.node.switch("eve")
        self.assertIn('no conversation with "eve"', self.texts(Failed)[-1])

    def test_a_refused_call_queues_nothing(self) -> None:
        for status in (603, 403):
            self.begin()
            self.node.chat(BOB)
            bob = self.person(takes=False)
            bob.tell(Error(status, about="CHAT"))
            self.net.wait(1)
            self.node.say("hello?")
            self.assertIn("not sent: the conversation", self.texts(Failed)[-1])
            self.assertEqual(self.kept(), [])

    def test_a_call_that_was_given_up_queues_nothing(self) -> None:
        self.node.chat(BOB)
        self.node.quit()
        self.node.say("hello?")
        self.assertIn("in no conversation", self.texts(Failed)[-1])
        self.assertEqual(self.kept(), [])

    def test_quit_ends_the_program_if_the_target_is_away(self) -> None:
        self.node.switch("bob")
        self.node.quit()
        self.net.wait(1)
        self.assertEqual(self.codes, [0])

    def test_typed_quit_leaves_an_away_contact_first(self) -> None:
        self.begin(typed=True)
        carol = self.called("carol")
        self.node.switch("bob")
        self.node.say("for bob")
        for still in (" (still open: carol)", ""):
            self.node.switch("bob")
            self.node.quit()
            self.net.wait(1)
            self.assertEqual((self.codes, self.node.conversations.target), ([], None))
            self.assertEqual(
                self.lines()[-2:],
                [
                    "* what you type is not queued for bob any more (/outbox lists what is queued)",
                    f"* /quit once more ends the program{still}",
                ],
            )
            carol.leaves()
        self.node.quit()
        self.net.wait(1)
        self.assertEqual(self.codes, [0])
        self.assertEqual(
            self.lines()[-1], "* 1 message is queued for bob until both of you are online"
        )

    def test_leave_clears_an_away_target(self) -> None:
        for who in ("", "bob"):
            self.node.switch("bob")
            self.node.leave(who)
            self.assertIsNone(self.node.conversations.target)
        self.node.leave("bob")
        self.assertIn('no conversation with "bob"', self.texts(Failed)[-1])


class OutboxTests(Case):
    """List and read queued messages while the contact is away."""

    def shown(self) -> CommandOutput:
        answer = self.told(CommandOutput)[-1]
        assert isinstance(answer, CommandOutput)
        return answer

    def test_outbox_lists_queued_messages_with_their_dates(self) -> None:
        self.node.outbox()
        self.assertEqual(self.shown().lines, ("no messages are queued",))
        self.node.msg("for bob", "bob")
        self.node.msg("for carol", "carol")
        self.node.outbox()
        first, second = self.shown().data["messages"]
        self.assertEqual((first["to"], first["id"], first["text"]), ("bob", 1, "for bob"))
        self.assertEqual(second["text"], "for carol")
        self.assertEqual(first["said"], date_of(self.node.now()))
        self.assertRegex(self.shown().lines[0], r"\A1 to bob \(\d\d:\d\d\): for bob\Z")
        self.node.unsend("1", "bob")
        self.node.outbox()
        self.assertEqual(len(self.shown().data["messages"]), 1)

    def test_a_long_list_is_cut_and_says_so(self) -> None:
        for _ in range(6):
            self.node.msg("x" * 60_000, "bob")
        self.node.outbox()
        self.assertEqual(len(self.shown().data["messages"]), LISTED // 60_000)
        self.assertEqual(self.shown().data["more"], 6 - LISTED // 60_000)

    def test_outbox_lists_messages_of_an_unanswered_call(self) -> None:
        self.node.chat(BOB)
        self.node.say("hello")
        self.node.outbox()
        self.assertEqual(self.shown().data["messages"], [{"to": BOB, "text": "hello"}])

    def test_history_of_an_away_contact_is_shown(self) -> None:
        bob = self.called("bob")
        bob.says("hi alice")
        self.net.wait(1)
        bob.leaves()
        self.net.wait(1)
        for show in (lambda: self.node.history("20", "bob"), lambda: self.node.history()):
            self.events.clear()
            show()
            (message,) = self.told(MessageReceived)
            self.assertEqual((message.text, message.history), ("hi alice", True))
            self.assertEqual(date_of(message.said), DATE)
            self.node.switch("bob")
        self.node.history("20", "eve")
        self.assertIn('no messages with "eve" are kept', self.texts(Failed)[-1])


class EndedTests(Case):
    """The target ends while the person types."""

    def setUp(self) -> None:
        super().setUp()
        self.node.calls.all.typed = True

    def test_line_after_a_peer_left_goes_to_no_other(self) -> None:
        bob = self.called("bob")
        bob.leaves()
        self.net.wait(1)
        carol = self.called("carol")
        self.node.say("my secret, bob")
        self.net.wait(1)
        self.assertEqual(carol.texts, [])
        self.assertIn("not sent: the conversation with bob has ended", self.texts(Failed)[-1])
        self.node.switch("carol")
        self.node.say("hello carol")
        self.net.wait(1)
        self.assertEqual(carol.texts, ["hello carol"])

    def test_later_caller_becomes_the_target(self) -> None:
        self.called("bob").leaves()
        self.net.wait(TAKEOVER + 1)
        carol = self.called("carol")
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual(carol.texts, ["hello"])

    def test_pipe_input_goes_to_the_next_caller(self) -> None:
        self.node.calls.all.typed = False
        self.called("bob").leaves()
        self.net.wait(1)
        carol = self.called("carol")
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual(carol.texts, ["hello"])


class MeantTests(Case):
    """A line goes to the target that it was typed for, or is refused with one sentence."""

    def setUp(self) -> None:
        super().setUp()
        self.node.calls.all.typed = True

    def enter(self, meant: Target, line: str) -> str:
        """Type `line` for `meant`; the sentence if it is refused because of that."""
        shown = run_for(meant, line, self.node.client)
        self.net.wait(1)
        if isinstance(shown, Failed):
            self.assertIs(shown.code, Reason.TARGET_CHANGED)
            return shown.text
        return ""

    def test_a_line_for_the_target_is_sent(self) -> None:
        bob = self.called("bob")
        self.assertEqual(self.enter(self.node.target, "hello"), "")
        self.assertEqual(bob.texts, ["hello"])

    def test_a_line_for_another_than_the_target_is_refused(self) -> None:
        bob, meant = self.called("bob"), self.node.target
        carol = self.called("carol")
        self.node.switch("carol")
        self.assertEqual(
            self.enter(meant, "hello"),
            "not sent: typed for bob, and what you type goes to carol now. Enter sends it there",
        )
        self.assertEqual((bob.texts, carol.texts), ([], []))
        self.enter(self.node.target, "hello")
        self.assertEqual((bob.texts, carol.texts), ([], ["hello"]))

    def test_line_for_an_ended_target_is_refused(self) -> None:
        bob, meant = self.called("bob"), self.node.target
        bob.leaves()
        self.net.wait(1)
        why = "not sent: the conversation with bob has ended (/chat bob calls again)"
        self.assertEqual(self.enter(meant, "hello"), why)
        self.assertEqual(self.enter(meant, "/quit"), why)
        self.assertEqual(self.codes, [])

    def test_line_typed_without_target_does_not_go_to_a_new_caller(self) -> None:
        meant = self.node.target
        bob = self.called("bob")
        self.assertEqual(
            self.enter(meant, "hello"),
            "not sent: what you type goes to bob now, Enter sends it there",
        )
        self.assertEqual(bob.texts, [])

    def test_line_for_a_failed_call_is_queued(self) -> None:
        self.node.chat("bob")
        meant = self.node.target
        self.net.wait(1)
        self.assertEqual(self.enter(meant, "hello"), "")
        self.assertEqual(self.kept(), ["hello"])

    def test_a_command_that_names_a_recipient_is_carried_out(self) -> None:
        bob, meant = self.called("bob"), self.node.target
        self.called("carol")
        self.node.switch("carol")
        self.assertEqual(self.enter(meant, "/msg @bob hello"), "")
        self.assertEqual(bob.texts, ["hello"])
        self.assertNotEqual(self.enter(meant, "/msg hello"), "")
        self.assertEqual(self.enter(meant, "/who"), "")

    def test_a_pasted_text_is_no_command(self) -> None:
        bob = self.called("bob")
        run_for(self.node.target, TypedText("/quit\n/quit"), self.node.client)
        self.net.wait(1)
        self.assertEqual(bob.texts, ["/quit\n/quit"])


class ActionTests(Case):
    """/me is a MSG with a kind."""

    def test_action_is_sent_queued_logged_and_shown(self) -> None:
        bob = self.called("bob")
        self.node.messages.me("waves")
        bob.tell(Msg(1, AT, "nods", "action"))
        self.net.wait(1)
        (sent,) = bob.heard(Msg)
        self.assertEqual((sent.text, sent.kind), ("waves", "action"))
        (heard,) = self.told(MessageReceived)
        self.assertEqual(plain_lines(heard, EPOCH), ["bob> * nods"])
        shown = json_object(heard, EPOCH)
        self.assertEqual((shown["text"], shown["kind"]), ("nods", "action"))
        bob.leaves()
        self.net.wait(1)
        self.node.switch("bob")
        self.node.messages.me("waits")
        self.node.outbox()
        answer = self.told(CommandOutput)[-1]
        (row,) = answer.data["messages"]
        self.assertEqual((row["text"], row["kind"]), ("waits", "action"))
        self.assertIn("to bob", answer.lines[0])
        self.assertIn(": * waits", answer.lines[0])
        said = [split_mark(one.text) for one in self.node.messages.last(self.node.target, 5)]
        self.assertEqual([text for text, _ in said], ["waves", "nods", "waits"])
        self.assertEqual({kind for _, kind in said}, {"action"})


class LastTests(Case):
    """The latest messages with the target, from the own log."""

    def test_history_has_both_sides_with_dates_and_outcomes(self) -> None:
        bob = self.called("bob")
        target = self.node.target
        bob.says("hi alice")
        self.node.say("hi bob")
        self.net.wait(1)
        bob.leaves()
        self.net.wait(1)
        self.node.switch("bob")
        self.node.say("for later")
        self.events.clear()
        for one in (target, self.node.target):
            theirs, ours, waiting = self.node.messages.last(one, 10)
            self.assertEqual((theirs.from_, theirs.text), ("bob", "hi alice"))
            self.assertEqual((date_of(theirs.said), theirs.state), (DATE, None))
            self.assertEqual((ours.from_, ours.to, ours.text), ("alice", "bob", "hi bob"))
            self.assertEqual(ours.state, "delivered")
            self.assertEqual((waiting.text, waiting.state), ("for later", "waiting"))
        self.assertEqual(self.events, [])
        self.assertEqual([one.text for one in self.node.messages.last(target, 1)], ["for later"])

    def test_never_more_than_the_limit(self) -> None:
        self.begin(limits=replace(DEFAULTS, history_lines=2))
        for number in range(3):
            self.node.msg(f"line {number}", "bob")
        self.node.switch("bob")
        shown = self.node.messages.last(self.node.target, 10**6)
        self.assertEqual([one.text for one in shown], ["line 1", "line 2"])

    def test_no_history_without_a_target_or_key(self) -> None:
        self.assertEqual(self.node.messages.last(None, 5), ())
        self.node.chat(BOB)
        self.assertEqual(self.node.messages.last(self.node.target, 5), ())


class SaidTests(Case):
    """Everything that moves the target is told."""

    def now(self) -> str:
        lines = [line for event in self.events for line in plain_lines(event, EPOCH)]
        return next(line for line in reversed(lines) if line.startswith("* what you type"))

    def test_accept_changes_the_target_with_a_notice(self) -> None:
        self.called("bob")
        self.called("eve")
        self.node.accept("eve")
        self.assertEqual(self.now(), "* what you type goes to eve? now")

    def test_call_changes_the_target_with_a_notice(self) -> None:
        self.called("carol")
        self.node.chat(BOB)
        self.assertEqual(self.now(), f"* what you type goes to {BOB} now")

    def test_the_first_target_needs_no_such_line(self) -> None:
        self.called("bob")
        with self.assertRaises(StopIteration):
            self.now()

    def test_a_script_moves_only_its_own(self) -> None:
        bob = self.called("bob")
        self.called("carol")
        state = ActiveTarget(self.node.calls.all)
        state.run(lambda: self.node.switch("carol"))
        self.node.say("to bob")
        self.net.wait(1)
        self.assertEqual(bob.texts, ["to bob"])

    def test_a_call_of_a_script_that_becomes_another_conversation_moves_nothing(self) -> None:
        carol = self.called("carol")
        bob = self.called("bob")
        state = ActiveTarget(self.node.calls.all)
        state.run(lambda: self.node.chat(BOB))
        self.person("bob")
        self.node.say("to carol")
        state.run(lambda: self.node.say("to bob"))
        self.net.wait(1)
        self.assertEqual((carol.texts, bob.texts), (["to carol"], ["to bob"]))


class RoomTests(room_ends.Case):
    def test_join_reports_the_new_target(self) -> None:
        self.alice.joins("#den")
        self.alice.joins("#tea")
        self.assertEqual(self.alice.changes(), ["joined", "current", "joined"])

    def test_a_line_typed_for_a_room_that_put_us_out_is_not_sent(self) -> None:
        self.both_join()
        meant = self.bob.node.target
        self.alice.node.in_room.kick("bob")
        self.hall.settle()
        shown = run_for(meant, "hello?", self.bob.node.client)
        self.assertEqual(
            getattr(shown, "text", ""),
            "not sent: you are no longer in #den (/join #den enters it again)",
        )

    def test_an_action_is_one_at_all_members_in_history_and_in_the_log(self) -> None:
        carol = self.hall.person("carol", ledger=MemoryLedger())
        for one in (self.bob, carol):
            one.joins()
            one.events.clear()
        self.bob.node.messages.me("waves")
        self.hall.settle()
        carol.node.history("5")
        self.hall.settle()
        for event in (*self.bob.told(Sent), *carol.told(MessageReceived)):
            shown = json_object(event, EPOCH)
            self.assertEqual((shown["text"], shown["kind"]), ("waves", "action"))
        self.assertEqual(len(carol.told(MessageReceived)), 2)
        (kept,) = carol.node.messages.last(carol.node.target, 5)
        self.assertEqual(plain_lines(replace(kept, history=None), EPOCH), ["#den bob> * waves"])

    def test_room_history_comes_from_our_log(self) -> None:
        carol = self.hall.person("carol", ledger=MemoryLedger())
        carol.joins()
        self.bob.joins()
        self.bob.node.say("hi carol")
        carol.node.say("hi bob")
        self.hall.settle()
        found = carol.node.messages.last(carol.node.target, 10)
        self.assertEqual(
            [(one.room, one.from_, one.text) for one in found],
            [("#den", "bob", "hi carol"), ("#den", "carol", "hi bob")],
        )

    def test_a_line_for_a_room_that_put_us_out_is_refused(self) -> None:
        self.both_join()
        self.alice.node.in_room.kick("bob")
        self.hall.settle()
        self.bob.node.say("hello?")
        self.assertIn("not sent: you are no longer in #den", self.bob.failures()[-1])


NAMES = ("bob", "carol", "eve")
STEP = st.tuples(
    st.sampled_from(["calls", "leaves", "breaks", "accept", "switch", "chat", "quit", "script"]),
    st.sampled_from(NAMES),
)


class Screen:
    """Screen, and the recipient of the next line according to it."""

    SHOWN = re.compile(
        r"\* (?:talking with (\S+) \([^)]*\)|what you type goes to (\S+) now"
        r"|what you type is queued for (\S+), who is away|calling (\S+?)(?: .*)?)"
    )
    OVER = re.compile(
        r"\* (?:(\S+) left.*|the conversation with (\S+) has ended.*|no conversation with (\S+) \(.*)"
    )

    def __init__(self) -> None:
        self.target = ""

    def see(self, event: Event | None) -> None:
        for line in plain_lines(event, EPOCH) if event is not None else []:
            if found := self.SHOWN.fullmatch(line):
                self.target = next(filter(None, found.groups())).rstrip("?")
            elif found := self.OVER.fullmatch(line):
                gone = next(filter(None, found.groups())).rstrip("?")
                self.target = "" if gone == self.target else self.target


class PropertyTests(Case):
    @settings(max_examples=40, deadline=None)
    @given(st.lists(STEP, max_size=12), st.booleans())
    def test_every_line_goes_to_the_target_shown_last(
        self, steps: list[tuple[str, str]], typed: bool
    ) -> None:
        self.begin()
        self.node.calls.all.typed = typed
        screen = Screen()
        scripts = [False]
        self.node.publish.listen(
            lambda event: screen.see(for_others(event) if scripts[0] else event)
        )
        state = ActiveTarget(self.node.calls.all)
        there: dict[str, FarPerson] = {}
        for number, (step, name) in enumerate(steps):
            open_ones = [one for one in self.node.calls.all if one.state is SessionState.OPEN]
            match step:
                case "calls" if name not in there or there[name].over:
                    there[name] = self.called(name)
                case "leaves" if name in there and not there[name].over:
                    there[name].leaves()
                case "breaks" if name in there and not there[name].over:
                    there[name].cut()
                case "accept" | "switch" | "chat" | "quit" if open_ones or step != "quit":
                    do = getattr(self.node, step)
                    do() if step == "quit" else do(name)
                case "script":
                    scripts[0] = True
                    state.run(partial(self.node.switch, name))
                    scripts[0] = False
            shown, text = screen.target, f"line {number}"
            self.node.say(text)
            self.net.wait(0.5)
            heard = [one for one, far in there.items() if text in far.texts]
            self.assertIn(heard, ([], [shown]), (steps, number, shown))
