"""The ECG side of C-MELT with a linear layer on top: what fine-tuning trains, and what it hands on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmelt.config.settings import ModelSettings
from cmelt.model.cmelt import CMeltModel
from cmelt.model.lead_order import in_model_order
from cmelt.model.towers import Towers


class EcgTower(Towers):
    """Encoder, projection and pooler of the ECG alone."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.build_towers(settings, nn.Identity, 1)
        del self.text_encoder, self.text_projection, self.text_pooler

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] millivolts, leads in the order of `LEADS` → embeddings [B, D], not normalised."""
        return self.embed_ecg(in_model_order(ecg, self.settings.ecg))


class EcgClassifier(nn.Module):
    """ECG → one logit a class. The tower goes by `ecg_encoder`, which the optimiser knows as a part with a rate of its own."""

    def __init__(self, settings: ModelSettings, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.ecg_encoder = EcgTower(settings)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(settings.width, classes)

    def forward(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] millivolts, leads in the order of `LEADS`, absent ones zero → logits [B, C]."""
        return self.head(self.dropout(self.ecg_encoder(ecg)))


def classifier_of(model: CMeltModel, classes: int, dropout: float, seed: int) -> EcgClassifier:
    """A classifier with a copy of the model's ECG weights and a fresh head drawn from `seed`; the model stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EcgClassifier(model.settings, classes, dropout)
        nn.init.normal_(network.head.weight, std=0.02)
        nn.init.zeros_(network.head.bias)
    for part in ("ecg_encoder", "ecg_projection", "ecg_pooler"):
        network.ecg_encoder.get_submodule(part).load_state_dict(model.get_submodule(part).state_dict())
    return network


def window_starts(samples: int, window: int) -> list[int]:
    """Where windows begin that overlap by half and together cover a record; one window of the whole record where window is 0."""
    if window <= 0 or window >= samples:
        return [0]
    count = -(-2 * (samples - window) // window)  # steps of at most half a window
    return [round(i * (samples - window) / count) for i in range(count + 1)]


def windowed_logits(network: nn.Module, ecg: Tensor, window: int = 0) -> Tensor:
    """ecg [B, L, T] → log-odds [B, C] of the mean probability over windows of `window` samples (0: the whole record at once)."""
    starts = window_starts(ecg.shape[2], window)
    if len(starts) == 1:
        return network(ecg)
    parts = [torch.sigmoid(network(ecg[..., start : start + window]).double()) for start in starts]
    return torch.logit(torch.stack(parts).mean(0), eps=1e-12)
