"""Test the client inside a program of Twisted, with a network and a server in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.api import events
from chatproto.api.asking import WAIT, nothing
from chatproto.api.connection import LONGEST, MOST_WAITING
from chatproto.api.errors import Refused
from chatproto.api.twisted import AttachedClient, Client, attach
from chatproto.client.events import Notice
from chatproto.identity.keys import new_identity
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.client.tls_net import FarServer, TlsNet

SERVER = new_identity()


STEPS = [
    *("server goes", "server is silent", "closed", "quit", "time"),
    '{"do": "msg", "to": "bob", "text": "hi"}',
    '{"do": "chat", "to": "zoe"}',
    '{"do": "chat", "to": "10.0.0.5:5000"}',
    '{"do": "info"}',
    '{"do": "join", "room": "#tea"}',
    '{"do": "register"}',
    '{"do": "nonsense"}',
]


class Reactor(TlsNet):
    """A network in memory, with what a program of Twisted has besides."""

    def __init__(self) -> None:
        super().__init__()
        self.at_end: dict[object, Any] = {}
        self.taken = False

    def seconds(self) -> float:
        now: float = super().seconds()
        return now

    seconds.is_monotonic = True  # type: ignore[attr-defined]  # its time never jumps

    def installNameResolver(self, resolver: Any) -> Any:
        """Keep the one that knows literal addresses only."""
        return self.nameResolver

    def getThreadPool(self) -> Any:
        return self

    def callInThread(self, job: Any) -> None:
        """Do nothing with the disk."""

    def adoptStreamPort(self, *port: Any) -> Any:
        if self.taken:
            raise CannotListenError("0.0.0.0", 5000, OSError("in use"))
        return super().adoptStreamPort(*port)

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Any, *_: Any, **__: Any
    ) -> Any:
        trigger = object()
        self.at_end[trigger] = callable
        return trigger

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        del self.at_end[trigger]


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name) / "home"
        self.reactor = Reactor()

    def client(self, **options: Any) -> Client:
        values: dict[str, Any] = {
            "id": "echo",
            "server": "none",
            "home": self.home,
            "downloads": self.home,
        }
        return Client(self.reactor, **(values | options))

    def started(self, **options: Any) -> Client:
        me = self.client(**options)
        begun = me.start()
        self.reactor.settle()
        self.successResultOf(begun)
        self.addCleanup(me.close)
        return me

    def refusal(self, asked: Any) -> Refused:
        self.reactor.settle()
        failure = self.failureResultOf(asked, Refused)
        assert isinstance(failure.value, Refused)
        return failure.value

    def next_of(self, loop: AsyncGenerator[events.Event, None]) -> events.Event | None:
        """Return the next event, which is there; None at the end."""

        async def step() -> events.Event | None:
            return await anext(loop, None)

        return self.successResultOf(Deferred.fromCoroutine(step()))

    def closed(self, me: Client) -> None:
        over = me.close()
        self.reactor.settle()
        self.successResultOf(over)


class StartTests(Case):
    def test_start_without_server_ends_when_the_port_is_open(self) -> None:
        me = self.started()
        first: Any = self.next_of(me.events())
        self.assertEqual((first.id, first.port, me.id), ("echo", first.fields["port"], "echo"))
        self.assertIsInstance(first, events.Running)

    def test_start_ends_when_the_server_has_registered_the_client(self) -> None:
        begun = (me := self.client(server="10.0.0.9:5555")).start()
        self.addCleanup(me.close)
        self.reactor.settle()
        self.assertNoResult(begun)
        FarServer(self.reactor, self.reactor.accept(), SERVER)
        self.reactor.settle()
        self.assertIsNone(self.successResultOf(begun))

    def test_unreachable_server_is_reported_and_the_client_runs(self) -> None:
        begun = (me := self.client(server="10.0.0.9:5555")).start()
        self.addCleanup(me.close)
        self.reactor.settle()
        self.reactor.refuse()
        self.reactor.settle()
        self.assertIsNone(self.successResultOf(begun))
        asked = me.join("#tea")
        self.reactor.wait(WAIT + 1)
        self.assertIn(self.refusal(asked).code, ("server-unreachable", "timeout"))

    def test_a_client_that_the_server_refuses_does_not_start(self) -> None:
        class Refusing(FarServer):
            def hear(self, message: Any) -> None:
                if isinstance(message, bcp2_server.Register):
                    self.tell(Error(409, message.cseq))

        begun = self.client(server="10.0.0.9:5555").start()
        self.reactor.settle()
        Refusing(self.reactor, self.reactor.accept(), SERVER)
        error = self.refusal(begun)
        self.assertEqual((error.code, error.status), ("id-taken", 409))
        self.started()  # the home is free

    def test_a_start_that_is_not_over_in_time_is_given_up(self) -> None:
        begun = self.client(server="10.0.0.9:5555").start(wait=2)
        self.reactor.settle()
        self.reactor.wait(2)
        self.assertEqual(self.refusal(begun).code, "timeout")
        self.started()

    def test_a_home_in_use_is_refused_until_it_is_free(self) -> None:
        me = self.started()
        self.assertEqual(self.refusal(self.client().start()).code, "busy")
        self.closed(me)
        self.started()

    def test_a_port_in_use_is_refused_and_the_home_is_free(self) -> None:
        self.reactor.taken = True
        self.assertEqual(self.refusal(self.client(port=5000).start()).code, "home-trouble")
        self.reactor.taken = False
        self.started()

    def test_a_client_starts_once(self) -> None:
        me = self.started()
        self.assertEqual(self.refusal(me.start()).code, "stopping")
        self.assertEqual(self.refusal(self.client().join("#tea")).code, "stopping")

    def test_options_are_those_of_the_program_but_not_about_its_terminal(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"id": "-"},
            {"server": "nowhere"},
            {"answer": "maybe"},
            {"colour": "red"},
            {"ui": "full"},
            {"config": "none"},
            {"help": True},
            {"user": "echo"},
        ]
        for options in wrong:
            with self.assertRaises(Refused, msg=str(options)) as found:
                self.client(**options)
            self.assertEqual(found.exception.code, "malformed")
        file = self.home.parent / "password"
        file.write_text("")
        begun = self.client(user="echo", password_file=file).start()
        self.assertEqual(self.refusal(begun).code, "malformed")
        self.started()
        self.client(
            accept="known", announce=["10.0.0.1:5001", "10.0.0.2:5002"], open=True, beacon=False
        )


class AskTests(Case):
    def test_a_command_is_carried_out(self) -> None:
        me = self.started()
        asked: Any = me.who()
        self.reactor.settle()
        self.assertEqual(self.successResultOf(asked)["conversations"], [])

    def test_each_is_a_deferred_that_fails_with_the_code(self) -> None:
        me = self.started()
        for asked, code in (
            (me.send("bob", "hi"), "not-found"),
            (me.send("bob", ""), "malformed"),
            (me.join("#tea"), "not-allowed"),
            (me.accept("bob"), "not-found"),
        ):
            self.assertIsInstance(asked, Deferred)
            self.assertEqual(self.refusal(asked).code, code)

    def test_results_arrive_after_the_call_and_callbacks_may_call_again(self) -> None:
        me = self.started()
        ends: list[str] = []
        me.ask({"do": "id"}, lambda outcome: ends.append(outcome.code)).addCallback(
            lambda _: me.ask({"do": "id"}, lambda outcome: ends.append(outcome.code))
        )
        self.assertEqual(ends, [])
        self.reactor.settle()
        self.assertEqual(ends, ["ok", "ok"])

    def test_a_call_without_an_end_is_given_up(self) -> None:
        me = self.started()
        asked = me.ask({"do": "chat", "to": "10.0.0.5:5000"}, nothing, wait=3)
        self.reactor.wait(2.9)
        self.assertNoResult(asked)
        self.reactor.wait(0.2)
        self.assertEqual(self.refusal(asked).code, "timeout")

    def test_request_can_be_cancelled(self) -> None:
        me = self.started()
        asked = me.ask({"do": "chat", "to": "10.0.0.5:5000"}, nothing)
        self.reactor.settle()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.closed(me)

    def test_an_object_that_is_no_command_is_a_mistake(self) -> None:
        me = self.started()
        with self.assertRaises(ValueError):
            me.ask({"to": "bob"}, nothing)

    def test_commands_are_queued_while_input_is_held(self) -> None:
        me: Any = self.started()
        context = me._running._client.context
        context.hold_input(True)
        asked = [me.ask({"do": "id"}, nothing) for _ in range(3)]
        self.reactor.settle()
        for one in asked:
            self.assertNoResult(one)
        context.hold_input(False)
        self.reactor.settle()
        for one in asked:
            self.successResultOf(one)


class EndTests(Case):
    def test_requests_end_when_the_client_is_closed(self) -> None:
        me = self.started()
        read: list[Any] = []

        async def listen() -> None:
            async for event in me.events():
                read.append(event)

        reading = Deferred.fromCoroutine(listen())
        asked = me.ask({"do": "chat", "to": "10.0.0.5:5000"}, nothing)
        self.reactor.settle()
        self.closed(me)
        self.assertEqual(self.refusal(asked).code, "stopping")
        self.successResultOf(reading)
        self.assertTrue(read)
        self.assertEqual(self.refusal(me.who()).code, "stopping")
        self.assertEqual(self.reactor.at_end, {})
        self.closed(me)

    def test_all_ends_when_the_client_ends_by_itself(self) -> None:
        me = self.started()
        asked = me.ask({"do": "chat", "to": "10.0.0.5:5000"}, nothing)
        loop = me.events()
        ended = me.ask({"do": "quit"}, nothing)  # leaves the call
        self.reactor.settle()
        again = me.ask({"do": "quit"}, nothing)
        self.reactor.wait(1)
        for one in (asked, ended, again):
            one.addErrback(lambda failure: failure.trap(Refused))
            self.successResultOf(one)
        self.assertEqual(self.refusal(me.who()).code, "stopping")
        last = None
        while (event := self.next_of(loop)) is not None:
            last = event
        self.assertEqual(last, events.Exited(0))
        self.closed(me)
        self.started()

    def test_the_reactor_stops_when_the_client_has_ended(self) -> None:
        self.started()
        (at_end,) = self.reactor.at_end.values()
        over = at_end()
        self.reactor.settle()
        self.successResultOf(over)
        self.started()

    def test_a_loop_that_is_not_read_misses_the_oldest_events(self) -> None:
        me: Any = self.started()
        loop = me.events()
        for number in range(MOST_WAITING + 3):
            me._running._client.context.publish(Notice(str(number)))
        self.reactor.settle()
        lagged = self.next_of(loop)
        assert isinstance(lagged, events.Lagged)
        self.assertGreaterEqual(lagged.count, 3)


class PropertyTests(Case):
    @settings(max_examples=30)
    @given(st.lists(st.sampled_from(STEPS), max_size=10))
    def test_every_request_ends_exactly_once(self, steps: list[str]) -> None:
        """Also if the server goes, and if the client ends by itself or is closed."""
        self.setUp()
        me = self.client(server="10.0.0.9:5555")
        begun = me.start()
        self.reactor.settle()
        server = FarServer(self.reactor, self.reactor.accept(), SERVER)
        self.reactor.settle()
        self.successResultOf(begun)
        asked: list[Any] = []
        ends: list[int] = []
        for step in steps:
            match step:
                case "server goes":
                    server.cut()
                case "server is silent":
                    server.deaf = True
                case "closed":
                    me.close()
                case "quit":
                    asked.append(me.ask({"do": "quit"}, nothing, None))
                case "time":
                    self.reactor.wait(20, 5)
                case _:
                    asked.append(me.ask(json.loads(step), nothing, None))
        for number, one in enumerate(asked):
            one.addErrback(lambda failure: failure.trap(Refused))
            one.addCallback(lambda _, number=number: ends.append(number))
        while self.reactor.under_way:
            self.reactor.refuse()
            self.reactor.settle()
        self.closed(me)
        self.assertEqual(sorted(ends), list(range(len(asked))))
        self.doCleanups()


class AttachTests(SynchronousTestCase):
    """The connection to a client that runs."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.me = AttachedClient(self.reactor)
        self.transport = StringTransport()
        self.me.line.makeConnection(self.transport)

    def says(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.me.line.dataReceived(json.dumps(event).encode() + b"\n")

    def ended(self, asked: Any) -> str:
        failure = self.failureResultOf(asked, Refused)
        assert isinstance(failure.value, Refused)
        return failure.value.code

    def test_a_command_is_a_line_and_ends_with_done(self) -> None:
        asked = self.me.ask({"do": "id"}, lambda outcome: outcome.field("answer", "id"))
        self.assertEqual(json.loads(self.transport.value()), {"do": "id", "ref": 1})
        self.says({"event": "answer", "ref": 1, "id": "bob"})
        self.assertNoResult(asked)
        self.says({"event": "done", "ref": 1, "code": "ok"})
        self.assertEqual(self.successResultOf(asked), "bob")

    def test_its_id_is_that_of_the_client(self) -> None:
        Deferred.fromCoroutine(self.me.learn_id(None))
        answer = {"event": "answer", "ref": 1, "id": "bob"}
        self.says(answer, {"event": "done", "ref": 1, "code": "ok"})
        self.assertEqual(self.me.id, "bob")

    def test_requests_end_with_the_connection_or_on_invalid_input(self) -> None:
        ends: tuple[tuple[str, Callable[[], object]], ...] = (
            ("stopping", lambda: self.me.line.connectionLost()),
            ("stopping", lambda: self.me.close()),
            ("internal-error", lambda: self.me.line.dataReceived(b"hello\n")),
            ("too-large", lambda: self.me.line.dataReceived(b"x" * (LONGEST + 2))),
        )
        for code, end in ends:
            self.setUp()
            asked = self.me.ask({"do": "id"}, nothing, None)
            end()
            self.assertEqual(self.ended(asked), code)
            self.assertEqual(self.ended(self.me.who()), code)

    def test_a_client_that_does_not_know_ref_is_too_old(self) -> None:
        asked = self.me.ask({"do": "id"}, nothing)
        self.says({"event": "error", "status": 400, "command": "id", "code": "malformed"})
        self.assertEqual(self.ended(asked), "not-allowed")

    def test_error_of_another_connection_does_not_mean_an_old_client(self) -> None:
        asked = self.me.ask({"do": "id"}, nothing)
        self.says({"event": "done", "ref": 1, "code": "ok"})
        self.successResultOf(asked)
        self.says({"event": "error", "status": 400, "command": "register", "code": "malformed"})
        self.assertNoResult(self.me.ask({"do": "id"}, nothing))

    def test_an_error_after_the_end_of_its_command_is_an_event(self) -> None:
        loop = self.me.events()
        self.says({"event": "error", "ref": 9, "code": "away", "text": "gone"})
        event = self.successResultOf(Deferred.fromCoroutine(anext(loop)))
        self.assertEqual(event, events.Failed("away", "gone"))

    def test_attach_fails_without_a_running_client(self) -> None:
        asked = attach(self.reactor, home="/nowhere")
        _, factory, *_ = self.reactor.unixClients[0]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertEqual(self.ended(asked), "not-found")
        with self.assertRaises(ValueError):
            attach(self.reactor)
