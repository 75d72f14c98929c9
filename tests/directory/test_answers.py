"""Test the answer to each request, and the line that the terminal shows."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.stores.memory import MemoryRegistry
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicChat,
    ClassicError,
    ClassicInfo,
    ClassicInfoAck,
    ClassicProbe,
    ClassicQuit,
    ClassicRegAck,
    ClassicRegister,
    Message,
    ProbeAck,
    QuitAck,
    UnregAck,
    Unregister,
)
from chatproto.wire.fields import Contact
from tests.limits import Limits


class Answers(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Directory(MemoryRegistry(), Limits(info_lines=3))
        self.here = Origin("127.0.0.1", 40000, True)
        self.there = Origin("192.0.2.1", 40001, False)
        self.elsewhere = Origin("192.0.2.2", 40002, False)
        self.now = 1000.0

    def ask(self, message: Message, source: Origin | None = None) -> Message:
        return self.directory.answer(message, source or self.here, self.now)

    def line(self, message: Message, source: Origin | None = None) -> str | None:
        return self.directory.line(message, self.ask(message, source), source or self.here)

    def test_regack_repeats_the_claimed_address(self) -> None:
        for source in (self.here, self.there):
            answer = self.ask(ClassicRegister(f"a{source.port}", "127.0.0.1", 3000), source)
            self.assertEqual(answer, ClassicRegAck(f"a{source.port}", "127.0.0.1", 3000))

    def test_register_again_updates_in_place(self) -> None:
        for port in (3000, 3001):
            self.ask(ClassicRegister("alice", "127.0.0.1", port))
        self.assertEqual(
            self.ask(ClassicInfo()), ClassicInfoAck((Contact("alice", "127.0.0.1", 3001),))
        )

    def test_register_is_taken_over_from_silence_only(self) -> None:
        self.ask(ClassicRegister("alice", "10.0.0.1", 3000), self.there)
        claim = ClassicRegister("alice", "10.0.0.2", 3000)
        self.assertEqual(self.ask(claim, self.elsewhere), ClassicError(409))
        self.now += 61
        self.assertEqual(
            self.ask(claim, self.elsewhere), ClassicError(409)
        )  # it holds a connection
        self.there.alive = False
        self.assertEqual(self.ask(claim, self.elsewhere), ClassicRegAck(*claim))

    def test_register_is_not_taken_over_too_soon(self) -> None:
        self.ask(ClassicRegister("alice", "10.0.0.1", 3000), self.there)
        self.there.alive = False
        self.now += 59
        self.assertEqual(
            self.ask(ClassicRegister("alice", "10.0.0.2", 1), self.elsewhere), ClassicError(409)
        )
        self.ask(ClassicBridge("alice"), self.there)
        self.now += 59
        self.assertEqual(
            self.ask(ClassicRegister("alice", "10.0.0.2", 1), self.elsewhere), ClassicError(409)
        )
        self.now += 1
        self.assertIsInstance(
            self.ask(ClassicRegister("alice", "10.0.0.2", 1), self.elsewhere), ClassicRegAck
        )

    def test_register_is_free_to_the_same_address(self) -> None:
        self.ask(ClassicRegister("alice", "10.0.0.1", 3000), self.there)
        again = Origin(self.there.host, 50000, False)
        self.assertIsInstance(
            self.ask(ClassicRegister("alice", "10.0.0.1", 3001), again), ClassicRegAck
        )

    def test_register_is_free_to_all_of_this_machine(self) -> None:
        self.ask(ClassicRegister("alice", "127.0.0.1", 3000))
        other = Origin("127.0.0.4", 50000, True)
        self.assertIsInstance(
            self.ask(ClassicRegister("alice", "127.0.0.4", 2800), other), ClassicRegAck
        )

    def test_register_of_an_id_that_a_key_owns_is_refused(self) -> None:
        self.directory.registry.keep(
            ClassicRegistration("alice", "127.0.0.1", 3000, self.here, "sha256:a"), 0.0
        )
        self.here.alive = False
        self.assertEqual(self.ask(ClassicRegister("alice", "127.0.0.1", 3000)), ClassicError(409))
        self.assertEqual(self.ask(Unregister("alice")), ClassicError(403))

    def test_bridge_returns_the_peer_s_address(self) -> None:
        self.ask(ClassicRegister("alice", "127.0.0.1", 3000), self.there)
        self.assertEqual(
            self.ask(ClassicBridge("bob")), ClassicBridgeAck("alice", "192.0.2.1", 3000)
        )

    def test_bridge_without_a_peer_is_empty(self) -> None:
        self.assertEqual(self.ask(ClassicBridge("alice")), ClassicBridgeAck())

    def test_bridge_from_another_address_is_no_request_of_the_client(self) -> None:
        self.ask(ClassicRegister("alice", "10.0.0.1", 3000), self.there)
        self.now += 5
        self.ask(ClassicBridge("alice"), self.elsewhere)
        self.assertEqual(self.directory.registry.heard_at("alice"), 1000.0)
        self.ask(ClassicBridge("alice"), self.there)
        self.assertEqual(self.directory.registry.heard_at("alice"), 1005.0)

    def test_info_lists_so_many_and_no_more(self) -> None:
        self.assertEqual(self.ask(ClassicInfo()), ClassicInfoAck())
        for number in range(5):
            self.ask(ClassicRegister(f"c{number}", "127.0.0.1", 3000))
        answer = self.ask(ClassicInfo())
        assert isinstance(answer, ClassicInfoAck)
        self.assertEqual([one.client_id for one in answer.contacts], ["c0", "c1", "c2"])
        lines = list(self.directory.info_lines())
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[4], "c4 127.0.0.1:3000")

    def test_probe_is_answered(self) -> None:
        self.assertEqual(self.ask(ClassicProbe()), ProbeAck())

    def test_only_the_registering_address_can_unregister(self) -> None:
        for kind, good in ((Unregister, UnregAck()), (ClassicQuit, QuitAck())):
            self.ask(ClassicRegister("alice", "10.0.0.1", 3000), self.there)
            self.assertEqual(self.ask(kind("alice"), self.elsewhere), ClassicError(403))
            self.assertEqual(self.ask(kind("alice"), self.there), good)
            self.assertEqual(self.ask(kind("alice"), self.there), ClassicError(404))

    def test_quit_without_an_id_is_malformed(self) -> None:
        self.assertEqual(self.ask(ClassicQuit()), ClassicError(400))

    def test_methods_not_for_a_server_are_405(self) -> None:
        self.assertEqual(self.ask(ClassicChat("a", "127.0.0.1", 1)), ClassicError(405))

    def test_the_terminal_shows_a_registration_as_claimed(self) -> None:
        line = self.line(ClassicRegister("alice", "127.0.0.1", 3000), self.there)
        self.assertEqual(line, "REGISTER: alice from 127.0.0.1:3000 received")

    def test_the_terminal_shows_nothing_of_a_refusal_or_the_rest(self) -> None:
        self.ask(ClassicRegister("alice", "10.0.0.1", 3000), self.there)
        self.assertIsNone(self.line(ClassicRegister("alice", "10.0.0.2", 1), self.elsewhere))
        for message in (ClassicInfo(), ClassicProbe(), ClassicQuit("alice"), Unregister("x")):
            self.assertIsNone(self.line(message))

    def test_terminal_shows_asker_and_peer(self) -> None:
        self.ask(ClassicRegister("alice", "127.0.0.1", 3000))
        self.assertEqual(self.line(ClassicBridge("alice")), "BRIDGE: alice 127.0.0.1:3000")
        self.assertEqual(
            self.line(ClassicBridge("bob"), self.there),
            "BRIDGE: bob 192.0.2.1:40001 alice 127.0.0.1:3000",
        )
