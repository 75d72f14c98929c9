"""`chatclient --completion SHELL` and `chatserver --completion SHELL`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from chatproto.cli.exit_codes import WRONG_OPTIONS
from chatproto.cli.shell_completion import (
    SHELLS,
    Words,
    arguments_of,
    home_in,
    names_at,
    options_of,
    script,
)
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


def _commands(program: str) -> Words:
    if program == "chatserver":
        from chatproto.cli import backup, convert, ctl, passwd, server_options

        return {
            "": options_of(server_options.ServerOptions()),
            "backup": arguments_of(backup.make_parser()),
            "convert": options_of(convert.ConvertOptions()),
            "ctl": arguments_of(ctl.make_parser()),
            "passwd": options_of(passwd.PasswdOptions()),
        }
    from chatproto.cli import client_options, doctor, oneshot

    return {
        "": options_of(client_options.Options()),
        **{name: options_of(make()) for name, make in oneshot.COMMANDS.items()},
        "doctor": options_of(doctor.DoctorOptions()),
    }
