"""Read a password from a terminal without echo, a pipe or a file; never from the command line."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from chatproto.cli.options import WrongOption, local_option
from chatproto.net.file_reading import read_file
from chatproto.net.private_files import make_private
from chatproto.wire.errors import CannotStart
from chatproto.wire.limits import DEFAULTS

ENVIRONMENT = "CHATPROTO_PASSWORD"
PIPE_WAIT = 30.0
"""Seconds for the password through a pipe."""


def account_password(user: str, file: str | None) -> str:
    """Return the password of the client's `user`, from `file`, the environment or the terminal.

    Raises WrongOption, or CannotStart for a file that cannot be read.
    """
    if file is not None:
        return password_in(local_option("password-file", file))
    password = os.environ.pop(ENVIRONMENT, None)  # programs that we start need not know it
    if password is not None:
        return usable(password)
    if sys.stdin is None or not sys.stdin.isatty():
        raise WrongOption(
            f"--user needs a password: give --password-file or {ENVIRONMENT}, or use a terminal"
        )
    return typed_password(f"Password of {user}: ")


def typed_password(prompt: str, again: str = "") -> str:
    """Ask for a password at the terminal; with `again`, a second time to compare.

    Raises: WrongOption: nothing was typed, or the two differ.
    """
    try:
        password = getpass.getpass(prompt)
        if again and getpass.getpass(again) != password:
            raise WrongOption("the two passwords differ: try again")
    except (EOFError, KeyboardInterrupt):
        raise WrongOption("no password was typed") from None
    return usable(password)


def piped_password() -> str:
    """Return the first line of standard input. Raises WrongOption."""
    if sys.stdin is None:
        raise WrongOption("standard input is closed: write the password to it")
    return _first_line(sys.stdin.buffer.readline(DEFAULTS.password + 3), "standard input")


def password_in(path: Path) -> str:
    """Return the first line of the file `path`. Raises CannotStart if it cannot be read, or
    WrongOption.
    """
    try:
        make_private(path)
        line = read_file(path, DEFAULTS.password + 3, PIPE_WAIT, until=b"\n").partition(b"\n")[0]
    except OSError as error:
        raise CannotStart(f"cannot read {path}: {error.strerror}") from None
    return _first_line(line, str(path))


def usable(password: str) -> str:
    """Return `password` if it is valid. Raises WrongOption."""
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise WrongOption("the password is not valid UTF-8 text") from None
    if not 0 < size <= DEFAULTS.password:
        raise WrongOption(f"the password must have from 1 to {DEFAULTS.password} bytes")
    return password


def _first_line(line: bytes, where: str) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise WrongOption(f"the password in {where} is not valid UTF-8 text") from None
    return usable(text.rstrip("\r\n"))
