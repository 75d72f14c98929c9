"""TLS that processes many records at a time, with all private names of Twisted's TLS and of pyOpenSSL.

Twisted reads and writes one record of 16 KiB for each call, and delays small writes until the reactor's
next turn. The classes here do the same in fewer steps; the bytes on the wire are the same.

No other file of this program uses a private name of `twisted.protocols.tls` or `OpenSSL`. `WHY_PLAIN`
is empty if the installed versions are known and have all names that are used here; otherwise, and if
the environment variable `CHATPROTO_PLAIN_IO` is set, TLS is the plain library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from traceback import clear_frames
from typing import Any

import OpenSSL
from OpenSSL import SSL
from twisted.logger import Logger
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from chatproto.net import fast_tcp
from chatproto.net.fast_tcp import missing, unknown

KNOWN_PYOPENSSL = 26
"""Major version of pyOpenSSL whose private names are used here."""
RECORD = 16 * 1024
"""Largest number of bytes in one TLS record (RFC 8446, section 5.1)."""
AROUND = 64
"""More bytes than TLS adds to a record."""
BLOCK = 256 * 1024
"""Bytes that are encrypted, or passed to the protocol, at once."""
ENCRYPTED = BLOCK + (BLOCK // RECORD + 16) * AROUND
"""Largest size of an encrypted block with the data that TLS sends before it."""

FUNCTIONS = ("SSL_write", "SSL_read", "SSL_get_error", "BIO_read", "BIO_write")
BUFFERS = ("BIO_new", "BIO_s_mem", "SSL_set_bio")
STATES = ("_handshakeDone", "_lostTLSConnection", "_aborted", "_tlsShutdownFinished")

_ffi: Any
_lib: Any
try:
    from OpenSSL._util import ffi as _ffi
    from OpenSSL._util import lib as _lib
except ImportError:
    _ffi = _lib = None


def _missing() -> str:
    """Return the first private name that the installed libraries do not have; "" if they have all."""
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    set_by = (TLSMemoryBIOProtocol.makeConnection, BufferingTLSTransport.__init__)
    known = {name for method in set_by for name in method.__code__.co_names}
    unset = {"_tlsConnection", "_appSendBuffer", "_aggregator"} - known
    methods = ("_write", "_flushSendBIO", "_flushReceiveBIO", "_bufferedWrite")
    return (
        missing(_ffi, "new_allocator", "buffer", "from_buffer")
        or missing(_lib, *FUNCTIONS, *BUFFERS, "SSL_ERROR_WANT_READ")
        or missing(connection, "_ssl", "_from_ssl", "_into_ssl", "_raise_ssl_error")
        or missing(TLSMemoryBIOProtocol, *methods, *STATES, "_producer")
        or "".join(f"{name} is not there" for name in sorted(unset)[:1])
    )


WHY_PLAIN = (
    fast_tcp.WHY_PLAIN or unknown("pyOpenSSL", OpenSSL.__version__, KNOWN_PYOPENSSL) or _missing()
)
"""Reason for using the plain library's TLS; empty: the faster one of this file is used."""

if not WHY_PLAIN:
    _new_block = _ffi.new_allocator(should_clear_after_alloc=False)
    _encrypted = _new_block("char[]", ENCRYPTED)
    _decrypted = _new_block("char[]", BLOCK)
    # Names of this module: a lookup in the library takes as long as a call.
    _ssl_write, _ssl_read, _ssl_error, _bio_read, _bio_write = (
        getattr(_lib, name) for name in FUNCTIONS
    )
    _bytes_of, _memory_of = _ffi.buffer, _ffi.from_buffer
    _WANT_READ = _lib.SSL_ERROR_WANT_READ
elif not fast_tcp.WHY_PLAIN:
    Logger().warn("connections use Twisted's own TLS: {why}", why=WHY_PLAIN)


def connection_for(layer: Any, context: SSL.Context) -> TlsEnd:
    """Return the OpenSSL connection of the TLS `layer`, which then processes many records at once.

    Args: layer: the protocol that `startTLS` created; one that is not Twisted's is unchanged.
    """
    if WHY_PLAIN:
        return TlsEnd(context, None)
    connection = BlockTlsEnd(context, None)
    if isinstance(layer, TLSMemoryBIOProtocol):
        blocks = BlockMover(layer, connection)
        layer.dataReceived = blocks.read  # type: ignore[method-assign]  # of one layer
        layer._write = blocks.write  # type: ignore[method-assign]  # of one layer
        if isinstance(layer, BufferingTLSTransport):
            sequence: Any = blocks.write_sequence
            layer.writeSequence = sequence  # type: ignore[method-assign]  # of one layer
    return connection


