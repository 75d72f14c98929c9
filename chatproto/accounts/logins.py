"""Logging in: one after another from an address and for a user, few passwords checked at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil
from typing import cast

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import LoginFailed
from twisted.cred.portal import Portal
from twisted.internet.defer import DeferredLock, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from chatproto.accounts.realm import Account, IAccount
from chatproto.accounts.tries import TooMany, Tries
from chatproto.wire.errors import RemoteError
from chatproto.wire.limits import Limits

BUSY_WAIT = 5
"""Seconds after which to come back when too many wait."""
MOST_PROVED = 100_000


class Logins:
    """Lets people log in by `portal`.

    A wrong password counts against the address that it came from (and so against the connection) and
    against the user; but who has logged in with a key before is not held up by what others try. Of
    one address and of one user one password is checked at a time, so that many connections have no
    more tries than one.
    """

    def __init__(self, portal: Portal, clock: IReactorTime, limits: Limits) -> None:
        self._portal = portal
        self._clock = clock
        self._most_waiting = limits.logins_waiting
        self._tries = Tries(limits)
        self._places = DeferredSemaphore(max(1, limits.logins))
        self._locks: dict[str, DeferredLock] = {}
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting = 0

    async def login(
        self, user: str, password: str, address: str, key: str, wanted: Callable[[], bool]
    ) -> str | None:
        """The name of the account that `user` has, or None if nobody waits for it any more (`wanted`).

        Raises RemoteError: 403 for a wrong password or no such user, 429 (TooMany) for too many of
        them; and whatever a checker raises that has its own troubles.
        """
        known = (user, key) in self._proved
        names = [f"from {address}", f"{'by ' + key + ' ' if known else ''}for {user}"]
        self._refuse_too_many(names)  # they need not wait to hear it
        if self._waiting >= self._most_waiting:
            raise TooMany(BUSY_WAIT, "too many wait to log in")
        self._waiting += 1
        try:
            async with AsyncExitStack() as stack:
                for name in names:  # always in this order, so that none waits for itself
                    await stack.enter_async_context(self._alone(name))
                self._refuse_too_many(names)
                await stack.enter_async_context(self._place())
                return await self._check(user, password, key, names) if wanted() else None
        finally:
            self._waiting -= 1

    async def _check(self, user: str, password: str, key: str, names: list[str]) -> str:
        credentials = UsernamePassword(user.encode(), password.encode())
        try:
            _, avatar, _ = await self._portal.login(credentials, None, IAccount)
        except LoginFailed:
            self._tries.wrong(names, self._clock.seconds())
            raise RemoteError(403, "no such user, or another password") from None
        self._proved[user, key] = None
        self._proved.move_to_end((user, key))
        if len(self._proved) > MOST_PROVED:
            self._proved.popitem(last=False)
        return cast(Account, avatar).user

    def _refuse_too_many(self, names: list[str]) -> None:
        wait = self._tries.wait(names, self._clock.seconds())
        if wait > 0:
            raise TooMany(ceil(wait), "too many wrong passwords")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the few at once."""
        await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """Nobody else under `name` meanwhile."""
        lock = self._locks.setdefault(name, DeferredLock())
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked and not lock.waiting:
                self._locks.pop(name, None)
