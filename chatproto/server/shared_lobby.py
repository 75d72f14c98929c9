"""The lobby in bare text of several servers: each has a port for it, and whoever is at one is with all."""

from __future__ import annotations

from collections.abc import Collection

from chatproto.server import commands as told
from chatproto.server.replicas import ServerReplica
from chatproto.server.room_side import RoomSide
from chatproto.stdio.printable import printable


class SharedLobby:
    """Brings what is done in it at any of the servers into `rooms`, and to the bare texts of this one.

    In bare text there may be two of a name for a moment, at two servers: they are shown as one.
    """

    def __init__(self, rooms: RoomSide) -> None:
        self._rooms = rooms

    def carry_out(
        self,
        did: told.LobbyAction,
        at: ServerReplica,
        members: Collection[ServerReplica],
        own: bool,
    ) -> None:
        """Apply an action in the raw-text lobby of the server `at`; `own`: of this server."""
        what, name, text = did
        if what == "came":
            if not is_at_any(name, members):
                self._rooms.came(name)
            at.bare[name] = None
        elif what == "went" and name in at.bare:
            del at.bare[name]
            if not is_at_any(name, members):
                self._rooms.went(name, text)
        elif what == "said":
            self._rooms.heard(name, text)
        if not own and self._rooms.plain is not None:
            left = f" left ({text})" if text else " left"
            line = {"came": f"* {name} joined", "went": f"* {name}{left}"}.get(what)
            self._rooms.plain.show(line or f"{name}: {printable(text)}")

    def end(self, at: ServerReplica, members: Collection[ServerReplica], own: bool) -> None:
        """The server `at` is none of `members` any more: whoever was there has gone."""
        for name in tuple(at.bare):
            self.carry_out(told.LobbyAction("went", name, ""), at, members, own)


def is_at_any(name: str, members: Collection[ServerReplica]) -> bool:
    """Return True if `name` is a raw-text lobby member at one of `members`."""
    return any(name in one.bare for one in members)
