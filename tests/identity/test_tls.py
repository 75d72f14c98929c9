"""TLS judged by key: who is let in, who is not, and what a person is told."""

from __future__ import annotations

from warnings import catch_warnings, simplefilter

from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL, crypto
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.keys import Identity, new_identity
from chatproto.identity.tls import Tls
from chatproto.net.handshake import Judge
from chatproto.wire.strict import TLS_CLIENT_HELLO
from tests.identity.ends import End, Stranger, certificate, meet, new_key
from tests.limits import DEFAULTS

ALICE, BOB, EVE = new_identity(), new_identity(), new_identity()
SIDES = {"a client": True, "a server": False}


def pinned(identity: Identity) -> Judge:
    """Takes this key only."""
    return lambda key: None if key == identity.name else "that is not their key"


def pair(caller: End, called: End) -> tuple[End, End]:
    meet(caller, called)
    return caller, called


class PairTests(SynchronousTestCase):
    """Two of ours."""

    def test_both_prove_their_keys(self) -> None:
        caller, called = pair(End(Tls(ALICE), True), End(Tls(BOB), False))
        self.assertTrue(caller.talk.accepted and called.talk.accepted)
        self.assertEqual(caller.talk.handshake.peer_key, BOB.name)
        self.assertEqual(called.talk.handshake.peer_key, ALICE.name)
        self.assertEqual((caller.talk.done, called.talk.done), (1, 1))

    def test_text_arrives_and_is_not_readable_on_the_wire(self) -> None:
        caller, called = pair(End(Tls(ALICE), True), End(Tls(BOB), False))
        caller.tls.write(b"a word between us")
        data = caller.take()
        self.assertNotIn(b"word", data)
        called.give(data)
        self.assertEqual(called.talk.heard, b"a word between us")

    def test_begins_with_the_byte_that_tells_it_from_plain_text(self) -> None:
        self.assertEqual(End(Tls(ALICE), True).take()[0], TLS_CLIENT_HELLO)

    def test_one_identity_serves_many_connections_each_with_its_own_judge(self) -> None:
        server = Tls(BOB)
        good = pair(End(Tls(ALICE), True), End(server, False, pinned(ALICE)))
        bad = pair(End(Tls(EVE), True), End(server, False, pinned(ALICE)))
        more = pair(End(Tls(ALICE), True), End(server, False, pinned(ALICE)))
        self.assertTrue(good[1].talk.accepted and more[1].talk.accepted)
        self.assertFalse(bad[1].talk.accepted)

    def test_no_id_or_key_is_readable_on_the_wire(self) -> None:
        caller, called = End(Tls(ALICE), True), End(Tls(BOB), False)
        seen = b""
        for _ in range(4):
            there, back = caller.take(), called.take()
            seen += there + back
            called.give(there)
            caller.give(back)
        self.assertTrue(caller.talk.accepted)
        for identity in (ALICE, BOB):
            public = identity.private.public_key().public_bytes_raw()
            self.assertNotIn(public, seen)
        self.assertNotIn(b"chatproto", seen)


class WrongKeyTests(SynchronousTestCase):
    """A key that is refused."""

    def test_server_with_another_key_never_sees_our_key(self) -> None:
        caller, server = End(Tls(ALICE), True, pinned(BOB)), Stranger.of(False, EVE)
        server.meet(caller)
        self.assertFalse(caller.talk.done)
        self.assertEqual(caller.talk.trouble, "that is not their key")
        self.assertFalse(server.saw_certificate())

    def test_server_with_the_right_key_sees_our_key(self) -> None:
        caller, server = End(Tls(ALICE), True, pinned(BOB)), Stranger.of(False, BOB)
        server.meet(caller)
        self.assertTrue(caller.talk.accepted)
        self.assertTrue(server.saw_certificate())

    def test_a_client_with_another_key_is_refused(self) -> None:
        caller, called = pair(End(Tls(EVE), True), End(Tls(BOB), False, pinned(ALICE)))
        self.assertFalse(called.talk.done)
        self.assertEqual(called.talk.trouble, "that is not their key")
        self.assertEqual(caller.talk.trouble, "the other program refused our key")

    def test_data_of_a_refused_client_is_not_read(self) -> None:
        called, client = End(Tls(BOB), False, pinned(ALICE)), Stranger.of(True, EVE)
        client.meet(called)
        try:
            client.connection.send(b"let me in")
        except SSL.Error:
            pass
        client.meet(called)
        self.assertEqual(called.talk.heard, b"")

    def test_a_judge_that_fails_refuses_and_is_in_the_log(self) -> None:
        def broken(key: str) -> str | None:
            raise ZeroDivisionError

        _, called = pair(End(Tls(ALICE), True), End(Tls(BOB), False, broken))
        self.assertFalse(called.talk.done)
        self.assertEqual(called.talk.trouble, "the key could not be checked, the log has details")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        again = pair(End(Tls(ALICE), True), End(Tls(BOB), False))
        self.assertTrue(again[1].talk.accepted)


