"""Private names of other projects stand in two files of net/ only, which check them when imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent.parent
ALLOWED = {"chatproto/net/fast_tls.py", "chatproto/net/fast_tcp.py"}
DOCUMENTED = {"_replace", "_make", "_asdict", "_fields", "_field_defaults", "_exit"}
"""Names of the standard library that begin with an underscore and are public all the same."""
BY_NAME = {"getattr", "setattr", "hasattr", "delattr"}


def is_private(name: str) -> bool:
    """Return True for `_name`, but not for `__name` and Enum's `_name_`."""
    return name[:1] == "_" != name[1:2] and name[-1] != "_" and name not in DOCUMENTED


@cache
def defined(tree: ast.AST) -> set[str]:
    """Return the names that a file gives its functions, classes and attributes."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names.add(name)
                for statement in body:
                    if isinstance(statement, ast.Assign | ast.AnnAssign):
                        names |= {
                            one.id for one in ast.walk(statement) if isinstance(one, ast.Name)
                        }
                        names |= {  # __slots__
                            str(one.value)
                            for one in ast.walk(statement)
                            if isinstance(one, ast.Constant)
                        }
            case ast.Attribute(attr=name, value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                names.add(name)
    return names


def used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each private name that a file uses of anything."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield node.lineno, name
            case ast.ImportFrom(module=module, names=names) if module and "chatproto" not in module:
                yield from ((node.lineno, part) for part in module.split("."))
                yield from ((node.lineno, one.name) for one in names)
            case ast.Call(func=ast.Name(id=by), args=[_, ast.Constant(value=str(name)), *_]):
                if by in BY_NAME:
                    yield node.lineno, name


def foreign(path: Path, own: dict[Path, ast.Module]) -> list[str]:
    """Return each use in `path` of a private name that neither it nor a file it imports defines."""
    tree = own[path]
    known = set(defined(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in (node.module, *(f"{node.module}.{one.name}" for one in node.names)):
                imported = ROOT.joinpath(*name.split(".")).with_suffix(".py")
                if imported in own and imported.relative_to(ROOT).as_posix() not in ALLOWED:
                    known |= defined(own[imported])
    where = path.relative_to(ROOT).as_posix()
    return [
        f"{where}:{line}: {name}"
        for line, name in used(tree)
        if is_private(name) and name not in known
    ]


class PrivateNamesTests(SynchronousTestCase):
    def test_other_projects_private_names_stand_in_two_files(self) -> None:
        files = sorted((ROOT / "chatproto").rglob("*.py"))
        own = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
        found = {path.relative_to(ROOT).as_posix(): foreign(path, own) for path in files}
        for allowed in ALLOWED:
            self.assertTrue(found.pop(allowed), f"{allowed} needs no exception")
        self.assertEqual([use for uses in found.values() for use in uses], [])

    def test_each_kind_of_use_is_found(self) -> None:
        path = ROOT / "chatproto" / "example.py"
        for source in (
            "layer._write(b'')",
            "class Mine(Theirs):\n    def go(self):\n        return self._theirs",
            "from OpenSSL._util import lib",
            "from OpenSSL import _util",
            "getattr(layer, '_write')",
        ):
            self.assertEqual(len(foreign(path, {path: ast.parse(source)})), 1, source)
        own = "class Mine:\n    _kept = 1\n    def go(self):\n        self._other = self._kept"
        self.assertEqual(foreign(path, {path: ast.parse(own + "\nmine._other")}), [])
