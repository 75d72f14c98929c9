"""Races of servers that share rooms, made on purpose; each is found if the code that wins it is broken."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms.shared import RoomCopy
from chatproto.server.shared_rooms.presence import RoomPresence
from chatproto.server.shared_rooms.views import RoomViews
from chatproto.stores.redis import client, room_store, scripts
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_common import Error
from tests.simulation.invariants import Broken
from tests.simulation.shared.server import Visit
from tests.simulation.shared.world import HALL, SharedPerson, SharedWorld


class RaceCase(SynchronousTestCase):
    """Ann, who owns the room, and dot are at the first server, bob at the second, cid at the third."""

    def begin(self) -> SharedWorld:
        self.world = world = SharedWorld(16)
        world.network.faulty = False
        world.__enter__()
        self.addCleanup(world.__exit__)
        self.ann, self.bob, self.cid, self.dot, self.eve, _ = world.people
        return world

    def visit(self, person: SharedPerson) -> Visit:
        assert person.visit is not None
        return person.visit

    def say(self, *people: SharedPerson) -> None:
        for person in people:
            text = f"{person.name} {len(self.world.books.lines)}"
            self.visit(person).ask(bcp2_rooms.Say, HALL, text)

    def hold_commands(self, number: int, seconds: float) -> None:
        """Have what a server asks of Redis arrive that much later."""
        connection = self.world.connection(self.world.servers[number], False)
        self.world.network.stall(connection.pipes[0], seconds)

    def broken(self, name: str, old: str, new: str) -> None:
        """Replace a part of a script."""
        script = getattr(scripts, name)
        self.assertIn(old, script.text)
        other = scripts._script(script.text.replace(old, new))
        self.patch(room_store, name, other)
        self.patch(client, "ALL", tuple(other if one is script else one for one in scripts.ALL))


class BanTests(RaceCase):
    def race(self) -> str:
        """Have eve banned while her JOIN is on its way; return what is not as it should be."""
        world = self.begin()
        self.hold_commands(1, 3.0)
        world.come(self.eve, world.servers[1])
        self.visit(self.ann).ask(bcp2_rooms.Ban, HALL, key=self.eve.key)
        world.pass_time(2.0)
        self.assertEqual(self.visit(self.ann).asked, {})
        world.pass_time(5.0)
        return world.unsettled()

    def test_a_ban_while_joining_holds(self) -> None:
        self.assertEqual(self.race(), "")
        self.assertIsNone(self.visit(self.eve).members)
        self.assertEqual(self.visit(self.eve).asked, {})

    def test_a_script_that_minds_no_version_lets_in_who_is_banned(self) -> None:
        self.broken("ENTER", "~= ARGV[2] then return '0'", "== '' then return '0'")
        self.assertEqual(self.race(), "banned and in: ['eve']")


class EndedTests(RaceCase):
    """The server of ann, who puts somebody out, is killed as soon as Redis has her request."""

    def race(self, kind: type[Any], who: str) -> SharedWorld:
        world = self.begin()
        world.network.stall(world.connection(world.servers[0], True).pipes[1], 5.0)
        world.come(self.eve, world.servers[1])
        world.pass_time(0.5)
        self.assertIsNotNone(self.visit(self.eve).members)
        self.assertNotIn("eve", self.visit(self.ann).members or set())
        [before] = world.redis.ask("HMGET", room_store.room_key(HALL), "event")
        self.visit(self.ann).ask(kind, HALL, who)
        while world.redis.ask("HMGET", room_store.room_key(HALL), "event") == [before]:
            world.pass_time(0.001)
        world.kill(world.servers[0])
        world.start(0)
        world.pass_time(15.0)
        return world

    def test_who_is_banned_is_put_out(self) -> None:
        world = self.race(bcp2_rooms.Ban, "bob")
        self.assertEqual(world.unsettled(), "")
        self.assertEqual(self.visit(self.cid).members, {"cid", "eve"})

    def test_who_came_in_just_before_the_ban_is_put_out(self) -> None:
        world = self.race(bcp2_rooms.Ban, "eve")
        self.assertEqual(world.unsettled(), "")
        self.assertIsNone(self.visit(self.eve).members)
        self.assertEqual(self.visit(self.cid).members, {"bob", "cid"})

    def test_servers_that_look_at_no_bans_leave_it_in(self) -> None:
        self.patch(RoomPresence, "_is_banned", lambda *_: False)
        world = self.race(bcp2_rooms.Ban, "eve")
        self.assertEqual(world.unsettled(), "banned and in: ['eve']")

    def test_who_is_kicked_is_put_out(self) -> None:
        self.race(bcp2_rooms.Kick, "bob")
        self.assertIsNone(self.visit(self.bob).members)

    def test_a_script_that_kicks_nobody_leaves_it_in(self) -> None:
        self.broken("POLICY", "put_out(12)", "put_out(#ARGV + 1)")
        self.race(bcp2_rooms.Kick, "bob")
        self.assertIsNotNone(self.visit(self.bob).members)


class DeposedTests(RaceCase):
    """Dot, whom ann has made an operator, has cid put out; ann deposes her before that is there."""

    def race(self, seconds: float) -> SharedWorld:
        world = self.begin()
        world.come(self.dot, world.servers[1])
        world.pass_time(5.0)
        self.visit(self.ann).ask(bcp2_rooms.Op, HALL, "dot")
        world.pass_time(5.0)
        self.hold_commands(1, seconds)
        self.visit(self.dot).ask(bcp2_rooms.Ban, HALL, key=self.cid.key)
        self.visit(self.ann).ask(bcp2_rooms.Op, HALL, "dot", "1970-01-01T00:00:00Z")
        world.pass_time(seconds - 0.1)
        self.assertEqual(self.visit(self.ann).asked, {})
        world.pass_time(5.0)
        self.assertEqual(self.visit(self.dot).asked, {})
        return world

    def test_who_is_no_operator_any_more_bans_nobody(self) -> None:
        self.assertFalse(self.race(6.0).policy().bans)
        self.world.finish()

    def test_a_script_that_minds_no_version_bans_for_who_was_deposed(self) -> None:
        self.broken("POLICY", "if (version or '0') ~= ARGV[4]", "if version == ''")
        self.assertTrue(self.race(6.0).policy().bans)


class MovedModeratorTests(RaceCase):
    """Ann bans eve at a server that is stopped then, goes to another one, and takes bans back there."""

    def race(self) -> SharedWorld:
        world = self.begin()
        server, old = world.servers[0], self.visit(self.ann)
        for connection in world.connections(server):
            world.network.stall(connection.pipes[1], 40.0)
        server.reactor.pause(40.0)
        server.reactor.callLater(43.0, old.ask, bcp2_rooms.Ban, HALL, key=self.eve.key)
        self.ann.visit = None
        world.pass_time(15.0)
        world.come(self.ann, world.servers[1])
        world.pass_time(3.0)
        self.visit(self.ann).ask(bcp2_rooms.Unban, HALL, key=self.eve.key)
        world.pass_time(30.0)
        self.assertEqual(old.asked, {})
        server.reactor.callLater(1.0, old.leave)
        return world

    def test_an_older_ban_is_not_made_after_it_was_taken_back(self) -> None:
        self.assertFalse(self.race().policy().bans)
        self.world.finish()

    def test_a_server_that_looks_at_no_places_makes_it(self) -> None:
        self.patch(RoomViews, "place", lambda views, copy, asker: views.seat(asker.client))
        self.broken("POLICY", "if ARGV[11] ~= ''", "if ARGV[11] == 'none'")
        self.assertTrue(self.race().policy().bans)


class LostReplyTests(RaceCase):
    def race(self) -> SharedWorld:
        """Lose the reply to bob's line, with another writer before it is tried again."""
        world = self.begin()
        world.redis.deaf.add(world.servers[1].host)
        self.say(self.bob, self.ann, self.cid)
        world.pass_time(0.05)
        self.say(self.ann, self.cid)
        world.pass_time(10.0)
        self.assertNotIn(world.servers[1].host, world.redis.deaf)
        return world

    def test_a_line_whose_reply_is_lost_is_said_once(self) -> None:
        self.race().finish()
        self.assertEqual(self.visit(self.bob).asked, {})
        self.assertEqual(len(self.world.kept()), 5 + 4)

    def test_a_script_without_a_token_says_it_twice(self) -> None:
        self.broken("SAY", "local number = redis.call('GET', KEYS[n])", "local number = nil")
        self.assertRaises(Broken, lambda: self.race().finish())


