"""One batch as it leaves the loader: int16 signals and everything drawn for them. It is scaled and masked on the device."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from cmelt.model.cmelt import Views
from cmelt.objectives.total import Truth


@dataclass(frozen=True)
class Batch:
    """B pairs and their masks.

    Attributes:
        signal: [B, L, T] int16.
        gain, noise: [B] factor on each record, and the standard deviation in mV of noise added to what the model sees.
        measured: [B, L] True where the record has the lead.
        leads_kept: [B, L] False where random lead masking hides a lead.
        kept: [B, K] ECG tokens that stay visible.
        tokens, text_mask, words: [B, S] hidden word pieces, True at real ones, what to predict.
        clean_tokens, clean_text_mask: [B, S'] the pair's own report, or None.
        own_group, text_group: [B] numbers of the own report and of the one in `tokens`.
        records: names of the records, for error messages.
        millivolts_per_step: scale of `signal`.
        noise_seed: seed of the added noise, drawn on the device.
    """

    signal: Tensor
    gain: Tensor
    noise: Tensor
    measured: Tensor
    leads_kept: Tensor
    kept: Tensor
    tokens: Tensor
    text_mask: Tensor
    words: Tensor
    clean_tokens: Tensor | None
    clean_text_mask: Tensor | None
    own_group: Tensor
    text_group: Tensor
    records: tuple[str, ...]
    millivolts_per_step: float
    noise_seed: int

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`."""
        moved = {
            f.name: value.to(device, non_blocking=True)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)  # type: ignore[arg-type]

    def views(self, samples_per_token: int) -> tuple[Views, Truth]:
        """Scale the signals and hide what is to be hidden: what the model sees, and what the objectives compare with.

        The target of masked ECG modelling is the record with all its leads and without the noise that was added.
        """
        ecg = self.signal.float() * (self.gain[:, None, None] * self.millivolts_per_step)
        seen = ecg
        if bool((self.noise > 0).any()):
            source = torch.Generator(ecg.device).manual_seed(self.noise_seed)
            added = torch.randn(ecg.shape, generator=source, device=ecg.device)
            seen = (seen + self.noise[:, None, None] * added) * self.measured[..., None]
        seen = seen * self.leads_kept[..., None]
        views = Views(seen, self.kept, self.tokens, self.text_mask, self.words, self.clean_tokens, self.clean_text_mask)
        contrast_group = self.text_group if self.clean_tokens is None else self.own_group
        truth = Truth(
            ecg, self.measured, self.kept, self.words, self.own_group, self.text_group, contrast_group, samples_per_token
        )
        return views, truth
