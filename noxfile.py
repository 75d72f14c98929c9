"""Sessions of nox.

`nox` lints, checks types and runs all tests on every Python; `nox -s coverage` shows untested lines;
`nox -s long` runs the full counts and the benchmarks.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """All tests, as the gate runs them."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-n", "3", "--dist", "worksteal", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint."""
    session.install("ruff")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site into docs/_build; a warning is an error."""
    session.install("-e", ".[docs]", "codespell")
    pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
    session.run("codespell", *pages, "docs", "newsfragments")
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", "docs", "docs/_build")


@nox.session
def package(session: nox.Session) -> None:
    """Check what would be published; the URLs and the author's address are the publisher's."""
    session.install("build", "twine", "pyroma", "check-manifest", "check-wheel-contents")
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder)
    packages = [str(path) for path in Path(folder).iterdir()]
    wheel, source = sorted(packages, key=lambda path: path.endswith(".gz"))
    session.run("twine", "check", "--strict", wheel, source)
    session.run("pyroma", "-n", "9", ".")  # of ten: the tenth is for the URLs and the address
    session.run("check-wheel-contents", "--toplevel", "chatproto,twisted", wheel)


@nox.session
def coverage(session: nox.Session) -> None:
    """Show which lines of the package the unit tests miss; other tests may be named instead."""
    session.install("-e", ".[test]", "coverage")
    tests = session.posargs or ["tests", "--ignore=tests/e2e", "--ignore=tests/nat"]
    session.run("coverage", "run", "--source=chatproto", "--branch", "-m", "pytest", "-q", *tests)
    session.run("coverage", "report", "--show-missing", "--skip-covered")


@nox.session
def long(session: nox.Session) -> None:
    """Full counts, an hour of fuzzing, and the benchmarks."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "--long", *session.posargs)
    session.install("atheris")
    session.run("python", "-m", "tests.fuzz.run", "3600")
    session.run("python", "bench/requests.py")
    session.run("python", "bench/scale.py")
