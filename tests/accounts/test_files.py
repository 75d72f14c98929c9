"""A file that changes is read again; one that is broken changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts.allowed import load_allowed, read_allowed
from chatproto.accounts.files import AccountTrouble, Reread
from tests.contracts.names import key

ONE, OTHER = key(1), key(2)


class AllowedTests(SynchronousTestCase):
    def test_one_key_a_line_with_comments(self) -> None:
        text = f"# friends\n{ONE}\n\n  {OTHER.lower()}  # bob\n"
        self.assertEqual(read_allowed(text), {ONE, OTHER})
        self.assertEqual(read_allowed(""), frozenset())

    def test_a_line_that_is_no_key_is_told(self) -> None:
        error = self.assertRaises(AccountTrouble, read_allowed, f"{ONE}\n{ONE} bob\n", "friends")
        self.assertEqual(str(error), "friends, line 2: not a key such as sha256:...")


class RereadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(f"{ONE}\n")
        self.complaints: list[str] = []
        self.keys = Reread(self.path, load_allowed, self.complaints.append)

    def test_it_is_read_at_first_or_refused(self) -> None:
        self.assertEqual(self.keys.value(), {ONE})
        missing = Path(self.mktemp())
        with self.assertRaises(AccountTrouble):
            Reread(missing, load_allowed, self.complaints.append)

    def test_it_is_read_again_when_it_has_changed(self) -> None:
        self.assertFalse(self.keys.changed())
        self.path.write_text(f"{ONE}\n{OTHER}\n")
        self.assertTrue(self.keys.changed())
        self.assertFalse(self.keys.changed())
        self.assertEqual(self.keys.value(), {ONE, OTHER})

    def test_also_when_another_of_the_same_size_takes_its_place(self) -> None:
        new = self.path.with_name("new")
        new.write_text(f"{OTHER}\n")
        before = self.path.stat()
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.replace(self.path)
        self.assertEqual(self.keys.value(), {OTHER})

    def test_what_cannot_be_read_is_told_once_and_changes_nothing(self) -> None:
        self.path.write_text("rubbish\n")
        self.assertFalse(self.keys.changed())
        self.assertEqual(self.keys.value(), {ONE})
        self.assertEqual(len(self.complaints), 1)
        self.assertIn("line 1", self.complaints[0])
        self.path.unlink()
        self.assertEqual(self.keys.value(), {ONE})
        self.assertEqual(len(self.complaints), 2)
        self.path.write_text(f"{OTHER}\n")
        self.assertEqual(self.keys.value(), {OTHER})
