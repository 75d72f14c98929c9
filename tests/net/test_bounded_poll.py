"""Test that one turn of the reactor serves a bounded number of sockets, and later turns the others."""

from __future__ import annotations

import select
import socket
from typing import Any
from unittest import skipUnless

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net import fast_tcp
from chatproto.net.fast_tcp import BoundedPoll, bound_turns

FEW = 5


@skipUnless(hasattr(select, "epoll") and not fast_tcp.WHY_PLAIN, "only for epoll")
class BoundedTurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(fast_tcp, "EVENTS", FEW)

    def pairs(self, count: int) -> list[tuple[socket.socket, socket.socket]]:
        made = [socket.socketpair() for _ in range(count)]
        for pair in made:
            for one in pair:
                one.setblocking(False)
                self.addCleanup(one.close)
        return made

    def test_every_socket_is_reported_in_turn_although_none_is_read(self) -> None:
        poller = BoundedPoll(select.epoll())
        self.addCleanup(poller.close)
        pairs = self.pairs(4 * FEW)
        for one, other in pairs:
            poller.register(one.fileno(), select.EPOLLIN)
            other.send(b"x")
        seen: set[int] = set()
        for _ in range(4):
            found = poller.poll(0, 100)
            self.assertEqual(len(found), FEW)
            seen.update(number for number, _ in found)
        self.assertEqual(seen, {one.fileno() for one, _ in pairs})
        self.assertEqual(len(poller.poll(0, 2)), 2)

    def test_a_mass_of_ends_takes_many_turns(self) -> None:
        from twisted.internet.epollreactor import EPollReactor

        reactor: Any = EPollReactor()
        self.addCleanup(reactor.removeAll)
        for _ in range(2):
            bound_turns(reactor)
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

    def test_another_reactor_stays_as_it_is(self) -> None:
        class Other:
            pass

        other = Other()
        bound_turns(other)
        self.assertEqual(vars(other), {})
