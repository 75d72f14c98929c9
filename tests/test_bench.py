"""The benchmarks run: tiny counts, no judgement on time."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import __main__ as report
from bench import growth_servers, many_registered
from bench import requests as module
from bench.measure import CannotMeasure, Subject, built_loadgen, run_loadgen
from bench.requests import LOADS, REGISTER
from bench.scale import judged
from bench.servers import running
from tests.long import LONG
from tests.ports import free_port
from tests.redis_process import FOUND, needed

ROOT = Path(__file__).parent.parent


needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None and shutil.which("cc") is None,
    reason="the load generator needs a C compiler",
)


def requests(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "bench/requests.py", "--seconds", "0.1", "--rounds", "1", "--cold"]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@LONG
@needs_compiler
def test_requests_are_measured_in_every_mode(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = requests("--json", str(figures))
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    assert {"chatproto", "chatproto --quiet", "twisted", "asyncio"} <= set(measured)
    for name, modes in measured.items():
        assert name in done.stdout
        assert set(modes) == set(LOADS)
        assert all(cost > 0 for costs in modes.values() for cost in costs)


def test_omitted_peer_is_not_reported_as_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for found, why in (
        (None, "is not installed here"),
        ("/usr/sbin/kamailio", "left out (--only)"),
    ):
        monkeypatch.setattr(module, "kamailio", lambda found=found: found)
        assert why in module.no_ratios()


@needs_compiler
def test_missing_server_is_one_line() -> None:
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
def test_lost_server_ends_the_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.LOAD_WAIT", 1.0)
    port = free_port()
    program = str(ROOT / "bench" / "peers" / "twisted_server.py")
    gone = Subject("gone", [sys.executable, program, str(port)], port, REGISTER, "Status")
    gone.start(tmp_path)
    gone.stop()
    with pytest.raises(CannotMeasure, match="gone"):
        run_loadgen(built_loadgen(tmp_path), gone, ["short", "-c", "2"], 0.1)


def test_started_subject_takes_connections_on_every_port(tmp_path: Path) -> None:
    port, later = free_port(), free_port()
    text = """
import socket, sys, time
first = socket.create_server(("127.0.0.1", int(sys.argv[1])))
first.accept()
time.sleep(0.3)
second = socket.create_server(("127.0.0.1", int(sys.argv[2])))
second.accept()
second.accept()
"""
    command = [sys.executable, "-c", text, str(port), str(later)]
    late = Subject("late", command, port, REGISTER, "Status", [later])
    late.start(tmp_path)
    try:
        socket.create_connection(("127.0.0.1", later), 30).close()
    finally:
        late.stop()


def scale(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bench/scale.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


@LONG
@needs_compiler
def test_how_far_a_machine_goes_is_measured_in_every_part(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    few = ["--seconds", "0.2", "--rounds", "1", "--processes", "1,2", "--names", "500"]
    fewer = ["--clients", "20", "--restarted", "20", "--silence", "0.5", "--registered", "100"]
    done = scale(*few, *fewer, "--json", str(figures))
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    parts = {"throughput", "names", "clients", "restart"}
    assert set(measured) == (parts if FOUND is None else {*parts, "growth"})
    assert set(measured["throughput"]) == {"1", "2"}
    assert all(part in done.stdout for part in measured)


@LONG
@needs_compiler
def test_servers_over_one_redis_are_measured_against_their_goals(tmp_path: Path) -> None:
    needed()
    figures = tmp_path / "figures.json"
    short = ["--seconds", "2", "--rounds", "1", "--registered", "1000"]
    done = scale("growth", *short, "--json", str(figures))
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]["growth"]
    assert set(measured) >= set(growth_servers.GOALS)
    assert done.stdout.count("reached") + done.stdout.count("missed") == len(growth_servers.GOALS)


def test_figure_is_judged_by_its_goal() -> None:
    assert judged(45.0, 45.0) == ("45", "reached")
    assert judged(46.0, 45.0) == ("45", "missed")
    assert judged(46.0, None) == ("", "")


@LONG
@needs_compiler
def test_servers_over_one_redis_are_compared_at_two_commits(tmp_path: Path) -> None:
    needed()
    figures = tmp_path / "figures.json"
    few = ["--seconds", "1", "--rounds", "1", "--counts", "1"]
    done = subprocess.run(
        [sys.executable, "bench/growth_commits.py", "HEAD", *few, "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    assert {count: list(found) for count, found in measured.items()} == {"1 server": ["HEAD"]}
    assert len(measured["1 server"]["HEAD"]) == 3


@LONG
@needs_compiler
def test_very_many_are_registered_as_a_server_does(tmp_path: Path) -> None:
    """One that registers like the others has what each copy of another has, but for its moments."""
    needed()
    with growth_servers.own_redis(tmp_path) as redis:
        one = growth_servers.server(tmp_path, redis, 1, 0)
        with running(tmp_path, one):
            many_registered.fill(redis, 0, one.port, 100)
            many_registered.register(one.port, "qzzzzzzz")
            with socket.create_connection(("127.0.0.1", redis.port), 30) as wire:
                ends = time.monotonic() + 30.0
                while True:  # the end of its connection is told to Redis too, a moment later
                    shown = [
                        re.sub(r"\d[\d.e+-]*", "N", found.replace(client_id, "ID"))
                        for client_id in ("qsssssst", "qssssszz", "qzzzzzzz")
                        for found in [many_registered.found_of(wire, client_id)]
                    ]
                    if sorted(shown[0]) == sorted(shown[2]) or time.monotonic() > ends:
                        break
    assert "ID" in shown[0] and shown[0] == shown[1]
    assert sorted(shown[0].split('"')) == sorted(shown[2].split('"'))


@LONG
@needs_compiler
def test_stored_names_are_there_after_a_restart() -> None:
    done = scale("names", "--names", "500", "--store", "sqlite:")
    assert done.returncode == 0, done.stderr
    assert "seconds until it answers again" in done.stdout


def test_too_few_files_are_reported(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            "bash",
            "-c",
            'ulimit -n 512 && exec "$@"',
            "-",
            sys.executable,
            "bench/scale.py",
            "clients",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "15100 open files are needed, and the hard limit is 512" in done.stderr
    assert done.stderr.count("\n") == 1


@LONG
def test_clients_reconnect_to_a_restarted_server_spread_over_time(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Of as many as are here, at most some 500 in a second; and nobody tries again and again."""
    count = 10_000 if pytestconfig.getoption("--long") else 1000
    figures = tmp_path / "figures.json"
    done = scale("restart", "--restarted", str(count), "--pace", "200", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text())["figures"]["restart"]
    assert found["seconds until it had ended"] < 5
    assert found["dials a second at most"] < 750
    assert found["dials a client"] < 2
    assert found["seconds until all were back"] < 10 + 2 * count / 500 + 30


