"""The options of the chatclient program."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from datetime import datetime
from getopt import GetoptError, getopt
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, ClassVar

import platformdirs

from chatproto.cli.asking import account_password
from chatproto.cli.config_file import ConfigFile, read_config, usual_config
from chatproto.cli.interface_choice import any_terminal, why_not_full
from chatproto.cli.options import (
    ProgramOptions,
    WrongOption,
    default_folder,
    endpoint_text,
    local_option,
    say_wrong,
)
from chatproto.client.home import Home, HomeTaken, HomeTrouble
from chatproto.net.addresses import LEAST_PORT, is_address
from chatproto.net.paths import what_is_in_the_way
from chatproto.session.paths import PathMode
from chatproto.wire.bcp2_common import ADDRESSES, KEY, USER
from chatproto.wire.dialects import DIALECTS
from chatproto.wire.errors import CannotStart, RemoteError
from chatproto.wire.fields import ID, host_port, read_client_id, read_host_port, read_number
from chatproto.wire.room_fields import read_room, read_secret

ANSWERS = ("all", "known", "none")
ACCEPTS = ("ask", "known", "verified", "none")
SHORTEST_PING = 0.1
"""Smallest --ping in seconds: below it no answer arrives in time, and every conversation would break."""
RATE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([KMGkmg]?)")
MOST_ALLOWED = 16  # more would not fit into a header line
MOST_SERVERS = 16
MOST_AUTOJOIN = 20
MOST_FAREWELLS, FAREWELL_LENGTH = 16, 32
_EVERYBODY = ip_address("255.255.255.255")
MOST_FORMAT = 32
"""Largest number of characters of --time-format, and of a time in it."""
COLORS = ("auto", "always", "never")
OF_INTERFACE = ("ui", "color", "no-bell", "time", "time-format", "rejoin", "autojoin", "irc")
"""Options of the interface, which one-shot commands read only from the file."""
INTERFACES = ("auto", "full", "plain", "json", "none")
PATHS = tuple(mode.value for mode in PathMode)


def login_id() -> str:
    """Return the login name as an id, without characters that ids cannot have; none left: `user`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    kept = re.sub(r"[^A-Za-z0-9._-]", "", name).lstrip("._-")[:64]
    return kept if ID.fullmatch(kept) else "user"


class InUse(CannotStart):
    """Another program uses the home."""


