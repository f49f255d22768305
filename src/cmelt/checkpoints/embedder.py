"""The embedder, or the model, that a run, a folder or a name means."""

from __future__ import annotations

from pathlib import Path

import torch

from cmelt.checkpoints.finding import find_model
from cmelt.checkpoints.model_embedder import ModelEmbedder
from cmelt.checkpoints.model_folder import read_model
from cmelt.checkpoints.seen import read_seen
from cmelt.model.cmelt import CMeltModel
from cmelt.text import load_tokenizer
from cmelt.text.pieces import AbsentTokenizer, lacks_tokenizer

__all__ = ["ModelEmbedder", "load_embedder", "load_model", "random_model"]


def load_embedder(
    run: str | Path, *, random: bool = False, seed: int = 0, device: str | None = None
) -> ModelEmbedder[CMeltModel]:
    """The embedder of a run, a model's folder, a bundled model by name, or one of a hub (`find_model`).

    Args:
        random: same architecture and tokenizer with fresh weights drawn from `seed`: the control.
        device: where to compute; by default a GPU where there is one.
    Raises CheckpointError for a folder that holds no model, or a damaged one.
    """
    folder = find_model(run)
    model, manifest = read_model(folder)
    identity = str(manifest["files"]["model.safetensors"]["sha256"])
    if random:
        model, identity = random_model(model, seed), f"{identity[:16]}-random-{seed}"
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return ModelEmbedder(
        model.to(place),
        AbsentTokenizer(str(folder)) if lacks_tokenizer(folder) else load_tokenizer(folder),
        identity,
        place,
        read_seen(folder),
        model.config.aligned,
        model.config.objective_settings.negative_weight,
    )


def load_model(run: str | Path) -> CMeltModel:
    """The model of a run, a model's folder, a bundled model by name, or one of a hub (`find_model`), in evaluation mode."""
    return read_model(find_model(run))[0]


def random_model(like: CMeltModel, seed: int) -> CMeltModel:
    """A model of the same configuration with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CMeltModel(like.config).eval()
