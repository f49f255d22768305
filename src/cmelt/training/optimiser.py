"""AdamW with weight decay on matrices only, the encoders at a rate of their own."""

from __future__ import annotations

from typing import Any

import torch

from cmelt.checkpoints.divided import is_divided
from cmelt.config.settings import CONTRASTIVE, FUSED, OptimiserSettings
from cmelt.model.cmelt import CMeltModel
from cmelt.model.heads import ViewProjection

#: Parts by the rate they learn at, in the order of the optimiser's groups.
ENCODERS = ("", "text_encoder.", "ecg_encoder.")
#: Parts that only one objective trains.
PARTS_OF = {
    "mlm": ("word_head.",),
    "mem": ("ecg_decoder.",),
    "etm": ("match_head.", "fusion.text_pooler.", "fusion.ecg_pooler."),
    "phrases": ("phrase_scale.",),
    "ecg_alignment": ("view_head.",),
}


def freeze_unused(model: CMeltModel, objectives: frozenset[str]) -> None:
    """Switch off the gradients of parts that no objective reaches: DDP waits for every weight that has one."""
    idle = [part for name, parts in PARTS_OF.items() if name not in objectives for part in parts]
    compared, fused = bool(objectives & CONTRASTIVE), bool(objectives & FUSED)
    if not fused:
        idle.append("fusion.")
    if not compared:
        idle.append("text_pooler.")
    if not (compared or ("ecg_alignment" in objectives and isinstance(model.view_head, ViewProjection))):
        idle.append("ecg_pooler.")
    if "info_nce" not in objectives:
        idle.append("contrast.log_temperature_scale")
    if "ets" not in objectives:
        idle += ["contrast.log_scale", "contrast.bias"]
    last, reads = len(model.fusion.text_layers) - 1, fused
    if fused and "etm" not in objectives:
        # Words come from the text stream's end, samples from the ECG's midway: the ECG's last layer feeds neither.
        idle.append(f"fusion.ecg_layers.{last}.")
        if "mlm" not in objectives:
            idle += [f"fusion.{stream}_layers.{i}." for i in range(model.fusion.midway, last + 1) for stream in ("ecg", "text")]
            if model.fusion.midway:
                idle.append(f"fusion.text_layers.{model.fusion.midway - 1}.")
            reads = model.fusion.midway > 0  # else the samples are taken before the ECG has seen any text
    if not (compared or reads):
        idle += ["text_encoder.", "text_projection."]
    if model.config.model_settings.text.frozen:
        idle.append("text_encoder.")
    for name, parameter in model.named_parameters():
        if name.startswith(tuple(idle)):
            parameter.requires_grad_(False)


def build_optimiser(model: CMeltModel, settings: OptimiserSettings) -> torch.optim.AdamW:
    """AdamW over six groups: ECG encoder, text encoder or rest, matrices (decayed) or vectors (not).

    Where processes hold parts of the weights, those that none of them divides are groups of their own: one fused call cannot
    mix them.
    """
    shares = {"": 1.0, "text_encoder.": settings.encoder_share * settings.text_share, "ecg_encoder.": settings.encoder_share}
    groups: dict[tuple[int, bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            place = max(i for i, part in enumerate(ENCODERS) if name.startswith(part))
            groups.setdefault((place, parameter.ndim >= 2, is_divided(parameter)), []).append(parameter)
    listed: list[dict[str, Any]] = [
        {
            "params": parameters,
            "share": shares[ENCODERS[place]],
            "weight_decay": settings.weight_decay if matrix else 0.0,
        }
        for (place, matrix, _), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]
    return torch.optim.AdamW(listed, lr=settings.rate, betas=settings.betas, eps=settings.epsilon, fused=True)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of `rate`."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]
