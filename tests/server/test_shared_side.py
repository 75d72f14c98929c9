"""Several servers that share what they know."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from chatproto.server.replica_snapshot import read, written
from chatproto.server.unanswered import MOST
from chatproto.wire import bcp2_rooms, bcp2_server, classic
from chatproto.wire.bcp2_common import Error, Ping, PingAck
from tests.server.shared_ends import Hall, HallCase, Person, Server

ROOM = "#tea"


def register(server: Server, name: str, owner: int) -> Person:
    person = server.person(name, owner)
    person.ask(bcp2_server.Register(1, name, 5000))
    server.hall.run()
    return person


def move(person: Person, cseq: int, port: int) -> None:
    """Ask for something that goes through the log: another port."""
    person.ask(bcp2_server.Register(cseq, person.name, port))


def port_of(server: Server, name: str) -> int:
    """The port with which a client is registered, as far as `server` knows."""
    [found] = server.replica.directory.contacts(name, "", 1)
    return found.port


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
        side, gone_on = self.one.side, []
        alice.go_on = lambda: gone_on.append(1)  # type: ignore[method-assign]
        for number in range(64):
            move(alice, number, 5001)
        self.assertTrue(side.holds(alice.visitor, bcp2_server.Info(99), alice))
        self.hall.run()
        self.assertEqual(gone_on, [1])
        self.assertFalse(side.holds(alice.visitor, bcp2_server.Info(99), alice))

    def test_answers_of_rooms_and_of_the_log_keep_the_order_of_the_requests(self) -> None:
        alice = register(self.one, "alice", 1)
        side, gone_on = self.one.side, []
        alice.go_on = lambda: gone_on.append(1)  # type: ignore[method-assign]
        say, info = bcp2_rooms.Say(9, ROOM, "hello"), bcp2_server.Info(9)
        move(alice, 2, 5001)
        self.assertTrue(side.holds(alice.visitor, say, alice))
        self.hall.run()
        self.assertFalse(side.holds(alice.visitor, say, alice))
        for number in range(MOST):
            self.assertFalse(side.holds(alice.visitor, say, alice))
            alice.ask(bcp2_rooms.Say(number, ROOM, "hello"))
        for message in (say, info, bcp2_server.Login(9, "alice", "x"), None):
            self.assertTrue(side.holds(alice.visitor, message, alice))
        self.assertFalse(side.holds(alice.visitor, Ping(9), alice))
        asked = self.one.rooms.asked
        self.assertEqual({client_id for _, client_id, _ in asked}, {"alice"})
        gone_on.clear()
        for _, _, answered in asked:
            answered.callback(None)
        self.assertEqual(gone_on, [1])
        self.assertFalse(side.holds(alice.visitor, info, alice))

    def test_rooms_hear_of_ids_and_ends_and_a_use_of_an_id_is_everybody_s(self) -> None:
        alice = register(self.one, "alice", 1)
        known = [one.replica.directory for one in self.hall.servers]
        visitors = [one.find("alice") for one in known]
        self.assertEqual(
            [one.is_on_trial(v) for one, v in zip(known, visitors, strict=True) if v], [True] * 2
        )
        alice.ask(bcp2_rooms.Join(2, ROOM))
        self.hall.run()
        self.assertEqual(
            [one.is_on_trial(v) for one, v in zip(known, visitors, strict=True) if v], [False] * 2
        )
        alice.leave("tired")
        heard = [what for what, visitor in self.one.rooms.heard if visitor is alice.visitor]
        self.assertEqual(heard, ["answered", "is alice", "gone tired"])
        self.assertEqual(self.two.rooms.heard, [])

    def test_a_message_finds_a_client_at_whatever_server(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        for who in ("alice", "bob", "carol"):
            self.one.pushes.tell(who, bcp2_rooms.Invited(ROOM, "dave"))
        self.hall.run()
        for one in (alice, bob):
            self.assertEqual(one.of(bcp2_rooms.Invited), [bcp2_rooms.Invited(ROOM, "dave")])

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

    def test_who_comes_and_goes_is_told_at_all_of_them(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        bob.ask(bcp2_server.Watch(2, "alice"))
        alice.leave("tired")
        self.hall.run(31)
        self.assertEqual(
            [one.status for one in bob.of(bcp2_server.Presence)], ["online", "offline"]
        )
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

    def test_the_operator_of_one_puts_out_at_another(self) -> None:
        alice = register(self.two, "alice", 1)
        self.assertFalse(self.one.side.expel("nobody", free=False))
        self.assertTrue(self.one.side.expel("alice", free=False))
        self.hall.run()
        self.assertTrue(alice.gone)
        self.assertFalse(self.one.replica.registered("alice"))


class TroubleTests(HallCase):
    def test_a_server_that_dies_is_noticed_by_nobody_but_its_clients(self) -> None:
        register(self.one, "alice", 1)
        bob = register(self.two, "bob", 2)
        bob.ask(bcp2_server.Watch(2, "alice"))
        bob.got.clear()
        self.one.kill()
        self.hall.run(15)
        self.assertEqual(bob.got, [])
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
        bob.ask(bcp2_server.Watch(2, "alice"))
        self.hall.log.away = True
        self.hall.run(100)
        bob.got.clear()
        move(bob, 7, 5001)
        self.assertEqual([(one.status, one.retry_after) for one in bob.of(Error)], [(503, 2)])
        bob.ask(Ping(8), bcp2_server.Info(9))
        self.assertEqual([type(one) for one in bob.got[1:]], [PingAck, bcp2_server.InfoAck])
        late = self.one.person("late", 3)
        late.ask(bcp2_rooms.Join(1, ROOM))
        self.assertEqual([one.status for one in late.of(Error)], [503])
        caller = self.one.caller()
        caller.ask(classic.ClassicRegister("carol", "198.51.100.1", 3000), classic.ClassicProbe())
        self.assertEqual(
            [type(one) for one in caller.got], [classic.ClassicError, classic.ProbeAck]
        )
        self.hall.log.away = False
        self.hall.run(2)
        self.assertFalse(alice.gone or bob.gone)
        bob.got.clear()
        move(bob, 10, 5001)
        self.hall.run(20)
        self.assertEqual((port_of(self.one, "bob"), bob.of(bcp2_server.Presence)), (5001, []))
        self.agreed()

    def test_what_was_on_its_way_is_done_once(self) -> None:
        alice, _bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        self.one.way.forgetful = True
        move(alice, 7, 5001)
        self.hall.run(3)
        self.one.way.forgetful = False
        self.hall.run(3)
        self.assertEqual([one.cseq for one in alice.of(bcp2_server.RegAck)], [1, 7])
        self.agreed()

    def test_what_could_not_be_written_is_refused_and_never_done(self) -> None:
        alice, _bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        move(alice, 7, 5001)
        self.hall.log.away = True
        self.hall.run()
        self.assertEqual([(one.status, one.cseq) for one in alice.of(Error)], [(503, 7)])
        self.hall.log.away = False
        self.hall.run(3)
        self.assertEqual(port_of(self.two, "alice"), 5000)
        self.agreed()

    def test_after_a_refused_write_all_is_refused_until_one_goes_through(self) -> None:
        alice, _bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        move(alice, 7, 5001)
        self.one.way.cut = True
        self.hall.run()
        self.assertTrue(self.one.side.away)
        move(alice, 8, 5002)
        self.assertEqual([(one.status, one.cseq) for one in alice.of(Error)], [(503, 7), (503, 8)])
        self.one.way.cut = False
        self.hall.run(self.hall.limits.server_beat)
        self.assertFalse(self.one.side.away)
        move(alice, 9, 5003)
        self.hall.run()
        self.assertEqual(port_of(self.two, "alice"), 5003)

    def test_what_was_refused_is_forgotten_when_the_log_is_there_again(self) -> None:
        alice = register(self.one, "alice", 1)
        self.one.way.cut = True
        move(alice, 7, 5001)
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
        move(alice, 7, 5001)
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
        bob.ask(bcp2_server.Watch(2, "alice"))
        self.hall.log.away = True
        alice.leave("tired")
        self.hall.run(5)
        self.hall.log.away = False
        self.hall.run(33)
        self.assertEqual(
            [one.status for one in bob.of(bcp2_server.Presence)], ["online", "offline"]
        )

    def test_what_may_have_been_written_waits_and_what_is_behind_it_does_not(self) -> None:
        alice, _bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        self.one.way.forgetful = True
        move(alice, 7, 5001)
        self.hall.clock.advance(0)
        self.hall.log.away = True
        move(alice, 8, 5002)
        self.hall.run(5)
        self.assertEqual([one.cseq for one in alice.of(Error)], [8])
        self.one.way.forgetful = self.hall.log.away = False
        self.hall.run(3)
        self.assertEqual(port_of(self.two, "alice"), 5001)
        self.assertEqual([one.cseq for one in alice.of(bcp2_server.RegAck)], [1, 7])

    def test_a_server_that_was_given_up_comes_in_again_without_its_clients(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        bob.ask(bcp2_server.Watch(2, "alice"))
        self.one.way.cut = True
        self.hall.run(45)
        self.assertEqual(
            [one.status for one in bob.of(bcp2_server.Presence)], ["online", "offline"]
        )
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
        move(alice, 3, 5001)
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
        register(self.one, "alice", 1)
        bob = register(self.two, "bob", 2)
        bob.ask(bcp2_server.Watch(2, "alice"))
        stopped = self.one.side.stop()
        self.hall.run(33)
        self.successResultOf(stopped)
        self.assertEqual(
            [one.status for one in bob.of(bcp2_server.Presence)], ["online", "offline"]
        )
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

    def test_one_that_begins_with_a_picture_goes_on_exactly_where_the_others_are(self) -> None:
        alice, bob = register(self.one, "alice", 1), register(self.two, "bob", 2)
        register(self.two, "carol", 3)
        alice.ask(bcp2_server.Watch(6, "bob"))
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
        move(alice, 7, 5001)
        for seconds in (20, 40):
            self.hall.run(seconds)
            self.agreed()
        self.assertEqual(
            [one.status for one in alice.of(bcp2_server.Presence)], ["online", "offline"]
        )
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
    *("register", "unregister", "move", "login", "leave"),
    *("classic", "bridge", "pass", "kill", "new"),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5), st.integers(0, 3)), max_size=25
)


class AgreementTests(HallCase):
    @given(STEPS)
    def test_all_come_to_the_same_whenever_they_began(
        self, steps: list[tuple[str, int, int]]
    ) -> None:
        self.hall = Hall(log_bytes=3000, registrations=4, names=5)
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
            case "move":
                person.ask(bcp2_server.Register(2, person.name, 5000 + who))
            case "login":
                person.visitor.user = person.name
                person.ask(bcp2_server.Register(3, f"p{(who + 1) % 6}", 5000))
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
