"""A fine-tuning's folder: the page, results.json, the picture over leads, every record's scores, and the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from cmelt import __version__
from cmelt.checkpoints.classifier_folder import ClassifierFacts, write_classifier
from cmelt.evaluation.fine_tune_results import FineTuned, FineTuneResults, LeadResult
from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.report.tables import decision_table, difference, number, share
from cmelt.evaluation.report.writing import check_replaceable, indented
from cmelt.evaluation.results import Performance
from cmelt.pages import document, html_table, markdown_table
from cmelt.publishing import published

REPORT, RESULTS, PICTURE, SCORES, CLASSIFIER = "report.html", "results.json", "leads.png", "scores.npz", "classifier"
OURS = (REPORT, RESULTS, PICTURE, SCORES, CLASSIFIER)
#: Side → (its name in words, its colour).
SIDES = {
    "model": ("pre-trained, fine-tuned", "#1f63d6"),
    "random": ("same network from random weights", "#8a949e"),
    "supervised": ("ResNet1d from scratch", "#c2571a"),
}


def write_fine_tuning(results: FineTuneResults, folder: str | Path) -> Path:
    """Write the folder, all or nothing; an earlier fine-tuning there is replaced. Returns the path of report.html.

    Raises ConfigError where `folder` holds anything else.
    """
    target = Path(folder)
    check_replaceable(target, OURS)
    with published(target, {"kind": "fine-tuning"}, replace=True) as staging:
        (staging / REPORT).write_text(page(results), encoding="utf-8")
        (staging / RESULTS).write_text(indented(results.to_json()), encoding="utf-8")
        draw_leads(results, staging / PICTURE)
        arrays: dict[str, Any] = {"rows": results.rows, "truth": results.truth, **results.scores}
        np.savez_compressed(staging / SCORES, **arrays)
        if results.classifier is not None:
            given = results.classifier
            write_classifier(given.network, _facts(results, given), staging / CLASSIFIER, card(results, given), given.seen)
    return target / REPORT


def page(results: FineTuneResults) -> str:
    """The whole page: every lead set, then the classes of the first."""
    first = results.lines[0]
    facts = (
        f"{results.records} records of {results.patients} patients ({' and '.join(results.splits)}), after training on "
        f"{results.train_records}; {len(first.comparison.model.classes)} of "
        f"{len(first.comparison.model.classes) + len(results.left_out)} classes have figures."
    )
    left = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in results.left_out.items())
    body = [
        f'<h2 id="leads">{escape(str(results.task["description"]) or results.name)}</h2><p>{escape(facts)}</p>',
        *(f'<p class="warning">{escape(note)}</p>' for note in results.notes),
        f"<ul>{left}</ul>" if left else "",
        lead_table(results.lines),
        f'<h2 id="classes">Classes with {first.leads} leads</h2>{class_table(results, first)}',
        f"<h3>Calls and calibration</h3>{decision_table(first.comparison)}",
        _method(results),
    ]
    links = {"leads": "Leads", "classes": "Classes", "method": "Method"}
    return document(f"Fine-tuning: {results.name}", links, "".join(body))


def lead_table(lines: Sequence[LeadResult]) -> str:
    """One line a lead set and share: the three networks, what the first gains, and what the missing leads cost."""
    head = ["leads", "labels", "AUROC", "random weights", "difference", "ResNet1d", "difference"]
    head += ["average precision", "F1", "ECE", "cost of missing leads"]
    rows = []
    for line in lines:
        c = line.comparison
        decisions = c.model.decisions
        cells = [
            f"{line.leads} <small>{escape(' '.join(line.lead_names)) if line.leads < 12 else ''}</small>",
            f"{share(line.fraction)}, {line.records}",
            number(c.model.macro_auroc),
            number(c.random.macro_auroc),
            difference(c.gain),
            number(None if c.supervised is None else c.supervised.macro_auroc),
            "–" if c.supervised_gain is None else difference(c.supervised_gain),
            number(c.model.macro_auprc),
            number(None if decisions is None else decisions.macro_f1),
            number(None if decisions is None else decisions.macro_ece),
            "–" if line.cost is None else difference(line.cost),
        ]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return html_table(head, rows)


def class_table(results: FineTuneResults, line: LeadResult) -> str:
    """One line a class: how often it occurs, AUROC of the three networks, average precision of the first."""
    sides = [getattr(line.comparison, side) for side in SIDES]
    head = ("class", "positive", "in training", "AUROC", "random weights", "ResNet1d", "average precision")
    rows = []
    for name, count in results.counts.items():
        areas = "".join(f"<td>{number(None if s is None else s.classes[name].auroc)}</td>" for s in sides)
        occurrence = f"<td>{count.positives}</td><td>{count.train_positives}</td>"
        precision = number(line.comparison.model.classes[name].auprc)
        rows.append(f"<tr><td>{escape(name)}</td>{occurrence}{areas}<td>{precision}</td></tr>")
    return html_table(head, rows)


def _method(results: FineTuneResults) -> str:
    return (
        '<h2 id="method">How these figures were made</h2>'
        "<p>The encoder, its projection and pooler and a fresh linear layer were trained together on the training split, for a "
        "number of epochs that was fixed beforehand; absent leads are zero in training and in test, each lead set is a training "
        "of its own. The control is the same network from random weights, its encoder at a higher rate; ResNet1d is trained as "
        "in arXiv 2004.13701. Nothing was chosen on evaluated records, but for F1: its thresholds come from validation, "
        "and F1 and ECE are those of the remaining records.</p><p>Intervals: 2.5 % and 97.5 % points when patients are drawn "
        f"with replacement; {results.bootstrap} replicates, seed {results.seed}. Differences are paired. Cost: AUROC with 12 "
        "leads minus this one.</p>"
        f"<dl><dt>model</dt><dd>{escape(results.model)}</dd><dt>store</dt><dd>{escape(results.store['sha256'])}</dd>"
        f"<dt>cmelt</dt><dd>{escape(results.version)}</dd></dl>"
    )


def draw_leads(results: FineTuneResults, path: Path) -> None:
    """Write a PNG: macro AUROC with interval over the number of leads, one line a network; the largest share of labels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    most = max(line.fraction for line in results.lines)
    lines = [line for line in results.lines if line.fraction == most]
    canvas = Canvas(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    for shift, (side, (word, colour)) in zip((-0.08, 0.0, 0.08), SIDES.items(), strict=True):
        sides: list[Performance | None] = [getattr(line.comparison, side) for line in lines]
        figures: list[Figure] = [performance.macro_auroc for performance in sides if performance is not None]
        if len(figures) < len(lines):
            continue
        values = np.array([f.value for f in figures])
        spread = np.nan_to_num(np.abs([[f.value - f.low for f in figures], [f.high - f.value for f in figures]]))
        places = np.arange(len(lines)) + shift
        axes.errorbar(places, values, yerr=spread, fmt="o-", color=colour, markersize=5, linewidth=1.4, label=word)
    axes.set_xticks(np.arange(len(lines)), [str(line.leads) for line in lines])
    axes.set_xlabel("leads")
    axes.set_ylabel("macro AUROC, 95 % interval over patients")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    canvas.savefig(path, metadata={"Software": None})


def _facts(results: FineTuneResults, given: FineTuned) -> ClassifierFacts:
    return ClassifierFacts(
        settings=given.settings,
        task=results.name,
        classes=given.classes,
        thresholds=given.thresholds,
        leads=given.leads,
        window=given.window,
        origin=results.model,
    )


def card(results: FineTuneResults, given: FineTuned) -> str:
    """The classifier's README: what it is, what it was measured on, what it is not for."""
    line = results.lines[0]
    own, counts = line.comparison.model.classes, results.counts
    rows = [
        (name, str(counts[name].train_positives), own[name].auroc.text(), "–" if threshold is None else f"{threshold:.3f}")
        for name, threshold in zip(given.classes, given.thresholds, strict=True)
    ]
    return f"""# ECG classifier for {results.name}

**Research use only, not a medical device.** No probability of this model may guide the care of a patient.

A C-MELT ECG encoder with a linear layer, fine-tuned with cmelt {__version__} from the model {results.model}
on {line.records} records of the training split of store {results.store["sha256"]}.
Input: {" ".join(given.leads)} in millivolts, {results.store["rate_hz"]:g} Hz, {results.store["samples"]} samples; other leads are
not looked at. Output: a probability a class. `cmelt.checkpoints.classifier_folder.load_classifier` reads this folder.

Macro AUROC {line.comparison.model.macro_auroc.text()} on {results.records} records of {results.patients} patients
({" and ".join(results.splits)}); the same network from random weights {line.comparison.random.macro_auroc.text()}.

{markdown_table(("class", "in training", "AUROC", "threshold"), rows)}

Thresholds were chosen on validation records for the highest F1.
"""
