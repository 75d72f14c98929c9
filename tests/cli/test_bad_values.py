"""Values of options that cannot be: one line, exit code 1, before anything is opened or started."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.backup import main as backup
from chatproto.cli.client_options import Options
from chatproto.cli.doctor import DoctorOptions
from chatproto.cli.oneshot import COMMANDS
from chatproto.cli.options import ProgramOptions
from chatproto.cli.passwd import main as passwd
from chatproto.cli.server_options import ServerOptions

PROGRAMS: dict[str, tuple[Callable[[], ProgramOptions], tuple[str, ...]]] = {
    "chatclient": (Options, ()),
    "chatserver": (ServerOptions, ()),
    "doctor": (DoctorOptions, ()),
    "send": (COMMANDS["send"], ("bob", "x")),
    "send-file": (COMMANDS["send-file"], ("bob", "/")),
    "receive": (COMMANDS["receive"], ()),
    "info": (COMMANDS["info"], ()),
}
PATHS = {
    "chatclient": ("home", "downloads", "password-file"),
    "send": ("home", "downloads", "password-file"),
    "chatserver": ("home", "allow-keys"),
}
SHOWN = ("help", "version", "help-auth", "help-auth-type", "limits")
"""Options that print something and end, or do so with one value."""


class BadValueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.patch(sys, "stdout", io.StringIO())
        self.opened: list[str] = []

    def checked(self, program: str, *words: str) -> int:
        """Read the options and check them, but open nothing; the exit code, 0 if all is well."""
        make, arguments = PROGRAMS[program]
        options = make()
        # Nothing that `check` has let through is opened here.
        options.prepare = lambda: self.opened.append(program) or Path("/")  # type: ignore[method-assign,func-returns-value]
        self.errors.truncate(0)
        self.errors.seek(0)
        try:
            options.parseOptions([*words, *arguments])
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    def line(self) -> str:
        lines = self.errors.getvalue().splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def test_an_option_that_is_empty(self) -> None:
        for program, (make, _) in PROGRAMS.items():
            for name in make().longOpt:
                if name.endswith("=") and name[:-1] not in SHOWN:
                    self.assertEqual(self.checked(program, f"--{name}"), 1, (program, name))
                    self.assertIn("--", self.line())
        self.assertEqual(self.opened, [])

    def test_home_of_an_unknown_user_is_refused(self) -> None:
        for program, names in PATHS.items():
            for name in names:
                user = ("--user", "bob") if name == "password-file" else ()
                code = self.checked(program, f"--{name}", "~nosuchuser/x", *user)
                self.assertEqual(code, 1, (program, name))
                self.assertIn("~nosuchuser", self.line())
        for store in ("sqlite:~nosuchuser/x",):
            self.assertEqual(self.checked("chatserver", "--store", store), 1)
            self.assertIn("~nosuchuser", self.line())
        self.assertEqual(self.checked("chatserver", "--auth", "argon2:~nosuchuser/x"), 1)
        self.assertEqual(self.checked("chatserver", "--auth", "file:"), 1)
        self.assertEqual(passwd(["list", "--file", "~nosuchuser/x"]), 1)
        self.assertEqual(passwd(["list", "--file", ""]), 1)

    def test_a_backup_to_nowhere(self) -> None:
        self.patch(sys, "stderr", io.StringIO())
        for words in (
            ("",),
            ("~nosuchuser/x",),
            ("x", "--home", ""),
            ("x", "--store", "sqlite:~nosuchuser/x"),
        ):
            with self.assertRaises(SystemExit) as caught:
                backup(words)
            self.assertEqual(caught.exception.code, 1, words)

    def test_downloads_that_can_be_no_folder(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            for path in (file.name, f"{file.name}/below"):
                self.assertEqual(self.checked("chatclient", "--downloads", path), 1)
                self.assertIn("is not a folder", self.line())

    def test_a_port_that_is_none(self) -> None:
        for text in ("stdio:", "9" * 5000, "65536"):
            self.assertEqual(self.checked("chatclient", "--port", text), 1, text[:10])
            self.line()

    def test_too_short_ping_is_refused(self) -> None:
        for text in ("1e-9", "0.099", "0", "-1", "nan", "inf", "3601"):
            self.assertEqual(self.checked("chatclient", f"--ping={text}"), 1, text)
            self.assertIn("from 0.1 to 3600", self.line())

    def test_python_number_syntax_is_refused(self) -> None:
        for program, option in (
            ("chatclient", "--ping=1_0"),
            ("send", "--timeout=1_000"),
            ("chatserver", "--lease=6_00s"),
            ("chatserver", "--limit=ids=1_000"),
        ):
            self.assertEqual(self.checked(program, option), 1, option)
            self.line()

    def test_a_file_that_is_none(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            loop = Path(folder, "loop")
            loop.symlink_to(loop)
            for name in ("", f"{folder}/none", str(loop), f"{loop}/below"):
                send = PROGRAMS["send-file"][0], ("bob", "/", name)
                PROGRAMS["send-files"] = send
                self.addCleanup(PROGRAMS.pop, "send-files", None)
                self.assertEqual(self.checked("send-files"), 1, name)
                self.line()

    def test_peer_is_accepted_with_or_without_at_sign(self) -> None:
        key = "sha256:" + "A" * 52
        for name in ("bob", key, "bob@none", "bob@10.0.0.1:5"):
            for typed in (name, f"@{name}"):
                self.assertEqual(COMMANDS["send"]()._person(typed), name)
        for typed in ("@", "@@bob", "@bob@", key[:-1], "#tea", "bob?"):
            PROGRAMS["send-one"] = (COMMANDS["send"], (typed, "x"))
            self.addCleanup(PROGRAMS.pop, "send-one", None)
            self.assertEqual(self.checked("send-one"), 1, typed)
            self.line()

    def test_a_user_without_a_home_folder(self) -> None:
        self.patch(os, "environ", {})
        self.patch(os.path, "expanduser", lambda path: path)
        given_ = ("--id", "alice", "--home", "/h", "--downloads", "/d")
        self.assertEqual(self.checked("chatclient", *given_), 0)
        self.assertEqual(self.checked("chatserver", "--home", "/h"), 0)
        self.assertEqual(self.checked("chatclient", "--downloads", "/d"), 1)
        self.assertIn("--home is missing", self.line())
        self.assertEqual(self.checked("chatclient", "--home", "/h"), 1)
        self.assertIn("--downloads is missing", self.line())

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
    @given(st.data())
    def test_any_value_is_taken_or_refused_in_one_line(self, data: Any) -> None:
        program = data.draw(st.sampled_from(sorted(PROGRAMS)))
        names = [n for n in PROGRAMS[program][0]().longOpt if n.endswith("=")]
        name = data.draw(st.sampled_from(sorted(names)))
        if name[:-1] in SHOWN:
            return
        ugly = st.binary(max_size=40).map(lambda b: os.fsdecode(b.replace(b"\0", b"")))
        texts = st.text(st.characters(exclude_characters="\0"), max_size=40) | ugly
        shapes = st.sampled_from(
            [
                "{}",
                "{}:5",
                "[{}]:5",
                "tcp:{}",
                "sqlite:{}",
                "redis://{}",
                "~{}",
                "{}s",
                "argon2:{}",
                "9{}",
            ]
        )
        value = data.draw(shapes).format(data.draw(texts))
        code = self.checked(program, f"--{name}{value}")
        self.assertIn(code, (0, 1, 2))
        if code:
            self.assertLess(len(self.line()), 700)
