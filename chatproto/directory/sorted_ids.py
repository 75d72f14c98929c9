"""Store ids in order, for lists in pages: a change costs the same few microseconds at any size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from sortedcontainers import SortedList

from chatproto.directory.registrations import Registration


class SortedIds:
    """A set of ids, each at most once, in the order of their characters."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = SortedList(ids)
        self.add: Callable[[str], None] = self._ids.add
        """Add an id, which must not be in the set."""
        self.remove: Callable[[str], None] = self._ids.remove
        """Remove an id. Raises ValueError if it is missing."""

    def __len__(self) -> int:
        return len(self._ids)

    def page(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """Iterate over the ids that begin with `prefix` and follow `after`, in order.

        Only the consumed part is examined. The ids must not change meanwhile.
        """
        follows = after >= prefix
        for client_id in self._ids.irange(after if follows else prefix, None, (not follows, True)):
            if not client_id.startswith(prefix):
                break  # they are adjacent
            yield client_id


class Listing:
    """Ids of connected clients that want to be listed."""

    def __init__(self) -> None:
        self._sorted = SortedIds()
        self.ids = self._sorted.page
        self._callable: OrderedDict[str, None] = OrderedDict()  # connected, the newest last

    def add(self, presence: Registration) -> None:
        """Add a new registration; its id must not be listed."""
        if presence.listed and presence.connected:
            self._sorted.add(presence.client_id)
            self._callable[presence.client_id] = None

    def remove(self, presence: Registration) -> None:
        """Remove a registration that has ended. A second call changes nothing."""
        if presence.client_id in self._callable:
            del self._callable[presence.client_id]
            self._sorted.remove(presence.client_id)

    def newest(self) -> Iterator[str]:
        """Iterate over the ids of connected clients, newest first."""
        return reversed(self._callable)
