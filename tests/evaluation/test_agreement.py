"""What another way of computing costs: the difference of two plain evaluations; and that of the bundled model's precisions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import cmelt
from cmelt.checkpoints.finding import bundled_models
from cmelt.errors import StoreError
from cmelt.evaluation import zero_shot
from cmelt.evaluation.agreement import embedded_by, zero_shot_differences
from cmelt.evaluation.tasks import load_task
from cmelt.serving.engine import embedder_of
from cmelt.store import ShardSettings, open_store, prepare_store

MOST = 0.002


def test_a_difference_is_that_of_two_plain_macro_aurocs(store, embedder, task):
    rows = np.arange(len(store.index))
    vectors = embedded_by({"plain": embedder}, store, rows)["plain"]
    worse = vectors + np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    found = zero_shot_differences({"plain": vectors, "worse": worse, "same": vectors}, embedder, store, rows, task, 200)
    prompts, truth = zero_shot.embed_prompts(embedder, task), task.truth(store.index["labels"].tolist())

    def macro(of):
        scores = zero_shot.scores(of, prompts)
        chosen = scores[zero_shot.headline_of(task, scores)]
        return np.mean([roc_auc_score(truth[:, c], chosen[:, c]) for c in range(truth.shape[1]) if 0 < truth[:, c].mean() < 1])

    assert found["worse"].value == pytest.approx(macro(worse) - macro(vectors), abs=1e-12)
    assert found["worse"].low <= found["worse"].value <= found["worse"].high < 0
    assert (found["same"].value, found["same"].low, found["same"].high) == (0, 0, 0)


def test_records_that_tell_no_class_from_another_are_refused(store, embedder, task):
    rows = np.arange(1)
    vectors = embedded_by({"plain": embedder}, store, rows)
    with pytest.raises(StoreError, match="no class of task"):
        zero_shot_differences(vectors, embedder, store, rows, replace(task, name="alone"))


@pytest.mark.slow
@pytest.mark.skipif("small" not in bundled_models(), reason="no model is bundled in this checkout")
def test_lower_precision_costs_the_bundled_model_less_than_it_may(data_dir: Path, tmp_path):
    from cmelt.sources.ptb_xl import PtbXl

    prepare_store(PtbXl(str(data_dir / "ptb-xl")), tmp_path / "ptbxl", ShardSettings(100.0, 10.0, "first", "key"))
    store = open_store(tmp_path / "ptbxl")
    loaded = {precision: cmelt.load("small", device="cpu", precision=precision) for precision in ("float32", "bfloat16", "int8")}
    ways = {precision: embedder_of(*found) for precision, found in loaded.items()}
    rows = store.rows("validation", "test")
    embedded = embedded_by(ways, store, rows)
    for task in ("ptbxl-super", "ptbxl-diagnoses"):
        for precision, cost in zero_shot_differences(embedded, ways["float32"], store, rows, load_task(task)).items():
            assert max(abs(cost.low), abs(cost.high)) < MOST, (task, precision)
