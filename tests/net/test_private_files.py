"""Homes, keys and stores that other users of the machine have prepared or can look into."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from chatproto.accounts.files import AccountTrouble, load_allowed
from chatproto.accounts.passwords import load
from chatproto.cli import asking
from chatproto.cli.asking import password_in
from chatproto.cli.options import RotatedLog
from chatproto.client.home import Home, HomeTrouble
from chatproto.identity.keys import KEY_FILE, KeyTrouble, open_identity
from chatproto.identity.pins import PinFile, PinTrouble
from chatproto.net.paths import local_path
from chatproto.net.private_files import (
    NotPrivate,
    check_owner,
    make_private,
    make_private_folder,
)
from chatproto.stores.sqlite import SERVER
from chatproto.stores.sqlite_file import SqliteFile
from chatproto.wire.errors import CannotStart, StoreTrouble

NOBODY = 65534
AS_ROOT = skipUnless(os.geteuid() == 0, "only root can give files to somebody else")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class PipeTests(SynchronousTestCase):
    """A pipe with a name stands where a file of ours or a password should be."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir(mode=0o700)

    def pipe(self, name: str) -> Path:
        os.mkfifo(self.home / name)
        return self.home / name

    def test_pipe_instead_of_a_file_is_refused_at_once(self) -> None:
        self.pipe(KEY_FILE)
        self.assertRaisesRegex(KeyTrouble, "not a regular file", open_identity, self.home)
        pins = self.pipe("known_peers")
        self.assertRaisesRegex(PinTrouble, "not a regular file", PinFile, pins)
        self.patch(RotatedLog, "path", self.pipe("chatclient.log"))
        self.assertRaisesRegex(OSError, "not a regular file", RotatedLog.open)
        store = self.pipe("store")
        self.assertRaisesRegex(StoreTrouble, "not a regular file", SqliteFile, store, SERVER)

    def test_a_password_is_not_waited_for_for_ever(self) -> None:
        self.patch(asking, "PIPE_WAIT", 0.01)
        path = self.pipe("password")
        self.assertRaisesRegex(CannotStart, "nothing was written", password_in, path)

    def test_password_can_be_read_from_a_pipe(self) -> None:
        path = self.pipe("password")
        end = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, end)
        os.write(end, b"secret\nmore")
        self.assertEqual(password_in(path), "secret")


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        before = os.umask(0)
        self.addCleanup(os.umask, before)

    def file(self, name: str, text: str = "", bits: int = 0o666) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(bits)
        return path

    def planted(self, path: Path) -> Path:
        """A link of somebody else to a file of ours."""
        path.symlink_to(self.file("target"))
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        return path


class FolderTests(Case):
    def test_a_new_folder_and_its_parents_are_private_under_umask_000(self) -> None:
        path = self.folder / "a" / "b"
        make_private_folder(path)
        self.assertEqual((mode(path), mode(path.parent)), (0o700, 0o700))

    def test_a_folder_that_others_may_write_is_made_private(self) -> None:
        path = self.folder / "home"
        path.mkdir()
        self.assertEqual(mode(path), 0o777)
        make_private_folder(path)
        self.assertEqual(mode(path), 0o700)

    def test_folder_readable_by_others_is_unchanged(self) -> None:
        path = self.folder / "home"
        path.mkdir(mode=0o755)
        make_private_folder(path)
        self.assertEqual(mode(path), 0o755)

    def test_file_instead_of_a_folder_is_named(self) -> None:
        path = self.file("home")
        for wanted, says in ((path, "it"), (path / "below" / "it", str(path))):
            error = self.assertRaises(NotADirectoryError, make_private_folder, wanted)
            self.assertEqual(error.strerror, f"{says} is not a folder")

    def test_world_writable_shared_folder_is_refused(self) -> None:
        path = self.folder / "tmp"
        path.mkdir()
        path.chmod(0o1777)
        with self.assertRaises(NotPrivate):
            make_private_folder(path)
        self.assertEqual(mode(path), 0o1777)

    @AS_ROOT
    def test_a_folder_of_another_user_is_refused(self) -> None:
        path = self.folder / "home"
        path.mkdir(mode=0o700)
        os.chown(path, NOBODY, NOBODY)
        for use in (make_private_folder, lambda one: Home(one).open()):
            with self.assertRaises((NotPrivate, HomeTrouble)) as caught:
                use(path)
            self.assertIn("belongs to another user", str(caught.exception))

    @AS_ROOT
    def test_a_link_of_another_user_in_the_place_of_a_folder_is_refused(self) -> None:
        own = self.folder / "own"
        own.mkdir(mode=0o700)
        link = self.folder / "link"
        link.symlink_to(own)
        make_private_folder(link)
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        with self.assertRaises(NotPrivate):
            make_private_folder(link)


