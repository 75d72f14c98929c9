"""Commands with a reference: every event of theirs carries it, and each has one end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from chatproto.net.clock import Wall
from chatproto.ui import references
from chatproto.ui.references import References
from chatproto.ui.view import json_object
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Offer
from misc import json_reference
from tests.client import plain_program
from tests.client.keyed_program import BOB, BOB_HOST, IDENTITIES, SERVER_HOST, Case, key_of
from tests.client.rooms import room_ends
from tests.client.tls_net import TlsNet
from tests.limits import DEFAULTS


def pass_over_given_up(net: TlsNet) -> None:
    """Have the next dial be one that is under way."""
    while net.connectors[net.answered].stoppedConnecting:
        net.answered += 1


class Asking:
    """A front end in JSON, and what was written to it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.written: list[dict[str, Any]] = []
        self.references = References(self._write)
        client.context.publish.listen(self.tell)

    def _write(self, event: Any, marks: Any) -> None:
        self.written.append(json_object(event, Wall(0.0), marks))

    def tell(self, event: Any) -> None:
        if event.event == "exit":
            self.references.stop()
        self._write(event, self.references.of_current(event))

    def ask(self, do: str, ref: Any, **values: Any) -> None:
        shown = self.references.run_line({"ref": ref, "do": do, **values}, self.client)
        if shown is not None:
            self._write(shown, {})

    def ends_of(self, refs: list[int]) -> list[int]:
        """The number of ends of each."""
        return [sum(one.startswith("done") for one in self.of(ref)) for ref in refs]

    def of(self, ref: Any) -> list[str]:
        """The events with that reference; an end with its code."""
        return [
            f"done {one['code']}" if one.get("done") else one["event"]
            for one in self.written
            if one.get("ref") == ref
        ]


class MessageTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.script = Asking(self.node.client)

    def test_message_ends_when_the_peer_has_stored_it(self) -> None:
        bob = self.talking()
        self.script.ask("msg", 7, text="hi")
        self.assertEqual(self.script.of(7), ["sent"])
        self.net.settle()
        self.assertEqual(bob.texts, ["hi"])
        self.assertEqual(self.script.of(7), ["sent", "delivered", "done delivered"])

    def test_queued_message_ends_and_keeps_its_reference(self) -> None:
        self.script.ask("msg", "a", to="bob", text="later")
        self.assertEqual(self.script.of("a"), ["notice", "done queued"])
        self.talking()
        self.net.settle()
        self.assertEqual(self.script.of("a"), ["notice", "done queued", "sent", "delivered"])

    def test_messages_before_the_opening_keep_their_references(self) -> None:
        self.node.chat(BOB)
        self.script.ask("msg", 1, text="one")
        self.script.ask("msg", 2, text="two")
        self.person()
        self.net.settle()
        for ref in (1, 2):
            self.assertEqual(self.script.of(ref)[-1], "done delivered")
        sent = {one["ref"]: one["text"] for one in self.script.written if one["event"] == "sent"}
        self.assertEqual(sent, {1: "one", 2: "two"})

    def test_a_broken_connection_ends_it_as_queued(self) -> None:
        bob = self.talking()
        bob.deaf = True
        self.script.ask("msg", 1, text="hi")
        self.net.settle()
        bob.cut()
        self.net.settle()
        self.assertEqual(self.script.of(1), ["sent", "notice", "done queued"])

    def test_a_refusal_ends_it_with_its_code(self) -> None:
        self.script.ask("msg", 1, to="zoe", text="hi")
        self.assertEqual(self.script.of(1), ["error", "done not-found"])
        error, done = self.script.written[-2:]
        self.assertEqual((error["to"], error["ref"]), ("zoe", 1))
        self.assertEqual((error["command"], done["command"]), ("msg", "msg"))
        self.script.ask("msg", 2, text="")
        self.assertEqual(self.script.of(2), ["error", "done malformed"])
        self.script.ask("nonsense", 3)
        self.assertEqual(self.script.of(3), ["error", "done malformed"])

    def test_a_call_ends_when_it_is_open_or_refused(self) -> None:
        self.script.ask("chat", 1, to=BOB)
        self.person()
        self.net.settle()
        self.assertEqual(self.script.of(1)[-1], "done open")
        self.script.ask("chat", 2, to="10.0.0.99:5000")
        self.net.refuse()
        self.net.wait(60)
        self.assertIn("done connection-refused", self.script.of(2))

    def test_answers_carry_their_reference(self) -> None:
        self.script.ask("id", 1)
        self.script.ask("who", 2)
        self.script.ask("over", 3)
        self.assertEqual(self.script.of(1), ["answer", "done ok"])
        self.assertEqual(self.script.of(2), ["answer", "done ok"])
        self.assertEqual(self.script.of(3)[-1][:5], "done ")

    def test_the_end_of_the_program_ends_all(self) -> None:
        self.node.chat(BOB)
        self.script.ask("msg", 1, text="hi")
        self.script.ask("chat", 2, to="10.0.0.99:5000")
        self.node.interrupted()
        self.node.interrupted()
        self.net.wait(60)
        for ref in (1, 2):
            self.assertEqual(sum(one.startswith("done") for one in self.script.of(ref)), 1)

    def test_reference_can_be_reused_after_its_end(self) -> None:
        self.script.ask("id", 1)
        self.script.ask("id", 1)
        self.assertEqual(self.script.of(1), ["answer", "done ok"] * 2)
        self.node.chat(BOB)
        self.script.ask("msg", 2, text="hi")
        self.script.ask("msg", 2, text="hi again")
        self.assertEqual(self.script.of(2), ["error"])

    def test_invalid_reference_is_refused(self) -> None:
        wrong: tuple[Any, ...] = (
            True,
            1.5,
            [],
            {},
            "x" * (references.LONGEST + 1),
            10**references.LONGEST,
        )
        for ref in wrong:
            self.script.ask("id", ref)
            self.assertEqual(self.script.written[-1]["code"], "malformed")

    def test_no_more_than_the_limit_are_open(self) -> None:
        self.patch(references, "MOST", 2)
        self.node.chat(BOB)
        for ref in (1, 2, 3):
            self.script.ask("msg", ref, text="hi")
        self.assertEqual(self.script.of(3), ["error", "done too-many"])

    def test_files_end_when_each_has_arrived_or_was_declined(self) -> None:
        bob = self.talking()
        paths = [self.home / name for name in ("one.txt", "two.txt")]
        for path in paths:
            path.write_text("text")
        self.script.ask("send", 1, paths=[str(path) for path in paths])
        self.work()
        for offer in bob.heard(Offer):
            self.assertNotIn("done", self.script.of(1)[-1])
            bob.tell(Error(603, about="OFFER", id=offer.id))
            self.work()
        self.assertEqual(self.script.of(1)[-1], "done declined")
        self.assertEqual(len([one for one in self.script.of(1) if one.startswith("done")]), 1)

    def test_a_request_to_cancel_ends_by_itself_and_the_file_with_its_own(self) -> None:
        self.talking()
        (self.home / "one.txt").write_text("text")
        self.script.ask("send", 1, paths=[str(self.home / "one.txt")])
        self.work()
        self.script.ask("cancel", 2, id=self.script.written[-1]["id"])
        self.work()
        self.assertEqual(
            (self.script.of(1)[-1], self.script.of(2)), ("done cancelled", ["done ok"])
        )
        self.node.send([str(self.home / "one.txt")])
        self.work()
        self.script.ask("cancel", 3, id=self.script.written[-1]["id"])
        self.work()
        self.assertEqual(self.script.of(3)[-1], "done ok")

    def test_missing_file_fails(self) -> None:
        self.talking()
        self.script.ask("send", 1, paths=[str(self.home / "missing")])
        self.work()
        self.assertEqual(self.script.of(1), ["error", "done file-trouble"])

    @given(st.lists(st.sampled_from(["msg", "chat", "cut", "open", "wait", "leave"]), max_size=12))
    def test_every_command_has_exactly_one_end(self, steps: list[str]) -> None:
        self.begin()
        self.script = Asking(self.node.client)
        far: list[Any] = []
        for ref, step in enumerate(steps):
            match step:
                case "msg":
                    self.script.ask("msg", ref, to="bob", text=f"text {ref}")
                case "chat":
                    self.script.ask("chat", ref, to=BOB)
                case "open" if self.net.under_way:
                    pass_over_given_up(self.net)
                    far.append(self.person())
                case "cut" if far:
                    far.pop().cut()
                case "wait":
                    self.net.wait(3)
                case "leave" if far:
                    far.pop().leaves()
            self.net.settle()
        self.node.interrupted()
        self.node.interrupted()
        self.net.wait(60)
        asked = [ref for ref, step in enumerate(steps) if step in ("msg", "chat")]
        self.assertEqual(self.script.ends_of(asked), [1] * len(asked))


