"""The card of a model that is handed to others: what it is, what it was made of, how good it is, for whom, and what for.

Every figure on it is read from the `results.json` of evaluations of these very weights; nothing is typed by hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cmelt.errors import SourceError
from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.robustness_card import robustness_section
from cmelt.pages import markdown_table
from cmelt.sources.about import about_of
from cmelt.training.card import WARNING, facts_table

#: One entry of a results.json, as plain dictionaries.
Result = Mapping[str, Any]

_USES = """## What it is for

Research: zero-shot scores of ECGs for findings that are described in words, embeddings for linear probes, retrieval and
fine-tuning, teaching, and as a baseline. It takes 12-lead ECGs of adults; leads that a record lacks are zero to it, and it then
works less well.

## What it must not be used for

* **No diagnosis, triage, monitoring or treatment of any person.** It is no medical device, no one has validated it for care, and
  its scores are neither probabilities nor thresholds.
* No conclusion about a single ECG: the figures are of groups.
* Not for children, paced hearts, or recordings with reversed electrodes or of poor quality: it has seen few or none, and does not
  know that it has not. `cmelt show` flags what is wrong with a recording.
* Not for identifying people, though embeddings of one patient's ECGs are alike: treat embeddings as personal data.
* Not as a reader of reports: its text encoder has seen short ECG reports only, and negations are hard for it."""

_METHOD = """Means over classes of the area under the ROC curve (0.5 is chance), with 95 % intervals from a bootstrap over
patients. *Random weights* is the same network untrained, by the same steps on the same records; *gain* is the paired difference
to it. docs/evaluate.md says how each figure is made."""


def model_card(
    name: str,
    facts: Mapping[str, str],
    sources: Sequence[str],
    results: Sequence[Result],
    reproduce: str,
    robustness: Result | None = None,
) -> str:
    """The card as markdown, with the front matter that model hubs read.

    Args:
        facts: how it was trained, by name.
        sources: datasets it was trained on, by the names of `cmelt sources`.
        results: of evaluations, any number; without one the card says so.
        reproduce: the command that makes this model again.
        robustness: what `benchmarks/robustness.py` has measured of these weights; without it the card has no such section.
    """
    parts = [
        _head(name, sources),
        f"# C-MELT {name}\n\n{WARNING}",
        "An ECG encoder and a report encoder, pre-trained together (arXiv 2410.02131). docs/model.md shows how it is used.",
        _USES,
        f"## What it was made of\n\n{facts_table(facts)}\n\n{_licences(sources)}",
        _results(results),
        *([robustness_section(robustness)] if robustness else []),
        f"## Made again\n\n```\n{reproduce}\n```\n\nThe SHA-256 of every file here is in `manifest.json`.",
    ]
    return "\n\n".join(parts) + "\n"


def _head(name: str, sources: Sequence[str]) -> str:
    lines = ["library_name: cmelt", "license: apache-2.0", "tags: [ecg, electrocardiogram, contrastive-learning, zero-shot]"]
    return "\n".join(["---", f"model_name: C-MELT {name}", *lines, f"datasets: [{', '.join(sources)}]", "---"])


def _licences(sources: Sequence[str]) -> str:
    """What the data's publishers ask for: name, licence, citation."""
    lines = ["The weights and this card are under Apache-2.0. The data:", ""]
    for source in sources:
        try:
            about = about_of(source)
        except SourceError:
            lines.append(f"* {source}: not a dataset that cmelt knows; ask its owner")
            continue
        where = f" ({about.where})" if about.where else ""
        citation = f" {about.citation}." if about.citation else ""
        lines.append(f"* {about.title}{where}: {about.licence}.{citation}")
    return "\n".join(lines)


def _results(results: Sequence[Result]) -> str:
    if not results:
        return "## How good it is\n\nNot measured yet."
    parts = ["## How good it is", _METHOD, _overview(results)]
    return "\n\n".join([*parts, *(_task(result) for result in results)])


def _overview(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        records = f"{result['records']} records of {result['patients']} patients, {' and '.join(result['splits'])}"
        for way, comparison in _ways(result):
            cells = [_figure(comparison[side]["macro_auroc"]) for side in ("model", "random")]
            rows.append([f"{result['name']}, {way}", records, *cells, _figure(comparison["gain"], signed=True)])
    return markdown_table(["macro AUROC", "measured on", "this model", "random weights", "gain"], rows)


def _task(result: Result) -> str:
    shot = _classes(result["zero_shot"].get(result["headline"]))
    probed = _classes(result["probes"][-1]["comparison"] if result["probes"] else None)
    rows = []
    for name in {**shot, **probed}:
        figures = (shot.get(name, {}).get("auroc"), shot.get(name, {}).get("auprc"), probed.get(name, {}).get("auroc"))
        rows.append([name, str(result["counts"][name]["positives"]), *map(_figure, figures)])
    head = ["class", "positive", "zero-shot AUROC", "zero-shot average precision", "AUROC of a probe on most labels"]
    parts = [f"### {result['name']}: {result['task']['description']}", *result["notes"], markdown_table(head, rows)]
    if result["left_out"]:
        parts.append("Without figures: " + "; ".join(f"{name} ({reason})" for name, reason in result["left_out"].items()) + ".")
    groups = [row for way, comparison in _ways(result) for row in _group_rows(way, comparison)]
    if groups:
        head = ["by sex and age", "records", "classes", "macro AUROC", "minus the first group"]
        parts.append(markdown_table(head, groups))
    return "\n\n".join(parts)


def _classes(comparison: Result | None) -> Result:
    """The model's figures by class; empty where this was not measured."""
    return {} if comparison is None else dict(comparison["model"]["classes"])


def _ways(result: Result) -> list[tuple[str, Result]]:
    """Each way of measuring in words, with its comparison."""
    ways = [("zero-shot", result["zero_shot"][result["headline"]])] if result["headline"] else []
    return ways + [
        (f"probe on {100 * probe['fraction']:g} % of the labels ({probe['records']} records)", probe["comparison"])
        for probe in result["probes"]
    ]


def _group_rows(way: str, comparison: Result) -> list[list[str]]:
    return [
        [
            f"{way}, {split['attribute']}: {group}",
            str(figures["records"]),
            str(len(split["classes"])),
            _figure(figures["macro_auroc"]),
            _figure(figures["difference"], signed=True),
        ]
        for split in comparison["subgroups"]
        for group, figures in split["groups"].items()
    ]


def _figure(figure: Result | None, *, signed: bool = False) -> str:
    """A figure of a results.json in words; a dash where there is none."""
    if figure is None:
        return "–"
    value, low, high = (math.nan if figure[key] is None else figure[key] for key in ("value", "low", "high"))
    return Figure(value, low, high).text(signed=signed)
