"""Connect to Redis and run commands. Only this module uses txredisapi."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import txredisapi  # type: ignore[import-untyped]  # it has no types
from OpenSSL.SSL import Error as TlsError
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import Deferred, DeferredList, TimeoutError
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.net.coroutine_service import CoroutineService
from chatproto.net.resolver import endpoint_to
from chatproto.stores.redis.scripts import ALL, TOKEN_LIFE, Script
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import RemoteError, StoreTrouble, Unreadable

ANSWER = 5.0
"""Seconds to wait for the answer to a command."""
PING = 5.0
"""Seconds between two pings of a subscription; one without an answer ends it."""
REPLICATED = 1.0
"""Seconds in which replicas must have a change; later commands on the connection wait as long."""
CONFIRMED = "0:chatproto:confirmed"
"""Channel without subscribers."""
SOONEST, LATEST = 0.1, 1.0
"""Shortest and longest pause in seconds between two attempts to connect."""
MOST_NAMED = 1000
"""Number of keys that are stored to name each in the log only once."""
MOST_KEYS = 3
"""Keys of a script that are named in the log."""
RETRIED = TOKEN_LIFE - ANSWER - 5.0
"""Seconds after the first attempt in which the result of a script is certainly still stored."""
LOST = (
    *(ConnectError, ConnectionClosed, DNSLookupError, TimeoutError, OSError),
    *(txredisapi.RedisError, StoreTrouble),
)
"""Exceptions of a Redis that is unreachable or refuses a command."""


C = TypeVar("C", bound="RedisConnection")


class OutcomeUncertain(RemoteError):
    """A change may have been made, or not. The client is answered 503."""

    def __init__(self, why: str = "Redis did not answer, and did not come back in time") -> None:
        super().__init__(503, why)


class RedisConnection(txredisapi.RedisProtocol):  # type: ignore[misc]  # it has no types
    """Connection without a factory of txredisapi's. Numbers in text replies stay text."""

    def __init__(self, reactor: Any, url: RedisUrl) -> None:
        super().__init__(convertNumbers=False)
        self._reactor = reactor
        self._password = url.password
        self._untrusted = False  # True if TLS ended the connection because of a certificate
        self._replicas = url.replicas
        self._unconfirmed: list[Deferred[int]] = []
        self._confirming = False
        self.ended: Deferred[None] = Deferred()
        """Fires when the connection has ended."""

    def connectionMade(self) -> None:
        self.connected = 1

    def connectionLost(self, why: Failure) -> None:
        self._untrusted = bool(why.check(TlsError, CertificateError, VerificationError))
        super().connectionLost(why)
        if not self.ended.called:
            self.ended.callback(None)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Return the result of `script`. Raises the errors of `ask`."""
        rest = (str(len(keys)), *keys, *arguments)
        try:
            return await self.ask("EVALSHA", script.sha, *rest)
        except StoreTrouble as error:
            if "NOSCRIPT" not in error.detail:
                raise
        return await self.ask("EVAL", script.text, *rest)

    async def confirmed(self) -> None:
        """Wait until enough replicas have all earlier changes.

        Raises: OutcomeUncertain: they do not within `REPLICATED`, or Redis does not answer.
        """
        if not self._replicas:
            return
        waiting: Deferred[int] = Deferred()
        self._unconfirmed.append(waiting)
        if not self._confirming:
            self._confirming = True
            Deferred.fromCoroutine(self._confirm())
        there = await waiting
        if there < self._replicas:
            raise OutcomeUncertain(
                f"{there} replicas of Redis have the change, --redis-replicas wants {self._replicas}"
            )

    async def _confirm(self) -> None:
        """Ask once for all waiting callers: later commands on this connection are answered afterwards."""
        while self._unconfirmed:
            batch, self._unconfirmed = self._unconfirmed, []
            try:
                # WAIT waits for what this connection has written: a change that is found done after a
                # lost reply was written by the former connection.
                await self.ask("PUBLISH", CONFIRMED, "")
                there = await self.ask("WAIT", str(self._replicas), str(int(REPLICATED * 1000)))
            except LOST as error:
                for waiting in batch:
                    waiting.errback(OutcomeUncertain(f"no word of the replicas of Redis: {error}"))
            else:
                for waiting in batch:
                    waiting.callback(there)
        self._confirming = False

    async def ask(self, *command: str) -> Any:
        """Return the reply to `command`: text, a number, None, or a list of these.

        Bytes in it that are not UTF-8 stay bytes.

        Raises: StoreTrouble: it was not carried out; the sentence repeats neither the arguments nor the
        password. Unreadable: a key holds another type. One of `LOST`: it may have been carried out.
        """
        reply = self.execute_command(*command)
        reply.addTimeout(ANSWER, self._reactor)
        try:
            return await reply
        except TimeoutError:
            self.transport.abortConnection()
            raise ConnectionError("Redis does not answer") from None
        except txredisapi.ConnectionError:
            if self._untrusted:
                raise StoreTrouble(
                    "TLS failed: one side refused the certificate of the other"
                ) from None
            raise
        except txredisapi.ResponseError as error:
            why = str(error).partition(", with args")[0]  # which may contain a user's text
            if self._password:
                why = why.replace(self._password, "...")
            kind = Unreadable if "WRONGTYPE" in why else StoreTrouble
            raise kind(f"Redis answered {why.strip().rstrip('.')}") from None


class RedisSubscriber(RedisConnection):
    """Subscribed connection. `heard` is called with each channel and text.

    It is pinged, and closed without an answer: a half-open connection would be as silent as a quiet
    channel.
    """

    def __init__(self, reactor: Any, url: RedisUrl, heard: Callable[[str, str], None]) -> None:
        super().__init__(reactor, url)
        self._heard = heard
        self._pings = LoopingCall(self._ping)
        self._pings.clock = reactor

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Subscribe to `channels`; done when Redis has confirmed all. Raises one of `LOST`."""
        if not self._pings.running:
            self._pings.start(PING, now=False)
        # One command each, so that each has one reply.
        asked = [Deferred.fromCoroutine(self.ask("SUBSCRIBE", one)) for one in channels]
        for confirmed, result in await DeferredList(asked, consumeErrors=True):
            if not confirmed:
                result.raiseException()

    async def unsubscribe(self, channel: str) -> None:
        """Unsubscribe from `channel`. Raises one of `LOST`."""
        await self.ask("UNSUBSCRIBE", channel)

    def replyReceived(self, reply: Any) -> None:
        match reply:
            case ["message", str(channel), text]:
                self._heard(channel, text if isinstance(text, str) else "")
            case _:
                super().replyReceived(reply)

    def connectionLost(self, why: Failure) -> None:
        if self._pings.running:
            self._pings.stop()
        super().connectionLost(why)

    def _ping(self) -> None:
        Deferred.fromCoroutine(self.ask("PING")).addErrback(lambda failure: failure.trap(*LOST))


