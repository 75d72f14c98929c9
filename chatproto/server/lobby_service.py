"""The lobby as a service of the server: its port, its start and its stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatproto.rooms.lobby_port import LobbyPort
from chatproto.server.port_service import PortService


class LobbyService(PortService):
    """Listens at `endpoint` for `port`'s connections; its members hear that the server is stopping."""

    def __init__(
        self, reactor: Any, endpoint: str, port: LobbyPort, say: Callable[[str], None] | None
    ) -> None:
        super().__init__(reactor, endpoint, port, "lobby", say)
        self._port = port

    def close_all(self) -> None:
        self._port.close_all("the server is stopping")
