"""Test the question for a password that the server has refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.client_options import Options
from chatproto.cli.client_program import ask_password_again
from chatproto.client.context import Signal
from chatproto.client.events import Event, Failed, Notice
from chatproto.wire.reasons import Reason


class PasswordAgainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[str] = []
        self.asked: list[str] = []
        self.publish: Signal[Event] = Signal()
        self.publish.listen(self._hear)
        client: Any = SimpleNamespace(context=SimpleNamespace(publish=self.publish))
        options = Options()
        options["user"] = "ann"
        ask_password_again(client, options, lambda sentence, got: self.asked.append(sentence))

    def _hear(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.told.append(event.text)

    def test_delayed_login_does_not_ask_for_a_password(self) -> None:
        put_off = Notice("too many tries to log in, retrying", code=Reason.RATE_LIMITED)
        self.publish(put_off)
        self.assertEqual(self.told, [put_off.text])  # none was asked for before
        self.publish(
            Failed("wrong password", status=403, command="register", code=Reason.LOGIN_REFUSED)
        )
        self.assertEqual(self.asked, ["type the password of ann again"])
        self.publish(put_off)
        self.assertIn("what you type is shown", self.told[-1])
        self.publish(put_off)
        self.assertEqual(len(self.told), 4)