class LostPublishTests(RaceCase):
    def race(self) -> SharedWorld:
        world = self.begin()
        for _ in range(4):
            world.redis.lost_publishes = 1
            self.say(self.ann)
            world.pass_time(0.5)
            self.say(self.bob)
            world.pass_time(0.5)
        return world

    def test_lost_lines_are_read(self) -> None:
        self.race().finish()

    def test_the_last_line_of_a_quiet_room_is_found_within_some_beats(self) -> None:
        world = self.begin()
        world.redis.lost_publishes = 1
        self.say(self.ann)
        world.pass_time(5.0)
        last = max(world.books.order)
        self.assertEqual([visit.last for visit in world.visits], [last] * 4)

    def test_a_copy_that_minds_no_gap_misses_lines(self) -> None:
        def apply(copy: RoomCopy, number: int, event: Any) -> bool:
            copy.event = max(copy.event, number - 1)
            return applied(copy, number, event)

        applied = RoomCopy.apply
        self.patch(RoomCopy, "apply", apply)
        self.assertRaises(Broken, lambda: self.race().finish())


class HalfOpenTests(RaceCase):
    def race(self) -> SharedWorld:
        world = self.begin()
        subscription = world.connection(world.servers[2], True)
        world.network.cut(subscription, "silent")
        for _ in range(30):
            self.say(self.ann)
            world.pass_time(1.0)
        return world

    def test_a_subscription_that_only_seems_to_be_there_is_made_anew(self) -> None:
        world = self.race()
        last = max(world.books.order)
        self.assertGreaterEqual(self.visit(self.cid).last, last - 1)
        world.finish()


