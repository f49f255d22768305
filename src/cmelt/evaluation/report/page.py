"""report.html: one file with everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from cmelt.drawing import draw_ecg
from cmelt.evaluation.embedder import EvaluationStore
from cmelt.evaluation.further import Further
from cmelt.evaluation.report.charts import forest_chart, loss_chart, roc_chart
from cmelt.evaluation.report.further import further_sections
from cmelt.evaluation.report.losses import NAMES, read_losses
from cmelt.evaluation.report.tables import (
    SCORINGS,
    class_table,
    decision_table,
    overview_table,
    probe_table,
    share,
    subgroup_table,
)
from cmelt.evaluation.results import Comparison, Example, Results
from cmelt.pages import document

_KEEP = (
    "<p>These are ECGs of the archive with their reports: keep this page where the archive is kept, or write it anew with "
    "<code>--no-examples</code>.</p>"
)


def page(results: Sequence[Results], further: Further, loss_log: Path | None, store: EvaluationStore | None) -> str:
    """The whole page. Without a log there are no loss curves, without a store no example ECGs."""
    beside = further_sections(further)
    sections = [_overview(results), *(_task(result, store) for result in results), *(html for _, html in beside.values())]
    sections.append(_losses(loss_log))
    sections.append(_method(results))
    links = {_anchor(r): r.name for r in results} | {anchor: word for anchor, (word, _) in beside.items()}
    links |= {"losses": "Losses", "method": "Method"}
    return document("C-MELT evaluation", links, "".join(sections))


def headline_rows(results: Sequence[Results]) -> list[tuple[str, Comparison]]:
    """What the overview draws: each task's zero-shot headline and its probes, by name."""
    return [(f"{r.name}, {way}", comparison) for r in results for way, comparison in r.figures.items()]


def _overview(results: Sequence[Results]) -> str:
    rows = [(name, c.model.macro_auroc, c.random.macro_auroc) for name, c in headline_rows(results)]
    key = '<span class="key"></span>model &nbsp; <span class="key control"></span>the same network with random weights'
    return (
        "<h2>At a glance</h2><p>Mean over classes of the area under the ROC curve; 0.5 is chance. Lines are 95 % intervals "
        f'over patients.</p><p class="soft">{key}</p>{forest_chart(rows)}{overview_table(results)}'
    )


def _task(result: Results, store: EvaluationStore | None) -> str:
    facts = (
        f"{result.records} records of {result.patients} patients ({' and '.join(result.splits)}); "
        f"{len(next(iter(result.figures.values())).model.classes)} of {len(result.counts)} classes have figures."
    )
    parts = [f'<h2 id="{_anchor(result)}">{escape(str(result.task["description"]) or result.name)}</h2><p>{escape(facts)}</p>']
    parts += [f'<p class="warning">{escape(note)}</p>' for note in result.notes]
    if result.left_out:
        names = "; ".join(f"{escape(name)}: {escape(reason)}" for name, reason in result.left_out.items())
        parts.append(f"<details><summary>{len(result.left_out)} classes left out</summary><p>{names}</p></details>")
    if (shot := result.best_zero_shot) is not None:
        parts.append(_zero_shot(result, shot))
    if result.probes:
        last = result.probes[-1]
        parts.append(f"<h3>Linear probe</h3>{probe_table(result)}")
        parts.append(
            f"<details><summary>Classes and ROC curves of the probe at {share(last.fraction)}</summary>"
            f"{class_table(result, last.comparison)}{decision_table(last.comparison)}{_curves(last.comparison)}</details>"
        )
    parts.append(_subgroups(result))
    if store is not None and result.examples:
        parts.append(
            f"<h3>Examples</h3>{_KEEP}{''.join(_example(example, result.records, store) for example in result.examples)}"
        )
    parts.append(_prompts(result))
    return f"<section>{''.join(parts)}</section>"


