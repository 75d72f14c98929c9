"""Run fuzz targets with atheris: `python -m tests.fuzz.run SECONDS [TARGET …]`.

Each target gets the same share of the time and a process of its own. An input that breaks something is kept
in `tests/fuzz/found/TARGET/`, where the tests try it from then on; the exit code is 1 then.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["chatproto"]):
        from tests.fuzz.seeds import FOUND, seeds
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]

    def once(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            place = FOUND / name
            place.mkdir(parents=True, exist_ok=True)
            (place / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            raise

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-timeout=20",
            "-rss_limit_mb=2048",
        ]
        atheris.Setup(
            [sys.argv[0], corpus, *options, "-print_final_stats=1", f"-artifact_prefix={corpus}/"],
            once,
        )
        atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Fuzz all targets, or those named, for so many seconds in all."""
    from tests.fuzz.targets import TARGETS

    seconds, *names = arguments
    names = names or list(TARGETS)
    broken = []
    for name in names:
        share = max(1, int(seconds) // len(names))
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.run", "--one", name, str(share)],
            capture_output=True,
            text=True,
        )
        runs = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        print(f"{name}: {share} s, {runs[0].split()[-1] if runs else '?'} inputs, ", end="")
        print("nothing" if done.returncode == 0 else "BROKEN", flush=True)
        if done.returncode:
            broken.append(name)
            print("\n".join((done.stdout + done.stderr).splitlines()[-30:]), flush=True)
    return bool(broken)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]))
    else:
        raise SystemExit(main(sys.argv[1:]))
