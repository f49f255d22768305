"""Words for the pictures that a notebook's cells draw: which section they belong to, for who cannot see them."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def _describe(_: Sphinx, document: nodes.document, _page: str) -> None:
    """Give each picture without words its section's title. A cell's metadata may have better ones (mystnb: image: alt)."""
    for picture in document.findall(nodes.image):
        if not picture.get("alt"):
            section = picture.parent
            while section is not None and not isinstance(section, nodes.section):
                section = section.parent
            title = section.next_node(nodes.title) if section is not None else None
            picture["alt"] = (
                f"Figure that the code above draws: {title.astext()}" if title else "Figure that the code above draws"
            )


def setup(app: Sphinx) -> dict[str, Any]:
    """Look at each page before it is written."""
    app.connect("doctree-resolved", _describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
