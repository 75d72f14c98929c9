"""Limit what strangers use of this program, and decide which connection is closed for another.

Counted per network (`net.addresses.network`) and in total: connections on our port from their first
byte until a call is answered, ringing calls, and lines on the screen. Contacts with a pinned key
have limits of their own, which no stranger can use up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from chatproto.client.events import Event, Notice
from chatproto.net.addresses import network
from chatproto.net.rate_limiter import RateLimiter, RateLimiters
from chatproto.net.timers import Timers
from chatproto.wire.limits import ClientLimits

RING_BURST = 24
"""Burst of ringing calls from one network of strangers, or of one known key."""
RING_RATE = 0.2
"""Ringing calls per second after the burst; four times as many for all strangers."""
INTRODUCED_BURST = 16
"""Burst of a server's introductions that are dialled."""
INTRODUCED_RATE = 1.0
"""Introductions per second after the burst; known contacts have a separate limit."""
TALK_BURST = 5000
"""Burst of messages of one peer that are read; each KiB counts as one."""
TALK_RATE = 200.0
"""Messages per second after the burst."""

ADDRESSES = 4096
"""Most networks and keys whose call rate is stored."""
KNOWN = 8
"""Factor by which contacts with a pinned key may call more often than strangers."""
TALKERS = 4096
"""Most peers whose message rate is stored."""
TOLD_AFTER = 10.0
"""Seconds after which one line reports the number of refused calls without a line of their own."""


class StrangerConnection(Protocol):
    """A connection that was dialled by a peer."""

    def abort(self) -> None:
        """Abort it: there are too many."""


@dataclass(slots=True)
class _Slot:
    """Origin of a counted connection; `idle` ones may be closed for newer ones."""

    network: str
    is_idle: Callable[[], bool]
    known: bool = False


