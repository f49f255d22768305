"""A second view of the same records is drawn apart from the first, and as much a function of seed, step and process."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cmelt.batches.assemble import Batches
from cmelt.batches.corpus import corpus_of
from cmelt.batches.masks import others_of_batch
from cmelt.store import open_store
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe

TWO_VIEWS = ("objectives.ecg_alignment=1", "objectives.alignment.view=augmented", "training.batch=8", "masking.lead_drop=0.3")
AUGMENTED = (
    "augmentation.shift_seconds=0.5",
    "augmentation.gain=0.2",
    "augmentation.noise_mv=0.05",
    "augmentation.crop_seconds=5",
)


@pytest.fixture(scope="module")
def batches(tiny_store):
    store = open_store(tiny_store)
    corpus = corpus_of(store)
    tokenizer = train_tokenizer(corpus.distinct, 400)

    def make(*assignments: str, rank: int = 0, world: int = 1) -> Batches:
        return Batches(store, corpus, tokenizer, None, tiny_recipe(*TWO_VIEWS, *assignments), rank, world)

    return make


def second(maker: Batches, step: int) -> torch.Tensor:
    shown = maker.batch(step).views(16)[0].second_ecg
    assert shown is not None
    return shown


def test_the_second_view_is_replayed_alone_and_differs_by_seed_step_and_process(batches):
    there = second(batches(*AUGMENTED), 3)
    assert torch.equal(second(batches(*AUGMENTED), 3), there)
    for other in (
        second(batches(*AUGMENTED), 4),
        second(batches(*AUGMENTED, "seed=8"), 3),
        second(batches(*AUGMENTED, rank=1, world=2), 3),
    ):
        assert not torch.equal(other, there)


def test_without_augmentation_both_views_are_the_same_records(batches):
    views, truth = batches("masking.lead_drop=0").batch(2).views(16)
    assert torch.equal(views.second_ecg, views.ecg)
    assert torch.equal(views.second_ecg, truth.ecg)


@pytest.mark.parametrize("change", [*AUGMENTED, "masking.lead_drop=0.3"])
def test_every_augmentation_is_drawn_anew_for_the_second_view(batches, change):
    views = batches("masking.lead_drop=0", change).batch(1).views(16)[0]
    assert (views.ecg != views.second_ecg).flatten(1).any(1).sum() >= 6  # of 8; a draw may be nothing


def test_the_first_view_does_not_know_of_the_second(batches):
    """Adding the objective changes nothing of what the others are shown."""
    with_second = batches(*AUGMENTED).batch(0)
    alone = batches(*AUGMENTED, "objectives.ecg_alignment=0").batch(0)
    assert alone.second is None and alone.views(16)[0].second_ecg is None
    assert torch.equal(with_second.views(16)[0].ecg, alone.views(16)[0].ecg)
    assert batches("objectives.alignment.view=dropout").batch(0).second is None


def test_a_crop_is_a_stretch_of_the_record_anywhere(batches):
    plain = batches("masking.lead_drop=0").batch(0).views(16)[0].ecg
    views, truth = batches("masking.lead_drop=0", "augmentation.crop_seconds=5").batch(0).views(16)
    assert views.ecg.shape[2] == truth.ecg.shape[2] == 496  # whole tokens
    assert int(views.kept.max()) < 496 // 16
    found = []
    for shown, whole in zip(views.ecg, plain, strict=True):
        places = whole.unfold(1, 496, 1).transpose(0, 1)  # [places, L, 496]
        found += (places == shown).flatten(1).all(1).nonzero().flatten().tolist()[:1]
    assert len(found) == len(plain)
    assert len(set(found)) > len(found) // 2


def test_two_views_of_a_record_are_stretches_of_their_own(batches):
    views, _ = batches("masking.lead_drop=0", "augmentation.crop_seconds=5").batch(0).views(16)
    assert views.second_ecg.shape == views.ecg.shape
    assert not torch.equal(views.second_ecg, views.ecg)


def test_a_batch_moves_to_a_device_with_both_views(batches):
    batch = batches(*AUGMENTED).batch(0)
    moved = batch.to(torch.device("meta"))
    assert moved.tokens.is_meta and moved.shown.signal.is_meta
    assert moved.second is not None and moved.second.signal.is_meta
    assert moved.records == batch.records


def test_in_batch_negatives_are_other_reports_of_the_same_batch(batches):
    recipe = ("negatives.strategy=in_batch", "negatives.share=1", "training.batch=16")
    replaced = 0
    for step in range(4):
        batch = batches(*recipe).batch(step)
        own, fused = batch.own_group.tolist(), batch.text_group.tolist()
        assert set(fused) <= set(own)
        replaced += sum(a != b for a, b in zip(own, fused, strict=True))
        assert all(a != b for a, b in zip(own, fused, strict=True))
    assert replaced == 64
    again = replace(batches(*recipe)).batch(3)
    assert again.text_group.tolist() == fused


def test_in_batch_negatives_come_as_often_as_the_batch_has_them_and_never_from_an_identical_report():
    own = np.array([5, 5, 5, 8, 9, 9])
    rng = np.random.default_rng(0)
    drawn = np.concatenate([others_of_batch(own, np.array([0]), rng) for _ in range(3000)])
    counts = {int(group): int((drawn == group).sum()) for group in np.unique(drawn)}
    assert counts.keys() == {8, 9}
    assert counts[9] / counts[8] == pytest.approx(2, rel=0.15)
    assert others_of_batch(np.array([7, 7]), np.array([0, 1]), rng).tolist() == [7, 7]  # nothing else to put in


def test_what_a_step_draws_is_what_it_always_was(batches):
    """Runs that were stopped go on with these draws, by a later version too: they must never change."""
    drawn = ("augmentation.shift_seconds=0.5", "augmentation.gain=0.2", "augmentation.noise_mv=0.05",
             "augmentation.shuffle_sentences=true", "negatives.strategy=in_batch")  # fmt: skip
    batch = batches(*drawn, rank=1, world=2).batch(3)
    places = 1 << np.arange(12)
    assert [view.noise_seed for view in (batch.shown, batch.second)] == [2400836231072756803, 2176733740797574937]
    assert (batch.shown.leads_kept.numpy() @ places).tolist() == [2042, 2382, 3963, 3903, 2429, 4017, 3831, 2790]
    assert (batch.second.leads_kept.numpy() @ places).tolist() == [3282, 2687, 2261, 4005, 3835, 940, 4075, 3070]
    assert batch.shown.gain[:3].tolist() == pytest.approx([0.8200, 0.8706, 0.9341], abs=1e-4)
    assert batch.second.noise[:3].tolist() == pytest.approx([0.00322, 0.01354, 0.04418], abs=1e-5)
    assert batch.kept[0].tolist() == [2, 5, 9, 14, 22, 29, 30, 33, 37, 41, 45, 50, 59, 60, 61]
    assert batch.records[:3] == ("simulated-5-2", "simulated-5-39", "simulated-5-40")
    assert batch.own_group.tolist() == [2, 30, 31, 7, 9, 5, 35, 18]
    assert batch.text_group.tolist() == [2, 2, 31, 9, 9, 31, 31, 18]
    assert (batch.words[0] >= 0).nonzero().flatten().tolist() == [4, 7, 14, 18, 21, 22]
