"""What `--auth` can name beside Twisted's own checkers: `argon2:FILE`.

Apart from the programs' plugins: twistd imports those at every start, and this only for an `--auth`.
"""

from __future__ import annotations

from chatproto.accounts.plugin import Argon2CheckerFactory

argon2 = Argon2CheckerFactory()
