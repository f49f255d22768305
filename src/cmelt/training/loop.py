"""Pre-training: the loop, to be read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from cmelt.batches.ahead import Ahead, loaders_for
from cmelt.batches.assemble import Batches
from cmelt.batches.corpus import Corpus, corpus_of
from cmelt.batches.seeds import torch_seed
from cmelt.checkpoints.divided import whole_tensors
from cmelt.checkpoints.model_folder import distinct_tensors, model_with, save_model
from cmelt.checkpoints.training_state import resume_state, save_state
from cmelt.config import Recipe
from cmelt.errors import TrainingError
from cmelt.model.cmelt import CMeltModel
from cmelt.objectives.total import Losses, total_loss
from cmelt.store import AnyStore
from cmelt.training.card import model_card, sources_of, training_facts
from cmelt.training.communication import sent_in_a_step
from cmelt.training.company import in_company
from cmelt.training.engine import launch, processes_here, set_up
from cmelt.training.interruption import Interruption
from cmelt.training.log import MetricsLog
from cmelt.training.optimiser import build_optimiser, freeze_unused, set_rate
from cmelt.training.schedule import rate_factor
from cmelt.training.setup import (
    Say,
    check_store,
    model_of,
    negatives_of,
    open_run,
    phrases_of_run,
    run_description,
    sole_writer,
    state_identity,
    tokenizer_of,
)
from cmelt.training.sharding import finish_gradients

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Watcher(Protocol):
    """What shows a run to its user."""

    def say(self, message: str) -> None:
        """One line of news."""

    def step(self, done: int, steps: int, metrics: dict[str, float]) -> None:
        """`done` of `steps` are done; `metrics` holds the losses, the rate and the records a second."""


@dataclass
class Run:
    """Everything the loop holds in its hands."""

    recipe: Recipe
    fabric: Fabric
    batches: Batches
    model: CMeltModel
    wrapped: Any  # the model as Fabric set it up: DDP, precision, compiled
    optimiser: torch.optim.Optimizer
    steps: int
    average: dict[str, torch.Tensor] | None
    folder: Path
    identity: dict[str, Any] = field(default_factory=dict)
    loaders: int = 0
    ahead: Ahead | None = None  # hands over the batches while the run is on


def pretrain(
    recipe: Recipe,
    store: AnyStore,
    folder: Path,
    watcher: Watcher,
    *,
    resume: str = "auto",
    devices: int | None = None,
    nodes: int | None = None,
) -> int:
    """Pre-train as the recipe says, into `folder`; a run that lies there goes on exactly where it stopped.

    Args:
        resume: "auto" goes on with a run in `folder`, "never" refuses one.
    Returns:
        0 when the run is finished, or the exit code of the signal that stopped it; its state is saved then.
    Raises:
        StoreError, ConfigError, CheckpointError; TrainingError for a loss that is not finite, naming objective and records, and
        where another process of the run has gone away.
    """
    check_store(store, recipe)
    fabric = launch(recipe.training, devices, nodes)
    say = watcher.say if fabric.is_global_zero else lambda _: None
    corpus = corpus_of(store)
    # Weights and dropout are drawn from torch's global state, seeded each time: the caller's comes back unchanged.
    own_gpu = [torch.cuda.current_device()] if fabric.device.type == "cuda" else []
    writing = sole_writer(folder, fabric.is_global_zero)
    with in_company(fabric, folder), torch.random.fork_rng(devices=own_gpu), writing:
        run = _set_up(recipe, store, folder, corpus, fabric, resume, say)
        run.loaders = loaders_for(recipe.training.loaders, processes_here(fabric))
        return _pretrain(run, store, corpus, watcher, say)


def _pretrain(run: Run, store: AnyStore, corpus: Corpus, watcher: Watcher, say: Say) -> int:
    recipe, fabric, folder = run.recipe, run.fabric, run.folder
    say(
        f"{len(corpus)} pairs, {len(corpus.distinct)} distinct reports, "
        f"{corpus.without_report} train records without a usable report; "
        f"{sum(p.numel() for p in run.model.parameters()) / 1e6:.1f} M parameters; {run.steps} steps of "
        f"{recipe.training.batch * recipe.training.accumulate * fabric.world_size} on {fabric.world_size} × {fabric.device}"
    )
    if fabric.world_size > 1:
        sent = sent_in_a_step(recipe, run.model, fabric.world_size)
        say(f"each process sends {sent.total / 1e6:.1f} MB a step, {sent.contrast / 1e6:.2f} of them embeddings")
    resumed = resume_state(folder / "checkpoints", run.model, run.optimiser, run.average, run.identity, say)
    if resumed.step:
        say(f"going on after step {resumed.step}")
    end = run.steps * recipe.training.accumulate
    with Interruption() as interruption, Ahead(run.batches.batch, end, run.loaders) as run.ahead:
        code = _train(run, resumed.step, watcher, interruption)
    if code is not None:
        say(f"stopped by a signal; the state is saved, the same command goes on from here ({folder})")
        return code
    interruption.pass_on()
    _hand_on(run, store, corpus)
    fabric.barrier()
    return 0


def train_step(run: Run, step: int) -> tuple[Losses, float]:
    """Step number `step` (0-based): its batches, forward, backward, clipping, update.

    Returns the losses of this process, averaged over the accumulated batches, and the norm of all processes' gradient before
    clipping. The processes' losses average to those of the whole batch.
    Raises TrainingError for a loss or a gradient that is not finite, before anything is changed.
    """
    recipe, fabric = run.recipe, run.fabric
    seen: list[Losses] = []
    records: list[str] = []
    set_rate(run.optimiser, recipe.optimiser.rate * rate_factor(step, run.steps, recipe.optimiser))
    run.optimiser.zero_grad(set_to_none=True)
    share = 1.0 / recipe.training.accumulate
    for part in range(recipe.training.accumulate):
        micro_step = step * recipe.training.accumulate + part
        batch = (run.ahead or run.batches).batch(micro_step).to(fabric.device)
        torch.manual_seed(torch_seed(recipe.seed, "dropout", micro_step, fabric.global_rank))
        views, truth = batch.views(recipe.model.ecg.samples_per_token)
        with fabric.no_backward_sync(run.wrapped, enabled=part + 1 < recipe.training.accumulate):
            outputs = run.wrapped(views, frozenset(recipe.objectives.weights))
            losses = total_loss(outputs, truth, recipe.objectives)
            _refuse_unless_finite(losses, batch.records, step, fabric)
            fabric.backward(losses.total * share)
        seen.append(Losses(losses.total.detach(), {name: part.detach() for name, part in losses.parts.items()}))
        records += batch.records
    norm = finish_gradients(run.model, recipe.optimiser.clip)
    if not bool(torch.isfinite(norm)):
        raise _not_finite(step, "the gradient", records)
    run.optimiser.step()
    _update_average(run)
    return _mean_of(seen), float(norm)


def _set_up(recipe: Recipe, store: AnyStore, folder: Path, corpus: Corpus, fabric: Fabric, resume: str, say: Say) -> Run:
    # One process makes what all of them read: the run's folder, tokenizer and table of negatives.
    if fabric.is_global_zero:
        open_run(folder, recipe, store, corpus, resume, fabric.world_size)
        tokenizer_of(folder, recipe, corpus)
        negatives_of(folder, recipe, corpus, say)
        phrases_of_run(folder, recipe, corpus, say)
    fabric.barrier()
    tokenizer = tokenizer_of(folder, recipe, corpus)
    table, phrases = negatives_of(folder, recipe, corpus, say), phrases_of_run(folder, recipe, corpus, say)
    model = model_of(recipe, tokenizer)
    freeze_unused(model, frozenset(recipe.objectives.weights))
    wrapped = set_up(fabric, model, recipe.training)
    optimiser = fabric.setup_optimizers(build_optimiser(model, recipe.optimiser))
    on_gpu = fabric.device.type == "cuda"
    batches = Batches(store, corpus, tokenizer, table, recipe, fabric.global_rank, fabric.world_size, phrases, on_gpu)
    average = {n: t.detach().clone() for n, t in distinct_tensors(model).items()} if recipe.training.average else None
    return Run(
        recipe, fabric, batches, model, wrapped, optimiser, steps_of(recipe, corpus.draws, fabric.world_size), average, folder,
        state_identity(folder, recipe, store, corpus, fabric.world_size),
    )  # fmt: skip


def steps_of(recipe: Recipe, pairs: int, world: int) -> int:
    """Steps of the run: as the recipe says, or as many as its passes of so many `pairs` take."""
    training = recipe.training
    if training.steps is not None:
        return training.steps
    assert training.epochs is not None
    return max(1, round(training.epochs * pairs / (training.batch * training.accumulate * world)))


def _train(run: Run, first: int, watcher: Watcher, interruption: Interruption) -> int | None:
    """The steps from `first` on; the exit code of a signal that ended them early or came with the last, once all is saved."""
    training, fabric = run.recipe.training, run.fabric
    log = MetricsLog(run.folder, first) if fabric.is_global_zero else None
    since, seen, saved = time.perf_counter(), 0, first
    per_step = training.batch * training.accumulate * fabric.world_size
    for step in range(first, run.steps):
        losses, norm = train_step(run, step)
        done, seen = step + 1, seen + per_step
        if done % training.log_every == 0 or done == run.steps:
            losses, now = _of_everyone(losses, fabric), time.perf_counter()
            if log is not None:
                metrics = _metrics(run, losses, norm, seen / max(1e-9, now - since))
                log.write({"step": done, **metrics})
                watcher.step(done, run.steps, metrics)
            since, seen = now, 0
        # Asked once a step, of all processes: one that has heard of a signal later must not leave without the others.
        code = _code_of_anyone(run, interruption)
        if code is not None or done % training.checkpoint_every == 0 or done == run.steps:
            _save(run, done)
            saved = done
        if code is not None:
            break
    else:
        code = _code_of_anyone(run, interruption)
    assert saved == run.steps or code is not None
    if log is not None:
        log.close()
    return code


def _metrics(run: Run, losses: Losses, norm: float, rate: float) -> dict[str, float]:
    parts = {name: float(value.detach()) for name, value in losses.parts.items()}
    learning_rate = run.optimiser.param_groups[-1]["lr"]
    return {
        "loss": float(losses.total.detach()),
        **parts,
        "gradient_norm": norm,
        "learning_rate": learning_rate,
        "records_per_second": rate,
    }


def _mean_of(seen: list[Losses]) -> Losses:
    parts = {name: torch.stack([losses.parts[name] for losses in seen]).mean() for name in seen[0].parts}
    return Losses(torch.stack([losses.total for losses in seen]).mean(), parts)


def _of_everyone(losses: Losses, fabric: Fabric) -> Losses:
    """The losses of the whole batch: the mean over the processes."""
    if fabric.world_size == 1:
        return losses
    together = fabric.all_reduce(torch.stack([losses.total, *losses.parts.values()]), reduce_op="mean")
    return Losses(together[0], dict(zip(losses.parts, together[1:], strict=True)))


def _refuse_unless_finite(losses: Losses, records: tuple[str, ...], step: int, fabric: Fabric) -> None:
    """Stop before the update when a loss is not finite, on every process at once."""
    finite = torch.isfinite(losses.total.detach()).float()
    everywhere = fabric.all_reduce(finite, reduce_op="min") if fabric.world_size > 1 else finite
    if bool(everywhere):
        return
    broken = [name for name, value in losses.parts.items() if not bool(torch.isfinite(value.detach()))] or ["another process's"]
    raise _not_finite(step, f"loss {', '.join(broken)}", records)


def _not_finite(step: int, what: str, records: Sequence[str]) -> TrainingError:
    return TrainingError(
        f"step {step + 1}",
        f"{what} is not finite; the batch's records: {', '.join(records)}",
        "the weights of the last checkpoint are intact: look at these records, or lower optimiser.rate",
    )


def _update_average(run: Run) -> None:
    if run.average is None:
        return
    decay = run.recipe.training.average
    with torch.no_grad():
        for name, tensor in distinct_tensors(run.model).items():
            if tensor.is_floating_point():
                run.average[name].lerp_(tensor.detach(), 1.0 - decay)
            else:  # a count, as batch norm keeps one: there is no mean of it
                run.average[name].copy_(tensor)


def _code_of_anyone(run: Run, interruption: Interruption) -> int | None:
    """The exit code of a signal that any process has got so far; the same in all of them, which stop after the same step."""
    if run.fabric.world_size == 1:
        return interruption.code
    code = torch.tensor(interruption.code or 0, device=run.fabric.device)
    return int(run.fabric.all_reduce(code, reduce_op="max")) or None


def _save(run: Run, step: int) -> None:
    keep, details = run.recipe.training.keep_checkpoints, {**run.identity, "world": run.fabric.world_size}
    save_state(
        run.folder / "checkpoints", run.model, run.optimiser, run.average, step, details, keep, writes=run.fabric.is_global_zero
    )
    run.fabric.barrier()


def _hand_on(run: Run, store: AnyStore, corpus: Corpus) -> None:
    """Publish the finished model: the averaged weights where there are any. Every process gives its share of them."""
    weights = whole_tensors(run.average or distinct_tensors(run.model), run.fabric.is_global_zero)
    if not run.fabric.is_global_zero:
        return
    model = model_with(run.model.config, weights)
    details = {
        "step": run.steps,
        "store": store.sha256,
        "recipe": run.recipe.name,
        "seed": run.recipe.seed,
        "sources": sources_of(store),
        "training": training_facts(run.recipe, store, corpus, run.steps),
        "run": run_description(run.folder),
    }
    card = model_card(run.recipe, store, corpus, run.steps)
    seen = [*store.index["fingerprint"].iloc[corpus.rows], *store.people(corpus.rows)]
    save_model(model, run.batches.tokenizer, run.folder / "model", details, card, seen)
