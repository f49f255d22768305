"""What embedding and classification promise: a record's result is its own, and a score is what its words say."""

from __future__ import annotations

import json

import numpy as np
import pytest

import cmelt
from cmelt.checkpoints import load_embedder
from cmelt.errors import ConfigError, RecordError
from cmelt.evaluation import zero_shot
from cmelt.evaluation.tasks import load_task
from cmelt.serving import engine
from cmelt.serving.engine import classify, describe, embed, embed_texts
from cmelt.serving.loading import load
from ecg_files import heart, record, write_wfdb
from trained_towers import saved_model, tiny_model

OWN = {"af": ["atrial fibrillation.", "vorhofflimmern."], "block": ["left bundle branch block."]}


def test_embeddings_are_those_that_evaluation_measures(model, processor, model_folder):
    ecgs = np.stack([heart(seed) for seed in range(5)])
    expected = load_embedder(model_folder, device="cpu")
    np.testing.assert_allclose(embed(model, processor, [record(s) for s in range(5)]), expected.embed_ecgs(ecgs), atol=1e-6)
    texts = ["Sinus rhythm, normal ECG.", "vorhofflimmern"]
    np.testing.assert_allclose(embed_texts(model, processor, texts), expected.embed_texts(texts), atol=1e-6)


def test_a_record_s_embedding_does_not_depend_on_what_is_embedded_beside_it(model, processor, monkeypatch):
    monkeypatch.setattr(engine, "RECORDS_AT_ONCE", 4)
    kinds = [{}, {"seconds": 23.0}, {"leads": ("I",)}, {"seconds": 4.0}, {"rate": 500.0}, {"leads": ("II", "V1", "V5")}]
    records = [record(seed, **kinds[seed % len(kinds)]) for seed in range(11)]
    together = embed(model, processor, records)
    assert together.shape == (11, 16) and together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for row, one in enumerate(records):
        np.testing.assert_allclose(embed(model, processor, [one])[0], together[row], atol=1e-6)
    np.testing.assert_allclose(embed(model, processor, records[::-1]), together[::-1], atol=1e-6)
    assert 1 - (together[0] @ together[2]) > 1e-4  # they are not all the same


