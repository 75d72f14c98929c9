"""Several servers that share what they know."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from chatproto.server.replica_snapshot import read, written
from chatproto.wire import bcp2_rooms, bcp2_server, classic
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from tests.server.shared_ends import Hall, HallCase, Person, Server

ROOM = "#tea"


def register(server: Server, name: str, owner: int) -> Person:
    person = server.person(name, owner)
    person.ask(bcp2_server.Register(1, name, 5000))
    server.hall.run()
    return person


def join(*people: Person) -> None:
    for person in people:
        person.ask(bcp2_rooms.Join(2, ROOM))
        person.server.hall.run()
    for person in people:
        person.got.clear()


class SeveralServersTests(HallCase):
    def test_clients_of_different_servers_find_each_other(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        self.assertIsInstance(alice.got[0], bcp2_server.RegAck)
        bob.ask(bcp2_server.Info(2))
        (seen,) = bob.of(bcp2_server.InfoAck)
        self.assertEqual([one.client_id for one in seen.contacts], ["alice", "bob"])
        bob.ask(bcp2_server.Bridge(3, "alice"))
        self.hall.run()
        (found,) = bob.of(bcp2_server.BridgeAck)
        (call,) = alice.of(bcp2_server.Introduce)
        self.assertEqual((found.client_id, call.client_id), ("alice", "bob"))
        self.assertEqual((found.call, call.call), ("calltwo", "calltwo"))
        self.assertEqual((found.ticket, call.ticket), ("A" * 26, "B" * 26))
        self.assertEqual((found.relay, call.relay), (("two.example", 5555),) * 2)
        self.agreed()

    def test_an_id_is_one_key_s_at_all_of_them(self) -> None:
        register(self.one, "alice", 1)
        other = register(self.two, "alice", 2)
        self.assertEqual([one.status for one in other.of(Error)], [409])

    def test_who_has_logged_in_may_have_the_id_of_their_account_at_all_of_them(self) -> None:
        first = register(self.one, "alice", 1)
        owner = register(self.two, "other", 2)
        owner.visitor.user = "alice"
        owner.ask(bcp2_server.Register(2, "alice", 5000))
        self.hall.run()
        self.assertEqual(
            [one.client_id for one in owner.of(bcp2_server.RegAck)], ["other", "alice"]
        )
        self.assertTrue(first.gone)
        self.agreed()

    def test_who_asks_too_much_at_once_is_held_until_it_is_answered(self) -> None:
        alice = register(self.one, "alice", 1)
        join(alice)
        side, gone_on = self.one.side, []
        alice.go_on = lambda: gone_on.append(1)  # type: ignore[method-assign]
        for number in range(64):
            alice.ask(bcp2_rooms.Say(number, ROOM, "hello"))
        self.assertTrue(side.holds(alice.visitor, bcp2_rooms.Say(99, ROOM, "more"), alice))
        self.hall.run()
        self.assertEqual(gone_on, [1])
        self.assertFalse(side.holds(alice.visitor, bcp2_rooms.Say(99, ROOM, "more"), alice))

    def test_a_login_waits_for_what_was_asked_before_it(self) -> None:
        alice = register(self.one, "alice", 1)
        login = bcp2_server.Login(3, "alice", "secret")
        self.assertFalse(self.one.side.holds(alice.visitor, login, alice))
        alice.ask(bcp2_server.Register(2, "alice", 5001))
        self.assertTrue(self.one.side.holds(alice.visitor, login, alice))

    def test_the_same_key_replaces_itself_from_another_server(self) -> None:
        first = register(self.one, "alice", 1)
        second = register(self.two, "alice", 1)
        self.assertIsInstance(second.got[0], bcp2_server.RegAck)
        self.assertTrue(first.of(bcp2_server.Replaced) and first.gone)
        self.agreed()

    def test_a_room_has_one_order(self) -> None:
        people = [register(self.one, "alice", 1), register(self.two, "bob", 2)]
        join(*people)
        for number in range(5):
            for person in people:
                person.ask(bcp2_rooms.Say(number, ROOM, f"{person.name} {number}"))
        self.hall.run()
        orders = [
            [one.id for one in person.of(bcp2_rooms.Said, bcp2_rooms.SayAck)] for person in people
        ]
        self.assertEqual(orders, [sorted(orders[0])] * 2)
        self.assertEqual(len(orders[0]), 10)
        people[1].ask(bcp2_rooms.History(9, ROOM))
        kept = [one.id for one in people[1].of(bcp2_rooms.Said) if one.cseq == 9]
        self.assertEqual(kept, orders[0])
        self.agreed()

    def test_who_comes_and_goes_is_told_at_all_of_them(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        bob.ask(bcp2_server.Watch(2, "alice"))
        join(bob, alice)
        alice.leave("tired")
        self.hall.run(31)
        self.assertEqual([one.reason for one in bob.of(bcp2_rooms.Parted)], ["tired"])
        self.assertEqual([one.status for one in bob.of(bcp2_server.Presence)], ["offline"])
        bob.ask(bcp2_server.Bridge(5, "alice"))
        self.assertEqual(bob.of(Error)[0].status, 480)
        self.agreed()

    def test_classic_clients_share_one_directory(self) -> None:
        one, other = self.one.caller(), self.two.caller()
        one.ask(classic.ClassicRegister("alice", "198.51.100.1", 3000), classic.ClassicInfo())
        self.hall.run()
        other.ask(
            classic.ClassicRegister("alice", "198.51.100.2", 3000), classic.ClassicBridge("bob")
        )
        self.hall.run()
        self.assertEqual(
            [type(got) for got in one.got], [classic.ClassicRegAck, classic.ClassicInfoAck]
        )
        taken, found = other.got
        self.assertIsInstance(taken, classic.ClassicError)
        self.assertEqual(found.client_id, "alice")  # type: ignore[union-attr]
        self.agreed()

    def test_what_asks_only_is_answered_in_its_place(self) -> None:
        alice = self.one.person("alice", 1)
        alice.ask(bcp2_server.Register(1, "alice", 5000), bcp2_server.Info(2))
        self.assertEqual(alice.got, [])
        self.hall.run()
        self.assertEqual(
            [type(one) for one in alice.got], [bcp2_server.RegAck, bcp2_server.InfoAck]
        )
        alice.ask(bcp2_server.Info(3))
        self.assertEqual(alice.got[-1].cseq, 3)  # type: ignore[attr-defined]

    def test_who_is_called_hears_of_it_once(self) -> None:
        alice, bob = register(self.one, "alice", 1), self.two.person("bob", 2)
        bob.ask(bcp2_server.Register(1, "bob", 5000), bcp2_server.Bridge(2, "alice"))
        self.hall.run()
        self.assertEqual(len(bob.of(bcp2_server.BridgeAck)), 1)
        self.assertEqual([one.client_id for one in alice.of(bcp2_server.Introduce)], ["bob"])

    def test_requests_about_rooms_are_counted(self) -> None:
        self.begin(room_burst=2)
        alice = register(self.one, "alice", 1)
        for number in range(3):
            alice.ask(bcp2_rooms.Rooms(number))
        self.assertEqual([one.status for one in alice.of(Error)], [429])

    def test_the_lobby_in_bare_text_is_one(self) -> None:
        alice = register(self.two, "alice", 1)
        alice.ask(bcp2_rooms.Join(2, "#lobby"))
        self.hall.run()
        self.one.side.came("guest-1")
        self.one.side.heard("guest-1", "hello")
        self.one.side.went("guest-1", "bye")
        self.hall.run()
        self.assertEqual([one.peer_id for one in alice.of(bcp2_rooms.Joined)], ["guest-1"])
        self.assertEqual([one.text for one in alice.of(bcp2_rooms.Said)], ["hello"])
        self.assertEqual([one.reason for one in alice.of(bcp2_rooms.Parted)], ["bye"])
        self.agreed()

    def test_the_operator_of_one_puts_out_at_another(self) -> None:
        alice = register(self.two, "alice", 1)
        self.assertFalse(self.one.side.expel("nobody", free=False))
        self.assertTrue(self.one.side.expel("alice", free=False))
        self.hall.run()
        self.assertTrue(alice.gone)
        self.assertFalse(self.one.replica.registered("alice"))


class TroubleTests(HallCase):
    def test_a_server_that_dies_is_noticed_by_nobody_but_its_clients(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        bob.ask(bcp2_server.Watch(2, "alice"))
        bob.got.clear()
        self.one.kill()
        self.hall.run(5)
        self.assertEqual(bob.got, [])
        self.hall.run(10)
        self.assertEqual([one.peer_id for one in bob.of(bcp2_rooms.Parted)], ["alice"])
        self.hall.run(40)
        self.assertEqual([one.status for one in bob.of(bcp2_server.Presence)], ["offline"])
        again = register(self.two, "alice", 1)
        self.assertIsInstance(again.got[0], bcp2_server.RegAck)

    def test_a_clock_of_the_log_that_is_set_back_holds_nothing_up(self) -> None:
        register(self.one, "alice", 1)
        bob = register(self.two, "bob", 2)
        bob.ask(bcp2_server.Watch(2, "alice"))
        self.hall.run(2)
        self.hall.log.set_by = -600.0
        self.hall.run(2)
        bob.got.clear()
        self.one.kill()
        self.hall.run(60)
        self.assertEqual([one.status for one in bob.of(bcp2_server.Presence)], ["offline"])
        begun = self.hall.server("three")
        self.hall.run(2)
        self.assertEqual(begun.replica.now, self.two.replica.now)
        self.agreed()

    def test_nobody_is_given_up_while_the_log_is_away(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        self.hall.log.away = True
        self.hall.run(100)
        bob.ask(bcp2_rooms.Say(7, ROOM, "hello"))
        self.assertEqual([(one.status, one.retry_after) for one in bob.of(Error)], [(503, 2)])
        bob.ask(Ping(8), bcp2_rooms.History(9, ROOM))
        self.assertEqual([type(one) for one in bob.got[1:]], [PingAck, bcp2_rooms.HistoryAck])
        caller = self.one.caller()
        caller.ask(classic.ClassicRegister("carol", "198.51.100.1", 3000), classic.ClassicProbe())
        self.assertEqual(
            [type(one) for one in caller.got], [classic.ClassicError, classic.ProbeAck]
        )
        self.hall.log.away = False
        self.hall.run(2)
        self.assertFalse(alice.gone or bob.gone)
        bob.got.clear()
        bob.ask(bcp2_rooms.Say(10, ROOM, "again"))
        self.hall.run()
        self.assertEqual([one.text for one in alice.of(bcp2_rooms.Said)], ["again"])
        self.hall.run(20)
        self.assertEqual((alice.of(bcp2_rooms.Parted), bob.of(bcp2_rooms.Parted)), ([], []))
        self.agreed()

    def test_what_was_on_its_way_is_done_once(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        self.one.way.forgetful = True
        alice.ask(bcp2_rooms.Say(7, ROOM, "once"))
        self.hall.run(3)
        self.one.way.forgetful = False
        self.hall.run(3)
        self.assertEqual([one.text for one in bob.of(bcp2_rooms.Said)], ["once"])
        self.assertEqual([one.cseq for one in alice.of(bcp2_rooms.SayAck)], [7])
        self.agreed()

    def test_what_could_not_be_written_is_refused_and_never_done(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        alice.ask(bcp2_rooms.Say(7, ROOM, "never"))
        self.hall.log.away = True
        self.hall.run()
        self.assertEqual([(one.status, one.cseq) for one in alice.of(Error)], [(503, 7)])
        self.hall.log.away = False
        self.hall.run(3)
        self.assertEqual((alice.of(bcp2_rooms.SayAck), bob.got), ([], []))
        self.agreed()

    def test_after_a_refused_write_all_is_refused_until_one_goes_through(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        alice.ask(bcp2_rooms.Say(7, ROOM, "never"))
        self.one.way.cut = True
        self.hall.run()
        self.assertTrue(self.one.side.away)
        alice.ask(bcp2_rooms.Say(8, ROOM, "nor this"))
        self.assertEqual([(one.status, one.cseq) for one in alice.of(Error)], [(503, 7), (503, 8)])
        self.one.way.cut = False
        self.hall.run(self.hall.limits.server_beat)
        self.assertFalse(self.one.side.away)
        alice.ask(bcp2_rooms.Say(9, ROOM, "again"))
        self.hall.run()
        self.assertEqual([one.text for one in bob.of(bcp2_rooms.Said)], ["again"])

    def test_what_was_refused_is_forgotten_when_the_log_is_there_again(self) -> None:
        alice = register(self.one, "alice", 1)
        self.one.way.cut = True
        alice.ask(bcp2_rooms.Say(7, ROOM, "never"))
        self.hall.run()
        self.one.way.cut = False
        self.assertTrue(self.one.side.away)
        self.one.side.came_up()
        self.assertFalse(self.one.side.away)

    def test_a_server_whose_very_first_word_could_not_be_written_comes_in_later(self) -> None:
        self.hall.log.away = True
        third = self.hall.server("three")
        self.hall.run(3)
        self.assertTrue(third.side.away)
        self.hall.log.away = False
        self.hall.run(3)
        self.assertIn("three1", self.one.replica.members)
        self.assertFalse(third.side.away)

    def test_while_nothing_can_be_written_it_is_away_and_says_why(self) -> None:
        alice = register(self.one, "alice", 1)
        told_of: list[str] = []
        self.one.side.refuses = lambda: told_of.append(self.one.side.refused)
        self.hall.log.full = True
        self.hall.run(2)
        self.assertTrue(self.one.side.away)
        self.assertEqual(told_of, ["the log is full"])
        alice.ask(bcp2_rooms.Join(7, ROOM))
        self.assertEqual([(one.status, one.cseq) for one in alice.of(Error)], [(503, 7)])
        self.hall.log.full = False
        self.hall.run(2)
        self.assertEqual((self.one.side.away, self.one.side.refused), (False, ""))

    def test_one_whose_first_word_cannot_be_written_comes_in_as_soon_as_it_can(self) -> None:
        self.hall.log.full = True
        three = self.hall.server("three")
        self.hall.run(2)
        self.assertEqual((three.side.away, three.side.refused), (True, "the log is full"))
        self.hall.log.full = False
        self.hall.run(3)
        self.assertFalse(three.side.away)
        self.agreed()

    def test_who_leaves_while_the_log_is_away_has_left_afterwards(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        self.hall.log.away = True
        alice.leave("tired")
        self.hall.run(5)
        self.hall.log.away = False
        self.hall.run(3)
        self.assertEqual([one.peer_id for one in bob.of(bcp2_rooms.Parted)], ["alice"])

    def test_what_may_have_been_written_waits_and_what_is_behind_it_does_not(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        self.one.way.forgetful = True
        alice.ask(bcp2_rooms.Say(7, ROOM, "perhaps"))
        self.hall.clock.advance(0)
        self.hall.log.away = True
        alice.ask(bcp2_rooms.Say(8, ROOM, "behind"))
        self.hall.run(5)
        self.assertEqual([one.cseq for one in alice.of(Error)], [8])
        self.one.way.forgetful = self.hall.log.away = False
        self.hall.run(3)
        self.assertEqual([one.text for one in bob.of(bcp2_rooms.Said)], ["perhaps"])
        self.assertEqual([one.cseq for one in alice.of(bcp2_rooms.SayAck)], [7])

    def test_a_server_that_was_given_up_comes_in_again_without_its_clients(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        self.one.way.cut = True
        self.hall.run(15)
        self.assertEqual([one.peer_id for one in bob.of(bcp2_rooms.Parted)], ["alice"])
        self.one.way.cut = False
        self.hall.run(3)
        self.assertTrue(alice.gone)
        self.assertEqual([one.retry_after for one in alice.of(bcp2_server.Closing)], [2])
        again = register(self.one, "alice", 1)
        self.assertIsInstance(again.got[0], bcp2_server.RegAck)
        self.agreed()

    def test_poisonous_entries_are_skipped_by_servers_that_run_and_that_begin(self) -> None:
        alice = register(self.one, "alice", 1)
        self.hall.run(1)
        number = self.one.replica.members[self.one.replica.node].number
        for line in (
            "[" * 100_000,
            '["x",1,[["beat","rules"],["ask",1,"\\u0000"]]]',
            f'["{self.one.replica.node}",{number + 1},[["gone",1,"forged"],["end"]]]',
            f'["{self.two.replica.node}",{2**40},[["beat","rules"]]]',
        ):
            self.hall.log.lines.append((self.hall.clock.seconds(), line))
            self.hall.run(1)
        self.flushLoggedErrors()
        self.hall.run(15)
        self.hall.server("late")
        self.agreed()
        self.assertEqual([one.unfit for one in self.hall.servers], [[], [], []])
        bob = register(self.one, "bob", 2)
        self.assertTrue(bob.of(bcp2_server.RegAck))
        self.assertTrue(alice.of(bcp2_server.RegAck))

    def test_a_poisonous_picture_is_a_sentence(self) -> None:
        for line in ("[" * 100_000, "null", '["members",3]', '["form",[1]]', '["x",[1]]'):
            with self.assertRaises(ValueError) as caught:
                self.one.side.begin([line])
            self.assertNotIn("\n", str(caught.exception))

    def test_one_that_misses_something_begins_again_from_a_picture(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        self.hall.run(3)
        self.one.way.keep(written(self.one.picture()))
        self.two.way.cut = True
        alice.ask(bcp2_rooms.Join(3, ROOM))
        self.hall.run(2)
        self.two.way.cut = False
        self.two.way.read += 1
        self.hall.run(1)
        self.assertTrue(bob.gone)
        again = register(self.two, "bob", 2)
        self.assertIsInstance(again.got[0], bcp2_server.RegAck)
        self.agreed()

    def test_one_of_other_rules_does_not_come_in(self) -> None:
        third = self.hall.server("three", rules="others")
        self.hall.run(3)
        self.assertTrue(third.unfit)
        self.assertNotIn("three1", self.one.replica.members)

    def test_one_of_other_rules_comes_in_after_the_others(self) -> None:
        self.one.kill()
        self.two.kill()
        third = self.hall.server("three", rules="others")
        self.hall.run(20)
        self.assertEqual(third.unfit, [])
        self.assertIsInstance(register(third, "alice", 1).got[0], bcp2_server.RegAck)

    def test_one_that_ends_says_so(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        join(bob, alice)
        stopped = self.one.side.stop()
        self.hall.run()
        self.successResultOf(stopped)
        self.assertEqual([one.peer_id for one in bob.of(bcp2_rooms.Parted)], ["alice"])
        self.assertEqual(list(self.two.replica.members), ["two1"])

    def test_what_is_no_batch_is_passed_over(self) -> None:
        for line in (
            "",
            "[]",
            '["x",1,[["no",1]]]',
            '["x",1,[]]',
            '[[],1,[["end"]]]',
            json.dumps(["x", 1, 5]),
        ):
            self.hall.log.lines.append((self.hall.clock.seconds(), line))
        self.hall.run()
        self.assertIsInstance(register(self.one, "alice", 1).got[0], bcp2_server.RegAck)
        self.agreed()

    def test_a_dead_server_s_classic_ids_can_be_had_again(self) -> None:
        self.one.caller().ask(classic.ClassicRegister("alice", "198.51.100.1", 3000))
        self.hall.run()
        self.one.kill()
        self.hall.run(75)
        other = self.two.caller()
        other.ask(classic.ClassicRegister("alice", "198.51.100.2", 3000))
        self.hall.run()
        self.assertIsInstance(other.got[0], classic.ClassicRegAck)

    def test_nobody_stays_in_the_lobby_at_a_dead_server(self) -> None:
        alice = register(self.two, "alice", 1)
        alice.ask(bcp2_rooms.Join(2, "#lobby"))
        self.one.side.came("guest-1")
        self.hall.run()
        self.assertTrue(self.two.replica.elsewhere("guest-1"))
        self.one.kill()
        self.hall.run(15)
        self.assertEqual([one.peer_id for one in alice.of(bcp2_rooms.Parted)], ["guest-1"])
        self.assertFalse(self.two.replica.elsewhere("guest-1"))

    def test_one_that_begins_with_a_picture_goes_on_exactly_where_the_others_are(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        carol = register(self.two, "carol", 3)
        join(alice, bob, carol)
        alice.ask(
            bcp2_rooms.Op(3, ROOM, "bob"),
            bcp2_rooms.Ban(4, ROOM, "dave"),
            bcp2_rooms.Topic(5, ROOM, "t"),
        )
        alice.ask(bcp2_server.Watch(6, "bob"))
        self.one.side.came("guest-1")
        caller = self.one.caller()
        caller.ask(
            classic.ClassicBridge("eve"), classic.ClassicRegister("eve", "198.51.100.1", 3000)
        )
        bob.leave()
        self.hall.run(20)
        self.one.way.keep(written(self.one.picture()))
        third = self.hall.server("three")
        self.assertGreater(third.way.read, 0)
        self.agreed()
        alice.ask(bcp2_rooms.Say(7, ROOM, "hello"))
        for seconds in (20, 40):
            self.hall.run(seconds)
            self.agreed()
        self.assertEqual(
            [one.status for one in alice.of(bcp2_server.Presence)], ["online", "offline"]
        )
        dave = register(third, "dave", 4)
        dave.ask(bcp2_rooms.Join(8, ROOM))
        self.hall.run()
        self.assertEqual([one.status for one in dave.of(Error)], [403])
        late = third.caller()
        late.ask(classic.ClassicBridge("frank"))
        self.hall.run()
        self.assertEqual(late.got[0].client_id, "eve")  # type: ignore[union-attr]
        self.agreed()

    def test_a_picture_is_kept_now_and_then_by_one(self) -> None:
        self.begin(log_bytes=2000)
        for number in range(40):
            register((self.one, self.two)[number % 2], f"c{number}", number)
        self.assertGreater(len(self.hall.log.pictures), 2)
        self.hall.server("three")
        self.assertGreater(self.hall.servers[-1].way.read, 0)
        self.agreed()


ACTIONS = (
    *("register", "unregister", "join", "part", "say", "topic", "ban", "leave"),
    *("classic", "bridge", "lobby", "pass", "kill", "new"),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), st.integers(0, 3)), max_size=25
)


class AgreementTests(HallCase):
    @given(STEPS)
    def test_all_come_to_the_same_whenever_they_began(
        self, steps: list[tuple[str, int, int]]
    ) -> None:
        self.hall = Hall(log_bytes=3000, registrations=4, names=5, room_history=6)
        self.one, self.two = self.hall.server("one"), self.hall.server("two")
        people: dict[int, Person] = {}
        for what, who, which in steps:
            alive = [one for one in self.hall.servers if not one.killed]
            self.step(what, who, alive[which % len(alive)], people)
            if which % 2:
                self.hall.run()
        self.hall.run(1)
        last = self.newcomer("last")
        self.agreed()
        for seconds in (2, 15, 40):
            self.hall.run(seconds)
            self.agreed()
        lines = list(written(last.picture()))
        self.assertEqual(list(written(read(lines))), lines)

    def step(self, what: str, who: int, server: Server, people: dict[int, Person]) -> None:
        person = people.get(who)
        if person is None or person.gone or person.server.killed:
            person = people[who] = server.person(f"p{who}", who)
        match what:
            case "register":
                person.ask(bcp2_server.Register(1, person.name, 5000, listed=bool(who % 2)))
            case "unregister":
                person.ask(bcp2_server.Register(1, person.name, 5000, expires=0))
            case "join":
                person.ask(bcp2_rooms.Join(2, f"#r{who % 2}"))
            case "part":
                person.ask(bcp2_rooms.Part(3, f"#r{who % 2}"))
            case "say":
                person.ask(bcp2_rooms.Say(4, f"#r{who % 2}", "hello"))
            case "topic":
                person.ask(bcp2_rooms.Topic(5, f"#r{who % 2}", "tea"))
            case "ban":
                person.ask(bcp2_rooms.Ban(6, f"#r{who % 2}", f"p{(who + 1) % 6}"))
            case "leave":
                person.leave("gone")
            case "classic":
                caller = server.caller()
                caller.ask(classic.ClassicRegister(f"c{who}", "198.51.100.9", 3000))
                if who % 2:
                    caller.ask(classic.ClassicBridge(f"c{who}"))
                if who % 3:
                    caller.close()
            case "bridge":
                person.ask(bcp2_server.Bridge(7, f"p{(who + 2) % 6}"))
            case "lobby":
                server.side.came(f"guest{who}")
                server.side.heard(f"guest{who}", "hi")
                if who % 2:
                    server.side.went(f"guest{who}", "")
            case "pass":
                self.hall.run(1 + 12 * who)
            case "kill" if len([one for one in self.hall.servers if not one.killed]) > 1:
                server.kill()
            case "new" if len(self.hall.servers) < 5:
                self.newcomer(f"new{len(self.hall.servers)}")

    def newcomer(self, name: str) -> Server:
        """A server that begins with a picture of this moment."""
        self.hall.run()
        known = next(one for one in self.hall.servers if not one.killed)
        known.way.keep(written(known.picture()))
        return self.hall.server(name)
