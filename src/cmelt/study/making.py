"""Making one cell's model: pre-trained, in one stage or two, or left at fresh weights; what was stopped goes on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cmelt.config import Recipe
from cmelt.study.cells import Cell
from cmelt.study.folders import RUN, is_made
from cmelt.study.training_data import training_store

if TYPE_CHECKING:
    from cmelt.model.cmelt import CMeltModel
    from cmelt.store import AnyStore
    from cmelt.training.loop import Watcher

#: Tensors that a model has for the sake of one objective, by how their names begin.
_OF_OBJECTIVES = ("phrase_scale.", "view_head.")


def make_model(cell: Cell, folder: Path, stores: Path, watcher: Watcher) -> int:
    """Bring a cell's model about in `folder/run`; what lies there goes on.

    `stores` is where published text weights may lie, under the name that the recipe gives them.

    Returns 0, or the exit code of the signal that stopped it. Raises what pre-training raises.
    """
    if is_made(folder) or cell.recipe is None:
        return 0
    if cell.kind == "random":
        _fresh(_with_weights(cell.recipe, stores), training_store(cell.stages[0], cell.seed), folder / RUN, watcher)
        return 0
    before: Path | None = None
    for number, (parts, recipe) in enumerate(zip(cell.stages, cell.recipes, strict=True), start=1):
        last = number == len(cell.stages)
        run = folder / (RUN if last else f"{RUN}-stage-{number}")
        if not (run / "model").is_dir():
            code = _pretrain(_with_weights(recipe, stores), training_store(parts, cell.seed), run, before, watcher)
            if code:
                return code
        before = run
    return 0


def _with_weights(recipe: Recipe, stores: Path) -> Recipe:
    """The recipe with the path of its text weights, where they lie beside the stores; as it is where they do not."""
    text = recipe.model.text
    if text.weights is None or not (stores / text.weights).is_dir():
        return recipe
    found = replace(text, weights=str((stores / text.weights).resolve()))
    return replace(recipe, model=replace(recipe.model, text=found))


def _pretrain(recipe: Recipe, store: AnyStore, run: Path, before: Path | None, watcher: Watcher) -> int:
    from cmelt.training.loop import pretrain

    if before is not None and not (run / "checkpoints").is_dir():
        _begin_with(before, recipe, store, run)
    return pretrain(recipe, store, run, watcher)


def _begin_with(before: Path, recipe: Recipe, store: AnyStore, run: Path) -> None:
    """Lay an earlier run's tokenizer and weights where the new run finds them, as its state before the first step."""
    import torch

    from cmelt.checkpoints.model_folder import distinct_tensors, read_model
    from cmelt.checkpoints.training_state import save_state
    from cmelt.text import load_tokenizer
    from cmelt.training.optimiser import build_optimiser, freeze_unused
    from cmelt.training.setup import model_of

    run.mkdir(parents=True, exist_ok=True)
    if not (run / "tokenizer").exists():
        draft = run / ".tokenizer-draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(before / "tokenizer", draft)
        draft.rename(run / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        model = model_of(recipe, load_tokenizer(run / "tokenizer"))
    take_weights(model, read_model(before / "model")[0])
    freeze_unused(model, frozenset(recipe.objectives.weights))
    optimiser = build_optimiser(model, recipe.optimiser)
    average = {name: tensor.detach().clone() for name, tensor in distinct_tensors(model).items()}
    identity = {"store": store.sha256, "world": 1}
    save_state(run / "checkpoints", model, optimiser, average if recipe.training.average else None, 0, identity, keep=1)


def take_weights(model: CMeltModel, earlier: CMeltModel) -> None:
    """Put an earlier stage's weights into the model.

    A part that an objective brings with it begins afresh where the earlier stage was without that objective, and is left behind
    where the model is.

    Raises CheckpointError where anything else differs.
    """
    from cmelt.checkpoints.model_folder import distinct_tensors, load_weights

    mine, theirs = distinct_tensors(model), distinct_tensors(earlier)
    fresh = {name: tensor for name, tensor in mine.items() if name not in theirs and name.startswith(_OF_OBJECTIVES)}
    taken = {name: tensor for name, tensor in theirs.items() if name in mine or not name.startswith(_OF_OBJECTIVES)}
    load_weights(model, fresh | taken, Path("the earlier stage"))


def _fresh(recipe: Recipe, store: AnyStore, run: Path, watcher: Watcher) -> None:
    """The model before its first step, as pre-training would begin with it."""
    import torch

    from cmelt.batches.corpus import corpus_of
    from cmelt.checkpoints.model_folder import save_model
    from cmelt.training.card import model_card
    from cmelt.training.setup import check_store, model_of, tokenizer_of

    check_store(store, recipe)
    corpus = corpus_of(store)
    tokenizer = tokenizer_of(run, recipe, corpus)
    with torch.random.fork_rng(devices=[]):
        model = model_of(recipe, tokenizer).eval()
    card = model_card(replace(recipe, name=f"{recipe.name}, fresh weights"), store, corpus, steps=0)
    save_model(model, tokenizer, run / "model", {"step": 0, "recipe": recipe.name, "seed": recipe.seed}, card)
    watcher.say("fresh weights")
