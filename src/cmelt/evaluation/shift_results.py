"""What a test in another hospital found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.results import NOT_WRITTEN, ClassCount, Comparison


@dataclass(frozen=True)
class SourceRecords:
    """Where the head comes from: SHA-256 of the store, how many records it learned from and was tested on at home, and why others
    were not learned from (reason → records)."""

    store: str
    train_records: int
    home_records: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class TargetRecords:
    """Where it is asked: SHA-256 of the store, which part ("" all of it) and splits, how many records and patients, and why
    others were not asked (reason → records)."""

    store: str
    part: str
    splits: tuple[str, ...]
    records: int
    patients: int
    left_out: dict[str, int]


@dataclass(frozen=True)
class ShiftResults:
    """A head learned on the training records of the source, tested on the target.

    Attributes:
        name, task: the task, as it was asked.
        model, control: SHA-256 of the weights, the random control with its seed.
        counts, left_out: by class, those without figures included (positives of the target, train_positives of the source); and
            why these have none.
        head: the head on the target. Its decisions use the thresholds of its home.
        at_home: the head on the source's own validation and test records, over the classes frequent enough there too; null
            where there are none.
        drop: macro AUROC at home minus on the target, over the classes of `at_home`; the patients of the two are drawn
            independently.
        zero_shot: by scoring, the same records and classes without any label; `headline` is the one to quote. Empty, and None,
            for a model that never learned to compare ECGs with texts.
        strength, random_strength: the chosen C of the model's and of the random encoder's head.
        per_record: arrays over the target's records, for paired comparisons: `rows`, `patients`, and `truth`, `head`,
            `random_head` and each zero-shot scoring, [n, C] in the order of `classes`.
    """

    name: str
    task: dict[str, Any]
    source: SourceRecords
    target: TargetRecords
    model: str
    control: str
    counts: dict[str, ClassCount]
    left_out: dict[str, str]
    head: Comparison
    at_home: Comparison | None
    drop: Figure | None
    zero_shot: dict[str, Comparison]
    headline: str | None
    strength: float
    random_strength: float
    bootstrap: int
    seed: int
    version: str
    notes: tuple[str, ...] = ()
    per_record: Mapping[str, NDArray[Any]] = field(default_factory=dict, compare=False, repr=False, metadata=NOT_WRITTEN)

    @property
    def classes(self) -> tuple[str, ...]:
        """Those with figures, in the order of the tables."""
        return tuple(self.head.model.classes)

    @property
    def best_zero_shot(self) -> Comparison | None:
        """The headline scoring's figures; None where there is no zero-shot."""
        return None if self.headline is None else self.zero_shot[self.headline]