@LONG
def test_the_screen_is_measured_in_every_part(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    short = ("--rounds", "1", "--seconds", "1", "--rates", "10,50", "--lines", "50")
    command = [sys.executable, "bench/face.py", *short, "--json", str(figures)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())
    assert set(measured) == {"start", "10", "50", "memory"}
    assert measured["10"]["median"] > 0
    assert 10 < measured["memory"]["after"] < 500


def test_table_of_a_benchmark_is_replaced_in_its_section() -> None:
    page = "# Benchmarks\n\n## rooms.py\n\nWhat it is.\n\n## files.py\n\nOther.\n"
    once = report.replaced(page, "rooms", "today", "a  1\nb  2\n", False)
    assert once.replace(
        "<!-- table of rooms -->\ntoday:\n\n    a  1\n    b  2\n", ""
    ) == page.replace("What it is", "<!-- end of rooms -->\n\nWhat it is")
    assert report.replaced(once, "rooms", "today", "a  1\nb  2\n", False) == once
    with pytest.raises(ValueError, match="no section for face"):
        report.replaced(page, "face", "today", "", True)


def test_picture_has_a_bar_for_each_median() -> None:
    figures = {"ours": {"own": [3.0, 1.0, 2.0], "kept": [4.0]}, "<theirs>": {"own": [4.0]}}
    bars = report.leaves(figures)
    assert bars == [("ours, own", 2.0), ("ours, kept", 4.0), ("<theirs>, own", 4.0)]
    drawn = ElementTree.fromstring(report.picture("title", bars))
    widths = [one.get("width") for one in drawn.iter() if one.tag.endswith("rect")]
    assert widths == ["180", "360", "360"]
    labels = [one.text for one in drawn.iter() if one.get("text-anchor") == "end"]
    assert labels == ["ours, own", "<theirs>, own", "ours, kept"]
    assert report.leaves([[1.0, 5.0], [3.0, 7.0]], "x") == [("x, 1", 2.0), ("x, 2", 6.0)]


def test_quick_run_knows_every_benchmark_and_its_options() -> None:
    assert set(report.QUICK) == set(report.OPTIONS)
    for name, short in report.QUICK.items():
        text = (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")
        for option in short:
            word = option.partition("=")[0]
            assert not word.startswith("--") or f'"{word}"' in text, (name, word)
        assert f"## {name}.py\n" in report.README.read_text(encoding="utf-8")


@LONG
@needs_compiler
def test_commits_are_compared_in_one_run(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    few = ["--seconds", "0.1", "--rounds", "1", "--clients", "20", "--size", "1"]
    done = subprocess.run(
        [sys.executable, "bench/commits.py", "HEAD", *few, "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    assert all(len(found["HEAD"]) == 1 for found in measured.values())


@LONG
def test_start_is_measured_beside_a_bare_twisted(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "bench/start.py", "--rounds", "1", "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    assert set(measured["memory"]) == {"server", "client", "bare"}
    assert all(cost > 0 for part in measured.values() for costs in part.values() for cost in costs)


@LONG
@needs_compiler
def test_growth_is_measured(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "bench/growth.py", "--seconds", "0.1", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--most", "100", "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(figures.read_text())["figures"]
    assert {part: list(costs) for part, costs in measured.items()} == {
        "ids": ["100"],
        "rooms": ["10", "100"],
    }
