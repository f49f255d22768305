"""summary.png: the headline figures as one picture, for a README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmelt.evaluation.report.page import headline_rows
from cmelt.evaluation.results import Results

MODEL, CONTROL = "#1f63d6", "#8a949e"


def draw_summary(results: Sequence[Results], path: Path) -> None:
    """Write a PNG with macro AUROC and interval of the model and of its random-weights control, one line a measurement."""
    # The object interface: pyplot would keep a global figure and look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    rows = headline_rows(results)
    canvas = Canvas(figsize=(7.6, 1.3 + 0.42 * len(rows)), dpi=150, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    for colour, word, shift, side in ((MODEL, "model", -0.12, "model"), (CONTROL, "random weights", 0.12, "random")):
        figures = [getattr(comparison, side).macro_auroc for _, comparison in rows]
        values = np.array([f.value for f in figures])
        spread = np.abs(np.array([[f.value - f.low for f in figures], [f.high - f.value for f in figures]]))
        places = np.arange(len(rows)) + shift
        axes.errorbar(values, places, xerr=np.nan_to_num(spread), fmt="o", color=colour, markersize=6, linewidth=1.8, label=word)
        for value, place in zip(values, places, strict=True):
            if side == "model":
                axes.annotate(
                    f"{value:.2f}", (value, place), (0, 6), textcoords="offset points", ha="center", fontsize=8, color=colour
                )
    axes.axvline(0.5, color="#b6bfc8", linestyle=":", linewidth=1)
    axes.set_yticks(np.arange(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.7)
    axes.set_xlim(right=1.0)
    axes.set_xlabel("macro AUROC with 95 % interval over patients (0.5 is chance)")
    axes.spines[["top", "right"]].set_visible(False)
    canvas.legend(loc="outside lower center", ncols=2, frameon=False)
    canvas.savefig(path, metadata={"Software": None})