def test_a_long_record_has_the_mean_direction_of_its_windows(model, processor):
    long = record(2, seconds=30.0)
    parts = [cmelt.Record(long.signal[:, start : start + 1000].copy(), 100.0, long.leads) for start in (0, 1000, 2000)]
    mean = embed(model, processor, parts).mean(axis=0)
    np.testing.assert_allclose(embed(model, processor, long)[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_one_record_a_path_an_iterator_and_none_at_all_are_taken(model, processor, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(3))
    paths = [embed(model, processor, given) for given in (header, str(header), iter([header]), [header])]
    assert all(np.array_equal(vectors, paths[0]) for vectors in paths) and paths[0].shape == (1, 16)
    assert embed(model, processor, []).shape == (0, 16)
    assert classify(model, processor, [], OWN).values.shape == (0, 2)


def test_the_file_that_is_no_ecg_is_named(model, processor, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear colleague")
    with pytest.raises(RecordError, match=r"letter\.txt"):
        embed(model, processor, [record(1), tmp_path / "letter.txt"])


def test_a_score_is_the_mean_cosine_to_the_prompts_minus_that_to_the_negative_ones(model, processor):
    against = ["normal ecg.", "sinus rhythm."]
    found = classify(model, processor, [record(1), record(2)], OWN, against=against)
    ecg = embed(model, processor, [record(1), record(2)]).astype(np.float64)
    for c, prompts in enumerate(OWN.values()):
        own, other = (embed_texts(model, processor, texts).astype(np.float64) for texts in (prompts, against))
        np.testing.assert_allclose(found.values[:, c], (ecg @ own.T).mean(1) - (ecg @ other.T).mean(1), atol=1e-6)
    assert (found.classes, found.scoring) == (("af", "block"), "contrast")
    raw = classify(model, processor, [record(1)], OWN, against=())
    assert raw.scoring == "similarity"
    np.testing.assert_allclose(
        raw.values[0, 1], ecg[0] @ embed_texts(model, processor, OWN["block"])[0].astype(np.float64), atol=1e-6
    )


def test_a_bundled_task_is_scored_as_evaluation_scores_it(model, processor, model_folder):
    task, embedder = load_task("ptbxl-super"), load_embedder(model_folder, device="cpu")
    expected = zero_shot.scores(embedder.embed_ecgs(heart(1)[None]), zero_shot.embed_prompts(embedder, task))
    found = classify(model, processor, record(1), "ptbxl-super")
    assert found.classes == tuple(task.classes)
    np.testing.assert_allclose(found.values, expected[task.headline], atol=1e-6)
    for scoring in ("similarity", "contrast", "pairs"):
        other = classify(model, processor, record(1), "ptbxl-super", scoring=scoring)
        np.testing.assert_allclose(other.values, expected[scoring], atol=1e-6)


def test_prompts_that_a_scoring_does_not_use_are_not_read(model, processor, monkeypatch):
    read = []
    true_embedding = engine.zero_shot.embed_prompts
    monkeypatch.setattr(engine.zero_shot, "embed_prompts", lambda e, task: read.append(task) or true_embedding(e, task))
    for scoring, used in ((None, False), ("contrast", False), ("pairs", True)):
        classify(model, processor, record(1), ["atrial-fibrillation"], scoring=scoring)
        assert bool(read[-1].classes["atrial-fibrillation"].absent_prompts) is used


def test_classes_described_once_give_the_same_scores(model, processor):
    described = describe(model, processor, ["atrial-fibrillation", "normal-ecg"])
    again = classify(model, processor, record(1), described)
    np.testing.assert_array_equal(again.values, classify(model, processor, record(1), described.task).values)


def test_scores_come_with_what_is_wrong_with_the_recording(model, processor):
    found = classify(model, processor, [record(1), record(2, leads=("I", "II", "V2"), seconds=25.0)], OWN)
    told = json.loads(json.dumps(found.to_json()))
    assert told["records"][1]["missing_leads"] == ["V1", "V3", "V4", "V5", "V6"]
    assert (told["records"][0]["windows"], told["records"][1]["windows"]) == (1, 3)
    scores = list(found.of(0).values())
    assert scores == sorted(scores, reverse=True) and set(found.of(0)) == {"af", "block"}


@pytest.mark.parametrize(("scoring", "words"), [("pairs", "needs prompts that no class has"), ("logits", "is no scoring")])
def test_a_scoring_that_cannot_be_is_refused(model, processor, scoring, words):
    with pytest.raises(ConfigError, match=words):
        classify(model, processor, record(1), OWN, scoring=scoring)


def test_a_model_in_training_mode_is_refused(model_folder):
    training, processor = load(model_folder, device="cpu")
    training.train()
    with pytest.raises(ConfigError, match="training mode"):
        embed(training, processor, record(1))


def test_a_model_that_never_compared_ecgs_with_texts_embeds_and_does_not_classify(tmp_path):
    masked = saved_model(tmp_path / "masked", tiny_model(mem=1.0, mlm=1.0, etm=0.0, ets=0.0))
    model, processor = load(masked, device="cpu")
    assert embed(model, processor, record(1)).shape == (1, 16)
    with pytest.raises(ConfigError, match="never learned to compare"):
        classify(model, processor, record(1), OWN)


def test_the_whole_model_can_take_the_towers_place(model, processor, model_folder):
    whole = cmelt.checkpoints.load_model(model_folder)
    np.testing.assert_allclose(embed(whole, processor, record(1)), embed(model, processor, record(1)), atol=1e-6)


def test_what_a_user_types_is_there():
    for name in ("load", "classify", "describe", "embed", "embed_texts", "record_of", "CMeltProcessor", "Scores"):
        assert getattr(cmelt, name).__name__ == name and name in cmelt.__all__
