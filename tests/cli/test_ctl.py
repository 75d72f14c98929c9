"""`chatserver ctl`, where there is no server."""

from __future__ import annotations

import io
import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli import ctl
from chatproto.cli.ctl import NO_SERVER, REFUSED, WRONG_USAGE, CtlClient, ServerGone, main
from chatproto.server.ctl import DONE
from chatproto.wire.reasons import Reason


class CtlTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)

    def run_it(self, *arguments: str) -> tuple[int, str, str]:
        out, wrong = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(wrong):
            try:
                code = main(["--home", str(self.home), *arguments])
            except SystemExit as ended:
                assert isinstance(ended.code, int)
                code = ended.code
        return code, out.getvalue(), wrong.getvalue()

    def test_no_server_is_one_line_and_its_code(self) -> None:
        code, out, wrong = self.run_it("info")
        self.assertEqual((code, out, wrong.count("\n")), (NO_SERVER, "", 1))
        code, out, wrong = self.run_it("--json", "info")
        self.assertEqual((code, json.loads(out)), (NO_SERVER, {"done": True, "code": "no-server"}))

    def test_a_socket_that_a_killed_server_left_is_no_server(self) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.home / "ctl.sock"))
        code, _, wrong = self.run_it("info")
        self.assertEqual((code, wrong.count("\n")), (NO_SERVER, 1))
        self.assertIn("no server runs", wrong)

    def test_closed_connection_is_reported(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.home / "ctl.sock"))
            listening.listen()
            client = CtlClient(self.home)  # waits to be accepted, and is reset at the end
        self.addCleanup(client.close)
        with self.assertRaises(ServerGone):
            list(client.ask("/info"))

    def test_the_exit_code_is_that_of_the_last_command_that_failed(self) -> None:
        codes = iter([Reason.MALFORMED.code, Reason.NOT_FOUND.code, DONE])

        class Server:
            def __init__(self, home: Path) -> None: ...

            def ask(self, command: str) -> Iterator[dict[str, Any]]:
                yield {"done": True, "code": next(codes)}

            def close(self) -> None: ...

        self.patch(ctl, "CtlClient", Server)
        self.patch(ctl, "_typed", lambda quiet: iter(["one", "two", "three"]))
        self.assertEqual(self.run_it("--json")[0], REFUSED)

    def test_a_path_too_long_for_a_socket_is_one_line(self) -> None:
        self.home = self.home / ("x" * 200)
        code, _, wrong = self.run_it("info")
        self.assertEqual((code, wrong.count("\n")), (NO_SERVER, 1))

    def test_wrong_options_are_one_line(self) -> None:
        for arguments in (("--jsno", "info"), ("say", "a\nb")):
            code, out, wrong = self.run_it(*arguments)
            self.assertEqual((code, out, wrong.count("\n")), (WRONG_USAGE, "", 1))
