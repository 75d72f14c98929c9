"""Tests of the messages of BCP/2: what their values may be, on receipt and when sent."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire import bcp2_common, bcp2_peer, bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact
from chatproto.wire.strict import SAYS, encode, shown
from tests.wire.bcp2_samples import AT, DATE, KEY, MESSAGES, STREAM, decode

REGISTER = "REGISTER\r\nCSeq: 1\r\nclientID: alice\r\nPort: 5556\r\n"
CHAT = f"CHAT\r\nclientID: a\r\nMode: full\r\nStream: {STREAM}\r\n"


class MessageTests(SynchronousTestCase):
    def test_every_message_is_read_as_written(self) -> None:
        for sender, messages in MESSAGES.items():
            self.assertEqual({type(message) for message in messages}, set(SAYS[sender]))
            for message in messages:
                self.assertEqual(decode(sender, encode(message)), [message])

    def test_a_request_has_its_number_and_a_push_has_none(self) -> None:
        pushes = {"INTRODUCE", "PRESENCE", "CLOSING", "REPLACED", "JOINED", "PARTED", "CHANGED"}
        pushes.add("INVITED")
        for sender in (Sender.CLIENT, Sender.SERVER):
            for kind in SAYS[sender]:
                numbered = any(header.name == "CSeq" for header in kind.headers)
                self.assertEqual(numbered, kind.method not in pushes, kind.method)

    def test_default_values_are_not_sent(self) -> None:
        self.assertEqual(encode(bcp2_server.BridgeAck(2)), b"BRIDGEACK\r\nCSeq: 2\r\n\r\n")
        self.assertEqual(encode(bcp2_common.Ping()), b"PING\r\n\r\n")

    def test_headers_stand_in_the_order_of_the_protocol(self) -> None:
        self.assertEqual(
            encode(MESSAGES[Sender.CLIENT][2]).decode(),
            "REGISTER\r\nCSeq: 2\r\nclientID: alice\r\nPort: 5556\r\n"
            "Addresses: 10.0.0.1:5556, [2001:db8::1]:5556\r\nExpires: 0\r\nListed: no\r\n"
            f"Allow: {KEY}, {KEY}\r\n\r\n",
        )

    @given(st.text())
    def test_no_text_breaks_a_message(self, text: str) -> None:
        message = bcp2_peer.Msg(1, AT, text)
        try:
            data = encode(message)
        except LocalError:
            self.assertRaises(UnicodeEncodeError, text.encode)
            return
        self.assertEqual(decode(Sender.PEER, data), [message])

    def test_a_trace_shows_no_ticket_and_no_text(self) -> None:
        line = shown(bcp2_server.BridgeAck(3, "bob", KEY, (), "call7", "SECRET"))
        self.assertIn("Ticket: …", line)
        self.assertNotIn("SECRET", line)
        self.assertNotIn("hello", shown(bcp2_peer.Msg(1, AT, "hello")))

    def test_nothing_shows_a_password_nor_how_long_it_is(self) -> None:
        login = bcp2_server.Login(1, "alice", "correct horse")
        self.assertEqual(shown(login), "LOGIN | CSeq: 1 | User: alice | Content-Length: …")
        self.assertNotIn("horse", repr(login))

    def test_a_trace_is_one_line_of_printable_text(self) -> None:
        for messages in MESSAGES.values():
            for message in messages:
                self.assertTrue(shown(message).isprintable())
        self.assertEqual(shown(bcp2_peer.Quit("a\u202eb")), "QUIT | Reason: a\\u202eb")


class ReadingTests(SynchronousTestCase):
    def read(self, text: str, sender: Sender = Sender.CLIENT) -> Bcp2Message:
        (message,) = decode(sender, f"{text}\r\n".encode())
        if isinstance(message, RemoteError):
            raise message
        return message

    def assert_malformed(self, *texts: str, sender: Sender = Sender.CLIENT) -> None:
        for text in texts:
            error = self.assertRaises(RemoteError, self.read, text, sender)
            self.assertEqual(error.status, 400, text)

    def test_values_are_read_strictly(self) -> None:
        self.assert_malformed(
            *(
                f"{REGISTER}{line}\r\n"
                for line in (
                    "Expires: -1",
                    "Expires: soon",
                    "Expires: ٣",
                    "Listed: maybe",
                    "Allow: sha256:x",
                    f"Allow: {KEY},",
                    "Allow: bob",
                    f"Allow: {KEY} {KEY}",
                )
            ),
            REGISTER.replace("CSeq: 1", "CSeq: -1"),
            REGISTER.replace("alice", "-alice"),
            REGISTER.replace("alice", "a" * 65),
            REGISTER.replace("5556", "0"),
            REGISTER.replace("5556", "65536"),
            "BRIDGE\r\nCSeq: 1\r\npeerID: \r\n",
            "WATCH\r\nCSeq: 1\r\n",
        )

    def test_addresses_are_literals_and_at_most_eight(self) -> None:
        self.assert_malformed(
            *(
                f"{REGISTER}Addresses: {value}\r\n"
                for value in (
                    "example.com:1",
                    "10.0.0.1",
                    "10.0.0.1:0",
                    "2001:db8::1:5",
                    "10.0.0.1:1,",
                    "[::1]",
                    "[fe80::1%eth0]:5",
                    "[fe80::1%\u202e]:5",
                    ", ".join(["10.0.0.1:1"] * 9),
                )
            )
        )
        eight = ",".join(["10.0.0.1:1"] * 8)
        message = self.read(f"{REGISTER}Addresses: {eight}\r\n")
        assert isinstance(message, bcp2_server.Register)
        self.assertEqual(message.addresses, (("10.0.0.1", 1),) * 8)

    def test_an_address_has_one_spelling(self) -> None:
        message = self.read(f"{REGISTER}Addresses: [2001:DB8:0::1]:5 ,[::ffff:127.0.0.1]:6\r\n")
        assert isinstance(message, bcp2_server.Register)
        self.assertEqual(message.addresses, (("2001:db8::1", 5), ("127.0.0.1", 6)))

    def test_a_key_has_one_spelling(self) -> None:
        message = self.read(f"{REGISTER}Allow: {KEY.lower()},{KEY.upper()}\r\n")
        assert isinstance(message, bcp2_server.Register)
        self.assertEqual(message.allow, (KEY, KEY))

    def test_a_relay_is_a_literal_or_a_name(self) -> None:
        for host in ("\u202e;x", "a b", "fe80::1%eth0", "[fe80::1%x]", "-", ""):
            self.assert_malformed(
                f"BRIDGEACK\r\nCSeq: 1\r\nRelay: {host}:5\r\n", sender=Sender.SERVER
            )

    def test_position_without_stream_is_empty(self) -> None:
        message = self.read(f"{CHAT}Have: - 0\r\n", Sender.PEER)
        assert isinstance(message, bcp2_peer.Chat)
        self.assertEqual(message.have, ("", 0))
        self.assert_malformed(
            *(
                f"{CHAT}Have: {value}\r\n"
                for value in (
                    "- 5",
                    "-",
                    " 0",
                    STREAM,
                    f"{STREAM} -1",
                    f"{STREAM}  1",
                    f"{STREAM[1:]} 1",
                    f"{STREAM} 1 2",
                    f"{STREAM} {2**53 + 1}",
                )
            ),
            sender=Sender.PEER,
        )

    def test_entries_are_numbered_from_one(self) -> None:
        for line in (
            "TURN\r\nID: 0\r\n",
            "MODE\r\nID: 0\r\nMode: half\r\n",
            f"MSG\r\nID: 0\r\nDate: {DATE}\r\nContent-Length: 0\r\n",
        ):
            self.assert_malformed(line, sender=Sender.PEER)
        self.assertEqual(self.read("MSGACK\r\nID: 0\r\n", Sender.PEER), bcp2_peer.MsgAck(0))

    def test_a_date_is_one_of_the_calendar_in_utc(self) -> None:
        for date in (
            "2026-02-30T05:00:00Z",
            "2026-11-21T25:00:00Z",
            "2026-11-21T05:00:00",
            "2026-11-21T05:00:00+01:00",
            "2026-11-21 05:00:00Z",
            "0000-01-01T00:00:00Z",
            "now",
            "\uff12\uff10\uff12\uff16-11-21T05:00:00Z",
        ):
            self.assert_malformed(
                f"MSG\r\nID: 1\r\nDate: {date}\r\nContent-Length: 0\r\n", sender=Sender.PEER
            )

    def test_a_listing_has_one_contact_a_line(self) -> None:
        for body in (
            "bob",
            "bob 10.0.0.1:1 -",
            "bob 10.0.0.1:1\r\n",
            "bob host:1 -\r\n",
            f"bob 10.0.0.1:1 {KEY}x\r\n",
            "bob 10.0.0.1:1 -\nal 10.0.0.1:2 -\r\n",
            "bob 10.0.0.1:1 -\u2028al 10.0.0.1:2 -\r\n",
            "\r\n",
            "b b 10.0.0.1:1 -\r\n",
        ):
            data = f"INFOACK\r\nCSeq: 1\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
            (error,) = decode(Sender.SERVER, data.encode())
            assert isinstance(error, RemoteError), body
            self.assertEqual((error.status, error.cseq), (400, 1))

    def test_a_text_is_utf_8(self) -> None:
        data = f"MSG\r\nID: 1\r\nDate: {DATE}\r\nContent-Length: 1\r\n\r\n".encode() + b"\xff"
        (error,) = decode(Sender.PEER, data)
        assert isinstance(error, RemoteError)
        self.assertEqual(error.status, 400)


class SendingTests(SynchronousTestCase):
    def assert_not_sent(self, message: Bcp2Message, status: int = 400) -> None:
        self.assertEqual(self.assertRaises(LocalError, encode, message).status, status, message)

    def test_a_value_that_would_be_misread_is_not_sent(self) -> None:
        for reason in ("a\r\nb", "a\nb", "\0", "\x85", " a", "a\t", "\ud800"):
            self.assert_not_sent(bcp2_peer.Quit(reason))
        for host in ("10.0.0.1:1, 10.0.0.2", "10.0.0.1 ", "example.com", ""):
            self.assert_not_sent(bcp2_server.RegAck(1, "alice", 60, (host, 5)))
            self.assert_not_sent(bcp2_server.Register(1, "alice", 5, ((host, 5),)))
            self.assert_not_sent(bcp2_server.InfoAck(1, (Contact("bob", host, 5),)))
        for client_id in ("bob 9.9.9.9:9 -\r\nal", "", "b b"):
            self.assert_not_sent(bcp2_server.InfoAck(1, (Contact(client_id, "10.0.0.1", 5),)))
        self.assert_not_sent(bcp2_server.InfoAck(1, (Contact("bob", "10.0.0.1", 5, "-\r\nx"),)))
        self.assert_not_sent(bcp2_peer.Msg(1, AT, "\ud800"))

    def test_a_value_that_would_be_refused_is_not_sent(self) -> None:
        for message in (
            bcp2_server.Bridge(-1),
            bcp2_server.Bridge(2**53 + 1),
            bcp2_server.Watch(1, ""),
            bcp2_server.Watch(1, "-b"),
            bcp2_server.Register(1, "alice", 0),
            bcp2_server.Register(1, "alice", 5, (("10.0.0.1", 5),) * 9),
            bcp2_server.Register(1, "alice", 5, allow=("sha256:x",)),
            bcp2_server.Presence("bob", "asleep"),
            bcp2_server.Introduce("alice", ""),
            bcp2_peer.Msg(0, AT, "x"),
            bcp2_peer.MsgAck(2**53 + 1),
            bcp2_peer.Chat("alice", "full", "x"),
            bcp2_peer.Chat("alice", "full", STREAM, ("", 5)),
            bcp2_peer.Mode(1, "none"),
            bcp2_common.Error(99),
        ):
            self.assert_not_sent(message)

    def test_a_scope_stays_on_its_machine(self) -> None:
        self.assertIn(
            b"\r\nObserved: [fe80::1]:5\r\n",
            encode(bcp2_server.RegAck(1, "alice", 60, ("fe80::1%eth0", 5))),
        )

    def test_messages_over_a_limit_are_not_sent(self) -> None:
        self.assert_not_sent(bcp2_peer.Msg(1, AT, "x" * 65537), 413)
        self.assert_not_sent(bcp2_peer.Quit("x" * 1017), 413)
        self.assertEqual(len(decode(Sender.PEER, encode(bcp2_peer.Quit("x" * 1016)))), 1)
        register = bcp2_server.Register(1, "alice", 5, listed=False, allow=(KEY,) * 16)
        self.assertEqual(decode(Sender.CLIENT, encode(register)), [register])
        self.assert_not_sent(replace(register, allow=(KEY,) * 17), 413)

    @given(st.data())
    def test_any_sent_message_is_read_as_written(self, data: st.DataObject) -> None:
        text = st.text(max_size=20) | st.sampled_from(
            ["alice", "full", STREAM, DATE, KEY, "online", "10.0.0.1", "a\r\nb"]
        )
        number = st.integers(-1, 2**54) | st.none()
        sender = data.draw(st.sampled_from(list(Sender)))
        message = data.draw(st.sampled_from(MESSAGES[sender]))
        for header in message.headers:
            value = getattr(message, header.attribute)
            if isinstance(value, str) and data.draw(st.booleans()):
                message = replace(message, **{header.attribute: data.draw(text)})
            elif type(value) is int and data.draw(st.booleans()):
                message = replace(message, **{header.attribute: data.draw(number)})
        try:
            sent = encode(message)
        except LocalError:
            return
        self.assertEqual(decode(sender, sent), [message])
