"""A batch is a function of store, recipe, seed and step; its fused texts are the ones its labels say."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from cmelt.batches.assemble import Batches
from cmelt.batches.batch import Batch, EcgView
from cmelt.batches.corpus import Corpus, corpus_of
from cmelt.errors import StoreError
from cmelt.negatives import build_table, embed_distinct, lsa_encoder
from cmelt.store import open_store
from cmelt.text import encode, mask_token_id, train_tokenizer
from tiny_runs import tiny_recipe


@pytest.fixture(scope="module")
def store(tiny_store):
    return open_store(tiny_store)


@pytest.fixture(scope="module")
def corpus(store) -> Corpus:
    return corpus_of(store)


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_tokenizer(corpus.distinct, 400)


@pytest.fixture(scope="module")
def table(corpus):
    return build_table(embed_distinct(corpus.distinct, lsa_encoder(corpus.distinct)), candidates=4)


@pytest.fixture
def batches(store, corpus, tokenizer, table):
    def make(*assignments: str, rank: int = 0, world: int = 1, **changes) -> Batches:
        recipe = tiny_recipe("training.batch=8", *assignments)
        return replace(Batches(store, corpus, tokenizer, table, recipe, rank, world), **changes)

    return make


def equal(one: Batch | EcgView, other: Batch | EcgView) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else equal(a, b) if isinstance(a, EcgView) else a == b for a, b in pairs
    )


EVERYTHING = (
    "augmentation.shift_seconds=0.5", "augmentation.gain=0.2", "augmentation.noise_mv=0.05",
    "augmentation.shuffle_sentences=true", "augmentation.drop_sentences=0.2", "masking.contrast_view=clean",
)  # fmt: skip


@pytest.mark.parametrize("assignments", [(), EVERYTHING], ids=["paper", "augmented"])
def test_a_batch_is_the_same_alone_and_in_sequence(batches, assignments):
    maker = batches(*assignments)
    in_turn = [maker.batch(step) for step in range(5)]
    assert equal(batches(*assignments).batch(3), in_turn[3])
    assert not equal(in_turn[3], in_turn[4])
    views, again = in_turn[2].views(16)[0], batches(*assignments).batch(2).views(16)[0]
    assert torch.equal(views.ecg, again.ecg)
    assert not equal(in_turn[3], batches("seed=8", *assignments).batch(3))


def test_two_processes_share_a_step_s_pairs_between_them(batches):
    alone = batches("training.batch=16").batch(2)
    two = [batches(rank=rank, world=2).batch(2) for rank in (0, 1)]
    assert two[0].records + two[1].records == alone.records
    assert not torch.equal(two[0].kept, two[1].kept)  # each draws masks of its own


def test_fault_1_a_replaced_row_carries_the_negative_s_text_with_its_own_mask(batches, corpus, tokenizer):
    maker = batches("masking.text_share=0", "training.batch=16")
    replaced = 0
    for step in range(4):
        batch = maker.batch(step)
        texts = encode(tokenizer, [corpus.distinct[group] for group in batch.text_group.tolist()], 24)
        assert torch.equal(batch.text_mask, torch.from_numpy(texts.mask))
        whole = torch.where(batch.words >= 0, batch.words, batch.tokens)  # at least one piece a text is hidden always
        assert torch.equal(whole, torch.from_numpy(texts.ids))
        flagged = batch.own_group != batch.text_group
        replaced += int(flagged.sum())
        own = [corpus.distinct[group] for group in batch.own_group.tolist()]
        for row in flagged.nonzero().flatten().tolist():
            assert own[row] != corpus.distinct[batch.text_group[row]]
    assert replaced == pytest.approx(32, abs=4)


def test_the_own_group_is_the_record_s_own_report(batches, store, corpus):
    from cmelt.text import clean_report

    batch = batches().batch(1)
    reports = dict(zip(store.index["record"], store.index["report"], strict=True))
    for record, group in zip(batch.records, batch.own_group.tolist(), strict=True):
        assert clean_report(reports[record]) == corpus.distinct[group]


def test_the_clean_view_is_the_own_report_unmasked(batches, corpus, tokenizer):
    batch = batches("masking.contrast_view=clean").batch(0)
    texts = encode(tokenizer, [corpus.distinct[group] for group in batch.own_group.tolist()], 24)
    assert torch.equal(batch.clean_tokens, torch.from_numpy(texts.ids))
    truth = batch.views(16)[1]
    assert torch.equal(truth.contrast_group, batch.own_group)
    masked = batches().batch(0)
    assert masked.clean_tokens is None
    assert torch.equal(masked.views(16)[1].contrast_group, masked.text_group)
    assert batches("masking.contrast_view=clean", "objectives.ets=0", "objectives.info_nce=0").batch(0).clean_tokens is None


def test_fault_2_the_mask_symbol_is_in_the_model_s_input(batches, tokenizer):
    batch = batches("training.batch=16").batch(0)
    hidden = batch.words >= 0
    assert hidden.any(1).all()
    assert (batch.tokens[hidden] == mask_token_id(tokenizer)).float().mean() > 0.6
    assert not np.isin(batch.words[hidden].numpy(), tokenizer.all_special_ids).any()
    assert not (hidden & ~batch.text_mask).any()


def test_fault_8_the_mem_target_has_the_leads_that_the_model_does_not_see(batches, store):
    batch = batches("masking.lead_drop=0.7").batch(0)
    views, truth = batch.views(16)
    dropped = ~batch.shown.leads_kept
    assert dropped.float().mean() > 0.4
    assert views.ecg[dropped].abs().max() == 0
    assert truth.ecg[dropped].abs().amax(1).min() > 0
    rows = [store.index.index[store.index["record"] == record][0] for record in batch.records]
    torch.testing.assert_close(truth.ecg, torch.from_numpy(store.millivolts(rows)), atol=1e-6, rtol=0)
    torch.testing.assert_close(views.ecg[batch.shown.leads_kept], truth.ecg[batch.shown.leads_kept])


def test_added_noise_is_seen_and_not_to_be_rebuilt_a_gain_is_both(batches):
    plain = batches("masking.lead_drop=0").batch(0)
    noisy = batches("masking.lead_drop=0", "augmentation.noise_mv=0.1", "augmentation.gain=0.3").batch(0)
    views, truth = noisy.views(16)
    torch.testing.assert_close(truth.ecg, plain.views(16)[1].ecg * noisy.shown.gain[:, None, None])
    added = (views.ecg - truth.ecg).std(dim=(1, 2))
    torch.testing.assert_close(added, noisy.shown.noise, atol=0.002, rtol=0.05)


def test_a_shift_moves_the_whole_record_and_fills_with_zeros(batches):
    plain, moved = batches().batch(0).shown.signal, batches("augmentation.shift_seconds=0.5").batch(0).shown.signal
    ways = set()
    for before, after in zip(plain, moved, strict=True):
        fits = [
            by for by in range(-50, 51)
            if torch.equal(after[:, max(by, 0) : 1000 + min(by, 0)], before[:, max(-by, 0) : 1000 - max(by, 0)])
        ]  # fmt: skip
        assert len(fits) == 1
        assert (after[:, : max(fits[0], 0)] == 0).all() and (after[:, 1000 + min(fits[0], 0) :] == 0).all()
        ways.add(np.sign(fits[0]))
    assert {-1, 1} <= ways


def test_shifts_go_as_far_as_the_recipe_says_both_ways_and_no_further(batches):
    plain, moved, ways = batches(), batches("augmentation.shift_seconds=0.02"), set()
    for step in range(6):
        for before, after in zip(plain.batch(step).shown.signal, moved.batch(step).shown.signal, strict=True):
            ways |= {by for by in range(-4, 5) if torch.equal(after[:, 4 + by : 996 + by], before[:, 4:996])}
    assert ways == {-2, -1, 0, 1, 2}


def test_without_a_table_every_row_keeps_its_report(batches):
    batch = batches(table=None).batch(0)
    assert torch.equal(batch.own_group, batch.text_group)


class WithMissingLeads:
    """The tiny store in which every other record lacks V1 and aVF, as the store writes such records: zeros and a list."""

    def __init__(self, store) -> None:
        self._store = store
        self.index = store.index.copy()
        self.index["missing_leads"] = [["V1", "aVF"] if row % 2 else [] for row in range(len(store))]

    def __getattr__(self, name):
        return getattr(self._store, name)

    def stretches(self, rows, begin, samples, out=None):
        found = self._store.stretches(rows, begin, samples, out)
        found[np.asarray(rows) % 2 == 1, 5:7] = 0
        return found


def test_a_lead_that_was_not_measured_is_zero_noise_or_not_and_never_rebuilt(batches, store):
    lacking = WithMissingLeads(store)
    maker = batches("augmentation.noise_mv=0.1", store=lacking, corpus=corpus_of(lacking))
    views, truth = maker.batch(0).views(16)
    assert not truth.measured.all()
    assert set((~truth.measured).nonzero()[:, 1].tolist()) == {5, 6}
    assert views.ecg[~truth.measured].abs().max() == 0


def test_train_records_without_a_usable_report_are_counted_and_left_out(store):
    poor = WithMissingLeads(store)
    rows = store.rows("train")
    poor.index.loc[rows[:3], "report"] = ["", "ECG.", "normal"]
    found = corpus_of(poor)
    assert found.without_report == 3 + corpus_of(store).without_report
    assert not set(rows[:3]) & set(found.rows)
    assert set(found.rows) <= set(rows)
    assert all(found.distinct) and len(found.distinct) == len(set(found.distinct))
    poor.index["report"] = ""
    with pytest.raises(StoreError, match=r"0 of .* records"):
        corpus_of(poor)
