"""Answer what only reads shared rooms: ROOMS, HISTORY, NAMES, the operator's list and the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from chatproto.rooms.effects import Show
from chatproto.rooms.room import LOBBY
from chatproto.rooms.shared_store import SharedRoomStore
from chatproto.server.shared_rooms.views import Asker, RoomViews
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import LINES, Bcp2Message
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import Listed


class Reading:
    """Reads rooms. `now`: time of the rooms."""

    def __init__(
        self,
        store: SharedRoomStore,
        views: RoomViews,
        limits: ServerLimits,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._views = views
        self._limits = limits
        self._now = now

    async def page(self, message: bcp2_rooms.History, asker: Asker) -> Show:
        """Answer HISTORY. Raises RemoteError."""
        limits = self._limits
        if message.after is not None and message.before is not None:
            raise RemoteError(400, "After and Before")
        most = min(message.limit or limits.history_page, limits.history_page)
        size = limits.history_page_bytes
        page = await self._store.page(message.room, message.after, message.before, most, size)
        ack = bcp2_rooms.HistoryAck(message.cseq, message.room, len(page.lines), page.more)
        return Show(asker.visitor, page.lines, ack)

    async def rooms(self, message: bcp2_rooms.Rooms, asker: Asker) -> Bcp2Message:
        """Answer ROOMS. Raises RemoteError."""
        most = min(message.limit or LINES, self._limits.info_lines, LINES)
        mine = {*asker.rooms, *await self._store.owned(asker.visitor.key)}
        found = {one for one in mine if one > message.after}
        found.update(await self._store.listed(message.after, most + 1))
        names = sorted(found)
        outlines = await self._store.outlines(names[:most])
        listed = tuple(Listed(policy.name, count, policy.topic) for policy, count in outlines)
        return bcp2_rooms.RoomsAck(message.cseq, names[most - 1] if names[most:] else "", listed)

    def names(self, message: bcp2_rooms.Names, asker: Asker) -> Bcp2Message:
        """Answer NAMES. Raises RemoteError."""
        room = self._views.inside(message.room, asker)
        most = min(message.limit or LINES, self._limits.info_lines, LINES)
        members = room.page(message.after, most, self._now())
        return bcp2_rooms.NamesAck(message.cseq, room.name, len(room), *members)

    def lines(self, keeps_lobby: bool) -> Deferred[Iterator[str]]:
        """Fires with a line for each room, as `RoomSide.lines` does. Fails with RemoteError."""
        return Deferred.fromCoroutine(self._all(keeps_lobby))

    async def _all(self, keeps_lobby: bool) -> Iterator[str]:
        outlines = await self._store.outlines(await self._store.names())
        return (
            policy.outline(count)
            for policy, count in outlines
            if count or keeps_lobby or policy.name != LOBBY
        )
