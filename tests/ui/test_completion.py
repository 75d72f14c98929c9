"""Test that completions continue the typed text."""

from __future__ import annotations

import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.familiar_names import FamiliarNames
from chatproto.ui.commands import ROWS
from chatproto.ui.completion import MOST, completions, folder_entries
from chatproto.wire.dialects import DIALECTS

NAMES = FamiliarNames(("anna", "bob"), ("anna", "bob", "bea"), ("#den", "#tea"))
FILES = {
    "": (("notes", True), ("my file.txt", False), (".hidden", False), ("it's", False)),
    "notes/": (("a b", True), ("$x", False)),
}


def entries(folder: str) -> tuple[tuple[str, bool], ...]:
    return FILES.get(folder, ())


def lines(text: str, names: FamiliarNames = NAMES) -> list[str]:
    """Return the lines that `text` can be completed to."""
    return [one.line for one in completions(text, names, entries)]


class CompletionTests(SynchronousTestCase):
    def test_a_beginning_completes_to_the_commands(self) -> None:
        self.assertEqual(lines("/re"), ["/register", "/resend "])
        self.assertEqual(lines("/i"), ["/id", "/info ", "/ignore ", "/invite "])
        self.assertEqual(len(lines("/")), len(ROWS))

    def test_every_command_completes(self) -> None:
        for name in ROWS:
            self.assertIn(f"/{name}", [whole.rstrip() for whole in lines(f"/{name[:2]}")])

    def test_an_argument_completes_to_what_the_command_takes(self) -> None:
        for text, expected in {
            "/mode h": ["/mode half"],
            "/help ch": ["/help chat"],
            "/help ke": ["/help keys"],
            "/chat --": ["/chat --as "],
            "/chat --as ra": ["/chat --as raw"],
            "/chat --as=ra": ["/chat --as=raw"],
            "/chat b": ["/chat bob", "/chat bea"],
            "/chat --as raw B": ["/chat --as raw bob", "/chat --as raw bea"],
            "/msg @b": ["/msg @bob", "/msg @bea"],
            "/msg @#": ["/msg @#den", "/msg @#tea"],
            "/switch #t": ["/switch #tea"],
            "/kick bo": ["/kick bob"],
            "/kick bob #": ["/kick bob #den", "/kick bob #tea"],
            "/ban bob 2": ["/ban bob 2h"],
            "/join den k": ["/join den key="],
            "/verify bob y": ["/verify bob yes"],
            "/topic @#d": ["/topic @#den"],
            "/trust b": ["/trust bob", "/trust bea"],
        }.items():
            self.assertEqual(lines(text), expected, text)
        self.assertNotIn("/chat --as ", lines("/chat "))
        self.assertEqual(lines("/chat --as "), [f"/chat --as {name}" for name in DIALECTS])

    def test_trust_completes_only_ids_that_can_have_a_key(self) -> None:
        names = FamiliarNames(ids=("bob", "bob?", "ben@10.0.0.9:5555", "b.example:3001"))
        self.assertEqual(lines("/trust b", names), ["/trust bob", "/trust ben@10.0.0.9:5555"])

    def test_a_word_of_a_text_completes_to_members_of_the_room(self) -> None:
        self.assertEqual(lines("an"), ["anna: "])
        self.assertEqual(lines("hello b"), ["hello bob"])
        self.assertEqual(lines("two\nb"), ["two\nbob"])
        self.assertEqual(lines("/msg @bea a"), ["/msg @bea anna"])
        self.assertEqual(lines("/msg a"), ["/msg anna: "])

    def test_no_completion_where_nothing_is_known(self) -> None:
        nothing = (
            "",
            "zz",
            "hello ",
            "//re",
            "/nix ",
            "/id ",
            "/mode full",
            "/msg @bob ",
            "/over b",
            "/trust bob ",
            "/kick bob b",
            "/chat #",
            "/verify #",
            "/trust #",
            "/send #",
        )
        for text in nothing:
            self.assertEqual(lines(text), [], text)

    @given(st.text().map("/".__add__) | st.text())
    def test_completions_continue_the_typed_text(self, text: str) -> None:
        if text.startswith("/send "):
            return
        for whole in lines(text):
            self.assertTrue(whole.lower().startswith(text.lower()))

    def test_unprintable_names_are_left_out_and_the_list_is_limited(self) -> None:
        hostile = FamiliarNames(ids=("b\x1b[2J", "b\u202eob", "b\ud800", "b\u200bob", "bob?"))
        self.assertEqual(lines("/chat b", hostile), ["/chat bob?"])
        many = FamiliarNames(ids=tuple(f"b{number}" for number in range(2 * MOST)))
        self.assertEqual(len(lines("/chat b", many)), MOST)


class PathTests(SynchronousTestCase):
    def test_a_path_completes_with_the_quotes_that_were_begun(self) -> None:
        for text, expected in {
            "/send n": ["/send notes/"],
            "/send my": ["/send my\\ file.txt "],
            "/send my\\ f": ["/send my\\ file.txt "],
            '/send "my f': ['/send "my file.txt" '],
            "/send 'my f": ["/send 'my file.txt' "],
            "/send it": ["/send it\\'s "],
            "/send 'it": ["/send 'it'\\''s' "],
            "/send a.txt no": ["/send a.txt notes/"],
            '/send "notes/a': ['/send "notes/a b/'],
            "/send notes/": ["/send notes/\\$x ", "/send notes/a\\ b/"],
            "/send .h": ["/send .hidden "],
            "/send none/": [],
        }.items():
            self.assertEqual(lines(text), expected, text)

    @given(st.text(alphabet="ab~ '\"\\$é/", min_size=1), st.sampled_from(["", "'", '"']))
    def test_a_shell_reads_a_completed_path_as_it_is(self, name: str, quote: str) -> None:
        name = name.replace("/", "")
        for one in completions(f"/send {quote}", entries=lambda _: [(name, False)] if name else []):
            self.assertEqual(Path(shlex.split(one.line)[1]), Path(name))
            self.assertFalse(shlex.split(one.line)[1].startswith("~"))
            again = completions(one.line.rstrip(" "), entries=lambda _: [])
            self.assertEqual(again, [])

    def test_names_that_cannot_be_shown_are_left_out(self) -> None:
        hostile = ("a\x1b[2J", "a\u202etxt.exe", "a\udcff", "a\nb", "a\u200bb")
        found = completions("/send a", entries=lambda _: [(name, False) for name in hostile])
        self.assertEqual(found, [])

    def test_a_folder_on_the_disk(self) -> None:
        with TemporaryDirectory() as folder:
            (Path(folder) / "inner").mkdir()
            (Path(folder) / "one.txt").touch()
            self.assertEqual(
                [one.shown for one in completions(f"/send {folder}/")], ["inner/", "one.txt"]
            )
        self.assertEqual(list(folder_entries(folder)), [])
        self.assertEqual(list(folder_entries("~nobody-of-that-name")), [])
