"""LOGIN on a server's port: what waits for it, what is refused without it, whom it lets in."""

from __future__ import annotations

from pathlib import Path

from chatproto.accounts.files import Reread, load_allowed
from chatproto.accounts.logins import Logins
from chatproto.accounts.realm import portal
from chatproto.server.login_side import LoginSide
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from tests.accounts.people import PASSWORD, Checker
from tests.server.secure_ends import ONE, OTHER, Served


class Guarded(Served):
    def guard(self, required: bool = False) -> None:
        """A server with accounts."""
        limits = self.serve().limits
        self.checker = Checker()
        logins = Logins(portal([self.checker]), self.clock, limits)
        self.side.logins = LoginSide(logins, required)


class Login(Guarded):
    async def test_is_confirmed_and_allows_the_user_s_name(self) -> None:
        self.guard()
        former = await self.register("alice", OTHER)
        alice = await self.come()
        answer = await self.ask(alice, bcp2_server.Login(1, "alice", PASSWORD))
        self.assertEqual(answer, bcp2_server.LoginAck(1, "alice"))
        answer = await self.ask(alice, bcp2_server.Register(2, "alice", 5000))
        self.assertIsInstance(answer, bcp2_server.RegAck)
        await former.ended
        self.assertEqual(former.got, [bcp2_server.Replaced()])

    async def test_with_a_wrong_password_is_403_and_the_fourth_429(self) -> None:
        self.guard()
        alice = await self.come()
        for number in range(1, 4):
            answer = await self.ask(alice, bcp2_server.Login(number, "alice", "wrong"))
            self.assertEqual(answer, Error(403, number))
        answer = await self.ask(alice, bcp2_server.Login(4, "alice", PASSWORD))
        self.assertEqual(answer, Error(429, 4, retry_after=60))
        answer = await self.ask(alice, bcp2_server.Register(5, "alice", 5000))
        self.assertIsInstance(answer, bcp2_server.RegAck)

    async def test_is_405_where_there_are_no_accounts(self) -> None:
        self.serve()
        alice = await self.come()
        self.assertEqual(await self.ask(alice, bcp2_server.Login(1, "alice", "x")), Error(405, 1))

    async def test_is_refused_after_register(self) -> None:
        self.guard()
        alice = await self.register("alice")
        self.assertEqual(
            await self.ask(alice, bcp2_server.Login(2, "alice", PASSWORD)), Error(403, 2)
        )
        self.assertEqual(self.checker.asked, [])

    async def test_is_500_if_the_checker_fails(self) -> None:
        self.guard()
        self.checker.held = True
        alice = await self.come()
        alice.send(bcp2_server.Login(1, "alice", PASSWORD))
        await self.until(lambda: bool(self.checker.waiting))
        self.checker.waiting.pop()[0].errback(OSError("no disk"))
        await self.until(lambda: bool(alice.got))
        self.assertEqual(alice.got, [Error(500, 1)])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class WhileAPasswordIsChecked(Guarded):
    async def test_later_requests_wait(self) -> None:
        self.guard(required=True)
        self.checker.held = True
        alice = await self.come()
        alice.send(
            bcp2_server.Login(1, "alice", PASSWORD), bcp2_server.Register(2, "alice", 5000), Ping(3)
        )
        await self.until(lambda: bool(self.checker.waiting))
        alice.send(Ping(4))
        await self.calm()
        self.assertEqual(alice.got, [])
        self.checker.let_go()
        await self.until(lambda: len(alice.got) == 4)
        self.assertEqual([one.cseq for one in alice.got], [1, 2, 3, 4])
        self.assertIsInstance(alice.got[1], bcp2_server.RegAck)

    async def test_reading_stops(self) -> None:
        self.guard()
        self.checker.held = True
        alice = await self.come()
        alice.send(bcp2_server.Login(1, "alice", PASSWORD))
        await self.until(lambda: bool(self.checker.waiting))
        alice.send(*(Ping(number) for number in range(2, 20_000)))
        await self.calm()
        [connection] = self.side.connections.values()
        self.assertLess(len(connection._unanswered), 10_000)
        self.checker.let_go()
        await self.until(lambda: len(alice.got) == 19_999)
        self.assertEqual(alice.got[-1], PingAck(19_999))

    async def test_pipelined_requests_are_answered(self) -> None:
        self.guard()
        alice = await self.come()
        alice.send(
            *(bcp2_server.Login(number, "alice", PASSWORD) for number in range(1, 2001)), Ping(0)
        )
        await self.until(lambda: len(alice.got) == 2001)
        self.assertEqual(alice.got[1999:], [bcp2_server.LoginAck(2000, "alice"), PingAck(0)])
        alice.send(
            *(bcp2_server.Login(number, "alice", "wrong") for number in range(2000)), Ping(1)
        )
        await self.until(lambda: len(alice.got) == 4002)
        self.assertEqual(alice.got[-2:], [Error(429, 1999, retry_after=60), PingAck(1)])
        self.assertEqual(len(self.checker.asked), 2003)

    async def test_lost_connection_ends_the_check(self) -> None:
        self.guard()
        self.checker.held = True
        bob, alice = await self.come(OTHER), await self.come()
        bob.send(bcp2_server.Login(1, "bob", PASSWORD))
        await self.until(lambda: bool(self.checker.waiting))
        alice.send(bcp2_server.Login(1, "alice", PASSWORD))
        await self.calm()
        alice.transport.abortConnection()
        await alice.ended
        await self.until(lambda: len(self.side.connections) == 1)
        self.checker.let_go()
        await self.until(lambda: bool(bob.got))
        self.assertEqual(self.checker.asked, ["bob"])

    async def test_a_second_login_waits_for_the_first(self) -> None:
        self.guard()
        alice = await self.come()
        alice.send(bcp2_server.Login(1, "alice", "wrong"), bcp2_server.Login(2, "bob", PASSWORD))
        await self.until(lambda: len(alice.got) == 2)
        self.assertEqual(alice.got, [Error(403, 1), bcp2_server.LoginAck(2, "bob")])


