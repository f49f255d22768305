"""How much of the negative prompts zero-shot scoring should take off: macro AUROC by weight, on records kept for choosing.

python scripts/negative_weight.py RUN STORE [TASK …]     # the store's validation and test splits: one without test folds
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from cmelt.checkpoints import load_embedder
from cmelt.errors import CMeltError
from cmelt.evaluation.embedder import embed_rows
from cmelt.evaluation.metrics import auroc, evaluable, mean_points
from cmelt.evaluation.protocol import members_of, truth_of
from cmelt.evaluation.tasks import load_task
from cmelt.evaluation.zero_shot import contrast, embed_prompts
from cmelt.store import open_store

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
TASKS = ("ptbxl-super", "ptbxl-diagnoses", "ptbxl-sub", "ptbxl-rhythm", "ptbxl-form")
LEAST_POSITIVES = 5


def main(run: str, place: str, names: list[str]) -> None:
    """Print a line a task, a column a weight; classes with fewer than LEAST_POSITIVES are left out.

    Raises CheckpointError, StoreError or ConfigError where the run, the store or a task is not there.
    """
    embedder, store = load_embedder(run), open_store(place)
    every = store.rows("validation", "test")
    vectors = embed_rows(embedder, store, every)
    sys.stdout.write(f"{'weight':<18}" + "".join(f"{weight:>8.2f}" for weight in WEIGHTS) + "\n")
    for name in names:
        task = load_task(name)
        rows = members_of(store, task, every)
        truth, ecgs, prompts = truth_of(store, task, rows), vectors[np.searchsorted(every, rows)], embed_prompts(embedder, task)
        kept = evaluable(truth) & (truth.sum(axis=0) >= LEAST_POSITIVES)
        scores = [contrast(ecgs, replace(prompts, negative_weight=weight))[:, kept] for weight in WEIGHTS]
        areas = [mean_points([one], truth[:, kept], auroc).mean() for one in scores]
        sys.stdout.write(f"{name:<18}" + "".join(f"{area:>8.3f}" for area in areas) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2], sys.argv[3:] or list(TASKS))
    except CMeltError as error:
        sys.exit(f"negative_weight: {error}")
