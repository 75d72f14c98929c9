"""Introductions carried out, by whole programs in a simulated network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.calls.rendezvous import MOST, Rendezvous, ServerAnswers
from chatproto.client.calls.secure_dialer import REDIAL_MOST, REDIAL_WAIT
from chatproto.client.events import CommandOutput, Event, SessionChanged
from chatproto.session.punches import PUNCH_WAIT
from chatproto.wire.plain_blocks import Punch
from chatproto.wire.strict import encode
from tests.simulation.person import LIMITS, PEOPLE_PORT, Person
from tests.simulation.reactor import SimReactor
from tests.simulation.routers import Router
from tests.simulation.world import STRANGER, Rules, World

CALL = "0123456789abcdef"


class Dialler(Protocol):
    """Peer that connects and sends something."""

    transport: Any

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.ended = False

    def connectionMade(self) -> None:
        self.transport.write(self.says)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended = True


class Case(SynchronousTestCase):
    """Two people who are there, and their events."""

    def setUp(self) -> None:
        seed = 1
        while True:
            self.world = World(seed, Rules(outbox=True, homes=True))
            self.alice, self.bob = self.world.people[:2]
            if self.world.people[-1].name != STRANGER and self.bob.settings.answer == "all":
                break
            seed += 1
        assert self.world.network.routers is not None
        self.routers = self.world.network.routers
        self.routers.kinds.clear()

    def begin(self) -> None:
        """Start everybody."""
        self.world.__enter__()
        self.addCleanup(self.world.__exit__)

    def wants(self, person: Person, path: str) -> None:
        person.settings = replace(person.settings, path=path)

    def events(self, person: Person) -> list[Event]:
        return [
            details[0]
            for _, who, what, details in self.world.trace.entries
            if what == "tells" and who == person.name
        ]

    def states(self, person: Person) -> list[str]:
        return [one.state for one in self.events(person) if isinstance(one, SessionChanged)]

    def paths(self, person: Person) -> list[str]:
        told = (one for one in self.events(person) if isinstance(one, SessionChanged))
        return [one.path for one in told if one.path is not None]

    def call(self, seconds: float = 8.0) -> None:
        """Alice calls Bob."""
        assert self.alice.node is not None
        self.alice.node.chat(self.bob.name)
        self.world.pass_time(seconds)

    def shown(self, person: Person) -> CommandOutput:
        """Return the answer of /path."""
        assert person.node is not None
        person.node.path()
        answer = self.events(person)[-1]
        assert isinstance(answer, CommandOutput)
        return answer

    def dial(self, says: bytes) -> Dialler:
        """A machine of nobody's connects to Alice."""
        reactor = SimReactor(self.world.network, "10.0.0.99", "nobody")
        dialler = Dialler(says)
        endpoint = HostnameEndpoint(cast(Any, reactor), self.alice.host, PEOPLE_PORT)
        connectProtocol(endpoint, dialler)
        return dialler

    def attempts(self) -> list[tuple[str, tuple[str, int]]]:
        """List the connections tried between persons."""
        return [
            (who, details[0])
            for _, who, what, details in self.world.trace.entries
            if what == "connects" and details[0][1] == PEOPLE_PORT
        ]


