"""Test that any JSON object becomes an event, and that each event of the client becomes the right one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.api import events
from chatproto.api.asking import (
    WAIT,
    WELL,
    Asker,
    Fields,
    Form,
    Outcome,
    Result,
    Sending,
    refusal,
    sending,
)
from chatproto.api.events import READERS, Event, OtherEvent, parse
from chatproto.client import events as told
from chatproto.net.clock import EPOCH, Wall
from chatproto.transfer.state import TransferState
from chatproto.ui.references import ENDS
from chatproto.ui.view import json_object
from chatproto.wire.reasons import Cause, Reason

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = (
    *(
        "id",
        "from",
        "to",
        "room",
        "text",
        "state",
        "change",
        "size",
        "offset",
        "name",
        "code",
        "ask",
    ),
    *("own", "members", "status", "port", "history", "kind", "files", "reason", "server", "left"),
)
FIELDS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=12)


class Recorder(Asker):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.forms: list[Form] = []

    async def ask(
        self,
        form: Form,
        read: Callable[[Outcome], Result],
        wait: float | None = WAIT,
        progress: Callable[[Fields], object] | None = None,
    ) -> Result:
        self.forms.append(form)
        return read(Outcome())

    async def settled(self) -> None: ...


def of(event: told.Event) -> Event:
    """The event as a program receives it, by way of JSON."""
    return parse(json.loads(json.dumps(json_object(event, EPOCH), default=str)))


class ParseTests(SynchronousTestCase):
    """Objects of the JSON interface become frozen values."""

    @given(st.sampled_from([*READERS, "new"]) | JSON, FIELDS)
    def test_any_object_is_an_event_with_all_its_fields(
        self, name: object, more: dict[str, Any]
    ) -> None:
        fields = {**more, "event": name}
        event = parse(fields)
        self.assertIsInstance(event, Event)
        self.assertIs(event.fields, fields)
        self.assertIsInstance(hash(event), int)

    @given(st.dictionaries(st.text(), JSON))
    def test_unknown_event_keeps_its_fields(self, fields: dict[str, Any]) -> None:
        self.assertIsInstance(parse({**fields, "event": "from-tomorrow"}), OtherEvent)

    @given(st.sampled_from(sorted(READERS)))
    def test_an_event_without_its_fields_is_another_one(self, name: str) -> None:
        self.assertEqual(parse({"event": name}), OtherEvent(name))

    def test_messages(self) -> None:
        self.assertEqual(
            of(told.MessageReceived("bob", "hi", 3, said=Wall(0))),
            events.Message("bob", "hi", None, 3, "1970-01-01T00:00:00.000Z"),
        )
        self.assertEqual(
            of(told.MessageReceived("bob", "hi", "a1", room="#tea", history=True)),
            events.Message("bob", "hi", "#tea", "a1", past=True),
        )
        self.assertEqual(of(told.Sent("hi", 4, "bob")), events.Sent("bob", "hi", 4))
        self.assertEqual(of(told.Sent("hi", "x", room="#tea")), events.Sent("#tea", "hi", "x"))
        self.assertEqual(of(told.Delivered("bob", 4)), events.Delivered("bob", 4))
        self.assertEqual(of(told.Uncertain("bob", None)), events.Unconfirmed("bob"))
        self.assertEqual(
            of(told.Undelivered("bob", Cause(Reason.EXPIRED), 4)).fields["code"], "expired"
        )

    def test_calls(self) -> None:
        call = told.IncomingCallEvent("bob", "192.0.2.1", 3000, True, True, "sha256:x", True)
        self.assertEqual(
            of(call), events.Incoming("bob", "192.0.2.1", 3000, True, True, "sha256:x", True)
        )
        closed = told.SessionChanged("bob", "closed", reason="they left", code=Reason.PEER_LEFT)
        self.assertEqual(
            of(closed),
            events.SessionChanged("bob", "closed", code="peer-left", reason="they left"),
        )
        self.assertEqual(of(told.Bye("bob")), events.Bye("bob"))

    def test_files(self) -> None:
        offered = told.FileChanged(7, "a.txt", "offered", 0, 100, from_="bob", files=2, ask=True)
        self.assertEqual(of(offered), events.FileOffered(7, "bob", "a.txt", 100, 2))
        moving = told.FileChanged(7, "a.txt", "receiving", 50, 100, from_="bob", left=1.5)
        self.assertEqual(
            of(moving), events.FileChanged(7, "a.txt", "receiving", 50, 100, "bob", left=1.5)
        )

    def test_rooms(self) -> None:
        joined = told.RoomChanged("#tea", "joined", "me", members=("me", "bob"), own=True)
        self.assertEqual(of(joined), events.Joined("#tea", "me", True, ("me", "bob")))
        kicked = told.RoomChanged("#tea", "kicked", "bob", by="alice", reason="noise")
        self.assertEqual(of(kicked), events.Left("#tea", "bob", False, "alice", "noise"))
        invited = told.RoomChanged("#tea", "invited", "me", by="bob", own=True)
        self.assertEqual(of(invited), events.Invited("#tea", "bob"))
        topic = told.RoomChanged("#tea", "topic", "bob", text="oolong")
        self.assertEqual(of(topic), events.RoomChanged("#tea", "topic", "bob", text="oolong"))

    def test_the_rest(self) -> None:
        self.assertEqual(
            of(told.PresenceChanged("bob", "online", "tea")), events.Presence("bob", True, "tea")
        )
        self.assertEqual(
            of(told.Registered("h:1", 60, "sha256:x", True)),
            events.Registered("h:1", "sha256:x", True),
        )
        self.assertEqual(
            of(told.Failed("no", 404, "chat", code=Reason.NOT_FOUND)),
            events.Failed("not-found", "no", 404, "chat"),
        )
        self.assertEqual(
            of(told.Running("bob", "192.0.2.7", 5556, "sha256:x")),
            events.Running("bob", "192.0.2.7", 5556, "sha256:x"),
        )
        self.assertEqual(of(told.Exited(2)), events.Exited(2))
        self.assertEqual(of(told.CommandOutput("id")), OtherEvent("answer"))

    def test_events_cannot_be_changed(self) -> None:
        event: Any = events.Bye("bob")
        with self.assertRaises(FrozenInstanceError):
            event.id = "alice"


class ActTests(SynchronousTestCase):
    """Events answer through the client that told them."""

    def event(self, **fields: object) -> tuple[Recorder, Any]:
        asker = Recorder()
        return asker, cast(Any, parse(fields, asker))

    def test_reply_goes_to_the_room_or_peer_of_the_message(self) -> None:
        asker, message = self.event(event="message", **{"from": "bob"}, text="hi", room="#tea")
        asyncio.run(message.reply("HI"))
        self.assertEqual(asker.forms, [{"do": "msg", "to": "#tea", "text": "HI"}])
        asker, message = self.event(event="message", **{"from": "bob"}, text="hi")
        asyncio.run(message.reply("HI"))
        self.assertEqual(asker.forms, [{"do": "msg", "to": "bob", "text": "HI"}])

    def test_calls_files_and_invitations_are_answered(self) -> None:
        asker, call = self.event(event="incoming", id="bob", ask=True)
        asyncio.run(call.accept())
        asyncio.run(call.decline())
        self.assertEqual(
            asker.forms, [{"do": "accept", "id": "bob"}, {"do": "decline", "id": "bob"}]
        )
        asker, offer = self.event(event="file", **{"from": "bob"}, id=3, name="a", size=1, ask=True)
        asyncio.run(offer.accept())
        asyncio.run(offer.accept(folder="/srv/in"))
        asyncio.run(offer.accept(folder=Path("in")))
        asyncio.run(offer.decline())
        self.assertEqual(
            asker.forms,
            [
                {"do": "accept", "id": 3},
                {"do": "accept", "id": 3, "folder": "/srv/in"},
                {"do": "accept", "id": 3, "folder": str(Path.cwd() / "in")},
                {"do": "decline", "id": 3},
            ],
        )
        asker, invitation = self.event(event="room", room="#tea", change="invited", own=True)
        asyncio.run(invitation.accept())
        self.assertEqual(asker.forms, [{"do": "join", "room": "#tea"}])

    def test_a_call_that_was_taken_already_needs_no_answer(self) -> None:
        asker, call = self.event(event="incoming", id="bob")
        asyncio.run(call.accept())
        self.assertEqual(asker.forms, [])

    def test_an_event_without_a_client_says_so(self) -> None:
        with self.assertRaises(ValueError):
            events.Message("bob", "hi").reply("no")


class PageTests(SynchronousTestCase):
    def test_the_page_has_the_fields_of_each_event(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
        for kind in Event.__subclasses__():
            names = [one.name for one in fields(kind) if one.name not in ("fields", "_asker")]
            row = f"| `{kind.__name__}` | {', '.join(f'`{name}`' for name in names)} |"
            self.assertIn(row, page)
        for state in TransferState:
            self.assertIn(f"`{state.value}`", page)


class RefusalTests(SynchronousTestCase):
    """The event that ends a request is a success or an error with a code."""

    @given(FIELDS)
    def test_any_done_event_is_success_or_refusal(self, more: dict[str, Any]) -> None:
        error = refusal({**more, "event": "done"})
        self.assertTrue(error is not None or more["code"] in WELL)
        if error is not None:
            self.assertIn(error.code, str(error))

    def test_a_refusal_has_the_code_the_status_and_the_sentence(self) -> None:
        error = refusal({"event": "done", "code": "refused", "status": 403, "text": "no entry"})
        assert error is not None
        self.assertEqual((error.code, error.status, error.text), ("refused", 403, "no entry"))

    def test_every_good_end_of_a_command_is_none(self) -> None:
        good = {code for ends in ENDS.values() for code in ends} - {"uncertain"}
        for code in ["ok", *good]:
            self.assertIsNone(refusal({"event": "done", "code": code}))
        self.assertIsNotNone(refusal({"event": "done", "code": "uncertain"}))

    def test_a_message_is_queued_or_delivered(self) -> None:
        notice = {"event": "notice", "to": "bob", "id": 3}
        read = sending("bob")
        self.assertEqual(read(Outcome("queued", {"notice": notice})), Sending("bob", True, 3))
        self.assertEqual(read(Outcome("delivered", {"sent": {"id": 3}})), Sending("bob", False, 3))
        self.assertEqual(read(Outcome("sent")), Sending("bob"))
