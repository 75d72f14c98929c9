"""The key in the home: made once, kept, whole or not there."""

from __future__ import annotations

import multiprocessing
import os
import re
import stat
from pathlib import Path
from unittest import skipIf

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.keys import KEY_FILE, KeyTrouble, new_identity, open_identity
from chatproto.net.keys import key_bytes, key_name

ROOT = os.geteuid() == 0


def name_of(home: str) -> str:
    """The name of the key in `home`, from a process of its own."""
    return open_identity(Path(home)).name


class KeyFileTests(SynchronousTestCase):
    """Opening a home."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        self.path = self.home / KEY_FILE

    def trouble(self) -> str:
        said = str(self.assertRaises(KeyTrouble, open_identity, self.home))
        self.assertIn(str(self.path), said)
        self.assertNotIn("\n", said)
        return said

    def test_key_is_created_once(self) -> None:
        first = open_identity(self.home)
        self.assertEqual(open_identity(self.home).name, first.name)

    def test_two_homes_have_two_keys(self) -> None:
        other = Path(self.mktemp())
        other.mkdir()
        self.assertNotEqual(open_identity(self.home).name, open_identity(other).name)

    def test_key_file_is_private_whatever_the_umask(self) -> None:
        before = os.umask(0)
        try:
            open_identity(self.home)
        finally:
            os.umask(before)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_readable_key_file_is_made_private(self) -> None:
        first = open_identity(self.home)
        self.path.chmod(0o644)
        self.assertEqual(open_identity(self.home).name, first.name)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_only_the_key_file_is_left(self) -> None:
        open_identity(self.home)
        self.assertEqual([path.name for path in self.home.iterdir()], [KEY_FILE])

    def test_half_written_file_is_no_key(self) -> None:
        (self.home / f"{KEY_FILE}.new").write_bytes(b"-----BEGIN PRIV")
        first = open_identity(self.home)
        self.assertEqual(open_identity(self.home).name, first.name)

    def test_damaged_key_is_reported_and_unchanged(self) -> None:
        whole = new_identity().private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        locked = new_identity().private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        for data in (b"", b"nonsense", whole[:60], whole.replace(b"M", b"N"), b"\0" * 99, locked):
            with self.subTest(data=data[:20]):
                self.path.write_bytes(data)
                self.assertIn("damaged", self.trouble())
                self.assertEqual(self.path.read_bytes(), data)

    def test_key_of_another_kind_is_reported(self) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        self.path.write_bytes(
            private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        self.assertIn("not an Ed25519 key", self.trouble())

    def test_folder_instead_of_a_key_is_reported(self) -> None:
        self.path.mkdir()
        self.assertIn("cannot read", self.trouble())

    def test_missing_home_is_reported(self) -> None:
        self.home.rmdir()
        self.assertIn("cannot write", self.trouble())

    @skipIf(ROOT, "root may read and write everything")
    def test_permission_errors_are_reported(self) -> None:
        open_identity(self.home)
        self.path.chmod(0)
        self.assertIn("cannot read", self.trouble())
        self.path.unlink()
        self.home.chmod(0o500)
        self.addCleanup(self.home.chmod, 0o700)
        self.assertIn("cannot write", self.trouble())

    def test_simultaneous_starts_share_one_key(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(2) as pool:
            for number in range(20):
                home = self.home / str(number)
                home.mkdir()
                names = pool.map(name_of, [str(home)] * 4, chunksize=1)
                self.assertEqual(set(names), {open_identity(home).name})


class NameTests(SynchronousTestCase):
    """Names of keys."""

    def test_a_name_is_the_hash_of_the_public_key(self) -> None:
        # RFC 8032, section 7.1, test 1; the name was made with openssl, sha256sum and base32.
        secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).public_key()
        self.assertEqual(
            key_name(public), "sha256:A3R73D62FG5WBK2ZKV66MHW3BLWNWIYRGS7DBZ23IVPY4G3ZF6UQ"
        )

    def test_a_name_stands_for_32_bytes_and_back(self) -> None:
        for _ in range(20):
            name = new_identity().name
            self.assertIsNotNone(re.fullmatch(r"sha256:[A-Z2-7]{52}", name))
            self.assertEqual(len(key_bytes(name)), 32)

    def test_a_name_tells_nothing_of_the_private_key(self) -> None:
        identity = new_identity()
        self.assertNotIn(identity.private.private_bytes_raw().hex(), repr(identity))
