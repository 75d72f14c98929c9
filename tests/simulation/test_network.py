"""The simulated network does what real ones do to TCP: nothing comes twice or in another order."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.simulation.channel import ChannelError, SimTls
from tests.simulation.network import Connection, SimNetwork
from tests.simulation.pipe import WINDOW
from tests.simulation.reactor import SimClock, SimReactor
from tests.simulation.trace import Trace
from tests.simulation.transport import HIGH_WATER

HERE, THERE = "10.0.0.2", "10.0.0.1"


@implementer(IHandshakeListener)
class End(Protocol):
    """Record the data of one end."""

    transport: Any

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.reason: Failure | None = None
        self.completed = False
        self.open = True

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    def dataReceived(self, data: bytes) -> None:
        self.chunks.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.reason is None
        self.reason = reason

    def handshakeCompleted(self) -> None:
        self.completed = True

    # As a producer.

    def pauseProducing(self) -> None:
        self.open = False

    def resumeProducing(self) -> None:
        self.open = True

    def stopProducing(self) -> None:
        self.open = False


class Ends(Factory):
    noisy = False

    def __init__(self) -> None:
        self.made: list[End] = []

    def buildProtocol(self, addr: Any) -> End:
        self.made.append(End())
        return self.made[-1]


class Case(SynchronousTestCase):
    """Two hosts, on one of which somebody listens."""

    def net(self, seed: int = 1, faulty: bool = False) -> None:
        self.clock = SimClock()
        self.trace = Trace(self.clock.seconds)
        self.network = SimNetwork(self.clock, Random(seed), self.trace.add, faulty)
        self.here = SimReactor(self.network, HERE, "here")
        self.there = SimReactor(self.network, THERE, "there")
        self.ends = Ends()
        self.there.listenTCP(5000, self.ends)

    def dial(self, port: int = 5000, timeout: float = 30) -> Any:
        endpoint = HostnameEndpoint(self.here, THERE, port, timeout)
        return connectProtocol(endpoint, End())

    def joined(self, seed: int = 1) -> tuple[End, End]:
        self.net(seed)
        dialled = self.dial()
        self.wait(5)
        return self.successResultOf(dialled), self.ends.made[0]

    def wait(self, seconds: float) -> None:
        self.clock.run_until(self.clock.seconds() + seconds)

    @property
    def connection(self) -> Connection:
        return self.network.connections[0]


class NetworkTests(Case):
    def test_all_arrives_in_order_in_other_pieces(self) -> None:
        pieces = set()
        for seed in range(20):
            one, other = self.joined(seed)
            for number in range(40):
                one.transport.write(b"%d," % number * 30)
                self.wait(0.01)
            self.wait(30)
            self.assertEqual(other.data, b"".join(b"%d," % n * 30 for n in range(40)))
            pieces.add(len(other.chunks))
        self.assertGreater(len(pieces), 5)

    def test_writer_is_paused_and_resumed(self) -> None:
        one, other = self.joined()
        self.network.stall(self.connection.pipes[0], 10)
        one.transport.registerProducer(one, True)
        one.transport.write(b"x" * (HIGH_WATER + WINDOW + 1))
        self.assertFalse(one.open)
        self.wait(5)
        self.assertFalse(one.open)
        self.wait(30)
        self.assertTrue(one.open)
        self.assertEqual(len(other.data), HIGH_WATER + WINDOW + 1)

    def test_paused_reader_receives_nothing(self) -> None:
        one, other = self.joined()
        other.transport.pauseProducing()
        one.transport.write(b"hello")
        one.transport.loseConnection()
        self.wait(10)
        self.assertEqual((other.data, other.reason), (b"", None))
        other.transport.resumeProducing()
        self.wait(10)
        self.assertEqual(other.data, b"hello")
        assert other.reason is not None
        other.reason.trap(ConnectionDone)

    def test_what_was_written_before_a_close_arrives(self) -> None:
        one, other = self.joined()
        one.transport.write(b"x" * 10_000)
        one.transport.loseConnection()
        self.wait(60)
        self.assertEqual(len(other.data), 10_000)
        for end in (one, other):
            assert end.reason is not None
            end.reason.trap(ConnectionDone)

    def test_a_cut_is_seen_by_both_or_later_by_one(self) -> None:
        for capabilities in ("both", "one"):
            one, other = self.joined()
            one.transport.write(b"x" * 500)
            self.network.cut(self.connection, capabilities)
            self.wait(4)
            self.assertEqual(sum(end.reason is None for end in (one, other)), capabilities == "one")
            self.wait(30)
            for end in (one, other):
                assert end.reason is not None
                end.reason.trap(ConnectionLost)

    def test_a_silent_cut_is_told_to_nobody_before_all_is_healed(self) -> None:
        one, other = self.joined()
        self.network.cut(self.connection, "silent")
        one.transport.write(b"hello")
        self.wait(1000)
        self.assertEqual((one.reason, other.reason, other.data), (None, None, b""))
        one.transport.abortConnection()
        self.wait(1000)
        self.assertIsNotNone(one.reason)
        self.assertIsNone(other.reason)
        self.network.heal()
        self.wait(10)
        self.assertIsNotNone(other.reason)

    def test_of_a_killed_program_nothing_runs_and_the_other_end_notices(self) -> None:
        one, other = self.joined()
        rung: list[int] = []
        self.there.callLater(1, rung.append, 1)
        self.there.kill()
        self.wait(10)
        self.assertEqual((rung, other.reason), ([], None))
        self.assertIsNotNone(one.reason)
        self.failureResultOf(self.dialled(), ConnectionRefusedError)

    def dialled(self, timeout: float = 30) -> Any:
        dialled = self.dial(timeout=timeout)
        self.wait(timeout + 1)
        return dialled

    def test_isolated_host_is_unreachable(self) -> None:
        self.net()
        self.network.isolate(THERE, 100)
        self.failureResultOf(self.dialled(), TimeoutError)

    def test_a_call_that_is_not_wanted_any_more_ends_there_too(self) -> None:
        halfway = 0
        for seed in range(60):
            self.net(seed)
            dialled = self.dial()
            for _ in range(2000):
                if not self.ends.made:
                    self.wait(0.001)
            ended: list[Any] = []
            dialled.addBoth(ended.append)
            if ended:
                continue
            halfway += len(self.ends.made)
            dialled.cancel()
            self.assertIsInstance(ended[0], Failure)
            self.wait(10)
            self.assertTrue(all(end.reason is not None for end in self.ends.made))
            self.assertEqual(self.network.connections, [])
        self.assertGreater(halfway, 0)

    def test_attempts_overtake_each_other_and_some_fail(self) -> None:
        self.net(faulty=True)
        dialled = [self.dial(timeout=6) for _ in range(200)]
        self.wait(20)
        numbers, failed = [], 0
        for one in dialled:
            one.addCallbacks(lambda end: numbers.append(_arrival(end)), lambda _: 1)
        failed = len(dialled) - len(numbers)
        self.assertNotEqual(numbers, sorted(numbers))
        self.assertTrue(5 < failed < 60, failed)


def _arrival(end: End) -> int:
    """Return the number of the connection, in order of arrival."""
    return int(end.transport.name.rpartition("#")[2])


class ChannelTests(Case):
    """In place of TLS."""

    def channel(self, refuses: str = "") -> tuple[End, Any, End, Any]:
        one, other = self.joined()
        ours = SimTls("OURS").handshake(lambda key: "no" if refuses == "caller" else None)
        theirs = SimTls("THEIRS").handshake(lambda key: "no" if refuses == "called" else None)
        other.transport.startTLS(theirs, True)
        one.transport.startTLS(ours, True)
        one.transport.write(b"early")
        self.wait(10)
        return one, ours, other, theirs

    def test_both_learn_the_key_of_the_other(self) -> None:
        one, ours, other, theirs = self.channel()
        self.assertEqual((ours.peer_key, theirs.peer_key), ("THEIRS", "OURS"))
        self.assertTrue(ours.accepted() and theirs.accepted())
        self.assertTrue(one.completed and other.completed)
        self.assertEqual(other.data, b"early")

    def test_a_caller_who_refuses_has_not_shown_a_key(self) -> None:
        one, ours, other, theirs = self.channel("caller")
        self.assertEqual((ours.refusal, theirs.peer_key), ("no", None))
        self.assertFalse(one.completed or other.completed)
        for end in (one, other):
            assert end.reason is not None
            end.reason.trap(ChannelError, ConnectionLost)

    def test_a_caller_is_done_before_it_is_judged(self) -> None:
        one, _, other, theirs = self.channel("called")
        self.assertTrue(one.completed)
        self.assertFalse(other.completed)
        self.assertEqual(theirs.refusal, "no")
        assert one.reason is not None
        self.assertEqual(other.data, b"")

    def test_a_goodbye_waits_for_the_other_ones(self) -> None:
        one, _, other, _ = self.channel()
        one.transport.loseConnection()
        self.assertIsNone(one.reason)
        self.wait(10)
        for end in (one, other):
            assert end.reason is not None
            end.reason.trap(ConnectionDone)
