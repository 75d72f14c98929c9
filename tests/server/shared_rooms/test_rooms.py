"""Rooms of several servers over a real Redis: each test has servers in one process."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from time import time
from typing import Any, cast

from twisted.internet import reactor

from chatproto.directory.registrations import ClientConnection
from chatproto.net.receivers import StrictReceiver
from chatproto.rooms.policy import BanRecord
from chatproto.rooms.room import LOBBY
from chatproto.rooms.shared import OwnNode
from chatproto.server.room_delivery import RoomDelivery
from chatproto.server.shared_rooms.lobby import SharedLobby
from chatproto.server.shared_rooms.rooms import SharedRooms
from chatproto.stores.redis.beats import Beats
from chatproto.stores.redis.node_table import NodeTable
from chatproto.stores.redis.room_store import RedisRooms
from chatproto.stores.redis.room_watch import RoomWatch
from chatproto.stores.redis.url import RedisUrl
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Error
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError, StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.stores.redis.case import RedisCase

TEA = "#tea"
NUMBERS = count(1)


class Person:
    """A client of a server, and what it is told."""

    def __init__(self, server: OneServer, name: str, number: int) -> None:
        self.name = name
        self.server = server
        self.client = ClientConnection(key(number), f"198.51.100.{number}", 4000)
        self.client.client_id = name
        self.client.number = next(NUMBERS)
        self.got: list[Any] = []
        self._cseq = count(1)
        self._decoder = StrictReceiver(Sender.SERVER)
        server.people[self.client] = self

    def ask(self, kind: type[Any], *values: Any, **more: Any) -> int:
        cseq = next(self._cseq)
        self.server.shared.ask(kind(cseq, *values, **more), self.client)
        return cseq

    async def answer(self, kind: type[Any], *values: Any, **more: Any) -> Any:
        cseq = self.ask(kind, *values, **more)
        found: list[Any] = []
        while not found:
            await self.server.case.wait(0.005)
            found = [one for one in self.got if getattr(one, "cseq", None) == cseq]
        return found[-1]

    def say(self, message: Any) -> None:
        self.got.append(message)

    def send(self, data: bytes) -> None:
        self.got += self._decoder.read(data)

    def of(self, *kinds: type[Any]) -> list[Any]:
        return [one for one in self.got if isinstance(one, kinds)]

    def order(self) -> list[int]:
        return [one.id for one in self.of(bcp2_rooms.Said, bcp2_rooms.SayAck)]


class PlainPort:
    """The lobby's port of a server."""

    lobby: SharedLobby

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.hosts: dict[str, str] = {}

    def show(self, line: str) -> None:
        self.shown.append(line)

    def kick(self, name: str) -> bool:
        self.shown.append(f"{name} is kicked")
        self.lobby.raw_left(name, "was removed")
        return True

    def kick_from(self, banned: Callable[[str], bool]) -> None:
        self.shown += [f"{name} is banned" for name, host in self.hosts.items() if banned(host)]


class OneServer:
    """One server of several, without connections: effects are brought to its people."""

    def __init__(self, case: SharedRoomsCase, client: Any, name: str) -> None:
        self.case = case
        self.people: dict[ClientConnection, Person] = {}
        limits = case.limits
        rooms = RedisRooms(client, 0, limits, case.new_token)
        self.watch = RoomWatch(reactor, RedisUrl(case.redis.url), rooms)
        names = iter([name, *(f"{name} {number}" for number in range(1000))])
        node = OwnNode(lambda: next(names))
        node.confirm(float("inf"), 0.0)  # each test makes the beats that it is about
        clock: Any = case.clock
        self.plain = PlainPort()
        self.shown = self.plain.shown
        self.delivery = RoomDelivery(clock, limits)
        self.delivery.connections = self.people
        self.delivery.plain = cast(Any, self.plain)
        self.told: list[tuple[str, Any]] = []
        self.shared = SharedRooms(
            *(clock, rooms, self.watch, limits, node, self.delivery),
            look_up=case.look_up,
            tell=lambda client_id, message: self.told.append((client_id, message)),
            keeps_lobby=True,
        )
        self.lobby = self.plain.lobby = self.shared.lobby
        self.beats = Beats(
            clock,
            client,
            self.watch,
            limits,
            node,
            NodeTable(limits.server_lapse),
            [self.shared],
            time,
        )

    def person(self, name: str, number: int) -> Person:
        self.case.owners[name] = key(number)
        return Person(self, name, number)


