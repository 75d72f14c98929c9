"""Why a port cannot be opened, in one sentence."""

from __future__ import annotations

from errno import EADDRINUSE, ENOENT

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.socket_errors import listen_trouble

IN_USE = OSError(EADDRINUSE, "Address already in use")


class ListenTroubleTests(SynchronousTestCase):
    def test_names_address_and_port(self) -> None:
        for host, place in (("127.0.0.1", "127.0.0.1:5"), ("::1", "[::1]:5"), ("", "*:5")):
            self.assertEqual(
                listen_trouble(CannotListenError(host, 5, IN_USE)),
                f"cannot listen on {place}: Address already in use",
            )
        self.assertIn("on 0.0.0.0:5:", listen_trouble(CannotListenError("", 5, IN_USE), "0.0.0.0"))

    def test_names_a_unix_socket(self) -> None:
        self.assertEqual(
            listen_trouble(CannotListenError(None, b"/tmp/x", IN_USE)),
            "cannot listen on unix:/tmp/x: Address already in use",
        )
        locked = OSError(ENOENT, "No such file or directory", "123", None, b"/no/x.lock")
        self.assertEqual(
            listen_trouble(locked), "cannot listen on unix:/no/x: No such file or directory"
        )

    def test_says_what_it_knows_of_anything_else(self) -> None:
        self.assertEqual(
            listen_trouble(OSError(24, "Too many open files")),
            "cannot listen: Too many open files",
        )
        self.assertEqual(
            listen_trouble(OSError(ENOENT, "No such file or directory", "/no/y")),
            "cannot listen: cannot use /no/y: No such file or directory",
        )
        self.assertEqual(listen_trouble(ValueError("no port")), "no port")
