"""Who comes and goes, and servers that die, at several servers over a real Redis."""

from __future__ import annotations

from typing import Any

from chatproto.server.shared_directory import directory as directory_module
from chatproto.wire import bcp2_server
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.server.shared_directory.hall import HallCase, OneServer, Person

Bridge = bcp2_server.Bridge
Watch = bcp2_server.Watch
Presence = bcp2_server.Presence


def statuses(person: Person) -> list[str]:
    return [one.status for one in person.of(Presence)]


class WatchingTests(HallCase):
    async def watched(self) -> tuple[OneServer, OneServer, Person, Person]:
        one, two = await self.servers()
        alice, bob = one.person("alice", 1), two.person("bob", 2)
        for each in (alice, bob):
            await each.register()
        await bob.answer(Watch, "alice")
        return one, two, alice, bob

    async def test_presence_reaches_watchers_at_another_server(self) -> None:
        one, two, alice, bob = await self.watched()
        self.assertEqual(statuses(bob), ["online"])
        alice.leave()
        await one.settled()
        again = one.person("alice", 1)
        await again.register()
        self.ahead(31, one, two)
        self.assertEqual(statuses(bob), ["online"])
        again.leave()
        await self.until(lambda: bool(two.directory._watches._leaving))
        self.ahead(31, one, two)
        self.assertEqual(statuses(bob), ["online", "offline"])
        await one.person("alice", 1).register(away="at lunch")
        await self.until(lambda: len(statuses(bob)) == 3)
        self.assertEqual(bob.of(Presence)[-1].away, "at lunch")

    async def test_ended_registration_is_reported_at_once(self) -> None:
        _, _, alice, bob = await self.watched()
        await alice.register("alice", expires=0)
        await bob.told(Presence, 2)
        self.assertEqual(statuses(bob), ["online", "offline"])

    async def test_former_watchers_get_no_presence(self) -> None:
        one, _two, alice, bob = await self.watched()
        await bob.answer(bcp2_server.Unwatch, "alice")
        await alice.register(away="x")
        while (await one.store.load("alice")).watching:
            await self.wait(0.01)
        self.assertEqual(statuses(bob), ["online"])

    async def test_too_many_watches_and_unknown_ids_are_refused(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["watches=1"])
        _, _, alice, bob = await self.watched()
        self.assertEqual((await alice.answer(Watch, "nobody")).status, 404)
        self.assertEqual((await bob.answer(Watch, "bob")).status, 413)
        self.assertEqual((await bob.server.person("x", 3).answer(Watch, "alice")).status, 401)

    async def test_clients_of_a_stopped_server_are_reported_offline(self) -> None:
        one, two, _, bob = await self.watched()
        await self.die(one, two)
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 480)
        self.assertEqual(statuses(bob), ["online"])
        self.ahead(31, two)
        self.assertEqual(statuses(bob), ["online", "offline"])
        listed = await bob.answer(bcp2_server.Info)
        self.assertEqual([each.client_id for each in listed.contacts], ["bob"])
        await two.directory.due()
        self.assertEqual([each.client_id for each in await two.store.listed("", "", 9)], ["bob"])
        self.assertEqual((await two.person("alice", 5).register()).status, 409)

    async def test_sweep_continues_while_it_finds_lost_clients(self) -> None:
        self.patch(directory_module, "SWEPT", 2)
        self.patch(directory_module, "MOST_SWEPT", 1)
        one, two = await self.servers()
        for number in range(9):
            await one.person(f"ann{number}", number + 1).register()
        await self.die(one, two)
        await two.directory.due()
        self.assertEqual(await two.store.listed("", "", 9), [])

    async def test_list_is_swept_only_after_a_server_stopped(self) -> None:
        one, two = await self.servers()
        await one.person("ann", 1).register()
        listed, looks = two.store.listed, list[str]()

        async def look(prefix: str, after: str, most: int) -> Any:
            looks.append(after)
            return await listed(prefix, after, most)

        self.patch(two.store, "listed", look)
        for _ in range(3):
            await two.directory.due()
        self.assertEqual(looks, [""])
        await self.die(one, two)
        for _ in range(3):
            await two.directory.due()
        self.assertEqual(looks, ["", ""])
        self.assertEqual(await listed("", "", 9), [])

    async def die(self, one: OneServer, *others: OneServer) -> None:
        """`one` is given up by the others."""
        await others[0].beats._give_up(one.node.name, "")
        self.ahead(124)
        for each in others:
            await each.beats.beat()
        self.assertIsNotNone(await others[0].store.left_at(one.node.name))

    async def test_a_server_that_was_given_up_registers_its_clients_again(self) -> None:
        one, two, alice, bob = await self.watched()
        await self.die(one, two)
        self.ahead(31, two)
        await one.beats.beat()
        await one.beats.beat()
        await one.settled()
        self.assertEqual((await bob.answer(Bridge, "alice")).client_id, "alice")
        await alice.told(bcp2_server.Introduce)
        await self.until(lambda: statuses(bob) == ["online", "offline", "online"])

    async def test_removed_server_reloads_its_watched_ids(self) -> None:
        one, two, alice, bob = await self.watched()
        await self.die(two, one)
        await two.beats.beat()
        await two.beats.beat()
        self.assertNotEqual(two.node.name, "node1")
        while two.node.name not in (await one.store.load("alice")).watching:
            await self.wait(0.01)
        await alice.register(away="x")
        await self.until(lambda: bob.of(Presence)[-1].away == "x")

    async def test_lost_notices_are_replaced_by_queries(self) -> None:
        one, two, alice, bob = await self.watched()
        two.inbox.stopService()
        await alice.register(away="x")
        await self.ask(one.client, "DEL", f"chatproto:inbox:{two.node.name}")
        two.directory.missed()
        await self.until(lambda: bob.of(Presence)[-1].away == "x")

    async def test_a_server_that_stops_leaves_its_clients_away(self) -> None:
        one, two, alice, bob = await self.watched()
        one.beats.running = 1
        one.directory.stop()
        await one.beats.end()
        alice.leave()
        await two.beats.beat()
        self.assertEqual((await bob.answer(Bridge, "alice")).status, 480)
