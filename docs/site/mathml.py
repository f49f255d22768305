"""Equations as MathML, computed when the site is built: a browser shows them without a script, a font or a network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

#: What the converter leaves of TeX that it does not know, instead of saying so.
LEFT_OVER = re.compile(r"<m[ion]>(?:&(?:amp;)?|\\\w+)</m[ion]>")

_log = logging.getLogger(__name__)


def mathml(tex: str, display: str) -> str:
    """TeX as MathML. Raises ValueError for TeX that the converter does not know."""
    markup: str = convert(tex, display=display)
    if left_over := LEFT_OVER.search(markup):
        raise ValueError(f"{left_over[0]} is left of {tex!r}")
    return markup


def _converted(node: nodes.Element, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except ValueError as fault:
        _log.warning("no MathML: %s", fault, location=node)
        return ""


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(_converted(node, "inline"))
    raise nodes.SkipNode


def _displayed(writer: HTML5Translator, node: nodes.math_block) -> None:
    # Wider than a phone's screen: it scrolls inside its own box (static/site.css, site.js).
    writer.body.append(f'<div class="equation">{_converted(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make MathML the way that the HTML builder writes `math` and `math_block`."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_displayed, None))
    app.connect("config-inited", lambda _, config: setattr(config, "html_math_renderer", "mathml"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
