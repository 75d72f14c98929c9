"""Key of the servers that share a Redis: clients know them by it.

Redis key: `chatproto:key`.
"""

from __future__ import annotations

from chatproto.stores.redis.client import RedisClient
from chatproto.wire.bcp2_common import KEY as KEY_NAME

KEY = "chatproto:key"


async def other_key(client: RedisClient, key: str) -> str:
    """Make a Redis belong to the servers with `key`; return "" if it does, else the key of the others.

    Raises: StoreTrouble.
    """
    await client.ask("SETNX", KEY, key)
    known = await client.ask("GET", KEY)
    if known == key:
        return ""
    return known if isinstance(known, str) and KEY_NAME.fullmatch(known) else "of other servers"
