"""The authors' checkpoint as a model of ours that computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmelt.checkpoints.model_folder import distinct_tensors, load_weights
from cmelt.config.settings import ObjectiveSettings
from cmelt.interop.dbeta_file import read_checkpoint
from cmelt.interop.dbeta_sizes import DbetaSizes, read_sizes, settings_of
from cmelt.interop.dbeta_tensors import PROJECTION, check_fit, layout, ours_of
from cmelt.model.cmelt import CMeltModel, ContrastScale
from cmelt.model.configuration import CMeltConfig


def load_dbeta(path: str | Path, config: str | Path | Mapping[str, Any] | None = None) -> CMeltModel:
    """The model of a checkpoint of the authors' release (D-BETA), in evaluation mode.

    Given the same tensors it computes what the release computes. Its input channels are MIMIC-IV-ECG's order of leads
    (`model.settings.ecg.lead_order`); whatever goes by lead names (`cmelt.classify`, `cmelt evaluate`, …) heeds that. Unlike the
    release, its text encoder does not look at padding.

    Args:
        path: the release's `sample.pt`, or one of its form: `{"model": {name: tensor}}`.
        config: the release's configuration, `{"model": {…}, "t5": {…}}`, or the json file of one; None, and whatever it leaves
            out, for the published sizes.
    Raises:
        CheckpointError: not such a file; or tensors that are missing, unknown, of another shape or type, all of which it names.
        ConfigError: a configuration of another construction, or one that contradicts itself.

    Example:
        >>> model = load_dbeta("sample.pt")  # doctest: +SKIP
        >>> model.embed_ecg(torch.zeros(1, 12, 5000)).shape  # doctest: +SKIP
        torch.Size([1, 768])
    """
    sizes, path = read_sizes(config), Path(path)
    state = read_checkpoint(path)
    entries = layout(sizes)
    check_fit(state, entries, str(path))
    # The release's weights were trained by all four objectives of the paper, with a contrast that has no scale to learn.
    described = CMeltConfig.of(settings_of(sizes), ObjectiveSettings())
    with torch.device("meta"):
        model = CMeltModel(described)
    shapes = {name: tensor.shape for name, tensor in distinct_tensors(model).items()}
    load_weights(model, {**ours_of(state, entries, shapes), **_own(sizes, described)}, path)
    return model.eval()


def _own(sizes: DbetaSizes, described: CMeltConfig) -> dict[str, Tensor]:
    """What a model of ours has and the release has not: the contrast's scale, fixed at 1; an identity where it has no layer."""
    contrast = described.objective_settings.contrast
    scale = ContrastScale(contrast.learn_scale_and_bias, contrast.scale, contrast.bias, contrast.temperature)
    scale.reset_parameters()
    own = {f"contrast.{name}": tensor for name, tensor in scale.state_dict().items()}
    if not sizes.projected:
        width = sizes.encoder_embed_dim
        own |= {f"{PROJECTION}.weight": torch.eye(width), f"{PROJECTION}.bias": torch.zeros(width)}
    return own
