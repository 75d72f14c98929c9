"""IRC clients of a program with --plain: names are only claims, and no nickname is kept."""

from __future__ import annotations

from tests.client.plain_program import BOB, Case
from tests.ui.irc.ends import IrcClient, face_of


class PlainTests(Case):
    def test_a_caller_in_plain_text_has_its_id(self) -> None:
        irc = IrcClient(face_of(self.node.client))
        irc.read()
        self.called("bob")
        self.net.wait(1)
        self.assertIn(
            ":bob!bob@chat NOTICE alice :talking with bob (open)", irc.asks("PRIVMSG *chat accept")
        )

    def test_an_address_is_called(self) -> None:
        irc = IrcClient(face_of(self.node.client))
        irc.read()
        irc.say(f"PRIVMSG *chat :chat {BOB}")
        self.net.accept()
        told = irc.asks("PRIVMSG 127.0.0.1_5002 :hi")
        self.assertTrue(any("talking with 127.0.0.1:5002" in line for line in told), told)


class OpenTests(Case):
    def test_without_plain_such_a_caller_is_never_a_bare_id(self) -> None:
        self.begin(plain=False, open=True)
        irc = IrcClient(face_of(self.node.client))
        irc.read()
        self.called("bob")
        self.net.wait(1)
        told = irc.asks("PRIVMSG *chat accept")
        self.assertTrue(any(line.startswith(":bob_open!bob@chat NOTICE") for line in told), told)
