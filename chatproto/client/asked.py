"""Follow a request until everything that came of it is over.

A front end that wants to know the end of its request makes an `Asked` and carries out the command in
`telling(asked.part())`. Coroutines and jobs that the command starts go on in the same context. A thing
that goes on longer (a message, a call, a file) calls `take_part` when it begins, tells its events in
`telling(part)` and calls `part.end` at its end. The request is over when all its parts have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chatproto.wire.reasons import Reason, reason_of

OK = "ok"
"""Code of a request that was carried out, where there is no better one."""


class Asked:
    """Request of a front end: `command`, and once it `is_over` its outcome.

    `code`: of the first failure, else of the part that ended last, such as `delivered`. `status`,
    `text`: of the failure. `over` is called once, when the last part has ended. `owner`: who asked, if
    it was not the screen: the connection of a script or of an IRC client.
    """

    def __init__(
        self, command: str, over: Callable[[Asked], object], owner: object | None = None
    ) -> None:
        self.command = command
        self.owner = owner
        self.code = OK
        self.status: int | None = None
        self.text: str | None = None
        self.is_over = False
        self._over = over
        self._parts = 0
        self._failed = False

    def part(self) -> AskedPart:
        """Add a thing that must end before the request is over."""
        self._parts += 1
        return AskedPart(self)

    def fail(self, reason: Reason, status: int | None, text: str) -> None:
        """Note a failure; the first one counts, and ends nothing."""
        if not self._failed and not self.is_over:
            self._failed = True
            self.code, self.status, self.text = reason.code, status, text

    def part_ended(self, code: str) -> None:
        """Count a part that has ended, with `code` or an empty string."""
        self._parts -= 1
        if code and not self._failed:
            self.code = code
        if not self._parts:
            self.end()

    def end(self) -> None:
        """Be over, also if parts have not ended."""
        if not self.is_over:
            self.is_over = True
            self._over(self)


class AskedPart:
    """One thing that came of a request; it ends once, however often that is said."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._ended = False

    def end(self, code: str = "") -> None:
        """End well."""
        if not self._ended:
            self._ended = True
            self.asked.part_ended(code)

    def fail(self, why: str, status: int | None = None) -> None:
        """End because of `why`, a sentence that may have a code."""
        if not self._ended:
            self.asked.fail(reason_of(why), status, str(why))
            self.end()


_CURRENT: ContextVar[AskedPart | None] = ContextVar("part", default=None)


@contextmanager
def telling(part: AskedPart | None) -> Iterator[None]:
    """Have what is told and begun in the body come of `part`; None: of nobody's request."""
    before = _CURRENT.set(part)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def current() -> AskedPart | None:
    """Return the part of which an event that is told now comes."""
    return _CURRENT.get()


def take_part() -> AskedPart | None:
    """Add a part to the request that is carried out now; None if there is none or it is over."""
    part = _CURRENT.get()
    return None if part is None or part.asked.is_over else part.asked.part()


def note_failure(reason: Reason, status: int | None, text: str) -> None:
    """Note that the request that is carried out now has failed."""
    part = _CURRENT.get()
    if part is not None:
        part.asked.fail(reason, status, text)
