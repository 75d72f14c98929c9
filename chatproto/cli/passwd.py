"""`chatserver passwd add|remove|list`: the file of `--auth argon2:FILE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getopt import GetoptError, gnu_getopt
from pathlib import Path

from twisted.python.usage import Options, UsageError

from chatproto.accounts.files import AccountTrouble, alone, write
from chatproto.accounts.passwords import Passwords, hashed, load
from chatproto.cli.asking import piped_password, typed_password
from chatproto.cli.exit_codes import COULD_NOT_START, WRONG_OPTIONS
from chatproto.cli.options import WrongOption, local_option, say_wrong
from chatproto.wire.bcp2_common import USER
from chatproto.wire.errors import CannotStart
from chatproto.wire.fields import fold

PROGRAM = "chatserver passwd"
ACTIONS = ("add", "remove", "list")


class PasswdOptions(Options):
    """Options of `chatserver passwd`; they may follow the words."""

    synopsis = (
        "Usage: chatserver passwd add|remove USER --file FILE\n"
        "   or: chatserver passwd list --file FILE"
    )
    longdesc = (
        "Manage the accounts of chatserver --auth argon2:FILE. `add` reads the password from the "
        "terminal or a pipe. For an existing user it sets a new password."
    )
    optParameters = [
        ["file", None, None, "File with users and password hashes"],
        ["auth", None, None, "Same file, as for the server: argon2:FILE"],
    ]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            found, words = gnu_getopt(
                list(options or ()), "", ["file=", "auth=", "help", "version"]
            )
        except GetoptError as error:
            raise UsageError(str(error)) from None
        valued = ("--file", "--auth")
        flags = [f"{name}={value}" if name in valued else name for name, value in found]
        super().parseOptions([*flags, "--", *words])

    def parseArgs(self, action: str = "", user: str = "", *more: str) -> None:
        if action not in ACTIONS:
            wrong = f"unknown action {action!r}" if action else "the action is missing"
            raise WrongOption(f"{wrong}: give one of {', '.join(ACTIONS)}")
        if more or bool(user) != (action != "list"):
            raise WrongOption(f"{action} takes {'no' if action == 'list' else 'one'} user")
        if user and (USER.fullmatch(user) is None or user.startswith("#")):
            raise WrongOption(
                f"{user!r} is not a user name: use at most 64 ASCII characters, no blank, no colon, "
                "and no # at the start"
            )
        self["action"], self["user"] = action, user

    def postOptions(self) -> None:
        kind, _, named = (self["auth"] or "").partition(":")
        if self["auth"] is not None and (kind != "argon2" or not named):
            raise WrongOption(f"--auth takes argon2:FILE here, not {self['auth']!r}")
        if bool(named) == bool(self["file"]):
            raise WrongOption("the file is missing: give either --file FILE or --auth argon2:FILE")
        self["path"] = local_option("file" if self["file"] else "auth", self["file"] or named)


def main(arguments: Sequence[str]) -> int:
    """The exit code; what is wrong is one line."""
    try:
        passwd(arguments)
    except UsageError as error:
        say_wrong(f"{PROGRAM}: {error} ({PROGRAM} --help lists the options)")
        return WRONG_OPTIONS
    except CannotStart as error:
        say_wrong(f"{PROGRAM}: {error}")
        return COULD_NOT_START
    return 0


def passwd(arguments: Sequence[str]) -> None:
    """Do what `arguments` ask for, and say what was done. Raises UsageError or CannotStart."""
    options = PasswdOptions()
    options.parseOptions(arguments)
    action, user, path = options["action"], options["user"], options["path"]
    try:
        if action == "list":
            print("".join(f"{one}\n" for one in load(path)), end="")
        elif action == "remove":
            _remove(path, user)
        else:
            _add(path, user)
    except AccountTrouble as trouble:
        raise CannotStart(str(trouble)) from None


def _add(path: Path, user: str) -> None:
    _free(_there(path), user)  # before the question
    asked = sys.stdin is not None and sys.stdin.isatty()
    known = hashed(
        typed_password(f"Password of {user}: ", "Again: ") if asked else piped_password()
    )
    with alone(path):
        passwords = _there(path)
        _free(passwords, user)
        new = passwords.put(user, known)
        write(path, passwords.text())
    print(f"{'account added' if new else 'password changed'}: {user}")


def _remove(path: Path, user: str) -> None:
    with alone(path):
        passwords = load(path)
        if not passwords.remove(user):
            raise WrongOption(f"{user} has no account in {path}: passwd list shows the users")
        write(path, passwords.text())
    print(f"account removed: {user}")


def _there(path: Path) -> Passwords:
    """Load the password file; empty if there is none yet."""
    return load(path) if path.exists() else Passwords("", str(path))


def _free(passwords: Passwords, user: str) -> None:
    """Two names that look alike are one name, here too."""
    for other in passwords:
        if other != user and fold(other) == fold(user):
            raise WrongOption(
                f"{user} looks like {other}, which has an account: choose another name"
            )
