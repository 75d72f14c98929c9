"""Nicknames: one for each key, for ever; and what a name of the program becomes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.irc import nicks
from chatproto.ui.irc.nick_file import MOST_BYTES, NickFile
from chatproto.ui.irc.nicks import LONGEST, NOBODY, Nicks, folded, wanted

KEYS = [f"sha256:{letter * 52}" for letter in "ABCD"]
NAMES = st.from_regex(r"[a-b][B_]?(?:_2|_open|_unconfirmed)?(?:\?|~open|~2)?", fullmatch=True)


class WantedTests(SynchronousTestCase):
    def test_marks_become_words(self) -> None:
        expected = {
            "bob": "bob",
            "bob~2": "bob",
            "bob@192.0.2.1:5555": "bob",
            f"bob@{KEYS[0]}": "bob",
            "bob?": "bob_unconfirmed",
            "bob?~2": "bob_unconfirmed",
            "bob~open": "bob_open",
            "bob~open~3": "bob_open",
            "10.0.0.2:5002": "10.0.0.2_5002",
            KEYS[0]: "key_aaaaaaaa",
            "": "someone",
            "-é!*": "___",
        }
        self.assertEqual({name: wanted(name).base for name in expected}, expected)

    @given(st.text(max_size=200))
    def test_anything_becomes_a_word_that_irc_takes(self, name: str) -> None:
        nick = Nicks().of("x", name)
        self.assertRegex(nick, r"\A[A-Za-z0-9._][A-Za-z0-9._-]*\Z")
        self.assertLessEqual(len(nick), LONGEST)


class NickTests(SynchronousTestCase):
    def test_second_peer_of_a_name_has_a_number(self) -> None:
        table = Nicks()
        self.assertEqual([table.of(key, "bob") for key in KEYS[:3]], ["bob", "bob_2", "bob_3"])
        self.assertEqual(table.of(KEYS[1], "bob~2"), "bob_2")

    def test_nicknames_ignore_case(self) -> None:
        table = Nicks()
        self.assertEqual([table.of(KEYS[0], "bob"), table.of(KEYS[1], "Bob")], ["bob", "Bob_2"])

    def test_id_that_looks_marked_gets_a_number(self) -> None:
        table = Nicks()
        self.assertEqual(table.of(KEYS[0], "bob_open"), "bob_open_2")
        self.assertEqual(table.of("plain", "bob~open"), "bob_open")
        self.assertEqual(table.of(KEYS[1], "eve_Unconfirmed"), "eve_Unconfirmed_2")
        self.assertEqual(table.of(KEYS[2], "eve?"), "eve_unconfirmed")

    def test_a_nickname_passes_only_where_that_is_allowed(self) -> None:
        table = Nicks()
        table.of("bob at the server", "bob")
        self.assertEqual(table.of(KEYS[0], "bob", lambda owner: False), "bob_2")
        self.assertEqual(table.of(KEYS[1], "bob", lambda owner: owner != KEYS[0]), "bob")
        self.assertEqual(table.of("bob at the server", "bob"), "bob_3")

    @given(st.lists(st.tuples(st.sampled_from(KEYS), NAMES)))
    def test_a_nickname_never_becomes_that_of_another_key(
        self, asked: list[tuple[str, str]]
    ) -> None:
        kept: dict[str, str] = {}
        with TemporaryDirectory() as folder:
            path = Path(folder) / "nicks"
            for key, name in asked:
                file = NickFile(path)  # as if the program began anew each time
                table = Nicks(file.read(), str, file.add)
                nick = folded(table.of(key, name))
                self.assertEqual(kept.setdefault(nick, key), key)

    def test_peers_beyond_the_limit_share_an_unusable_nickname(self) -> None:
        self.patch(nicks, "MOST", 2)
        table = Nicks()
        self.assertEqual([table.of(n, name) for n, name in enumerate("abc")], ["a", "b", NOBODY])


class NickFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "nicks"

    def test_is_private_and_only_ever_grows(self) -> None:
        NickFile(self.path).add("bob", KEYS[0])
        NickFile(self.path).add("eve", KEYS[1])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(NickFile(self.path).read(), [("bob", KEYS[0]), ("eve", KEYS[1])])

    def test_a_line_that_was_cut_costs_only_itself(self) -> None:
        self.path.write_text(f"bob {KEYS[0]}\n\xff x y\neve sha2")
        file = NickFile(self.path)
        self.assertEqual(file.read(), [("bob", KEYS[0])])
        file.add("eve", KEYS[1])
        self.assertEqual(NickFile(self.path).read(), [("bob", KEYS[0]), ("eve", KEYS[1])])

    def test_reads_a_bounded_amount(self) -> None:
        line = f"bob {KEYS[0]}\n"
        self.path.write_text(line * (MOST_BYTES // len(line) + 2))
        self.assertEqual(len(NickFile(self.path).read()), MOST_BYTES // len(line))

    def test_trouble_costs_only_the_memory(self) -> None:
        self.path.mkdir()
        file = NickFile(self.path)
        self.assertEqual(file.read(), [])
        file.add("bob", KEYS[0])
        self.assertEqual(NickFile(None).read(), [])
