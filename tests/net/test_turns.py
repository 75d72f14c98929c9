"""Test turns of the epoll reactor: as Twisted's own, bounded, and with calls at their end."""

from __future__ import annotations

import select
import socket
from functools import partial
from typing import Any
from unittest import skipUnless

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from chatproto.net import fast_tcp
from chatproto.net.clock import at_end_of_turn
from chatproto.net.fast_tcp import use_fast_turns

FEW = 5
SOME = 3
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hi", "raise", "lose", "abort", "next", "close", "shut", "many"]),
        st.integers(0, SOME - 1),
    ),
    max_size=20,
)


def new_reactor() -> Any:
    from twisted.internet.epollreactor import EPollReactor

    return EPollReactor()


@implementer(IHalfCloseableProtocol)
class Noted(Protocol):
    """Notes what happens to it, and does what it is told."""

    def __init__(self, number: int, all_of_them: list[Noted], happened: list[object]) -> None:
        self.number = number
        self.all = all_of_them
        self.happened = happened

    def note(self, what: object) -> None:
        self.happened.append((self.number, what))

    def dataReceived(self, data: bytes) -> None:
        self.note(data)
        transport: Any = self.transport
        if b"raise" in data:
            raise RuntimeError("a mistake of ours")
        if b"lose" in data:
            transport.write(b"bye")
            transport.loseConnection()
        if b"abort" in data:
            transport.abortConnection()
        if b"many" in data:
            transport.write(b"x" * 1_000_000)
        if b"next" in data:
            other: Any = self.all[(self.number + 1) % SOME].transport
            other.abortConnection()

    def readConnectionLost(self) -> None:
        self.note("end")
        assert self.transport is not None
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Ignore it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.note(reason.type)


class Case(SynchronousTestCase):
    def pairs(self, count: int) -> list[tuple[socket.socket, socket.socket]]:
        made = [socket.socketpair() for _ in range(count)]
        for pair in made:
            for one in pair:
                one.setblocking(False)
                self.addCleanup(one.close)
        return made

    def reactor(self) -> Any:
        made = new_reactor()
        self.addCleanup(made.removeAll)
        use_fast_turns(made)
        return made


