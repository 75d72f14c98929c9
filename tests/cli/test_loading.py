"""A program loads what it needs, and not before."""

from __future__ import annotations

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.main import ONE_SHOTS
from chatproto.cli.oneshot import COMMANDS
from chatproto.cli.screen_program import MODULES
from tests.fresh_python import fresh_python

HELP = """
import sys
from chatproto.cli import main

sys.argv = [{program!r}, "--help"]
try:
    getattr(main, {program!r})()
except SystemExit:
    print("loaded:", *sys.modules)
"""
LARGE = {
    *("OpenSSL", "cryptography", "sqlite3", "argon2", "prompt_toolkit", "txredisapi"),
    *("prometheus_client", "twisted.internet.endpoints", "twisted.internet.reactor"),
    *("chatproto.client.app", "chatproto.server.factory", "chatproto.transfer.transfers"),
}
AT_FIRST_USE = {
    *("chatproto.transfer.transfers", "chatproto.nearby.ports", "prompt_toolkit", "curses"),
}
"""What a client loads with the first peer, with --beacon, or for the full interface."""

COLLECTOR = """
import gc
from chatproto.cli.collector import without_collector

before = gc.get_freeze_count()  # Python 3.12 freezes some objects by itself
with without_collector():
    print(gc.isenabled(), gc.get_freeze_count() - before)
print(gc.isenabled(), gc.get_freeze_count() > 1000)
try:
    with without_collector():
        raise ValueError
except ValueError:
    print(gc.isenabled())
"""
PUT_TOGETHER = """
import gc, sys
from chatproto.cli import {module}

gc.disable()
options = {module}.Options()
options.parseOptions({options})
{module}.makeService(options)
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


class LoadingTests(SynchronousTestCase):
    def test_help_of_a_program_loads_its_options_alone(self) -> None:
        list(
            getPlugins(IServiceMaker)
        )  # keeps a list of all plugins, which a new environment lacks
        for program in ("chatclient", "chatserver"):
            said = fresh_python(HELP.format(program=program))
            self.assertIn(f"Usage: {program} [options]", said)
            loaded = set(said.rpartition("loaded:")[2].split())
            self.assertIn("chatproto.cli.options", loaded)
            self.assertEqual(loaded & LARGE, set())

    def test_each_program_loads_nothing_of_the_other(self) -> None:
        loaded = fresh_python(
            "import sys, chatproto.cli.server_program; print(*sys.modules)"
        ).split()
        self.assertEqual([one for one in loaded if one.startswith("chatproto.client.")], [])
        loaded = fresh_python(
            "import sys, chatproto.cli.client_program; print(*sys.modules)"
        ).split()
        ours = [one for one in loaded if one.startswith("chatproto.server.")]
        self.assertEqual(ours, ["chatproto.server.blur"])
        self.assertEqual(set(loaded) & AT_FIRST_USE, set())

    def test_the_screen_loads_the_client_while_the_prompt_stands(self) -> None:
        loaded = fresh_python(
            "import sys, chatproto.cli.screen_program; print(*sys.modules)"
        ).split()
        late = {*MODULES, "chatproto.session.state", "twisted.internet.endpoints", "sqlite3"}
        self.assertEqual(set(loaded) & late, set())
        self.assertIn("prompt_toolkit", loaded)

    def test_no_module_of_the_client_is_loaded_before_its_turn(self) -> None:
        # Each is one turn of the prompt's loop: one that loads the rest would leave keys unseen meanwhile.
        said = fresh_python(
            "import sys; from importlib import import_module; import chatproto.cli.screen_program\n"
            f"for one in {MODULES}:\n"
            "    if one in sys.modules: print(one)\n"
            "    import_module(one)"
        )
        self.assertEqual(said, "")

    def test_nothing_that_the_screen_loads_installs_a_reactor(self) -> None:
        loads = "\n".join(f"import {one}" for one in MODULES)
        said = fresh_python(
            f"{loads}\nimport sys; print('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(said, "False\n")

    def test_the_usual_endpoints_are_checked_without_the_parser_of_all(self) -> None:
        loaded = fresh_python(
            "import sys; from chatproto.cli.options import endpoint_text; "
            "endpoint_text('tcp:0:interface=127.0.0.1'); endpoint_text('5555'); print(*sys.modules)"
        ).split()
        self.assertEqual(set(loaded) & LARGE, set())

    def test_one_shot_names_are_known_without_loading_them(self) -> None:
        self.assertEqual(ONE_SHOTS, tuple(COMMANDS))

    def test_cycle_collector_is_off_during_the_start(self) -> None:
        self.assertEqual(fresh_python(COLLECTOR), "False 0\nTrue True\nTrue\n")

    def test_the_cycle_collector_is_on_once_a_program_is_put_together(self) -> None:
        home = ["--home", self.mktemp()]
        for module, options in (("client", ["--id", "a", "--plain"]), ("server", [])):
            code = PUT_TOGETHER.format(module=module, options=[*home, *options])
            self.assertEqual(fresh_python(code).splitlines()[-1], "True True")
