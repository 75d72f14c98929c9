"""Each event as a person and as a program sees it."""

from __future__ import annotations

import json
import os
import re
import time
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client import events
from chatproto.client.events import (
    Bridged,
    Bye,
    CommandOutput,
    CommandOver,
    Contacts,
    Delivered,
    Event,
    Exited,
    Failed,
    FileChanged,
    IncomingCallEvent,
    MessageReceived,
    Notice,
    PresenceChanged,
    Registered,
    RoomChanged,
    Running,
    Sent,
    SessionChanged,
    Uncertain,
    Undelivered,
)
from chatproto.net.clock import Wall
from chatproto.ui.view import json_object, plain_lines
from chatproto.wire.reasons import Reason

NOW = 1_000_000_000.0
"""2001-09-09 01:46:40 UTC."""

LINE_TIME = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d ")

EVENTS = {
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}

BOB = {"id": "bob", "host": "127.0.0.1", "port": 3001}

SHOWN: list[tuple[Event, list[str]]] = [
    (Running("alice", "127.0.0.1", 3000), ["alice running on 127.0.0.1:3000"]),
    (Running("alice", "::1", 3000), ["alice running on [::1]:3000"]),
    (CommandOutput("id", ("alice",), {"id": "alice"}), ["alice"]),
    (CommandOutput("who", ("bob (open)", "carol (open)")), ["* bob (open)", "* carol (open)"]),
    (CommandOutput("help", ("one\ntwo",)), ["* one", "* two"]),
    (Registered("127.0.0.1:5555"), ["* registered with 127.0.0.1:5555"]),
    (
        Registered("h:1", 3600, "sha256:abc", first=True),
        [
            "* registered with h:1",
            "* first contact with this server; its key is now pinned: sha256:abc",
        ],
    ),
    (Registered("h:1", 3600, "sha256:abc"), ["* registered with h:1"]),
    (
        Contacts((BOB, {"id": "eve", "host": "::1", "port": 1})),
        ["* bob 127.0.0.1:3001", "* eve [::1]:1"],
    ),
    (Contacts(({"id": "bob"},)), ["* bob"]),
    (Contacts(()), ["* no clients are registered"]),
    (Contacts((), "zzz"), ['* nobody whose id begins with "zzz"']),
    (Bridged("bob", "127.0.0.1", 3001), ["* bob is at 127.0.0.1:3001"]),
    (Bridged(None, None, None), ["* waiting to be called"]),
    (
        IncomingCallEvent("alice", "127.0.0.1", 3000),
        ["Incoming chat request from alice 127.0.0.1:3000"],
    ),
    (
        IncomingCallEvent("127.0.0.1:43266", "127.0.0.1", 43266),
        ["Incoming chat request from 127.0.0.1:43266"],
    ),
    (
        IncomingCallEvent("alice", "127.0.0.1", 3000, ask=True),
        ["Incoming chat request from alice 127.0.0.1:3000", "* /accept or /decline"],
    ),
    (
        IncomingCallEvent("alice", "127.0.0.1", 3000, encrypted=True, ask=True),
        [
            "Incoming chat request from alice? (unconfirmed) 127.0.0.1:3000",
            "* /accept or /decline",
        ],
    ),
    (
        IncomingCallEvent("alice", "127.0.0.1", 3000, encrypted=True, confirmed=True),
        ["Incoming chat request from alice 127.0.0.1:3000"],
    ),
    (
        IncomingCallEvent("alice", "10.0.0.1", 5555, encrypted=True, confirmed=True, path="relay"),
        ["Incoming chat request from alice 10.0.0.1:5555 (relayed)"],
    ),
    (
        SessionChanged("bob", "calling", host="127.0.0.1", port=3001),
        ["* calling bob 127.0.0.1:3001"],
    ),
    (SessionChanged("bob", "calling"), ["* calling bob"]),
    (
        SessionChanged("bob", "calling", host="h", port=1, reason="as raw"),
        ["* calling bob h:1 (as raw)"],
    ),
    (SessionChanged("bob", "ringing"), []),
    (
        SessionChanged(
            "bob", "open", dialect="canon", encrypted=False, security="open", current=True
        ),
        ["* talking with bob (open)"],
    ),
    (
        SessionChanged("bob", "open", dialect="canon", encrypted=False),
        ["* talking with bob (open)"],
    ),
    (
        SessionChanged(
            "bob", "open", dialect="canon", encrypted=True, security="verified", path="direct"
        ),
        ["* talking with bob (verified)"],
    ),
    (
        SessionChanged("bob", "open", dialect="canon", encrypted=True, path="relay"),
        ["* talking with bob (encrypted, relayed)"],
    ),
    (
        SessionChanged("bob", "open", dialect="canon", encrypted=False, mode="half", turn="mine"),
        ["* talking with bob (open)"],
    ),
    (
        SessionChanged("bob", "open", dialect="canon", encrypted=False, mode="full", turn="both"),
        ["* talking with bob (open)"],
    ),
    (
        SessionChanged("bob", "open", dialect="canon", encrypted=False, current=False),
        ["* talking with bob (open), /switch bob to answer"],
    ),
    (SessionChanged("bob", "open", turn="mine"), ["* your turn"]),
    (
        SessionChanged("bob", "open", encrypted=True, security="encrypted", turn="theirs"),
        ["* bob's turn"],
    ),
    (SessionChanged("bob", "open", encrypted=True, security="verified"), []),
    (SessionChanged("bob", "open", turn="mine", current=True), ["* your turn"]),
    (SessionChanged("bob", "open", turn="mine", current=False), ["* your turn with bob"]),
    (SessionChanged("bob", "open", turn="theirs"), ["* bob's turn"]),
    (SessionChanged("bob", "open", turn="both"), []),
    (SessionChanged("bob", "open", mode="full"), ["* you and bob can send at any time"]),
    (SessionChanged("bob", "open", mode="half"), ["* you and bob take turns"]),
    (
        SessionChanged("bob", "open", mode="half", turn="mine"),
        ["* you and bob take turns", "* your turn"],
    ),
    (SessionChanged("bob", "open", current=True), ["* what you type goes to bob now"]),
    (SessionChanged("bob", "open", path="lan"), ["* path to bob changed: same network"]),
    (
        SessionChanged("bob", "broken", reason="no route"),
        ["* connection to bob lost, retrying (no route)"],
    ),
    (SessionChanged("bob", "closed"), []),
    (
        SessionChanged("bob", "closed", reason="nobody answers"),
        ["* no conversation with bob (nobody answers)"],
    ),
    (
        SessionChanged("bob", "closed", encrypted=True, reason="you left"),
        ["* the conversation with bob has ended (you left)"],
    ),
    (MessageReceived("bob", "hello"), ["bob> hello"]),
    (MessageReceived("bob", ""), ["bob> "]),
    (
        MessageReceived("bob", "one\ntwo\r\n\nfour\n"),
        ["bob> one", "bob> two", "bob> ", "bob> four"],
    ),
    (MessageReceived("bob", "one\u2028two\u2029"), ["bob> one", "bob> two"]),
    (MessageReceived("bob", "hi", room="den"), ["#den bob> hi"]),
    (MessageReceived("bob", "hi\nyou", room="#den"), ["#den bob> hi", "#den bob> you"]),
    (MessageReceived("127.0.0.1:4000", "hi"), ["127.0.0.1:4000> hi"]),
    (Sent("hello", to="bob"), []),
    (Delivered("bob", 3), []),
    (Uncertain("bob", 3), ["* may not have arrived at bob: message 3"]),
    (
        Undelivered("bob", "connection lost", text="see you"),
        ["* not delivered to bob: see you (connection lost)"],
    ),
    (Undelivered("bob", "7 days old", id=3), ["* not delivered to bob: message 3 (7 days old)"]),
    (
        Undelivered("bob", "gone", text="one\ntwo"),
        ["* not delivered to bob: one", "* not delivered to bob: two (gone)"],
    ),
    (PresenceChanged("bob", "online"), ["* bob is online"]),
    (
        RoomChanged("#den", "joined", "me", count=1, text="what we do", own=True),
        ["* in #den, with nobody else (the server can read)", "* topic of #den: what we do"],
    ),
    (
        RoomChanged("#den", "joined", "me", count=2, own=True),
        ["* in #den, with 1 other (the server can read)"],
    ),
    (
        RoomChanged("#den", "joined", "me", count=4, own=True, again=True),
        ["* in #den again, with 3 others"],
    ),
    (RoomChanged("#den", "joined", "bob", count=3), ["* #den bob joined"]),
    (RoomChanged("#den", "parted", "bob"), ["* #den bob left"]),
    (RoomChanged("#den", "parted", "bob", reason="kicked"), []),
    (
        RoomChanged("#den", "parted", "me", reason="kicked", own=True),
        [],
    ),
    (RoomChanged("#den", "current"), ["* what you type goes to #den now"]),
    (
        RoomChanged("#den", "topic", by="bob", text="a\nb\x1b"),
        ["* #den bob set the topic: a b\u241b"],
    ),
    (RoomChanged("#den", "topic", by="bob", text=""), ["* #den bob removed the topic"]),
    (RoomChanged("#den", "kicked", "eve", by="bob"), ["* #den bob removed eve"]),
    (
        RoomChanged("#den", "kicked", "eve", by="bob", reason="too loud"),
        ["* #den bob removed eve (too loud)"],
    ),
    (RoomChanged("#den", "kicked", "me", own=True), ["* #den the server's operator removed you"]),
    (
        RoomChanged(
            "#den", "banned", by="bob", address="10.0.0.1", until="2030-01-01T17:08:34.159Z"
        ),
        ["* #den bob banned 10.0.0.1 until 2030-01-01 17:08"],
    ),
    (
        RoomChanged("#den", "muted", "eve", by="bob", until="2001-09-09T02:08:34.159Z"),
        ["* #den bob muted eve until 02:08"],
    ),
    (
        MessageReceived("bob", "one\ntwo", to="al", history=True, said=Wall(1_000_000_000.0)),
        ["01:46 bob> one", "01:46 bob> two"],
    ),
    (
        MessageReceived("bob", "hi", room="den", history=True, said=Wall(999_900_000.0)),
        ["2001-09-07 22:00 #den bob> hi"],
    ),
    (RoomChanged("#den", "muted", "eve", by="bob"), ["* #den bob muted eve"]),
    (RoomChanged("#den", "settings", by="bob"), ["* #den bob changed the settings of the room"]),
    (
        RoomChanged("#den", "invited", "me", by="bob", own=True),
        ["* bob invites you to #den: /join #den enters it"],
    ),
    (RoomChanged("#den", "invited", "eve", by="me"), ["* #den me invited eve"]),
    (FileChanged(1, "a.bin", "offered", 0, 10, to="bob"), ["* offering a.bin to bob"]),
    (
        FileChanged(2, "photos", "offered", 0, 2_000_000, from_="bob", files=3, ask=True),
        ["* bob offers photos (3 files, 2.0 MB): /accept 2 or /decline 2"],
    ),
    (
        FileChanged(3, "notes", "offered", 0, 1, from_="bob", files=1, ask=True),
        ["* bob offers notes (1 file, 1 byte): /accept 3 or /decline 3"],
    ),
    (FileChanged(1, "a.bin", "moving", 0, 10, to="bob"), ["* sending a.bin to bob"]),
    (FileChanged(1, "a.bin", "moving", 5, 10, to="bob", rate=5, left=1.0, progress=True), []),
    (FileChanged(1, "a.bin", "done", 10, 10, to="bob"), ["* bob received a.bin"]),
    (FileChanged(2, "a", "done", 9, 9, from_="bob", path="/d/a"), ["* received a: /d/a"]),
    (
        FileChanged(1, "a.bin", "broken", 5, 10, to="bob"),
        ["* a.bin is paused until bob is back"],
    ),
    (
        FileChanged(1, "a.bin", "broken", 5, 10, to="bob", reason="/chat bob calls"),
        ["* a.bin is paused (/chat bob calls)"],
    ),
    (FileChanged(1, "a.bin", "declined", 0, 10, to="bob"), ["* bob declined a.bin"]),
    (FileChanged(2, "a.bin", "declined", 0, 10, from_="bob"), ["* a.bin was declined"]),
    (
        FileChanged(2, "a.bin", "failed", 5, 10, from_="bob", reason="disk full"),
        ["* a.bin from bob: failed (disk full)"],
    ),
    (
        FileChanged(2, "a.bin", "stalled", 5, 10, from_="bob", reason="the disk is full"),
        ["* a.bin from bob: stalled (the disk is full), /accept 2 continues"],
    ),
    (CommandOutput("files", (), {"files": []}), ["* no file is being sent or received"]),
    (
        CommandOutput(
            "files",
            (),
            {
                "files": [
                    FileChanged(1, "a", "moving", 6, 15, to="bob", rate=3_000_000, left=3).row(),
                    FileChanged(2, "b", "offered", 0, 2_000_000, from_="bob", path="/x").row(),
                    FileChanged(3, "c", "broken", 999, 1000, from_="x\n* ?").row(),
                    FileChanged(4, "d", "broken", 1, 2, to="bob", reason="/chat bob calls").row(),
                ]
            },
        ),
        [
            "* 1 a to bob: moving, 40% of 15 bytes, 3.0 MB/s, 0:03 left",
            "* 2 b from bob: offered, 2.0 MB, /accept 2",
            "* 3 c from x_*_?: paused, 99% of 1.0 KB",
            "* 4 d to bob: paused, 50% of 2 bytes, /chat bob calls",
        ],
    ),
    (Notice("no server at 127.0.0.1:5555"), ["* no server at 127.0.0.1:5555"]),
    (
        Failed("there is no bob here", 404, "chat", code=Reason.NOT_FOUND),
        ["* there is no bob here"],
    ),
    (Bye("bob"), ["* bob left"]),
    (Bye("bob", "connection lost"), ["* bob left (connection lost)"]),
    (Exited(0), []),
    (CommandOver("msg", "delivered"), []),
]


class PlainTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = os.environ.get("TZ")
        self.addCleanup(_set_zone, before)
        _set_zone("UTC")

    def test_each_event_is_its_lines(self) -> None:
        for event, lines in SHOWN:
            self.assertEqual(plain_lines(event, Wall(NOW)), lines, event)

    def test_with_times_every_line_has_one(self) -> None:
        for event, lines in SHOWN:
            with_times = plain_lines(event, Wall(NOW), times=True)
            self.assertEqual(len(with_times), len(lines))
            self.assertTrue(all(LINE_TIME.match(line) for line in with_times))
        late = MessageReceived("bob", "hi", said=Wall(NOW - 3600))
        self.assertEqual(plain_lines(late, Wall(NOW), times=True), ["00:46 bob> hi"])
        self.assertEqual(plain_lines(Bye("bob"), Wall(NOW), times=True), ["01:46 * bob left"])

    def test_every_event_is_covered(self) -> None:
        self.assertEqual({type(event) for event, _ in SHOWN}, EVENTS)

    def test_event_without_lines_is_an_error(self) -> None:
        with self.assertRaises(TypeError):
            plain_lines(Event(), Wall(NOW))

    def test_a_name_cannot_look_like_the_rest_of_a_line(self) -> None:
        self.assertEqual(plain_lines(MessageReceived("bob> hi", "x"), Wall(NOW)), ["bob_hi> x"])
        self.assertEqual(
            plain_lines(MessageReceived("* bob left", "x"), Wall(NOW)), ["*_bob_left> x"]
        )
        self.assertEqual(plain_lines(MessageReceived("", "x"), Wall(NOW)), ["?> x"])
        self.assertEqual(
            plain_lines(Bye("bob left\n* carol"), Wall(NOW)), ["* bob_left_*_carol left"]
        )
        self.assertEqual(
            plain_lines(IncomingCallEvent("eve 127.0.0.1:1\nbob> hi", "1.2.3.4\n", 5), Wall(NOW)),
            ["Incoming chat request from eve_127.0.0.1:1_bob_hi 1.2.3.4:5"],
        )

    def test_control_characters_are_shown_not_obeyed(self) -> None:
        (line,) = plain_lines(MessageReceived("bob", "\x1b[2J\x07\x9b\x7f\r\u202e"), Wall(NOW))
        self.assertTrue(line.startswith("bob> "))
        self.assertFalse(harmful(line))


