"""Code that runs in a Python of its own, for what happens when modules are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def fresh_python(code: str, **environment: str) -> str:
    """Run `code` with more `environment` variables; return what it prints. Fails if it fails."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        env=dict(os.environ, **environment),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