class PlantedTests(Case):
    """Each file that a program keeps, planted by another user."""

    @AS_ROOT
    def test_every_planted_file_is_one_sentence(self) -> None:
        def store(suffix: str) -> Callable[[Path], object]:
            self.planted(self.folder / f"s.sqlite{suffix}")
            return lambda home: SqliteFile(home / "s.sqlite", SERVER)

        def log(home: Path) -> None:
            RotatedLog.path = home / "chatserver.log"
            RotatedLog.open()

        self.addCleanup(setattr, RotatedLog, "path", None)
        users: list[tuple[str, Callable[[Path], object], type[Exception]]] = [
            (KEY_FILE, open_identity, KeyTrouble),
            ("known_peers", lambda home: PinFile(home / "known_peers"), PinTrouble),
            ("lock", lambda home: Home(home).open(), HomeTrouble),
            ("chatserver.log", log, NotPrivate),
            *((f"s.sqlite{one}", store(one), StoreTrouble) for one in ("", "-wal", "-lock")),
        ]
        for name, use, trouble in users:
            path = self.folder / name
            if not path.is_symlink():
                self.planted(path)
            with self.assertRaises(trouble) as caught:
                use(self.folder)
            said = str(caught.exception)
            self.assertIn("belongs to another user", said, name)
            self.assertNotIn("\n", said)
            self.assertEqual(path.read_text(), "")
            path.unlink()

    @AS_ROOT
    def test_broken_link_of_another_user_is_refused(self) -> None:
        link = self.folder / "planted"
        link.symlink_to(self.folder / "nothing")
        check_owner(link)
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        self.assertRaises(NotPrivate, check_owner, link)

    def test_missing_path_is_accepted(self) -> None:
        check_owner(self.folder / "nothing")


class ReadableTests(Case):
    def test_password_files_are_made_private(self) -> None:
        for name, read, text, bits in (
            ("hashes", load, "# none\n", 0o660),
            ("keys", load_allowed, "# none\n", 0o664),
            ("password", password_in, "secret\n", 0o600),
        ):
            path = self.file(name, text)
            read(path)
            self.assertEqual(mode(path), bits, name)

    def test_a_password_in_a_pipe_is_read(self) -> None:
        ends = os.pipe()
        os.write(ends[1], b"secret\n")
        for one in ends:
            self.addCleanup(os.close, one)
        self.assertEqual(password_in(Path(f"/dev/fd/{ends[0]}")), "secret")

    @AS_ROOT
    def test_a_file_that_cannot_be_made_private_is_refused(self) -> None:
        path = self.file("hashes", "# none\n")
        self.patch(Path, "chmod", _refused)
        with self.assertRaises(NotPrivate):
            make_private(path)
        with self.assertRaises(AccountTrouble) as caught:
            load(path)
        self.assertIn("chmod go-rwx", str(caught.exception))

    @AS_ROOT
    def test_systemd_credential_is_unchanged(self) -> None:
        self.patch(os, "environ", {"CREDENTIALS_DIRECTORY": str(self.folder)})
        self.folder.chmod(0o755)
        path = self.file("password", "secret\n", 0o440)
        self.assertEqual(password_in(path), "secret")
        self.assertEqual(mode(path), 0o440)
        for bits in (0o444, 0o460):  # not how systemd has them
            path.chmod(bits)
            make_private(path)
            self.assertEqual(mode(path), bits & 0o700)
        path.chmod(0o440)
        self.folder.chmod(0o777)
        make_private(path)
        self.assertEqual(mode(path), 0o400)
        self.folder.chmod(0o755)
        path.chmod(0o440)
        os.chown(path, NOBODY, 0)
        make_private(path)
        self.assertEqual(mode(path), 0o400)

    def test_a_relative_path_needs_a_folder_that_is_there(self) -> None:
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        gone = self.folder / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        self.assertRaisesRegex(ValueError, "current folder was removed", local_path, "x")
        self.assertEqual(local_path("/x"), Path("/x"))

    def test_a_credential_is_found_by_its_variable(self) -> None:
        self.patch(os, "environ", {"CREDENTIALS_DIRECTORY": "/run/credentials/x"})
        for text in ("$CREDENTIALS_DIRECTORY/key.pem", "${CREDENTIALS_DIRECTORY}/key.pem"):
            self.assertEqual(local_path(text), Path("/run/credentials/x/key.pem"))
        self.assertEqual(local_path("$CREDENTIALS_DIRECTORYx/k"), Path("$CREDENTIALS_DIRECTORYx/k"))
        self.patch(os, "environ", {})
        self.assertRaisesRegex(ValueError, "LoadCredential", local_path, "$CREDENTIALS_DIRECTORY/k")


def _refused(path: Path, mode: int) -> None:
    raise PermissionError(1, "Operation not permitted")
