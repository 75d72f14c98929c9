"""The relay with its port, its clock and both ends in the test's hands."""

from __future__ import annotations

from itertools import count
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.sniff import hand_over
from chatproto.relay.protocol import RelayConnection, Relays
from chatproto.wire.limits import ServerLimits
from chatproto.wire.plain_blocks import Relay
from chatproto.wire.strict import encode
from tests.server.ends import End

ACK = b"RELAYACK\r\n\r\n"


class Counter:
    """A port: what the connections have told it."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.good: list[Any] = []
        self.gone: list[Any] = []
        self.deadlines: dict[Any, float] = {}

    def spoke(self, connection: Any) -> None:
        self.good.append(connection)

    def lost(self, connection: Any) -> None:
        self.gone.append(connection)
        self.deadlines.pop(connection, None)

    def watch(self, connection: Any, deadline: float) -> None:
        self.deadlines[connection] = deadline


class Relayed(SynchronousTestCase):
    """Tickets are T1, T2 and so on."""

    def use(self, **limits: float) -> None:
        """Begin."""
        values = ServerLimits(**limits)  # type: ignore[arg-type]
        self.clock = Clock()
        self.clock.advance(1000.0)
        numbers = count(1)
        self.relays = Relays(self.clock, values, lambda: f"T{next(numbers)}")
        self.counter = Counter(values)

    def setUp(self) -> None:
        self.use()

    def come(self, data: bytes) -> tuple[RelayConnection, End]:
        """A connection that has begun with `data`."""
        end = End()
        connection = RelayConnection(self.relays, self.counter, "127.0.0.1", 40000)
        hand_over(end, connection, data)
        return connection, end

    def issue(self) -> tuple[str, str]:
        pair = self.relays.tickets.issue("alice", "call", self.clock.seconds())
        assert pair is not None
        return pair

    def couple(self) -> tuple[tuple[RelayConnection, End], tuple[RelayConnection, End]]:
        """Two who have met."""
        one, other = (self.come(encode(Relay(ticket))) for ticket in self.issue())
        self.assertEqual((one[1].new(), other[1].new()), (ACK, ACK))
        return one, other

    def pass_time(self, seconds: float) -> None:
        """In steps of a second, as the server's wheel would."""
        self.clock.advance(seconds)
        for connection, deadline in tuple(self.counter.deadlines.items()):
            if deadline <= self.clock.seconds():
                del self.counter.deadlines[connection]
                connection.too_late()

    def lose(self, connection: RelayConnection) -> None:
        connection.connectionLost(connectionDone)