class TurnTests(Case):
    """Texts that wait for one's own turn, encrypted."""

    def setUp(self) -> None:
        super().setUp()
        self.half()

    def half(self, **changes: Any) -> None:
        """Start the program in half-duplex mode; `changes`: limits."""
        self.begin(replace(DEFAULTS, **changes), half_duplex=True)
        self.script = Asking(self.node.client)

    def test_a_text_out_of_turn_ends_as_queued_at_once_and_is_delivered_later(self) -> None:
        bob = self.talking()
        self.script.ask("msg", 1, text="one")
        self.script.ask("msg", 2, text="two")
        self.assertEqual(self.script.of(2), ["notice", "done queued"])
        notice = self.script.written[-2]
        self.assertEqual((notice["to"], notice["id"], notice["turn"]), (self.name, 2, True))
        self.net.settle()
        bob.says("yes")
        self.net.settle()
        self.assertEqual(self.script.of(2), ["notice", "done queued", "sent", "delivered"])
        self.assertEqual(bob.texts, ["one", "two"])

    @property
    def name(self) -> str:
        (one,) = self.node.client.calls.all
        return str(one.name)

    def test_end_of_the_conversation_reports_queued(self) -> None:
        bob = self.talking()
        for ref in (1, 2, 3):
            self.script.ask("msg", ref, text=f"text {ref}")
        self.net.settle()
        bob.leaves()
        self.net.settle()
        for ref in (2, 3):
            self.assertEqual(self.script.of(ref), ["notice", "done queued", "notice"])
        self.assertEqual(self.kept(), ["text 2", "text 3"])
        bob = self.talking()
        self.net.settle()
        self.assertEqual(self.script.of(2)[3:], ["sent", "delivered"])
        bob.says("yes")
        self.net.settle()
        self.assertEqual(self.script.of(3)[3:], ["notice", "sent", "delivered"])

    def test_message_to_an_unpinned_key_fails_at_the_end(self) -> None:
        self.known = ()
        self.half()
        self.node.chat(BOB)
        eve = self.person("eve", IDENTITIES["eve"])
        for ref in (1, 2):
            self.script.ask("msg", ref, text="text")
        self.net.settle()
        eve.leaves()
        self.net.settle()
        self.assertEqual(self.script.of(2), ["notice", "done queued", "undelivered"])

    def test_message_before_the_opening_waits_for_the_turn(self) -> None:
        self.node.chat(BOB)
        for ref in (1, 2, 3):
            self.script.ask("msg", ref, text=f"text {ref}")
            self.assertEqual(self.script.of(ref), [])
        bob = self.person()
        self.net.settle()
        self.assertEqual(self.script.of(1), ["sent", "delivered", "done delivered"])
        for ref in (2, 3):
            self.assertEqual(self.script.of(ref), ["notice", "done queued"])
        bob.says("yes")
        self.net.settle()
        self.assertEqual(self.script.of(2)[2:], ["sent", "delivered"])
        self.assertEqual(self.script.of(3)[2:], [])

    def test_many_queued_messages_are_reported_as_a_number(self) -> None:
        self.node.chat(BOB)
        for ref in range(10):
            self.script.ask("msg", ref, text=f"text {ref}")
        self.person()
        self.net.settle()
        self.assertEqual(self.script.ends_of(list(range(10))), [1] * 10)
        notices = [one["text"] for one in self.script.written if one["event"] == "notice"]
        self.assertEqual([one.split()[0] for one in notices], ["9"])

    def test_withdrawn_or_resumed_message_keeps_its_reference(self) -> None:
        bob = self.talking()
        for ref in (1, 2, 3):
            self.script.ask("msg", ref, text=f"text {ref}")
        self.net.settle()
        self.script.ask("unsend", 4, id=2)
        self.assertEqual(self.script.of(2), ["notice", "done queued", "undelivered"])
        bob.cut()
        self.net.settle()
        self.assertEqual(self.script.of(3), ["notice", "done queued", "notice"])

    def test_one_that_finds_no_room_ends_as_queued_too(self) -> None:
        self.half(waiting_messages=2)
        bob = self.talking()
        for ref in (1, 2, 3, 4):
            self.script.ask("msg", ref, text=f"text {ref}")
            self.net.settle()
        self.assertEqual(self.script.of(4), ["done queued"])
        for _ in range(3):
            bob.says("yes")
            self.net.settle()
        self.assertEqual(self.script.of(4)[0], "done queued")
        self.assertEqual(self.script.of(4)[-2:], ["sent", "delivered"])
        self.assertEqual(self.script.ends_of([1, 2, 3, 4]), [1] * 4)

    @given(
        st.lists(
            st.sampled_from(
                ["msg", "msg", "chat", "cut", "open", "wait", "leave", "says", "half", "full"]
            ),
            max_size=16,
        )
    )
    def test_every_command_has_exactly_one_end_while_running(self, steps: list[str]) -> None:
        self.half(waiting_messages=3)
        far: list[Any] = []
        asked = []
        for ref, step in enumerate(["chat", "open", *steps]):
            match step:
                case "msg":
                    self.script.ask("msg", ref, to="bob", text=f"text {ref}")
                    asked.append(ref)
                case "chat":
                    self.script.ask("chat", ref, to=BOB)
                    asked.append(ref)
                case "open" if self.net.under_way:
                    pass_over_given_up(self.net)
                    far.append(self.person())
                case "says" if far:
                    far[-1].says("yes")
                case "half" | "full":
                    self.script.ask("mode", ref, mode=step)
                    asked.append(ref)
                case "cut" if far:
                    far.pop().cut()
                case "wait":
                    self.net.wait(3)
                case "leave" if far:
                    far.pop().leaves()
            self.net.settle()
        for _ in range(100):
            if all(self.script.ends_of(asked)):
                break
            while self.net.under_way:
                pass_over_given_up(self.net)
                self.net.refuse()
            self.net.wait(5, 5)
        self.assertEqual(self.script.ends_of(asked), [1] * len(asked))


