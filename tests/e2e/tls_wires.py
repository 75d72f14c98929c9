"""Stand between and against the programs under test: recorders, and TLS with a key of our own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chatproto.identity.keys import Identity, new_identity

LIMIT = 30.0


class Recorder:
    """A port that passes everything on to another and keeps a copy; `cut()` ends what goes through."""

    def __init__(self, target: int) -> None:
        self.recorded = bytearray()
        self.target = target
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        for pair in self._pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._pairs = []

    def _accept(self) -> None:
        while True:
            try:
                near = self._listening.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), LIMIT)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.recorded += data
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def recorder(target: int) -> Iterator[Recorder]:
    """A recorder in front of the port `target`."""
    made = Recorder(target)
    try:
        yield made
    finally:
        made.close()


def context(folder: Path, server: bool, identity: Identity | None = None) -> ssl.SSLContext:
    """TLS with a key of our own (a new one if none is given), which believes everybody."""
    identity = identity or new_identity()
    pem = folder / f"{identity.name[7:20]}.pem"
    key = identity.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(key + identity.certificate.public_bytes(Encoding.PEM))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.load_cert_chain(pem)
    made.set_alpn_protocols(["bcp/2"])
    return made


class MiddleMan:
    """A TLS server with another key, in front of the port `target`."""

    def __init__(self, target: int, folder: Path) -> None:
        self.identity = new_identity()
        self._folder = folder
        self._target = target
        self._context = context(folder, True, self.identity)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.heard = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        near.settimeout(LIMIT)
        with contextlib.suppress(OSError):
            victim = self._context.wrap_socket(near, server_side=True)
            far = socket.create_connection(("127.0.0.1", self._target), LIMIT)
            real = context(self._folder, False).wrap_socket(far)
            victim.settimeout(LIMIT)
            while data := victim.recv(65536):
                self.heard += data
                real.sendall(data)
                victim.sendall(real.recv(65536))


def dial(port: int, folder: Path, identity: Identity | None = None) -> ssl.SSLSocket:
    """A TLS connection to `port` with a key of our own, as one of our own programs makes it."""
    sock = socket.create_connection(("127.0.0.1", port), LIMIT)
    wrapped = context(folder, False, identity).wrap_socket(sock)
    wrapped.settimeout(LIMIT)
    return wrapped
