"""Send room requests to a BCP/2 server (PROTOCOL.md, section 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from operator import attrgetter
from typing import TypeVar

from chatproto.directory.paging import Paging
from chatproto.directory.secure_client import SecureServer
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.actions import split_mark
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.limits import CLIENT_DEFAULTS, ClientLimits
from chatproto.wire.room_fields import Listed, Occupant
from chatproto.wire.values import value_class

Ack = TypeVar("Ack", bound=Bcp2Message)
DONE: dict[type[Bcp2Message], type[Bcp2Message]] = {
    bcp2_rooms.Part: bcp2_rooms.PartAck,
    bcp2_rooms.Topic: bcp2_rooms.TopicAck,
    bcp2_rooms.Kick: bcp2_rooms.KickAck,
    bcp2_rooms.Ban: bcp2_rooms.BanAck,
    bcp2_rooms.Unban: bcp2_rooms.UnbanAck,
    bcp2_rooms.Mute: bcp2_rooms.MuteAck,
    bcp2_rooms.Op: bcp2_rooms.OpAck,
    bcp2_rooms.Invite: bcp2_rooms.InviteAck,
}
"""Answers that only confirm the request."""
PAGE_BYTES = 1024 * 1024
"""Largest size in bytes of one page of HISTORY."""


@value_class
class RoomPage:
    """Part of the messages of a room, oldest first; `more`: further ones follow in the same direction."""

    said: tuple[bcp2_rooms.Said, ...]
    more: bool


class RoomClient:
    """Room requests, each a coroutine or Deferred.

    They fail with ServerRefused, ServerUnreachable, or LocalError for a request that cannot be sent.
    """

    def __init__(self, server: SecureServer, limits: ClientLimits = CLIENT_DEFAULTS) -> None:
        self._server = server
        self.ready = server.ready
        """Wait for the connection attempt in progress."""
        self._limits = limits

    async def join(self, room: str, secret: str = "") -> bcp2_rooms.JoinAck:
        """Join `room`; the server then pushes its messages and changes."""
        return await self._ask(
            partial(bcp2_rooms.Join, room=room, secret=secret), bcp2_rooms.JoinAck
        )

    async def key_of(self, client_id: str) -> str | None:
        """Return the key of the listed client `client_id`; None if there is none."""
        make = partial(bcp2_server.Info, prefix=client_id, limit=1)
        found = await self._ask(make, bcp2_server.InfoAck)
        # The id itself precedes all ids that begin with it.
        return next((one.key for one in found.contacts if one.client_id == client_id), None)

    async def say(self, room: str, text: str) -> bcp2_rooms.SayAck:
        """Send `text`, which has its prefix if it is an action; return its number and date."""
        said, kind = split_mark(text)
        make = partial(bcp2_rooms.Say, room=room, text=said, kind=kind)
        return await self._ask(make, bcp2_rooms.SayAck)

    async def do(self, request: type[Bcp2Message], **values: str) -> Bcp2Message:
        """Send a request of `DONE` with the given values; return the answer."""
        return await self._ask(partial(request, **values), DONE[request])

    async def history(
        self,
        room: str,
        after: int | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> RoomPage:
        """Return one page of history: after a number, before one, or the latest."""
        said: list[bcp2_rooms.Said] = []
        size = 0

        def take(message: Bcp2Message) -> None:
            # Our servers never send more; another server must not fill our memory.
            nonlocal size
            if isinstance(message, bcp2_rooms.Said) and len(said) < self._limits.history_page:
                size += len(message.text)
                if size <= PAGE_BYTES:
                    said.append(message)

        make = partial(bcp2_rooms.History, room=room, after=after, before=before, limit=limit)
        ack = await self._ask(make, bcp2_rooms.HistoryAck, take)
        return RoomPage(tuple(said), ack.more)

    async def names(self, room: str) -> tuple[Occupant, ...]:
        """Return all members of `room`, page by page."""

        def ask(after: str) -> Awaitable[bcp2_rooms.NamesAck]:
            return self._ask(partial(bcp2_rooms.Names, room=room, after=after), bcp2_rooms.NamesAck)

        return await self.paging().all(ask, attrgetter("members"), self._limits.listed)

    def paging(self) -> Paging:
        """Return the time limit of an answer in pages that begins now."""
        return Paging(self._server.seconds)

    async def rooms(self) -> tuple[Listed, ...]:
        """Return all rooms that we may see, page by page."""

        def ask(after: str) -> Awaitable[bcp2_rooms.RoomsAck]:
            return self._ask(partial(bcp2_rooms.Rooms, after=after), bcp2_rooms.RoomsAck)

        return await self.paging().all(ask, attrgetter("rooms"), self._limits.listed)

    async def settings(
        self,
        room: str,
        secret: str | None = None,
        invited: bool | None = None,
        kept: bool | None = None,
    ) -> bcp2_rooms.SettingsAck:
        """Change settings of `room`, and return all of them."""
        make = partial(bcp2_rooms.Settings, room=room, secret=secret, invited=invited, kept=kept)
        return await self._ask(make, bcp2_rooms.SettingsAck)

    async def _ask(
        self,
        make: Callable[[int], Bcp2Message],
        wanted: type[Ack],
        part: Callable[[Bcp2Message], None] | None = None,
    ) -> Ack:
        answer = await self._server.ask(make, wanted, part)
        assert isinstance(answer, wanted), "ServerLine gives no other"
        return answer
