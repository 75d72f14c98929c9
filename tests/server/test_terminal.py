from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.terminal import HELD_LINES, Terminal
from chatproto.wire.reasons import CodedError, Reason


class SmallServer:
    """A server with two clients, which remembers what was done to it."""

    def __init__(self) -> None:
        self.clients = {"alice": "127.0.0.1:3000", "bob": "[::1]:3001"}
        self.room_lines: list[str] = []
        self.stops = 0
        self.orders: list[tuple[str, str]] = []

    def info_lines(self, prefix: str) -> Deferred[Iterator[str]]:
        return succeed(f"{client_id} {address}" for client_id, address in self.clients.items())

    def rooms(self) -> Deferred[Iterator[str]]:
        return succeed(iter(self.room_lines))

    def kick(self, client_id: str) -> Deferred[bool]:
        return succeed(self.clients.pop(client_id, None) is not None)

    def order(self, command: str, rest: str) -> Deferred[str]:
        if rest == "nobody #tea":
            raise CodedError("nobody is not in that room", Reason.NOT_FOUND)
        self.orders.append((command, rest))
        return succeed("done")

    def free(self, client_id: str) -> Deferred[bool]:
        return succeed(client_id == "owned")

    def reload(self) -> Iterator[str]:
        yield "read again: keys"
        raise CodedError("cannot read accounts", Reason.FILE_TROUBLE)

    def drain(self, time: str) -> str:
        return f"draining for {time or 'as long as usual'}"

    def stop(self) -> None:
        self.stops += 1


