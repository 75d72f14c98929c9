"""TLS that writes at once what can be written at once, in one record, without Twisted's queue and timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error
from twisted.protocols.tls import TLSMemoryBIOProtocol

from chatproto.identity.channel import RECORD


class PromptTls:
    """Writes for `layer`, which is TLS on its transport, once its handshake is done.

    Whatever is not the plain case (much at once, something waits already, it is closing or broken) is
    left to Twisted, which does as it always does. What the plain case needs is kept here: a room goes
    this way for each member, and to look it up in the layer costs as much as to encrypt.
    """

    __slots__ = ("_is_free", "_layer", "_record", "_send")

    def __init__(self, layer: TLSMemoryBIOProtocol) -> None:
        inside: Any = layer
        self._layer = inside
        self._record: Callable[[bytes], bytes] = inside._tlsConnection.recorder()
        self._send: Callable[[bytes], None] = inside.transport.write
        self._is_free = True  # nothing waits in the layer

    def write(self, data: bytes) -> None:
        """Encrypt `data` and send it."""
        if self._is_free and len(data) <= RECORD:
            try:
                record = self._record(data)
            except Error:
                pass  # to be tried again with the same bytes, or broken: Twisted will find out which
            else:
                self._send(record)
                return
        layer = self._layer
        TLSMemoryBIOProtocol.write(layer, data)
        self._is_free = not (layer._appSendBuffer or layer.disconnecting)