def write_at_once(layer: Any, transport: Any) -> Callable[[bytes], object]:
    """Return the quickest `write` of `transport` for small messages.

    Twisted's own may wait for the reactor's next turn, with a timer for each connection.

    Args: layer: the protocol that its `startTLS` created; one that is not Twisted's has no quicker way.
    """
    if WHY_PLAIN or not isinstance(layer, TLSMemoryBIOProtocol):
        write: Callable[[bytes], object] = transport.write
        return write
    return RecordWriter(layer).write


def break_cycles(layer: Any) -> None:
    """Break the reference cycles of a `layer` whose connection has ended, to free memory at once."""
    for name in ("_write", "writeSequence", "dataReceived"):
        layer.__dict__.pop(name, None)
    ended = getattr(layer, "_tlsConnection", None)
    if isinstance(ended, BlockTlsEnd) and ended.failed is not None:
        # one of the frames holds the object that holds the traceback
        clear_frames(ended.failed.__traceback__)
        ended.failed = None


class TlsEnd(SSL.Connection):
    """pyOpenSSL's connection; a handshake that the peer ends with a TLS close fails with a reason."""

    handshake: Any = None
    """Object that judges the peer's key, for the one verify callback of all connections of a context."""

    def do_handshake(self) -> None:
        """Continue the handshake. Twisted expects a reason in its errors; ZeroReturnError has none."""
        try:
            super().do_handshake()
        except SSL.ZeroReturnError:
            raise SSL.Error([("SSL routines", "", "close notify")]) from None


