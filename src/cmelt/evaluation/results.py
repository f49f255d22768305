"""What an evaluation found: frozen dataclasses that become results.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.metrics import Figure, Truth
from cmelt.evaluation.subgroups import Subgroups

#: Of the results.json layout; counts up when a key comes, goes or changes its meaning.
FORMAT, FORMAT_VERSION = "cmelt-evaluation", 2


#: Of a field that is for the page or for paired comparisons, and no part of results.json.
NOT_WRITTEN = {"written": False}


@dataclass(frozen=True)
class ClassFigures:
    """One class: areas under the ROC and under the precision–recall curve."""

    auroc: Figure
    auprc: Figure


@dataclass(frozen=True)
class ClassDecisions:
    """One class when it is called or not: the threshold of each score set (NaN: never called), F1, calibration error."""

    thresholds: tuple[float, ...]
    f1: Figure
    ece: Figure


@dataclass(frozen=True)
class Decisions:
    """How good calls and probabilities are, on records that had no part in choosing thresholds or scaling.

    Attributes:
        chosen_on: what thresholds (and the scaling of scores that are no probabilities) were chosen on.
        records: how many records these figures are measured on.
        macro_f1, macro_ece: plain means over `classes`.
        calibrated_ece: the macro ECE that perfectly calibrated probabilities would show on so many records.
        classes: those with a positive both where thresholds are chosen and where they are measured.
    """

    chosen_on: str
    records: int
    macro_f1: Figure
    macro_ece: Figure
    calibrated_ece: float
    classes: dict[str, ClassDecisions]


@dataclass(frozen=True)
class Performance:
    """All evaluable classes and their plain mean; `decisions` where there were labels to choose thresholds on."""

    macro_auroc: Figure
    macro_auprc: Figure
    classes: dict[str, ClassFigures]
    decisions: Decisions | None = None


@dataclass(frozen=True)
class Roc:
    """Sensitivity by class at the false-positive rates of `false_positive`."""

    false_positive: tuple[float, ...]
    sensitivity: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Comparison:
    """A model's figures beside its controls'.

    Attributes:
        model, random: the model, and the same architecture with fresh weights, on the same records by the same steps.
        gain: macro AUROC of the model minus that of the random encoder; the interval is of the *paired* difference.
        shuffled: macro AUROC after every record was given another patient's ECG embedding (mean and range over permutations);
            zero-shot only.
        text_only: macro AUROC of a score that never sees the ECG; zero-shot only.
        supervised: a supervised network trained from scratch, where the caller has one.
        supervised_gain: macro AUROC of the model minus that of the supervised network, paired.
        subgroups: macro AUROC by sex and by age; of the headline zero-shot scoring and of the probe on most labels.
    """

    model: Performance
    random: Performance
    gain: Figure
    roc: Roc
    random_roc: Roc
    shuffled: Figure | None = None
    text_only: float | None = None
    supervised: Performance | None = None
    supervised_gain: Figure | None = None
    subgroups: tuple[Subgroups, ...] = ()


@dataclass(frozen=True)
class ProbeResult:
    """A linear probe at one share of the training labels.

    Attributes:
        fraction, records: the share, and how many records that is.
        seeds, strengths, random_strengths: per draw, its seed and the chosen C of the model's and the random encoder's probe.
        draw_auroc, random_draw_auroc: macro AUROC of each draw; `comparison` holds their means.
    """

    fraction: float
    records: int
    seeds: tuple[int, ...]
    strengths: tuple[float, ...]
    random_strengths: tuple[float, ...]
    draw_auroc: tuple[float, ...]
    random_draw_auroc: tuple[float, ...]
    comparison: Comparison


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs: among the evaluated and among the training records."""

    positives: int
    prevalence: float
    train_positives: int


@dataclass(frozen=True)
class Example:
    """A record to look at: why it was picked, its zero-shot score, and its rank among the evaluated records (1: highest)."""

    kind: str
    class_name: str
    auroc: float
    row: int
    score: float
    rank: int


@dataclass(frozen=True)
class Results:
    """One task, evaluated.

    Attributes:
        task: the task as it was asked, prompts included.
        splits, records, patients, train_records: what was evaluated and what probes could draw from.
        counts: by class, those left out included; `left_out`: classes without figures, with the reason.
        headline: the zero-shot scoring to quote first: the task's choice, "similarity" where its prompts are missing; None where
            there is no zero-shot.
        zero_shot: by scoring, empty for a model that never learned to compare ECGs with texts; probes: by rising fraction,
            empty where no probe was asked for.
        examples: records for the report.
    """

    name: str
    task: dict[str, Any]
    store: dict[str, Any]
    model: str
    control: str
    splits: tuple[str, ...]
    records: int
    patients: int
    train_records: int
    counts: dict[str, ClassCount]
    left_out: dict[str, str]
    headline: str | None
    zero_shot: dict[str, Comparison]
    probes: tuple[ProbeResult, ...]
    bootstrap: int
    seed: int
    version: str
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = field(default=(), metadata=NOT_WRITTEN)

    @property
    def best_zero_shot(self) -> Comparison | None:
        """The headline scoring's figures; None where there is no zero-shot."""
        return None if self.headline is None else self.zero_shot[self.headline]

    @property
    def figures(self) -> dict[str, Comparison]:
        """The headline zero-shot scoring's and every probe's, by the way of measuring in words."""
        shot = {} if self.best_zero_shot is None else {"zero-shot": self.best_zero_shot}
        return shot | {f"probe {100 * probe.fraction:g} %": probe.comparison for probe in self.probes}


def class_counts(names: Iterable[str], tested: Truth, training: Truth) -> dict[str, ClassCount]:
    """By class how often it occurs among the evaluated and the training records, whose truth is [n, C] and [m, C]."""
    return {
        str(name): ClassCount(int(own.sum()), float(own.sum() / len(own)), int(learned.sum()))
        for name, own, learned in zip(names, tested.T, training.T, strict=True)
    }


def why_without_figures(names: Iterable[str], tested: Truth, learned: NDArray[np.bool_], unlearned: str) -> dict[str, str]:
    """Why classes have no figures, by name: tested [n, C] is the truth of the evaluated records.

    Args:
        learned: [C] which classes could be learned; `unlearned` is what is said of the others.
    """
    reasons = {}
    for name, truth, known in zip(names, tested.T, learned, strict=True):
        if truth.all() or not truth.any():
            reasons[str(name)] = "every evaluated record is positive" if truth.any() else "no evaluated record is positive"
        elif not known:
            reasons[str(name)] = unlearned
    return reasons


def envelope(results: list[Results]) -> dict[str, Any]:
    """The content of results.json: format, version, and one entry a task under its name."""
    return {"format": FORMAT, "version": FORMAT_VERSION, "results": {r.name: plain(r) for r in results}}


def plain(value: Any) -> Any:
    """Dataclasses, dictionaries, lists and numbers as JSON takes them; what is not finite becomes null.

    Fields that are `NOT_WRITTEN` are left out.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        written = [field.name for field in dataclasses.fields(value) if field.metadata.get("written", True)]
        return {name: plain(getattr(value, name)) for name in written}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
