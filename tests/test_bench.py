"""The benchmarks run: tiny counts, no judgement on time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure import CannotMeasure, Subject, built_loadgen, free_port, run_loadgen
from bench.requests import REGISTER

ROOT = Path(__file__).parent.parent


needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None and shutil.which("cc") is None,
    reason="the load generator needs a C compiler",
)


def requests(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "bench/requests.py", "--seconds", "0.1", "--rounds", "1"]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@needs_compiler
def test_requests_are_measured_in_both_modes(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = requests("--json", str(figures))
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    assert {"chatproto", "chatproto --quiet", "twisted", "asyncio"} <= set(measured)
    for name, modes in measured.items():
        assert name in done.stdout
        assert all(cost > 0 for costs in modes.values() for cost in costs)


@needs_compiler
def test_a_server_that_is_not_there_is_one_line_and_no_table() -> None:
    done = requests("--only", "nonsense")
    assert done.returncode == 1
    assert "nonsense" in done.stderr and "asyncio" in done.stderr
    assert not done.stdout


@needs_compiler
def test_a_refusal_does_not_pass_for_an_answer(tmp_path: Path) -> None:
    port = free_port()
    program = str(ROOT / "bench" / "peers" / "twisted_server.py")
    refused = Subject("refused", [sys.executable, program, str(port)], port, REGISTER, "ERROR")
    refused.start(tmp_path)
    try:
        with pytest.raises(CannotMeasure, match="refused"):
            run_loadgen(built_loadgen(tmp_path), refused, ["short", "-c", "2"], 0.1)
    finally:
        refused.stop()


@needs_compiler
def test_a_server_that_has_gone_ends_the_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.measure.LOAD_WAIT", 1.0)
    port = free_port()
    program = str(ROOT / "bench" / "peers" / "twisted_server.py")
    gone = Subject("gone", [sys.executable, program, str(port)], port, REGISTER, "Status")
    gone.start(tmp_path)
    gone.stop()
    with pytest.raises(CannotMeasure, match="gone"):
        run_loadgen(built_loadgen(tmp_path), gone, ["short", "-c", "2"], 0.1)
