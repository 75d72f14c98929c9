"""Registrations with keys, at several servers over a real Redis."""

from __future__ import annotations

from typing import Any

from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.server.shared_directory.hall import HallCase

Register = bcp2_server.Register
Bridge = bcp2_server.Bridge
Watch = bcp2_server.Watch
RegAck = bcp2_server.RegAck


class RegisteringTests(HallCase):
    async def test_an_id_belongs_to_the_first_key_at_whatever_server(self) -> None:
        one, two = await self.servers()
        alice, thief = one.person("alice", 1), two.person("alice", 2)
        ack = await alice.register()
        self.assertEqual((ack.client_id, ack.expires), ("alice", 3600))
        self.assertEqual((await thief.register()).status, 409)
        self.assertEqual((await thief.register("Alice")).status, 409)
        self.assertIn("is alice", one.rooms.heard)

    async def test_two_look_alikes_claimed_at_two_servers_at_once_are_one(self) -> None:
        one, two = await self.servers()
        for number in range(5):
            people = [one.person(f"bob{number}", 1 + number), two.person(f"B0b{number}", 50)]
            people[1] = two.person(f"Bob{number}", 60 + number)
            asked = [each.ask(Register, each.name, 5000) for each in people]
            found = [await each.answered(cseq) for each, cseq in zip(people, asked, strict=True)]
            self.assertEqual(sorted(type(each).__name__ for each in found), ["Error", "RegAck"])
            for each in people:
                each.leave()

    async def test_a_third_and_a_fourth_name_at_once_are_three(self) -> None:
        servers = await self.servers()
        people = [servers[number % 2].person(f"name{number}", 7) for number in range(6)]
        asked = [(each, each.ask(Register, each.name, 5000)) for each in people]
        found = [await each.answered(cseq) for each, cseq in asked]
        self.assertEqual(len([one for one in found if isinstance(one, RegAck)]), 3)
        self.assertEqual({one.status for one in found if isinstance(one, Error)}, {403})

    async def test_simultaneous_new_ids_keep_the_limit(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["names=3"])
        servers = await self.servers()
        people = [servers[number % 2].person(f"name{number}", number) for number in range(8)]
        asked = [(each, each.ask(Register, each.name, 5000)) for each in people]
        found = [(each, await each.answered(cseq)) for each, cseq in asked]
        refused = [(each, one) for each, one in found if isinstance(one, Error)]
        self.assertEqual([one.status for _, one in refused], [503] * 5)
        for each, _ in refused:
            self.assertEqual(await servers[0].store.reserved(each.client.key), {})

    async def test_a_crash_between_reserve_and_commit_holds_a_name_for_a_minute(self) -> None:
        one, _ = await self.servers()
        for number in range(3):
            await one.store.reserve(key(1), f"never{number}", 3, self.now())
        alice = one.person("alice", 1)
        self.assertEqual((await alice.register()).status, 403)
        self.ahead(61)
        self.assertIsInstance(await alice.register(), RegAck)

    async def test_the_same_key_replaces_itself_from_another_server(self) -> None:
        one, two = await self.servers()
        first, second = one.person("alice", 1), two.person("alice", 1)
        await first.register()
        self.assertIsInstance(await second.register(), RegAck)
        await first.told(bcp2_server.Replaced)
        await one.settled()
        self.assertTrue(first.gone)
        found = (await two.store.load("alice")).presences["alice"].registration
        self.assertEqual((found.connected, found.client.node), (True, two.node.name))

    async def test_renewed_registration_is_the_newest(self) -> None:
        one, two = await self.servers()
        alice, bob, carol = (one.person("alice", 1), two.person("bob", 2), one.person("carol", 3))
        for each in (alice, bob, carol, alice):
            self.assertIsInstance(await each.register(), RegAck)
        self.assertEqual((await bob.answer(Bridge, "")).client_id, "alice")

    async def test_a_server_that_may_be_given_up_confirms_no_registration(self) -> None:
        one, _ = await self.servers()
        alice = one.person("alice", 1)
        await alice.register()
        one.node.renew()
        self.assertEqual((await alice.register()).status, 503)

    async def test_a_client_has_one_id_at_a_time_and_can_end_its_registration(self) -> None:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        await alice.register()
        await bob.register()
        await alice.register("alicia")
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 404)
        self.assertEqual((await bob.answer(Bridge, "alicia")).key, key(1))
        self.assertEqual((await alice.register("alice", expires=0)).status, 404)
        self.assertEqual((await alice.register("alicia", expires=0)).expires, 0)
        self.assertEqual((await bob.answer(Bridge, "alicia")).status, 404)
        self.assertEqual((await two.person("x", 3).register("alicia")).status, 409)

    async def test_a_registration_without_a_connection_ends_after_its_lease(self) -> None:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        await alice.register(expires=60)
        await bob.register()
        alice.leave()
        await one.settled()
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 480)
        self.ahead(61)
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 404)
        await one.directory.due()
        self.assertEqual((await one.store.load("alice")).presences, {})

    async def test_an_unused_id_is_free_after_a_day_and_a_used_one_after_a_month(self) -> None:
        one, _ = await self.servers()
        idle, busy = one.person("idle", 1), one.person("busy", 2)
        for each in (idle, busy):
            await each.register()
        await busy.answer(Watch, "idle")
        await one.settled()
        for each in (idle, busy):
            each.leave()
        await one.settled()
        self.ahead(86400 + 3600)
        self.assertIsInstance(await one.person("idle", 3).register(), RegAck)
        self.assertEqual((await one.person("busy", 4).register()).status, 409)
        self.ahead(30 * 86400)
        self.assertIsInstance(await one.person("busy", 5).register(), RegAck)

    async def test_a_client_that_stays_keeps_its_id(self) -> None:
        one, _ = await self.servers()
        alice = one.person("alice", 1)
        await alice.register()
        for _ in range(4):
            self.ahead(10 * 86400)
            await one.directory.due()
            await one.settled()
        self.assertEqual((await one.person("alice", 2).register()).status, 409)

    async def test_new_ids_of_an_address_are_counted(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["new-ids-per-address=2"])
        one, _ = await self.servers()
        people = [one.person(f"name{number}", number) for number in range(3)]
        for each in people:
            each.client.host = "203.0.113.1"
        found = [await each.register() for each in people]
        self.assertEqual(found[2].status, 429)

    async def test_requests_are_answered_in_their_order(self) -> None:
        one, two = await self.servers()
        alice = one.person("alice", 1)
        await two.person("bob", 2).register()
        cseqs = [
            alice.ask(Register, "alice", 5000),
            alice.ask(Watch, "bob"),
            alice.ask(bcp2_server.Observe),
            alice.ask(Bridge, "nobody"),
            alice.ask(bcp2_server.Info),
            alice.ask(bcp2_server.Unwatch, "bob"),
        ]
        await alice.answered(cseqs[-1])
        told = [one.cseq for one in alice.got if getattr(one, "cseq", None) is not None]
        self.assertEqual(told, cseqs)
        alice.ask(Ping)
        self.assertIsInstance(alice.got[-1], PingAck)

    async def test_answers_of_rooms_and_directory_keep_the_order(self) -> None:
        one, _ = await self.servers()
        alice: Any = one.person("alice", 1)
        alice.ask(Register, "alice", 5000)
        join = bcp2_rooms.Join(9, "#tea")
        self.assertTrue(one.directory.holds(alice.client, join, alice))
        await alice.answered(1)
        self.assertFalse(one.directory.holds(alice.client, join, alice))

    async def test_connection_lost_while_registering_is_away(self) -> None:
        one, _ = await self.servers()
        alice = one.person("alice", 1)
        alice.ask(Register, "alice", 5000)
        alice.leave()
        await self.until(lambda: not one.directory._asked)
        await one.settled()
        found = (await one.store.load("alice")).presences
        self.assertFalse([each for each in found.values() if each.registration.connected])
