"""Carry a file for `files.py`: with our clients, and with other programs found here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.carrier import Carrier, Cost, came, cpu, ended, listening, run, stop, until
from bench.measure import CannotMeasure
from bench.tls_pipes import Bare, Openssl, Socat
from tests.ports import free_port

PACKAGES = ("magic-wormhole", "magic-wormhole-mailbox-server")
CIPHER = "aes128-gcm@openssh.com"


def carriers(place: Path, sshd: str, install: bool) -> tuple[list[Carrier], list[str]]:
    """Return the subjects that can be measured here, and a sentence for each that cannot."""
    found: list[Carrier] = [Ours(place / "chatproto")]
    missing = []
    wormhole = wormhole_programs(place, install)
    if wormhole is None:
        missing.append("magic-wormhole is not installed here: --install puts it in a venv")
    else:
        found.append(Wormhole(place / "wormhole", wormhole))
    openssl, socat, scp = map(shutil.which, ("openssl", "socat", "scp"))
    if openssl is None:
        missing.append("openssl is not installed here")
    else:
        found += [Bare(place / "bare", openssl), Openssl(place / "openssl", openssl)]
    if openssl is None or socat is None:
        missing.append("socat is not installed here")
    else:
        found.append(Socat(place / "socat", openssl, socat))
    server = shutil.which(sshd, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if scp is None or server is None:
        missing.append("scp and sshd are not installed here (--sshd names the program)")
    else:
        found.append(Scp(place / "scp", scp, str(Path(server).resolve())))
    return found, missing


def wormhole_programs(place: Path, install: bool) -> Path | None:
    """Return the folder with `wormhole` and `twist`: a new venv's with `install`, else the PATH's."""
    if not install:
        here = shutil.which("wormhole")
        return Path(here).parent if here and Path(here).with_name("twist").exists() else None
    venv = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    done = subprocess.run(
        [venv / "bin" / "pip", "install", "-q", *PACKAGES], check=False, capture_output=True
    )
    return venv / "bin" if done.returncode == 0 else None


class Client:
    """One of our clients behind `--ui json`, with some variables in its environment."""

    def __init__(self, place: Path, name: str, environment: Mapping[str, str]) -> None:
        twistd = Path(sys.executable).with_name("twistd")
        self.downloads = place / f"{name}-files"
        command: list[str | Path] = [
            twistd, "-n", "--pidfile=", "chatclient", "--id", name, "--server", "none",
            "--port", "tcp:0:interface=127.0.0.1", "--ui", "json", "--home", place / name,
            "--downloads", self.downloads, "--answer", "all",
        ]  # fmt: skip
        self.process = run(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
        )

    def say(self, line: str) -> None:
        """Type it."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, name: str, **fields: object) -> dict[str, Any]:
        """The next event like this. Raises CannotMeasure at the end or where a file failed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == "error" or event.get("state") in ("failed", "stalled"):
                raise CannotMeasure(f"chatproto: {event}")
            if event["event"] == name and all(event.get(k) == v for k, v in fields.items()):
                return event
        raise CannotMeasure("chatproto ended")


class Ours:
    """Our two clients in a conversation that is open already."""

    name = "chatproto"

    def __init__(self, place: Path, environment: Mapping[str, str] | None = None) -> None:
        self._place = place
        self._environment = environment or {}
        self._ends: list[Client] = []

    def start(self) -> None:
        """Two clients; one calls the other."""
        self._place.mkdir()
        self._ends = [Client(self._place, name, self._environment) for name in ("alice", "bob")]
        (alice, bob), running = self._ends, [end.hear("running") for end in self._ends]
        alice.say(f"/chat 127.0.0.1:{running[1]['port']}")
        bob.hear("incoming")
        bob.say("/accept")
        for end in self._ends:
            end.hear("session", state="open")

    def carry(self, file: Path) -> Cost:
        """Sent, accepted, and done at both ends."""
        alice, bob = self._ends
        before, began = [cpu(end.process.pid) for end in self._ends], time.monotonic()
        alice.say(f"/send {file}")
        bob.say(f"/accept {bob.hear('file', state='offered')['id']}")
        bob.hear("file", state="done")
        alice.hear("file", state="done")
        seconds = time.monotonic() - began
        sender, receiver = (
            cpu(end.process.pid) - cost for end, cost in zip(self._ends, before, strict=True)
        )
        came(file, bob.downloads / file.name)
        return Cost(seconds, sender, receiver)

    def stop(self) -> None:
        """Both."""
        for end in self._ends:
            stop(end.process)


class Wormhole:
    """magic-wormhole with a mailbox server on loopback; the file goes directly."""

    name = "magic-wormhole"

    def __init__(self, place: Path, programs: Path) -> None:
        self._place = place
        self._programs = programs
        self._port = free_port()
        self._count = 0
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """The mailbox server."""
        self._place.mkdir()
        where = f"--port=tcp:{self._port}:interface=127.0.0.1"
        command: list[str | Path] = [self._programs / "twist", "wormhole-mailbox", where]
        self._server = run(command, cwd=self._place)
        listening(self._port, "the mailbox server")

    def carry(self, file: Path) -> Cost:
        """`wormhole send` and `wormhole receive`, with a code made here."""
        self._count += 1
        code, there = f"{self._count}-purple-sausages", self._place / "came"
        common: list[str | Path] = [
            self._programs / "wormhole", "--relay-url", f"ws://127.0.0.1:{self._port}/v1",
            "--transit-helper", "tcp:127.0.0.1:9",
        ]  # fmt: skip
        began = time.monotonic()
        quiet = ("--hide-progress",)
        sender = run([*common, "send", *quiet, "--no-qr", "--code", code, file])
        receiver = run([*common, "receive", *quiet, "--accept-file", "-o", there, code])
        costs = [ended(process, self.name) for process in (sender, receiver)]
        seconds = time.monotonic() - began
        came(file, there)
        return Cost(seconds, *costs)

    def stop(self) -> None:
        """The mailbox server."""
        stop(self._server)


class Scp:
    """`scp` to an sshd of our own, on a free port, with keys of its own."""

    name = "scp"

    def __init__(self, place: Path, scp: str, sshd: str) -> None:
        self._place = place
        self._scp = scp
        self._sshd = sshd
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """The daemon. Raises CannotMeasure where this user cannot start it."""
        self._place.mkdir()
        for key in ("host", "client"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._place / key)]
            subprocess.run(command, check=True, capture_output=True)
        settings = {
            "Port": self._port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self._place / "host",
            "AuthorizedKeysFile": self._place / "client.pub",
            "StrictModes": "no",
            "PidFile": "none",
            "UsePAM": "no",
            "Subsystem": "sftp internal-sftp",
        }
        config = self._place / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._server = run([self._sshd, "-D", "-e", "-f", config])
        listening(self._port, self.name)

    def carry(self, file: Path) -> Cost:
        """One connection; what the daemon's children cost is known when they have ended."""
        assert self._server is not None
        there = self._place / "came"
        before, began = cpu(self._server.pid), time.monotonic()
        sender = ended(
            run(
                [self._scp, "-q", "-c", CIPHER, "-P", str(self._port), "-i", self._place / "client",
                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                 file, f"127.0.0.1:{there}"]
            ),
            self.name,
        )  # fmt: skip
        seconds = time.monotonic() - began
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        until(lambda: not children.read_text(), "sshd goes on")
        came(file, there)
        return Cost(seconds, sender, cpu(self._server.pid) - before)

    def stop(self) -> None:
        """The daemon."""
        stop(self._server)
