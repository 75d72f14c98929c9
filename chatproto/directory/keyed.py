"""Answer BCP/2 requests: registrations with keys, and introductions (PROTOCOL.md, 3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from heapq import merge
from itertools import islice
from math import ceil

from chatproto.directory.addresses import announced_to
from chatproto.directory.classic_registration import Origin
from chatproto.directory.group import Group, is_silent, may_see
from chatproto.directory.id_owners import IdOwners, ids_of, owned_alike
from chatproto.directory.introducing import IntroductionMaker, NewTickets, no_tickets
from chatproto.directory.registration_store import MemoryRegistrations, RegistrationStore
from chatproto.directory.registrations import (
    ClientConnection,
    Dismiss,
    Effect,
    PushTo,
    Registration,
)
from chatproto.directory.registry import Registry
from chatproto.directory.sorted_ids import Listing
from chatproto.directory.watchers import Watchers
from chatproto.net.addresses import is_loopback, network
from chatproto.net.clock import Monotonic, Wall
from chatproto.net.dates import date_of
from chatproto.net.rate_limiter import RateLimiters
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import LINES, Bcp2Message, Error, Ping, PingAck
from chatproto.wire.errors import Later, RemoteError, StoreTrouble
from chatproto.wire.fields import Contact
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

RETRY_AFTER = 10
"""Seconds after which a client that was refused with 429 may retry."""
HOUR = 3600.0
MOST_ADDRESSES = 100_000
"""Largest number of addresses whose new ids are counted."""


OPEN_TRIED = 100
"""Largest number of clients that are examined for one that accepts plain-text calls from the asker."""


def new_ids_limiter(limits: ServerLimits) -> RateLimiters[str]:
    """Return a limiter of new ids by address: `new_ids_per_address` at once, and as many per hour."""
    most = limits.new_ids_per_address
    return RateLimiters(most / HOUR, most, MOST_ADDRESSES)


def count_new_id(limiter: RateLimiters[str], host: str, now: float) -> None:
    """Count one new id from `host`. Raises Later if the limit is exceeded."""
    address = network(host)
    if not limiter.allow(address, now):
        wait = min(limiter.wait(address, now), HOUR)
        raise Later("too many new ids from one address", max(1, ceil(wait)))


def refused(message: object, error: RemoteError, retry_after: int = RETRY_AFTER) -> Error:
    """Return the ERROR that answers `message`.

    Args: retry_after: seconds for a 429 whose `error` has none.
    """
    retry = retry_after if error.status in (429, 503) else None
    if isinstance(error, Later):
        retry = error.retry_after
    return Error(error.status, getattr(message, "cseq", None), retry_after=retry)


def state_of(peer_id: str, presence: Registration | None) -> bcp2_server.Presence:
    """Return the first PRESENCE for a new watcher.

    The grace period is for clients that watched before the end of a connection: BRIDGE would answer
    this one with 480.
    """
    if presence is None or not presence.connected:
        return bcp2_server.Presence(peer_id, "offline", "")
    return bcp2_server.Presence(peer_id, "online", presence.away)


def info_limit(message: bcp2_server.Info, limits: ServerLimits) -> int:
    """Return the largest number of clients in one answer to INFO."""
    most = min(limits.info_lines, LINES)
    return min(message.limit or most, most)


def info_answer(message: bcp2_server.Info, found: list[Contact], limit: int) -> Bcp2Message:
    """Answer INFO with `found`: one more than `limit` if there are more pages."""
    last = found[limit - 1].client_id if len(found) > limit else ""
    return bcp2_server.InfoAck(message.cseq, tuple(found[:limit]), last)


def open_contact(presence: Registration, source: Origin) -> Contact | None:
    """Return the address at which a client accepts plain-text calls from `source`; None if there is
    none.
    """
    client_id, seen = presence.client_id, presence.client
    if not is_loopback(seen.host) or source.local:
        return Contact(client_id, seen.host, presence.port)
    # A client on the server's machine, for a peer elsewhere: at another address of the machine.
    addresses = announced_to(presence, ClientConnection("", source.host, source.port, source.local))
    return Contact(client_id, *addresses[0]) if addresses else None


class KeyedDirectory:
    """Rules for clients with keys; `now` is passed in, in seconds, and `new_call` returns a call id.

    `names`: owners of ids. `registry`: classic clients, whose ids no key can register. `new_tickets`
    returns two relay tickets, of the caller and of the callee, from the caller's key, the call and
    `now`; or None without a relay. `presences`: all registrations; those without a connection are
    looked up there on demand. `date`: the time of day at a moment of `now`.
    """

    def __init__(
        self,
        names: IdOwners,
        registry: Registry,
        new_call: Callable[[], str],
        limits: ServerLimits = SERVER_DEFAULTS,
        new_tickets: NewTickets = no_tickets,
        presences: RegistrationStore | None = None,
        date: Callable[[Monotonic], Wall] = Wall,
    ) -> None:
        self.names = names
        self.registry = registry
        self.limits = limits
        self._date = date
        self._presences = presences if presences is not None else MemoryRegistrations(names)
        self._connected: dict[str, Registration] = {}
        self._listing = Listing()
        # accept plain-text calls; the one to be returned next is last
        self._open: OrderedDict[str, None] = OrderedDict()
        self._leaving: OrderedDict[str, tuple[float, Registration]] = OrderedDict()
        """Clients whose connection has ended and that still count as online for watchers, with the time
        at which this ends, in that order.
        """
        self._more_ended = False  # `due` has not handled all ends
        self._used: OrderedDict[str, float] = OrderedDict()  # connected: since when `names` knows
        self._watchers = Watchers(limits.watches)
        self._new_ids = new_ids_limiter(limits)
        self.introducer = IntroductionMaker(limits, new_call, new_tickets)

    def answer(self, message: Bcp2Message, client: ClientConnection, now: float) -> list[Effect]:
        """Return the effects of one request: the answer to `client`, and pushes to other clients."""
        try:
            match message:
                case bcp2_server.Register():
                    return self._register(message, client, now)
                case bcp2_server.Bridge():
                    self.uses(client, now)
                    return self._bridge(message, self._registered(client), now)
                case bcp2_server.Info():
                    return [PushTo(client, self._info(message))]
                case bcp2_server.Watch():
                    self.uses(client, now)
                    return self._watch(message, self._registered(client))
                case bcp2_server.Unwatch(cseq, peer_id):
                    self._watchers.remove(client, peer_id)
                    return [PushTo(client, bcp2_server.UnwatchAck(cseq, peer_id))]
                case bcp2_server.Observe(cseq):
                    seen = client.host, client.port
                    return [
                        PushTo(client, bcp2_server.ObserveAck(cseq, seen, date_of(self._date(now))))
                    ]
                case Ping(cseq):
                    return [PushTo(client, PingAck(cseq))]
                case PingAck():
                    return []
        except RemoteError as error:
            return [PushTo(client, refused(message, error))]
        return [PushTo(client, Error(405, getattr(message, "cseq", None)))]

    def resume(self, now: float) -> None:
        """Continue after a restart of the server: clients connected then count as away from `now` on."""
        self._presences.all_left(now)

    @property
    def registered(self) -> int:
        """Return the number of registrations, connected or away."""
        return len(self._presences)

    def knows(self, client_id: str) -> bool:
        """Return True if `client_id` is registered, connected or away."""
        return self._find(client_id) is not None

    def sees(self, key: str, client_id: str) -> bool:
        """Return True if the owner of `key` may learn whether `client_id` exists. Raises StoreTrouble."""
        return self._sees(key, client_id, self._find(client_id))

    def _sees(self, key: str, client_id: str, presence: Registration | None) -> bool:
        hidden = self.names.hidden(client_id) if presence is None else None
        return may_see(key, presence, hidden, hidden is not None and self.owns(key, client_id))

    def owns(self, key: str, client_id: str) -> bool:
        """Return True if `key` is known to own `client_id`."""
        try:
            return client_id in self.names.owned(key)
        except StoreTrouble:
            return False

    def find(self, client_id: str) -> ClientConnection | None:
        """Return the connected client with that id, or None."""
        presence = self._connected.get(client_id)
        return presence.client if presence is not None else None

    def lost(self, client: ClientConnection, now: float) -> None:
        """Handle the end of a client's connection.

        Its registration stays until it expires and BRIDGE answers 480; watchers receive "offline" after
        `presence_grace` seconds.
        """
        self._watchers.lost(client)
        presence = self._of(client)
        if presence is None:
            return
        client_id, left = presence.client_id, presence.left(now)
        self._presences.left(left)
        self._use(presence, now)
        self._forget(client_id)
        self._leaving[client_id] = now + self.limits.presence_grace, left
        self.introducer.lost(presence.key)

    def due(self, now: float, most: int = 1_000_000) -> list[Effect]:
        """Apply the passing of time: ended presences, expired registrations and names.

        At most `most` of each; `is_due` reports if there are more.
        """
        effects: list[Effect] = []
        limits = self.limits
        left = most
        while self._leaving and left:
            left -= 1
            client_id, (at, presence) = next(iter(self._leaving.items()))
            if at > now:
                break
            del self._leaving[client_id]
            effects += self._watchers.tell(client_id, "offline", presence)
        self._more_ended = self._presences.expire(now, most)
        left = most
        while self._used and left:
            left -= 1
            client_id, used = next(iter(self._used.items()))
            if used > now - min(limits.keep_names, limits.keep_unused) / 2:
                break
            # Connected for half a day: the id is in use.
            presence = self._connected[client_id] = self._connected[client_id].used()
            self._use(presence, now)
        names = self.names.expire(now - limits.keep_names, now - limits.keep_unused, most)
        self._more_ended = self._more_ended or names >= most
        return effects

    def is_due(self, now: float) -> bool:
        """Return True if `due` has more to do than it did."""
        if self._leaving and next(iter(self._leaving.values()))[0] <= now:
            return True
        return self._more_ended

    def uses(self, client: ClientConnection, now: float) -> None:
        """Note that `client` does more with its id than register it: the id is then owned for longer."""
        presence = self._of(client)
        if presence is not None and not presence.proven:
            presence = self._connected[presence.client_id] = presence.used()
            self._use(presence, now)

    def free(self, client_id: str) -> tuple[bool, list[Effect]]:
        """Remove an id from its key (the operator's /free).

        Returns: True if the id had an owner, and the effects on its client.
        """
        effects = self.expel(client_id)
        return self.names.free(client_id), effects

    def expel(self, client_id: str) -> list[Effect]:
        """End the registration of `client_id`, and its connection. Raises StoreTrouble."""
        presence = self._find(client_id)
        if presence is None:
            return []
        self._presences.forget(client_id)
        return self._end(client_id, presence)

    def _end(self, client_id: str, presence: Registration) -> list[Effect]:
        """Handle the end of a registration that is no longer in the store."""
        effects = self._watchers.tell(client_id, "offline", presence)
        if presence.connected:
            effects.append(Dismiss(presence.client, Error(403)))
            presence.client.client_id = None
        self._forget(client_id)
        return effects

    def contacts(self, prefix: str = "", after: str = "", most: int | None = None) -> list[Contact]:
        """Return the connected and listed clients whose ids begin with `prefix` and follow `after`, by
        id.
        """
        ids = self._listing.ids(prefix, after)
        return [self._connected[client_id].contact() for client_id in islice(ids, most)]

    def list_clients(self, prefix: str, after: str, most: int) -> list[Contact]:
        """List connected and listed clients together with classic ones, by id, at most `most`."""
        found: list[Contact] = []
        classic = self.registry.ids(prefix, after)
        for client_id in merge(self._listing.ids(prefix, after), classic):
            if len(found) >= most:
                break
            presence = self._connected.get(client_id)
            if presence is not None:
                if presence.listed:
                    found.append(presence.contact())
                continue
            lease = self.registry.find(client_id)
            if lease is not None and lease.key is None:
                found.append(lease.contact())
        return found

    # What classic clients may see.

    def open_contacts(self, source: Origin, most: int) -> list[Contact]:
        """List clients that accept plain-text calls, at addresses usable from `source`, at most `most`."""
        tried = islice(self._open, most + OPEN_TRIED)
        found = (self._open_contact(client_id, source) for client_id in tried)
        return [*islice((one for one in found if one is not None), most)]

    def next_open(self, asker: str, source: Origin) -> Contact | None:
        """Return one of them for the classic BRIDGE of `asker`; the next BRIDGE gets another."""
        for client_id in islice(reversed(self._open), OPEN_TRIED):
            contact = self._open_contact(client_id, source) if client_id != asker else None
            if contact is not None:
                self._open.move_to_end(client_id, last=False)
                return contact
        return None

    def _open_contact(self, client_id: str, source: Origin) -> Contact | None:
        return open_contact(self._connected[client_id], source)

    # Requests.

    def _register(
        self, message: bcp2_server.Register, client: ClientConnection, now: float
    ) -> list[Effect]:
        client_id, limits = message.client_id, self.limits
        if message.expires == 0:
            presence = self._registered(client)
            if presence.client_id != client_id:
                raise RemoteError(404, "that is not registered here")
            self._presences.forget(client_id)
            self._use(presence, now)
            effects = self._watchers.tell(client_id, "offline", presence)
            self._forget(client_id)
            client.client_id = None
            return [
                PushTo(client, bcp2_server.RegAck(message.cseq, client_id, 0, client.address)),
                *effects,
            ]
        group = self._group(client_id, *owned_alike(self.names, client_id))
        host = network(client.host)
        ids = ids_of(self.names, client.key, client_id, host, limits)
        new = client_id not in ids.owned
        silent = is_silent(self.registry.heard_at(client_id), now, limits.takeover_wait)
        if not group.admits(client_id, client, new, silent):
            # A delayed request is from a connection that its own program has replaced.
            return [Dismiss(client, bcp2_server.Replaced())]
        if new:
            count_new_id(self._new_ids, client.host, now)
        decision = group.decide_register(message, client, ids, limits)
        presence = decision.presence
        former = self._of(client)
        lost = [(one, self._find(one)) for one in decision.lost]
        gone = list(decision.lost)
        if former is not None and former.client_id != client_id:
            gone.append(former.client_id)
        if decision.ousts:
            self.registry.forget(client_id)
        self._presences.commit(presence, now, host, gone)
        replaced: list[Effect] = []
        if decision.replaced is not None:
            decision.replaced.client_id = None
            replaced = [Dismiss(decision.replaced, bcp2_server.Replaced())]
        for other, theirs in lost:
            if theirs is not None:
                replaced += self._end(other, theirs)
        if former is not None and former.client_id != client_id:
            replaced += self._watchers.tell(former.client_id, "offline", former)
            self._use(former, now)
            self._forget(former.client_id)
        self._forget(client_id)
        client.client_id, client.listens = client_id, message.port
        client.open = message.open
        self._keep(presence)
        self._used[client_id] = now
        answer = bcp2_server.RegAck(message.cseq, client_id, presence.expires, client.address)
        return [
            PushTo(client, answer),
            *replaced,
            *self._watchers.tell(client_id, "online", presence),
        ]

    def _keep(self, presence: Registration) -> None:
        self._connected[presence.client_id] = presence
        self._listing.add(presence)
        if presence.open and presence.listed:
            self._open[presence.client_id] = None

    def _bridge(
        self, message: bcp2_server.Bridge, caller: Registration, now: float
    ) -> list[Effect]:
        client = caller.client
        if not message.peer_id:
            return self._bridge_any(message, caller, now)
        try:
            callee = self._group(message.peer_id).decide_bridge(message.peer_id, caller.key)
        except RemoteError:
            self.introducer.in_vain(caller.key, now)
            raise
        if isinstance(callee, Contact):
            addresses = ((callee.host, callee.port),)
            answer = bcp2_server.BridgeAck(message.cseq, callee.client_id, addresses=addresses)
            return [PushTo(client, answer)]
        return self._introduce(message.cseq, caller, callee, now)

    def _bridge_any(
        self, message: bcp2_server.Bridge, caller: Registration, now: float
    ) -> list[Effect]:
        """Introduce the listed client of another key that registered last (BRIDGE without a name)."""
        for client_id in self._listing.newest():  # one key has few ids
            callee = self._connected[client_id]
            if callee.key != caller.key:
                return self._introduce(message.cseq, caller, callee, now)
        return [PushTo(caller.client, self._classic_for(caller, message.cseq))]

    def _classic_for(self, caller: Registration, cseq: int) -> bcp2_server.BridgeAck:
        """Answer with a classic client if `caller` makes plain-text calls too, else with no peer."""
        asker, registry = caller.client_id, self.registry
        lease = None
        if caller.open:
            lease = registry.first_waiting(asker) or registry.last_free(asker)
        if lease is None:
            return bcp2_server.BridgeAck(cseq)
        registry.pair(asker, lease.client_id)
        there = lease.contact()
        return bcp2_server.BridgeAck(cseq, there.client_id, addresses=((there.host, there.port),))

    def _introduce(
        self, cseq: int, caller: Registration, callee: Registration, now: float
    ) -> list[Effect]:
        """Introduce the two to each other. Raises RemoteError 429 past a limit."""
        known = caller.client_id in callee.client.watches
        answer, push = self.introducer.introduce(cseq, caller, callee, known, now)
        self.uses(callee.client, now)
        return [PushTo(callee.client, push), PushTo(caller.client, answer)]

    def _info(self, message: bcp2_server.Info) -> Bcp2Message:
        limit = info_limit(message, self.limits)
        return info_answer(
            message, self.list_clients(message.prefix, message.after, limit + 1), limit
        )

    def _watch(self, message: bcp2_server.Watch, presence: Registration) -> list[Effect]:
        client, peer_id = presence.client, message.peer_id
        watched = self._find(peer_id)
        if not self._sees(client.key, peer_id, watched):
            raise RemoteError(404, "no such client")
        if watched is None and self.names.owner(peer_id) is None:
            raise RemoteError(404, "no such client")
        state = state_of(peer_id, watched)
        self._watchers.add(client, state)
        return [
            PushTo(client, bcp2_server.WatchAck(message.cseq, peer_id)),
            PushTo(client, state),
        ]

    # Effects.

    def _registered(self, client: ClientConnection) -> Registration:
        presence = self._of(client)
        if presence is None:
            raise RemoteError(401, "register first")
        return presence

    def _group(self, client_id: str, owner: str | None = None, ids: tuple[str, ...] = ()) -> Group:
        """Load the registrations of `client_id`; `owner`, `ids`: its owner, if that matters."""
        presence, lease = self._find(client_id), self.registry.find(client_id)
        return Group(
            owner,
            ids,
            {client_id: presence} if presence is not None else {},
            {client_id: lease} if lease is not None else {},
        )

    def _find(self, client_id: str) -> Registration | None:
        """Return a registration, connected or away. Raises StoreTrouble."""
        return self._connected.get(client_id) or self._presences.find(client_id)

    def _of(self, client: ClientConnection) -> Registration | None:
        presence = self._connected.get(client.client_id or "")
        return presence if presence is not None and presence.client is client else None

    def _use(self, presence: Registration, now: float) -> None:
        """Renew the ownership of the id of a connected client."""
        client_id, key = presence.client_id, presence.key
        self._used[client_id] = now
        self._used.move_to_end(client_id)
        try:
            if self.names.owner(client_id) in (None, key):
                self.names.keep(client_id, key, now, trial=not presence.proven)
        except StoreTrouble:
            pass  # no client waits for it; the store reports the failure

    def _forget(self, client_id: str) -> None:
        """Remove everything about a registration that is not in its store."""
        presence = self._connected.pop(client_id, None)
        self._leaving.pop(client_id, None)
        self._used.pop(client_id, None)
        self._open.pop(client_id, None)
        if presence is not None:
            self._listing.remove(presence)
