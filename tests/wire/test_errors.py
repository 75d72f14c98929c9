"""Errors that are stored as values hold nothing that only the cycle collector could free."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire.classic import Sender
from chatproto.wire.codec import decode
from chatproto.wire.errors import RemoteError

BLOCKS = (
    b"RUBBISH\r\n\r\n",
    b"REGISTER\r\n\r\n",
    b"REGISTER\r\nclientID: a\r\nIP: x\r\nPort: many\r\n\r\n",
    b"REGISTER\r\nclientID: \xff\r\n\r\n",
)
STRICT = (
    b"RUBBISH\r\nCSeq: 1\r\n\r\n",
    b"SAY\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nab",
    b"SAY\r\nCSeq: 1\r\nRoom: #r\r\nID: a-1\r\nContent-Length: 2\r\n\r\n\xff\xff",
    b"REGISTER\r\nCSeq: many\r\n\r\n",
    b"REGISTER\r\nno header\r\n\r\n",
    b"\xff\r\n\r\n",
)


class ErrorsAsValuesTests(SynchronousTestCase):
    def setUp(self) -> None:
        gc.collect()
        gc.freeze()  # so that a collection looks at what is new only
        gc.disable()
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.enable)

    def test_a_malformed_plain_block_leaves_no_cycle(self) -> None:
        for block in BLOCKS:
            found = decode(block)
            self.assertEqual(RemoteError, type(found))
            del found
            self.assertEqual(0, gc.collect(), block)

    def test_a_malformed_strict_block_leaves_no_cycle(self) -> None:
        for block in STRICT:
            found = StrictReceiver(Sender.CLIENT).read(block)
            self.assertEqual([RemoteError], [type(item) for item in found])
            del found
            self.assertEqual(0, gc.collect(), block)