class SharedRoomsCase(RedisCase):
    limits = SERVER_DEFAULTS.with_values(["server-lapse=60", "room-burst=10000", "room-rate=10000"])

    def setUp(self) -> None:
        super().setUp()
        self.owners: dict[str, str] = {}

    async def look_up(self, client_id: str, key: str) -> tuple[str | None, bool]:
        return self.owners.get(client_id), True

    async def servers(self, count: int = 2) -> list[OneServer]:
        found = []
        for number in range(count):
            one = OneServer(self, await self.client(), f"node{number}")
            one.watch.startService()
            self.addCleanup(one.watch.stopService)
            await self.until(lambda one=one: one.watch.is_up)  # type: ignore[misc]  # bound now
            found.append(one)
        return found

    async def people(self) -> tuple[Person, Person]:
        """Alice and bob at two servers, both in the room; alice owns it."""
        one, other = await self.servers()
        alice, bob = one.person("alice", 1), other.person("bob", 2)
        for each in (alice, bob):
            self.assertIsInstance(await each.answer(bcp2_rooms.Join, TEA), bcp2_rooms.JoinAck)
        await self.until(lambda: bool(alice.of(bcp2_rooms.Joined)))
        return alice, bob


class SharedRoomsTests(SharedRoomsCase):
    async def test_members_of_two_servers_join_talk_and_part(self) -> None:
        alice, bob = await self.people()
        [first], [second] = alice.of(bcp2_rooms.JoinAck), bob.of(bcp2_rooms.JoinAck)
        self.assertEqual((first.role, second.role), ("owner", "member"))
        self.assertEqual([one.id for one in second.members], ["alice", "bob"])
        self.assertEqual([one.peer_id for one in alice.of(bcp2_rooms.Joined)], ["bob"])
        for number in range(5):
            alice.ask(bcp2_rooms.Say, TEA, f"a {number}")
            bob.ask(bcp2_rooms.Say, TEA, f"b {number}")
        await self.until(lambda: len(alice.order()) == len(bob.order()) == 10)
        numbers = list(range(first.last + 1, first.last + 11))
        self.assertEqual((alice.order(), bob.order()), (numbers, numbers))
        self.assertEqual(
            [one.text for one in bob.of(bcp2_rooms.Said)], [f"a {n}" for n in range(5)]
        )
        self.assertEqual([one.cseq for one in alice.of(bcp2_rooms.SayAck)], [2, 3, 4, 5, 6])
        page = await bob.answer(bcp2_rooms.History, TEA)
        self.assertEqual(page.count, 10)
        await bob.answer(bcp2_rooms.Part, TEA)
        await self.until(lambda: bool(alice.of(bcp2_rooms.Parted)))
        self.assertEqual((await bob.answer(bcp2_rooms.Say, TEA, "x")).status, 404)
        self.assertIsNone(bob.server.watch.find(TEA))

    async def test_rooms_of_all_servers_are_listed(self) -> None:
        alice, bob = await self.people()
        await bob.answer(bcp2_rooms.Join, "#bobs")
        await bob.answer(bcp2_rooms.Settings, "#bobs", invited=True)
        self.assertEqual(
            [(one.room, one.members) for one in (await alice.answer(bcp2_rooms.Rooms)).rooms],
            [(TEA, 2)],
        )
        mine = await bob.answer(bcp2_rooms.Rooms)
        self.assertEqual([one.room for one in mine.rooms], ["#bobs", TEA])

    async def test_rooms_are_listed_in_pages(self) -> None:
        one, other = await self.servers()
        alice, eve = one.person("alice", 1), other.person("eve", 2)
        for room in ("#one", "#three", "#two"):
            await alice.answer(bcp2_rooms.Join, room)
        pages: list[list[str]] = []
        after = ""
        while not pages or after:
            page = await eve.answer(bcp2_rooms.Rooms, after=after, limit=2)
            pages.append([each.room for each in page.rooms])
            after = page.next
        self.assertEqual(pages, [["#one", "#three"], ["#two"]])

    async def test_moderation_at_one_server_works_at_the_other(self) -> None:
        alice, bob = await self.people()
        self.assertEqual((await bob.answer(bcp2_rooms.Topic, TEA, "mine")).status, 403)
        await alice.answer(bcp2_rooms.Mute, TEA, "bob")
        await self.until(lambda: bool(bob.of(bcp2_rooms.Changed)))
        self.assertEqual((await bob.answer(bcp2_rooms.Say, TEA, "hm")).status, 403)
        await alice.answer(bcp2_rooms.Ban, TEA, "bob")
        await self.until(lambda: bool(alice.of(bcp2_rooms.Parted)))
        self.assertEqual([one.what for one in bob.of(bcp2_rooms.Changed)], ["mute", "ban"])
        self.assertEqual([one.reason for one in bob.of(bcp2_rooms.Parted)], ["banned"])
        self.assertEqual(alice.of(bcp2_rooms.Changed), [])
        self.assertEqual((await bob.answer(bcp2_rooms.Join, TEA)).status, 403)
        await alice.answer(bcp2_rooms.Unban, TEA, "bob")
        self.assertIsInstance(await bob.answer(bcp2_rooms.Join, TEA), bcp2_rooms.JoinAck)
        await alice.answer(bcp2_rooms.Kick, TEA, "bob")
        await self.until(lambda: len(bob.of(bcp2_rooms.Parted)) == 2)
        self.assertEqual(bob.of(bcp2_rooms.Parted)[1].reason, "kicked")

    async def test_ban_racing_with_joins_leaves_no_banned_member(self) -> None:
        alice, bob = await self.people()
        banned = [bob.server.person(f"guest{number}", 3) for number in range(8)]
        for one in banned[:4]:
            one.ask(bcp2_rooms.Join, TEA)
        alice.ask(bcp2_rooms.Ban, TEA, key=key(3))
        for one in banned[4:]:
            one.ask(bcp2_rooms.Join, TEA)
        await self.until(lambda: all(one.got for one in banned))
        await self.until(lambda: bool(alice.of(bcp2_rooms.BanAck)))
        for server in (alice.server, bob.server):
            copy = server.watch.find(TEA)
            assert copy is not None
            await self.until(lambda copy=copy: set(copy.members) == {"alice", "bob"})  # type: ignore[misc]  # bound now

    async def test_simultaneous_creation_has_one_owner(self) -> None:
        one, other = await self.servers()
        alice, bob = one.person("alice", 1), other.person("bob", 2)
        for each in (alice, bob):
            each.ask(bcp2_rooms.Join, TEA)
        await self.until(lambda: bool(alice.of(bcp2_rooms.JoinAck) and bob.of(bcp2_rooms.JoinAck)))
        roles = {each.of(bcp2_rooms.JoinAck)[0].role for each in (alice, bob)}
        self.assertEqual(roles, {"owner", "member"})
        alike = await bob.answer(bcp2_rooms.Join, "#TEA")
        self.assertEqual(alike.status, 409)

    async def test_room_keys_and_counts_are_checked(self) -> None:
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Settings, TEA, secret="earl grey")
        await bob.answer(bcp2_rooms.Part, TEA)
        self.assertEqual((await bob.answer(bcp2_rooms.Join, TEA, "guess")).status, 403)
        joined = await bob.answer(bcp2_rooms.Join, TEA, "earl grey")
        self.assertIsInstance(joined, bcp2_rooms.JoinAck)
        for number in range(self.limits.rooms_per_client - 1):
            await bob.answer(bcp2_rooms.Join, f"#room{number}")
        self.assertEqual((await bob.answer(bcp2_rooms.Join, "#more")).status, 413)

    async def test_an_operator_speaks_and_kicks(self) -> None:
        alice, bob = await self.people()
        await alice.server.shared.order(bcp2_rooms.Say(0, TEA, "hear, hear"))
        await self.until(lambda: bool(bob.of(bcp2_rooms.Said)))
        self.assertEqual(bob.of(bcp2_rooms.Said)[0].sender, "server")
        await bob.server.shared.order(bcp2_rooms.Kick(0, TEA, "alice"))
        await self.until(lambda: bool(alice.of(bcp2_rooms.Parted)))
        unknown = alice.server.shared.order(bcp2_rooms.Topic(0, "#x", "t"))
        refused: Any = await self.assertFailure(unknown, RemoteError)
        self.assertEqual(refused.status, 404)

    async def test_the_lobby_in_bare_text_is_one(self) -> None:
        one, other = await self.servers()
        alice = other.person("alice", 1)
        await alice.answer(bcp2_rooms.Join, LOBBY)
        one.lobby.raw_joined("guest-1")
        other.lobby.raw_joined("guest-2")
        await self.until(lambda: "* guest-1 joined" in other.shown)
        self.assertNotIn("* guest-2 joined", other.shown)  # its port has shown it
        await self.until(lambda: "guest-2" in one.shared.lobby._room().plain)
        one.lobby.raw_message("guest-1", "hello")
        await self.until(lambda: "guest-1: hello" in other.shown)
        await alice.answer(bcp2_rooms.Say, LOBBY, "hi")
        await one.shared.order(bcp2_rooms.Say(0, LOBBY, "be nice"))
        for server in (one, other):
            await self.until(lambda server=server: "server> be nice" in server.shown)  # type: ignore[misc]  # bound now
            self.assertEqual(server.shown.count("alice: hi"), 1)
        one.lobby.raw_left("guest-1", "bye")
        await self.until(lambda: "* guest-1 left (bye)" in other.shown)
        joined = {each.peer_id: each.role for each in alice.of(bcp2_rooms.Joined)}
        self.assertEqual(joined, {"guest-1": "open", "guest-2": "open"})
        self.assertEqual([each.text for each in alice.of(bcp2_rooms.Said)], ["hello", "be nice"])
        self.assertEqual([each.reason for each in alice.of(bcp2_rooms.Parted)], ["bye"])
        self.assertNotIn("* guest-1 left (bye)", one.shown)
        bob = other.person("guest-2", 2)
        self.assertEqual((await bob.answer(bcp2_rooms.Join, LOBBY)).status, 409)

    async def test_room_limit_removes_unused_rooms(self) -> None:
        self.limits = self.limits.with_values(["rooms=2", "keep-rooms=0"])
        one, other = await self.servers()
        alice, bob = one.person("alice", 1), other.person("bob", 2)
        for room in ("#one", "#two"):
            await alice.answer(bcp2_rooms.Join, room)
        self.assertEqual((await bob.answer(bcp2_rooms.Join, TEA)).status, 503)
        await alice.answer(bcp2_rooms.Say, "#one", "kept")
        for room in ("#one", "#two"):
            await alice.answer(bcp2_rooms.Part, room)
        self.assertIsInstance(await bob.answer(bcp2_rooms.Join, TEA), bcp2_rooms.JoinAck)
        listed = await bob.answer(bcp2_rooms.Rooms)
        self.assertEqual([each.room for each in listed.rooms], ["#one", TEA])
        await one.shared.due(lambda node: True, 10)
        listed = await bob.answer(bcp2_rooms.Rooms)
        self.assertEqual([each.room for each in listed.rooms], [TEA])

    async def test_a_room_that_could_not_be_made_counts_for_a_minute(self) -> None:
        self.limits = self.limits.with_values(["rooms=2", "rooms-per-owner=2"])
        one, other = await self.servers()
        alice, bob = one.person("alice", 1), other.person("bob", 2)
        await alice.answer(bcp2_rooms.Join, TEA)
        await bob.answer(bcp2_rooms.Join, "#bobs")
        self.assertEqual((await bob.answer(bcp2_rooms.Join, "#more")).status, 503)
        self.assertEqual((await bob.answer(bcp2_rooms.Join, "#third")).status, 413)
        await alice.answer(bcp2_rooms.Part, TEA)
        self.clock.by = 61
        self.assertIsInstance(await bob.answer(bcp2_rooms.Join, "#third"), bcp2_rooms.JoinAck)
        self.clock.by = 122
        self.assertEqual((await bob.answer(bcp2_rooms.Join, "#fourth")).status, 413)
        rooms = await bob.answer(bcp2_rooms.Rooms)
        self.assertEqual([each.room for each in rooms.rooms], ["#bobs", "#third"])

    async def test_old_lines_are_forgotten(self) -> None:
        self.limits = self.limits.with_values(["room-history-age=60"])
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Say, TEA, "old")
        await alice.answer(bcp2_rooms.Say, TEA, "old too")
        self.clock.by = 61
        new = (await alice.answer(bcp2_rooms.Say, TEA, "new")).id
        await alice.server.shared.due(lambda node: True, 10)
        page = await bob.answer(bcp2_rooms.History, TEA)
        self.assertEqual(page.count, 1)
        gone = await bob.answer(bcp2_rooms.History, TEA, after=new - 2)
        self.assertEqual(gone.status, 404)

    async def test_the_same_id_at_another_server_moves(self) -> None:
        alice, bob = await self.people()
        again = bob.server.person("alice", 1)
        self.assertIsInstance(await again.answer(bcp2_rooms.Join, TEA), bcp2_rooms.JoinAck)
        alice.server.shared.connection_lost(alice.client)
        await bob.answer(bcp2_rooms.Say, TEA, "hello")
        self.assertEqual([one.text for one in again.of(bcp2_rooms.Said)], ["hello"])
        self.assertEqual(bob.of(bcp2_rooms.Parted), [])
        names = await bob.answer(bcp2_rooms.Names, TEA)
        self.assertEqual([one.id for one in names.members], ["alice", "bob"])

    async def test_replaced_connection_does_not_join(self) -> None:
        alice, bob = await self.people()
        server = bob.server
        old, new = server.person("carol", 3), server.person("carol", 3)
        store = server.shared._context.store
        enter = store.enter

        async def late(*place: Any) -> int:
            """Have the directory give the id to the new connection, which joins first."""
            self.patch(store, "enter", enter)
            old.client.client_id = None
            self.assertIsInstance(await new.answer(bcp2_rooms.Join, TEA), bcp2_rooms.JoinAck)
            return await enter(*place)

        self.patch(store, "enter", late)
        refused = await old.answer(bcp2_rooms.Join, TEA)
        self.assertEqual(refused.status, 401)
        server.shared.connection_lost(old.client)
        await alice.answer(bcp2_rooms.Say, TEA, "hello")
        await self.until(lambda: bool(new.of(bcp2_rooms.Said)))
        self.assertEqual((await new.answer(bcp2_rooms.Names, TEA)).count, 3)

    async def test_an_operator_moderates_the_lobby_in_bare_text_at_all_servers(self) -> None:
        one, other = await self.servers()
        for server, name in ((one, "guest-1"), (other, "guest-2")):
            server.lobby.raw_joined(name)
            server.plain.hosts[name] = "203.0.113.9"
        await self.until(lambda: not (one.lobby.admits("guest-2") or other.lobby.admits("guest-1")))
        self.assertTrue(one.lobby.admits("guest-3", "203.0.113.9"))
        await one.shared.order(bcp2_rooms.Mute(0, LOBBY, "guest-2"))
        await self.until(lambda: not other.lobby.may_speak("guest-2"))
        await one.shared.order(bcp2_rooms.Kick(0, LOBBY, "guest-2"))
        await self.until(lambda: "guest-2 is kicked" in other.shown)
        await self.until(lambda: one.lobby.admits("guest-2"))
        await one.shared.order(bcp2_rooms.Ban(0, LOBBY, address="203.0.113.9"))
        await self.until(lambda: "guest-1 is banned" in one.shown)
        await self.until(lambda: "guest-2 is banned" in other.shown)
        self.assertFalse(other.lobby.admits("guest-3", "203.0.113.9"))
        lines = [*(await other.shared.lines())]
        self.assertEqual(lines, ["#lobby: 1 member"])

    async def test_ban_holds_in_an_empty_lobby(self) -> None:
        one, other = await self.servers()
        for server, name in ((one, "guest-1"), (other, "guest-2")):
            server.lobby.raw_joined(name)
        await self.until(lambda: not (one.lobby.admits("guest-2") or other.lobby.admits("guest-1")))
        await one.shared.order(bcp2_rooms.Mute(0, LOBBY, "guest-2"))
        await one.shared.order(bcp2_rooms.Ban(0, LOBBY, address="203.0.113.9"))
        one.lobby.raw_left("guest-1", "bye")
        other.lobby.raw_left("guest-2", "bye")
        await self.until(lambda: one.lobby.admits("guest-2") and other.lobby.admits("guest-1"))
        for server in (one, other):
            self.assertFalse(server.lobby.admits("guest-3", "203.0.113.9"))
            self.assertFalse(server.lobby.may_speak("guest-2"))

    async def test_a_ban_holds_for_the_first_in_the_lobby_of_a_server(self) -> None:
        one, other = await self.servers()
        one.lobby.raw_joined("guest-1")
        await self.until(lambda: bool(one.lobby._room().plain))
        await one.shared.order(bcp2_rooms.Ban(0, LOBBY, address="203.0.113.9"))
        await one.shared.order(bcp2_rooms.Ban(0, LOBBY, "guest-3"))
        other.plain.hosts["guest-2"] = "203.0.113.9"
        other.lobby.raw_joined("guest-2")
        other.lobby.raw_joined("guest-3")
        await self.until(lambda: "guest-2 is banned" in other.shown)
        await self.until(lambda: "guest-3 is kicked" in other.shown)

    async def test_rooms_and_stays_are_counted_and_described(self) -> None:
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Topic, TEA, "milk")
        await bob.answer(bcp2_rooms.Join, "#bobs", "key")
        for each in (alice, bob):
            await each.server.beats.beat()
        self.assertEqual([each.server.shared.size() for each in (alice, bob)], [(2, 1), (2, 2)])
        lines = [*(await alice.server.shared.lines())]
        self.assertEqual(
            [one for one in lines if "lobby" not in one],
            ["#bobs: 1 member, not open to all", "#tea: 2 members, topic: milk"],
        )

    async def test_wrong_keys_are_reported_to_the_owner_at_another_server(self) -> None:
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Settings, TEA, secret="earl grey")
        member = bob.server.person("carol", 3)
        answers = [
            await member.answer(bcp2_rooms.Join, TEA, f"guess {number}")
            for number in range(self.limits.secret_tries + 1)
        ]
        self.assertEqual({one.status for one in answers[:-1]}, {403})
        self.assertEqual((answers[-1].status, answers[-1].retry_after > 0), (429, True))
        self.assertEqual(
            [(who, one.what, one.key) for who, one in bob.server.told], [("alice", "ban", key(3))]
        )

    async def test_invitation_reaches_a_client_at_any_server(self) -> None:
        alice, _ = await self.people()
        self.owners["carol"] = key(3)
        await alice.answer(bcp2_rooms.Invite, TEA, "carol")
        self.assertEqual(alice.server.told, [("carol", bcp2_rooms.Invited(TEA, "alice"))])