class _Connections(Factory):
    """Create connections, and log nothing about it."""

    noisy = False

    def __init__(self, make: Callable[[], RedisConnection]) -> None:
        self._make = make

    def buildProtocol(self, address: object) -> RedisConnection:
        return self._make()


@asynccontextmanager
async def subscribed(
    reactor: Any, url: RedisUrl, heard: Callable[[str, str], None]
) -> AsyncIterator[RedisSubscriber]:
    """Hold a subscribed connection, as `connected` does."""
    async with _opened(reactor, url, lambda: RedisSubscriber(reactor, url, heard)) as connection:
        yield connection


@asynccontextmanager
async def connected(reactor: Any, url: RedisUrl) -> AsyncIterator[RedisConnection]:
    """Hold a connection to `url`, logged in and in its database, while the `with` block runs.

    Raises: one of `LOST`.
    """
    async with _opened(reactor, url, lambda: RedisConnection(reactor, url)) as connection:
        yield connection


@asynccontextmanager
async def _opened(reactor: Any, url: RedisUrl, make: Callable[[], C]) -> AsyncIterator[C]:
    endpoint: Any = endpoint_to(reactor, url.host, url.port, ANSWER)
    if url.tls is not None:
        endpoint = wrapClientTLS(url.tls, endpoint)
    connection: Any = await endpoint.connect(_Connections(make))
    try:
        if url.password is not None:
            user = (url.user,) if url.user else ()
            await connection.ask("AUTH", *user, url.password)
        await connection.ask("SELECT", str(url.database))
        yield connection
    finally:
        connection.transport.abortConnection()


class RedisService(CoroutineService, Generic[C]):
    """Use of one connection to the Redis `url`, which is restored whenever it breaks."""

    log = Logger()
    away = ""
    """Words for the log: what a service without a connection lacks."""

    def __init__(self, reactor: Any, url: RedisUrl) -> None:
        self._reactor = reactor
        self._url = url
        self._connection: C | None = None

    @property
    def is_up(self) -> bool:
        """True while there is a connection."""
        return self._connection is not None

    async def _use(self) -> None:
        """Connect, and use the connection until it breaks; on success set `_wait` to `SOONEST`."""
        raise NotImplementedError

    def _connection_lost(self, error: BaseException) -> None:
        """Note that there is no connection, or no longer one."""
        if self._wait == SOONEST:  # once for each outage; the client reports it too
            self.log.debug("{away}: {why}", away=self.away, why=error)

    async def _run(self) -> None:
        self._wait = SOONEST  # before the next attempt to connect
        while self.running:
            try:
                await self._use()
            except LOST as error:
                self._connection_lost(error)
            finally:
                self._connection = None
            if self.running:  # otherwise the cancellation ended `_use` with one of `LOST`
                await deferLater(self._reactor, self._wait, lambda: None)
                self._wait = min(LATEST, self._wait * 2)


