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

    def test_we_ask_and_say_who_we_are_and_where_we_listen_whatever_others_are_told(self) -> None:
        (seek, everywhere), (beacon, there) = self.air.said
        self.assertIsInstance(seek, Seek)
        self.assertEqual(beacon, Beacon("alice", OURS.name, 5556))
        self.assertEqual((everywhere, there), (None, "0.0.0.0"))

    def test_it_is_said_again_and_new_interfaces_are_looked_for(self) -> None:
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

    def test_who_is_new_and_who_asks_is_answered_soon_but_not_at_each_time(self) -> None:
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

    def test_after_the_end_nothing_is_said_or_heard(self) -> None:
        self.node.stop()
        self.assertTrue(self.air.closed)
        before = len(self.air.said)
        self.air.heard(BOB, "10.0.0.2")
        self.clock.advance(100)
        self.assertEqual(len(self.air.said), before)

    def test_that_nothing_can_be_heard_is_one_line(self) -> None:
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

    def test_a_port_that_nobody_would_call_is_not_told(self) -> None:
        near = self.beacons_of(self.node.context, self.came)
        near.start("0.0.0.0", 80)
        self.assertEqual(self.air.said, [])

    # What is shown.

    def test_without_beacon_the_command_says_what_it_wants(self) -> None:
        self.begin(beacon=False)
        self.node.nearby()
        self.assertIn("start with --beacon", self.failures())

    def test_nobody_is_one_line(self) -> None:
        answer = self.shown()
        self.assertEqual(answer.data, {"people": []})
        self.assertEqual(len(answer.lines), 1)

    def test_somebody_is_shown_with_what_their_word_is_worth(self) -> None:
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

    def test_our_own_key_and_rubbish_are_nobody(self) -> None:
        self.air.heard(encode(Beacon("mallory", OURS.name, 5557)), "10.0.0.2")
        for rubbish in (b"", b"\xff" * 9, BOB[:-1], BOB * 2, b"\x16\x03\x01"):
            self.air.heard(rubbish, "10.0.0.2")
        self.assertEqual(self.shown().data, {"people": []})

    def test_of_a_flood_only_so_much_is_looked_at(self) -> None:
        for _ in range(1000):
            self.air.heard(b"rubbish", "10.0.0.66")
        self.air.heard(BOB, "10.0.0.2")
        self.assertEqual(self.shown().data, {"people": []})
        self.clock.advance(1)
        self.air.heard(BOB, "10.0.0.2")
        self.assertEqual(len(self.shown().data["people"]), 1)

    # Who is called.

    def test_without_a_server_somebody_nearby_is_called_and_unconfirmed(self) -> None:
        self.air.heard(BOB, "fe80::2%eth0")
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        (contact,) = self.placed
        self.assertEqual(contact, Contact("bob?", "10.0.0.2", 5557, KEYS[0]))
        self.assertIsNone(self.conversation.pins)
        self.assertEqual(
            self.node.address_book.addresses(contact), (("10.0.0.2", 5557), ("fe80::2%eth0", 5557))
        )

    def test_who_is_pinned_is_called_by_their_name(self) -> None:
        self.known.trust("bob", KEYS[0])
        self.air.heard(encode(Beacon("bob", KEYS[1], 5557)), "10.0.0.66")
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        self.assertEqual(self.placed, [Contact("bob", "10.0.0.2", 5557, KEYS[0])])
        self.assertEqual(self.conversation.pins, "bob")

    def test_with_another_key_than_the_pinned_one_nobody_is_called(self) -> None:
        self.known.trust("bob", KEYS[1])
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        self.assertEqual(self.placed, [])
        self.assertIn("the key of bob has changed", self.failures())

    def test_of_two_who_say_to_be_one_nobody_is_called(self) -> None:
        self.air.heard(BOB, "10.0.0.2")
        self.air.heard(encode(Beacon("bob", KEYS[1], 5557)), "10.0.0.66")
        self.call()
        self.assertEqual(self.placed, [])
        self.assertIn('2 peers nearby use the id "bob"', self.failures())
        self.assertIn("10.0.0.2:5557, 10.0.0.66:5557", self.failures())

    def test_who_is_not_there_is_told_of(self) -> None:
        self.call()
        self.assertIn('"bob" is not nearby', self.failures())
        self.begin(beacon=False)
        self.call()
        self.assertIn("call with /chat HOST:PORT", self.failures())

    def test_nobody_is_called_in_the_open_because_of_a_beacon(self) -> None:
        self.air.heard(BOB, "10.0.0.2")
        self.node.chat("bob", "canon")
        self.assertEqual(self.placed, [])

    def test_the_server_is_asked_first_and_believed(self) -> None:
        self.begin(server := SlowServer())
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        self.assertEqual((server.asked, self.placed), (["bridge bob"], []))
        server.answers[0].errback(ServerRefused("not found", 404))
        self.assertEqual([one.client_id for one in self.placed], ["bob?"])

    def test_who_is_away_for_the_server_may_be_nearby(self) -> None:
        self.begin(server := SlowServer())
        self.air.heard(BOB, "10.0.0.2")
        self.call()
        server.answers[0].errback(ServerRefused("not online now", 480))
        self.assertEqual([one.client_id for one in self.placed], ["bob?"])
        self.assertEqual(server.asked, ["bridge bob"])  # and is not watched

    def test_the_server_s_refusal_is_told_where_nobody_is_nearby(self) -> None:
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

    def test_a_connection_that_broke_finds_them_again(self) -> None:
        self.air.heard(BOB, "10.0.0.2")
        found = self.successResultOf(
            Deferred.fromCoroutine(self.node.calls.whereabouts("bob", None))
        )
        self.assertEqual(found, Contact("bob?", "10.0.0.2", 5557, KEYS[0]))

    def test_when_somebody_known_is_there_what_waits_for_them_goes(self) -> None:
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
