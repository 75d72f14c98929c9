"""Introduce two clients with keys to each other, and limit how often (PROTOCOL.md, section 3)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

from chatproto.directory.addresses import announced_to
from chatproto.directory.registrations import Registration
from chatproto.net.addresses import network
from chatproto.net.bounded_table import remember
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Address
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import ServerLimits

K = TypeVar("K")
MINUTE = 60.0
MOST = 100_000
"""Largest number of pairs and keys that are stored; the oldest are removed."""
NewTickets = Callable[[str, str, float], tuple[str, str] | None]


class Introductions:
    """Count introductions: so many by one key in a minute, and so many to one (protocol section 3).

    Two clients that have asked for each other are not counted: as far as a server can tell, both agree.
    Unknown callers from one address share a part of what one key may receive, and all unknown callers
    together leave a part to known ones: those that the callee watches, or allows to find it.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._callers: OrderedDict[str, deque[float]] = OrderedDict()
        self._callees: OrderedDict[str, deque[float]] = OrderedDict()
        self._in_vain: OrderedDict[str, deque[float]] = OrderedDict()
        self._by_callee: OrderedDict[str, deque[tuple[str, float]]] = OrderedDict()
        self._strangers: OrderedDict[str, deque[float]] = OrderedDict()  # by callee
        self._addresses: OrderedDict[tuple[str, str], deque[float]] = (
            OrderedDict()
        )  # by callee and address

    def count(
        self, caller: str, callee: str, now: float, address: str = "", known: bool = False
    ) -> None:
        """Count one introduction; `known`: the callee watches or allows the caller.

        Raises: RemoteError: 429 if it exceeds a limit.
        """
        mutual = (callee, caller) in self._pairs
        remember(self._pairs, (caller, callee), None, MOST)
        if mutual:
            return
        own = _recent(self._callers, caller, now)
        received = _recent(self._callees, callee, now)
        limits = self._limits
        if len(own) >= limits.introductions_from or len(received) >= limits.introductions_to:
            raise RemoteError(429, "too many introductions")
        if not known:
            strangers = _recent(self._strangers, callee, now)
            neighbours = _recent(self._addresses, (callee, address), now)
            if (
                len(strangers) >= max(1, limits.introductions_to - limits.introductions_reserve)
                or len(neighbours) >= limits.introductions_to_per_address
            ):
                raise RemoteError(429, "too many introductions of strangers")
            strangers.append(now)
            neighbours.append(now)
        own.append(now)
        received.append(now)
        made = self._by_callee.get(callee, deque(maxlen=limits.introductions_to))
        remember(self._by_callee, callee, made, MOST).append((caller, now))

    def count_in_vain(self, caller: str, now: float) -> None:
        """Count a request of `caller` without an introduction, which has its own limit.

        Raises RemoteError 429 past `introductions_vain` within a minute.
        """
        asked = _recent(self._in_vain, caller, now)
        if len(asked) >= self._limits.introductions_vain:
            raise RemoteError(429, "too many requests for clients that are not here")
        asked.append(now)

    def lost(self, callee: str) -> None:
        """Remove the introductions to `callee` of the last minute from their callers' counts.

        The connection of `callee` has ended, so it may not have received them; the callers ask again.
        The count of `callee` itself stays.
        """
        for caller, at in self._by_callee.pop(callee, ()):
            own = self._callers.get(caller)
            if own is not None and at in own:
                own.remove(at)


def _recent(times: OrderedDict[K, deque[float]], key: K, now: float) -> deque[float]:
    """Return the times of the last minute under `key`, after removing older ones."""
    found = remember(times, key, times.get(key, deque()), MOST)
    while found and found[0] <= now - MINUTE:
        found.popleft()
    return found


def no_tickets(asker: str, call: str, now: float) -> None:
    """Issue no relay tickets: the server has no relay."""


class IntroductionMaker:
    """Make introductions between clients, and count them.

    Args: new_call: returns a call id. new_tickets: returns two relay tickets, of the caller and of the
    callee, from the caller's key, the call and the time; or None without a relay.
    """

    def __init__(
        self, limits: ServerLimits, new_call: Callable[[], str], new_tickets: NewTickets
    ) -> None:
        self.relay: Address | None = None
        """Address at which the tickets are valid; None: the address at which a client knows this
        server.
        """
        self._new_call = new_call
        self._new_tickets = new_tickets
        self._introductions = Introductions(limits)

    def introduce(
        self, cseq: int, caller: Registration, callee: Registration, known: bool, now: float
    ) -> tuple[bcp2_server.BridgeAck, bcp2_server.Introduce]:
        """Return the answer to the caller, and the push to the callee.

        Args: known: the callee watches the caller. Raises: RemoteError: 403 for one's own key, 429 past
        a limit.
        """
        if callee.key == caller.key:
            raise RemoteError(403, "that is your own key")
        known = known or caller.key in callee.allow
        host = network(caller.client.host)
        self._introductions.count(caller.key, callee.key, now, host, known)
        call = self._new_call()
        there, here = announced_to(callee, caller.client), announced_to(caller, callee.client)
        mine, theirs = self._new_tickets(caller.key, call, now) or ("", "")
        relay = self.relay if mine else None
        answer = bcp2_server.BridgeAck(cseq, callee.client_id, callee.key, there, call, mine, relay)
        push = bcp2_server.Introduce(caller.client_id, caller.key, here, call, theirs, relay)
        return answer, push

    def in_vain(self, key: str, now: float) -> None:
        """Count a request without an introduction. Raises RemoteError 429 past the limit."""
        self._introductions.count_in_vain(key, now)

    def lost(self, key: str) -> None:
        """Remove introductions to `key` from the counts: its connection has ended and may not have
        received them.
        """
        self._introductions.lost(key)
