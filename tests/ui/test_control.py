"""control.sock: what scripts say, and who hears what."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.client_program import control
from chatproto.client.events import (
    Bridged,
    CommandOutput,
    Contacts,
    Event,
    Failed,
    MessageReceived,
    SessionChanged,
)
from chatproto.net.clock import Wall
from chatproto.ui import control as control_socket
from chatproto.ui.commands import run_line
from chatproto.ui.control import (
    CONTROL_ANSWERS,
    CONTROL_CONNECTIONS,
    Control,
    ControlConnection,
    ControlSocket,
    for_others,
)
from chatproto.ui.jsonlines import json_text
from chatproto.ui.references import References
from chatproto.wire.reasons import Reason
from tests.client.rooms import room_ends
from tests.limits import DEFAULTS
from tests.net.library_lines import cut_by_twisted
from tests.ui.asked import asked_client

LIMITS = replace(DEFAULTS, control_line=64)
HELLO = MessageReceived("bob", "hello")


class Script:
    """One connection, and what it read."""

    def __init__(self, control: Control) -> None:
        made = control.buildProtocol(None)
        assert isinstance(made, ControlConnection)
        self.connection = made
        self.transport: Any = StringTransport()
        self.connection.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        self.connection.dataReceived(data)

    def read(self) -> list[dict[str, Any]]:
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(line) for line in lines]

    def end(self) -> None:
        self.connection.connectionLost(Failure(ConnectionDone()))


class ControlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(control_socket, "CONTROL_UNSENT", 1000)
        self.node = asked_client()
        self.screen: list[Event] = []
        self.begun: list[str] = []
        self.answers: list[Event] = []  # told by the node while a line is carried out
        self.clock = Clock()
        self.control = Control(
            self.screen.append, lambda: self.speak, lambda: Wall(1.5), LIMITS, self.clock
        )

    def speak(self, line: str, references: References) -> Event | None:
        self.begun.append(line)

        def work() -> Event | None:
            for event in self.answers:
                self.control.tell(event)
            return run_line(line, self.node, json_text)

        return references.run_unmarked(line.partition(" ")[0].lstrip("/"), work)

    def test_takes_commands_and_json_strings_a_line_each(self) -> None:
        script = Script(self.control)
        script.say(b'/chat bob\r\n"a\\nb"\n\nhe')
        script.say(b"llo\n")
        self.assertEqual(self.node.asked, [("chat", "bob", ""), ("say", "a\nb"), ("say", "hello")])

    def test_a_byte_order_mark_hides_no_command(self) -> None:
        Script(self.control).say(b"\xef\xbb\xbf/who\r\r\n")
        self.assertEqual(self.node.asked, [("who",)])

    @given(st.lists(st.integers(0, 40)))
    def test_lines_can_be_split_anywhere(self, cuts: list[int]) -> None:
        self.node.asked.clear()
        script, data, at = Script(self.control), b"/who\n/msg @bob hi\nwhat else\n/id\n", 0
        for cut in [*sorted(cuts), len(data)]:
            script.say(data[at:cut])
            at = max(at, cut)
        script.end()
        said = [("who",), ("msg", "hi", "bob"), ("say", "what else"), ("id",)]
        self.assertEqual(self.node.asked, said)

    def test_events_go_to_the_screen_and_to_all_connections(self) -> None:
        one, other = Script(self.control), Script(self.control)
        self.control.tell(HELLO)
        self.assertEqual(self.screen, [HELLO])
        self.assertEqual(one.read(), other.read())
        self.control.tell(HELLO)
        self.assertEqual([event["text"] for event in one.read()], ["hello"])

    def test_answer_goes_to_its_connection_only(self) -> None:
        one, other = Script(self.control), Script(self.control)
        self.answers = [
            CommandOutput("who", ("no conversation",)),
            Failed("you are in no conversation", code=Reason.NOT_FOUND),
            Contacts(()),
            Bridged(None, None, None),
            MessageReceived("bob", "hello", history=True),
        ]
        one.say(b"/search hello\n")
        events = ["answer", "error", "contacts", "bridged", "message"]
        self.assertEqual([event["event"] for event in one.read()], events)
        self.assertEqual((self.screen, other.read()), ([], []))

    def test_events_caused_by_a_command_go_to_everybody(self) -> None:
        one, other = Script(self.control), Script(self.control)
        self.answers = [HELLO]
        one.say(b"/who\n")
        self.assertEqual(self.screen, [HELLO])
        self.assertEqual(one.read(), other.read())

    def test_each_script_has_its_own_target(self) -> None:
        opened = SessionChanged("bob", "open", path="direct", current=True)
        switched = SessionChanged("bob", "open", current=True)
        self.assertIsNone(for_others(switched))
        self.assertEqual(for_others(opened), replace(opened, current=None))

    def test_a_command_that_is_none_is_answered_to_its_writer(self) -> None:
        one, other = Script(self.control), Script(self.control)
        one.say(b"/whoo\n/help id\n")
        self.assertEqual([event["event"] for event in one.read()], ["error", "answer"])
        self.assertEqual((self.screen, other.read()), ([], []))

    def test_a_line_that_is_too_long_is_the_end(self) -> None:
        for ending in (b"", b"\n"):
            script = Script(self.control)
            script.say(b"x" * (LIMITS.control_line + 2) + ending)
            self.assertIn("64 bytes", script.read()[0]["text"])
            self.assertTrue(script.transport.disconnecting)
            self.assertEqual(self.node.asked, [])
            script.end()

    def test_script_that_does_not_read_is_dropped(self) -> None:
        slow, quick = Script(self.control), Script(self.control)
        slow.transport.producer.pauseProducing()
        for _ in range(100):
            self.control.tell(HELLO)
        self.assertTrue(slow.transport.disconnecting)
        self.assertEqual(slow.read(), [])
        self.assertEqual(len(quick.read()), 100)

    def test_nothing_more_is_read_from_one_that_reads_too_little(self) -> None:
        script = Script(self.control)
        script.transport.producer.pauseProducing()
        script.say(b"/nonsense\n" * 100)
        self.assertFalse(script.transport.disconnecting)
        self.assertLess(len(self.begun), 10)
        for _ in range(30):
            script.transport.producer.resumeProducing()
            script.transport.producer.pauseProducing()
        self.assertEqual(len(self.begun), 100)
        self.assertFalse(script.transport.disconnecting)

    def test_connection_that_reads_again_gets_everything_in_order(self) -> None:
        script = Script(self.control)
        script.transport.producer.pauseProducing()
        for number in range(5):
            self.control.tell(MessageReceived("bob", str(number)))
        self.assertEqual(script.read(), [])
        script.transport.producer.resumeProducing()
        self.assertEqual([event["text"] for event in script.read()], list("01234"))

    def test_no_more_than_so_many_at_once(self) -> None:
        scripts = [Script(self.control) for _ in range(CONTROL_CONNECTIONS)]
        self.assertIsNone(self.control.buildProtocol(None))
        scripts[0].end()
        self.assertIsNotNone(self.control.buildProtocol(None))

    def test_half_closed_connection_is_answered_and_closed(self) -> None:
        script = Script(self.control)
        script.say(b"/help id\n")
        script.connection.readConnectionLost()
        self.assertEqual(len(script.read()), 1)
        self.assertTrue(script.transport.disconnecting)
        script.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_held_input_is_queued(self) -> None:
        script = Script(self.control)
        self.control.hold(True)
        script.say(b"/who\n/id\n")
        self.assertEqual(self.node.asked, [])
        self.control.hold(False)
        self.assertEqual(self.node.asked, [("who",), ("id",)])

    def test_end_is_reported_before_the_close(self) -> None:
        script = Script(self.control)
        script.transport.producer.pauseProducing()
        self.control.tell(HELLO)
        self.control.finish()
        self.assertFalse(script.transport.disconnecting)
        script.transport.producer.resumeProducing()
        self.assertEqual(len(script.read()), 1)
        self.assertTrue(script.transport.disconnecting)


class ControlTestsCutByTwisted(ControlTests):
    """The same with Twisted's own line receiver, fed byte by byte."""

    test_lines_can_be_split_anywhere = None  # type: ignore[assignment]  # cuts itself

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self)


