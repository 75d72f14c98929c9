"""The race of the ways to somebody: what is dialled when, and what is taken (protocol section 5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from chatproto.wire.bcp2_common import Address
from chatproto.wire.limits import Limits

STEP = 0.25
"""Seconds between two dials (RFC 8305, section 5, the Connection Attempt Delay)."""
LEAST_STEP = 0.01
"""And when the one before has failed already (the same section)."""
AGAIN = 1.0
"""A failed address is dialled again so long after its last dial: the other's router may let us in
only once they have dialled too."""
AGAIN_FOR = 10.0
"""And no more when the race has lasted so long; until then they may also still dial us."""
RELAY_AFTER = 2.0
BETTER_EVERY = 60.0
"""While the relay carries the conversation, a direct way is looked for so often."""

Connection = TypeVar("Connection", bound=Hashable)


class RaceRole(Enum):
    """Who picks the connection: whoever sent BRIDGE."""

    CALLER = auto()
    CALLEE = auto()


class PathMode(Enum):
    """What the person wants (`--path`)."""

    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to `address`, and say PUNCH there if there was an introduction."""

    address: Address


@dataclass(frozen=True, slots=True)
class JoinRelay:
    """Go to the relay with the ticket."""


@dataclass(frozen=True, slots=True)
class Pick(Generic[Connection]):
    """Send CHAT on `connection`. It may be the second time: then the conversation goes on there."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class CloseConnection(Generic[Connection]):
    """End `connection`: nobody has picked it."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class CancelDials:
    """Give up every dial that is not a connection yet, and the relay if it is being joined."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask the server for them anew: there may be a direct way by now (a new race, of Mode.DIRECT)."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """There is no way to them. `reasons`: what came of each, None being the relay."""

    reasons: tuple[tuple[Address | None, str], ...]


def is_tls_server(
    ours: bytes, theirs: bytes, role: RaceRole, *, punch: bool, relayed: bool, dialled: bool
) -> bool:
    """Whether we are the TLS server of a connection; `ours`, `theirs`: the 32 bytes of the keys.

    In the relay it is the callee. After a PUNCH it is the smaller key's owner, whoever dialled, for
    both may have. Otherwise whoever did not dial.
    """
    if relayed:
        return role is RaceRole.CALLEE
    return ours < theirs if punch else not dialled


class Race(Generic[Connection]):
    """One call's ways; `now` is handed in, in seconds. What the methods return is to be done in order.

    `addresses`: in the order of dialling. `relay`: whether there is a ticket. `punching`: whether the
    other side dials too, because of an introduction; then what fails is dialled again. Call `due` at
    once and whenever `deadline` has come. Addresses are the names of dials, None that of the relay.

    The caller picks the first connection that showed the right key, and another one only if the first
    is the relay's and this one is not. The callee picks none and is told by CHAT (`chosen`). What
    nobody picks within `limits.handshake_wait` of its own handshake is closed.
    """

    def __init__(
        self,
        role: RaceRole,
        addresses: tuple[Address, ...],
        now: float,
        limits: Limits,
        *,
        mode: PathMode = PathMode.AUTO,
        relay: bool = True,
        punching: bool = True,
    ) -> None:
        self.role = role
        self.reasons: dict[Address | None, str] = {}
        """What came of what was tried, for the person who asks why there is no better way."""
        self.picked: Connection | None = None
        self.is_relayed = False
        """Whether the picked connection goes through the relay."""
        self.over = False
        """Nothing more will come of it."""
        self._limits = limits
        self._mode = mode
        self._start = now
        self._punching = punching
        self._hopes_until = now + (AGAIN_FOR if punching and mode is not PathMode.RELAY else 0.0)
        self._waiting = deque((now, one) for one in addresses if mode is not PathMode.RELAY)
        self._next_dial = now
        self._dialled: dict[Address, float] = {}  # when, the last time
        self._pending: set[Address | None] = set()  # dialled or joined, and not yet settled
        self._spare: dict[Connection, float] = {}  # good, not picked, closed then
        self._relayed: set[Connection] = set()
        self._relay_at: float | None = None
        self._better_at: float | None = None
        if mode is PathMode.DIRECT:
            self.reasons[None] = "not wanted"
        elif not relay:
            self.reasons[None] = "the server has no relay for this call"
        else:
            self._relay_at = now + RELAY_AFTER if self._waiting else now

    def tried(self) -> dict[Address | None, str]:
        """What came of each way so far; None is the relay."""
        found: dict[Address | None, str] = dict.fromkeys(self._dialled, "no answer yet")
        found = {name: why for name, why in found.items() if name in self._pending}
        found |= {name: why for name, why in self.reasons.items() if name not in self._pending}
        return found

    @property
    def deadline(self) -> float | None:
        """When `due` has something to say; None: never, as it is now."""
        times = [*self._spare.values()]
        if self.picked is None and not self.over:
            if not self._spare:  # else it is heard of when that is gone
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
        """What the time has brought."""
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
            for name in self._pending:
                self.reasons.setdefault(name, "no answer")
            self._pending.clear()
            self._waiting.clear()
            self._relay_at = None
            self._hopes_until = now
            effects.append(CancelDials())
        return [*effects, *self._perhaps_give_up(now)]

    def failed(self, name: Address | None, why: str, now: float) -> list[Effect[Connection]]:
        """A dial, or joining the relay, has come to nothing, or its handshake has."""
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
        """The handshake of `connection` showed the right key. `name`: what was dialled for it, None
        where they dialled us, or for the relay."""
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
        """CHAT has gone out or come in on `connection`: the conversation is there now."""
        before, self.picked = self.picked, connection
        self._spare.pop(connection, None)
        if before is not None and before != connection:
            # Both say no more there; what was not acknowledged is said again on the other.
            self._spare[before] = now + self._limits.handshake_wait
        self.is_relayed = connection in self._relayed
        looks = self.is_relayed and self.role is RaceRole.CALLER and self._mode is PathMode.AUTO
        self._better_at = now + BETTER_EVERY if looks else None
        self._waiting.clear()
        self._relay_at = None
        if self.is_relayed or not self._pending:
            return []  # what is dialled already may still come out better
        self._pending.clear()
        return [CancelDials()]

    def lost(self, connection: Connection, now: float) -> list[Effect[Connection]]:
        """A connection that was good has ended; if it is the picked one, the race is over."""
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
        """Whether nothing is on its way or still to be tried."""
        return not (self._waiting or self._pending or self._relay_at is not None)

    def _perhaps_give_up(self, now: float) -> list[Effect[Connection]]:
        """All was tried, nothing was found, and they have had time to find us."""
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
