"""Password file of `--auth argon2:FILE`: a line `user:hash` for each account.

The hashes are argon2id hashes in the usual format (`$argon2id$v=19$m=65536,t=3,p=4$...`). They use the
second recommended option of RFC 9106, section 4: 64 MiB, three passes. Blank lines and lines that
begin with `#` are preserved.
"""

from __future__ import annotations

import base64
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chatproto.accounts.files import AccountTrouble, read
from chatproto.wire.bcp2_common import USER

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MOST_BYTES = 8 * 1024 * 1024
HASH = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,4}),p=\d{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)
MOST_MEMORY, MOST_PASSES = 1024 * 1024, 100  # KiB, times: of a hash that is checked
MEMORY, PASSES, LANES = 64 * 1024, 3, 4  # KiB, times, threads
SALT_BYTES, HASH_BYTES = 16, 32


def hasher() -> PasswordHasher:
    """Return an argon2 hasher, which creates and checks hashes.

    The package is imported here, so that a server without accounts does not load it.

    Raises: AccountTrouble: argon2-cffi is not installed.
    """
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise AccountTrouble("argon2 passwords need a package: pip install argon2-cffi") from None
    return PasswordHasher(PASSES, MEMORY, LANES, HASH_BYTES, SALT_BYTES)


def prepared(password: str) -> bytes:
    """Return `password` in NFC, so that its bytes do not depend on the keyboard (RFC 8265, 4.2.2)."""
    return unicodedata.normalize("NFC", password).encode()


def hashed(password: str) -> str:
    """Return the hash of `password`, which takes about 0.1 s. Raises AccountTrouble."""
    return hasher().hash(prepared(password))


def nobodys() -> str:
    """Return a random hash that no password has; checking it takes as long as any other."""

    def coded(size: int) -> str:
        return base64.b64encode(os.urandom(size)).decode().rstrip("=")

    parameters = f"m={MEMORY},t={PASSES},p={LANES}"
    return f"$argon2id$v=19${parameters}${coded(SALT_BYTES)}${coded(HASH_BYTES)}"


def is_hash(text: str) -> bool:
    """Return True for a hash of argon2id that takes at most 1 GiB and 100 passes to check."""
    match = HASH.fullmatch(text)
    return match is not None and int(match[1]) <= MOST_MEMORY and int(match[2]) <= MOST_PASSES


def is_right(password: str, known: str) -> bool:
    """Return True if `known` is the hash of `password`; costs as much as making a hash.

    Raises: AccountTrouble: argon2-cffi is not installed.
    """
    checks = hasher()
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return checks.verify(known, prepared(password))
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """Accounts in the text of a password file named `where`. Raises AccountTrouble for a bad line."""

    def __init__(self, text: str = "", where: str = "passwords") -> None:
        self._lines = text.removesuffix("\n").split("\n") if text else []
        self._hashes: dict[str, tuple[int, str]] = {}  # index of the line and hash by user
        for number, line in enumerate(self._lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            user, _, known = line.strip().partition(":")
            if USER.fullmatch(user) is None or HASH.fullmatch(known) is None:
                raise AccountTrouble(f"{where}, line {number}: not of the form user:hash")
            if user in self._hashes:
                raise AccountTrouble(f'{where}, line {number}: "{user}" has a line already')
            self._hashes[user] = number - 1, known

    def __iter__(self) -> Iterator[str]:
        """Iterate over the users, sorted by name."""
        return iter(sorted(self._hashes))

    def hash_of(self, user: str) -> str | None:
        """Return the password hash of `user`, or None."""
        found = self._hashes.get(user)
        return found[1] if found else None

    def put(self, user: str, known: str) -> bool:
        """Set the password hash of `user` to `known`; return True if the account is new."""
        former = self._hashes.get(user)
        line = f"{user}:{known}"
        if former is None:
            self._lines.append(line)
            self._hashes[user] = len(self._lines) - 1, known
            return True
        self._lines[former[0]] = line
        self._hashes[user] = former[0], known
        return False

    def remove(self, user: str) -> bool:
        """Remove the account; return False if there is none."""
        former = self._hashes.pop(user, None)
        if former is None:
            return False
        del self._lines[former[0]]
        for other, (index, known) in self._hashes.items():
            if index > former[0]:
                self._hashes[other] = index - 1, known
        return True

    def text(self) -> str:
        """Return the text of the whole file."""
        return "".join(f"{line}\n" for line in self._lines)


def load(path: Path) -> Passwords:
    """Load the password file `path`. Raises AccountTrouble."""
    return Passwords(read(path, MOST_BYTES, stat.S_IRWXO), str(path))
