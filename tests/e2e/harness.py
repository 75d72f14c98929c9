"""Real `twistd` processes for the end-to-end tests: our server, our client, and a stage for them.

Nothing here imports the programs under test: what they promise is their outward contract.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.program import LIMIT, Program, raise_file_limit
from tests.ports import free_port

__all__ = [
    "LIMIT",
    "JsonClient",
    "Program",
    "Stage",
    "free_port",
    "other_port",
    "raise_file_limit",
    "staged",
]

TWISTD = [str(Path(sys.executable).with_name("twistd"))]
if not Path(TWISTD[0]).exists():
    TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def other_port(server: Program, name: str) -> int:
    """Wait until `server` says that its "lobby" or "metrics" listens; return that port."""
    said = server.expect(re.compile(rf"^\* {name} listening on 127\.0\.0\.1:(\d+)$"))
    return int(said[1])


class JsonClient(Program):
    """Our client behind `--ui json`: events out, lines in. `id`, `host`, `port` are its own."""

    id = ""
    host = ""
    port = 0
    _taken: set[int] = set()

    def start(self) -> None:
        """Wait until its port is open."""
        running = self.event("running")
        self.id, self.host, self.port = running["id"], running["host"], int(running["port"])

    def events(self) -> list[dict[str, Any]]:
        """Every event since `forget`, those that were waited for too."""
        return [json.loads(line) for line in self.output.lines[self._position :]]

    def event(self, name: str, /, timeout: float = LIMIT, **fields: Any) -> dict[str, Any]:
        """Wait for an event with these fields and take it; a callable value is asked of its field.

        An event is taken once; others before it stay to be taken. `from_` is the field `from`.
        """
        found: list[dict[str, Any]] = []
        wanted = {key.rstrip("_"): want for key, want in fields.items()}

        def fits(event: dict[str, Any]) -> bool:
            if event["event"] != name:
                return False
            return all(
                want(event.get(key)) if callable(want) else event.get(key) == want
                for key, want in wanted.items()
            )

        def look() -> bool:
            for number in range(self._position, len(self.output.lines)):
                if number not in self._taken and fits(json.loads(self.output.lines[number])):
                    self._taken = {*self._taken, number}
                    found.append(json.loads(self.output.lines[number]))
                    return True
            return False

        self.wait_for(look, f"the event {name} {fields}", timeout)
        return found[0]

    def forget(self) -> None:
        """Skip all events until now."""
        self._position = len(self.output.lines)

    def heard(self) -> list[str]:
        """The texts of the messages received since `forget`, in order."""
        return [event["text"] for event in self.events() if event["event"] == "message"]


class Stage:
    """Starts programs below one temporary folder and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []

    def place(self, name: str) -> Path:
        """A new folder."""
        for number in range(10_000):
            path = self.folder / (f"{name}-{number}" if number else name)
            with contextlib.suppress(FileExistsError):
                path.mkdir(parents=True)
                return path
        raise AssertionError("too many folders")

    def start(
        self,
        plugin: str,
        *options: str,
        terminal: bool = False,
        kind: type[Program] = Program,
        home: Path | None = None,
        cwd: Path | None = None,
        before: Sequence[str] = (),
    ) -> Any:
        """`twistd -n <plugin>` with `--home` in a new folder, unless given, and the options.

        `before`: a command that runs the rest of its line, such as one that enters another network.
        """
        home = home or self.place(f"{plugin}-home")
        command = [*before, *TWISTD, "-n", plugin, "--home", str(home), *options]
        program = kind(command, cwd or self.place(f"{plugin}-cwd"), [home], terminal)
        self.programs.append(program)
        return program

    def server(self, *options: str, **how: Any) -> tuple[Program, int]:
        """A chat server on a free port of 127.0.0.1, and that port."""
        server = self.start("chatserver", "--port", "tcp:0:interface=127.0.0.1", *options, **how)
        listening = server.expect(re.compile(r"^Server listening on 127\.0\.0\.1:(\d+)$"))
        return server, int(listening[1])

    def client(self, name: str, server: int | str = "none", *options: str) -> JsonClient:
        """A JSON client that is classic towards its server (`--plain`); its port is open."""
        where = server if isinstance(server, str) else f"127.0.0.1:{server}"
        return self.open_client(name, where, "--plain", *options)

    def open_client(self, name: str, server: str = "none", *options: str) -> JsonClient:
        """A client with the JSON interface and no option but these; its port is open."""
        port = () if "--port" in options else ("--port", "tcp:0:interface=127.0.0.1")
        arguments = ("--id", name, *port, "--server", server, "--ui", "json", *options)
        client: JsonClient = self.start("chatclient", *arguments, kind=JsonClient)
        client.start()
        return client

    def end(self) -> None:
        """End every program, the last first; raises what the first of them complains of."""
        wrong: list[AssertionError] = []
        while self.programs:
            try:
                self.programs.pop().end()
            except AssertionError as error:
                wrong.append(error)
        if wrong:
            raise wrong[0]


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A stage that is always cleared."""
    stage = Stage(folder)
    try:
        yield stage
    finally:
        stage.end()
