"""What fine-tuning found: frozen dataclasses that become results.json, and the classifier that is handed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.results import NOT_WRITTEN, ClassCount, Comparison, plain

if TYPE_CHECKING:
    from cmelt.config.settings import ModelSettings
    from cmelt.model.ecg_classifier import EcgClassifier

#: Of the layout of a fine-tuning's results.json; counts up when a key comes, goes or changes its meaning.
FORMAT, FORMAT_VERSION = "cmelt-fine-tuning", 1


@dataclass(frozen=True)
class LeadResult:
    """One lead set at one share of the labels.

    Attributes:
        leads, lead_names: how many leads the networks saw, and which; the others were zero in training and test.
        fraction, records: the share, and how many records that is.
        seeds: of each training; draw_auroc: macro AUROC of each, by "model", "random" and "supervised".
        comparison: figures, means over trainings.
        cost: macro AUROC of the model with 12 leads minus that with these, paired; None for 12, or where 12 was not run.
    """

    leads: int
    lead_names: tuple[str, ...]
    fraction: float
    records: int
    seeds: tuple[int, ...]
    draw_auroc: dict[str, tuple[float, ...]]
    comparison: Comparison
    cost: Figure | None = None


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network with all that its use needs; `thresholds` are probabilities, None for a class without one."""

    network: EcgClassifier
    leads: tuple[str, ...]
    classes: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    window: int
    settings: ModelSettings
    seen: tuple[str, ...]


@dataclass(frozen=True)
class FineTuneResults:
    """One task, fine-tuned; fields that `Results` has too mean the same.

    Attributes:
        settings: how every network was trained.
        lines: by falling number of leads, then rising share.
        rows, truth, scores: of the evaluated records: rows of the store [n], truth [n, C], and log-odds [trainings, n, C] by
            "12 leads, 1, model" and so on.
        classifier: the network with the most leads and labels (its first training).
    """

    name: str
    task: dict[str, Any]
    store: dict[str, Any]
    model: str
    splits: tuple[str, ...]
    records: int
    patients: int
    train_records: int
    counts: dict[str, ClassCount]
    left_out: dict[str, str]
    settings: dict[str, Any]
    lines: tuple[LeadResult, ...]
    bootstrap: int
    seed: int
    version: str
    notes: tuple[str, ...] = ()
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), compare=False, metadata=NOT_WRITTEN)
    truth: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool), compare=False, metadata=NOT_WRITTEN)
    scores: dict[str, NDArray[np.float64]] = field(default_factory=dict, compare=False, metadata=NOT_WRITTEN)
    classifier: FineTuned | None = field(default=None, compare=False, metadata=NOT_WRITTEN)

    def line(self, leads: int, fraction: float = 1.0) -> LeadResult:
        """The result of so many leads at a share. Raises KeyError where it was not run."""
        for line in self.lines:
            if (line.leads, line.fraction) == (leads, fraction):
                return line
        raise KeyError(f"{leads} leads at {fraction:g}")

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; a figure that does not exist is null."""
        return {"format": FORMAT, "format_version": FORMAT_VERSION, **plain(self)}
