"""Routers in the simulation: what they let in, and from which port others see what comes from within.

A router here is invisible but for that: nobody's address is another one outside.
"""

from __future__ import annotations

from enum import Enum

from tests.simulation.reactor import SimClock

REMEMBERED = 30.0
"""Seconds for which what is asked for from within is expected, though it was never answered."""


class Router(Enum):
    """Kind of router in front of a machine."""

    NONE = "lets all in"
    KEEPS = "keeps ports, lets in what is expected"
    RANDOM = "other ports, lets in what is expected"
    SHUT = "lets nothing in, and only the server be reached"


class Routers:
    """Routers of the hosts; `server` is the host that everybody reaches."""

    def __init__(self, clock: SimClock, server: str) -> None:
        self.kinds: dict[str, Router] = {}
        self._clock = clock
        self._server = server
        self._expected: dict[tuple[str, int, str, int], float] = {}

    def port_of(self, host: str, bound: int | None, fresh: int) -> int:
        """The port from which `host` is seen to dial; it has bound `bound`, or would have `fresh`."""
        return fresh if bound is None or self._kind(host) is Router.RANDOM else bound

    def lets_out(self, host: str, port: int, where: tuple[str, int]) -> bool:
        """Return True if an attempt of `host`, seen from `port`, gets out."""
        if self._kind(host) is Router.SHUT and where[0] != self._server:
            return False
        self._expected[host, port, *where] = self._clock.seconds() + REMEMBERED
        return True

    def lets_in(self, where: tuple[str, int], from_: tuple[str, int]) -> bool:
        """Return True if an attempt arrives."""
        if self._kind(where[0]) is Router.NONE:
            return True
        return self._expected.get((*where, *from_), 0.0) > self._clock.seconds()

    def _kind(self, host: str) -> Router:
        return self.kinds.get(host, Router.NONE)
