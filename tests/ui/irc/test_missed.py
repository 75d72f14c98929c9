"""Messages that are kept while no IRC client is there."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import MessageReceived
from chatproto.ui.irc.past import CHARACTERS, MOST, MissedMessages


class MissedTests(SynchronousTestCase):
    def kept(self, *texts: str) -> list[str]:
        missed = MissedMessages()
        for text in texts:
            missed.add(MessageReceived("bob", text))
        found = [one.text for one in missed.take()]
        self.assertEqual(missed.take(), ())
        return found

    def test_the_oldest_go_first(self) -> None:
        texts = [str(number) for number in range(MOST + 5)]
        self.assertEqual(self.kept(*texts), texts[5:])

    def test_texts_of_missed_messages_are_bounded(self) -> None:
        part = CHARACTERS // 4
        self.assertEqual(len(self.kept(*("x" * part for _ in range(10)))), 4)
        self.assertEqual(self.kept("a", "x" * (CHARACTERS + 1)), ["x" * (CHARACTERS + 1)])
