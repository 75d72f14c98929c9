"""Names that others sent: whatever they are, what comes out is one harmless component."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.names import (
    DEPTH,
    NAME_BYTES,
    NAMELESS,
    folded,
    free_name,
    safe_name,
    safe_paths,
)

EVIL = [
    "/", "\\", "..", ".", "\0", "\n", "\r", "\x1b[2J", "\x7f", "\x85", "\u202e", "\u2066", "\u200b", "\ufeff",
    "\u2028", " ", "\u00a0", "\u3000", "-", "~", ":", "*", "$", "CON", "nul", "com1", "LPT9", "aux", "COM¹",
    "con", "é", "e\u0301", "\u0344", "ﬁ", "ẞ", "ß", "\ud800", "👩\u200d🚀", "x" * 300, "ü" * 130, ".tar.gz",
    ".part", ".", "C:", "file.txt", "\u3164", "ﷺ" * 40, "\u1100\u1161\u200b\u11a8", "\U0001f600" * 60,
]  # fmt: skip
NAMES = st.text(max_size=12) | st.lists(
    st.sampled_from(EVIL) | st.text(st.characters(), max_size=4), max_size=8
).map("".join)


class SafeNameTests(SynchronousTestCase):
    """`safe_name`."""

    def test_the_list(self) -> None:
        for sent, safe in {
            "../../etc/passwd": "passwd",
            "/etc/passwd": "passwd",
            "..\\..\\boot.ini": "boot.ini",
            "C:\\a.txt": "a.txt",
            "C:a.txt": "C_a.txt",
            "a.txt:stream": "a.txt_stream",
            "folder/": "folder",
            "..": NAMELESS,
            "": NAMELESS,
            "/": NAMELESS,
            " . ": NAMELESS,
            ".bashrc": "bashrc",
            "-rf": "rf",
            ".-.x": "x",
            "a.txt. .": "a.txt",
            "con": "_con",
            "NUL.txt": "_NUL.txt",
            "Com1 .tar.gz": "_Com1 .tar.gz",
            "LPT¹": "_LPT¹",
            "console.txt": "console.txt",
            "a\r\nb\x1b[31m\0": "a__b_[31m_",
            "exe.\u202egpj": "exe.gpj",
            "a\u200b.txt": "a.txt",
            "\u202e.x": "x",
            "cafe\u0301": "café",
            "a\u2028b\ud800": "a_b_",
            "a\u00a0b": "a b",
            "what?<>|*.txt": "what_____.txt",
            "Übergrößenträger.pdf": "Übergrößenträger.pdf",
        }.items():
            self.assertEqual(safe_name(sent), safe, repr(sent))

    def test_a_long_name_keeps_its_ending(self) -> None:
        for sent, ending in (("x" * 999 + ".tar.gz", ".tar.gz"), ("ü" * 300 + ".jpeg", ".jpeg")):
            name = safe_name(sent)
            self.assertTrue(name.endswith(ending))
            self.assertIn(len(name.encode()), (NAME_BYTES, NAME_BYTES - 1))
        self.assertEqual(len(safe_name("a." + "x" * 999)), NAME_BYTES)

    @given(NAMES)
    def test_a_safe_name_is_one_component_that_hides_nothing(self, sent: str) -> None:
        name = safe_name(sent)
        self.assertTrue(name)
        self.assertNotRegex(name, r'[/\\:<>"|?*\x00-\x1f\x7f-\x9f]')
        self.assertNotIn(name[0], ".- ")
        self.assertNotIn(name[-1], ". ")
        self.assertLessEqual(len(name.encode()), NAME_BYTES)
        self.assertEqual(unicodedata.normalize("NFC", name), name)
        self.assertEqual(
            {unicodedata.category(c) for c in name} & {"Cc", "Cf", "Cs", "Zl", "Zp"}, set()
        )
        self.assertNotIn(
            name.split(".")[0].rstrip().upper(),
            {"CON", "NUL", "COM1", "LPT9", "AUX", "PRN", "COM¹"},
        )

    @given(NAMES)
    def test_safe_name_is_unchanged(self, sent: str) -> None:
        name = safe_name(sent)
        self.assertEqual(safe_name(name), name)

    @given(NAMES)
    def test_result_is_inside_the_folder(self, sent: str) -> None:
        folder = "/downloads/here"
        self.assertEqual(str(Path(os.path.normpath(Path(folder, safe_name(sent)))).parent), folder)


class FreeNameTests(SynchronousTestCase):
    """`free_name`."""

    def test_the_next_number_stands_before_the_ending(self) -> None:
        for name, second in {
            "a.txt": "a (2).txt", "a": "a (2)", "a.tar.gz": "a (2).tar.gz", "a.b.c": "a.b (2).c",
            "tar.gz": "tar (2).gz", "x.TAR.zst": "x (2).TAR.zst",
        }.items():  # fmt: skip
            self.assertEqual(free_name(name, {name}.__contains__), second)
        self.assertEqual(free_name("a.b", {"a.b", "a (2).b"}.__contains__), "a (3).b")
        self.assertEqual(free_name("a.b", set[str]().__contains__), "a.b")


class SafePathsTests(SynchronousTestCase):
    """`safe_paths`: the files of a folder."""

    def paths(self, *sent: str) -> list[str]:
        return ["/".join(path) for path in safe_paths(sent)]

    def test_no_name_leads_out_of_the_folder(self) -> None:
        self.assertEqual(
            self.paths("../../x", "/etc/passwd", "a/../../b", "a/./c", "..", "", "a\\d", "..\\e"),
            ["x", "etc/passwd", "a/b", "a/c", "file", "file (2)", "a/d", "e"],
        )

    def test_names_equal_on_some_systems_are_made_distinct(self) -> None:
        self.assertEqual(
            self.paths("A.txt", "a.TXT", "A.txt", "straße", "STRASSE", "cafe\u0301", "caf\u00e9"),
            ["A.txt", "a (2).TXT", "A (3).txt", "straße", "STRASSE (2)", "café", "café (2)"],
        )

    def test_files_of_one_folder_stay_in_one_folder(self) -> None:
        self.assertEqual(
            self.paths("Src/a", "src/b", "Src/c", "src", "src/d/e", "x", "x/y"),
            ["Src/a", "src (2)/b", "Src/c", "src (3)", "src (2)/d/e", "x", "x (2)/y"],
        )

    def test_ten_thousand_of_one_name_take_no_time(self) -> None:
        self.assertEqual(len(set(safe_paths(["a.txt"] * 10_000))), 10_000)

    def test_depth_is_limited(self) -> None:
        (path,) = safe_paths(["a/" * 500 + "b"])
        self.assertEqual((len(path), path[-1]), (DEPTH + 1, "b"))

    @given(st.lists(st.lists(NAMES, max_size=4).map("/".join), max_size=8))
    def test_results_are_inside_distinct_and_compatible(self, sent: list[str]) -> None:
        safe = safe_paths(sent)
        self.assertEqual(len(safe), len(sent))
        places = [tuple(map(folded, path)) for path in safe]
        self.assertEqual(len(set(places)), len(places))
        for path in safe:
            self.assertTrue(path)
            for part in path:
                self.assertEqual(safe_name(part), part)
            self.assertTrue(Path("/d", *path).is_relative_to("/d"))
        for place in places:
            for end in range(1, len(place)):
                self.assertNotIn(place[:end], places, "a file where a folder is")

    @given(st.lists(st.lists(NAMES, max_size=4).map("/".join), max_size=8))
    def test_safe_paths_are_unchanged(self, sent: list[str]) -> None:
        safe = self.paths(*sent)
        self.assertEqual(self.paths(*safe), safe)
