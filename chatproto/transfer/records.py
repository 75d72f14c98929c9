"""Store a record of each transfer, so that it is resumed after a restart.

One JSON file per transfer, in a private folder. Offsets are not stored: they are read from the
received part itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from threading import Lock
from typing import Any

from chatproto.net.clock import Monotonic
from chatproto.net.file_reading import read_file
from chatproto.net.rebase import Seen, rebase
from chatproto.transfer.hashes import SHA_256
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.sinks import Sink, SinkTrouble
from chatproto.transfer.sources import Found
from chatproto.transfer.state import ENDED, TransferState
from chatproto.wire.values import value_class

MOST_BYTES = 64 * 1024 * 1024
"""Maximum bytes of a record file; the record of the largest folder is far smaller."""
SEEN = "seen"
"""Name of the file with the time at which the records were last examined."""


@value_class
class Record:
    """Stored record of one transfer with the owner of `key`.

    `at`: time of writing, seconds since the epoch. Sending: `found`, without its offer. Receiving:
    `folder` and `local`, the folder and name of the file; `digest`, `path` and `hash` as in
    `Receiving`.
    """

    key: str
    outgoing: bool
    id: int
    state: TransferState
    offer: FileOffer
    at: float = 0.0
    found: Found | None = None
    folder: str = ""
    local: str = ""
    digest: str = ""
    path: str = ""
    hash: str = ""


class Records:
    """Records in `folder`, which is created when the first one is saved."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: Seen | None = None  # when this program started; set by `rebase`
        self._seeing = Lock()  # several threads save records, and `SEEN` is one file

    def save(self, record: Record) -> None:
        """Replace the stored record; a crash leaves the old or the new one. Raises OSError."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._path(record)
            new = path.with_suffix(".new")
            made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(made, "w", encoding="utf-8", errors="surrogateescape") as file:
                json.dump(_as_json(record), file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            if self._started is not None and not (self._folder / SEEN).exists():
                self._see(self._started)
        except OSError as error:  # a failed write does not name its path
            raise OSError(error.errno, error.strerror, str(self._folder)) from None

    def remove(self, record: Record) -> None:
        """Delete the record. Raises OSError."""
        self._path(record).unlink(missing_ok=True)
        self._see(None)

    def load(self) -> list[Record]:
        """Load all readable records, sorted by key, direction and id; skip the others."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                found.append(_from_json(json.loads(read_file(path, MOST_BYTES))))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return sorted(found, key=lambda record: (record.key, record.outgoing, record.id))

    def rebase(self, now: Monotonic) -> None:
        """Convert the end times of transfers to the clock of this program, begun `now`. Raises OSError."""
        last, self._started = None, Seen.now(now)
        try:
            last = Seen.read(read_file(self._folder / SEEN, MOST_BYTES).decode("ascii"))
        except (FileNotFoundError, ValueError):
            pass
        shift = rebase(last, now, self._started).ages
        for record in self.load() if shift else ():
            if record.state in ENDED:
                self.save(replace(record, at=record.at + shift))
        self._see(self._started)

    def _see(self, seen: Seen | None) -> None:
        """Store when the records were last examined; remove that file if there are no records."""
        path = self._folder / SEEN
        with self._seeing:
            if next(self._folder.glob("*.json"), None) is None:
                path.unlink(missing_ok=True)
            elif seen is not None:
                new = path.with_suffix(".new")
                new.write_text(seen.text(), encoding="ascii")
                new.replace(path)

    def sweep(self, now: Monotonic, keep: float) -> list[Record]:
        """Delete records and parts of transfers that ended over `keep` seconds ago; return the others.

        Raises: OSError.
        """
        kept = []
        for record in self.load():
            at = record.at
            if at > now + keep:  # the system's clock was set back: no part is stored forever
                at = now
                self.save(replace(record, at=at))
            if record.state not in ENDED or at + keep > now:
                kept.append(record)
                continue
            if not record.outgoing and record.state is not TransferState.DONE and record.local:
                try:
                    Sink(Path(record.folder), record.local).discard()
                except SinkTrouble:
                    pass
            self.remove(record)
        self._see(Seen.now(now))
        return kept

    def _path(self, record: Record) -> Path:
        owner = hashlib.sha256(record.key.encode()).hexdigest()[:16]
        return self._folder / f"{'to' if record.outgoing else 'from'}-{owner}-{record.id}.json"


def of(records: Iterable[Record], key: str) -> list[Record]:
    """Return the records of transfers with the owner of `key`."""
    return [record for record in records if record.key == key]


def _as_json(record: Record) -> dict[str, object]:
    # `asdict` would copy ten thousand paths one by one, several times.
    plain = {field.name: getattr(record, field.name) for field in fields(record)}
    offer, found = record.offer, record.found
    plain["state"] = record.state.name
    plain["sha256"] = plain.pop("digest")  # this key dates from when there was no other function
    plain["offer"] = {
        "name": offer.name,
        "size": offer.size,
        "modified": offer.modified,
        "type": offer.type,
        "files": offer.files,
    }
    plain["found"] = found and {
        "path": found.path,
        "stamps": found.stamps,
        "parts": found.parts,
        "left_out": found.left_out,
    }
    return plain


def _from_json(plain: dict[str, object]) -> Record:
    """Make a record from its JSON form. Raises KeyError, ValueError, TypeError."""
    values: dict[str, object] = dict(plain)
    about = _of_object(plain["offer"])
    name, modified = str(about["name"]), str(about["modified"])
    files = tuple((int(size), str(path)) for size, path in about.get("files", ()))
    offer = FileOffer(name, int(about["size"]), modified, str(about["type"]), files)
    values["digest"] = values.pop("sha256")
    values.setdefault("hash", SHA_256)
    values["state"] = TransferState[str(plain["state"])]
    values["offer"] = offer
    if plain["found"] is not None:
        found = _of_object(plain["found"])
        stamps = tuple((int(size), int(modified)) for size, modified in found["stamps"])
        parts = tuple(map(str, found["parts"]))
        values["found"] = Found(str(found["path"]), offer, stamps, parts, int(found["left_out"]))
    return Record(**values)  # type: ignore[arg-type]


def _of_object(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise TypeError("not an object")
