"""Names that a person sees and types: whom they mean, and which name is shown for whom."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.names import MOST_MARKED, NameBook
from chatproto.identity.pins import NO_SERVER, Ignored, Pin, Pins
from chatproto.identity.recipient import Dialled, FirstContact, KeyedPerson, OpenPeer, Recipient
from chatproto.wire.errors import LocalError


def key(letter: str) -> str:
    return "sha256:" + letter * 52


HERE, THERE, BOB, OTHER, EVE = key("H"), key("T"), key("B"), key("Q"), key("E")
FILE = f"server here:1 {HERE}\nserver there:1 {THERE}\n"


def nobody(name: str) -> bool:
    return False


class NameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pins = Pins(FILE)
        self.server: str | None = HERE
        self.book = NameBook(lambda: self.pins, lambda: self.server)

    def pin(self, server: str, name: str, shown: str) -> None:
        self.pins.put(Pin(server, name, shown))

    def refused(self, name: str) -> LocalError:
        error = self.assertRaises(LocalError, self.book.resolve, name)
        assert isinstance(error, LocalError)
        return error

    def shown(self, recipient: Recipient, wanted: str) -> str:
        return self.book.name_for(recipient, wanted, nobody)

    def test_name_is_pinned_here_or_elsewhere_or_a_first_contact(self) -> None:
        self.assertEqual(self.book.resolve("bob"), FirstContact(HERE, "bob"))
        self.pin(THERE, "bob", OTHER)
        self.assertEqual(self.book.resolve("bob"), KeyedPerson(OTHER))
        self.pin(HERE, "bob", BOB)
        self.assertEqual(self.book.resolve("bob"), KeyedPerson(BOB))

    def test_an_id_with_two_keys_elsewhere_is_refused_with_names_for_both(self) -> None:
        self.pin(HERE, "bob", BOB)
        self.pin(THERE, "bob", OTHER)
        self.server = EVE
        error = self.refused("bob")
        self.assertEqual(error.status, 409)
        for name, shown in (("bob@here:1", BOB), ("bob@there:1", OTHER)):
            self.assertIn(name, error.detail)
            self.assertEqual(self.book.resolve(name), KeyedPerson(shown))

    def test_keys_addresses_and_ids_at_a_server_are_names(self) -> None:
        self.pin(NO_SERVER, "bob", BOB)
        self.assertEqual(self.book.resolve(EVE), KeyedPerson(EVE))
        self.assertEqual(self.book.resolve("10.0.0.1:5000"), Dialled("10.0.0.1", 5000))
        self.assertEqual(self.book.resolve("bob@none"), KeyedPerson(BOB))
        self.assertEqual(self.book.resolve("bob@here:1"), FirstContact(HERE, "bob"))
        for name in ("bob@there:1", "bob@else:1", "bob?", "b b", ""):
            self.assertEqual(self.refused(name).status, 404)

    def test_a_key_that_is_not_whole_is_no_address(self) -> None:
        for name in ("sha256:", "sha256:5", "sha256:5000", EVE[:-1], EVE + "A", EVE.lower()):
            error = self.refused(name)
            self.assertEqual(error.status, 400)
            self.assertIn("no key", error.detail)

    def test_shown_name_resolves_to_its_recipient(self) -> None:
        self.pin(THERE, "bob", OTHER)
        for recipient, wanted, name in (
            (KeyedPerson(OTHER), "robert", "bob"),
            (KeyedPerson(BOB), "bob", "bob~2"),
            (KeyedPerson(EVE), "bob", "bob~3"),
            (KeyedPerson(EVE), "eve?", "eve?"),
            (KeyedPerson(BOB), "eve?", "eve?~2"),
            (OpenPeer(1), "bob", "bob~open"),
            (OpenPeer(2), "bob", "bob~open~2"),
        ):
            self.assertEqual(self.shown(recipient, wanted), name)
            self.assertEqual(self.book.resolve(name), recipient)
        self.pin(HERE, "bob", BOB)
        self.assertEqual(self.shown(KeyedPerson(OTHER), "bob"), "bob@there:1")
        self.assertEqual(self.shown(KeyedPerson(BOB), "bob"), "bob")

    def test_names_with_a_mark_are_forgotten_the_oldest_first(self) -> None:
        for number in range(MOST_MARKED + 1):
            self.shown(OpenPeer(number), f"p{number}?")
        self.assertEqual(self.refused("p0?").status, 404)
        self.assertEqual(self.book.resolve("p1?"), OpenPeer(1))


class IgnoredTests(SynchronousTestCase):
    """Lines of `known_peers` that an older program takes for comments."""

    def test_are_stored_beside_the_pins_and_can_be_removed(self) -> None:
        pins = Pins(f"# mine\n{FILE}")
        for one in (Ignored("bob", key=BOB), Ignored("eve", server=NO_SERVER)):
            pins = pins.ignoring(one, True)
            self.assertIn(one, pins.ignored)
            pins = Pins(pins.text())
        self.assertEqual(len(pins.ignored), 2)
        new = [line for line in pins.text().splitlines() if line not in f"# mine\n{FILE}"]
        self.assertTrue(all(line.startswith("#") for line in new))
        pins = pins.ignoring(Ignored("robert", key=BOB), False)
        self.assertEqual(pins.ignored, [Ignored("eve", server=NO_SERVER)])
        self.assertTrue(pins.text().startswith(f"# mine\n{FILE}"))

    def test_are_stored_once(self) -> None:
        pins = Pins()
        for name in ("bob", "robert"):
            pins = pins.ignoring(Ignored(name, key=BOB), True)
        self.assertEqual(pins.ignored, [Ignored("robert", key=BOB)])

    def test_comments_stay_comments(self) -> None:
        for line in ("#ignored", "#ignored bob", f"# ignored {BOB} bob", "#ignored-id here bob"):
            self.assertEqual(Pins(f"{line}\n").ignored, [])
