"""People as nicknames: queries, calls, files, and who a nickname is when names are claimed or change."""

from __future__ import annotations

from typing import Any

from chatproto.client.events import CommandOutput, Event, Failed, Notice, Sent
from chatproto.identity.pins import Pin, PinFile
from chatproto.ui.irc.connection import IRC_REQUESTS
from chatproto.ui.irc.welcome import TARGETS
from chatproto.wire.actions import ACTION
from chatproto.wire.bcp2_files import Offer
from chatproto.wire.bcp2_peer import Msg
from tests.client.keyed_program import BOB, IDENTITIES, Case, key_of
from tests.client.tls_net import DATE
from tests.long import LONG
from tests.ui.irc.ends import CAPS, IrcClient, bare, face_of

ALICE = ":alice!alice@chat"
BOB_SAYS = ":bob!bob@chat"


class IrcCase(Case):
    pins: tuple[tuple[str, str, str], ...] = ()
    """Further pins: of which server, under which id, whose key."""

    def begin(self, *given: Any, **settings: Any) -> Any:
        file = PinFile(self.home / "known_peers")
        for server, name, whose in self.pins:
            file.put(Pin(key_of(server), name, key_of(whose)))
        node = super().begin(*given, **settings)
        self.face = face_of(node.client, self.home / "irc_nicks")
        self.irc = IrcClient(self.face, caps=CAPS)
        self.irc.read()
        return node

    def asks(self, *lines: str) -> list[str]:
        """Write lines; return what comes when all has arrived, without tags."""
        self.irc.say(*lines)
        self.work()
        return bare(self.irc.read())


