"""A reactor for each program of the simulation, all of them on one simulated time."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
)
from zope.interface import implementer


class Owner(Protocol):
    """Owner of delayed calls; those of a dead one are not made, and those of a stopped one later."""

    dead: bool
    stopped_until: float


class SimClock:
    """Simulated time: calls are made in the order of their times, equal ones in that of their making."""

    def __init__(self) -> None:
        self.dead = False
        self.stopped_until = 0.0
        self._now = 1000.0
        self._calls: list[tuple[float, int, DelayedCall, Owner]] = []
        self._made = 0

    def seconds(self) -> float:
        """Return the simulated time."""
        return self._now

    def call(self, owner: Owner, delay: float, what: Callable[..., Any], *args: Any) -> DelayedCall:
        """Call `what` after `delay` seconds, unless `owner` is dead by then."""
        call = DelayedCall(
            self._now + delay,
            what,
            args,
            {},
            _nothing,
            lambda one: self._push(one, owner),
            self._see,
        )
        self._push(call, owner)
        return call

    def run_until(self, end: float) -> None:
        """Let time pass; what is raised in a call comes out here."""
        calls = self._calls
        while calls and calls[0][0] <= end:
            at, _, call, owner = heappop(calls)
            if call.called or call.cancelled or owner.dead:
                continue
            if call.delayed_time:
                call.activate_delay()
                self._push(call, owner)
                continue
            if call.time != at:
                continue  # it was set again, and stands elsewhere
            if owner.stopped_until > at:
                call.time = owner.stopped_until
                self._push(call, owner)
                continue
            self._now = max(self._now, at)
            call.called = 1
            call.func(*call.args, **call.kw)
        self._now = max(self._now, end)

    def _see(self) -> float:
        return self._now

    def _push(self, call: DelayedCall, owner: Owner) -> None:
        self._made += 1
        heappush(self._calls, (call.time, self._made, call, owner))


def _nothing(call: DelayedCall) -> None:
    """A cancelled call is left out when its time comes."""


class Network(Protocol):
    """Parts of the network that a reactor uses."""

    clock: SimClock

    def connect(
        self,
        reactor: SimReactor,
        host: str,
        port: int,
        factory: Any,
        timeout: float,
        bound: int | None,
    ) -> Any: ...
    def listen(self, reactor: SimReactor, port: int, factory: Any) -> Any: ...
    def died(self, reactor: SimReactor) -> None: ...


@implementer(IReactorTime, IReactorTCP, IReactorPluggableNameResolver)
class SimReactor:
    """The reactor of one life of one program, which runs on a host of its own."""

    def __init__(self, network: Network, host: str, name: str) -> None:
        self.host = host
        self.name = name
        self.dead = False
        self.stopped_until = 0.0
        self.tap: Callable[[str | None, bytes], None] | None = None
        """Sees all that the program writes: with the key that TLS proved, or None in plain text."""
        self._network = network
        self._clock = network.clock

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kw: object
    ) -> DelayedCall:
        assert not self.dead, f"{self.name} is dead, and wants {callable}"
        if kw:
            return self._clock.call(self, delay, lambda: callable(*args, **kw))
        return self._clock.call(self, delay, callable, *args)

    def getDelayedCalls(self) -> list[DelayedCall]:
        """None that anybody should know of."""
        return []

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Any:
        assert not self.dead, f"{self.name} is dead, and connects"
        bound = None if bindAddress is None else bindAddress[1]
        return self._network.connect(self, host, port, factory, timeout, bound)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        assert interface in ("", self.host)
        return self._network.listen(self, port, factory)

    def stop(self) -> None:
        """Fail: nothing in the simulation stops its reactor."""
        raise AssertionError(f"{self.name} stops its reactor")

    def pause(self, seconds: float) -> None:
        """Do nothing for so long: SIGSTOP, and SIGCONT later. What arrives is for the network to hold."""
        self.stopped_until = self._clock.seconds() + seconds

    def kill(self) -> None:
        """The program is no more, from one moment to the next: `kill -9`."""
        self.dead = True
        self._network.died(self)

    # Hosts go by their addresses, so that there is nothing to look up.

    @property
    def nameResolver(self) -> Any:
        return self

    def installNameResolver(self, resolver: Any) -> Any:
        raise AssertionError("there are no names")

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        resolutionReceiver.resolutionBegan(self)
        resolutionReceiver.addressResolved(IPv4Address("TCP", hostName, portNumber))
        resolutionReceiver.resolutionComplete()
        return self
