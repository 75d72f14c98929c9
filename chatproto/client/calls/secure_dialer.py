"""Dial a peer inside TLS with its expected key, and redial it after the connection breaks.

Protocol sections 4 (redials) and 5 (introductions).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.logger import Logger

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.dialer import PeerUnreachable
from chatproto.client.calls.rendezvous import Rendezvous, ServerAnswers
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import NO_PATH_AGAIN, NO_WAY, Cause, Reason

REDIAL_JITTER = 0.1
"""Most seconds before the former caller redials."""
REDIAL_OTHER = 2.0
"""Seconds after which the former callee redials."""
REDIAL_MOST = 60.0
"""Most seconds between two failed attempts; the first wait is 1 s."""
REDIAL_WAIT = 5.0
"""Timeout in seconds for a redial to the previous addresses."""
REDIAL_ASKS = 3
"""Failed attempts after which the server is asked for the peer's address."""

log = Logger()
ASKED_AGAIN = (5.0, 15.0)
"""Seconds after which the server is asked again to introduce a peer that is not reached yet.

The peer may have missed the introduction: its server was killed, or its connection was dead already.
"""
LEAST_PART = 1 / 3
"""Least part of `dial_wait` for a later introduction, which else ends together with the first one."""
ASKED_FOR = 60.0
"""Seconds after which the server is not asked again, however often the peer appears and leaves."""
QUICK = 5
"""Immediate redials in a row, if each connection is made and lost again."""


class SecureDialer:
    """Connect through a server's introduction; without one, try the known addresses.

    Broken conversations are redialled, at once by the former caller and later by the callee. After each
    failure the wait grows by the factor 1.5, from 1 s to `REDIAL_MOST`. The server is asked for the
    address if none is known, after every `REDIAL_ASKS` failures, and at once if the last path needed
    an introduction.
    """

    def __init__(
        self,
        context: Context,
        calls: Calls,
        connections: Connections,
        answers: ServerAnswers,
        rendezvous: RendezvousTable,
    ) -> None:
        self._context = context
        self._calls = calls
        self._connections = connections
        self._answers = answers
        self._rendezvous = rendezvous
        calls.signals.redial.listen(lambda wanted: self.later(*wanted))
        calls.back.listen(self.now)

    async def reach(
        self, conversation: Conversation, contact: Contact, wait: float | None = None
    ) -> SecurePeerConnection:
        """Connect to `contact` and finish the TLS handshake. Raises PeerUnreachable.

        `wait`: timeout in seconds for a call without an introduction.
        """
        introduction = self._answers.take(contact.key) if contact.key is not None else None
        if introduction is not None:
            wait = None
        else:
            typed = ":" in contact.client_id
            known = self._context.address_book.addresses(contact)
            addresses = tuple((host, port) for host, port in known if port)
            introduction = Rendezvous(contact.client_id, contact.key or "", addresses, typed=typed)
        if introduction.call and wait is None:
            connection = await _Asking(
                self._context,
                self._calls,
                self._answers,
                self._rendezvous,
                conversation,
                introduction,
            ).connection()
        else:
            connection = await self._rendezvous.call(conversation, introduction, wait)
        if connection.dialled and not connection.relayed:
            conversation.host, conversation.port = connection.host, connection.port
        return connection

    def later(self, conversation: Conversation, failed: bool) -> None:
        """Schedule the next redial; `failed`: the last one failed."""
        limits, session = self._context.limits, conversation.session
        waited = self._context.clock.seconds() - conversation.redial.broke
        if waited > limits.broken_wait and not self._calls.lasts(conversation):
            conversation.apply(session.give_up(NO_PATH_AGAIN()))
            return
        redial = conversation.redial
        redial.dials += 1
        if failed or redial.dials > QUICK:
            redial.failures += 1
            wait = min(REDIAL_MOST, 1.5 ** (redial.failures - 1))
        else:
            wait = self._context.random.random() * REDIAL_JITTER
            wait += 0.0 if session.caller else REDIAL_OTHER
        self._set(conversation, wait)

    def now(self, conversation: Conversation) -> None:
        """Redial at once, and ask for the address: the peer is online again, perhaps elsewhere."""
        conversation.redial.elsewhere = True
        if conversation.redial.next is not None:
            conversation.redial.failures = 0
            self._set(conversation, self._context.random.random() * REDIAL_JITTER)

    def _set(self, conversation: Conversation, wait: float) -> None:
        def dial() -> None:
            conversation.redial.next = None
            if conversation.state is SessionState.BROKEN and conversation.dialling is None:
                dialling = ensureDeferred(self._dial(conversation))
                if not dialling.called:
                    conversation.dialling = dialling
                dialling.addErrback(partial(log.failure, "a connection could not be made again"))

        conversation.redial.wait_for(self._context.clock.callLater(wait, dial))

    async def _dial(self, conversation: Conversation) -> None:
        session = conversation.session
        assert conversation.key is not None

        try:
            contact = await self._contact(conversation)
            connection = await self.reach(conversation, contact, REDIAL_WAIT)
        except PeerUnreachable:
            conversation.dialling = None
            if session.state is SessionState.BROKEN:
                self.later(conversation, True)
        except CancelledError:
            conversation.dialling = None
        else:
            conversation.dialling = None
            if self._connections.adopt(connection, conversation):
                conversation.apply(session.connected(connection))
            elif session.state is SessionState.BROKEN:
                self.later(conversation, True)

    async def _contact(self, conversation: Conversation) -> Contact:
        """Return the peer's addresses for its key. Raises PeerUnreachable."""
        name = conversation.id
        known = conversation.contact or self._context.address_book.named(name)
        if known is not None and known.key not in (None, conversation.key):
            known = None  # another client with that name
        failures, asks = conversation.redial.failures, REDIAL_ASKS
        # Behind a router that blocks incoming packets, the address is not enough.
        ask = failures % asks == 0 if failures else conversation.path in ("punched", "relay")
        if known is None or ask or conversation.redial.elsewhere:
            conversation.redial.elsewhere = False
            asked = await self._calls.whereabouts(name, conversation.key)
            known = asked if asked is not None and asked.key == conversation.key else known
        if known is None:
            raise PeerUnreachable(Cause(Reason.NO_ADDRESS))
        return Contact(known.client_id, known.host, known.port, conversation.key)


