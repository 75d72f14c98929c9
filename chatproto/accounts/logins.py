"""Log users in with rate limits: one check at a time per address, few passwords at once."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from math import ceil
from typing import NamedTuple, cast

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import LoginFailed
from twisted.cred.portal import Portal
from twisted.internet.defer import DeferredLock, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from chatproto.accounts.realm import Account, IAccount
from chatproto.net.bounded_table import remember
from chatproto.wire.errors import Later, RemoteError
from chatproto.wire.limits import ServerLimits
from chatproto.wire.values import distinct

BUSY_WAIT = 5
"""Seconds after which a client may retry when too many logins are waiting."""
MOST_PROVED = 100_000
RESERVE = 4
"""One in `RESERVE` waiting places is reserved for keys that own the id or have logged in before."""


MINUTE = 60.0
MOST = 100_000
"""Maximum addresses and users whose wrong passwords are counted; the oldest are forgotten."""


class PasswordTries:
    """Limit wrong passwords to `most` per minute under each name; `now` is in seconds.

    Correct passwords are not counted: many users behind one address may log in at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()  # the latest last

    def wait(self, names: Iterable[str], now: float) -> float:
        """Return the seconds until another attempt is allowed under all of `names`; 0: now."""
        return max((self._wait(name, now) for name in names), default=0.0)

    def wrong(self, names: Iterable[str], now: float) -> None:
        """Count one wrong password under each of `names`."""
        for name in names:
            times = self._wrong.get(name, deque(maxlen=max(1, self._most)))
            remember(self._wrong, name, times, MOST).append(now)

    def _wait(self, name: str, now: float) -> float:
        if self._most == 0:
            return MINUTE
        times = self._wrong.get(name)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + MINUTE - now)


@distinct
class _Attempt(NamedTuple):
    """Names that a wrong password is counted against: `name`, and the `user` unless the key is known."""

    name: str
    user: str | None

    @property
    def users(self) -> tuple[str, ...]:
        return () if self.user is None else (self.user,)


class Logins:
    """Check logins through `portal`, with limits on wrong passwords and on waiting logins.

    A wrong password counts against its address and against the user. A key that owns the user's id, or
    has logged in as the user before, is not delayed by the attempts of others. One password per address is
    checked at a time, so that many connections have no more attempts than one. `RESERVE` sets the places in
    the queue that are reserved for such keys.
    """

    def __init__(self, portal: Portal, clock: IReactorTime, limits: ServerLimits) -> None:
        self._portal = portal
        self._clock = clock
        self._limits = limits
        self._tries = PasswordTries(limits.login_tries)
        self._user_tries = PasswordTries(limits.login_tries_per_user)
        self._places = DeferredSemaphore(max(1, limits.logins))
        self._locks: dict[str, DeferredLock] = {}
        self._proved: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting: Counter[str] = Counter()  # by name, and "" for all

    async def login(
        self,
        user: str,
        password: str,
        address: str,
        key: str,
        wanted: Callable[[], bool],
        owns: bool = False,
    ) -> str | None:
        """Return the name of the account of `user`, or None if `wanted` returns False by then.

        `wanted`: whether the client still waits. `owns`: True if `key` owns the id that equals `user`.
        Raises RemoteError: 403 for an unknown user or a wrong password, 429 (Later) for too many of them
        or of waiting logins; and other errors of a checker.
        """
        known = owns or (user, key) in self._proved
        name = f"by {key} for {user}" if known else f"from {address}"
        attempt = _Attempt(name, None if known else f"for {user}")
        self._refuse_too_many(attempt)  # refused at once, without waiting in the queue
        limits = self._limits
        reserve = 0 if known else limits.logins_waiting // RESERVE
        most = limits.logins_waiting - reserve
        if self._waiting[name] >= limits.logins_waiting_per_address or self._waiting[""] >= most:
            raise Later("too many logins are waiting", BUSY_WAIT)
        self._waiting.update((name, ""))
        try:
            async with self._alone(name):
                self._refuse_too_many(attempt)
                async with self._places:
                    return await self._check(user, password, key, attempt) if wanted() else None
        finally:
            self._waiting.subtract((name, ""))
            if not self._waiting[name]:
                del self._waiting[name]

    async def _check(self, user: str, password: str, key: str, attempt: _Attempt) -> str:
        credentials = UsernamePassword(user.encode(), password.encode())
        try:
            _, avatar, _ = await self._portal.login(credentials, None, IAccount)
        except LoginFailed:
            now = self._clock.seconds()
            self._tries.wrong([attempt.name], now)
            self._user_tries.wrong(attempt.users, now)
            raise RemoteError(403, "unknown user or wrong password") from None
        remember(self._proved, (user, key), None, MOST_PROVED)
        return cast(Account, avatar).user

    def _refuse_too_many(self, attempt: _Attempt) -> None:
        now = self._clock.seconds()
        wait = max(self._tries.wait([attempt.name], now), self._user_tries.wait(attempt.users, now))
        if wait > 0:
            raise Later("too many wrong passwords", ceil(wait))

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of `name` while the `with` block runs."""
        lock = self._locks.setdefault(name, DeferredLock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked and not lock.waiting:
                self._locks.pop(name, None)