class TerminalTests(SynchronousTestCase):
    def work(self, step: Callable[[], bool]) -> None:
        """Do all steps; no step may write more than a line."""
        before, more = len(self.lines), True
        while more:
            more = step()
            self.assertLessEqual(len(self.lines), before + 1)
            before = len(self.lines)

    def setUp(self) -> None:
        self.server = SmallServer()
        self.lines: list[str] = []
        self.terminal = Terminal(self.server, self.lines.append, self.work)

    def typed(self, line: str) -> list[str]:
        self.lines.clear()
        self.terminal.on_line(line)
        return self.lines

    def test_info_prints_the_lines_of_the_assignment(self) -> None:
        self.assertEqual(self.typed("/info"), ["alice 127.0.0.1:3000", "bob [::1]:3001"])

    def test_info_takes_a_prefix(self) -> None:
        self.assertEqual(self.typed("/info al"), ["alice 127.0.0.1:3000"])
        self.assertEqual(self.typed("/info z"), ['* nobody whose id begins with "z"'])

    def test_info_of_an_empty_server_says_so(self) -> None:
        self.server.clients.clear()
        self.assertEqual(self.typed("/info"), ["* no clients are registered"])

    def test_rooms_are_listed(self) -> None:
        self.assertEqual(self.typed("/rooms"), ["* there are no rooms"])
        self.server.room_lines.append("lobby 3")
        self.assertEqual(self.typed("/rooms"), ["* lobby 3"])

    def test_input_during_a_list_waits_for_its_end(self) -> None:
        steps: list[Callable[[], bool]] = []
        terminal = Terminal(self.server, self.lines.append, steps.append)
        for line in ["/info", "/rooms", "/nonsense", *["/kick"] * HELD_LINES]:
            terminal.on_line(line)
        self.assertEqual(len(self.lines), 2)
        self.assertTrue(self.lines[-1].startswith("* ignored, as a list is still being printed"))
        self.lines.clear()
        while steps:
            step = steps.pop(0)
            while step():
                pass
        self.assertEqual(
            [*self.lines[:3], len(self.lines)],
            ["alice 127.0.0.1:3000", "bob [::1]:3001", "* there are no rooms", 2 + HELD_LINES],
        )
        self.assertIn("unknown command /nonsense", self.lines[3])

    def test_kick_forgets_a_client(self) -> None:
        self.assertEqual(
            self.typed("/kick bob"), ['* "bob" is disconnected and no longer registered']
        )
        self.assertNotIn("bob", self.server.clients)
        self.assertEqual(
            self.typed("/kick bob"), ['* no client has the id "bob": /info lists them']
        )

    def test_kick_wants_an_id(self) -> None:
        self.assertEqual(self.typed("/kick"), ["* name a client: /kick ID (/info lists the ids)"])

    def test_quit_stops_the_server(self) -> None:
        self.assertEqual(self.typed(" /QUIT \r"), [])
        self.assertEqual(self.server.stops, 1)

    def test_the_end_of_input_does_not_stop_it(self) -> None:
        self.terminal.on_end()
        self.assertEqual(self.server.stops, 0)

    def test_help_has_a_line_for_each_command(self) -> None:
        commands = [line.split()[1].rstrip(":") for line in self.typed("/help")]
        self.assertEqual(
            commands,
            [
                *(
                    "/info",
                    "/rooms",
                    "/kick",
                    "/say",
                    "/ban",
                    "/unban",
                    "/mute",
                    "/op",
                    "/invite",
                    "/topic",
                ),
                *("/set", "/free", "/reload", "/drain", "/quit", "/help"),
            ],
        )

    def test_an_unknown_command_names_the_nearest(self) -> None:
        self.assertEqual(self.typed("/inof"), ["* unknown command /inof: did you mean /info?"])
        self.assertEqual(self.typed("quit"), ["* unknown command quit: did you mean /quit?"])

    def test_something_else_points_to_help(self) -> None:
        self.assertEqual(self.typed("xyz"), ["* unknown command xyz: /help lists the commands"])

    def test_an_id_is_freed(self) -> None:
        self.assertEqual(
            self.typed("/free owned"), ['* "owned" is free: any key can register it now']
        )
        self.assertEqual(
            self.typed("/free other"),
            ['* no key and no classic client has the id "other": nothing to free'],
        )
        self.assertEqual(self.typed("/free"), ["* name an id: /free ID"])

    def test_what_is_done_in_rooms_is_an_order(self) -> None:
        for line in ("/ban bob #tea 7d", "/kick bob #tea", "/TOPIC #tea  hot, sweet"):
            self.assertEqual(self.typed(line), ["* done"])
        self.assertEqual(
            self.server.orders,
            [("/ban", "bob #tea 7d"), ("/kick", "bob #tea"), ("/topic", "#tea  hot, sweet")],
        )

    def test_files_are_read_again_and_those_that_failed_are_told_last(self) -> None:
        self.assertEqual(self.typed("/reload"), ["* read again: keys", "* cannot read accounts"])

    def test_a_drain_may_have_a_time(self) -> None:
        self.assertEqual(self.typed("/drain"), ["* draining for as long as usual"])
        self.assertEqual(self.typed("/drain 10m"), ["* draining for 10m"])

    def test_each_line_ends_with_one_code(self) -> None:
        codes: list[Reason | None] = []
        terminal = Terminal(self.server, self.lines.append, self.work, codes.append)
        lines = [
            "/info",
            "/kick nobody #tea",
            "/kick",
            "/free x",
            "nonsense",
            " ",
            "/say hi",
            "/help",
            "/reload",
        ]
        for line in lines:
            terminal.on_line(line)
        not_found, wrong, file = Reason.NOT_FOUND, Reason.MALFORMED, Reason.FILE_TROUBLE
        self.assertEqual(codes, [None, not_found, wrong, not_found, wrong, *[None] * 3, file])
        self.assertIn("* nobody is not in that room", self.lines)

    def test_a_blank_line_is_nothing(self) -> None:
        self.assertEqual(self.typed("  "), [])

    @given(st.text())
    def test_nothing_typed_breaks_it_or_reaches_the_screen_raw(self, line: str) -> None:
        for said in self.typed(line):
            self.assertFalse(any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in said))
