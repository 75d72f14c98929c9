"""Why a connection could not be made, in the system's words."""

from __future__ import annotations

from errno import EHOSTUNREACH, ENETUNREACH, EPERM
from socket import EAI_NONAME, gaierror

from twisted.internet.error import ConnectError, getConnectError
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.reaching import why_unreached
from chatproto.net.socket_errors import connect_trouble


class ConnectTroubleTests(SynchronousTestCase):
    def test_uses_the_system_s_message_alone(self) -> None:
        for number, words in (
            (EHOSTUNREACH, "no route to host"),
            (ENETUNREACH, "network is unreachable"),
            (EPERM, "operation not permitted"),
        ):
            for error in (getConnectError((number, "x")), OSError(number, "x")):
                self.assertEqual(connect_trouble(error), words)

    def test_other_errors_use_their_own_text(self) -> None:
        for error in (ConnectError(string="odd."), gaierror(EAI_NONAME, "odd")):
            self.assertRegex(connect_trouble(error), r"odd\b[^.]*$")

    def test_server_without_a_route_is_one_plain_sentence(self) -> None:
        self.assertEqual(
            why_unreached(getConnectError((EHOSTUNREACH, "x")), "10.0.0.1:5"),
            "the server at 10.0.0.1:5 cannot be reached (no route to host)",
        )
