"""Send lines to a large room, a few members at a time, in the same order for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Listener = TypeVar("Listener")


class RoomFeed(Generic[Listener]):
    """Queue of lines that have not been sent to all members of one room yet.

    `members` receive the lines that are added from now on. Each has a place: the number of lines sent to it.
    Members with the lowest place come first, so that each gets all its queued lines in one write.

    `send_all`: sends the same bytes to many members; it must not remove a member because of another one.
    Without it `send` is called for each member.
    """

    def __init__(
        self,
        members: Iterable[Listener],
        send: Callable[[Listener, bytes], None],
        send_all: Callable[[list[Listener], bytes], None] | None = None,
    ) -> None:
        self._send = send
        self._send_all = send_all
        self._lines: list[bytes] = []
        self._end = 0  # number of the next line
        self._places: OrderedDict[Listener, int] = OrderedDict.fromkeys(members, 0)
        self._own: dict[Listener, dict[int, bytes]] = {}
        self._all: list[Listener] | None = None  # all members; None: list them again
        self.size = 0
        """Bytes of all queued lines."""
        self._joined_from = -1
        self._joined = b""  # all lines from that number on, joined

    def __bool__(self) -> bool:
        """Return True if lines are queued for a member."""
        return bool(self._places) and next(iter(self._places.values())) < self._end

    def add(self, line: bytes, own: dict[Listener, bytes] | None = None) -> None:
        """Queue `line` for all members; a member in `own` receives its value there instead."""
        number = self._end
        self._end = number + 1
        self._lines.append(line)
        self.size += len(line)
        self._joined_from = -1
        if own:
            for member, other in own.items():
                self._own.setdefault(member, {})[number] = other

    def join(self, member: Listener) -> None:
        """Add a member, which receives the lines that are added from now on."""
        self._places[member] = self._end
        self._places.move_to_end(member)
        self._own.pop(member, None)
        self._all = None

    def leave(self, member: Listener) -> None:
        """Remove a member with its queued lines, if it is there."""
        self._places.pop(member, None)
        self._own.pop(member, None)
        self._all = None

    def catch_up(self, member: Listener) -> None:
        """Send `member` all its queued lines now."""
        place, end = self._places.get(member), self._end
        if place is None or place == end:
            return
        self._places[member] = end
        self._places.move_to_end(member)
        if data := self._since(place, member):
            self._send(member, data)

    def send_more(self, most: int = 1) -> bool:
        """Send at most `most` members their queued lines; return True if lines are left for others."""
        places, own, send = self._places, self._own, self._send
        if self._send_all is not None and self._is_even(most):
            self._send_even(self._send_all)
            return False
        for _ in range(most):
            if not places:
                break
            member, place = places.popitem(last=False)
            places[member] = self._end
            if place == self._end:  # the first one is up to date, so all are
                break
            if place == self._joined_from and member not in own:
                send(member, self._joined)
            elif data := self._since(place, member):
                send(member, data)
        return self._trim()

    def _is_even(self, most: int) -> bool:
        """Return True if there are at most `most` members, and the same lines are queued for all of them."""
        places = self._places
        if not places or len(places) > most:
            return False
        return next(reversed(places.values())) == next(iter(places.values())) < self._end

    def _send_even(self, send_all: Callable[[list[Listener], bytes], None]) -> None:
        """Send all members the queued lines, and number lines from their place again: no place changes."""
        places, own = self._places, self._own
        place = next(iter(places.values()))
        lines = self._lines[place - self._end :]
        self._lines, self._own, self._end, self.size, self._joined_from = [], {}, place, 0, -1
        if self._all is None:
            self._all = list(places)
        others = self._all.copy()
        for member in own:
            if member in places:
                others.remove(member)
        send_all(others, b"".join(lines))
        for member, instead in own.items():
            mine = [instead.get(number, line) for number, line in enumerate(lines, place)]
            if member in places and (data := b"".join(mine)):
                self._send(member, data)

    def _since(self, place: int, member: Listener) -> bytes:
        """Return the lines from number `place` on, joined, with those that only `member` receives."""
        waiting = place - self._end  # negative: an index from the end
        own = self._own.pop(member, None)
        if own is not None:
            lines = enumerate(self._lines[waiting:], place)
            return b"".join([own.get(number, line) for number, line in lines])
        if self._joined_from != place:
            self._joined_from, self._joined = place, b"".join(self._lines[waiting:])
        return self._joined

    def _trim(self) -> bool:
        """Remove the lines that were sent to all members; return True if others are queued."""
        waiting = self._end - next(iter(self._places.values()), self._end)
        had = len(self._lines) - waiting
        if had:
            self.size -= sum([len(line) for line in self._lines[:had]])
            del self._lines[:had]
        return waiting > 0
