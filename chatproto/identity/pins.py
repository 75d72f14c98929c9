"""Whose key is whose, as this program has come to know it: the file `known_peers` in the home.

A line is one of

    server HOST:PORT KEY                 a server and its key
    SERVER-KEY ID KEY [verified]         somebody at a server, for an id means something only there

`-` stands for the server of those who were called without one. `verified`: the two have compared
their safety number. Lines that begin with `#` and blank ones are left as they are, but for

    #ignored KEY NAME                    /ignore: no calls are taken from KEY, who was called NAME
    #ignored-id SERVER-KEY ID            the same for an id whose key was not known

which older programs take for comments. Nothing else is guessed at: a line that cannot be read may
have been the one that tells a friend from an impostor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from chatproto.identity.files import write_secret
from chatproto.net.private_files import check_file
from chatproto.wire.reasons import CodedError, Reason

KEY = re.compile(r"sha256:[A-Z2-7]{52}")
SERVER = "server"
NO_SERVER = "-"
MOST_LINES = 100_000
MOST_BYTES = 200 * MOST_LINES


class PinTrouble(CodedError):
    """The file of known keys cannot be read or written."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, Reason.PINS_TROUBLE)


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


@dataclass(frozen=True, slots=True)
class Ignored:
    """Somebody whose calls are not taken: a key and what it was called, or an id at a server."""

    name: str
    key: str = ""
    server: str = ""

    def text(self) -> str:
        """The line in the file."""
        return (
            f"#ignored {self.key} {self.name}"
            if self.key
            else f"#ignored-id {self.server} {self.name}"
        )

    def same(self, other: Ignored) -> bool:
        """Return True if both are about the same key, or about the same id at the same server."""
        if self.key or other.key:
            return self.key == other.key
        return (self.server, self.name) == (other.server, other.name)


class Pins:
    """The pins, in memory; `lines` are the file's, so that what a person wrote there stays."""

    def __init__(self, text: str = "", where: str = "known_peers") -> None:
        self.where = where
        self._lines: list[str] = text.removesuffix("\n").split("\n") if text else []
        self._pins: dict[tuple[str, str], Pin] = {}
        self.ignored: list[Ignored] = []
        self._by_name: dict[str, dict[str, Pin]] = {}  # then by server
        self._by_key: dict[str, dict[tuple[str, str], Pin]] = {}
        if len(self._lines) > MOST_LINES:
            raise PinTrouble(f"{where} has more than {MOST_LINES} lines")
        for number, line in enumerate(self._lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                pin = _read(line, number, where)
                before = self._pins.get((pin.server, pin.name))
                if before is not None:
                    raise PinTrouble(
                        f"{where}, line {number}: it is about the same as line {before.line};"
                        " remove the one that is wrong"
                    )
                self._keep(pin)
            elif (ignored := _ignored(line)) is not None:
                self.ignored.append(ignored)

    def server(self, address: str) -> Pin | None:
        """The pin of the server at `host:port`."""
        return self._pins.get((SERVER, address))

    def person(self, server: str, client_id: str) -> Pin | None:
        """The pin of `client_id` at the server with the key `server`."""
        return self._pins.get((server, client_id))

    def ids_of(self, key: str) -> list[Pin]:
        """Everybody who has `key`."""
        known = self._by_key.get(key, {}).values()
        return sorted((pin for pin in known if pin.server != SERVER), key=lambda pin: pin.line)

    def named(self, client_id: str) -> list[Pin]:
        """Everybody with the id `client_id`, one for each server where it is pinned."""
        known = self._by_name.get(client_id, {}).values()
        return [pin for pin in known if pin.server != SERVER]

    def address_of(self, key: str) -> str | None:
        """The `host:port` of the first server whose key is `key`."""
        known = self._by_key.get(key, {}).values()
        return next((pin.name for pin in known if pin.server == SERVER), None)

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
        if known is not None:
            del self._by_key[known.key][known.server, known.name]
        self._keep(pin)
        return pin

    def _keep(self, pin: Pin) -> None:
        who = pin.server, pin.name
        self._pins[who] = pin
        self._by_name.setdefault(pin.name, {})[pin.server] = pin
        self._by_key.setdefault(pin.key, {})[who] = pin

    def ignoring(self, one: Ignored, on: bool) -> Pins:
        """Return these pins with `one` ignored or, with `on` False, no longer.

        Raises PinTrouble when the file is full, ValueError for a line that would not be read.
        """
        if _ignored(one.text()) != one:
            raise ValueError(f"no line of ignored people: {one}")
        lines = [line for line in self._lines if not _is_about(line, one)]
        if on:
            lines.append(one.text())
        return Pins("".join(f"{line}\n" for line in lines), self.where)

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
        self._look_again()
        before = self.pins.text()
        pin = self.pins.put(pin)
        self._write(before)
        return pin

    def ignore(self, one: Ignored, on: bool) -> None:
        """Keep that `one` is ignored, or no longer. Raises PinTrouble, and then all is as it was."""
        self._look_again()
        before = self.pins.text()
        self.pins = self.pins.ignoring(one, on)
        self._write(before)

    def _look_again(self) -> None:
        """Read the file again if somebody has edited it."""
        now = _stamp(self.path)
        if now != self._seen:
            self.pins, self._seen = _load(self.path), now

    def _write(self, before: str) -> None:
        try:
            write_secret(self.path, self.pins.text().encode())
        except OSError as error:
            self.pins = Pins(before, str(self.path))
            raise PinTrouble(f"cannot write {self.path}: {error.strerror}") from None
        self._seen = _stamp(self.path)


def _load(path: Path) -> Pins:
    try:
        check_file(path)
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


def _ignored(line: str) -> Ignored | None:
    """The person whom `line` ignores, if it is such a line."""
    parts = line.split(" ")
    if len(parts) != 3 or not parts[2]:
        return None
    if parts[0] == "#ignored" and KEY.fullmatch(parts[1]) is not None:
        return Ignored(parts[2], key=parts[1])
    server = parts[1] == NO_SERVER or KEY.fullmatch(parts[1]) is not None
    if parts[0] == "#ignored-id" and server:
        return Ignored(parts[2], server=parts[1])
    return None


def _is_about(line: str, one: Ignored) -> bool:
    known = _ignored(line)
    return known is not None and known.same(one)
