"""Conversations keep their numbers and count what is unread; Tab completes and lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.completion import Completion
from chatproto.ui.screen.cells import width
from chatproto.ui.screen.glyphs import UNICODE
from chatproto.ui.screen.tab import ROWS, completed, listing
from chatproto.ui.screen.tabs import MOST, Tabs


def choices(*lines: str) -> list[Completion]:
    return [Completion(line, line.rstrip()) for line in lines]


class TabTests(SynchronousTestCase):
    """Unread counts, and the keys that switch."""

    def setUp(self) -> None:
        self.tabs = Tabs()
        for name in ("bob", "#tea", "ann"):
            self.tabs.open(name)
        self.tabs.look_at("bob")

    def text(self, columns: int = 80) -> str:
        return "".join(text for _, text in self.tabs.line(UNICODE, columns))

    def test_lines_said_elsewhere_are_unread_until_looked_at(self) -> None:
        self.assertFalse(self.tabs.heard("bob"))
        for _ in range(4):
            self.assertTrue(self.tabs.heard("ann"))
        self.assertEqual(self.text(), "[3:ann 4] [2:#tea]")
        self.assertEqual(self.tabs.next_unread(), "ann")
        self.assertEqual(self.tabs.look_at("ann"), 4)
        self.assertEqual(self.tabs.next_unread(), "")
        self.assertEqual(self.text(), "[1:bob] [2:#tea]")

    def test_number_means_the_same_conversation_all_along(self) -> None:
        found = [self.tabs.at(number) for number in range(5)]
        self.assertEqual(found, ["", "bob", "#tea", "ann", ""])

    def test_number_stays_when_others_go_and_come(self) -> None:
        self.tabs.close("#tea")
        self.assertEqual(self.tabs.at(3), "ann")
        self.assertEqual(self.tabs.at(2), "")
        self.assertEqual(self.text(), "[3:ann]")
        self.tabs.open("zoe")
        self.tabs.open("#new")
        self.assertEqual([self.tabs.at(number) for number in (2, 3, 4)], ["zoe", "ann", "#new"])
        self.assertEqual(self.tabs.names(), ["bob", "zoe", "ann", "#new"])

    def test_unread_ones_have_their_place_and_the_rest_is_counted(self) -> None:
        for number in range(4, 9):
            self.tabs.open(f"somebody{number}")
        self.tabs.heard("somebody8")
        self.assertEqual(self.text(24), "[8:somebody8 1] +6")
        self.assertEqual(self.text(30), "[8:somebody8 1] [2:#tea] +5")
        self.tabs.heard("somebody7")
        self.assertEqual(self.text(24), "[7:som… 1] [8:som… 1] +5")

    @given(
        st.lists(st.tuples(st.text(max_size=70), st.booleans()), max_size=20), st.integers(12, 80)
    )
    def test_tabs_never_need_more_than_their_room(
        self, names: list[tuple[str, bool]], columns: int
    ) -> None:
        tabs = Tabs()
        for name, unread in names:
            (tabs.heard if unread else tabs.open)(name)
        line = tabs.line(UNICODE, columns)
        self.assertLessEqual(sum(width(text) for _, text in line), columns)

    def test_next_unread_goes_round(self) -> None:
        self.tabs.look_at("#tea")
        self.tabs.heard("bob")
        self.assertEqual(self.tabs.next_unread(), "bob")

    def test_renamed_conversation_keeps_its_place(self) -> None:
        self.tabs.heard("ann")
        self.tabs.rename("ann", "ann~2")
        self.assertEqual(self.tabs.at(3), "ann~2")
        self.tabs.rename("bob", "bob?")
        self.assertEqual(self.tabs.current, "bob?")
        self.assertEqual(self.tabs.look_at("ann~2"), 1)

    def test_call_that_reached_nobody_leaves_no_tab(self) -> None:
        self.tabs.look_at("zoe")
        self.tabs.look_at("")
        self.assertEqual(self.tabs.names(), ["bob", "#tea", "ann"])
        self.tabs.look_at("zoe")
        self.tabs.open("zoe")
        self.tabs.look_at("")
        self.assertEqual(self.tabs.names(), ["bob", "#tea", "ann", "zoe"])

    def test_ended_conversation_goes_once_it_is_read(self) -> None:
        self.tabs.close("#tea")
        self.tabs.heard("ann")
        self.tabs.close("ann")
        self.tabs.close("bob")
        self.assertEqual(self.tabs.names(), ["bob", "ann"])

    def test_call_that_was_not_taken_up_leaves_no_tab(self) -> None:
        self.tabs.look_at("carl")
        self.tabs.close("carl", never_open=True)
        self.assertNotIn("carl", self.tabs.names())

    def test_tabs_are_bounded(self) -> None:
        for number in range(2 * MOST):
            self.tabs.heard(f"stranger{number}")
        self.assertEqual(len(self.tabs.names()), MOST)

    def test_of_too_many_the_oldest_without_unread_lines_goes(self) -> None:
        tabs = Tabs()
        tabs.heard("unread")
        for number in range(MOST - 1):
            tabs.open(f"read{number}")
        tabs.open("new")
        self.assertEqual(tabs.names()[:3], ["unread", "new", "read1"])


class CompletionTests(SynchronousTestCase):
    """Tab in the prompt."""

    def test_common_beginning_is_completed_and_the_rest_listed(self) -> None:
        found = choices("/mode ", "/msg ", "/mute ")
        self.assertEqual(completed("/m", found), "/m")
        self.assertEqual(completed("/ms", choices("/msg ")), "/msg ")
        self.assertEqual(completed("/chat a", choices("/chat ann", "/chat anton")), "/chat an")
        self.assertEqual(completed("/x", []), "/x")
        self.assertEqual(listing(found, 40), ["/mode  /msg   /mute"])

    def test_list_is_bounded_and_printable(self) -> None:
        lines = listing(choices(*(f"person\x1b{number}" for number in range(500))), 40)
        self.assertEqual(len(lines), ROWS + 1)
        self.assertRegex(lines[-1], r"^and \d+ more$")
        self.assertTrue("".join(lines).isprintable())
