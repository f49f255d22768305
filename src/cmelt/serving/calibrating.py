"""Fitting a calibration: on validation records alone, the kind of curve chosen by cross-validation over patients."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import CheckpointError, StoreError
from cmelt.evaluation import zero_shot
from cmelt.evaluation.calibration import fit_platt
from cmelt.evaluation.contamination import unseen
from cmelt.evaluation.embedder import Progress, check_aligned, check_fit, embed_rows, patients_of
from cmelt.evaluation.metrics import evaluable
from cmelt.evaluation.protocol import members_of, truth_of
from cmelt.publishing import MANIFEST, published, verify
from cmelt.serving.confidence import CALIBRATION, Calibration, ClassCalibration, Curve, question_of
from cmelt.serving.unusual import fit_familiar

if TYPE_CHECKING:
    from cmelt.evaluation.embedder import Embedder, EvaluationStore
    from cmelt.evaluation.tasks import Task

SPLIT = "validation"
#: Patients with the class, and patients without it, that a curve takes at least: each of five folds then has two of them.
LEAST_PATIENTS = 10
FOLDS = 5
#: Knots of a curve.
KNOTS = 65
_DECIMALS = 5

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]
#: Scores and truth [n] → a function from scores [m] to probabilities [m].
Fit = Callable[[Scores, Truth], Callable[[Scores], Scores]]


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn: replicates of the patient bootstrap, and the seed of these and of folds."""

    bootstrap: int = 200
    seed: int = 0


def calibrate(
    embedder: Embedder,
    store: EvaluationStore,
    tasks: Sequence[Task],
    draws: Draws = Draws(),
    *,
    leave_out_known: bool = False,
    progress: Progress | None = None,
) -> Calibration:
    """Fit every class of `tasks` in its headline scoring on the store's validation records.

    Args:
        embedder: the model, with the weights' hash as its identity.
        leave_out_known: leave out validation records that training has seen, which are refused otherwise.
        progress: told of records embedded.
    Raises:
        StoreError: the store does not fit the model, has too few validation records, or such as training has seen.
        ConfigError: a model that never learned to compare ECGs with texts.
    """
    check_fit(embedder, store)
    check_aligned(embedder, "calibration")
    rows = store.rows(SPLIT)
    if len(rows) == 0:
        raise StoreError("store", f"no record in {SPLIT}", "calibrate on a store that has this split")
    rows = np.sort(unseen(store, rows, embedder.seen, leave_out_known))
    vectors = embed_rows(embedder, store, rows, progress=progress)
    patients = patients_of(store.index, rows)
    classes: list[ClassCalibration] = []
    for task in tasks:
        members = members_of(store, task, rows)
        if len(members) == 0:
            raise StoreError("store", f"no validation record of task {task.name}", "calibrate for a task whose labels it has")
        place = np.searchsorted(rows, members)
        found = zero_shot.scores(vectors[place], zero_shot.embed_prompts(embedder, task))
        scoring, truth = zero_shot.headline_of(task, found), truth_of(store, task, members)
        for column, (name, asked) in enumerate(task.classes.items()):
            fitted = fit_class(found[scoring][:, column], truth[:, column], patients[place], draws)
            classes.append(ClassCalibration(task.name, name, question_of(asked, scoring), **fitted))
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    familiar = fit_familiar(vectors, patients, draws.seed)
    return Calibration(embedder.identity, store.sha256, SPLIT, day, draws.bootstrap, draws.seed, familiar, tuple(classes))


def fit_class(scores: Scores, truth: Truth, patients: NDArray[np.int64], draws: Draws) -> dict[str, Any]:
    """What `ClassCalibration` says of one class, of scores, truth and patients [n]: which kind of curve, why, and the curve."""
    own = len(np.unique(patients[truth]))
    said = {
        "records": len(truth),
        "positives": int(truth.sum()),
        "patients": len(np.unique(patients)),
        "positive_patients": own,
    }
    others = len(np.unique(patients[~truth]))
    if min(own, others) < LEAST_PATIENTS:
        few = f"{own} patients with it" if own < others else f"{others} patients without it"
        return {**said, "kind": "none", "why_none": f"{few} among the validation records, {LEAST_PATIENTS} are needed"}
    loss = {kind: round(cross_validated(fit, scores, truth, patients, draws.seed), _DECIMALS) for kind, fit in KINDS.items()}
    kind = min(loss, key=lambda one: loss[one])
    if kind == "prevalence":
        return {**said, "kind": "none", "loss": loss, "why_none": "its score tells no more than how frequent the class is"}
    return {**said, "kind": kind, "loss": loss, "curve": _curve(KINDS[kind], scores, truth, patients, draws)}


