"""Check passwords against argon2id hashes, for `--auth argon2:FILE` and `--auth redis`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from chatproto.accounts.files import Reread
from chatproto.accounts.passwords import hasher, is_hash, is_right, load, nobodys

InThread = Callable[[Callable[[], bool]], Deferred[bool]]
"""Function that runs a job in another thread."""
HashOf = Callable[[str], Deferred[str | None]]
"""Function that returns the hash of a user's password, or None if there is no such account."""


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Checker of the passwords of users that `hash_of` knows. Raises AccountTrouble without argon2-cffi.

    `in_thread`: runs the check outside the reactor; the default runs it at once. Checking an unknown
    user takes as long as a wrong password. A failure of `hash_of` is the result of the check.
    """

    credentialInterfaces = (IUsernamePassword,)
    log = Logger()

    def __init__(self, hash_of: HashOf) -> None:
        hasher()  # raises now rather than at the first login
        self._hash_of = hash_of
        self._nobodys = nobodys()
        self.in_thread: InThread = maybeDeferred

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """Return the user's name. Raises UnauthorizedLogin."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: Any) -> bytes | tuple[()]:
        username: bytes = credentials.username
        password: str = credentials.password.decode()
        user = username.decode("ascii", "replace")
        known = await self._hash_of(user)
        if known is not None and not is_hash(known):
            self.log.error("the account of {user} has no usable hash: it is skipped", user=user)
            known = None
        right = await self.in_thread(lambda: is_right(password, known or self._nobodys))
        if known is None or not right:
            raise UnauthorizedLogin
        return username


class Argon2Checker(PasswordChecker):
    """Checker of the passwords in the file `path`, which may be edited while the server runs.

    Raises: AccountTrouble: the file cannot be read or used.
    """

    def __init__(self, path: Path) -> None:
        self.passwords = Reread(path, load, lambda why: self.log.error("{why}", why=why))
        super().__init__(lambda user: maybeDeferred(self.passwords.value().hash_of, user))
