"""A network in memory, of which one source of randomness decides what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectBindError,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.python.failure import Failure

from tests.simulation.pipe import SimPipe
from tests.simulation.reactor import SimClock, SimReactor
from tests.simulation.routers import Routers
from tests.simulation.transport import SimTransport

Tell = Callable[..., None]
Address = tuple[str, int]
NO_ANSWER = -1.0
ASKED_AGAIN = 1.0
"""Seconds until a connection is asked for once more that has had no answer."""


class Connection:
    """Two ends and the two ways between them."""

    def __init__(
        self, network: SimNetwork, number: int, dialler: SimTransport, called: SimTransport
    ) -> None:
        self.number = number
        self.ends = (dialler, called)
        self.pipes = (
            SimPipe(network, 2 * number, dialler, called),
            SimPipe(network, 2 * number + 1, called, dialler),
        )
        dialler.out, called.out = self.pipes
        called.into, dialler.into = self.pipes

    @property
    def alive(self) -> bool:
        """True while either end takes the connection to be up."""
        return self.ends[0].connected or self.ends[1].connected


class SimPort:
    """A listening port."""

    def __init__(self, network: SimNetwork, reactor: SimReactor, port: int, factory: Any) -> None:
        self.reactor = reactor
        self.factory = factory
        self._network = network
        self._port = port

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.reactor.host, self._port)

    def stopListening(self) -> Deferred[None]:
        self._network.ports.pop((self.reactor.host, self._port), None)
        self.factory.doStop()
        return succeed(None)


class SimConnector:
    """A connection that was asked for."""

    def __init__(
        self,
        network: SimNetwork,
        reactor: SimReactor,
        where: tuple[str, int],
        factory: Any,
        port: int,
    ) -> None:
        self.state = "connecting"
        self.reactor = reactor
        self.where = where
        self.here = reactor.host, port  # as it is seen
        self.is_met = False  # there is an answer, of which the program hears in a moment
        self._network = network
        self._factory = factory

    def getDestination(self) -> IPv4Address:
        return IPv4Address("TCP", *self.where)

    def stopConnecting(self) -> None:
        assert self.state == "connecting"
        self.failed(UserError())

    def disconnect(self) -> None:
        if self.state == "connecting":
            self.stopConnecting()

    def failed(self, error: Exception) -> None:
        """Fail the attempt."""
        if self.state == "connecting":
            self.state = "disconnected"
            self._factory.clientConnectionFailed(self, Failure(error))
            self._factory.doStop()

    def made(self, connection: Connection, end: int) -> None:
        """Complete the attempt, if it is still wanted; `end`: which of the two ends is ours."""
        transport = connection.ends[end]
        if self.state != "connecting" or self.reactor.dead:
            transport.forget()
            connection.pipes[end].cut(0.0)
            return
        self.state = "connected"
        protocol = self._factory.buildProtocol(self.getDestination())
        transport.protocol = protocol
        transport.connector = self
        protocol.makeConnection(transport)

    def answers(self, other: SimConnector) -> bool:
        """Return True if `other` dials back exactly this attempt's addresses."""
        if self.state != "connecting" or self.is_met or self.reactor.dead:
            return False
        return (self.here, self.where) == (other.where, other.here)

    def lost(self, reason: Failure) -> None:
        """Report the end of the connection to the factory."""
        self.state = "disconnected"
        self._factory.clientConnectionLost(self, reason)
        self._factory.doStop()


