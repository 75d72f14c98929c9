"""Realm of twisted.cred that gives each authenticated user an account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.cred.checkers import (
    ANONYMOUS,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import Attribute, Interface, implementer

from chatproto.wire.values import value_class


class IAccount(Interface):
    """Account of a user who has logged in."""

    user = Attribute("The account's name.")


@implementer(IAccount)
@value_class
class Account:
    """Account of `user`."""

    user: str


@implementer(IRealm)
class Accounts:
    """Realm that gives every authenticated user an account; anonymous access is refused."""

    def requestAvatar(
        self, avatarId: bytes | str | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], Account, Callable[[], None]]:
        if avatarId == ANONYMOUS or IAccount not in interfaces:
            raise LoginDenied
        user = avatarId.decode() if isinstance(avatarId, bytes) else str(avatarId)
        return IAccount, Account(user), lambda: None


@implementer(ICredentialsChecker)
class FirstOf:
    """Checker that accepts what any of `checkers` accepts, asked in turn.

    A portal takes only one checker per kind of credentials, but `--auth` may be repeated.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._ask(credentials))

    async def _ask(self, credentials: Any) -> Any:
        for checker in self._checkers:
            try:
                return await maybeDeferred(checker.requestAvatarId, credentials)
            except UnauthorizedLogin:
                continue
        raise UnauthorizedLogin


def portal(checkers: Sequence[ICredentialsChecker]) -> Portal:
    """Return a portal for users whom one of `checkers` accepts."""
    for checker in checkers:
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # `--auth memory:...` stores text, but the checker compares with bytes.
            checker.users = {_bytes(user): _bytes(word) for user, word in checker.users.items()}
    return Portal(Accounts(), [FirstOf(checkers)])


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
