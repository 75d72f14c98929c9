"""Measure what strangers cost a client: a friend's delays beside them, and how much it grows.

    python bench/strangers.py [--rounds N] [--seconds N] [--json FILE]

Starts a server and two clients that know each other, then tests/e2e/rude.py against the one, which
does the worst of each kind at once, and calls it from the other, again and again. Prints the median
and the longest time until a call is taken and a message has come, the growth of the client called,
and how long another client's requests take at the server meanwhile. Goals: a call within 2 s,
growth under 16 MiB, 99 % of the requests within 50 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.e2e.dialects.clients import ask  # noqa: E402
from tests.e2e.harness import JsonClient, Stage, staged  # noqa: E402
from tests.e2e.test_encryption import person, talk  # noqa: E402
from tests.e2e.test_strangers import status  # noqa: E402

MIB = 2**20
REQUESTS = 500


def one_call(alice: JsonClient, bob: JsonClient, number: int) -> tuple[float, float]:
    """Return the seconds until bob's call is taken, and until his message has come."""
    for one in (alice, bob):
        one.forget()
    began = time.monotonic()
    bob.send_line("/chat alice")
    bob.event("session", id="alice", state="open")
    taken = time.monotonic() - began
    bob.send_line(f"/msg @alice hello {number}")
    alice.event("message", from_="bob", text=f"hello {number}")
    told = time.monotonic() - began
    bob.send_line("/quit")
    alice.event("bye", id="bob")
    return taken, told


def requests(port: int) -> list[float]:
    """Return how long requests of another client take at the server."""
    found = []
    for _ in range(REQUESTS):
        began = time.monotonic()
        ask(port, b"PROBE\r\n\r\n")
        found.append(time.monotonic() - began)
        time.sleep(0.002)
    return sorted(found)


def measure(stage: Stage, rounds: int, seconds: float, quiet: bool) -> dict[str, float]:
    """Measure with strangers, or without (`quiet`)."""
    _, port = stage.server("--limits", "introductions-from=1000")
    alice, bob = person(stage, "alice", port), person(stage, "bob", port)
    talk(alice, bob)
    bob.send_line("/quit")
    alice.event("bye", id="bob")
    before = alice.resident()
    command = [sys.executable, "-m", "tests.e2e.rude", str(alice.port), str(stage.place("rude"))]
    going = None if quiet else subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0 if quiet else seconds)
        calls = [one_call(alice, bob, number) for number in range(rounds)]
        asked = requests(port)
        refused = status(alice)["refused"]
        grown = alice.resident() - before
    finally:
        if going is not None:
            going.kill()
            going.wait()
    return {
        "call, median s": statistics.median(call for call, _ in calls),
        "call, longest s": max(call for call, _ in calls),
        "message, longest s": max(told for _, told in calls),
        "growth, MiB": grown / MIB,
        "refused": refused,
        "server, 99 % ms": asked[int(len(asked) * 0.99)] * 1000,
    }


def main() -> None:
    """Print a table of both."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument(
        "--seconds", type=float, default=20.0, help="of strangers before the first call"
    )
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    figures = {}
    for name, quiet in (("nobody else", True), ("strangers", False)):
        with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as stage:
            figures[name] = measure(stage, chosen.rounds, chosen.seconds, quiet)
    print(f"| {'':20} | {'nobody else':>12} | {'strangers':>12} |")
    for what in figures["strangers"]:
        row = " | ".join(f"{figures[name][what]:12.3f}" for name in figures)
        print(f"| {what:20} | {row} |")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"figures": figures}))


if __name__ == "__main__":
    main()
