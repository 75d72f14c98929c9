"""A client with an account logs in on each connection before it says who it is."""

from __future__ import annotations

from functools import partial

from chatproto.directory.secure_client import SecureServer
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.directory.test_secure_client import ALICE, OBSERVED, Case, Shake

LOGIN = partial(bcp2_server.Login, user="alice", password="correct horse")


class LoginTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.server = SecureServer(
            self.net, "127.0.0.1", 5555, lambda: Shake(None), self.news, lambda: 0.0, login=LOGIN
        )
        self.server.start(ALICE)
        self.accept()

    def log_in(self) -> None:
        [login] = self.wrote()
        self.assertEqual(login, LOGIN(login.cseq))
        self.says(bcp2_server.LoginAck(login.cseq, "alice"))

    def register(self) -> None:
        [register] = self.wrote()
        self.assertIsInstance(register, bcp2_server.Register)
        self.says(bcp2_server.RegAck(register.cseq, "Alice", 3600, OBSERVED))

    def test_and_registers_when_that_was_right(self) -> None:
        ready = self.server.ready()
        self.log_in()
        self.assertNoResult(ready)
        self.register()
        self.successResultOf(ready)
        self.assertEqual(self.news.registered, [3600])

    def test_again_on_the_next_connection(self) -> None:
        self.log_in()
        self.register()
        self.wire.ends()
        self.net.advance(0)
        self.accept()
        self.log_in()
        self.register()
        self.assertEqual(self.news.registered, [3600, 3600])

    def test_wrong_password_is_reported_once_and_final(self) -> None:
        self.says(Error(403, 1))
        self.assertEqual(self.news.refused, [("unknown user or wrong password", 403)])
        self.assertEqual(len(self.wrote()), 1)  # nothing after the LOGIN
        self.assertTrue(self.wire.disconnecting)
        self.wire.ends()
        self.net.wait(200, 1)
        self.assertEqual(len(self.net.wanted), 1)

    def test_so_is_a_server_without_accounts(self) -> None:
        self.says(Error(405, 1))
        [(why, status)] = self.news.refused
        self.assertEqual(status, 405)
        self.assertIn("it has no accounts", why)

    def test_too_many_tries_are_waited_out_and_not_a_second_less(self) -> None:
        self.says(Error(429, 1, retry_after=40))
        self.assertEqual(self.news.refused, [])
        self.assertIn("too many tries to log in", self.news.lost[0])
        self.wire.ends()
        self.net.wait(39, 1)
        self.assertEqual(len(self.net.wanted), 1)
        self.net.wait(2, 1)
        self.assertEqual(len(self.net.wanted), 2)
        self.accept()
        self.log_in()
        self.register()
        self.assertEqual(self.news.registered, [3600])
