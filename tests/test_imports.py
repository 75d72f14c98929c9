"""Test the rules of imports in docs/architecture.md, read from the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "chatproto"

FEATURES = {"directory", "session", "rooms", "identity", "transfer", "relay", "accounts", "nearby"}
EVERYTHING = {"chatproto"}
MAY_IMPORT: dict[str, set[str]] = {
    "wire": set(),
    "net": {"wire"},
    "stdio": {"wire"},
    **{feature: {"wire", "net"} for feature in FEATURES},
    "rooms": {"wire", "net", "stdio.printable"},
    "stores": {
        *(
            "wire",
            "net",
            "directory.classic_registration",
            "directory.id_owners",
            "directory.registration_store",
            "directory.shared",
            "directory.shared_store",
            "directory.sorted_ids",
            "session.ledger",
            "rooms.history",
            "rooms.policy",
            "rooms.shared",
            "rooms.shared_store",
        ),
        *("directory.registry", "directory.registrations"),
    },
    "server": {"wire", "net", "stdio.printable", *FEATURES},
    "client": {"wire", "net", "stdio.unexpected", *FEATURES},
    "ui": {
        *(
            "wire",
            "net",
            "client.requests",
            "client.app",
            "client.events",
            "client.conversations",
            "client.diagnostics",
            "client.familiar_names",
            "client.targets",
            "identity.recipient",
        ),
        *("stdio.output", "stdio.printable", "stdio.typed", "stdio.unexpected"),
    },
    "api": {
        *("wire", "net.clock", "net.receivers", "cli.client_options", "cli.embedded"),
        *("client.conversations", "client.events"),
        *("ui.jsonlines", "ui.references", "ui.view"),
    },
    "cli": EVERYTHING,
}
"""By room: the rooms, or single modules, beside itself."""

NO_TWISTED = {
    "wire": "*",
    "stdio": "printable typed",
    "accounts": "files passwords",
    "directory": "addresses answer answers bridge_result introducing keyed"
    " classic_registration group id_owners pairing places registration_store sorted_ids"
    " client_registration registry registrations shared shared_changes shared_view watchers",
    "identity": "pins safety trust",
    "nearby": "messages table",
    "net": "addresses bounded_table clock dates private_files rate_limiter",
    "session": "candidates delivery effects floor ledger paths punches session state",
    "relay": "tickets",
    "rooms": "answers raw_text moderation effects guard history lobby plain_view policy room"
    " room_feed shared",
    "server": "unanswered",
    "transfer": "context names offer progress rates receiving records sending "
    "sinks sources state transfer transfers",
    "ui": "arguments checkup commands common_words completion topics file_view legible oneshot oneshot_files"
    " progress room_arguments room_commands room_view row values view",
    "ui/irc": "answers capabilities channels commands events lines modes nicks numerics past people"
    " welcome",
    "ui/screen": "attention cells file_bars folding glyphs here history own_lines questions rows"
    " scrollback status styles tab tabs",
    "api": "asking asyncio commands connection errors events",
    "client": "events diagnostics address_book settings",
}
"""What only decides; `*` is the whole room."""


def imported(path: Path) -> Iterator[str]:
    """The full name of each thing that a file imports, `from` or not, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@cache
def imports() -> list[tuple[Path, str]]:
    """Each file of the package, as a path in it without its suffix, with what it imports."""
    return [
        (path.relative_to(PACKAGE).with_suffix(""), name)
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in imported(path)
    ]


def below(name: str, modules: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


class ImportTests(SynchronousTestCase):
    """The package keeps to its own rules."""

    def test_every_room_has_its_row(self) -> None:
        rooms = {path.parent.name for path in PACKAGE.glob("*/*.py")}
        self.assertEqual(rooms - set(MAY_IMPORT), set())

    def test_a_room_imports_only_what_it_may(self) -> None:
        for path, name in imports():
            if below(name, EVERYTHING) and len(path.parts) > 1:
                room = path.parts[0]
                may = {f"chatproto.{other}" for other in MAY_IMPORT[room] | {room}}
                allowed = below(name, may) or MAY_IMPORT[room] is EVERYTHING
                self.assertTrue(allowed, f"{path} may not import {name}")

    def test_what_decides_knows_no_twisted(self) -> None:
        patterns = [
            f"{room}/{file}" for room, files in NO_TWISTED.items() for file in files.split()
        ]
        for pattern in patterns:
            self.assertTrue(list(PACKAGE.glob(f"{pattern}.py")), f"{pattern} is not there")
        for path, name in imports():
            if below(name, {"twisted", "zope"}):
                decides = any(path.match(pattern) for pattern in patterns)
                self.assertFalse(decides, f"{path} decides and imports {name}")

    def test_wire_imports_the_standard_library_and_itself(self) -> None:
        for path, name in imports():
            if path.parts[0] == "wire":
                top = name.partition(".")[0]
                fine = top in sys.stdlib_module_names or below(name, {"chatproto.wire"})
                self.assertTrue(fine, f"{path} imports {name}")

    def test_only_taps_names_the_global_reactor(self) -> None:
        for path, name in imports():
            if below(name, {"twisted.internet.reactor"}):
                self.assertEqual(path.parts[0], "cli", f"{path} names the global reactor")

    def test_the_plugins_import_nothing_of_ours_and_lie_in_no_package(self) -> None:
        plugins = ROOT / "twisted" / "plugins"
        self.assertFalse(list((ROOT / "twisted").rglob("__init__.py")))
        for name in imported(plugins / "chatproto_plugins.py"):
            self.assertFalse(below(name, EVERYTHING), f"the plugins import {name}")
