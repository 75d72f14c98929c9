"""`chatclient send` again and again: a limit of one's own server is waited for, not failed at."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.events import Event, MessageReceived
from chatproto.net.clock import Wall
from chatproto.ui.oneshot import DONE, Over, SendText, Step
from chatproto.ui.references import Marks, References
from chatproto.ui.view import json_object
from chatproto.wire.errors import RemoteError
from tests.limits import DEFAULTS
from tests.simulation import world as worlds
from tests.simulation.person import LIMITS, Person
from tests.simulation.test_homes import two

STEP = 0.1
"""Seconds of the simulation between two looks whether it is over."""


class OneShot:
    """One command of `person`, who starts a program for it, as `cli.oneshot_runner` does."""

    def __init__(self, world: worlds.World, person: Person, to: str, text: str) -> None:
        self.over: Over | None = None
        self.notes: list[str] = []
        self._work = SendText(to, text)
        self._begun = False
        self._world = world
        person.start()
        assert person.node is not None
        self._node: Any = person.node
        self._reactor = self._node.reactor
        self._refs = count(1)
        self._references = References(self._tell)
        self._node.publish.listen(
            lambda event: self._tell(event, self._references.of_current(event))
        )
        world.books.begin(person.name, to, text, pinned=True)
        world.books.end(text)

    def run(self, seconds: float) -> float:
        """Let time pass until it is over; the seconds that it took."""
        clock = self._world.clock
        began = clock.seconds()
        while self.over is None and clock.seconds() < began + seconds:
            clock.run_until(clock.seconds() + STEP)
        return clock.seconds() - began

    def end(self) -> None:
        """End the program as the command does, which says goodbye."""
        self._node.stop(0)
        self._world.clock.run_until(self._world.clock.seconds() + 1)

    def _tell(self, event: Event, marks: Marks) -> None:
        told = json_object(event, Wall(self._world.clock.seconds()), marks)
        self._reactor.callLater(0, lambda: self._told(told))

    def _told(self, event: dict[str, Any]) -> None:
        if self._begun and self.over is None:
            self._do(self._work.heard(event))
        elif event["event"] in ("registered", "notice"):
            self._begun = True
            self._do(self._work.begin())

    def _do(self, step: Step) -> None:
        self.notes += step.notes
        for given in step.commands:
            self._references.run_line({"ref": next(self._refs), **given}, self._node.client)
        if step.over is not None:
            self.over = step.over
        elif step.wait is not None:
            self._reactor.callLater(step.wait, lambda: self._do(self._work.again()))


class LoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(
            worlds,
            "LIMITS",
            replace(LIMITS, introductions_from=DEFAULTS.introductions_from),
        )
        self.world, self.ann, self.bob = two(1)
        self.world.__enter__()
        self.addCleanup(self.world.__exit__)
        self.ann.kill()
        self.heard: list[str] = []
        assert self.bob.node is not None
        self.bob.node.publish.listen(self._heard)

    def _heard(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            self.heard.append(event.text)

    def send(self, text: str) -> tuple[OneShot, float]:
        """Send `text` with a program of its own; the command, and the seconds that it took."""
        command = OneShot(self.world, self.ann, self.bob.name, text)
        seconds = command.run(200)
        self.assertEqual(command.over, Over(DONE), command.notes)
        command.end()
        return command, seconds

    def test_more_than_six_a_minute_wait_and_all_arrive(self) -> None:
        texts = [f"line {number}" for number in range(DEFAULTS.introductions_from + 2)]
        waited = []
        for text in texts:
            command, seconds = self.send(text)
            if command.notes:
                waited.append(seconds)
                self.assertIn("too many requests", command.notes[0])
                self.assertIn("retrying in 10 s", command.notes[0])
        self.assertEqual(self.heard, texts)
        self.assertTrue(waited, "the limit was never met")
        self.assertLess(max(waited), 70)

    def test_a_registration_that_is_refused_for_now_is_waited_for(self) -> None:
        refusals = 2
        directory: Any = self.world.side and self.world.side.directory
        answer = directory._register

        def register(*arguments: Any, **more: Any) -> Any:
            nonlocal refusals
            if refusals:
                refusals -= 1
                raise RemoteError(429, "too many")
            return answer(*arguments, **more)

        self.patch(directory, "_register", register)
        command, seconds = self.send("after all")
        self.assertEqual(refusals, 0)
        self.assertEqual(self.heard, ["after all"])
        self.assertIn("does not register you yet", command.notes[0])
        self.assertGreater(seconds, 20)
