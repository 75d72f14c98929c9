"""Send commands to a client from a Twisted program, over any connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from chatproto.api.asking import WAIT, Fields, Form, Outcome, Result
from chatproto.api.connection import Connection
from chatproto.api.errors import Refused, too_late


class DeferredConnection(Connection):
    """A client whose commands return Deferreds."""

    def __init__(self, reactor: Any, known: bool = False, id: str = "") -> None:
        super().__init__(known, id)
        self._reactor = reactor

    def ask(
        self,
        form: Form,
        read: Callable[[Outcome], Result],
        wait: float | None = WAIT,
        progress: Callable[[Fields], object] | None = None,
    ) -> Deferred[Result]:
        """See `Asker.ask`; any command of docs/json.md is allowed. A timeout stops no command."""
        result: Deferred[Outcome] = Deferred()

        def over(outcome: Outcome, error: BaseException | None) -> None:
            if not result.called:
                result.callback(outcome) if error is None else result.errback(error)

        def forgotten(result: Outcome | Failure) -> Outcome | Failure:
            forget()
            return result

        try:
            forget = self.begin(form, over, progress)
        except Refused as error:
            return fail(error)
        return self.limited(result, wait).addBoth(forgotten).addCallback(read)

    def settled(self) -> Deferred[None]:
        return succeed(None)

    def waiter(self) -> tuple[Deferred[None], Callable[[], object]]:
        waiting: Deferred[None] = Deferred()
        return waiting, lambda: None if waiting.called else waiting.callback(None)

    def limited(self, result: Deferred[Result], wait: float | None) -> Deferred[Result]:
        """Make `result` fail after `wait` seconds."""

        def late(_: object, seconds: float) -> NoReturn:
            raise too_late(seconds)

        return result if wait is None else result.addTimeout(wait, self._reactor, late)
