"""What the site says from the code itself, put where a page has a mark: `<!-- site: commands -->`, `<!-- site: settings -->`,
`<!-- site: api load embed -->`, `<!-- site: api -->` for all other names. GitHub shows nothing there; the pages say so."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

from api_reference import api_reference, public_names
from command_reference import command_reference
from navigation import toctrees
from settings_reference import settings_reference

_MARK = re.compile(r"^<!-- site: (\w+)([^>]*?) -->$", re.MULTILINE)


def filled(text: str) -> str:
    """A page's text with every mark replaced. Raises ValueError for a mark that means nothing."""
    named = {name for mark in _MARK.finditer(text) for name in mark[2].split()}

    def replacement(mark: re.Match[str]) -> str:
        match mark[1]:
            case "commands":
                return command_reference()
            case "settings":
                return settings_reference()
            case "api":
                # Names that no mark has: the page is whole before anybody has thought of where they belong.
                return api_reference(mark[2].split() or [name for name in public_names() if name not in named])
        raise ValueError(f"no such mark: {mark[0]}")

    return _MARK.sub(replacement, text)


def _fill(app: Sphinx, page: str, content: list[str]) -> None:
    content[0] = filled(content[0])
    if page == app.config.root_doc:
        content[0] += "\n" + toctrees(app.env.found_docs)


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill the marks of each page as it is read; the root page gets the table of contents at its end."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
