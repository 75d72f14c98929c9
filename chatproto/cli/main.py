"""The console scripts: the same as the plugins, without typing `twistd -n`."""

from __future__ import annotations

import contextlib
import errno
import gc
import sys
from collections.abc import Callable, Iterator
from functools import wraps

from chatproto.cli.exit_codes import INTERRUPTED

ONE_SHOTS = ("send", "send-file", "receive", "info")
"""Commands of `chatproto.cli.oneshot`, which is loaded only for one of them."""


NEEDS_WSL = "chatproto does not run on Windows itself: install and start it inside WSL"


def _ends_quietly(program: Callable[[], None]) -> Callable[[], None]:
    """Handle Ctrl-C before the program runs, and Windows, without a traceback."""

    @wraps(program)
    def run() -> None:
        if sys.platform == "win32":
            raise SystemExit(NEEDS_WSL)
        try:
            program()
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None

    return run


@_ends_quietly
def chatserver() -> None:
    """Run `twistd -n chatserver ARGS`, or `chatserver backup` or `chatserver ctl`."""
    _complete("chatserver")
    if sys.argv[1:2] == ["ctl"]:
        from chatproto.cli import ctl

        with _help_may_fail():
            raise SystemExit(ctl.main(sys.argv[2:]))
    if sys.argv[1:2] == ["backup"]:
        from chatproto.cli.backup import main

        with _help_may_fail():
            raise SystemExit(main(sys.argv[2:]))
    _run("chatserver")


@_ends_quietly
def chatclient() -> None:
    """Run `twistd -n chatclient ARGS`, or a one-shot command such as `chatclient send`."""
    _complete("chatclient")
    if sys.argv[1:2] == ["doctor"]:
        from chatproto.cli import doctor

        with _help_may_fail():
            raise SystemExit(doctor.main(sys.argv[2:]))
    if sys.argv[1:2] and sys.argv[1] in ONE_SHOTS:
        from chatproto.cli.oneshot import main

        with _help_may_fail():
            raise SystemExit(main(sys.argv[1:]))
    _run("chatclient")


CHATPROTO_USAGE = """Usage: chatproto server [options]   the same as chatserver
       chatproto client [options]   the same as chatclient
       chatproto --version"""


@_ends_quietly
def chatproto() -> None:
    """Run `chatserver` as `chatproto server`, or `chatclient` as `chatproto client`.

    Exits with 1 and the usage on standard error for anything else.
    """
    command, *rest = sys.argv[1:] or [""]
    programs = {"server": chatserver, "client": chatclient}
    if command in programs:
        program = programs[command]
        sys.argv = [f"chat{command}", *rest]
        program()
    elif command in ("--help", "-h", "--version"):
        from importlib.metadata import version

        with _help_may_fail():
            print(
                f"chatproto {version('chatproto')}" if command == "--version" else CHATPROTO_USAGE
            )
            sys.stdout.flush()
    else:
        raise SystemExit(CHATPROTO_USAGE)


def _complete(program: str) -> None:
    """Print a completion script and exit, if that is requested."""
    if sys.argv[1:2] == ["--completion"]:
        from chatproto.cli.shell_completion import main

        with _help_may_fail():
            code = main(program, sys.argv[2:])
            sys.stdout.flush()
            raise SystemExit(code)


def _run(plugin: str) -> None:
    gc.disable()  # until the program is put together: see `without_collector`
    from twisted.scripts.twistd import run

    twistd = ["--nodaemon", "--no_save", "--pidfile=", plugin]
    sys.argv = [sys.argv[0], *twistd, *sys.argv[1:]]
    with _help_may_fail():
        run()


@contextlib.contextmanager
def _help_may_fail() -> Iterator[None]:
    """Exit without a traceback if the output of `--help` has no reader or no room."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise
        sys.stdout = None  # it would raise an error at the end as well
        if error.errno != errno.EPIPE:
            sys.stderr.write(f"{sys.argv[0].rpartition('/')[2]}: {error.strerror}\n")
        raise SystemExit(1) from None
