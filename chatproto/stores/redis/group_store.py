"""The directory that several servers share, in Redis: groups of ids, and lists of all clients.

Redis keys of the ids that fold to FOLD: `:{i:FOLD}`, a hash of version and JSON, and the same with
`:t:TOKEN` (result of a change, for a retry). A group expires `SLACK` after everything in it.

Lists, all sorted sets: `:ids` (connected and listed clients, and classic ones, by id), `:newest` and
`chatproto:open` (those with keys, and those of them that accept plain-text calls, by registration),
`:classics` (by registration), `chatproto:names` (owned ids, by end), `:present` (registrations with
keys), `chatproto:ends` (groups, by the first end of anything in them), `:heard` and
`chatproto:{a:ADDRESS}` (classic clients, and those from one address, by last request). Of classic
pairs: `:{pair}:free` (by last request), `:waiting` (by time of arrival), `:partners` (a hash) and
`:pairs` (its members, by time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from chatproto.directory.shared import (
    ClassicCrowd,
    GroupState,
    ListedClient,
    Notice,
    PairingFacts,
    next_version,
)
from chatproto.directory.shared_store import GroupChanged, NoRoom
from chatproto.net.addresses import network
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.group_text import (
    CLASSIC,
    ENDS,
    FREE,
    HEARD,
    LISTED,
    NEWEST,
    OPEN,
    OWNED,
    POISON,
    PRESENT,
    WAITING,
    group_ends,
    list_changes,
    network_key,
    read_group,
    read_listed,
    write_group,
    write_notice,
)
from chatproto.stores.redis.node_table import GONE, NODES, NodeTable
from chatproto.stores.redis.scripts import (
    COMMIT,
    CONFLICT,
    CROWD,
    FULL,
    NOTIFY,
    PAIR,
    PAIRING,
    RELEASE,
    RESERVE,
    Script,
)
from chatproto.wire.errors import Unreadable
from chatproto.wire.fields import ID, fold
from chatproto.wire.limits import ServerLimits

SLACK = 30 * 86400.0
"""Seconds that a group is stored after everything in it has expired, so that the lists can follow."""
LAST = "~"
"""Character that sorts after all those of ids."""
PARTNERS, PAIRS = "chatproto:{pair}:partners", "chatproto:{pair}:pairs"
PAIR_KEYS = {FREE: "zset", WAITING: "zset", PARTNERS: "hash", PAIRS: "zset"}
"""Keys of the pairs of classic clients, with their types."""
MOST_LEFT = 1000
"""Number of stopped servers whose end is stored."""


class RedisDirectory:
    """A `directory.shared_store.SharedDirectoryStore`.

    Args: new_token: returns a unique name for a change. table: running servers.
    """

    def __init__(
        self,
        client: RedisClient,
        limits: ServerLimits,
        new_token: Callable[[], str],
        table: NodeTable,
    ) -> None:
        self._client = client
        self._limits = limits
        self._new_token = new_token
        self._table = table
        self._left: dict[str, float] = {}  # when stopped servers left

    # Groups.

    async def load(self, client_id: str) -> GroupState:
        """Load the group of `client_id` as it was written, including what has expired since then.

        Raises: StoreTrouble. Unreadable: another program has written it, or servers of newer rules
        have.
        """
        folded = fold(client_id)
        key = _group_key(folded)
        try:
            version, data = await self._client.ask("HMGET", key, "version", "data")
            if version is None:
                return GroupState(folded)
            return read_group(folded, int(version), data)
        except POISON:
            why = f"{key} in Redis cannot be read: it is not a group of ids"
        except Unreadable as error:
            why = f"{key}: {error.detail}"
        raise self._client.unreadable(key, why)

    async def commit(
        self,
        former: GroupState,
        state: GroupState,
        now: float,
        notices: Iterable[tuple[str, Notice]] = (),
        node: str = "",
        most: int | None = None,
    ) -> GroupState:
        """See `SharedDirectoryStore.commit`. Raises also: StoreTrouble, OutcomeUncertain."""
        key, version = _group_key(state.fold), next_version(former, now)
        keys = [key, f"{key}:t:{self._new_token()}", GONE, OWNED]
        words = []
        for change in list_changes(former, state, self._limits):
            if change.key not in keys[3:]:
                keys.append(change.key)
            place = keys.index(change.key, 3) + 1
            words += [change.what, str(place), repr(change.score), change.member]
        for reader, notice in notices:
            words += [">", "", reader, write_notice(notice)]
        empty = not (state.owned or state.presences or state.classic or state.watching)
        result = await self._client.once(
            COMMIT,
            keys,
            (
                *(str(former.version), str(version), "" if empty else write_group(state)),
                *(str(int(self._life(state, now) * 1000)), node),
                *("" if most is None else str(most), *words),
            ),
        )
        done, _, why = str(result).partition(" ")
        if int(done) == CONFLICT:
            raise GroupChanged
        if int(done) == FULL:
            raise NoRoom
        await self._client.confirmed()
        if why:
            self._client.name(why, f"{key}: a list in Redis is left as it was: {why}")
        return replace(state, version=0 if empty else version)

    def _life(self, state: GroupState, now: float) -> float:
        """Return the seconds for which a group is stored."""
        latest = max(group_ends(state, self._limits), default=now)
        # A connected client may have nothing that expires, and watches have no end.
        lasts = self._limits.keep_names if state.presences or state.watching else 0.0
        return max(latest - now, lasts, 0.0) + SLACK

    async def due(self, now: float, most: int) -> list[str]:
        """Return at most `most` ids of groups in which something has expired."""
        found = await self._client.ask(
            *("ZRANGEBYSCORE", ENDS, "-inf", repr(now), "LIMIT", "0", str(most))
        )
        folds = [one for one in found if isinstance(one, str) and fold(one) == one]
        for one in found:
            if one not in folds:
                why = f"{one!r} in {ENDS} in Redis is no group of ids"
                await self._client.remove([one], why, ENDS)
        return folds

    async def skip(self, client_id: str) -> None:
        """Remove the group of `client_id` from the results of `due`: it does not exist, or cannot be
        read.
        """
        await self._client.ask("ZREM", ENDS, fold(client_id))

    # Lists.

    async def listed(self, prefix: str, after: str, most: int) -> list[ListedClient]:
        """Return listed clients whose ids begin with `prefix` and follow `after`, by id, with keys and
        without.
        """
        begin = f"({after} {LAST}" if after and after >= prefix else f"[{prefix}" if prefix else "-"
        end = f"({prefix}{LAST}" if prefix else "+"
        return await self._listed("ZRANGEBYLEX", LISTED, begin, end, "LIMIT", "0", str(most))

    async def newest(self, first: int, most: int) -> list[ListedClient]:
        """Return listed clients with keys, the newest first, starting at position `first`."""
        return await self._listed("ZREVRANGE", NEWEST, str(first), str(first + most - 1))

    async def open(self, first: int, most: int) -> list[ListedClient]:
        """Return listed clients with keys that accept plain-text calls, the newest first."""
        return await self._listed("ZREVRANGE", OPEN, str(first), str(first + most - 1))

    async def classics(self, most: int) -> list[ListedClient]:
        """Return classic clients in the order in which they registered."""
        return await self._listed("ZRANGE", CLASSIC, "0", str(most - 1))

    async def _listed(self, *command: str) -> list[ListedClient]:
        """Return the clients of a page; other entries are removed, so that it is full."""
        while True:
            found, others = [], []
            for entry in await self._client.ask(*command):
                try:
                    found.append(read_listed(entry))
                except POISON:
                    others.append(entry)
            if not others:
                return found
            why = f"entries of {command[1]} in Redis are no clients, such as {others[0]!r}"
            await self._client.remove(others, why, command[1])

    async def counts(self) -> tuple[int, int]:
        """Return the numbers of registrations with keys, and of classic ones."""
        return await self._count(PRESENT), await self._count(CLASSIC)

    async def _count(self, key: str) -> int:
        try:
            return int(await self._client.ask("ZCARD", key))
        except Unreadable:
            return 0  # the client has logged it

    async def crowd(self, host: str, most: int) -> ClassicCrowd:
        """Return the classic clients from the address of `host` and from all, `most` of each."""
        keys = network_key(network(host)), HEARD
        while True:
            there, every, *silent = await self._client.run(CROWD, keys, (str(most),))
            others = [one for one in (*silent[0], *silent[1]) if not is_id(one)]
            if not others:
                return ClassicCrowd(there, every, *map(tuple, silent))
            why = f"{others[0]!r} in {HEARD} or {keys[0]} in Redis is no client"
            await self._client.remove(others, why, HEARD, keys[0])

    # Ids of a key.

    async def reserve(self, key: str, client_id: str, most: int, now: float) -> bool:
        """Reserve one of `most` ids for a key; return False if it has as many. A second call renews it."""
        words = client_id, str(most), repr(now)
        return bool(await self._client.run(RESERVE, (_count_key(key),), words))

    async def release(self, key: str, client_id: str, since: float) -> bool:
        """Remove the reservation that was made at `since`; return False if it was renewed meanwhile."""
        words = client_id, repr(since)
        return bool(await self._client.run(RELEASE, (_count_key(key),), words))

    async def reserved(self, key: str) -> Mapping[str, float]:
        """Return the ids that a key has reserved, with the times."""
        key = _count_key(key)
        found = await self._client.ask("HGETALL", key)
        try:
            pairs = zip(found[::2], map(float, found[1::2]), strict=True)
            return {str(client_id): since for client_id, since in pairs}
        except POISON:
            raise self._client.unreadable(key, f"{key} in Redis cannot be read") from None

    # Pairs of classic clients.

    async def pairing(self, asker: str) -> PairingFacts:
        """Return the ids on which a BRIDGE of `asker` is decided."""
        keys = FREE, WAITING, PARTNERS
        while True:
            partner, waiting, free = await self._run_pairs(PAIRING, keys, (asker,))
            others = [one for one in (*waiting, *free) if not is_id(one)]
            if not others:
                return PairingFacts(partner if is_id(partner) else None, (*waiting,), (*free,))
            why = f"{others[0]!r} in {FREE} or {WAITING} in Redis is no client"
            await self._client.remove(others, why, FREE, WAITING)

    async def pair(self, asker: str, peer: str, place: str, now: float) -> bool:
        """Make two clients each other's partner, neither free nor waiting.

        Args: place: where `peer` was found, "partner", "waiting" or "free". Returns False if it is no
        longer there.
        """
        most = str(2 * self._limits.registrations)
        words = asker, peer, place, repr(now), most
        return bool(await self._run_pairs(PAIR, tuple(PAIR_KEYS), words))

    async def _run_pairs(
        self, script: Script, keys: tuple[str, ...], words: tuple[str, ...]
    ) -> Any:
        """Run a script. A key that another program has written is removed: pairs then start empty."""
        try:
            return await self._client.run(script, keys, words)
        except Unreadable:  # the client has logged it
            for key, kind in PAIR_KEYS.items():
                if await self._client.ask("TYPE", key) not in (kind, "none"):
                    await self._client.ask("DEL", key)
        return await self._client.run(script, keys, words)

    async def wait(self, asker: str, now: float) -> None:
        """Queue `asker`, or leave it at its place in the queue."""
        await self._client.ask("ZADD", WAITING, "NX", repr(now), asker)

    async def unpair(self, client_id: str) -> None:
        """Remove a client that is no longer registered from the free and waiting clients."""
        await self._client.ask("ZREM", FREE, client_id)
        await self._client.ask("ZREM", WAITING, client_id)

    # Servers.

    async def send(self, node: str, notice: Notice) -> bool:
        """Put a notice into the inbox of a server; return False if there is no such server."""
        return bool(await self._client.run(NOTIFY, (), (node, write_notice(notice))))

    async def left_at(self, node: str) -> float | None:
        """Return when a server left; None: it is running. 0.0: so long ago that the time is unknown."""
        if node in self._table:
            return None
        if node in self._left:
            return self._left[node]
        # A server that has just started is in no table yet.
        if await self._client.ask("HEXISTS", NODES, node):
            return None
        left = await self._client.ask("ZSCORE", GONE, node)
        if left is None:
            return 0.0  # not stored: after Redis was emptied a server returns under its name
        if len(self._left) >= MOST_LEFT:
            self._left.clear()
        self._left[node] = float(left)
        return self._left[node]


def is_id(value: object) -> bool:
    """Return True if `value`, from Redis, is the id of a client."""
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _group_key(folded: str) -> str:
    return f"chatproto:{{i:{folded}}}"


def _count_key(key: str) -> str:
    return f"chatproto:{{k:{key}}}:ids"
