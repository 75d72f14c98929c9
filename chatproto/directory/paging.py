"""Request all pages of one answer, within a time limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from chatproto.directory.client import ServerUnreachable
from chatproto.wire.reasons import LIST_ENDLESS

PAGES_WAIT = 60.0
"""Seconds for all pages of one answer."""

Row = TypeVar("Row")


class Paging:
    """Pages of one answer: all of them within `PAGES_WAIT`, however many the server sends."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._end = seconds() + PAGES_WAIT

    @property
    def is_complete(self) -> bool:
        """Return True if no other page is needed."""
        return self._seconds() >= self._end

    async def all(
        self,
        ask: Callable[[str], Awaitable[Any]],
        rows_of: Callable[[Any], Iterable[Row]],
        most: int,
    ) -> tuple[Row, ...]:
        """Return the rows of all pages, at most `most`.

        Args: ask: requests the page after a name, "" for the first; its `next` is the last row if more
        follow.
        Raises ServerUnreachable after `PAGES_WAIT`.
        """
        found: list[Row] = []
        after = ""
        while True:
            page = await ask(after)
            found += rows_of(page)
            if not page.next or page.next <= after or len(found) >= most:
                return tuple(found[:most])
            if self.is_complete:
                raise ServerUnreachable(LIST_ENDLESS(seconds=PAGES_WAIT))
            after = page.next
