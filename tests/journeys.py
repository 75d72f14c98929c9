"""Trace six journeys through the package: which files a thing passes, in order, and in how many calls.

`python -m tests.journeys` prints the section of docs/architecture.md, `--write` puts it there.
Each journey is a real run in memory: TLS, keys and codecs are the program's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap
from types import FrameType
from typing import Any

from twisted.internet.task import Clock

from chatproto.client.events import MessageReceived
from chatproto.directory.answers import Directory
from chatproto.net.clock import Wall
from chatproto.net.dates import date_of
from chatproto.server.factory import ChatFactory
from chatproto.stores.memory import MemoryRegistry
from chatproto.ui.plain import PlainInterface
from chatproto.wire.bcp2_peer import MsgAck
from tests.client import keyed_program
from tests.client.rooms import room_ends
from tests.limits import DEFAULTS
from tests.server.ends import End, connect
from tests.simulation.world import World
from tests.transfer.ends import Pair

PACKAGE = str(Path(__file__).parent.parent / "chatproto") + "/"
REGISTER = b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n"


@dataclass
class Journey:
    """Keep the file of each call in `visits`, and beside it the program that it belongs to."""

    name: str
    visits: list[str] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    carriers: set[str] = field(default_factory=set)
    """Files that called another file on the way; the rest only answered a question."""

    @property
    def files(self) -> list[str]:
        """Name each file once, in the order of the first calls."""
        return list(dict.fromkeys(self.visits))

    @property
    def stages(self) -> list[tuple[str, list[str]]]:
        """Give each program with the files that are new there, in order; one stage if it is alone.

        Only carriers, and the first file of each folder.
        """
        found = list[tuple[str, list[str]]]()
        seen = set[tuple[str, str]]()
        for program, file in zip(self.programs, self.visits, strict=True):
            folder = (program, file.partition("/")[0])
            if (program, file) not in seen and (file in self.carriers or folder not in seen):
                seen |= {(program, file), folder}
                if not found or found[-1][0] != program:
                    found.append((program, []))
                found[-1][1].append(file)
        return found

    @property
    def folder_changes(self) -> int:
        """Count how often a call went from one folder to another."""
        folders = [one.partition("/")[0] for one in self.visits]
        return sum(one != other for one, other in pairwise(folders))

    def calls_in(self, *folders: str) -> int:
        """Count the calls in some folders."""
        return sum(one.partition("/")[0] in folders for one in self.visits)

    def __str__(self) -> str:
        calls, files = len(self.visits), len(self.files)
        return f"{self.name}: {calls} calls, {files} files, {self.folder_changes} changes of folder"


COMPREHENSIONS = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>"})


@contextmanager
def traced(name: str, programs: Callable[[FrameType], str] = lambda frame: "") -> Iterator[Journey]:
    """Record the calls of functions of the package, without generated code and comprehensions.

    Args: programs: names the program that a frame belongs to, where several run in the process.
    """
    journey = Journey(name)
    date_of.cache_clear()  # each message has a date of its own

    def profile(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_name not in COMPREHENSIONS and not is_far_end(frame):
            file = code.co_filename.removeprefix(PACKAGE)
            journey.visits.append(file)
            journey.programs.append(programs(frame))
            if (caller := calling_file(frame.f_back)) not in (None, file):
                journey.carriers.add(str(caller))

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield journey
    finally:
        sys.setprofile(before)


class EndOfJourney(list[Any]):
    """Stand for the list of what a connection wrote, and end the tracing with the next write.

    Args: before: what was written so far. ended: called then.
    """

    def __init__(self, before: list[Any], ended: Callable[[], object] = lambda: None) -> None:
        super().__init__(before)
        self._ended = ended

    def append(self, one: Any) -> None:
        """Keep `one`, and record no further calls."""
        sys.setprofile(None)
        self._ended()
        super().append(one)


def calling_file(frame: FrameType | None) -> str | None:
    """Name the package's file that made a call, through the library's own frames."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return frame.f_code.co_filename.removeprefix(PACKAGE)
        frame = frame.f_back
    return None


def is_far_end(frame: FrameType | None) -> bool:
    """Return True if the test made the call: as a far end that uses the codec, or to check an event."""
    while frame is not None:
        if frame.f_code.co_filename.endswith("tests/client/codes.py"):
            return True
        if frame.f_code.co_filename.endswith("tests/client/tls_net.py"):
            if frame.f_code.co_name in ("hear", "_take", "tell", "_say"):
                return True
            if frame.f_code.co_name in ("pump", "settle"):
                return False
        frame = frame.f_back
    return False


def simulated_program(frame: FrameType | None) -> str:
    """Name the program of the simulation in which `frame` runs."""
    while frame is not None:
        port = frame.f_locals.get("port") if frame.f_code.co_name == "_reach" else None
        owner: Any = port or frame.f_locals.get("self")
        if "/simulation/" in frame.f_code.co_filename and hasattr(owner, "reactor"):
            return str(owner.reactor.name)
        if frame.f_code.co_name == "run_until":
            return str(getattr(frame.f_locals["owner"], "name", ""))
        frame = frame.f_back
    return "ann"


class _Case(keyed_program.Case):
    def runTest(self) -> None:
        """Let the case be made without a test of its own."""