class PlainTurnTests(plain_program.Case):
    """Texts that wait for one's own turn, in a dialect without numbers."""

    def setUp(self) -> None:
        self.begin(half_duplex=True)
        self.script = Asking(self.node.client)

    def test_a_text_out_of_turn_ends_as_queued_at_once_and_is_sent_later(self) -> None:
        bob = self.talking()
        for ref in (1, 2, 3):
            self.script.ask("msg", ref, text=f"text {ref}")
        self.net.wait(1)
        self.assertEqual(self.script.of(1), ["sent", "session", "done sent"])  # the turn passed
        for ref in (2, 3):
            self.assertEqual(self.script.of(ref), ["notice", "done queued"])
        bob.says(b"yes\r\n")
        self.net.wait(1)
        self.assertEqual(self.script.of(2), ["notice", "done queued", "sent"])
        bob.ends()
        self.net.wait(1)
        self.assertEqual(self.script.of(3), ["notice", "done queued", "undelivered"])

    def test_message_before_the_opening_waits_for_the_turn(self) -> None:
        self.node.chat(plain_program.BOB)
        for ref in (1, 2):
            self.script.ask("msg", ref, text=f"text {ref}")
        self.net.accept()
        self.net.wait(1)
        self.assertEqual(self.script.of(1), ["sent", "done sent"])
        self.assertEqual(self.script.of(2), ["notice", "done queued"])


FORMS: dict[str, dict[str, Any]] = {
    **{f"{name}, all": example for name, _, _, example in json_reference.commands()},
    **{
        f"{name}, least": {
            "do": name,
            **{one: example[one] for one, _, needed in fields if needed},
        }
        for name, _, fields, example in json_reference.commands()
    },
}
"""Every command of the table, with all of its fields and with those only that must be there."""
del FORMS["quit, all"], FORMS["quit, least"]  # which is the last