class QueryTests(IrcCase):
    def test_texts_go_both_ways(self) -> None:
        bob = self.talking()
        self.irc.read()
        self.irc.say("@label=5 PRIVMSG bob :hello")
        self.net.settle()
        self.assertEqual(bob.texts, ["hello"])
        (line,) = self.irc.read()
        self.assertRegex(line, r"^@time=[^;]+;msgid=1-[0-9a-f]+-s;label=5 :alice!alice@chat PRIV")
        bob.says("hi\nthere", "\x01ACTION waves")
        self.assertEqual(
            bare(self.irc.read()),
            [
                ":chat BATCH +1 chatproto/message",
                f"{BOB_SAYS} PRIVMSG alice hi",
                f"{BOB_SAYS} PRIVMSG alice there",
                ":chat BATCH -1",
                f"{BOB_SAYS} PRIVMSG alice :\x01ACTION waves\x01",
            ],
        )
        told = self.asks("PRIVMSG BOB :\x01ACTION nods\x01")
        self.assertEqual(told, [f"{ALICE} PRIVMSG bob :\x01ACTION nods\x01"])
        self.assertEqual((bob.texts[-1], bob.heard(Msg)[-1].kind), ("nods", ACTION))

    def test_other_ctcp_is_dropped_and_formats_are_removed(self) -> None:
        bob = self.talking()
        self.irc.read()
        self.asks("PRIVMSG bob :\x01VERSION\x01", "PRIVMSG bob :a\x02b\x0304,1c", "NOTICE bob :d")
        self.assertEqual(bob.texts, ["abc", "d"])
        self.assertEqual(self.asks("PRIVMSG bob :\x02"), [":chat 412 alice :No text to send"])

    def test_hostile_texts_and_names_end_no_line(self) -> None:
        bob = self.talking()
        self.irc.read()
        bob.says("a\r:eve!eve@chat PRIVMSG alice :b\0c\x1b[2J\x01VERSION\x01\u202e")
        (line,) = bare(self.irc.read())
        self.assertEqual(
            line, f"{BOB_SAYS} PRIVMSG alice :a␍:eve!eve@chat PRIVMSG alice :b␀c␛[2J␁VERSION␁\ufffd"
        )
        bob.tell(Offer(1, "x :eve PRIVMSG alice :y\u202e", 5, DATE, "text/plain"))
        told = self.asks()
        self.assertTrue(all(line.startswith(BOB_SAYS) for line in told), told)
        self.assertNotIn("\u202e", "".join(told))

    def test_message_to_an_away_contact_is_queued(self) -> None:
        self.irc.say("@label=1 PRIVMSG bob :later")
        kept, ack = self.irc.read()
        self.assertIn(f"{BOB_SAYS} NOTICE alice :message 1 is queued for bob (/msg *chat un", kept)
        self.assertEqual(ack, "@label=1 :chat ACK")
        bob = self.talking()
        self.net.settle()
        self.assertEqual(bob.texts, ["later"])
        told = self.asks()
        self.assertIn(f"{ALICE} PRIVMSG bob later", told)
        self.assertIn(f"{BOB_SAYS} NOTICE alice :delivered to bob: later", told)

    def test_unreachable_peer_is_reported_with_the_text(self) -> None:
        self.asks("PRIVMSG *chat :chat 10.0.0.77:5000", "PRIVMSG 10.0.0.77_5000 :hello")
        self.net.refuse()
        told = self.asks()
        source = ":10.0.0.77_5000!10.0.0.77_5000@chat NOTICE alice :"
        self.assertTrue(any(line.startswith(f"{source}not delivered to") for line in told), told)

    def test_unknown_nickname_is_401(self) -> None:
        for nick in ("zoe", "zoe_open", "a b", "x" * 90, "é", "_", "sha256:AAAA"):
            numerics = {line.split(" ")[1] for line in self.asks(f"PRIVMSG {nick} :hi")}
            self.assertTrue(numerics <= {"401", "FAIL", "NOTICE"}, (nick, numerics))

    def test_too_many_recipients_are_refused(self) -> None:
        bob = self.talking()
        self.irc.read()
        told = self.asks("PRIVMSG bob,bob,bob,bob,bob,zoe :hi")
        self.assertEqual(bob.texts, ["hi"] * TARGETS)
        self.assertEqual(
            [line.split(" ")[1:4] for line in told if " 407 " in line],
            [["407", "alice", "bob"], ["407", "alice", "zoe"]],
        )

    def test_every_client_sees_what_another_says(self) -> None:
        bob = self.talking()
        self.irc.read()
        other = IrcClient(self.face)
        other.read()
        other.say("PRIVMSG bob :from the other")
        self.net.settle()
        self.assertEqual(bob.texts, ["from the other"])
        self.assertEqual(other.read(), [])
        self.assertEqual(bare(self.irc.read()), [f"{ALICE} PRIVMSG bob :from the other"])

    def test_many_lines_at_once_arrive_in_their_order(self) -> None:
        self.at_once(3 * IRC_REQUESTS)

    @LONG
    def test_five_thousand_lines_at_once_do_too(self) -> None:
        self.at_once(5000)

    def at_once(self, count: int) -> None:
        bob = self.talking()
        self.irc.read()
        self.irc.say(*[f"PRIVMSG bob :{number}" for number in range(count)], "PING end")
        self.net.settle()
        self.assertEqual(bob.texts, [str(number) for number in range(count)])
        self.assertEqual(len(self.irc.read()), count + 1)
        self.assertEqual(self.held, [])

    def test_broken_and_closed_conversations_are_shown(self) -> None:
        bob = self.talking()
        self.irc.read()
        bob.leaves()
        self.assertEqual(self.asks(), [f"{BOB_SAYS} NOTICE alice :bob left"])


class ServerTests(IrcCase):
    server = True

    def test_unregistered_peer_is_401_each_time(self) -> None:
        self.talking()
        self.irc.read()
        for first in ((), ("PRIVMSG bob :hi",)):  # a call beside a conversation is shown
            told = self.asks(*first, "@label=1 PRIVMSG zoe :hi")
            told += self.asks()
            found = [line for line in told if " 401 alice zoe :" in line]
            self.assertEqual(len(found), 1, told)
            self.assertTrue(any("not delivered to zoe: hi" in line for line in told), told)


