"""Tests of what the person asks for: in which order it is done, and what is told when it cannot be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.context import Context
from chatproto.client.events import Event, Failed
from chatproto.client.requests import WAITING, PendingRequest, Requests
from chatproto.client.settings import ClientSettings
from chatproto.directory.answer import ServerRefused
from chatproto.identity.pins import PinTrouble
from chatproto.net.clock import Wall
from chatproto.ui.commands import attempt
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import Reason
from tests.limits import DEFAULTS


class RequestsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[Event] = []
        self.done: list[str] = []
        self.settled: list[int] = []
        self.answers: dict[str, Deferred[None]] = {}
        self.context = Context(ClientSettings("alice"), DEFAULTS, Clock(), lambda: Wall(0.0))
        self.context.publish.listen(self.events.append)
        self.requests = Requests(self.context.publish, self.context.settled)
        self.client: Any = SimpleNamespace(requests=self.requests, context=self.context)
        self.context.settled.listen(lambda _: self.settled.append(len(self.requests)))

    def asks(self, name: str) -> None:
        async def work() -> None:
            self.answers[name] = Deferred()
            await self.answers[name]
            self.done.append(name)

        self.requests.ask(name, work)

    def test_number_of_pending_requests_is_limited(self) -> None:
        for number in range(WAITING + 10):
            self.asks(str(number))
        self.assertEqual(len(self.requests), WAITING)
        refused = [event for event in self.events if isinstance(event, Failed)]
        self.assertEqual([event.status for event in refused], [429] * 10)
        self.answers["0"].callback(None)
        self.asks("again")
        self.assertEqual((len(self.requests), len(self.events)), (WAITING, 10))

    def test_failure_has_the_status_of_its_code_by_default(self) -> None:
        for reason, status, told in (
            (Reason.NOT_FOUND, None, 404),
            (Reason.FILE_TROUBLE, None, None),
            (Reason.MALFORMED, 413, 413),
        ):
            asked = PendingRequest("msg", lambda _: None)
            asked.fail(reason, status, "no")
            self.assertEqual((asked.code, asked.status), (reason.code, told))

    def test_one_is_begun_when_the_one_before_is_answered(self) -> None:
        self.asks("info")
        self.asks("bridge")
        self.assertEqual((list(self.answers), len(self.requests)), (["info"], 2))
        self.answers["info"].callback(None)
        self.assertEqual((list(self.answers), self.done), (["info", "bridge"], ["info"]))
        self.answers["bridge"].callback(None)
        self.assertEqual((self.done, self.settled), (["info", "bridge"], [1, 0]))

    def test_failed_request_names_its_command_and_the_next_runs(self) -> None:
        self.asks("info")
        self.asks("bridge")
        self.answers["info"].errback(ServerRefused("nobody is there", 404))
        self.answers["bridge"].callback(None)
        self.assertEqual(self.events, [Failed.of(ServerRefused("nobody is there", 404), "info")])
        self.assertEqual((self.done, self.settled), (["bridge"], [1, 0]))

    def test_internal_error_is_reported_and_logged(self) -> None:
        self.asks("info")
        self.answers["info"].errback(ZeroDivisionError("oh"))
        [failed] = self.events
        assert isinstance(failed, Failed)
        self.assertIn("ZeroDivisionError", failed.text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_request_without_a_wait_runs_at_once(self) -> None:
        self.asks("info")
        attempt(self.client, "over", lambda: self.done.append("over"))
        self.assertEqual((self.done, self.settled), (["over"], [1]))

    def test_obstacle_is_reported_too(self) -> None:
        for error in (LocalError(409, "not now"), PinTrouble("not now")):

            def work(error: Exception = error) -> None:
                raise error

            attempt(self.client, "over", work)
        statuses = [one.status for one in self.events if isinstance(one, Failed)]
        self.assertEqual((statuses, self.settled), ([409, None], [0, 0]))
        self.assertEqual({one.text for one in self.events if isinstance(one, Failed)}, {"not now"})

    def test_internal_request_is_queued_and_not_counted(self) -> None:
        async def work() -> str:
            return "10.0.0.1"

        self.asks("info")
        found = self.requests.then(work)
        self.assertEqual(len(self.requests), 1)
        self.assertNoResult(found)
        self.answers["info"].callback(None)
        self.assertEqual(self.successResultOf(found), "10.0.0.1")
        self.assertEqual(self.settled, [0])

    def test_an_error_is_a_sentence(self) -> None:
        self.assertEqual(LocalError(404, "there is nobody").sentence, "there is nobody")
        self.assertEqual(LocalError(404).sentence, "not found")
        later = ServerRefused("too many requests in a short time", 429, 5)
        self.assertEqual(later.sentence, "too many requests in a short time: try again in 5 s")

    def test_error_has_code_and_status(self) -> None:
        told = Failed.of(ServerRefused("too many requests in a short time", 429, 5), "info")
        self.assertEqual((told.code, told.status, told.retry_after), (Reason.RATE_LIMITED, 429, 5))
        unknown = Failed.of(LocalError(404, "there is nobody", Reason.UNKNOWN_NAME), "who")
        self.assertEqual((unknown.code, unknown.status), (Reason.UNKNOWN_NAME, 404))
