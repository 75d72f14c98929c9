"""What classic servers answer, in every form that occurs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answer import Answer, NoAnswer, Refused, contact, contacts, read_answer
from chatproto.wire.errors import REASONS
from chatproto.wire.fields import Contact

BOB = Contact("Bob", "10.0.0.2", 5002)
HEADERS = ["clientID: Bob", "IP: 10.0.0.2", "Port: 5002"]


def whole(data: bytes) -> Answer:
    """`data` read when nothing more will come."""
    answer = read_answer(data, ended=True)
    assert answer is not None
    return answer


def bridged(text: str) -> Contact | None:
    return contact(whole(text.encode()), "Alice")


class EndTests(SynchronousTestCase):
    """Where an answer ends."""

    def test_at_a_blank_line(self) -> None:
        for end in (b"\n", b"\r\n"):
            data = end.join([b"REGACK", b"clientID: Bob", b""])
            self.assertIsNone(read_answer(data, ended=False))
            self.assertIsNotNone(read_answer(data + end, ended=False))

    def test_or_when_nothing_more_comes(self) -> None:
        answer = whole(b"REGACK")
        self.assertEqual((answer.method, answer.headers, answer.lines), ("REGACK", {}, ()))

    def test_what_follows_the_blank_line_is_nothing(self) -> None:
        self.assertEqual(whole(b"REGACK\r\n\r\nclientID: Bob\r\n\r\n").headers, {})

    def test_blank_lines_before_it_are_skipped(self) -> None:
        self.assertEqual(whole(b"\r\n\n\r\nREGACK\r\n\r\n").method, "REGACK")

    def test_rubbish_is_waited_for_until_its_end(self) -> None:
        self.assertIsNone(read_answer(b"hel", ended=False))
        self.assertRaises(NoAnswer, read_answer, b"hel", True)
        self.assertRaises(NoAnswer, read_answer, b"", True)

    @given(
        st.permutations(HEADERS),
        st.sampled_from(["\n", "\r\n"]),
        st.sampled_from(["", " ", "  "]),
        st.booleans(),
    )
    def test_every_prefix_but_the_whole_is_waited_for(
        self, order: list[str], end: str, space: str, blank: bool
    ) -> None:
        lines = ["BRIDGEACK", *(line.replace(": ", f":{space}") for line in order)]
        data = (end.join(lines) + end + (end if blank else "")).encode()
        for length in range(len(data) - 1):
            self.assertIsNone(read_answer(data[:length], ended=False))
        self.assertEqual(bridged(data.decode()), BOB)

    @given(st.binary(max_size=300), st.booleans())
    def test_nothing_but_an_answer_or_its_lack_comes_of_any_bytes(
        self, data: bytes, ended: bool
    ) -> None:
        try:
            answer = read_answer(data, ended)
        except NoAnswer:
            return
        if answer is not None:
            self.assertTrue(answer.method.isupper())
            contact(answer, "Alice")
            contacts(answer)
        else:
            self.assertFalse(ended)

    @given(st.text(max_size=200))
    def test_nor_of_any_headers(self, text: str) -> None:
        answer = read_answer(f"BRIDGEACK\n{text}".encode("utf-8", "replace"), ended=True)
        assert answer is not None
        found = contact(answer, "Alice")
        self.assertTrue(found is None or found.client_id != "Alice")
        contacts(answer)


class BridgedTests(SynchronousTestCase):
    """Whom BRIDGEACK names."""

    def test_names_in_any_case_and_the_first_of_two(self) -> None:
        text = "BRIDGEACK\nCLIENTID: Bob\nip: 10.0.0.2\npOrT: 5002\nPort: 1"
        self.assertEqual(bridged(text), BOB)

    def test_with_a_status_or_without(self) -> None:
        for status in ("", "Status: 200 OK\n", "Status: ok\n", "Status: success\n"):
            answer = whole(f"BRIDGEACK\n{status}{chr(10).join(HEADERS)}".encode())
            answer.check("BRIDGEACK")
            self.assertEqual(contact(answer, "Alice"), BOB)

    def test_a_missing_blank_or_none_value_is_nobody(self) -> None:
        for place in range(3):
            name = HEADERS[place].partition(":")[0]
            for instead in ([], [f"{name}:"], [f"{name}:   "], [f"{name}: None"]):
                lines = HEADERS[:place] + instead + HEADERS[place + 1 :]
                self.assertIsNone(bridged("\r\n".join(["BRIDGEACK", *lines, "", ""])), lines)

    def test_so_is_our_own_id(self) -> None:
        self.assertIsNone(bridged("BRIDGEACK\nclientID: Alice\nIP: 10.0.0.1\nPort: 5001"))

    def test_so_is_a_port_that_is_none(self) -> None:
        for port in ("0", "-1", "65536", "x"):
            self.assertIsNone(bridged(f"BRIDGEACK\nclientID: Bob\nIP: 10.0.0.2\nPort: {port}"))

    def test_so_is_an_empty_answer(self) -> None:
        self.assertIsNone(bridged("BRIDGEACK\r\n\r\n"))


class ListedTests(SynchronousTestCase):
    """Whom INFOACK lists."""

    def test_one_a_line_with_one_space_or_more(self) -> None:
        answer = whole(b"INFOACK\r\nBob 10.0.0.2:5002\r\nEve  10.0.0.3:5003\r\n\r\n")
        self.assertEqual(contacts(answer), (BOB, Contact("Eve", "10.0.0.3", 5003)))

    def test_what_is_nobody_is_left_out(self) -> None:
        answer = whole(b"INFOACK\nStatus: ok\nBob 10.0.0.2:5002\nnobody\nEve 10.0.0.3:x\n: 1:1")
        self.assertEqual(contacts(answer), (BOB,))

    def test_none_at_all(self) -> None:
        self.assertEqual(contacts(whole(b"INFOACK\r\n\r\n")), ())


class RefusedTests(SynchronousTestCase):
    """A no."""

    def refusal(self, data: bytes) -> Refused:
        refused = self.assertRaises(Refused, whole(data).check, "REGACK")
        assert isinstance(refused, Refused)
        return refused

    def test_in_its_forms(self) -> None:
        for data, why in (
            (b"REGNACK", "REGNACK"),
            (b"REGNACK\r\nname taken\r\n\r\n", "name taken"),
            (b"ERROR\nbad request", "bad request"),
            (b"REGACK\r\nStatus: error\r\n\r\n", "error"),
            (b"REGACK\r\nStatus: ERROR no room\r\n\r\n", "ERROR no room"),
        ):
            refused = self.refusal(data)
            self.assertEqual((str(refused), refused.status), (why, None))

    def test_a_known_code_is_told_in_our_words(self) -> None:
        for code in (400, 403):
            refused = self.refusal(b"ERROR\r\nStatus: %d whatever\r\n\r\n" % code)
            self.assertEqual((str(refused), refused.status), (f"{code} {REASONS[code]}", code))

    def test_an_unknown_one_in_theirs(self) -> None:
        refused = self.refusal(b"ERROR\r\nStatus: 699 odd\r\n\r\n")
        self.assertEqual((str(refused), refused.status), ("699 odd", 699))

    def test_an_answer_to_something_else_is_none(self) -> None:
        error = self.assertRaises(NoAnswer, whole(b"INFOACK").check, "REGACK")
        self.assertEqual(str(error), "answered INFOACK instead of REGACK")


class StrangerTests(SynchronousTestCase):
    """No chat server."""

    def test_is_told_for_what_it_is(self) -> None:
        for data, words in (
            (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
            (b"\x16\x03\x03", "TLS"),
            (b"HTTP/1.1 400 Bad Request\r\n", "web server"),
            (b"<html>", "web server"),
            (b"220 mail ready\r\n\r\n", "no chat server"),
            (b"regack\r\n\r\n", "no chat server"),
            (b"\xff\xfe\r\n\r\n", "no chat server"),
        ):
            self.assertIn(words, str(self.assertRaises(NoAnswer, read_answer, data, True)))