class RedisClient(RedisService[RedisConnection]):
    """One connection to the Redis `url` for commands, which is restored whenever it breaks."""

    failed = "Redis can no longer be used"

    def __init__(self, reactor: Any, url: RedisUrl) -> None:
        super().__init__(reactor, url)
        self.why = ""
        """Why it is unreachable, in one sentence; empty if it is connected, or not known yet."""
        self._waiting: list[Deferred[None]] = []
        self._named: set[str] = set()

    def stopService(self) -> Deferred[None] | None:
        stopping = super().stopService()
        self._wake()
        return stopping

    @property
    def connection(self) -> RedisConnection:
        """The connection. Raises StoreTrouble if there is none."""
        if self._connection is None:
            raise StoreTrouble(self.why or "no connection to Redis")
        return self._connection

    async def ask(self, *command: str) -> Any:
        """Return the reply to a command that may run twice. Raises StoreTrouble."""
        try:
            return await self.connection.ask(*command)
        except LOST as error:
            raise self._trouble(error, command[1]) from None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Return the result of a script that may run twice. Raises StoreTrouble."""
        try:
            return await self.connection.run(script, keys, arguments)
        except LOST as error:
            raise self._trouble(error, *keys) from None

    async def once(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Any:
        """Run a script that stores its result under a token, again after a lost reply.

        Raises: StoreTrouble: it was not run. OutcomeUncertain: it may have been; Redis did not return
        while the result of a former attempt would be found.
        """
        begun: float | None = None
        while True:
            try:
                return await self.connection.run(script, keys, arguments)
            except StoreTrouble as error:
                if begun is None:
                    raise self._trouble(error, *keys) from None
            except LOST:
                begun = self._reactor.seconds() if begun is None else begun
            left = begun + RETRIED - self._reactor.seconds()
            if left <= 0 or not self.running:
                raise OutcomeUncertain from None
            if self._connection is not None and self._connection.connected:
                await deferLater(
                    self._reactor, SOONEST, lambda: None
                )  # refused on the second attempt
            else:
                await self._wait_connected(left)

    async def confirmed(self) -> None:
        """Wait until enough replicas have all earlier changes. Raises OutcomeUncertain."""
        if not self._url.replicas:
            return
        if self._connection is None:
            raise OutcomeUncertain
        await self._connection.confirmed()

    async def wait_connected(self, most: float) -> None:
        """Wait for a connection, at most `most` seconds."""
        if self._connection is None:
            await self._wait_connected(most)

    async def _wait_connected(self, most: float) -> None:
        """Wait for a new connection, at most `most` seconds."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        waiting.addTimeout(most, self._reactor)
        try:
            await waiting
        except TimeoutError:
            self._waiting.remove(waiting)

    async def _use(self) -> None:
        async with connected(self._reactor, self._url) as connection:
            for script in ALL:
                await connection.ask("SCRIPT", "LOAD", script.text)
            self._connected(connection)
            self._wait = SOONEST
            await connection.ended
            raise ConnectionError("the connection was lost")

    def _connected(self, connection: RedisConnection) -> None:
        self._connection = connection
        if self.why:
            self.why = ""
            self.log.info("{url} is reachable again", url=self._url)
        self._wake()

    def _wake(self) -> None:
        """Resume the callers that wait for a connection."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)

    def _connection_lost(self, error: BaseException) -> None:
        if not self.why:
            self.log.error("{url} is not reachable: {why}", url=self._url, why=error)
        self.why = str(error) or "it does not say why"

    def name(self, key: str, why: str) -> None:
        """Log `why`, once for each key: other programs have written to it."""
        if key not in self._named:
            if len(self._named) >= MOST_NAMED:
                self._named.clear()
            self._named.add(key)
            self.log.error("{why}", why=why)

    def unreadable(self, key: str, why: str) -> Unreadable:
        """Return the error for a key that another program has written, after logging it."""
        self.name(key, why)
        return Unreadable(why)

    async def remove(self, others: Sequence[Any], why: str, *keys: str) -> None:
        """Remove entries of other programs from sorted sets; `why` is logged for the first.

        Raises StoreTrouble.
        """
        self.name(keys[0], f"{why}: removed")
        for key in keys:
            await self.ask("ZREM", key, *others)

    def _trouble(self, error: BaseException, *keys: str) -> StoreTrouble:
        """Return `error`, one of `LOST`, as the error for the client."""
        if isinstance(error, Unreadable):
            one = " or ".join(keys[:MOST_KEYS])
            self.name(one, f"{one} in Redis cannot be used: {error.detail}")
        return error if isinstance(error, StoreTrouble) else StoreTrouble(str(error))
