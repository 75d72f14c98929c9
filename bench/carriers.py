"""What carries a file from one end to the other, for `files.py`: our clients, and others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.measure import START_WAIT, CannotMeasure, free_port

TICK: int = os.sysconf("SC_CLK_TCK")
FILE_WAIT = 600.0
"""Seconds that one file may take."""
PACKAGES = ("magic-wormhole", "magic-wormhole-mailbox-server")
CIPHER = "aes128-gcm@openssh.com"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one file took: seconds, and CPU seconds at each end."""

    seconds: float
    sender: float
    receiver: float


class Carrier(Protocol):
    """One way to carry a file."""

    name: str

    def start(self) -> None:
        """Be ready. Raises CannotMeasure."""

    def carry(self, file: Path) -> Cost:
        """Carry it, and see that it came. Raises CannotMeasure."""

    def stop(self) -> None:
        """End what was started."""


def carriers(place: Path, sshd: str, install: bool) -> tuple[list[Carrier], list[str]]:
    """Those that can be measured here, and a sentence for each that cannot."""
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
    """The folder with `wormhole` and `twist`, or None."""
    here = shutil.which("wormhole")
    if here is not None and Path(here).with_name("twist").exists():
        return Path(here).parent
    if not install:
        return None
    venv = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    done = subprocess.run(
        [venv / "bin" / "pip", "install", "-q", *PACKAGES], check=False, capture_output=True
    )
    return venv / "bin" if done.returncode == 0 else None


def cpu(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def run(command: Sequence[str | Path], **how: Any) -> subprocess.Popen[bytes]:
    """Start it, silent unless told otherwise."""
    quiet: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    return subprocess.Popen(command, **{**quiet, **how})


def ended(process: subprocess.Popen[bytes], what: str) -> float:
    """Wait until it has ended well; its CPU seconds. Raises CannotMeasure."""
    timer = threading.Timer(FILE_WAIT, process.kill)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CannotMeasure(f"{what} failed with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def stop(process: subprocess.Popen[bytes] | None) -> None:
    """End it, by its process id."""
    if process is not None and process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(port: int, what: str) -> None:
    """Wait until somebody listens there, without a connection. Raises CannotMeasure."""
    wanted = f":{port:04X} 00000000:0000 0A"
    until(lambda: wanted in Path("/proc/net/tcp").read_text(), f"{what} does not listen")


def until(fact: Callable[[], bool], trouble: str, seconds: float = START_WAIT) -> None:
    """Wait until it holds. Raises CannotMeasure."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise CannotMeasure(trouble)
        time.sleep(0.002)


def came(file: Path, there: Path) -> None:
    """Raises CannotMeasure if `there` has another size; then it goes."""
    if not there.exists() or there.stat().st_size != file.stat().st_size:
        raise CannotMeasure(f"{there} did not come whole")
    there.unlink()


class Client:
    """One of our clients behind `--ui json`."""

    def __init__(self, place: Path, name: str) -> None:
        twistd = Path(sys.executable).with_name("twistd")
        self.downloads = place / f"{name}-files"
        command: list[str | Path] = [
            twistd, "-n", "--pidfile=", "chatclient", "--id", name, "--server", "none",
            "--port", "tcp:0:interface=127.0.0.1", "--ui", "json", "--home", place / name,
            "--downloads", self.downloads, "--answer", "all",
        ]  # fmt: skip
        self.process = run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

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

    def __init__(self, place: Path) -> None:
        self._place = place
        self._ends: list[Client] = []

    def start(self) -> None:
        """Two clients; one calls the other."""
        self._place.mkdir()
        self._ends = [Client(self._place, name) for name in ("alice", "bob")]
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


def certificate(place: Path, openssl: str) -> Path:
    """A file with a key and a certificate."""
    place.mkdir()
    pem, new = place / "key.pem", ["-newkey", "ed25519", "-nodes", "-subj", "/CN=bench"]
    command = [openssl, "req", "-x509", *new, "-keyout", "key", "-out", "crt"]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    pem.write_bytes((place / "key").read_bytes() + (place / "crt").read_bytes())
    return pem


class Bare:
    """Twisted's TLS and nothing else: no messages, no hash, no threads."""

    name = "twisted, bare"

    def __init__(self, place: Path, openssl: str) -> None:
        self._place = place
        self._openssl = openssl

    def start(self) -> None:
        """A certificate."""
        self._pem = certificate(self._place, self._openssl)

    def carry(self, file: Path) -> Cost:
        """Two programs."""
        port, there = free_port(), self._place / "came"
        program = Path(__file__).with_name("peers") / "twisted_file.py"
        common: list[str | Path] = [sys.executable, program, str(port), self._pem]
        receiver = run([*common, "receive", there])
        listening(port, self.name)
        began = time.monotonic()
        sender = run([*common, "send", file])
        costs = [ended(process, self.name) for process in (sender, receiver)]
        seconds = time.monotonic() - began
        came(file, there)
        return Cost(seconds, *costs)

    def stop(self) -> None:
        """Nothing runs."""


class Openssl:
    """`openssl s_client` to `openssl s_server`."""

    name = "openssl s_client"

    def __init__(self, place: Path, openssl: str) -> None:
        self._place = place
        self._openssl = openssl

    def start(self) -> None:
        """A certificate."""
        self._pem = certificate(self._place, self._openssl)

    def carry(self, file: Path) -> Cost:
        """A server for one connection, and a client."""
        port, there = free_port(), self._place / "came"
        with there.open("wb") as out, file.open("rb") as source:
            receiver = run(
                [self._openssl, "s_server", "-quiet", "-tls1_3", "-naccept", "1", "-cert", self._pem,
                 "-key", self._pem, "-accept", f"127.0.0.1:{port}"],
                stdin=subprocess.PIPE, stdout=out,
            )  # fmt: skip
            listening(port, self.name)
            began = time.monotonic()
            sender = run(
                [
                    self._openssl, "s_client", "-quiet", "-no_ign_eof", "-nocommands",
                    "-connect", f"127.0.0.1:{port}",
                ],
                stdin=source,
            )  # fmt: skip
            costs = [ended(process, self.name) for process in (sender, receiver)]
        seconds = time.monotonic() - began
        came(file, there)
        return Cost(seconds, *costs)

    def stop(self) -> None:
        """Nothing runs."""


class Socat:
    """`socat` to `socat`, in TLS."""

    name = "socat"

    def __init__(self, place: Path, openssl: str, socat: str) -> None:
        self._place = place
        self._openssl = openssl
        self._socat = [socat, "-u", "-b", "262144"]

    def start(self) -> None:
        """A certificate."""
        self._pem = certificate(self._place, self._openssl)

    def carry(self, file: Path) -> Cost:
        """A listening one, and one that connects."""
        port, there = free_port(), self._place / "came"
        here = f"OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,cert={self._pem},verify=0"
        receiver = run([*self._socat, here, f"OPEN:{there},creat,trunc"])
        listening(port, self.name)
        began = time.monotonic()
        sender = run([*self._socat, f"FILE:{file}", f"OPENSSL:127.0.0.1:{port},verify=0"])
        costs = [ended(process, self.name) for process in (sender, receiver)]
        seconds = time.monotonic() - began
        came(file, there)
        return Cost(seconds, *costs)

    def stop(self) -> None:
        """Nothing runs."""


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
