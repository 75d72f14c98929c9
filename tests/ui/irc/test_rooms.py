"""Rooms as channels: who comes and goes, what is said, moderation, a server that is lost."""

from __future__ import annotations

from chatproto.wire.actions import ACTION, marked
from tests.client.rooms.room_ends import Case
from tests.ui.irc.ends import CAPS, IrcClient, bare, face_of

ALICE = ":alice!alice@chat"
BOB = ":bob!bob@chat"
UNSURE = ":alice_unconfirmed!alice@chat"


class RoomTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.face = face_of(self.node.client)
        self.irc = IrcClient(self.face, caps=CAPS)
        self.irc.read()

    def both(self) -> None:
        """Alice opens the room by IRC, and Bob joins."""
        self.irc.say("JOIN #den")
        self.hall.settle()
        self.bob.joins()
        self.irc.read()

    def asks(self, *lines: str) -> list[str]:
        """Write lines; return what comes when all has arrived, without tags."""
        self.irc.say(*lines)
        self.hall.settle()
        return bare(self.irc.read())

    def test_join_shows_topic_and_names(self) -> None:
        self.bob.joins()
        self.bob.node.in_room.topic("tea and cake")
        self.hall.settle()
        self.assertEqual(
            self.asks("JOIN #DEN"),
            [
                f"{ALICE} JOIN #den",
                ":chat 332 alice #den :tea and cake",
                ":chat 353 alice = #den :alice ~bob",
                ":chat 366 alice #den :End of NAMES",
            ],
        )
        self.assertEqual(self.asks("TOPIC #den"), [":chat 332 alice #den :tea and cake"])
        self.assertEqual(self.asks("JOIN #den"), [])

    def test_joins_parts_and_messages_are_shown(self) -> None:
        self.both()
        self.bob.node.say("hello\nyou")
        self.bob.node.say(marked("waves", ACTION))
        self.bob.node.rooms.part()
        self.hall.settle()
        self.assertEqual(
            bare(self.irc.read()),
            [
                ":chat BATCH +1 chatproto/message",
                f"{BOB} PRIVMSG #den hello",
                f"{BOB} PRIVMSG #den you",
                ":chat BATCH -1",
                f"{BOB} PRIVMSG #den :\x01ACTION waves\x01",
                f"{BOB} PART #den",
            ],
        )
        self.bob.joins()
        self.assertEqual(bare(self.irc.read()), [f"{BOB} JOIN #den", ":chat MODE #den +O bob"][:1])

    def test_every_client_sees_what_one_says_and_only_echo_message_shows_it_there(self) -> None:
        self.both()
        other, plain = IrcClient(self.face, caps=CAPS), IrcClient(self.face)
        other.read(), plain.read()
        self.assertEqual(self.asks("@label=7 PRIVMSG #den :hi"), [f"{ALICE} PRIVMSG #den hi"])
        self.assertEqual(bare(other.read()), [f"{ALICE} PRIVMSG #den hi"])
        self.assertEqual(plain.read(), [f"{ALICE} PRIVMSG #den hi"])
        plain.say("PRIVMSG #den :\x01ACTION nods\x01")
        self.hall.settle()
        self.assertEqual(plain.read(), [])
        self.assertEqual(bare(other.read()), [f"{ALICE} PRIVMSG #den :\x01ACTION nods\x01"])
        self.assertEqual(self.bob.texts(), ["hi", marked("nods", ACTION)])

    def test_the_echo_has_the_label_a_time_and_an_identity(self) -> None:
        self.both()
        self.irc.say("@label=7 PRIVMSG #den :hi")
        self.hall.settle()
        (line,) = self.irc.read()
        self.assertRegex(line, r"^@time=20[0-9T:.-]+Z;msgid=[0-9a-z-]+-r;label=7 :alice")
        second = IrcClient(self.face)
        second.say("PRIVMSG #den :without labels")
        self.assertRegex(self.asks()[0], "without labels")

    def test_moderation_both_ways(self) -> None:
        self.both()
        self.assertEqual(self.asks("MODE #den +o bob"), [f"{ALICE} MODE #den +o bob"])
        self.assertEqual(self.asks("MODE #den -o bob"), [f"{ALICE} MODE #den -o bob"])
        self.assertEqual(self.asks("MODE #den +q bob"), [f"{ALICE} MODE #den +q *!bob@*"])
        self.assertEqual(self.asks("MODE #den -q *!bob@*"), [f"{ALICE} MODE #den -q *!bob@*"])
        self.assertEqual(
            self.asks("MODE #den +b bob!*@*"),
            [f"{ALICE} MODE #den +b *!bob@*", f"{ALICE} KICK #den bob banned"],
        )
        self.assertEqual(self.asks("MODE #den -b *!bob@*"), [f"{ALICE} MODE #den -b *!bob@*"])
        self.bob.joins()
        self.irc.read()
        self.assertEqual(self.asks("KICK #den bob :out"), [f"{ALICE} KICK #den bob out"])
        self.assertEqual(self.asks("TOPIC #den :new"), [f"{ALICE} TOPIC #den new"])
        self.assertEqual(
            self.asks("MODE #den +i+k secret"),
            [f"{ALICE} MODE #den +i", f"{ALICE} MODE #den +k secret"],
        )
        self.assertEqual(self.asks("MODE #den"), [":chat 324 alice #den +ik"])
        many = self.asks("MODE #den +iiiiiii+o bob")
        self.assertEqual(
            many[0],
            ":chat FAIL MODE TOO_MANY #den :At most 6 changes in one line, not done: +i +o bob",
        )
        self.assertEqual(many[1:], [f"{ALICE} MODE #den +i"] * 6)
        self.asks("MODE #den -ik x")
        self.assertEqual(self.asks("MODE #den"), [":chat 324 alice #den +"])

    def test_orders_of_other_members_are_shown(self) -> None:
        self.bob.joins()
        self.asks("JOIN #den")
        self.assertEqual(
            [
                line.split(" ")[1]
                for line in self.asks("KICK #den bob", "TOPIC #den :x", "MODE #den +i")
            ],
            ["482"] * 3,
        )
        self.bob.node.in_room.op("alice")
        self.hall.settle()
        self.assertEqual(self.asks(), [f"{BOB} MODE #den +o alice"])
        self.bob.node.in_room.kick("alice")
        self.hall.settle()
        self.assertEqual(self.asks(), [f"{BOB} KICK #den alice kicked"])
        self.assertEqual(self.asks("NAMES #den"), [":chat 366 alice #den :End of NAMES"])
        self.bob.node.in_room.invite("alice")
        self.hall.settle()
        self.assertEqual(self.asks(), [f"{BOB} INVITE alice #den"])

    def test_join_0_leaves_all(self) -> None:
        self.both()
        self.irc.say("JOIN #tea")
        self.hall.settle()
        self.asks()
        self.assertEqual(self.asks("JOIN 0"), [f"{ALICE} PART #den", f"{ALICE} PART #tea"])

    def test_questions(self) -> None:
        self.both()
        self.assertEqual(
            [line.split(" ", 3)[1:] for line in self.asks("WHO #den", "WHO zoe", "WHO bob")],
            [
                ["352", "alice", "#den alice chat chat alice H~ :0 no key known"],
                ["352", "alice", "#den bob chat chat bob H :0 no key known"],
                ["315", "alice", "#den :End of WHO"],
                ["315", "alice", "zoe :End of WHO"],
                ["352", "alice", "* bob chat chat bob H :0 no key known"],
                ["315", "alice", "bob :End of WHO"],
            ],
        )
        self.assertIn(":chat 319 alice bob #den", self.asks("WHOIS bob"))
        self.assertEqual(self.asks("WHOIS zoe")[0], ":chat 401 alice zoe :No such nick")
        self.assertEqual(self.asks("ISON zoe bob", "USERHOST bob"), [
            ":chat 303 alice bob", ":chat 302 alice bob=+bob@chat",
        ])  # fmt: skip
        self.assertIn(":chat 322 alice #den 2 :", self.asks("LIST"))
        self.assertIn(":chat 322 alice #den 2 :", self.asks("LIST #Den,#tea"))
        self.assertEqual([line.split(" ")[1] for line in self.asks("LIST #tea")], ["321", "323"])
        self.assertEqual(self.asks("NAMES"), self.asks("NAMES #den"))
        self.assertEqual(self.asks("WHO"), [":chat 315 alice * :End of WHO"])
        self.assertEqual(self.asks("MODE alice", "MODE bob +i", "MODE #den b", "MODE #den +x"), [
            ":chat 221 alice +",
            ":chat 502 alice :Cannot change the modes of others",
            ":chat 368 alice #den :The list is kept by the server only",
            ":chat 472 alice x :No such mode",
        ])  # fmt: skip

    def test_refusals(self) -> None:
        self.bob.joins("#den", "its-key")
        numerics = [
            line.split(" ")[1]
            for line in self.asks(
                "JOIN nonsense!", "PART #den", "PRIVMSG #den :x", "KICK #den bob",
                "INVITE bob #den", "TOPIC #den", "MODE #den +o bob",
            )
        ]  # fmt: skip
        self.assertEqual(numerics, ["403", "442", "404", "442", "442", "442", "442"])
        self.assertEqual(
            self.asks("JOIN #den wrong"),
            [
                ":chat 475 alice #den :that is not the key of #den: /msg *chat join #den key=KEY",
            ],
        )
        self.bob.node.in_room.settings("#den", None, True, None)
        self.hall.settle()
        self.assertEqual(
            self.asks("JOIN #den its-key"),
            [
                ":chat 473 alice #den :#den is by invitation only: ask a moderator for one "
                "(/msg *chat invite)"
            ],
        )
        self.bob.node.in_room.ban("alice")
        self.bob.node.in_room.settings("#den", None, False, None)
        self.hall.settle()
        self.assertIn(
            ":chat 474 alice #den :you are banned from #den", self.asks("JOIN #den its-key")[0]
        )
        self.bob.node.in_room.unban("alice")
        self.hall.settle()
        self.assertEqual(self.asks("JOIN #den,#two its-key,")[0], f"{ALICE} JOIN #den")
        self.assertEqual(self.asks("PART #den,#two"), [f"{ALICE} PART #den", f"{ALICE} PART #two"])

    def test_lost_server_and_missed_messages_are_shown(self) -> None:
        self.both()
        self.alice.breaks()
        self.hall.person("carol").joins()
        self.bob.node.say("did you hear?")
        self.hall.settle()
        self.bob.node.rooms.part()
        self.hall.settle()
        self.assertEqual(self.asks(), [])
        self.alice.comes()
        self.hall.settle()
        lines = self.asks()
        self.assertEqual(sorted(lines[:2]), [f"{BOB} PART #den", ":carol!carol@chat JOIN #den"])
        self.assertEqual(lines[2:], [f"{BOB} PRIVMSG #den :did you hear?"])

    def test_later_client_gets_the_state_and_missed_messages(self) -> None:
        self.both()
        self.irc.end()
        self.bob.node.say("nobody is there")
        self.hall.settle()
        again = IrcClient(self.face, caps=CAPS)
        self.assertEqual(
            bare(again.read())[-4:],
            [
                f"{ALICE} JOIN #den",
                ":chat 353 alice = #den :~alice bob",
                ":chat 366 alice #den :End of NAMES",
                f"{BOB} PRIVMSG #den :nobody is there",
            ],
        )
        again.end()
        later = IrcClient(self.face)
        self.assertNotIn("nobody is there", later.read()[-1])

    def test_client_without_server_time_gets_times_in_texts(self) -> None:
        self.both()
        self.irc.end()
        self.bob.node.say("early")
        self.bob.node.say(marked("naps", ACTION))
        self.hall.settle()
        plain = IrcClient(self.face).read()
        self.assertEqual(plain[-2], f"{BOB} PRIVMSG #den :[2023-11-14 22:13Z] early")
        self.assertEqual(plain[-1], f"{BOB} PRIVMSG #den :\x01ACTION [2023-11-14 22:13Z] naps\x01")

    def test_many_names_take_several_lines(self) -> None:
        self.both()
        for number in range(60):
            self.hall.person(f"somebody-with-a-long-name-{number}").joins()
        self.irc.read()
        lines = self.asks("NAMES #den")
        self.assertEqual([line.split(" ")[1] for line in lines], ["353"] * 4 + ["366"])
        found = " ".join(line.split(" :")[1] for line in lines[:-1]).split(" ")
        self.assertEqual(len(found), 62)
        self.assertTrue(all(len(line) <= 510 for line in lines))


