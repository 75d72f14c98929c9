"""Test options that come from a file."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.client_options import Options
from chatproto.cli.client_program import make_client
from chatproto.cli.config_file import MOST_BYTES, MOST_VALUES, read_config
from chatproto.cli.oneshot import COMMANDS
from chatproto.cli.options import WrongOption
from chatproto.client.events import CommandOutput
from chatproto.wire.errors import CannotStart
from tests.cli.test_servers import Reactor


class ConfigTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "client.toml"

    def parsed(self, text: str, *words: str) -> Options:
        self.file.write_text(text)
        options = Options()
        home = ("--home", str(self.folder / "home"), "--ui", "plain")
        options.parseOptions([*home, "--config", str(self.file), *words])
        self.addCleanup(options["opened"].close)
        return options

    def refused(self, text: str, *words: str, code: int = 1) -> str:
        with self.assertRaises(SystemExit) as caught:
            self.parsed(text, *words)
        self.assertEqual(caught.exception.code, code)
        lines = self.errors.getvalue().splitlines()
        self.errors.truncate(0)
        self.errors.seek(0)
        self.assertEqual(len(lines), 1)
        return lines[0]

    def test_command_line_overrides_the_file(self) -> None:
        text = """
            id = "bob"
            server = ["10.0.0.1:1", "10.0.0.2:2"]
            ping = 7.5
            open = true
            beacon = false
        """
        options = self.parsed(text)
        self.assertEqual((options["id"], options["ping"]), ("bob", 7.5))
        self.assertEqual(options["servers"], [("10.0.0.1", 1), ("10.0.0.2", 2)])
        self.assertTrue(options["open"] and not options["beacon"])
        options["opened"].close()
        options = self.parsed(text, "--id=carol", "--serv", "10.0.0.3:3")
        self.assertEqual(options["id"], "carol")
        self.assertEqual(options["servers"], [("10.0.0.3", 3)])
        self.assertEqual(options["from-file"], {"ping": "7.5", "open": "on"})

    def test_rooms_are_shown_without_their_keys(self) -> None:
        self.file.touch(0o644)
        self.file.chmod(0o644)
        options = self.parsed('autojoin = ["tea", "#Den key=sesame"]')
        self.assertEqual(options["autojoin"], {"#tea": "", "#den": "sesame"})
        self.assertEqual(options["from-file"], {"autojoin": "tea, #Den"})
        self.assertIn("other users may read", self.errors.getvalue())
        self.errors.truncate(0)
        self.errors.seek(0)
        self.assertIn(
            "--autojoin takes a room", self.refused('autojoin = ["a b c"]').split(": ", 1)[1]
        )
        self.file.chmod(0o600)
        options["opened"].close()
        self.parsed('autojoin = "den key=sesame"')
        self.assertEqual(self.errors.getvalue(), "")

    def test_a_short_option_wins_as_well(self) -> None:
        self.assertEqual(self.parsed("port = 4000", "-p", "5000")["port"], "tcp:5000")

    def test_status_shows_the_file(self) -> None:
        node = make_client(Reactor(), self.parsed('id = "bob"', "--server", "none"))
        told: list[CommandOutput] = []
        node.context.publish.listen(
            lambda event: told.append(event) if isinstance(event, CommandOutput) else None
        )
        node.status.status()
        self.assertEqual(told[0].lines[-1], f"from {self.file}: id bob")
        self.assertEqual(told[0].data["configured"], {"id": "bob"})

    def test_colours_and_keys_are_tables(self) -> None:
        options = self.parsed('[colors]\nbad = 9\npeople = [1, 2]\n[keys]\naccept = "f5"\n')
        self.assertEqual(options["colors"], {"bad": (9,), "people": (1, 2)})
        self.assertEqual(options["keys"].shown("accept"), "F5")
        self.assertEqual(options["from-file"], {"colors": "bad people", "keys": "accept"})

    def test_a_mistake_is_one_sentence(self) -> None:
        for text, words in {
            "id = ": "is not valid TOML",
            "prot = 5": "'prot' is not an option for this file (did you mean port?)",
            'config = "x"': "'config' is not an option",
            'open = "yes"': "open must be true or false",
            "port = true": "port must be a text, a number",
            "[port]\nx = 1": "port must be a text, a number",
            "port = [[1]]": "port must be a text, a number",
            "colors = 5": "colors must be a table: [colors]",
            "[colors]\nbob = 5": "[colors]: no colour can be chosen for 'bob'",
            "[keys]\naccept = 'a'": "[keys]: accept takes a key such as",
            "port = 70000": "port 70000 is out of range",
            f"server = {[str(one) for one in range(MOST_VALUES + 1)]}": "more than",
            "#" * (MOST_BYTES + 1): f"more than {MOST_BYTES} bytes",
        }.items():
            self.assertIn(words, self.refused(text), text[:40])

    def test_file_of_the_largest_size_is_read(self) -> None:
        text = f"server = {[str(one) for one in range(MOST_VALUES)]}\n"
        self.file.write_text(text + "#" * (MOST_BYTES - len(text)))
        found = read_config(self.file, {"server": True}, needed=True)
        assert found is not None
        self.assertEqual(len(found.values["server"]), MOST_VALUES)

    def test_unreadable_file_prevents_the_start(self) -> None:
        self.assertIn("no such file", self.refused("", "--config", "nothing.toml", code=2))
        os.mkfifo(self.folder / "pipe")
        pipe = str(self.folder / "pipe")
        self.assertIn("not a regular file", self.refused("", "--config", pipe, code=2))

    def test_none_and_help_read_no_file(self) -> None:
        self.assertEqual(self.parsed("id = ", "--config", "none")["from-file"], {})
        self.patch(sys, "stdout", io.StringIO())
        with self.assertRaises(SystemExit) as caught:
            self.parsed("id = ", "--help")
        self.assertEqual(caught.exception.code, 0)

    def test_one_shot_command_ignores_the_interface_in_the_file(self) -> None:
        self.file.write_text('ui = "full"\nid = "bob"')
        options = COMMANDS["send"]()
        options.parseOptions(["--config", str(self.file), "carol", "hello"])
        self.assertEqual(options["from-file"], {"id": "bob"})

    @given(st.binary(max_size=60))
    def test_no_bytes_raise_anything_else(self, data: bytes) -> None:
        self.file.write_bytes(data)
        try:
            read_config(self.file, {"id": True, "open": False}, True)
        except (WrongOption, CannotStart) as wrong:
            self.assertNotEqual(str(wrong), "")
