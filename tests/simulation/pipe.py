"""One way of a simulated connection: where chunks are cut into pieces, delayed and put together."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any, Protocol

from tests.simulation.reactor import SimClock
from tests.simulation.transport import SimTransport

WINDOW = 2048
"""Bytes that may be on their way, before the rest waits in the program that writes them."""
PIECE = 120
"""The largest piece, in bytes, where a chunk is cut into pieces."""


class Carrier(Protocol):
    """Parts of the network that a pipe uses."""

    clock: SimClock
    random: Random

    def latency(self) -> float: ...
    def tell(self, who: str, what: str, *details: Any) -> None: ...
    def wake(self, pipe: SimPipe) -> None: ...


class SimPipe:
    """One way of a connection: what was written arrives in order, in pieces, later."""

    def __init__(
        self, network: Carrier, number: int, sender: SimTransport, receiver: SimTransport
    ) -> None:
        self.number = number
        self.sender = sender
        self.receiver = receiver
        self.stalled = 0.0  # until when
        self.broken = False  # nothing passes any more, and nobody is told
        self._network = network
        self._items: deque[tuple[float, bytes | None]] = deque()  # None: the end
        self._carried = 0
        self._last = 0.0
        self._end: str = ""  # end or reset, once that has been queued
        self._arrival: Any = None

    # What its two ends want.

    def dirty(self) -> None:
        self._network.wake(self)

    def close(self) -> None:
        if not self._end:
            self._collect()
            self._end = "end"
            self._queue(None)
            self.dirty()

    def reset(self) -> None:
        if self._end != "reset":
            self._end = "reset"
            self._break(self._network.random.random())
            self.dirty()

    # What the network does to it.

    def begin(self, at: float) -> None:
        """The receiver hears nothing before `at`."""
        self._last = at

    def cut(self, delay: float) -> None:
        """Break the direction: a part of its data may still arrive; the receiver hears of it later."""
        if self._end != "reset" or self.broken:
            self._end = "reset"
            self.broken = False
            self._last = max(self._last, self._network.clock.seconds() + delay)
            self._break(self._network.random.random())
            self.dirty()

    def mend(self) -> None:
        """Deliver at once whatever is on its way, also the end of a broken connection."""
        self.stalled = 0.0
        if self.broken:
            self.cut(0.0)
        now = self._network.clock.seconds()
        self._items = deque((min(at, now), item) for at, item in self._items)
        self._last = min(self._last, now)
        self.dirty()

    def vanish(self) -> None:
        """Drop everything from now on, without telling either end."""
        self.broken = True
        self._items.clear()
        self._carried = 0

    def carry(self) -> None:
        """Take what was written, and bring what has arrived."""
        if self.broken:
            return
        if not self._end:
            self._collect()
        now = self._network.clock.seconds()
        if now < self.stalled:
            self._wait(self.stalled)
            return
        data = self._arrived(now)
        if data:
            self._network.tell(self.receiver.name, "hears", data)
            self.receiver.hear(data)
            if not self._end:
                self._collect()
        if self._items and not self.receiver.paused:
            at, item = self._items[0]
            if item is None and at <= now:
                self._items.clear()
                self._network.tell(self.receiver.name, self._end)
                if self._end == "reset":
                    self.receiver.hear_reset()
                else:
                    self.receiver.hear_end()
            else:
                self._wait(at)
        if not self.sender.buffer and not self._end:
            self.sender.drained()

    # How it follows.

    def _arrived(self, now: float) -> bytes:
        parts: list[bytes] = []
        if self.receiver.connected and self.receiver.paused:
            return b""
        while self._items and self._items[0][0] <= now and self._items[0][1] is not None:
            parts.append(self._items.popleft()[1] or b"")
        data = b"".join(parts)
        self._carried -= len(data)
        return data

    def _collect(self) -> None:
        """Take from the writer as much as there is room for, cut into pieces."""
        buffer, random = self.sender.buffer, self._network.random
        while buffer and self._carried < WINDOW:
            whole = random.random() < 0.6
            size = min(len(buffer), WINDOW - self._carried)
            if not whole:
                size = min(size, random.randint(1, PIECE))
            piece = bytes(buffer[:size])
            del buffer[:size]
            self._carried += size
            self._queue(piece)

    def _queue(self, item: bytes | None) -> None:
        together = item is not None and self._items and self._network.random.random() < 0.4
        if not together:
            self._last = max(self._last, self._network.clock.seconds() + self._network.latency())
        self._items.append((self._last, item))

    def _break(self, kept: float) -> None:
        """Keep only a part of what is on its way, and then the end."""
        self.sender.buffer.clear()
        pieces = [(at, item) for at, item in self._items if item is not None]
        pieces = pieces[: round(kept * len(pieces))]
        self._items = deque(pieces)
        self._carried = sum(len(item) for _, item in pieces)
        self._queue(None)

    def _wait(self, at: float) -> None:
        if self._arrival is not None and self._arrival.active():
            if self._arrival.getTime() <= at:
                return
            self._arrival.cancel()
        clock = self._network.clock
        self._arrival = clock.call(clock, max(0.0, at - clock.seconds()), self.dirty)
