"""How many parameters each part of a model has, counted on shapes alone: nothing is allocated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from cmelt.config import load_recipe
from cmelt.config.settings import ModelSettings
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.text_encoder import text_config

CONFIG = "config.json"


def parameter_counts(config: CMeltConfig) -> dict[str, int]:
    """Parameters of each part (`ecg_encoder`, `text_encoder`, `fusion`, …); a tensor known by two names counts once."""
    with torch.device("meta"):
        model = CMeltModel(config)
    return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in model.named_children()}


def settings_of_recipe(name_or_path: str) -> CMeltConfig:
    """The configuration of the model that a recipe makes.

    Where the recipe's tokenizer is learned from a store, the vocabulary is counted at its largest (`model.text.vocabulary`): few
    reports yield fewer pieces. Published text weights (`model.text.weights`) are not fetched; the recipe's own sizes count.
    """
    recipe = load_recipe(name_or_path)
    return CMeltConfig.of(_with_learned_vocabulary(recipe.model), recipe.objectives)


def settings_of_model(folder: Path) -> CMeltConfig:
    """The configuration of the model in a run's or a model's folder. Raises CheckpointError where there is none."""
    for place in (folder, folder / "model"):
        if (place / CONFIG).is_file():
            try:
                return CMeltConfig.from_pretrained(place)
            except (OSError, ValueError, TypeError, ConfigError) as fault:
                raise CheckpointError(place / CONFIG, f"is no model's configuration ({type(fault).__name__})") from fault
    raise CheckpointError(folder, "holds no model", "give the folder of a finished run or of a saved model")


def _with_learned_vocabulary(settings: ModelSettings) -> ModelSettings:
    text = settings.text
    if text.tokenizer or text.weights:
        return settings
    architecture = {**text.architecture, "vocab_size": text.vocabulary}
    text_config(architecture)  # a misspelt key is an error here too
    return replace(settings, text=replace(text, architecture=architecture))
