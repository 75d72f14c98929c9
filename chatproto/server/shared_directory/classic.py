"""Answer classic requests with a directory that several servers share (PROTOCOL.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chatproto.directory.answers import check_forget
from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.directory.pairing import partner_stays
from chatproto.directory.shared import GroupState, SharedLease
from chatproto.directory.shared_changes import OwnLease, ended, leased
from chatproto.net.addresses import is_loopback
from chatproto.server.shared_directory.groups import TRIES, DirectoryContext, GroupDecision
from chatproto.server.shared_directory.lists import SharedLists
from chatproto.server.shared_directory.settling import Settler
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicError,
    ClassicInfo,
    ClassicInfoAck,
    ClassicProbe,
    ClassicQuit,
    ClassicRegAck,
    ClassicRegister,
    Message,
    ProbeAck,
    QuitAck,
    UnregAck,
    Unregister,
)
from chatproto.wire.errors import RemoteError, Unreadable
from chatproto.wire.fields import Contact

EXAMINED = 16
"""Silent clients that are examined to find one that can be removed."""
CROWD = 100
"""Registrations of an address above which a new one replaces one of the same address."""


async def partner(context: DirectoryContext, asker: str, keyed: bool = False) -> Contact | None:
    """Pair `asker` with a client as `directory.pairing.bridge` does; return None if there is none.

    A client with a key (`keyed`) that also calls in plain text has no former partner.
    """
    store, wait = context.store, context.limits.partner_wait
    for _ in range(TRIES):
        facts = await store.pairing(asker)
        former = None if keyed or facts.partner is None else await _there(context, facts.partner)
        if former is not None and partner_stays(former.lease, former.heard, context.now(), wait):
            if await store.pair(asker, former.lease.client_id, "partner", context.now()):
                return former.lease.contact()
            continue
        found = await _first(context, asker, facts.waiting, "waiting")
        found = found or await _first(context, asker, facts.free, "free")
        if found is not None or not (facts.waiting or facts.free):
            return found
    return None


async def _first(
    context: DirectoryContext, asker: str, ids: tuple[str, ...], place: str
) -> Contact | None:
    for client_id in ids:
        there = await _there(context, client_id)
        if there is None:
            await context.store.unpair(client_id)
        elif await context.store.pair(asker, client_id, place, context.now()):
            return there.lease.contact()
    return None


async def _there(context: DirectoryContext, client_id: str) -> SharedLease | None:
    """Return the registration of a client; None if it has none, or its group cannot be read."""
    try:
        return (await context.groups.load(client_id)).classic.get(client_id)
    except Unreadable:
        return None  # another client can be paired


class SharedClassic:
    """Answers of this server to classic requests.

    Args: roomy: returns True if the limit of registrations is far, so that it need not be checked.
    """

    def __init__(
        self,
        context: DirectoryContext,
        settler: Settler,
        lists: SharedLists,
        roomy: Callable[[], bool],
    ) -> None:
        self._context = context
        self._settler = settler
        self._lists = lists
        self._roomy = roomy
        self._ids: dict[int, set[str]] = {}
        """Registered ids by number of the connection."""
        self._young: dict[str, float] = {}
        """Registrations of connections that may be short, with their time; the oldest first."""

    def at_once(self, message: object) -> Message | None:
        """Return the answer to a request that needs no store; else None."""
        match message:
            case RemoteError(status=status):
                return ClassicError(status)
            case ClassicProbe():
                return ProbeAck()
        return None

    async def answer(self, message: Message, source: Origin, number: int) -> Message:
        """Answer a request of the connection `number`. A refusal is an Error message."""
        try:
            self._context.own.check()
            match message:
                case ClassicRegister():
                    return await self._register(message, source, number)
                case ClassicBridge():
                    return await self._bridge(message, source)
                case ClassicInfo():
                    return ClassicInfoAck(await self._lists.classic(source))
                case Unregister() | ClassicQuit():
                    await self._forget(message.client_id, source)
                    return UnregAck() if isinstance(message, Unregister) else QuitAck()
        except RemoteError as error:
            return ClassicError(error.status)
        return ClassicError(405)

    async def _register(self, message: ClassicRegister, source: Origin, number: int) -> Message:
        client_id, ip, port = message
        made: list[ClassicRegistration] = []
        # Clients on this machine have no limit per address, only the one for all.
        roomy = is_loopback(source.host) and self._roomy()

        async def decide(state: GroupState) -> GroupDecision | None:
            group, held = self._context.groups.as_group(state), state.classic.get(client_id)
            heard, now = held.heard if held is not None else 0.0, self._context.now()
            lease, wait = group.classic.get(client_id), self._context.limits.takeover_wait
            if lease is None or not lease.confirmed_by(message, source):
                lease = group.decide_classic(
                    client_id, source.claimed(ip), port, source, heard, now, wait
                )
            if held is None and not roomy:
                return None
            made[:] = [lease]
            return GroupDecision(leased(state, lease, self._context.own.node.name, number, now))

        try:
            after = await self._context.groups.change(client_id, decide)
            if after is None:  # outside of `decide`, since it changes other groups
                await self._make_room(source.host)
                roomy = True
                after = await self._context.groups.change(client_id, decide)
        except RemoteError:
            if made:
                self._settler.ask(client_id)  # it may have been written nevertheless
            raise
        assert after is not None
        there = after.classic[client_id]
        if source.alive:
            mine = OwnLease(made[0], number, there.made, there.heard)
            self._context.own.leases.put(client_id, mine)
            self._ids.setdefault(number, set()).add(client_id)
            self._young.pop(client_id, None)
            self._young[client_id] = there.heard
        return ClassicRegAck(*message)

    async def _make_room(self, host: str) -> None:
        """Remove the longest silent client of the address of `host`, or of all, if a limit is reached.

        Clients with an open connection are not removed. Raises RemoteError 503 if there are no others.
        """
        limits = self._context.limits
        crowd = await self._context.store.crowd(host, EXAMINED)
        if crowd.there >= limits.registrations_per_address:
            silent = crowd.silent_there
        elif crowd.all >= limits.registrations:
            silent = crowd.silent_there if crowd.there > CROWD else crowd.silent
        else:
            return
        for one in silent:
            if await self._forgotten(one):
                return
        raise RemoteError(503, "no space for another registration")

    async def _forgotten(self, client_id: str) -> bool:
        """Remove a client unless its connection is open; return True if it was removed."""

        async def decide(state: GroupState) -> GroupDecision | None:
            lease = self._context.groups.as_group(state).classic.get(client_id)
            if lease is None or lease.source.alive:
                return None
            return GroupDecision(ended(state, client_id))

        try:
            return await self._context.groups.change(client_id, decide) is not None
        except Unreadable:
            return False

    async def _bridge(self, message: ClassicBridge, source: Origin) -> Message:
        asker = message.client_id
        registered = await self._touch(asker, source)
        contact = await partner(self._context, asker)
        if contact is None:
            contact = await self._lists.next_open(asker, source)
        if contact is None:
            if registered:
                await self._context.store.wait(asker, self._context.now())
            return ClassicBridgeAck()
        return ClassicBridgeAck(contact.client_id, contact.host, contact.port)

    async def _touch(self, asker: str, source: Origin) -> bool:
        """Note a request of `asker` from the origin of its registration; return True if it is registered."""

        async def decide(state: GroupState) -> GroupDecision | None:
            held, now = state.classic.get(asker), self._context.now()
            registered[:] = [held is not None]
            lease = self._context.groups.as_group(state).classic.get(asker)
            if held is None or lease is None or not lease.source.is_same_host(source):
                return None
            return GroupDecision(
                replace(state, classic={**state.classic, asker: replace(held, heard=now)})
            )

        registered: list[bool] = []
        await self._context.groups.change(asker, decide)
        return registered[-1]

    async def _forget(self, client_id: str, source: Origin) -> None:
        """End a registration for `source`. Raises RemoteError as `check_forget` does."""

        async def decide(state: GroupState) -> GroupDecision:
            lease = self._context.groups.as_group(state).classic.get(client_id)
            check_forget(client_id, lease, source)
            return GroupDecision(ended(state, client_id))

        await self._context.groups.change(client_id, decide)
        self.registration_ended(client_id)

    def registration_ended(self, client_id: str) -> None:
        """Remove a registration that has ended from the tables of this server."""
        self._context.own.leases.pop(client_id)
        self._young.pop(client_id, None)

    def closed(self, number: int) -> None:
        """Handle the end of a connection."""
        source = self._context.own.sources.pop(number, None)
        if source is None:
            return
        source.alive = False
        for client_id in self._ids.pop(number, ()):
            mine = self._context.own.leases.get(client_id)
            if mine is not None and mine.number == number:
                self.registration_ended(client_id)
                if mine.lasts:
                    self._settler.ask(client_id)

    def due(self) -> None:
        """Write to the store which connections have been open for half of `takeover_wait`."""
        before = self._context.now() - self._context.limits.takeover_wait / 2
        while self._young:
            client_id, since = next(iter(self._young.items()))
            if since > before:
                break
            del self._young[client_id]
            mine = self._context.own.leases.get(client_id)
            if mine is not None:
                mine.lasts = True
                self._settler.ask(client_id)
