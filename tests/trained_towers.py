"""A tiny model on disk for tests of what reads and uses one."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from cmelt.checkpoints.model_folder import save_model
from cmelt.config import from_mapping
from cmelt.config.settings import ObjectiveSettings
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.text import train_tokenizer
from tiny_runs import tiny_recipe

REPORTS = ["sinus rhythm. normal ecg.", "atrial fibrillation with rapid response.", "left bundle branch block."] * 4
BERT = {"model_type": "bert", "vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16}  # fmt: skip
DETAILS = {
    "recipe": "tiny",
    "seed": 0,
    "step": 3,
    "store": "a" * 64,
    "sources": ["ptb-xl", "simulated"],
    "training": {"pairs": "9"},
}


def tiny_model(text: dict | None = None, **objectives: float) -> CMeltModel:
    """Weights with some spread: as initialised, all embeddings would be nearly alike."""
    assignment = f"model.text.architecture={json.dumps(text)}" if text else "model.text.architecture.vocab_size=400"
    trained = from_mapping(ObjectiveSettings, objectives, "a test") if objectives else None
    torch.manual_seed(0)
    model = CMeltModel(CMeltConfig.of(tiny_recipe(assignment).model, trained)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


def saved_model(folder: Path, model: CMeltModel | None = None, **details: object) -> Path:
    """The model's folder."""
    save_model(model or tiny_model(), train_tokenizer(REPORTS, 400), folder, {**DETAILS, **details}, "# A card\n", ["ab" * 32])
    return folder
