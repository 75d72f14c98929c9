"""A connection that receives classic messages and does nothing else."""

from __future__ import annotations

from twisted.internet.testing import StringTransport

from chatproto.server.connection import ClassicReceiver
from chatproto.wire import fast
from chatproto.wire.classic import Sender
from tests.limits import DEFAULTS, Limits


def classic_receiver(limits: Limits = DEFAULTS, sender: Sender = Sender.CLIENT) -> ClassicReceiver:
    """A connected receiver, with the short cut wherever `limits` allow it."""
    receiver = ClassicReceiver(limits, sender, fast.fits(limits))
    receiver.makeConnection(StringTransport())
    return receiver
