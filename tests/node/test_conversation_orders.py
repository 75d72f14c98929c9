"""What is said to people and asked of conversations: what waits, what goes where, what cannot be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatproto.node.events import (
    Failed,
    Notice,
    Sent,
    SessionChanged,
    Undelivered,
)
from chatproto.wire.limits import DEFAULTS
from tests.net import Wire
from tests.node.plain_program import BOB, Case


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


class OrdersTests(Case):
    """What goes to the conversation that is meant."""

    def two(self) -> None:
        """Bob and Carol have called and were taken; Carol is the current one."""
        self.begin(answer="none")
        for name, port in (("bob", 5003), ("carol", 5004)):
            self.called(name, port).says(b"hello\r\n")
            self.node.accept(name)
        self.events.clear()

    def test_what_is_said_goes_to_the_current_one_or_to_the_named_one(self) -> None:
        self.two()
        self.node.say("hello")
        self.node.msg("and you", "bob")
        self.net.wait(1)
        sent = {(one.text, one.to) for one in self.told(Sent)}
        self.assertEqual(sent, {("hello", "carol"), ("and you", "bob")})

    def test_another_one_becomes_the_current_one(self) -> None:
        self.two()
        self.node.switch("bob")
        [changed] = self.told(SessionChanged)
        self.assertEqual((changed.id, changed.current), ("bob", True))
        self.assertIs(self.node.talk.whom(""), self.node.talk.whom("bob"))

    def test_what_is_said_in_the_open_is_not_taken_back(self) -> None:
        self.two()
        self.node.unsend("1")
        self.assertEqual(self.told(Failed)[0].status, 405)

    def test_nor_are_there_files(self) -> None:
        self.two()
        self.node.send(["/etc/hostname"])
        [failed] = self.told(Failed)
        self.assertIn("has no files", failed.text)

    def test_who_is_ignored_is_taken_up_again_by_the_same_word(self) -> None:
        self.begin(DEFAULTS.with_values(["ignored=1"]))
        for name in ("bob", "carol", "bob", "carol"):
            self.node.ignore(name)
        told = [one.text for one in self.told(Notice)]
        self.assertEqual(told, ["bob is ignored", "bob is no longer ignored", "carol is ignored"])
        self.assertEqual([one.status for one in self.told(Failed)], [413])
        self.assertEqual(self.node.calls.ignored, {"carol"})

    def test_the_current_one_is_left_and_there_may_be_none(self) -> None:
        self.two()
        self.assertTrue(self.node.talk.quit_current())
        self.assertEqual([one.name for one in self.node.calls.all], ["bob"])
        self.assertFalse(self.node.talk.quit_current())