class Strangers:
    """Counts and limits of one client; `tell` gets the lines about refusals.

    `talks`: rate limit of each key, in messages and KiB per second.
    """

    def __init__(
        self, clock: IReactorTime, limits: ClientLimits, tell: Callable[[Event], None]
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._tell = tell
        self._slots: dict[Any, _Slot] = {}  # by connection, the oldest first
        self._rings: RateLimiters[str] = RateLimiters(RING_RATE, RING_BURST, ADDRESSES)
        self._known_rings: RateLimiters[str] = RateLimiters(
            KNOWN * RING_RATE, KNOWN * RING_BURST, ADDRESSES
        )
        self._all_rings = RateLimiter(4 * RING_RATE, 4 * RING_BURST)
        self._silent = RateLimiter(RING_RATE, RING_BURST)
        self._invitations = RateLimiter(RING_RATE, RING_BURST)
        self._introduced = RateLimiter(INTRODUCED_RATE, INTRODUCED_BURST)
        self._known_introduced = RateLimiter(KNOWN * INTRODUCED_RATE, KNOWN * INTRODUCED_BURST)
        self.talks: RateLimiters[str] = RateLimiters(TALK_RATE, TALK_BURST, TALKERS)
        """Rate limits of the message cost of each key."""
        self._untold = 0
        self._timers = Timers(clock)
        self.refused = 0
        """Number of connections and calls that were refused since the start."""

    # Connections that carry no conversation yet.

    def admit(
        self, connection: StrangerConnection, host: str, is_idle: Callable[[], bool] = lambda: True
    ) -> bool:
        """Count a connection from `host`; return False if there is no room and it must be closed.

        If its network has too many, the oldest idle connection of that network is closed; else the oldest
        idle one of the network with the most.
        """
        limits, where = self._limits, network(host)
        here = sum(slot.network == where and not slot.known for slot in self._slots.values())
        if here >= limits.callers_per_address:
            room = self._abort_oldest(where)
        elif self.connections >= limits.callers:
            room = self._abort_oldest(self._fullest())
        else:
            room = True
        if room:
            self._slots[connection] = _Slot(where, is_idle)
        else:
            self.refused += 1
        return room

    def moved(
        self,
        before: StrangerConnection,
        after: StrangerConnection,
        is_idle: Callable[[], bool] = lambda: True,
    ) -> None:
        """Count `after` instead of `before`, which it replaces."""
        slot = self._slots.pop(before, None)
        if slot is not None:
            self._slots[after] = _Slot(slot.network, is_idle, slot.known)

    def proved(self, connection: StrangerConnection, known: bool) -> None:
        """Note that TLS has proved a key: the connection is no longer closed for others, and if the key is
        pinned (`known`) it does not count against strangers."""
        slot = self._slots.get(connection)
        if slot is not None:
            slot.is_idle = _never
            of_known = sum(one.known for one in self._slots.values())
            slot.known = known and of_known < self._limits.callers_known

    def left(self, connection: StrangerConnection) -> None:
        """Stop counting a connection that ended or joined a conversation; ignore others."""
        self._slots.pop(connection, None)

    @property
    def connections(self) -> int:
        """Return the number of connections from strangers."""
        return sum(not slot.known for slot in self._slots.values())

    # Calls and lines.

    def may_ring(
        self, who: str, host: str, known: bool, ringing: int, silent: bool = False
    ) -> bool:
        """Return True if one more call may ring, and so show its lines.

        `who`: the key; empty in plain text. `ringing`: number of ringing calls of known contacts, or of
        strangers. `silent`: the connection has sent nothing, and has a separate limit. A refused call is
        counted and reported in one line.
        """
        if silent:
            return self._silent.allow(self._clock.seconds())
        if ringing < self._limits.ringing and self.may_show(who if known else network(host), known):
            return True
        self.refused += 1
        return False

    def may_show(self, who: str, known: bool = False) -> bool:
        """Return True if a line may be shown about `who`, a network or a key; else count it for the
        line that reports their number later."""
        now = self._clock.seconds()
        if known:
            allowed = self._known_rings.allow(who, now)
        else:
            allowed = self._rings.allow(who, now) and self._all_rings.allow(now)
        return allowed or self._count_untold()

    def may_invite(self) -> bool:
        """Return True if a line may be shown about a room invitation; else it is counted."""
        return self._invitations.allow(self._clock.seconds()) or self._count_untold()

    def may_introduce(self, known: bool) -> bool:
        """Return True if the client may dial a peer that a server has introduced."""
        limiter = self._known_introduced if known else self._introduced
        if limiter.allow(self._clock.seconds()):
            return True
        self.refused += 1
        return False

    def counters(self) -> dict[str, int]:
        """Return the present counts and the number of refusals, for `/status` in JSON."""
        return {
            "connections": self.connections,
            "known_connections": sum(slot.known for slot in self._slots.values()),
            "addresses": len(self._rings) + len(self._known_rings),
            "talkers": len(self.talks),
            "refused": self.refused,
        }

    def stop(self) -> None:
        """Stop the timers."""
        self._timers.stop()

    # Closing connections and reporting refusals.

    def _abort_oldest(self, where: str) -> bool:
        """Abort the oldest idle connection from `where`; return False if there is none."""
        for connection, slot in self._slots.items():
            if slot.network == where and not slot.known and slot.is_idle():
                del self._slots[connection]
                self.refused += 1
                connection.abort()
                return True
        return False

    def _fullest(self) -> str:
        """Return the network with the most idle connections."""
        count: dict[str, int] = {}
        for slot in self._slots.values():
            if not slot.known and slot.is_idle():
                count[slot.network] = count.get(slot.network, 0) + 1
        return max(count, key=lambda where: count[where], default="")

    def _count_untold(self) -> bool:
        self._untold += 1
        if "untold" not in self._timers:
            self._timers.after("untold", TOLD_AFTER, self._report_refused)
        return False

    def _report_refused(self) -> None:
        count, self._untold = self._untold, 0
        what = "1 call or invitation was" if count == 1 else f"{count} calls or invitations were"
        self._tell(Notice(f"{what} not shown: too many in a short time"))


def _never() -> bool:
    return False