class CallTests(Case):
    def test_both_dial_and_one_connection_is_left(self) -> None:
        self.begin()
        self.call(8.0 + LIMITS.handshake_wait)
        self.assertEqual({who for who, _ in self.attempts()}, {self.alice.name, self.bob.name})
        for person in (self.alice, self.bob):
            assert person.node is not None
            self.assertEqual(len(person.node.connections.carried), 1)
            self.assertEqual(self.paths(person), ["lan"])

    def test_relay_is_the_only_path_if_either_side_requires_it(self) -> None:
        self.wants(self.bob, "relay")
        self.begin()
        self.call()
        self.assertEqual(self.paths(self.alice), ["relay"])
        self.assertNotIn(self.bob.name, [who for who, _ in self.attempts()])

    def test_relay_only_client_does_not_dial(self) -> None:
        self.wants(self.alice, "relay")
        self.begin()
        self.call()
        self.assertEqual(self.paths(self.bob), ["relay"])
        self.assertNotIn(self.alice.name, [who for who, _ in self.attempts()])
        self.assertIn("no other path is tried (--path relay)", self.shown(self.alice).lines)

    def test_no_relay_if_either_side_refuses_it(self) -> None:
        for chooser in (self.alice, self.bob):
            self.wants(chooser, "direct")
        self.routers.kinds[self.bob.host] = Router.SHUT
        self.routers.kinds[self.alice.host] = Router.SHUT
        self.begin()
        self.call(LIMITS.dial_wait + 5.0)
        self.assertEqual(self.states(self.alice), ["calling", "closed", "closed"])
        ended = [one for one in self.events(self.alice) if isinstance(one, SessionChanged)]
        self.assertTrue(ended[-1].current)  # what is typed next is queued
        reasons = [one.reason for one in ended if one.reason]
        where = f"{self.bob.host}:{PEOPLE_PORT}"
        self.assertEqual(reasons[-1], f"no answer from {where} within {LIMITS.dial_wait:g} s")

    def cut(self) -> None:
        """Whatever carries what they say breaks, with them or on the relay."""
        self.world.peaceful = False
        network, hosts = self.world.network, {self.alice.host, self.bob.host}
        for one in network.connections:
            if {end.own[0] for end in one.ends} & hosts and one.number not in self.lines:
                network.cut(one, "both")

    def call(self, seconds: float = 8.0) -> None:
        self.lines = {one.number for one in self.world.network.connections}
        super().call(seconds)

    def test_redial_uses_the_relay_when_the_direct_path_is_lost(self) -> None:
        self.begin()
        self.call()
        for person in (self.alice, self.bob):
            self.routers.kinds[person.host] = Router.SHUT
        self.cut()
        self.world.say(self.alice, self.bob.name, "after")
        self.world.pass_time(60.0)
        self.assertEqual(self.paths(self.alice)[-1], "relay")
        heard = self.world.books.heard(self.alice.name, self.bob.name)
        self.assertEqual([one.text for one in heard], ["after"])

    def test_remembered_addresses_do_while_the_server_is_away(self) -> None:
        for shut in (0.0, 30.0):  # no way at all for so long: past the tries that ask the server
            self.setUp()
            self.begin()
            self.call()
            before = dict(self.routers.kinds)
            self.world.kill_server()
            if shut:
                self.routers.kinds |= {one.host: Router.SHUT for one in (self.alice, self.bob)}
            self.cut()
            self.world.say(self.alice, self.bob.name, "after")
            if shut:
                self.world.pass_time(shut)
                self.assertEqual(self.states(self.alice)[-1], "broken")
                self.routers.kinds.clear()
                self.routers.kinds |= before
            self.world.pass_time(REDIAL_MOST + REDIAL_WAIT)
            self.assertEqual(self.states(self.alice)[-1], "open")
            heard = self.world.books.heard(self.alice.name, self.bob.name)
            self.assertEqual([one.text for one in heard], ["after"])

    def test_peer_with_a_new_address_is_dialled_there_at_once(self) -> None:
        self.begin()
        self.call()
        self.world.peaceful = False
        self.bob.kill()
        self.world.pass_time(40.0)  # the server was asked meanwhile, and tells of their return
        self.assertEqual(self.states(self.alice)[-1], "broken")
        self.bob.host = "10.0.0.77"
        self.bob.start()
        self.world.pass_time(1.5)
        self.assertEqual(self.states(self.alice)[-1], "open")

    def test_broken_relay_is_requested_again_at_once(self) -> None:
        self.routers.kinds |= {self.alice.host: Router.RANDOM, self.bob.host: Router.RANDOM}
        self.begin()
        self.call()
        self.cut()
        self.world.pass_time(5.0)
        self.assertEqual(self.paths(self.alice), ["relay", "relay"])


class PathTests(Case):
    """Answers of /path."""

    def test_path_and_its_address_are_reported(self) -> None:
        self.begin()
        self.call()
        shown = self.shown(self.alice)
        self.assertEqual((shown.data["path"], shown.data["host"]), ("lan", self.bob.host))
        self.assertIn("on the same network", shown.lines[0])
        self.assertEqual(len(shown.lines), 1)

    def test_relayed_path_lists_the_failed_attempts(self) -> None:
        self.routers.kinds |= {self.alice.host: Router.RANDOM, self.bob.host: Router.RANDOM}
        self.begin()
        self.call(4.5)
        shown = self.shown(self.alice)
        where = f"{self.bob.host}:{PEOPLE_PORT}"
        self.assertEqual(shown.data["path"], "relay")
        self.assertIn("relayed", shown.lines[0])
        self.assertEqual(shown.data["tried"][where], "no answer yet")
        self.assertIn(f"tried: {where}: no answer yet", shown.lines)
        self.world.pass_time(LIMITS.dial_wait)
        self.assertIn(f"no answer from {where}", self.shown(self.alice).data["tried"][where])

    def test_callee_receives_the_failed_attempts_too(self) -> None:
        self.routers.kinds |= {self.alice.host: Router.RANDOM, self.bob.host: Router.RANDOM}
        self.begin()
        self.call(8.0 + LIMITS.dial_wait)
        where = f"{self.alice.host}:{PEOPLE_PORT}"
        self.assertIn(f"no answer from {where}", self.shown(self.bob).data["tried"][where])

    def test_without_a_conversation_there_is_no_path(self) -> None:
        self.begin()
        assert self.alice.node is not None
        self.alice.node.path()
        self.alice.node.path("zoe")
        texts = [getattr(one, "text", "") for one in self.events(self.alice)[-2:]]
        self.assertIn("you are in no conversation", texts[0])
        self.assertEqual(texts[1], 'no conversation with "zoe": /chat zoe calls, /who lists yours')


