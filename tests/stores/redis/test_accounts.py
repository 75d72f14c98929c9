"""Accounts in a real Redis; without one the tests are skipped."""

from __future__ import annotations

from typing import Any

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred

from chatproto.accounts.checker import PasswordChecker
from chatproto.accounts.passwords import hashed
from chatproto.stores.redis.accounts import ACCOUNTS, LooksAlike, RedisAccounts
from chatproto.stores.redis.client import connected
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble
from tests.stores.redis.case import RedisCase


class RedisAccountsTests(RedisCase):
    def setUp(self) -> None:
        super().setUp()
        self.accounts = RedisAccounts(reactor, RedisUrl(self.redis.url))

    async def reply(self, *command: Any) -> Any:
        async with connected(reactor, RedisUrl(self.redis.url)) as connection:
            return await connection.ask(*command)

    async def test_an_account_is_added_changed_and_removed(self) -> None:
        self.assertTrue(await self.accounts.put("bob", "hash 1"))
        self.assertTrue(await self.accounts.put("alice", "hash: 2"))
        self.assertFalse(await self.accounts.put("bob", "hash 3"))
        self.assertEqual(await self.accounts.users(), ["alice", "bob"])
        self.assertEqual(await self.accounts.hash_of("bob"), "hash 3")
        self.assertEqual(await self.accounts.hash_of("alice"), "hash: 2")
        self.assertTrue(await self.accounts.remove("bob"))
        self.assertFalse(await self.accounts.remove("bob"))
        self.assertIsNone(await self.accounts.hash_of("bob"))

    async def test_names_that_look_alike_are_one(self) -> None:
        await self.accounts.put("bob", "hash")
        refused = ensureDeferred(self.accounts.put("b0b", "other"))
        error: Any = await self.assertFailure(refused, LooksAlike)
        self.assertEqual(error.other, "bob")
        self.assertIsNone(await self.accounts.hash_of("b0b"))
        self.assertFalse(await self.accounts.remove("b0b"))
        self.assertEqual(await self.accounts.hash_of("bob"), "hash")

    async def test_redis_away_is_503(self) -> None:
        self.redis.kill()
        for work in (self.accounts.hash_of("bob"), self.accounts.put("bob", "hash")):
            trouble: Any = await self.assertFailure(ensureDeferred(work), StoreTrouble)
            self.assertEqual(trouble.status, 503)
            self.assertIn(f"cannot reach {self.redis.url}: ", str(trouble))

    async def test_poison_is_no_account_and_is_named(self) -> None:
        checker = PasswordChecker(lambda user: Deferred.fromCoroutine(self.accounts.hash_of(user)))
        await self.accounts.put("alice", hashed("wonderland"))
        right = UsernamePassword(b"alice", b"wonderland")
        self.assertEqual(await checker.requestAvatarId(right), b"alice")
        greedy = "$argon2id$v=19$m=999999999,t=3,p=4$AAAAAAAAAAA$AAAAAAAAAAA"
        for entry in (b"\xff:\xff", b"bob", f"bob:{greedy}", "bob:plain", "eve:x", ""):
            await self.reply("HSET", ACCOUNTS, "bob", entry)
            wrong = checker.requestAvatarId(UsernamePassword(b"bob", b"plain"))
            await self.assertFailure(wrong, UnauthorizedLogin)
        await self.reply("HSET", ACCOUNTS, "esc", "\x1b[2J:x")
        self.assertEqual(await self.accounts.users(), ["alice"])
        await self.reply("DEL", ACCOUNTS)
        await self.reply("SET", ACCOUNTS, "no hash")
        wrong = checker.requestAvatarId(right)
        self.assertIn("WRONGTYPE", str(await self.assertFailure(wrong, StoreTrouble)))
