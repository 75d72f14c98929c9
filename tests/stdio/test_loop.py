"""The loop that a terminal uses before there is a reactor."""

from __future__ import annotations

import asyncio
import os
import tty

from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.loop import LoopReactor
from chatproto.stdio.output import Output


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.reactor = LoopReactor(self.loop)

    def test_a_call_comes_unless_it_is_cancelled(self) -> None:
        came: list[str] = []
        self.reactor.callLater(0, came.append, "one")
        self.reactor.callLater(0, came.append, "two").cancel()
        begun = self.reactor.seconds()
        self.reactor.callLater(0, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(came, ["one"])
        self.assertGreaterEqual(self.reactor.seconds(), begun)

    def test_output_waits_for_a_terminal_that_takes_no_more(self) -> None:
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        output = Output(self.reactor, theirs)
        data = b"x" * 200_000
        output.write(data)
        taken = bytearray()
        self.loop.add_reader(ours, lambda: taken.extend(os.read(ours, 65536)))
        written = output.flush()
        self.assertNoResult(written)
        self.loop.run_until_complete(asyncio.wait_for(written.asFuture(self.loop), 20))
        while len(taken) < len(data):
            taken.extend(os.read(ours, 65536))
        self.assertEqual(bytes(taken), data)
        self.loop.remove_reader(ours)
        output.close()
