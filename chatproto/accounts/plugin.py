"""Tell strcred how to build the checker for `--auth argon2:FILE`; loaded only with `--auth`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import ICheckerFactory
from twisted.plugin import IPlugin
from zope.interface import implementer

from chatproto.net.paths import local_path

if TYPE_CHECKING:
    from chatproto.accounts.checker import Argon2Checker


@implementer(ICheckerFactory, IPlugin)
class Argon2CheckerFactory:
    """Factory of checkers for password files with argon2id hashes."""

    authType = "argon2"
    authHelp = (
        "A file of users and the argon2id hashes of their passwords. Write it with\n"
        "`chatserver passwd add USER --file FILE`. The server reads it again when it changes."
    )
    argStringFormat = "Location of the file."
    credentialInterfaces = (IUsernamePassword,)

    def generateChecker(self, argstring: str) -> Argon2Checker:
        """Return the checker of the file `argstring`. Raises ValueError or AccountTrouble."""
        from chatproto.accounts.checker import Argon2Checker

        if not argstring:
            raise ValueError("argon2 needs a file: --auth argon2:FILE")
        return Argon2Checker(local_path(argstring).absolute())
