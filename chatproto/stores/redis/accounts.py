"""Accounts that several servers share, in Redis: `--auth redis`, and `chatserver passwd --store
redis://…`.

Redis key: `:accounts`, a hash from the folded user (`fold`) to `user:hash`. Each call has its own
connection: checking a password costs a hundred times as much.
"""

from __future__ import annotations

from typing import Any

from chatproto.stores.redis.client import LOST, OutcomeUncertain, connected
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.bcp2_common import USER
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.fields import fold

ACCOUNTS = "chatproto:accounts"
PUT = """
local former = redis.call('HGET', KEYS[1], ARGV[1])
local user = ARGV[2] .. ':'
if former and string.sub(former, 1, #user) ~= user then return former end
redis.call('HSET', KEYS[1], ARGV[1], user .. ARGV[3])
return former and 1 or 0
"""
"""Store a user's hash unless a similar user exists. Returns 1 or 0, whether there was an account; or
the entry of the similar user.
"""
REMOVE = """
local former = redis.call('HGET', KEYS[1], ARGV[1])
local user = ARGV[2] .. ':'
if not former or string.sub(former, 1, #user) ~= user then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
"""Remove an account; return 0 if there is none of that name."""


class LooksAlike(Exception):
    """The account `other` looks like the one to be created."""

    def __init__(self, other: str) -> None:
        super().__init__(other)
        self.other = other


class RedisAccounts:
    """Accounts in the Redis `url`. Every call raises StoreTrouble if Redis is unreachable or refuses."""

    def __init__(self, reactor: Any, url: RedisUrl) -> None:
        self._reactor = reactor
        self._url = url

    async def hash_of(self, user: str) -> str | None:
        """Return the hash of the password of `user`; None without an account."""
        owner, known = _read(await self._ask("HGET", ACCOUNTS, fold(user)))
        return known if owner == user else None

    async def put(self, user: str, known: str) -> bool:
        """Give `user` the password whose hash is `known`; return True if the account is new.

        Raises: LooksAlike: another account looks like it.
        """
        found = await self._ask("EVAL", PUT, "1", ACCOUNTS, fold(user), user, known)
        if not isinstance(found, int):
            raise LooksAlike(_read(found)[0])
        return not found

    async def remove(self, user: str) -> bool:
        """Remove the account; return False if there is none."""
        return bool(await self._ask("EVAL", REMOVE, "1", ACCOUNTS, fold(user), user))

    async def users(self) -> list[str]:
        """Return the users, by name."""
        users = [_read(entry)[0] for entry in await self._ask("HVALS", ACCOUNTS)]
        return sorted(user for user in users if user)

    async def _ask(self, *command: str) -> Any:
        try:
            async with connected(self._reactor, self._url) as connection:
                found = await connection.ask(*command)
                if command[0] == "EVAL":
                    await connection.confirmed()
                return found
        except OutcomeUncertain as error:
            raise StoreTrouble(error.detail) from None
        except LOST as error:
            raise StoreTrouble(f"cannot reach {self._url}: {error}") from None


def _read(entry: Any) -> tuple[str, str]:
    """Return the user and the hash of an entry; two "" for an entry that another program wrote."""
    user, _, known = entry.partition(":") if isinstance(entry, str) else ("", "", "")
    return (user, known) if USER.fullmatch(user) else ("", "")
