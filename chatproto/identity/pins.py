"""Whose key is whose, as this program has come to know it: the file `known_peers` in the home.

A line is one of

    server HOST:PORT KEY                 a server and its key
    SERVER-KEY ID KEY [verified]         somebody at a server, for an id means something only there

`-` stands for the server of those who were called without one. `verified`: the two have compared
their safety number. Lines that begin with `#` and blank ones are left as they are. Nothing else is
guessed at: a line that cannot be read may have been the one that tells a friend from an impostor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from chatproto.identity.files import write_secret
from chatproto.net.private_files import check_owner

KEY = re.compile(r"sha256:[A-Z2-7]{52}")
SERVER = "server"
NO_SERVER = "-"
MOST_LINES = 100_000
MOST_BYTES = 200 * MOST_LINES


class PinTrouble(Exception):
    """The file cannot be read or written; its text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A key and whose it is: `name` an id or, where `server` is `server`, its `host:port`."""

    server: str
    name: str
    key: str
    verified: bool = False
    line: int = 0

    def text(self) -> str:
        """The line in the file."""
        mark = " verified" if self.verified else ""
        return f"{self.server} {self.name} {self.key}{mark}"


class Pins:
    """The pins, in memory; `lines` are the file's, so that what a person wrote there stays."""

    def __init__(self, text: str = "", where: str = "known_peers") -> None:
        self.where = where
        self._lines: list[str] = text.removesuffix("\n").split("\n") if text else []
        self._pins: dict[tuple[str, str], Pin] = {}
        if len(self._lines) > MOST_LINES:
            raise PinTrouble(f"{where} has more than {MOST_LINES} lines")
        for number, line in enumerate(self._lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                pin = _read(line, number, where)
                before = self._pins.setdefault((pin.server, pin.name), pin)
                if before is not pin:
                    raise PinTrouble(
                        f"{where}, line {number}: it is about the same as line {before.line};"
                        " remove the one that is wrong"
                    )

    def server(self, address: str) -> Pin | None:
        """The pin of the server at `host:port`."""
        return self._pins.get((SERVER, address))

    def person(self, server: str, client_id: str) -> Pin | None:
        """The pin of `client_id` at the server with the key `server`."""
        return self._pins.get((server, client_id))

    def has_person(self, client_id: str) -> bool:
        """Return True if `client_id` has a pin at any server."""
        return any(pin.name == client_id and pin.server != SERVER for pin in self._pins.values())

    def ids_of(self, key: str) -> list[Pin]:
        """Everybody who has `key`."""
        return [pin for pin in self._pins.values() if pin.key == key and pin.server != SERVER]

    def put(self, pin: Pin) -> Pin:
        """Keep `pin` in place of what was there.

        Raises PinTrouble when the file is full, ValueError for what would not be read as it was meant.
        """
        if _parse(pin.text(), pin.line) != pin:
            raise ValueError(f"no line of known keys: {pin}")
        known = self._pins.get((pin.server, pin.name))
        if known is not None:
            pin = replace(pin, line=known.line)
            self._lines[known.line - 1] = pin.text()
        elif len(self._lines) >= MOST_LINES:
            raise PinTrouble(f"{self.where} is full: more than {MOST_LINES} lines")
        else:
            self._lines.append(pin.text())
            pin = replace(pin, line=len(self._lines))
        self._pins[pin.server, pin.name] = pin
        return pin

    def text(self) -> str:
        """The whole file."""
        return "".join(f"{line}\n" for line in self._lines)


class PinFile:
    """`known_peers` on the disk: written whole at every change, 0600; read at the start, and again
    before a change if somebody has edited it since, so that their work is not undone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = _stamp(path)
        self.pins = _load(path)

    def put(self, pin: Pin) -> Pin:
        """Keep `pin`, on the disk too. Raises PinTrouble, and then all is as it was."""
        now = _stamp(self.path)
        if now != self._seen:
            self.pins, self._seen = _load(self.path), now
        before = self.pins.text()
        pin = self.pins.put(pin)
        try:
            write_secret(self.path, self.pins.text().encode())
        except OSError as error:
            self.pins = Pins(before, str(self.path))
            raise PinTrouble(f"cannot write {self.path}: {error.strerror}") from None
        self._seen = _stamp(self.path)
        return pin


def _load(path: Path) -> Pins:
    try:
        check_owner(path)
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode("utf-8")
    except FileNotFoundError:
        return Pins("", str(path))
    except UnicodeDecodeError:
        raise PinTrouble(f"cannot read {path}: it is not UTF-8 text") from None
    except OSError as error:
        raise PinTrouble(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise PinTrouble(f"{path} is larger than {MOST_BYTES} bytes")
    return Pins(text, str(path))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _parse(line: str, number: int) -> Pin | None:
    parts = line.split()
    verified = len(parts) == 4 and parts[3] == "verified"
    if not (len(parts) == 3 or verified) or KEY.fullmatch(parts[2]) is None:
        return None
    if parts[0] not in (SERVER, NO_SERVER) and KEY.fullmatch(parts[0]) is None:
        return None
    return Pin(parts[0], parts[1], parts[2], verified, number)


def _read(line: str, number: int, where: str) -> Pin:
    pin = _parse(line, number)
    if pin is None:
        raise PinTrouble(f"{where}, line {number}: not a line of known keys; mend or remove it")
    return pin
