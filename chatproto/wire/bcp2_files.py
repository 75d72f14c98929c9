"""Define the BCP/2 messages about files (section 5). The offering side assigns the ID."""

from __future__ import annotations

import re
from dataclasses import field

from chatproto.wire.bcp2_common import (
    ID,
    Bcp2Message,
    Body,
    matching,
    read_count,
    read_date,
    read_lines,
    read_number,
    write_lines,
)
from chatproto.wire.classic import Header
from chatproto.wire.errors import RemoteError
from chatproto.wire.values import value_class

FOLDER = "folder"
"""Type of a list of files; every other Type is a media type (RFC 6838, section 4.2)."""
TYPE = re.compile(
    r"folder|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
)
DIGEST = re.compile(r"[0-9a-f]{64}")
NAMES = re.compile(r"[A-Za-z0-9-]{1,32}(?: [A-Za-z0-9-]{1,32}){0,7}")
BLAKE3_TAG = "blake3:"
"""Prefix of a BLAKE3 digest; a SHA-256 digest has no prefix."""
BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that are refused in paths: they end a line or control a terminal."""

Piece = bytes | memoryview
"""Chunk of a stream; received chunks are bytes."""
Listed = tuple[int, str]
"""File of a folder: its size in bytes, and its path below the folder, separated by slashes."""


OFFER_FILES = 10_000
"""Largest number of files in the list of a folder; it is checked before any line is parsed."""
OFFER_PARTS = 100_000
"""Largest number of slashes in that list; it is checked before any line is parsed."""
LONGEST_PATH = 16 * 1024
"""Largest size in bytes of a path in it; no operating system has longer ones."""


def read_files(data: bytes) -> tuple[Listed, ...]:
    """Read lines `size path`, each with its CRLF.

    Raises RemoteError: 400; 413 past `OFFER_FILES` or `OFFER_PARTS`, before any line is parsed.
    """
    if not data:
        return ()
    if data.count(b"/") + data.count(b"\\") > OFFER_PARTS:
        raise RemoteError(413, f"more than {OFFER_PARTS} folders above the files")
    return tuple(map(_read_listed, read_lines(data, OFFER_FILES)))


def _read_listed(line: str) -> Listed:
    size, _, path = line.partition(" ")
    if not path or len(path) > LONGEST_PATH or BREAKS.search(path):
        raise RemoteError(400, f"no path: {path[:40]!r}")
    return read_count(size), path


def write_files(files: tuple[Listed, ...]) -> bytes:
    """Write files as lines. Raises LocalError 400 for values that would be refused."""
    return write_lines([f"{size} {path}" for size, path in files], files, read_files)


def read_name(text: str) -> str:
    """Read a name, which must not be empty. Raises RemoteError 400."""
    if text:
        return text
    raise RemoteError(400, "a name is missing")


def as_it_is(data: bytes) -> bytes:
    """Return a body unchanged and not copied: nothing parses it."""
    return data


FILE = ID._replace(read=read_number)
OFFSET = Header("Offset", "offset", read_count)
HASHES = (
    Header("SHA-256", "sha256", matching(DIGEST, "hash"), needed=False),
    Header("BLAKE3", "blake3", matching(DIGEST, "hash"), needed=False),
)
"""Hash headers, of which a message has one: that of the function chosen in OFFERACK."""


def read_hashes(text: str) -> tuple[str, ...]:
    """Read names of hash functions, separated by blanks. Raises RemoteError 400."""
    if NAMES.fullmatch(text) is None:
        raise RemoteError(400, f"no names of hash functions: {text[:40]!r}")
    return tuple(text.split(" "))


@value_class
class Offer(Bcp2Message):
    """Offer a file, or a folder with the list of its files as body.

        OFFER
        ID: 7
        Name: notes.txt
        Size: 5
        Modified: 2026-11-21T05:00:00Z
        Type: text/plain
        Hashes: BLAKE3
        Content-Length: 0

    `Size` is the number of bytes in all, `Modified` the newest date. `Hashes` names hash functions
    besides SHA-256 that the sender has, the preferred one first. A folder is sent as one stream of its
    files in the order of the list. An offer may be repeated with the same ID, after a break or because
    the file has changed. Answered by OFFERACK, or ERROR 603 (declined).
    """

    method = "OFFER"
    headers = (
        FILE,
        Header("Name", "name", read_name),
        Header("Size", "size", read_count),
        Header("Modified", "modified", read_date),
        Header("Type", "type", matching(TYPE, "type")),
        Header("Hashes", "hashes", read_hashes, " ".join, needed=False),
    )
    body = Body("files", read_files, write_files, "offer")
    id: int
    name: str
    size: int
    modified: str
    type: str
    files: tuple[Listed, ...] = ()
    hashes: tuple[str, ...] = ()


@value_class
class OfferAck(Bcp2Message):
    """Accept an offer from `Offset` on.

        OFFERACK
        ID: 7
        Offset: 65536
        SHA-256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824

    `SHA-256`, or another function of the offer such as `BLAKE3`, is the hash of the bytes before
    `Offset`, which the receiver has already. With it the receiver chooses the hash function of this
    transfer.
    """

    method = "OFFERACK"
    headers = (FILE, OFFSET, *HASHES)
    id: int
    offset: int
    sha256: str = ""
    blake3: str = ""


@value_class
class Data(Bcp2Message):
    """Send a chunk of a file that begins at `Offset`; offset 0 restarts the file.

        DATA
        ID: 7
        Offset: 0
        Content-Length: 5

        hello

    Sent by the peer that offered the file.
    """

    method = "DATA"
    headers = (FILE, OFFSET)
    body = Body("data", as_it_is, as_it_is, "chunk")
    id: int
    offset: int
    data: Piece = field(repr=False)


@value_class
class Done(Bcp2Message):
    """Report that all chunks were sent; `SHA-256` (or `BLAKE3`, as in OFFERACK) is their hash.

        DONE
        ID: 7
        SHA-256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824

    Answered by DONEACK, or ERROR 460 (hash differs).
    """

    method = "DONE"
    headers = (FILE, *HASHES)
    id: int
    sha256: str = ""
    blake3: str = ""


@value_class
class DoneAck(Bcp2Message):
    """Confirm that the file is complete and stored under its name.

        DONEACK
        ID: 7

    Sent by the peer that receives the file.
    """

    method = "DONEACK"
    headers = (FILE,)
    id: int


@value_class
class Cancel(Bcp2Message):
    """Stop a transfer.

        CANCEL
        ID: 7
        For: OFFER

    `For: OFFER` if the receiver of this message offered the file: each peer numbers its own offers.
    """

    method = "CANCEL"
    headers = (FILE, Header("For", "about", matching(re.compile("OFFER"), "method"), needed=False))
    id: int
    about: str = ""


def digest_of(message: OfferAck | Done) -> str:
    """Return the digest in `message` with its prefix; "" unless there is exactly one."""
    if message.sha256 and message.blake3:
        return ""
    return message.sha256 or (message.blake3 and BLAKE3_TAG + message.blake3)


def digest_values(digest: str) -> dict[str, str]:
    """Return the attribute of `OfferAck` and `Done` for a digest with its prefix, and its value."""
    plain = digest.removeprefix(BLAKE3_TAG)
    return {"sha256" if plain == digest else "blake3": plain}


FILES: tuple[type[Bcp2Message], ...] = (Offer, OfferAck, Data, Done, DoneAck, Cancel)
"""Messages about files."""
