"""The one-shot commands: which commands follow which events, and with which code they end."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.oneshot import Over, SendText, Step, Work
from chatproto.ui.oneshot_files import ListRegistered, Receive, SendFiles
from chatproto.ui.values import Values
from chatproto.wire.reasons import HAS_NO_KEY, Reason
from tests.limits import DEFAULTS

AWAY = "bob is away: you will be told when they come"


def event(name: str, /, **fields: Any) -> dict[str, Any]:
    return {"event": name, **{key.rstrip("_"): value for key, value in fields.items()}}


def who(*states: str, id: str = "bob") -> dict[str, Any]:
    found = [{"id": id, "state": state} for state in states]
    return event("answer", command="who", conversations=found)


def session(state: str, **more: Any) -> dict[str, Any]:
    return event("session", id="bob", state=state, **more)


CODES = {
    AWAY: "away",
    **{one.sentence: one.code for one in Reason if one.status is not None},
    Reason.NOT_ANSWERED.sentence: "not-answered",
}


def coded(sentence: str) -> dict[str, str]:
    """The code that stands beside `sentence`."""
    found = [code for begin, code in CODES.items() if sentence.startswith(begin)]
    return {"code": found[0] if found else "unreachable"}


def own(name: str, /, **fields: Any) -> dict[str, Any]:
    """An event of our `msg`."""
    return event(name, ref=3, **fields)


def over(code: str, text: str = "") -> dict[str, Any]:
    """The end of our `msg`."""
    return event("done", command="msg", code=code, text=text)


def unreached(reason: str, **code: str) -> dict[str, Any]:
    return event("error", command="chat", id="bob", text=reason, **(code or coded(reason)))


def do(name: str, **values: Any) -> dict[str, Any]:
    return {"do": name, **values}


class WorkTests(SynchronousTestCase):
    def feed(self, work: Work, *events: dict[str, Any]) -> list[Values]:
        """The commands, until it is over; `self.over` is the end."""
        self.over: Over | None = None
        self.lines: list[str] = []
        commands: list[Values] = []
        step = work.begin()
        for one in (None, *events):
            if one is not None:
                self.assertIsNone(self.over, f"over before {one}")
                step = work.heard(one)
            commands += step.commands
            self.lines += step.lines
            self.over = step.over
        return commands

    def ends(self, work: Work, code: int, *events: dict[str, Any]) -> str:
        """Check that the work ends after the last event with `code`; return its sentence."""
        self.feed(work, *events)
        assert self.over is not None, "it is not over"
        self.assertEqual(self.over.code, code, self.over.sentence)
        self.assertEqual(bool(self.over.sentence), code != 0)
        return self.over.sentence


class SendTextTests(WorkTests):
    def test_uses_an_open_conversation(self) -> None:
        work = SendText("bob", "hi")
        said = [who("open"), own("sent", to="bob", id=7, text="hi")]
        self.assertEqual(
            self.feed(work, *said), [do("who", id="bob"), do("msg", to="bob", text="hi")]
        )
        self.assertIsNone(work.heard(own("delivered", to="bob", id=7)).over)
        self.assertEqual(work.heard(over("delivered")).over, Over(0))

    def test_calls_without_a_conversation(self) -> None:
        for found in (who(), who("ringing"), who("open", id="carol")):
            commands = self.feed(SendText("bob", "hi"), found)
            self.assertEqual(
                commands,
                [do("who", id="bob"), do("chat", to="bob"), do("msg", to="bob", text="hi")],
            )
        for found in (who("calling"), who("broken")):
            self.assertEqual(
                self.feed(SendText("bob", "hi"), found),
                [do("who", id="bob"), do("msg", to="bob", text="hi")],
            )

    @given(st.text(min_size=1))
    def test_text_is_unchanged(self, text: str) -> None:
        command = SendText("bob", text).heard(who("open")).commands[0]
        self.assertEqual(json.loads(json.dumps(command)), do("msg", to="bob", text=text))

    def test_messages_of_others_are_ignored(self) -> None:
        work = SendText("bob", "hi")
        others = [
            event("sent", to="bob", id=6, text="hi"),
            event("notice", to="bob", id=6, text=""),
            event("sent", to="carol", id=7, text="hi"),
            event("delivered", to="bob", id=6),
            event(
                "undelivered",
                to="bob",
                id=6,
                text="other",
                reason="cancelled with /unsend",
                code="taken-back",
            ),
            event(
                "undelivered",
                to="carol",
                text="hi",
                reason="not found",
                **coded("not found"),
            ),
        ]
        self.feed(work, who("open"), own("sent", to="bob", id=8, text="hi"), *others)
        self.assertIsNone(self.over)
        self.ends(SendText("bob", "hi"), 0, who("open"), *others, over("delivered"))

    def test_plain_text_ends_with_sent(self) -> None:
        self.ends(
            SendText("bob", "hi"), 0, who("open"), own("sent", to="bob", text="hi"), over("sent")
        )

    def test_text_out_of_turn_is_queued(self) -> None:
        theirs = session("open", turn="theirs")
        kept = own("notice", to="bob", id=4, turn=True, text="queued until it is your turn")
        row = {"id": "bob", "state": "open", "turn": "theirs"}
        talks = event("answer", command="who", conversations=[row])
        for events in (
            (talks, kept, over("queued")),
            (who("calling"), kept, over("queued"), theirs),
        ):
            self.assertIn("passes the turn", self.ends(SendText("bob", "hi"), 4, *events))
        work = SendText("bob", "hi", patient=True)
        self.feed(work, talks, kept, over("queued"))
        self.assertIsNone(self.over)
        self.assertIn("pass the turn", work.doing(talks))
        self.assertIsNone(work.heard(session("open", turn="mine")).over)
        self.assertEqual(work.doing(who("open")), "")
        work.heard(own("sent", to="bob", id=4, text="hi"))
        self.assertIsNone(work.heard(theirs).over)  # passed by what we said ourselves
        self.assertEqual(work.heard(own("delivered", to="bob", id=4)).over, Over(0))

    def test_unknown_peer_is_not_kept(self) -> None:
        gone = own(
            "undelivered",
            to="bob",
            text="hi",
            reason="not found",
            **coded("not found"),
        )
        self.assertIn(
            'knows no "bob"', self.ends(SendText("bob", "hi"), 3, who(), gone, over(gone["code"]))
        )

    def test_a_peer_without_a_key_is_explained_without_commands_of_the_screen(self) -> None:
        gone = own("undelivered", to="bob", text="hi", code="no-key", reason=HAS_NO_KEY(peer="bob"))
        told = self.ends(SendText("bob", "hi"), 5, who(), gone, over("no-key"))
        self.assertIn("--open", told)
        self.assertNotIn("/chat", told)

    def test_unknown_peer_that_declines(self) -> None:
        gone = own("undelivered", to="bob", text="hi", reason="declined", **coded("declined"))
        self.assertIn(
            "declined", self.ends(SendText("bob", "hi"), 3, who(), gone, over(gone["code"]))
        )

    def test_declined_text_does_not_stay_in_the_outbox(self) -> None:
        kept = own("notice", to="bob", id=4, text="message 4 is queued for bob")
        commands = self.feed(
            SendText("bob", "hi"),
            who(),
            kept,
            over("queued"),
            session("closed", reason="declined", code="declined"),
        )
        self.assertEqual(commands[-1], do("unsend", id=4, to="bob"))
        self.assertEqual(self.over and self.over.code, 3)

    def test_text_is_kept_for_a_contact_that_is_away(self) -> None:
        kept = own("notice", to="bob", id=4, text="message 4 is queued for bob")
        for events in (
            (kept, over("queued"), unreached(AWAY)),
            (unreached(AWAY), kept, over("queued")),
        ):
            self.assertIn("queued until", self.ends(SendText("bob", "hi"), 4, who(), *events))

    def test_with_timeout_it_waits_for_delivery(self) -> None:
        kept = own("notice", to="bob", id=4, text="message 4 is queued for bob")
        came = event("presence", id="bob", status="online")
        arrived = own("delivered", to="bob", id=4)
        work = SendText("bob", "hi", patient=True)
        commands = self.feed(work, who(), kept, over("queued"), unreached(AWAY), came, arrived)
        self.assertEqual(
            (commands, self.over),
            ([do("who", id="bob"), do("chat", to="bob"), do("msg", to="bob", text="hi")], Over(0)),
        )

    def test_unknown_peer_that_is_away(self) -> None:
        gone = own("undelivered", to="bob", text="hi", reason=AWAY, **coded(AWAY))
        self.assertIn("away", self.ends(SendText("bob", "hi"), 5, who(), gone, over(gone["code"])))

    def test_with_timeout_it_sends_again_when_the_peer_is_back(self) -> None:
        gone = own("undelivered", to="bob", text="hi", reason=AWAY, **coded(AWAY))
        came = event("presence", id="bob", status="online")
        work = SendText("bob", "hi", patient=True)
        commands = self.feed(work, who(), gone, over("away"), unreached(AWAY), came)
        self.assertEqual(commands[-2:], [do("chat", to="bob"), do("msg", to="bob", text="hi")])
        self.assertIsNone(self.over)

    def test_a_refusal_for_now_is_waited_for_and_tried_again(self) -> None:
        gone = own(
            "undelivered",
            to="bob",
            text="hi",
            reason="too many requests in a short time: try again in 7 s",
            **coded("too many requests in a short time: try again in 7 s"),
        )
        refused = event(
            "error",
            command="chat",
            id="bob",
            text="too many requests in a short time",
            **coded("too many requests in a short time"),
            retry_after=7,
        )
        work = SendText("bob", "hi")
        self.feed(work, who(), gone, over(gone["code"]))
        self.assertIsNone(self.over)
        step = work.heard(refused)
        self.assertEqual((step.wait, step.over), (7, None))
        self.assertIn("retrying in 7 s", step.notes[0])
        self.assertEqual(work.heard(refused), Step())  # the same one is not waited for twice
        step = work.again()
        self.assertEqual(step.commands, (do("chat", to="bob"), do("msg", to="bob", text="hi")))

    def test_queued_text_causes_a_call_and_is_not_repeated(self) -> None:
        kept = own("notice", to="bob", id=4, text="message 4 is queued for bob")
        refused = event(
            "error",
            command="chat",
            id="bob",
            text="not available at the moment",
            **coded("not available at the moment"),
        )
        for events in ((kept, over("queued"), refused), (refused, kept, over("queued"))):
            work = SendText("bob", "hi")
            self.feed(work, who(), *events)
            self.assertIsNone(self.over)
            self.assertEqual(work.again().commands, (do("chat", to="bob"),))
            self.assertEqual(work.heard(own("delivered", to="bob", id=4)).over, Over(0))

    def test_refusals_for_now_are_waited_for_so_long_in_all(self) -> None:
        refused = event(
            "error",
            command="chat",
            id="bob",
            text="too many requests in a short time",
            **coded("too many requests in a short time"),
            retry_after=40,
        )
        work = SendFiles("bob", ["/a"])
        self.feed(work, who())
        waited = 0.0
        for _ in range(3):
            waited += work.heard(refused).wait or 0
            work.again()
        self.assertEqual(waited, 120)
        over = work.heard(refused).over
        assert over is not None
        self.assertEqual(over.code, 5)
        patient = SendFiles("bob", ["/a"], patient=True)
        self.feed(patient, who())
        for _ in range(30):  # --timeout ends it
            self.assertEqual(patient.heard(refused).wait, 40)
            patient.again()

    def test_answer_to_another_who_is_ignored(self) -> None:
        for work in (SendText("bob", "hi"), SendFiles("bob", ["/a"])):
            self.feed(work, who())
            self.assertEqual(work.heard(who()), Step())

    def test_target_change_does_not_end_a_call(self) -> None:
        away = "bob is away: you will be told when they come"
        for work in (SendFiles("bob", ["/a"], patient=True), SendText("bob", "x", patient=True)):
            refused = event("error", command="chat", id="bob", text=away, **coded(away))
            self.feed(work, who(), refused, session("closed", current=True))
            self.assertIsNone(self.over)

    def test_the_wait_is_reported(self) -> None:
        for work in (
            SendText("bob", "hi"),
            SendFiles("bob", ["/a"]),
        ):
            self.feed(work, who())
            self.assertEqual(work.doing(who("calling")), "calling bob …")
            self.assertIn("waiting for bob", work.doing(who("asking")))
            self.assertEqual(work.doing(who("asking", id="carol")), "")
            work.heard(session("open"))
            self.assertEqual(work.doing(who("open")), "")

    def test_unreachable_peer_without_outbox_fails(self) -> None:
        nobody = event("error", command="msg", text='no conversation with "bob"')
        gone = [unreached("connection refused"), nobody, over("not-found", nobody["text"])]
        self.assertIn("refused", self.ends(SendText("bob", "hi"), 5, who(), *gone))

    def test_full_queue_fails(self) -> None:
        many = event("error", command="msg", text="500 messages wait already")
        end = over("too-many", many["text"])
        self.assertIn("500", self.ends(SendText("bob", "hi"), 5, who("open"), many, end))

    def test_unconfirmed_text_fails(self) -> None:
        sent = own("sent", to="bob", id=7, text="hi")
        self.ends(SendText("bob", "hi"), 5, who("open"), sent, over("uncertain"))
        back = own(
            "undelivered", to="bob", id=7, reason="cancelled with /unsend", code="taken-back"
        )
        self.assertIn(
            "cancelled",
            self.ends(SendText("bob", "hi"), 5, who("open"), sent, over("queued"), back),
        )

    def test_text_kept_at_the_timeout(self) -> None:
        work = SendText("bob", "hi")
        self.assertEqual(work.stopped("late", goes_on=True).code, 5)
        work.heard(who())
        self.assertEqual(work.stopped("late", goes_on=True).code, 4)  # their client may still ring
        self.assertEqual(work.stopped("late", goes_on=False).code, 5)
        work.heard(own("notice", to="bob", id=4, text=""))
        self.assertEqual(work.stopped("late", goes_on=False).code, 4)


def file(path: str, state: str, **more: Any) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    return event("file", id=1, name=name, state=state, path=path, to="bob", **more)


def listed(*files: dict[str, Any]) -> dict[str, Any]:
    return event("answer", command="files", files=list(files))


class SendFilesTests(WorkTests):
    def test_are_offered_as_soon_as_there_is_a_conversation(self) -> None:
        work = SendFiles("bob", ["/a b", "/c"])
        commands = self.feed(work, who(), session("calling"), session("open"), listed())
        self.assertEqual(
            commands,
            [
                do("who", id="bob"),
                do("chat", to="bob"),
                do("files"),
                do("send", to="bob", paths=["/a b", "/c"]),
            ],
        )
        commands = self.feed(SendFiles("bob", ["/a"]), who("open"), listed())
        self.assertEqual(
            commands, [do("who", id="bob"), do("files"), do("send", to="bob", paths=["/a"])]
        )

    def test_file_in_progress_is_not_sent_twice(self) -> None:
        known = {"id": 4, "path": "/a", "to": "bob", "state": "broken"}
        commands = self.feed(SendFiles("bob", ["/a", "/b"]), who("open"), listed(known))
        self.assertEqual(commands[-1], do("send", to="bob", paths=["/b"]))
        commands = self.feed(SendFiles("bob", ["/a"]), who("open"), listed(known))
        self.assertEqual((commands[-1], self.over), (do("files"), None))
        self.ends(SendFiles("bob", ["/a"]), 4, who("open"), listed(known | {"state": "stalled"}))
        others = {"id": 4, "path": "/a", "to": "carol", "state": "moving"}
        commands = self.feed(SendFiles("bob", ["/a"]), who("open"), listed(others))
        self.assertEqual(commands[-1], do("send", to="bob", paths=["/a"]))

    @given(st.lists(st.text("ab '\"\\\n\u00e9", min_size=1, max_size=4000), unique=True))
    def test_every_path_is_sent_once_in_lines_that_are_not_too_long(self, names: list[str]) -> None:
        paths = [f"/{name}" for name in names]
        commands = self.feed(SendFiles("bob", paths), who("open"), listed())
        sent = [command for command in commands if command["do"] == "send"]
        self.assertEqual([path for one in sent for path in one["paths"]], paths)
        lines = [len(json.dumps(one)) for one in sent]
        self.assertLess(max(lines, default=0), DEFAULTS.control_line)

    def test_over_when_all_are_whole(self) -> None:
        opened = [who("open"), listed()]
        steps = [file("/a", "moving"), file("/b", "done"), file("/a", "broken"), file("/a", "done")]
        self.ends(SendFiles("bob", ["/a", "/b"]), 0, *opened, *steps)

    def test_progress_ends_nothing(self) -> None:
        work = SendFiles("bob", ["/a"])
        self.feed(work, who("open"), listed(), file("/a", "moving", progress=True))
        self.assertIsNone(self.over)
        self.assertTrue(work.concerns(file("/a", "moving", progress=True)))
        self.assertFalse(work.concerns(file("/b", "moving", progress=True)))

    def test_each_end_has_its_code(self) -> None:
        for state, code in (("declined", 3), ("cancelled", 5), ("failed", 5), ("stalled", 4)):
            said = self.ends(
                SendFiles("bob", ["/a", "/b"]), code, who("open"), listed(),
                file("/b", "done"), file("/a", state, reason="why"),
            )  # fmt: skip
            self.assertIn("a", said)
            self.assertIn("why", said)

    def test_file_that_cannot_be_offered_has_failed(self) -> None:
        wrong = event("error", command="send", path="/a", text="cannot read /a: Permission denied")
        said = self.ends(SendFiles("bob", ["/a"]), 5, who("open"), listed(), wrong)
        self.assertIn("Permission", said)
        others = event(
            "error", command="send", path="/ab", text="cannot read /ab: Permission denied"
        )
        self.feed(SendFiles("bob", ["/a"]), who("open"), listed(), others)
        self.assertIsNone(self.over)

    def test_unreachable_peer(self) -> None:
        for reason, code in (("declined", 3), ("not found", 3), (AWAY, 5),
                             ("no answer", 5), ("connection refused", 5)):  # fmt: skip
            self.ends(SendFiles("bob", ["/a"]), code, who(), unreached(reason))

    def test_with_timeout_it_waits_for_the_peer(self) -> None:
        came = event("presence", id="bob", status="online")
        work = SendFiles("bob", ["/a"], patient=True)
        self.assertEqual(self.feed(work, who(), unreached(AWAY), came)[-1], do("chat", to="bob"))
        self.assertIsNone(self.over)

    def test_peer_leaves_halfway(self) -> None:
        begun = [who("open"), listed(), file("/a", "done"), file("/b", "moving")]
        said = self.ends(
            SendFiles("bob", ["/a", "/b"]), 4, *begun, session("closed", code="peer-left")
        )
        self.assertIn("1 of 2", said)

    def test_timeout_ends_the_command(self) -> None:
        work = SendFiles("bob", ["/a"])
        self.assertEqual(work.stopped("late", goes_on=True).code, 5)
        work.heard(who("open"))
        work.heard(listed())
        work.heard(file("/a", "moving"))
        self.assertEqual(work.stopped("late", goes_on=True).code, 4)


def offered(sender: str, state: str = "offered", **more: Any) -> dict[str, Any]:
    return event("file", id=3, name="a", state=state, from_=sender, **more)


class ReceiveTests(WorkTests):
    def test_accepts_offers_and_prints_paths(self) -> None:
        incoming = event("incoming", id="bob", ask=True, confirmed=True)
        work = Receive(count=2)
        done = offered("bob", "done", path="/d/a")
        commands = self.feed(work, who(), listed(), incoming, offered("bob", ask=True), done, done)
        self.assertEqual(
            commands, [do("who"), do("files"), do("accept", id="bob"), do("accept", id=3)]
        )
        self.assertEqual((self.lines, self.over), (["/d/a", "/d/a"], Over(0)))

    def test_accepts_earlier_offers(self) -> None:
        waits = [
            {"id": 5, "from": "bob", "state": "offered"},
            {"id": 6, "from": "bob", "state": "moving"},
            {"id": 7, "to": "bob", "state": "offered"},
            {"id": 8, "from": "eve?", "state": "offered"},
        ]
        commands = self.feed(Receive(), who("ringing"), listed(*waits))
        self.assertEqual(commands[2:], [do("accept", id="bob"), do("accept", id=5)])

    def test_accepts_nothing_from_others_or_unconfirmed_peers(self) -> None:
        strangers = [
            who("ringing", id="bob?"),
            event("incoming", id="bob", ask=True, confirmed=False),
            offered("bob?", ask=True),
            offered("bob?", "done", path="/d/a"),
        ]
        self.assertEqual(self.feed(Receive(count=1), *strangers), [do("who"), do("files")])
        others = [who("ringing", id="eve"), offered("eve", ask=True)]
        self.assertEqual(self.feed(Receive("bob", 1), *others), [do("who", id="bob"), do("files")])
        self.assertIsNone(self.over)

    def test_continues_after_a_failed_file(self) -> None:
        work = Receive()
        self.assertEqual(work.heard(offered("bob", "failed", reason="x")).notes, ("a: failed (x)",))
        self.assertEqual(work.heard(offered("bob", "cancelled")).over, None)
        self.assertEqual(work.stopped("late", goes_on=False).code, 4)
        work.heard(offered("bob", "done", path="/d/a"))
        self.assertEqual(work.stopped("late", goes_on=False), Over(0))

    def test_a_full_disk_ends_it_where_it_would_end(self) -> None:
        full = offered("bob", "stalled", reason="no space left")
        self.assertIn("no space", self.ends(Receive(count=1), 4, full))
        self.feed(Receive(), full)
        self.assertIsNone(self.over)


class InfoTests(WorkTests):
    def test_prints_the_requested_clients(self) -> None:
        found = [
            {"id": "bob", "host": "127.0.0.1", "port": 5, "key": None},
            {"id": "carol", "host": "::1", "port": 6, "key": None},
        ]
        contacts = event("contacts", list=found)
        self.assertEqual(self.feed(ListRegistered(), contacts), [do("info", prefix="")])
        self.assertEqual(self.lines, ["bob 127.0.0.1:5", "carol [::1]:6"])
        self.assertEqual(self.feed(ListRegistered("c"), contacts), [do("info", prefix="c")])
        self.assertEqual((self.lines, self.over), (["carol [::1]:6"], Over(0)))

    def test_unreachable_server_fails(self) -> None:
        gone = event("error", command="info", text="no connection")
        work = ListRegistered()
        self.feed(work)
        for _ in range(2):  # the next of several may be
            self.assertEqual(work.heard(gone).wait, 0.5)
            self.assertEqual(work.again(), work.begin())
        self.assertEqual(work.heard(gone).over, Over(5, "no connection"))

    def test_busy_server_is_asked_again_later(self) -> None:
        busy = event(
            "error", command="info", text="too many requests in a short time", retry_after=12
        )
        work = ListRegistered()
        self.feed(work)
        for _ in range(5):
            step = work.heard(busy)
            self.assertEqual((step.wait, step.over), (12, None))
            self.assertIn("retrying in 12 s", step.notes[0])
        self.assertEqual(work.again(), work.begin())

    def test_a_server_that_refuses(self) -> None:
        refused = event(
            "error", command="register", text="refused: its key sha256:B is not the one"
        )
        self.assertIn("its key", self.ends(ListRegistered(), 3, refused))
