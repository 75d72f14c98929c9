"""`--auth argon2:FILE`: a checker of twisted.cred for a file of hashes."""

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
from chatproto.accounts.passwords import hasher, is_right, load, nobodys

InThread = Callable[[Callable[[], bool]], Deferred[bool]]
"""Does the work that it is given in another thread."""


@implementer(ICredentialsChecker)
class Argon2Checker:
    """Knows the users in the file `path`, which may change meanwhile. Raises AccountTrouble.

    `in_thread` does the work where nobody waits for it; until it is set, it is done at once. Somebody
    who is not in the file takes as long as somebody whose password is wrong.
    """

    credentialInterfaces = (IUsernamePassword,)
    log = Logger()

    def __init__(self, path: Path) -> None:
        hasher()  # rather now than at the first login
        self.passwords = Reread(path, load, lambda why: self.log.error("{why}", why=why))
        self._nobodys = nobodys()
        self.in_thread: InThread = maybeDeferred

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """The user's name, or UnauthorizedLogin."""
        username: bytes = credentials.username
        password: str = credentials.password.decode()
        user = username.decode("ascii", "replace")
        known = self.passwords.value().hash_of(user)

        def judge(right: bool) -> bytes | tuple[()]:
            if known is None or not right:
                raise UnauthorizedLogin
            return username

        return self.in_thread(lambda: is_right(password, known or self._nobodys)).addCallback(judge)
