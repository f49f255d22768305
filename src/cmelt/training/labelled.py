"""Labelled ECGs as batches: some leads shown, cropped, moved in time, louder or noisier; all drawn from seed and step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmelt.batches.masks import keep_leads
from cmelt.batches.seeds import generator, torch_seed


class SignalStore(Protocol):
    """The part of a prepared store that is read here."""

    @property
    def rate(self) -> float: ...
    @property
    def samples(self) -> int: ...
    def millivolts(self, rows: Any) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class ChangeSettings:
    """Changes of a training record that leave its labels true; 0 leaves one out.

    Attributes:
        crop_seconds: a random stretch of so many seconds is seen, and in prediction the mean over stretches (0: all of it).
        shift_seconds: moved in time by up to so much, what is moved in is zero; not beside crops, which move it already.
        gain: standard deviation of the logarithm of a factor on the whole record.
        noise_mv: white noise of up to so much, in mV.
        lead_drop: chance that a lead is hidden; one at least stays.
    """

    crop_seconds: float = 0.0
    shift_seconds: float = 0.0
    gain: float = 0.0
    noise_mv: float = 0.0
    lead_drop: float = 0.0

    def __post_init__(self) -> None:
        if min(self.crop_seconds, self.shift_seconds, self.gain, self.noise_mv) < 0 or not 0 <= self.lead_drop < 1:
            raise ValueError(f"{self} holds a value out of range")

    def crop_samples(self, rate: float) -> int:
        """Samples of a crop; 0 for whole records."""
        return round(self.crop_seconds * rate)


@dataclass(frozen=True)
class LabelledRecords:
    """Some rows of a store with their truth.

    Attributes:
        rows: [n]; truth: [n, C]; patients: [n] integers.
        shown: [L] leads that the network sees; the others are zero, in training and in prediction.
    """

    store: SignalStore
    rows: NDArray[np.int64]
    truth: NDArray[np.bool_]
    patients: NDArray[np.int64]
    shown: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, places: NDArray[np.int64]) -> LabelledRecords:
        """Those at these places."""
        return LabelledRecords(self.store, self.rows[places], self.truth[places], self.patients[places], self.shown)

    def millivolts(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Signals [m, L, T] of the records at `places`, hidden leads zero."""
        return self.store.millivolts(self.rows[places]) * self.shown[:, None].astype(np.float32)

    def batch(
        self, places: NDArray[np.int64], change: ChangeSettings, seed: int, step: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """The records at `places`, changed: ECGs [B, L, T] in mV and truth [B, C] as 0 and 1, on `device`."""
        rng = generator(seed, "classifier augmentation", step)
        signal = self.millivolts(places)
        measured = np.asarray(signal.any(axis=2))  # a lead that was not recorded, or is hidden, is zero throughout
        signal = _moved(signal, change, self.store.rate, rng)
        signal *= np.exp(change.gain * rng.standard_normal((len(signal), 1, 1))).astype(np.float32)
        kept = measured & keep_leads(measured, change.lead_drop, rng)
        loud = torch.from_numpy((change.noise_mv * rng.random((len(signal), 1, 1))).astype(np.float32)).to(device)
        ecg = torch.from_numpy(signal).to(device)
        if change.noise_mv:
            source = torch.Generator(device).manual_seed(torch_seed(seed, "classifier noise", step))
            ecg = ecg + loud * torch.randn(ecg.shape, generator=source, device=device)
        truth = torch.from_numpy(self.truth[places].astype(np.float32)).to(device)
        return ecg * torch.from_numpy(kept[..., None]).to(device), truth


def _moved(signal: NDArray[np.float32], change: ChangeSettings, rate: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Each record cropped, or moved in time: [B, L, T] → [B, L, T']."""
    count, samples = len(signal), signal.shape[2]
    crop = change.crop_samples(rate)
    if 0 < crop < samples:
        starts = rng.integers(0, samples - crop + 1, count)
        return np.stack([one[:, start : start + crop] for one, start in zip(signal, starts, strict=True)])
    most = int(change.shift_seconds * rate)
    if most == 0:
        return signal
    moved = np.zeros_like(signal)
    for one, target, by in zip(signal, moved, rng.integers(-most, most + 1, count), strict=True):
        if by >= 0:
            target[:, by:] = one[:, : samples - by]
        else:
            target[:, :by] = one[:, -by:]
    return moved
