"""The benchmarks run: tiny counts, no judgement on time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the load generator needs a C compiler")
def test_requests_are_measured_in_both_modes(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "bench/requests.py", "--seconds", "0.2", "--rounds", "1"]
    chosen = ["--only", "chatproto", "--only", "asyncio", "--json", str(figures)]
    done = subprocess.run(
        [*command, *chosen], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "chatproto" in done.stdout
    measured = json.loads(figures.read_text())["figures"]
    assert set(measured) == {"chatproto", "asyncio"}
    assert all(
        cost > 0 for modes in measured.values() for costs in modes.values() for cost in costs
    )
