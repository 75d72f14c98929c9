"""`chatclient --completion SHELL` and `chatserver --completion SHELL`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import platformdirs
from twisted.python.usage import Options

from chatproto.cli.exit_codes import WRONG_OPTIONS
from chatproto.cli.shell_completion import SHELLS, home_in, names_at, script
from chatproto.ui.control import NAME

NAMES = "names"
"""Asked for by the scripts: the ids that a running client lists."""


def main(program: str, words: Sequence[str]) -> int:
    """Print a script, or names, one a line; the exit code is 1 for another word."""
    if words[:1] == [NAMES]:
        from chatproto.cli.client_options import login_id

        homes = Path(platformdirs.user_data_dir("chatproto"))
        home = home_in(words[1:], login_id(), homes)
        print("\n".join(names_at(home / NAME)))
        return 0
    if len(words) != 1 or words[0] not in SHELLS:
        known = ", ".join(SHELLS)
        sys.stderr.write(f"{program}: --completion takes one of {known}\n")
        return WRONG_OPTIONS
    sys.stdout.write(script(program, words[0], _commands(program)))
    return 0


def _commands(program: str) -> Mapping[str, Options]:
    if program == "chatserver":
        from chatproto.cli import convert, server_options

        return {
            "": server_options.ServerOptions(),
            "backup": Options(),
            "convert": convert.ConvertOptions(),
            "ctl": Options(),
            "passwd": Options(),
        }
    from chatproto.cli import client_options, doctor, oneshot

    return {
        "": client_options.Options(),
        **{name: make() for name, make in oneshot.COMMANDS.items()},
        "doctor": doctor.DoctorOptions(),
    }
