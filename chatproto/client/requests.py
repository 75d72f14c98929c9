"""Run the user's requests: one after another if a server must answer, at once otherwise."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from chatproto.client.asked import note_failure, take_part
from chatproto.client.context import Context
from chatproto.client.events import Failed
from chatproto.stdio.unexpected import unexpected
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import REQUESTS_FULL, CodedError, Reason

WAITING = 5000
"""Requests that wait for those before; a script could fill the memory otherwise."""
Answer = TypeVar("Answer")
Work = Callable[[], Coroutine[Deferred[Any], Any, None]]


class Requests:
    """Carry out what the person asks for; what cannot be done is one `Failed` with one sentence.

    `context.settled` is called after each request.
    """

    def __init__(self, context: Context) -> None:
        self._tell = context.publish
        self._settled = context.settled
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

    def attempt(self, command: str, work: Callable[[], object]) -> None:
        """Do `work` for `command` now."""
        try:
            work()
        except CodedError as error:
            self.fail(command, error)
        except Exception:
            self._mistaken(command)
        self._settled(None)

    def then(self, work: Callable[[], Coroutine[Deferred[Any], Any, Answer]]) -> Deferred[Answer]:
        """Run `work` after the earlier requests, without counting it as the user's."""
        return self._one.run(lambda: Deferred.fromCoroutine(work()))

    def fail(self, command: str, error: CodedError, about: str | None = None) -> None:
        """Tell that `command` could not be done; `about`: whom a call was to go to."""
        note_failure(error.reason, error.status, error.sentence)
        self._tell(Failed.of(error, command, about))

    def _mistaken(self, command: str) -> None:
        """The exception that is being handled is a mistake of ours."""
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
            self._mistaken(command)
