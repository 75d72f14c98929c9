"""OpenSSL's side of a TLS connection: many records at a time, where Twisted would take each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from OpenSSL import SSL
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _lib
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

RECORD = 16 * 1024
"""A record of TLS holds so much at most (RFC 8446, section 5.1)."""
AROUND = 64
"""More than TLS puts around a record."""
BLOCK = 256 * 1024
"""Bytes that are encrypted, or handed on, at once."""

_no_zero_allocator = _ffi.new_allocator(should_clear_after_alloc=False)
_RECORDED = RECORD + 16 * AROUND
_recorded = _no_zero_allocator("char[]", _RECORDED)
_write, _read, _bytes_of = _lib.SSL_write, _lib.BIO_read, _ffi.buffer


class Channel(SSL.Connection):
    """What Twisted's TLS reads from and writes to; it asks for little and gets all that there is."""

    _broken: SSL.Error | None = None  # found behind what was handed on
    _unread = 0  # more than is to be sent: what was encrypted since that was asked for

    def do_handshake(self) -> None:
        """Go on with it. A polite end in its middle has no reason in it, and Twisted looks for one."""
        try:
            super().do_handshake()
        except SSL.ZeroReturnError:
            raise SSL.Error([("SSL routines", "", "close notify")]) from None

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        """What the records hold that are there, up to a block, whatever `bufsiz` is."""
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken
        # As pyOpenSSL's own, without a buffer for each record: there are 65,536 in a GiB.
        block, size = _no_zero_allocator("char[]", BLOCK), 0
        while BLOCK - size >= RECORD:
            count = _lib.SSL_read(self._ssl, block + size, RECORD)
            if count <= 0:
                try:
                    self._raise_ssl_error(self._ssl, count)
                except SSL.Error as error:
                    if not size:
                        raise
                    if not isinstance(error, SSL.WantReadError):
                        self._broken = error
                break
            size += count
        return bytes(_ffi.buffer(block, size))

    def send(self, buf: Any, flags: int = 0) -> int:
        """Encrypt all of it."""
        self._unread += len(buf) + (len(buf) // RECORD + 1) * AROUND
        return super().send(buf, flags)

    def recorder(self) -> Callable[[bytes], bytes]:
        """What makes one record of what is not more, and gives all that is to be sent.

        It costs a third of `send` and `bio_read`, and a room wants one for each member. It raises
        SSL.Error if nothing was taken.
        """
        ssl, sent = self._ssl, self._from_ssl

        def record(data: bytes) -> bytes:
            count = _write(ssl, data, len(data))
            if count <= 0:
                self._raise_ssl_error(ssl, count)
            return bytes(_bytes_of(_recorded, _read(sent, _recorded, _RECORDED)))

        return record

    def bio_read(self, bufsiz: int) -> bytes:
        """All that is to be sent, also where `bufsiz` is less."""
        most, self._unread = max(bufsiz, self._unread), 0
        return super().bio_read(most)


class Encrypting:
    """How `layer` encrypts: as Twisted's does, and not record by record.

    It takes the place of a method that Twisted calls `_write`, which is told of nothing that waits
    for the handshake or was lost with the connection.
    """

    __slots__ = ("_layer",)

    def __init__(self, layer: TLSMemoryBIOProtocol) -> None:
        self._layer: Any = layer

    def __call__(self, data: bytes) -> None:
        """Encrypt `data` and hand it to the transport."""
        at = 0
        while at < len(data) and self._encrypt(data[at : at + BLOCK], data, at):
            at += BLOCK
            self._layer._flushSendBIO()

    def sequence(self, parts: Iterable[bytes | memoryview]) -> None:
        """Encrypt `parts`, together no more than a block, and hand them to the transport as one.

        It takes the place of Twisted's `writeSequence`, which would join them first.
        """
        layer = self._layer
        if layer.disconnecting and layer._producer is None:
            return
        layer._aggregator.flush()  # what was said before
        for part in parts:
            self._encrypt(part, part, 0)
        if not layer._lostTLSConnection:
            layer._flushSendBIO()

    def _encrypt(self, data: bytes | memoryview, whole: bytes | memoryview, at: int) -> bool:
        """Encrypt `data`, which is `whole` from `at`; False if `whole` must wait from there or is lost."""
        layer = self._layer
        if layer._lostTLSConnection:
            return False
        try:
            layer._tlsConnection.send(data)
        except SSL.WantReadError:
            layer._bufferedWrite(bytes(whole[at:]))  # for the handshake
            return False
        except SSL.Error:
            layer._tlsShutdownFinished(Failure())
            return False
        return True
