"""A Unix socket in a home folder, to which only its owner, or also a group, can connect."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.internet.protocol import Factory


class PrivateSocket:
    """The socket at `path`, mode 0600, from `start` to `stop`.

    A socket left by a killed program is replaced. A socket that a running program serves, and any other
    file, stays.

    Args: complain: called with one sentence if there is no socket, or none for the group. group: id of
    a group that may connect too; the socket gets mode 0660, and the folder mode 0710 lets the group
    pass.
    """

    def __init__(
        self,
        reactor: IReactorUNIX,
        path: Path,
        factory: Factory,
        complain: Callable[[str], None],
        group: int | None = None,
    ) -> None:
        self._reactor = reactor
        self._path = path.absolute()
        self._factory = factory
        self._complain = complain
        self._group = group
        self._port: IListeningPort | None = None

    def start(self) -> None:
        """Listen; if that fails, report why, since everything else works without the socket."""
        try:
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                self._complain(f"{self._path}: it is there already, and is no socket")
                return
            if _is_served(self._path):
                self._complain(f"{self._path}: another program serves it")
                return
            self._path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(f"{self._path}: {error.strerror or error}")
            return
        before = os.umask(0o177)  # mode 0600 from its first moment
        try:
            self._port = self._reactor.listenUNIX(str(self._path), self._factory, mode=0o600)
        except CannotListenError as error:
            trouble: Any = error.socketError
            self._complain(f"{self._path}: {getattr(trouble, 'strerror', None) or trouble}")
            return
        finally:
            os.umask(before)
        if self._group is not None:
            self._open_to(self._group)

    def _open_to(self, group: int) -> None:
        folder = self._path.parent
        try:
            for path, mode in ((self._path, 0o660), (folder, folder.stat().st_mode | 0o010)):
                os.chown(path, -1, group)
                path.chmod(stat.S_IMODE(mode))
        except OSError as error:
            self._complain(f"{self._path} is not for the group: {error.strerror or error}")

    def stop(self) -> Deferred[None]:
        """Stop listening, and remove the socket."""
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return maybeDeferred(port.stopListening).addCallback(lambda _: None)


def _is_served(path: Path) -> bool:
    """Return True if a program listens on the socket at `path`."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # its queue of pending connections is full
        except OSError:
            return False
    return True