def _set_zone(zone: str | None) -> None:
    """Set the time zone of this process; None is the machine's."""
    os.environ.pop("TZ", None)
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()


def harmful(line: str) -> bool:
    """Return True if a terminal could obey something in `line`, or a reader see two lines."""
    return (
        any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in line)
        or any(c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" for c in line)
        or len(line.splitlines()) > 1
    )


TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("\n\r\x1b\x85\u2028\u202e> *#\x00")),
    max_size=40,
)
NAMES = st.one_of(st.just("bob"), TEXTS)

FOREIGN: st.SearchStrategy[Event] = st.one_of(
    st.builds(Running, NAMES, TEXTS, st.integers(1, 65535)),
    st.builds(IncomingCallEvent, NAMES, TEXTS, st.integers(1, 65535), st.booleans(), st.booleans()),
    st.builds(
        SessionChanged,
        id=NAMES,
        state=st.sampled_from(["calling", "ringing", "open", "broken", "closed", "new\n"]),
        encrypted=st.none() | st.booleans(),
        security=st.none() | TEXTS,
        path=st.none() | TEXTS,
        turn=st.sampled_from([None, "mine", "theirs", "both"]),
        host=st.none() | TEXTS,
        port=st.none() | st.integers(1, 65535),
        reason=st.none() | TEXTS,
        current=st.none() | st.booleans(),
    ),
    st.builds(Undelivered, to=NAMES, reason=TEXTS, text=st.none() | TEXTS, id=st.none() | TEXTS),
    st.builds(Uncertain, NAMES, TEXTS),
    st.builds(PresenceChanged, NAMES, TEXTS),
    st.builds(Bye, NAMES, st.none() | TEXTS),
    st.builds(Notice, TEXTS),
    st.builds(Failed, TEXTS),
    st.builds(Registered, TEXTS, first=st.booleans(), key=st.none() | TEXTS),
    st.builds(Bridged, st.none() | NAMES, TEXTS, st.integers(1, 65535)),
    st.builds(CommandOutput, st.just("who"), st.lists(TEXTS, max_size=3).map(tuple)),
    st.builds(
        Contacts,
        st.lists(
            st.fixed_dictionaries({"id": NAMES, "host": TEXTS, "port": st.integers()}), max_size=3
        ).map(tuple),
    ),
)


