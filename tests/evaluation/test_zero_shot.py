"""Zero-shot scores against their definition, and why negative prompts are needed."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.config.settings import ObjectiveSettings
from cmelt.evaluation import zero_shot
from cmelt.evaluation.tasks import Task, TaskClass

from .conftest import PlantedEmbedder, planted_store, planted_task


def test_similarity_is_the_mean_cosine_to_the_prompts(embedder, store, task):
    ecg = embedder.embed_ecgs(store.millivolts(np.arange(20)))
    scores = zero_shot.scores(ecg, zero_shot.embed_prompts(embedder, task))
    for c, name in enumerate(task.classes):
        positive = embedder.embed_texts(list(task.classes[name].prompts)).astype(float)
        negative = embedder.embed_texts(list(task.classes[name].negative_prompts)).astype(float)
        for row in range(20):
            expected = np.mean([ecg[row] @ p for p in positive])
            assert scores["similarity"][row, c] == pytest.approx(expected, abs=1e-6)
            assert scores["contrast"][row, c] == pytest.approx(expected - np.mean([ecg[row] @ n for n in negative]), abs=1e-6)


def test_raw_similarity_ranks_by_likeness_to_any_report_and_contrast_by_class(embedder):
    from sklearn.metrics import roc_auc_score

    store, task = planted_store(1500), planted_task()
    truth = task.truth(store.index["labels"].tolist())
    scores = zero_shot.scores(embedder.embed_ecgs(store.signal), zero_shot.embed_prompts(embedder, task))
    areas = {kind: np.mean([roc_auc_score(truth[:, c], s[:, c]) for c in range(3)]) for kind, s in scores.items()}
    assert areas["contrast"] > 0.93
    assert areas["similarity"] < areas["contrast"] - 0.1


def test_without_negative_prompts_there_is_only_similarity(embedder, store):
    task = Task({"fast": TaskClass(("t:fast",), ("fast",))})
    scores = zero_shot.scores(embedder.embed_ecgs(store.signal[:5]), zero_shot.embed_prompts(embedder, task))
    assert list(scores) == ["similarity"]


def test_a_class_without_negatives_keeps_its_similarity_beside_others_with(embedder, store):
    task = Task({"fast": TaskClass(("t:fast",), ("fast",)), "wide": TaskClass(("t:wide",), ("wide",), ("all well",))})
    prompts = zero_shot.embed_prompts(embedder, task)
    scores = zero_shot.scores(embedder.embed_ecgs(store.signal[:5]), prompts)
    assert prompts.has_negatives.tolist() == [False, True]
    np.testing.assert_array_equal(scores["contrast"][:, 0], scores["similarity"][:, 0])
    assert (scores["contrast"][:, 1] != scores["similarity"][:, 1]).all()


OPPOSITE = {"fast": "normal rate, all well", "wide": "narrow, nothing wrong", "tall": "small, all well"}


def test_pairs_are_the_mean_cosine_to_presence_minus_that_to_absence(embedder, store):
    names = ("fast", "wide")
    task = Task({n: TaskClass((f"t:{n}",), (f"it is {n}", f"{n} indeed"), absent_prompts=(OPPOSITE[n], "tall")) for n in names})
    ecg = embedder.embed_ecgs(store.millivolts(np.arange(20)))
    scores = zero_shot.scores(ecg, zero_shot.embed_prompts(embedder, task))
    assert list(scores) == ["similarity", "pairs"]
    for c, one in enumerate(task.classes.values()):
        present, absent = (embedder.embed_texts(list(texts)).astype(float) for texts in (one.prompts, one.absent_prompts))
        for row in range(20):
            expected = np.mean([ecg[row] @ p for p in present]) - np.mean([ecg[row] @ a for a in absent])
            assert scores["pairs"][row, c] == pytest.approx(expected, abs=1e-6)


def test_pairs_rank_as_the_softmax_over_presence_and_absence_does(embedder, store):
    task = Task({n: TaskClass((f"t:{n}",), (n,), absent_prompts=(text,)) for n, text in OPPOSITE.items()})
    ecg = embedder.embed_ecgs(store.millivolts(np.arange(50)))
    prompts = zero_shot.embed_prompts(embedder, task)
    logits = 30 * np.stack([ecg @ prompts.positive.T, ecg @ prompts.absent.T])
    probability = np.exp(logits[0]) / np.exp(logits).sum(axis=0)
    np.testing.assert_array_equal(
        np.argsort(zero_shot.pairs(ecg, prompts).round(9), axis=0, kind="stable"),
        np.argsort(np.log(probability / (1 - probability)).round(6), axis=0, kind="stable"),
    )


def test_a_class_without_absent_prompts_keeps_its_similarity_beside_others_with(embedder, store):
    task = Task({"fast": TaskClass(("t:fast",), ("fast",)), "wide": TaskClass(("t:wide",), ("wide",), (), ("narrow",))})
    prompts = zero_shot.embed_prompts(embedder, task)
    scores = zero_shot.scores(embedder.embed_ecgs(store.signal[:5]), prompts)
    assert prompts.has_opposites.tolist() == [False, True]
    np.testing.assert_array_equal(scores["pairs"][:, 0], scores["similarity"][:, 0])
    assert (scores["pairs"][:, 1] != scores["similarity"][:, 1]).all()


def test_every_prompt_is_embedded_once():
    asked = []

    class Counting(PlantedEmbedder):
        def embed_texts(self, texts):
            asked.extend(texts)
            return super().embed_texts(texts)

    zero_shot.embed_prompts(Counting(), planted_task())
    assert len(asked) == len(set(asked)) == 3 * 2 + 2


def test_length_of_vectors_does_not_matter_and_zero_stays_zero():
    vectors = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(zero_shot.unit(vectors), [[0.6, 0.8], [0.0, 0.0]])


def test_the_model_says_how_much_of_the_negative_prompts_is_taken_off():
    ecg = np.random.default_rng(0).standard_normal((4, 3))
    sides = [np.random.default_rng(seed).standard_normal((2, 3)) for seed in (1, 2, 3)]
    whole, half, none = (zero_shot.PromptVectors(*sides, negative_weight=weight) for weight in (1.0, 0.5, 0.0))
    similar = zero_shot.similarity(ecg, whole)
    taken = similar - zero_shot.contrast(ecg, whole)
    np.testing.assert_allclose(zero_shot.contrast(ecg, half), similar - 0.5 * taken)
    np.testing.assert_allclose(zero_shot.contrast(ecg, none), similar)


def test_prompts_carry_the_weight_of_their_model():
    half = PlantedEmbedder(negative_weight=ObjectiveSettings(phrases=1.0).negative_weight)
    assert zero_shot.embed_prompts(half, planted_task()).negative_weight == 0.5
    assert zero_shot.embed_prompts(PlantedEmbedder(), planted_task()).negative_weight == 1.0
