"""Answer BRIDGE of clients with keys: the callee is told by its server (PROTOCOL.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.directory.introducing import IntroductionMaker
from chatproto.directory.registrations import ClientConnection, Effect, PushTo, Registration
from chatproto.directory.shared import ListedClient, ToClient
from chatproto.directory.shared_store import SharedDirectoryStore
from chatproto.server.shared_directory.classic import SharedPairing
from chatproto.server.shared_directory.groups import SharedGroups
from chatproto.server.shared_directory.lists import SharedLists
from chatproto.server.shared_directory.own import OwnClients
from chatproto.server.shared_directory.registering import Registering
from chatproto.wire import bcp2_server, strict
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError, Unreadable
from chatproto.wire.fields import Contact


class Calling:
    """Introduces clients of this server to others.

    Each server counts the introductions of its own clients. A client at another server that watches the
    caller cannot be told from a stranger; one that allows it can.

    Args: seconds: monotonic time. push: sends effects to clients of this server.
    """

    def __init__(
        self,
        store: SharedDirectoryStore,
        groups: SharedGroups,
        own: OwnClients,
        maker: IntroductionMaker,
        lists: SharedLists,
        pairing: SharedPairing,
        registering: Registering,
        seconds: Callable[[], float],
        push: Callable[[list[Effect]], None],
    ) -> None:
        self._store = store
        self._groups = groups
        self._own = own
        self._maker = maker
        self._lists = lists
        self._pairing = pairing
        self._registering = registering
        self._seconds = seconds
        self._push = push

    async def bridge(self, message: bcp2_server.Bridge, visitor: ClientConnection) -> None:
        """Introduce `visitor`, and answer. Raises RemoteError."""
        mine = self._own.of(visitor)
        if mine is None:
            raise RemoteError(401, "register first")
        self._registering.uses(visitor)
        caller, now = mine.registration, self._seconds()
        if not message.peer_id:
            await self._anybody(message, caller)
            return
        group = await self._groups.group(message.peer_id)
        try:
            callee = group.decide_bridge(message.peer_id, caller.key)
        except RemoteError:
            self._maker.in_vain(caller.key, now)
            raise
        if isinstance(callee, Contact):
            self._answer(visitor, _classic(message.cseq, callee))
            return
        await self._introduce(message.cseq, caller, callee)

    async def _anybody(self, message: bcp2_server.Bridge, caller: Registration) -> None:
        """Introduce the listed client of another key that registered last."""

        async def wanted(one: ListedClient) -> bool:
            if one.key == caller.key:
                return False
            try:
                group = await self._groups.group(one.client_id)
            except Unreadable:
                return False
            callee = group.presences.get(one.client_id)
            if callee is None or not (callee.connected and callee.listed):
                return False
            await self._introduce(message.cseq, caller, callee)
            return True

        if await self._lists.newest(wanted):
            return
        there = await self._pairing.for_open(caller.client_id) if caller.open else None
        cseq = message.cseq
        self._answer(
            caller.visitor, _classic(cseq, there) if there else bcp2_server.BridgeAck(cseq)
        )

    async def _introduce(self, cseq: int, caller: Registration, callee: Registration) -> None:
        known = caller.client_id in callee.visitor.watches
        answer, told = self._maker.introduce(cseq, caller, callee, known, self._seconds())
        there = callee.visitor
        if not there.node:
            self._registering.uses(there)
        if not await self.tell(there, told):
            raise RemoteError(480, "their server has just gone")
        self._answer(caller.visitor, answer)

    async def tell(self, visitor: ClientConnection, message: Bcp2Message) -> bool:
        """Send a message to a client, wherever it is connected; False if its server is there no more.

        Raises: StoreTrouble.
        """
        if not visitor.node:
            self._push([PushTo(visitor, message)])
            return True
        text = strict.encode(message).decode()
        return await self._store.send(visitor.node, ToClient(visitor.number, text))

    def _answer(self, visitor: ClientConnection, message: Bcp2Message) -> None:
        self._push([PushTo(visitor, message)])


def _classic(cseq: int, there: Contact) -> bcp2_server.BridgeAck:
    return bcp2_server.BridgeAck(cseq, there.client_id, addresses=((there.host, there.port),))