class SimNetwork:
    """Hosts, ports and connections; `tell` gets what happens, for the trace.

    `faulty`: attempts to connect may be refused, or get no answer, or come about late, so that they
    overtake each other. The other faults are asked for one by one.
    """

    def __init__(self, clock: SimClock, random: Random, tell: Tell, faulty: bool = False) -> None:
        self.dead = False
        self.stopped_until = 0.0
        self.clock = clock
        self.random = random
        self._tell = tell
        self.faulty = faulty
        self.ports: dict[tuple[str, int], SimPort] = {}
        self.routers: Routers | None = None
        self._asked: list[SimConnector] = []  # attempts of which nothing has come yet
        self.away: dict[str, float] = {}  # hosts that cannot be reached, until when
        self._connections: dict[int, Connection] = {}
        self._made = self._number = 0
        self._dirty: dict[int, SimPipe] = {}
        self._woken = False

    def tell(self, who: str, what: str, *details: Any) -> None:
        """Put something into the trace."""
        self._tell(who, what, *details)

    @property
    def connections(self) -> list[Connection]:
        """Live connections, oldest first."""
        for number, one in tuple(self._connections.items()):
            if not one.alive:
                del self._connections[number]
        return list(self._connections.values())

    def transports(self) -> Iterator[SimTransport]:
        """Every end that lives."""
        for connection in self.connections:
            yield from (end for end in connection.ends if end.connected)

    def latency(self) -> float:
        """Draw a latency, in seconds."""
        random = self.random.random()
        if random < 0.7:
            return 0.002 + 0.03 * self.random.random()
        return 0.002 + (0.4 if random < 0.97 else 1.5) * self.random.random()

    # What the programs ask for.

    def connect(
        self,
        reactor: SimReactor,
        host: str,
        port: int,
        factory: Any,
        timeout: float,
        bound: int | None = None,
    ) -> SimConnector:
        """`bound`: the port to come from, or any."""
        self._made += 1
        fresh, where = 40000 + self._made, (host, port)
        seen = fresh if bound is None else bound
        if self.routers is not None:
            seen = self.routers.port_of(reactor.host, bound, fresh)
        connector = SimConnector(self, reactor, where, factory, seen)
        factory.doStart()
        factory.startedConnecting(connector)
        chance, delay = self.random.random(), self.latency()
        self.tell(reactor.name, "connects", where)
        if bound is not None and self._is_taken(connector):
            reactor.callLater(0, connector.failed, ConnectBindError())
            return connector
        self._asked = [one for one in self._asked if one.state == "connecting"] + [connector]
        if self.routers is not None and not self.routers.lets_out(reactor.host, seen, where):
            chance = NO_ANSWER
        reactor.callLater(timeout, connector.failed, TimeoutError())
        if self.faulty and NO_ANSWER < chance < 0.06:
            reactor.callLater(delay, connector.failed, ConnectionRefusedError())
        elif chance == NO_ANSWER or (self.faulty and chance < 0.09):
            self.tell(reactor.name, "gets no answer")
        else:
            if self.faulty and chance < 0.2:
                delay += 3 * self.random.random()
            reactor.callLater(delay, self._reach, connector)
        return connector

    def listen(self, reactor: SimReactor, port: int, factory: Any) -> SimPort:
        where = reactor.host, port
        if where in self.ports:
            raise CannotListenError(reactor.host, port, OSError("in use"))
        factory.doStart()
        self.ports[where] = found = SimPort(self, reactor, port, factory)
        return found

    def died(self, reactor: SimReactor) -> None:
        """Close the ports and connections of a dead program; bytes handed over may still arrive."""
        for where, port in tuple(self.ports.items()):
            if port.reactor is reactor:
                del self.ports[where]
        for connection in self.connections:
            for end in connection.ends:
                if end.reactor is reactor and end.connected:
                    end.forget()
                    if self.random.random() < 0.5:
                        end.out.close()
                    else:
                        end.out.reset()

    def wake(self, pipe: SimPipe) -> None:
        """`pipe` has something to do."""
        self._dirty[pipe.number] = pipe
        if not self._woken:
            self._woken = True
            self.clock.call(self, 0, self._carry)

    # Faults.

    def cut(self, connection: Connection, capabilities: str) -> None:
        """Break it: `both` ends see it, `one` of them only later, or `silent`: nobody is told."""
        self.tell("network", "cuts", connection.number, capabilities)
        if capabilities == "silent":
            for pipe in connection.pipes:
                pipe.vanish()
            return
        late = 5 + 20 * self.random.random() if capabilities == "one" else 0.0
        pipes = list(connection.pipes)
        self.random.shuffle(pipes)
        pipes[0].cut(0.0)
        pipes[1].cut(late)

    def stall(self, pipe: SimPipe, seconds: float) -> None:
        """Hold a direction back for a while."""
        self.tell("network", "stalls", pipe.sender.name, seconds)
        pipe.stalled = max(pipe.stalled, self.clock.seconds() + seconds)

    def isolate(self, host: str, seconds: float) -> None:
        """Make `host` unreachable for a while; connections stay up."""
        self.tell("network", "isolates", host, seconds)
        self.away[host] = self.clock.seconds() + seconds

    def heal(self) -> None:
        """From now on all goes well; what was broken without a word is broken off."""
        self.faulty = False
        self.away.clear()
        for connection in self.connections:
            for pipe in connection.pipes:
                pipe.mend()

    # How it follows.

    def _carry(self) -> None:
        """One turn: the ways take theirs by number, whoever was written to first."""
        self._woken = False
        pipes, self._dirty = self._dirty, {}
        for number in sorted(pipes):
            pipes[number].carry()

    def _reach(self, connector: SimConnector) -> None:
        """An attempt arrives where it was meant to go."""
        if connector.state != "connecting":
            return
        now, host = self.clock.seconds(), connector.where[0]
        if max(self.away.get(connector.reactor.host, 0), self.away.get(host, 0)) > now:
            return  # no answer
        if self.routers is not None and not self.routers.lets_in(connector.where, connector.here):
            connector.reactor.callLater(ASKED_AGAIN, self._reach, connector)
            return
        other = next((one for one in self._asked if one.answers(connector)), None)
        if other is not None:
            self._meet(connector, other)
            return
        port = self.ports.get(connector.where)
        if port is None:
            connector.failed(ConnectionRefusedError())
            return
        here = connector.here
        connection = self._new(connector.reactor, port.reactor, here, connector.where, False)
        called = connection.ends[1]
        self._tell_of(connection, connector, 0)
        protocol = port.factory.buildProtocol(IPv4Address("TCP", *here))
        if protocol is None:
            called.forget()
            connection.pipes[1].close()
            return
        called.protocol = protocol
        protocol.makeConnection(called)

    def _meet(self, one: SimConnector, other: SimConnector) -> None:
        """Two attempts meet in the middle: one connection, and each side has dialled."""
        connection = self._new(one.reactor, other.reactor, one.here, other.here, True)
        for end, connector in enumerate((one, other)):
            self._tell_of(connection, connector, end)

    def _new(
        self, one: SimReactor, other: SimReactor, here: Address, there: Address, met: bool
    ) -> Connection:
        self._number += 1
        names = f"{one.name}#{self._number}", f"{other.name}#{self._number}"
        first = SimTransport(one, names[0], here, there, client=True)
        second = SimTransport(other, names[1], there, here, client=met)
        connection = self._connections[self._number] = Connection(self, self._number, first, second)
        self.tell(names[1], "meets" if met else "accepts", names[0])
        return connection

    def _tell_of(self, connection: Connection, connector: SimConnector, end: int) -> None:
        """Tell the dialling side of the connection in a moment; its data comes after that."""
        connector.is_met = True
        later = 0.001 + 0.01 * self.random.random()
        connection.pipes[1 - end].begin(self.clock.seconds() + later)
        self.clock.call(self, later, connector.made, connection, end)

    def _is_taken(self, connector: SimConnector) -> bool:
        """Return True if the pair of addresses is in use or being dialled."""
        wanted = connector.here, connector.where
        asked = [(one.here, one.where) for one in self._asked if one.state == "connecting"]
        living = [(end.own, end.peer) for end in self.transports()]
        return wanted in (*asked, *living)
