"""Rules about ids that look alike: their owner and their registrations (PROTOCOL.md, 2 and 3).

Everything here is a function of values. A store loads them, decides, and decides again if another
server has changed them meanwhile; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.registrations import ClientConnection, Registration
from chatproto.wire import bcp2_server
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact, fold
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import value_class

RESERVED = "server"
"""Name of the server's terminal in rooms (`rooms.lobby.OPERATOR`): no new client can register it."""


@value_class
class KeyIds:
    """Ids that one key owns; `room`: False if the server has no room for another one from its address."""

    owned: tuple[str, ...] = ()
    room: bool = True


@value_class
class RegisterDecision:
    """Outcome of a keyed REGISTER.

    Args: presence: the new registration. lost: other ids that look like it, which another key has lost.
    replaced: connection that had registered the id, and must end. ousts: True if a classic client loses
    the id.
    """

    presence: Registration
    lost: tuple[str, ...] = ()
    replaced: ClientConnection | None = None
    ousts: bool = False


def is_silent(heard: float, now: float, takeover_wait: float) -> bool:
    """Return True if the last request of a client, at `heard`, was `takeover_wait` seconds ago or more."""
    return heard <= now - takeover_wait


def granted(message: bcp2_server.Register, limits: ServerLimits) -> int:
    """Return the seconds of the lease for `message`."""
    wanted = limits.lease if message.expires is None else message.expires
    return min(max(wanted, limits.lease_least), limits.lease_most)


def may_see(
    key: str, presence: Registration | None, hidden: tuple[str, ...] | None, owns: bool
) -> bool:
    """Return True if the owner of `key` may learn whether an id exists.

    Args: presence: registration of the id. hidden: keys that may see the id while it is not registered;
    None: all. owns: the key owns the id.
    """
    if presence is not None:
        return presence.is_visible_to(key)
    return hidden is None or key in hidden or owns


@value_class
class Group:
    """Group of all ids that fold to the same text.

    Args: owner: key that owns all of them, or None. ids: the owned ids, in their spelling. presences,
    classic: registrations by id, with a key and without.
    """

    owner: str | None = None
    ids: tuple[str, ...] = ()
    presences: Mapping[str, Registration] = field(default_factory=dict)
    classic: Mapping[str, ClassicRegistration] = field(default_factory=dict)

    def admits(
        self, client_id: str, client: ClientConnection, new: bool, silent: bool = False
    ) -> bool:
        """Return True unless a newer connection of the same program has the id already.

        Args: new: the key of `client` does not own the id yet. silent: a classic client that holds the
        id has made no request for long. Raises: RemoteError: 409 if another client uses the id.
        """
        former, own = self.presences.get(client_id), client.user == client_id
        if self._classic_at(client_id) is not None and not (own and silent):
            raise RemoteError(409, "a classic client holds that id")
        if former is not None and former.key != client.key and not own:
            raise RemoteError(409, "another key's registration of that id has not ended")
        if former is not None and former.connected and former.client.is_newer_than(client):
            return False
        if new and not own and fold(client_id) == fold(RESERVED):
            raise RemoteError(409, "the server itself speaks by that name")
        return True

    def decide_register(
        self,
        message: bcp2_server.Register,
        client: ClientConnection,
        ids: KeyIds,
        limits: ServerLimits,
    ) -> RegisterDecision:
        """Give a free id to the key of `client`. `ids`: those that the key owns.

        The name of the client's account may be taken from another key, but not an id that only looks
        like it.

        Raises: RemoteError: 409 if another key owns the id or a similar one, 403 if the key owns as
        many ids as it may, 503 if there is no room for a new one.
        """
        client_id, key = message.client_id, client.key
        others = self.ids if self.owner not in (None, key) else ()
        if self.owner not in (None, key) and not (client.user == client_id and client_id in others):
            raise RemoteError(409, "another key owns that id")
        new = client_id not in ids.owned
        if new and len(ids.owned) >= limits.names_per_key:
            raise RemoteError(403, f"a key has at most {limits.names_per_key} ids")
        if new and not ids.room:
            raise RemoteError(503, "there is no room for another id")
        former = self.presences.get(client_id)
        # A client that returns with an id on another connection counts as using it.
        trial = new or (client.client_id == client_id and former is not None and not former.proven)
        presence = Registration(
            client_id,
            key,
            message.port,
            message.addresses,
            granted(message, limits),
            message.listed,
            message.allow,
            client,
            proven=not trial,
            away=message.away,
        )
        replaced = None
        if former is not None and former.connected and former.client is not client:
            replaced = former.client
        lost = tuple(one for one in others if one != client_id)
        ousts = self._classic_at(client_id) is not None
        return RegisterDecision(presence, lost, replaced, ousts)

    def decide_bridge(self, peer_id: str, key: str) -> Registration | Contact:
        """Return the peer to introduce to the owner of `key`: a client with a key, or a classic one.

        Raises: RemoteError: 404 for an unknown or unlisted client, 480 for one that is away.
        """
        callee, classic = self.presences.get(peer_id), self._classic_at(peer_id)
        if callee is None and classic is not None:
            return classic.contact()
        if callee is None or not callee.is_visible_to(key):
            raise RemoteError(404, "no such client")
        if not callee.connected:
            raise RemoteError(480, "they are away")
        return callee

    def _classic_at(self, client_id: str) -> ClassicRegistration | None:
        lease = self.classic.get(client_id)
        return lease if lease is not None and lease.key is None else None

    # REGISTER without a key.

    def decide_classic(
        self,
        client_id: str,
        ip: str,
        port: int,
        source: Origin,
        heard: float,
        now: float,
        takeover_wait: float,
    ) -> ClassicRegistration:
        """Register a classic client at `ip` and `port`.

        Args: heard: time of the last request of the client that holds the id. takeover_wait: seconds
        after that for which it keeps the id, if its connection has ended.
        Raises: RemoteError: 409 if another client holds the id, or a key owns a similar one.
        """
        held = self.classic.get(client_id)
        if held is not None:
            elsewhere = not held.source.is_same_host(source)
            fresh = held.source.alive or not is_silent(heard, now, takeover_wait)
            if held.key is not None or (elsewhere and fresh):
                raise RemoteError(409, "another client holds that id")
        if self.owner is not None:
            raise RemoteError(409, "a key owns that id")
        return ClassicRegistration(client_id, ip, port, source)
