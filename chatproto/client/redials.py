"""Makes a new connection for a conversation whose connection broke (protocol section 4)."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.client.address_book import AddressBook
from chatproto.client.context import Random
from chatproto.client.conversation import Conversation
from chatproto.client.dialer import PeerUnreachable
from chatproto.client.secure_dialer import SecureDialer
from chatproto.session.secure_connection import SecurePeerConnection
from chatproto.session.state import SessionState
from chatproto.wire.fields import Contact
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import Cause, Reason

log = Logger()


QUICK = 5
"""So often it is dialled at once where there is a connection each time, and it comes to nothing."""


class RedialsOwner(Protocol):
    """Parts of the calls that redialling uses."""

    @property
    def limits(self) -> ClientLimits: ...
    @property
    def people(self) -> AddressBook: ...
    def belongs(self, link: SecurePeerConnection, conversation: Conversation) -> bool: ...
    def lasts(self, conversation: Conversation) -> bool: ...
    async def whereabouts(self, client_id: str, key: str | None) -> Contact | None: ...


class Redials:
    """The former caller dials at once, the other side a little later; then ever less often.

    Tries in vain make the wait longer, 1 s times 1.5 up to `redial_most`. Where they are is asked of
    the server if no address is known, after every `redial_asks` tries in vain, and at once where an
    address alone did not do before.
    """

    def __init__(
        self, calls: RedialsOwner, dialer: SecureDialer, clock: IReactorTime, random: Random
    ) -> None:
        self._calls = calls
        self._dialer = dialer
        self._clock = clock
        self._random = random

    def later(self, conversation: Conversation, failed: bool) -> None:
        """Dial again when it is time."""
        limits, session = self._calls.limits, conversation.session
        waited = self._clock.seconds() - conversation.tries.broke
        if waited > limits.broken_wait and not self._calls.lasts(conversation):
            conversation.perform(
                session.give_up(Cause(Reason.UNREACHABLE, "no connection was to be had again"))
            )
            return
        tries = conversation.tries
        tries.dials += 1
        if failed or tries.dials > QUICK:
            tries.failures += 1
            wait = min(limits.redial_most, 1.5 ** (tries.failures - 1))
        else:
            wait = self._random.random() * limits.redial_jitter
            wait += 0.0 if session.caller else limits.redial_other
        self._set(conversation, wait)

    def now(self, conversation: Conversation) -> None:
        """Redial at once, and ask for the address: the peer is online again, perhaps elsewhere."""
        conversation.tries.elsewhere = True
        if conversation.tries.next is not None:
            conversation.tries.failures = 0
            self._set(conversation, self._random.random() * self._calls.limits.redial_jitter)

    def _set(self, conversation: Conversation, wait: float) -> None:
        def dial() -> None:
            conversation.tries.next = None
            if conversation.state is SessionState.BROKEN and conversation.dialling is None:
                dialling = ensureDeferred(self._dial(conversation))
                if not dialling.called:
                    conversation.dialling = dialling
                dialling.addErrback(_log)

        conversation.tries.wait_for(self._clock.callLater(wait, dial))

    async def _dial(self, conversation: Conversation) -> None:
        session = conversation.session
        assert conversation.key is not None

        try:
            contact = await self._contact(conversation)
            link = await self._dialer.reach(conversation, contact, self._calls.limits.redial_wait)
        except PeerUnreachable:
            conversation.dialling = None
            if session.state is SessionState.BROKEN:
                self.later(conversation, True)
        except CancelledError:
            conversation.dialling = None
        else:
            conversation.dialling = None
            if self._calls.belongs(link, conversation):
                conversation.perform(session.connected(link))
            elif session.state is SessionState.BROKEN:
                self.later(conversation, True)

    async def _contact(self, conversation: Conversation) -> Contact:
        """Return the peer's addresses for its key. Raises PeerUnreachable."""
        name = conversation.id
        known = conversation.contact or self._calls.people.named(name)
        if known is not None and known.key not in (None, conversation.key):
            known = None  # somebody else of that name
        failures, asks = conversation.tries.failures, self._calls.limits.redial_asks
        # Where a router lets nobody in, knowing the address is not enough.
        ask = failures % asks == 0 if failures else conversation.path in ("punched", "relay")
        if known is None or ask or conversation.tries.elsewhere:
            conversation.tries.elsewhere = False
            asked = await self._calls.whereabouts(name, conversation.key)
            known = asked if asked is not None and asked.key == conversation.key else known
        if known is None:
            raise PeerUnreachable(f"no address of {name} is known", Reason.NO_ADDRESS)
        return Contact(known.client_id, known.host, known.port, conversation.key)


def _log(failure: Failure) -> None:
    log.failure("a connection could not be made again", failure=failure)
