"""Contract of every ledger, whatever it stores its lines in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatproto.net.clock import Wall
from chatproto.session.ledger import (
    DELIVERED,
    HEARD,
    MODE,
    MSG,
    OVERHEARD,
    TURN,
    UNCERTAIN,
    UNDELIVERED,
    WAITING,
    Ledger,
    LedgerTrouble,
    LogLine,
    StreamEntry,
    StreamState,
)
from tests.contracts.names import key

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as Case
else:
    Case = object

BOB, CAROL = key(1), key(2)


def message(id: int, text: str = "") -> StreamEntry:
    """Message `id`, said at second `id`."""
    return StreamEntry(id, MSG, Wall(float(id)), text or f"text {id}")


def texts(lines: tuple[LogLine, ...]) -> list[str]:
    return [line.text for line in lines]


class LedgerContract(Case):
    """Mix into a test case that has `make`."""

    def make(self, log: bool) -> Ledger:
        raise NotImplementedError

    def begun(self, log: bool = True) -> Ledger:
        """A ledger in which the numberings with BOB and CAROL have begun."""
        ledger = self.make(log)
        ledger.begin(BOB, "b0b")
        ledger.begin(CAROL, "ca01")
        return ledger

    def states(self, ledger: Ledger) -> list[tuple[int, str]]:
        return [(line.id, line.state) for line in ledger.history(BOB, 100)]

    def test_knows_nothing_of_a_key_with_which_there_was_never_anything(self) -> None:
        ledger = self.make(True)
        self.assertIsNone(ledger.state(BOB))
        ledger.wrote(BOB, 1)
        ledger.settle(BOB, (1,), DELIVERED)
        ledger.withdraw(BOB, 1)
        ledger.meet(BOB, "s")
        ledger.set_turn(BOB, "mine")
        self.assertIsNone(ledger.state(BOB))
        self.assertEqual((ledger.entries(BOB), ledger.waiting()), ((), ()))
        self.assertEqual(
            (ledger.history(BOB, 9), ledger.search("a", 9), ledger.unshown()), ((),) * 3
        )

    def test_begins_each_numbering_at_nothing(self) -> None:
        ledger = self.begun()
        self.assertEqual(ledger.state(BOB), StreamState("b0b", 0, 0, "", 0, ""))
        self.assertEqual(ledger.state(CAROL), StreamState("ca01"))

    def test_keeps_what_waits_by_id_and_for_its_key(self) -> None:
        ledger = self.begun()
        said = (
            message(1),
            StreamEntry(3, TURN, Wall(3.5)),
            StreamEntry(4, MODE, Wall(4.5), "half"),
            message(7),
        )
        for entry in said:
            ledger.add(BOB, "bob", entry)
        ledger.add(CAROL, "carol", message(2))
        self.assertEqual(ledger.entries(BOB), said)
        self.assertEqual(ledger.entries(CAROL), (message(2),))
        self.assertEqual(ledger.state(BOB), StreamState("b0b", last=7))

    def test_refuses_what_has_no_place_in_a_numbering_and_then_does_nothing(self) -> None:
        ledger = self.begun()
        ledger.add(BOB, "bob", message(5))
        ledger.store_incoming(BOB, "bob", message(5))
        for wrong in (
            lambda: ledger.add(BOB, "bob", message(5, "again")),
            lambda: ledger.add(BOB, "bob", message(4)),
            lambda: ledger.add(key(3), "dave", message(1)),
            lambda: ledger.store_incoming(BOB, "bob", message(5, "again")),
            lambda: ledger.store_incoming(BOB, "bob", message(4)),
            lambda: ledger.store_incoming(key(3), "dave", message(1)),
        ):
            self.assertIn("is out of order", str(self.assertRaises(LedgerTrouble, wrong)))
        self.assertEqual(ledger.entries(BOB), (message(5),))
        self.assertEqual(self.states(ledger), [(5, WAITING), (5, HEARD)])
        self.assertIsNone(ledger.state(key(3)))

    def test_remembers_the_highest_that_was_written(self) -> None:
        ledger = self.begun()
        for id in (2, 5, 3):
            ledger.wrote(BOB, id)
        self.assertEqual(ledger.state(BOB), StreamState("b0b", written=5))
        self.assertEqual(ledger.state(CAROL), StreamState("ca01"))

    def test_settles_what_waits_and_its_line(self) -> None:
        ledger = self.begun()
        for entry in (message(1), StreamEntry(2, TURN, Wall(2.0)), message(3), message(4)):
            ledger.add(BOB, "bob", entry)
        ledger.add(CAROL, "carol", message(1))
        ledger.settle(BOB, (1, 2, 99), DELIVERED)
        ledger.settle(BOB, (3,), UNDELIVERED)
        ledger.settle(BOB, (1, 3), WAITING)
        ledger.settle(BOB, (), DELIVERED)
        self.assertEqual(ledger.entries(BOB), (message(4),))
        self.assertEqual(self.states(ledger), [(1, DELIVERED), (3, UNDELIVERED), (4, WAITING)])
        self.assertEqual(ledger.history(CAROL, 9)[0].state, WAITING)

    def test_touches_no_line_of_theirs_that_has_the_same_number(self) -> None:
        ledger = self.begun()
        ledger.store_incoming(BOB, "bob", message(1, "theirs"))
        ledger.add(BOB, "bob", message(1, "ours"))
        ledger.settle(BOB, (1,), DELIVERED)
        self.assertEqual(self.states(ledger), [(1, HEARD), (1, DELIVERED)])

    def test_withdraws_the_text_and_leaves_the_place(self) -> None:
        ledger = self.begun()
        ledger.add(BOB, "bob", message(1))
        ledger.add(BOB, "bob", message(2))
        for id in (1, 1, 99):
            ledger.withdraw(BOB, id)
        self.assertEqual(
            ledger.entries(BOB), (StreamEntry(1, MSG, Wall(1.0), "", True), message(2))
        )
        self.assertEqual(self.states(ledger), [(1, UNCERTAIN), (2, WAITING)])
        self.assertEqual(texts(ledger.history(BOB, 9)), ["text 1", "text 2"])
        ledger.settle(BOB, (1,), DELIVERED)
        self.assertEqual(self.states(ledger), [(1, DELIVERED), (2, WAITING)])

    def test_begins_anew_with_what_waits_but_without_what_was_withdrawn(self) -> None:
        ledger = self.begun()
        for id in (1, 2, 3):
            ledger.add(BOB, "bob", message(id))
        ledger.wrote(BOB, 2)
        ledger.withdraw(BOB, 1)
        ledger.meet(BOB, "theirs")
        ledger.store_incoming(BOB, "bob", message(4))
        ledger.set_turn(BOB, "mine")
        ledger.begin(BOB, "new")
        self.assertEqual(ledger.state(BOB), StreamState("new", 3, 0, "theirs", 4, "mine"))
        self.assertEqual(ledger.entries(BOB), (message(2), message(3)))
        self.assertEqual(self.states(ledger)[0], (1, UNCERTAIN))
        ledger.settle(BOB, (2,), DELIVERED)
        self.assertEqual(self.states(ledger)[1], (2, DELIVERED))

    def test_commits_theirs_and_gives_messages_a_line(self) -> None:
        ledger = self.begun()
        ledger.meet(BOB, "theirs")
        first = ledger.store_incoming(BOB, "bob", message(2, "hello"))
        self.assertEqual(ledger.store_incoming(BOB, "bob", StreamEntry(3, TURN, Wall(3.0))), 0)
        self.assertEqual(
            ledger.store_incoming(BOB, "bob", StreamEntry(5, MODE, Wall(4.0), "full")), 0
        )
        second = ledger.store_incoming(BOB, "bobby", message(7, "more"))
        self.assertLess(0, first)
        self.assertLess(first, second)
        self.assertEqual(ledger.state(BOB), StreamState("b0b", 0, 0, "theirs", 7))
        self.assertEqual(
            ledger.history(BOB, 9),
            (
                LogLine(first, BOB, "bob", 2, Wall(2.0), "hello", HEARD),
                LogLine(second, BOB, "bobby", 7, Wall(7.0), "more", HEARD),
            ),
        )

    def test_has_nothing_of_a_numbering_it_never_met(self) -> None:
        ledger = self.begun()
        ledger.meet(BOB, "one")
        ledger.store_incoming(BOB, "bob", message(5))
        ledger.meet(BOB, "one")
        self.assertEqual(ledger.state(BOB), StreamState("b0b", 0, 0, "one", 5))
        ledger.meet(BOB, "other")
        self.assertEqual(ledger.state(BOB), StreamState("b0b", 0, 0, "other", 0))
        ledger.store_incoming(BOB, "bob", message(1))
        self.assertEqual(len(ledger.history(BOB, 9)), 2)

    def test_remembers_whose_turn_it_is(self) -> None:
        ledger = self.begun()
        ledger.set_turn(BOB, "theirs")
        self.assertEqual(ledger.state(BOB), StreamState("b0b", turn="theirs"))
        ledger.set_turn(BOB, "")
        self.assertEqual(ledger.state(BOB), StreamState("b0b"))

    def test_tells_for_whom_messages_wait(self) -> None:
        ledger = self.begun()
        self.assertEqual(ledger.waiting(), ())
        ledger.add(CAROL, "carol", message(1))
        ledger.add(BOB, "bob", message(9))
        ledger.add(BOB, "robert", message(10))
        ledger.add(BOB, "bobby", StreamEntry(11, TURN, Wall(3.0)))
        self.assertEqual(ledger.waiting(), ((BOB, "robert", 2), (CAROL, "carol", 1)))
        ledger.withdraw(BOB, 10)
        ledger.settle(CAROL, (1,), DELIVERED)
        self.assertEqual(ledger.waiting(), ((BOB, "bob", 1),))

    def test_hands_out_the_latest_lines_the_oldest_first(self) -> None:
        ledger = self.begun()
        for id in range(1, 6):
            ledger.store_incoming(BOB, "bob", message(id))
            ledger.store_incoming(CAROL, "carol", message(id, "hers"))
        lines = ledger.history(BOB, 3)
        self.assertEqual(texts(lines), ["text 3", "text 4", "text 5"])
        self.assertEqual(texts(ledger.history(BOB, 2, lines[0].number)), ["text 1", "text 2"])
        self.assertEqual(len(ledger.history(BOB, 10**30, 10**30)), 5)
        for most, before in ((0, 0), (-1, 0), (-(10**30), 0), (9, -1), (9, 1)):
            self.assertEqual(ledger.history(BOB, most, before), ())

    def test_finds_lines_that_contain_every_word(self) -> None:
        ledger = self.begun()
        for id, text in enumerate(
            ("the quick brown fox", "the lazy dog", "Fox, the QUICK one!", "Grüße aus Zürich"), 1
        ):
            ledger.store_incoming(BOB, "bob", message(id, text))
        ledger.add(CAROL, "carol", message(1, "a fox again"))

        def found(words: str, most: int = 9) -> list[str]:
            return texts(ledger.search(words, most))

        self.assertEqual(
            found("the"), ["the quick brown fox", "the lazy dog", "Fox, the QUICK one!"]
        )
        self.assertEqual(found("fox quick"), ["the quick brown fox", "Fox, the QUICK one!"])
        self.assertEqual(found("fox", 2), ["Fox, the QUICK one!", "a fox again"])
        self.assertEqual(found("zurich"), ["Grüße aus Zürich"])
        self.assertEqual(found("qui"), [])
        self.assertEqual((found(""), found(" \t"), found("..."), found("fox", 0)), ([], [], [], []))
        ledger.store_incoming(BOB, "bob", message(9, "one fox more"))
        self.assertEqual(found("fox more"), ["one fox more"])

    def test_takes_words_literally_whatever_they_mean_to_a_search(self) -> None:
        ledger = self.begun()
        ledger.store_incoming(BOB, "bob", message(1, 'not a near miss: say "foo-bar" or text*'))
        for words in (
            "NOT",
            "near",
            "OR text",
            '"foo',
            'say "foo-bar"',
            "text*",
            "^not",
            "foo-bar !",
        ):
            self.assertEqual(len(ledger.search(words, 9)), 1, words)
        for words in (
            "tex*",
            "text:foo",
            "bar-foo",
            "foo OR nothing",
            "AND",
            "fo\0o",
            "\udcff NEAR(a",
        ):
            self.assertEqual(ledger.search(words, 9), (), words)

    def test_tells_what_of_theirs_has_not_been_shown(self) -> None:
        ledger = self.begun()
        first = ledger.store_incoming(BOB, "bob", message(1))
        ledger.add(BOB, "bob", message(1, "ours"))
        second = ledger.store_incoming(CAROL, "carol", message(1))
        self.assertEqual([line.number for line in ledger.unshown()], [first, second])
        ledger.shown(first)
        self.assertEqual([line.number for line in ledger.unshown()], [second])
        ledger.shown(second)
        ledger.shown(first)
        ledger.shown(0)
        self.assertEqual(ledger.unshown(), ())

    def test_finds_what_was_said_in_rooms_which_nobody_need_be_shown_again(self) -> None:
        ledger = self.begun()
        ledger.store_incoming(BOB, "bob", message(1, "a fox at home"))
        ledger.overheard("#tea", "carol", message(7, "a fox in the garden"), 9)
        ledger.overheard("#den", "dave", message(7, "no fox"), 9)
        ledger.overheard("#tea", "bob", message(3, "where?"), 9)
        tea = ledger.history("#tea", 9)
        self.assertEqual(
            [(line.name, line.id, line.state) for line in tea],
            [("carol", 7, OVERHEARD), ("bob", 3, OVERHEARD)],
        )
        found = ledger.search("fox", 9)
        self.assertEqual([line.key for line in found], [BOB, "#tea", "#den"])
        self.assertEqual(texts(ledger.unshown()), ["a fox at home"])
        ledger.shown(found[-1].number)
        self.assertEqual((ledger.unshown(), ledger.entries("#tea"), ledger.waiting()), ((),) * 3)
        self.assertIsNone(ledger.state("#tea"))

    def test_forgets_the_oldest_of_a_room_and_finds_them_no_more(self) -> None:
        ledger = self.begun()
        ledger.store_incoming(BOB, "bob", message(1, "fox"))
        ledger.overheard("#den", "dave", message(1, "den fox"), 20)
        for id in range(1, 24):
            ledger.overheard("#tea", "carol", message(id, f"fox {id}"), 20)
            self.assertIn(f"fox {id}", texts(ledger.search("fox", 99)))
            self.assertLessEqual(len(ledger.history("#tea", 99)), 22)
        self.assertEqual(texts(ledger.history("#tea", 99)), [f"fox {id}" for id in range(4, 24)])
        self.assertEqual(ledger.search("3", 9), ())
        self.assertEqual(texts(ledger.search("fox", 99))[:3], ["fox", "den fox", "fox 4"])
        self.assertEqual(len(ledger.search("fox", 99)), 22)

    def test_without_a_log_there_is_no_line_and_all_else(self) -> None:
        ledger = self.begun(log=False)
        ledger.add(BOB, "bob", message(1))
        ledger.add(BOB, "bob", message(2))
        self.assertEqual(ledger.store_incoming(BOB, "bob", message(1)), 0)
        ledger.overheard("#tea", "carol", message(1), 9)
        self.assertEqual(ledger.history("#tea", 9), ())
        self.assertEqual(ledger.entries(BOB), (message(1), message(2)))
        self.assertEqual(ledger.waiting(), ((BOB, "bob", 2),))
        ledger.withdraw(BOB, 1)
        ledger.settle(BOB, (2,), DELIVERED)
        self.assertEqual(ledger.entries(BOB), (StreamEntry(1, MSG, Wall(1.0), "", True),))
        self.assertEqual(ledger.state(BOB), StreamState("b0b", last=2, have=1))
        self.assertEqual((ledger.history(BOB, 9), ledger.search("text", 9)), ((), ()))
        self.assertEqual(ledger.unshown(), ())

    def test_keeps_any_text(self) -> None:
        ledger = self.begun()
        for id, text in enumerate(
            ("a\0b", "'; DROP TABLE log; --", "x" * 65536, "😀\r\n\x1b[0m"), 1
        ):
            ledger.add(BOB, text, message(id, text))
            self.assertEqual(ledger.entries(BOB)[-1].text, text)
            self.assertEqual(ledger.history(BOB, 1)[0].text, text)
            self.assertEqual(ledger.waiting(), ((BOB, text, id),))
