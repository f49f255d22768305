"""What a measurement leaves record by record, so that any two models can be compared on the same records afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import CheckpointError
from cmelt.evaluation import metrics
from cmelt.publishing import published, verify

FORMAT = "cmelt-study-figures"
FIGURES, SCORES = "figures.json", "scores.npz"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Scores:
    """Scores of n records for C classes, from K draws of whatever was drawn.

    Attributes:
        classes: their names, [C].
        rows: [n] of the store, ascending.
        patients: [n] integers, equal where the patient is, whichever records of the store are measured.
        split: [n] places in SPLITS; −1 for none.
        truth: [n, C].
        scores: [K, n, C]; log-odds where `log_odds`, else of any unit.
    """

    classes: tuple[str, ...]
    rows: NDArray[np.int64]
    patients: NDArray[np.int64]
    split: NDArray[np.int64]
    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]
    log_odds: bool = False

    def at(self, rows: NDArray[np.int64]) -> Scores:
        """The same of some of the rows."""
        kept = np.isin(self.rows, rows)
        return replace(
            self, rows=self.rows[kept], patients=self.patients[kept], split=self.split[kept], truth=self.truth[kept],
            scores=self.scores[:, kept],
        )  # fmt: skip


@dataclass(frozen=True)
class Hits:
    """Whether each of n records was found, named, recognised; or any other quantity of which the mean is the figure.

    Attributes:
        names: of the M quantities.
        rows, patients: as of `Scores`.
        values: [K, n, M]; NaN where a record was not asked.
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    patients: NDArray[np.int64]
    values: NDArray[np.float64]

    def at(self, rows: NDArray[np.int64]) -> Hits:
        """The same of some of the rows."""
        kept = np.isin(self.rows, rows)
        return replace(self, rows=self.rows[kept], patients=self.patients[kept], values=self.values[:, kept])


Outcome = Scores | Hits


def figures_of(outcome: Outcome) -> dict[str, float]:
    """The plain figures of one outcome, averaged over its draws; a class without positives or negatives has none."""
    if isinstance(outcome, Hits):
        means = np.nanmean(outcome.values, axis=(0, 1))
        return {name: float(value) for name, value in zip(outcome.names, means, strict=True)}
    kept = np.flatnonzero(metrics.evaluable(outcome.truth))
    areas = {
        outcome.classes[c]: float(np.mean([metrics.auroc(scores[:, c], outcome.truth[:, c]) for scores in outcome.scores]))
        for c in kept
    }
    return {"macro AUROC": float(np.mean(list(areas.values()))), **{f"AUROC {name}": area for name, area in areas.items()}}


def publish(outcome: Outcome, folder: Path, about: dict[str, Any], seconds: float) -> None:
    """Write an outcome as a folder: the figures to be read, and the scores to be compared."""
    kind = "hits" if isinstance(outcome, Hits) else "scores"
    content = {"format": FORMAT, "version": 1, "kind": kind, **about, "seconds": round(seconds, 2)}
    with published(folder, {"kind": "cmelt study measurement"}, replace=True) as staging:
        (staging / FIGURES).write_text(json.dumps({**content, "figures": figures_of(outcome)}, indent=1, ensure_ascii=False))
        np.savez_compressed(staging / SCORES, allow_pickle=False, **_arrays(outcome))


def read(folder: Path) -> Outcome:
    """An outcome that was published. Raises CheckpointError naming a file that is missing or altered."""
    verify(folder, CheckpointError)
    kind = read_figures(folder)["kind"]
    with np.load(folder / SCORES, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    names = tuple(arrays.pop("names").tolist())
    if kind == "hits":
        return Hits(names, **arrays)
    return Scores(names, log_odds=bool(arrays.pop("log_odds")), **arrays)


def read_figures(folder: Path) -> dict[str, Any]:
    """What the figures' file says. Raises CheckpointError where it is not ours."""
    try:
        content: dict[str, Any] = json.loads((folder / FIGURES).read_text())
    except (OSError, ValueError):
        content = {}
    if content.get("format") != FORMAT:
        raise CheckpointError(folder / FIGURES, "is not the figures of a measurement", "delete the folder: it is made again")
    return content


def _arrays(outcome: Outcome) -> dict[str, NDArray[Any]]:
    if isinstance(outcome, Hits):
        names = np.array(outcome.names)
        return {"names": names, "rows": outcome.rows, "patients": outcome.patients, "values": outcome.values}
    return {
        "names": np.array(outcome.classes), "rows": outcome.rows, "patients": outcome.patients, "split": outcome.split,
        "truth": outcome.truth, "scores": outcome.scores, "log_odds": np.array(outcome.log_odds),
    }  # fmt: skip
