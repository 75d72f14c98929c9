from __future__ import annotations

import gc
import io
import os
import re
import sys
from contextlib import redirect_stdout
from grp import getgrgid
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from chatproto.cli import redis_options, server_options
from chatproto.cli.server_options import ServerOptions, seconds
from chatproto.cli.server_program import ChatServerProgram
from chatproto.identity.keys import open_identity
from chatproto.rooms.lobby_port import LobbyPort
from chatproto.server.factory import Refusal
from chatproto.wire.limits import SERVER_DEFAULTS
from tests.rooms.test_lobby_port import HalfTransport


class SecondsTests(SynchronousTestCase):
    def test_units(self) -> None:
        for text, value in (("90", 90), ("90s", 90), ("1.5m", 90), ("12h", 43200), ("2d", 172800)):
            self.assertEqual(seconds(text), value)

    def test_no_time(self) -> None:
        for text in ("", "h", "-1", "0", "inf", "nan", "soon", "1w"):
            with self.assertRaises(ValueError):
                seconds(text)


class ServerOptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.home = Path(self.mktemp())

    def parsed(self, *arguments: str) -> ServerOptions:
        options = ServerOptions()
        options.parseOptions(["--home", str(self.home), *arguments])
        return options

    def refused(self, *arguments: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            self.parsed(*arguments)
        self.assertEqual(caught.exception.code, 1)
        return self.errors.getvalue()

    def test_defaults(self) -> None:
        options = self.parsed()
        self.assertEqual(options["port"], ["5555"])
        self.assertEqual(options["limits"], SERVER_DEFAULTS)
        self.assertIsNone(options["lobby"])
        self.assertEqual(self.home.stat().st_mode & 0o777, 0o700)

    def test_ports_and_limits_may_be_repeated(self) -> None:
        options = self.parsed(
            "-p", "1", "--port", "tcp:2", "--limits", "headers=3", "--limits", "info-lines=4"
        )
        self.assertEqual(options["port"], ["1", "tcp:2"])
        self.assertEqual((options["limits"].headers, options["limits"].info_lines), (3, 4))

    def test_the_classic_lease_is_a_limit(self) -> None:
        self.assertEqual(self.parsed("--classic-lease", "1h")["limits"].classic_lease, 3600)
        limits = self.parsed("--limits", "classic-lease=60")["limits"]
        self.assertEqual(limits.classic_lease, 60)

    def test_impossible_options_are_refused_in_one_line(self) -> None:
        for arguments in (
            ("--port", "x"),
            ("--lobby", "70000"),
            ("--store", "mysql:x"),
            ("--store", "memory:", "--durable"),
            ("--store", "redis://h/0", "--durable"),
            ("--store", "redis:"),
            ("--store", "redis://h/x"),
            ("--advertise", "chat.example.org"),
            ("--limits", "headers"),
            ("--classic-lease", "never"),
            ("--metrics", "70000"),
        ):
            self.refused(*arguments)
        self.assertEqual(self.errors.getvalue().count("\n"), 11)

    def test_key_file_may_be_elsewhere_but_must_exist(self) -> None:
        other = Path(self.mktemp())
        other.mkdir(mode=0o700)
        key = open_identity(other)
        options = self.parsed("--key", str(other / "key.pem"))
        self.assertEqual(options["identity"].name, key.name)
        self.assertFalse((self.home / "key.pem").exists())
        with self.assertRaises(SystemExit) as caught:
            self.parsed("--key", str(other / "none"))
        self.assertEqual(caught.exception.code, 2)
        self.assertIn("cannot read the key", self.errors.getvalue())

    def test_credentials_without_systemd_are_one_line(self) -> None:
        self.patch(os, "environ", {})
        self.assertIn("LoadCredential", self.refused("--key", "$CREDENTIALS_DIRECTORY/key.pem"))

    def test_a_group_for_ctl_is_a_name_or_a_number(self) -> None:
        self.assertIsNone(self.parsed()["ctl-group"])
        self.assertEqual(self.parsed("--ctl-group", "4711")["ctl-group"], 4711)
        name = getgrgid(os.getgid()).gr_name
        self.assertEqual(self.parsed("--ctl-group", name)["ctl-group"], os.getgid())
        self.assertIn("no group", self.refused("--ctl-group", "no such group"))

    def test_metrics_listen_on_loopback_by_default(self) -> None:
        self.assertIsNone(self.parsed()["metrics"])
        self.assertEqual(
            self.parsed("--metrics", "9100")["metrics"], "tcp:9100:interface=127.0.0.1"
        )
        self.assertEqual(self.parsed("--metrics", "tcp:9100")["metrics"], "tcp:9100")

    def test_metrics_without_their_library_are_refused(self) -> None:
        self.patch(server_options, "find_spec", lambda name: None)
        self.assertIn("pip install 'chatproto[metrics]'", self.refused("--metrics", "9100"))

    def test_redis_url_is_given_once_and_needs_its_library(self) -> None:
        options = self.parsed("--store", "redis://cache/2", "--advertise", "chat.example.org:5555")
        self.assertEqual(str(options["redis"]), "redis://cache:6379/2")
        self.assertEqual(options["advertise"], ("chat.example.org", 5555))
        self.assertIsNone(self.parsed()["redis"])
        self.patch(redis_options, "find_spec", lambda name: None)
        wrong = self.refused("--store", "redis://cache/2")
        self.assertIn("pip install 'chatproto[redis]'", wrong)

    def test_limits_are_listed_as_they_are_set(self) -> None:
        printed = io.StringIO()
        with redirect_stdout(printed), self.assertRaises(SystemExit):
            self.parsed("--limits", "list")
        self.assertEqual(SERVER_DEFAULTS.with_values(printed.getvalue().split()), SERVER_DEFAULTS)

    def test_limits_are_explained_with_their_values(self) -> None:
        printed = io.StringIO()
        with redirect_stdout(printed), self.assertRaises(SystemExit):
            self.parsed("--limits", "explain")
        text = printed.getvalue()
        self.assertIn("  relay-rate=1048576 (bytes per second)\n    One relayed stream, both", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 96)


class ProgramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, self.writer = os.pipe()
        self.keys, self.keyboard = os.pipe()
        self.patch(sys, "__stdout__", os.fdopen(self.writer, "w"))
        self.patch(sys, "__stdin__", os.fdopen(self.keys))
        os.set_blocking(self.reader, False)
        self.reactor = MemoryReactorClock()
        self.program: ChatServerProgram | None = None
        self.addCleanup(self.close_all)
        self.addCleanup(gc.unfreeze)

    def close_all(self) -> None:
        if self.program is not None and self.program.running:
            self.stop()
        for stream in (sys.__stdout__, sys.__stdin__):
            assert stream is not None
            stream.close()
        os.close(self.reader)
        os.close(self.keyboard)

    def start(self, *arguments: str) -> None:
        options = ServerOptions()
        options.parseOptions(["--home", self.mktemp(), "--port", "tcp:5555", *arguments])
        self.program = ChatServerProgram(self.reactor, options)
        self.program.startService()

    def stop(self) -> None:
        assert self.program is not None
        stopped: Deferred[Any] = self.program.stopService()
        self.reactor.advance(5)
        self.successResultOf(stopped)

    def printed(self) -> list[str]:
        self.reactor.advance(0)
        try:
            return os.read(self.reader, 65536).decode().splitlines()
        except BlockingIOError:
            return []

    def types(self, line: str) -> list[str]:
        os.write(self.keyboard, line.encode() + b"\n")
        for reader in list(self.reactor.readers):
            reader.doRead()
        return self.printed()

    def factories(self) -> list[Any]:
        return [server[1] for server in self.reactor.tcpServers]

    def test_listening_addresses_are_printed(self) -> None:
        self.start("--lobby", "tcp:6666")
        server, lobby, key = self.printed()
        self.assertRegex(key, r"^\* for clients.*: --server \S+:\d+/sha256:[A-Z2-7]{52}$")
        self.assertTrue(server.startswith("Server listening on "))
        self.assertTrue(lobby.startswith("* lobby listening on "))
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [5555, 6666])

    def test_quiet_prints_nothing_unasked(self) -> None:
        self.start("--quiet")
        self.assertEqual(self.printed(), [])
        self.assertEqual(self.types("/info"), ["* no clients are registered"])

    def test_log_contains_the_key_with_quiet(self) -> None:
        said: list[str] = []

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            said.append(formatEvent(event))

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.start("--quiet")
        found = [line for line in said if "for clients" in line]
        self.assertRegex(found[0], r"--server \S+:\d+/sha256:[A-Z2-7]{52}$")

    def test_objects_of_the_start_are_frozen_for_the_collector(self) -> None:
        gc.unfreeze()
        self.start()
        self.assertGreater(gc.get_freeze_count(), 10_000)

    def test_rooms_and_news_share_the_work_queue_of_the_connections(self) -> None:
        self.start()
        assert self.program is not None
        factory = self.program._server.factory
        assert factory.secure is not None and factory.secure.rooms is not None
        self.assertIs(factory.secure.turns, factory.turns)
        self.assertIs(factory.secure.rooms.turns, factory.turns)

    def test_a_unix_socket_is_named_and_no_place_for_clients(self) -> None:
        options = ServerOptions()
        options.parseOptions(["--home", self.mktemp(), "--port", "unix:chat.socket"])
        self.program = ChatServerProgram(self.reactor, options)
        self.program.startService()
        where, key = self.printed()
        self.assertEqual(where, "Server listening on unix:chat.socket")
        self.assertRegex(key, r"^\* its key: sha256:[A-Z2-7]{52}$")

    def test_loopback_is_for_clients_on_this_machine_only(self) -> None:
        options = ServerOptions()
        port = r"tcp:5555:interface=\:\:1"
        options.parseOptions(["--home", self.mktemp(), "--port", port])
        self.program = ChatServerProgram(self.reactor, options)
        self.program.startService()
        _, key = self.printed()
        self.assertRegex(
            key, r"^\* for clients on this machine only: --server \[::1\]:5555/sha256:\S+$"
        )

    def test_the_operator_sees_and_ends_the_lobby(self) -> None:
        self.start("--lobby", "tcp:6666")
        self.printed()
        (port,) = [factory for factory in self.factories() if isinstance(factory, LobbyPort)]
        member = port.buildProtocol(None)
        assert member is not None
        member.makeConnection(HalfTransport())
        self.assertEqual(self.types("/rooms"), ["* #lobby: 1 member"])
        self.assertEqual(
            self.types("/kick guest-1"), ['* "guest-1" is disconnected and no longer registered']
        )
        self.assertEqual(
            self.types("/kick guest-1"), ['* no client has the id "guest-1": /info lists them']
        )
        self.assertEqual(self.types("/rooms"), ["* #lobby: 0 members"])

    def test_address_has_one_count_for_both_ports(self) -> None:
        self.start("--lobby", "tcp:6666", "--limits", "connections-per-address=1")
        server, lobby = self.factories()
        address = type("Address", (), {"host": "192.0.2.1", "port": 1})()
        self.assertIsNotNone(lobby.buildProtocol(address))
        self.assertIsNone(lobby.buildProtocol(address))
        self.assertIsInstance(server.buildProtocol(address), Refusal)

    def test_metrics_have_their_own_port(self) -> None:
        self.start("--metrics", "9100", "--store", "memory:")
        said = self.printed()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [5555, 9100])
        self.assertEqual(self.reactor.tcpServers[1][3], "127.0.0.1")
        self.assertTrue(said[1].startswith("* metrics listening on "))

    def test_quit_stops_the_reactor(self) -> None:
        self.start()
        self.printed()
        self.types("/quit")
        self.assertTrue(self.reactor.hasStopped)

    def test_drain_closes_the_ports_and_ends_with_the_last_client(self) -> None:
        self.start("--lobby", "tcp:6666")
        _, lobby = self.factories()
        address = type("Address", (), {"host": "192.0.2.1", "port": 1})()
        member = lobby.buildProtocol(address)
        transport = HalfTransport()
        member.makeConnection(transport)
        self.printed()
        (line,) = self.types("/drain 10m")
        self.assertIn("open now: 1;", line)
        self.assertIn("600 s", line)
        self.assertIn("no duration", self.types("/drain soon")[0])
        self.reactor.advance(0)
        self.assertIn(b"ends soon", transport.value())
        self.reactor.advance(1)
        self.assertFalse(self.reactor.hasStopped)
        member.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(1)
        self.assertTrue(self.reactor.hasStopped)

    def test_a_line_that_is_too_long_is_refused(self) -> None:
        self.start()
        self.printed()
        for _ in range(5):
            os.write(self.keyboard, b"x" * 16000)
            for reader in list(self.reactor.readers):
                reader.doRead()
        self.assertIn("longer than 65536 bytes", self.printed()[0])
        self.assertEqual(self.types("/info"), [])
        self.assertEqual(self.types("/info"), ["* no clients are registered"])

    def test_last_lines_are_printed_at_the_end(self) -> None:
        self.start()
        assert self.program is not None
        self.stop()
        self.assertTrue(re.match("Server listening", self.printed()[0]))