class PlainProperties(SynchronousTestCase):
    @given(FOREIGN)
    def test_peer_text_is_harmless_and_unambiguous(self, event: Event) -> None:
        for line in plain_lines(event, Wall(NOW)):
            self.assertFalse(harmful(line), line)
            self.assertTrue(
                line.startswith(("* ", "Incoming chat request from ")) or " running on " in line
            )

    @given(NAMES, TEXTS)
    def test_every_line_of_a_message_bears_its_writers_name(self, name: str, text: str) -> None:
        lines = plain_lines(MessageReceived(name, text), Wall(NOW))
        first, _, _ = lines[0].partition("> ")
        self.assertNotIn(" ", first)
        for line in "\n".join(lines).splitlines():
            self.assertTrue(line.startswith(f"{first}> "))
            self.assertFalse(harmful(line))

    @given(NAMES, NAMES, TEXTS)
    def test_room_text_is_harmless_and_unambiguous(self, room: str, name: str, text: str) -> None:
        lines = plain_lines(MessageReceived(name, text, room=room), Wall(NOW))
        place, who, _ = lines[0].split(" ", 2)
        self.assertTrue(place.startswith("#") and who.endswith(">"))
        for line in "\n".join(lines).splitlines():
            self.assertTrue(line.startswith(f"{place} {who} "))
            self.assertFalse(harmful(line))


