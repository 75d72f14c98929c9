"""Calls inside TLS as an attacker makes them: other keys, other ids, cuts at each moment, and floods."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from chatproto.client.calls.connections import EXIT_WAIT
from chatproto.client.conversation import RESUME_WAIT
from chatproto.client.events import (
    CommandOutput,
    Delivered,
    Failed,
    IncomingCallEvent,
    MessageReceived,
    Notice,
    PresenceChanged,
    Registered,
    Sent,
    SessionChanged,
    Undelivered,
)
from chatproto.identity.pins import Pin, PinFile
from chatproto.net.clock import EPOCH
from chatproto.session.ledger import LedgerTrouble
from chatproto.ui.view import plain_lines
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import AWAY_BYTES, Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_files import Cancel, Data, Done, DoneAck, Offer, OfferAck
from chatproto.wire.bcp2_peer import Chat, ChatAck, Mode, Msg, MsgAck, Quit, Turn
from chatproto.wire.reasons import Reason
from tests.client.keyed_program import (
    BOB,
    BOB_HOST,
    BOB_PORT,
    IDENTITIES,
    Case,
    key_of,
)
from tests.client.tls_net import AT, DATE, FarPerson, FarServer
from tests.limits import DEFAULTS

CHANGED = "refused: the key of {} has changed"
MOST_MEETINGS = 256
"""Introductions that are carried out at once (`client/rendezvous_table.py`)."""


class CallerTests(Case):
    """Callers, without a server."""

    def warnings(self, name: str = "bob") -> int:
        return sum(text.startswith(CHANGED.format(name)) for text in self.texts(Failed))

    def refused(self, one: FarPerson) -> int | None:
        """The status with which their CHAT was refused."""
        errors = [error.status for error in one.heard(Error) if error.about == "CHAT"]
        return errors[0] if errors else None

    def test_a_log_that_fails_ends_the_connection_and_acknowledges_nothing(self) -> None:
        bob = self.talking()
        failing = LedgerTrouble("the log cannot be written")

        def fail(*_: object) -> NoReturn:
            raise failing

        for name in ("add", "wrote", "settle", "store_incoming", "set_turn", "entries", "state"):
            self.patch(self.ledger, name, fail)
        bob.says("is this kept?")
        self.net.settle()
        self.assertIn(str(failing), self.texts(Failed))
        self.assertEqual(bob.heard(MsgAck), [])
        self.assertTrue(bob.ended)

    def test_id_is_pinned_only_if_a_server_confirms_it(self) -> None:
        """Known from one server, they are called by address while registered with another."""
        self.known = ()
        (self.home / "known_peers").unlink()
        self.begin()
        acquaintances = self.node.acquaintances
        assert acquaintances is not None
        acquaintances.trust("bob", key_of("bob"), key_of("server"))
        acquaintances.server_key = key_of("carol")
        self.talking()
        self.assertNotIn(key_of("carol"), (self.home / "known_peers").read_text())
        acquaintances.introduce("bob", key_of("eve"))  # that server's bob
        self.called("bob", IDENTITIES["eve"])
        self.assertEqual(self.warnings(), 0)

    def test_other_key_at_this_server_keeps_messages_queued_elsewhere(self) -> None:
        acquaintances = self.node.acquaintances
        assert acquaintances is not None
        acquaintances.server_key = key_of("carol")
        acquaintances.trust("dan", key_of("server"), key_of("server"))
        self.node.msg("for dan", "dan")
        self.node.trust("dan", key_of("eve"))
        self.assertEqual(self.kept(), ["for dan"])
        [text] = [one for one in self.texts(Notice) if "still queued for" in one]
        self.assertIn("who has another key", text)

    def test_latest_texts_for_former_keys_are_sent_again(self) -> None:
        self.begin(replace(DEFAULTS, waiting_messages=3))
        for number, name in enumerate(("eve", "server", "bob", "eve")):
            for text in "abc":
                self.node.msg(f"{text}{number}", "bob")
            self.node.trust("bob", key_of(name))
        self.node.resend("bob")
        self.assertEqual(self.kept(), ["a3", "b3", "c3"])

    def test_our_own_key_is_refused(self) -> None:
        mirror = self.called("bob", IDENTITIES["alice"])
        self.assertEqual(self.refused(mirror), 403)
        self.assertEqual(self.told(IncomingCallEvent), [])
        self.assertEqual(self.warnings(), 0)

    def test_other_key_for_a_pinned_id_is_refused_with_a_warning(self) -> None:
        eve = self.called("bob", IDENTITIES["eve"])
        self.assertEqual(self.refused(eve), 403)
        self.assertEqual((self.told(IncomingCallEvent), self.warnings()), ([], 1))
        [told] = self.told(Failed)
        self.assertIs(told.code, Reason.OTHER_KEY)
        self.assertIn(f"Known: {key_of('bob')}", told.text)
        self.assertIn(f"type /trust bob {key_of('eve')}", told.text)

    def test_warnings_of_one_id_are_limited(self) -> None:
        for _ in range(3):
            self.called("bob", IDENTITIES["eve"])
        self.assertEqual(self.warnings(), 1)
        self.called("carol", IDENTITIES["eve"])
        self.assertEqual(self.warnings("carol"), 1)
        self.net.wait(61, 1)
        self.called("bob", IDENTITIES["eve"])
        self.assertEqual(self.warnings(), 2)

    def test_a_stranger_is_shown_in_doubt_and_rings(self) -> None:
        eve = self.called("eve")
        [incoming] = self.told(IncomingCallEvent)
        self.assertEqual((incoming.confirmed, incoming.ask), (False, True))
        self.node.accept()
        self.net.settle()
        eve.says("hello")
        [heard] = self.told(MessageReceived)
        self.assertEqual(heard.from_, "eve?")

    def test_a_stranger_is_not_pinned(self) -> None:
        self.called("eve")
        self.node.accept()
        self.net.settle()
        self.assertNotIn(key_of("eve"), (self.home / "known_peers").read_text())

    def test_unknown_caller_needs_confirmation_with_answer_all(self) -> None:
        self.begin(answer="all")
        self.called("eve")
        self.assertTrue(self.told(IncomingCallEvent)[0].ask)

    def test_pinned_caller_needs_confirmation_with_answer_none(self) -> None:
        self.begin(answer="none")
        self.called("bob")
        self.assertTrue(self.told(IncomingCallEvent)[0].ask)

    def test_calls_of_unknown_peers_do_not_change_the_target(self) -> None:
        self.called("eve")
        self.node.say("hello")
        self.assertIn("you are in no conversation", self.texts(Failed)[0])

    def test_a_second_call_of_one_key_is_the_same_conversation(self) -> None:
        first = self.called("bob")
        second = self.called("bob")
        self.node.say("hello")
        self.net.wait(1)
        self.assertEqual([*first.texts, *second.texts], ["hello"])
        self.assertEqual(len(self.node.calls.all), 1)
        self.assertEqual(len(self.told(IncomingCallEvent)), 1)

    def test_ringing_call_holds_no_place_of_unknown_connections(self) -> None:
        self.called("eve")
        counters = self.node.client.calls.counters()
        self.assertEqual((counters["connections"], counters["ringing"]), (0, 1))

    def test_caller_accepts_no_call_on_its_connection(self) -> None:
        """A CHATACK that answers nothing is no yes to anything."""
        eve = self.called("eve")
        eve.takes_call()
        eve.says("hello")
        self.assertEqual(self.told(MessageReceived), [])
        self.assertNotIn("open", [one.state for one in self.told(SessionChanged)])

    def test_messages_before_acceptance_are_not_shown(self) -> None:
        self.begin(answer="none")
        bob = self.called("bob")
        bob.says("hello")
        self.assertEqual(self.told(MessageReceived), [])
        bob.cut()
        self.assertEqual(len(self.node.calls.all), 0)

    def test_repeated_message_is_shown_once(self) -> None:
        bob = self.called("bob")
        bob.says("hello")
        bob.told = 0
        bob.says("hello")
        bob.says("again")
        self.assertEqual(self.texts(MessageReceived), ["hello", "again"])

    def test_a_caller_without_a_word_is_dropped(self) -> None:
        wire = self.net.arrive(self.factory, BOB_HOST)
        silent = FarPerson(self.net, wire, IDENTITIES["bob"], "bob", client=True)
        self.net.wait(DEFAULTS.handshake_wait + 1, 0.5)
        self.assertTrue(silent.ended)

    def test_no_more_callers_than_may(self) -> None:
        self.begin(DEFAULTS.with_values(["callers=3"]))
        ends = []
        for _ in range(4):
            wire = self.net.arrive(self.factory, BOB_HOST)
            ends.append(FarPerson(self.net, wire, IDENTITIES["eve"], "eve", client=True))
            self.net.settle()
        self.net.wait(DEFAULTS.farewell_wait + 1)
        self.assertEqual(sum(not one.ended for one in ends), 3)

    def test_a_caller_is_not_read_while_the_screen_takes_no_more(self) -> None:
        self.node.connections.hold(True)
        bob = self.called("bob")
        self.assertEqual(bob.wire.producerState, "paused")
        self.node.connections.hold(False)
        self.assertEqual(bob.wire.producerState, "producing")

    def test_peer_called_meanwhile_is_not_called_back(self) -> None:
        self.node.connections.hold(True)
        self.node.chat(BOB)
        bob = self.person()
        self.assertEqual(bob.wire.producerState, "paused")
        self.node.connections.hold(False)
        self.assertEqual(bob.wire.producerState, "producing")

    def test_callers_without_a_word_do_not_delay_the_end(self) -> None:
        wire = self.net.arrive(self.factory, BOB_HOST)
        silent = FarPerson(self.net, wire, IDENTITIES["bob"], "bob", client=True)
        self.net.settle()
        self.node.stop()
        self.net.wait(0.5)
        self.assertTrue(silent.ended)
        self.assertEqual(self.codes, [0])

    def test_caller_redials_after_a_lost_connection(self) -> None:
        bob = self.talking()
        bob.cut()
        self.assertEqual(self.told(SessionChanged)[-1].state, "broken")
        self.node.say("meanwhile")
        self.net.wait(1)
        again = self.person()
        self.net.settle()
        self.assertEqual(self.told(SessionChanged)[-1].state, "open")
        self.assertEqual(again.texts, ["meanwhile"])
        self.assertTrue(again.heard(Chat))

    def test_a_redial_without_an_answer_is_dropped_and_dialled_again(self) -> None:
        self.talking().cut()
        self.node.say("meanwhile")
        self.net.wait(1)
        silent = self.person(takes=False)
        self.net.wait(RESUME_WAIT - 1, 1)
        self.assertFalse(silent.over)
        self.net.wait(3, 1)
        self.assertTrue(silent.over)
        self.assertEqual(self.told(SessionChanged)[-1].state, "broken")
        again = self.person()
        self.net.settle()
        self.assertEqual(again.texts, ["meanwhile"])

    def test_redial_accepts_only_the_same_key(self) -> None:
        bob = self.talking()
        bob.cut()
        self.node.say("for bob alone")
        self.net.wait(1)
        eve = self.person("eve")
        self.net.wait(1)
        self.assertEqual((eve.texts, eve.heard(Chat)), ([], []))
        self.assertEqual(self.told(Delivered), [])


class OutgoingTests(Case):
    """Recipients of outgoing calls."""

    def test_call_by_address_uses_the_peer_s_own_name(self) -> None:
        bob = self.talking()
        self.node.say("hello")
        self.net.settle()
        self.assertEqual(bob.texts, ["hello"])
        self.assertEqual(self.told(Sent)[0].to, "bob")

    def test_text_for_an_address_goes_to_the_open_conversation_there(self) -> None:
        carol = self.called("carol")
        self.node.chat(f"{BOB_HOST}:{BOB_PORT}")
        self.node.say("hello")
        self.person("carol")
        self.net.wait(1)
        self.assertEqual((carol.texts, len(self.node.calls.all)), (["hello"], 1))

    def test_broken_conversation_continues_at_the_peer_s_new_address(self) -> None:
        self.talking().cut()
        self.node.say("meanwhile")
        self.node.chat("10.0.0.7:7007")
        self.net.wait(0)
        moved = self.person()
        self.assertEqual(moved.wire.getPeer().host, "10.0.0.7")
        self.assertEqual(moved.texts, ["meanwhile"])
        self.assertEqual(self.told(SessionChanged)[-1].state, "open")
        moved.cut()
        self.net.wait(1)
        self.assertEqual([one[:2] for one in self.net.tcpClients[2:]], [("10.0.0.7", 7007)])

    def test_another_key_for_a_pinned_id_is_refused_when_we_called(self) -> None:
        self.node.chat(BOB)
        self.node.say("for bob")
        eve = FarPerson(self.net, self.net.accept(), IDENTITIES["eve"], "bob", client=False)
        self.net.wait(1)
        self.assertEqual(eve.texts, [])
        self.assertNotIn("open", [one.state for one in self.told(SessionChanged)])
        self.assertEqual(self.told(Sent), [])

    def test_a_stranger_at_an_address_is_shown_in_doubt(self) -> None:
        self.node.chat(BOB)
        self.person("eve")
        opened = [(one.id, one.was) for one in self.told(SessionChanged) if one.state == "open"]
        self.assertEqual(opened, [("eve?", BOB)])

    def test_confirmed_caller_loses_its_question_mark(self) -> None:
        self.node.chat(BOB)
        eve = self.person("eve")
        self.node.verify("eve", "yes")
        self.assertEqual(self.texts(Notice), ["eve? is now called eve"])
        changed = self.told(SessionChanged)[-2:]
        self.assertEqual([(one.id, one.was) for one in changed], [("eve", "eve?"), ("eve", None)])
        for who in ("eve", "eve?"):
            self.node.switch(who)
            self.node.say("hello")
        self.net.settle()
        self.assertEqual(eve.texts, ["hello", "hello"])

    def test_caller_verified_while_ringing_loses_its_mark_when_accepted(self) -> None:
        eve = self.called("eve")
        self.node.verify("eve", "yes")
        self.assertEqual([one.name for one in self.node.calls.all], ["eve?"])  # as was asked about
        self.node.accept("eve?")
        self.net.settle()
        self.assertEqual([one.name for one in self.node.calls.all], ["eve"])
        self.node.say("hello")
        self.net.settle()
        self.assertEqual(eve.texts, ["hello"])

    def test_our_own_key_is_not_called(self) -> None:
        self.node.chat(BOB)
        self.node.say("to myself")
        mirror = self.person("bob", IDENTITIES["alice"])
        self.net.wait(1)
        self.assertEqual(mirror.heard(Chat), [])
        self.assertTrue(mirror.refused or mirror.ended)
        self.assertEqual(self.texts(Undelivered), ["to myself"])

    def test_refused_call_reports_its_messages(self) -> None:
        self.node.chat(BOB)
        self.node.say("hello")
        bob = self.person(takes=False)
        bob.tell(Error(603, about="CHAT"))
        self.net.wait(1)
        self.assertEqual(self.told(SessionChanged)[-1].state, "closed")
        self.assertEqual(bob.texts, [])

    def test_unanswered_call_ends(self) -> None:
        self.node.chat(BOB)
        bob = self.person(takes=False)
        self.net.wait(DEFAULTS.answer_ring - 1, 1)
        self.assertEqual(self.told(SessionChanged)[-1].state, "ringing")
        self.net.wait(3, 1)
        self.assertEqual(self.told(SessionChanged)[-1].state, "closed")
        self.assertTrue(bob.over)


class RoomForMessagesTests(Case):
    """More is typed than the other side acknowledges."""

    def test_a_second_message_does_not_replace_the_one_that_is_held(self) -> None:
        self.begin(DEFAULTS.with_values(["waiting-messages=1"]))
        bob = self.called("bob", acknowledges=False)
        for text in ("one", "two", "three"):
            self.node.say(text)
        self.assertEqual(self.held, [True])
        [failed] = self.told(Failed)
        self.assertEqual((failed.status, failed.command), (429, "say"))
        bob.tell(MsgAck(1))
        self.assertEqual(self.held, [True, False])
        self.assertEqual(bob.texts, ["one", "two"])

    def test_the_held_message_is_reported_at_the_end_of_the_program(self) -> None:
        self.begin(DEFAULTS.with_values(["waiting-messages=1"]))
        self.called("bob", acknowledges=False)
        for text in ("one", "two"):
            self.node.say(text)
        self.node.stop()
        self.net.wait(EXIT_WAIT + 1)
        self.assertEqual(self.texts(Undelivered), ["two"])

    def test_held_message_is_queued_or_reported_at_the_end(self) -> None:
        self.begin(DEFAULTS.with_values(["waiting-messages=1"]))
        bob = self.called("bob", acknowledges=False)
        for text in ("one", "two"):
            self.node.say(text)
        bob.leaves()
        self.net.wait(1)
        self.assertEqual([*self.kept(), *self.texts(Undelivered)], ["one", "two"])
        self.assertEqual(self.held, [True, False])


class NoServerTests(Case):
    """No server takes the connection."""

    server = True

    def at_server(self) -> Any:
        self.net.refuse()

    def test_user_gets_one_hint_about_starting_a_server(self) -> None:
        hint = "chatserver starts one on this machine, --server HOST:PORT names another"
        self.assertEqual(len(self.texts(Notice)), 1)  # a program is not told
        self.begin(typed=True)
        away, told = self.texts(Notice)
        self.assertEqual(away, "no server at 10.0.0.9:5555 (connection refused), retrying")
        self.assertEqual(told, hint)
        self.net.wait(60, 1)
        self.net.refuse()
        self.assertEqual(self.texts(Notice), [away, told])

    def test_returning_user_gets_no_hint_about_a_server(self) -> None:
        PinFile(self.home / "known_peers").put(Pin("server", "10.0.0.9:5555", key_of("server")))
        self.begin(typed=True)
        self.assertEqual(len(self.texts(Notice)), 1)


class BusyServer(FarServer):
    """Refuses registrations for now."""

    def hear(self, message: Any) -> None:
        if isinstance(message, bcp2_server.Register):
            self._say(Error(429, message.cseq, retry_after=34))
        else:
            super().hear(message)


class BusyServerTests(Case):
    """A server answers, but with 429."""

    server = True

    def at_server(self) -> FarServer:
        self.directory = BusyServer(self.net, self.net.accept(), IDENTITIES["server"])
        self.net.settle()
        return self.directory

    def test_busy_server_gives_no_hint_to_start_one(self) -> None:
        self.begin(typed=True)
        [told] = self.texts(Notice)
        self.assertIn("in 34 s at the earliest, retrying", told)


class ServerTests(Case):
    """Confirmations by the server."""

    server = True
    known = ("carol",)

    def test_call_ended_during_the_server_query_is_not_dialled(self) -> None:
        self.begin(open=True)
        self.directory.callees["dora"] = bcp2_server.BridgeAck(
            0, "dora", "", ((BOB_HOST, BOB_PORT),)
        )
        self.node.chat("dora")
        self.node.ignore("dora")
        self.net.wait(1)
        self.assertEqual(self.net.under_way, 0)
        self.assertEqual(len(self.node.client.conversations), 0)

    def test_a_claim_that_the_server_confirms_is_believed(self) -> None:
        self.directory.knows("bob", key_of("bob"))
        bob = self.called("bob")
        self.assertTrue(self.told(IncomingCallEvent)[0].confirmed)
        self.node.accept()
        self.net.settle()
        bob.says("hello")
        self.assertEqual(self.told(MessageReceived)[0].from_, "bob")
        self.assertIn(key_of("bob"), (self.home / "known_peers").read_text())

    def test_a_claim_that_the_server_denies_is_shown_in_doubt(self) -> None:
        for answer in (404, 480):
            self.begin()
            self.directory.callees["bob"] = answer
            self.called("bob")
            self.assertFalse(self.told(IncomingCallEvent)[0].confirmed)
        self.begin()
        self.directory.knows("bob", key_of("eve"))
        self.called("bob")
        self.assertFalse(self.told(IncomingCallEvent)[0].confirmed)

    def test_caller_that_left_before_the_server_answered_does_not_ring(self) -> None:
        self.directory.deaf = True
        bob = self.called("bob")
        self.assertEqual(self.told(IncomingCallEvent), [])
        bob.cut()
        self.directory.deaf = False
        self.directory.knows("bob", key_of("bob"))
        self.net.wait(1)
        self.assertTrue(self.directory.heard(bcp2_server.Bridge))
        self.assertEqual((self.told(IncomingCallEvent), len(self.node.calls.all)), ([], 0))

    def test_server_queries_about_unknown_callers_are_limited(self) -> None:
        for _ in range(10):
            self.called("eve")
        asked = len(self.directory.heard(bcp2_server.Bridge))
        self.assertTrue(0 < asked <= 2, asked)

    def test_an_introduction_confirms_a_caller_for_a_minute(self) -> None:
        self.directory.introduces("bob", key_of("bob"), (), "call1")
        self.called("bob")
        self.assertTrue(self.told(IncomingCallEvent)[0].confirmed)
        self.assertEqual(self.directory.heard(bcp2_server.Bridge), [])

    def test_introduction_of_another_key_confirms_no_caller(self) -> None:
        self.directory.introduces("bob", key_of("bob"), (), "call1")
        self.called("bob", IDENTITIES["eve"])
        self.assertFalse(self.told(IncomingCallEvent)[0].confirmed)

    def test_introductions_are_carried_out_in_bounded_number(self) -> None:
        self.directory.tell(
            *(
                bcp2_server.Introduce(
                    "eve", key_of("eve"), ((f"10.1.{number % 200 + 1}.1", 5000),), f"c{number}"
                )
                for number in range(MOST_MEETINGS + 100)
            )
        )
        self.assertLessEqual(self.net.under_way, MOST_MEETINGS)

    def test_introductions_of_pinned_peers_are_limited(self) -> None:
        """Whom the server introduces again and again, and who never answers."""
        calls = iter(range(10_000))
        for seconds in (16, 1, 0):  # until the server may introduce as many again
            self.directory.tell(
                *(
                    bcp2_server.Introduce(
                        "carol", key_of("carol"), ((BOB_HOST, BOB_PORT),), f"c{next(calls)}"
                    )
                    for _ in range(MOST_MEETINGS // 2)
                )
            )
            self.net.wait(seconds)
        self.assertEqual(self.net.under_way, MOST_MEETINGS)

    def test_requested_id_is_called_with_its_key(self) -> None:
        self.directory.knows("bob", key_of("bob"), (BOB_HOST, BOB_PORT))
        self.node.chat("bob")
        self.node.say("hello")
        self.net.settle()
        self.assertEqual(self.net.wanted[-1], (BOB_HOST, BOB_PORT))
        bob = self.person()
        self.assertEqual(bob.texts, ["hello"])
        self.assertEqual(self.told(Sent)[0].to, "bob")

    def test_peer_with_another_key_receives_no_message(self) -> None:
        self.directory.knows("bob", key_of("bob"), (BOB_HOST, BOB_PORT))
        self.node.chat("bob")
        self.node.say("for bob")
        self.net.settle()
        eve = self.person("eve")
        self.net.wait(1)
        self.assertEqual((eve.texts, eve.heard(Chat), self.told(Sent)), ([], [], []))

    def test_another_key_than_the_pinned_one_is_not_even_dialled(self) -> None:
        self.directory.knows("carol", key_of("eve"), (BOB_HOST, BOB_PORT))
        dialled = self.net.dialled
        self.node.chat("carol")
        self.node.say("for carol")
        self.net.wait(1)
        self.assertEqual(self.net.dialled, dialled)
        self.assertTrue([one for one in self.events if key_of("eve") in str(one)])

    def test_one_key_under_two_names_is_one_conversation(self) -> None:
        """Words said while a call is found to be with somebody who rings already are said once."""
        self.begin(answer="none")
        carol = self.called("carol")
        self.directory.knows("bob", key_of("carol"), (BOB_HOST, BOB_PORT))
        self.node.chat("bob")
        self.node.say("hello")
        self.net.wait(1)
        self.assertLessEqual(carol.texts.count("hello"), 1)

    def test_queued_messages_of_a_key_go_to_its_pending_call(self) -> None:
        """A first contact turns out to have a pinned key, which is called by its name as well."""
        self.directory.knows("dora", key_of("carol"), (BOB_HOST, BOB_PORT))
        self.directory.knows("carol", key_of("carol"), (BOB_HOST, BOB_PORT))
        self.node.chat("dora")
        self.net.settle()
        self.node.chat("carol")
        self.node.say("hello")
        self.net.settle()
        self.assertEqual((len(self.node.calls.all), self.kept()), (1, ["hello"]))
        carol = self.person("carol")
        self.node.say("again")
        self.net.wait(1)
        self.assertEqual(carol.texts, ["hello", "again"])
        self.assertEqual((self.kept(), self.told(Undelivered)), ([], []))

    def test_peer_that_comes_online_receives_queued_messages(self) -> None:
        self.node.msg("hello", "carol")
        self.net.wait(3)
        self.assertIn("carol", [one.peer_id for one in self.directory.heard(bcp2_server.Watch)])
        self.directory.knows("carol", key_of("carol"), (BOB_HOST, BOB_PORT))
        self.directory.tell(bcp2_server.Presence("carol", "online"))
        self.net.wait(3)
        carol = self.person("carol")
        self.net.wait(1)
        self.assertEqual(carol.texts, ["hello"])
        self.assertEqual(self.kept(), [])

    def test_away_text_is_registered_until_removed(self) -> None:
        self.node.away("back  at\nfive")
        self.net.settle()
        self.node.away("x" * (AWAY_BYTES + 1))
        self.node.away()
        self.net.settle()
        asked = [one.away for one in self.directory.heard(bcp2_server.Register)]
        self.assertEqual(asked, ["", "back at five", ""])
        self.assertIn("at most 200 bytes", self.texts(Failed)[0])
        self.assertEqual(len(self.told(Registered)), 1)
        self.assertEqual(
            [one.data for one in self.told(CommandOutput)], [{"text": "back at five"}, {"text": ""}]
        )

    def test_away_state_is_reported_for_a_queued_message(self) -> None:
        self.directory.callees["carol"] = 480
        self.node.chat("carol")
        self.net.wait(3)
        self.directory.knows("carol", key_of("carol"), (BOB_HOST, BOB_PORT))
        self.directory.tell(bcp2_server.Presence("carol", "online", "lunch"))
        self.net.wait(1)
        (event,) = self.told(PresenceChanged)
        self.assertEqual((event.id, event.status, event.away), ("carol", "online", "lunch"))
        self.assertEqual(plain_lines(event, EPOCH), ["* carol is online, away: lunch"])
        for text in ("lunch", "meeting", ""):
            self.directory.tell(bcp2_server.Presence("carol", "online", text))
            self.net.wait(1)
        self.assertEqual(
            [one.away for one in self.told(PresenceChanged)], ["lunch", "meeting", None]
        )

    def test_queued_message_is_not_delivered_to_another_key(self) -> None:
        self.node.msg("hello", "carol")
        self.net.wait(3)
        self.directory.knows("carol", key_of("eve"), (BOB_HOST, BOB_PORT))
        self.directory.tell(bcp2_server.Presence("carol", "online"))
        self.net.wait(30, 1)
        self.assertEqual(self.net.dialled, 0)
        self.assertEqual(self.kept(), ["hello"])

    def test_message_for_an_id_does_not_reach_an_impostor(self) -> None:
        eve = self.called("bob", IDENTITIES["eve"])
        self.node.accept("bob?")
        self.net.settle()
        self.directory.knows("bob", key_of("bob"), (BOB_HOST, BOB_PORT))
        for text in ("one", "two"):
            self.node.msg(text, "bob")
        self.net.settle()
        bob = self.person()
        self.assertEqual((eve.texts, bob.texts), ([], ["one", "two"]))

    def test_a_call_is_taken_back_with_its_answer(self) -> None:
        """Accept a call once, even if CHATACK comes twice."""
        self.directory.knows("bob", key_of("bob"), (BOB_HOST, BOB_PORT))
        self.node.chat("bob")
        self.net.settle()
        bob = self.person()
        bob.tell(ChatAck("bob", "full", bob.stream, bob.have))
        opened = [one for one in self.told(SessionChanged) if one.state == "open"]
        self.assertEqual(len(opened), 1)


TOLD = st.sampled_from(
    [
        Chat("eve", "full", "e" * 16),
        Chat("bob", "half", "d" * 16, ("c" * 16, 7), "mine"),
        ChatAck("eve", "full", "e" * 16),
        ChatAck("bob", "half", "d" * 16, ("c" * 16, 7), "theirs"),
        Msg(1, AT, "one"),
        Msg(2, AT, "two"),
        Msg(2**53, AT, "last"),
        MsgAck(0),
        MsgAck(2**53),
        Turn(3),
        Mode(4, "half"),
        Mode(5, "full"),
        Quit(),
        Ping(),
        PingAck(),
        Error(486, about="CHAT"),
        Error(403, about="CHAT"),
        Error(404, about="MSG", id=1),
        Error(500),
        Offer(1, "name", 10, DATE, "text/plain"),
        OfferAck(1, 0, "0" * 64),
        Data(1, 0, b"data"),
        Done(1, "0" * 64),
        DoneAck(1),
        Cancel(1),
    ]
)
"""What a peer may say at any moment, rightly or not."""
FEW = given_settings(max_examples=given_settings().max_examples // 5)
"""Each example is a whole program with real TLS."""
PUSHED = st.sampled_from(
    [
        bcp2_server.Introduce("bob", key_of("bob"), ((BOB_HOST, BOB_PORT),), "call1", "T" * 26),
        bcp2_server.Introduce("alice", key_of("alice"), ((BOB_HOST, BOB_PORT),), "call2"),
        bcp2_server.Introduce("carol", key_of("eve"), (), "call3"),
        bcp2_server.Presence("carol", "online"),
        bcp2_server.Presence("carol", "offline"),
        bcp2_server.Presence("alice", "online"),
        bcp2_server.BridgeAck(7, "bob", key_of("bob")),
        bcp2_server.BridgeAck(3),
        bcp2_server.RegAck(1, "mallory", 60, ("10.0.0.1", 1)),
        bcp2_server.InfoAck(2),
        bcp2_server.Closing(0),
        bcp2_server.Closing(2**53),
        bcp2_server.Replaced(),
        Ping(),
        PingAck(1),
        Error(404, 2),
        Error(500),
    ]
)
"""What a server may say at any moment."""


class AnyOrderTests(Case):
    """No order of messages raises anything, and what is typed afterwards is told of."""

    server = True

    @given(st.sampled_from(["eve", "bob"]), st.booleans(), st.lists(TOLD, max_size=8))
    @FEW
    def test_a_peer_says_anything(self, name: str, dialled: bool, told: list[Bcp2Message]) -> None:
        self.begin(answer="all")
        if dialled:
            self.node.chat(BOB)
            other = self.person(name, takes=False, acknowledges=False)
        else:
            other = self.called(name, takes=False, acknowledges=False)
        for message in told:
            other.tell(message)
        self.node.say("hello")
        self.net.wait(1, 0.5)
        self.node.quit()
        self.net.wait(1, 0.5)
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(st.lists(PUSHED, max_size=8))
    @FEW
    def test_a_server_pushes_anything(self, pushed: list[Bcp2Message]) -> None:
        self.begin()
        self.node.msg("hello", "carol")
        self.node.info()
        for message in pushed:
            self.directory.tell(message)
        self.net.wait(3, 0.5)
        self.assertEqual(self.kept(), ["hello"])
        self.assertEqual(self.flushLoggedErrors(), [])
