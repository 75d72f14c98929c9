"""A password file keeps what stands in it, and checking takes the same time for everybody."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts import passwords
from chatproto.accounts.files import AccountTrouble
from chatproto.accounts.passwords import Passwords, hashed, is_hash, is_right, load, nobodys

users = st.from_regex(r"[!-9;-~]{1,64}", fullmatch=True).filter(lambda user: user[0] != "#")
changes = st.lists(st.tuples(st.sampled_from(["put", "remove"]), users), max_size=30)


class HashTests(SynchronousTestCase):
    def test_a_password_is_right_or_wrong(self) -> None:
        known = hashed("pässword")
        self.assertTrue(known.startswith("$argon2id$v=19$m=65536,t=3,p=4$"))
        self.assertTrue(is_right("pässword", known))
        self.assertTrue(is_right("pa\u0308ssword", known))  # the same in another spelling
        self.assertFalse(is_right("password", known))
        self.assertNotEqual(known, hashed("pässword"))

    def test_dummy_hash_looks_real_and_matches_no_password(self) -> None:
        one = nobodys()
        self.assertEqual(len(one), len(hashed("x")))
        self.assertIsNotNone(passwords.HASH.fullmatch(one))
        self.assertFalse(is_right("", one))

    def test_a_damaged_hash_is_nobodys(self) -> None:
        self.assertFalse(is_right("x", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"))

    def test_hash_that_costs_too_much_memory_or_time_is_none(self) -> None:
        def costs(memory: int, passes: int) -> bool:
            return is_hash(f"$argon2id$v=19$m={memory},t={passes},p=1$AAAA$AAAA")

        self.assertTrue(costs(1024 * 1024, 100))
        self.assertFalse(costs(1024 * 1024 + 1, 100))
        self.assertFalse(costs(1024 * 1024, 101))


class FileTests(SynchronousTestCase):
    known = nobodys()

    def test_file_maps_users_to_hashes(self) -> None:
        text = f"# ours\n\nbob:{self.known}\n  al@example.org:{self.known}  \n"
        kept = Passwords(text)
        self.assertEqual(list(kept), ["al@example.org", "bob"])
        self.assertEqual(kept.hash_of("bob"), self.known)
        self.assertIsNone(kept.hash_of("carol"))
        self.assertEqual(kept.text(), text)

    def test_comments_keep_their_lines(self) -> None:
        kept = Passwords(f"# one\na:{self.known}\n# two\nb:{self.known}\n# three\n")
        self.assertTrue(kept.remove("a"))
        self.assertFalse(kept.remove("a"))
        self.assertTrue(kept.put("c", self.known))
        other = nobodys()
        self.assertFalse(kept.put("b", other))
        self.assertEqual(kept.text(), f"# one\n# two\nb:{other}\n# three\nc:{self.known}\n")

    @given(changes)
    def test_changes_survive_a_reload(self, wanted: list[tuple[str, str]]) -> None:
        kept, model = Passwords("# begin\n"), set()
        for change, user in wanted:
            if change == "put":
                self.assertEqual(kept.put(user, self.known), user not in model)
                model.add(user)
            else:
                self.assertEqual(kept.remove(user), user in model)
                model.discard(user)
        self.assertEqual(list(kept), sorted(model))
        self.assertEqual(list(Passwords(kept.text())), sorted(model))

    @given(st.text())
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            kept = Passwords(text)
        except AccountTrouble:
            return
        self.assertEqual(list(Passwords(kept.text())), list(kept))

    def test_invalid_line_is_reported_with_its_number(self) -> None:
        for text, why in (
            (
                f"a:{self.known}\nb:secret\n",
                "passwords, line 2: not of the form user:hash",
            ),
            (
                f"a b:{self.known}",
                "passwords, line 1: not of the form user:hash",
            ),
            (f"a:{self.known}\n\na:{self.known}", 'passwords, line 3: "a" has a line already'),
        ):
            error = self.assertRaises(AccountTrouble, Passwords, text)
            self.assertEqual(str(error), why)

    def test_missing_oversized_or_binary_file_is_refused(self) -> None:
        path = Path(self.mktemp())
        self.assertIn("No such file", str(self.assertRaises(AccountTrouble, load, path)))
        path.write_bytes(b"\xff\n")
        self.assertIn("UTF-8", str(self.assertRaises(AccountTrouble, load, path)))
        self.patch(passwords, "MOST_BYTES", 10)
        path.write_text("# a long comment\n")
        self.assertIn("at most 10 bytes", str(self.assertRaises(AccountTrouble, load, path)))
