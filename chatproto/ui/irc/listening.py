"""Listen for IRC clients: on a port of the loopback interface, or on a Unix socket."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from chatproto.net.private_files import check_file, make_private
from chatproto.net.private_socket import PrivateSocket
from chatproto.wire.errors import CannotStart

HOST = "127.0.0.1"
PASSWORD_FILE = "irc_password"
LONGEST = 400
"""Largest size of a password in bytes: PASS is one line."""


def read_password(home: Path) -> str:
    """Return the home's password for IRC clients, created on first use. Raises CannotStart."""
    path = home / PASSWORD_FILE
    try:
        check_file(path)
        if not path.exists():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
                file.write(f"{secrets.token_urlsafe(16)}\n")
        make_private(path)
        with path.open("rb") as found:
            word = found.readline(LONGEST + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotStart(f"{path}: {why}") from None
    if not word or len(word) > LONGEST:
        raise CannotStart(f"{path}: the first line must be a password of 1 to {LONGEST} characters")
    return word


class PortListener(Service):
    """Listen on a TCP port of the loopback interface; 0: any free port."""

    def __init__(
        self,
        reactor: Any,
        port: int,
        face: Factory,
        home: Path,
        complain: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._number = port
        self._face = face
        self._home = home
        self._complain = complain
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Listen; `complain` is called with the reason on failure."""
        super().startService()
        try:
            self._port = self._reactor.listenTCP(self._number, self._face, interface=HOST)
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or error.socketError
            self._complain(f"IRC clients cannot connect to {HOST} port {self._number}: {why}")

    def stopService(self) -> Deferred[None]:
        """Stop listening."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallback(lambda _: None)

    def where(self) -> str:
        """Return how to connect, in one sentence."""
        port: Any = self._port
        at = f"{HOST} port {port.getHost().port}" if port is not None else HOST
        return f"IRC clients connect to {at}, with the password in {self._home / PASSWORD_FILE}"


class SocketListener(Service):
    """Listen on a Unix socket, to which only its owner can connect."""

    def __init__(
        self, reactor: Any, path: Path, face: Factory, complain: Callable[[str], None]
    ) -> None:
        self._path = path.absolute()
        self._socket = PrivateSocket(
            reactor, path, face, lambda why: complain(f"IRC clients cannot connect to {why}")
        )

    def startService(self) -> None:
        """Listen; `complain` is called with the reason on failure."""
        super().startService()
        self._socket.start()

    def stopService(self) -> Deferred[None]:
        """Stop listening, and remove the socket."""
        super().stopService()
        return self._socket.stop()

    def where(self) -> str:
        """Return how to connect, in one sentence."""
        return f"IRC clients connect to the socket {self._path}"