class ServerTests(Case):
    """The server answers, is silent, or goes, while commands are not over."""

    server = True
    commands: ClassVar[dict[str, dict[str, Any]]] = {
        **FORMS,
        "known": {"do": "msg", "to": "bob", "text": "hi"},
        "unknown": {"do": "msg", "to": "zoe", "text": "hi"},
        "call": {"do": "chat", "to": "carol"},
        "info": {"do": "info"},
        "bridge": {"do": "bridge"},
        "register": {"do": "register"},
        "path": {"do": "path", "id": "bob"},
        "address": {"do": "chat", "to": BOB},
    }

    @given(
        st.lists(
            st.sampled_from(
                [
                    *commands,
                    *["server goes", "server is silent", "a dial", "no dial", "wait", "cut"] * 6,
                ]
            ),
            max_size=14,
        ),
        st.booleans(),
    )
    def test_every_command_has_exactly_one_end_with_a_server(
        self, steps: list[str], quits: bool
    ) -> None:
        self.begin()
        script = Asking(self.node.client)
        far: list[Any] = []
        for ref, step in enumerate(steps):
            match step:
                case "cut" if far:
                    far.pop().cut()
                case "server goes":
                    self.directory.cut()
                case "server is silent":
                    self.directory.deaf = True
                case "a dial" | "no dial" if self.net.under_way:
                    self.dialled(step == "a dial", far)
                case "wait":
                    self.net.wait(7)
                case _ if step in self.commands:
                    script.ask(ref=ref, **self.commands[step])
            self.work()
        asked = [ref for ref, step in enumerate(steps) if step in self.commands]
        if quits:
            script.ask("quit", -1)
            asked.append(-1)
        for _ in range(100):  # and not because the program ends
            if all(script.ends_of(asked)):
                break
            while self.net.under_way:
                self.dialled(False, far)
            self.net.wait(5, 5)
            self.work()
        self.assertEqual(script.ends_of(asked), [1] * len(asked))

    def test_message_to_an_unknown_peer_calls_it(self) -> None:
        script = Asking(self.node.client)
        self.directory.knows("zoe", key_of("eve"), (BOB_HOST, 5002))
        script.ask("msg", 1, to="zoe", text="hi")
        self.net.settle()
        zoe = self.person("zoe", IDENTITIES["eve"])
        self.net.settle()
        self.assertEqual((zoe.texts, script.of(1)[-1]), (["hi"], "done delivered"))
        script.ask("msg", 2, to="nobody", text="hi")
        self.net.settle()
        self.assertEqual(script.of(2)[-1], "done not-found")

    def dialled(self, taken: bool, far: list[Any]) -> None:
        """Let the next dial that is under way come about, or be refused."""
        pass_over_given_up(self.net)
        host, *_ = self.net.tcpClients[self.net.answered]
        if not taken:
            self.net.refuse()
        elif host == SERVER_HOST:
            self.at_server().knows("bob", key_of("bob"), (BOB_HOST, 5002))
        else:
            far.append(self.person())


class RoomTests(room_ends.Case):
    def test_room_message_ends_when_the_server_has_it(self) -> None:
        script = Asking(self.node.client)
        script.ask("join", 1, room="#den")
        script.ask("msg", 2, text="one")
        script.ask("msg", 3, to="#den", text="one")
        self.hall.settle()
        self.assertEqual(script.of(1)[-1], "done ok")
        self.assertEqual(script.of(2), ["sent", "done delivered"])
        self.assertEqual(script.of(3), ["sent", "done delivered"])

    def test_room_message_without_a_server_is_queued(self) -> None:
        script = Asking(self.node.client)
        self.alice.joins()
        script.ask("msg", 1, text="one")
        self.alice.breaks()
        script.ask("msg", 2, text="two")
        self.assertEqual(script.of(1), ["done queued"])
        self.assertEqual(script.of(2), ["notice", "done queued"])
        self.assertEqual(script.written[-2]["to"], "#den")
        self.alice.comes()
        self.hall.settle()
        for ref in (1, 2):
            self.assertEqual(script.of(ref)[-1], "sent")
        self.alice.breaks()
        script.ask("msg", 3, text="three")
        script.ask("msg", 4, text="four")
        self.alice.comes()
        self.alice.breaks(again=False)
        self.hall.settle()
        for ref in (3, 4):
            self.assertEqual(script.of(ref)[1], "done queued")
            self.assertIn(script.of(ref)[2], ("undelivered", "uncertain"))

    def test_unsent_message_of_a_left_room_fails(self) -> None:
        script = Asking(self.node.client)
        self.alice.joins()
        self.alice.breaks()
        script.ask("msg", 1, text="one")
        script.ask("part", 2)
        self.hall.settle()
        self.assertEqual(script.of(1), ["notice", "done queued", "undelivered"])

    @given(
        st.lists(
            st.sampled_from([*FORMS, *["join, all", "breaks", "comes", "restarts", "settle"] * 8]),
            max_size=14,
        )
    )
    def test_every_room_message_has_exactly_one_end(self, steps: list[str]) -> None:
        self.setUp()
        self.hall.person("bob")
        script = Asking(self.node.client)
        connected, asked = True, []
        for ref, step in enumerate(steps):
            match step:
                case "breaks" if connected:
                    connected = False
                    self.alice.breaks()
                case "comes" if not connected:
                    connected = True
                    self.alice.comes()
                case "restarts":
                    self.hall.restart()
                case "settle":
                    self.hall.settle()
                case _ if step in FORMS:
                    script.ask(ref=ref, **FORMS[step])
                    asked.append(ref)
        self.hall.settle()
        if not connected:
            self.alice.breaks(again=False)
        self.hall.settle()
        self.assertEqual(script.ends_of(asked), [1] * len(asked))
