"""What each request is answered, and the line that the terminal shows."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answers import Directory
from chatproto.directory.lease import Lease, Source
from chatproto.stores.memory import MemoryRegistry
from chatproto.wire.fields import Contact
from chatproto.wire.limits import Limits
from chatproto.wire.messages import (
    Bridge,
    BridgeAck,
    Chat,
    Error,
    Info,
    InfoAck,
    Message,
    Probe,
    ProbeAck,
    Quit,
    QuitAck,
    RegAck,
    Register,
    UnregAck,
    Unregister,
)


class Answers(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Directory(MemoryRegistry(), Limits(info_lines=3))
        self.here = Source("127.0.0.1", 40000, True)
        self.there = Source("192.0.2.1", 40001, False)
        self.elsewhere = Source("192.0.2.2", 40002, False)
        self.now = 1000.0

    def ask(self, message: Message, source: Source | None = None) -> Message:
        return self.directory.answer(message, source or self.here, self.now)

    def line(self, message: Message, source: Source | None = None) -> str | None:
        return self.directory.line(message, self.ask(message, source), source or self.here)

    def test_register_is_repeated_as_it_was_claimed(self) -> None:
        for source in (self.here, self.there):
            answer = self.ask(Register(f"a{source.port}", "127.0.0.1", 3000), source)
            self.assertEqual(answer, RegAck(f"a{source.port}", "127.0.0.1", 3000))

    def test_register_again_updates_in_place(self) -> None:
        for port in (3000, 3001):
            self.ask(Register("alice", "127.0.0.1", port))
        self.assertEqual(self.ask(Info()), InfoAck((Contact("alice", "127.0.0.1", 3001),)))

    def test_register_is_taken_over_from_silence_only(self) -> None:
        self.ask(Register("alice", "10.0.0.1", 3000), self.there)
        claim = Register("alice", "10.0.0.2", 3000)
        self.assertEqual(self.ask(claim, self.elsewhere), Error(409))
        self.now += 61
        self.assertEqual(self.ask(claim, self.elsewhere), Error(409))  # it holds a connection
        self.there.alive = False
        self.assertEqual(self.ask(claim, self.elsewhere), RegAck(*claim))

    def test_register_is_not_taken_over_too_soon(self) -> None:
        self.ask(Register("alice", "10.0.0.1", 3000), self.there)
        self.there.alive = False
        self.now += 59
        self.assertEqual(self.ask(Register("alice", "10.0.0.2", 1), self.elsewhere), Error(409))
        self.ask(Bridge("alice"), self.there)
        self.now += 59
        self.assertEqual(self.ask(Register("alice", "10.0.0.2", 1), self.elsewhere), Error(409))
        self.now += 1
        self.assertIsInstance(self.ask(Register("alice", "10.0.0.2", 1), self.elsewhere), RegAck)

    def test_register_is_free_to_the_same_address(self) -> None:
        self.ask(Register("alice", "10.0.0.1", 3000), self.there)
        again = Source(self.there.host, 50000, False)
        self.assertIsInstance(self.ask(Register("alice", "10.0.0.1", 3001), again), RegAck)

    def test_register_is_free_to_all_of_this_machine(self) -> None:
        self.ask(Register("alice", "127.0.0.1", 3000))
        other = Source("127.0.0.4", 50000, True)
        self.assertIsInstance(self.ask(Register("alice", "127.0.0.4", 2800), other), RegAck)

    def test_register_of_an_id_that_a_key_owns_is_refused(self) -> None:
        self.directory.registry.keep(Lease("alice", "127.0.0.1", 3000, self.here, "sha256:a"), 0.0)
        self.here.alive = False
        self.assertEqual(self.ask(Register("alice", "127.0.0.1", 3000)), Error(409))
        self.assertEqual(self.ask(Unregister("alice")), Error(403))

    def test_bridge_shows_where_the_other_can_be_called(self) -> None:
        self.ask(Register("alice", "127.0.0.1", 3000), self.there)
        self.assertEqual(self.ask(Bridge("bob")), BridgeAck("alice", "192.0.2.1", 3000))

    def test_bridge_with_nobody_there_is_empty(self) -> None:
        self.assertEqual(self.ask(Bridge("alice")), BridgeAck())

    def test_bridge_by_somebody_else_is_not_hearing_of_the_asker(self) -> None:
        self.ask(Register("alice", "10.0.0.1", 3000), self.there)
        self.now += 5
        self.ask(Bridge("alice"), self.elsewhere)
        self.assertEqual(self.directory.registry.heard_at("alice"), 1000.0)
        self.ask(Bridge("alice"), self.there)
        self.assertEqual(self.directory.registry.heard_at("alice"), 1005.0)

    def test_info_lists_so_many_and_no_more(self) -> None:
        self.assertEqual(self.ask(Info()), InfoAck())
        for number in range(5):
            self.ask(Register(f"c{number}", "127.0.0.1", 3000))
        answer = self.ask(Info())
        assert isinstance(answer, InfoAck)
        self.assertEqual([one.client_id for one in answer.contacts], ["c0", "c1", "c2"])
        self.assertEqual(len(self.directory.info_lines()), 5)
        self.assertEqual(self.directory.info_lines()[4], "c4 127.0.0.1:3000")

    def test_probe_is_answered(self) -> None:
        self.assertEqual(self.ask(Probe()), ProbeAck())

    def test_leaving_is_for_who_registered(self) -> None:
        for kind, good in ((Unregister, UnregAck()), (Quit, QuitAck())):
            self.ask(Register("alice", "10.0.0.1", 3000), self.there)
            self.assertEqual(self.ask(kind("alice"), self.elsewhere), Error(403))
            self.assertEqual(self.ask(kind("alice"), self.there), good)
            self.assertEqual(self.ask(kind("alice"), self.there), Error(404))

    def test_quit_without_an_id_is_malformed(self) -> None:
        self.assertEqual(self.ask(Quit()), Error(400))

    def test_what_is_not_for_a_server_is_405(self) -> None:
        self.assertEqual(self.ask(Chat("a", "127.0.0.1", 1)), Error(405))

    def test_the_terminal_shows_a_registration_as_claimed(self) -> None:
        line = self.line(Register("alice", "127.0.0.1", 3000), self.there)
        self.assertEqual(line, "REGISTER: alice from 127.0.0.1:3000 received")

    def test_the_terminal_shows_nothing_of_a_refusal_or_the_rest(self) -> None:
        self.ask(Register("alice", "10.0.0.1", 3000), self.there)
        self.assertIsNone(self.line(Register("alice", "10.0.0.2", 1), self.elsewhere))
        for message in (Info(), Probe(), Quit("alice"), Unregister("x")):
            self.assertIsNone(self.line(message))

    def test_the_terminal_shows_who_asked_and_who_was_given(self) -> None:
        self.ask(Register("alice", "127.0.0.1", 3000))
        self.assertEqual(self.line(Bridge("alice")), "BRIDGE: alice 127.0.0.1:3000")
        self.assertEqual(
            self.line(Bridge("bob"), self.there), "BRIDGE: bob 192.0.2.1:40001 alice 127.0.0.1:3000"
        )