class Options(ProgramOptions):
    """Options of `twistd chatclient`."""

    synopsis = "chatclient [options]"
    longdesc = (
        "Chat from one terminal to another. Type /help once it runs. Scripts use chatclient send, "
        "send-file, receive and info (chatclient send --help explains them). chatclient doctor finds "
        "what prevents connections. chatclient --completion bash (or zsh, fish) prints what Tab needs."
    )
    logs_to = "chatclient.log"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "accept": ACCEPTS,
        "answer": ANSWERS,
        "color": COLORS,
        "dialect": tuple(DIALECTS),
        "path": PATHS,
        "ui": INTERFACES,
    }
    interactive: ClassVar[bool] = True
    """False for one-shot commands, for which a file chooses no interface."""

    optParameters = [
        [
            "id",
            None,
            None,
            "Your id: letters, digits, '.', '_', '-' (default: your login name)",
        ],
        ["port", "p", "0", "Port where peers reach you, or a Twisted server endpoint (0: any)"],
        [
            "dialect",
            None,
            None,
            f"Dialect of calls in plain text: {', '.join(DIALECTS)} (default: canon)",
        ],
        [
            "ui",
            None,
            "auto",
            "full, plain, json, none, or auto: full on a terminal, plain elsewhere and with --plain",
        ],
        [
            "irc",
            None,
            None,
            "Serve IRC clients of this machine: a port of 127.0.0.1, or unix:PATH",
        ],
        [
            "color",
            None,
            "auto",
            "Colours: auto (on a terminal, unless NO_COLOR is set), always, never",
        ],
        ["time-format", None, "%H:%M", "Times of day, as for strftime: %H:%M:%S, or %I:%M %p"],
        [
            "config",
            None,
            None,
            "File with options, or none (default: client.toml in the platform's folder)",
        ],
        ["home", None, None, "Folder for your key, known keys and log (default: one for each id)"],
        [
            "accept",
            None,
            "ask",
            "Files to accept: ask, known, verified (safety number compared), none",
        ],
        ["downloads", None, None, "Folder for received files (default: the platform's)"],
        [
            "rate",
            None,
            "0",
            "Limit for sent files in bytes a second, such as 500K or 2M (0: none)",
        ],
        ["ping", None, "30", "Seconds without data after which a peer is pinged"],
        ["user", None, None, "Your account at the server (the password is asked for)"],
        ["password-file", None, None, "File with the password of --user in its first line"],
        ["path", None, "auto", "Paths to peers: direct (never the relay), relay (only it), auto"],
        [
            "answer",
            None,
            "known",
            "Calls to accept without asking: all, known, none",
        ],
    ]
    optFlags = [
        ["plain", None, "Speak the classic dialect to the server, with --open"],
        ["open", None, "Accept unencrypted calls, and call peers that have no key"],
        ["half-duplex", None, "Take turns, so that only one peer can send at a time"],
        ["no-bell", None, "Ring no bell and send no notification for messages and calls"],
        ["rejoin", None, "Rejoin the rooms of the last run with --ui json too"],
        ["time", None, "Begin each line with the local time (plain interface)"],
        ["no-log", None, "Keep neither message texts nor typed lines, only delivery state"],
        ["beacon", None, "Announce yourself on the local network, and find peers there"],
        ["unlisted", None, "Appear in no list, and let only the keys of --allow find you"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["allow"] = []
        self["announce"] = []
        self["irc-socket"] = None
        self["autojoin"] = {}
        self["farewell"] = []
        self["server"] = []
        self["config-file"] = None
        self["from-file"] = {}
        self["colors"] = {}
        self["keys"] = None

    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            raise WrongOption(
                f"unknown argument {arguments[0]!r}: the commands, each the first word, are send, "
                "send-file, receive, info and doctor"
            )

    def configured(self, words: list[str]) -> list[str]:
        """Return the options of the file before those of the command line, which take precedence."""
        try:
            found, _ = getopt(words, self.shortOpt, self.longOpt)
        except GetoptError:
            return words  # the error is reported in a moment
        given = {
            self.synonyms.get(name.lstrip("-"), name.lstrip("-")): value for name, value in found
        }
        if given.keys() & {"help", "version"} or given.get("config") == "none":
            return words
        named = given.get("config")
        path = local_option("config", named) if named is not None else usual_config()
        takes = {name.removesuffix("="): name.endswith("=") for name in Options().longOpt}
        config = read_config(path, takes, named is not None) if path is not None else None
        if config is None:
            return words
        self["config-file"] = config
        if self.interactive and config.tables:
            self._tables(config)
        more: list[str] = []
        for name, texts in config.values.items():
            if name in given or (name in OF_INTERFACE and not self.interactive):
                continue
            if name == "autojoin":
                self["from-file"][name] = ", ".join(text.split(" ")[0] for text in texts)
                if config.readable and any("key=" in text for text in texts):
                    say_wrong(
                        f"{self.program}: other users may read {path}, which has the key of a room: "
                        f"make it private with chmod go-rwx"
                    )
            else:
                self["from-file"][name] = ", ".join(texts) if texts else "on"
            more += [f"--{name}={text}" for text in texts] if texts else [f"--{name}"]
        return [*more, *words]

    def _tables(self, config: ConfigFile) -> None:
        """Read the colours and keys of the file. Raises WrongOption."""
        from chatproto.ui.screen.keymap import read_keymap  # only here: most files have none
        from chatproto.ui.screen.styles import read_colours

        for name, table in config.tables.items():
            try:
                self[name] = read_colours(table) if name == "colors" else read_keymap(table)
            except ValueError as error:
                raise WrongOption(f"{config.path}: [{name}]: {error}") from None
            self["from-file"][name] = " ".join(table) or "none"

    def opt_server(self, text: str) -> None:
        """host:port or host:port/KEY of the server, or none (may be repeated) [default: 127.0.0.1:5555]"""
        if len(self["server"]) >= MOST_SERVERS:
            raise WrongOption(f"--server can be given {MOST_SERVERS} times at most")
        self["server"].append(text)

    def opt_allow(self, key: str) -> None:
        """Key that can find you with --unlisted (may be repeated)"""
        if KEY.fullmatch(key) is None:
            raise WrongOption(f"--allow takes a key such as sha256:..., not {key!r}")
        if len(self["allow"]) >= MOST_ALLOWED:
            raise WrongOption(f"--allow can name {MOST_ALLOWED} keys at most")
        self["allow"].append(key)

    def opt_autojoin(self, text: str) -> None:
        """Room to join at the start (may be repeated), in the config file also 'ROOM key=KEY'"""
        room, _, key = text.partition(" key=")
        try:
            name = read_room(room if room.startswith("#") else f"#{room}")
            self["autojoin"][name] = read_secret(key)
        except RemoteError:
            raise WrongOption("--autojoin takes a room, such as tea or 'tea key=KEY'") from None
        if len(self["autojoin"]) > MOST_AUTOJOIN:
            raise WrongOption(f"--autojoin can name {MOST_AUTOJOIN} rooms at most")

    def opt_farewell(self, word: str) -> None:
        """Word that ends a plain-text conversation, besides quit, over, exit, bye (may be repeated)"""
        if len(self["farewell"]) >= MOST_FAREWELLS:
            raise WrongOption(f"--farewell can be given {MOST_FAREWELLS} times at most")
        if not word.isprintable() or not 0 < len(word) <= FAREWELL_LENGTH or word != word.strip():
            raise WrongOption(f"--farewell takes a word of at most {FAREWELL_LENGTH} characters")
        self["farewell"].append(word)

    def opt_announce(self, address: str) -> None:
        """host:port where peers reach you, instead of the detected one (may be repeated)"""
        if len(self["announce"]) >= ADDRESSES:
            raise WrongOption(f"--announce can name {ADDRESSES} addresses at most")
        self["announce"].append(self._address("announce", address))

    def check(self) -> None:
        """Convert the options to values. Raises WrongOption with one sentence."""
        self.refuse_empty()
        try:
            self["id"] = read_client_id(self["id"]) if self["id"] is not None else login_id()
        except RemoteError:
            raise WrongOption(
                f"--id {self['id']!r} is not a valid id: start with a letter or digit, and use at most "
                "64 letters, digits, '.', '_', '-'"
            ) from None
        if self.interactive and self["plain"] and not self["id"].isalnum():
            say_wrong(
                f"{self.program}: some classic programs refuse the id {self['id']}, --id chooses another"
            )
        self["port"] = endpoint_text(self["port"])
        if self["port"].startswith("stdio:"):
            raise WrongOption(
                f"--port {self['port']!r} cannot accept connections: give a port or an endpoint"
            )
        self._servers()
        self._announced()
        self["ping"] = self._ping(self["ping"])
        self["rate"] = self._rate(self["rate"])
        self.one_of("accept")
        self._folders()
        self._account()
        if self["beacon"] and self["plain"]:
            raise WrongOption(
                "--beacon announces your key, which --plain does not use: leave one of them out"
            )
        self["dialect-chosen"] = self["dialect"] is not None
        self["dialect"] = self["dialect"] or "canon"
        self.one_of("dialect")
        self._interface()
        self._irc()
        self.one_of("color")
        self._time_format()
        self.one_of("answer")
        self.one_of("path")

    def _interface(self) -> None:
        """Choose the interface.

        A one-shot command and doctor have none: on a terminal they print lines as into a pipe.
        """
        self.one_of("ui")
        if not self.interactive:
            return
        if self["ui"] == "none":
            return
        parent: Any = self.parent
        if parent is not None and not (parent.get("nodaemon", True) or parent.get("debug")):
            raise WrongOption("the client needs your terminal: start it with twistd -n chatclient")
        if self["ui"] == "auto" and self["plain"]:
            self["ui"] = "plain"
        if self["ui"] not in ("auto", "full"):
            return
        missing = why_not_full(parent, os.environ)
        if not missing:
            self["ui"] = "full"
            return
        if self["ui"] == "full":
            raise WrongOption(f"--ui full is not possible: {missing}")
        self["ui"] = "plain"
        if any_terminal():
            say_wrong(f"{self.program}: plain interface, because {missing}")

    def _irc(self) -> None:
        """Read where to listen for IRC clients: `irc` becomes a port, or `irc-socket` a path."""
        text = self["irc"]
        if text is None:
            return
        if text.startswith("unix:"):
            self["irc-socket"] = local_option("irc", text.removeprefix("unix:"))
            self["irc"] = None
        elif text.isascii() and text.isdecimal() and int(text) < 65536:
            self["irc"] = int(text)
        else:
            raise WrongOption(f"--irc takes a port or unix:PATH, not {text!r}")

    def _folders(self) -> None:
        """Resolve the paths of downloads, home and password; ask the platform only for missing ones."""
        if self["downloads"] is not None:
            self["downloads"] = local_option("downloads", self["downloads"]).absolute()
        else:
            folder = platformdirs.user_downloads_dir
            self["downloads"] = Path("/") if self["plain"] else default_folder("downloads", folder)
        wrong = what_is_in_the_way(self["downloads"])
        if wrong is not None:
            raise WrongOption(f"--downloads {str(self['downloads'])!r}: {wrong} is not a folder")
        if self["home"] is not None:
            self["home"] = local_option("home", self["home"])
        else:
            data = default_folder("home", lambda: platformdirs.user_data_dir("chatproto"))
            self["home"] = data / self["id"]
        if self["password-file"] is not None:
            local_option("password-file", self["password-file"])

    def prepare(self) -> Path:
        """Open the home, which contains log, key and known keys. Raises CannotStart.

        The full interface opens its files once its prompt is shown.
        """
        home = self["opened"] = Home(self["home"])
        try:
            home.open()
        except HomeTaken as error:
            raise InUse(str(error)) from None
        except HomeTrouble as error:
            raise CannotStart(str(error)) from None
        if self["ui"] != "full":
            self.open_files()
        if self["user"] is not None:
            self["password"] = account_password(self["user"], self["password-file"])
        return Path(self["home"])

    def open_files(self) -> None:
        """Open key, known keys and log; `--plain` has none of them. Raises CannotStart."""
        if not self["plain"]:
            from chatproto.cli.client_files import open_files

            self.update(open_files(self["home"], log=not self["no-log"]))

    def _servers(self) -> None:
        """Return the addresses, and the key that all of them must have."""
        texts, keys = self["server"] or ["127.0.0.1:5555"], set()
        self["servers"] = []
        if "none" in texts and texts != ["none"]:
            raise WrongOption("--server none stands alone: leave out the other servers, or none")
        for text in texts if texts != ["none"] else []:
            address, slash, key = text.partition("/")
            if slash and KEY.fullmatch(key) is None:
                raise WrongOption(
                    f"--server takes a key such as sha256:... after the slash, not {key!r}"
                )
            if key:
                keys.add(key)
            self["servers"].append(self._address("server", address))
        if len(keys) > 1:
            raise WrongOption(
                "--server names two keys: servers of one directory share one, give only that"
            )
        self["server-key"] = keys.pop() if keys else None
        self["server"] = self["servers"][0] if self["servers"] else None

    def _announced(self) -> None:
        """Check `--announce`: addresses and ports that peers with keys call; with `--plain` any."""
        named = [host for host, _ in self["announce"] if not is_address(host)]
        if named and not self["plain"]:
            raise WrongOption(f"--announce takes an address, not the name {named[0]!r}")
        for host, port in self["announce"]:
            if port < LEAST_PORT and not self["plain"]:
                raise WrongOption(
                    f"--announce {host_port(host, port)!r}: peers never call a port below {LEAST_PORT}"
                )
            if not port or (is_address(host) and _is_nobodys(ip_address(host))):
                where = host_port(host, port)
                raise WrongOption(
                    f"--announce {where!r} cannot be reached by peers: give another address"
                )

    def _account(self) -> None:
        if self["user"] is None:
            if self["password-file"] is not None:
                raise WrongOption("--password-file needs --user NAME")
        elif USER.fullmatch(self["user"]) is None:
            raise WrongOption(f"--user {self['user']!r} is not a valid account name")
        elif self["plain"]:
            raise WrongOption("--user needs TLS, which --plain does not use: leave one of them out")

    def _address(self, name: str, text: str) -> tuple[str, int]:
        try:
            return read_host_port(text)
        except RemoteError:
            raise WrongOption(f"--{name} takes host:port, not {text!r}") from None

    def _rate(self, text: str) -> float:
        found = RATE.fullmatch(text)
        if found is None:
            raise WrongOption(f"--rate takes bytes a second, such as 500K or 2M, not {text!r}")
        return float(found[1]) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[found[2].upper()]

    def _ping(self, text: str) -> float:
        try:
            seconds = read_number(text)
        except ValueError:
            seconds = 0.0
        if not SHORTEST_PING <= seconds <= 3600:
            wants = f"a number of seconds from {SHORTEST_PING} to 3600"
            raise WrongOption(f"--ping takes {wants}, not {text!r}")
        return seconds

    def _time_format(self) -> None:
        text = self["time-format"]
        try:
            shown = datetime(2026, 11, 28, 17, 8, 34).strftime(text)
        except (ValueError, UnicodeError):
            shown = ""
        if len(text) > MOST_FORMAT or not 0 < len(shown) <= MOST_FORMAT or not shown.isprintable():
            raise WrongOption(
                f"--time-format takes a format such as %H:%M, of at most {MOST_FORMAT} characters, "
                f"not {text[:MOST_FORMAT]!r}"
            )


class CommandOptions(Options):
    """Options of a sub-command of chatclient, which has no interface. `words`: its arguments."""

    command: ClassVar[str] = ""
    words: ClassVar[str] = ""
    interactive = False
    hidden = frozenset(OF_INTERFACE)

    @property
    def program(self) -> str:
        return f"chatclient {self.command}"

    def getSynopsis(self) -> str:
        return f"Usage: {self.program} [options] {self.words}".rstrip()


def _is_nobodys(address: IPv4Address | IPv6Address) -> bool:
    """Return True for an address that peers elsewhere cannot connect to."""
    link_local = address.version == 6 and address.is_link_local
    return address.is_unspecified or address.is_multicast or link_local or address == _EVERYBODY
