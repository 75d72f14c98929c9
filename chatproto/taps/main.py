"""The console scripts: the same as the plugins, without typing `twistd -n`."""

from __future__ import annotations

import sys


def chatserver() -> None:
    """`chatserver ARGS` is `twistd -n chatserver ARGS`, and `chatserver backup` copies its store."""
    if sys.argv[1:2] == ["backup"]:
        from chatproto.taps.backup import main

        raise SystemExit(main(sys.argv[2:]))
    _run("chatserver")


def chatclient() -> None:
    """`chatclient ARGS` is `twistd -n chatclient ARGS`, and `chatclient send` and the like do one thing."""
    if sys.argv[1:2] == ["doctor"]:
        from chatproto.taps import doctor

        raise SystemExit(doctor.main(sys.argv[2:]))
    from chatproto.taps.oneshot import COMMANDS, main

    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        raise SystemExit(main(sys.argv[1:]))
    _run("chatclient")


def _run(plugin: str) -> None:
    from twisted.scripts.twistd import run

    twistd = ["--nodaemon", "--no_save", "--pidfile=", plugin]
    sys.argv = [sys.argv[0], *twistd, *sys.argv[1:]]
    run()
