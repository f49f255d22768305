"""One batch as it leaves the loader: int16 signals and everything drawn for them. It is scaled and masked on the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from cmelt.model.cmelt import Views
from cmelt.objectives.total import Truth

Part = TypeVar("Part")


@dataclass(frozen=True)
class EcgView:
    """How the model is shown B records: what was drawn for one view of them.

    Attributes:
        signal: [B, L, T] int16, moved in time, or a stretch of the record.
        gain, noise: [B] factor on each record, and the standard deviation in mV of noise added to what the model sees.
        leads_kept: [B, L] False where random lead masking hides a lead.
        noise_seed: seed of the added noise, drawn on the device; None where none is added, known without asking the device.
    """

    signal: Tensor
    gain: Tensor
    noise: Tensor
    leads_kept: Tensor
    noise_seed: int | None

    def true(self, millivolts_per_step: float) -> Tensor:
        """The records in millivolts [B, L, T], nothing hidden and nothing added."""
        return self.signal * (self.gain[:, None, None] * millivolts_per_step)  # int16 × float32 in one pass

    def seen(self, true: Tensor, measured: Tensor) -> Tensor:
        """What the model sees of the `true` records [B, L, T]; measured [B, L] is False where a record lacks a lead."""
        if self.noise_seed is None:
            return true * self.leads_kept[..., None]
        source = torch.Generator(true.device).manual_seed(self.noise_seed)
        added = torch.randn(true.shape, generator=source, device=true.device)
        return (true + self.noise[:, None, None] * added) * (measured & self.leads_kept)[..., None]


@dataclass(frozen=True)
class AskedPhrases:
    """K phrases that are asked of B records; each of the processes, if there are several, embeds K/world of them, rounded up.

    Attributes:
        tokens, mask: [K/world, S] word pieces, True at real ones.
        held, counted: [B, K] True where the record's report holds the phrase, and where that is to be known.
    """

    tokens: Tensor
    mask: Tensor
    held: Tensor
    counted: Tensor


@dataclass(frozen=True)
class Batch:
    """B pairs and their masks.

    Attributes:
        shown: the view of the records that the objectives share.
        measured: [B, L] True where the record has the lead.
        kept: [B, K] ECG tokens that stay visible.
        tokens, text_mask, words: [B, S] hidden word pieces, True at real ones, what to predict.
        clean_tokens, clean_text_mask: [B, S'] the pair's own report, or None.
        own_group, text_group: [B] numbers of the own report and of the one in `tokens`.
        records: names of the records, for error messages.
        millivolts_per_step: scale of the signals.
        second: another view of the same records, drawn apart; None where no objective compares two.
        phrases: what is asked of every record; None where no objective asks.
    """

    shown: EcgView
    measured: Tensor
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
    second: EcgView | None = None
    phrases: AskedPhrases | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`; a GPU fetches pinned ones by itself, and nobody waits."""
        return _each(self, lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch with its tensors in memory that a GPU fetches from by itself."""
        return _each(self, Tensor.pin_memory)

    def views(self, samples_per_token: int) -> tuple[Views, Truth]:
        """Scale the signals and hide what is to be hidden: what the model sees, and what the objectives compare with.

        The target of masked ECG modelling is the record with all its leads and without the noise that was added.
        """
        ecg = self.shown.true(self.millivolts_per_step)
        asked = self.phrases
        second = None if self.second is None else self.second.seen(self.second.true(self.millivolts_per_step), self.measured)
        views = Views(
            self.shown.seen(ecg, self.measured), self.kept, self.tokens, self.text_mask, self.words,
            self.clean_tokens, self.clean_text_mask, second, *((None, None) if asked is None else (asked.tokens, asked.mask)),
        )  # fmt: skip
        contrast_group = self.text_group if self.clean_tokens is None else self.own_group
        truth = Truth(
            ecg, self.measured, self.kept, self.words, self.own_group, self.text_group, contrast_group, samples_per_token,
            *((None, None) if asked is None else (asked.held, asked.counted)),
        )  # fmt: skip
        return views, truth


def _each(part: Part, change: Callable[[Tensor], Tensor]) -> Part:
    """A copy of the dataclass with its tensors, and those of dataclasses in it, changed."""
    changes: dict[str, object] = {}
    for f in fields(part):  # type: ignore[arg-type]
        value = getattr(part, f.name)
        if isinstance(value, Tensor):
            changes[f.name] = change(value)
        elif isinstance(value, EcgView | AskedPhrases):
            changes[f.name] = _each(value, change)
    return replace(part, **changes)  # type: ignore[type-var]