class TurnTests(IrcCase):
    def test_line_out_of_turn_is_echoed_when_sent(self) -> None:
        bob = self.talking()
        other = IrcClient(self.face, nick="other")
        self.asks("PRIVMSG bob :hi")
        self.asks("PRIVMSG *chat :mode half", "PRIVMSG bob :one")
        told = self.irc.asks("@label=5 PRIVMSG bob :two")
        self.assertIn("queued until it is your turn", told[0])
        self.assertEqual(told[1:], ["@label=5 :chat ACK"])
        other.say("PRIVMSG bob :three")
        for _ in range(2):
            bob.says("yes")
            self.net.settle()
        self.assertEqual(bob.texts, ["hi", "one", "two", "three"])
        said = f"{ALICE} PRIVMSG bob"
        own = [line for line in bare(self.irc.read()) if line.startswith(said)]
        self.assertEqual(own, [f"{said} two", f"{said} three"])
        # This client has no echo-message: it has shown its own line already.
        own = [line for line in other.read() if line.startswith(said)]
        self.assertEqual(own, [f"{said} hi", f"{said} one", f"{said} two"])

    def test_two_take_turns(self) -> None:
        bob = self.talking()
        self.irc.read()
        self.asks("PRIVMSG bob :hi")
        notice = f"{BOB_SAYS} NOTICE alice :"
        self.assertEqual(
            self.asks("PRIVMSG *chat :mode half"),
            [f"{notice}you and bob take turns", f"{notice}your turn"],
        )
        told = self.asks("PRIVMSG bob :one")
        self.assertEqual(told, [f"{ALICE} PRIVMSG bob one", f"{notice}bob's turn"])
        (kept,) = self.asks("PRIVMSG bob :two")
        self.assertEqual(
            kept,
            f"{notice}queued until it is your turn (/msg *chat mode full ends taking turns)",
        )
        self.assertIn("not your turn", self.asks("PRIVMSG *chat :over")[0])
        self.assertEqual(bob.texts, ["hi", "one"])
        bob.says("answer")
        self.assertEqual(
            self.asks(),
            [f"{BOB_SAYS} PRIVMSG alice answer", f"{ALICE} PRIVMSG bob two"],
        )
        self.assertEqual(bob.texts, ["hi", "one", "two"])
        self.assertEqual(
            self.asks("PRIVMSG *chat :mode full"), [f"{notice}you and bob can send at any time"]
        )

    def test_an_irc_client_passes_its_turn(self) -> None:
        self.talking()
        self.asks("PRIVMSG bob :hi", "PRIVMSG *chat :mode half")
        self.assertEqual(self.asks("PRIVMSG *chat :over"), [f"{BOB_SAYS} NOTICE alice :bob's turn"])


