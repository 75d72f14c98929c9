"""Tests of when groups are settled, while the store is away and at the end."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.shared import GroupState
from chatproto.server.shared_directory.groups import Decide, DirectoryContext
from chatproto.server.shared_directory.settling import AGAIN, Settler
from chatproto.wire.errors import StoreTrouble
from tests.limits import DEFAULTS


class Groups:
    """Groups in a store that may be away."""

    def __init__(self) -> None:
        self.away = True
        self.asked: list[str] = []

    async def change(self, client_id: str, decide: Decide) -> GroupState | None:
        self.asked.append(client_id)
        if self.away:
            raise StoreTrouble("away")
        return None


class SettlerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.groups = Groups()
        nothing: Any = None
        context = DirectoryContext(
            self.clock,
            nothing,
            nothing,
            cast(Any, self.groups),
            DEFAULTS,
            self.clock.seconds,
            lambda effects: None,
        )
        self.settler = Settler(context, lambda client_id: None)
        self.settler.ask("alice")

    def test_failed_group_is_settled_again_later(self) -> None:
        self.clock.advance(AGAIN)
        self.groups.away = False
        self.clock.advance(AGAIN)
        self.assertEqual(self.groups.asked, ["alice"] * 3)
        self.assertEqual((len(self.settler), self.clock.getDelayedCalls()), (0, []))

    def test_stop_cancels_the_retries(self) -> None:
        self.settler.stop()
        self.settler.ask("bob")
        self.assertEqual((len(self.settler), self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(self.groups.asked, ["alice"])
