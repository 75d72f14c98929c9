"""Blocking sockets as the course programs use them, with a limit on every wait."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

LIMIT = 15.0  # seconds that any one thing from the other side may take


class Fault(AssertionError):
    """The other side did what a course program would have stumbled over."""


class Wire:
    """One connection; `recv` is one recv of 1,024 bytes, as these programs read."""

    def __init__(self, sock: socket.socket, limit: float = LIMIT) -> None:
        self.sock = sock
        self.limit = limit
        sock.settimeout(limit)

    @classmethod
    def dial(cls, port: int, host: str = "127.0.0.1", source: str = "") -> Wire:
        """Connect; `source`: the address to connect from."""
        return cls(socket.create_connection((host, port), LIMIT, (source, 0) if source else None))

    @property
    def here(self) -> str:
        """Our end as `ip:port`."""
        host, port = self.sock.getsockname()[:2]
        return f"{host}:{port}"

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Each byte in a segment of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(len(data)):
            self.sock.sendall(data[number : number + 1])

    def recv(self, what: str = "something") -> bytes:
        """Return one recv; empty at the end of input. Raises Fault if nothing comes in time."""
        try:
            return self.sock.recv(1024)
        except TimeoutError:
            raise Fault(f"waited {self.limit:g} s for {what}") from None

    def expect(self, wanted: bytes) -> None:
        """One recv must give exactly this."""
        got = self.recv(repr(wanted))
        if got != wanted:
            raise Fault(f"got {got!r}, not {wanted!r}")

    def expect_end(self) -> None:
        """The other side must close, and send nothing before."""
        try:
            got = self.recv("the end")
        except ConnectionResetError:
            return
        if got:
            raise Fault(f"got {got!r} where the connection should have ended")

    def expect_silence(self, seconds: float) -> None:
        """Check that for so long nothing arrives and the connection stays."""
        self.sock.settimeout(seconds)
        try:
            got = self.sock.recv(1024)
        except TimeoutError:
            return
        finally:
            self.sock.settimeout(self.limit)
        raise Fault(f"got {got!r} where nothing should have come")

    def read_until(self, wanted: bytes) -> bytes:
        """All that comes, up to and with `wanted`, in however many segments."""
        got = b""
        while wanted not in got:
            chunk = self.recv(f"{wanted!r} after {got!r}")
            if not chunk:
                raise Fault(f"connection lost before {wanted!r}; there was {got!r}")
            got += chunk
        return got

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Port:
    """A listening port of 127.0.0.1, accepting one connection after the other."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.sock = socket.create_server((host, port), backlog=16)
        self.sock.settimeout(LIMIT)
        self.host = host
        self.number = int(self.sock.getsockname()[1])

    def accept(self, limit: float = LIMIT) -> Wire:
        try:
            self.sock.settimeout(limit)
            return Wire(self.sock.accept()[0])
        except TimeoutError:
            raise Fault(f"nobody called within {limit:g} s") from None

    def expect_nobody(self, seconds: float) -> None:
        """Check that for so long no connection arrives."""
        self.sock.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            self.sock.accept()
            raise Fault("somebody called who should not have")

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Running:
    """A function in a thread, as one of these programs runs; `join` raises what it raised."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function()
        except BaseException as error:
            self._error = error

    @property
    def failed(self) -> bool:
        return self._error is not None

    def join(self, limit: float = 4 * LIMIT) -> None:
        self._thread.join(limit)
        if self._error is not None:
            raise self._error
        if self._thread.is_alive():
            raise Fault(f"it has not ended after {limit:g} s")
