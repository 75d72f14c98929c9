"""One IRC client: registration, password, capabilities, limits."""

from __future__ import annotations

from chatproto.client.calls.connections import EXIT_WAIT
from chatproto.ui.irc import connection, face
from chatproto.wire.irc import LINE_BYTES, TAG_BYTES
from tests.client.rooms.room_ends import Case
from tests.net.library_lines import cut_by_twisted
from tests.ui.irc.ends import CAPS, IrcClient, face_of

WELCOME = ["001", "002", "003", "004", "005", "005", "375", "372", "372", "372", "376"]


class RegistrationTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.face = face_of(self.node.client)

    def test_nick_and_user_are_enough(self) -> None:
        self.assertEqual(IrcClient(self.face).commands(), WELCOME)

    def test_nickname_is_always_the_id(self) -> None:
        one = IrcClient(self.face, "foo")
        lines = one.read()
        self.assertEqual(lines[0], ":chat 001 foo :Welcome to chatproto, foo")
        self.assertEqual(lines[-1], ":foo!alice@chat NICK alice")
        self.assertEqual(one.asks("NICK zed"), [":alice!alice@chat NICK alice"])

    def test_registration_waits_for_cap_end(self) -> None:
        one = IrcClient(self.face, nick="")
        one.say("CAP LS 302", "NICK alice", "USER me 0 * :Me")
        (offer,) = one.read()
        self.assertIn(" LS :account-tag batch cap-notify echo-message", offer)
        self.assertEqual(
            one.asks("CAP REQ :batch nonsense")[0], ":chat CAP alice NAK :batch nonsense"
        )
        self.assertEqual(one.asks("CAP REQ :batch server-time")[0][:20], ":chat CAP alice ACK ")
        self.assertEqual(one.asks("CAP LIST")[0].split(" :")[1], "batch cap-notify server-time")
        self.assertEqual(one.asks("CAP REQ -batch")[0], ":chat CAP alice ACK -batch")
        self.assertEqual(one.asks("CAP X")[0].split(" ")[1], "410")
        one.say("CAP END")
        self.assertEqual(one.commands(), WELCOME)

    def test_commands_before_registration_are_refused(self) -> None:
        one = IrcClient(self.face, nick="")
        self.assertEqual(one.asks("JOIN #den", "PING x", "NICK")[0].split(" ")[1], "451")
        self.assertEqual(self.alice.changes(), [])
        one.say("QUIT")
        self.assertTrue(one.transport.disconnecting)

    def test_once_is_enough(self) -> None:
        one = IrcClient(self.face)
        one.read()
        self.assertEqual(
            [line.split(" ")[1] for line in one.asks("USER a 0 * b", "PASS x")], ["462"] * 2
        )

    def test_a_client_that_does_not_register_is_closed(self) -> None:
        slow, good = IrcClient(self.face, nick=""), IrcClient(self.face)
        self.hall.clock.advance(connection.IRC_WAIT)
        self.assertIn("no registration within 60 s", slow.read()[0])
        self.assertTrue(slow.transport.disconnecting)
        self.assertFalse(good.transport.disconnecting)

    def test_only_so_many_clients(self) -> None:
        clients = [IrcClient(self.face) for _ in range(face.IRC_CONNECTIONS)]
        self.assertIsNone(self.face.buildProtocol(None))
        clients[0].end()
        self.assertIsNotNone(self.face.buildProtocol(None))

    def test_unregistered_connections_make_room(self) -> None:
        good = IrcClient(self.face)
        strangers = [IrcClient(self.face, nick="") for _ in range(face.IRC_CONNECTIONS)]
        self.assertEqual(len(self.face), face.IRC_CONNECTIONS)
        self.assertTrue(strangers[0].transport.disconnected)
        IrcClient(self.face)
        self.assertEqual([one.transport.disconnected for one in strangers[:3]], [True, True, False])
        self.assertFalse(good.transport.disconnected)
        strangers[0].end()
        self.assertEqual(len(self.face), face.IRC_CONNECTIONS)


class PasswordTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.face = face_of(self.node.client, password="geheim é")

    def test_admits_clients_with_the_password(self) -> None:
        one = IrcClient(self.face, nick="")
        one.say("PASS :geheim é", "NICK alice", "USER me 0 * :Me")
        self.assertEqual(one.commands(), WELCOME)

    def test_others_receive_nothing(self) -> None:
        self.alice.joins()
        for before in ((), ("PASS wrong",), ("PASS :geheim ",), ("PASS",)):
            one = IrcClient(self.face, nick="")
            one.say(*before, "NICK alice", "USER me 0 * :Me", "PRIVMSG #den :hi")
            self.assertEqual([line.split(" ")[1] for line in one.read()], ["464", ":Closing"])
            self.assertTrue(one.transport.disconnecting)
            one.end()


class LineTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.face = face_of(self.node.client)
        self.irc = IrcClient(self.face, caps=CAPS)
        self.irc.read()

    def test_bytes_that_are_not_utf8_are_refused(self) -> None:
        self.irc.send("PRIVMSG #den :café\r\n".encode("latin-1"))
        self.assertEqual(self.irc.read(), [":chat FAIL * INVALID_UTF8 :a line must be UTF-8"])

    def test_a_line_that_is_too_long_is_refused_and_one_far_too_long_is_the_end(self) -> None:
        self.irc.say("PRIVMSG #den :" + "x" * LINE_BYTES)
        self.assertEqual(self.irc.commands(), ["417"])
        self.irc.send(b"x" * (TAG_BYTES + LINE_BYTES + 1))
        self.assertEqual(self.irc.commands(), ["ERROR"])
        self.assertTrue(self.irc.transport.disconnecting)

    def test_unknown_commands_and_missing_parameters_have_numerics(self) -> None:
        self.irc.say("NONSENSE", "JOIN", "PRIVMSG", "PRIVMSG bob", "PRIVMSG bob :", "MOTD", "")
        self.assertEqual(
            self.irc.commands(),
            ["421", "461", "461", "412", "412", "375", "372", "372", "372", "376"],
        )

    def test_a_label_is_answered_once(self) -> None:
        self.assertEqual(self.irc.asks("@label=a PING x"), ["@label=a :chat PONG chat x"])
        self.assertEqual(self.irc.asks("@label=b PONG x"), ["@label=b :chat ACK"])
        begin, *lines, end = self.irc.asks("@label=c MOTD")
        self.assertEqual(
            (begin, end), ("@label=c :chat BATCH +1 labeled-response", ":chat BATCH -1")
        )
        self.assertTrue(all(line.startswith("@batch=1 :chat 37") for line in lines))
        too_long = f"@label={'x' * 65} PING x"
        self.assertEqual(self.irc.asks(too_long), [":chat PONG chat x"])

    def test_lines_can_be_split_anywhere(self) -> None:
        data = b"PING a\r\nPING b\nNAMES #den\r\n"
        for byte in data:
            self.irc.send(bytes([byte]))
        whole = self.irc.read()
        self.irc.send(data)
        self.assertEqual(self.irc.read(), whole)
        cut_by_twisted(self)
        other = IrcClient(self.face, caps=CAPS)
        other.read()
        other.send(data)
        self.assertEqual(other.read(), whole)

    def test_a_client_that_does_not_read_is_dropped(self) -> None:
        self.patch(connection, "IRC_UNSENT", 1000)
        carol = self.hall.person("carol")
        self.irc = IrcClient(face_of(carol.node.client), "carol")
        self.irc.transport.producer.pauseProducing()
        enough = connection.IRC_UNSENT // len(":chat PONG chat x\r\n")
        self.irc.say(*["PING x"] * (enough - 1))
        self.assertFalse(self.irc.transport.disconnecting)
        self.irc.say(*["PING x"] * 5)
        self.assertTrue(self.irc.transport.disconnecting)

    def test_nothing_is_read_while_input_is_held(self) -> None:
        self.face.hold(True)
        self.assertEqual(self.irc.asks("PING x"), [])
        late = IrcClient(self.face)
        self.assertEqual(late.read(), [])
        self.face.hold(False)
        self.assertEqual(self.irc.commands(), ["PONG"])
        self.assertEqual(late.commands(), WELCOME)

    def test_a_client_with_many_requests_is_not_read_until_some_are_over(self) -> None:
        self.patch(connection, "IRC_REQUESTS", 3)
        carol = self.hall.person("carol")
        self.irc = IrcClient(face_of(carol.node.client), "carol", CAPS)
        carol.joins()
        self.irc.read()
        self.irc.say(*[f"PRIVMSG #den :{number}" for number in range(20)], "PING end")
        self.assertEqual(self.irc.commands(), [])
        for _ in range(60):
            self.hall.settle()
            self.hall.clock.advance(1)
        commands = self.irc.commands()
        self.assertEqual(commands.count("PRIVMSG"), 20)
        self.assertGreaterEqual(commands.index("PONG"), 18)

    def test_end_of_the_program_is_reported(self) -> None:
        self.node.stop()
        self.hall.clock.advance(EXIT_WAIT)
        self.assertEqual(self.irc.read()[-1], "ERROR :Closing link: the program ends")
        self.assertTrue(self.irc.transport.disconnecting)
