"""Every introduction that is under way, and the connections that say to which of them they belong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.client.calls.connector import Connector
from chatproto.client.calls.dialer import Dialer, PeerUnreachable
from chatproto.client.calls.rendezvous import MOST, Rendezvous, ServerAnswers
from chatproto.client.calls.secure_calls import SecureCalls
from chatproto.client.conversation import Conversation
from chatproto.client.own_addresses import OwnAddresses
from chatproto.client.settings import ClientSettings
from chatproto.client.strangers import Strangers
from chatproto.client.trust_store import TrustStore
from chatproto.session.candidates import in_turn, worth_dialling
from chatproto.session.paths import PathMode, RaceRole
from chatproto.session.plain_connection import PlainPeerConnection
from chatproto.session.punches import Punches
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.wire.bcp2_common import Address
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import Cause, Reason

log = Logger()


class MeetingsOwner(Protocol):
    """Parts of the calls that the rendezvous table uses."""

    secure: SecureCalls

    @property
    def settings(self) -> ClientSettings: ...
    @property
    def limits(self) -> ClientLimits: ...
    @property
    def acquaintances(self) -> TrustStore | None: ...
    @property
    def here(self) -> OwnAddresses: ...
    @property
    def strangers(self) -> Strangers: ...
    def belongs(self, link: SecurePeerConnection, conversation: Conversation) -> bool: ...
    async def introduce_again(self, conversation: Conversation) -> Rendezvous | None: ...


class RendezvousTable:
    """Arranges them: of those whom we call, and of those who are introduced to us."""

    def __init__(
        self, calls: MeetingsOwner, answers: ServerAnswers, dialer: Dialer, reactor: IReactorTime
    ) -> None:
        self.answers = answers
        self._calls = calls
        self._dialer = dialer
        self._reactor = reactor
        self._punches: Punches[_Early] = Punches(calls.limits)
        self._timer: IDelayedCall | None = None
        self._by_call: dict[str, Connector] = {}
        self._stopped = False

    def __len__(self) -> int:
        return sum(not one.over for one in self._by_call.values())

    # Whom we call.

    def call(
        self, conversation: Conversation, introduction: Rendezvous, wait: float | None = None
    ) -> Deferred[SecurePeerConnection]:
        """Find a way to them for `conversation`, in `wait` seconds if it is given.

        Fails with Unreachable; cancelling gives it up.
        """
        mode = PathMode(self._calls.settings.path)
        if not introduction.call and mode is PathMode.RELAY:
            # A relay wants a ticket, which only a server hands out.
            addresses: tuple[Address, ...] = ()
        else:
            addresses = self._worth_dialling(introduction)
        meeting = self._new(introduction, addresses, RaceRole.CALLER, mode, wait)
        meeting.conversation = conversation
        conversation.meeting = meeting

        def picked(link: SecurePeerConnection) -> SecurePeerConnection:
            conversation.meeting = meeting  # there may be a later one, which found nothing
            return link

        meeting.found.addCallback(picked)
        meeting.begin()
        return meeting.found

    def better(self, meeting: Connector, link: SecurePeerConnection) -> None:
        """A better way than the one that was picked first: the conversation moves there."""
        conversation = meeting.conversation
        if conversation is None:
            link.drop()
            return
        if self._calls.belongs(link, conversation):
            conversation.meeting = meeting
            conversation.move(link)

    def look_again(self, meeting: Connector) -> None:
        """The relay carries a conversation: there may be a direct way by now."""
        ensureDeferred(self._look_again(meeting)).addErrback(_log)

    async def _look_again(self, meeting: Connector) -> None:
        conversation = meeting.conversation
        if conversation is None or self._stopped:
            return
        introduction = await self._calls.introduce_again(conversation)
        if introduction is None or meeting.over or conversation.meeting is not meeting:
            return
        found = self._new(
            introduction, self._worth_dialling(introduction), RaceRole.CALLER, PathMode.DIRECT, None
        )
        found.conversation = conversation
        found.begin()
        try:
            link = await found.found
        except PeerUnreachable:
            meeting.learn(found.reasons)
        else:
            self.better(found, link)

    # Who is introduced to us.

    def introduced(self, introduction: Rendezvous) -> None:
        """Dial back a peer that asked the server for us, so that routers let it in.

        Also if its key is not the known one: both users learn why the call is refused.
        """
        no_key = self._calls.acquaintances is None
        if no_key or not introduction.call or introduction.call in self._by_call:
            return
        known = self._calls.acquaintances
        if not self._calls.strangers.may_introduce(
            known is not None and known.knows(introduction.key)
        ):
            return  # a server that introduces so many wants us to dial
        addresses = self._worth_dialling(introduction)
        mode = PathMode(self._calls.settings.path)
        self._new(introduction, addresses, RaceRole.CALLEE, mode, None).begin()

    def punched(self, plain: PlainPeerConnection, call: str, data: bytes) -> None:
        """Match an incoming connection to the introduction `call`; `data` came behind its PUNCH."""
        transport, strangers = plain.hand_over(), self._calls.strangers
        if self._calls.acquaintances is None:
            strangers.left(plain)
            transport.abortConnection()
            return
        early = _Early(transport, data, self._lost_early)
        strangers.moved(plain, early)
        if self._punches.came(early, call, self._reactor.seconds()):
            self._let_in(early, call)
        self._wait()

    def stop(self) -> None:
        """The program ends."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for meeting in tuple(self._by_call.values()):
            meeting.stop()

    # What a meeting wants.

    @property
    def secure(self) -> SecureCalls:
        """Manager that makes secure connections."""
        return self._calls.secure

    @property
    def own_key(self) -> str:
        """The name of our key."""
        assert self._calls.acquaintances is not None
        return self._calls.acquaintances.own_key

    def handshake(self, key: str, client_id: str) -> Any:
        """TLS with `client_id`, who must have `key`, or with anybody but ourselves."""
        known = self._calls.acquaintances
        assert known is not None

        def judge(shown: str) -> str | None:
            if shown == known.own_key:
                return Cause(Reason.BAD_KEY, "that is your own key")
            if key and shown != key:
                why = f"the key shown there is not that of {client_id}: {shown}"
                return Cause(Reason.NOT_THEIRS, why)
            return None

        return known.handshake(judge)

    def relay_at(self, introduction: Rendezvous) -> tuple[Address | None, bool]:
        """Return where the relay is, and whether it may be on this machine."""
        place = self._calls.here
        where = place.filtered(introduction.relay)
        return where, place.is_local or where == place.server

    # How it follows.

    def _worth_dialling(self, introduction: Rendezvous) -> tuple[Address, ...]:
        if introduction.typed:
            return introduction.addresses
        if not introduction.call:
            return in_turn(introduction.addresses)
        place = self._calls.here
        return worth_dialling(introduction.addresses, place.is_local, place.addresses())

    def _new(
        self,
        introduction: Rendezvous,
        addresses: tuple[Address, ...],
        role: RaceRole,
        mode: PathMode,
        wait: float | None,
    ) -> Connector:
        limits, call = self._calls.limits, introduction.call
        if wait is not None:
            limits = replace(limits, dial_wait=wait)
        meeting = Connector(
            self, self._dialer, self._reactor, limits, introduction, addresses, role, mode
        )
        if call:
            self._forget_old()
            self._by_call[call] = meeting
            for early in self._punches.introduced(call, self._reactor.seconds()):
                self._let_in(early, call)
        return meeting

    def _forget_old(self) -> None:
        for call, meeting in tuple(self._by_call.items()):
            if meeting.over or len(self._by_call) >= MOST:
                del self._by_call[call]
                if not meeting.over and meeting.conversation is None:
                    meeting.stop()

    def _let_in(self, early: _Early, call: str) -> None:
        meeting = self._by_call.get(call)
        transport, data = early.let_go()
        if meeting is None:
            self._calls.strangers.left(early)
            transport.abortConnection()
        else:
            meeting.came(transport, data, lambda link: self._calls.strangers.moved(early, link))

    def _lost_early(self, early: _Early) -> None:
        self._punches.lost(early)
        self._calls.strangers.left(early)

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._punches.deadline
        if deadline is not None:
            wait = max(0.0, deadline - self._reactor.seconds())
            self._timer = self._reactor.callLater(wait, self._due)

    def _due(self) -> None:
        self._timer = None
        for early in self._punches.due(self._reactor.seconds()):
            early.abort()
        self._wait()


class _Early(TwistedProtocol):
    """A connection that names a call of which we have not heard yet; nothing more is read from it."""

    def __init__(self, transport: Any, data: bytes, lost: Callable[[_Early], None]) -> None:
        self._data = data
        self._lost = lost
        transport.protocol = self
        self.makeConnection(transport)
        transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        self._data += data  # read before it was paused

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost(self)

    def abort(self) -> None:
        """End it: nobody was introduced, or there are too many."""
        self.let_go()[0].abortConnection()

    def let_go(self) -> tuple[Any, bytes]:
        """The transport and what has come, for whoever goes on with it."""
        transport: Any = self.transport
        transport.resumeProducing()
        return transport, self._data


def _log(failure: Failure) -> None:
    log.failure("a better way could not be looked for", failure=failure)
