"""A bound on the time that one question takes whose answer comes in pages."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.directory.client import ServerUnreachable
from chatproto.wire.limits import ClientLimits
from chatproto.wire.reasons import LIST_ENDLESS


class Paging:
    """The pages of one answer: all of them within `pages_wait`, however many a server makes of it."""

    def __init__(self, seconds: Callable[[], float], limits: ClientLimits) -> None:
        self._seconds = seconds
        self._wait = limits.pages_wait
        self._end = seconds() + self._wait

    @property
    def over(self) -> bool:
        """Return True if no other page is needed."""
        return self._seconds() >= self._end

    def check(self) -> None:
        """Check that another page may be asked for. Raises ServerUnreachable after `pages-wait`."""
        if self.over:
            raise ServerUnreachable(LIST_ENDLESS(seconds=self._wait))
