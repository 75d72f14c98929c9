"""Every message, to the byte."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.classic import (
    SAYS,
    ClassicBridge,
    ClassicBridgeAck,
    ClassicChat,
    ClassicError,
    ClassicInfo,
    ClassicInfoAck,
    ClassicProbe,
    ClassicQuit,
    ClassicRegAck,
    ClassicRegister,
    Message,
    ProbeAck,
    QuitAck,
    Sender,
    UnregAck,
    Unregister,
    read_claimed_ip,
    read_status,
)
from chatproto.wire.codec import encode, read_message, shown
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import Contact
from chatproto.wire.statuses import STATUS_WORDS

CLIENT, SERVER, PEER = Sender.CLIENT, Sender.SERVER, Sender.PEER
BYTES: list[tuple[Message, Sender, bytes]] = [
    (
        ClassicRegister("alice", "127.0.0.1", 3000),
        CLIENT,
        b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
    ),
    (
        ClassicRegAck("alice", "127.0.0.1", 3000),
        SERVER,
        b"REGACK\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\nStatus: registered\r\n\r\n",
    ),
    (ClassicBridge("alice"), CLIENT, b"BRIDGE\r\nclientID: alice\r\n\r\n"),
    (
        ClassicBridgeAck("bob", "127.0.0.1", 3001),
        SERVER,
        b"BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n",
    ),
    (ClassicBridgeAck(), SERVER, b"BRIDGEACK\r\nclientID: \r\nIP: \r\nPort: \r\n\r\n"),
    (ClassicInfo(), CLIENT, b"INFO\r\n\r\n"),
    (ClassicInfoAck(), SERVER, b"INFOACK\r\n\r\n"),
    (
        ClassicInfoAck((Contact("alice", "127.0.0.1", 3000), Contact("bob", "::1", 3001))),
        SERVER,
        b"INFOACK\r\nalice 127.0.0.1:3000\r\nbob [::1]:3001\r\n\r\n",
    ),
    (ClassicProbe(), CLIENT, b"PROBE\r\n\r\n"),
    (ProbeAck(), SERVER, b"PROBEACK\r\n\r\n"),
    (Unregister("alice"), CLIENT, b"UNREGISTER\r\nclientID: alice\r\n\r\n"),
    (UnregAck(), SERVER, b"UNREGACK\r\n\r\n"),
    (ClassicQuit("alice"), CLIENT, b"QUIT\r\nclientID: alice\r\n\r\n"),
    (ClassicQuit(), PEER, b"QUIT\r\n\r\n"),
    (QuitAck(), SERVER, b"QUITACK\r\n\r\n"),
    (
        ClassicChat("bob", "127.0.0.1", 3001),
        PEER,
        b"CHAT\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n",
    ),
    (ClassicError(400), SERVER, b"ERROR\r\nStatus: 400 malformed\r\n\r\n"),
]


class EveryMessage(SynchronousTestCase):
    def test_is_written_as_the_protocol_has_it(self) -> None:
        for message, _, data in BYTES:
            self.assertEqual(encode(message), data)

    def test_is_read_from_its_sender(self) -> None:
        for message, sender, data in BYTES:
            block = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
            read = read_message(block, sender)
            self.assertEqual((type(read), read), (type(message), message))

    def test_is_405_from_other_senders(self) -> None:
        for message, _, data in BYTES:
            for sender, kinds in SAYS.items():
                if type(message) not in kinds:
                    block = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
                    error = self.assertRaises(RemoteError, read_message, block, sender)
                    self.assertEqual(error.status, 405)

    def test_is_among_these(self) -> None:
        self.assertEqual(
            {kind for kinds in SAYS.values() for kind in kinds},
            {type(message) for message, _, _ in BYTES},
        )

    def test_has_a_method_of_its_own_in_a_sender_s_mouth(self) -> None:
        for kinds in SAYS.values():
            self.assertEqual(len({kind.method for kind in kinds}), len(kinds))

    def test_is_shown_on_one_line(self) -> None:
        for message, _, data in BYTES:
            line = shown(message)
            self.assertTrue(line.isprintable())
            if message != ClassicQuit():
                self.assertEqual(line, data.decode().replace("\r\n", "\\r\\n"))


class AnError(SynchronousTestCase):
    def test_has_the_words_of_its_status(self) -> None:
        for status, words in STATUS_WORDS.items():
            self.assertEqual(
                encode(ClassicError(status)), f"ERROR\r\nStatus: {status} {words}\r\n\r\n".encode()
            )

    def test_may_come_with_other_words_or_none(self) -> None:
        self.assertEqual([read_status("409"), read_status("409 go away")], [409, 409])

    def test_without_a_code_is_malformed(self) -> None:
        for text in ("", "error", "4090", "40 9", "099"):
            self.assertEqual(self.assertRaises(RemoteError, read_status, text).status, 400)


class AValue(SynchronousTestCase):
    def test_ambiguous_is_not_sent(self) -> None:
        for text in ("a\r\nIP: x", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x85b", " a", "a ", "a\t"):
            for message in (
                ClassicRegAck(text, "127.0.0.1", 1),
                ClassicBridgeAck(text, "", None),
                ClassicBridge(text),
            ):
                self.assertRaises(LocalError, encode, message)
            self.assertRaises(LocalError, encode, ClassicInfoAck((Contact(text, "h\r\n", 1),)))

    def test_invalid_unicode_is_not_sent(self) -> None:
        self.assertRaises(LocalError, encode, ClassicRegAck("\udc80", "127.0.0.1", 1))

    def test_of_any_script_is_sent(self) -> None:
        self.assertIn("清 \u2028 ü".encode(), encode(ClassicRegAck("清 \u2028 ü", "127.0.0.1", 1)))

    def test_may_be_a_name_where_an_address_is_claimed(self) -> None:
        for text in ("127.0.0.1", "::1", "[::1]", "localhost", "my-pc.lan", "0.0.0.0"):
            self.assertEqual(read_claimed_ip(text), text)

    def test_neither_address_nor_name_is_malformed(self) -> None:
        for text in ("", "999.1.1.1", "1.2.3", "a b", "a..b", "-a", "x" * 254, "::g", "1.2.3.4\n"):
            self.assertEqual(self.assertRaises(RemoteError, read_claimed_ip, text).status, 400)
