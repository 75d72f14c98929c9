"""Share the reactor's time among connections, and count it against whoever asked for it.

A connection with little to do is served at once. As soon as `TURN` seconds of work were done without a
pause, everything else waits in a queue: in each turn of the reactor those are served first who have used
the least time lately. So a client that asks for much waits for itself, and not others for it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from twisted.logger import Logger

from chatproto.net.addresses import is_loopback, network

Item = TypeVar("Item")
PIECE = 2048
"""Bytes of input that are decoded at once."""
SLICE = 0.002
"""Seconds after which a connection's work is interrupted."""
BRIEF = 0.0002
"""Seconds of work that count against nobody while nobody waits: to count them costs as much as a request."""
TURN = 0.01
"""Seconds of work between two looks of the reactor at its sockets."""
PAUSE = 0.001
"""Seconds without a look at the clock after which the reactor must have waited for its sockets."""
HALF_LIFE = 5.0
"""Seconds in which what an asker has used counts for half."""
EACH_TURN = 200
"""Connections that one turn ends, tells or cuts off at most, where all are meant."""
MOST_ADDRESSES = 65_536
"""Addresses whose use is remembered; the longest unseen are forgotten."""


class SlicedWork(Protocol):
    """A connection, or another piece of work that can be interrupted. `host`: who it is done for."""

    host: str

    @property
    def use(self) -> Use:
        """The time that it has used lately."""

    def take_turn(self, over: Callable[[], bool]) -> bool:
        """Work until `over()`; return True if there is more to do."""

    def failed(self) -> None:
        """End: an exception that nobody expected came out of `take_turn`."""


class Chore:
    """Work of the server's own: `step` does a little of it and returns True if there is more."""

    host = ""

    def __init__(self, step: Callable[[], bool]) -> None:
        self.use = Use()
        self._step = step

    def take_turn(self, over: Callable[[], bool]) -> bool:
        while self._step():
            if over():
                return True
        return False

    def failed(self) -> None:
        """Continue: the next request tries again."""


class Round(Generic[Item]):
    """Work of the server's own with each of many things, at most `EACH_TURN` of them in one turn.

    Args: items: they are taken now; work must tell by itself which have ended meanwhile. then: called
    after the last one.
    """

    host = ""

    def __init__(
        self,
        items: Iterable[Item],
        work: Callable[[Item], object],
        then: Callable[[], object] | None = None,
    ) -> None:
        self.use = Use()
        self._items = deque(items)
        self._work = work
        self._then = then

    def take_turn(self, over: Callable[[], bool]) -> bool:
        for _ in range(min(EACH_TURN, len(self._items))):
            self._work(self._items.popleft())
            if over():
                break
        if self._items:
            return True
        then, self._then = self._then, None
        if then is not None:
            then()
        return False

    def failed(self) -> None:
        """End: what went wrong with one of them is logged."""


