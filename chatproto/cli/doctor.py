"""`chatclient doctor`: check the connections to the server and to peers, and give advice."""

from __future__ import annotations

import errno
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.logger import globalLogBeginner

from chatproto.cli.asking import account_password
from chatproto.cli.client_options import CommandOptions
from chatproto.cli.exit_codes import COULD_NOT_START
from chatproto.cli.options import WrongOption, say_wrong
from chatproto.client.diagnostics import FAIL, NOTE, OK, Finding, disk, exit_code
from chatproto.client.doctor import Doctor, Patient
from chatproto.client.events import CommandOutput, Exited
from chatproto.identity.keys import KEY_FILE, new_identity, open_identity
from chatproto.identity.pins import PinFile
from chatproto.identity.tls import Tls
from chatproto.net.clock import use_monotonic_time, wall
from chatproto.net.resolver import use_system_resolver
from chatproto.ui.checkup import finding_lines
from chatproto.ui.oneshot import NOT_DONE
from chatproto.ui.view import json_object
from chatproto.wire.errors import CannotStart
from chatproto.wire.fields import host_port
from chatproto.wire.reasons import CodedError, Reason

LATE = 60.0
"""Seconds after which the checkup ends in any case."""


class DoctorOptions(CommandOptions):
    """The client's options: their effects are checked, and nothing is changed."""

    longdesc = (
        "Check what prevents connections, and suggest what to do. The checks cover the server and its key, "
        "your public address, whether peers can call you, the local network and the clock. It changes "
        "nothing, so your client can keep running. Exit code 0: no problem found, 3: a server refuses "
        "you or shows another key, 5: another problem."
    )
    command = "doctor"
    optFlags = [["json", None, "Print every finding as one JSON object a line"]]

    def postOptions(self) -> None:
        """Check the options; open no file, because a running client may have it open."""
        self.check()
        if self["plain"]:
            raise WrongOption("no checks exist for --plain: use chatserver --trace and netcat")
        self["password"], self["no-password"] = None, ""
        if self["user"] is not None:
            try:
                self["password"] = account_password(self["user"], self["password-file"])
            except (WrongOption, CannotStart) as error:
                self["no-password"] = str(error)


class Checkup:
    """All checks, in order, and the exit code."""

    def __init__(self, reactor: Any, options: DoctorOptions) -> None:
        self.code = COULD_NOT_START
        self._reactor = reactor
        self._options = options
        self._found: list[Finding] = []
        self._unwritten = ""  # why not everything was printed

    def run(self) -> int:
        """Run all checks and return the exit code."""
        self._reactor.callWhenRunning(self._begin)
        self._reactor.run()
        return self.code

    def _begin(self) -> None:
        done = Deferred.fromCoroutine(self._look())
        done.addTimeout(LATE, self._reactor)
        done.addBoth(self._end)

    async def _look(self) -> None:
        options = self._options
        patient = self._patient()
        if patient is None:
            return
        doctor = Doctor(self._reactor, patient, self.tell, random.SystemRandom().getrandbits)
        if not options["servers"]:
            self.tell(Finding("server", NOTE, "no server is used (--server none)"))
        for host, port in options["servers"]:
            await doctor.server(host, port)
        if options["port"] != "tcp:0":
            endpoint = serverFromString(self._reactor, options["port"])
            await doctor.port(endpoint, Factory(), f"your port {options['port']}")
        await doctor.nearby()

    def _patient(self) -> Patient | None:
        """Read the identity of this home without changing it; a client may be running there."""
        options, home = self._options, self._options["home"]
        try:
            has_key = (home / KEY_FILE).exists()
            identity = open_identity(home) if has_key else new_identity()
            file = PinFile(home / "known_peers")
        except (CodedError, OSError) as error:
            code = error.reason if isinstance(error, CodedError) else Reason.FILE_TROUBLE
            self.tell(
                Finding(
                    "home",
                    FAIL,
                    str(error),
                    "repair the file it names, or use another --home",
                    code=code,
                )
            )
            return None
        if has_key:
            self.tell(
                Finding("home", OK, f"your key is {identity.name}", data={"key": identity.name})
            )
        else:
            self.tell(Finding("home", NOTE, f"no key in {home} yet: the first start creates it"))
        self._disks()
        if options["no-password"]:
            advice = "give --password-file, or start at a terminal"
            why = options["no-password"]
            self.tell(Finding("account", FAIL, why, advice, code=Reason.LOGIN_REFUSED))
        return Patient(
            options["id"],
            Tls(identity),
            file.pins,
            str(file.path),
            options["server-key"],
            ", ".join(host_port(*one) for one in options["announce"]),
            bool(options["beacon"]),
            has_key,
            options["user"],
            options["password"],
        )

    def _disks(self) -> None:
        """Report the home and the download folder if they cannot be written."""
        for what in ("home", "downloads"):
            folder: Path = self._options[what]
            finding = disk(what, str(folder), *_space(folder))
            if finding is not None:
                self.tell(finding)

    def tell(self, finding: Finding) -> None:
        """Print a finding."""
        self._found.append(finding)
        if self._options["json"]:
            data = {"check": finding.check, "state": finding.state, "text": finding.text}
            data |= {"advice": finding.advice} if finding.advice else {}
            data |= {"code": finding.code.code} if finding.code is not None else {}
            answer = CommandOutput("doctor", (), {**data, **finding.data})
            lines = [json.dumps(json_object(answer, wall()))]
        else:
            lines = finding_lines(finding, _columns())
        for line in lines:
            self._print(line)

    def _print(self, line: str) -> None:
        """Print a line; record one that could not be written, and ignore a closed output."""
        try:
            print(line, flush=True)
        except (OSError, ValueError) as error:
            sys.stdout = None  # it would raise an error at the end as well
            if isinstance(error, OSError) and error.errno != errno.EPIPE:
                self._unwritten = error.strerror or str(error)

    def _end(self, result: object) -> None:
        if result is not None:
            sentence = f"not finished within {LATE:g} s"
            self.tell(Finding("doctor", FAIL, sentence, "try again", code=Reason.TIMEOUT))
        self.code = exit_code(self._found)
        if self._options["json"]:
            self._print(json.dumps(json_object(Exited(self.code), wall())))
        if self._unwritten:
            say_wrong(f"{self._options.program}: cannot write the output: {self._unwritten}")
            self.code = self.code or NOT_DONE
        self._reactor.stop()


def main(arguments: Sequence[str]) -> int:
    """Check the installation described by `arguments`; return the exit code. Raises SystemExit for a
    wrong option.
    """
    options = DoctorOptions()
    options.parseOptions(arguments)
    from twisted.internet import reactor

    use_monotonic_time(reactor)
    use_system_resolver(reactor)

    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    running: Any = reactor
    return Checkup(running, options).run()


def _space(folder: Path) -> tuple[int, str]:
    """Return the free bytes where `folder` is or would be created, and why it cannot be written."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    try:
        found = os.statvfs(there)
    except OSError as error:
        return 0, error.strerror or str(error)
    if found.f_flag & os.ST_RDONLY:
        return 0, os.strerror(errno.EROFS)
    if not os.access(there, os.W_OK | os.X_OK):
        return 0, os.strerror(errno.EACCES)
    return found.f_bavail * found.f_frsize, ""


def _columns() -> int:
    """Return the width of the terminal; 0 without one."""
    if sys.stdout is None or not sys.stdout.isatty():
        return 0
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 0
