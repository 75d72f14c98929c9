"""Find room members whose id is pinned to another key: another client may use that id."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from twisted.internet.defer import Deferred

from chatproto.client.context import Context, Signal
from chatproto.client.events import Notice
from chatproto.directory.room_client import RoomClient
from chatproto.wire.reasons import OTHER_KEY_IN_ROOM, CodedError

MOST = 50
"""Most pinned members of a room for which the server is asked when this client joins it."""


class MemberKeys:
    """Ask the server for the keys of pinned ids when they are in a room or join it.

    The server gives the keys of listed clients only (INFO); an unlisted one cannot be checked.

    Args: client: asks the server; None if it has no rooms.
    """

    def __init__(self, context: Context, client: RoomClient | None) -> None:
        self.others: set[str] = set()
        """Ids of room members whose key is not the pinned one."""
        self.changed: Signal[str] = Signal()
        """Fires with an id that was added to `others` or removed from it."""
        self._context = context
        self._client = client

    def look(self, room: str, ids: Iterable[str]) -> None:
        """Ask for the keys of those `ids` that are pinned; they are in `room`, or have joined it."""
        wanted = tuple(islice(filter(self._pinned, ids), MOST))
        if wanted and self._client is not None:
            Deferred.fromCoroutine(self._ask(self._client, room, wanted))

    def _pinned(self, client_id: str) -> str:
        """Return the key that is pinned to `client_id`; empty for none, and for this client itself."""
        own = client_id == self._context.settings.client_id
        pin = None if own else self._context.trust.pinned(client_id)
        return pin.key if pin is not None else ""

    async def _ask(self, client: RoomClient, room: str, ids: tuple[str, ...]) -> None:
        for client_id in ids:
            try:
                key = await client.key_of(client_id)
            except CodedError:
                return  # asked again when they next join
            if key is None or key == self._pinned(client_id):
                if client_id in self.others:
                    self.others.remove(client_id)
                    self.changed(client_id)
            elif client_id not in self.others:
                self.others.add(client_id)
                self.changed(client_id)
                text = OTHER_KEY_IN_ROOM(peer=client_id, room=room)
                self._context.publish(Notice(text, code=text.reason))
