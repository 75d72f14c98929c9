"""Tests of rooms on a server: over TLS on real sockets, and the lobby's two doors."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address

from chatproto.identity.keys import new_identity
from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.rooms.lobby import LobbyMembers
from chatproto.rooms.lobby_port import LobbyConnection, LobbyPort
from chatproto.server.room_side import RoomSide
from chatproto.stores.memory_rooms import MemoryRooms
from chatproto.wire import bcp2_common, bcp2_rooms, bcp2_server
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import ServerLimits
from chatproto.wire.room_fields import Occupant
from tests.server.ends import End
from tests.server.secure_ends import ONE, OTHER, Client, Served

THIRD = new_identity()


class Failing(MemoryRooms):
    """A store that can fail to keep what was said."""

    fails = False

    def __init__(self, limits: ServerLimits) -> None:
        super().__init__(limits)
        self.settled: dict[str, int] = {}

    def last(self, room: str) -> int:
        return self.settled.get(room, 0)

    def settle(self) -> None:
        if self.fails:
            raise StoreTrouble("the disk is full")
        self.settled = {room: log.last for room, log in self._logs.items()}


class RoomsTests(Served):
    """Alice, bob and carol, in #tea if `all_in`."""

    def serve(self, tls_only: bool = False, keyed: bool = True, **limits: float) -> Any:
        factory = super().serve(tls_only, keyed, **limits)
        self.store = Failing(factory.limits)
        owner_of = self.side.directory.names.owner
        self.rooms = RoomSide(self.clock, self.store, factory.limits, owner_of)
        self.side.rooms = self.side.delivery = self.rooms
        self.rooms.connections = self.side.connections
        return factory

    async def all_in(self, room: str = "#tea") -> list[Client]:
        people = []
        for name, identity in (("alice", ONE), ("bob", OTHER), ("carol", THIRD)):
            person = await self.register(name, identity)
            self.assertIsInstance(
                await self.ask(person, bcp2_rooms.Join(2, room)), bcp2_rooms.JoinAck
            )
            people.append(person)
        await self.calm()
        for person in people:
            person.got.clear()
        return people

    async def heard(self, *people: Client, count: int = 1) -> None:
        """Until each has got `count` messages."""
        await self.until(lambda: all(len(one.got) >= count for one in people))

    async def turn(self) -> None:
        """Let what was sent arrive, and the turn in which it does end."""
        await self.calm()
        self.clock.advance(0)

    async def test_message_reaches_all_and_is_acknowledged_with_its_number(self) -> None:
        self.serve()
        alice, bob, carol = await self.all_in()
        bob.send(bcp2_rooms.Say(7, "#tea", "grüße"))
        await self.turn()
        await self.heard(alice, bob, carol)
        (said,) = alice.got
        self.assertEqual((said.sender, said.text, said.room), ("bob", "grüße", "#tea"))
        self.assertEqual(carol.got, [said])
        self.assertEqual(bob.got, [bcp2_rooms.SayAck(7, "#tea", said.id, said.date)])

    async def test_members_see_one_order_including_own_lines(self) -> None:
        self.serve()
        people = await self.all_in()
        for number in range(5):
            for person in people:
                person.send(bcp2_rooms.Say(number, "#tea", f"{number}"))
        await self.turn()
        await self.heard(*people, count=15)
        orders = [[one.id for one in person.got] for person in people]
        self.assertEqual(orders, [sorted(orders[0])] * 3)
        for person in people:
            acks = [one.cseq for one in person.got if isinstance(one, bcp2_rooms.SayAck)]
            self.assertEqual(acks, [0, 1, 2, 3, 4])

    async def test_a_turn_s_lines_are_one_write_to_each(self) -> None:
        self.serve()
        alice, bob, _ = await self.all_in()
        writes: list[bytes] = []
        connection = next(one for v, one in self.side.connections.items() if v.client_id == "alice")
        write = connection.send

        def counted(data: bytes) -> None:
            writes.append(data)
            write(data)

        connection.send = counted  # type: ignore[method-assign]
        bob.send(*(bcp2_rooms.Say(number, "#tea", "x") for number in range(8)))
        await self.turn()
        await self.heard(alice, count=8)
        self.assertEqual(len(writes), 1)

    async def test_message_that_cannot_be_stored_is_refused(self) -> None:
        self.serve()
        alice, bob, carol = await self.all_in()
        self.store.fails = True
        alice.send(bcp2_rooms.Say(1, "#tea", "x"), bcp2_rooms.Say(2, "#tea", "y"))
        bob.send(bcp2_rooms.Say(3, "#tea", "z"))
        await self.turn()
        await self.heard(alice, count=2)
        await self.heard(bob)
        self.store.fails = False
        alice.send(bcp2_rooms.Say(4, "#tea", "again"))
        await self.turn()
        await self.heard(carol)
        refused = [[one.cseq for one in who.got if one.method == "ERROR"] for who in (alice, bob)]
        self.assertEqual(refused, [[1, 2], [3]])
        self.assertEqual({one.status for one in bob.got if one.method == "ERROR"}, {503})
        self.assertEqual([one.text for one in carol.got], ["again"])

    async def test_member_that_joins_sees_later_messages_only(self) -> None:
        self.serve()
        alice, bob, carol = await self.all_in()
        await self.ask(carol, bcp2_rooms.Part(3, "#tea"))
        carol.got.clear()
        bob.send(bcp2_rooms.Say(4, "#tea", "before"))
        await self.calm()
        carol.send(bcp2_rooms.Join(5, "#tea"))
        await self.calm()
        bob.send(bcp2_rooms.Say(6, "#tea", "after"))
        await self.turn()
        await self.heard(carol, count=2)
        ack, said = carol.got
        self.assertEqual((ack.cseq, said.text), (5, "after"))
        self.assertGreater(said.id, ack.last)
        before = next(one for one in alice.got if isinstance(one, bcp2_rooms.Said))
        self.assertEqual((before.text, before.id), ("before", ack.last))

    async def test_history_fills_the_gap_after_a_rejoin(self) -> None:
        self.serve()
        alice, bob, carol = await self.all_in()
        alice.send(*(bcp2_rooms.Say(number, "#tea", f"{number}") for number in range(3)))
        await self.turn()
        await self.heard(carol, count=3)
        first = carol.got[0].id
        carol.transport.loseConnection()
        await carol.ended
        await self.until(lambda: any(isinstance(one, bcp2_rooms.Parted) for one in bob.got))
        alice.send(bcp2_rooms.Say(4, "#tea", "4"))
        await self.turn()
        carol = await self.register("carol", THIRD)
        carol.send(bcp2_rooms.Join(1, "#tea"), bcp2_rooms.History(2, "#tea", first))
        await self.heard(carol, count=5)
        self.assertEqual([one.text for one in carol.got[1:4]], ["1", "2", "4"])
        self.assertEqual(carol.got[4], bcp2_rooms.HistoryAck(2, "#tea", 3))
        self.assertEqual({one.cseq for one in carol.got[1:4]}, {2})

    async def test_fast_speaker_is_delayed_and_not_refused(self) -> None:
        self.serve(say_burst=3, say_rate=2.0)
        alice, bob, _ = await self.all_in()
        bob.send(*(bcp2_rooms.Say(number, "#tea", f"{number}") for number in range(6)))
        bob.send(bcp2_common.Ping(99))
        await self.turn()
        await self.heard(alice, bob, count=3)
        for count in (4, 5, 6):
            await self.calm()
            self.assertEqual((len(alice.got), len(bob.got)), (count - 1, count - 1))
            self.clock.advance(0.5)
            await self.turn()
            await self.heard(alice, count=count)
        await self.heard(bob, count=7)
        self.assertEqual([one.text for one in alice.got], list("012345"))
        self.assertEqual(bob.got[-1], bcp2_common.PingAck(99))

    async def test_delayed_speaker_does_not_time_out(self) -> None:
        self.serve(say_burst=1, say_rate=0.01)
        alice, bob, _ = await self.all_in()
        bob.send(
            bcp2_rooms.Say(1, "#tea", "1"), bcp2_rooms.Say(2, "#tea", "2"), b"SAY\r\nCSeq: 3\r\n"
        )
        await self.turn()
        await self.heard(alice)
        for _ in range(2):
            self.pass_time(50)
            await self.turn()
        await self.heard(alice, count=2)
        self.assertFalse(bob.gone)

    async def test_member_that_does_not_read_is_dropped_alone(self) -> None:
        self.serve(unsent=20_000, say_burst=10_000, say_bytes=1e9)
        alice, bob, carol = await self.all_in()
        carol.transport.pauseProducing()
        await self.calm()
        sent = 0
        while not any(isinstance(one, bcp2_rooms.Parted) for one in alice.got):
            bob.send(*(bcp2_rooms.Say(sent + number, "#tea", "x" * 8000) for number in range(20)))
            sent += 20
            await self.turn()
            self.assertLess(sent, 5000)
        parted = [one for one in alice.got if isinstance(one, bcp2_rooms.Parted)]
        self.assertEqual(parted, [bcp2_rooms.Parted("#tea", "carol", "did not read what was sent")])
        bob.send(bcp2_rooms.Say(9999, "#tea", "on"))
        await self.turn()
        await self.until(lambda: getattr(alice.got[-1], "text", "") == "on")
        said = [one for one in alice.got if isinstance(one, bcp2_rooms.Said)]
        self.assertEqual(len(said), sent + 1)

    async def test_unregistered_client_and_unknown_room_are_refused(self) -> None:
        self.serve()
        client = await self.come()
        refusal = await self.ask(client, bcp2_rooms.Join(1, "#tea"))
        self.assertEqual(refusal, bcp2_common.Error(401, 1))
        alice = await self.register("alice", OTHER)
        self.assertEqual(
            await self.ask(alice, bcp2_rooms.Say(1, "#tea", "x")), bcp2_common.Error(404, 1)
        )

    async def test_a_server_without_rooms_knows_no_such_method(self) -> None:
        self.serve()
        self.side.rooms = None
        alice = await self.register("alice")
        self.assertEqual(
            await self.ask(alice, bcp2_rooms.Join(1, "#tea")), bcp2_common.Error(405, 1)
        )

    async def test_client_with_a_new_id_is_in_no_room(self) -> None:
        self.serve()
        alice, bob, _ = await self.all_in()
        await self.ask(bob, bcp2_server.Register(5, "bobby", 5000))
        await self.heard(alice)
        self.assertEqual(alice.got, [bcp2_rooms.Parted("#tea", "bob")])

    async def test_invitation_reaches_a_connected_client(self) -> None:
        self.serve()
        alice, _, _ = await self.all_in()
        dave = await self.register("dave", new_identity())
        await self.ask(alice, bcp2_rooms.Invite(3, "#tea", "dave"))
        await self.heard(dave)
        self.assertEqual(dave.got, [bcp2_rooms.Invited("#tea", "alice")])

    async def test_operator_order_follows_earlier_messages(self) -> None:
        self.serve()
        alice, bob, _ = await self.all_in()
        bob.send(bcp2_rooms.Say(3, "#tea", "last words"))
        await self.calm()
        self.rooms.order(bcp2_rooms.Kick(0, "#tea", "bob"))
        await self.heard(alice, bob, count=3)
        self.assertEqual(
            [type(one) for one in bob.got],
            [bcp2_rooms.SayAck, bcp2_rooms.Changed, bcp2_rooms.Parted],
        )
        self.assertEqual(
            [type(one) for one in alice.got],
            [bcp2_rooms.Said, bcp2_rooms.Changed, bcp2_rooms.Parted],
        )

    async def test_messages_are_sent_before_the_server_closes(self) -> None:
        self.serve()
        alice, bob, _ = await self.all_in()
        bob.send(bcp2_rooms.Say(3, "#tea", "last words"))
        await self.calm()
        self.side.close(lambda: 1, lambda: None)
        await self.heard(alice, count=2)
        self.assertEqual([type(one) for one in alice.got], [bcp2_rooms.Said, bcp2_server.Closing])

    # The lobby.

    def lobby(self) -> LobbyPort:
        rooms = self.rooms
        lobby = LobbyMembers(
            self.factory.limits,
            lambda name: not rooms.admits(name),
            rooms.keyed_members,
            rooms.may_speak,
        )
        port = LobbyPort(self.clock, lobby, self.factory.limits, beside=rooms)
        rooms.plain = port
        return port

    def raw(self, port: LobbyPort, host: str = "10.0.0.7") -> tuple[LobbyConnection, End]:
        connection = port.buildProtocol(IPv4Address("TCP", host, 5000))
        assert connection is not None
        transport = End()
        connection.makeConnection(transport)
        self.clock.advance(0)
        transport.clear()
        return connection, transport

    def types(self, connection: LobbyConnection, text: str) -> None:
        connection.dataReceived(text.encode() + b"\n")
        self.clock.advance(0)

    def reads(self, transport: End) -> str:
        self.clock.advance(0)
        text: str = transport.value().decode()
        transport.clear()
        return text

    async def test_bare_text_and_members_with_keys_talk_in_one_room(self) -> None:
        self.serve()
        port = self.lobby()
        alice, bob, _ = await self.all_in("#lobby")
        member, screen = self.raw(port)
        _, other_screen = self.raw(port)
        self.reads(screen)
        await self.heard(alice, count=2)
        self.assertEqual(
            alice.got,
            [bcp2_rooms.Joined("#lobby", name, "open") for name in ("guest-1", "guest-2")],
        )
        self.types(member, "hello")
        await self.heard(alice, bob, count=3)
        said = alice.got[2]
        self.assertEqual((said.sender, said.text), ("guest-1", "hello"))
        self.assertEqual(self.reads(other_screen), "guest-1: hello\n")
        bob.send(bcp2_rooms.Say(3, "#lobby", "hi\x1b[2J there"))
        await self.turn()
        await self.heard(alice, bob, count=4)
        for one in (screen, other_screen):
            self.assertEqual(self.reads(one), "bob: hi␛[2J there\n")
        self.assertGreater(alice.got[3].id, said.id)
        answer = await self.ask(alice, bcp2_rooms.Names(4, "#lobby"))
        self.assertIn(Occupant("guest-1", "open"), answer.members)

    async def test_lobby_message_that_cannot_be_stored_is_refused(self) -> None:
        self.serve()
        port = self.lobby()
        alice, bob, _ = await self.all_in("#lobby")
        member, screen = self.raw(port)
        await self.heard(alice, bob)
        self.store.fails = True
        self.types(member, "nobody with a key reads this")
        bob.send(bcp2_rooms.Say(3, "#lobby", "nor does anybody this"))
        await self.heard(bob, count=2)
        self.store.fails = False
        self.assertEqual((bob.got[1].status, bob.got[1].cseq), (503, 3))
        self.assertEqual(self.reads(screen), "")
        before = self.store.last("#lobby")
        bob.send(bcp2_rooms.Say(4, "#lobby", "this was kept"))
        await self.until(lambda: self.store.last("#lobby") > before)
        self.store.fails = True
        bob.send(bcp2_rooms.Say(5, "#lobby", "when this could not be"))
        await self.heard(bob, count=3)
        self.clock.advance(0)
        await self.heard(bob, count=4)
        self.assertEqual([one.cseq for one in bob.got[2:]], [5, 4])
        self.assertEqual(self.reads(screen), "bob: this was kept\n")
        self.store.fails = False
        self.types(member, "this all do")
        await self.heard(alice, count=3)
        self.assertEqual([one.text for one in alice.got[1:]], ["this was kept", "this all do"])

    async def test_raw_and_keyed_members_see_each_other(self) -> None:
        self.serve()
        port = self.lobby()
        member, screen = self.raw(port)
        alice, bob, _ = await self.all_in("#lobby")
        self.assertEqual(self.reads(screen), "* alice joined\n* bob joined\n* carol joined\n")
        self.types(member, "/names")
        self.assertEqual(self.reads(screen), "* here: guest-1, alice, bob, carol\n")
        self.types(member, "/msg bob psst")
        self.assertIn("private messages only from chatclient", self.reads(screen))
        self.types(member, "/nick alice")
        self.assertIn("is taken: choose another", self.reads(screen))
        self.types(member, "/nick gus")
        self.reads(screen)
        await self.ask(bob, bcp2_rooms.Part(3, "#lobby"))
        await self.turn()
        self.assertEqual(self.reads(screen), "* bob left\n")
        self.types(member, "/quit")
        await self.heard(alice, count=4)
        self.assertEqual(
            alice.got,
            [
                bcp2_rooms.Parted("#lobby", "guest-1", "is now gus"),
                bcp2_rooms.Joined("#lobby", "gus", "open"),
                bcp2_rooms.Parted("#lobby", "bob"),
                bcp2_rooms.Parted("#lobby", "gus"),
            ],
        )

    async def test_ban_of_an_address_removes_raw_text_members(self) -> None:
        self.serve()
        port = self.lobby()
        member, screen = self.raw(port)
        alice, _, _ = await self.all_in("#lobby")
        self.reads(screen)
        self.rooms.order(bcp2_rooms.Ban(0, "#lobby", address="10.9.9.9"))
        self.assertEqual(self.reads(screen), "* the operator banned 10.9.9.9\n")
        self.rooms.order(bcp2_rooms.Ban(0, "#lobby", address=member.host, until=date_of(Wall(4e9))))
        self.assertEqual(
            self.reads(screen),
            f"* the operator banned {member.host} until 2096-10-02 07:06 UTC\n"
            "* you were removed from the lobby\n",
        )
        await self.heard(alice, count=3)
        self.assertEqual(alice.got[2], bcp2_rooms.Parted("#lobby", "guest-1", "was removed"))
        member.connectionLost()

    async def test_operator_can_mute_and_kick_raw_text_members(self) -> None:
        self.serve()
        port = self.lobby()
        member, screen = self.raw(port)
        alice, _, _ = await self.all_in("#lobby")
        self.reads(screen)
        self.rooms.order(bcp2_rooms.Say(0, "#lobby", "be\x1b[2J nice"))
        shown = self.reads(screen)
        self.assertTrue(shown.startswith("server> be"), shown)
        self.assertNotIn("\x1b", shown)
        await self.heard(alice, count=1)
        last = alice.got.pop()
        assert isinstance(last, bcp2_rooms.Said)
        self.assertEqual((last.sender, last.text), ("server", "be\x1b[2J nice"))
        self.rooms.order(bcp2_rooms.Mute(0, "#lobby", "guest-1"))
        self.assertEqual(self.reads(screen), "* the operator muted guest-1\n")
        self.types(member, "hello")
        self.assertEqual(self.reads(screen), "* not sent: you are muted in the lobby\n")
        self.rooms.order(bcp2_rooms.Kick(0, "#lobby", "guest-1"))
        self.assertIn("* you were removed from the lobby\n", self.reads(screen))
        await self.heard(alice, count=3)
        self.assertEqual(
            alice.got,
            [
                bcp2_rooms.Changed("#lobby", "mute", peer_id="guest-1"),
                bcp2_rooms.Changed("#lobby", "kick", peer_id="guest-1"),
                bcp2_rooms.Parted("#lobby", "guest-1", "kicked"),
            ],
        )
        member.connectionLost()
