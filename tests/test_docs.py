"""The pages say what the code does: tables, drawing, options and links are compared with it."""

from __future__ import annotations

import re
from configparser import ConfigParser
from dataclasses import fields
from itertools import chain
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chatproto.cli.client_options import Options as ClientOptions
from chatproto.cli.limit_help import GROUPS
from chatproto.cli.options import ProgramOptions
from chatproto.cli.server_options import LIMITS_OF_CLIENTS, ServerOptions
from chatproto.server.metrics import HELP
from chatproto.ui.commands import ROWS
from chatproto.wire.bcp2_peer import FROM_PEER
from chatproto.wire.bcp2_server import FROM_CLIENT, FROM_SERVER
from chatproto.wire.classic import SAYS
from chatproto.wire.dialects import DIALECTS
from chatproto.wire.limits import CLIENT_DEFAULTS, SERVER_DEFAULTS
from chatproto.wire.reasons import Reason
from chatproto.wire.statuses import STATUS_WORDS
from misc import manual
from tests.diagram import diagram
from tests.limits import constants

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def table(text: str, head: str) -> list[list[str]]:
    """The cells of the rows below the table head that begins with `head`."""
    rows = text.split(f"\n{head}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def dashed(name: str) -> str:
    """The name of a limit, as on the command line."""
    return name.replace("_", "-")


def quoted(template: str) -> str:
    """A template as a cell shows it."""
    return f"`{template.encode('unicode_escape').decode()}`" if template else "-"


class ProtocolPageTests(SynchronousTestCase):
    """docs/PROTOCOL.md."""

    def test_names_every_limit_of_a_client_with_its_default(self) -> None:
        here = {row[0]: row[1] for row in table(page("PROTOCOL.md"), "| limit |")}
        known = constants()
        for limit in LIMITS_OF_CLIENTS:
            default = getattr(CLIENT_DEFAULTS, limit, None)
            values = known[limit.upper()] if default is None else [default]
            name, shown = dashed(limit), [f"{value:.12g}" for value in values]
            self.assertIn(
                here.pop(name, None),
                shown,
                f"add the row: | {name} | {shown[0]} | what it bounds |",
            )
        self.assertEqual(here, {}, "limits that there are no more")

    def test_names_every_status_in_its_words(self) -> None:
        rows = table(page("PROTOCOL.md"), "| code | words |")
        self.assertEqual({int(row[0]): row[1] for row in rows}, STATUS_WORDS)

    def test_shows_every_dialect_to_the_byte(self) -> None:
        rows = table(page("PROTOCOL.md"), "| dialect | the caller begins |")
        expected = [
            [name, quoted(row.opening), quoted(row.message), quoted(row.goodbye)]
            for name, row in DIALECTS.items()
        ]
        self.assertEqual(rows, expected)

    def test_shows_every_classic_message(self) -> None:
        for kind in chain(*SAYS.values()):
            self.assertIn(f"`{kind.method}\\r\\n", page("PROTOCOL.md"))

    def test_names_every_message_inside_tls_with_its_headers(self) -> None:
        section = page("PROTOCOL.md").split("## 5. BCP/2", 1)[1].split("\n## ", 1)[0]
        for kind in {*FROM_CLIENT, *FROM_SERVER, *FROM_PEER}:
            self.assertRegex(section, rf"\b{kind.method}\b")
            for header in kind.headers:
                self.assertRegex(section, rf"`{header.name}\b", f"{kind.method}: {header.name}")

    def test_draws_the_states_that_there_are(self) -> None:
        drawn = page("PROTOCOL.md").split("```mermaid\n")[1].split("\n```")[0]
        self.assertEqual(drawn, diagram(), "paste the output of python -m tests.diagram")


class OperationsPageTests(SynchronousTestCase):
    """docs/operations.md."""

    def test_explains_every_option_of_both_programs(self) -> None:
        heads = {"| chatserver |": ServerOptions(), "| chatclient |": ClientOptions()}
        for head, options in heads.items():
            explained = "".join(row[0] for row in table(page("operations.md"), head))
            for name in self.options_of(options):
                self.assertIn(f"`--{name}`", explained, f"{head} lacks --{name}")

    def options_of(self, options: ProgramOptions) -> set[str]:
        usage = options.getUsage(width=200)
        return set(re.findall(r"^ +(?:-\w, )?--([a-z-]+)", usage, re.MULTILINE))

    def test_names_limits_that_there_are(self) -> None:
        section = page("operations.md").split("\n### Limits\n", 1)[1].split("\n### ", 1)[0]
        named = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", section))
        known = {dashed(field.name) for field in fields(SERVER_DEFAULTS)}
        self.assertGreater(len(named), 10)
        self.assertEqual(named - known - {"explain"}, set(), "limits that there are no more")

    def test_explains_every_code_with_its_status(self) -> None:
        rows = table(page("operations.md"), "| code | meaning |")
        explained = re.findall(r"`([a-z-]+)`(?: \((\d+)\))?", " ".join(row[0] for row in rows))
        expected = [(one.code, str(one.status or "")) for one in Reason]
        self.assertEqual(sorted(explained), sorted(expected))

    def test_explains_every_metric(self) -> None:
        rows = table(page("operations.md"), "| metric | labels |")
        explained = {
            name.removesuffix("_total")
            for row in rows
            for name in re.findall(r"`chatserver_([a-z_]+)`", row[0])
        }
        labelled = {"refused", "requests", "errors", "store_seconds", "store_failures"}
        self.assertEqual(explained, {*HELP, *labelled})

    def test_explains_every_command(self) -> None:
        rows = table(page("operations.md"), "| in the client |")
        explained = {name for row in rows for name in re.findall(r"/([a-z]+)", row[0])}
        self.assertEqual(explained, set(ROWS))

    def test_explains_every_command_as_values(self) -> None:
        rows = table(page("operations.md"), "| `do` |")
        explained = {name for row in rows for name in re.findall(r"`([a-z]+)`", row[0])}
        self.assertEqual(explained - {"do"}, set(ROWS))
        for names, values in ((row[0], row[1]) for row in rows):
            for name in re.findall(r"`([a-z]+)`", names):
                for field in ROWS[name].fields if name in ROWS else ():
                    self.assertIn(f"`{field.name}`", values, name)


class PageTests(SynchronousTestCase):
    """All pages."""

    def test_the_tutorial_shows_every_classic_message(self) -> None:
        for kind in chain(*SAYS.values()):
            self.assertRegex(page("tutorial.md"), rf"(?m)^    {kind.method}$")

    def test_links_lead_somewhere(self) -> None:
        for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")]:
            for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", path.read_text(encoding="utf-8")):
                self.assertTrue((path.parent / link).exists(), f"{path.name} links to {link}")

    def test_files_named_in_contributing_exist(self) -> None:
        text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        named = re.findall(r"`((?:chatproto|tests|docs|bench|\.ci)/[\w./]+)`", text)
        self.assertGreater(len(named), 30)
        self.assertEqual([path for path in named if not (ROOT / path).exists()], [])

    def test_the_readme_has_two_commands(self) -> None:
        """The gate runs them as they stand."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        commands = re.findall(r"^```sh\n(.+)\n```$", readme, re.MULTILINE)
        self.assertEqual(len(commands), 2)
        self.assertEqual(readme.count("```sh"), 2)
        self.assertIn("chatserver", commands[0])
        self.assertIn("pytest", commands[1])


class ManualTests(SynchronousTestCase):
    """docs/reference.md and the manual pages."""

    def test_they_are_made_from_this_code(self) -> None:
        made = manual.files()
        for path, text in made.items():
            there = path.read_text(encoding="utf-8") if path.exists() else ""
            self.assertEqual(there, text, f"{path.name}: python misc/manual.py makes it anew")
        self.assertEqual(set(manual.FOLDER.iterdir()), set(made) - {manual.PAGE})

    def test_explains_every_limit_of_a_server_once(self) -> None:
        explained = [name for group in GROUPS.values() for name in group]
        known = [dashed(field.name) for field in fields(SERVER_DEFAULTS)]
        self.assertEqual(sorted(explained), sorted(known), "see chatproto/cli/limit_help.py")
        for group in GROUPS.values():
            for name, one in group.items():
                for sentence in filter(None, (one.reached, one.change)):
                    self.assertRegex(sentence, r"^[A-Z/].*\.$", name)
                self.assertTrue(max(map(len, one)) < 200 and one.unit and one.bounds, name)

    def test_each_command_has_a_summary_and_its_options(self) -> None:
        every = {command.name: command for command in manual.commands()}
        self.assertIn("chatserver ctl", every)
        for command in every.values():
            self.assertTrue(command.synopsis and command.about and command.options, command.name)
        self.assertIn("/drain [TIME]", dict(every["chatserver"].commands))
        self.assertNotIn("--home=", dict(every["chatclient send"].options))

    def test_roff_leaves_no_line_that_is_a_request(self) -> None:
        requests = {".TH", ".SH", ".PP", ".TP", ".BR", ".br"}
        for path in manual.FOLDER.iterdir():
            for line in path.read_text(encoding="utf-8").splitlines():
                self.assertFalse(line.startswith("'"), line)
                if line.startswith("."):
                    self.assertIn(line.split()[0], requests)


class ChangelogTests(SynchronousTestCase):
    """CHANGELOG.md."""

    def test_the_newest_entry_is_of_the_present_version(self) -> None:
        config = ConfigParser()
        config.read(ROOT / "setup.cfg", encoding="utf-8")
        changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        newest = re.findall(r"^## (\S+) \(", changes, re.MULTILINE)[0]
        self.assertEqual(newest, config["metadata"]["version"])


class SecurityPageTests(SynchronousTestCase):
    """docs/security.md."""

    def test_every_named_test_exists(self) -> None:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page("security.md"))
        self.assertGreater(len(named), 30)
        for path, name in named:
            source = (ROOT / path).read_text(encoding="utf-8")
            found = re.search(rf"^\s*(?:def|class|async def) {name}\b", source, re.MULTILINE)
            self.assertTrue(not name or found, f"there is no {name} in {path}")
