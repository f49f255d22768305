"""Are the probabilities true on records that nothing was fitted on? Expected calibration error of the test split, per task.

python scripts/confidence_figures.py src/cmelt/weights/small STORE --task ptbxl-super

Four ways to a probability, on the same test records and classes (those that the calibration has a curve for):
  softmax     of the cosines to the class's own and to its negative prompts at the model's own temperature: without a calibration
  calibrated  by the curves beside the weights
  prevalence  of the class among the validation records, whatever the ECG: true on average, and of no use
  chance      what the calibrated ones would show if they were exactly true: so few records are never without an error
Intervals are those of a bootstrap over patients, which all ways share.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from cmelt.checkpoints import load_embedder, load_model
from cmelt.checkpoints.finding import find_model
from cmelt.errors import CMeltError, StoreError
from cmelt.evaluation import zero_shot
from cmelt.evaluation.calibration import calibrated_ece, centred, weighted_ece
from cmelt.evaluation.embedder import embed_rows, patients_of
from cmelt.evaluation.logistic import sigmoid
from cmelt.evaluation.metrics import dense, figure, patient_weights
from cmelt.evaluation.protocol import members_of, truth_of
from cmelt.evaluation.tasks import load_task
from cmelt.records.flag_words import DOUBTFUL
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record
from cmelt.serving.confidence import Calibration, read_calibration
from cmelt.store import open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cmelt.evaluation.tasks import Task
    from cmelt.store import Store

#: ECGs that are none, and what is made of real ones, for `unlike`.
RECORDS = 40


def main() -> int:
    """Read the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="calibrated by cmelt calibrate")
    parser.add_argument("store")
    parser.add_argument("--task", action="append", required=True)
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        found = figures_of(chosen.model, chosen.store, chosen.task, chosen.bootstrap, chosen.seed)
    except CMeltError as error:
        sys.stderr.write(f"confidence_figures: {error}\n")
        return 1
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


def figures_of(model: str, data: str, tasks: list[str], bootstrap: int, seed: int) -> dict[str, Any]:
    """All figures of a model. Raises StoreError where it has no calibration."""
    store, embedder = open_store(data), load_embedder(model)
    calibration = read_calibration(find_model(model), embedder.identity)
    if calibration is None:
        raise StoreError(model, "has no calibration", "make one with cmelt calibrate")
    rows = store.rows("test")
    vectors = embed_rows(embedder, store, rows)
    temperature = float(load_model(model).contrast()[2].detach())
    found: dict[str, Any] = {"test_records": len(rows), "temperature_scale": temperature}
    for name in tasks:
        task = load_task(name)
        members = members_of(store, task, rows)
        own = vectors[np.searchsorted(rows, members)]
        scores = zero_shot.scores(own, zero_shot.embed_prompts(embedder, task))
        found[name] = errors_of(task, scores, calibration, temperature, store, members, bootstrap, seed)
    return {**found, "unlike": unlike_shares(embedder, calibration, store, vectors, seed)}


def errors_of(
    task: Task,
    scores: dict[str, NDArray[np.float64]],
    calibration: Calibration,
    temperature: float,
    store: Store,
    rows: NDArray[np.int64],
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    """Mean ECE and mean squared error (Brier) over the classes that have a curve."""
    scoring = zero_shot.headline_of(task, scores)
    known = {name: calibration.of(task, name, scoring) for name in task.classes}
    fitted = {name: (one, one.curve) for name, one in known.items() if one is not None and one.curve is not None}
    names = list(fitted)
    columns = [list(task.classes).index(name) for name in names]
    truth, values = truth_of(store, task, rows)[:, columns], scores[scoring][:, columns]
    ways = {
        "softmax": sigmoid(temperature * values),
        "calibrated": np.stack([curve.at(values[:, c])[0] for c, (_, curve) in enumerate(fitted.values())], axis=1),
        "prevalence": np.tile([one.positives / one.records for one, _ in fitted.values()], (len(rows), 1)),
    }
    rng = np.random.default_rng(seed)
    weights = patient_weights(dense(patients_of(store.index, rows)), bootstrap, rng)
    one_each = np.ones((1, len(rows)))
    found: dict[str, Any] = {"classes": names, "records": len(rows), "positives": truth.sum(axis=0).tolist()}
    for way, probabilities in ways.items():
        pairs = [(probabilities[:, c], truth[:, c]) for c in range(len(names))]
        ece = float(np.mean([weighted_ece(p, t, one_each)[0] for p, t in pairs]))
        spread = np.mean([weighted_ece(p, t, weights) for p, t in pairs], axis=0)
        wrong = ((probabilities - truth) ** 2).mean(axis=1)
        brier = figure(float(wrong.mean()), weights @ wrong / weights.sum(axis=1))
        found[way] = {"ece": centred(ece, spread).text(), "brier": brier.text()}
        found[way]["ece_by_class"] = [round(float(weighted_ece(p, t, one_each)[0]), 4) for p, t in pairs]
    sure = ways["calibrated"]
    found["chance"] = round(float(np.mean([calibrated_ece(sure[:, c], rng) for c in range(len(names))])), 4)
    return found


def unlike_shares(
    embedder: Any, calibration: Calibration, store: Store, vectors: NDArray[np.float32], seed: int
) -> dict[str, dict[str, float]]:
    """Shares that are called unlike the training data, and get no probability.

    Of test ECGs, of signals that are none, of altered validation ECGs.
    """
    rng = np.random.default_rng(seed)
    real = store.millivolts(store.rows("validation")[:RECORDS]).astype(np.float32)
    time = np.arange(real.shape[2]) / store.rate
    noise = rng.standard_normal(real.shape)
    tone = 2 * np.pi * rng.uniform(0.5, 8, (len(real), 1, 1)) * time
    height = rng.uniform(0.2, 1, (*real.shape[:2], 1))
    odd = {
        "white noise": 0.3 * noise,
        "random walk": 0.015 * np.cumsum(noise, axis=2),
        "sine": height * np.sin(tone),
        "square wave": height * np.sign(np.sin(tone)),
        "ECG in noise of 0.3 mV": real + 0.3 * noise,
        "ECG upside down": -real,
        "ECG backwards": real[:, :, ::-1],
        "leads in another order": real[:, rng.permutation(real.shape[1])],
    }
    found = {"test ECGs": _shares(calibration, vectors, store.millivolts(store.rows("test")), store.rate)}
    for name, signal in odd.items():
        altered = np.ascontiguousarray(signal, np.float32)
        found[name] = _shares(calibration, embedder.embed_ecgs(altered), altered, store.rate)
    return found


def _shares(
    calibration: Calibration, vectors: NDArray[np.float32], signals: NDArray[np.float32], rate: float
) -> dict[str, float]:
    """Of embeddings [n, D] and signals [n, L, T]: unlike the training data; doubtful by the recording's own checks; either."""
    unlike = calibration.familiar.unlike(vectors)
    kinds = [{flag.partition(":")[0] for flag in quality_flags(Record(one, rate, LEADS))} for one in signals]
    doubtful = np.array([not one.isdisjoint(DOUBTFUL) for one in kinds])
    shares = {"unlike": unlike, "doubtful": doubtful, "no probability": unlike | doubtful}
    return {name: round(float(share.mean()), 3) for name, share in shares.items()}


if __name__ == "__main__":
    sys.exit(main())
