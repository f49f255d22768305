"""A whole training step by DDP and by FSDP, in two and four processes, is that of one process with the whole batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file, save_file

import cmelt.training.loop as loop
from cmelt.batches.batch import AskedPhrases, Batch
from cmelt.batches.corpus import corpus_of
from cmelt.checkpoints.divided import whole_tensors
from cmelt.checkpoints.model_folder import distinct_tensors
from cmelt.errors import TrainingError
from cmelt.objectives import ets_ring
from cmelt.store import open_store
from cmelt.training import sharding
from cmelt.training.engine import launch
from processes import started_by_torchrun, together
from tiny_runs import tiny_recipe

BATCH, PARTS = 8, 2  # pairs of a micro batch of all processes together, micro batches of a step
STEP = (
    "model.ecg.dropout=0", "model.ecg.attention_dropout=0", "model.fusion.dropout=0", "model.text.architecture.dropout_rate=0",
    "objectives.phrases=1", "objectives.phrase.least=2", "objectives.phrase.drawn=7", "objectives.ecg_alignment=1",
    "objectives.alignment.dropout=0", "objectives.contrast.learn_scale_and_bias=true", "objectives.contrast.balance=true",
    "training.average=0.9", f"training.accumulate={PARTS}", "optimiser.clip=0.5",
)  # fmt: skip


class Shared:
    """What one process would be given, cut into as many shares as there are processes."""

    def __init__(self, batches: list[Batch], rank: int, world: int, tokenizer: object) -> None:
        self.shares, self.tokenizer = [InDouble(_share(batch, rank, world)) for batch in batches], tokenizer

    def batch(self, step: int) -> InDouble:
        return self.shares[step % len(self.shares)]


class InDouble:
    """A batch whose signals come in the precision that tensors are made in."""

    def __init__(self, batch: Batch) -> None:
        self.of, self.records = batch, batch.records

    def to(self, device: torch.device) -> InDouble:
        return self

    def views(self, samples_per_token: int):
        views, truth = self.of.views(samples_per_token)
        kind = torch.get_default_dtype()
        return views._replace(ecg=views.ecg.to(kind)), replace(truth, ecg=truth.ecg.to(kind))


def _share(batch: Batch, rank: int, world: int) -> Batch:
    rows = slice(rank * BATCH // world, (rank + 1) * BATCH // world)

    def cut(part):
        pieces = {f.name: getattr(part, f.name) for f in fields(part)}
        return replace(part, **{n: value[rows] for n, value in pieces.items() if isinstance(value, torch.Tensor | tuple)})

    asked = batch.phrases
    assert asked is not None and len(asked.tokens) == 7
    each = -(-7 // world)
    own = torch.arange(rank * each, (rank + 1) * each) % 7
    phrases = AskedPhrases(asked.tokens[own], asked.mask[own], asked.held[rows], asked.counted[rows])
    return replace(cut(batch), shown=cut(batch.shown), phrases=phrases)


@contextmanager
def computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Tensors, weights and what Fabric hands to the model in this precision."""
    from lightning_fabric.plugins.precision import DoublePrecision
    from lightning_fabric.strategies import Strategy

    with pytest.MonkeyPatch.context() as patched:
        if dtype == torch.float64:
            make = loop.model_of
            patched.setattr(loop, "model_of", lambda *given: make(*given).double())
            patched.setattr(Strategy, "precision", property(lambda _: DoublePrecision(), lambda *_: None))
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def step(store: str, folder: Path, rank: int, world: int, dtype: torch.dtype, *assignments: str) -> dict[str, torch.Tensor]:
    """The gradients (clipped), weights and averages after one step, and the gradient's norm and the losses; whole."""
    recipe, opened = tiny_recipe(f"training.batch={BATCH // world}", *STEP, *assignments), open_store(store)
    with computing_in(dtype):
        fabric = launch(recipe.training)
        run = loop._set_up(recipe, opened, folder, corpus_of(opened), fabric, "auto", lambda _: None)
        alone = replace(run.batches, rank=0, world=1, recipe=replace(recipe, training=replace(recipe.training, batch=BATCH)))
        run.batches = Shared([alone.batch(part) for part in range(PARTS)], rank, world, None)
        losses, norm = loop.train_step(run, 0)
        losses = loop._of_everyone(losses, fabric)
    weights = distinct_tensors(run.model)
    gradients = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
    assert {"contrast.log_scale", "phrase_scale.bias", "ecg_encoder.layers.0.expand.weight"} <= gradients.keys()
    found = {"norm": torch.tensor(norm), **{f"loss {name}": value for name, value in losses.parts.items()}}
    for kind, tensors in (("gradient", gradients), ("weight", weights), ("average", run.average)):
        found |= {f"{kind} {name}": tensor.clone() for name, tensor in whole_tensors(tensors).items()}
    return found


