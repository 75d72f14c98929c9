"""The log in a real Redis; without one the tests are skipped."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chatproto.stores.redis import client
from chatproto.stores.redis import log as redis_log
from chatproto.stores.redis.client import connected
from chatproto.stores.redis.log import RedisLog
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble
from tests.contracts.names import key
from tests.stores.redis.case import RedisCase


class Gap(Exception):
    """Something is missing."""


class Reader:
    """All that a listener is told."""

    missed: type[Exception] = Gap

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.got: list[str] = []
        self.times: list[float] = []
        self.ups = 0
        self.refuses = ""

    def begin(self, lines: list[str]) -> None:
        if "bad" in lines:
            raise ValueError("a bad picture")
        self.begun.append(lines)
        self.got = []

    def read(self, entries: list[tuple[float, str]]) -> None:
        for at, line in entries:
            if line == self.refuses:
                self.refuses = ""
                raise Gap
            self.times.append(at)
            self.got.append(line)

    def came_up(self) -> None:
        self.ups += 1


class RedisLogTests(RedisCase):
    def setUp(self) -> None:
        super().setUp()
        self.unfit: list[str] = []

    def log(self, reader: Reader | None = None, name: str = key(1)) -> tuple[RedisLog, Reader]:
        log = RedisLog(reactor, RedisUrl(self.redis.url), name, self.unfit.append)
        log.listener = reader = reader or Reader()
        log.startService()
        self.addCleanup(log.stopService)
        return log, reader

    async def up(self) -> tuple[RedisLog, Reader]:
        log, reader = self.log()
        await self.until(lambda: reader.ups == 1)
        return log, reader

    async def test_all_read_all_lines_in_one_order_with_their_times(self) -> None:
        one, here = await self.up()
        other, there = await self.up()
        for number in range(250):
            (one if number % 2 else other).append(f"ü {number}")
        await self.until(lambda: len(here.got) == len(there.got) == 250)
        self.assertEqual(here.got, there.got)
        self.assertEqual(sorted(here.got), sorted(f"ü {number}" for number in range(250)))
        self.assertEqual(here.times, there.times)
        self.assertEqual(here.times, sorted(here.times))
        _, late = await self.up()
        self.assertEqual((late.begun, late.got), ([[]], here.got))

    async def test_numbers_stay_text(self) -> None:
        one, here = await self.up()
        await one.append("12345")
        await self.until(lambda: here.got == ["12345"])

    async def test_one_that_begins_does_so_with_the_last_picture_and_what_came_after_it(
        self,
    ) -> None:
        one, here = await self.up()
        for number in range(5):
            await one.append(f"{number}")
        await self.until(lambda: len(here.got) == 5)
        picture = [f"line {number}" for number in range(250)]
        self.assertEqual(await one.keep(iter(picture)), sum(map(len, picture)))
        await one.append("after")
        await self.until(lambda: len(here.got) == 6)
        _, late = await self.up()
        self.assertEqual((late.begun, late.got), ([picture], ["after"]))

    async def test_log_before_the_last_snapshot_but_one_is_deleted(self) -> None:
        one, here = await self.up()
        for number in range(6):
            await one.append(f"{number}")
            await self.until(lambda: here.got[-1:] == [f"{number}"])  # noqa: B023
            if number % 2:
                await one.keep(iter([f"picture {number}"]))
        self.assertEqual(self.redis.ask("XLEN", "chatproto:log"), b":3\r\n")
        _, late = await self.up()
        self.assertEqual((late.begun, late.got), ([["picture 5"]], []))

    async def test_an_older_picture_takes_no_newer_one_s_place(self) -> None:
        one, here = await self.up()
        other, there = await self.up()
        await one.append("1")
        await self.until(lambda: len(here.got) == len(there.got) == 1)
        other.listener = Reader()
        old = other._last
        await one.append("2")
        await self.until(lambda: len(here.got) == 2)
        await one.keep(iter(["new"]))
        await other._keep(iter(["old"]), old)
        _, late = await self.up()
        self.assertEqual(late.begun, [["new"]])

    async def test_after_redis_was_away_it_goes_on_where_it_was(self) -> None:
        one, here = await self.up()
        await one.append("before")
        await self.until(lambda: here.got == ["before"])
        self.redis.kill()
        await self.until(lambda: one._writer is None)
        await self.assertFailure(one.append("never"), StoreTrouble)
        self.redis.start()
        await self.until(lambda: here.ups == 2)
        await one.append("after")
        await self.until(lambda: here.got == ["before", "after"])
        self.assertEqual(here.begun, [[]])
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    async def test_it_begins_again_where_redis_has_forgotten_what_was_read(self) -> None:
        one, here = await self.up()
        await one.append("lost")
        await self.until(lambda: here.got == ["lost"])
        self.redis.ask("DEL", "chatproto:log")
        self.redis.ask("CLIENT", "KILL", "TYPE", "normal")
        await self.until(lambda: here.ups == 2)
        self.assertEqual((here.begun, here.got), ([[], []], []))

    async def test_it_begins_again_where_redis_is_emptied_while_it_reads(self) -> None:
        self.patch(redis_log, "LOOK_BACK", 0.05)
        self.patch(redis_log, "BLOCK", 50)
        one, here = await self.up()
        await one.append("lost")
        await self.until(lambda: here.got == ["lost"])
        self.redis.ask("FLUSHALL")
        await one.append("too early")  # whose writer does not know yet
        await self.until(lambda: here.ups == 2)
        self.assertEqual((here.begun, here.got), ([[], []], ["too early"]))
        self.assertEqual(one.why, "")

    async def test_reader_continues_after_a_trim_explained_by_a_snapshot(self) -> None:
        self.patch(redis_log, "LOOK_BACK", 0.5)
        self.patch(redis_log, "BLOCK", 50)
        one, here = await self.up()
        for line in ("1", "2", "3"):
            await one.append(line)
            await self.until(lambda line=line: here.got[-1:] == [line])  # type: ignore[misc]
            await one.keep(iter([f"picture {line}"]))
        await deferLater(reactor, 0.8, lambda: None)
        await one.append("4")
        await self.until(lambda: here.got[-1:] == ["4"])
        self.assertEqual(here.begun, [[]])

    async def test_reader_continues_when_the_beginning_is_deleted(self) -> None:
        self.patch(redis_log, "LOOK_BACK", 0.05)
        self.patch(redis_log, "BLOCK", 50)
        one, here = await self.up()
        for length in (1, 0):
            await one.append(f"before {length}")
            await one.append("last")
            await self.until(lambda: here.got[-1:] == ["last"])
            self.redis.ask("XTRIM", "chatproto:log", "MAXLEN", str(length))
            await deferLater(reactor, 0.3, lambda: None)
            await one.append("after")
            await self.until(lambda: here.got[-1:] == ["after"])
        self.assertEqual((here.begun, one.why), ([[]], ""))

    async def test_a_refusal_is_told_without_what_was_said(self) -> None:
        one, _ = await self.up()
        self.redis.ask("ACL", "SETUSER", "default", "-xadd")
        failure = await self.assertFailure(one.append("a secret"), StoreTrouble)
        self.assertIn("Redis answered NOPERM", str(failure))
        unknown = one._connected().ask("XSAY", "a secret")
        failure = await self.assertFailure(ensureDeferred(unknown), StoreTrouble)
        self.assertEqual(failure.detail, "Redis answered ERR unknown command 'XSAY'")

    async def test_starting_server_does_not_take_a_trimmed_log_for_all_of_it(self) -> None:
        one, here = await self.up()
        for line in ("1", "2", "3"):
            await one.append(line)
        await self.until(lambda: here.got == ["1", "2", "3"])
        self.redis.ask("XTRIM", "chatproto:log", "MAXLEN", "1")
        late, there = self.log()
        await self.until(lambda: bool(late.why))
        self.assertIn("the beginning of chatproto:log is missing", late.why)
        self.assertEqual((there.begun, there.ups), ([], 0))
        await one.keep(iter(["picture"]))
        await self.until(lambda: there.ups == 1)
        self.assertEqual((there.begun, late.why), ([["picture"]], ""))

    async def test_foreign_entries_end_no_server(self) -> None:
        one, here = await self.up()
        here.refuses = "nothing"
        self.redis.ask("XADD", "chatproto:log", "*", "some", "thing", "else", "too")
        await one.append("ours")
        await self.until(lambda: here.got == ["", "ours"])

    async def test_poison_harms_no_server_and_is_named(self) -> None:
        one, here = await self.up()
        here.refuses = "nothing"
        await one.append("1")
        await self.until(lambda: here.got == ["1"])
        await self.poison("XADD", "chatproto:log", "*", "b", b"\xff\xfe\x00")
        await self.poison("XADD", "chatproto:log", "*", b"\xff", b"")
        await one.append("2")
        await self.until(lambda: here.got == ["1", "", "", "2"])
        await self.poison("RPUSH", "chatproto:picture", "x")
        late, there = self.log()
        there.refuses = "nothing"
        await self.until(lambda: "WRONGTYPE" in late.why)
        await self.poison("DEL", "chatproto:picture")
        await self.until(lambda: there.got == ["1", "", "", "2"])
        await self.poison("SET", "chatproto:picture", b"\xff")
        third, _ = self.log()
        await self.until(lambda: "names no entry of the log" in third.why)
        await self.poison("DEL", "chatproto:picture", "chatproto:key")
        await self.poison("RPUSH", "chatproto:key", "x")
        fourth, _ = self.log()
        await self.until(lambda: "WRONGTYPE" in fourth.why)
        self.assertEqual((here.begun, one.why, self.unfit), ([[]], "", []))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def poison(self, *command: Any) -> None:
        async with connected(reactor, RedisUrl(self.redis.url)) as connection:
            await connection.ask(*command)

    async def test_it_begins_again_where_something_is_missing(self) -> None:
        one, here = await self.up()
        await one.append("first")
        await self.until(lambda: here.got == ["first"])
        here.refuses = "second"
        try:
            await one.append("second")
        except client.LOST:
            pass  # who reads it may have begun again before this was told
        await self.until(lambda: here.got == ["first", "second"])
        self.assertEqual(here.begun, [[], []])

    async def test_a_picture_that_is_not_understood_is_tried_again(self) -> None:
        one, here = await self.up()
        await one.append("1")
        await self.until(lambda: here.got == ["1"])
        await one.keep(iter(["bad"]))
        _, late = self.log()
        await deferLater(reactor, 0.5, lambda: None)
        self.assertEqual((late.begun, late.ups), ([], 0))
        await one.append("2")
        await self.until(lambda: here.got == ["1", "2"])
        await one.keep(iter(["good"]))
        await self.until(lambda: late.ups == 1)
        self.assertEqual(late.begun, [["good"]])

    async def test_another_key_s_servers_may_not_use_it(self) -> None:
        await self.up()
        self.log(name=key(2))
        await self.until(lambda: bool(self.unfit))
        self.assertIn(f"belongs to servers with the key {key(1)}", self.unfit[0])

    async def test_write_refused_by_redis_is_certainly_not_done(self) -> None:
        one, here = await self.up()
        self.redis.ask("CONFIG", "SET", "maxmemory", "1")
        await self.assertFailure(one.append("too much"), StoreTrouble)
        self.redis.ask("CONFIG", "SET", "maxmemory", "0")
        await one.append("enough")
        await self.until(lambda: here.got == ["enough"])


class Mute(Protocol):
    """Takes all and says nothing."""


class SilenceTests(TestCase):
    async def test_one_that_does_not_answer_is_given_up(self) -> None:
        self.patch(client, "ANSWER", 0.05)
        mute: Any = reactor
        port = mute.listenTCP(0, Factory.forProtocol(Mute), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        missing: list[None] = []
        place = RedisUrl(f"redis://127.0.0.1:{port.getHost().port}")
        log = RedisLog(reactor, place, key(1), self.fail, lambda: missing.append(None))
        log.startService()
        self.addCleanup(log.stopService)
        while len(missing) < 2:
            await deferLater(reactor, 0.01, lambda: None)


class PlaceTests(SynchronousTestCase):
    def test_reads_where_it_is(self) -> None:
        place = RedisUrl("redis://m%40e@[::1]:7000/3", "other", "p@ss")
        read = place.host, place.port, place.database, place.user, place.password
        self.assertEqual(read, ("::1", 7000, 3, "m@e", "p@ss"))
        self.assertEqual(str(RedisUrl("redis://cache")), "redis://cache:6379/0")

    def test_shows_no_password(self) -> None:
        self.assertNotIn("secret", str(RedisUrl("redis://cache/1", "bob", "secret")))
        said = str(self.assertRaises(ValueError, RedisUrl, "redis://:secret@cache/1"))
        self.assertIn("CHATPROTO_REDIS_PASSWORD", said)
        self.assertNotIn("secret", said)

    def test_refuses_what_names_none_in_a_sentence(self) -> None:
        for wrong in (
            "redis:",
            "http://cache",
            "redis://cache/x",
            "redis://cache?a",
            "redis://h:x",
        ):
            with self.assertRaises(ValueError):
                RedisUrl(wrong)
