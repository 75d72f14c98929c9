"""Build the documentation site: `nox -s docs`.

The pages are written so that they also read well in the repository. `for_the_site` turns what only
works there into what Sphinx understands.
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import Any

project = "chatproto"
author = "the chatproto authors"
version = release = installed_version("chatproto")

exclude_patterns = ["_build"]
extensions = ["myst_parser"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"chatproto {version}"


def for_the_site(app: Any, name: str, source: list[str]) -> None:
    """Change the text of a page in place, before Sphinx reads it.

    Links to files outside docs/ become plain text, because the site does not have them
    (`tests/test_docs.py` checks that they exist). Anchors written in HTML become targets. Diagrams
    stay text, so that no page loads a script from elsewhere.
    """
    text = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", source[0])
    text = re.sub(r'^<a id="([\w-]+)"></a>', r"(\1)=\n", text, flags=re.MULTILINE)
    source[0] = text.replace("```mermaid", "```text")


def setup(app: Any) -> None:
    """Register the hook with Sphinx."""
    app.connect("source-read", for_the_site)
