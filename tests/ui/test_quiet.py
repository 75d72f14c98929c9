"""`--ui none`: what is printed all the same."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import (
    CommandOutput,
    Failed,
    MessageReceived,
    Notice,
    Registered,
    Running,
)
from chatproto.net.clock import Wall
from chatproto.ui.quiet import QuietInterface
from chatproto.wire.reasons import Reason


class QuietTests(SynchronousTestCase):
    def test_prints_how_the_program_stands_and_no_message(self) -> None:
        lines: list[str] = []
        ui = QuietInterface(lines.append, lambda: Wall(0))
        ui.start()
        for event in (
            Running("alice", "192.0.2.1", 5000),
            Registered("192.0.2.9:5555"),
            Notice("the server is gone"),
            Failed("the log is full", code=Reason.INTERNAL),
            Notice("message 1 is queued for bob", "bob", 1),
            MessageReceived("bob", "secret"),
            CommandOutput("who", ("bob",)),
        ):
            ui.tell(event)
        ui.stop()
        self.assertEqual(
            lines,
            [
                "alice running on 192.0.2.1:5000",
                "* registered with 192.0.2.9:5555",
                "* the server is gone",
                "* the log is full",
            ],
        )