@skipUnless(hasattr(select, "epoll") and not fast_tcp.WHY_PLAIN, "only for epoll")
class TurnTests(Case):
    def carried_out(self, steps: list[tuple[str, int]], fast: bool) -> list[object]:
        """Return what happens to a few connections in `steps`, and what they are sent."""
        reactor = new_reactor()
        if fast:
            use_fast_turns(reactor)
        happened: list[object] = []
        protocols: list[Noted] = []
        pairs = [socket.socketpair() for _ in range(SOME)]
        for number, (one, other) in enumerate(pairs):
            one.setblocking(False)
            other.setblocking(False)
            protocols.append(Noted(number, protocols, happened))
            factory: Any = Factory.forProtocol(partial(protocols.__getitem__, number))
            reactor.adoptStreamConnection(one.fileno(), socket.AF_UNIX, factory)
            one.close()
        for step, number in steps:
            other = pairs[number][1]
            try:
                if step == "close":
                    other.close()
                elif step == "shut":
                    other.shutdown(socket.SHUT_WR)
                else:
                    other.send(step.encode())
            except OSError:
                happened.append((number, "not sent"))
            for _ in range(3):
                reactor.iterate(0)
        for number, (_, other) in enumerate(pairs):
            got = 0
            try:
                while data := other.recv(65536):
                    got += len(data)
                    reactor.iterate(0)
            except OSError:
                pass
            happened.append((number, got))
            other.close()
        for _ in range(3):
            reactor.iterate(0)
        reactor.removeAll()
        self.flushLoggedErrors(RuntimeError)
        return happened

    @settings(max_examples=50, deadline=None)
    @given(STEPS)
    def test_the_same_happens_as_in_twisteds_own_turns(self, steps: list[tuple[str, int]]) -> None:
        self.assertEqual(self.carried_out(steps, True), self.carried_out(steps, False))

    def test_every_socket_is_served_in_turn_although_none_is_emptied(self) -> None:
        self.patch(fast_tcp, "EVENTS", FEW)
        reactor = self.reactor()
        seen: list[int] = []

        class Reader:
            def __init__(self, one: socket.socket) -> None:
                self.fileno = one.fileno

            def doRead(self) -> None:
                seen.append(self.fileno())

        pairs = self.pairs(4 * FEW)
        for one, other in pairs:
            reader: Any = Reader(one)
            reactor.addReader(reader)
            self.addCleanup(reactor.removeReader, reader)
            other.send(b"x")
        for turn in range(1, 5):
            reactor.iterate(0)
            self.assertEqual(len(seen), turn * FEW)
        self.assertEqual(set(seen), {one.fileno() for one, _ in pairs})

    def test_a_socket_that_another_one_took_out_is_not_read(self) -> None:
        reactor = self.reactor()
        readers: list[Any] = []
        seen: list[object] = []

        class Reader:
            def __init__(self, one: socket.socket) -> None:
                self.fileno = one.fileno

            def doRead(self) -> None:
                seen.append(self)
                for one in readers:
                    reactor.removeReader(one)

        for one, other in self.pairs(2):
            readers.append(Reader(one))
            reactor.addReader(readers[-1])
            other.send(b"x")
        reactor.iterate(0)
        self.assertEqual(len(seen), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_mass_of_ends_takes_many_turns(self) -> None:
        self.patch(fast_tcp, "EVENTS", FEW)
        reactor = self.reactor()
        use_fast_turns(reactor)  # twice is once
        ended: list[Protocol] = []

        class Ending(Protocol):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                ended.append(self)

        pairs = self.pairs(3 * FEW)
        for one, _ in pairs:
            reactor.adoptStreamConnection(one.fileno(), socket.AF_UNIX, Factory.forProtocol(Ending))
        for _, other in pairs:
            other.close()
        reactor.iterate(0)
        self.assertLessEqual(len(ended), FEW)
        for _ in range(10):
            reactor.iterate(0)
        self.assertEqual(len(ended), len(pairs))

    def test_call_at_the_end_of_the_turn_runs_once_after_all_sockets(self) -> None:
        reactor = self.reactor()
        later = at_end_of_turn(reactor)
        happened: list[str] = []

        class Asking(Protocol):
            def dataReceived(self, data: bytes) -> None:
                happened.append("read")
                later(lambda: happened.append("end"))

        for one, other in self.pairs(2):
            reactor.adoptStreamConnection(one.fileno(), socket.AF_UNIX, Factory.forProtocol(Asking))
            other.send(b"x")
        for _ in range(3):
            reactor.iterate(0)
        self.assertEqual(happened, ["read", "read", "end", "end"])

    def test_call_from_a_timer_does_not_wait_for_sockets(self) -> None:
        reactor = self.reactor()
        later = at_end_of_turn(reactor)
        happened: list[str] = []

        def first() -> None:
            happened.append("first")
            later(lambda: happened.append("second"))

        reactor.callLater(0, later, first)
        began = reactor.seconds()
        reactor.iterate(5)
        self.assertEqual(happened, ["first"])
        reactor.iterate(5)
        self.assertEqual(happened, ["first", "second"])
        self.assertLess(reactor.seconds() - began, 5)

    def test_failing_call_is_logged_and_others_run(self) -> None:
        reactor = self.reactor()
        happened: list[str] = []

        def fail() -> None:
            raise RuntimeError("a mistake of ours")

        for call in (fail, lambda: happened.append("done")):
            at_end_of_turn(reactor)(call)
        reactor.iterate(0)
        self.assertEqual(happened, ["done"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class OtherClockTests(Case):
    def test_other_reactor_is_unchanged(self) -> None:
        class Other:
            pass

        other = Other()
        use_fast_turns(other)
        self.assertEqual(vars(other), {})

    def test_another_clock_calls_with_a_timer(self) -> None:
        clock = Clock()
        happened: list[str] = []
        at_end_of_turn(clock)(lambda: happened.append("end"))
        self.assertEqual(happened, [])
        clock.advance(0)
        self.assertEqual(happened, ["end"])
