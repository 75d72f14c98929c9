"""Track which client watches the presence of which (PROTOCOL.md, section 3)."""

from __future__ import annotations

from chatproto.directory.registrations import ClientConnection, Effect, PushTo, Registration
from chatproto.wire import bcp2_server
from chatproto.wire.errors import RemoteError


class Watchers:
    """By id, also one that nobody has just now; each client watches at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._watchers: dict[str, dict[ClientConnection, bcp2_server.Presence]] = {}
        """By id, who watches it and what each was told last."""

    def add(self, client: ClientConnection, news: bcp2_server.Presence) -> None:
        """From now on `client` is told of the peer of `news`, which it is told now.

        Raises RemoteError 413 where it is too many.
        """
        peer_id = news.peer_id
        if peer_id not in client.watches and len(client.watches) >= self._most:
            raise RemoteError(413, "too many watches")
        client.watches.add(peer_id)
        self._watchers.setdefault(peer_id, {})[client] = news

    def remove(self, client: ClientConnection, peer_id: str) -> None:
        """And no more."""
        client.watches.discard(peer_id)
        watchers = self._watchers.get(peer_id)
        if watchers is not None:
            watchers.pop(client, None)
            if not watchers:
                del self._watchers[peer_id]

    def watched(self, peer_id: str) -> bool:
        """Return True if anybody watches an id."""
        return peer_id in self._watchers

    def lost(self, client: ClientConnection) -> None:
        """Forget every watch of a client whose connection has ended."""
        for peer_id in tuple(client.watches):
            self.remove(client, peer_id)

    def tell(self, client_id: str, status: str, presence: Registration | None) -> list[Effect]:
        """Push a changed status to the watchers that may see it; `presence`: the registration, if any."""
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
