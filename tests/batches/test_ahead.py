"""Batches made ahead are the batches made on the spot: in order, from any step, whoever asks; what fails is told."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections import deque
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from cmelt.batches.ahead import Ahead, loaders_for
from cmelt.batches.assemble import Batches
from cmelt.batches.corpus import corpus_of
from cmelt.batches.phrases import phrase_book
from cmelt.batches.signal_memory import SignalMemory
from cmelt.errors import StoreError
from cmelt.store import open_store
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe

PLAIN = ("negatives.strategy=in_batch",)
CROPPED = ("negatives.strategy=in_batch", "augmentation.crop_seconds=5", "objectives.phrases=1", "objectives.phrase.least=2",
           "masking.contrast_view=clean")  # fmt: skip
SHUFFLED = ("augmentation.shuffle_sentences=true", "augmentation.drop_sentences=0.2", "augmentation.shift_seconds=0.5")
END = 17


@pytest.fixture(scope="module")
def maker(tiny_store):
    store = open_store(tiny_store)
    corpus = corpus_of(store)
    tokenizer = train_tokenizer(corpus.distinct, 400)

    def make(*assignments: str, pinned: bool = False) -> Batches:
        recipe = tiny_recipe("training.batch=8", *assignments)
        book = phrase_book(corpus, recipe.objectives.phrase) if recipe.objectives.phrases else None
        return Batches(store, corpus, tokenizer, None, recipe, phrases=book, pinned=pinned)

    return make


def same(one: object, other: object) -> bool:
    """Whether two batches are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return one == other


def threads_that_load() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("loader")]


@pytest.mark.parametrize("assignments", [PLAIN, CROPPED, SHUFFLED], ids=["plain", "cropped", "shuffled"])
@pytest.mark.parametrize("loaders", [0, 2, 4])
def test_any_number_of_loaders_gives_the_same_batches_in_the_same_order(maker, assignments, loaders):
    expected = [maker(*assignments).batch(step) for step in range(END)]
    with Ahead(maker(*assignments).batch, END, loaders) as ahead:
        found = [ahead.batch(step) for step in range(END)]
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert not same(found[0], found[1])


@pytest.mark.parametrize("loaders", [0, 2, 4])
def test_from_any_step_on_and_back_again_it_is_the_batch_of_that_step(maker, loaders):
    expected = [maker(*CROPPED).batch(step) for step in range(END)]
    with Ahead(maker(*CROPPED).batch, END, loaders) as ahead:
        for step in (9, 10, 11, 3, 4, 16, 0, 0, 1):
            assert same(ahead.batch(step), expected[step])


def test_a_batch_that_is_kept_stays_as_it_was_while_memory_is_used_again(maker):
    batches = maker(*CROPPED)
    kept = batches.batch(0)
    part = batches.batch(1).shown.signal[3:5]  # the batch is gone, a piece of its signals is not
    before = kept.shown.signal.clone(), part.clone()
    for step in range(2, 12):
        batches.batch(step)
    gc.collect()
    assert torch.equal(kept.shown.signal, before[0]) and torch.equal(part, before[1])


def test_memory_comes_back_when_the_last_tensor_on_it_is_gone_and_no_sooner():
    memory = SignalMemory((4, 3))
    first = memory.tensor()
    place, row = first.data_ptr(), first[1]
    del first
    second = memory.tensor()
    assert second.data_ptr() != place
    del row
    assert memory.tensor().data_ptr() == place
    array = memory.tensor().numpy()
    assert memory.tensor().data_ptr() != array.ctypes.data


def test_no_more_is_made_than_will_be_asked_for_and_little_ahead():
    made: list[int] = []
    with Ahead(lambda step: made.append(step) or step, 6, 2) as ahead:
        assert ahead.batch(0) == 0
        time.sleep(0.05)
        assert max(made) <= 2
        assert [ahead.batch(step) for step in range(1, 6)] == [1, 2, 3, 4, 5]
    assert sorted(made) == [0, 1, 2, 3, 4, 5]


def test_the_next_batches_are_made_while_one_is_worked_on():
    begun = [threading.Event() for _ in range(4)]

    def make(step: int) -> int:
        begun[step].set()
        return step

    with Ahead(make, 4, 1) as ahead:
        ahead.batch(0)
        assert begun[1].wait(10)  # nobody has asked for it yet


@pytest.mark.parametrize("loaders", [0, 1, 3])
def test_what_fails_in_a_loader_reaches_the_step_that_asks_for_it_with_its_message(loaders):
    def make(step: int) -> int:
        if step == 3:
            raise StoreError("shards/00007.npy", "cannot be read (OSError)", "prepare it again")
        return step

    with Ahead(make, 9, loaders) as ahead:
        assert [ahead.batch(step) for step in range(3)] == [0, 1, 2]
        with pytest.raises(StoreError, match=r"00007\.npy.*cannot be read"):
            ahead.batch(3)
    assert not threads_that_load()


