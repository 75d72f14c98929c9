"""A message that was written and has not arrived: the person hears of it when the connection breaks."""

from __future__ import annotations

from chatproto.client.conversation import ACK_WAIT
from chatproto.client.events import Delivered, Notice, Sent, SessionChanged, Undelivered
from chatproto.client.message_news import EACH
from chatproto.client.outbox import OLD_EVERY
from chatproto.session.delivery import OUTBOX_AGE
from chatproto.wire.bcp2_server import Bridge, Presence
from chatproto.wire.reasons import Reason
from tests.client.keyed_program import BOB_HOST, BOB_PORT, Case, key_of


class WaitingMessageTests(Case):
    def waits(self) -> list[tuple[str, str | int | None]]:
        return [(one.text, one.id) for one in self.told(Notice) if one.to is not None]

    def test_broken_connection_reports_queued_messages_at_once(self) -> None:
        bob = self.talking()
        self.node.say("one")
        self.net.settle()
        bob.deaf = True
        self.node.say("two")
        self.net.settle()
        self.assertEqual(self.waits(), [])
        bob.cut()
        self.net.settle()
        [broken] = [one for one in self.told(SessionChanged) if one.state == "broken"]
        [waits] = self.told(Notice)[-1:]
        self.assertEqual((waits.to, waits.id), ("bob", 2))
        self.assertIn("message 2 is queued for bob", waits.text)
        self.assertLess(self.events.index(broken), self.events.index(waits))

    def test_repeated_message_is_reported_as_sent_once(self) -> None:
        bob = self.talking()
        bob.deaf = True
        self.node.say("one")
        self.net.settle()
        bob.cut()
        self.net.wait(1.0)
        again = self.person()
        self.net.wait(1.0)
        self.assertEqual((again.texts, self.texts(Sent)), (["one"], ["one"]))

    def test_later_messages_do_not_delay_the_queued_notice(self) -> None:
        bob = self.talking()
        bob.deaf = True
        for _ in range(3):
            self.node.say("one")
            self.net.wait(ACK_WAIT * 0.4)
        self.assertEqual([id for _, id in self.waits()], [1, 2, 3])

    def test_many_queued_messages_are_one_line(self) -> None:
        bob = self.talking()
        bob.deaf = True
        for number in range(EACH + 1):
            self.node.say(str(number))
        self.net.settle()
        bob.cut()
        self.net.settle()
        [(text, id)] = self.waits()
        self.assertIn(f"messages 1 to {EACH + 1} are queued for bob", text)
        self.assertIsNone(id)

    def test_silence_is_reported_before_the_connection_times_out(self) -> None:
        bob = self.talking()
        bob.deaf = True
        self.node.say("one")
        self.net.wait(ACK_WAIT - 0.5)
        self.assertEqual(self.waits(), [])
        self.net.wait(1.0)
        [(text, id)] = self.waits()
        self.assertEqual(id, 1)
        self.assertIn("message 1 is queued for bob", text)
        bob.deaf = False
        self.net.settle()
        self.assertEqual([one.id for one in self.told(Delivered)], [1])

    def test_delivered_messages_are_not_reported_as_queued(self) -> None:
        self.talking()
        for number in range(30):
            self.node.say(str(number))
            self.net.wait(1.0)
        self.assertEqual(self.waits(), [])


class AskedAgainTests(Case):
    """The server introduced somebody who has not heard of it."""

    server = True

    def calls(self) -> int:
        return len(self.directory.heard(Bridge))

    def chat(self) -> None:
        self.directory.knows("bob", key_of("bob"), (BOB_HOST, BOB_PORT), call="call1")
        self.node.chat("bob")
        self.net.settle()

    def test_new_introduction_starts_the_call(self) -> None:
        self.chat()
        self.directory.knows("bob", key_of("bob"), ("10.0.0.77", 7777), call="call2")
        self.net.wait(5.5)
        self.assertEqual(self.calls(), 2)
        self.assertIn(("10.0.0.77", 7777), self.net.wanted)

    def test_the_call_ends_with_a_reason_and_few_requests(self) -> None:
        self.chat()
        self.net.wait(120.0, 1.0)
        states = [one.state for one in self.told(SessionChanged)]
        self.assertEqual(states[-1], "closed")
        ended = [one for one in self.told(SessionChanged) if not one.current]
        self.assertTrue(ended[-1].reason)
        self.assertLessEqual(self.calls(), 3)

    def test_call_is_repeated_when_the_peer_comes_online(self) -> None:
        self.chat()
        self.directory.callees["bob"] = 480
        self.net.wait(6.0)
        self.directory.knows("bob", key_of("bob"), ("10.0.0.77", 7777), call="call2")
        self.directory.tell(Presence("bob", "online"))
        self.net.settle()
        self.assertIn(("10.0.0.77", 7777), self.net.wanted)


class OldMessageTests(Case):
    def test_message_expires_after_a_week(self) -> None:
        self.node.msg("hello", "bob")
        self.net.wait(OUTBOX_AGE - OLD_EVERY, OLD_EVERY)
        self.assertEqual(self.kept(), ["hello"])
        self.net.wait(2 * OLD_EVERY, OLD_EVERY)
        [lost] = self.told(Undelivered)
        self.assertEqual((lost.to, lost.text, lost.reason.reason), ("bob", "hello", Reason.EXPIRED))
        self.assertEqual(self.kept(), [])

    def test_a_clock_that_is_set_forward_gives_none_up(self) -> None:
        self.node.msg("hello", "bob")
        self.ahead = 2 * OUTBOX_AGE
        self.net.wait(2 * OLD_EVERY, OLD_EVERY)
        self.assertEqual(self.told(Undelivered), [])
        self.assertEqual(self.kept(), ["hello"])
