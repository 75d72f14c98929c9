"""Build a proxy: its ports, the connections through them, and their two directions."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Flow:
    """One direction of a connection: what was read of `source` and not yet written to `sink`."""

    source: socket.socket
    sink: socket.socket
    record: bytearray
    held: bytearray = field(default_factory=bytearray)
    read_all: bool = False
    wrote_all: bool = False


@dataclass(eq=False, slots=True)
class Pair:
    """A connection to us (`near`) and ours to the target (`far`)."""

    near: socket.socket
    far: socket.socket
    flows: tuple[Flow, Flow]
    connected: bool = False

    @property
    def both(self) -> tuple[socket.socket, socket.socket]:
        """Its two sockets."""
        return self.near, self.far


@dataclass(eq=False, slots=True)
class Door:
    """A port of ours and where it leads. `holder` keeps the port ours while nobody listens on it."""

    holder: socket.socket
    target: tuple[str, int]
    listening: socket.socket | None = None

    @property
    def port(self) -> int:
        """Port number."""
        return int(self.holder.getsockname()[1])

    def listen(self) -> None:
        """Take connections, if it does not yet."""
        if self.listening is None:
            self.listening = bound(self.port)
            self.listening.listen(128)
            self.listening.setblocking(False)


def bound(port: int) -> socket.socket:
    """A socket on that port of 127.0.0.1 that does not listen; others of ours may share the port."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
