"""Options that decide who may connect to the server."""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import (
    AuthOptionMixin,
    InvalidAuthType,
    UnsupportedInterfaces,
    makeChecker,
)
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatproto.cli.options import ProgramOptions, WrongOption, local_option
from chatproto.cli.redis_options import SCHEMES
from chatproto.net.private_files import make_private
from chatproto.wire.errors import CannotStart
from chatproto.wire.limits import ServerLimits

if TYPE_CHECKING:
    from chatproto.accounts.checker import PasswordChecker
    from chatproto.accounts.files import Reread
    from chatproto.server.login_side import LoginSide

REDIS = "redis"
"""Value of `--auth` for the accounts in the Redis of `--store`."""
REQUIREMENTS = ("none", "tls", "login")


class AuthOptions(AuthOptionMixin, ProgramOptions):
    """`--auth`, `--allow-keys` and `--require`, and the commands `passwd` and `convert`.

    Modules for these options are imported only when they are given.
    """

    supportedInterfaces = (IUsernamePassword,)
    log = Logger()
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"require": REQUIREMENTS}

    optParameters = [
        ["allow-keys", None, None, "Allow only the keys in this file, one a line"],
        [
            "require",
            None,
            "none",
            "Refuse plain text (tls), also clients without a login (login), or nothing (none)",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["auth"] = []

    def opt_auth(self, text: str) -> None:
        """Accounts: argon2:FILE, redis (of --store), or another of --help-auth (may be repeated)"""
        self["auth"].append(text)

    def parseArgs(self, *arguments: str) -> None:
        if arguments and arguments[0] == "passwd":
            from chatproto.cli.passwd import main

            raise SystemExit(main(arguments[1:]))
        if arguments and arguments[0] == "convert":
            from chatproto.cli import convert

            raise SystemExit(convert.main(arguments[1:]))
        super().parseArgs(*arguments)

    def check_auth(self) -> None:
        """Check that the options fit together. Raises WrongOption."""
        require = self["require"]
        self.one_of("require")
        if require == "login" and not self["auth"]:
            raise WrongOption("--require login needs accounts: add --auth argon2:FILE")
        closed = f"--require {require}" if require != "none" else None
        if self["allow-keys"] is not None:
            closed = closed or "--allow-keys"
        if closed and self["lobby"] is not None:
            raise WrongOption(
                f"--lobby is plain text, which {closed} refuses: leave out one of them"
            )
        self["tls-only"] = closed is not None
        if self["allow-keys"] is not None:
            local_option("allow-keys", self["allow-keys"])
        for text in self["auth"]:
            self._add(text)

    def open_auth(self) -> None:
        """Read the file of `--allow-keys`. Raises CannotStart."""
        self["allowed"] = None
        if self["allow-keys"] is None:
            return
        from chatproto.accounts.files import AccountTrouble, Reread, load_allowed

        path = local_option("allow-keys", self["allow-keys"]).absolute()
        try:
            self["allowed"] = Reread(path, load_allowed, self._complain)
        except AccountTrouble as trouble:
            raise CannotStart(str(trouble)) from None

    def rereads(self) -> list[Reread[Any]]:
        """Return the files of accounts and keys, which are read again when they change."""
        checkers = self.get("credCheckers") or ()
        files = [one.passwords for one in checkers if hasattr(one, "passwords")]
        return files if self["allowed"] is None else [*files, self["allowed"]]

    def login_side(self, reactor: Any, limits: ServerLimits) -> LoginSide:
        """Build the login rules from `--auth`, `--require` and `--allow-keys`."""
        from chatproto.server.login_side import EVERYBODY, LoginSide

        checkers, allowed = [*self.get("credCheckers", ())], self["allowed"]
        if REDIS in self["auth"]:
            checkers.append(self._redis_checker(reactor))
        if not checkers:
            return EVERYBODY if allowed is None else LoginSide(allowed=allowed)
        from twisted.internet.threads import deferToThreadPool

        from chatproto.accounts.logins import Logins
        from chatproto.accounts.realm import portal

        for checker in checkers:
            if hasattr(checker, "in_thread"):
                pool = reactor.getThreadPool()
                checker.in_thread = partial(deferToThreadPool, reactor, pool)
        logins = Logins(portal(checkers), reactor, limits)
        return LoginSide(logins, self["require"] == "login", allowed)

    def _redis_checker(self, reactor: Any) -> PasswordChecker:
        """Create the checker of the accounts in the Redis of `--store`."""
        from chatproto.accounts.checker import PasswordChecker
        from chatproto.stores.redis.accounts import RedisAccounts

        accounts = RedisAccounts(reactor, self["redis"])
        return PasswordChecker(lambda user: Deferred.fromCoroutine(accounts.hash_of(user)))

    def _complain(self, why: str) -> None:
        self.log.error("{why}", why=why)

    def _add(self, text: str) -> None:
        from chatproto.accounts.files import AccountTrouble

        kind, _, name = text.partition(":")
        if kind == REDIS:
            if name or not self["store"].startswith(SCHEMES):
                raise WrongOption(
                    "--auth redis uses the Redis of --store: add --store redis://HOST"
                )
            return
        if kind == "file":
            if not name:
                raise WrongOption("--auth file: needs the name of a file after the colon")
            _readable(name)  # Twisted's reports it in two lines, starts, and admits no client
        try:
            self.addChecker(makeChecker(text))
        except InvalidAuthType:
            raise WrongOption(
                f"--auth {kind!r} is not a known method: --help-auth lists them"
            ) from None
        except UnsupportedInterfaces:
            raise WrongOption(
                f"--auth {text!r} does not check passwords: use argon2:FILE"
            ) from None
        except AccountTrouble as trouble:
            raise CannotStart(str(trouble)) from None
        except Exception as error:
            # Plugins raise any exception.
            raise WrongOption(f"--auth {kind}: {error}") from None


def _readable(name: str) -> None:
    """Check that the file can be read. Raises CannotStart."""
    try:
        path = Path(name)
        make_private(path, stat.S_IRWXO)
        if not path.is_file():  # Twisted reads it at every login, and would wait for a pipe
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        path.open("rb").close()
    except OSError as error:
        raise CannotStart(f"cannot read {name}: {error.strerror}") from None
