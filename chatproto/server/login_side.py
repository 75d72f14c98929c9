"""Decide which clients may use a server: with a password (LOGIN), with a key in a file, or all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from chatproto.directory.registrations import ClientConnection
from chatproto.net.addresses import network
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_server import Login, LoginAck, Observe
from chatproto.wire.errors import Later, RemoteError

if TYPE_CHECKING:
    from chatproto.accounts.files import Reread
    from chatproto.accounts.logins import Logins

RETRY_AFTER = 2
"""Seconds after which to retry while the store of the accounts is unavailable."""


class LoginSide:
    """Rules for logging in.

    Args: logins: the accounts, or None. required: before a login only LOGIN, OBSERVE and PING are allowed.
    allowed: keys that may connect, or None for all.
    """

    log = Logger()

    def __init__(
        self,
        logins: Logins | None = None,
        required: bool = False,
        allowed: Reread[frozenset[str]] | None = None,
    ) -> None:
        self._logins = logins
        self._required = required
        self._allowed = allowed
        self._generation = 0

    @property
    def has_accounts(self) -> bool:
        """True if the server has accounts."""
        return self._logins is not None

    def allows(self, key: str) -> bool:
        """Return True if the owner of `key` may connect."""
        return self._allowed is None or key in self._allowed.value()

    def admits(self, client: ClientConnection) -> bool:
        """Return True if a new client may connect; else log its key, which the operator may want to copy."""
        if self.allows(client.key):
            return True
        self.log.info("not let in: {key} from {host}", key=client.key, host=client.host)
        return False

    def changed(self) -> bool:
        """Return True if the allowed keys have changed since the last call."""
        if self._allowed is None:
            return False
        self._allowed.value()
        before, self._generation = self._generation, self._allowed.generation
        return before != self._generation

    def refusal(self, message: Bcp2Message, client: ClientConnection) -> Error | None:
        """Return the error for a request that needs a login first, or None."""
        if not self._required or client.user is not None:
            return None
        if isinstance(message, Login | Observe | Ping | PingAck):
            return None
        return Error(401, getattr(message, "cseq", None))

    async def login(
        self,
        message: Login,
        client: ClientConnection,
        wanted: Callable[[], bool],
        owns: Callable[[str, str], Awaitable[bool]],
    ) -> Bcp2Message | None:
        """Log `client` in: return the answer, or None if the connection has ended.

        `owns` tells whether a key owns an id; here the id equal to the user name.
        """
        assert self._logins is not None
        cseq = message.cseq
        if client.client_id is not None:
            return Error(403, cseq)  # LOGIN comes before REGISTER
        address = network(client.host)
        try:
            known = await owns(client.key, message.user)
            user = await self._logins.login(
                message.user, message.password, address, client.key, wanted, known
            )
        except Later as error:
            return Error(error.status, cseq, retry_after=error.retry_after)
        except RemoteError as error:
            self.log.info(
                "no login of {user} from {host}: {why}",
                user=message.user,
                host=client.host,
                why=error,
            )
            return Error(
                error.status, cseq, retry_after=RETRY_AFTER if error.status == 503 else None
            )
        except Exception:
            self.log.failure("a password could not be checked")
            return Error(500, cseq)
        if user is None:
            return None
        client.user = user
        return LoginAck(cseq, user)


EVERYBODY = LoginSide()
"""Rules of a server without accounts, which every key may use."""
