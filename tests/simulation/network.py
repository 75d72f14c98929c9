"""A network in memory, of which one source of randomness decides what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.python.failure import Failure

from tests.simulation.pipe import SimPipe
from tests.simulation.reactor import SimClock, SimReactor
from tests.simulation.transport import SimTransport

Tell = Callable[..., None]


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
        """Whether either end takes it to be there."""
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
        self, network: SimNetwork, reactor: SimReactor, where: tuple[str, int], factory: Any
    ) -> None:
        self.state = "connecting"
        self.reactor = reactor
        self.where = where
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
        """It is not to be had."""
        if self.state == "connecting":
            self.state = "disconnected"
            self._factory.clientConnectionFailed(self, Failure(error))
            self._factory.doStop()

    def made(self, connection: Connection) -> None:
        """It is there, if it is still wanted."""
        transport = connection.ends[0]
        if self.state != "connecting" or self.reactor.dead:
            transport.forget()
            connection.pipes[0].cut(0.0)
            return
        self.state = "connected"
        protocol = self._factory.buildProtocol(self.getDestination())
        transport.protocol = protocol
        transport.connector = self
        protocol.makeConnection(transport)

    def lost(self, reason: Failure) -> None:
        """It is over."""
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
        self.clock = clock
        self.random = random
        self._tell = tell
        self.faulty = faulty
        self.ports: dict[tuple[str, int], SimPort] = {}
        self.away: dict[str, float] = {}  # hosts that cannot be reached, until when
        self._connections: dict[int, Connection] = {}
        self._made = 0
        self._dirty: dict[int, SimPipe] = {}
        self._woken = False

    def tell(self, who: str, what: str, *details: Any) -> None:
        """Put something into the trace."""
        self._tell(who, what, *details)

    @property
    def connections(self) -> list[Connection]:
        """Those that live, the oldest first."""
        for number, one in tuple(self._connections.items()):
            if not one.alive:
                del self._connections[number]
        return list(self._connections.values())

    def transports(self) -> Iterator[SimTransport]:
        """Every end that lives."""
        for connection in self.connections:
            yield from (end for end in connection.ends if end.connected)

    def latency(self) -> float:
        """How long something takes, in seconds."""
        random = self.random.random()
        if random < 0.7:
            return 0.002 + 0.03 * self.random.random()
        return 0.002 + (0.4 if random < 0.97 else 1.5) * self.random.random()

    # What the programs ask for.

    def connect(
        self, reactor: SimReactor, host: str, port: int, factory: Any, timeout: float
    ) -> SimConnector:
        connector = SimConnector(self, reactor, (host, port), factory)
        factory.doStart()
        factory.startedConnecting(connector)
        chance, delay = self.random.random(), self.latency()
        self.tell(reactor.name, "connects", (host, port))
        reactor.callLater(timeout, connector.failed, TimeoutError())
        if self.faulty and chance < 0.06:
            reactor.callLater(delay, connector.failed, ConnectionRefusedError())
        elif self.faulty and chance < 0.09:
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
        """Its ports are closed, and its connections end; what it had handed over may arrive."""
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

    def cut(self, connection: Connection, manner: str) -> None:
        """Break it: `both` ends see it, `one` of them only later, or `silent`: nobody is told."""
        self.tell("network", "cuts", connection.number, manner)
        if manner == "silent":
            for pipe in connection.pipes:
                pipe.vanish()
            return
        late = 5 + 20 * self.random.random() if manner == "one" else 0.0
        pipes = list(connection.pipes)
        self.random.shuffle(pipes)
        pipes[0].cut(0.0)
        pipes[1].cut(late)

    def stall(self, pipe: SimPipe, seconds: float) -> None:
        """Nothing passes for a while, and then all of it."""
        self.tell("network", "stalls", pipe.sender.name, seconds)
        pipe.stalled = max(pipe.stalled, self.clock.seconds() + seconds)

    def isolate(self, host: str, seconds: float) -> None:
        """Nobody reaches `host`, and it reaches nobody; what is connected stays so."""
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
        port = self.ports.get(connector.where)
        if port is None:
            connector.failed(ConnectionRefusedError())
            return
        self._made += 1
        here, there = (connector.reactor.host, 40000 + self._made), connector.where
        names = f"{connector.reactor.name}#{self._made}", f"{port.reactor.name}#{self._made}"
        dialler = SimTransport(connector.reactor, names[0], here, there, client=True)
        called = SimTransport(port.reactor, names[1], there, here, client=False)
        connection = self._connections[self._made] = Connection(self, self._made, dialler, called)
        self.tell(names[1], "accepts", names[0])
        later = 0.001 + 0.01 * self.random.random()
        connection.pipes[1].begin(now + later)
        self.clock.call(self, later, connector.made, connection)
        protocol = port.factory.buildProtocol(IPv4Address("TCP", *here))
        if protocol is None:
            called.forget()
            connection.pipes[1].close()
            return
        called.protocol = protocol
        protocol.makeConnection(called)
