"""Answer the first data of accepted connections that have neither a transport nor a protocol yet.

Most connections of classic clients send one request, read its answer and close. A transport, a protocol
and epoll cost such a connection more than everything else, so it gets none of them: its descriptor is
read, answered and closed here. Every other connection is passed on with its first data.
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
"""Largest number of bytes read at once from a connection without a transport."""
PATIENCE = 0.05
"""Seconds that a connection with an answer may take to close; on a busy machine a client takes 20 ms."""
MOST_ANSWERED = 500
"""Largest number of answered connections that are polled again: this takes some 2 ms."""

Address = tuple[Any, ...]
Received = bytes | OSError | None
"""Result of reading a socket: data, no bytes at its end, an error, or None if nothing was received."""


class Refused(Exception):
    """A connection is refused. `protocol` reports why; None: the socket is closed without an answer."""

    def __init__(self, protocol: Protocol | None) -> None:
        super().__init__()
        self.protocol = protocol


class DirectFactory(Factory):
    """Factory that can answer the first data of a connection without a protocol.

    The result of `arrive` stands for the connection until `make_protocol` or `depart` is called with
    it.
    """

    def arrive(self, host: str, port: int) -> Any:
        """Count a connection from `host`, the address that the socket reports. Raises Refused."""
        raise NotImplementedError

    def answer(self, visit: Any, own_host: Callable[[], str], data: bytes) -> bytes | None:
        """Return the answer to the first `data`; None if this needs a protocol. `own_host`: our address
        there.
        """
        raise NotImplementedError

    @property
    def room(self) -> int:
        """Return how many more connections may go without a protocol for a moment; at most 0: none.

        New clients may need their places, and only a connection with a protocol can be closed for one.
        """
        raise NotImplementedError

    def make_protocol(self, visit: Any, was_answered: bool) -> Protocol:
        """Create the protocol that receives the unanswered data."""
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
        """Read the received data."""
        try:
            return os.read(self.number, FIRST_READ)
        except BlockingIOError:
            return None
        except OSError as error:
            return error

    def send(self, data: bytes) -> bytes:
        """Send `data`; return the part that the socket did not accept, because it is full or broken."""
        try:
            return data[os.write(self.number, data) :]
        except OSError:
            return data

    def own_host(self) -> str:
        """Return our own address of the connection."""
        one = socket.socket(fileno=self.number)
        try:
            host: str = one.getsockname()[0]
            return host
        finally:
            one.detach()


@value_class
class Departure:
    """Connection that needs a transport.

    `make` creates its protocol, or returns None to refuse it. Then `data` is passed to the protocol,
    and `unsent` is sent.
    """

    number: int
    address: Address
    make: Callable[[], Protocol | None]
    data: Received = None
    unsent: bytes = b""


class Arrivals:
    """Connections of a port that have no transport.

    Each method returns those that need a transport now, and forgets them.
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
        """Return the connections without data: they came before others that need a protocol now."""
        silent = [one for one in self._here if not one.was_answered]
        self._here = [one for one in self._here if one.was_answered]
        return [self._departure(one) for one in silent]

    def begin(self, accepted: list[tuple[int, Address]]) -> list[Departure]:
        """Receive from new connections, given by descriptor and address, and answer them."""
        now = self._seconds()
        new, departures = [], []
        for number, address in accepted:
            os.set_blocking(number, False)
            try:
                visit = self._factory.arrive(address[0], address[1])
            except Refused as refused:
                departures.append(Departure(number, address, partial(_told, refused)))
            except Exception:  # a failure concerns only this connection
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
        """Receive again a moment later, when most connections have ended. None is kept longer than
        `PATIENCE`.
        """
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
        """Return all connections: the port stops accepting."""
        here, self._here = self._here, []
        return [self._departure(one) for one in here]

    def _serve(self, received: Sequence[tuple[Arrival, Received]]) -> list[Departure]:
        """Do each step for all connections before the next step: its code stays in the processor's
        caches.
        """
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
                except Exception:  # as in the reactor, this ends one connection only
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