class LateAnswerTests(room_ends.Case):
    """Answers that a server gives later, of a whole client in a room."""

    def setUp(self) -> None:
        super().setUp()
        self.alice.joins()
        self.hall.person("zoe")
        client = self.node.client
        self.screen: list[Event] = []
        self.scripts = control(client, self.screen.append)
        client.context.publish.listen(self.scripts.tell)
        self.one, self.other = Script(self.scripts), Script(self.scripts)

    def asks(self, line: str) -> list[dict[str, Any]]:
        """The answer to `line`; nobody else may hear of it."""
        self.one.say(f"{line}\n".encode())
        self.hall.settle()
        self.assertEqual((self.screen, self.other.read()), ([], []), line)
        return self.one.read()

    def test_late_answer_goes_to_its_script_with_the_reference(self) -> None:
        self.node.say("one")
        self.hall.settle()
        for each in (self.screen.clear, self.one.read, self.other.read):
            each()
        forms: dict[str, tuple[str, ...]] = {
            '{"do": "names", "room": "#den"': ("answer",),
            '{"do": "rooms"': ("answer",),
            '{"do": "settings", "room": "#den"': ("answer",),
            '{"do": "history", "id": "#den"': ("message", "answer"),
            '{"do": "kick", "room": "#den", "id": "zoe"': ("error",),
        }
        for form, events in forms.items():
            told = self.asks(form + "}")
            self.assertEqual(
                [(one["event"], "ref" in one) for one in told], [(e, False) for e in events]
            )
            told = self.asks(form + ', "ref": 7}')
            self.assertEqual(
                [(one["event"], one["ref"]) for one in told], [(e, 7) for e in (*events, "done")]
            )
        self.assertEqual([one["event"] for one in self.asks("/names #den")], ["answer"])
        self.assertEqual(
            [one["event"] for one in self.asks("/HISTORY #den 5")], ["message", "answer"]
        )

    def test_answers_to_the_screen_are_not_for_scripts(self) -> None:
        self.node.client.in_room.names()
        self.hall.settle()
        self.assertEqual([event.event for event in self.screen], ["answer"])
        self.assertEqual((self.one.read(), self.other.read()), ([], []))

    def test_late_answer_to_a_lost_script_is_dropped(self) -> None:
        self.one.say(b"/names #den\n")
        self.one.end()
        self.hall.settle()
        self.assertEqual((self.screen, self.other.read()), ([], []))

    def test_a_half_closed_connection_gets_its_late_answers(self) -> None:
        forms = {
            "/names #den": "answer",
            '{"do": "names", "room": "#den"}': "answer",
            '{"do": "msg", "to": "#den", "text": "hi", "ref": 1}': "done",
        }
        for form, last in forms.items():
            script = Script(self.scripts)
            script.say(f"{form}\n".encode())
            script.connection.readConnectionLost()
            self.assertFalse(script.transport.disconnecting)
            self.hall.settle()
            self.assertEqual(script.read()[-1]["event"], last)
            self.assertTrue(script.transport.disconnecting)
            script.end()

    def test_a_half_closed_connection_waits_for_its_answers_no_longer_than_a_limit(self) -> None:
        script = Script(self.scripts)
        script.say(b"/names #den\n")  # and the server does not answer
        for _ in range(2):
            script.connection.readConnectionLost()
            self.node.client.context.clock.advance(CONTROL_ANSWERS / 2 - 0.1)
            self.assertFalse(script.transport.disconnecting)
        self.node.client.context.clock.advance(0.3)
        self.assertTrue(script.transport.disconnecting)
        script.end()

    def test_change_by_a_script_is_published_to_all(self) -> None:
        self.one.say(b'{"do": "topic", "room": "#den", "text": "tea", "ref": 1}\n')
        self.hall.settle()
        self.assertEqual([event.event for event in self.screen], ["room"])
        self.assertEqual([one["event"] for one in self.other.read()], ["room"])
        self.assertEqual([one["event"] for one in self.one.read()], ["room", "done"])