class OtherKeyTests(Case):
    """Dora has a pin of Alice with another key than the one of the Alice in the room."""

    def setUp(self) -> None:
        super().setUp()
        self.known = "sha256:" + "K" * 52
        self.dora = self.hall.person("dora", pins={"alice": self.known, "bob": self.bob.key})
        self.face = face_of(self.dora.node.client)
        self.irc = IrcClient(self.face, "dora", caps=CAPS)
        self.irc.say("JOIN #den")
        self.hall.settle()
        self.irc.read()

    def shown(self) -> list[str]:
        """Return what came, but for notices."""
        return [line for line in bare(self.irc.read()) if " NOTICE " not in line]

    def test_member_with_another_key_has_an_unconfirmed_nickname(self) -> None:
        self.both_join()
        self.assertEqual(
            [line for line in self.shown() if "alice" in line],
            [f"{ALICE} JOIN #den", f"{ALICE} PART #den", f"{UNSURE} JOIN #den"],
        )
        for one in (self.alice, self.bob):
            one.node.say("hello")
        self.hall.settle()
        self.assertEqual(
            self.shown(), [f"{UNSURE} PRIVMSG #den hello", f"{BOB} PRIVMSG #den hello"]
        )
        self.irc.say("NAMES #den")
        self.assertIn("alice_unconfirmed", self.shown()[0])
        self.irc.say("PRIVMSG alice_unconfirmed :is it you?")
        self.assertIn(" 401 dora alice_unconfirmed ", self.shown()[0])

    def test_right_key_has_its_nickname_again(self) -> None:
        self.both_join()
        self.alice.node.rooms.part()
        self.hall.settle()
        self.shown()
        self.alice.key = self.known
        self.alice.joins()
        self.assertEqual(
            self.shown(), [f"{UNSURE} JOIN #den", f"{UNSURE} PART #den", f"{ALICE} JOIN #den"]
        )
        self.alice.node.say("it is me")
        self.hall.settle()
        self.assertEqual(self.shown(), [f"{ALICE} PRIVMSG #den :it is me"])
