"""Figures as HTML tables: every value with its interval, every control beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.results import Comparison, Decisions, Results
from cmelt.pages import html_table

#: What zero-shot scores are made of, in words.
SCORINGS = {"contrast": "against negative prompts", "pairs": "present against absent", "similarity": "raw similarity"}


def number(figure: Figure | None) -> str:
    """ "0.843 [0.81, 0.87]" with the interval set small; a dash where there is none."""
    if figure is None or not np.isfinite(figure.value):
        return "–"
    interval = f" <small>[{figure.low:.3f}, {figure.high:.3f}]</small>" if np.isfinite(figure.low) else ""
    return f"{figure.value:.3f}{interval}"


def difference(figure: Figure) -> str:
    """Like `number`, with signs."""
    return f"{figure.value:+.3f} <small>[{figure.low:+.3f}, {figure.high:+.3f}]</small>".replace("-", "−")


def overview_table(results: Sequence[Results]) -> str:
    """One line a task and way of measuring: model, control, their paired difference."""
    rows = []
    for r in results:
        for scoring, comparison in sorted(r.zero_shot.items(), key=lambda item: item[0] != r.headline):
            rows.append(_overview_row(f"{r.name}, zero-shot, {SCORINGS[scoring]}", comparison))
        for probe in r.probes:
            rows.append(
                _overview_row(f"{r.name}, linear probe, {share(probe.fraction)} ({probe.records} records)", probe.comparison)
            )
    head = ("macro AUROC", "model", "random weights", "difference", "shuffled ECGs", "text only")
    return html_table(head, rows)


def _overview_row(name: str, comparison: Comparison) -> str:
    text_only = "–" if comparison.text_only is None else f"{comparison.text_only:.3f}"
    cells = [
        f"<td>{escape(name)}</td>",
        f"<td>{number(comparison.model.macro_auroc)}</td>",
        f'<td class="control">{number(comparison.random.macro_auroc)}</td>',
        f"<td>{difference(comparison.gain)}</td>",
        f'<td class="control">{number(comparison.shuffled)}</td>',
        f'<td class="control">{text_only}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def class_table(result: Results, comparison: Comparison) -> str:
    """One line a class: how often it occurs, and both areas for the model and the control."""
    head = ("class", "positive", "prevalence", "AUROC", "random weights", "average precision", "random weights")
    model, random = comparison.model, comparison.random
    rows = [
        f'<tr class="mean"><td>mean of {len(model.classes)}</td><td></td><td></td><td>{number(model.macro_auroc)}</td>'
        f'<td class="control">{number(random.macro_auroc)}</td><td>{number(model.macro_auprc)}</td>'
        f'<td class="control">{number(random.macro_auprc)}</td></tr>'
    ]
    for name, figures in model.classes.items():
        count, other = result.counts[name], random.classes[name]
        occurrence = f"<td>{count.positives}</td><td>{100 * count.prevalence:.1f} %</td>"
        rows.append(
            f"<tr><td>{escape(name)}</td>{occurrence}<td>{number(figures.auroc)}</td>"
            f'<td class="control">{number(other.auroc)}</td><td>{number(figures.auprc)}</td>'
            f'<td class="control">{number(other.auprc)}</td></tr>'
        )
    return html_table(head, rows)


def probe_table(result: Results) -> str:
    """One line a share of the training labels."""
    head = ["training labels", "records", "draws", "AUROC", "random weights", "difference", "average precision", "F1", "ECE"]
    head.append("chosen C")
    rows = []
    for probe in result.probes:
        c = probe.comparison
        chosen = ", ".join(f"{s:g}" for s in sorted(set(probe.strengths)))
        rows.append(
            f"<tr><td>{share(probe.fraction)}</td><td>{probe.records}</td><td>{len(probe.seeds)}</td>"
            f'<td>{number(c.model.macro_auroc)}</td><td class="control">{number(c.random.macro_auroc)}</td>'
            f"<td>{difference(c.gain)}</td><td>{number(c.model.macro_auprc)}</td>{_decision_cells(c.model.decisions)}"
            f"<td>{chosen}</td></tr>"
        )
    return html_table(head, rows)


def decision_table(comparison: Comparison) -> str:
    """One line a class: F1 at a threshold chosen on other records, and calibration, for the model and the control.

    Empty where nothing could be chosen.
    """
    own, control = comparison.model.decisions, comparison.random.decisions
    if own is None:
        return ""
    head = ("class", "F1", "random weights", "ECE", "random weights", "thresholds")
    rows = [
        f'<tr class="mean"><td>mean of {len(own.classes)}</td><td>{number(own.macro_f1)}</td>'
        f'<td class="control">{number(None if control is None else control.macro_f1)}</td><td>{number(own.macro_ece)}</td>'
        f'<td class="control">{number(None if control is None else control.macro_ece)}</td><td></td></tr>'
    ]
    for name, figures in own.classes.items():
        other = None if control is None else control.classes.get(name)
        thresholds = ", ".join("none" if np.isnan(t) else f"{t:.3g}" for t in figures.thresholds)
        rows.append(
            f"<tr><td>{escape(name)}</td><td>{number(figures.f1)}</td>"
            f'<td class="control">{number(None if other is None else other.f1)}</td><td>{number(figures.ece)}</td>'
            f'<td class="control">{number(None if other is None else other.ece)}</td><td>{thresholds}</td></tr>'
        )
    words = (
        f"Thresholds chosen on {escape(own.chosen_on)}, figures of {own.records} other records. Perfectly calibrated "
        f"probabilities would show an ECE of {own.calibrated_ece:.3f} on them."
    )
    return f'<p class="soft">{words}</p>{html_table(head, rows)}'


def _decision_cells(decisions: Decisions | None) -> str:
    figures = (None, None) if decisions is None else (decisions.macro_f1, decisions.macro_ece)
    return "".join(f"<td>{number(figure)}</td>" for figure in figures)


def subgroup_table(comparison: Comparison) -> str:
    """One line a group by sex and by age, each over the classes that all groups of its attribute have enough of."""
    rows = []
    for split in comparison.subgroups:
        for group, figures in split.groups.items():
            difference_cell = "–" if figures.difference is None else difference(figures.difference)
            rows.append(
                f"<tr><td>{escape(split.attribute)}: {escape(group)}</td><td>{figures.records}</td><td>{figures.patients}</td>"
                f"<td>{len(split.classes)}</td><td>{number(figures.macro_auroc)}</td><td>{difference_cell}</td></tr>"
            )
    return html_table(("group", "records", "patients", "classes", "AUROC", "minus the first group"), rows)


def share(fraction: float) -> str:
    """0.01 → "1 %"."""
    return f"{fraction * 100:g} %"