class BlockTlsEnd(TlsEnd):
    """Connection whose `recv` and `bio_read` return everything available, where Twisted reads one
    record.
    """

    failed: SSL.Error | None = None
    """The last error that `recv` raised, except that nothing could be read."""
    broken: SSL.Error | None = None
    """Error that `take` found, and that the next `recv` raises."""
    _unread = 0  # upper bound of the bytes that bio_read has not returned yet

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        """Return the contents of the received records, up to a block, whatever `bufsiz` is.

        Raises: SSL.Error as the library does; an error after some bytes is raised by the next call.
        """
        if data := self.take():
            return data
        if self.broken is None:
            raise SSL.WantReadError
        self.failed, self.broken = self.broken, None
        raise self.failed

    def take(self) -> bytes:
        """Return the result of `recv`; no bytes if nothing can be read now, or for ever (then `broken`
        is set).
        """
        if self.broken is not None:
            return b""
        ssl, block, size = self._ssl, _decrypted, 0
        while BLOCK - size >= RECORD:
            count = _ssl_read(ssl, block + size, RECORD)
            if count <= 0:
                if _ssl_error(ssl, count) != _WANT_READ:
                    self.broken = self.error_of(count)
                break
            size += count
        return _bytes_of(block, size)[:] if size else b""

    def error_of(self, count: int) -> SSL.Error | None:
        """Return OpenSSL's error for the result `count`, as the library raises it."""
        try:
            self._raise_ssl_error(self._ssl, count)
        except SSL.Error as error:
            return error
        return None

    def feed(self, data: bytes) -> bool:
        """Pass encrypted `data` to OpenSSL; return False if it was not accepted."""
        return bool(_bio_write(self._into_ssl, data, len(data)) > 0)

    def answers(self) -> bytes:
        """Return the bytes that OpenSSL sends, up to an encrypted block; usually none."""
        count = _bio_read(self._from_ssl, _encrypted, ENCRYPTED)
        return _bytes_of(_encrypted, count)[:] if count > 0 else b""

    def forget_handshake(self) -> None:
        """Free the buffers of the handshake, which are empty now and as large as it was.

        They are 4 of the 35 KiB that OpenSSL uses for a connection. Call this when all received data
        have been read, and all encrypted data have been sent.
        """
        came, leaves = _lib.BIO_new(_lib.BIO_s_mem()), _lib.BIO_new(_lib.BIO_s_mem())
        _lib.SSL_set_bio(self._ssl, came, leaves)  # this frees the old ones
        self._into_ssl, self._from_ssl = came, leaves

    def send(self, buf: Any, flags: int = 0) -> int:
        """Encrypt all of `buf`."""
        size = len(buf)
        self._unread += size + (size // RECORD + 1) * AROUND
        count: int = _ssl_write(self._ssl, _memory_of(buf), size)
        if count <= 0:
            self._raise_ssl_error(self._ssl, count)
        return count

    def bio_read(self, bufsiz: int) -> bytes:
        """Return all bytes to be sent, even if `bufsiz` is less."""
        most, self._unread = max(bufsiz, self._unread), 0
        if most <= ENCRYPTED and (data := self.answers()):
            return data
        return super().bio_read(most)


class BlockMover:
    """Decrypt and encrypt for `layer` a block at a time, where Twisted takes record by record."""

    __slots__ = ("_connection", "_layer")

    def __init__(self, layer: TLSMemoryBIOProtocol, connection: BlockTlsEnd) -> None:
        self._layer: Any = layer
        self._connection = connection

    def read(self, data: bytes) -> None:
        """Decrypt `data` and pass it to the protocol; replaces `dataReceived`.

        Handshakes, queued data and errors are left to Twisted. Twisted learns from exceptions that
        everything was read and that nothing is to be sent, three times for each message.
        """
        layer, connection = self._layer, self._connection
        if not layer._handshakeDone or layer._appSendBuffer or not connection.feed(data):
            began = layer._handshakeDone
            TLSMemoryBIOProtocol.dataReceived(layer, data)
            if layer._handshakeDone and not began and not layer._lostTLSConnection:
                connection.forget_handshake()
            return
        while not layer._lostTLSConnection and (piece := connection.take()):
            if not layer._aborted:
                layer.wrappedProtocol.dataReceived(piece)
        if connection.broken is not None:
            layer._flushReceiveBIO()
        elif answers := connection.answers():
            layer.transport.write(answers)
            layer._flushSendBIO()

    def write(self, data: bytes) -> None:
        """Encrypt `data` and pass it to the transport; replaces `_write`.

        Twisted calls it only after the handshake, and while the connection is up.
        """
        at = 0
        while at < len(data) and self._encrypt(data[at : at + BLOCK], data, at):
            at += BLOCK
            self._layer._flushSendBIO()

    def write_sequence(self, parts: Iterable[bytes | memoryview]) -> None:
        """Encrypt `parts`, at most a block together, and pass them to the transport as one.

        Replaces Twisted's `writeSequence`, which would join them first.
        """
        layer = self._layer
        if layer.disconnecting and layer._producer is None:
            return
        layer._aggregator.flush()  # earlier writes
        for part in parts:
            self._encrypt(part, part, 0)
        if not layer._lostTLSConnection:
            layer._flushSendBIO()

    def _encrypt(self, data: bytes | memoryview, whole: bytes | memoryview, at: int) -> bool:
        """Encrypt `data`, which is `whole` from `at`; return False if it was queued or lost."""
        layer = self._layer
        if layer._lostTLSConnection:
            return False
        try:
            layer._tlsConnection.send(data)
        except SSL.WantReadError:
            layer._bufferedWrite(bytes(whole[at:]))  # until the handshake is done
            return False
        except SSL.Error:
            layer._tlsShutdownFinished(Failure())
            return False
        return True


class RecordWriter:
    """Write for `layer`, once its handshake is done, each small piece at once and in one record.

    Other cases (large pieces, queued data, a closing or broken connection) are left to Twisted. The
    objects that the usual case needs are stored here: a room writes to each member this way, and
    looking them up in the layer would cost as much as encrypting.
    """

    __slots__ = ("_connection", "_is_free", "_layer", "_send", "_ssl")

    def __init__(self, layer: TLSMemoryBIOProtocol) -> None:
        inside: Any = layer
        self._layer = inside
        self._connection = inside._tlsConnection
        self._ssl = self._connection._ssl
        self._send: Callable[[bytes], None] = inside.transport.write
        self._is_free = True  # nothing is queued in the layer

    def write(self, data: bytes) -> None:
        """Encrypt `data` and send it; a third of the cost of Twisted's `send` and `bio_read`."""
        if self._is_free and len(data) <= RECORD:
            count = _ssl_write(self._ssl, data, len(data))
            if count > 0:
                size = _bio_read(self._connection._from_ssl, _encrypted, ENCRYPTED)
                self._send(_bytes_of(_encrypted, size)[:])
                return
            # To be repeated with the same bytes, or broken: Twisted will find out which.
            self._connection.error_of(count)
        layer = self._layer
        TLSMemoryBIOProtocol.write(layer, data)
        self._is_free = not (layer._appSendBuffer or layer.disconnecting)
