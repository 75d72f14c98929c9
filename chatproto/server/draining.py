"""Empty a server of its clients before it ends (/drain)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

from chatproto.rooms.lobby_port import LobbyPort
from chatproto.server.port_service import PortService
from chatproto.server.service import ChatServer

LOOK_INTERVAL = 1.0
"""Seconds between two checks whether all connections have closed."""


class Draining(Service):
    """Refuses new connections, sends clients away, and calls `stop` when no connection is left.

    Keyed clients receive the time at which to reconnect, here or to another server of the directory.
    Classic connections, members of the raw-text lobby and relayed streams stay until they close, or
    until the time of the drain has passed.

    Args: lobbies: the services and ports of the raw-text lobby, if there is one.
    """

    def __init__(
        self,
        clock: Any,
        server: ChatServer,
        lobbies: Sequence[tuple[PortService, LobbyPort]],
        stop: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._server = server
        self._lobbies = lobbies
        self._stop = stop
        self._ends_at = 0.0
        self._looks = LoopingCall(self._look)
        self._looks.clock = clock

    def begin(self, most: float) -> int:
        """Drain for at most `most` seconds from now; return how many connections are left.

        A second call sets a new time.
        """
        self._ends_at = self._clock.seconds() + most
        if not self._looks.running:
            self._server.stop_listening()
            for service, port in self._lobbies:
                service.stop_listening()
                port.show("* the server ends soon and takes no new members")
            self._server.send_away()
            self._looks.start(LOOK_INTERVAL, now=False)
        return self._left()

    def stopService(self) -> None:
        """Stop checking: the program ends."""
        if self._looks.running:
            self._looks.stop()
        super().stopService()

    def _left(self) -> int:
        return len(self._server.factory) + sum(len(port) for _, port in self._lobbies)

    def _look(self) -> None:
        # Clients that were in a handshake are connected by now.
        self._server.send_away()
        if not self._left() or self._clock.seconds() >= self._ends_at:
            self._looks.stop()
            self._stop()
