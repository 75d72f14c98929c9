"""Test `--server`, and the client's judgement of a server's key."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.client_options import Options
from chatproto.cli.client_program import make_client
from chatproto.client.events import Registered
from chatproto.client.server.introducers import ClassicIntroducer, SecureIntroducer
from chatproto.directory.secure_client import SecureServer
from chatproto.identity.pins import Pin
from chatproto.wire.fields import host_port
from tests.net import Net

ONE, OTHER = "sha256:" + "A" * 52, "sha256:" + "B" * 52


class Reactor(Net):
    """A net, and no threads, which nobody needs here."""

    def getThreadPool(self) -> None: ...


class ServersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.home = Path(self.mktemp())

    def parsed(self, *servers: str) -> Options:
        options = Options()
        told = [word for server in servers for word in ("--server", server)]
        options.parseOptions(["--id", "alice", "--home", str(self.home), *told])
        self.addCleanup(options["opened"].close)
        return options

    def refused(self, *servers: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            self.parsed(*servers)
        self.assertEqual(caught.exception.code, 1)
        return self.errors.getvalue()

    def judge(self, options: Options, place: int, key: str) -> str | None:
        """Return the client's answer to `key` at the server of that position."""
        node = make_client(Reactor(), options)
        introducer = node.server
        assert isinstance(introducer, SecureIntroducer)
        server: SecureServer = introducer._server
        for _ in range(place):
            server._places.move_on()
        shake: Any = server._handshake()
        verdict: str | None = shake._judge(key)
        return verdict

    def test_the_one_on_this_machine_if_none_is_named(self) -> None:
        self.assertEqual(self.parsed()["servers"], [("127.0.0.1", 5555)])

    def test_none(self) -> None:
        options = self.parsed("none")
        self.assertEqual((options["servers"], options["server"]), ([], None))

    def test_several_and_one_key_for_all(self) -> None:
        options = self.parsed("10.0.0.1:1", f"[2001:db8::1]:2/{ONE}")
        self.assertEqual(options["servers"], [("10.0.0.1", 1), ("2001:db8::1", 2)])
        self.assertEqual(options["server"], ("10.0.0.1", 1))
        self.assertEqual(options["server-key"], ONE)

    def test_two_keys_are_two_directories(self) -> None:
        self.assertIn("two keys", self.refused(f"10.0.0.1:1/{ONE}", f"10.0.0.2:1/{OTHER}"))

    def test_too_many_servers_are_refused(self) -> None:
        self.assertIn("16 times", self.refused(*(f"10.0.0.1:{n}" for n in range(1, 18))))

    def test_none_is_none_of_several(self) -> None:
        for servers in (("10.0.0.1:1", "none"), ("none", "10.0.0.1:1"), ("none", "none")):
            self.assertIn("--server none stands alone", self.refused(*servers))

    def test_the_key_that_is_named_holds_for_every_place(self) -> None:
        options = self.parsed("10.0.0.1:1", f"10.0.0.2:1/{ONE}")
        for place in (0, 1):
            self.assertIsNone(self.judge(options, place, ONE))
            self.assertIn(
                "not the one that --server names", self.judge(options, place, OTHER) or ""
            )

    def test_named_key_is_not_reported_as_new(self) -> None:
        for server, told in ((f"10.0.0.1:1/{ONE}", False), ("10.0.0.1:1", True)):
            options = self.parsed(server)
            node = make_client(Reactor(), options)
            news: list[Registered] = []
            node.context.publish.listen(news.append)  # type: ignore[arg-type]  # of one event alone
            introducer = node.server
            assert isinstance(introducer, SecureIntroducer)
            answered: Any = SimpleNamespace(
                key=ONE, name="10.0.0.1:1", at=("10.0.0.1", 1), observed=None, near=False
            )
            introducer._server._news.server_registered(answered, 3600)
            self.assertEqual([one.first for one in news], [told])
            options["opened"].close()
            self.home = Path(self.mktemp())

    def test_pinned_key_of_one_server_counts_for_the_others(self) -> None:
        options = self.parsed("10.0.0.1:1", "10.0.0.2:1")
        options["pins"].put(Pin("server", host_port("10.0.0.2", 1), ONE))
        self.assertIsNone(self.judge(options, 0, ONE))
        self.assertIn("differs from that of 10.0.0.2:1", self.judge(options, 0, OTHER) or "")
        self.assertIn("has changed", self.judge(options, 1, OTHER) or "")

    def test_two_that_are_known_for_two_keys(self) -> None:
        options = self.parsed("10.0.0.1:1", "10.0.0.2:1")
        options["pins"].put(Pin("server", host_port("10.0.0.1", 1), ONE))
        options["pins"].put(Pin("server", host_port("10.0.0.2", 1), OTHER))
        self.assertIsNone(self.judge(options, 0, ONE))
        self.assertIn("differs from that of 10.0.0.1:1", self.judge(options, 1, OTHER) or "")

    def test_the_first_contact_takes_any(self) -> None:
        self.assertIsNone(self.judge(self.parsed("10.0.0.1:1", "10.0.0.2:1"), 1, OTHER))

    def test_classic_ones(self) -> None:
        options = Options()
        words = ["--id", "alice", "--home", str(self.home), "--plain"]
        options.parseOptions([*words, "--server", "10.0.0.1:1", "--server", "10.0.0.2:1"])
        self.addCleanup(options["opened"].close)
        node = make_client(Reactor(), options)
        assert isinstance(node.server, ClassicIntroducer)
        self.assertEqual([one.name for one in node.server._servers], ["10.0.0.1:1", "10.0.0.2:1"])
