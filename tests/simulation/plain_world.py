"""A world in plain text: people with `--plain` and `--open`, a classic server, and the same faults.

Plain text promises less: no message comes twice, in another order or under another's name, and what
was not written is reported. What was written may be lost with its connection, and a slow network may
split a text or join two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from chatproto.client.app import END_WAIT, ServerAccess
from chatproto.client.calls.connections import EXIT_WAIT
from chatproto.client.events import (
    Delivered,
    Event,
    Failed,
    MessageReceived,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.client.server.introducers import ClassicIntroducer
from chatproto.client.settings import ClientSettings
from chatproto.directory.client import ClassicServer
from chatproto.stores.memory_names import MemoryNames
from tests.client.typing_person import made
from tests.simulation.actions import Action, script
from tests.simulation.invariants import Books, hold
from tests.simulation.person import LIMITS, PEOPLE_PORT, PORT, SERVER, Person
from tests.simulation.reactor import SimReactor
from tests.simulation.world import NAMES, Rules, World

WHOLE = re.compile(r"<([a-z]+)>([a-z]+):(\d+)\.*\|")
"""A text of this world; it tells where it ends, for plain text does not."""
DIALECTS = ("canon", "canon", "lobby", "raw")
CALM = 6.0
"""Seconds in which all that waits for its turn goes out and is read."""
ENDING = END_WAIT + EXIT_WAIT + 1.0


class PlainPerson(Person):
    """Person with `--plain`: no key, no outbox, and a server that is only asked on request."""

    def _made(self, reactor: SimReactor, random: Any) -> Any:
        server = ClassicIntroducer(ClassicServer(cast(Any, reactor), SERVER, PORT))
        node = made(
            cast(Any, reactor),
            self.settings,
            LIMITS,
            random=random,
            connect=lambda *parts: ServerAccess(server),
        )
        node.finished.listen(self.finished)
        return node


@dataclass(slots=True)
class Text:
    """One text and what became of it."""

    sender: str
    receiver: str
    number: int
    written: bool = False
    reported: bool = False
    received: bool = False
    dead: bool = False  # the program that took it is gone
    keyed: bool = False  # said to somebody with a known key


class PlainBooks(Books):
    """Every text that was said, and what the programs told of it."""

    def __init__(self, world: PlainWorld) -> None:
        super().__init__()
        self.texts: dict[str, Text] = {}
        self.leaks: list[str] = []
        self._world = world
        self._parts: dict[tuple[str, str], str] = {}  # by receiver and the sender's host
        self._numbers: dict[tuple[str, str, str], int] = {}

    def begin(self, sender: str, receiver: str, text: str, pinned: bool = False) -> None:
        """`sender` is about to say `text`."""
        self.texts[text] = Text(sender, receiver, len(self.texts), keyed=pinned)
        self._refused = False

    def end(self, text: str) -> None:
        """Note that the text was taken, unless an error was reported."""
        one = self.texts[text]
        if self._refused and not (one.written or one.reported):
            del self.texts[text]

    def held(self, text: str, held: bool, pinned: bool) -> None:
        """Ignore it: it makes no difference in plain text."""

    def forget(self, text: str) -> None:
        """Note that the program was killed before it took the text."""
        self.texts.pop(text, None)

    def killed(self, sender: str) -> None:
        """The program of `sender` is gone: nothing more is told of what it took."""
        for one in self.texts.values():
            one.dead = one.dead or one.sender == sender

    def told(self, who: str, event: Event) -> None:
        """The program of `who` told `event`."""
        try:
            match event:
                case Failed(_, _, "msg" | "say"):
                    self._refused = True
                case Sent(text):
                    self._sent(who, text)
                case Undelivered() if event.text is not None:
                    self._reported(who, event.text)
                case Delivered() | Uncertain():
                    pass  # between two with keys, which is not what is looked at here
                case MessageReceived() if not event.history:
                    self._received(who, event)
        except AssertionError as error:
            self.leaks.append(str(error))

    def written(self, who: str, key: str | None, data: bytes) -> None:
        """The program of `who` writes `data` to the owner of `key`, or in plain text."""
        if key is not None:
            return
        for found in WHOLE.finditer(data.decode(errors="replace")):
            text = self.texts.get(found[0])
            if text is not None and text.keyed:
                self.leaks.append(f"written in plain text, to one with a known key: {text}")

    def unsettled(self) -> list[Any]:
        """List the texts of living programs that were neither written nor reported."""
        return [one for one in self.texts.values() if not (one.written or one.reported or one.dead)]

    def _sent(self, who: str, text: str) -> None:
        one = self.texts[text]
        hold(one.sender == who, f"{who} tells of another's text: {one}")
        hold(one.keyed or not one.written, f"written twice: {one}")
        hold(not one.reported, f"written after it was reported: {one}")
        one.written = True

    def _reported(self, who: str, text: str) -> None:
        one = self.texts[text]
        hold(one.sender == who, f"{who} reports another's text: {one}")
        hold(not one.received, f"received and yet reported: {one}")
        hold(not one.reported, f"reported twice: {one}")
        one.reported = True

    def _received(self, who: str, event: MessageReceived) -> None:
        shown = event.from_.partition("~")[0].rstrip("?")
        # A name may take the place of an address between two pieces of one text.
        host = shown.partition(":")[0] if ":" in shown else self._world.host_of(shown)
        joined = self._parts.get((who, host), "") + re.sub(r"[\r\n]", "", event.text)
        at = 0
        for found in WHOLE.finditer(joined):
            at = found.end()
            self._whole(who, event.from_, shown, found)
        # What is left was cut off with its connection, or goes on in the next piece.
        self._parts[who, host] = joined[at:]

    def _whole(self, who: str, from_: str, shown: str, found: re.Match[str]) -> None:
        one = self.texts.get(found[0])
        hold(one is not None, f"{who} received what nobody said: {found[0]}")
        assert one is not None
        host = self._world.host_of(one.sender)
        rightly = shown == one.sender or shown.startswith(f"{host}:")
        hold(rightly, f"{from_} is shown as the sender: {one}")
        hold(one.receiver == who, f"{who} received what was for another: {one}")
        hold(not one.received, f"received twice: {one}")
        hold(not one.reported, f"received after it was reported: {one}")
        last = self._numbers.get((who, from_, one.sender), -1)
        hold(last < one.number, f"received after number {last}: {one}")
        self._numbers[who, from_, one.sender] = one.number
        one.received = True


@dataclass(frozen=True, slots=True)
class PlainAction(Action):
    """An action in a world of plain text."""

    def register(self, world: Any) -> None:
        """Tell the server where one can be called."""
        one, _ = self._two(world)
        if one.node is not None:
            one.node.register()

    def bridge(self, world: Any) -> None:
        """Ask the server for somebody, and call them."""
        one, _ = self._two(world)
        if one.node is not None:
            one.node.bridge()
            if self.number < 0.7:
                one.node.chat()

    def call_by_name(self, world: Any) -> None:
        """Ask who is there, and call one of them."""
        one, other = self._two(world)
        if one.node is not None:
            one.node.info()
            one.node.chat(other.name)

    def ignore(self, world: Any) -> None:
        """Hear no more of somebody, or hear them again."""
        one, other = self._two(world)
        if one.node is not None:
            world.left.add(frozenset((one.name, other.name)))
            one.node.ignore(other.name)


MORE = {"register": 8, "bridge": 6, "call_by_name": 6, "ignore": 1}


def plain_script(seed: int, rules: Rules) -> tuple[Action, ...]:
    """Choose the actions of `seed` in plain text, where nothing can be taken back."""
    actions = script(seed, rules, PlainAction, MORE)
    return tuple(replace(one, kind="say") if one.kind == "unsend" else one for one in actions)


class PlainWorld(World):
    """A classic server, people with `--plain`, and some with keys who let plain text in (`--open`)."""

    books: PlainBooks

    def __init__(self, seed: int, rules: Rules) -> None:
        super().__init__(seed, rules)
        self.peaceful = False
        self.books = PlainBooks(self)
        self._names = MemoryNames()
        for person in self.people:
            if not person.settings.plain:
                self._names.keep(person.name, person.key, self.clock.seconds())

    def _make_people(self) -> list[Person]:
        random, people = self.random, []
        for number in range(random.choice((2, 2, 3))):
            name, dialect = NAMES[number], random.choice(DIALECTS)
            plain = not number or random.random() < 0.7
            settings = ClientSettings(name, plain=plain, open=True, dialect=dialect, answer="all")
            kind = PlainPerson if plain else Person
            people.append(kind(self, number, name, settings))
        return people

    def host_of(self, name: str) -> str:
        """The address of somebody's machine; empty if there is nobody of that name."""
        return next((one.host for one in self.people if one.name == name), "")

    def whereabouts(self, caller: Person, callee: Person) -> str:
        return f"{callee.host}:{PEOPLE_PORT}"

    def say(self, person: Person, to: str, text: str) -> None:
        """Send a text, if the two are in conversation."""
        node = person.node
        if node is None or person.held is not None:
            return
        names = (to, self.whereabouts(person, self.person(to)))
        called = next((name for name in names if node.calls.all.called(name) is not None), None)
        if called is not None:
            dots = "." * text.count(".")
            text = f"<{person.name}>{to}:{len(self.books.texts)}{len(self.trace)}{dots}|"
            person.say(to, text, called)

    def person(self, name: str) -> Person:
        """Return the person of that name."""
        return next(one for one in self.people if one.name == name)

    def pinned(self, sender: Person, receiver: str) -> bool:
        known = sender.pins.pins
        return bool(known and super().pinned(sender, receiver))

    def tap_of(self, person: Person) -> Callable[[str | None, bytes], None]:
        return lambda key, data: self.books.written(person.name, key, data)

    def check(self) -> None:
        """Check the invariants. Raises Broken."""
        super().check()
        hold(not self.books.leaks, "; ".join(self.books.leaks[:3]))

    def finish(self) -> None:
        """Let nothing break any more; at the end of input all that was said is written or reported."""
        self.trace.add("world", "heals")
        self.network.heal()
        self.start_server()
        self.pass_time(LIMITS.farewell_wait if self.rules.faults else CALM)
        if not self.rules.faults:
            self._check_peace()
        self.trace.add("world", "ends")
        for person in self.people:
            if person.node is not None:
                person.node.end_of_input()
        self.pass_time(ENDING)
        unsettled = self.books.unsettled()
        hold(not unsettled, f"neither written nor reported: {unsettled[:3]}")
        running = [one.name for one in self.people if one.node is not None]
        hold(not running, f"still running after the end of input: {running}")

    def _check_peace(self) -> None:
        """Check that all written texts are read, if nothing broke and nobody left."""
        lost = [
            one
            for one in self.books.texts.values()
            if one.written and not one.received
            if frozenset((one.sender, one.receiver)) not in self.left
        ]
        hold(not lost, f"written and not read: {lost[:3]}")
