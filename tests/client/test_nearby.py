"""Test beacons in a client: sent, heard, shown, and called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.app import ServerAccess
from chatproto.client.events import CommandOutput, Event, Failed, Notice, SessionChanged
from chatproto.client.nearby import BEACON_BURST, Neighbours
from chatproto.client.settings import ClientSettings
from chatproto.client.trust_store import TrustStore
from chatproto.directory.answer import ServerRefused
from chatproto.identity.keys import new_identity
from chatproto.identity.pins import PinFile
from chatproto.identity.tls import Tls
from chatproto.nearby.messages import Beacon, Seek, read_datagram
from chatproto.wire.fields import Contact
from chatproto.wire.strict import encode
from tests.client.codes import coded
from tests.client.test_app import SlowServer
from tests.client.typing_person import made
from tests.limits import DEFAULTS
from tests.stores.memory_ledger import MemoryLedger

KEYS = ["sha256:" + letter * 52 for letter in "ABCD"]
OURS = new_identity()
BOB = encode(Beacon("bob", KEYS[0], 5557))


class Air:
    """Ears that write down what is said, and where it may be heard."""

    trouble = "lo: Operation not permitted"

    def __init__(self, heard: Callable[[bytes, str], None], most: int) -> None:
        self.heard = heard
        self.said: list[tuple[Beacon | Seek, str | None]] = []
        self.looks = 0
        self.deaf = self.closed = False

    def __len__(self) -> int:
        return 0 if self.deaf else 1

    def look(self) -> None:
        self.looks += 1

    def say(self, data: bytes, listening: str | None = None) -> int:
        self.said.append((read_datagram(data, DEFAULTS.beacon), listening))
        return 1

    def close(self) -> None:
        self.closed = True


class NeighbourTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clock = Clock()
        self.known = TrustStore(
            Tls(OURS), PinFile(Path(folder.name) / "known_peers"), self.clock.seconds
        )
        self.begin()

    def begin(self, server: SlowServer | None = None, beacon: bool = True) -> None:
        """Start the program, with a server or without one."""
        self.node: Any = made(
            self.clock,
            ClientSettings("alice"),
            DEFAULTS,
            self.known,
            MemoryLedger(),
            Random(7),
            beacons=self.beacons_of if beacon else None,
            connect=lambda *parts: ServerAccess(cast(Any, server)),
        )
        self.events: list[Event] = []
        self.node.publish.listen(lambda event: self.events.append(coded(event)))
        self.near = self.node.neighbours
        self.placed: list[Contact] = []
        self.node.outgoing.place = self.place
        self.node.start("192.0.2.1", 7777)
        self.node.listens("0.0.0.0", 5556)

    def beacons_of(self, context: Any, came: Any) -> Neighbours:
        self.came = came
        return Neighbours(context, came, self.made)

    def made(self, heard: Callable[[bytes, str], None], most: int) -> Any:
        self.air = Air(heard, most)
        return self.air

    def place(self, conversation: Any, contact: Contact) -> None:
        """Note where a call would go."""
        self.placed.append(contact)
        self.conversation = conversation

    def beacons(self) -> int:
        return sum(isinstance(message, Beacon) for message, _ in self.air.said)

    def shown(self) -> CommandOutput:
        self.events.clear()
        self.node.nearby()
        (answer,) = self.events
        assert isinstance(answer, CommandOutput)
        return answer

    def failures(self) -> str:
        return " ".join(str(one.text) for one in self.events if isinstance(one, Failed))

    def call(self, target: str = "bob") -> None:
        self.events.clear()
        self.node.chat(target)

    # What we say.

    def test_beacon_contains_our_id_and_listening_port(self) -> None:
        (seek, everywhere), (beacon, there) = self.air.said
        self.assertIsInstance(seek, Seek)
        self.assertEqual(beacon, Beacon("alice", OURS.name, 5556))
        self.assertEqual((everywhere, there), (None, "0.0.0.0"))

    def test_beacon_is_repeated_and_interfaces_are_rescanned(self) -> None:
        self.clock.pump([1.0] * 100)
        self.assertIn(self.beacons(), (4, 5))
        self.assertGreaterEqual(self.air.looks, 4)

    def test_datagrams_of_a_flood_are_read_in_part(self) -> None:
        for _ in range(10 * BEACON_BURST):
            self.air.heard(b"rubbish", "10.0.0.3")
        self.air.heard(BOB, "10.0.0.2")
        self.assertEqual(self.near.find("bob"), ())
        self.clock.advance(1)
        self.air.heard(BOB, "10.0.0.2")
        self.assertEqual(len(self.near.find("bob")), 1)

    def test_new_and_seeking_neighbours_are_answered_with_a_rate_limit(self) -> None:
        self.clock.advance(10)
        self.air.heard(BOB, "10.0.0.2")
        self.clock.advance(1)
        self.assertEqual(self.beacons(), 2)
        for _ in range(100):
            self.air.heard(encode(Seek("0" * 16)), "10.0.0.3")
            self.clock.advance(0.1)
        self.assertLessEqual(self.beacons(), 2 + 4)
        before = self.beacons()
        self.air.heard(BOB, "10.0.0.2")  # not new any more
        self.clock.advance(2)
        self.assertLessEqual(self.beacons(), before + 1)

    def test_no_datagrams_after_the_stop(self) -> None:
        self.node.stop()
        self.assertTrue(self.air.closed)
        before = len(self.air.said)
        self.air.heard(BOB, "10.0.0.2")
        self.clock.advance(100)
        self.assertEqual(len(self.air.said), before)

    def test_failed_socket_is_reported_in_one_line(self) -> None:
        near = self.beacons_of(self.node.context, self.came)
        self.air.deaf = True
        self.events.clear()
        near.start("0.0.0.0", 5556)
        self.assertEqual(
            self.events,
            [
                Notice(
                    "--beacon does not work, nobody nearby can find you: lo: Operation not permitted"
                )
            ],
        )
        near.stop()

    def test_privileged_port_is_not_announced(self) -> None:
        near = self.beacons_of(self.node.context, self.came)
        near.start("0.0.0.0", 80)
        self.assertEqual(self.air.said, [])

    # What is shown.

    def test_nearby_without_beacon_names_the_option(self) -> None:
        self.begin(beacon=False)
        self.node.nearby()
        self.assertIn("start with --beacon", self.failures())

    def test_no_neighbours_is_one_line(self) -> None:
        answer = self.shown()
        self.assertEqual(answer.data, {"people": []})
        self.assertEqual(len(answer.lines), 1)

    def test_neighbour_is_shown_with_its_trust(self) -> None:
        self.known.trust("bob", KEYS[0])
        self.known.trust("carol", KEYS[1])
        for name, key, host in (
            ("bob", 0, "10.0.0.2"),
            ("carol", 2, "10.0.0.3"),
            ("dan", 3, "fd00::4"),
        ):
            self.air.heard(encode(Beacon(name, KEYS[key], 5557)), host)
        self.clock.advance(2)
        answer = self.shown()
        self.assertEqual(
            answer.lines,
            (
                "bob 10.0.0.2:5557: known",
                "carol 10.0.0.3:5557: another key than the known one",
                "dan [fd00::4]:5557: unconfirmed",
            ),
        )
        self.assertEqual(
            answer.data["people"][0],
            {
                "id": "bob", "host": "10.0.0.2", "port": 5557, "key": KEYS[0],
                "standing": "known", "seen": 2.0,
            },
        )  # fmt: skip
        self.known.verify("bob", KEYS[0])
        self.assertEqual(self.shown().lines[0], "bob 10.0.0.2:5557: verified")

    def test_own_key_and_invalid_datagrams_are_ignored(self) -> None:
        self.air.heard(encode(Beacon("mallory", OURS.name, 5557)), "10.0.0.2")
        for rubbish in (b"", b"\xff" * 9, BOB[:-1], BOB * 2, b"\x16\x03\x01"):
            self.air.heard(rubbish, "10.0.0.2")
        self.assertEqual(self.shown().data, {"people": []})

    def test_flood_of_datagrams_is_limited(self) -> None:
        for _ in range(1000):
            self.air.heard(b"rubbish", "10.0.0.66")
        self.air.heard(BOB, "10.0.0.2")
        self.assertEqual(self.shown().data, {"people": []})
        self.clock.advance(1)
        self.air.heard(BOB, "10.0.0.2")
        self.assertEqual(len(self.shown().data["people"]), 1)

    # Who is called.

    def test_neighbour_is_called_unconfirmed_without_a_server(self) -> None:
        self.air.heard(BOB, "fe80::2%eth0")
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        (contact,) = self.placed
        self.assertEqual(contact, Contact("bob?", "10.0.0.2", 5557, KEYS[0]))
        self.assertIsNone(self.conversation.pins)
        self.assertEqual(
            self.node.address_book.addresses(contact), (("10.0.0.2", 5557), ("fe80::2%eth0", 5557))
        )

    def test_pinned_neighbour_is_called_by_name(self) -> None:
        self.known.trust("bob", KEYS[0])
        self.air.heard(encode(Beacon("bob", KEYS[1], 5557)), "10.0.0.66")
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        self.assertEqual(self.placed, [Contact("bob", "10.0.0.2", 5557, KEYS[0])])
        self.assertEqual(self.conversation.pins, "bob")

    def test_neighbour_with_another_key_is_not_called(self) -> None:
        self.known.trust("bob", KEYS[1])
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        self.assertEqual(self.placed, [])
        self.assertIn("the key of bob has changed", self.failures())

    def test_ambiguous_neighbour_is_not_called(self) -> None:
        self.air.heard(BOB, "10.0.0.2")
        self.air.heard(encode(Beacon("bob", KEYS[1], 5557)), "10.0.0.66")
        self.call()
        self.assertEqual(self.placed, [])
        self.assertIn('2 peers nearby use the id "bob"', self.failures())
        self.assertIn("10.0.0.2:5557, 10.0.0.66:5557", self.failures())

    def test_missing_neighbour_is_reported(self) -> None:
        self.call()
        self.assertIn('"bob" is not nearby', self.failures())
        self.begin(beacon=False)
        self.call()
        self.assertIn("call with /chat HOST:PORT", self.failures())

    def test_beacon_never_causes_a_plain_call(self) -> None:
        self.air.heard(BOB, "10.0.0.2")
        self.node.chat("bob", "canon")
        self.assertEqual(self.placed, [])

    def test_server_is_asked_before_neighbours(self) -> None:
        self.begin(server := SlowServer())
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        self.assertEqual((server.asked, self.placed), (["bridge bob"], []))
        server.answers[0].errback(ServerRefused("not found", 404))
        self.assertEqual([one.client_id for one in self.placed], ["bob?"])

    def test_peer_away_at_the_server_can_be_found_nearby(self) -> None:
        self.begin(server := SlowServer())
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        server.answers[0].errback(ServerRefused("not online now", 480))
        self.assertEqual([one.client_id for one in self.placed], ["bob?"])
        self.assertEqual(server.asked, ["bridge bob"])  # and is not watched

    def test_server_refusal_is_reported_without_a_neighbour(self) -> None:
        self.begin(server := SlowServer())
        self.call()
        server.answers[0].errback(ServerRefused("not found", 404))
        self.assertIn('the server knows no "bob"', self.failures())

    def test_an_id_that_differs_in_case_alone_is_named(self) -> None:
        self.begin(server := SlowServer())
        self.known.trust("Bob", KEYS[1])
        self.call()
        server.answers[0].errback(ServerRefused("not found", 404))
        self.assertIn("did you mean Bob?", self.failures())

    # What else follows.

    def test_broken_connection_is_redialled_nearby(self) -> None:
        self.air.heard(BOB, "10.0.0.2")
        found = self.successResultOf(
            Deferred.fromCoroutine(self.node.calls.whereabouts("bob", None))
        )
        self.assertEqual(found, Contact("bob?", "10.0.0.2", 5557, KEYS[0]))

    def test_queued_messages_are_sent_to_a_known_neighbour(self) -> None:
        came: list[str] = []
        self.came.listen(came.append)
        self.air.heard(BOB, "10.0.0.2")
        self.known.trust("carol", KEYS[1])
        carol = encode(Beacon("carol", KEYS[1], 5558))
        self.air.heard(encode(Beacon("carol", KEYS[2], 5558)), "10.0.0.66")
        self.assertEqual(came, [])
        self.air.heard(carol, "10.0.0.3")
        self.air.heard(carol, "10.0.0.3")
        self.assertEqual(came, ["carol"])
        self.assertEqual([one for one in self.events if isinstance(one, SessionChanged)], [])
