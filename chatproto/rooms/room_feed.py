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
    """

    def __init__(
        self, members: Iterable[Listener], send: Callable[[Listener, bytes], None]
    ) -> None:
        self._send = send
        self._lines: list[bytes] = []
        self._begin = 0  # the number of the first of them
        self._places: OrderedDict[Listener, int] = OrderedDict.fromkeys(members, 0)
        self._own: dict[Listener, dict[int, bytes]] = {}
        self.size = 0
        """Bytes of all lines that wait."""
        self._joined: tuple[int, bytes] = (-1, b"")  # from that number on, all lines as one

    @property
    def _end(self) -> int:
        return self._begin + len(self._lines)

    def __bool__(self) -> bool:
        """Return True if somebody has yet to be sent something."""
        return bool(self._places) and next(iter(self._places.values())) < self._end

    def add(self, line: bytes, own: dict[Listener, bytes] | None = None) -> None:
        """Have `line` sent to all members; to those in `own` what stands there instead."""
        number = self._end
        self._lines.append(line)
        self.size += len(line)
        self._joined = (-1, b"")
        for guest, other in (own or {}).items():
            self._own.setdefault(guest, {})[number] = other

    def join(self, guest: Listener) -> None:
        """Send `guest` what is added from now on."""
        self._places[guest] = self._end
        self._places.move_to_end(guest)
        self._own.pop(guest, None)

    def leave(self, guest: Listener) -> None:
        """Send `guest` nothing more; twice is once."""
        self._places.pop(guest, None)
        self._own.pop(guest, None)

    def catch_up(self, guest: Listener) -> None:
        """Send `guest` at once all that waits for it."""
        place, end = self._places.get(guest), self._end
        if place is None or place == end:
            return
        self._places[guest] = end
        self._places.move_to_end(guest)
        own = self._own.pop(guest, None)
        if own is None:
            if self._joined[0] != place:
                self._joined = place, b"".join(self._lines[place - self._begin :])
            data = self._joined[1]
        else:
            lines = enumerate(self._lines[place - self._begin :], place)
            data = b"".join(own.get(number, line) for number, line in lines)
        if data:
            self._send(guest, data)

    def go_on(self) -> bool:
        """Send one member what waits for it; return True if others wait."""
        guest, place = next(iter(self._places.items()), (None, 0))
        if guest is None or place == self._end:
            return False
        self.catch_up(guest)
        end = self._end
        first = next(iter(self._places.values()), end)
        if first > self._begin:  # all have these lines: at the last member, not at each
            self.size -= sum(len(line) for line in self._lines[: first - self._begin])
            del self._lines[: first - self._begin]
            self._begin = first
        return first < end
