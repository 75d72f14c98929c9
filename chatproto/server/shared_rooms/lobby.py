"""Raw-text lobby of several servers: each has a port for it, and all members share one room."""

from __future__ import annotations

from collections.abc import Mapping

from chatproto.rooms.effects import Effect, LookAgain, PutOut
from chatproto.rooms.policy import RoomPolicy, subject
from chatproto.rooms.room import LOBBY, Room
from chatproto.rooms.shared import SpokenBy
from chatproto.server.shared_rooms.presence import LOBBY_POLICY, TRIES, RoomPresence
from chatproto.server.shared_rooms.views import RoomsContext


class SharedLobby:
    """Raw-text members of this server in the shared lobby.

    Two members at different servers may have the same name for a moment; they are shown as one.
    """

    def __init__(self, context: RoomsContext, presence: RoomPresence) -> None:
        self._context = context
        self._views = context.views
        self._presence = presence

    # Events of the port.

    def raw_joined(self, name: str) -> None:
        """Add raw-text member `name` of this server to the lobby."""
        self._views.plain[name] = True
        self._presence.start(self._join_raw(name, LOBBY in self._views.rooms), LOBBY)

    def raw_left(self, name: str, reason: str) -> None:
        """Remove raw-text member `name` of this server from the lobby."""
        if self._views.plain.get(name):
            self._views.plain[name] = False
            seat = self._views.plain_seat()
            self._presence.start(self._presence.remove(LOBBY, [(name, seat)], reason))

    def raw_message(self, name: str, text: str) -> None:
        """Send a line of `name` to the members with a key and to the other servers."""
        self._presence.start(self._say(name, text))

    # Queries of the port.

    def keyed_members(self) -> Mapping[str, object]:
        """Return the members with a key, by id."""
        return self._room().members

    def may_speak(self, name: str) -> bool:
        """Return True if `name` is not muted."""
        return not self._room().policy.is_muted(subject(name, ""), self._context.now())

    def admits(self, name: str, host: str = "") -> bool:
        """Return True if `name` may join from `host`: it is free at all servers, and not banned."""
        room = self._room()
        if room.has_member_like(name) or (name in room.plain and name not in self._views.plain):
            return False
        return not room.policy.is_banned(name, "", host, self._context.now())

    def _room(self) -> Room:
        room = self._views.rooms.get(LOBBY)
        return Room(LOBBY_POLICY) if room is None else room  # not `or`: an empty room is false

    async def _join_raw(self, name: str, judged: bool) -> None:
        """Add `name` to the lobby; `judged`: the port knew the bans when it admitted the client."""
        async with self._presence.using(LOBBY):
            copy, seat = await self._presence.lobby(), self._views.plain_seat()
            if not judged:
                self._look_again(name, copy.policy)
            for _ in range(TRIES):
                if await self._presence.enter(copy, name, seat):
                    break
            if not self._views.plain.get(name):
                await self._presence.remove(LOBBY, [(name, seat)], "")

    def _look_again(self, name: str, policy: RoomPolicy) -> None:
        """Remove `name`, and raw-text members by their address, if `policy` bans them."""
        effects: list[Effect] = [LookAgain(policy)]
        if policy.is_banned(name, "", "", self._context.now()):
            effects.append(PutOut(name))
        self._context.delivery.apply(effects)

    async def _say(self, name: str, text: str) -> None:
        async with self._presence.using(LOBBY):
            copy, by = await self._presence.lobby(), SpokenBy(self._views.node, 0, 0)
            await self._presence.say(LOBBY, copy, (name, self._context.now(), text, by))
