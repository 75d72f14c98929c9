"""Send to a large room a few members at a time, in the same order for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Listener = TypeVar("Listener")


class RoomFeed(Generic[Listener]):
    """Lines that not all members of one room have been sent yet.

    `members` are those who are to get what is added from now on. Each has a place: how many of the lines it
    got. Those who have got least stand first, so that all lines that wait are one write for each.

    `send_all`: sends the same to many at once; no member may leave because of what it does to another.
    Without it each is sent by `send`.
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
        self._end = 0  # the number of the next line
        self._places: OrderedDict[Listener, int] = OrderedDict.fromkeys(members, 0)
        self._own: dict[Listener, dict[int, bytes]] = {}
        self._all: list[Listener] | None = None  # all members, or None: to be listed anew
        self.size = 0
        """Bytes of all lines that wait."""
        self._joined_from = -1
        self._joined = b""  # from that number on, all lines as one

    def __bool__(self) -> bool:
        """Return True if somebody has yet to be sent something."""
        return bool(self._places) and next(iter(self._places.values())) < self._end

    def add(self, line: bytes, own: dict[Listener, bytes] | None = None) -> None:
        """Have `line` sent to all members; to those in `own` what stands there instead."""
        number = self._end
        self._end = number + 1
        self._lines.append(line)
        self.size += len(line)
        self._joined_from = -1
        if own:
            for member, other in own.items():
                self._own.setdefault(member, {})[number] = other

    def join(self, member: Listener) -> None:
        """Send `member` what is added from now on."""
        self._places[member] = self._end
        self._places.move_to_end(member)
        self._own.pop(member, None)
        self._all = None

    def leave(self, member: Listener) -> None:
        """Send `member` nothing more; twice is once."""
        self._places.pop(member, None)
        self._own.pop(member, None)
        self._all = None

    def catch_up(self, member: Listener) -> None:
        """Send `member` at once all that waits for it."""
        place, end = self._places.get(member), self._end
        if place is None or place == end:
            return
        self._places[member] = end
        self._places.move_to_end(member)
        if data := self._since(place, member):
            self._send(member, data)

    def go_on(self, most: int = 1) -> bool:
        """Send at most `most` members what waits for them; return True if others wait."""
        places, own, send = self._places, self._own, self._send
        if self._send_all is not None and self._is_even(most):
            self._send_even(self._send_all)
            return False
        for _ in range(most):
            if not places:
                break
            member, place = places.popitem(last=False)
            places[member] = self._end
            if place == self._end:  # who stood first has all, so all have
                break
            if place == self._joined_from and member not in own:
                send(member, self._joined)
            elif data := self._since(place, member):
                send(member, data)
        return self._trim()

    def _is_even(self, most: int) -> bool:
        """Return True if the members are at most `most`, and the same lines wait for all of them."""
        places = self._places
        if not places or len(places) > most:
            return False
        return next(reversed(places.values())) == next(iter(places.values())) < self._end

    def _send_even(self, send_all: Callable[[list[Listener], bytes], None]) -> None:
        """Send all members the lines that wait, and count from there again: no place changes."""
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
        """Join the lines from number `place` on, as `member` is to have them."""
        waiting = place - self._end  # from the end
        own = self._own.pop(member, None)
        if own is not None:
            lines = enumerate(self._lines[waiting:], place)
            return b"".join([own.get(number, line) for number, line in lines])
        if self._joined_from != place:
            self._joined_from, self._joined = place, b"".join(self._lines[waiting:])
        return self._joined

    def _trim(self) -> bool:
        """Forget the lines that all members have; return True if some have not got all."""
        waiting = self._end - next(iter(self._places.values()), self._end)
        had = len(self._lines) - waiting
        if had:
            self.size -= sum([len(line) for line in self._lines[:had]])
            del self._lines[:had]
        return waiting > 0
