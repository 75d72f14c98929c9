"""Run the user's requests, and follow each one until all of its parts have ended.

A front end that needs the end of its request makes an `PendingRequest` and runs the command in
`telling(asked.part())`. Coroutines and jobs that the command starts inherit that context. A longer
part (a message, a call, a file) calls `take_part` when it begins, publishes its events in
`telling(part)` and ends it with the last one. The request ends when all its parts have ended.
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
"""Most requests that wait for earlier ones; a script could exhaust the memory otherwise."""
OK = "ok"
"""Code of a successful request without a better one."""


class PendingRequest:
    """Request of a front end: `command`, and its outcome once it `is_over`.

    `code`: of the first failure, else of the part that ended last, such as `delivered`. `status`,
    `text`: of the failure. `over`: called once, when the last part has ended. `owner`: origin other than
    the screen: the connection of a script or of an IRC client.
    """

    def __init__(
        self, command: str, over: Callable[[PendingRequest], object], owner: object | None = None
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
        """Add a part that must end before the request ends."""
        self._parts += 1
        return AskedPart(self)

    def fail(self, reason: Reason, status: int | None, text: str) -> None:
        """Store a failure; only the first one counts, and it does not end the request."""
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
        """End the request, even if parts have not ended."""
        if not self.is_over:
            self.is_over = True
            self._over(self)


class AskedPart:
    """One part of a request; it ends once, and later calls have no effect."""

    def __init__(self, asked: PendingRequest) -> None:
        self.asked = asked
        self._ended = False

    def end(self, code: str = "") -> None:
        """End with success."""
        if not self._ended:
            self._ended = True
            self.asked.part_ended(code)

    def fail(self, why: str, status: int | None = None) -> None:
        """End with the failure `why`, a sentence that may have a code."""
        if not self._ended:
            self.asked.fail(reason_of(why), status, str(why))
            self.end()


_CURRENT: ContextVar[AskedPart | None] = ContextVar("part", default=None)


@contextmanager
def telling(part: AskedPart | None, ends: str | None = None, fails: str = "") -> Iterator[None]:
    """Make `part` the current part of the body; None: the body belongs to no request.

    Args: ends: code with which the part ends after the body. fails: reason if it has failed.
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
    """Return the part to which an event published now belongs."""
    return _CURRENT.get()


def take_part() -> AskedPart | None:
    """Add a part to the current request; None if there is none.

    A part of a request that has ended changes nothing, but its events still belong to the request.
    """
    part = _CURRENT.get()
    return None if part is None else part.asked.part()


def note_failure(reason: Reason, status: int | None, text: str) -> None:
    """Mark the current request as failed."""
    part = _CURRENT.get()
    if part is not None:
        part.asked.fail(reason, status, text)


Answer = TypeVar("Answer")
Work = Callable[[], Coroutine[Deferred[Any], Any, None]]


class Requests:
    """Carry out requests one after another if a server must answer, at once otherwise.

    A request that fails is one `Failed` with one sentence.

    Args: publish: shows an event. settled: called after each request.
    """

    def __init__(self, publish: Callable[[Event], None], settled: Callable[[None], None]) -> None:
        self._tell = publish
        self._settled = settled
        self._one = DeferredLock()
        self._pending = 0

    def __len__(self) -> int:
        """Return the number of unfinished requests."""
        return self._pending

    def ask(self, command: str, work: Work) -> bool:
        """Run `work` for `command` after earlier requests; if too many wait, report it and return False."""
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
        """Report that `command` has failed; `about`: the peer that was to be called."""
        note_failure(error.reason, error.status, error.sentence)
        self._tell(Failed.of(error, command, about))

    def mistaken(self, command: str) -> None:
        """Report that the exception being handled, a bug of ours, ended `command`."""
        text = unexpected(command)
        note_failure(Reason.INTERNAL, 500, text)
        self._tell(Failed(text, status=500, command=command, code=Reason.INTERNAL))

    async def _guard(self, command: str, work: Work) -> None:
        """Publish a failure of `work` as one sentence; bugs of ours are logged as well."""
        try:
            await work()
        except CodedError as error:
            self.fail(command, error)
        except Exception:
            self.mistaken(command)
