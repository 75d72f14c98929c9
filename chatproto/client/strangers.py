"""The one place that counts what strangers hold of this program, and says who makes room.

Counted by address (`net.addresses.network`) and in all: connections on our port from their first
byte until a call is taken, calls that ring, and lines on the screen. People whose key is pinned
have places of their own: no stranger takes one.
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
"""Calls of strangers from one address, or of one known key, that ring at once."""
RING_RATE = 0.2
"""And then in a second; four times as many of all strangers."""
INTRODUCED_BURST = 16
"""Introductions by a server that are dialled at once."""
INTRODUCED_RATE = 1.0
"""And then in a second; the same again for known people."""
TALK_BURST = 5000
"""Messages of one person that are read at once; each KiB counts as one."""
TALK_RATE = 200.0
"""And then in a second."""

ADDRESSES = 4096
"""Addresses and keys of which it is remembered how often they called."""
KNOWN = 8
"""People whose key is pinned may call so many times as often as a stranger."""
TALKERS = 4096
"""People of whom it is remembered how fast they talk."""
TOLD_AFTER = 10.0
"""Seconds after which one line says how many calls were refused without a line of their own."""


class StrangerConnection(Protocol):
    """A connection that somebody else made."""

    def abort(self) -> None:
        """End it at once: there are too many."""


@dataclass(slots=True)
class _Place:
    """Origin of a counted connection; `idle` ones may be closed for newer ones."""

    network: str
    is_idle: Callable[[], bool]
    known: bool = False


class Strangers:
    """Counts for one client; `tell` gets the lines about what was refused.

    `talks`: how fast each key may talk, in messages and KiB a second.
    """

    def __init__(
        self, clock: IReactorTime, limits: ClientLimits, tell: Callable[[Event], None]
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._tell = tell
        self._places: dict[Any, _Place] = {}  # by connection, the oldest first
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
        """Limits of what messages of each key cost."""
        self._untold = 0
        self._timers = Timers(clock)
        self.refused = 0
        """Connections and calls that were refused since the start."""

    # Connections, until they belong to a conversation.

    def came(
        self, connection: StrangerConnection, host: str, is_idle: Callable[[], bool] = lambda: True
    ) -> bool:
        """Count a connection from `host`; return False if there is no room: it is to be ended.

        Room is made by the oldest idle one of the same address if that has too many, else by the
        oldest idle one of the address with the most.
        """
        limits, where = self._limits, network(host)
        here = sum(place.network == where and not place.known for place in self._places.values())
        if here >= limits.callers_per_address:
            room = self._put_out(where)
        elif self.connections >= limits.callers:
            room = self._put_out(self._fullest())
        else:
            room = True
        if room:
            self._places[connection] = _Place(where, is_idle)
        else:
            self.refused += 1
        return room

    def moved(
        self,
        before: StrangerConnection,
        after: StrangerConnection,
        is_idle: Callable[[], bool] = lambda: True,
    ) -> None:
        """Count `after` in the place of `before`, which goes on as that."""
        place = self._places.pop(before, None)
        if place is not None:
            self._places[after] = _Place(place.network, is_idle, place.known)

    def proved(self, connection: StrangerConnection, known: bool) -> None:
        """TLS has shown a key: the connection is not put out any more, and if the key is pinned
        (`known`) it takes no stranger's place."""
        place = self._places.get(connection)
        if place is not None:
            place.is_idle = _never
            of_known = sum(one.known for one in self._places.values())
            place.known = known and of_known < self._limits.callers_known

    def left(self, connection: StrangerConnection) -> None:
        """Stop counting a connection that ended or joined a conversation; ignore others."""
        self._places.pop(connection, None)

    @property
    def connections(self) -> int:
        """Return the number of connections that strangers hold."""
        return sum(not place.known for place in self._places.values())

    # Calls and lines.

    def may_ring(
        self, who: str, host: str, known: bool, ringing: int, silent: bool = False
    ) -> bool:
        """Return True if one more call may ring, and so show its lines.

        `who`: the key, or the address where there is none; `ringing`: how many calls of known
        people, or of strangers, ring already; `silent`: it is a connection that has said nothing,
        and takes no place of those that have. A refused one is counted, and told in one line.
        """
        if silent:
            return self._silent.allow(self._clock.seconds())
        if ringing < self._limits.ringing and self.may_show(who if known else network(host), known):
            return True
        self.refused += 1
        return False

    def may_show(self, who: str, known: bool = False) -> bool:
        """Return True if a line may be shown about `who`, an address or a key; else it is counted,
        and one line says later how many there were."""
        now = self._clock.seconds()
        if known:
            allowed = self._known_rings.allow(who, now)
        else:
            allowed = self._rings.allow(who, now) and self._all_rings.allow(now)
        return allowed or self._count_untold()

    def may_invite(self) -> bool:
        """Return True if a line may be shown about an invitation into a room; else it is counted."""
        return self._invitations.allow(self._clock.seconds()) or self._count_untold()

    def may_introduce(self, known: bool) -> bool:
        """Return True if the client may dial somebody whom a server has introduced."""
        limiter = self._known_introduced if known else self._introduced
        if limiter.allow(self._clock.seconds()):
            return True
        self.refused += 1
        return False

    def counters(self) -> dict[str, int]:
        """Return what is held now and what was refused, for `/status` in JSON."""
        return {
            "connections": self.connections,
            "known_connections": sum(place.known for place in self._places.values()),
            "addresses": len(self._rings) + len(self._known_rings),
            "talkers": len(self.talks),
            "refused": self.refused,
        }

    def stop(self) -> None:
        """Leave no timer behind."""
        self._timers.stop()

    # How it follows.

    def _put_out(self, where: str) -> bool:
        """End the oldest idle connection from `where`; return False if there is none."""
        for connection, place in self._places.items():
            if place.network == where and not place.known and place.is_idle():
                del self._places[connection]
                self.refused += 1
                connection.abort()
                return True
        return False

    def _fullest(self) -> str:
        """Return the address with the most idle connections."""
        count: dict[str, int] = {}
        for place in self._places.values():
            if not place.known and place.is_idle():
                count[place.network] = count.get(place.network, 0) + 1
        return max(count, key=lambda where: count[where], default="")

    def _count_untold(self) -> bool:
        self._untold += 1
        if "untold" not in self._timers:
            self._timers.after("untold", TOLD_AFTER, self._tell_refused)
        return False

    def _tell_refused(self) -> None:
        count, self._untold = self._untold, 0
        what = "1 call or invitation was" if count == 1 else f"{count} calls or invitations were"
        self._tell(Notice(f"{what} not shown: too many in a short time"))


def _never() -> bool:
    return False
