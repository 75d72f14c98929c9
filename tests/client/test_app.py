"""Tests of one user's program: what is asked of it in which order, and what it says of mistakes."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.app import ServerAccess
from chatproto.client.events import (
    Bridged,
    CommandOutput,
    Contacts,
    Event,
    Exited,
    Failed,
    Notice,
    Registered,
    Running,
    Undelivered,
)
from chatproto.client.server.server_queries import NOT_LISTED
from chatproto.client.settings import ClientSettings
from chatproto.directory.answer import ServerRefused
from chatproto.directory.bridge_result import BridgeResult
from chatproto.wire.dialects import Me
from chatproto.wire.fields import Contact
from tests.client.codes import coded
from tests.client.typing_person import made


class SlowServer:
    """An introducer whose answers are given by the test, one after another."""

    name = "127.0.0.1:5555"
    registered = False

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: list[Deferred[Any]] = []

    def start(self, me: Me) -> None:
        self.me = me

    def stop(self) -> None:
        self.asked.append("stop")

    def _ask(self, what: str) -> Deferred[Any]:
        self.asked.append(what)
        answer: Deferred[Any] = Deferred()
        self.answers.append(answer)
        return answer

    async def register(self) -> bool:
        return bool(await self._ask("register"))

    async def bridge(self, peer: str) -> BridgeResult | None:
        found: BridgeResult | None = await self._ask(f"bridge {peer}".strip())
        return found

    async def info(self, prefix: str) -> tuple[Contact, ...]:
        found: tuple[Contact, ...] = await self._ask("info")
        return tuple(one for one in found if one.client_id.startswith(prefix))

    async def away(self, text: str) -> None:
        self.asked.append(f"away {text}")

    async def watch(self, peer: str) -> None:
        self.asked.append(f"watch {peer}")

    async def follow(self, peer: str) -> None:
        await self.watch(peer)

    def unfollow(self, peer: str) -> None:
        self.asked.append(f"unfollow {peer}")


class NodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.codes: list[int] = []
        self.server = SlowServer()
        self.node = self.made()

    def made(self, server: SlowServer | None = None, there: bool = True, **settings: Any) -> Any:
        chosen = ClientSettings("alice", **({"plain": True, "open": True} | settings))
        access = ServerAccess(cast(Any, server or self.server if there else None))
        node = made(self.clock, chosen, connect=lambda *parts: access)
        node.finished.listen(self.codes.append)
        self.events: list[Event] = []
        node.publish.listen(lambda event: self.events.append(coded(event)))
        node.start("127.0.0.1", 5556)
        return node

    def said(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def test_start_reports_the_address(self) -> None:
        self.assertEqual(self.events, [Running("alice", "127.0.0.1", 5556, None)])
        self.assertEqual(self.server.me, Me("alice", "127.0.0.1", 5556))

    def test_requests_are_carried_out_one_after_another(self) -> None:
        self.node.register()
        self.node.bridge()
        self.node.info()
        self.assertEqual(self.server.asked, ["register"])
        self.server.answers[0].callback(True)
        self.assertEqual(self.server.asked, ["register", "bridge"])
        self.server.answers[1].errback(ServerRefused("no", 404))
        self.assertEqual(self.server.asked, ["register", "bridge", "info"])
        self.server.answers[2].callback((Contact("bob", "10.0.0.1", 1),))
        self.assertEqual(self.said(Registered), [Registered("127.0.0.1:5555")])
        self.assertEqual(self.said(Failed), [Failed.of(ServerRefused("no", 404), "bridge")])
        (contacts,) = self.said(Contacts)
        self.assertEqual([one["id"] for one in contacts.list], ["bob"])
        self.node.info("zoe")
        self.server.answers[3].callback(())
        self.assertEqual([one.text for one in self.said(Notice)], [NOT_LISTED])

    def test_local_command_runs_at_once(self) -> None:
        self.node.register()
        self.node.id()
        self.assertEqual(self.said(CommandOutput)[0].lines, ("alice",))

    def test_bridge_without_a_peer_has_null_fields(self) -> None:
        self.node.bridge()
        self.server.answers[0].callback(None)
        self.assertEqual(self.said(Bridged), [Bridged(None, None, None)])

    def test_message_before_a_failed_call_is_reported(self) -> None:
        self.node.bridge()
        self.node.chat()
        self.node.say("hello")
        self.assertEqual(self.said(Undelivered), [])
        self.server.answers[0].callback(None)
        (lost,) = self.said(Undelivered)
        self.assertEqual(lost.text, "hello")
        self.assertEqual(len(self.said(Failed)), 1)

    def test_every_mistake_is_one_sentence_with_its_command(self) -> None:
        for command, do in {
            "say": lambda: self.node.say("hi"),
            "msg": lambda: self.node.msg("hi", "bob"),
            "accept": lambda: self.node.accept(),
            "decline": lambda: self.node.decline("bob"),
            "switch": lambda: self.node.switch("bob"),
            "mode": lambda: self.node.mode("full"),
            "over": lambda: self.node.over(),
            "verify": lambda: self.node.verify("bob"),
            "trust": lambda: self.node.trust("bob", "sha256:x"),
            "chat": lambda: self.node.chat("bob", "martian"),
        }.items():
            self.events.clear()
            do()
            (failed,) = self.said(Failed)
            self.assertEqual(failed.command, command)
            self.assertGreater(len(failed.text), 10)
            self.assertEqual(self.events, [failed])

    def test_a_call_that_never_began_is_one_failure(self) -> None:
        for target in ("", "nobody", "127.0.0.1:nonsense", "127.0.0.1:5556", "localhost:5556"):
            self.events.clear()
            self.node.chat(target)
            (failed,) = self.said(Failed)
            self.assertEqual(failed.command, "chat", target)
            self.assertEqual(self.events, [failed])

    def test_without_a_server_requests_say_so(self) -> None:
        self.node = self.made(there=False)
        self.node.register()
        self.assertIn("--server none", self.said(Failed)[0].text)

    def test_quit_outside_a_conversation_ends_the_program_once(self) -> None:
        self.node.quit()
        self.node.quit()
        self.assertEqual(self.codes, [0])
        self.assertEqual(self.said(Exited), [Exited(0)])
        self.assertEqual(self.server.asked, ["stop"])

    def test_end_of_input_waits_for_pending_answers(self) -> None:
        self.node.register()
        self.node.end_of_input()
        self.assertEqual(self.codes, [])
        self.server.answers[0].callback(True)
        self.assertEqual(self.codes, [0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_but_not_longer_than_ten_seconds(self) -> None:
        self.node.register()
        self.node.end_of_input()
        self.clock.advance(9.9)
        self.assertEqual(self.codes, [])
        self.clock.advance(0.1)
        self.assertEqual(self.codes, [0])

    def test_status_includes_the_server_and_registration(self) -> None:
        self.node.status()
        (answer,) = self.said(CommandOutput)
        self.assertEqual(answer.data["server"], "127.0.0.1:5555")
        self.assertFalse(answer.data["registered"])
