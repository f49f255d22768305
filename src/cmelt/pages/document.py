"""The frame of a page: style, title, notice, links; and its plain parts, tables and lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from cmelt.pages.notice import NOTICE

STYLE = Path(__file__).parent / "page.css"


def document(title: str, links: Mapping[str, str], body: str) -> str:
    """A whole HTML page.

    Args:
        title: as text.
        links: anchor within the page → its name, in order.
        body: HTML below the links.
    """
    style = STYLE.read_text(encoding="utf-8")
    anchors = " ".join(f'<a href="#{escape(anchor)}">{escape(name)}</a>' for anchor, name in links.items())
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body>'
        f'<h1>{escape(title)}</h1><p class="warning">{NOTICE}</p><nav>{anchors}</nav>{body}</body></html>\n'
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text; the first column is left-aligned, the others are figures."""
    return html_table(map(escape, head), (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows))


def html_table(head: Iterable[str], rows: Iterable[str]) -> str:
    """The same of finished HTML: names of columns, and whole <tr> elements. It scrolls sideways where the screen is narrow."""
    cells = "".join(f"<th>{name}</th>" for name in head)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def facts(items: Mapping[str, str]) -> str:
    """Names with what holds of them, as text."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in items.items())}</dl>"
