"""Introductions and lists, at several servers over a real Redis."""

from __future__ import annotations

from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Error
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.contracts.names import key
from tests.server.shared_directory.hall import HallCase, OneServer, Person

Bridge = bcp2_server.Bridge
Watch = bcp2_server.Watch
RegAck = bcp2_server.RegAck


class CallingTests(HallCase):
    async def people(self) -> tuple[OneServer, OneServer, Person, Person]:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        for each in (alice, bob):
            await each.register()
        return one, two, alice, bob

    async def test_callee_gets_one_introduce_at_its_server(self) -> None:
        _, _, alice, bob = await self.people()
        found = await bob.answer(Bridge, "alice")
        called = await alice.told(bcp2_server.Introduce)
        self.assertEqual(
            (found.client_id, called.client_id, found.call), ("alice", "bob", called.call)
        )
        self.assertEqual(found.relay, ("node1.example", 5555))
        self.assertEqual((found.ticket, called.ticket), ("A" * 26, "B" * 26))
        self.assertEqual(len(alice.of(bcp2_server.Introduce)), 1)

    async def test_unlisted_client_is_found_by_allowed_keys(self) -> None:
        _one, two, alice, bob = await self.people()
        await alice.register(listed=False, allow=(key(3),))
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 404)
        self.assertEqual((await bob.answer(Watch, "alice")).status, 404)
        carol = two.person("carol", 3)
        await carol.register()
        self.assertEqual((await carol.answer(Bridge, "alice")).client_id, "alice")
        self.assertNotIn("alice", await self.listed(bob))
        self.assertEqual(await two.directory.look_up("alice", key(2)), (key(1), False))

    async def listed(self, person: Person) -> list[str]:
        return [one.client_id for one in (await person.answer(bcp2_server.Info)).contacts]

    async def test_all_are_listed_in_pages_by_id(self) -> None:
        one, _two, _alice, bob = await self.people()
        await one.caller().register("classic")
        self.assertEqual(await self.listed(bob), ["alice", "bob", "classic"])
        page = await bob.answer(bcp2_server.Info, limit=2)
        self.assertEqual(
            ([each.client_id for each in page.contacts], page.next), (["alice", "bob"], "bob")
        )
        page = await bob.answer(bcp2_server.Info, after="bob", limit=2)
        self.assertEqual(([each.client_id for each in page.contacts], page.next), (["classic"], ""))
        self.assertEqual(list(await one.directory.lines("al")), ["alice 198.51.100.1:5000"])

    async def test_bridge_without_a_name_finds_the_newest_of_another_key(self) -> None:
        _, two, _, bob = await self.people()
        self.assertEqual((await bob.answer(Bridge, "")).client_id, "alice")
        carol = two.person("carol", 3)
        await carol.register()
        self.assertEqual((await bob.answer(Bridge, "")).client_id, "carol")

    async def test_introductions_are_limited(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["introductions-from=2"])
        _, _, _, bob = await self.people()
        found = [await bob.answer(Bridge, "alice") for _ in range(3)]
        self.assertEqual(found[2].status, 429)

    async def test_a_message_finds_a_client_at_whatever_server(self) -> None:
        _one, two, alice, bob = await self.people()
        invited = bcp2_rooms.Invited("#tea", "bob")
        two.directory.tell("alice", invited)
        self.assertEqual(await alice.told(bcp2_rooms.Invited), invited)
        two.directory.tell("bob", invited)
        await bob.told(bcp2_rooms.Invited)

    async def test_the_operator_of_one_puts_out_at_another(self) -> None:
        _one, two, alice, bob = await self.people()
        self.assertTrue(await two.directory.expel("alice", free=False))
        self.assertEqual((await alice.told(Error)).status, 403)
        self.assertFalse(await two.directory.expel("alice", free=False))
        self.assertEqual((await two.person("alice", 3).register()).status, 409)
        self.assertTrue(await two.directory.expel("alice", free=True))
        self.assertFalse(await two.directory.expel("alice", free=True))
        self.assertIsInstance(await two.person("alice", 3).register(), RegAck)
        self.assertTrue(await two.directory.expel("bob", free=True))
        self.assertEqual((await bob.told(Error)).status, 403)

    async def test_login_finds_the_owner_of_the_id(self) -> None:
        _, two, _, _ = await self.people()
        self.assertTrue(await two.directory.owns(key(1), "alice"))
        self.assertFalse(await two.directory.owns(key(2), "alice"))
        await two.directory.look_up_name("Alice")
        self.assertTrue(two.directory.is_owned("Alice"))
        await two.directory.look_up_name("nobody")
        self.assertFalse(two.directory.is_owned("nobody"))

    async def test_the_name_of_an_account_may_be_taken_from_another_key(self) -> None:
        _, two, alice, _ = await self.people()
        real = two.person("alice", 9)
        real.client.user = "alice"
        self.assertIsInstance(await real.register(), RegAck)
        await self.until(lambda: alice.gone)

    async def test_client_of_a_stopped_server_is_away(self) -> None:
        one, _two, _, bob = await self.people()
        await self.ask(one.client, "HDEL", "chatproto:nodes", one.node.name)
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 480)
