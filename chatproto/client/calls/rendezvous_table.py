"""Track rendezvous in progress and match incoming connections to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.connector import Connector
from chatproto.client.calls.dialer import Dialer, PeerUnreachable
from chatproto.client.calls.rendezvous import MOST, Rendezvous, ServerAnswers
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.server.server_news import ServerEvents
from chatproto.net.sniff import hand_over
from chatproto.net.timers import Timers
from chatproto.session.candidates import in_turn, worth_dialling
from chatproto.session.paths import PathMode, RaceRole
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.punches import Punches
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.bcp2_common import Address

log = Logger()


class RendezvousTable:
    """Start a rendezvous with each peer that we call and each that is introduced to us."""

    def __init__(
        self,
        context: Context,
        calls: Calls,
        connections: Connections,
        secure: SecureCalls,
        dialer: Dialer,
        answers: ServerAnswers,
        events: ServerEvents,
    ) -> None:
        self._context = context
        self._calls = calls
        self._connections = connections
        self._secure = secure
        self._strangers = calls.strangers
        self._dialer = dialer
        self._answers = answers
        self._clock = context.clock
        self._punches: Punches[_Early] = Punches()
        self._timers = Timers(context.clock)
        self._by_call: dict[str, Connector] = {}
        self._stopped = False
        events.introduced.listen(self.introduced)

    def __len__(self) -> int:
        return sum(not one.is_over for one in self._by_call.values())

    # As caller.

    def call(
        self, conversation: Conversation, introduction: Rendezvous, wait: float | None = None
    ) -> Deferred[SecurePeerConnection]:
        """Connect to the peer of `conversation`, within `wait` seconds if given.

        Fails with PeerUnreachable; cancelling it gives up.
        """
        mode = PathMode(self._context.settings.path)
        if not introduction.call and mode is PathMode.RELAY:
            # A relay requires a ticket, which only a server issues.
            addresses: tuple[Address, ...] = ()
        else:
            addresses = self._worth_dialling(introduction)
        rendezvous = self._new(introduction, addresses, RaceRole.CALLER, mode, wait)
        rendezvous.conversation = conversation
        conversation.race = rendezvous.race

        def picked(connection: SecurePeerConnection) -> SecurePeerConnection:
            conversation.race = rendezvous.race  # a later race may have replaced it without success
            return connection

        rendezvous.found.addCallback(picked)
        rendezvous.begin()
        return rendezvous.found

    def better(self, rendezvous: Connector, connection: SecurePeerConnection) -> None:
        """Move the conversation to `connection`, whose path is better than the one picked first."""
        conversation = rendezvous.conversation
        if conversation is None:
            connection.drop()
            return
        if self._connections.adopt(connection, conversation):
            conversation.race = rendezvous.race
            conversation.apply(conversation.session.move(connection))

    def look_again(self, rendezvous: Connector) -> None:
        """Look for a direct path again, because the relay carries the conversation."""
        ensureDeferred(self._look_again(rendezvous)).addErrback(
            partial(log.failure, "a better way could not be looked for")
        )

    async def _look_again(self, rendezvous: Connector) -> None:
        conversation = rendezvous.conversation
        if conversation is None or self._stopped:
            return
        introduction = await self._introduce_again(conversation)
        if introduction is None or rendezvous.is_over or conversation.race is not rendezvous.race:
            return
        found = self._new(
            introduction, self._worth_dialling(introduction), RaceRole.CALLER, PathMode.DIRECT, None
        )
        found.conversation = conversation
        found.begin()
        try:
            connection = await found.found
        except PeerUnreachable:
            rendezvous.learn(found.race.tried())
        else:
            self.better(found, connection)

    async def _introduce_again(self, conversation: Conversation) -> Rendezvous | None:
        """Ask the server once more to introduce the peer, while the conversation is open."""
        if conversation.state is not SessionState.OPEN or conversation.key is None:
            return None
        await self._calls.whereabouts(conversation.id, conversation.key)
        if conversation.state is not SessionState.OPEN:
            return None
        return self._answers.take(conversation.key)

    # As callee.

    def introduced(self, introduction: Rendezvous) -> None:
        """Dial a peer that asked the server for us, so that routers let its packets in.

        Also if its key is not the pinned one: then both users learn why the call is refused.
        """
        known = self._context.trust
        if not known.own_key or not introduction.call or introduction.call in self._by_call:
            return
        if not self._strangers.may_introduce(known.knows(introduction.key)):
            return  # so many introductions would make us dial addresses for the server
        addresses = self._worth_dialling(introduction)
        mode = PathMode(self._context.settings.path)
        self._new(introduction, addresses, RaceRole.CALLEE, mode, None).begin()

    def punched(self, plain: PlainPeerConnection, call: str, data: bytes) -> None:
        """Match an incoming connection to the introduction `call`; `data` followed its PUNCH."""
        transport, strangers = plain.hand_over(), self._strangers
        if not self._context.trust.own_key:
            strangers.left(plain)
            transport.abortConnection()
            return
        early = _Early(data, self._lost_early)
        hand_over(transport, early, b"")
        strangers.moved(plain, early)
        if self._punches.received(early, call, self._clock.seconds()):
            self._let_in(early, call)
        self._wait()

    def stop(self) -> None:
        """End every rendezvous, because the program ends."""
        self._stopped = True
        self._timers.stop()
        for rendezvous in tuple(self._by_call.values()):
            rendezvous.stop()

    # Connectors and early connections.

    def _worth_dialling(self, introduction: Rendezvous) -> tuple[Address, ...]:
        if introduction.typed:
            return introduction.addresses
        if not introduction.call:
            return in_turn(introduction.addresses)
        own = self._context.own_addresses
        return worth_dialling(introduction.addresses, own.is_local, own.addresses())

    def _new(
        self,
        introduction: Rendezvous,
        addresses: tuple[Address, ...],
        role: RaceRole,
        mode: PathMode,
        wait: float | None,
    ) -> Connector:
        limits, call = self._context.limits, introduction.call
        if wait is not None:
            limits = replace(limits, dial_wait=wait)
        rendezvous = Connector(
            self._context,
            self._secure,
            self._dialer,
            limits,
            introduction,
            addresses,
            role,
            mode,
            self.better,
            self.look_again,
        )
        if call:
            self._forget_old()
            self._by_call[call] = rendezvous
            for early in self._punches.introduced(call, self._clock.seconds()):
                self._let_in(early, call)
        return rendezvous

    def _forget_old(self) -> None:
        for call, rendezvous in tuple(self._by_call.items()):
            if rendezvous.is_over or len(self._by_call) >= MOST:
                del self._by_call[call]
                if not rendezvous.is_over and rendezvous.conversation is None:
                    rendezvous.stop()

    def _let_in(self, early: _Early, call: str) -> None:
        rendezvous = self._by_call.get(call)
        transport, data = early.release()
        if rendezvous is None:
            self._strangers.left(early)
            transport.abortConnection()
        else:
            rendezvous.punch_received(
                transport, data, lambda connection: self._strangers.moved(early, connection)
            )

    def _lost_early(self, early: _Early) -> None:
        self._punches.lost(early)
        self._strangers.left(early)

    def _wait(self) -> None:
        self._timers.stop()
        deadline = self._punches.deadline
        if deadline is not None:
            self._timers.after("punch", max(0.0, deadline - self._clock.seconds()), self._due)

    def _due(self) -> None:
        for early in self._punches.due(self._clock.seconds()):
            early.abort()
        self._wait()


class _Early(TwistedProtocol):
    """Hold a connection whose PUNCH names a call that no server has announced yet; pause reading."""

    def __init__(self, data: bytes, lost: Callable[[_Early], None]) -> None:
        self._data = data
        self._lost = lost

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self._data += data  # data read before the pause

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost(self)

    def abort(self) -> None:
        """Close it: no introduction came, or there are too many early connections."""
        self.release()[0].abortConnection()

    def release(self) -> tuple[Any, bytes]:
        """Return the transport and the data received so far, for the protocol that takes over."""
        transport: Any = self.transport
        transport.resumeProducing()
        return transport, self._data
