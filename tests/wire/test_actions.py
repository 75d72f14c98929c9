"""Test how actions (/me) are marked, and shown to who knows none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire.actions import ACTION, MARK, marked, split_mark, spoken
from chatproto.wire.bcp2_peer import Msg
from chatproto.wire.classic import Sender
from chatproto.wire.dialects import CANON, DIALECTS, Me
from chatproto.wire.strict import encode

ALICE = Me("alice", "127.0.0.1", 3000)


class ActionTests(SynchronousTestCase):
    @given(st.text().filter(lambda text: not text.startswith(MARK)))
    def test_text_and_kind_survive(self, text: str) -> None:
        for kind in ("", ACTION):
            self.assertEqual(split_mark(marked(text, kind)), (text, kind))
        self.assertEqual(spoken(text), text)
        self.assertEqual(spoken(marked(text, ACTION)), f"* {text}")

    def test_a_kind_that_is_not_known_is_a_usual_text(self) -> None:
        data = encode(Msg(1, 0.0, "hi", ACTION))
        self.assertIn(b"Kind: action\r\n", data)
        for kind in (b"action", b"dance", b"ACTION"):
            decoder = StrictReceiver(Sender.PEER)
            (message,) = decoder.read(data.replace(b"Kind: action", b"Kind: " + kind))
            assert isinstance(message, Msg)
            shown = "* hi" if kind == b"action" else "hi"
            self.assertEqual(spoken(marked(message.text, message.kind)), shown)

    def test_no_dialect_carries_the_mark(self) -> None:
        text = marked("waves", ACTION)
        self.assertEqual(CANON.frame(ALICE, text, b"\n"), b"* waves\n")
        for row in DIALECTS.values():
            frame = row.frame(ALICE, text, b"")
            self.assertIn(b"* waves", frame, row.name)
            self.assertNotIn(b"\x01", frame, row.name)
