"""The report's drawings as inline SVG: ROC curves, loss curves, and figures with their intervals on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.metrics import Figure


def roc_chart(model: Sequence[float], control: Sequence[float], false_positive: Sequence[float], name: str) -> str:
    """Sensitivity over false-positive rate of one class, the control's curve in grey beneath."""
    size, pad = 120.0, 4.0

    def path(values: Sequence[float]) -> str:
        points = [(0.0, 0.0), *zip(false_positive, values, strict=True)]
        return "M" + "L".join(f"{pad + x * size:.1f} {pad + (1 - y) * size:.1f}" for x, y in points)

    full = size + 2 * pad
    return (
        f'<svg class="chart" viewBox="0 0 {full:g} {full:g}" role="img"><title>ROC curve, {escape(name)}</title>'
        f'<rect class="frame" x="{pad}" y="{pad}" width="{size:g}" height="{size:g}"/>'
        f'<path class="chance" d="M{pad} {pad + size}L{pad + size} {pad}"/>'
        f'<path class="control" d="{path(control)}"/><path class="model" d="{path(model)}"/></svg>'
    )


def forest_chart(rows: Sequence[tuple[str, Figure, Figure]]) -> str:
    """One line a figure: model with its interval above the control with its own, on one AUROC scale with chance marked."""
    step, left, right, top = 34.0, 210.0, 560.0, 22.0
    figures = [f for _, model, control in rows for f in (model, control)]
    lowest = min([0.4, *(f.low for f in figures if np.isfinite(f.low))])
    floor = float(np.floor(lowest * 10) / 10)
    height = top + step * len(rows) + 6

    def x(value: float) -> float:
        return left + (value - floor) / (1.0 - floor) * (right - left)

    parts = []
    for tick in np.arange(round(floor * 10), 11) / 10:
        kind = "chance" if abs(tick - 0.5) < 1e-9 else "frame"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 6:g}" y2="{height:g}"/>')
        parts.append(f'<text class="axis" x="{x(tick):.1f}" y="12" text-anchor="middle">{tick:.1f}</text>')
    for row, (name, model, control) in enumerate(rows):
        middle = top + step * (row + 0.5)
        parts.append(f'<text class="name" x="0" y="{middle + 4:.1f}">{escape(name)}</text>')
        for figure, kind, shift in ((model, "model", -5.0), (control, "control", 6.0)):
            y = middle + shift
            if np.isfinite(figure.low):
                parts.append(
                    f'<line class="{kind}" x1="{x(figure.low):.1f}" x2="{x(figure.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                )
            parts.append(f'<circle class="{kind}" cx="{x(figure.value):.1f}" cy="{y:.1f}" r="4"/>')
    title = "<title>Macro AUROC with 95 % intervals</title>"
    return f'<svg class="chart forest" viewBox="0 0 {right + 14:g} {height:g}" role="img">{title}{"".join(parts)}</svg>'


def loss_chart(steps: NDArray[np.float64], values: NDArray[np.float64], name: str) -> str:
    """One loss over steps; the scale spans the middle 98 % of its values, so that a first spike does not flatten the rest."""
    width, height, left, top = 240.0, 120.0, 38.0, 8.0
    low, high = (float(v) for v in np.percentile(values, [1, 99]))
    span = (high - low) or max(abs(high), 1.0)
    last = float(steps[-1] - steps[0]) or 1.0
    x = left + (steps - steps[0]) / last * width
    y = top + (1 - np.clip((values - low) / span, 0, 1)) * height
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    labels = (
        f'<text class="axis" x="{left - 4}" y="{top + 8:g}" text-anchor="end">{high:.3g}</text>'
        f'<text class="axis" x="{left - 4}" y="{top + height:g}" text-anchor="end">{low:.3g}</text>'
        f'<text class="axis" x="{left:g}" y="{top + height + 14:g}">{steps[0]:.0f}</text>'
        f'<text class="axis" x="{left + width:g}" y="{top + height + 14:g}" text-anchor="end">step {steps[-1]:.0f}</text>'
    )
    frame = f'<rect class="frame" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>'
    return (
        f'<svg class="chart" viewBox="0 0 {left + width + 6:g} {top + height + 20:g}" role="img">'
        f'<title>{escape(name)}</title>{frame}<path class="model" d="{path}"/>{labels}</svg>'
    )