class StoppedTests(RaceCase):
    """The first server is stopped for 40 s; dot goes to the second, and says her lines there once more."""

    def race(self, left_after: float = 0.01) -> None:
        """Have the first server continue, and hear `left_after` seconds later that dot has gone."""
        world = self.begin()
        server, texts = world.servers[0], [f"dot {number}" for number in range(8)]
        for connection in world.connections(server):
            world.network.stall(connection.pipes[1], 40.0)
        server.reactor.pause(40.0)
        old, ann = self.visit(self.dot), self.visit(self.ann)
        for text in texts:
            server.reactor.callLater(0, old.ask, bcp2_rooms.Say, HALL, text)
        server.reactor.callLater(0, ann.ask, bcp2_rooms.Say, HALL, "ann is still here")
        self.dot.visit = None
        world.pass_time(15.0)
        world.come(self.dot, world.servers[1])
        world.pass_time(3.0)
        server.reactor.callLater(22.0 + left_after, old.leave)
        for text in texts:
            self.visit(self.dot).ask(bcp2_rooms.Say, HALL, text)
        world.pass_time(25.0)
        self.visit(self.dot).ask(bcp2_rooms.Say, HALL, "dot goes on")
        world.pass_time(5.0)
        world.finish()
        self.assertIsNotNone(world.books.lines["dot goes on"].number)
        self.assertIsNotNone(world.books.lines["ann is still here"].number)

    def test_lines_of_clients_that_have_moved_are_said_once(self) -> None:
        self.race()

    def test_a_connection_that_only_seems_to_be_there_takes_nobodys_place(self) -> None:
        self.race(left_after=10.0)

    def test_a_script_that_looks_at_no_places_says_them_twice(self) -> None:
        self.broken("SAY", "seat ~= ''", "seat == 'none'")
        self.assertRaises(Broken, self.race)

    def test_a_server_that_goes_for_any_place_takes_one(self) -> None:
        self.patch(RoomViews, "is_elsewhere", lambda *_: False)
        self.broken("ENTER", "(former or '') ~= ARGV[8]", "former == 'none'")
        self.assertRaises(Broken, lambda: self.race(left_after=10.0))


