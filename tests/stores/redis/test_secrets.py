"""Logging in to a real Redis over TLS; without one the tests are skipped."""

from __future__ import annotations

import datetime
import ipaddress
import re
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import time
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import provider

from chatproto.directory.shared import Notice, ToClient
from chatproto.rooms.policy import RoomPolicy
from chatproto.rooms.shared import OwnNode, RoomCopy, RoomEvent, RoomSeat, SpokenBy
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.client import RedisClient, connected
from chatproto.stores.redis.group_store import RedisDirectory
from chatproto.stores.redis.inbox import Inbox
from chatproto.stores.redis.node_table import NODES, NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.server_key import other_key
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.ports import free_port
from tests.redis_process import Redis
from tests.stores.redis.test_group_text import classic, keyed

SECRET = "s3cr3t-of-redis"
OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(private, hashes.SHA256())
    )
    path = folder / "redis.pem"
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + text)
    return path


class Heard:
    """Listener of rooms, of beats, and of an inbox."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def happened(self, copy: RoomCopy, event: RoomEvent) -> None:
        self.told.append(event)

    def lost(self, copy: RoomCopy) -> None: ...

    def beat(self, rooms: int) -> None:
        self.told.append(rooms)

    def node_lost(self, node: str) -> None: ...

    def rejoin(self) -> None: ...

    def emptied(self) -> None: ...

    def noticed(self, notice: Notice) -> None:
        self.told.append(notice)

    def missed(self) -> None: ...


class SecretTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.pem = certificate(folder)
        self.tls_port = free_port()
        self.redis = Redis(
            folder,
            *("--tls-port", str(self.tls_port), "--tls-cert-file", str(self.pem)),
            *("--tls-key-file", str(self.pem), "--tls-ca-cert-file", str(self.pem)),
            *("--requirepass", SECRET),
        )
        self.addCleanup(self.redis.kill)
        self.url = f"rediss://127.0.0.1:{self.tls_port}/0"
        self.logged: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            self.logged.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def client(self, url: RedisUrl) -> RedisClient:
        client = RedisClient(reactor, url)
        client.startService()
        self.addCleanup(client.stopService)
        return client

    async def until_why(self, client: RedisClient) -> str:
        while not client.why:
            await deferLater(reactor, 0.02, lambda: None)
        return client.why

    async def test_it_is_used_over_tls_with_password_and_certificate(self) -> None:
        pem = self.pem.read_bytes()
        client = self.client(RedisUrl(self.url, None, SECRET, pem, pem))
        await client.wait_connected(30)
        self.assertEqual(client.why, "")
        await client.ask("SET", "hello", "1")
        self.assertEqual(await client.ask("GET", "hello"), "1")

    async def test_a_user_with_the_rights_of_the_handbook_is_enough_and_is_no_more(self) -> None:
        pem = self.pem.read_bytes()
        [rule] = re.findall(r"^ +user (chatproto .*)$", OPERATIONS.read_text(), re.MULTILINE)
        rule = rule.replace("PASSWORD", SECRET)
        await self.ask(RedisUrl(self.url, None, SECRET, pem, pem), "ACL", "SETUSER", *rule.split())
        url = RedisUrl(self.url, "chatproto", SECRET, pem, pem)
        await self.use_directory(url)
        await self.use_rooms(url)
        for command in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("GET", "other"), ("ACL", "LIST")):
            refused = ensureDeferred(self.ask(url, *command))
            self.assertIn("NOPERM", str(await self.assertFailure(refused, StoreTrouble)))

    async def use_directory(self, url: RedisUrl) -> None:
        """Do all that is done with the directory."""
        tokens = map(str, count())
        client = self.client(url)
        await client.wait_connected(30)
        self.assertEqual(client.why, "")
        self.assertEqual(await other_key(client, key(1)), "")
        store = RedisDirectory(client, SERVER_DEFAULTS, lambda: next(tokens), NodeTable(10.0))
        await client.ask("HSET", NODES, "here", "1")
        inbox = Inbox(reactor, url, OwnNode(lambda: "here"), notices := Heard())
        inbox.startService()
        self.addCleanup(inbox.stopService)
        former = await store.load("ann")
        await store.reserve(key(1), "ann", 3, 1.0)
        state = replace(former, presences={"ann": keyed()}, classic={"aNN": classic("aNN")})
        notice = ToClient(7, "text")
        after = await store.commit(former, state, 100.0, [("here", notice), ("gone", notice)])
        self.assertTrue(await store.send("here", notice))
        while len(notices.told) < 2:
            await deferLater(reactor, 0.02, lambda: None)
        self.assertEqual(len(await store.listed("", "", 9)), 2)
        for found in (await store.newest(0, 9), await store.classics(9)):
            self.assertEqual(len(found), 1)
        self.assertEqual(await store.open(0, 9), [])
        self.assertEqual(await store.due(1e12, 9), ["ann"])
        self.assertEqual(await store.counts(), (1, 1))
        self.assertEqual((await store.crowd("192.0.2.2", 9)).there, 1)
        await store.wait("bob", 1.0)
        self.assertEqual((await store.pairing("aNN")).waiting, ("bob",))
        self.assertTrue(await store.pair("aNN", "bob", "waiting", 2.0))
        await store.unpair("bob")
        self.assertEqual(await store.left_at("nowhere"), 0.0)
        [(client_id, since)] = (await store.reserved(key(1))).items()
        self.assertTrue(await store.release(key(1), client_id, since))
        await store.commit(after, replace(after, presences={}, classic={}), 200.0)

    async def use_rooms(self, url: RedisUrl) -> None:
        """Do all that is done with rooms."""
        tokens = map(str, count())
        client = RedisClient(reactor, url)
        store = RedisRooms(client, url.database, SERVER_DEFAULTS, lambda: next(tokens))
        watch, heard = RoomWatch(reactor, url, store), Heard()
        node = OwnNode(lambda: next(tokens))
        beats = Beats(reactor, client, watch, SERVER_DEFAULTS, node, NodeTable(10.0), [heard], time)
        for service in (client, watch):
            service.startService()
            self.addCleanup(service.stopService)
        while not (watch.is_up and client._connection):
            await deferLater(reactor, 0.02, lambda: None)
        await store.reserve(key(1), "#tea", 9, 1.0)
        await store.create(RoomPolicy("#tea", key(1), version=1), 1.0)
        await watch.watch("#tea", heard)
        seat = RoomSeat(node.name, 1, key(1), "192.0.2.1")
        await store.enter("#tea", 1, "alice", seat)
        await store.say("#tea", 1, True, [("alice", 1.0, "hi", SpokenBy("n", 1, 1))])
        await store.leave("#tea", [("alice", seat)], "kicked", 2.0)
        while len(heard.told) < 3:
            await deferLater(reactor, 0.02, lambda: None)
        await beats.beat()
        self.assertEqual(heard.told[-1], 1)
        self.assertEqual(await store.listed("", 9), ["#tea"])
        self.assertEqual(await store.unused(3.0, 9), ["#tea"])
        self.assertEqual(await store.occupied(0, 9), [])
        self.assertEqual(len((await store.page("#tea", None, None, 9, 99)).lines), 1)
        self.assertEqual(await store.expire("#tea", 2.0, 9), 1)
        state, _ = await store.read("#tea")
        self.assertTrue(await store.forget(state.policy))
        self.assertEqual((await store.names(), await store.outlines(["#tea"])), ([], []))
        watch.forget("#tea")
        beats.startService()
        await beats.end()

    async def ask(self, url: RedisUrl, *command: str) -> object:
        async with connected(reactor, url) as connection:
            return await connection.ask(*command)

    async def test_wrong_certificate_and_password_are_reported_without_the_secret(self) -> None:
        pem = self.pem.read_bytes()
        unknown = self.client(RedisUrl(self.url, None, SECRET, None, pem))
        self.assertIn("certificate", await self.until_why(unknown))
        wrong = self.client(RedisUrl(self.url, None, SECRET + "x", pem, pem))
        self.assertIn("WRONGPASS", await self.until_why(wrong))
        for line in self.logged:
            self.assertNotIn(SECRET, line)


class PlaceTests(SynchronousTestCase):
    def test_no_error_repeats_a_possible_password(self) -> None:
        for url in (
            f"redis://:{SECRET}@host:6379/0",
            f"redis://user:{SECRET}@host",
            f"redis://user:{SECRET}/x@host:6379",
            f"redis://user:pass#{SECRET}@host",
            f"redis://[{SECRET}",
            f"redis://host:{SECRET}",
            f"redis://host/{SECRET}",
            f"http://:{SECRET}@host",
        ):
            said = str(self.assertRaises(ValueError, RedisUrl, url))
            self.assertNotIn(SECRET, said)
            self.assertNotIn("\n", said)

    def test_an_ipv6_host_is_shown_in_brackets(self) -> None:
        self.assertEqual(str(RedisUrl("redis://[::1]:7000/3")), "redis://[::1]:7000/3")
        self.assertEqual(str(RedisUrl("rediss://cache")), "rediss://cache:6379/0")
        self.assertEqual(RedisUrl("redis://bob@cache", password="x").user, "bob")