class KnownNameTests(IrcCase):
    pins = (("carol", "dave", "carol"),)

    def test_an_unconfirmed_caller_has_another_nickname(self) -> None:
        self.asks("PRIVMSG dave :for the real one")
        self.assertEqual(self.kept(), ["for the real one"])
        eve = self.called("dave", IDENTITIES["eve"])
        self.assertIn("/msg *chat accept dave_unconfirmed", self.asks()[1])
        self.asks("PRIVMSG *chat :accept dave_unconfirmed")
        eve.says("it is me")
        self.assertEqual(self.asks(), [":dave_unconfirmed!dave@chat PRIVMSG alice :it is me"])
        self.asks("PRIVMSG dave :still for him", "PRIVMSG dave_unconfirmed :who are you?")
        self.assertEqual(eve.texts, ["who are you?"])
        self.assertEqual(self.kept(), ["for the real one", "still for him"])

    def test_a_changed_pin_under_an_open_query(self) -> None:
        bob = self.talking()
        self.asks("PRIVMSG bob :to the old key")
        bob.leaves()
        told = self.asks(f"PRIVMSG *chat :trust bob {key_of('eve')}")
        self.assertTrue(told)
        refused = self.asks("PRIVMSG bob :a secret")
        self.assertEqual(
            refused,
            [
                ":chat 401 alice bob :nobody you know has the key of bob any more: they are bob_2 now"
            ],
        )
        self.assertEqual(self.kept(), [])
        past = bare(IrcClient(self.face).read())
        self.assertTrue(past[-1].endswith(" the old key"), past)
        self.assertIn(" PRIVMSG bob :[", past[-1])
        self.asks("PRIVMSG bob_2 :to the new key")
        self.assertEqual(self.ledger.waiting()[0][0], key_of("eve"))
        eve = self.called("bob", IDENTITIES["eve"])
        eve.says("new phone")
        self.assertIn(":bob_2!bob@chat PRIVMSG alice :new phone", self.asks())

    def test_nicknames_stay_in_the_next_run(self) -> None:
        for run, name in enumerate(("eve", "server", "eve")):
            far = self.called("zoe", IDENTITIES[name])
            self.asks("PRIVMSG *chat :accept")
            far.says("hi")
            expected = "zoe_unconfirmed_2" if name == "server" else "zoe_unconfirmed"
            self.assertIn(f":{expected}!zoe@chat PRIVMSG alice hi", self.asks(), run)
            self.begin()

    def test_a_verified_one_has_an_account(self) -> None:
        bob = self.talking()
        self.irc.read()
        self.asks("PRIVMSG *chat :verify bob yes")
        bob.says("hi")
        (line,) = self.irc.read()
        self.assertIn(";account=bob ", line)
        self.assertIn(":chat 330 alice bob bob :is verified as", self.asks("WHOIS bob"))
        self.assertIn(":chat 671 alice bob :is using a secure connection", self.asks("WHOIS bob"))


class TwoServersTests(IrcCase):
    pins = (("carol", "bobby", "eve"), ("eve", "bobby", "server"))

    def test_same_id_at_two_servers_is_two_peers(self) -> None:
        (refused,) = self.asks("PRIVMSG bobby :hi")
        self.assertIn(" 401 alice bobby :", refused)
        self.assertIn("several servers", refused)
        far = [self.called("bobby", IDENTITIES[name]) for name in ("eve", "server")]
        nicks = []
        for one in far:
            self.asks("PRIVMSG *chat :accept")
            one.says("hi")
            nicks += [line[1:].split("!")[0] for line in self.asks() if "PRIVMSG alice hi" in line]
        self.assertEqual(len(set(nicks)), 2, nicks)
        for nick in nicks:
            self.asks(f"PRIVMSG {nick} :{nick}")
        self.assertEqual([one.texts for one in far], [[nick] for nick in nicks])


