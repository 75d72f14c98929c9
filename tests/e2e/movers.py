"""Two people who send each other files: their folders, what landed in them, and the way between them."""

from __future__ import annotations

import hashlib
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.harness import LIMIT, Stage, free_port
from tests.e2e.proxy import Proxy
from tests.e2e.talker import Person, Talker, acquaint

MIB = 1024 * 1024
_BLOCK = MIB
ENDED = {"done", "declined", "cancelled", "failed"}


def noise(path: Path, size: int, seed: int = 1) -> str:
    """A file that cannot be guessed; its SHA-256."""
    chance, whole = random.Random(seed), hashlib.sha256()
    with path.open("wb") as file:
        for at in range(0, size, _BLOCK):
            block = chance.randbytes(min(_BLOCK, size - at))
            whole.update(block)
            file.write(block)
    return whole.hexdigest()


def sha256(path: Path) -> str:
    """Of what lies at `path`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak(program: Talker) -> int:
    """Most bytes of memory that it held since `forget_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{program.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def forget_peak(program: Talker) -> None:
    """Count from now on."""
    Path(f"/proc/{program.pid}/clear_refs").write_text("5")


class Mover(Person):
    """Person with a folder for files; its parent, `world`, holds nothing else."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        server: int,
        *options: str,
        port: int | None = None,
        downloads: Path | None = None,
    ) -> None:
        self.world = stage.place(f"{name}-world")
        self.downloads = downloads or self.world / "downloads"
        own = ("--downloads", str(self.downloads))
        super().__init__(stage, name, server, *own, *options, port=port)

    @property
    def home(self) -> Path:
        """Folder of its key and records."""
        return self._home

    def send(self, *paths: Path) -> None:
        """Offer them to whom they talk with."""
        self.now.send_line("/send " + " ".join(map(str, paths)))

    def file(self, state: str, timeout: float = LIMIT, **fields: Any) -> dict[str, Any]:
        """Wait until a file is in that state."""
        return self.now.event("file", timeout=timeout, state=state, **fields)

    def asked(self, name: str | None = None) -> int:
        """Wait until a file is offered that must be answered; its number."""
        wanted: dict[str, Any] = {} if name is None else {"name": name}
        return int(self.file("offered", ask=True, **wanted)["id"])

    def take(self, name: str | None = None) -> int:
        """Say yes to it."""
        number = self.asked(name)
        self.now.send_line(f"/accept {number}")
        return number

    def done(self, name: str | None = None, timeout: float = 4 * LIMIT) -> dict[str, Any]:
        """Wait until a file has come whole, or went; one that ended otherwise is no use to wait for."""
        wanted: dict[str, Any] = {} if name is None else {"name": name}
        told = self.now.event("file", timeout=timeout, state=lambda state: state in ENDED, **wanted)
        assert told["state"] == "done", f"{told}\n{self.now.transcript()}"
        return told

    def files(self) -> list[dict[str, Any]]:
        """Return the rows of /files."""
        self.now.send_line("/files")
        return list(self.now.event("answer", command="files")["files"])

    def told(self, **fields: Any) -> list[dict[str, Any]]:
        """The events about files with these fields, since it was begun."""
        return [
            event
            for event in self.now.events()
            if event["event"] == "file" and all(event.get(k) == v for k, v in fields.items())
        ]

    def moved(self, offset: int = 1) -> None:
        """Wait until at least so many bytes of a file have gone or come, as /files shows."""

        def far(files: list[dict[str, Any]]) -> bool:
            return any(one["state"] == "moving" and one["offset"] >= offset for one in files)

        while not far(self.files()):
            pass

    def landed(self) -> dict[str, str]:
        """The hash of each file in the download folder, by its path there."""
        found = (path for path in self.downloads.rglob("*") if not path.is_dir())
        return {str(path.relative_to(self.downloads)): sha256(path) for path in found}

    def part(self) -> int:
        """Bytes in what is not whole yet."""
        return sum(path.stat().st_size for path in self.downloads.glob("*.part"))

    def assert_whole(self, files: dict[str, str]) -> None:
        """Check that the download folder holds exactly these files, and nothing lies beside it."""
        assert self.landed() == files
        if self.downloads.parent == self.world:
            assert [path.name for path in self.world.iterdir()] == ["downloads"]
        assert not any(any(path.iterdir()) for path in self._working_folders())
        for path in self.downloads.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path

    def kill_when(self, fact: Callable[[], bool]) -> None:
        """SIGKILL as soon as `fact` holds; nothing that it says is waited for."""
        while not fact():
            pass
        self.now.signal(signal.SIGKILL)
        self.kill()

    def _working_folders(self) -> list[Path]:
        return [program.places[0] for program in self.lives]


class Way:
    """Alice and bob, who talk with each other, everything through `proxy`."""

    def __init__(
        self,
        stage: Stage,
        alice: tuple[str, ...] = (),
        bob: tuple[str, ...] = (),
        downloads: Path | None = None,
    ) -> None:
        # Whoever is killed and calls again and again would be told to slow down.
        limits = ("from", "to", "to-per-address")
        wide = [word for name in limits for word in ("--limits", f"introductions-{name}=1000")]
        _, server = stage.server(*wide)
        ports = free_port(), free_port()
        self.proxy = Proxy("127.0.0.1", ports[0])
        doors = self.proxy.port, self.proxy.also("127.0.0.1", ports[1])
        told = [("--announce", f"127.0.0.1:{door}") for door in doors]
        self.alice = Mover(stage, "alice", server, *told[0], *alice, port=ports[0])
        self.bob = Mover(stage, "bob", server, *told[1], *bob, port=ports[1], downloads=downloads)
        acquaint(self.alice, self.bob)

    def meet_again(self) -> None:
        """Alice calls bob, who knows her."""
        self.alice.now.send_line("/chat bob")
        self.alice.now.event("session", id="bob", state="open")
        self.bob.now.event("session", id="alice", state="open")

    def wait_for_connection(self) -> None:
        """Until there is one through the proxy."""
        self.proxy.wait_for(lambda: self.proxy.open > 0, "another connection")


MakeWay = Callable[..., Way]
