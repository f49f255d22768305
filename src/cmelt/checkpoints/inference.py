"""A model for inference: its two towers and its tokenizer, read without transformers wherever that is possible."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cmelt.checkpoints.finding import find_model
from cmelt.config.parsing import from_mapping
from cmelt.config.settings import CONTRASTIVE, ModelSettings, ObjectiveSettings
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.towers import TOWERS, PlainTowers, Towers
from cmelt.publishing import verify
from cmelt.text.pieces import read_pieces

if TYPE_CHECKING:
    from cmelt.text.tokenizers import Tokenizer

_CONFIG = "config.json"


@dataclass(frozen=True)
class TrainedTowers:
    """The towers in evaluation mode, with their tokenizer.

    Attributes:
        aligned: whether an objective has put ECGs and texts into one space; without, their similarity means nothing.
        negative_weight: how much of the similarity to negative prompts zero-shot scoring takes off.
    """

    towers: Towers
    tokenizer: Tokenizer
    aligned: bool
    negative_weight: float


def load_towers(name: str | Path) -> TrainedTowers:
    """The towers of a run, a model's folder, a bundled model by name, or one of a hub (`find_model`).

    T5 text encoders are computed in plain PyTorch; with any other, the whole model is read with transformers.

    Raises:
        CheckpointError: no model, or a damaged one.
    """
    folder = find_model(name)
    verify(folder, CheckpointError)
    settings, objectives = _settings(folder / _CONFIG)
    learned = bool(objectives.weights.keys() & CONTRASTIVE), objectives.negative_weight
    try:
        # Drawing weights that are replaced at once takes 0.02 s a small model; the meta device, which would draw none, imports
        # 800 modules of sympy and others when it is first used: over a second.
        with torch.random.fork_rng(devices=[]):
            towers = PlainTowers(settings)
        tokenizer = read_pieces(folder)
    except ConfigError:
        from cmelt.checkpoints.embedder import load_model
        from cmelt.text import load_tokenizer

        return TrainedTowers(load_model(folder), load_tokenizer(folder), *learned)
    _put_weights_in(towers, folder)
    return TrainedTowers(towers.eval(), tokenizer, *learned)


def _settings(path: Path) -> tuple[ModelSettings, ObjectiveSettings]:
    """The sizes that config.json states, and what trained the model."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        objectives = from_mapping(ObjectiveSettings, content.get("objectives") or {}, path, "objectives")
        return from_mapping(ModelSettings, content["settings"], path, "settings"), objectives
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise CheckpointError(path, f"is no model's configuration ({type(fault).__name__})") from fault


def _put_weights_in(towers: nn.Module, folder: Path) -> None:
    from cmelt.checkpoints.tensors import WEIGHTS, read_tensors

    state = read_tensors(folder, tuple(f"{part}." for part in TOWERS))
    # T5 knows its word embeddings by two names; which of them is in the file is the writer's choice.
    if (alias := state.pop("text_encoder.encoder.embed_tokens.weight", None)) is not None:
        state.setdefault("text_encoder.shared.weight", alias)
    known = {name: tensor.shape for name, tensor in towers.state_dict().items()}
    if wrong := sorted(name for name in known.keys() | state.keys() if name not in state or state[name].shape != known.get(name)):
        fault = f"missing, unknown or misshapen tensors: {', '.join(wrong[:5])}"
        raise CheckpointError(folder / WEIGHTS, fault, "these weights belong to another configuration")
    towers.load_state_dict(state, strict=True, assign=True)
