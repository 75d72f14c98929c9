"""No line of input but /quit and its kin ends the client, whichever way it comes in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import CommandOutput, Event, Exited, Failed
from chatproto.net.clock import Wall
from chatproto.ui.commands import ROWS
from chatproto.ui.control import Control, ControlConnection
from chatproto.ui.jsonlines import JsonLines, run_json
from chatproto.ui.plain import PlainInterface
from chatproto.ui.references import References
from tests.client.keyed_program import Case
from tests.limits import DEFAULTS

WORDS = st.sampled_from(
    ["bob", "@bob", "carol", "#den", "@#den", "1", "0", "999999999999999999", "-1", "~nosuchuser/x",
     "~", "/etc/hostname", "/not/there", "a..b:1", "[::1%lo]:1", "x" * 70, "10.0.0.2:5002", "yes",
     "full", "half", "--as", "--as=raw", "30m", "sha256:X", "key=", "'", '"', "\\", "\0", "\r", "\t",
     "\ud800", "\udcff", "\u202e", "\ufeff/quit ", "", "#bad name", "{}", "invited=no"]
)  # fmt: skip
NAMES = sorted(set(ROWS) - {"quit"})
COMMANDS = st.builds(
    lambda name, words: f"/{name} {' '.join(words)}",
    st.sampled_from(NAMES) | st.text(max_size=5).filter(lambda name: name.lower() != "quit"),
    st.lists(WORDS | st.text(max_size=8), max_size=4),
)
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
FIELDS = sorted({field.name for row in ROWS.values() for field in row.fields})
OBJECTS = st.builds(
    lambda name, values: json.dumps({"do": name, **values}),
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
)
RIGHT = st.sampled_from(NAMES).flatmap(
    lambda name: st.fixed_dictionaries(
        {field.name: WORDS | st.integers(1, 9) | st.booleans() | st.lists(WORDS, max_size=2)
         for field in ROWS[name].fields}
    ).map(lambda values: json.dumps({"do": name, **values}))
)  # fmt: skip
LINES = COMMANDS | OBJECTS | RIGHT | WORDS | st.text() | st.text().map(json.dumps)


class Now:
    """A worker that does each job at once."""

    def do(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        try:
            result = job()
        except Exception as error:
            result = error
        done(result)


def _mistaken() -> None:
    raise KeyError("missing")


class AnyInputTests(Case):
    """One whole client, talking with Bob, who takes everything."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = self.talking()
        self.shown: list[str] = []

    def new_disk(self) -> Any:
        return Now()

    def tells(self, also: Callable[[Event], None]) -> None:
        """Events go to the interface too."""
        self.node.publish.listen(also)

    def goes_on(self, line: str) -> None:
        """Check that the program still answers, and logged no mistake of its own."""
        self.net.wait(0.01)
        self.assertEqual(self.codes, [], line)
        self.assertFalse(self.told(Exited), line)
        mistakes = [one for one in self.told(Failed) if one.status == 500]
        self.assertEqual((mistakes, self.flushLoggedErrors()), ([], []), line)
        self.events.clear()
        self.node.id()
        self.assertEqual(self.told(CommandOutput)[0].lines, ("alice",), line)
        self.events.clear()

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(LINES)
    def test_typed(self, line: str) -> None:
        plain = PlainInterface(self.node.client, self.shown.append, lambda: Wall(1.5))
        self.tells(plain.tell)
        if line.strip().lower().lstrip("\ufeff").startswith("/quit"):
            return
        plain.on_line(line.encode("utf-8", "replace").decode())
        self.goes_on(line)

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(LINES)
    def test_on_standard_input_of_the_json_interface(self, line: str) -> None:
        ui = JsonLines(self.node.client, self.shown.append, lambda: Wall(1.5))
        self.tells(ui.tell)
        if line.strip().lower().lstrip("\ufeff").startswith("/quit"):
            return
        ui.on_line(line.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"))
        self.goes_on(line)

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(st.lists(LINES.map(lambda line: line.encode("utf-8", "surrogatepass")) | st.binary()))
    def test_on_the_control_socket(self, lines: list[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        if b"/quit" in data.lower():
            return
        screen: list[Event] = []

        def new_speaker() -> Callable[[str, References], Event | None]:
            standing = ActiveTarget(self.node.calls.all)
            return lambda line, references: standing.run(
                lambda: run_json(line, self.node.client, references)
            )

        control = Control(screen.append, new_speaker, lambda: Wall(1.5), DEFAULTS, Clock())
        self.tells(control.tell)
        connection, transport = control.buildProtocol(None), StringTransport()
        assert isinstance(connection, ControlConnection)
        connection.makeConnection(transport)
        connection.dataReceived(data)
        told = [json.loads(one) for one in transport.value().splitlines()]
        self.assertEqual([one for one in told if one.get("status") == 500], [])
        self.goes_on(repr(data))
        transport.clear()
        connection.dataReceived(b'{"do": "id"}\n')
        self.assertIn(b'"alice"', transport.value())
        self.assertFalse(transport.disconnecting)

    def test_a_mistake_of_ours_is_an_error_and_the_next_line_is_read(self) -> None:
        ui = JsonLines(self.node.client, self.shown.append, lambda: Wall(1.5))
        self.tells(ui.tell)
        self.patch(self.node.rooms, "rows", _mistaken)
        self.patch(self.node.calls, "counters", _mistaken)
        for command in ("who", "status"):
            ui.on_line(json.dumps({"do": command}))
            told = json.loads(self.shown[-1])
            found = (told["event"], told["status"], told["code"], told["command"])
            self.assertEqual(found, ("error", 500, "internal-error", command))
            self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.patch(self.node.talk, "over", _mistaken)
        ui.on_line("/over")
        self.assertEqual(self.told(Failed)[-1].status, 500)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.events.clear()
        self.goes_on("")

    def test_a_file_that_is_not_there_is_refused_with_its_path(self) -> None:
        name = os.fsdecode(b"\xff\n") + str(Path("/x"))
        self.node.send([name])
        [failed] = self.told(Failed)
        self.assertEqual((failed.command, failed.path), ("send", name))
