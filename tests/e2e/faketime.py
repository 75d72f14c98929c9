"""Programs whose system clock the test sets, by libfaketime; their monotonic clocks run on."""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest

LIBRARIES = sorted(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))


class SetClock:
    """A system clock for the programs that are started with `before`; it begins at the real time."""

    def __init__(self, folder: Path) -> None:
        if not LIBRARIES:
            raise SkipTest("libfaketime is not installed")
        self._file = folder / "faketime"
        self.set_by(0)
        self.before = (
            "env",
            f"LD_PRELOAD={LIBRARIES[0]}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "DONT_FAKE_MONOTONIC=1",
        )

    def set_by(self, seconds: int) -> None:
        """Set the clock to so many seconds after the real time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)