def one_of_several(rank: int, world: int, port: int, store: str, folder: str, kinds: list[tuple[str, torch.dtype, str]]) -> None:
    os.environ.update(started_by_torchrun(rank, world, port))
    ets_ring.RING_FROM = 0
    for number, (strategy, dtype, more) in enumerate(kinds):
        chosen = (f"training.strategy={strategy}", *more.split())
        found = step(store, Path(folder) / f"run-{number}", rank, world, dtype, *chosen)
        if rank == 0:
            save_file(found, f"{folder}/found-{number}")
    torch.distributed.destroy_process_group()


AGAIN = "training.gradient_checkpointing=true"
#: A stem with batch norm, whose statistics are of all processes' records.
NORMED = "model.ecg.stem=resnet1d model.ecg.stem_kernel=3 model.ecg.stem_channels=[8,8,8,8,8] model.ecg.masking=signal"
KINDS = {
    2: [
        ("ddp", torch.float32, ""), ("fsdp", torch.float32, ""), ("ddp", torch.float64, ""), ("fsdp", torch.float64, ""),
        ("ddp", torch.float64, NORMED), ("fsdp", torch.float64, NORMED),
    ],
    4: [
        ("ddp", torch.float64, ""), ("fsdp", torch.float64, AGAIN),
        ("ddp", torch.float64, NORMED), ("fsdp", torch.float64, NORMED),
    ],
}  # fmt: skip
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_a_step_of_several_processes_is_that_of_one(world, tiny_store, tmp_path):
    together(one_of_several, world, str(tiny_store), str(tmp_path), KINDS[world])
    truth: dict[tuple[torch.dtype, bool], dict[str, torch.Tensor]] = {}
    for number, (strategy, dtype, more) in enumerate(KINDS[world]):
        several, model = load_file(tmp_path / f"found-{number}"), (dtype, more == NORMED)
        if model not in truth:
            folder = tmp_path / f"alone-{number}"
            truth[model] = step(str(tiny_store), folder, 0, 1, dtype, *(more.split() if more == NORMED else ()))
            assert truth[model]["norm"] > 0.5  # hence clipped
        assert several.keys() == truth[model].keys()
        for name, value in truth[model].items():
            # Adam divides by the gradient's own size: a weight that hardly has one moves by as much as the others.
            allowed = TOLERANCE[dtype] * max(1.0, float(value.abs().max())) * (1.0 if name.startswith(("grad", "loss")) else 1e3)
            away = (several[name].double() - value.double()).abs().max()
            assert away <= allowed, (strategy, dtype, more, name, float(away))


def test_what_fsdp_cannot_do_is_refused_by_name(monkeypatch):
    settings = tiny_recipe("training.strategy=fsdp").training
    sharding.refuse_unless_shardable(settings)
    with pytest.raises(TrainingError, match=r"training\.compile"):
        sharding.refuse_unless_shardable(replace(settings, compile=True))
    monkeypatch.setattr(sharding, "_parameters_of_fully_shard", set)
    with pytest.raises(TrainingError, match=r"needs PyTorch 2\.7"):
        sharding.refuse_unless_shardable(settings)


def test_one_process_has_nothing_to_divide(tiny_store, tmp_path):
    recipe = tiny_recipe("training.strategy=fsdp")
    assert launch(recipe.training).world_size == 1
