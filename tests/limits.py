"""Limits of both programs in one, for tests of what either or both use."""

from __future__ import annotations

import ast
from pathlib import Path

from chatproto.wire.limits import ClientLimits, ServerLimits
from chatproto.wire.values import mixed_value_class


@mixed_value_class
class Limits(ServerLimits, ClientLimits):
    """Every limit of a server and of a client."""


DEFAULTS = Limits()
PACKAGE = Path(__file__).parent.parent / "chatproto"


def constants() -> dict[str, list[float]]:
    """Return the values of the package's constants that are numbers, by name: one for each file with it."""
    found: dict[str, list[float]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for line in ast.parse(path.read_text(encoding="utf-8")).body:
            match line:
                case ast.Assign([ast.Name(name)], value) if name.isupper():
                    try:
                        number = eval(ast.unparse(value), {"__builtins__": {}})
                    except (NameError, SyntaxError, TypeError, AttributeError):
                        continue
                    if isinstance(number, int | float):
                        found.setdefault(name, []).append(number)
    return found
