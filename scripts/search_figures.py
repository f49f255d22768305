"""How often the ten ECGs most like one have a diagnosis of it: test records of a store search its training records.

python scripts/search_figures.py INDEX [TASK [CONTROL]]     # CONTROL: one of the same store by other weights, say random

Chance is what ten records drawn at random would reach. Intervals: 95 %, of 1,000 bootstrap replicates of the searching patients.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import CMeltError, StoreError
from cmelt.evaluation.embedder import patients_of
from cmelt.evaluation.metrics import figure, patient_weights
from cmelt.evaluation.protocol import members_of, truth_of
from cmelt.evaluation.tasks import load_task
from cmelt.serving.search_index import SearchIndex, open_index
from cmelt.store import open_store

NEAREST, REPLICATES, SEED = 10, 1000, 0


def main(folder: str, task_name: str = "ptbxl-super", control: str | None = None) -> None:
    """Print the shares with their intervals. Raises StoreError or ConfigError where one of them is missing."""
    index = open_index(folder)
    store, task = open_store(index.facts.store_path), load_task(task_name)
    searching, archive = (members_of(store, task, store.rows(split)) for split in ("test", "train"))
    if not len(searching) or len(archive) < NEAREST:
        raise StoreError(store.path, "has too few labelled records in its splits train and test", "take another store or task")
    truth, others = (truth_of(store, task, rows).astype(bool) for rows in (searching, archive))
    positive = truth.any(axis=1)
    searching, truth = searching[positive], truth[positive]
    shares = {"model": shares_of(index, searching, archive, truth, others)}
    if control is not None:
        shares["control"] = shares_of(open_index(control), searching, archive, truth, others)
    shares["chance"] = ((truth.astype(np.float32) @ others.T.astype(np.float32)) > 0).mean(axis=1)
    weights = patient_weights(patients_of(store.index, searching), REPLICATES, np.random.default_rng(SEED)).astype(np.float64)
    for name, share in {**shares, **{f"model − {name}": shares["model"] - shares[name] for name in list(shares)[1:]}}.items():
        told = figure(float(share.mean()), weights @ share / weights.sum(axis=1))
        sys.stdout.write(f"{name:<18}{told.text()}\n")
    sys.stdout.write(f"{len(searching)} records searched {len(archive)}\n")


def shares_of(
    index: SearchIndex,
    searching: NDArray[np.int64],
    archive: NDArray[np.int64],
    truth: NDArray[np.bool_],
    others: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Of each searching row of the store the share [n] of its nearest in `archive` that have a class of its own."""
    place = np.argsort(index.records["row"].to_numpy())  # row of the store → row of the index
    found = index.vectors.search(index.vectors.take(place[searching]), NEAREST, among=place[archive]).rows
    back = np.full(len(index), -1)
    back[place[archive]] = np.arange(len(archive))
    return np.asarray((truth[:, None, :] & others[back[found]]).any(axis=2).mean(axis=1))


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(str(__doc__))
    try:
        main(*sys.argv[1:])
    except CMeltError as error:
        sys.exit(f"search_figures: {error}")