class JsonTests(SynchronousTestCase):
    def test_an_event_has_its_name_its_time_and_its_fields(self) -> None:
        self.assertEqual(
            json_object(Running("alice", "127.0.0.1", 3000), Wall(1_700_000_000.123456)),
            {
                "event": "running",
                "time": "2023-11-14T22:13:20.123Z",
                "id": "alice",
                "host": "127.0.0.1",
                "port": 3000,
            },
        )

    def test_every_event_has_a_name_of_its_own(self) -> None:
        names = [event.event for event in EVENTS]
        self.assertEqual(len(set(names)), len(names))
        self.assertNotIn("", names)
        for event, _ in SHOWN:
            self.assertEqual(next(iter(json_object(event, Wall(0)))), "event")
            self.assertEqual(json_object(event, Wall(0))["event"], event.event)

    def test_said_is_the_date_and_time_the_moment_of_the_event(self) -> None:
        found = json_object(MessageReceived("bob", "hi", said=Wall(NOW - 1.5)), Wall(NOW))
        self.assertEqual(found["time"], "2001-09-09T01:46:40.000Z")
        self.assertEqual(found["said"], "2001-09-09T01:46:38.500Z")

    def test_from_has_no_underscore(self) -> None:
        found = json_object(MessageReceived("bob", "hi", room="den"), Wall(0))
        self.assertEqual(
            found,
            {
                "event": "message",
                "time": "1970-01-01T00:00:00.000Z",
                "from": "bob",
                "text": "hi",
                "room": "den",
            },
        )

    def test_none_is_left_out_and_false_is_not(self) -> None:
        found = json_object(SessionChanged("bob", "open", encrypted=False, turn="mine"), Wall(0))
        self.assertEqual(list(found), ["event", "time", "id", "state", "encrypted", "turn"])
        self.assertIs(found["encrypted"], False)

    def test_bridge_without_a_peer_is_nulls(self) -> None:
        found = json_object(Bridged(None, None, None), Wall(0))
        self.assertEqual(
            [found[key] for key in ("id", "host", "port", "key")], [None, None, None, None]
        )

    def test_an_answer_is_its_data_beside_its_command(self) -> None:
        found = json_object(CommandOutput("id", ("alice",), {"id": "alice"}), Wall(0))
        self.assertEqual(list(found), ["event", "time", "command", "id"])
        self.assertEqual((found["command"], found["id"]), ("id", "alice"))

    def test_data_cannot_replace_common_fields(self) -> None:
        data = {"event": "message", "time": "never", "command": "x", "more": 1}
        found = json_object(CommandOutput("who", (), data), Wall(0))
        self.assertEqual((found["event"], found["command"]), ("answer", "who"))
        self.assertTrue(str(found["time"]).startswith("1970"))
        self.assertEqual(found["more"], 1)

    def test_every_event_can_be_written_as_json(self) -> None:
        for event, _ in SHOWN:
            self.assertEqual(
                json.loads(json.dumps(json_object(event, Wall(0))))["event"], event.event
            )

    @given(TEXTS)
    def test_text_is_unchanged(self, text: str) -> None:
        self.assertEqual(json_object(MessageReceived("bob", text), Wall(0))["text"], text)
