"""Pipes inside TLS that carry a file and know nothing of it: no names, no hash, no resume."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.carrier import Cost, came, ended, listening, run
from tests.ports import free_port


class TlsPipe:
    """A pipe inside TLS between two programs, with a certificate for the one that listens."""

    def __init__(self, place: Path, openssl: str) -> None:
        self._place = place
        self._openssl = openssl
        self._pem = place / "pem"

    def start(self) -> None:
        """A key and a certificate, in one file."""
        self._place.mkdir()
        new = ["-newkey", "ed25519", "-nodes", "-subj", "/CN=bench"]
        command = [self._openssl, "req", "-x509", *new, "-keyout", "key", "-out", "crt"]
        subprocess.run(command, cwd=self._place, check=True, capture_output=True)
        parts = (self._place / "key", self._place / "crt")
        self._pem.write_bytes(b"".join(part.read_bytes() for part in parts))

    def stop(self) -> None:
        """Stop nothing."""


class Bare(TlsPipe):
    """Twisted's TLS and nothing else: no messages, no hash, no threads."""

    name = "twisted, bare"

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


class Openssl(TlsPipe):
    """`openssl s_client` to `openssl s_server`."""

    name = "openssl s_client"

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


class Socat(TlsPipe):
    """`socat` to `socat`, in TLS."""

    name = "socat"

    def __init__(self, place: Path, openssl: str, socat: str) -> None:
        super().__init__(place, openssl)
        self._socat = [socat, "-u", "-b", "262144"]

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
