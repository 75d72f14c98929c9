"""The bell rings for calls, private messages and one's own name, and not too often."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Event, IncomingCallEvent, MessageReceived
from chatproto.ui.screen.attention import BETWEEN, Attention
from chatproto.ui.screen.bell import bell
from chatproto.ui.screen.folding import ASK, folded, question
from chatproto.ui.screen.glyphs import UNICODE


class AttentionTests(SynchronousTestCase):
    """Events that ring."""

    def rings(self, event: Event) -> str | None:
        return Attention("alice", on=True).heard(event, 0.0)

    def test_call_private_message_and_own_name_ring(self) -> None:
        self.assertEqual(self.rings(IncomingCallEvent("bob", "127.0.0.1", 1)), "bob calls")
        self.assertEqual(self.rings(MessageReceived("bob", "hi")), "bob: hi")
        told = MessageReceived("bob", "Alice, tea?", room="#tea")
        self.assertEqual(self.rings(told), "#tea bob: Alice, tea?")

    def test_others_and_the_past_do_not_ring(self) -> None:
        for text in ("tea?", "malice", "alice-2 is here", "mr.alice"):
            self.assertIsNone(self.rings(MessageReceived("bob", text, room="#tea")), text)
        self.assertIsNone(self.rings(MessageReceived("bob", "hi", history=True)))

    def test_bell_rings_once_in_a_while(self) -> None:
        attention = Attention("alice", on=True)
        hi = MessageReceived("bob", "hi")
        self.assertIsNotNone(attention.heard(hi, 0.0))
        self.assertIsNone(attention.heard(hi, BETWEEN - 0.1))
        self.assertIsNotNone(attention.heard(hi, BETWEEN))

    def test_bell_can_be_off(self) -> None:
        self.assertIsNone(Attention("alice", on=False).heard(MessageReceived("bob", "hi"), 0.0))

    def test_notification_is_legible_and_left_out_where_it_would_be_printed(self) -> None:
        text = self.rings(MessageReceived("bob", "a\x1b\\\a\nb"))
        assert text is not None
        self.assertTrue(text.isprintable())
        self.assertEqual(bell("hi", "xterm"), "\a\x1b]9;hi\x1b\\")
        self.assertEqual(bell("hi", "linux"), "\a")


class FoldingTests(SynchronousTestCase):
    """Long pastes."""

    def test_many_lines_are_asked_about(self) -> None:
        self.assertEqual(question("\n".join("x" * ASK)), "")
        self.assertEqual(
            question("line\n" * 200), "send 200 lines as one message? Enter sends, Esc takes back"
        )

    def test_many_lines_are_shown_folded(self) -> None:
        self.assertEqual(folded(["x"] * ASK, UNICODE), ["x"] * ASK)
        self.assertEqual(folded(list("abcdefgh"), UNICODE), ["a", "b", "c", "… 5 more lines"])
