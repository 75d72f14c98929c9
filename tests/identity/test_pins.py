"""Known keys: what the file says, what is kept, and what is refused rather than guessed."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity import pins as module
from chatproto.identity.pins import NO_SERVER, SERVER, Ignored, Pin, PinFile, Pins, PinTrouble


def key(letter: str) -> str:
    return "sha256:" + letter * 52


HOME, ALICE, MALLORY = key("S"), key("A"), key("M")

FILE = f"""\
# my friends
server chat.example:5555 {HOME}

{HOME} alice {ALICE} verified
- bob {MALLORY}
"""

KEYS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=52, max_size=52).map("sha256:".__add__)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)


class LineTests(SynchronousTestCase):
    """Reading and writing."""

    def test_lines_are_read_with_their_numbers(self) -> None:
        pins = Pins(FILE)
        self.assertEqual(
            pins.server("chat.example:5555"), Pin(SERVER, "chat.example:5555", HOME, line=2)
        )
        self.assertEqual(pins.person(HOME, "alice"), Pin(HOME, "alice", ALICE, True, 4))
        self.assertEqual(pins.person(NO_SERVER, "bob"), Pin(NO_SERVER, "bob", MALLORY, line=5))

    def test_an_id_means_something_only_at_its_server(self) -> None:
        pins = Pins(FILE)
        self.assertIsNone(pins.person(NO_SERVER, "alice"))
        self.assertIsNone(pins.person(MALLORY, "alice"))
        self.assertIsNone(pins.person(HOME, "Alice"))

    def test_lines_written_by_hand_stay(self) -> None:
        self.assertEqual(Pins(FILE).text(), FILE)
        pins = Pins(FILE)
        pins.put(Pin(HOME, "carol", key("C")))
        self.assertEqual(pins.text(), f"{FILE}{HOME} carol {key('C')}\n")

    def test_a_key_that_was_replaced_has_no_ids(self) -> None:
        pins = Pins(FILE)
        pins.put(Pin(HOME, "alice", MALLORY))
        self.assertEqual(pins.ids_of(ALICE), [])
        self.assertEqual([pin.name for pin in pins.ids_of(MALLORY)], ["alice", "bob"])
        pins.put(Pin(SERVER, "chat.example:5555", ALICE))
        self.assertEqual(
            [pins.address_of(one) for one in (HOME, ALICE)], [None, "chat.example:5555"]
        )

    def test_an_ignored_id_is_that_of_one_server_and_an_ignored_key_any_name(self) -> None:
        here, there = Ignored("bob", server=HOME), Ignored("bob", server=NO_SERVER)
        self.assertTrue(here.same(Ignored("bob", server=HOME)))
        self.assertFalse(here.same(there))
        self.assertFalse(here.same(Ignored("alice", server=HOME)))
        self.assertTrue(Ignored("bob", ALICE).same(Ignored("carol", ALICE)))
        self.assertFalse(Ignored("bob", ALICE).same(Ignored("bob", MALLORY)))
        self.assertFalse(Ignored("bob", ALICE).same(here))

    def test_another_key_takes_the_line_of_the_first_and_is_not_verified(self) -> None:
        pins = Pins(FILE)
        pin = pins.put(Pin(HOME, "alice", MALLORY))
        self.assertEqual(pin.line, 4)
        self.assertEqual(pins.text(), FILE.replace(f"{ALICE} verified", MALLORY))

    def test_an_end_of_line_of_another_system_is_one(self) -> None:
        pins = Pins(FILE.replace("\n", "\r\n"))
        self.assertEqual(pins.person(HOME, "alice"), Pin(HOME, "alice", ALICE, True, 4))

    def test_a_last_line_needs_no_end(self) -> None:
        pins = Pins(FILE.rstrip("\n"))
        self.assertIsNotNone(pins.person(NO_SERVER, "bob"))
        self.assertEqual(pins.text(), FILE)

    def test_lines_are_counted_as_an_editor_counts_them(self) -> None:
        pins = Pins(f"# a\x0cb\u2028c\x85d\n- bob {ALICE}\n")
        pin = pins.person(NO_SERVER, "bob")
        self.assertEqual(pin and pin.line, 2)

    def test_contacts_of_a_key_are_found_without_servers(self) -> None:
        pins = Pins(FILE)
        pins.put(Pin(HOME, "bobby", MALLORY))
        self.assertEqual([pin.name for pin in pins.ids_of(MALLORY)], ["bob", "bobby"])
        self.assertEqual(pins.ids_of(HOME), [])

    def test_a_line_that_cannot_be_read_is_named(self) -> None:
        for line in (
            "alice",
            f"alice {ALICE}",
            f"{HOME} alice {ALICE.lower()}",
            f"{HOME} alice {ALICE[:-1]}",
            f"{HOME} alice {ALICE} trusted",
            f"{HOME} alice {ALICE} verified twice",
            f"sever chat.example:5555 {HOME}",
            f"{HOME[:-1]} alice {ALICE}",
        ):
            with self.subTest(line=line):
                said = str(self.assertRaises(PinTrouble, Pins, f"# one\n{line}\n", "/home/k"))
                self.assertIn("/home/k, line 2:", said)
                self.assertNotIn("\n", said)

    def test_two_lines_for_one_id_are_refused(self) -> None:
        said = str(self.assertRaises(PinTrouble, Pins, f"{FILE}- bob {ALICE}\n", "k"))
        self.assertIn("k, line 6:", said)
        self.assertIn("line 5", said)

    def test_values_that_would_be_read_differently_are_not_written(self) -> None:
        for pin in (
            Pin(HOME, "a b", ALICE),
            Pin(HOME, "", ALICE),
            Pin(HOME, f"x {ALICE}\n- bob", MALLORY),
            Pin(HOME, "alice", "sha256:x"),
            Pin("elsewhere", "alice", ALICE),
        ):
            with self.subTest(pin=pin):
                pins = Pins(FILE)
                self.assertRaises(ValueError, pins.put, pin)
                self.assertEqual(pins.text(), FILE)

    def test_file_size_is_limited(self) -> None:
        self.patch(module, "MOST_LINES", 6)
        pins = Pins(FILE)
        pins.put(Pin(HOME, "carol", key("C")))
        self.assertRaises(PinTrouble, pins.put, Pin(HOME, "dave", key("D")))
        pins.put(Pin(HOME, "carol", key("D")))
        self.assertRaises(PinTrouble, Pins, pins.text() + "#\n")

    @given(st.text(max_size=300))
    def test_any_text_is_read_or_refused_with_a_sentence(self, text: str) -> None:
        try:
            pins = Pins(text)
        except PinTrouble as error:
            self.assertIn("line", str(error))
        else:
            self.assertIn(pins.text(), (text, text + "\n"))

    def test_any_order_of_changes_is_kept(self) -> None:
        run_state_machine_as_test(Changes)


class Changes(RuleBasedStateMachine):
    """Pins beside a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.pins = Pins("# first\n")
        self.known: dict[tuple[str, str], tuple[str, bool]] = {}

    @rule(
        server=st.sampled_from((NO_SERVER, HOME, MALLORY)),
        name=st.one_of(st.sampled_from(("alice", "bob")), IDS),
        key=KEYS,
        verified=st.booleans(),
    )
    def put(self, server: str, name: str, key: str, verified: bool) -> None:
        self.pins.put(Pin(server, name, key, verified))
        self.known[server, name] = key, verified

    @rule()
    def restart(self) -> None:
        self.pins = Pins(self.pins.text())

    @invariant()
    def agrees(self) -> None:
        for (server, name), (known, verified) in self.known.items():
            pin = self.pins.person(server, name)
            assert pin is not None and (pin.key, pin.verified) == (known, verified)
            assert self.pins.text().split("\n")[pin.line - 1] == pin.text()