class StrangerTests(SynchronousTestCase):
    """Programs that are not ours."""

    def refused(self, stranger: Stranger, end: End, why: str) -> None:
        stranger.meet(end)
        self.assertFalse(end.talk.accepted)
        self.assertEqual(end.talk.trouble, why)
        self.assertTrue(end.wire.disconnecting)

    def test_a_client_without_a_certificate_is_refused(self) -> None:
        stranger = Stranger(True)
        self.refused(stranger, End(Tls(BOB), False), "the other program showed no certificate")
        self.assertRaisesRegex(SSL.Error, "certificate required", stranger.read)

    def test_older_tls_is_refused(self) -> None:
        for who, client in SIDES.items():
            with self.subTest(who):
                stranger = Stranger.of(client, EVE, newest=SSL.TLS1_2_VERSION)
                end = End(Tls(BOB), not client)
                self.refused(stranger, end, "the other program has no TLS 1.3")

    def test_other_protocols_are_refused_before_our_certificate_is_shown(self) -> None:
        for who, client in SIDES.items():
            for alpn in ((), (b"h2",)):
                with self.subTest(who, alpn=alpn):
                    stranger, end = Stranger.of(client, EVE, alpn=alpn), End(Tls(BOB), not client)
                    self.refused(stranger, end, "the other program speaks TLS, but not bcp/2")
                    self.assertEqual(stranger.saw_certificate(), client)  # a server shows its first

    def test_one_protocol_among_others_is_enough(self) -> None:
        stranger, end = Stranger.of(True, EVE, alpn=(b"h2", b"bcp/2")), End(Tls(BOB), False)
        stranger.meet(end)
        self.assertTrue(end.talk.accepted)

    def test_only_ed25519_keys_are_taken(self) -> None:
        others = {
            "EC": ec.generate_private_key(ec.SECP256R1()),
            "RSA": rsa.generate_private_key(65537, 2048),
            "Ed448": ed448.Ed448PrivateKey.generate(),
        }
        for kind, private in others.items():
            for who, client in SIDES.items():
                with self.subTest(f"{who} with {kind}"):
                    stranger, end = Stranger(client, private), End(Tls(BOB), not client)
                    self.refused(stranger, end, "the certificate is not one of an Ed25519 key")

    def test_a_certificate_that_no_reader_likes_is_refused_in_silence(self) -> None:
        private = new_key()
        der = bytearray(certificate(private).public_bytes(Encoding.DER))
        der[der.index(bytes.fromhex("a003020102")) + 4] = 7  # version 8
        odd = crypto.load_certificate(crypto.FILETYPE_ASN1, bytes(der))
        for who, client in SIDES.items():
            with self.subTest(who):
                with catch_warnings():
                    simplefilter("ignore", DeprecationWarning)  # the other way refuses it as well
                    stranger = Stranger(client, private, odd)
                end = End(Tls(BOB), not client)
                self.refused(stranger, end, "the certificate is not one of an Ed25519 key")

    def test_dates_and_names_of_a_certificate_do_not_count(self) -> None:
        private = new_key()  # its certificate ended in 2001
        for who, client in SIDES.items():
            with self.subTest(who):
                stranger, end = Stranger(client, private), End(Tls(BOB), not client)
                stranger.meet(end)
                self.assertTrue(end.talk.accepted)

    def test_a_certificate_may_be_made_anew_with_the_same_key(self) -> None:
        private, names = new_key(), set()
        for name in ("one", "two"):
            end = End(Tls(BOB), False)
            Stranger(True, private, certificate(private, name=name)).meet(end)
            names.add(end.talk.handshake.peer_key)
        self.assertEqual(len(names), 1)

    def test_a_large_certificate_is_refused(self) -> None:
        private = new_key()
        for padding in (DEFAULTS.certificate, 90_000, 1_000_000):
            shown = certificate(private, padding=padding)
            for who, client in SIDES.items():
                with self.subTest(who, padding=padding):
                    stranger, end = Stranger(client, private, shown), End(Tls(BOB), not client)
                    self.refused(stranger, end, "the certificate of the other program is too large")

    def test_a_certificate_just_below_the_limit_is_taken(self) -> None:
        private = new_key()
        shown = certificate(private, padding=DEFAULTS.certificate - 1024)
        end = End(Tls(BOB), False)
        Stranger(True, private, shown).meet(end)
        self.assertTrue(end.talk.accepted)

    def test_oversized_certificates_are_refused(self) -> None:
        private = new_key()
        ballast = [certificate(new_key(), padding=30_000, name=str(n)) for n in range(2)]
        for who, client in SIDES.items():
            with self.subTest(who):
                end = End(Tls(BOB), not client)
                Stranger(client, private, chain=ballast).meet(end)
                self.assertFalse(end.talk.accepted)
                self.assertEqual(
                    end.talk.handshake.refusal, "the certificate of the other program is too large"
                )

    def test_a_certificate_of_an_authority_is_worth_no_more_than_its_key(self) -> None:
        authority, private = new_key(), new_key()
        root = certificate(authority, name="root", by="root")
        shown = certificate(private, issuer=authority, name="leaf", by="root")
        for who, client in SIDES.items():
            with self.subTest(who):
                end = End(Tls(BOB), not client, pinned(EVE))
                Stranger(client, private, shown, chain=[root]).meet(end)
                self.assertFalse(end.talk.accepted)

    def test_foreign_certificate_beside_ones_own_proves_nothing(self) -> None:
        private = new_key()
        for by in ("chatproto", "x"):  # as if Bob had signed it; and as it is
            shown = certificate(private, name="x", by=by)
            for who, client in SIDES.items():
                with self.subTest(who, by=by):
                    end = End(Tls(ALICE), not client, pinned(BOB))
                    Stranger(client, private, shown, chain=[BOB.certificate]).meet(end)
                    self.assertFalse(end.talk.accepted)
                    self.assertNotEqual(end.talk.handshake.peer_key, BOB.name)

    def test_no_session_is_resumed(self) -> None:
        server = Tls(BOB)
        first, end = Stranger.of(True, EVE), End(server, False)
        first.meet(end)
        end.tls.write(b"now the tickets have come")
        first.meet(end)
        first.read()
        session = first.connection.get_session()
        self.assertIsNotNone(session)
        judged: list[str] = []

        def judge(key: str) -> str | None:
            judged.append(key)
            return "not this time"

        again = Stranger(True, context=first.context, session=session)
        end = End(server, False, judge)
        again.meet(end)
        self.assertEqual(judged, [EVE.name])
        self.assertFalse(end.talk.accepted)


