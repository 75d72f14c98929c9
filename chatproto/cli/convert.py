"""`chatserver convert --store redis://…`: copy the state of one server, or of older ones, into Redis."""

from __future__ import annotations

import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.python.usage import Options

from chatproto.cli.options import WrongOption, carried_out, server_home
from chatproto.cli.redis_options import REDIS_PARAMETERS, SCHEMES, redis_url
from chatproto.cli.take_over import SavedId, SavedRoom, SavedState, TakenOver
from chatproto.stores.open import sqlite_path
from chatproto.wire.errors import StoreTrouble
from chatproto.wire.limits import SERVER_DEFAULTS, ServerLimits

if TYPE_CHECKING:
    from chatproto.stores.redis.url import RedisUrl
    from chatproto.stores.sqlite import SqliteStore

PROGRAM = "chatserver convert"
LOG = "log"
"""The value of --from for the log of an older version."""
WAIT = 5.0
"""Seconds to wait for a connection to Redis."""
ALL_LINES = 10**9


class ConvertOptions(Options):
    """Options of `chatserver convert`."""

    synopsis = "Usage: chatserver convert --store redis://HOST:PORT/DB [--from sqlite:PATH|log]"
    longdesc = (
        "Take ids, registrations, rooms and history into the Redis that several servers share. End "
        "the server of the store first. What Redis has already stays as it is, so that the command "
        "may be repeated. Give the servers on Redis the key.pem of the server that had the store."
    )
    optParameters = [
        ["store", None, None, "Redis to write to: redis[s]://HOST:PORT/DB"],
        ["from", None, "sqlite:", "sqlite:PATH, or log for the log of an older version in Redis"],
        ["home", None, None, "Home folder of the server with the store, as its --home"],
        *REDIS_PARAMETERS,
    ]

    def __init__(self) -> None:
        super().__init__()
        self["limits"] = []

    def opt_limits(self, text: str) -> None:
        """NAME=VALUE: a limit as for chatserver, such as keep_names (may be repeated)"""
        self["limits"].append(text)

    def parseArgs(self, *words: str) -> None:
        if words:
            raise WrongOption(f"unknown word {words[0]!r}: name the store with --from sqlite:PATH")

    def postOptions(self) -> None:
        if self["store"] is None or not self["store"].startswith(SCHEMES):
            raise WrongOption("--store redis://HOST:PORT/DB is missing")
        self["redis"] = redis_url(self, self["store"])
        try:
            self["limits"] = SERVER_DEFAULTS.with_values(self["limits"])
        except ValueError as error:
            raise WrongOption(str(error)) from None
        self["path"] = None
        if self["from"] != LOG:
            try:
                self["path"] = sqlite_path(self["from"], server_home(self["home"]))
            except ValueError as error:
                raise WrongOption(f"--from: {error}") from None
            if self["path"] is None:
                raise WrongOption("--from takes sqlite:PATH or log")


def main(arguments: Sequence[str]) -> int:
    """Convert, and return the exit code; errors are one line."""

    def work() -> None:
        options = ConvertOptions()
        options.parseOptions(arguments)
        taken = convert(options["redis"], options["path"], options["limits"])
        print(
            f"* taken into {options['redis']}: {taken.groups} ids, {taken.rooms} rooms;"
            f" there already: {taken.known}"
        )

    return carried_out(PROGRAM, work)


def convert(url: RedisUrl, path: Path | None, limits: ServerLimits) -> TakenOver:
    """Copy the store in the file `path`, or the older log, into Redis. Raises StoreTrouble."""
    from chatproto.cli.reactor_run import run_reactor

    if path is None:
        return run_reactor(lambda reactor: into_redis(reactor, url, limits, None))
    with opened(path, limits) as store:
        return run_reactor(lambda reactor: into_redis(reactor, url, limits, store))


@contextmanager
def opened(path: Path, limits: ServerLimits) -> Iterator[tuple[str, SavedState]]:
    """Open a copy of the store in the file `path`; the file itself keeps its version.

    Yields the name of its server's key, and its contents. Raises StoreTrouble.
    """
    from chatproto.stores.sqlite import SqliteStore, back_up

    with tempfile.TemporaryDirectory(prefix="chatproto-") as folder:
        copy = Path(folder) / "server.sqlite"
        back_up(path, copy)
        key = _key_of(copy)
        with closing(SqliteStore(copy, key, limits, now=time.time)) as store:
            store.presences.all_left(time.time())
            yield key, _saved(store)


def _key_of(path: Path) -> str:
    """Return the name of the key of the server with the store `path`. Raises StoreTrouble."""
    try:
        with closing(sqlite3.connect(path)) as db:
            rows = db.execute("SELECT value FROM meta WHERE name = 'key'").fetchall()
    except sqlite3.Error as error:
        raise StoreTrouble(f"the store cannot be read: {error}") from None
    if not rows:
        raise StoreTrouble("the store belongs to no server yet: there is nothing to convert")
    return str(rows[0][0])


def _saved(store: SqliteStore) -> SavedState:
    """Return the contents of a store; its rooms are read one after another."""
    names, registry = store.names, store.registry
    leases = registry.listed(len(registry))
    return SavedState(
        [
            SavedId(client_id, key, used, trial, names.hidden(client_id))
            for client_id, key, used, trial in names.all()
        ],
        [*store.presences.all()],
        [(lease, registry.heard_at(lease.client_id)) for lease in leases],
        _rooms(store),
    )


def _rooms(store: SqliteStore) -> Iterator[SavedRoom]:
    for policy in store.rooms.rooms():
        name = policy.name
        page = store.rooms.page(name, None, None, ALL_LINES, ALL_LINES**2)
        yield SavedRoom(policy, store.rooms.last(name), page.lines)


async def into_redis(
    reactor: Any, url: RedisUrl, limits: ServerLimits, store: tuple[str, SavedState] | None
) -> TakenOver:
    """Copy a store with the key of its server, or by default the older log, into Redis."""
    from chatproto.cli.older_log import OlderLog
    from chatproto.stores.redis.client import RedisClient
    from chatproto.stores.redis.group_store import RedisDirectory
    from chatproto.stores.redis.node_table import NodeTable
    from chatproto.stores.redis.room_store import RedisRooms
    from chatproto.stores.redis.server_key import other_key

    client = RedisClient(reactor, url)
    client.startService()
    try:
        await client.wait_connected(WAIT)

        def new_token() -> str:
            return secrets.token_hex(8)

        directory = RedisDirectory(client, limits, new_token, NodeTable(limits.server_lapse))
        rooms = RedisRooms(client, url.database, limits, new_token)
        older = OlderLog(reactor, client, directory, rooms, limits, time.time)
        if store is None:
            return await older.put(await older.saved())
        key, saved = store
        other = await other_key(client, key)
        if other:
            raise StoreTrouble(
                f"{url} belongs to servers with the key {other}, the store to a server with {key}:"
                " use another database"
            )
        return await older.put(saved)
    finally:
        client.stopService()
