"""Key of the servers that share a Redis, by which clients know them.

Redis key: `:key`.
"""

from __future__ import annotations

from chatproto.stores.redis.client import RedisClient
from chatproto.wire.bcp2_common import KEY as KEY_NAME

KEY = "chatproto:key"


async def other_key(client: RedisClient, key: str) -> str:
    """Assign a Redis to the servers with `key`; return "" on success, else the key of the servers that
    own it.

    Raises: StoreTrouble.
    """
    await client.ask("SETNX", KEY, key)
    known = await client.ask("GET", KEY)
    if known == key:
        return ""
    return known if isinstance(known, str) and KEY_NAME.fullmatch(known) else "of other servers"
