"""Checkers that the tests can hold up, and how somebody logs in."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

PASSWORD = "correct horse"


@implementer(ICredentialsChecker)
class Checker:
    """Knows everybody whose password is `PASSWORD`; while `held` it answers when it is let go."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held = False
        self.waiting: list[tuple[Deferred[Any], Any]] = []

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        self.asked.append(credentials.username.decode())
        if not self.held:
            return self.judge(credentials)
        answer: Deferred[Any] = Deferred()
        self.waiting.append((answer, credentials))
        return answer

    def judge(self, credentials: Any) -> Deferred[Any]:
        if credentials.checkPassword(PASSWORD.encode()):
            return succeed(credentials.username)
        return fail(UnauthorizedLogin())

    def let_go(self) -> None:
        """Answer the first who waits."""
        answer, credentials = self.waiting.pop(0)
        self.judge(credentials).chainDeferred(answer)
