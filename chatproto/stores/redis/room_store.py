"""Rooms that several servers share, in Redis: a hash, a hash of members, and a stream of lines each.

Redis keys of the room that folds to ALIKE: `:{r:ALIKE}` (version, policy, last number, last event), the
same with `:m` (members), `:s` (stream; the id of a line is its number) and `:e` (last events that the
state does not show). Of all rooms: `:rooms` (open ones, by name) and `:used` (all, by when they became
empty; infinite while they have members). Of an owner: `:{k:KEY}`. A change is published on the channel
`DATABASE:chatproto:{r:ALIKE}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from chatproto.rooms.history import (
    HistoryPage,
    RoomLine,
    check_range,
    first_page,
    last_page,
    next_number,
)
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import LineSaid, RoomCopy, RoomSeat, RoomState, SpokenBy
from chatproto.rooms.shared_store import Conflict
from chatproto.stores.redis.client import RedisClient
from chatproto.stores.redis.node_table import GONE
from chatproto.stores.redis.room_text import (
    POISON,
    parsed_policy,
    read_event,
    read_line,
    read_member,
    read_seat,
    write_line,
    write_seat,
    written_policy,
)
from chatproto.stores.redis.scripts import (
    CONFLICT,
    ENTER,
    FORGET,
    FULL,
    LEAVE,
    POLICY,
    READ,
    RELEASE,
    RESERVE,
    SAY,
)
from chatproto.wire.errors import RemoteError, Unreadable
from chatproto.wire.fields import fold
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import ROOM

AT_ONCE = 100
"""Rooms that are read at once."""
LISTING, USED = "chatproto:rooms", "chatproto:used"
NO_ROOM = "{key} in Redis cannot be read: it is not a room"


def room_key(name: str) -> str:
    """Return the key of the room `name`, and of all rooms that look like it."""
    return f"chatproto:{{r:{fold(name)}}}"


class RedisRooms:
    """Reads and changes rooms. Every call raises StoreTrouble if Redis is unreachable or refuses, and
    changes raise OutcomeUncertain if they may have been made.

    Args: database: number of the database in Redis; channels do not belong to one. new_token: returns a
    unique name for a change.
    """

    def __init__(
        self,
        client: RedisClient,
        database: int,
        limits: ServerLimits,
        new_token: Callable[[], str],
    ) -> None:
        self._client = client
        self._channels = f"{database}:"
        self._limits = limits
        self._new_token = new_token

    def channel(self, name: str) -> str:
        """Return the channel on which changes of the room are published."""
        return self._channels + room_key(name)

    async def read(self, name: str, after: int | None = None) -> tuple[RoomState, list[LineSaid]]:
        """Read a room, and its lines after the number `after`; None for no lines.

        Raises: RemoteError: 404 if there is no such room; 409 if there is a similar one.
        """
        key = room_key(name)
        first = "" if after is None else str(after + 1)
        keys = (key, f"{key}:m", f"{key}:s", f"{key}:e")
        facts, members, lines, told = await self._client.run(READ, keys, (first,))
        version, policy, event, last = facts
        if version is None:
            raise RemoteError(404, "there is no such room")
        try:
            fields = json.loads(policy)
            if fields["name"] != name:
                raise RemoteError(409, "a room looks like that")
            read, unknown = parsed_policy(name, int(version), fields)
            pairs = zip(members[::2], members[1::2], strict=True)
            seats = {read_member(who): read_seat(seat) for who, seat in pairs}
            events = tuple(read_event(one, name) for one in told)
            state = RoomState(read, int(event or 0), int(last or 0), seats, unknown, events)
        except POISON:
            raise self._client.unreadable(key, NO_ROOM.format(key=key)) from None
        return state, [*self._lines(key, lines)]

    async def create(self, policy: RoomPolicy, now: float, last: int = 0) -> None:
        """Create an empty room. `last`: number of its last line, 0 for a room without messages.

        Raises: Conflict: there is a similar one.
        """
        await self._change(policy, {}, 0, None, now, last)

    async def fill(self, name: str, lines: Iterable[RoomLine]) -> None:
        """Store the history of a new room; lines that it has already are left out."""
        stream = f"{room_key(name)}:s"
        newest = await self._client.ask("XREVRANGE", stream, "+", "-", "COUNT", "1")
        last = _number(newest[0][0]) if newest else 0
        for line in lines:
            if line.number > last:
                body = write_line(line.sender, line.at, line.text, SpokenBy("", 0, 0))
                await self._client.ask("XADD", stream, f"{line.number}-0", "b", body)

    async def change(
        self,
        copy: RoomCopy,
        policy: RoomPolicy,
        news: Any,
        now: float,
        by: tuple[str, RoomSeat] | None = None,
        gone: Iterable[tuple[str, RoomSeat]] = (),
        reason: str = "",
    ) -> tuple[int, int]:
        """Replace the policy of `copy`, and publish `news` (JSON values); remove `gone` in the same
        step.

        If the policy is unchanged, only the news is published. `by`: the member who makes the change,
        with its seat. `gone`: members, unless other clients have their ids by now. Returns: the number
        of the event, and that of the last event of the removed members. Raises: Conflict: also if `by`
        no longer has that seat.
        """
        version, out = copy.policy.version, _written_out(gone, reason)
        return await self._change(policy, copy.unknown, version, news, now, by=by, out=out)

    async def _change(
        self,
        policy: RoomPolicy,
        unknown: Any,
        version: int,
        news: Any,
        now: float,
        last: int = 0,
        by: tuple[str, RoomSeat] | None = None,
        out: Sequence[str] = (),
    ) -> tuple[int, int]:
        key = room_key(policy.name)
        fields = written_policy(policy, unknown) if policy.version != version else None
        data = "" if fields is None else json.dumps(fields, separators=(",", ":"))
        body = json.dumps([fields, news], separators=(",", ":"))
        told = "" if news is None else json.dumps([None, news], separators=(",", ":"))
        found = await self._client.once(
            POLICY,
            (key, f"{key}:m", USED, f"{key}:e", self._token(key), LISTING),
            (
                *(self._channels, str(now), policy.name, str(version), data),
                *(str(last or next_number(0, now)), str(int(policy.is_open)), body, told),
                *(("", "") if by is None else (by[0], write_seat(by[1]))),
                *out,
            ),
        )
        event, _, left = found.partition(" ")
        number = _event(event)
        await self._client.confirmed()
        return number, number + int(left)

    async def say(
        self,
        name: str,
        version: int,
        kept: bool,
        lines: Sequence[tuple[str, float, str, SpokenBy]],
        last: int = 0,
        seats: Sequence[RoomSeat] = (),
    ) -> list[int]:
        """Store lines (sender, time, text, speaker) of a room; return their numbers, all above `last`.

        `seats`: seats of the speakers, if they must be members. A line whose speaker no longer has that
        seat is not stored: its number is `UNSEATED`.

        Raises: Conflict: none was stored.
        """
        key = room_key(name)
        keys = (key, f"{key}:s", f"{key}:m", *(self._token(key) for _ in lines))
        most = self._limits.room_history if kept else 0
        places = map(write_seat, seats) if seats else repeat("", len(lines))
        pairs = zip(lines, places, strict=True)
        each = (word for line, seat in pairs for word in (line[0], seat, write_line(*line)))
        arguments = (self._channels, str(version), str(most), str(last), *each)
        numbers = [int(one) for one in await self._client.once(SAY, keys, arguments)]
        if CONFLICT in numbers:
            raise Conflict
        return numbers

    async def enter(
        self,
        name: str,
        version: int,
        client_id: str,
        seat: RoomSeat,
        former: RoomSeat | None = None,
    ) -> int:
        """Add a member to a room; return the number of the event.

        `former`: the seat that its id has in the room now.

        Raises: Conflict: also if the server of the member was removed. RemoteError: 503 if the room is
        full.
        """
        key = room_key(name)
        most = self._limits.room_members
        place = "" if former is None else write_seat(former)
        event = await self._client.once(
            ENTER,
            (key, f"{key}:m", USED, self._token(key), GONE),
            (
                *(self._channels, str(version), client_id, write_seat(seat), str(most), name),
                *(seat.node, place),
            ),
        )
        if int(event) == FULL:
            raise RemoteError(503, "the room is full")
        return _event(event)

    async def leave(
        self, name: str, gone: Iterable[tuple[str, RoomSeat]], reason: str, now: float
    ) -> tuple[int, int]:
        """Remove members, unless other clients have their ids by now.

        Returns: how many were removed, and the number of the last event.
        """
        key = room_key(name)
        each = _written_out(gone, reason)
        keys = (key, f"{key}:m", USED, f"{key}:e")
        left, event = await self._client.once(LEAVE, keys, (self._channels, str(now), name, *each))
        return int(left), int(event)

    async def page(
        self, name: str, after: int | None, before: int | None, limit: int, size: int
    ) -> HistoryPage:
        """Return at most `limit` lines of at most `size` bytes of text, as `RoomStore.page` does.

        Raises: RemoteError: 404 if something may be missing between that number and the page.
        """
        key = room_key(name)
        ask = self._client.ask
        stream = f"{key}:s"
        last = self._count(key, await ask("HGET", key, "last") or "0")
        oldest = await ask("XRANGE", stream, "-", "+", "COUNT", "1")
        since = _number(oldest[0][0]) if oldest else last + 1
        check_range(after, before, since, last)
        if after is not None:
            found = await ask("XRANGE", stream, str(after + 1), "+", "COUNT", str(limit + 1))
            page = first_page((one.line for one in self._lines(key, found)), limit, size)
        else:
            end = "+" if before is None else f"({before}-0"
            found = await ask("XREVRANGE", stream, end, "-", "COUNT", str(limit + 1))
            page = last_page((one.line for one in self._lines(key, found)), limit, size)
        return page._replace(more=page.more or len(found) > limit)

    async def reserve(self, owner: str, name: str, most: int, now: float) -> bool:
        """Reserve one of `most` rooms of an owner; return False if it has as many."""
        words = f"r:{fold(name)}", str(most), f"{now} {name}"
        return bool(await self._client.run(RESERVE, (_count_key(owner),), words))

    async def release(self, owner: str, before: float) -> None:
        """Remove an owner's reservations from before `before` for rooms that it does not have."""
        key = _count_key(owner)
        found = await self._client.ask("HGETALL", key)
        for item, entry in zip(found[::2], found[1::2], strict=True):
            if not isinstance(entry, str):
                continue
            since, _, name = entry.partition(" ")
            if _is_before(since, before) and not await self._has(owner, name):
                await self._client.run(RELEASE, (key,), (item, entry))

    async def _has(self, owner: str, name: str) -> bool:
        """Return True if `owner` has that room, or it cannot be read."""
        try:
            state, _ = await self.read(name)
        except Unreadable:
            return True
        except RemoteError as error:
            if error.status not in (404, 409):
                raise
            return False
        return state.policy.owner == owner

    async def owned(self, owner: str) -> list[str]:
        """Return the names of the rooms that an owner has reserved."""
        found = await self._client.ask("HVALS", _count_key(owner))
        return [one.partition(" ")[2] for one in found if isinstance(one, str)]

    async def outlines(self, names: Sequence[str]) -> list[tuple[RoomPolicy, int]]:
        """Return the policy and the number of members of those of `names` that exist."""
        found = []
        for begin in range(0, len(names), AT_ONCE):
            some = names[begin : begin + AT_ONCE]
            asked = [Deferred.fromCoroutine(self._outline(name)) for name in some]
            await DeferredList(asked, consumeErrors=False)
            found += [one for one in [await each for each in asked] if one is not None]
        return found

    async def _outline(self, name: str) -> tuple[RoomPolicy, int] | None:
        """Return the policy and the number of members of one room; None if it cannot be read."""
        key, ask = room_key(name), self._client.ask
        asked = [ask("HMGET", key, "version", "policy"), ask("HLEN", f"{key}:m")]
        answers = await DeferredList(
            [Deferred.fromCoroutine(one) for one in asked], consumeErrors=True
        )
        for done, failure in answers:
            if not done and failure.check(Unreadable):
                return None
            if not done:
                failure.raiseException()
        (_, facts), (_, members) = answers
        if facts[0] is None:
            return None  # it was reserved and never created, or was removed since its name was read
        try:
            fields = json.loads(facts[1])
            policy, _ = parsed_policy(name, int(facts[0]), fields)
            return (policy, int(members)) if fields["name"] == name else None
        except POISON:
            self._client.name(key, NO_ROOM.format(key=key))
            return None

    async def forget(self, policy: RoomPolicy) -> bool:
        """Remove a room and its history; return False if it has changed, or has members."""
        key = room_key(policy.name)
        count = _count_key(policy.owner)
        keys = (key, f"{key}:m", f"{key}:s", f"{key}:e", LISTING, USED, count)
        arguments = (str(policy.version), policy.name, f"r:{fold(policy.name)}")
        return bool(await self._client.run(FORGET, keys, arguments))

    async def count(self) -> int:
        """Return the number of rooms."""
        return int(await self._client.ask("ZCARD", USED))

    async def expire(self, name: str, before: float, most: int) -> int:
        """Remove the lines of a room from before `before`; examine at most `most`."""
        stream, ask = f"{room_key(name)}:s", self._client.ask
        found = await ask("XRANGE", stream, "-", "+", "COUNT", str(most))
        old = 0
        for entry, fields in found:
            try:
                if read_line(_number(entry), fields[1]).line.at >= before:
                    break
            except (IndexError, *POISON):
                pass  # another program wrote it: it is removed with the first old line
            old += 1
        if old:
            kept = found[old][0] if old < len(found) else f"{_number(found[-1][0]) + 1}-0"
            await ask("XTRIM", stream, "MINID", kept)
        return old

    async def unused(self, before: float, most: int) -> list[str]:
        """Return the names of at most `most` rooms that are empty since a time before `before`."""
        found = await self._client.ask(
            *("ZRANGEBYSCORE", USED, "-inf", f"({before}", "LIMIT", "0", str(most))
        )
        return await self._rooms(found)

    async def occupied(self, first: int, most: int) -> list[str]:
        """Return the names of at most `most` rooms with members, starting at position `first`."""
        found = await self._client.ask(
            *("ZRANGEBYSCORE", USED, "+inf", "+inf", "LIMIT", str(first), str(most))
        )
        return await self._rooms(found)

    async def names(self) -> list[str]:
        """Return the names of all rooms, in their order."""
        return sorted(await self._rooms(await self._client.ask("ZRANGE", USED, "0", "-1")))

    async def _rooms(self, found: list[Any]) -> list[str]:
        """Return the names of rooms in `found`; other entries are removed."""
        for one in found:
            if not _is_room(one):
                why = f"{one!r} in {USED} in Redis is no room"
                await self._client.remove([one], why, USED)
        return [one for one in found if _is_room(one)]

    async def skip(self, name: str) -> None:
        """Remove the name of a room that does not exist from the lists."""
        for key in (USED, LISTING):
            await self._client.ask("ZREM", key, name)

    async def listed(self, after: str, most: int) -> list[str]:
        """Return the names of at most `most` open rooms that follow `after`."""
        begin = f"({after}" if after else "-"
        found = await self._client.ask(
            *("ZRANGEBYLEX", LISTING, begin, "+", "LIMIT", "0", str(most))
        )
        return [one for one in found if _is_room(one)]

    def _lines(self, key: str, entries: Iterable[Any]) -> Iterable[LineSaid]:
        """Read the lines of a stream; entries that another program wrote are left out."""
        for entry, fields in entries:
            try:
                yield read_line(_number(entry), fields[1])
            except (IndexError, *POISON):
                self._client.name(f"{key}:s", f"{entry} in {key}:s in Redis is no line: left out")

    def _count(self, key: str, text: Any) -> int:
        """Read a number of the room `key`. Raises Unreadable."""
        try:
            return int(text)
        except POISON:
            raise self._client.unreadable(key, NO_ROOM.format(key=key)) from None

    def _token(self, key: str) -> str:
        return f"{key}:t:{self._new_token()}"


def _count_key(owner: str) -> str:
    """Return the key of the rooms that `owner` has reserved."""
    return f"chatproto:{{k:{owner}}}"


def _is_before(since: str, before: float) -> bool:
    """Return True if a reservation was made before `before`, or has no time: no server has written it."""
    try:
        return float(since) < before
    except ValueError:
        return True


def _written_out(gone: Iterable[tuple[str, RoomSeat]], reason: str) -> list[str]:
    """Return members to be removed as the scripts expect them: id, member, reason of each."""
    why = json.dumps([reason], separators=(",", ":"))
    return [word for who, seat in gone for word in (who, write_seat(seat), why)]


def _event(found: Any) -> int:
    """Return the number of an event. Raises Conflict."""
    event = int(found)
    if event == CONFLICT:
        raise Conflict
    return event


def _is_room(name: Any) -> bool:
    return isinstance(name, str) and ROOM.fullmatch(name) is not None


def _number(entry: str) -> int:
    return int(entry.partition("-")[0])