class Use:
    """The reactor's seconds that somebody has used lately."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def seconds(self, now: float) -> float:
        """Return them; what was used `HALF_LIFE` ago counts for half."""
        if self._seconds and now > self._at:
            self._seconds *= 0.5 ** ((now - self._at) / HALF_LIFE)
        self._at = now
        return self._seconds

    def add(self, seconds: float, now: float) -> None:
        """Count `seconds` more."""
        self._seconds = self.seconds(now) + seconds


class WorkQueue:
    """The queue of a server. `clock` is the reactor; its `seconds` measures what work takes.

    Time counts for the connection and for its address (IPv6: /64; loopback is no address in this sense).
    """

    log = Logger()

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        self._queue: list[
            tuple[float, int, SlicedWork]
        ] = []  # a heap: who has used least comes first
        self._queued: set[SlicedWork] = set()
        self._numbers = count()
        self._addresses: OrderedDict[str, Use] = OrderedDict()
        self._working: SlicedWork | None = None
        self._begun = 0.0  # since when it has worked without a pause
        self._end = 0.0
        self.looked = 0.0
        """Time at which the clock was read last."""
        self._timer: Any = None
        self.is_free = True
        """Nothing waits for a turn: a little work may be done at once, between `begin` and `end`."""

    def __len__(self) -> int:
        return len(self._queued)

    def __contains__(self, worker: SlicedWork) -> bool:
        return worker in self._queued

    def ask(self, worker: SlicedWork) -> None:
        """Have `worker` do its work, now or in a later turn."""
        if worker in self._queued:
            return
        if not self.is_free or worker is self._working or self._work(worker):
            self.later(worker)

    def each(
        self,
        items: Iterable[Item],
        work: Callable[[Item], object],
        then: Callable[[], object] | None = None,
    ) -> None:
        """Do `work` with each of `items`, `EACH_TURN` at once and as many in each later turn; then `then`."""
        everything = Round(items, work, then)
        if self._work(everything):
            self.later(everything)

    def later(self, worker: SlicedWork) -> None:
        """Have `worker` do its work in a later turn."""
        if worker in self._queued:
            return
        self._queued.add(worker)
        heappush(self._queue, (self._used_by(worker), next(self._numbers), worker))
        if self.is_free:
            self._schedule()

    def discard(self, worker: SlicedWork) -> None:
        """Forget `worker`, if it waits."""
        self._queued.discard(worker)

    def rest(self) -> None:
        """Leave no timer behind."""
        timer, self._timer = self._timer, None
        self.is_free = True
        if timer is not None and timer.active():
            timer.cancel()
        self._queue.clear()
        self._queued.clear()

    def begin(self) -> float:
        """Start a slice of work, and return the time.

        Work that is done without `ask`, because `is_free`, needs an `end` only if it looked at the clock
        (`looked` is later than what this returned).
        """
        now = self._seconds()
        if now - self.looked > PAUSE:
            self._begun = now  # the reactor has waited for its sockets
        elif now - self._begun >= TURN and self.is_free:
            self._schedule()
        self.looked = now
        self._end = now + SLICE
        return now

    def is_over(self) -> bool:
        """Return True when the slice that has begun is used up."""
        now = self.looked = self._seconds()
        return now >= self._end

    def end(self, worker: SlicedWork, begun: float) -> None:
        """Count the slice of `worker`, which started at `begun`."""
        now = self.looked = self._seconds()
        spent = now - begun
        if spent > BRIEF or (spent > 0 and not self.is_free):
            worker.use.add(spent, now)
            address = self._address(worker.host)
            if address is not None:
                address.add(spent, now)
        if self.is_free and now - self._begun >= TURN:
            self._schedule()

    def _schedule(self) -> None:
        self.is_free = False
        self._timer = self._clock.callLater(0, self._turn)

    def _work(self, worker: SlicedWork) -> bool:
        """Let `worker` work for a slice; return True if there is more."""
        begun = self.begin()
        outer, self._working = self._working, worker
        try:
            more = worker.take_turn(self.is_over)
        finally:
            self._working = outer
        self.end(worker, begun)
        return more

    def _turn(self) -> None:
        begun = self._begun = self.looked = self._seconds()
        # Each works once at most, so that the reactor looks at its sockets also where no time passes.
        again: list[SlicedWork] = []
        while self._queue and self.looked - begun < TURN:
            before, _, worker = heappop(self._queue)
            if worker not in self._queued:
                continue
            used = self._used_by(worker)
            if self._queue and used > before + SLICE and used > self._queue[0][0]:
                # Others of its address were served since it was put in.
                heappush(self._queue, (used, next(self._numbers), worker))
                continue
            self._queued.remove(worker)
            try:
                if self._work(worker):
                    again.append(worker)
            except Exception:
                self.log.failure("a connection ends, for what it asked could not be done")
                worker.failed()
        self._begun = self.looked
        self._timer = None
        self.is_free = True
        for worker in again:
            self.later(worker)
        if self._queue and self.is_free:
            self._schedule()

    def _used_by(self, worker: SlicedWork) -> float:
        """Return the seconds that `worker` and its address used; less than a slice is nothing.

        So somebody who asks little is served in order of arrival, and not behind every newcomer.
        """
        now = self._seconds()
        address = self._address(worker.host)
        used = worker.use.seconds(now) + (address.seconds(now) if address is not None else 0.0)
        return used if used >= SLICE else 0.0

    def _address(self, host: str) -> Use | None:
        if not host or is_loopback(host):
            return None
        name = network(host)
        found = self._addresses.get(name)
        if found is None:
            found = self._addresses[name] = Use()
            if len(self._addresses) > MOST_ADDRESSES:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(name)
        return found
