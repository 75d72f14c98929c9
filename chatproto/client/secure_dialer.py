"""Finds a way to somebody, inside TLS and with the key that they must have."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from chatproto.client.address_book import AddressBook
from chatproto.client.conversation import Conversation
from chatproto.client.dialer import PeerUnreachable
from chatproto.client.rendezvous import Rendezvous
from chatproto.client.rendezvous_table import RendezvousTable
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.fields import Contact
from chatproto.wire.limits import ClientLimits

log = Logger()
ASKED_AGAIN = (5.0, 15.0)
"""Seconds after which the server is asked again for somebody whom it introduced and who is not reached.

The peer may not have heard of it: its server was killed, or its connection was dead already.
"""
LEAST_PART = 1 / 3
"""The part of `dial_wait` that a later introduction has at least; else it ends when the first one ends."""
ASKED_FOR = 60.0
"""Seconds after which nobody is asked again, however often the peer comes and goes."""


class SecureDialerOwner(Protocol):
    """Parts of the calls that the dialler uses."""

    meetings: RendezvousTable

    @property
    def people(self) -> AddressBook: ...
    @property
    def limits(self) -> ClientLimits: ...
    async def whereabouts(self, client_id: str, key: str | None) -> Contact | None: ...


class SecureDialer:
    """Has a server's introduction carried out; where there is none, tries the addresses known."""

    def __init__(self, calls: SecureDialerOwner, clock: IReactorTime) -> None:
        self._calls = calls
        self._clock = clock

    async def reach(
        self, conversation: Conversation, contact: Contact, wait: float | None = None
    ) -> SecurePeerConnection:
        """A link to `contact`, TLS and all. Raises Unreachable.

        `wait`: seconds for all of it, where nobody has introduced us.
        """
        meetings = self._calls.meetings
        introduction = meetings.answers.take(contact.key) if contact.key is not None else None
        if introduction is not None:
            wait = None
        else:
            typed = ":" in contact.client_id
            known = self._calls.people.addresses(contact)
            addresses = tuple((host, port) for host, port in known if port)
            introduction = Rendezvous(contact.client_id, contact.key or "", addresses, typed=typed)
        if introduction.call and wait is None:
            link = await _Asking(self._calls, self._clock, conversation, introduction).link()
        else:
            link = await meetings.call(conversation, introduction, wait)
        if link.dialled and not link.relayed:
            conversation.host, conversation.port = link.host, link.port
        return link


class _Asking:
    """Call to a peer whom the server introduced; the server is asked again until it is answered.

    Every introduction is carried out until one of them finds a connection. When all have failed and
    none is to come, the call fails with the reason of the first one.
    """

    def __init__(
        self,
        calls: SecureDialerOwner,
        clock: IReactorTime,
        conversation: Conversation,
        introduction: Rendezvous,
    ) -> None:
        self._calls = calls
        self._conversation = conversation
        self._key = introduction.key
        self._clock = clock
        self._began = clock.seconds()
        self._found: Deferred[SecurePeerConnection] = Deferred(lambda _: self._stop())
        self._under_way: list[Deferred[SecurePeerConnection]] = []
        self._first: Deferred[SecurePeerConnection] | None = None
        self._why: Any = PeerUnreachable("there is no way to them")
        self._asking = 0
        self._stopped = False
        most = calls.limits.dial_wait
        self._timers = [clock.callLater(wait, self._ask) for wait in ASKED_AGAIN if wait < most]
        conversation.ask_again = self._ask
        self._call(introduction)

    async def link(self) -> SecurePeerConnection:
        """Return the first connection that is found. Raises Unreachable."""
        try:
            return await self._found
        finally:
            self._stop()

    def _call(self, introduction: Rendezvous, wait: float | None = None) -> None:
        meeting = self._calls.meetings.call(self._conversation, introduction, wait)
        self._under_way.append(meeting)
        self._first = self._first or meeting
        meeting.addCallbacks(self._good, self._bad, (meeting,), errbackArgs=(meeting,))

    def _good(self, link: SecurePeerConnection, meeting: Deferred[SecurePeerConnection]) -> None:
        self._under_way.remove(meeting)
        if self._found.called:
            link.drop()
        else:
            self._found.callback(link)

    def _bad(self, failure: Any, meeting: Deferred[SecurePeerConnection]) -> None:
        failure.trap(PeerUnreachable, CancelledError)
        self._under_way.remove(meeting)
        if meeting is self._first:
            self._why = failure
        self._perhaps_give_up()

    def _ask(self) -> None:
        """Have them introduced anew: they may be at another server by now, or elsewhere."""
        calling = self._conversation.state is SessionState.CALLING and not self._found.called
        if calling and self._clock.seconds() < self._began + ASKED_FOR:
            self._asking += 1
            ensureDeferred(self._ask_server()).addErrback(_log)

    async def _ask_server(self) -> None:
        try:
            await self._calls.whereabouts(self._conversation.id, self._key)
        finally:
            self._asking -= 1
        introduction = self._calls.meetings.answers.take(self._key)
        if introduction is not None and not (self._found.called or self._stopped):
            passed, most = self._clock.seconds() - self._began, self._calls.limits.dial_wait
            self._call(introduction, max(most * LEAST_PART, most - passed))
        self._perhaps_give_up()

    def _perhaps_give_up(self) -> None:
        """Give up when nothing is under way, for the reason of the first introduction."""
        if not (self._under_way or self._asking or self._found.called or self._stopped):
            self._found.errback(self._why)

    def _stop(self) -> None:
        self._stopped = True
        self._conversation.ask_again = None
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        for meeting in tuple(self._under_way):
            meeting.cancel()


def _log(failure: Any) -> None:
    log.failure("the server could not be asked again", failure=failure)
