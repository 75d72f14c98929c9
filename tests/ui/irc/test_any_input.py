"""Whatever is written or told: no exception, no line that is none, and each label answered once."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chatproto.client import events
from chatproto.client.events import Event, Exited
from chatproto.net.clock import Wall
from chatproto.ui.irc.commands import TABLE
from chatproto.ui.irc.queries import QUERIES
from chatproto.wire.irc import LINE_BYTES, TAG_BYTES, read_line
from chatproto.wire.reasons import Reason
from tests.client.rooms.room_ends import Case
from tests.ui.irc.ends import CAPS, IrcClient, face_of

COMMANDS = st.sampled_from([*TABLE, *QUERIES, "NONSENSE"])
WORDS = st.sampled_from(
    [
        "#den",
        "#DEN,#two",
        "bob",
        "alice",
        "*chat",
        "+b",
        "-k",
        "+oO",
        "*!bob@*",
        "x",
        "",
        "#",
        "0",
        ",",
    ]
)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20
) | st.sampled_from(
    ["who", "/help", "send @bob", "\x01VERSION\x01", "\x01ACTION x\x01", "join #den", "accept bob"]
)
LINES = st.tuples(COMMANDS, st.lists(WORDS, max_size=3), TEXTS).map(
    lambda parts: " ".join([parts[0], *filter(None, parts[1]), f":{parts[2]}"])
)
HOSTILE = st.sampled_from(
    ["a\r\nb", "\0", "\x01VERSION\x01", "\x1b[2J", "é" * 300, "", "#den", "bob", "x y"]
)
VALUES: dict[str, Any] = {
    "code": st.sampled_from(Reason),
    "said": st.sampled_from([None, Wall(1.5)]),
    "list": st.just(()),
    "lines": st.lists(HOSTILE, max_size=3).map(tuple),
    "data": st.just({}),
    "members": st.lists(HOSTILE, max_size=3).map(tuple),
    "state": st.sampled_from(["open", "closed", "calling", "broken", "moving", "waiting"]),
    "change": st.sampled_from(
        ["joined", "parted", "topic", "kicked", "banned", "muted", "op", "x"]
    ),
    **dict.fromkeys(
        ("port", "offset", "size", "count", "files", "expires", "rate", "left"), st.integers(0, 9)
    ),
    **dict.fromkeys(
        ("ask", "own", "again", "current", "first", "history", "encrypted"), st.booleans()
    ),
    "until": st.none(),
    "room": st.sampled_from(["#den", "#two"]),  # the server's names are read strictly
    "address": st.none(),
    "status": st.sampled_from(["online", "offline"]),
    "key": st.none(),
    "was": HOSTILE,
}
KINDS = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind not in (Event, Exited)
]
NUMBERED = (
    *(events.FileChanged, events.Notice, events.MessageReceived, events.Sent),
    *(events.Delivered, events.Uncertain, events.Undelivered),
)
"""Kinds whose `id` is a number."""


@st.composite
def told(draw: Any) -> Event:
    """Make an event of any kind with any values."""
    kind = draw(st.sampled_from(KINDS))
    values = {}
    for field in dataclasses.fields(kind):
        needed = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if needed or draw(st.booleans()):
            values[field.name] = draw(VALUES.get(field.name, HOSTILE))
    if kind in NUMBERED:
        values["id"] = 3
    made: Event = kind(**values)
    return made


class AnyInputTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.face = face_of(self.node.client)
        self.irc = IrcClient(self.face, caps=CAPS)
        self.irc.read()

    @given(st.lists(LINES, max_size=6))
    @settings(max_examples=60, deadline=None)
    def test_every_label_is_answered_once(self, lines: list[str]) -> None:
        lines = [line for line in lines if not line.startswith("QUIT") and "/quit" not in line]
        if self.irc.transport.disconnecting:
            self.irc = IrcClient(self.face, caps=CAPS)
            self.irc.read()
        self.irc.say(f"CAP REQ :{CAPS}")
        self.irc.read()
        for number, line in enumerate(lines):
            if not line.startswith("CAP"):
                self.irc.send(
                    f"@label=l{number} {line}"[:LINE_BYTES].encode()[:LINE_BYTES] + b"\r\n"
                )
        for _ in range(5):
            self.hall.settle()
            self.hall.clock.advance(10)
        found = self.irc.read()
        for number, line in enumerate(lines):
            if not line.startswith("CAP"):
                tag = f"label=l{number}"
                tags = (one.split(" ")[0].removeprefix("@").split(";") for one in found)
                labels = [one for one in tags if tag in one]
                self.assertEqual(len(labels), 1, (line, found))

    @given(told())
    @settings(max_examples=300, deadline=None)
    def test_every_event_becomes_lines(self, event: Event) -> None:
        self.assert_becomes_lines(event)

    def test_banned_id_with_control_characters_becomes_a_clean_mask(self) -> None:
        self.assert_becomes_lines(
            events.RoomChanged("#den", "joined", own=True, members=("alice",)),
            events.RoomChanged("#den", "banned", id="\x01VERSION\x01"),
        )
        self.assertIn("*!\u2401VERSION\u2401@*", self.irc.transport.value().decode())

    def assert_becomes_lines(self, *published: Event) -> None:
        """Check that the IRC client gets well-formed lines without control characters of others."""
        self.irc.transport.clear()
        for event in published:
            self.face.tell(event)
        for data in self.irc.transport.value().split(b"\r\n")[:-1]:
            self.assertLessEqual(len(data), TAG_BYTES + LINE_BYTES)
            read = read_line(data)
            assert read is not None, data
            for text in read.parameters:
                self.assertNotIn("\x1b", text)
                self.assertNotIn("\x01V", text)
        self.irc.transport.disconnecting = False
