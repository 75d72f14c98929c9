"""Tests of reading what classic servers answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answer import (
    NoAnswer,
    ServerAnswer,
    ServerRefused,
    contact,
    contacts,
)
from chatproto.directory.answer import read_answer as read_lines
from chatproto.wire.fields import Contact

BOB = Contact("bob", "127.0.0.1", 3001)
WHOLE = b"BRIDGEACK\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n"


def read_answer(data: bytes, ended: bool) -> ServerAnswer | None:
    *lines, rest = data.split(b"\n")
    return read_lines([*(line.removesuffix(b"\r") for line in lines), rest], ended)


def read(data: bytes, ended: bool = False) -> ServerAnswer:
    answer = read_answer(data, ended)
    assert answer is not None, data
    return answer


def named(block: bytes, ended: bool = False) -> Contact | None:
    return contact(read(block, ended), "alice")


class EndOfAnswerTests(SynchronousTestCase):
    def test_answer_ends_at_its_blank_line(self) -> None:
        for end in range(len(WHOLE)):
            self.assertIsNone(read_answer(WHOLE[:end], False), WHOLE[:end])
        self.assertEqual(named(WHOLE), BOB)

    def test_leading_byte_order_mark_is_ignored(self) -> None:
        self.assertEqual(named(b"\xef\xbb\xbf" + WHOLE), BOB)

    def test_text_behind_an_answer_is_ignored(self) -> None:
        self.assertEqual(named(WHOLE + b"Port: 9\r\n\r\n"), BOB)

    def test_answer_without_blank_line_ends_with_silence(self) -> None:
        for cut in (2, 4):
            self.assertEqual(named(WHOLE[:-cut], ended=True), BOB)

    def test_line_ends_alone_are_no_answer(self) -> None:
        for data in (b"", b"\r\n", b"\n\r\n\n"):
            self.assertIsNone(read_answer(data, False))
            self.assertIsNone(read_answer(data, True))
        self.assertEqual(named(b"\r\n\n" + WHOLE), BOB)

    @given(st.binary(max_size=200), st.booleans())
    def test_rubbish_is_no_answer_and_nothing_worse(self, data: bytes, ended: bool) -> None:
        try:
            answer = read_answer(data, ended)
            if answer is not None:
                contact(answer, "alice")
                contacts(answer)
                answer.check("BRIDGEACK")
        except (NoAnswer, ServerRefused):
            pass

    @given(st.text(st.sampled_from("\r\n: \tNone0bA\u00e9\0"), max_size=60))
    def test_any_values_give_a_contact_or_none(self, values: str) -> None:
        answer = read(f"BRIDGEACK\r\nclientID: bob{values}".encode(), ended=True)
        found = contact(answer, "alice")
        self.assertTrue(found is None or found.client_id.startswith("bob"))
        contacts(answer)


class FormTests(SynchronousTestCase):
    def test_values_are_found_in_any_form(self) -> None:
        for block in (
            b"BRIDGEACK\nclientID: bob\nIP: 127.0.0.1\nPort: 3001\n\n",
            b"BRIDGEACK\r\nclientID:bob\r\nIP:127.0.0.1\r\nPort:3001\r\n\r\n",
            b"BRIDGEACK\r\nclientID:  bob \r\nIP:\t127.0.0.1\r\nPort:  3001  \r\n\r\n",
            b"BRIDGEACK\r\nPORT: 3001\r\nclientid: bob\r\nip: 127.0.0.1\r\n\r\n",
            b"BRIDGEACK\r\nStatus: ok\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n",
            b"BRIDGEACK \r\nhello\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\n",
        ):
            self.assertEqual(named(block), BOB, block)

    def test_every_form_of_an_empty_answer_means_no_peer(self) -> None:
        for values in (
            b"",
            b"clientID: \r\nIP: \r\nPort: \r\n",
            b"clientID:\r\nIP:\r\nPort:\r\n",
            b"clientID: None\r\nIP: None\r\nPort: None\r\n",
            b"clientID: bob\r\nIP: None\r\nPort: 3001\r\n",
            b"clientID: bob\r\nIP: 127.0.0.1\r\n",
            b"clientID: bob\r\nPort: 3001\r\n",
            b"IP: 127.0.0.1\r\nPort: 3001\r\n",
            b"clientID: bob\r\nIP: 127.0.0.1\r\nPort: 0\r\n",
            b"clientID: bob\r\nIP: 127.0.0.1\r\nPort: 65536\r\n",
            b"clientID: bob\r\nIP: 127.0.0.1\r\nPort: -1\r\n",
            b"clientID: bob\r\nIP: a host\r\nPort: 3001\r\n",
            b"clientID: bob\r\nIP: \x1b[2J\r\nPort: 3001\r\n",
            b"clientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n",
        ):
            self.assertIsNone(named(b"BRIDGEACK\r\n" + values + b"\r\n", True), values)

    def test_invalid_characters_of_an_id_are_removed(self) -> None:
        for told, client_id in (
            ("Bob Smith", "BobSmith"),
            ("_bob", "bob"),
            ("b\x1b[1mob", "b1mob"),
            ("\u00fc", "peer"),
            ("b" * 300, "b" * 64),
        ):
            block = f"BRIDGEACK\r\nclientID: {told}\r\nIP: ::1\r\nPort: 3001\r\n\r\n".encode()
            self.assertEqual(named(block), Contact(client_id, "::1", 3001))

    def test_listing_skips_invalid_lines(self) -> None:
        answer = read(
            b"INFOACK\r\nalice 127.0.0.1:3000\r\nthese are they\r\nbob [::1]:3001\r\n"
            b" 10.0.0.1:4\r\ncarol 10.0.0.1:x\r\ndan  10.0.0.2:5\r\n\r\n"
        )
        self.assertEqual(
            contacts(answer),
            (
                Contact("alice", "127.0.0.1", 3000),
                Contact("bob", "::1", 3001),
                Contact("dan", "10.0.0.2", 5),
            ),
        )
        self.assertEqual(contacts(read(b"INFOACK\r\n\r\n")), ())


class JudgingTests(SynchronousTestCase):
    def refused(self, block: bytes) -> ServerRefused:
        answer = read(block)
        error: ServerRefused = self.assertRaises(ServerRefused, answer.check, "REGACK")
        return error

    def test_a_yes_needs_no_status(self) -> None:
        for block in (b"REGACK\r\n\r\n", b"REGACK\r\nclientID: a\r\nStatus: registered\r\n\r\n"):
            read(block).check("REGACK")

    def test_a_no_is_known_in_all_its_forms(self) -> None:
        self.assertEqual(str(self.refused(b"REGNACK\r\n\r\n")), "REGNACK")
        self.assertEqual(str(self.refused(b"REGACK\r\nStatus: Error\r\n\r\n")), "Error")
        self.assertEqual(str(self.refused(b"ERROR\r\nno such thing\r\n\r\n")), "no such thing")

    def test_refusal_with_a_code_has_the_protocol_s_words(self) -> None:
        error = self.refused(b"ERROR\r\nStatus: 409 whatever\r\n\r\n")
        self.assertEqual((str(error), error.status), ("that id belongs to another key", 409))
        error = self.refused(b"ERROR\r\nStatus: 499 odd\r\n\r\n")
        self.assertEqual((str(error), error.status), ("499 odd", 499))

    def test_a_long_no_is_cut(self) -> None:
        self.assertEqual(len(str(self.refused(b"ERROR\r\n" + b"x" * 9000 + b"\r\n\r\n"))), 200)

    def test_an_answer_to_something_else_is_none(self) -> None:
        self.assertRaises(NoAnswer, read(WHOLE).check, "REGACK")

    def test_answers_of_other_protocols_are_named(self) -> None:
        for data, words in (
            (b"\x15\x03\x01\x00\x02\x02\x28", "TLS"),
            (b"HTTP/1.1 400 Bad Request\r\n", "web server"),
            (b"<html>", "web server"),
            (b"220 mail.example ESMTP\r\n\r\n", "not a chat server"),
        ):
            error = self.assertRaises(NoAnswer, read_answer, data, False)
            self.assertIn(words, str(error))
        error = self.assertRaises(NoAnswer, read_answer, b"SSH-2.0-x\r\n", True)
        self.assertIn("not a chat server", str(error))