class PunchTests(Case):
    """Connections that say to which introduction they belong."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def introduced(self) -> None:
        assert self.alice.node is not None
        self.alice.node.rendezvous.introduced(
            Rendezvous("nobody", "sha256:" + "B" * 51 + "A", (), CALL)
        )

    def test_early_punch_waits_for_its_introduction(self) -> None:
        early = self.dial(encode(Punch(CALL)))
        self.world.pass_time(PUNCH_WAIT - 1.0)
        assert self.alice.node is not None
        self.assertEqual((early.ended, len(self.alice.node.connections.carried)), (False, 0))
        self.introduced()
        self.assertEqual((early.ended, len(self.alice.node.connections.carried)), (False, 1))

    def test_early_punches_are_bounded_and_counted_until_they_end(self) -> None:
        most = min(LIMITS.callers, LIMITS.callers_per_address)
        dialled = [self.dial(encode(Punch(f"{number:016x}"))) for number in range(most + 3)]
        self.world.pass_time(2.0)
        assert self.alice.node is not None
        strangers = self.alice.node.calls.strangers
        self.assertEqual(sum(not one.ended for one in dialled), most)
        self.assertEqual(strangers.connections, most)
        self.world.pass_time(PUNCH_WAIT + 2.0)
        self.assertEqual(
            ([one.ended for one in dialled], strangers.connections), ([True] * (most + 3), 0)
        )

    def test_introduced_punch_stays_counted_until_it_ends(self) -> None:
        self.introduced()
        one = self.dial(encode(Punch(CALL)))
        self.world.pass_time(1.0)
        assert self.alice.node is not None
        strangers = self.alice.node.calls.strangers
        self.assertEqual((one.ended, strangers.connections), (False, 1))
        one.transport.abortConnection()
        self.world.pass_time(1.0)
        self.assertEqual(strangers.connections, 0)

    def test_punch_without_introduction_is_closed(self) -> None:
        early = self.dial(encode(Punch(CALL)))
        self.world.pass_time(PUNCH_WAIT + 2.0)
        self.assertTrue(early.ended)

    def test_punch_that_disconnects_early_is_forgotten(self) -> None:
        early = self.dial(encode(Punch(CALL)))
        self.world.pass_time(2.0)
        early.transport.abortConnection()
        self.world.pass_time(1.0)
        self.introduced()  # only now it is read from again
        self.world.pass_time(1.0)
        assert self.alice.node is not None
        self.assertEqual(len(self.alice.node.connections.carried), 0)

    def test_one_that_shows_another_key_is_refused(self) -> None:
        self.introduced()
        wrong = self.dial(encode(Punch(CALL)) + b"\x16hello\n")
        self.world.pass_time(LIMITS.handshake_wait + 2.0)
        self.assertTrue(wrong.ended)

    def test_repeated_introduction_counts_once(self) -> None:
        assert self.alice.node is not None
        self.introduced()
        first = self.alice.node.rendezvous._by_call[CALL]
        self.introduced()
        self.assertIs(self.alice.node.rendezvous._by_call[CALL], first)


class KeptTests(SynchronousTestCase):
    """The server's answers."""

    def test_an_answer_is_used_once_and_only_while_it_is_fresh(self) -> None:
        clock = Clock()
        answers = ServerAnswers(clock)
        answer = Rendezvous("zoe", "sha256:" + "C" * 51 + "A", (), CALL)
        answers.store(answer)
        self.assertIs(answers.take(answer.key), answer)
        self.assertIsNone(answers.take(answer.key))
        answers.store(answer)
        clock.advance(11.0)
        self.assertIsNone(answers.take(answer.key))

    def test_the_oldest_answers_are_forgotten_first(self) -> None:
        answers = ServerAnswers(Clock())
        keys = [f"sha256:{number:051d}A" for number in range(MOST + 2)]
        for key in keys:
            answers.store(Rendezvous("zoe", key, (), CALL))
        self.assertEqual([answers.take(key) is None for key in keys[:3]], [True, True, False])
        self.assertIsNotNone(answers.take(keys[-1]))