class _Asking:
    """Call to a peer that the server introduced; the server is asked again until the peer answers.

    All introductions run until one finds a connection. When all have failed and no request is
    pending, the call fails with the reason of the first one.
    """

    def __init__(
        self,
        context: Context,
        calls: Calls,
        answers: ServerAnswers,
        rendezvous: RendezvousTable,
        conversation: Conversation,
        introduction: Rendezvous,
    ) -> None:
        clock = context.clock
        self._calls = calls
        self._answers = answers
        self._rendezvous = rendezvous
        self._conversation = conversation
        self._key = introduction.key
        self._clock = clock
        self._began = clock.seconds()
        self._found: Deferred[SecurePeerConnection] = Deferred(lambda _: self._stop())
        self._under_way: list[Deferred[SecurePeerConnection]] = []
        self._first: Deferred[SecurePeerConnection] | None = None
        self._why: Any = PeerUnreachable(NO_WAY())
        self._asking = 0
        self._stopped = False
        self._most = most = context.limits.dial_wait
        self._timers = [clock.callLater(wait, self._ask) for wait in ASKED_AGAIN if wait < most]
        conversation.ask_again = self._ask
        self._call(introduction)

    async def connection(self) -> SecurePeerConnection:
        """Return the first connection that is made. Raises PeerUnreachable."""
        try:
            return await self._found
        finally:
            self._stop()

    def _call(self, introduction: Rendezvous, wait: float | None = None) -> None:
        rendezvous = self._rendezvous.call(self._conversation, introduction, wait)
        self._under_way.append(rendezvous)
        self._first = self._first or rendezvous
        rendezvous.addCallbacks(self._good, self._bad, (rendezvous,), errbackArgs=(rendezvous,))

    def _good(
        self, connection: SecurePeerConnection, rendezvous: Deferred[SecurePeerConnection]
    ) -> None:
        self._under_way.remove(rendezvous)
        self._found.callback(connection)  # this cancels the others

    def _bad(self, failure: Any, rendezvous: Deferred[SecurePeerConnection]) -> None:
        failure.trap(PeerUnreachable, CancelledError)
        self._under_way.remove(rendezvous)
        if rendezvous is self._first:
            self._why = failure
        self._perhaps_give_up()

    def _ask(self) -> None:
        """Ask for another introduction: the peer may be at another server or address by now."""
        calling = self._conversation.state is SessionState.CALLING and not self._found.called
        if calling and self._clock.seconds() < self._began + ASKED_FOR:
            self._asking += 1
            ensureDeferred(self._ask_server()).addErrback(
                partial(log.failure, "the server could not be asked again")
            )

    async def _ask_server(self) -> None:
        try:
            await self._calls.whereabouts(self._conversation.id, self._key)
        finally:
            self._asking -= 1
        introduction = self._answers.take(self._key)
        if introduction is not None and not (self._found.called or self._stopped):
            left = self._most - (self._clock.seconds() - self._began)
            self._call(introduction, max(self._most * LEAST_PART, left))
        self._perhaps_give_up()

    def _perhaps_give_up(self) -> None:
        """Give up when no attempt is running, with the reason of the first introduction."""
        if not (self._under_way or self._asking or self._found.called or self._stopped):
            self._found.errback(self._why)

    def _stop(self) -> None:
        self._stopped = True
        self._conversation.ask_again = None
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        for rendezvous in tuple(self._under_way):
            rendezvous.cancel()
