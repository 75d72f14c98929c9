"""Measure how the package is built: `python -m tests.house` prints it, `test_house.py` asserts a part.

Everything here but the journeys (`tests/journeys.py`) is read from the sources with `ast`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "chatproto"

PRONOUNS = frozenset(
    (
        *("what", "it", "they", "who", "that", "nobody", "whose", "whom", "whoever", "somebody"),
        *("everybody", "nothing", "we", "their", "its", "whether", "how", "where", "when", "which"),
        *("there", "those", "these"),
    )
)
"""First words that a docstring does not begin with: they name neither the thing nor what it does."""

PRIVATE_HOMES = ("net/fast_tls.py", "net/fast_tcp.py")
"""The files that may use private names of Twisted or pyOpenSSL, as patterns for `Path.match`."""

PUBLIC_ALTHOUGH = frozenset({"_replace", "_asdict", "_make", "_fields", "_field_defaults", "_exit"})
"""Names that begin with an underscore and are documented: named tuples' methods, and `os._exit`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One parsed file; `name` is its path below the package's root."""

    name: str
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        """Name the top-level folder in the package, or "" for a file beside the folders."""
        return self.name.rpartition("/")[0].partition("/")[0]

    @cached_property
    def walked(self) -> list[ast.AST]:
        """List every node of the tree."""
        return list(ast.walk(self.tree))


@cache
def sources(root: Path = PACKAGE) -> list[Source]:
    """Parse every Python file below `root`."""
    found = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Source(path.relative_to(root).as_posix(), text, ast.parse(text)))
    return found


def is_docstring(node: ast.AST) -> bool:
    """Return True for a statement that is only a string, as docstrings are."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def statements(files: list[Source]) -> int:
    """Count statements, without docstrings and comments."""
    return sum(
        isinstance(node, ast.stmt) and not is_docstring(node)
        for one in files
        for node in one.walked
    )


def pronoun_docstrings(files: list[Source]) -> list[str]:
    """List the docstrings that begin with one of `PRONOUNS`, as `file:line: first line`."""
    found = []
    for one in files:
        for node in one.walked:
            text = ast.get_docstring(node) if isinstance(node, Documented) else None
            if text and re.split(r"[\s,.:;']", text, maxsplit=1)[0].lower() in PRONOUNS:
                line = getattr(node, "lineno", 1)
                found.append(f"{one.name}:{line}: {text.splitlines()[0]}")
    return found


def classes_named_twice(files: list[Source]) -> list[str]:
    """List the names of classes that stand in more than one file.

    The events of `api/` have the names that users of the library expect.
    """
    where = defaultdict(set)
    for one in files:
        if one.folder == "api":
            continue
        for node in one.walked:
            if isinstance(node, ast.ClassDef):
                where[node.name].add(one.name)
    return [f"{name}: {', '.join(sorted(at))}" for name, at in sorted(where.items()) if len(at) > 1]


# Imports.


def imported_modules(one: Source, modules: dict[str, Source]) -> Iterator[str]:
    """Name the modules of the package that importing `one` loads, without those for types only."""
    skipped = {
        id(inner)
        for node in one.walked
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for branch in node.body
        for inner in ast.walk(branch)
    }
    for node in one.walked:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules)
            yield from names or ({node.module} & set(modules))


def import_circles(files: list[Source]) -> list[list[str]]:
    """List the groups of files in one folder that import each other in a circle."""
    modules = {"chatproto." + one.name.removesuffix(".py").replace("/", "."): one for one in files}
    graph = {
        name: {
            other
            for other in imported_modules(one, modules)
            if modules[other].folder == one.folder and other != name
        }
        for name, one in modules.items()
    }
    reach = {name: _reachable(graph, name) for name in graph}
    circles = {
        frozenset(other for other in seen if name in reach[other])
        for name, seen in reach.items()
        if name in seen
    }
    return sorted(sorted(circle) for circle in circles)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen, todo = set[str](), list(graph[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += graph[name]
    return seen


# Private names.


def defined_names(tree: ast.AST) -> set[str]:
    """Collect the attributes, functions and classes that a tree defines."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.attr if isinstance(node, ast.Attribute) else node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return found


def foreign_private_names(files: list[Source]) -> list[str]:
    """List uses of private names of objects that the same file does not define.

    `self._name` may also come from a base class elsewhere in the package. Names in strings count
    where they are handed to `getattr`, `setattr`, `hasattr` or `delattr`.
    """
    ours = set[str]().union(*(defined_names(one.tree) for one in files))
    found = []
    for one in files:
        if any(Path(one.name).match(home) for home in PRIVATE_HOMES):
            continue
        here = defined_names(one.tree)
        for node in one.walked:
            for owner, name in _private_uses(node):
                known = ours if owner in ("self", "cls") else here
                if name not in known | PUBLIC_ALTHOUGH:
                    found.append(f"{one.name}:{getattr(node, 'lineno', 0)}: {owner}.{name}")
    return found


def _private_uses(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Give owner and name of each private name that `node` itself uses."""
    if isinstance(node, ast.Attribute):
        if not node.attr.startswith("_"):
            return  # most are not, and to write out the owner of each takes seconds
        uses = [(ast.unparse(node.value), node.attr)]
    elif isinstance(node, ast.ImportFrom):
        uses = [(node.module or "", alias.name) for alias in node.names]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in ATTRIBUTE_FUNCTIONS:
        wanted = node.args[1]
        value = wanted.value if isinstance(wanted, ast.Constant) else ""
        uses = [(ast.unparse(node.args[0]), str(value))]
    else:
        return
    for owner, name in uses:
        if name.startswith("_") and not name.endswith("__"):
            yield owner, name


ATTRIBUTE_FUNCTIONS = ("getattr", "setattr", "hasattr", "delattr")


# Forwarders, interfaces, variants.


def forwarders(files: list[Source]) -> list[str]:
    """List methods of one line that hand their own arguments, as they are, to a part of `self`."""
    found = []
    for one in files:
        for node in one.walked:
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, Function) and _forwards(method):
                        found.append(f"{one.name}:{method.lineno}: {node.name}.{method.name}")
    return found


def _forwards(method: Function) -> bool:
    body = [line for line in method.body if not is_docstring(line)]
    arguments = [arg.arg for arg in (*method.args.args, *method.args.kwonlyargs)]
    if len(body) != 1 or arguments[:1] != ["self"]:
        return False
    value = body[0].value if isinstance(body[0], ast.Return | ast.Expr) else None
    if isinstance(value, ast.Await):
        value = value.value
    if isinstance(value, ast.Call):
        handed = [*value.args, *(keyword.value for keyword in value.keywords)]
        same = [ast.unparse(argument).lstrip("*") for argument in handed] == arguments[1:]
        return same and _is_part(value.func)
    is_property = any(ast.unparse(one) == "property" for one in method.decorator_list)
    return is_property and value is not None and _is_part(value)


def _is_part(node: ast.AST) -> bool:
    """Return True for `self.part.name` and deeper."""
    return bool(re.fullmatch(r"self(\.\w+){2,}", ast.unparse(node)))


def members(node: ast.ClassDef) -> set[str]:
    """Collect the methods and attributes of a class, private ones left out."""
    found = set[str]()
    for line in node.body:
        if isinstance(line, Function):
            found.add(line.name)
            if line.name == "__init__":
                found |= {
                    target.attr
                    for target in ast.walk(line)
                    if isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store)
                }
        elif isinstance(line, ast.AnnAssign):
            found.add(ast.unparse(line.target))
        elif isinstance(line, ast.Assign):
            found |= {ast.unparse(target) for target in line.targets}
    return {name for name in found if not name.startswith("_")}


