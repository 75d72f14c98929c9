"""Answer REGISTER and BRIDGE of clients with keys with a shared directory (PROTOCOL.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping

from chatproto.directory.group import KeyIds, RegisterDecision, is_silent
from chatproto.directory.introducing import IntroductionMaker
from chatproto.directory.keyed import count_new_id, new_ids_limiter
from chatproto.directory.registrations import ClientConnection, Dismiss, Effect, Registration
from chatproto.directory.shared import GroupState, ListedClient, Notice, SharedPresence, ToClient
from chatproto.directory.shared_changes import OwnPresence, registered, unregistered
from chatproto.directory.shared_store import NoRoom
from chatproto.server.shared_directory.classic import partner
from chatproto.server.shared_directory.groups import DirectoryContext, GroupDecision
from chatproto.server.shared_directory.lists import SharedLists
from chatproto.server.shared_directory.settling import Settler, ending
from chatproto.wire import bcp2_server, strict
from chatproto.wire.bcp2_common import Bcp2Message, Error
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact

LATE = 5.0
"""Seconds by which the clocks of two servers may differ."""
UNCOMMITTED = 60.0
"""Seconds after which a reservation expires if the key does not own the id: its request has ended."""


class SharedKeyed:
    """Registers clients of this server, and introduces them to peers.

    Each server counts the introductions of its own clients. Watches of a peer at
    another server are unknown here: it counts as knowing the caller only if it allows it.
    """

    def __init__(
        self,
        context: DirectoryContext,
        settler: Settler,
        maker: IntroductionMaker,
        lists: SharedLists,
    ) -> None:
        self._context = context
        self._settler = settler
        self._maker = maker
        self._lists = lists
        self._new_ids = new_ids_limiter(context.limits)

    async def register(self, message: bcp2_server.Register, client: ClientConnection) -> None:
        """Register `client`, or end its registration, and answer. Raises RemoteError."""
        if message.expires == 0:
            await self._end(message, client)
            return
        decisions: list[RegisterDecision] = []
        client_id, reserved, committed = message.client_id, 0.0, False

        async def decide(state: GroupState) -> GroupDecision | None:
            nonlocal reserved
            decisions.clear()
            group = self._context.groups.as_group(state)
            owned = tuple(state.owned) if state.owner == client.key else ()
            new = client_id not in owned
            held, wait = state.classic.get(client_id), self._context.limits.takeover_wait
            silent = held is not None and is_silent(held.heard, self._context.now(), wait)
            late = self._is_late(client, state.presences.get(client_id))
            if late or not group.admits(client_id, client, new, silent):
                # A delayed request, from a connection that its client has replaced since.
                self._context.push([Dismiss(client, bcp2_server.Replaced())])
                return None
            if new and not reserved:
                count_new_id(self._new_ids, client.host, self._context.clock.seconds())
            decision = group.decide_register(message, client, KeyIds(owned), self._context.limits)
            if new and not reserved:
                reserved = await self._reserve(client.key, client_id)
            decisions.append(decision)
            client.listens, client.open = message.port, message.open
            after = registered(
                state,
                decision,
                self._context.own.node.name,
                self._context.now(),
                self._context.limits,
            )
            return GroupDecision(after, self._notices(group.presences, decision), adds=new)

        try:
            after = await self._context.groups.change(client_id, decide)
            committed = after is not None
        except NoRoom:
            decisions.clear()
            await self._context.store.release(client.key, client_id, reserved)
            raise
        finally:
            if decisions and not committed:
                self._settler.ask(client_id)  # it may have been written nevertheless
        if after is not None:
            await self._registered(message, client, decisions[-1], after)

    def _is_late(self, client: ClientConnection, there: SharedPresence | None) -> bool:
        """Return True if the client has registered at another server long after `client` connected.

        Its request was delayed then, since the network or this server was suspended.
        """
        if there is None or client.since is None or not there.registration.connected:
            return False
        elsewhere = there.registration.client.node not in self._context.own.node
        came = self._context.now() - (self._context.clock.seconds() - client.since)
        return elsewhere and there.registration.key == client.key and there.made > came + LATE

    async def _reserve(self, key: str, client_id: str) -> float:
        """Reserve an id for a key; return the time. Raises RemoteError 403 if it has `names_per_key` ids."""
        most, now = self._context.limits.names_per_key, self._context.now()
        if await self._context.store.reserve(key, client_id, most, now):
            return now
        for one, since in (await self._context.store.reserved(key)).items():
            if since < now - UNCOMMITTED:
                state = await self._context.groups.load(one)
                if state.owner != key or one not in state.owned:
                    await self._context.store.release(key, one, since)
        if not await self._context.store.reserve(key, client_id, most, now):
            raise RemoteError(403, f"a key has at most {most} ids")
        return now

    def endings(self, client: ClientConnection, message: Bcp2Message) -> list[tuple[str, Notice]]:
        """Return the notice that ends a connection to another server; empty for one of this server."""
        own = self._context.own.connection(client.node, client.number)
        return [] if own is not None or not client.node else [ending(client, message)]

    def _notices(
        self, presences: Mapping[str, Registration], decision: RegisterDecision
    ) -> list[tuple[str, Notice]]:
        """Return the notices to other servers whose clients lose their ids by a registration."""
        found: list[tuple[str, Notice]] = []
        if decision.replaced is not None:
            found += self.endings(decision.replaced, bcp2_server.Replaced())
        for one in decision.lost:
            if one in presences and presences[one].connected:
                found += self.endings(presences[one].client, Error(403))
        return found

    async def _registered(
        self,
        message: bcp2_server.Register,
        client: ClientConnection,
        decision: RegisterDecision,
        after: GroupState,
    ) -> None:
        presence, client_id = decision.presence, message.client_id
        former = self._context.own.lose(client)
        effects: list[Effect] = []
        replaced = self._context.own.presences.get(client_id)
        if replaced is not None:
            effects += self._dismissed(replaced.registration.client, bcp2_server.Replaced())
        for one in decision.lost:
            theirs = self._context.own.presences.get(one)
            if theirs is not None:
                effects += self._dismissed(theirs.registration.client, Error(403))
        if decision.ousts:
            self._context.own.leases.pop(client_id)
        client.client_id = client_id
        since, made = after.owned[client_id].since, after.presences[client_id].made
        self._context.own.presences.put(client_id, OwnPresence(presence, made, since, used=made))
        if client.number not in self._context.own.connections:
            self._context.own.lose(client)  # its connection has ended meanwhile
            self._settler.ask(client_id)
        self._context.push(effects)
        if former is not None and former.registration.client_id != client_id:
            try:
                await self._unregister(former.registration)
            except RemoteError:
                self._settler.ask(former.registration.client_id)
        self._context.tell(client, _ack(message, presence))

    def _dismissed(self, client: ClientConnection, message: Bcp2Message) -> list[Effect]:
        self._context.own.lose(client)
        return [Dismiss(client, message)]

    async def _end(self, message: bcp2_server.Register, client: ClientConnection) -> None:
        mine = self._context.own.of(client)
        if mine is None:
            raise RemoteError(401, "register first")
        if mine.registration.client_id != message.client_id:
            raise RemoteError(404, "that is not registered here")
        await self._unregister(mine.registration)
        self._context.own.lose(client)
        self._context.tell(
            client, bcp2_server.RegAck(message.cseq, message.client_id, 0, client.address)
        )

    async def _unregister(self, registration: Registration) -> None:
        client_id, number = registration.client_id, registration.client.number

        async def decide(state: GroupState) -> GroupDecision | None:
            there = state.presences.get(client_id)
            if there is None:
                return None
            client = there.registration.client
            if client.number != number or client.node not in self._context.own.node:
                return None  # registered by another connection
            now, limits = self._context.now(), self._context.limits
            return GroupDecision(unregistered(state, client_id, now, limits))

        await self._context.groups.change(client_id, decide)

    def uses(self, client: ClientConnection) -> None:
        """Note that `client` uses its id for more than registering it; such ids are stored longer."""
        mine = self._context.own.of(client)
        if mine is not None and not mine.registration.proven:
            mine.registration = mine.registration.used()
            mine.used = self._context.now()
            self._settler.ask(mine.registration.client_id)

    # BRIDGE.

    async def bridge(self, message: bcp2_server.Bridge, client: ClientConnection) -> None:
        """Introduce `client` to a peer, and answer. Raises RemoteError."""
        mine = self._context.own.of(client)
        if mine is None:
            raise RemoteError(401, "register first")
        self.uses(client)
        caller, now = mine.registration, self._context.clock.seconds()
        if not message.peer_id:
            await self._bridge_any(message, caller)
            return
        group = await self._context.groups.group(message.peer_id)
        try:
            callee = group.decide_bridge(message.peer_id, caller.key)
        except RemoteError:
            self._maker.in_vain(caller.key, now)
            raise
        if isinstance(callee, Contact):
            self._context.tell(client, _classic(message.cseq, callee))
        else:
            await self._introduce(message.cseq, caller, callee)

    async def _bridge_any(self, message: bcp2_server.Bridge, caller: Registration) -> None:
        """Introduce the newest listed client of another key."""

        async def wanted(one: ListedClient) -> bool:
            if one.key == caller.key:
                return False
            callee = await self._context.groups.connected(one.client_id)
            if callee is None or not callee.listed:
                return False
            await self._introduce(message.cseq, caller, callee)
            return True

        if await self._lists.newest(wanted):
            return
        there = None
        if caller.open:
            there = await partner(self._context, caller.client_id, keyed=True)
        cseq = message.cseq
        answer = _classic(cseq, there) if there else bcp2_server.BridgeAck(cseq)
        self._context.tell(caller.client, answer)

    async def _introduce(self, cseq: int, caller: Registration, callee: Registration) -> None:
        known = caller.client_id in callee.client.watches
        answer, told = self._maker.introduce(
            cseq, caller, callee, known, self._context.clock.seconds()
        )
        there = callee.client
        if not there.node:
            self.uses(there)
        if not await self.send(there, told):
            raise RemoteError(480, "their server has just gone")
        self._context.tell(caller.client, answer)

    async def send(self, client: ClientConnection, message: Bcp2Message) -> bool:
        """Send a message to a client at any server; return False if its server has ended.

        Raises: StoreTrouble.
        """
        if not client.node:
            self._context.tell(client, message)
            return True
        text = strict.encode(message).decode()
        return await self._context.store.send(client.node, ToClient(client.number, text))


def _ack(message: bcp2_server.Register, presence: Registration) -> bcp2_server.RegAck:
    return bcp2_server.RegAck(
        message.cseq, presence.client_id, presence.expires, presence.client.address
    )


def _classic(cseq: int, there: Contact) -> bcp2_server.BridgeAck:
    return bcp2_server.BridgeAck(cseq, there.client_id, addresses=((there.host, there.port),))
