"""A model of ours as a checkpoint of the authors' release, where it is of that construction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from cmelt.checkpoints.model_folder import distinct_tensors
from cmelt.errors import CheckpointError, ConfigError
from cmelt.interop.dbeta_file import refuse_existing, write_checkpoint
from cmelt.interop.dbeta_sizes import (
    MIMIC_LEADS,
    POSITION_ROWS,
    RATE,
    SAMPLES,
    DbetaSizes,
    config_of,
    sizes_of,
)
from cmelt.interop.dbeta_tensors import PROJECTION, layout, theirs_of
from cmelt.model.cmelt import CMeltModel
from cmelt.model.heads import sinusoids
from cmelt.model.lead_order import channels
from cmelt.records.record import LEADS


def save_dbeta(model: CMeltModel, path: str | Path) -> Path:
    """Write the model as the authors' release reads it, and its sizes beside it as json; returns the latter's path.

    An imported model gives its checkpoint back byte by byte, a tensor at a time. A model of ours that was trained on leads in the
    order of `LEADS` is written for MIMIC's order, which is what the release feeds.

    Raises:
        CheckpointError: the model is of another construction, with all that differs; or one of the files exists.
    """
    path = Path(path)
    config = path.with_suffix(".json")
    if path == config:
        raise CheckpointError(path, "is the name of the sizes that are written beside it", "end it in .pt")
    for file in (path, config):
        refuse_existing(file)
    sizes = release_sizes(model)
    state = {name: tensor.detach().cpu() for name, tensor in distinct_tensors(model).items()}
    write_checkpoint(theirs_of(_as_released(state, model, sizes), layout(sizes)), path)
    config.write_text(json.dumps(config_of(sizes), indent=1) + "\n", encoding="utf-8")
    return config


def release_sizes(model: CMeltModel) -> DbetaSizes:
    """The model's sizes in the release's words. Raises CheckpointError with all that the release has no word for."""
    settings, reasons = model.settings, list(_differences(model))
    try:
        sizes = sizes_of(settings)
    except (ValueError, ConfigError) as fault:
        sizes, reasons = DbetaSizes(), [*reasons, str(fault)]
    if not reasons and not sizes.projected and not _is_identity(model):
        reasons.append(f"the front end is as wide as the transformer ({settings.ecg.width}): the release has no layer between")
    if reasons:
        raise CheckpointError(
            "model", "is not of the release's construction: " + "; ".join(reasons), "keep it as a model of ours"
        )
    return sizes


def _differences(model: CMeltModel) -> Iterator[str]:
    """What a checkpoint of the release cannot say."""
    ecg, objectives = model.settings.ecg, model.config.objective_settings
    wrong = {
        f"it was saved without its {', '.join(model.config.absent)}": bool(model.config.absent),
        f"its front end is {ecg.stem}": ecg.stem != "strided",
        "it has the leads' amplitudes beside the front end": ecg.amplitude,
        f"it takes {ecg.samples} samples at {ecg.rate:g} Hz": (ecg.rate, ecg.samples) != (RATE, SAMPLES),
        f"it pools ECG tokens by {ecg.pooling}": ecg.pooling != "first",
        "it has no pooler for ECGs": ecg.pooler != "tanh",
        f"it pools word pieces by {model.settings.text.pooling}": model.settings.text.pooling != "first",
        f"fusion.feed_forward is {model.settings.fusion.feed_forward}, not four times the width": (
            model.settings.fusion.feed_forward != 4 * model.settings.width
        ),
        f"its table of positions has {model.settings.decoder.position_rows} rows": (
            model.settings.decoder.position_rows not in (0, POSITION_ROWS)
        ),
        "its contrast compares unit vectors, or scales and shifts what it compares": (
            objectives.contrast.normalise or not _plain(model)
        ),
        "it has a head or a scale of its own objectives": model.view_head is not None or model.phrase_scale is not None,
    }
    yield from (reason for reason, holds in wrong.items() if holds)


def _plain(model: CMeltModel) -> bool:
    return float(model.contrast.log_scale) == 0.0 and float(model.contrast.bias) == 0.0


def _is_identity(model: CMeltModel) -> bool:
    project = model.ecg_encoder.project
    return torch.equal(project.weight.cpu(), torch.eye(len(project.weight))) and not bool(project.bias.any())


def _as_released(state: dict[str, Tensor], model: CMeltModel, sizes: DbetaSizes) -> dict[str, Tensor]:
    """The tensors with a table of positions, and for leads in MIMIC's order."""
    state = {name: tensor for name, tensor in state.items() if sizes.projected or not name.startswith(PROJECTION)}
    state.setdefault("ecg_decoder.positions", sinusoids(POSITION_ROWS, sizes.mem_decoder_hidden_dim))
    have = channels(model.settings.ecg)
    order = [have.index(LEADS.index(lead)) for lead in MIMIC_LEADS]
    if order != list(range(len(order))):
        first = "ecg_encoder.front_end.stages.0.weight"
        state[first] = state[first][:, order]
        for name in ("ecg_decoder.predict.weight", "ecg_decoder.predict.bias"):
            state[name] = state[name].unflatten(0, (len(order), -1))[order].flatten(0, 1)
    return state
