"""Test the client's options about paths to peers."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.client_options import Options
from chatproto.cli.client_program import make_client, own_port
from chatproto.cli.main import ONE_SHOTS
from chatproto.cli.oneshot import SendOptions
from chatproto.client.shared_port import SharedPort
from tests.cli.test_servers import Reactor

KNOWN = ("198.41.0.4", 4430), ("2606:4700::7", 4000)


class WaysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.home = Path(self.mktemp())

    def parsed(self, *words: str) -> Options:
        options = Options()
        options.parseOptions(["--id", "alice", "--home", str(self.home), *words])
        self.addCleanup(options["opened"].close)
        return options

    def refused(self, *words: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            self.parsed(*words)
        self.assertEqual(caught.exception.code, 1)
        return self.errors.getvalue()

    def test_several_addresses_are_announced_in_their_order(self) -> None:
        told = ("--announce", "198.41.0.4:4430", "--announce", "[2606:4700::7]:4000")
        options = self.parsed(*told, "--path", "direct", "--server", "10.0.0.1:5555")
        node = make_client(Reactor(), options)
        self.assertEqual(
            (node.context.own_addresses.announced, node.context.settings.announce), (KNOWN, KNOWN)
        )
        self.assertEqual(node.context.settings.path, "direct")
        self.assertEqual(node.context.own_addresses.server, ("10.0.0.1", 5555))

    def test_unknown_command_lists_the_known_ones(self) -> None:
        told = self.refused("who")
        self.assertIn("unknown argument 'who'", told)
        for command in (*ONE_SHOTS, "doctor"):
            self.assertIn(command, told)

    def test_a_room_is_no_peer_of_a_command(self) -> None:
        with self.assertRaises(SystemExit):
            SendOptions().parseOptions(["--home", str(self.home), "#class", "hello"])
        self.assertIn("'#class' is a room", self.errors.getvalue())

    def test_eight_at_most(self) -> None:
        told = [word for port in range(4000, 4009) for word in ("--announce", f"10.0.0.1:{port}")]
        self.assertIn("8 addresses at most", self.refused(*told))

    def test_a_name_only_in_plain_text(self) -> None:
        self.parsed("--plain", "--announce", "chat.example:80")
        self.assertIn("not the name 'chat.example'", self.refused("--announce", "chat.example:80"))

    def test_unreachable_address_is_not_announced(self) -> None:
        for host in ("0.0.0.0", "[::]", "224.0.0.1", "[fe80::1]", "255.255.255.255"):
            place = f"{host}:5000"
            self.assertIn("cannot be reached by peers", self.refused("--announce", place))
        self.assertIn("--announce", self.refused("--announce", "10.0.0.1:0"))
        self.parsed("--announce", "127.0.0.1:5000", "--announce", "[fd00::2]:5000")

    def test_a_port_that_keyed_peers_never_call_is_not_announced(self) -> None:
        self.assertIn("a port below 1024", self.refused("--announce", "198.41.0.4:1023"))
        self.parsed("--announce", "198.41.0.4:1024")

    def test_plain_means_the_plain_interface_unless_another_is_named(self) -> None:
        for words, ui in {
            (): "plain", ("--plain",): "plain", ("--plain", "--ui", "json"): "json",
            ("--ui", "json"): "json", ("--ui", "none", "--irc", "0"): "none",
        }.items():  # fmt: skip
            options = self.parsed(*words)
            self.assertEqual(options["ui"], ui)
            options["opened"].close()

    def test_irc_takes_a_port_or_a_socket(self) -> None:
        self.assertEqual(self.parsed("--irc", "6667")["irc"], 6667)
        options = self.parsed("--home", str(self.home / "b"), "--irc", "unix:/tmp/irc")
        self.assertEqual((options["irc"], options["irc-socket"]), (None, Path("/tmp/irc")))
        for wrong in ("65536", "-1", "0.0.0.0:6667", "tcp:6667", "", "unix:"):
            self.assertIn("--irc", self.refused("--irc", wrong))

    def test_a_time_format_that_shows_no_time(self) -> None:
        for wrong in ("%n", "%H" * 17, "%c" * 9, "\x1b[2J", "x" * 33):
            self.assertIn("--time-format takes", self.refused("--time-format", wrong))
        self.assertEqual(self.parsed("--time-format", "%I:%M %p")["time-format"], "%I:%M %p")
        self.assertIn("--color is one of auto, always, never", self.refused("--color", "red"))

    def test_unknown_path_is_refused(self) -> None:
        self.assertIn("--path is one of auto, direct, relay", self.refused("--path", "straight"))

    def test_we_dial_from_our_port_but_in_plain_text(self) -> None:
        self.assertIsInstance(own_port(Reactor(), self.parsed("--port", "4000")), SharedPort)

    def test_plain_and_other_endpoints_are_unchanged(self) -> None:
        for words in (("--plain", "--port", "4000"), ("--port", "unix:/tmp/nowhere")):
            options = self.parsed(*words)
            self.assertNotIsInstance(own_port(Reactor(), options), SharedPort)
            options["opened"].close()
