"""Classic clients, at several servers over a real Redis."""

from __future__ import annotations

from chatproto.wire import bcp2_server
from chatproto.wire.classic import (
    ClassicBridge,
    ClassicBridgeAck,
    ClassicError,
    ClassicInfo,
    ClassicProbe,
    ClassicQuit,
    ClassicRegAck,
    ClassicRegister,
    ProbeAck,
    QuitAck,
)
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.server.shared_directory.hall import Caller, HallCase

Bridge = bcp2_server.Bridge
RegAck = bcp2_server.RegAck


class ClassicTests(HallCase):
    async def test_classic_clients_share_one_directory(self) -> None:
        one, two = await self.servers()
        ann, ben = one.caller(), two.caller()
        self.assertIsInstance(await ann.register("ann"), ClassicRegAck)
        self.assertEqual(await ben.register("ann"), ClassicError(409))
        self.assertIsInstance(await ben.register("ben"), ClassicRegAck)
        info = await ben.ask(ClassicInfo())
        self.assertEqual([each.client_id for each in info.contacts], ["ann", "ben"])
        self.assertEqual((await ben.ask(ClassicBridge("ben"))).client_id, "ann")
        self.assertEqual((await ann.ask(ClassicBridge("ann"))).client_id, "ben")
        self.assertEqual(await ben.ask(ClassicQuit("ann")), ClassicError(403))
        self.assertEqual(await ann.ask(ClassicQuit("ann")), QuitAck())
        self.assertEqual(await ann.ask(ClassicQuit("ann")), ClassicError(404))
        self.assertIsInstance(await ben.register("ann"), ClassicRegAck)
        self.assertEqual(await ben.ask(ClassicProbe()), ProbeAck())

    async def test_client_without_a_peer_is_queued_and_found(self) -> None:
        one, two = await self.servers()
        ann, ben = one.caller(), two.caller()
        await ann.register("ann")
        self.assertEqual(await ann.ask(ClassicBridge("ann")), ClassicBridgeAck())
        await ben.register("ben")
        self.assertEqual((await ben.ask(ClassicBridge("ben"))).client_id, "ann")

    async def test_keyed_and_classic_clients_exclude_each_other(self) -> None:
        one, two = await self.servers()
        alice = one.person("alice", 1)
        await alice.register(open=True)
        ann = two.caller()
        self.assertEqual(await ann.register("Alice"), ClassicError(409))
        await ann.register("ann")
        self.assertEqual((await alice.register("ann")).status, 409)
        info = await ann.ask(ClassicInfo())
        self.assertEqual([each.client_id for each in info.contacts], ["ann", "alice"])
        self.assertEqual((await ann.ask(ClassicBridge("ann"))).client_id, "alice")
        self.assertEqual((await alice.answer(Bridge, "ann")).client_id, "ann")

    async def test_account_takes_its_name_from_a_gone_classic_client(self) -> None:
        one, two = await self.servers()
        for name, at in (("ann", one), ("ben", two)):
            classic = at.caller()
            await classic.register(name)
            person = two.person(name, 1)
            person.client.user = name
            self.assertEqual((await person.register()).status, 409)
            classic.leave()
            await one.settled()
            await two.settled()
            self.ahead(61)
            self.assertIsInstance(await person.register(), RegAck)
            self.assertEqual((await one.store.load(name)).classic, {})
            self.assertEqual(await one.caller().register(name), ClassicError(409))
            person.leave()

    async def test_an_operator_frees_the_id_of_a_classic_client(self) -> None:
        one, two = await self.servers()
        await one.caller().register("ann")
        self.assertTrue(await two.directory.expel("ann", free=True))
        self.assertFalse(await two.directory.expel("ann", free=True))
        self.assertIsInstance(await two.person("ann", 1).register(), RegAck)

    async def test_an_open_client_calls_classic_ones(self) -> None:
        one, two = await self.servers()
        await two.caller().register("ann")
        alice = one.person("alice", 1)
        await alice.register(open=True)
        self.assertEqual((await alice.answer(Bridge, "")).client_id, "ann")
        self.assertEqual((await alice.answer(Bridge, "")).client_id, "")

    async def test_an_id_can_be_had_when_its_client_is_silent(self) -> None:
        one, two = await self.servers()
        ann, other = one.caller(), two.caller()
        await ann.register("ann")
        self.ahead(61, one)
        await one.settled()
        self.assertEqual(await other.register("ann"), ClassicError(409))  # it is connected
        ann.leave()
        await one.settled()
        self.ahead(61)
        self.assertIsInstance(await other.register("ann"), ClassicRegAck)

    async def test_a_short_connection_leaves_its_registration_for_its_lease(self) -> None:
        one, two = await self.servers()
        ann = one.caller()
        await ann.register("ann")
        ann.leave()
        other = two.caller()
        self.assertEqual(await other.register("ann"), ClassicError(409))
        self.ahead(12 * 3600 + 1)
        info = await other.ask(ClassicInfo())
        await two.directory.due()
        info = await other.ask(ClassicInfo())
        self.assertEqual(info.contacts, ())

    async def test_paired_client_is_free_again_after_registering(self) -> None:
        one, two = await self.servers()
        ann, ben = one.caller(), two.caller()
        await ann.register("ann")
        self.assertEqual((await ben.ask(ClassicBridge("ben"))).client_id, "ann")
        self.assertEqual(await ben.ask(ClassicBridge("carl")), ClassicBridgeAck())
        await ann.register("ann")
        self.assertEqual((await ben.ask(ClassicBridge("carl"))).client_id, "ann")

    async def test_id_is_reserved_for_a_minute_after_the_last_request(self) -> None:
        one, two = await self.servers()
        ann, other = one.caller(), two.caller()
        await ann.register("ann")
        again = one.caller(ann.source.host)
        for request in (ClassicRegister("ann", ann.source.host, 3000), ClassicBridge("ann")):
            self.ahead(31, one)
            await ann.ask(request)
            ann.leave()
            await one.settled()
            self.ahead(31)
            self.assertEqual(await other.register("ann"), ClassicError(409))
            ann = again
        self.ahead(30)
        self.assertIsInstance(await other.register("ann"), ClassicRegAck)

    async def test_address_over_its_limit_loses_its_longest_silent_client(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["registrations-per-address=2"])
        one, two = await self.servers()
        callers: list[Caller] = []
        for number in range(2):
            callers.append(one.caller("203.0.113.1"))
            await callers[-1].register(f"ann{number}")
        third = two.caller("203.0.113.1")
        self.assertIsInstance(await third.register("ann2"), ClassicRegAck)
        info = await third.ask(ClassicInfo())
        self.assertEqual([each.client_id for each in info.contacts], ["ann1", "ann2"])

    async def test_server_over_its_limit_loses_the_longest_silent_client(self) -> None:
        self.limits = SERVER_DEFAULTS.with_values(["registrations=2"])
        one, two = await self.servers()
        for number in range(2):
            await one.caller(f"203.0.113.{number}").register(f"ann{number}")
        for server in (one, two):
            await server.directory.due()
        for number, host in enumerate(("203.0.113.9", "127.0.0.1"), 2):
            caller = two.caller(host)
            self.assertIsInstance(await caller.register(f"ann{number}"), ClassicRegAck)
        info = await caller.ask(ClassicInfo())
        self.assertEqual([each.client_id for each in info.contacts], ["ann2", "ann3"])
