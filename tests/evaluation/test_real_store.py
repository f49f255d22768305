"""Evaluation on a prepared store, not a planted one: the two rooms agree on what a store is."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.report import write_report
from cmelt.evaluation.tasks import load_task, tasks_in
from cmelt.records.record import LEADS
from cmelt.sources.simulated import Simulated
from cmelt.store import open_store
from cmelt.store.prepare import prepare_store
from cmelt.store.shard import ShardSettings


class RateReader:
    """Knows one thing, the heart rate, from the number of steep places in V2; texts know it by the words fast and slow."""

    rate, samples, leads, identity = 100.0, 1000, LEADS, "rate reader"
    seen: tuple[str, ...] = ()
    negative_weight: float = 1.0
    aligned: bool = True

    def embed_ecgs(self, millivolts):
        slope = np.abs(np.diff(millivolts[:, 1:8].mean(axis=1), axis=1))
        steep = slope > 0.5 * np.percentile(slope, 99, axis=1, keepdims=True)
        beats = (np.diff(steep.astype(int), axis=1) == 1).sum(axis=1)
        angle = np.clip(beats / 40.0, 0, 1) * np.pi / 2
        return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)

    def embed_texts(self, texts):
        return np.array([[1.0, 0.0] if "fast" in t else [0.0, 1.0] if "slow" in t else [0.7, 0.7] for t in texts], np.float32)


class Blind(RateReader):
    identity = "blind"

    def embed_ecgs(self, millivolts):
        return np.random.default_rng(len(millivolts)).normal(size=(len(millivolts), 2)).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "store"
    prepare_store(Simulated(300, seed=1), path, ShardSettings(100.0, 10.0, "first", "cmelt"), workers=1)
    return open_store(path)


def test_a_prepared_simulated_store_is_evaluated_and_reported(store, tmp_path):
    assert [task.name for task in tasks_in(store.index["labels"].tolist())] == ["simulated"]
    protocol = Protocol(fractions=(1.0,), bootstrap=50)
    found = evaluate_tasks(RateReader(), Blind(), store, [load_task("simulated")], protocol)[0]
    assert found.store["sha256"] == store.sha256
    assert found.records == len(store.rows("validation", "test"))
    assert found.records + found.train_records == len(store)
    classes = found.zero_shot["contrast"].model.classes
    assert classes["sinus-tachycardia"].auroc.value > 0.8  # the one thing that this model reads
    html = write_report([found], tmp_path / "report", store=store).read_text(encoding="utf-8")
    assert html.count('class="ecg"') == 3


def test_splits_of_a_prepared_store_share_no_patient(store):
    from cmelt.evaluation.contamination import overlap_with_training

    assert overlap_with_training(store, store.rows("validation", "test")).records == 0


class Spectra(RateReader):
    """Amplitude spectra of the twelve leads: what a probe can read from real ECGs without any learning."""

    identity = "spectra"

    def embed_ecgs(self, millivolts):
        spectra = np.abs(np.fft.rfft(millivolts, axis=2))[:, :, :200].reshape(len(millivolts), 12, 50, 4).mean(axis=3)
        levels = np.percentile(millivolts, [1, 50, 99], axis=2).transpose(1, 0, 2)
        features = np.concatenate([np.log1p(spectra).reshape(len(spectra), -1), 3 * levels.reshape(len(spectra), -1)], axis=1)
        return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts):
        return np.random.default_rng(len(texts)).normal(size=(len(texts), 636)).astype(np.float32)


@pytest.mark.slow
def test_more_labels_make_a_better_probe_on_real_ecgs(data_dir, tmp_path):
    from cmelt.sources.ptb_xl import PtbXl

    prepare_store(PtbXl(str(data_dir / "ptb-xl"), 100.0), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "k"), workers=1)
    store = open_store(tmp_path / "store")
    found = evaluate_tasks(Spectra(), Blind(), store, [load_task("ptbxl-super")], Protocol(bootstrap=200))[0]
    areas = [probe.comparison.model.macro_auroc for probe in found.probes]
    assert areas[0].value < areas[1].value < areas[2].value
    assert areas[2].low > 0.75
    assert found.probes[2].comparison.random.macro_auroc.low < 0.5 < found.probes[2].comparison.random.macro_auroc.high
    assert sum(c.positives for c in found.counts.values()) > found.records > 450
