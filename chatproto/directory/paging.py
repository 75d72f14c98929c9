"""A bound on the time that one question takes whose answer comes in pages."""

from __future__ import annotations

from collections.abc import Callable

from chatproto.directory.client import ServerUnreachable
from chatproto.wire.reasons import LIST_ENDLESS

PAGES_WAIT = 60.0
"""Seconds for all pages of one answer."""


class Paging:
    """The pages of one answer: all of them within `PAGES_WAIT`, however many a server makes of it."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._end = seconds() + PAGES_WAIT

    @property
    def over(self) -> bool:
        """Return True if no other page is needed."""
        return self._seconds() >= self._end

    def check(self) -> None:
        """Check that another page may be asked for. Raises ServerUnreachable after `PAGES_WAIT`."""
        if self.over:
            raise ServerUnreachable(LIST_ENDLESS(seconds=PAGES_WAIT))
