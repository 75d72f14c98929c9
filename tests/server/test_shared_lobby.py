"""The lobby in bare text of several servers is one, for the rooms and for those who are in it."""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from chatproto.server import commands as told
from chatproto.server.replicas import ServerReplica
from chatproto.server.shared_lobby import SharedLobby, is_at_any


class Rooms:
    """The rooms, and the port for bare text of this server; writes down what reaches them."""

    def __init__(self) -> None:
        self.got: list[tuple[str, ...]] = []
        self.plain: Rooms | None = self

    def came(self, name: str) -> None:
        self.got.append(("came", name))

    def went(self, name: str, reason: str) -> None:
        self.got.append(("went", name, reason))

    def heard(self, name: str, text: str) -> None:
        self.got.append(("heard", name, text))

    def show(self, line: str) -> None:
        self.got.append(("shown", line))


class SharedLobbyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rooms = Rooms()
        self.lobby = SharedLobby(cast(Any, self.rooms))
        self.ours, self.theirs = ServerReplica("", 1, 0.0), ServerReplica("", 1, 0.0)
        self.members = [self.ours, self.theirs]

    def do(self, at: ServerReplica, *did: str) -> list[tuple[str, ...]]:
        self.rooms.got.clear()
        self.lobby.carry_out(told.LobbyAction(*did), at, self.members, at is self.ours)
        return self.rooms.got

    def test_what_is_done_at_another_server_is_shown_here_as_well(self) -> None:
        self.assertEqual(
            self.do(self.theirs, "came", "ann", ""), [("came", "ann"), ("shown", "* ann joined")]
        )
        self.assertEqual(
            self.do(self.theirs, "said", "ann", "a\x1bb"),
            [("heard", "ann", "a\x1bb"), ("shown", "ann: a␛b")],
        )
        self.assertEqual(
            self.do(self.theirs, "went", "ann", "tired"),
            [("went", "ann", "tired"), ("shown", "* ann left (tired)")],
        )

    def test_what_is_done_here_its_own_port_has_shown(self) -> None:
        self.assertEqual(self.do(self.ours, "came", "ann", ""), [("came", "ann")])
        self.assertEqual(self.do(self.ours, "said", "ann", "hi"), [("heard", "ann", "hi")])
        self.assertEqual(self.do(self.ours, "went", "ann", ""), [("went", "ann", "")])

    def test_two_of_a_name_come_once_and_go_once(self) -> None:
        self.do(self.ours, "came", "ann", "")
        self.assertEqual(self.do(self.theirs, "came", "ann", ""), [("shown", "* ann joined")])
        self.assertEqual(self.do(self.ours, "went", "ann", ""), [])
        self.assertTrue(is_at_any("ann", self.members))
        self.assertEqual(self.do(self.theirs, "went", "ann", "")[0], ("went", "ann", ""))
        self.assertFalse(is_at_any("ann", self.members))

    def test_whoever_was_never_there_does_not_go(self) -> None:
        self.assertEqual(self.do(self.ours, "went", "ann", ""), [])

    def test_whoever_was_at_a_server_that_ended_has_gone(self) -> None:
        self.rooms.plain = None
        for name in ("ann", "ben"):
            self.do(self.theirs, "came", name, "")
        self.do(self.ours, "came", "ben", "")
        self.rooms.got.clear()
        self.lobby.end(self.theirs, [self.ours], False)
        self.assertEqual(self.rooms.got, [("went", "ann", "")])
