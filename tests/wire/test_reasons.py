"""The codes of ends, failures and refusals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire import reasons
from chatproto.wire.errors import LocalError, RemoteError, StoreTrouble
from chatproto.wire.reasons import Cause, Reason, Sentence, reason_of
from chatproto.wire.statuses import STATUS_WORDS, status_line

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
        self.assertEqual(Cause(Reason.PEER_LEFT), "the peer left")
        self.assertIs(reason_of(lost, Reason.UNREACHABLE), Reason.CONNECTION_LOST)
        self.assertIs(reason_of("why", Reason.UNREACHABLE), Reason.UNREACHABLE)
        refused = RemoteError(403, "no").cause
        self.assertEqual((refused, refused.reason), ("no", Reason.REFUSED))

    def test_every_code_is_given_somewhere(self) -> None:
        sources = "".join(path.read_text() for path in (ROOT / "chatproto").rglob("*.py"))
        for one in Reason:
            if one.status is None:
                self.assertIn(f"Reason.{one.name}", sources)


SENTENCES = {
    **{one.name: one.sentence for one in Reason},
    **{name: one.text for name, one in vars(reasons).items() if isinstance(one, Sentence)},
}
"""Every sentence about an end, a failure or a refusal, by its name; gaps stand in braces."""

LONGEST = 160


class SentenceTests(SynchronousTestCase):
    """The style of docs and screens, as far as a program can check it."""

    def test_each_is_one_line_of_moderate_length(self) -> None:
        for name, sentence in SENTENCES.items():
            self.assertTrue(sentence, name)
            self.assertLessEqual(len(sentence), LONGEST, name)
            self.assertNotIn("\n", sentence, name)
            self.assertEqual(sentence, " ".join(sentence.split()), name)

    def test_each_may_stand_in_brackets_or_before_a_colon(self) -> None:
        for name, sentence in SENTENCES.items():
            self.assertRegex(sentence, r"[A-Za-z0-9)}?\"]\Z", name)
            self.assertFalse(sentence.startswith(" "), name)

    def test_none_has_a_number_of_the_protocol(self) -> None:
        for name, sentence in SENTENCES.items():
            self.assertNotRegex(sentence, r"\b[1-6][0-9][0-9]\b", name)

    def test_none_is_a_chain_of_semicolons_or_a_riddle(self) -> None:
        for name, sentence in SENTENCES.items():
            self.assertNotIn(";", sentence, name)
            self.assertNotRegex(sentence.lower(), r"\b(whoever|somebody|whose key|theirs)\b", name)

    def test_every_use_fills_the_gaps(self) -> None:
        templates = {name: one for name, one in vars(reasons).items() if isinstance(one, Sentence)}
        used = set()
        for path in (ROOT / "chatproto").rglob("*.py"):
            for name, keywords in _uses(ast.parse(path.read_text()), set(templates)):
                used.add(name)
                gaps = {gap for _, gap, _, _ in Formatter().parse(templates[name].text) if gap}
                if keywords is not None:
                    self.assertLessEqual(gaps, keywords, f"{name} in {path.name}")
        self.assertEqual(set(templates) - used, set(), "sentences that nobody gives")

    def test_a_sentence_around_another_keeps_its_code(self) -> None:
        news = Sentence(Reason.REFUSED, "the server {server}: {why}")
        lost = news.around(Cause(Reason.NO_HOST, "gone"), server="x")
        self.assertEqual((lost, lost.reason), ("the server x: gone", Reason.NO_HOST))
        self.assertIs(news.around("gone", server="x").reason, Reason.REFUSED)
        self.assertRaises(KeyError, news, server="x")


def _uses(tree: ast.AST, names: set[str]) -> Iterator[tuple[str, set[str] | None]]:
    """Yield the templates that stand in `tree`, with the gaps that are filled there; None: later."""
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        name, method = _name(node), ""
        if isinstance(node, ast.Attribute) and node.attr == "around":
            name, method = _name(node.value), "around"
        if name not in names:
            continue
        call = called.get(id(node))
        filled = {one.arg for one in call.keywords if one.arg} if call is not None else None
        if filled is not None and method:
            filled.add("why")
        yield name, filled


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else ""