def _curves(comparison: Comparison) -> str:
    figures = []
    for name, curve in comparison.roc.sensitivity.items():
        chart = roc_chart(curve, comparison.random_roc.sensitivity[name], comparison.roc.false_positive, name)
        model, random = comparison.model.classes[name].auroc, comparison.random.classes[name].auroc
        caption = f"<b>{escape(name)}</b> {model.value:.3f}, random {random.value:.3f}"
        figures.append(f"<figure>{chart}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="charts">{"".join(figures)}</div>'


def _example(example: Example, records: int, store: EvaluationStore) -> str:
    from cmelt.text.cleaning import clean_report

    entry = store.index.iloc[example.row]
    drawing = draw_ecg(store.millivolts([example.row])[0], store.rate, store.leads, f"{example.class_name}: {example.kind}")
    facts = {
        "score": f"{example.score:+.3g}, rank {example.rank} of {records}",
        "report": clean_report(str(entry["report"])) or "none",
        "labels": ", ".join(entry["labels"]) or "none",
        "record": f"row {example.row} of the store",
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return (
        f'<figure class="example"><figcaption><b>{escape(example.class_name)}</b> (AUROC {example.auroc:.3f}): '
        f'{escape(example.kind)}</figcaption><div class="paper">{drawing}</div><dl>{items}</dl></figure>'
    )


def _zero_shot(result: Results, shot: Comparison) -> str:
    """The headline scoring's classes, the other scorings folded away, calls, and curves."""
    parts = [f"<h3>Zero-shot, {SCORINGS[str(result.headline)]}</h3>{class_table(result, shot)}"]
    for scoring, comparison in result.zero_shot.items():
        if scoring != result.headline:
            found = class_table(result, comparison)
            parts.append(f"<details><summary>Zero-shot, {SCORINGS[scoring]}</summary>{found}</details>")
    if calls := decision_table(shot):
        parts.append(f"<details><summary>Calls and calibration, zero-shot</summary>{calls}</details>")
    parts.append(f"<h3>ROC curves, zero-shot</h3>{_curves(shot)}")
    return "".join(parts)


def _subgroups(result: Results) -> str:
    ways = result.figures.items()
    tables = [f"<h4>{word}</h4>{subgroup_table(comparison)}" for word, comparison in ways if comparison.subgroups]
    return "<h3>By sex and age</h3>" + "".join(tables) if tables else ""


def _prompts(result: Results) -> str:
    items = []
    for name, c in result.task["classes"].items():
        positive = "<br>".join(escape(p) for p in c["prompts"])
        against = "; ".join(escape(p) for p in c["negative_prompts"]) or "none"
        absent = "; ".join(escape(p) for p in c["absent_prompts"]) or "none"
        small = f"<small class='soft'>against: {against}<br>absent: {absent}</small>"
        items.append(f"<dt>{escape(name)}</dt><dd>{positive}<br>{small}</dd>")
    return f"<details><summary>Prompts</summary><dl>{''.join(items)}</dl></details>"


def _losses(loss_log: Path | None) -> str:
    curves = read_losses(loss_log) if loss_log is not None and loss_log.is_file() else {}
    if not curves:
        return '<h2 id="losses">Losses</h2><p class="soft">There is no log of this model\'s training beside it.</p>'
    figures = "".join(
        f"<figure>{loss_chart(*curve, NAMES[name])}<figcaption>{NAMES[name]}</figcaption></figure>"
        for name, curve in curves.items()
    )
    return f'<h2 id="losses">Losses in pre-training</h2><div class="charts wide">{figures}</div>'


def _method(results: Sequence[Results]) -> str:
    first = results[0]
    facts = {
        "model": first.model,
        "control": first.control,
        "store": first.store["sha256"],
        "form": f"{first.store['rate_hz']:g} Hz, {first.store['samples']} samples, {len(first.store['leads'])} leads",
        "bootstrap": f"{first.bootstrap} replicates over patients, seed {first.seed}",
        "cmelt": first.version,
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items())
    checked = "they were compared with the store's training records, and neither a signal nor a patient is in both."
    if "train" in first.splits:
        checked = (
            "validation and test records were compared with the training records, which are themselves among those evaluated."
        )
    return (
        '<h2 id="method">How these figures were made</h2>'
        "<p>Zero-shot: the mean cosine of an ECG's embedding to the prompts of a class, minus the mean cosine to its negative "
        "prompts where it has any. Linear probe: logistic regression on frozen, standardised embeddings; its regularisation is "
        "chosen by cross-validation over patients inside the drawn training records. Nothing was chosen on evaluated records.</p>"
        "<p>Intervals: 2.5 % and 97.5 % points when patients are drawn with replacement, and for probes the training draws too. "
        "In the mean, a class that vanishes from a replicate keeps its value. Differences are paired.</p>"
        "<p>F1 is that of calls at thresholds chosen on other records; ECE is the expected calibration error in 15 bins of equal "
        "count, zero-shot scores made probabilities by Platt's scaling on validation records.</p>"
        "<p>Controls: the same network with random weights, through the same steps; ECGs exchanged between patients; a score "
        f"that never sees the ECG, which is 0.5 by construction. Before measuring, {checked}</p><dl>{items}</dl>"
    )


def _anchor(result: Results) -> str:
    return "task-" + "".join(letter if letter.isalnum() else "-" for letter in result.name)
