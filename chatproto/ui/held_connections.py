"""Connections of programs that send commands beside the screen, all held together."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from twisted.internet.protocol import Factory

from chatproto.net.script_connection import ScriptConnection


class HeldConnection(ScriptConnection):
    """Connection that is not read while it is held, or has read too little of its answers."""

    _held = False

    def hold(self, held: bool) -> None:
        """Stop carrying out commands, or resume."""
        self._held = held
        self._flow()

    @property
    @abstractmethod
    def _full(self) -> bool:
        """Return True while the program at the other end must read first."""

    def _flow(self) -> None:
        if self._output.finished:
            return
        full = self._held or self._full
        if full and not self.paused:
            self.pauseProducing()
        elif not full and self.paused:
            self.resumeProducing()


Held = TypeVar("Held", bound=HeldConnection)


class HeldConnections(Factory, Generic[Held]):
    """All connections of one kind, the oldest first."""

    noisy = False

    def __init__(self) -> None:
        self._connections: dict[Held, None] = {}
        self._held = False

    def __len__(self) -> int:
        return len(self._connections)

    def hold(self, held: bool) -> None:
        """Hold all connections, or resume."""
        self._held = held
        for connection in tuple(self._connections):
            connection.hold(held)

    def made(self, connection: Held) -> None:
        """Add a new connection."""
        self._connections[connection] = None
        if self._held:
            connection.hold(True)

    def lost(self, connection: Held) -> None:
        """Remove a closed connection."""
        self._connections.pop(connection, None)