class Sockets:
    """A reactor that only binds."""

    def __init__(self) -> None:
        self.bound: list[socket.socket] = []
        self.modes: list[int] = []

    def listenUNIX(self, address: str, factory: object, mode: int = 0o666) -> Sockets:
        made = socket.socket(socket.AF_UNIX)
        self.bound.append(made)
        try:
            made.bind(address)
        except OSError as error:
            raise CannotListenError(None, address, error) from None
        self.modes.append(stat.S_IMODE(Path(address).stat().st_mode))
        return self

    def stopListening(self) -> None:
        for one in self.bound:
            one.close()


class SocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.reactor: Any = Sockets()
        self.addCleanup(self.reactor.stopListening)
        self.screen: list[Event] = []

    def socket(self, home: Path) -> ControlSocket:
        control = Control(
            self.screen.append,
            lambda: lambda line, references: None,
            lambda: Wall(1.5),
            LIMITS,
            Clock(),
        )
        return ControlSocket(self.reactor, home, control)

    def test_socket_is_private_from_its_first_moment(self) -> None:
        before = os.umask(0o022)
        try:
            self.socket(self.home).start()
            self.assertEqual(os.umask(0o022), 0o022)
        finally:
            os.umask(before)
        self.assertEqual(self.reactor.modes, [0o600])

    def test_one_that_was_left_behind_is_replaced(self) -> None:
        for _ in range(2):
            self.socket(self.home).start()
        self.assertEqual((len(self.reactor.modes), self.screen), (2, []))

    def test_one_that_another_program_serves_stays(self) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.home / "control.sock"))
            other.listen()
            self.socket(self.home).start()
        self.assertEqual(self.reactor.modes, [])
        self.assertIn("another program serves it", str(self.screen))
        self.assertTrue((self.home / "control.sock").exists())

    def test_file_at_the_socket_path_is_reported_and_unchanged(self) -> None:
        (self.home / "control.sock").write_text("mine")
        self.socket(self.home).start()
        self.assertEqual((self.home / "control.sock").read_text(), "mine")
        self.assertEqual([event.event for event in self.screen], ["notice"])

    def test_too_long_socket_path_is_reported(self) -> None:
        home = self.home / ("x" * 60) / ("y" * 60)
        home.mkdir(parents=True)
        control = self.socket(home)
        control.start()
        self.assertIn("too long", str(self.screen))
        self.successResultOf(control.stop())