class ChatTests(IrcCase):
    """Commands to `*chat`."""

    def test_incoming_call_can_be_accepted(self) -> None:
        eve = self.called("eve", IDENTITIES["eve"])
        first, how = self.asks()
        self.assertIn(":*chat!chat@chat NOTICE alice :Incoming chat request from eve?", first)
        self.assertIn("/msg *chat accept eve_unconfirmed", how)
        told = self.asks("PRIVMSG *chat :accept eve_unconfirmed")
        self.assertIn(":eve_unconfirmed!eve@chat NOTICE alice :talking with eve?", told[0])
        eve.says("hi")
        self.assertIn(":eve_unconfirmed!eve@chat PRIVMSG alice hi", self.asks())

    def test_files_are_sent_and_received(self) -> None:
        bob = self.talking()
        self.irc.read()
        path = self.home / "a file.txt"
        path.write_text("hello")
        told = self.asks(f"PRIVMSG *chat :send @bob '{path}'")
        self.assertEqual([one.name for one in bob.heard(Offer)], ["a file.txt"])
        self.assertIn("a file.txt", told[0])
        bob.tell(Offer(1, "theirs.txt", 5, DATE, "text/plain"))
        offered = self.asks()
        self.assertIn("theirs.txt", offered[0])
        self.assertTrue(any("/msg *chat accept" in line for line in offered), offered)
        self.assertEqual(
            self.asks("PRIVMSG *chat :send @nobody x")[0][:28], ":*chat!chat@chat NOTICE alic"
        )
        self.assertIn("needs a path", self.asks("PRIVMSG *chat :send @bob")[0])

    def test_answers_go_to_the_asking_client_only(self) -> None:
        other = IrcClient(self.face)
        other.read()
        (line,) = self.asks("@label=9 PRIVMSG *chat :/who")
        self.assertEqual(line, ":*chat!chat@chat NOTICE alice :no conversations")
        self.assertIn("unknown command /nonsense", self.asks("PRIVMSG *chat :nonsense")[0])
        self.assertGreater(len(self.asks("PRIVMSG *chat help")), 10)
        self.assertEqual(other.read(), [])

    def test_the_screen_beside_hears_no_answers_but_all_else(self) -> None:
        screen: list[Event] = []
        self.node.publish.listen(self.face.beside(screen.append))
        self.asks("PRIVMSG *chat :who", "PRIVMSG *chat :leave", "PRIVMSG bob :kept")
        self.assertEqual([type(event) for event in screen], [Notice])
        self.node.status()
        self.node.leave()
        self.assertEqual([type(event) for event in screen[1:]], [CommandOutput, Failed])
        self.assertEqual(self.asks(), [])

    def test_screen_shows_messages_sent_by_irc(self) -> None:
        self.talking()
        told: list[Event] = []
        self.node.publish.listen(self.face.beside(told.append, spoken=True))
        self.asks("PRIVMSG bob :\x01ACTION waves\x01")
        self.node.switch("bob")
        self.node.say("typed there")
        self.assertEqual(
            [one.text for one in told if isinstance(one, Notice)], ["you to bob: * waves"]
        )
        self.assertEqual([one.text for one in told if isinstance(one, Sent)], ["typed there"])

    def test_a_target_is_each_clients_own(self) -> None:
        self.talking()
        self.node.switch("carol")
        before = self.node.target
        self.asks("PRIVMSG *chat :switch bob", "PRIVMSG bob :hi")
        self.assertIs(self.node.target, before)

    def test_command_without_a_name_uses_the_last_recipient(self) -> None:
        self.talking()
        eve = self.called("eve", IDENTITIES["eve"])
        self.asks("PRIVMSG *chat :accept", "PRIVMSG eve_unconfirmed :hi", "PRIVMSG bob :hi")
        self.assertIn("bob", self.asks("PRIVMSG *chat :path")[0])
        self.assertEqual(
            self.asks("PRIVMSG *chat :switch eve_unconfirmed"),
            [":*chat!chat@chat NOTICE alice :commands that name nobody are about eve_unconfirmed"],
        )
        self.asks("PRIVMSG *chat :leave")
        self.assertTrue(eve.over)

    def test_history_is_shown_in_its_window(self) -> None:
        bob = self.talking()
        self.asks("PRIVMSG bob :one")
        bob.says("two")
        other = IrcClient(self.face)
        other.read()
        self.irc.read()
        self.assertEqual(
            self.asks("PRIVMSG *chat :history bob 5"),
            [f"{ALICE} PRIVMSG bob one", f"{BOB_SAYS} PRIVMSG alice two"],
        )
        self.assertEqual(other.read(), [])

    def test_away_is_for_a_server(self) -> None:
        self.assertEqual(self.asks("AWAY :lunch")[0][:17], ":chat FAIL AWAY N")

    def test_call_by_address_gets_the_peer_s_nickname(self) -> None:
        self.asks(f"PRIVMSG *chat :chat {BOB}")
        self.person()
        told = self.asks()
        self.assertIn(":10.0.0.2_5002!10.0.0.2_5002@chat NICK bob", told)
