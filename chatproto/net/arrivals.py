"""Answer the first data of accepted connections that have neither a transport nor a protocol yet.

Most connections of classic clients bring one request, read its answer and close. A transport, a
protocol and epoll cost such a connection more than everything else, so it gets none of them:
its descriptor is read, answered and closed here. Every other connection goes on as usual, with the
data that it has brought.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from chatproto.wire.values import value_class

FIRST_READ = 64 * 1024
"""Bytes that are read at once from a connection without a transport."""
PATIENCE = 0.05
"""Seconds that a connection with an answer may take to close; on a busy machine a client takes 20 ms."""
MOST_ANSWERED = 500
"""Connections with an answer that are looked at again and again: some 2 ms."""

Address = tuple[Any, ...]
Received = bytes | OSError | None
"""Result of reading a socket: data, no bytes at its end, an error, or None if nothing has come."""


class Refused(Exception):
    """A connection is refused. `protocol`: it says why; None: the socket is closed without a word."""

    def __init__(self, protocol: Protocol | None) -> None:
        super().__init__()
        self.protocol = protocol


class DirectFactory(Factory):
    """Factory that can answer the first data of a connection without a protocol.

    What `arrive` returns stands for the connection, until `make_protocol` or `depart` is called with it.
    """

    def arrive(self, host: str, port: int) -> Any:
        """Count a connection from `host`, as the socket tells it. Raises Refused."""
        raise NotImplementedError

    def answer(self, visit: Any, own_host: Callable[[], str], data: bytes) -> bytes | None:
        """Answer the first `data`; None if this needs a protocol. `own_host`: our address there."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """Return how many more connections may do without a protocol for a moment; at most 0: none.

        Others may need their places, and only one with a protocol can be put out.
        """
        raise NotImplementedError

    def make_protocol(self, visit: Any, was_answered: bool) -> Protocol:
        """Make the protocol that receives what was not answered."""
        raise NotImplementedError

    def depart(self, visit: Any) -> None:
        """Note the end of a connection that never needed a protocol."""
        raise NotImplementedError


class Arrival:
    """Accepted connection without a transport. `number`: its descriptor. `since`: seconds of the clock."""

    __slots__ = ("address", "number", "since", "visit", "was_answered")

    def __init__(self, number: int, address: Address, visit: Any, since: float) -> None:
        self.number = number
        self.address = address
        self.visit = visit
        self.since = since
        self.was_answered = False

    def receive(self) -> Received:
        """Read what has come."""
        try:
            return os.read(self.number, FIRST_READ)
        except BlockingIOError:
            return None
        except OSError as error:
            return error

    def send(self, data: bytes) -> bytes:
        """Send `data`; return what the socket did not take, because it is full or broken."""
        try:
            return data[os.write(self.number, data) :]
        except OSError:
            return data

    def own_host(self) -> str:
        """Return the address at which the connection came in."""
        one = socket.socket(fileno=self.number)
        try:
            host: str = one.getsockname()[0]
            return host
        finally:
            one.detach()


@value_class
class Departure:
    """A connection that needs a transport.

    `make` makes its protocol, None if it is refused. Then `data` is to be handed on, and `unsent` sent.
    """

    number: int
    address: Address
    make: Callable[[], Protocol | None]
    data: Received = None
    unsent: bytes = b""


class Arrivals:
    """The connections of a port that have no transport.

    Each method returns those that need one now; nothing is known of them here any more.
    """

    log = Logger()

    def __init__(self, factory: DirectFactory, seconds: Callable[[], float]) -> None:
        self._factory = factory
        self._seconds = seconds
        self._here: list[Arrival] = []

    def __len__(self) -> int:
        return len(self._here)

    @property
    def room(self) -> int:
        """Return how many connections may begin at once; at most 0: one, after `hurry`."""
        return self._factory.room

    def hurry(self) -> list[Departure]:
        """Return those on which nothing has come: they came before others that need a protocol now."""
        silent = [one for one in self._here if not one.was_answered]
        self._here = [one for one in self._here if one.was_answered]
        return [self._departure(one) for one in silent]

    def begin(self, accepted: list[tuple[int, Address]]) -> list[Departure]:
        """Receive from new connections, by descriptor and address, and answer them."""
        now = self._seconds()
        new, departures = [], []
        for number, address in accepted:
            os.set_blocking(number, False)
            try:
                visit = self._factory.arrive(address[0], address[1])
            except Refused as refused:
                departures.append(Departure(number, address, partial(_told, refused)))
            except Exception:  # one connection's trouble is not the others'
                self.log.failure("a connection could not be accepted")
                os.close(number)
            else:
                new.append(Arrival(number, address, visit, now))
        received = [(one, one.receive()) for one in new]
        silent = [one for one, data in received if data is None]
        if self._factory.room >= 0:
            self._here += silent
        else:
            departures += [self._departure(one) for one in silent]
        return departures + self._serve([one for one in received if one[1] is not None])

    def look_again(self) -> list[Departure]:
        """Receive a moment later: most have ended. Nobody is waited for longer than `PATIENCE`."""
        patience_ends = self._seconds() - PATIENCE
        here, self._here = self._here, []
        received, departures = [], []
        for left, one in zip(range(len(here), 0, -1), here, strict=True):
            data = one.receive()
            if data is not None:
                received.append((one, data))
            elif one.was_answered and one.since > patience_ends and left <= MOST_ANSWERED:
                self._here.append(one)
            else:
                departures.append(self._departure(one))
        return departures + self._serve(received)

    def end(self) -> list[Departure]:
        """Return all: the port takes no more connections."""
        here, self._here = self._here, []
        return [self._departure(one) for one in here]

    def _serve(self, received: Sequence[tuple[Arrival, Received]]) -> list[Departure]:
        """Do each step for all before the next: its code is in the processor's caches then."""
        departures: list[Departure] = []
        answered: list[tuple[Arrival, bytes]] = []
        ended: list[Arrival] = []
        for one, data in received:
            if data.__class__ is not bytes or not data:
                ended.append(one)
                continue
            answer = None
            if not one.was_answered:
                try:
                    answer = self._factory.answer(one.visit, one.own_host, data)
                except Exception:  # as the reactor does: it ends this connection and no other
                    self.log.failure("a connection could not be answered")
                    ended.append(one)
                    continue
            if answer is not None:
                answered.append((one, answer))
            else:
                departures.append(self._departure(one, data))
        for one, answer in answered:
            one.was_answered = True
            unsent = one.send(answer)
            if unsent:
                departures.append(self._departure(one, None, unsent))
            else:
                self._here.append(one)
        for one in ended:
            self._factory.depart(one.visit)
        for one in ended:
            os.close(one.number)
        return departures

    def _departure(self, one: Arrival, data: Received = None, unsent: bytes = b"") -> Departure:
        make = partial(self._factory.make_protocol, one.visit, one.was_answered)
        return Departure(one.number, one.address, make, data, unsent)


def _told(refused: Refused) -> Protocol | None:
    return refused.protocol