class GivenUpTests(RaceCase):
    def test_a_server_given_up_while_it_commits_comes_in_again(self) -> None:
        world = self.begin()
        self.hold_commands(0, 25.0)
        self.say(self.dot)
        world.come(self.eve, world.servers[0])
        world.network.isolate(world.servers[0].host, 15.0)
        world.network.cut(world.connection(world.servers[0], True), "silent")
        world.pass_time(14.0)
        bob = self.visit(self.bob)
        self.assertEqual(bob.members, {"bob", "cid"})
        world.finish()
        self.assertEqual(self.visit(self.ann).members, bob.members)
        self.assertGreaterEqual(bob.members or set(), {"ann", "bob", "cid", "dot"})

    def test_a_client_that_leaves_while_redis_is_away_is_put_out(self) -> None:
        world = self.begin()
        for connection in world.connections(world.servers[0]):
            world.network.cut(connection, "both")
        world.pass_time(0.02)
        self.visit(self.dot).leave()
        world.pass_time(10.0)
        self.assertEqual(world.unsettled(), "")
        self.assertEqual(self.visit(self.bob).members, {"ann", "bob", "cid"})

    def test_a_join_that_is_refused_and_carried_out_later_is_taken_back(self) -> None:
        self.patch(client, "RETRIED", 8.0)
        world = self.begin()
        world.redis.deaf.add(world.servers[1].host)
        world.come(self.eve, world.servers[1])
        world.pass_time(0.2)
        world.network.isolate(world.servers[1].host, 12.0)
        for connection in world.connections(world.servers[1]):
            world.network.cut(connection, "both")
        world.pass_time(40.0)
        self.assertEqual(self.visit(self.eve).asked, {})
        self.assertEqual(world.unsettled(), "")

    def test_the_error_of_an_uncertain_line_is_503(self) -> None:
        self.patch(client, "RETRIED", 2.0)
        world = self.begin()
        self.say(self.bob)
        world.network.isolate(world.servers[1].host, 10.0)
        for connection in world.connections(world.servers[1]):
            world.network.cut(connection, "silent")
        told: list[Any] = []
        self.patch(self.visit(self.bob), "say", told.append)
        world.pass_time(20.0)
        self.assertEqual([one.status for one in told if isinstance(one, Error)], [503])

    def test_who_goes_while_its_server_comes_in_again_has_left_once(self) -> None:
        """Have the others put ann out, who has just gone, before her server is in the room again."""
        world = self.begin()
        first, name = world.servers[0], world.servers[0].node.name
        self.hold_commands(0, 3.0)
        first.rooms.rejoin()
        self.visit(self.ann).leave()
        world.servers[1].rooms.node_lost(name)
        world.pass_time(10.0)
        self.assertEqual(world.unsettled(), "")
        self.assertEqual(self.visit(self.dot).members, {"bob", "cid", "dot"})

    def test_a_moderator_who_goes_before_her_request_is_decided_again_has_left(self) -> None:
        world = self.begin()
        ann = self.visit(self.ann)
        ann.ask(bcp2_rooms.Op, HALL, "bob")
        world.pass_time(1.0)
        self.hold_commands(0, 3.0)
        ann.ask(bcp2_rooms.Topic, HALL, "hers")
        self.visit(self.bob).ask(bcp2_rooms.Topic, HALL, "his")
        world.pass_time(0.01)
        ann.leave()
        world.pass_time(10.0)
        self.assertEqual(world.unsettled(), "")
        self.assertNotIn(ann.client, world.servers[0].rooms._views.askers)

    def test_who_goes_while_a_lost_room_is_made_again_has_left(self) -> None:
        world = self.begin()
        first, key = world.servers[0], room_store.room_key(HALL)
        world.redis.ask("DEL", key, f"{key}:m", f"{key}:s", f"{key}:e")
        first.watch.look_again([HALL])
        while first.watch.find(HALL) is not None:
            world.pass_time(0.001)
        self.hold_commands(0, 3.0)
        self.visit(self.ann).leave()
        world.pass_time(20.0)
        self.assertEqual(world.unsettled(), "")
        self.assertEqual(self.visit(self.dot).members, {"bob", "cid", "dot"})

    def test_a_part_while_its_server_comes_in_again_holds(self) -> None:
        """Have ann put out and let in again, before her server is told of either."""
        world = self.begin()
        first = world.servers[0]
        world.network.cut(world.connection(first, True), "silent")
        self.visit(self.ann).ask(bcp2_rooms.Part, HALL)
        first.rooms.rejoin()
        world.pass_time(10.0)
        self.assertEqual(self.visit(self.ann).asked, {})
        self.assertEqual(world.unsettled(), "")
        self.assertEqual(self.visit(self.bob).members, {"bob", "cid", "dot"})