class FileTests(SynchronousTestCase):
    """`known_peers` on the disk."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        self.path = self.home / "known_peers"

    def test_begins_empty_and_stores_pins(self) -> None:
        file = PinFile(self.path)
        self.assertFalse(self.path.exists())
        file.put(Pin(HOME, "alice", ALICE))
        file.put(Pin(HOME, "alice", ALICE, verified=True))
        self.assertEqual(
            PinFile(self.path).pins.person(HOME, "alice"), Pin(HOME, "alice", ALICE, True, 1)
        )

    def test_is_private_whatever_its_mode_was(self) -> None:
        self.path.write_text(FILE)
        self.path.chmod(0o644)
        PinFile(self.path).put(Pin(HOME, "carol", ALICE))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_external_change_is_not_overwritten(self) -> None:
        self.path.write_text(FILE)
        file = PinFile(self.path)
        self.path.write_text(FILE.replace(f"- bob {MALLORY}\n", ""))
        file.put(Pin(HOME, "carol", ALICE))
        self.assertNotIn("bob", self.path.read_text())
        self.assertIsNone(file.pins.person(NO_SERVER, "bob"))
        self.assertIsNotNone(file.pins.person(HOME, "carol"))

    def test_external_change_is_not_overwritten_by_ignore(self) -> None:
        self.path.write_text(FILE)
        file = PinFile(self.path)
        self.path.write_text(FILE.replace(f"- bob {MALLORY}\n", ""))
        file.ignore(Ignored("eve", key=MALLORY), on=True)
        self.assertIsNone(file.pins.person(NO_SERVER, "bob"))
        self.assertNotIn("bob", self.path.read_text())
        self.assertIn(f"#ignored {MALLORY} eve\n", self.path.read_text())

    def test_a_file_that_was_damaged_meanwhile_is_left_alone(self) -> None:
        self.path.write_text(FILE)
        file = PinFile(self.path)
        self.path.write_text("half a li")
        for _ in range(2):
            self.assertRaises(PinTrouble, file.put, Pin(HOME, "carol", ALICE))
            self.assertEqual(self.path.read_text(), "half a li")
        self.assertIsNotNone(file.pins.person(HOME, "alice"))

    def test_pin_that_could_not_be_written_is_not_believed(self) -> None:
        self.path.write_text(FILE)
        file = PinFile(self.path)
        (self.home / "known_peers.new").mkdir()
        said = str(self.assertRaises(PinTrouble, file.put, Pin(HOME, "alice", MALLORY)))
        self.assertIn(str(self.path), said)
        self.assertEqual(file.pins.person(HOME, "alice"), Pin(HOME, "alice", ALICE, True, 4))
        self.assertEqual(self.path.read_text(), FILE)

    def test_a_file_that_cannot_be_read_is_one_sentence(self) -> None:
        for data in (b"\xff\xfe", b"- bob\n", b"#" * (module.MOST_BYTES + 1)):
            with self.subTest(data=data[:9]):
                self.path.write_bytes(data)
                said = str(self.assertRaises(PinTrouble, PinFile, self.path))
                self.assertIn(str(self.path), said)
                self.assertNotIn("\n", said)
        self.path.unlink()
        self.path.mkdir()
        self.assertIn("cannot read", str(self.assertRaises(PinTrouble, PinFile, self.path)))

    def test_a_crash_leaves_the_old_file_or_the_new_one(self) -> None:
        self.path.write_text(FILE)
        file, seen = PinFile(self.path), []

        def crash(path: Path, target: Path) -> None:
            seen.append((self.path.read_text(), path.read_text()))
            raise OSError(5, "Input/output error")

        self.patch(Path, "replace", crash)
        self.assertRaises(PinTrouble, file.put, replace(Pin(HOME, "carol", ALICE)))
        self.assertEqual(self.path.read_text(), FILE)
        self.assertEqual(seen, [(FILE, f"{FILE}{HOME} carol {ALICE}\n")])

    def test_no_descriptor_is_left_open(self) -> None:
        file = PinFile(self.path)
        before = len([*Path("/proc/self/fd").iterdir()])
        for number in range(10):
            file.put(Pin(HOME, f"a{number}", ALICE))
        self.assertEqual(len([*Path("/proc/self/fd").iterdir()]), before)
