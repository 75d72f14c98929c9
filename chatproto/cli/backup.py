"""Copy the store of a server, which may be running: `chatserver backup PATH`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chatproto.cli.argument_parser import Parser
from chatproto.cli.exit_codes import COULD_NOT_START
from chatproto.cli.options import WrongOption, server_home
from chatproto.net.paths import local_path
from chatproto.stores.open import sqlite_path
from chatproto.stores.sqlite import back_up
from chatproto.wire.errors import StoreTrouble

ABOUT = "Copy the store of a server to a new file. The server may be running."


def make_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser("chatserver backup", description=ABOUT, allow_abbrev=False)
    parser.add_argument("path", metavar="PATH", help="file to create")
    parser.add_argument("--home", help="home folder of the server, as its --home")
    parser.add_argument("--store", default="sqlite:", help="store of the server, as its --store")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command, print one line, and return the exit code. Raises SystemExit for a wrong option."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.store.startswith(("redis:", "rediss:")):
        parser.error(
            "a Redis store is backed up with Redis itself: use BGSAVE or copy its appendonlydir"
        )
    try:
        home = server_home(options.home)
        target = local_path(options.path).absolute()
    except (ValueError, WrongOption) as error:
        parser.error(str(error))
    try:
        source = sqlite_path(options.store, home)
    except ValueError as error:
        parser.error(f"--store: {error}")
    if source is None:
        parser.error("--store memory: keeps nothing on disk, there is nothing to back up")
    try:
        back_up(source, target)
    except StoreTrouble as trouble:
        print(f"{parser.prog}: {trouble}", file=sys.stderr)
        return COULD_NOT_START
    print(f"* backup of {source} written to {target} ({target.stat().st_size} bytes)")
    return 0
