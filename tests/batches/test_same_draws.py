"""What is drawn for a step is what it always was: a run that was stopped goes on with it, by a later version too."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch

from cmelt.batches.assemble import Batches
from cmelt.batches.corpus import corpus_of
from cmelt.batches.masks import keep_leads, keep_tokens, mask_pieces, others_of_batch, rows_to_replace
from cmelt.batches.order import Share, positions, weighted_positions
from cmelt.batches.phrases import phrase_book
from cmelt.batches.seeds import generator, torch_seed
from cmelt.store import open_store
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe


def sum_of(*arrays: np.ndarray) -> list[int]:
    """A checksum of each array's whole numbers or flags."""
    return [zlib.crc32(np.ascontiguousarray(array).astype("<i8").tobytes()) for array in arrays]


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_what_is_hidden_is_what_it_always_was() -> None:
    pieces, may = drawn(0).integers(5, 90, (6, 20)), drawn(1).random((6, 20)) < 0.7
    assert sum_of(*mask_pieces(pieces, may, 0.25, 3, 90, drawn(2))) == [2548241601, 1231762551]
    assert sum_of(keep_tokens(6, 62, 0.25, drawn(3))) == [519936305]
    assert sum_of(keep_leads(drawn(4).random((50, 12)) < 0.3, 0.6, drawn(5), 0.3)) == [4166238898]
    assert sum_of(keep_leads(np.ones((50, 12), bool), 0.6, drawn(5))) == [4129643573]
    assert sum_of(rows_to_replace(16, 0.4, drawn(6))) == [1956867678]
    assert sum_of(others_of_batch(drawn(7).integers(0, 4, 12), np.arange(8), drawn(8))) == [3911129559]


def test_the_order_of_several_stores_is_what_it_always_was() -> None:
    shares = [Share(13, 0.5), Share(5, 3.0), Share(2, 1.0)]
    assert weighted_positions(shares, 12, 4, 5).tolist() == [16, 4, 14, 17, 13, 6, 15, 16, 15, 13, 5, 17]
    assert weighted_positions(shares, 12, 4, 5).dtype == positions(37, 8, 6, 5).dtype == np.int64


def test_a_seed_is_what_it_always_was_and_step_and_process_are_the_first_where_none_is_named() -> None:
    assert generator(3, "x", 1, 2).integers(1000) == 878 and torch_seed(3, "x", 1, 2) == 6598647864193599884
    assert generator(3, "x").integers(1000) == generator(3, "x", 0, 0).integers(1000) == 358
    assert torch_seed(3, "x") == torch_seed(3, "x", 0, 0) == 8152944637620599601


EVERYTHING = (
    "training.batch=8", "objectives.phrases=1", "objectives.phrase.least=2", "objectives.phrase.drawn=6",
    "masking.contrast_view=clean", "masking.lead_sets=0.3", "masking.lead_drop=0.2", "negatives.strategy=in_batch",
    "augmentation.shuffle_sentences=true", "augmentation.drop_sentences=0.2", "augmentation.crop_seconds=9.95",
    "augmentation.noise_mv=0.05", "objectives.ecg_alignment=1", "objectives.alignment.view=augmented",
)  # fmt: skip


@pytest.fixture(scope="module")
def maker(tiny_store):
    store = open_store(tiny_store)
    corpus = corpus_of(store)
    tokenizer = train_tokenizer(corpus.distinct, 400)

    def make(*assignments: str) -> Batches:
        recipe = tiny_recipe(*EVERYTHING, *assignments)
        book = phrase_book(corpus, recipe.objectives.phrase) if recipe.objectives.phrases else None
        return Batches(store, corpus, tokenizer, None, recipe, 1, 2, book)

    return make


def test_a_batch_with_everything_switched_on_is_what_it_always_was(maker) -> None:
    """What neither a tokenizer's nor a simulation's rounding has a part in."""
    batch = maker().batch(3)
    assert batch.own_group.tolist() == [2, 30, 31, 7, 9, 5, 35, 18]
    assert sum_of(batch.kept.numpy(), batch.text_group.numpy()) == [841313805, 1837041476]
    assert sum_of(*(view.leads_kept.numpy() for view in (batch.shown, batch.second))) == [3416351376, 820179337]
    assert [view.noise_seed for view in (batch.shown, batch.second)] == [2400836231072756803, 2176733740797574937]
    assert sum_of(batch.phrases.held.numpy(), batch.phrases.counted.numpy()) == [3733020770, 2700407251]


def test_types_are_what_the_objectives_and_the_model_expect(maker) -> None:
    batch = maker().batch(0)
    whole = (batch.kept, batch.tokens, batch.words, batch.clean_tokens, batch.own_group, batch.text_group, batch.phrases.tokens)
    assert {part.dtype for part in whole} == {torch.int64}
    flags = (batch.measured, batch.text_mask, batch.clean_text_mask, batch.shown.leads_kept, batch.phrases.mask,
             batch.phrases.held, batch.phrases.counted)  # fmt: skip
    assert {part.dtype for part in flags} == {torch.bool}
    assert batch.shown.signal.dtype == torch.int16
    assert batch.shown.gain.dtype == batch.shown.noise.dtype == torch.float32


def test_sentences_and_phrases_are_drawn_anew_each_step(maker) -> None:
    """The same pair comes again in a later pass: its sentences are shuffled otherwise, other phrases are asked."""
    batches, texts, asked = maker("augmentation.drop_sentences=0"), {}, set()
    for step in range(24):
        batch = batches.batch(step)
        for record, tokens, mask in zip(batch.records, batch.clean_tokens, batch.clean_text_mask, strict=True):
            texts.setdefault(record, []).append(tuple(tokens[mask].tolist()))
        asked.add(tuple(map(tuple, batch.phrases.tokens.tolist())))
    assert sum(len(set(seen)) > 1 for seen in texts.values() if len(seen) > 2) > len(texts) / 3
    assert len(asked) > 20


def test_a_stretch_begins_at_every_place_that_a_record_has_and_at_no_other(maker) -> None:
    """9.95 s are 992 samples of whole tokens: of 1,000 they can begin at 0 to 8."""
    batches, whole, begun = maker(), maker("augmentation.crop_seconds=0"), set()
    for step in range(16):
        for cut, record in zip(batches.batch(step).shown.signal, whole.batch(step).shown.signal, strict=True):
            begun |= {first for first in range(9) if torch.equal(cut, record[:, first : first + 992])}
            assert any(torch.equal(cut, record[:, first : first + 992]) for first in range(9))
    assert begun == set(range(9))


def test_without_noise_the_device_is_asked_for_none(maker) -> None:
    batch = maker("augmentation.noise_mv=0").batch(0)
    assert batch.shown.noise_seed is None and batch.second.noise_seed is None
    assert maker().batch(0).shown.noise_seed is not None
