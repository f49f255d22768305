"""The text encoder: any Hugging Face encoder, built from a configuration or loaded by name or path; T5 in our own form."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from cmelt.errors import ConfigError
from cmelt.model.t5_encoder import T5Encoder, T5Sizes


def text_config(architecture: dict[str, Any], vocabulary: int | None = None) -> PreTrainedConfig:
    """The Hugging Face configuration that `architecture` (with its `model_type`) describes.

    Raises ConfigError for an unknown model type or a key that this type of model does not have: transformers itself
    would keep a misspelt key as an attribute and say nothing.
    """
    sizes = dict(architecture)
    kind = sizes.pop("model_type", None)
    if kind is None:
        raise ConfigError("model.text.architecture", "model_type is missing", "for instance model_type: t5")
    try:
        config = AutoConfig.for_model(kind)
    except ValueError:
        raise ConfigError("model.text.architecture.model_type", f"{kind!r} is no model type of transformers") from None
    for name in sizes:
        if not hasattr(config, name):
            raise ConfigError(f"model.text.architecture.{name}", f"a {kind} configuration has no such key")
    if vocabulary is not None:
        sizes["vocab_size"] = vocabulary
    return AutoConfig.for_model(kind, **sizes)


def build_text_encoder(config: PreTrainedConfig) -> nn.Module:
    """A text encoder with fresh weights: transformers', but for plain T5s."""
    try:
        plain = T5Encoder(T5Sizes.of(architecture_of(config)))
    except ConfigError:
        # Some models change the configuration that they are given, hence the copy.
        return _without_pooler(_auto_class(config).from_config(copy.deepcopy(config)))
    plain.reset_parameters()
    return plain


def put_published(weights: PreTrainedModel, into: nn.Module) -> None:
    """Copy the weights of a published text encoder into ours of the same architecture."""
    state = weights.state_dict()
    if isinstance(into, T5Encoder):
        state.pop("encoder.embed_tokens.weight", None)  # the word embeddings' second name
    into.load_state_dict(state)


def pretrained_text_encoder(name_or_path: str) -> PreTrainedModel:
    """A text encoder with published weights, by hub name where there is a network, or by local path.

    Raises ConfigError where it cannot be had.
    """
    try:
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False)
        return _without_pooler(_auto_class(config).from_pretrained(name_or_path, trust_remote_code=False))
    except (OSError, ValueError):
        raise ConfigError(
            "model.text.weights",
            f"no text encoder at {name_or_path}",
            "give a local path, or null for fresh weights (--set model.text.weights=null)",
        ) from None


def text_width(config: PreTrainedConfig) -> int:
    """Width of the encoder's states, whatever this family calls it."""
    return int(config.hidden_size)  # `attribute_map` of T5 and its like answers to this name too


def architecture_of(config: PreTrainedConfig) -> dict[str, Any]:
    """The mapping that `text_config` reads back to these sizes. Published configurations carry keys of other uses and of older
    versions (Flan-T5's `n_positions`): they are left out."""
    usual = AutoConfig.for_model(config.model_type).to_dict()
    unneeded = {"model_type", "architectures", "transformers_version", "_name_or_path", "dtype"}
    sizes = {key: value for key, value in config.to_dict().items() if key in usual.keys() - unneeded and value != usual[key]}
    return {"model_type": config.model_type, **sizes}


def longest_text(config: PreTrainedConfig) -> int | None:
    """How many pieces the encoder has positions for; None where positions are relative, as in T5."""
    most = getattr(config, "max_position_embeddings", None)
    if most is None or "deberta" in config.model_type:
        return None
    # This family counts positions from the padding's number on.
    behind_padding = "roberta" in config.model_type or config.model_type == "camembert"
    return int(most) - (config.pad_token_id + 1 if behind_padding else 0)


def _auto_class(config: PreTrainedConfig) -> Any:
    # Inside: this file must be whole before AutoModel is imported, which brings in all of our model (`serving/auto_classes.py`).
    from transformers import AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    return AutoModelForTextEncoding if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel


def _without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    # BERT-like models carry a pooler of their own, which nothing would train: we pool ourselves.
    if isinstance(getattr(encoder, "pooler", None), nn.Module):
        encoder.pooler = None
    return encoder
