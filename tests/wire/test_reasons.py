"""The codes of ends, failures and refusals."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.errors import LocalError, RemoteError, StoreTrouble
from chatproto.wire.reasons import STATUS_WORDS, Cause, Reason, reason_of, status_line

ROOT = Path(__file__).parent.parent.parent


class ReasonTests(SynchronousTestCase):
    def test_a_code_is_words_with_dashes_and_stands_once(self) -> None:
        codes = [one.code for one in Reason]
        self.assertEqual(len(codes), len(set(codes)))
        for code in codes:
            self.assertTrue(re.fullmatch(r"[a-z]+(-[a-z]+)*", code), code)

    def test_no_two_codes_have_one_status(self) -> None:
        self.assertEqual(len(STATUS_WORDS), sum(one.status is not None for one in Reason))

    def test_every_status_has_its_code_and_words(self) -> None:
        for status, words in STATUS_WORDS.items():
            self.assertEqual(Reason.of(status).status, status)
            self.assertEqual(status_line(status), f"{status} {words}")

    def test_an_unknown_status_and_none_are_a_refusal(self) -> None:
        self.assertEqual({Reason.of(499), Reason.of(None)}, {Reason.REFUSED})
        self.assertEqual(status_line(499), "499 error")

    def test_errors_of_messages_have_the_code_of_their_status(self) -> None:
        self.assertIs(RemoteError(413).reason, Reason.TOO_LARGE)
        self.assertIs(StoreTrouble("the disk is full").reason, Reason.UNAVAILABLE)
        self.assertIs(LocalError(429, "", Reason.TOO_MANY).reason, Reason.TOO_MANY)

    def test_a_sentence_keeps_its_code(self) -> None:
        lost = Cause(Reason.CONNECTION_LOST, "it does not answer")
        self.assertEqual((str(lost), lost.reason), ("it does not answer", Reason.CONNECTION_LOST))
        self.assertEqual(Cause(Reason.PEER_LEFT), "they left")
        self.assertIs(reason_of(lost, Reason.UNREACHABLE), Reason.CONNECTION_LOST)
        self.assertIs(reason_of("why", Reason.UNREACHABLE), Reason.UNREACHABLE)
        refused = RemoteError(403, "no").cause
        self.assertEqual((refused, refused.reason), ("no", Reason.REFUSED))

    def test_every_code_is_given_somewhere(self) -> None:
        sources = "".join(path.read_text() for path in (ROOT / "chatproto").rglob("*.py"))
        for one in Reason:
            if one.status is None:
                self.assertIn(f"Reason.{one.name}", sources)