def protocols(files: list[Source]) -> tuple[list[str], list[str]]:
    """List the `typing.Protocol` classes; second, those whose members one class alone has."""
    every, owners = list[tuple[str, set[str]]](), list[set[str]]()
    for one in files:
        for node in one.walked:
            if isinstance(node, ast.ClassDef):
                bases = {
                    ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases
                }
                is_interface = "Protocol" in bases and "typing" in one.text
                if is_interface:
                    every.append((f"{one.name}:{node.lineno}: {node.name}", members(node)))
                else:
                    owners.append(members(node))
    redeclared = [
        name for name, wanted in every if wanted and sum(wanted <= owner for owner in owners) == 1
    ]
    return [name for name, _ in every], redeclared


def variants_asked_for(files: list[Source], folder: str = "client") -> list[str]:
    """List `isinstance` in a folder for classes of the package that are not wire values or events.

    These ask which variant of a part there is (plain or encrypted, say), where a method of the part
    would answer.
    """
    found = []
    for one in files:
        if one.folder != folder:
            continue
        behave = {
            alias.asname or alias.name
            for node in one.walked
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("chatproto.")
            and not re.match(r"chatproto\.(wire|client\.events|\w+\.effects)\b", node.module or "")
            for alias in node.names
        } | {node.name for node in one.walked if isinstance(node, ast.ClassDef)}
        for node in one.walked:
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                asked = set(re.findall(r"\w+", ast.unparse(node.args[1])))
                if asked & behave:
                    found.append(f"{one.name}:{node.lineno}: {ast.unparse(node)}")
    return found


def table(files: list[Source]) -> list[tuple[str, int]]:
    """Count what is read from the sources, with a name for each number."""
    every, redeclared = protocols(files)
    return [
        ("files", len(files)),
        ("lines", sum(one.text.count("\n") for one in files)),
        ("statements, without docstrings", statements(files)),
        ("class names in more than one file", len(classes_named_twice(files))),
        ("typing.Protocol classes", len(every)),
        ("of these, redeclared from one owner", len(redeclared)),
        ("one-line forwarders", len(forwarders(files))),
        ("isinstance on variants in client/", len(variants_asked_for(files))),
        ("import circles inside folders", len(import_circles(files))),
        ("private names of foreign objects", len(foreign_private_names(files))),
        ("docstrings that begin with a pronoun", len(pronoun_docstrings(files))),
    ]


def index(files: list[Source]) -> Iterator[str]:
    """Give a line for each file: its name and the first sentence of its docstring."""
    for one in files:
        text = (ast.get_docstring(one.tree) or "").partition("\n\n")[0]
        yield f"{one.name:35} {' '.join(text.split())}"


def main() -> None:
    """Print all measures; `all` adds the findings behind them, `index` prints a line for each file."""
    import sys

    from tests.journeys import measures

    files = sources()
    if sys.argv[1:] == ["index"]:
        print(*index(files), sep="\n")
        return
    for name, count in table(files):
        print(f"{name:45} {count:>7,}")
    for journey in measures():
        print(journey)
    if sys.argv[1:] == ["all"]:
        for measure in (
            classes_named_twice,
            import_circles,
            foreign_private_names,
            variants_asked_for,
            forwarders,
            pronoun_docstrings,
        ):
            print(f"\n{measure.__name__}")
            for finding in measure(files):
                print(f"  {finding}")
        print("\nprotocols that redeclare")
        for name in protocols(files)[1]:
            print(f"  {name}")


if __name__ == "__main__":
    main()
