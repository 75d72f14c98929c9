"""Two races and a network between them, in which nothing happens but by its clock."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from chatproto.session.paths import (
    CloseConnection,
    Dial,
    GiveUp,
    JoinRelay,
    PathMode,
    Pick,
    Race,
    RaceRole,
)
from tests.limits import DEFAULTS

REFUSAL = 0.05
"""Seconds until somebody is refused."""
CHAT = 0.01
"""Seconds that CHAT takes."""


class Network:
    """`towards_*`: for each address of that side the seconds until a dial is good, None: refused.

    The relay needs `relay` seconds when both have come. The callee begins `late` seconds later.
    A connection is a number and is good on both sides at once.
    """

    def __init__(
        self,
        towards_callee: list[float | None],
        towards_caller: list[float | None],
        relay: float | None,
        late: float,
        mode: PathMode,
    ) -> None:
        self.now = 0.0
        self.closed: set[int] = set()
        self.open: set[int | None] = set()
        self.given_up = dict.fromkeys(RaceRole, False)
        self.dialled: dict[RaceRole, list[tuple[float, Any]]] = {role: [] for role in RaceRole}
        self.met_at = 0.0
        self._ways = {RaceRole.CALLER: towards_callee, RaceRole.CALLEE: towards_caller}
        self._relay = relay
        self._in_relay: set[RaceRole] = set()
        self._queue: list[tuple[float, int, Any]] = []
        self._number = 0
        self._late = late
        here, there = (
            tuple(("192.0.2.1", n) for n in range(len(ways)))
            for ways in (towards_callee, towards_caller)
        )
        self.caller: Race[int] = Race(RaceRole.CALLER, here, 0.0, DEFAULTS, mode=mode)
        self.callee: Race[int] = Race(RaceRole.CALLEE, there, late, DEFAULTS, mode=mode)
        self._races = {RaceRole.CALLER: self.caller, RaceRole.CALLEE: self.callee}

    def run(self, end: float) -> None:
        """Let everything happen until `end` (seconds)."""
        self._do(RaceRole.CALLER, self.caller.due(0.0))
        self._later(self._late, lambda: self._do(RaceRole.CALLEE, self.callee.due(self.now)))
        while True:
            times = {
                role: race.deadline
                for role, race in self._races.items()
                if role is RaceRole.CALLER or self.now >= self._late
            }
            next_due = min((at for at in times.values() if at is not None), default=end + 1)
            if self._queue and self._queue[0][0] <= next_due:
                at, _, what = heappop(self._queue)
                if at > end:
                    return
                self.now = max(self.now, at)
                what()
            elif next_due > end:
                return
            else:
                self.now = max(self.now, next_due)
                for role, due in times.items():
                    if due is not None and due <= self.now:
                        self._do(role, self._races[role].due(self.now))

    def _later(self, seconds: float, what: Any) -> None:
        self._number += 1
        heappush(self._queue, (self.now + seconds, self._number, what))

    def _do(self, role: RaceRole, effects: list[Any]) -> None:
        for effect in effects:
            match effect:
                case Dial(address):
                    self.dialled[role].append((self.now, address))
                    way = self._ways[role][address[1]]
                    if way is None:
                        self._later(REFUSAL, lambda name=address: self._fail(role, name))
                    else:
                        self._later(way, lambda name=address: self._meet(role, name))
                case JoinRelay():
                    self._in_relay.add(role)
                    if self._relay is None:
                        self._later(REFUSAL, lambda: self._fail(role, None))
                    elif len(self._in_relay) == 2:
                        self._later(self._relay, self._meet_in_relay)
                case Pick(connection):
                    self.met_at = self.met_at or self.now
                    self._later(CHAT, lambda which=connection: self._hear(which))
                case CloseConnection(connection):
                    self.closed.add(connection)
                    self.open.discard(connection)
                case GiveUp():
                    self.given_up[role] = True

    def _fail(self, role: RaceRole, name: Any) -> None:
        self._do(role, self._races[role].failed(name, "refused", self.now))

    def _meet(self, role: RaceRole, name: Any) -> None:
        self._number += 1
        connection = self._number
        self.open.add(connection)
        for one, race in self._races.items():
            own = name if one is role else None
            self._do(one, race.good(connection, own, self.now))

    def _meet_in_relay(self) -> None:
        self._number += 1
        connection = self._number
        self.open.add(connection)
        for one, race in self._races.items():
            self._do(one, race.good(connection, None, self.now, relayed=True))

    def _hear(self, connection: int) -> None:
        self._do(RaceRole.CALLEE, self.callee.chosen(connection, self.now))