class NoTlsTests(SynchronousTestCase):
    """Input that is no handshake, or half of one."""

    def test_plain_text_answer_to_tls_is_recognised(self) -> None:
        for text in (
            b"ERROR\r\nStatus: 400 malformed\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"REGACK\r\nclientID: a\r\n\r\n",
            b"hello there, who is it?",
            bytes(100),
        ):
            with self.subTest(text=text):
                end = End(Tls(ALICE), True)
                end.give(text)
                end.end()
                self.assertEqual(end.talk.trouble, "the other program does not speak TLS")

    def test_unfinished_handshake_is_reported(self) -> None:
        whole = End(Tls(ALICE), True).take()
        for length in (1, 5, 100, len(whole)):
            with self.subTest(length=length):
                end = End(Tls(BOB), False)
                end.give(whole[:length])
                self.assertFalse(end.wire.disconnecting)
                end.end()
                self.assertIn("during the TLS handshake", end.talk.trouble)

    def test_a_polite_end_in_the_middle_is_no_error_of_ours(self) -> None:
        goodbye = bytes.fromhex("15030300020100")
        caller, called = End(Tls(ALICE), True), End(Tls(BOB), False)
        for end, data in ((called, caller.take() + goodbye), (caller, goodbye)):
            end.give(data)
            end.end()
            self.assertIn("during the TLS handshake", end.talk.trouble)

    def test_another_alert_is_not_taken_for_a_refusal(self) -> None:
        end = End(Tls(ALICE), True)
        end.give(bytes.fromhex("15030300020250"))
        end.end()
        self.assertEqual(end.talk.trouble, "the TLS handshake failed (tlsv1 alert internal error)")

    @given(st.binary(min_size=1, max_size=400))
    def test_no_bytes_make_a_server_stumble(self, data: bytes) -> None:
        for first in (b"", bytes([TLS_CLIENT_HELLO, 3, 1])):
            end = End(Tls(BOB), False)
            end.give(first + data)
            end.end()
            self.assertFalse(end.talk.accepted)
            self.assertNotIn("\n", end.talk.trouble)

    @given(st.data())
    def test_no_change_of_a_handshake_makes_a_server_stumble(self, data: st.DataObject) -> None:
        hello = bytearray(End(Tls(ALICE), True).take())
        where = data.draw(st.integers(0, len(hello) - 1))
        hello[where] ^= data.draw(st.integers(1, 255))
        end = End(Tls(BOB), False)
        end.give(bytes(hello))
        end.end()
        self.assertFalse(end.talk.accepted)
        self.assertTrue(end.talk.trouble)

    def test_every_reason_is_one_sentence(self) -> None:
        handshake = Tls(ALICE).handshake(lambda key: None)
        for error in (
            SSL.Error(),
            SSL.Error([]),
            SSL.Error([("SSL routines", "", "something new")]),
            SSL.SysCallError(-1, "Unexpected EOF"),
            SSL.SysCallError(104, "ECONNRESET"),
            SSL.ZeroReturnError(),
            ConnectionDone(),
            ConnectionLost(),
            ConnectionRefusedError(),
            ZeroDivisionError("no"),
        ):
            with self.subTest(error=repr(error)):
                said = handshake.trouble(Failure(error))
                self.assertTrue(said)
                self.assertNotIn("\n", said)
