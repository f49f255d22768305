"""One step: clipping, accumulation, averaging, and what stops it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from cmelt.batches.batch import Batch
from cmelt.batches.corpus import corpus_of
from cmelt.checkpoints.model_folder import distinct_tensors
from cmelt.errors import TrainingError
from cmelt.store import open_store
from cmelt.training.engine import launch
from cmelt.training.loop import Run, _set_up, train_step
from tiny_runs import Notes, tiny_recipe

STILL = (
    "model.ecg.dropout=0", "model.ecg.attention_dropout=0", "model.fusion.dropout=0", "model.text.architecture.dropout_rate=0",
)  # fmt: skip


@pytest.fixture
def set_up(tiny_store, tmp_path):
    def make(*assignments: str) -> Run:
        recipe, store = tiny_recipe(*assignments), open_store(tiny_store)
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        return _set_up(recipe, store, folder, corpus_of(store), launch(recipe.training), "auto", lambda _: None)

    return make


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in distinct_tensors(run.model).items()}


def gradient(run: Run) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None])


class Fixed:
    """Batches that were made before, in place of those of the step."""

    def __init__(self, batches: list[Batch], tokenizer: object) -> None:
        self.batches, self.tokenizer = batches, tokenizer

    def batch(self, step: int) -> Batch:
        return self.batches[step % len(self.batches)]


def halves(batch: Batch) -> list[Batch]:
    def cut(part: slice) -> Batch:
        shown = {name: value[part] for name, value in vars(batch.shown).items() if isinstance(value, torch.Tensor)}
        pieces = {name: value[part] for name, value in vars(batch).items() if isinstance(value, torch.Tensor | tuple)}
        return replace(batch, **pieces, shown=replace(batch.shown, **shown))

    return [cut(slice(0, 4)), cut(slice(4, 8))]


def test_two_accumulated_halves_are_the_whole_batch(set_up):
    """For an objective whose rows do not look at each other; the contrast's do, and see half of them each."""
    only_mem = ("objectives.mlm=0", "objectives.etm=0", "objectives.ets=0", "objectives.info_nce=0")
    whole = set_up("training.batch=8", *only_mem, *STILL)
    split = set_up("training.batch=4", "training.accumulate=2", *only_mem, *STILL)
    batch = whole.batches.batch(0)
    whole.batches, split.batches = Fixed([batch], None), Fixed(halves(batch), None)
    (one, norm), (two, norm_of_two) = train_step(whole, 0), train_step(split, 0)
    assert two.total.item() == pytest.approx(one.total.item(), rel=1e-5)
    assert norm_of_two == pytest.approx(norm, rel=1e-4)
    torch.testing.assert_close(gradient(split), gradient(whole), atol=1e-6, rtol=1e-3)


def test_the_gradient_is_clipped_and_its_norm_told_as_it_was(set_up):
    free, clipped = set_up("optimiser.clip=0", *STILL), set_up("optimiser.clip=0.01", *STILL)
    norm, told = train_step(free, 0)[1], train_step(clipped, 0)[1]
    assert told == norm > 0.01
    assert gradient(free).norm().item() == pytest.approx(norm, rel=1e-5)
    assert gradient(clipped).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_the_average_follows_the_weights(set_up):
    run = set_up("training.average=0.9")
    before = weights(run)
    train_step(run, 3)
    after = weights(run)
    moved = 0.0
    for name, tensor in run.average.items():
        torch.testing.assert_close(tensor, 0.9 * before[name] + 0.1 * after[name], atol=1e-7, rtol=1e-5)
        moved += (tensor - before[name]).abs().sum().item()
    assert moved > 0


@pytest.mark.parametrize(("objective", "part"), [("mlm", "word_head.decoder.bias"), ("mem", "ecg_decoder.predict.bias")])
def test_a_loss_that_is_not_a_number_stops_before_the_update_and_names_itself_and_the_records(objective, part, set_up):
    run = set_up()
    with torch.no_grad():
        run.model.get_parameter(part).fill_(math.nan)
    before = weights(run)
    with pytest.raises(TrainingError) as error:
        train_step(run, 1)
    assert f"loss {objective} is not finite" in str(error.value) and "step 2" in str(error.value)
    for record in run.batches.batch(1).records:
        assert record in str(error.value)
    after = weights(run)
    assert all(torch.equal(after[name], before[name]) for name in before if name != part)


def test_a_gradient_that_is_not_a_number_stops_before_the_update_too(set_up):
    run = set_up()
    run.model.get_parameter("match_head.bias").register_hook(lambda gradient: gradient * math.inf)
    before = weights(run)
    with pytest.raises(TrainingError, match="gradient is not finite") as error:
        train_step(run, 0)
    assert run.batches.batch(0).records[0] in str(error.value)
    after = weights(run)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_step_is_a_function_of_its_number(set_up):
    """Whatever was drawn before it: the same losses, to the bit."""
    run, other = set_up(), set_up()
    torch.manual_seed(1)
    first = train_step(run, 2)
    torch.manual_seed(2)
    second = train_step(other, 2)
    assert torch.equal(first[0].total, second[0].total) and first[1] == second[1]


@pytest.mark.slow
def test_a_compiled_model_with_frozen_parts_takes_the_same_step(set_up, monkeypatch):
    """Captured and differentiated as always, but run by PyTorch's kernels: generating code takes minutes of a CPU."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain = set_up("objectives.mem=0", *STILL)
    compiled = set_up("objectives.mem=0", "training.compile=true", *STILL)
    one, two = train_step(plain, 0)[0], train_step(compiled, 0)[0]
    assert two.total.item() == pytest.approx(one.total.item(), rel=1e-4)
    assert compiled.model.ecg_decoder.predict.weight.grad is None


def test_a_named_recipe_may_ask_for_what_a_store_is_not(tiny_store, tmp_path):
    from cmelt.errors import StoreError
    from cmelt.training.loop import pretrain

    for change, said in (
        ("model.ecg.samples=500", "1000 samples at 100 Hz"),
        ("model.ecg.rate=500", "prepare it with --rate 500"),
    ):
        with pytest.raises(StoreError, match=said):
            pretrain(tiny_recipe(change), open_store(tiny_store), Path(tmp_path / "run"), Notes())
    assert not (tmp_path / "run").exists()
