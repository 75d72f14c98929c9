"""`chatserver passwd add|remove|list`: accounts in the file of `--auth argon2:FILE`, or in Redis."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getopt import GetoptError, gnu_getopt
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.python.usage import Options, UsageError

from chatproto.accounts.files import AccountTrouble, alone, write
from chatproto.accounts.passwords import Passwords, hashed, load
from chatproto.cli.asking import piped_password, typed_password
from chatproto.cli.options import WrongOption, carried_out, local_option
from chatproto.cli.redis_options import (
    REDIS_PARAMETERS,
    SCHEMES,
    redis_url,
    refuse_redis_options,
)
from chatproto.wire.bcp2_common import USER
from chatproto.wire.errors import CannotStart
from chatproto.wire.fields import fold

if TYPE_CHECKING:
    from chatproto.stores.redis.url import RedisUrl

PROGRAM = "chatserver passwd"
ACTIONS = ("add", "remove", "list")


class PasswdOptions(Options):
    """Options of `chatserver passwd`; they may follow the words."""

    synopsis = (
        "Usage: chatserver passwd add|remove USER --file FILE\n"
        "   or: chatserver passwd list --file FILE\n"
        "   or: chatserver passwd ... --store redis://HOST:PORT/DB"
    )
    longdesc = (
        "Manage the accounts of chatserver --auth argon2:FILE, or with --store those of --auth "
        "redis. `add` reads the password from the terminal or a pipe. For an existing user it sets "
        "a new password."
    )
    optParameters = [
        ["file", None, None, "File with users and password hashes"],
        ["auth", None, None, "Same file, as for the server: argon2:FILE"],
        ["store", None, None, "Redis of the servers, with --auth redis: redis[s]://HOST:PORT/DB"],
        *REDIS_PARAMETERS,
    ]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        names = [name for name, *_ in self.optParameters]
        known = [*(f"{name}=" for name in names), "help", "version"]
        try:
            found, words = gnu_getopt(list(options or ()), "", known)
        except GetoptError as error:
            raise UsageError(str(error)) from None
        valued = [f"--{name}" for name in names]
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
        self["redis"] = self["path"] = None
        if self["store"] is not None:
            if self["file"] or self["auth"] or not self["store"].startswith(SCHEMES):
                raise WrongOption(
                    "--store takes redis://HOST:PORT/DB here, without --file and --auth"
                )
            self["redis"] = redis_url(self, self["store"])
            return
        refuse_redis_options(self)
        kind, _, named = (self["auth"] or "").partition(":")
        if self["auth"] is not None and (kind != "argon2" or not named):
            raise WrongOption(f"--auth takes argon2:FILE here, not {self['auth']!r}")
        if bool(named) == bool(self["file"]):
            raise WrongOption("the file is missing: give either --file FILE or --auth argon2:FILE")
        self["path"] = local_option("file" if self["file"] else "auth", self["file"] or named)


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit code; errors are one line."""
    return carried_out(PROGRAM, lambda: passwd(arguments))


def passwd(arguments: Sequence[str]) -> None:
    """Carry out `arguments` and print the result. Raises UsageError, CannotStart or StoreTrouble."""
    options = PasswdOptions()
    options.parseOptions(arguments)
    action, user = options["action"], options["user"]
    path = options["path"]
    try:
        if options["redis"] is not None:
            return _in_redis(options["redis"], action, user)
        if action == "list":
            print("".join(f"{one}\n" for one in load(path)), end="")
        elif action == "remove":
            _remove(path, user)
        else:
            _add(path, user)
    except AccountTrouble as trouble:
        raise CannotStart(str(trouble)) from None


def _in_redis(url: RedisUrl, action: str, user: str) -> None:
    """Do `action` with the accounts that several servers share. Raises StoreTrouble."""
    from chatproto.cli.reactor_run import run_reactor
    from chatproto.stores.redis.accounts import LooksAlike, RedisAccounts

    if action == "list":
        users = run_reactor(lambda reactor: RedisAccounts(reactor, url).users())
        print("".join(f"{one}\n" for one in users), end="")
    elif action == "remove":
        if not run_reactor(lambda reactor: RedisAccounts(reactor, url).remove(user)):
            raise WrongOption(f"{user} has no account in {url}: passwd list shows the users")
        print(f"account removed: {user}")
    else:
        known = hashed(_password(user))
        try:
            new = run_reactor(lambda reactor: RedisAccounts(reactor, url).put(user, known))
        except LooksAlike as error:
            raise WrongOption(_looks_alike(user, error.other)) from None
        _say_added(user, new)


def _add(path: Path, user: str) -> None:
    _free(_there(path), user)  # before the password is requested
    known = hashed(_password(user))
    with alone(path):
        passwords = _there(path)
        _free(passwords, user)
        new = passwords.put(user, known)
        write(path, passwords.text())
    _say_added(user, new)


def _say_added(user: str, new: bool) -> None:
    print(f"{'account added' if new else 'password changed'}: {user}")


def _password(user: str) -> str:
    """Read the new password, from the terminal or a pipe. Raises WrongOption."""
    if sys.stdin is not None and sys.stdin.isatty():
        return typed_password(f"Password of {user}: ", "Again: ")
    return piped_password()


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
    """Check that no similar name exists. Raises UsageError."""
    for other in passwords:
        if other != user and fold(other) == fold(user):
            raise WrongOption(_looks_alike(user, other))


def _looks_alike(user: str, other: str) -> str:
    return f"{user} looks like {other}, which has an account: choose another name"
