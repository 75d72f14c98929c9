"""Who wants to know of whose coming and going (protocol section 3)."""

from __future__ import annotations

from chatproto.directory.visitors import Effect, Presence, Say, Visitor
from chatproto.wire import bcp2
from chatproto.wire.errors import RemoteError


class Watchers:
    """By id, also one that nobody has just now; each visitor watches at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._watchers: dict[str, set[Visitor]] = {}

    def add(self, visitor: Visitor, peer_id: str) -> None:
        """From now on `visitor` is told of `peer_id`. Raises RemoteError 413 where it is too many."""
        if peer_id not in visitor.watches and len(visitor.watches) >= self._most:
            raise RemoteError(413, "too many watches")
        visitor.watches.add(peer_id)
        self._watchers.setdefault(peer_id, set()).add(visitor)

    def remove(self, visitor: Visitor, peer_id: str) -> None:
        """And no more."""
        visitor.watches.discard(peer_id)
        watchers = self._watchers.get(peer_id)
        if watchers is not None:
            watchers.discard(visitor)
            if not watchers:
                del self._watchers[peer_id]

    def lost(self, visitor: Visitor) -> None:
        """Its connection has ended."""
        for peer_id in tuple(visitor.watches):
            self.remove(visitor, peer_id)

    def tell(self, client_id: str, status: str, presence: Presence | None) -> list[Effect]:
        """Tell who watches, and still may: `presence` is the registration, if there is one."""
        return [
            Say(watcher, bcp2.Presence(client_id, status))
            for watcher in self._watchers.get(client_id, ())
            if presence is None or presence.lets(watcher.key)
        ]
