"""Answer BRIDGE of clients with keys: the callee is told by its server (PROTOCOL.md, section 3)."""

from __future__ import annotations

from chatproto.directory.introducing import IntroductionMaker
from chatproto.directory.registrations import ClientConnection, PushTo, Registration
from chatproto.directory.shared import ListedClient, ToClient
from chatproto.server.shared_directory.classic import SharedPairing
from chatproto.server.shared_directory.groups import DirectoryContext
from chatproto.server.shared_directory.lists import SharedLists
from chatproto.server.shared_directory.registering import Registering
from chatproto.wire import bcp2_server, strict
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.errors import RemoteError, Unreadable
from chatproto.wire.fields import Contact


class Calling:
    """Introduces clients of this server to others.

    Each server counts the introductions of its own clients. A client at another server that watches the
    caller cannot be told from a stranger; one that allows it can.
    """

    def __init__(
        self,
        context: DirectoryContext,
        maker: IntroductionMaker,
        lists: SharedLists,
        pairing: SharedPairing,
        registering: Registering,
    ) -> None:
        self._context = context
        self._maker = maker
        self._lists = lists
        self._pairing = pairing
        self._registering = registering

    async def bridge(self, message: bcp2_server.Bridge, visitor: ClientConnection) -> None:
        """Introduce `visitor`, and answer. Raises RemoteError."""
        mine = self._context.own.of(visitor)
        if mine is None:
            raise RemoteError(401, "register first")
        self._registering.uses(visitor)
        caller, now = mine.registration, self._context.clock.seconds()
        if not message.peer_id:
            await self._anybody(message, caller)
            return
        group = await self._context.groups.group(message.peer_id)
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
                group = await self._context.groups.group(one.client_id)
            except Unreadable:
                return False
            callee = group.presences.get(one.client_id)
            if callee is None or not (callee.connected and callee.listed):
                return False
            await self._introduce(message.cseq, caller, callee)
            return True

        if await self._lists.newest(wanted):
            return
        there = await self._pairing.partner(caller.client_id, keyed=True) if caller.open else None
        cseq = message.cseq
        self._answer(
            caller.visitor, _classic(cseq, there) if there else bcp2_server.BridgeAck(cseq)
        )

    async def _introduce(self, cseq: int, caller: Registration, callee: Registration) -> None:
        known = caller.client_id in callee.visitor.watches
        answer, told = self._maker.introduce(
            cseq, caller, callee, known, self._context.clock.seconds()
        )
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
            self._context.push([PushTo(visitor, message)])
            return True
        text = strict.encode(message).decode()
        return await self._context.store.send(visitor.node, ToClient(visitor.number, text))

    def _answer(self, visitor: ClientConnection, message: Bcp2Message) -> None:
        self._context.push([PushTo(visitor, message)])


def _classic(cseq: int, there: Contact) -> bcp2_server.BridgeAck:
    return bcp2_server.BridgeAck(cseq, there.client_id, addresses=((there.host, there.port),))
