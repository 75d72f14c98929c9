"""TLS that writes at once what can be written at once, in one record, without Twisted's queue and timer."""

from __future__ import annotations

from typing import Any

from OpenSSL.SSL import Error
from twisted.protocols.tls import TLSMemoryBIOProtocol

from chatproto.identity.channel import RECORD


class PromptTls:
    """Writes for `layer`, which is TLS on its transport, once its handshake is done.

    Whatever is not the plain case (much at once, something waits already, it is closing or broken) is
    left to Twisted, which does as it always does.
    """

    __slots__ = ("_layer",)

    def __init__(self, layer: TLSMemoryBIOProtocol) -> None:
        self._layer: Any = layer

    def write(self, data: bytes) -> None:
        """Encrypt `data` and send it."""
        layer = self._layer
        if not (
            layer._appSendBuffer
            or layer._lostTLSConnection
            or layer.disconnecting
            or len(data) > RECORD
        ):
            try:
                record = layer._tlsConnection.record(data)
            except Error:
                pass  # to be tried again with the same bytes, or broken: Twisted will find out which
            else:
                layer.transport.write(record)
                return
        TLSMemoryBIOProtocol.write(layer, data)
