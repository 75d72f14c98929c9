"""Race the paths to a peer: what to dial when, and which connection to pick (protocol section 5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from enum import Enum, auto
from typing import Generic, TypeVar

from chatproto.wire.bcp2_common import Address
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import NO_ANSWER, NO_RELAY, RELAY_NOT_WANTED
from chatproto.wire.values import value_class

STEP = 0.25
"""Seconds between two dials (RFC 8305, section 5, Connection Attempt Delay)."""
LEAST_STEP = 0.01
"""Seconds until the next dial if the one before has failed already (RFC 8305, section 5)."""
AGAIN = 1.0
"""Seconds between two dials of one failing address: the peer's router may admit us only after the
peer has dialled too."""
AGAIN_FOR = 10.0
"""Seconds after the start in which addresses are dialled again and the peer may dial us."""
RELAY_AFTER = 2.0
BETTER_EVERY = 60.0
"""Seconds between two searches for a direct path while the relay carries the conversation."""

Connection = TypeVar("Connection", bound=Hashable)


class RaceRole(Enum):
    """Role in a race; the caller, which sent BRIDGE, picks the connection."""

    CALLER = auto()
    CALLEE = auto()


class PathMode(Enum):
    """Paths that the user allows (`--path`)."""

    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


@value_class
class Dial:
    """Dial `address`, and send PUNCH there if there was an introduction."""

    address: Address


@value_class
class JoinRelay:
    """Join the relay with the ticket."""


@value_class
class Pick(Generic[Connection]):
    """Send CHAT on `connection`; a second Pick moves the conversation to a better connection."""

    connection: Connection


@value_class
class CloseConnection(Generic[Connection]):
    """Close `connection`, which was not picked."""

    connection: Connection


@value_class
class CancelDials:
    """Cancel every dial that is not connected yet, and joining the relay."""


@value_class
class AskAgain:
    """Ask the server for a new introduction: a direct path may exist by now (race in `PathMode.DIRECT`)."""


@value_class
class GiveUp:
    """Report that no path was found. `reasons`: why each attempt failed; None is the relay."""

    reasons: tuple[tuple[Address | None, str], ...]


def is_tls_server(
    ours: bytes, theirs: bytes, role: RaceRole, *, punch: bool, relayed: bool, dialled: bool
) -> bool:
    """Return True if we are the TLS server; `ours`, `theirs`: the 32 bytes of the keys.

    In the relay it is the callee. After a PUNCH it is the owner of the smaller key, because both ends
    may have dialled. Otherwise it is the end that did not dial.
    """
    if relayed:
        return role is RaceRole.CALLEE
    return ours < theirs if punch else not dialled


class Race(Generic[Connection]):
    """Decide among the paths of one call; `now` is in seconds, and effects are applied in order.

    `addresses`: in the order of dialling. `relay`: there is a ticket. `punching`: the peer dials too,
    because of an introduction, and failed addresses are dialled again. Call `due` at once and at each
    `deadline`. A dial is named by its address, the relay by None.

    The caller picks the first connection with the right key. It picks a second one only if the first
    is relayed and the second is not. The callee picks none; CHAT tells it (`chosen`). A connection that
    is not picked within `limits.handshake_wait` of its handshake is closed.
    """

    def __init__(
        self,
        role: RaceRole,
        addresses: tuple[Address, ...],
        now: float,
        limits: ClientLimits,
        *,
        mode: PathMode = PathMode.AUTO,
        relay: bool = True,
        punching: bool = True,
    ) -> None:
        self.role = role
        self.reasons: dict[Address | None, str] = {}
        """Result of each attempt, for `/path`."""
        self.picked: Connection | None = None
        self.is_relayed = False
        """True if the picked connection goes through the relay."""
        self.over = False
        """True once the race has ended."""
        self._limits = limits
        self._mode = mode
        self._start = now
        self._punching = punching
        self._hopes_until = now + (AGAIN_FOR if punching and mode is not PathMode.RELAY else 0.0)
        self._waiting = deque((now, one) for one in addresses if mode is not PathMode.RELAY)
        self._next_dial = now
        self._dialled: dict[Address, float] = {}  # time of the last dial
        self._pending: set[Address | None] = set()  # dialled or joined, no result yet
        self._spare: dict[Connection, float] = {}  # good but not picked, and when it is closed
        self._relayed: set[Connection] = set()
        self._relay_at: float | None = None
        self._better_at: float | None = None
        if mode is PathMode.DIRECT:
            self.reasons[None] = RELAY_NOT_WANTED()
        elif not relay:
            self.reasons[None] = NO_RELAY()
        else:
            self._relay_at = now + RELAY_AFTER if self._waiting else now

    def tried(self) -> dict[Address | None, str]:
        """Return the result of each attempt so far; None is the relay."""
        found: dict[Address | None, str] = dict.fromkeys(self._dialled, "no answer yet")
        found = {name: why for name, why in found.items() if name in self._pending}
        found |= {name: why for name, why in self.reasons.items() if name not in self._pending}
        return found

    @property
    def deadline(self) -> float | None:
        """Time at which to call `due`; None: never."""
        times = [*self._spare.values()]
        if self.picked is None and not self.over:
            if not self._spare:  # with a spare, checked at its deadline
                times.append(self._start + self._limits.dial_wait)
            if self._waiting:
                times.append(max(self._next_dial, self._waiting[0][0]))
            if self._relay_at is not None:
                times.append(self._relay_at)
            if self._has_tried_all and not self._spare:
                times.append(self._hopes_until)
        if self._better_at is not None:
            times.append(self._better_at)
        return min(times, default=None)

    def due(self, now: float) -> list[Effect[Connection]]:
        """Return the effects that are due at `now`."""
        effects: list[Effect[Connection]] = []
        for connection in [one for one, until in self._spare.items() if until <= now]:
            self._forget(connection)
            effects.append(CloseConnection(connection))
        if self._better_at is not None and self._better_at <= now:
            self._better_at = now + BETTER_EVERY
            effects.append(AskAgain())
        if self.picked is not None or self.over:
            return effects
        if self._waiting and max(self._next_dial, self._waiting[0][0]) <= now:
            _, address = self._waiting.popleft()
            self._dialled[address] = now
            self._pending.add(address)
            self._next_dial = now + STEP
            effects.append(Dial(address))
        if self._relay_at is not None and self._relay_at <= now:
            self._relay_at = None
            self._pending.add(None)
            effects.append(JoinRelay())
        if now >= self._start + self._limits.dial_wait and not self._spare:
            for name in (one for one in (*self._dialled, None) if one in self._pending):
                self.reasons.setdefault(name, NO_ANSWER())
            self._pending.clear()
            self._waiting.clear()
            self._relay_at = None
            self._hopes_until = now
            effects.append(CancelDials())
        return [*effects, *self._perhaps_give_up(now)]

    def failed(self, name: Address | None, why: str, now: float) -> list[Effect[Connection]]:
        """Note that a dial, joining the relay, or its handshake has failed."""
        self._pending.discard(name)
        self.reasons[name] = why
        if self.picked is not None or self.over:
            return []
        if name is not None:
            self._next_dial = min(self._next_dial, now + LEAST_STEP)
            again = self._dialled[name] + AGAIN
            if self._punching and max(again, now) < self._start + AGAIN_FOR:
                self._waiting.append((again, name))
        return self._perhaps_give_up(now)

    def good(
        self, connection: Connection, name: Address | None, now: float, *, relayed: bool = False
    ) -> list[Effect[Connection]]:
        """Take a connection whose handshake showed the right key.

        `name`: the address dialled for it; None if the peer dialled us, or for the relay.
        """
        if name is not None or relayed:
            self._pending.discard(name)
        self._spare[connection] = now + self._limits.handshake_wait
        if relayed:
            self._relayed.add(connection)
        first = self.picked is None and not self.over
        better = self.picked is not None and self.is_relayed and not relayed
        if self.role is RaceRole.CALLER and (first or better):
            return [Pick(connection), *self.chosen(connection, now)]
        return []

    def chosen(self, connection: Connection, now: float) -> list[Effect[Connection]]:
        """Note that CHAT was sent or received on `connection`, which now carries the conversation."""
        before, self.picked = self.picked, connection
        self._spare.pop(connection, None)
        if before is not None and before != connection:
            # Both ends send nothing more there; unacknowledged entries are repeated on the new connection.
            self._spare[before] = now + self._limits.handshake_wait
        self.is_relayed = connection in self._relayed
        looks = self.is_relayed and self.role is RaceRole.CALLER and self._mode is PathMode.AUTO
        self._better_at = now + BETTER_EVERY if looks else None
        self._waiting.clear()
        self._relay_at = None
        if self.is_relayed or not self._pending:
            return []  # a pending dial may still find a better path
        self._pending.clear()
        return [CancelDials()]

    def lost(self, connection: Connection, now: float) -> list[Effect[Connection]]:
        """Note the end of a good connection; if it is the picked one, the race is over."""
        self._forget(connection)
        if connection == self.picked:
            self.over = True
            self._better_at = None
            return []
        return self._perhaps_give_up(now)

    def _forget(self, connection: Connection) -> None:
        self._spare.pop(connection, None)
        self._relayed.discard(connection)

    @property
    def _has_tried_all(self) -> bool:
        """Return True if no attempt is in progress or left."""
        return not (self._waiting or self._pending or self._relay_at is not None)

    def _perhaps_give_up(self, now: float) -> list[Effect[Connection]]:
        """Give up if everything has failed and the peer has had time to reach us."""
        if self.over or self.picked is not None or self._spare:
            return []
        if not self._has_tried_all or now < self._hopes_until:
            return []
        self.over = True
        return [GiveUp(tuple(self.reasons.items()))]


Effect = (
    Dial
    | JoinRelay
    | Pick[Connection]
    | CloseConnection[Connection]
    | CancelDials
    | AskAgain
    | GiveUp
)
