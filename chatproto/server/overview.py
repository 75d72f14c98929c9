"""Collect a server's present numbers for `--metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chatproto.server.counters import Counters
from chatproto.server.room_side import RoomSide
from chatproto.server.service import ChatServer

if TYPE_CHECKING:
    from chatproto.server.shared_rooms.rooms import SharedRooms


class ServerOverview:
    """Reads the numbers of `server`, which counts on `tally`, and of its `rooms`; `trouble` tells what is
    wrong with its store, or nothing."""

    def __init__(
        self,
        server: ChatServer,
        rooms: RoomSide | SharedRooms,
        tally: Counters,
        trouble: Callable[[], str],
    ) -> None:
        self.tally = server.factory.tally = tally
        self._server = server
        self._rooms = rooms
        self._trouble = trouble

    def figures(self) -> dict[str, float]:
        """Return the present values."""
        factory = self._server.factory
        found: dict[str, float] = {
            "connections": factory.taken,
            "connections_most": factory.most,
            "registered_classic": len(self._server.directory.registry),
        }
        secure, relay, shared = factory.secure, factory.relay, factory.shared
        if secure is not None:
            found["connections_secure"] = len(secure.connections)
            found["registered_keyed"] = secure.directory.registered
            if shared is not None:
                found["registered_keyed"], found["registered_classic"] = shared.counts
            found["rooms"], found["room_members"] = self._rooms.size()
        if relay is not None:
            found["relay_pipes_open"] = relay.open_pipes
        return found

    def counts(self) -> dict[str, float]:
        """Return the totals since the start."""
        found: dict[str, float] = {"accepted": self.tally.accepted}
        relay = self._server.factory.relay
        if relay is not None:
            counts = relay.counts
            found["relay_pipes"] = counts.pipes
            found["relay_bytes"] = counts.bytes
            found["relay_refused"] = counts.refused
            found["relay_alone"] = counts.alone
        return found

    def trouble(self) -> str:
        """Why it does not do all that it should, in one sentence; empty: it does."""
        if not self._server.running:
            return "the server is starting or stopping"
        if self._server.draining:
            return "the server is draining: it takes no new connections and ends soon"
        return self._trouble()
