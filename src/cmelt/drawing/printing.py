"""A sheet as PNG or PDF, through Matplotlib: the same millimetres, the same marks."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from cmelt.drawing.marks import INKS, PAPER, Area, Line, Mark, Sheet, Words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCH = 25.4
POINT = INCH / 72  # mm
#: Of a PNG: a millimetre is eight dots.
DOTS_PER_INCH = 8 * INCH


def printed(sheet: Sheet, form: Literal["png", "pdf"], dots_per_inch: float = DOTS_PER_INCH) -> bytes:
    """The file's content; printed at its own size (a PDF at 100 %) it is to scale. Equal sheets give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    figure = Figure(figsize=(sheet.width / INCH, sheet.height / INCH), dpi=dots_per_inch, facecolor=PAPER.colour)
    canvas = FigureCanvasAgg(figure) if form == "png" else FigureCanvasPdf(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, sheet.width), ylim=(sheet.height, 0))
    axes.set_axis_off()
    for order, mark in enumerate(sheet.marks):
        _draw(axes, mark, order)
    content = BytesIO()
    said: dict[str, Any] = {"Title": sheet.title}
    said |= {"CreationDate": None, "Producer": None} if form == "pdf" else {"Description": sheet.description, "Software": None}
    canvas.print_figure(content, format=form, dpi=dots_per_inch, facecolor=PAPER.colour, metadata=said)
    return content.getvalue()


def _draw(axes: Axes, mark: Mark, order: int) -> None:
    look = INKS[mark.ink]
    if isinstance(mark, Words):
        # A file's "$" is a dollar, not the beginning of a formula.
        text = _in_font(mark.text)
        axes.text(mark.x, mark.y, text, fontsize=mark.size / POINT * 0.9, color=look.colour, parse_math=False, zorder=order)
    elif isinstance(mark, Line):
        width = look.width / POINT
        axes.plot(*mark.points.T, zorder=order, color=look.colour, linewidth=width, solid_joinstyle="round")
    elif isinstance(mark, Area):
        axes.fill(*mark.outline.T, color=look.colour, alpha=look.opacity, linewidth=0, zorder=order)


def _in_font(text: str) -> str:
    """Letters that Matplotlib's own font lacks as "?": it would warn and draw a box."""
    known = _letters()
    return "".join(one if ord(one) in known else "?" for one in text)


def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