class TroubleTests(SharedRoomsCase):
    async def test_a_lost_line_of_a_room_without_history_is_acknowledged_once(self) -> None:
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Settings, TEA, kept=False)
        await alice.answer(bcp2_rooms.Say, TEA, "heard")
        watch = alice.server.watch
        assert watch._connection is not None
        await watch._connection.unsubscribe(watch._rooms.channel(TEA))
        cseq = alice.ask(bcp2_rooms.Say, TEA, "lost")
        await self.until(lambda: len(bob.of(bcp2_rooms.Said)) == 2)
        watch.look_again([TEA])
        await self.until(lambda: len(alice.of(bcp2_rooms.SayAck)) == 2)
        [first, second] = alice.of(bcp2_rooms.SayAck)
        self.assertEqual((second.cseq, second.id), (cseq, first.id + 1))

    async def test_lost_ban_is_applied_again_and_holds(self) -> None:
        alice, bob = await self.people()
        watch = bob.server.watch
        assert watch._connection is not None
        await watch._connection.unsubscribe(watch._rooms.channel(TEA))
        await alice.answer(bcp2_rooms.Ban, TEA, "bob")
        await self.until(lambda: bool(alice.of(bcp2_rooms.Parted)))
        self.assertEqual(bob.of(bcp2_rooms.Changed), [])
        watch.look_again([TEA])
        await self.until(lambda: bool(bob.of(bcp2_rooms.Parted)))
        self.assertEqual([one.what for one in bob.of(bcp2_rooms.Changed)], ["ban"])
        self.assertEqual([one.reason for one in bob.of(bcp2_rooms.Parted)], ["banned"])
        self.assertEqual((await bob.answer(bcp2_rooms.Join, TEA)).status, 403)
        self.assertEqual((await alice.answer(bcp2_rooms.Names, TEA)).count, 1)

    async def test_ban_of_a_stopped_server_is_completed(self) -> None:
        alice, bob = await self.people()
        copy = bob.server.watch.find(TEA)
        assert copy is not None
        ended = RedisRooms(await self.client(), 0, self.limits, self.new_token)
        policy = copy.policy.with_ban(BanRecord("key", key(2)), 0.0, 10)
        await ended.change(copy, policy, None, 0.0)
        await self.until(lambda: policy.version == copy.policy.version)
        await bob.server.beats.beat()
        for each in (alice, bob):
            await self.until(lambda each=each: bool(each.of(bcp2_rooms.Parted)))  # type: ignore[misc]  # bound now
            [parted] = each.of(bcp2_rooms.Parted)
            self.assertEqual((parted.peer_id, parted.reason), ("bob", "banned"))

    async def test_a_kick_is_one_step(self) -> None:
        alice, bob = await self.people()

        async def leave(*_: Any) -> tuple[int, int]:
            raise StoreTrouble("away")

        self.patch(alice.server.shared._context.store, "leave", leave)
        cseq = alice.ask(bcp2_rooms.Kick, TEA, "bob")
        await self.until(lambda: bool(bob.of(bcp2_rooms.Parted)))
        self.assertEqual((await alice.answer(bcp2_rooms.Names, TEA)).count, 1)
        answers = [one for one in alice.got if getattr(one, "cseq", None) == cseq]
        self.assertEqual(answers, [bcp2_rooms.KickAck(cseq, TEA)])

    async def test_a_ban_that_was_acknowledged_is_not_refused_then(self) -> None:
        alice, _ = await self.people()

        async def refresh(_: str) -> None:
            raise StoreTrouble("the room is watched no more")

        self.patch(alice.server.watch, "refresh", refresh)
        cseq = alice.ask(bcp2_rooms.Ban, TEA, key=key(3))
        self.assertEqual((await alice.answer(bcp2_rooms.Names, TEA)).count, 2)
        answers = [one for one in alice.got if getattr(one, "cseq", None) == cseq]
        self.assertEqual(answers, [bcp2_rooms.BanAck(cseq, TEA, True)])

    async def test_op_with_a_banned_address_stays_after_a_rejoin(
        self,
    ) -> None:
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Ban, TEA, address=bob.client.host)
        await self.until(lambda: bool(bob.of(bcp2_rooms.Parted)))
        await alice.answer(bcp2_rooms.Op, TEA, "bob")
        self.assertIsInstance(await bob.answer(bcp2_rooms.Join, TEA), bcp2_rooms.JoinAck)
        bob.server.shared.rejoin()
        await bob.server.beats.beat()
        await bob.answer(bcp2_rooms.Say, TEA, "still here")
        self.assertEqual(len(bob.of(bcp2_rooms.Parted)), 1)

    async def test_members_of_an_unnoticed_stopped_server_are_removed(self) -> None:
        alice, bob = await self.people()
        client = await self.client()
        await self.ask(
            client, "HSET", "chatproto:{r:#tea}:m", "ghost", '["dead",1,"sha256:G","192.0.2.9"]'
        )
        for each, came in ((alice, ["bob", "ghost"]), (bob, ["ghost"])):
            each.server.watch.look_again([TEA])
            await self.until(
                lambda each=each, came=came: (  # type: ignore[misc]  # bound now
                    [one.peer_id for one in each.of(bcp2_rooms.Joined)] == came
                )
            )
        for each in (bob, alice, alice):
            await each.server.beats.beat()
        for each in (alice, bob):
            await self.until(lambda each=each: bool(each.of(bcp2_rooms.Parted)))  # type: ignore[misc]  # bound now
            self.assertEqual([one.peer_id for one in each.of(bcp2_rooms.Parted)], ["ghost"])

    async def test_members_of_stopped_servers_leave_unwatched_rooms(self) -> None:
        one, other = await self.servers()
        alice, bob = one.person("alice", 1), other.person("bob", 2)
        await alice.answer(bcp2_rooms.Join, TEA)
        await bob.answer(bcp2_rooms.Join, "#bobs")
        ghost = '["dead",1,"sha256:G","192.0.2.9"]'
        await self.ask(await self.client(), "HSET", "chatproto:{r:#bobs}:m", "ghost", ghost)
        await bob.answer(bcp2_rooms.Part, "#bobs")
        await one.shared.due(lambda node: node != "dead")
        lines = [*(await one.shared.lines())]
        self.assertEqual(
            [line for line in lines if "lobby" not in line], ["#bobs: 0 members", "#tea: 1 member"]
        )

    async def test_client_lost_while_joining_is_in_no_room(self) -> None:
        alice, bob = await self.people()
        member = bob.server.person("carol", 3)
        member.ask(bcp2_rooms.Join, TEA)
        bob.server.shared.connection_lost(member.client)
        await bob.answer(bcp2_rooms.Say, TEA, "hello")
        copy = alice.server.watch.find(TEA)
        assert copy is not None
        await self.until(lambda: set(copy.members) == {"alice", "bob"})

    async def test_members_of_a_stopped_server_leave(self) -> None:
        alice, bob = await self.people()
        for each in (alice, bob, alice):
            await each.server.beats.beat()
        stopped = bob.server.watch.stopService()
        assert stopped is not None
        await stopped
        self.clock.by = 61
        for _ in range(2):
            await alice.server.beats.beat()
        await self.until(lambda: bool(alice.of(bcp2_rooms.Parted)))
        self.assertEqual([one.peer_id for one in alice.of(bcp2_rooms.Parted)], ["bob"])

    async def test_a_server_that_was_given_up_is_in_its_rooms_again(self) -> None:
        alice, bob = await self.people()
        for each in (alice, bob, alice):
            await each.server.beats.beat()
        self.clock.by = 61
        for _ in range(2):
            await alice.server.beats.beat()
        await self.until(lambda: bool(alice.of(bcp2_rooms.Parted)))
        await bob.server.beats.beat()
        await self.until(lambda: len(alice.of(bcp2_rooms.Joined)) == 2)
        await bob.answer(bcp2_rooms.Say, TEA, "here again")
        await self.until(lambda: [one.text for one in alice.of(bcp2_rooms.Said)] == ["here again"])

    async def test_an_emptied_redis_gets_the_rooms_again_that_are_in_use(self) -> None:
        alice, bob = await self.people()
        await alice.answer(bcp2_rooms.Topic, TEA, "milk")
        for each in (alice, bob):
            await each.server.beats.beat()
        await self.ask(await self.client(), "FLUSHALL")
        for each in (alice, bob):
            await each.server.beats.beat()
        while not alice.of(bcp2_rooms.Said):
            await bob.answer(bcp2_rooms.Say, TEA, "still here")
        names = await alice.answer(bcp2_rooms.Names, TEA)
        roles = [(one.id, one.role) for one in names.members]
        self.assertEqual(roles, [("alice", "owner"), ("bob", "member")])
        carol = bob.server.person("carol", 3)
        self.assertEqual((await carol.answer(bcp2_rooms.Join, TEA)).topic, "milk")

    async def test_redis_away_is_503_and_lines_go_on_afterwards(self) -> None:
        alice, bob = await self.people()
        self.redis.kill()
        await self.until(lambda: not alice.server.watch.is_up)
        refused = await alice.answer(bcp2_rooms.Say, TEA, "lost")
        self.assertEqual((refused.status, refused.retry_after), (503, 2))
        self.redis.start()
        await self.until(lambda: alice.server.watch.is_up and bob.server.watch.is_up)
        answer: Any = Error(503)
        while isinstance(answer, Error):
            answer = await alice.answer(bcp2_rooms.Say, TEA, "again")
        await self.until(lambda: [one.text for one in bob.of(bcp2_rooms.Said)] == ["again"])
        self.flushLoggedErrors()

    async def test_one_order_under_moderation_and_broken_subscriptions(self) -> None:
        chance = random.Random(17)
        servers = await self.servers(3)
        people = [servers[n % 3].person(f"p{n}", n + 1) for n in range(6)]
        for one in people:
            await one.answer(bcp2_rooms.Join, TEA)
        asked = 0
        for turn in range(150):
            one = chance.choice(people)
            one.ask(bcp2_rooms.Say, TEA, f"{one.name} {turn}")
            asked += 1
            if turn % 10 == 0:
                people[0].ask(bcp2_rooms.Topic, TEA, f"topic {turn}")
            if turn % 40 == 20:
                await self.ask(await self.client(), "CLIENT", "KILL", "TYPE", "pubsub")
            await self.wait(0.002)
        await self.until(lambda: all(one.watch.is_up for one in servers))
        for server in servers:
            server.watch.look_again([TEA])
        await self.until(lambda: all(len(one.order()) == asked for one in people))
        orders = {tuple(one.order()) for one in people}
        self.assertEqual(len(orders), 1)
        [order] = orders
        self.assertEqual(list(order), sorted(order))
        self.assertEqual(sum(len(one.of(bcp2_rooms.SayAck)) for one in people), asked)
