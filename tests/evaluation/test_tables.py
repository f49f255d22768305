"""Numbers as they are printed, and where charts put them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.report.charts import forest_chart, loss_chart, roc_chart
from cmelt.evaluation.report.tables import difference, number, share
from cmelt.pages import html_table

NOTHING = float("nan")


@pytest.mark.parametrize(
    ("figure", "printed"),
    [
        (Figure(0.8434, 0.8, 0.9), "0.843 <small>[0.800, 0.900]</small>"),
        (Figure(0.8434, NOTHING, NOTHING), "0.843"),
        (Figure(NOTHING, NOTHING, NOTHING), "–"),
        (None, "–"),
    ],
)
def test_a_figure_is_printed_with_its_interval(figure, printed):
    assert number(figure) == printed


def test_a_difference_is_printed_with_signs():
    assert difference(Figure(-0.0314, -0.1, 0.05)) == "−0.031 <small>[−0.100, +0.050]</small>"


@pytest.mark.parametrize(("fraction", "printed"), [(0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %"), (0.005, "0.5 %")])
def test_shares_are_percentages(fraction, printed):
    assert share(fraction) == printed


def test_a_table_has_a_cell_for_each_heading():
    html = html_table(("a", "b"), ["<tr><td>1</td><td>2</td></tr>"])
    assert html.count("<th>") == html.count("<td>") == 2
    assert html.startswith('<div class="scroll">')


def centres(svg, kind):
    return [float(x) for x in re.findall(rf'<circle class="{kind}" cx="([\d.]+)"', svg)]


def ticks(svg):
    return {float(label): float(x) for x, label in re.findall(r'<text class="axis" x="([\d.]+)"[^>]*>([\d.]+)</text>', svg)}


def test_forest_points_lie_on_their_scale():
    rows = [("one", Figure(0.7, 0.6, 0.8), Figure(0.5, 0.45, 0.55)), ("two", Figure(0.9, 0.85, 0.95), Figure(0.6, 0.5, 0.7))]
    svg = forest_chart(rows)
    scale = ticks(svg)
    assert centres(svg, "model") == [scale[0.7], scale[0.9]]
    assert centres(svg, "control") == [scale[0.5], scale[0.6]]


def test_forest_scale_reaches_down_to_the_lowest_interval():
    svg = forest_chart([("bad", Figure(0.2, 0.15, 0.3), Figure(0.5, 0.4, 0.6))])
    assert min(ticks(svg)) == pytest.approx(0.1)
    assert min(centres(svg, "model")) >= ticks(svg)[0.1]


def points(svg, kind):
    path = re.search(rf'<path class="{kind}" d="M([^"]+)"', svg).group(1)
    return np.array([[float(v) for v in pair.split()] for pair in path.split("L")])


def test_roc_runs_from_corner_to_corner_with_the_model_above_its_control():
    grid = np.linspace(0, 1, 11)
    svg = roc_chart(np.sqrt(grid), grid, grid, "class")
    model, control = points(svg, "model"), points(svg, "control")
    assert model[0].tolist() == [4.0, 124.0]
    assert model[-1].tolist() == [124.0, 4.0]
    assert (model[2:-1, 1] < control[2:-1, 1]).all()


def test_a_first_spike_does_not_flatten_the_loss_curve():
    steps = np.arange(1.0, 301.0)
    values = 1.0 / steps
    values[0] = 1e6
    svg = loss_chart(steps, values, "loss")
    heights = points(svg, "model")[:, 1]
    assert heights.min() >= 8.0
    assert heights.max() <= 128.0
    assert np.ptp(heights[3:]) > 60.0
    assert "step 300" in svg
