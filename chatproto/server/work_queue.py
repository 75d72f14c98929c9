"""Share the reactor's time fairly among connections, and count the time of each.

A short request is answered at once. After `TURN` seconds of work without a pause, all other work is queued.
Each turn of the reactor serves the connections first that have used the least time lately. A client with many
requests therefore delays itself, and not others.
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
"""Bytes of input that are decoded in one step."""
SLICE = 0.002
"""Seconds after which a connection's work is interrupted."""
BRIEF = 0.0002
"""Seconds of work that are not counted while the queue is empty: counting costs as much as a request."""
TURN = 0.01
"""Seconds of work after which the reactor polls its sockets."""
PAUSE = 0.001
"""Seconds between two reads of the clock after which the reactor must have polled its sockets."""
HALF_LIFE = 5.0
"""Seconds after which used time counts for half."""
EACH_TURN = 200
"""Connections that one turn handles at most when all are closed or notified."""
MOST_ADDRESSES = 65_536
"""Addresses whose use is stored; the longest unseen are removed."""


class SlicedWork(Protocol):
    """Connection, or other work that can be interrupted. `host`: address of the client, or ""."""

    host: str

    @property
    def use(self) -> Use:
        """Time that it has used lately."""

    def take_turn(self, over: Callable[[], bool]) -> bool:
        """Work until `over()`; return True if there is more to do."""

    def failed(self) -> None:
        """Handle that `take_turn` raised an unexpected exception."""


class Chore:
    """Work of the server itself: `step` does a little of it and returns True if there is more."""

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
        """Do nothing: the next request tries again."""


class Round(Generic[Item]):
    """Work of the server itself for each of many items, at most `EACH_TURN` of them in one turn.

    Args: items: copied now; `work` must check whether an item has ended meanwhile. An exception that it
    raises is logged and concerns only that item. then: called after the last one.
    """

    host = ""
    log = Logger()

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
            try:
                self._work(self._items.popleft())
            except Exception:
                self.log.failure("one of several connections could not be handled")
            if over():
                break
        if self._items:
            return True
        then, self._then = self._then, None
        if then is not None:
            then()
        return False

    def failed(self) -> None:
        """Do nothing: `then` has failed, after all items."""


class Use:
    """Seconds of the reactor that a client or an address has used lately."""

    __slots__ = ("_at", "_seconds")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._at = 0.0

    def seconds(self, now: float) -> float:
        """Return the used seconds; those of `HALF_LIFE` seconds ago count for half."""
        if self._seconds and now > self._at:
            self._seconds *= 0.5 ** ((now - self._at) / HALF_LIFE)
        self._at = now
        return self._seconds

    def add(self, seconds: float, now: float) -> None:
        """Add used `seconds`."""
        self._seconds = self.seconds(now) + seconds


class WorkQueue:
    """Work queue of a server. `clock` is the reactor; its `seconds` measures the work.

    Time counts for the connection and for its address (IPv6: /64; loopback addresses are not counted).
    """

    log = Logger()

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        self._queue: list[
            tuple[float, int, SlicedWork]
        ] = []  # a heap: the least used time comes first
        self._queued: set[SlicedWork] = set()
        self._numbers = count()
        self._addresses: OrderedDict[str, Use] = OrderedDict()
        self._working: SlicedWork | None = None
        self._begun = 0.0  # start of work without a pause
        self._end = 0.0
        self.looked = 0.0
        """Time of the last read of the clock."""
        self._timer: Any = None
        self.is_free = True
        """True if the queue is empty: short work may be done at once, between `begin` and `end`."""

    def __len__(self) -> int:
        return len(self._queued)

    def __contains__(self, worker: SlicedWork) -> bool:
        return worker in self._queued

    def ask(self, worker: SlicedWork) -> None:
        """Run `worker` now, or queue it."""
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
        """Call `work` with each of `items`, `EACH_TURN` now and in each later turn; then call `then`."""
        everything = Round(items, work, then)
        if self._work(everything):
            self.later(everything)

    def later(self, worker: SlicedWork) -> None:
        """Queue `worker` for a later turn."""
        if worker in self._queued:
            return
        self._queued.add(worker)
        heappush(self._queue, (self._used_by(worker), next(self._numbers), worker))
        if self.is_free:
            self._schedule()

    def discard(self, worker: SlicedWork) -> None:
        """Remove `worker` from the queue, if it is there."""
        self._queued.discard(worker)

    def rest(self) -> None:
        """Empty the queue and cancel its timer."""
        timer, self._timer = self._timer, None
        self.is_free = True
        if timer is not None and timer.active():
            timer.cancel()
        self._queue.clear()
        self._queued.clear()

    def begin(self) -> float:
        """Start a slice of work, and return the time.

        Work that is done without `ask`, because `is_free`, needs an `end` only if it has read the clock
        (`looked` is later than the returned time).
        """
        now = self._seconds()
        if now - self.looked > PAUSE:
            self._begun = now  # the reactor has polled its sockets
        elif now - self._begun >= TURN and self.is_free:
            self._schedule()
        self.looked = now
        self._end = now + SLICE
        return now

    def is_over(self) -> bool:
        """Return True if the current slice is used up."""
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
        """Run `worker` for a slice; return True if it has more to do."""
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
        # Each runs once at most, so that the reactor polls its sockets even if the clock stands still.
        again: list[SlicedWork] = []
        while self._queue and self.looked - begun < TURN:
            before, _, worker = heappop(self._queue)
            if worker not in self._queued:
                continue
            used = self._used_by(worker)
            if self._queue and used > before + SLICE and used > self._queue[0][0]:
                # Others of its address were served since it was queued.
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
        """Return the seconds that `worker` and its address used; 0 for less than a slice.

        Clients with few requests are therefore served in order of arrival, and not behind new ones.
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
