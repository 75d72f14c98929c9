"""Introduce two clients with keys to each other (PROTOCOL.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.directory.addresses import told
from chatproto.directory.introductions import Introductions
from chatproto.directory.registrations import Registration
from chatproto.net.addresses import network
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits

NewTickets = Callable[[str, str, float], tuple[str, str] | None]


def no_tickets(asker: str, call: str, now: float) -> None:
    """Issue no relay tickets: the server has no relay."""


class IntroductionMaker:
    """Makes introductions, of one server's clients to others, and counts them.

    Args: new_call: makes call ids. new_tickets: makes two for the relay, of who asks and of whom they ask
    for, from the asker's key, the call and the time; or None, and there is no relay for them.
    """

    def __init__(
        self, limits: ServerLimits, new_call: Callable[[], str], new_tickets: NewTickets
    ) -> None:
        self.relay: Address | None = None
        """Address at which the tickets are good; None: that by which a client knows this server."""
        self._new_call = new_call
        self._new_tickets = new_tickets
        self._introductions = Introductions(limits)

    def introduce(
        self, cseq: int, caller: Registration, callee: Registration, known: bool, now: float
    ) -> tuple[bcp2_server.BridgeAck, bcp2_server.Introduce]:
        """Return what the caller is answered, and what the callee is told.

        Args: known: the callee watches the caller. Raises: RemoteError: 403 for one's own key, 429 where
        it is too often.
        """
        if callee.key == caller.key:
            raise RemoteError(403, "that is your own key")
        known = known or caller.key in callee.allow
        host = network(caller.visitor.host)
        self._introductions.count(caller.key, callee.key, now, host, known)
        call = self._new_call()
        there, here = told(callee, caller.visitor), told(caller, callee.visitor)
        mine, theirs = self._new_tickets(caller.key, call, now) or ("", "")
        relay = self.relay if mine else None
        answer = bcp2_server.BridgeAck(cseq, callee.client_id, callee.key, there, call, mine, relay)
        push = bcp2_server.Introduce(caller.client_id, caller.key, here, call, theirs, relay)
        return answer, push

    def in_vain(self, key: str, now: float) -> None:
        """Count a request that introduces nobody. Raises RemoteError 429 where it is too often."""
        self._introductions.count_in_vain(key, now)

    def lost(self, key: str) -> None:
        """Take introductions to `key` back, the connection of which has ended: it may not know of them."""
        self._introductions.lost(key)
