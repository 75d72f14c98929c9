"""Run the user's requests, and follow each until everything that came of it is over.

A front end that wants to know the end of its request makes an `Asked` and carries out the command in
`telling(asked.part())`. Coroutines and jobs that the command starts go on in the same context. A thing
that goes on longer (a message, a call, a file) calls `take_part` when it begins, tells its events in
`telling(part)` and ends it with the last one. The request is over when all its parts have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from chatproto.client.events import Event, Failed
from chatproto.stdio.unexpected import unexpected
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import REQUESTS_FULL, CodedError, Reason, reason_of

WAITING = 5000
"""Requests that wait for those before; a script could fill the memory otherwise."""
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
            self.code, self.text = reason.code, text
            self.status = reason.status if status is None else status

    def part_ended(self, code: str) -> None:
        """Count a part that has ended, with `code` or an empty string."""
        self._parts -= 1
        if code and not self._failed and not self.is_over:
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
def telling(part: AskedPart | None, ends: str | None = None, fails: str = "") -> Iterator[None]:
    """Have what is told and begun in the body come of `part`; None: of nobody's request.

    Args: ends: code with which the part ends after it. fails: why it ends, if it has failed.
    """
    before = _CURRENT.set(part)
    try:
        yield
    finally:
        _CURRENT.reset(before)
    if part is not None and fails:
        part.fail(fails)
    elif part is not None and ends is not None:
        part.end(ends)


def current() -> AskedPart | None:
    """Return the part of which an event that is told now comes."""
    return _CURRENT.get()


def take_part() -> AskedPart | None:
    """Add a part to the request that is carried out now; None if there is none.

    The part of a request that is over ends nothing any more, but its events still come of the request.
    """
    part = _CURRENT.get()
    return None if part is None else part.asked.part()


def note_failure(reason: Reason, status: int | None, text: str) -> None:
    """Note that the request that is carried out now has failed."""
    part = _CURRENT.get()
    if part is not None:
        part.asked.fail(reason, status, text)


Answer = TypeVar("Answer")
Work = Callable[[], Coroutine[Deferred[Any], Any, None]]


class Requests:
    """Carry out requests one after another if a server must answer, at once otherwise.

    A request that cannot be done is one `Failed` with one sentence.

    Args: publish: shows an event. settled: called after each request.
    """

    def __init__(self, publish: Callable[[Event], None], settled: Callable[[None], None]) -> None:
        self._tell = publish
        self._settled = settled
        self._one = DeferredLock()
        self._pending = 0

    def __len__(self) -> int:
        """Return the number of requests not done."""
        return self._pending

    def ask(self, command: str, work: Work) -> bool:
        """Do `work` for `command` when those before are done; False, and told, if too many wait."""
        if self._pending >= WAITING:
            self.fail(command, LocalError(429, REQUESTS_FULL(count=WAITING)))
            return False
        self._pending += 1
        part, context = take_part(), copy_context()

        def answered(_: object) -> None:
            self._pending -= 1
            if part is not None:
                part.end()
            self._settled(None)

        done = self._one.run(
            lambda: context.run(Deferred.fromCoroutine, self._guard(command, work))
        )
        done.addBoth(answered)
        return True

    def then(self, work: Callable[[], Coroutine[Deferred[Any], Any, Answer]]) -> Deferred[Answer]:
        """Run `work` after the earlier requests, without counting it as the user's."""
        return self._one.run(lambda: Deferred.fromCoroutine(work()))

    def fail(self, command: str, error: CodedError, about: str | None = None) -> None:
        """Tell that `command` could not be done; `about`: whom a call was to go to."""
        note_failure(error.reason, error.status, error.sentence)
        self._tell(Failed.of(error, command, about))

    def mistaken(self, command: str) -> None:
        """Report that the exception that is being handled, a mistake of ours, ended `command`."""
        text = unexpected(command)
        note_failure(Reason.INTERNAL, 500, text)
        self._tell(Failed(text, status=500, command=command, code=Reason.INTERNAL))

    async def _guard(self, command: str, work: Work) -> None:
        """Publish a failure of `work` as one sentence; our own mistakes go to the log as well."""
        try:
            await work()
        except CodedError as error:
            self.fail(command, error)
        except Exception:
            self.mistaken(command)