def cross_validated(fit: Fit, scores: Scores, truth: Truth, patients: NDArray[np.int64], seed: int) -> float:
    """Mean log loss of records by curves that have seen none of their patients; inputs [n]."""
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedGroupKFold

    found = np.zeros(len(scores))
    for learned, asked in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(scores, truth, patients):
        found[asked] = fit(scores[learned], truth[learned])(scores[asked])
    return float(log_loss(truth, found, labels=[False, True]))


def keep(folder: Path, calibration: Calibration) -> Path:
    """Publish the model's folder anew with the calibration in it, under the folder's seal; the file's path.

    Raises CheckpointError for a damaged folder, or one of other weights.
    """
    manifest = verify(folder, CheckpointError)
    if manifest["files"]["model.safetensors"]["sha256"] != calibration.weights:
        raise CheckpointError(folder, "holds other weights than were calibrated", "calibrate these")
    if folder.is_symlink() or any(path.is_symlink() for path in folder.iterdir()):
        raise CheckpointError(folder, "holds links, as a hub's cache does", "copy the model to a folder of its own first")
    details = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
    with published(folder, details, replace=True) as staging:
        shutil.copytree(folder, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST, CALIBRATION))
        (staging / CALIBRATION).write_text(calibration.to_json(), encoding="utf-8")
    return folder / CALIBRATION


def _curve(fit: Fit, scores: Scores, truth: Truth, patients: NDArray[np.int64], draws: Draws) -> Curve:
    """The curve of all records, between the curves of 95 % of the draws of their patients."""
    at: Scores = np.unique(np.round(np.linspace(scores.min(), scores.max(), KNOTS), 6)).astype(np.float64)
    names, member = np.unique(patients, return_inverse=True)
    records = [np.flatnonzero(member == patient) for patient in range(len(names))]
    rng = np.random.default_rng(draws.seed)
    found: list[Scores] = []
    while len(found) < draws.bootstrap:
        drawn = np.concatenate([records[patient] for patient in rng.integers(len(names), size=len(names))])
        if evaluable(truth[drawn, None])[0]:
            found.append(fit(scores[drawn], truth[drawn])(at))
    middle = fit(scores, truth)(at)
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    values = (at, middle, np.minimum(low, middle), np.maximum(high, middle))
    return Curve(*(tuple(np.round(one, _DECIMALS + 1).tolist()) for one in values))


def _prevalence(_scores: Scores, truth: Truth) -> Callable[[Scores], Scores]:
    share = (truth.sum() + 1) / (len(truth) + 2)
    return lambda scores: np.full(len(scores), share)


def _platt(scores: Scores, truth: Truth) -> Callable[[Scores], Scores]:
    found = fit_platt(scores[:, None], truth[:, None])
    # A score that falls where the class is more frequent would turn the ranking round: it says nothing then.
    return _prevalence(scores, truth) if found.slope[0] <= 0 else lambda asked: found.probabilities(asked[:, None])[:, 0]


def _isotonic(scores: Scores, truth: Truth) -> Callable[[Scores], Scores]:
    from sklearn.isotonic import IsotonicRegression

    # Bounds as Platt's targets: no class of a few records gets probabilities of 0 and 1.
    positives, count = int(truth.sum()), len(truth)
    bounds = {"y_min": 1 / (count - positives + 2), "y_max": (positives + 1) / (positives + 2)}
    found = IsotonicRegression(out_of_bounds="clip", **bounds).fit(scores, truth.astype(np.float64))
    return lambda asked: np.asarray(found.predict(asked), np.float64)


#: Kinds of curve; "prevalence", which looks at no score, is what the others have to beat: of equals the first is taken.
KINDS: dict[str, Fit] = {"prevalence": _prevalence, "platt": _platt, "isotonic": _isotonic}