class _RoomCase(room_ends.Case):
    def runTest(self) -> None:
        """Let the case be made without a test of its own."""


@contextmanager
def set_up(case: Any) -> Iterator[Any]:
    """Give a test case that is set up, and clean up after it."""
    case.setUp()
    try:
        yield case
    finally:
        case.doCleanups()


def register() -> Journey:
    """Trace REGISTER in plain text, from its bytes to those of REGACK."""
    said = list[str]()
    directory = Directory(MemoryRegistry(DEFAULTS), DEFAULTS)
    factory = ChatFactory(Clock(), directory, DEFAULTS, 1000, said.append)
    end = End()
    connection = connect(factory, end)
    with traced("REGISTER") as journey:
        connection.dataReceived(REGISTER)
    assert end.new().startswith(b"REGACK"), "it is not answered at once"
    return journey


def typed_line() -> Journey:
    """Trace a line from the keyboard until it is written to the peer's socket, encrypted."""
    with set_up(_Case()) as case:
        bob = case.talking()
        screen = PlainInterface(case.node.client, lambda line: None, lambda: Wall(0.0))
        screen.on_line("the first, after which nothing is new")
        case.net.wait(1.0)
        bob.wire.writes = EndOfJourney(bob.wire.writes)
        with traced("a typed line") as journey:
            screen.on_line("hello")
            case.net.settle()
        assert bob.texts[-1:] == ["hello"], bob.texts
    return journey


def message() -> Journey:
    """Trace MSG from its encrypted bytes until the user was told and MSGACK is written."""
    with set_up(_Case()) as case:
        bob = case.talking()
        bob.says("the first, after which nothing is new")
        case.net.wait(1.0)
        before = len(bob.heard(MsgAck))
        told = list[list[str]]()
        bob.wire.writes = EndOfJourney(
            bob.wire.writes, lambda: told.append(case.texts(MessageReceived)[-1:])
        )
        with traced("MSG") as journey:
            bob.says("hello")
        assert told == [["hello"]], "the user was not told before it was acknowledged"
        assert len(bob.heard(MsgAck)) == before + 1, "it is not acknowledged at once"
    return journey


def room_line() -> Journey:
    """Trace a line to a room through the server to a member who was in it all along."""
    with set_up(_RoomCase()) as case:
        case.both_join()
        case.node.msg("the first", "#den")
        case.hall.settle()
        with traced("a room line") as journey:
            case.node.msg("hello", "#den")
            case.hall.settle()
        assert case.bob.texts()[-1:] == ["hello"], case.bob.texts()
    return journey


def file() -> Journey:
    """Trace a file of 100 bytes from its offer until the receiver has written it."""
    with TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        pair.connect()
        path = Path(folder) / "hundred.txt"
        path.write_bytes(b"x" * 100)
        with traced("a file") as journey:
            pair.a.offer(path)
            pair.run()
        assert list(pair.b.landed) == ["hundred.txt"], pair.b.landed
    return journey


def introduction() -> Journey:
    """Trace `/chat bob` through the server until both programs dial each other."""
    with two_people() as world:
        ann, _ = world.people
        dialled = set[str]()
        connect = world.network.connect

        def connect_and_note(reactor: Any, *where: Any, **options: Any) -> Any:
            dialled.add(reactor.name)
            if len(dialled) == 2:
                sys.setprofile(None)
            return connect(reactor, *where, **options)

        world.network.connect = connect_and_note  # type: ignore[method-assign]
        with traced("an introduction", simulated_program) as journey:
            assert ann.node is not None
            ann.node.chat("bob")
            world.pass_time(1.0)
        assert dialled == {"ann", "bob"}, dialled
    return journey


def two_people() -> World:
    """Make the first world of the simulation with two people who take every call, and no stranger."""
    for seed in range(100):
        world = World(seed)
        names = [person.name for person in world.people]
        if names == ["ann", "bob"] and world.people[1].settings.answer == "all":
            return world
    raise AssertionError("no seed makes such a world")


JOURNEYS = (register, typed_line, message, room_line, file, introduction)


PROGRAMS = {"ann": "caller's program", "server": "the server", "bob": "peer's program", "": ""}


def section() -> str:
    """Write the journeys as docs/architecture.md shows them."""
    lines = []
    for journey in JOURNEYS:
        made = journey()
        title = (journey.__doc__ or "").splitlines()[0].removeprefix("Trace ").rstrip(".")
        lines += ["", f"**{title[0].upper()}{title[1:]}**", ""]
        for number, (program, files) in enumerate(made.stages, start=1):
            where = f"{PROGRAMS[program]}: " if program else ""
            text = f"{number}. {where}{', '.join(f'`{name}`' for name in files)}"
            lines += wrap(text, 100, subsequent_indent="   ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def measures() -> Iterator[str]:
    """Give one line for each journey, with the numbers of docs/architecture.md."""
    for journey in JOURNEYS:
        made = journey()
        yield str(made)
        if journey is file:
            yield f"  of these in transfer/ and wire/: {made.calls_in('transfer', 'wire')} calls"


BEGIN, END = "<!-- drawn by: python -m tests.journeys --write -->\n", "<!-- end of the journeys -->"
PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"


def main() -> None:
    """Print the section of the page, or with `--write` put it there."""
    if "--write" not in sys.argv[1:]:
        print(section())
        return
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}{section()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