class Required(Guarded):
    async def test_only_ping_is_answered_before_a_login(self) -> None:
        self.guard(required=True)
        alice = await self.come()
        alice.send(
            bcp2_server.Register(1, "alice", 5000),
            bcp2_server.Bridge(2, "bob"),
            bcp2_server.Info(3),
            bcp2_server.Watch(4, "bob"),
            bcp2_server.Unwatch(5, "bob"),
            Ping(6),
        )
        await self.until(lambda: len(alice.got) == 6)
        self.assertEqual(alice.got, [*(Error(401, number) for number in range(1, 6)), PingAck(6)])
        self.assertIsInstance(await self.ask(alice, bcp2_server.Observe(7)), bcp2_server.ObserveAck)
        await self.ask(alice, bcp2_server.Login(7, "alice", "wrong"))
        self.assertEqual(await self.ask(alice, bcp2_server.Info(8)), Error(401, 8))
        await self.ask(alice, bcp2_server.Login(9, "alice", PASSWORD))
        self.assertIsInstance(await self.ask(alice, bcp2_server.Info(10)), bcp2_server.InfoAck)

    async def test_a_login_is_of_one_connection(self) -> None:
        self.guard(required=True)
        alice = await self.come()
        await self.ask(alice, bcp2_server.Login(1, "alice", PASSWORD))
        again = await self.come()
        self.assertEqual(await self.ask(again, bcp2_server.Info(1)), Error(401, 1))


class AllowedKeys(Served):
    def allow(self, *keys: str) -> None:
        self.path.write_text("".join(f"{key}\n" for key in keys))

    def begin(self, *keys: str) -> None:
        self.serve()
        self.path = Path(self.mktemp())
        self.allow(*keys)
        self.complaints: list[str] = []
        allowed = Reread(self.path, load_allowed, self.complaints.append)
        self.side.logins = LoginSide(allowed=allowed)

    async def test_are_admitted_and_others_get_403(self) -> None:
        self.begin(ONE.name)
        await self.register("alice", ONE)
        other = await self.come(OTHER)
        await other.ended
        self.assertEqual(other.got, [Error(403)])

    async def test_are_disconnected_when_removed_from_the_file(self) -> None:
        self.begin(ONE.name, OTHER.name)
        alice, bob = await self.register("alice", ONE), await self.register("bob", OTHER)
        self.assertFalse(self.side.logins.changed())
        self.allow(OTHER.name)
        self.assertTrue(self.side.logins.changed())
        self.side.dismiss_denied()
        await alice.ended
        self.assertEqual(alice.got, [Error(403)])
        self.assertFalse(bob.gone)
        self.assertEqual(await self.ask(bob, Ping(1)), PingAck(1))
