"""PUNCH before TLS, on a connection that was dialled because of an introduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatproto.net.sniff import FirstBytes, sniff
from chatproto.wire.errors import RemoteError
from chatproto.wire.plain_blocks import TO_PEER, Punch, read_first
from chatproto.wire.strict import encode


def punch_first(transport: Any, call: str) -> None:
    """Send PUNCH on `transport`, which we dialled; `call` is the id of the introduction."""
    transport.write(encode(Punch(call)))


class BeforeTls:
    """Pass bytes to the TLS of `transport`, behind the PUNCH that the peer may send first.

    Args: met: called if it does, which means that two dials met (simultaneous open).
    """

    def __init__(self, transport: Any, met: Callable[[], None]) -> None:
        self._transport = transport
        self._tls = transport.protocol
        self._met = met
        self._first = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls, name)

    def dataReceived(self, data: bytes) -> None:
        self._first += data
        rest = self._first
        if sniff(rest, TO_PEER) in (FirstBytes.BLOCK, FirstBytes.UNDECIDED):
            try:
                found = read_first(rest, TO_PEER)
            except RemoteError:
                self._transport.abortConnection()
                return
            if found is None:
                return
            rest = found[1]
            self._met()
        self._transport.protocol = self._tls
        if rest:
            self._tls.dataReceived(rest)
