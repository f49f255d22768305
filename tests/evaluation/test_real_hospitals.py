"""Retrieval, identification and another hospital on real ECGs: what is known beforehand must come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.evaluation.identification import evaluate_identification
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.retrieval import evaluate_retrieval
from cmelt.evaluation.shift import evaluate_shift
from cmelt.evaluation.tasks import load_task
from cmelt.store import open_store
from cmelt.store.prepare import prepare_store
from cmelt.store.shard import ShardSettings

from .test_real_store import Blind, Spectra

pytestmark = pytest.mark.slow
PROTOCOL = Protocol((), bootstrap=200)
SETTINGS = ShardSettings(100.0, 10.0, "first", "k")


class Few(Spectra):
    """Twenty directions of the spectra: enough to know a heart, and a head on them is fitted in seconds."""

    def embed_ecgs(self, millivolts):
        wide = super().embed_ecgs(millivolts)
        few = wide @ np.random.default_rng(0).normal(size=(wide.shape[1], 20))
        return (few / np.linalg.norm(few, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts):
        return np.ones((len(texts), 20), np.float32) / np.sqrt(20)


class FewBlind(Blind):
    def embed_texts(self, texts):
        return np.ones((len(texts), 2), np.float32) / np.sqrt(2)


@pytest.fixture(scope="module")
def ptb_xl(data_dir, tmp_path_factory):
    from cmelt.sources.ptb_xl import PtbXl

    path = tmp_path_factory.mktemp("ptb-xl") / "store"
    prepare_store(PtbXl(str(data_dir / "ptb-xl"), 100.0), path, SETTINGS, workers=1)
    return open_store(path)


@pytest.fixture(scope="module")
def challenge(data_dir, tmp_path_factory):
    from cmelt.sources.cinc2021 import Cinc2021

    path = tmp_path_factory.mktemp("challenge") / "store"
    prepare_store(Cinc2021(str(data_dir / "challenge-2021"), 100.0), path, SETTINGS, workers=1)
    return open_store(path)


def test_a_spectrum_knows_its_patient(ptb_xl):
    found = evaluate_identification(Few(), FewBlind(), ptb_xl, replace(PROTOCOL, splits=("train", "validation", "test")))
    index = ptb_xl.index["patient"]
    assert found.patients <= (index.value_counts() > 1).sum()
    assert found.accuracy.model.within["5"].low > 3 * found.accuracy.chance.within["5"].value
    assert found.accuracy.random.within["5"].low <= found.accuracy.chance.within["5"].value + 0.05


def test_a_model_without_texts_retrieves_as_chance_does(ptb_xl):
    # All its texts are one vector: each ECG finds every report alike.
    result = evaluate_retrieval(Few(), FewBlind(), ptb_xl, PROTOCOL).ecg_to_report
    for k, share in result.model.within.items():
        assert share.value == pytest.approx(result.chance.within[k].value)
        assert share.value == pytest.approx(int(k) / result.candidates)


def test_a_head_from_ptb_xl_reads_ecgs_of_other_hospitals_and_never_its_own(ptb_xl, challenge):
    found = evaluate_shift(Few(), FewBlind(), ptb_xl, challenge, load_task("shift"), PROTOCOL)
    asked = challenge.index["record"].to_numpy()[found.per_record["rows"]]
    assert not any(record.startswith("HR") for record in asked)
    assert found.target.left_out["of ptb-xl, which is on both sides"] == sum(
        record.startswith("HR") for record in challenge.index["record"]
    )
    assert found.head.model.macro_auroc.low > 0.55
    assert found.head.random.macro_auroc.low < 0.5 < found.head.random.macro_auroc.high
    assert found.at_home.model.macro_auroc.value > found.head.model.macro_auroc.value
    assert {"sinus tachycardia", "sinus bradycardia"} <= set(found.classes)


def test_ptb_xl_asked_of_a_head_from_the_challenge_keeps_all_its_records(ptb_xl, challenge):
    found = evaluate_shift(Few(), FewBlind(), challenge, ptb_xl, load_task("shift"), PROTOCOL)
    assert found.source.left_out["of ptb-xl, which is on both sides"] > 30
    assert found.target.records == len(ptb_xl)
    assert found.target.left_out == {}
