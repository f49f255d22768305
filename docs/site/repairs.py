"""What Sphinx and the theme leave undone: words for notebooks' pictures, levels of the side bar's headings, plain signatures."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

#: Furo puts its side bar into the context with Sphinx's usual priority; this comes after it.
AFTER_THE_THEME = 900


def described(document: nodes.document) -> None:
    """Give each picture without words its section's title. A cell's metadata may have better ones (mystnb: image: alt)."""
    for picture in document.findall(nodes.image):
        if not picture.get("alt"):
            section = picture.parent
            while section is not None and not isinstance(section, nodes.section):
                section = section.parent
            title = section.next_node(nodes.title) if section is not None else None
            picture["alt"] = "Figure that the code above draws" + (f": {title.astext()}" if title else "")


def with_dashes(document: nodes.document) -> None:
    """Between a parameter and its words stands a dash, not the two strokes that Sphinx writes there."""
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


def with_levels(markup: str) -> str:
    """Headings of the navigation stand below the page's own title: a screen reader need not guess."""
    return markup.replace('role="heading"', 'role="heading" aria-level="2"')


def plain(signature: str | None) -> str | None:
    """A dataclass's defaults that are made anew are no Python, which keeps Sphinx from reading the rest of the signature."""
    return signature.replace("<factory>", "...") if signature else signature


def _finish(_app: Sphinx, document: nodes.document, page: str) -> None:
    if page.startswith("notebooks/"):  # elsewhere the author has to say it: a test looks
        described(document)
    with_dashes(document)


def _level(_app: Sphinx, _page: str, _template: str, context: dict[str, Any], _document: object) -> None:
    if "furo_navigation_tree" in context:
        context["furo_navigation_tree"] = with_levels(context["furo_navigation_tree"])


def _sign(_app: Sphinx, *about: Any) -> tuple[str | None, str | None]:
    signature, returned = about[-2:]
    return plain(signature), returned


def setup(app: Sphinx) -> dict[str, Any]:
    """Repair each page before it is written."""
    app.connect("doctree-resolved", _finish)
    app.connect("html-page-context", _level, priority=AFTER_THE_THEME)
    app.connect("autodoc-process-signature", _sign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
