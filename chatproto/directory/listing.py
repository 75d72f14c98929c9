"""Keep the listed clients in two orders: by id, and by time of registration."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from chatproto.directory.registrations import Registration
from chatproto.directory.sorted_ids import SortedIds


class Listing:
    """Ids of connected clients that want to be listed."""

    def __init__(self) -> None:
        self._sorted = SortedIds()
        self.ids = self._sorted.page
        self._callable: OrderedDict[str, None] = OrderedDict()  # connected, the newest last

    def add(self, presence: Registration) -> None:
        """A registration that has just been made; its id is in no other."""
        if presence.listed and presence.connected:
            self._sorted.add(presence.client_id)
            self._callable[presence.client_id] = None

    def remove(self, presence: Registration) -> None:
        """The registration has ended. Twice is once."""
        if presence.client_id in self._callable:
            del self._callable[presence.client_id]
            self._sorted.remove(presence.client_id)

    def newest(self) -> Iterator[str]:
        """Iterate over the ids of connected clients, newest first."""
        return reversed(self._callable)
