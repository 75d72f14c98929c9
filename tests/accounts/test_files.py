"""A file that changes is read again; one that is broken changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from chatproto.accounts.files import (
    AccountTrouble,
    Reread,
    alone,
    load_allowed,
    read_allowed,
    write,
)
from tests.contracts.names import key

ONE, OTHER = key(1), key(2)


class AllowedTests(SynchronousTestCase):
    def test_one_key_a_line_with_comments(self) -> None:
        text = f"# friends\n{ONE}\n\n  {OTHER.lower()}  # bob\n"
        self.assertEqual(read_allowed(text), {ONE, OTHER})
        self.assertEqual(read_allowed(""), frozenset())

    def test_invalid_key_line_is_reported(self) -> None:
        error = self.assertRaises(AccountTrouble, read_allowed, f"{ONE}\n{ONE} bob\n", "friends")
        self.assertEqual(
            str(error), "friends, line 2: not a key: write sha256: and its 52 characters"
        )


class RereadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(f"{ONE}\n")
        self.complaints: list[str] = []
        self.keys = Reread(self.path, load_allowed, self.complaints.append)

    def test_first_read_returns_the_content_or_fails(self) -> None:
        self.assertEqual(self.keys.value(), {ONE})
        missing = Path(self.mktemp())
        with self.assertRaises(AccountTrouble):
            Reread(missing, load_allowed, self.complaints.append)

    def test_changed_file_is_read_again(self) -> None:
        self.path.write_text(f"{ONE}\n{OTHER}\n")
        for _ in range(2):
            self.assertEqual(self.keys.value(), {ONE, OTHER})
            self.assertEqual(self.keys.generation, 1)

    def test_also_when_another_of_the_same_size_takes_its_place(self) -> None:
        new = self.path.with_name("new")
        new.write_text(f"{OTHER}\n")
        before = self.path.stat()
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.replace(self.path)
        self.assertEqual(self.keys.value(), {OTHER})

    def test_unreadable_file_is_reported_once_and_changes_nothing(self) -> None:
        self.path.write_text("rubbish\n")
        for _ in range(2):
            self.assertEqual(self.keys.value(), {ONE})
        self.assertEqual(self.keys.generation, 0)
        self.assertEqual(len(self.complaints), 1)
        self.assertIn("line 1", self.complaints[0])
        self.path.unlink()
        self.assertEqual(self.keys.value(), {ONE})
        self.assertEqual(len(self.complaints), 2)
        self.path.write_text(f"{OTHER}\n")
        self.assertEqual(self.keys.value(), {OTHER})

    def test_unchanged_file_is_read_again_on_request(self) -> None:
        self.keys.read_again()
        self.assertEqual((self.keys.value(), self.keys.generation), ({ONE}, 1))
        self.path.write_text("rubbish\n")
        trouble = self.assertRaises(AccountTrouble, self.keys.read_again)
        self.assertIn("previous content", str(trouble))
        self.assertEqual((self.keys.value(), self.keys.generation), ({ONE}, 1))
        self.assertEqual(self.complaints, [])


class WriteTests(SynchronousTestCase):
    def test_new_file_of_root_belongs_to_the_owner_of_the_folder(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root can give a file to another user")
        folder = Path(self.mktemp())
        folder.mkdir()
        os.chown(folder, 65534, 65534)
        write(folder / "accounts", "one\n")
        found = (folder / "accounts").stat()
        self.assertEqual((found.st_uid, found.st_gid, found.st_mode & 0o777), (65534, 65534, 0o600))

    def test_new_file_is_private_and_old_file_keeps_its_mode(self) -> None:
        path = Path(self.mktemp())
        write(path, "one\n")
        self.assertEqual((path.read_text(), path.stat().st_mode & 0o777), ("one\n", 0o600))
        path.chmod(0o640)
        write(path, "zwölf\n")
        self.assertEqual((path.read_text(), path.stat().st_mode & 0o777), ("zwölf\n", 0o640))
        self.assertEqual(list(path.parent.glob(f"{path.name}*")), [path])

    def test_target_of_a_link_is_written(self) -> None:
        path, link = Path(self.mktemp()), Path(self.mktemp())
        link.symlink_to(path.absolute())
        write(link, "one\n")
        self.assertTrue(link.is_symlink())
        self.assertEqual(path.read_text(), "one\n")

    def test_unwritable_file_is_reported(self) -> None:
        path = Path(self.mktemp()) / "passwords"
        self.assertRaises(AccountTrouble, write, path, "")
        with self.assertRaises(AccountTrouble), alone(path):
            pass
