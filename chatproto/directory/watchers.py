"""Track which client watches the presence of which (PROTOCOL.md, section 3)."""

from __future__ import annotations

from chatproto.directory.registrations import ClientConnection, Effect, PushTo, Registration
from chatproto.wire import bcp2_server
from chatproto.wire.errors import RemoteError


class Watchers:
    """Watchers by id, which may be unregistered; each client watches at most `most` ids."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._watchers: dict[str, dict[ClientConnection, bcp2_server.Presence]] = {}
        """By id, its watchers with the last PRESENCE sent to each."""

    def add(self, client: ClientConnection, news: bcp2_server.Presence) -> None:
        """Let `client` watch the peer of `news`, its first PRESENCE.

        Raises RemoteError 413 past the limit.
        """
        peer_id = news.peer_id
        if peer_id not in client.watches and len(client.watches) >= self._most:
            raise RemoteError(413, "too many watches")
        client.watches.add(peer_id)
        self._watchers.setdefault(peer_id, {})[client] = news

    def remove(self, client: ClientConnection, peer_id: str) -> None:
        """Stop watching `peer_id`."""
        client.watches.discard(peer_id)
        watchers = self._watchers.get(peer_id)
        if watchers is not None:
            watchers.pop(client, None)
            if not watchers:
                del self._watchers[peer_id]

    def watched(self, peer_id: str) -> bool:
        """Return True if any client watches the id."""
        return peer_id in self._watchers

    def lost(self, client: ClientConnection) -> None:
        """Remove all watches of a client whose connection has ended."""
        for peer_id in tuple(client.watches):
            self.remove(client, peer_id)

    def tell(self, client_id: str, status: str, presence: Registration | None) -> list[Effect]:
        """Return pushes of a changed status to the watchers that may see it; `presence`: the
        registration, or None.
        """
        away = presence.away if presence is not None and status == "online" else ""
        news = bcp2_server.Presence(client_id, status, away)
        watchers = self._watchers.get(client_id, {})
        told = [
            watcher
            for watcher, last in watchers.items()
            if last != news and (presence is None or presence.is_visible_to(watcher.key))
        ]
        watchers.update(dict.fromkeys(told, news))
        return [PushTo(watcher, news) for watcher in told]
