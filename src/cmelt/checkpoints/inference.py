"""A model for inference: its two towers and its tokenizer, read without transformers wherever that is possible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cmelt.checkpoints.finding import find_model
from cmelt.config.parsing import from_mapping
from cmelt.config.settings import ModelSettings
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.towers import TOWERS, PlainTowers, Towers
from cmelt.publishing import verify
from cmelt.text.pieces import PieceTokenizer, read_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONFIG = "config.json"


def load_towers(name: str | Path) -> tuple[Towers, PieceTokenizer | PreTrainedTokenizerBase, Path]:
    """The towers in evaluation mode, the tokenizer, and the folder they were read from.

    T5 text encoders are computed in plain PyTorch; with any other, the whole model is read with transformers.

    Raises:
        CheckpointError: no model, or a damaged one.
    """
    folder = find_model(name)
    verify(folder, CheckpointError)
    settings = _settings(folder / _CONFIG)
    try:
        with torch.device("meta"):
            towers = PlainTowers(settings)
        tokenizer = read_pieces(folder)
    except ConfigError:
        from cmelt.checkpoints.embedder import load_model
        from cmelt.text import load_tokenizer

        return load_model(folder), load_tokenizer(folder), folder
    _put_weights_in(towers, folder)
    return towers.eval(), tokenizer, folder


def _settings(path: Path) -> ModelSettings:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return from_mapping(ModelSettings, content["settings"], path, "settings")
    except (ValueError, KeyError, TypeError) as fault:
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