@pytest.mark.parametrize("reason", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_leaves_no_thread_behind(reason):
    def train() -> None:
        with Ahead(lambda step: time.sleep(0.01) or step, 1000, 4) as ahead:
            ahead.batch(0)
            assert threads_that_load()  # the pool starts one only where none is idle
            raise reason

    with pytest.raises(reason):
        train()
    assert not threads_that_load()


def test_what_has_not_begun_when_the_loop_is_interrupted_is_not_made():
    """Ctrl-C while the loop waits for a batch: the one in hand is finished, the one behind it is left."""
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        time.sleep(0.1)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.3)
        return step

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt), Ahead(make, 9, 1) as ahead:
            ahead.batch(0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert made == [0] and not threads_that_load()


def test_a_shard_that_is_gone_is_named_by_the_batch_that_needs_it(tiny_store, tmp_path, maker):
    import shutil

    copy = Path(shutil.copytree(tiny_store, tmp_path / "copy"))
    store = open_store(copy)
    corpus = corpus_of(store)
    batches = Batches(store, corpus, train_tokenizer(corpus.distinct, 400), None, tiny_recipe("training.batch=8"))
    (copy / "shards" / "00001.npy").unlink()
    with Ahead(batches.batch, 50, 2) as ahead, pytest.raises(StoreError, match=r"00001\.npy"):
        deque(map(ahead.batch, range(50)), maxlen=0)


def test_loaders_are_no_more_than_each_process_has_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert [loaders_for(wanted, 1) for wanted in (0, 2, 40)] == [0, 2, 16]
    assert [loaders_for(wanted, 8) for wanted in (0, 2, 40)] == [0, 2, 2]
    assert loaders_for(4, 32) == 1


def test_where_the_system_does_not_say_which_cores_are_ours_all_of_them_count(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert [loaders_for(40, processes) for processes in (1, 2, 4)] == [6, 3, 1]
    monkeypatch.setattr("os.cpu_count", lambda: None)  # nor how many there are
    assert loaders_for(40, 1) == 1


def test_a_step_beyond_the_end_is_made_and_none_after_it():
    made: list[int] = []
    with Ahead(lambda step: made.append(step) or step, 6, 2) as ahead:
        assert [ahead.batch(9), ahead.batch(6)] == [9, 6]
    assert made == [9, 6]


def tensors_of(part: object) -> list[torch.Tensor]:
    """Every tensor of a batch, those of its views and phrases too."""
    if isinstance(part, torch.Tensor):
        return [part]
    return [tensor for f in fields(part) for tensor in tensors_of(getattr(part, f.name))] if is_dataclass(part) else []


def test_all_of_a_pinned_batch_is_pinned_and_its_signals_from_the_beginning(maker, monkeypatch):
    """Without a GPU no memory can be pinned: what asks for it is written down instead."""
    empty, asked, pinned = torch.empty, [], []
    monkeypatch.setattr(
        torch, "empty", lambda *shape, pin_memory=False, **named: (asked.append(pin_memory), empty(*shape, **named))[1]
    )
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: (pinned.append(tensor.clone()), pinned[-1])[1])
    plain, batch = maker(*CROPPED).batch(2), maker(*CROPPED, pinned=True).batch(2)
    assert asked == [True] and same(batch, plain)
    assert {id(tensor) for tensor in tensors_of(batch)} == {id(tensor) for tensor in pinned}
    assert len(tensors_of(batch)) == len(tensors_of(plain)) == 17


def test_the_model_and_the_objectives_are_handed_what_the_batch_holds(maker):
    two = ("objectives.ecg_alignment=1", "objectives.alignment.view=augmented", "masking.lead_drop=0.3")
    batch = maker(*CROPPED, *two).batch(1)
    views, truth = batch.views(16)
    for mine, its in (
        (views.kept, batch.kept), (views.tokens, batch.tokens), (views.text_mask, batch.text_mask), (views.words, batch.words),
        (views.clean_tokens, batch.clean_tokens), (views.clean_text_mask, batch.clean_text_mask),
        (views.phrase_tokens, batch.phrases.tokens), (views.phrase_mask, batch.phrases.mask),
        (truth.measured, batch.measured), (truth.kept, batch.kept), (truth.words, batch.words),
        (truth.own_group, batch.own_group), (truth.text_group, batch.text_group), (truth.contrast_group, batch.own_group),
        (truth.phrases_held, batch.phrases.held), (truth.phrases_counted, batch.phrases.counted),
    ):  # fmt: skip
        assert mine is its
    assert truth.samples_per_token == 16
    assert torch.equal(views.second_ecg, batch.second.true(batch.millivolts_per_step) * batch.second.leads_kept[..., None])
    plain = maker(*PLAIN).batch(1).views(16)
    assert plain[0].phrase_tokens is plain[0].phrase_mask is plain[1].phrases_held is plain[1].phrases_counted is None
    assert plain[0].clean_tokens is plain[0].clean_text_mask is plain[0].second_ecg is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_pinned_batches_are_the_same_batches(maker):
    plain, pinned = maker(*CROPPED).batch(2), maker(*CROPPED, pinned=True).batch(2)
    assert pinned.shown.signal.is_pinned() and pinned.tokens.is_pinned()
    assert same(plain, pinned)
    assert same(plain, pinned.to(torch.device("cuda")).to(torch.device("cpu")))


def test_a_stretch_is_what_is_cut_out_of_the_whole_signal_and_zero_outside(tiny_store):
    store = open_store(tiny_store)
    rows, begin = np.array([7, 3, 3, 51, 0, 20]), np.array([0, 500, -500, 730, 1200, -900])
    whole = np.pad(store.signals(rows), ((0, 0), (0, 0), (2000, 2000)))
    for width in (1, 270, 500, 1000, 1500):
        found = store.stretches(rows, begin, width)
        slow = np.stack([signal[:, 2000 + first : 2000 + first + width] for signal, first in zip(whole, begin, strict=True)])
        assert np.array_equal(found, slow)
    assert np.array_equal(store.stretches(rows, 100, 50), store.signals(rows)[:, :, 100:150])
