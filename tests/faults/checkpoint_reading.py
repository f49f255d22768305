"""The three ways in which a checkpoint is read, each with damage: a run's state, a whole model, its towers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from checkpoint_damage import CHECKS, done, drawn, refused, refused_or_unread
from training_campaigns import Tally

from cmelt.batches.corpus import corpus_of
from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.inference import load_towers
from cmelt.checkpoints.seen import read_seen
from cmelt.checkpoints.training_state import checkpoints, resume_state
from cmelt.config import Recipe
from cmelt.store import open_store
from cmelt.training.engine import launch
from cmelt.training.loop import Run, _set_up


def states_damaged(run: Path, store: Path, recipe: Recipe, flips: int, cuts: int, rng: np.random.Generator) -> Tally:
    """Damage in the newest state of a run: it must be said with file and check, and the state before be taken."""
    opened = open_store(store)
    into = _set_up(recipe, opened, run, corpus_of(opened), launch(recipe.training), "auto", lambda _: None)
    newest, before = checkpoints(run / "checkpoints")[:2]
    tally = Tally("damage in a run's newest state")
    for damage in drawn(newest, flips, cuts, rng):
        with done(damage):
            step, said = _resumed(into)
        told = " ".join(line for line in said if "passed over" in line)
        faults = [] if step == int(before.name.removeprefix("step-")) else [f"went on after step {step}"]
        faults += [] if newest.name in told and (damage.path.name in told or "manifest.json" in told) else [f"said: {told}"]
        faults += [] if any(check in told for check in CHECKS) else [f"no check is named: {told}"]
        tally.add(str(damage), faults)
    step, _ = _resumed(into)
    tally.wrong += [] if step == int(newest.name.removeprefix("step-")) else [f"whole again: went on after step {step}"]
    return tally


def models_damaged(model: Path, flips: int, cuts: int, rng: np.random.Generator) -> Tally:
    """Damage in a finished model, read as evaluation and training read it."""
    return refused("damage in a model, read whole", drawn(model, flips, cuts, rng), lambda: load_embedder(model, device="cpu"))


def towers_damaged(model: Path, flips: int, cuts: int, rng: np.random.Generator) -> Tally:
    """The same, read as embedding reads it: each tower by a hash of its own, the rest of the weights not at all."""

    def embedded() -> bytes:
        trained = load_towers(model)
        settings = trained.towers.settings
        ecg = torch.from_numpy(np.random.default_rng(1).normal(size=(1, settings.ecg.leads, settings.ecg.samples)))
        tokens = torch.arange(4).view(1, 4)
        with torch.inference_mode():
            ours = trained.towers.embed_ecg(ecg.float())
            words = trained.towers.embed_text(tokens, torch.ones(1, 4, dtype=torch.bool))
        return ours.numpy().tobytes() + words.numpy().tobytes() + "".join(read_seen(model)).encode()

    return refused_or_unread("damage in a model, read by its towers", drawn(model, flips, cuts, rng), embedded)


def _resumed(into: Run) -> tuple[int, list[str]]:
    said: list[str] = []
    resumed = resume_state(into.folder / "checkpoints", into.model, into.optimiser, into.average, into.identity, said.append)
    return resumed.step, said
