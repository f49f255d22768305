"""Positions as a wide grouped convolution over the tokens, computed where tokens are, in the frequency domain."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmelt.model.linear import linear


class _Spectrum(NamedTuple):
    """A kernel's spectrum [frequencies, groups, out, in], and the waves that it is told in [frequencies, period] each."""

    cosine: Tensor
    sine: Tensor
    real: Tensor
    imaginary: Tensor


class PositionalConvolution(nn.Module):
    """A grouped convolution along the tokens, weight-normalised over the kernel axis (wav2vec 2.0).

    It is a product of spectra: 128 taps cost what one does, and tokens that are masked (zero) or not asked for cost nothing.
    The transforms are products with tables of cosines and sines, for which a CPU is faster than for FFTs so short.
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.magnitude = nn.Parameter(torch.empty(1, 1, kernel))
        self.direction = nn.Parameter(torch.empty(width, width // groups, kernel))
        self.bias = nn.Parameter(torch.empty(width))
        self._kept: tuple[tuple[Any, ...], _Spectrum] | None = None

    def reset_parameters(self) -> None:
        """Draw the direction as wav2vec 2.0 does, and the magnitude such that the product equals the draw."""
        with torch.no_grad():
            nn.init.normal_(self.direction, std=math.sqrt(4 / (self.kernel * self.direction.shape[0])))
            self.magnitude.copy_(self._norm())
            nn.init.zeros_(self.bias)

    def _norm(self) -> Tensor:
        return self.direction.norm(dim=(0, 1), keepdim=True)

    def forward(self, tokens: Tensor, places: Tensor | None, length: int) -> Tensor:
        """What to add to tokens [B, K, D] at `places` [B, K] among `length`, the others being zero; None: all are there."""
        with torch.autocast(tokens.device.type, enabled=False):
            tokens = tokens.to(self.direction.dtype)
            mixed = self._everywhere(tokens) if places is None else self._at_places(tokens, places, length)
        return F.gelu(mixed + self.bias)

    def _at_places(self, tokens: Tensor, places: Tensor, length: int) -> Tensor:
        # So long that what the kernel reaches over either end meets zeros and not the other end.
        return self._convolved(tokens, places, places, length + self.kernel // 2)

    def _everywhere(self, tokens: Tensor) -> Tensor:
        """Of all tokens [B, P, D], in stretches of two kernels' length: the shorter, the smaller the kernel's spectrum."""
        count, length, width = tokens.shape
        period, before = 2 * self.kernel, self.kernel // 2
        if length + before <= period:
            return self._at_places(tokens, torch.arange(length, device=tokens.device)[None], length)
        # Of each stretch, the places where the kernel meets neither end.
        step = period - self.kernel + 1
        stretches = -(-length // step)
        padded = F.pad(tokens, (0, 0, before, stretches * step + self.kernel - 1 - before - length))
        places = torch.arange(period, device=tokens.device)[None]
        wanted = places[:, before : before + step]
        mixed = self._convolved(padded.unfold(1, period, step).mT.flatten(0, 1), places, wanted, period)
        return mixed.reshape(count, stretches * step, width)[:, :length]

    def _convolved(self, tokens: Tensor, given: Tensor, wanted: Tensor, period: int) -> Tensor:
        """What tokens [B, K, D] at places `given` [·, K] add up to at places `wanted` [·, W] of a circle: [B, W, D]."""
        cosine, sine, real, imaginary = self._spectrum(period)
        seen = [self._grouped(waves.T[given].mT @ tokens) for waves in (cosine, sine)]
        # A correlation: the tokens' spectrum times the conjugate of the taps'.
        even = seen[0] @ real.mT + seen[1] @ imaginary.mT
        odd = seen[1] @ real.mT - seen[0] @ imaginary.mT
        weights = _shares(period, tokens)
        return (cosine.T[wanted] * weights) @ self._ungrouped(even) + (sine.T[wanted] * weights) @ self._ungrouped(odd)

    def _spectrum(self, period: int) -> _Spectrum:
        """The kernel's spectrum: as dear as convolving twenty records, hence kept as long as nobody learns."""
        weights = (self.direction, self.magnitude)
        # Weights that were made in inference mode do not tell when they are changed.
        untold = any(one.is_inference() for one in weights)
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling() or untold:
            return self._fresh_spectrum(period)
        made_of = (period, *((id(one), one._version, one.data_ptr(), one.dtype, one.device) for one in weights))
        if self._kept is None or self._kept[0] != made_of:
            self._kept = made_of, self._fresh_spectrum(period)
        return self._kept[1]

    def _fresh_spectrum(self, period: int) -> _Spectrum:
        cosine, sine = _waves(period, self.direction)
        # A tap reaches as far ahead as its number tells, from half a kernel behind on.
        ahead = (torch.arange(self.kernel, device=cosine.device) - self.kernel // 2) % period
        # A tap's size goes with its wave, which is much smaller than all of its directions.
        size = (self.magnitude / self._norm()).flatten()
        taps = self.direction.view(-1, self.kernel)
        real, imaginary = (self._by_group(linear(waves[:, ahead] * size, taps)) for waves in (cosine, sine))
        return _Spectrum(cosine, sine, real, imaginary)

    def _by_group(self, spectrum: Tensor) -> Tensor:
        """[frequencies, out of all groups × in] → [frequencies, groups, out, in]."""
        return spectrum.view(len(spectrum), self.groups, -1, self.direction.shape[1])

    def _grouped(self, spectrum: Tensor) -> Tensor:
        """[B, frequencies, D] → [frequencies, groups, B, D / groups]."""
        return spectrum.unflatten(2, (self.groups, -1)).permute(1, 2, 0, 3)

    def _ungrouped(self, spectrum: Tensor) -> Tensor:
        """[frequencies, groups, B, D / groups] → [B, frequencies, D]."""
        return spectrum.permute(2, 0, 1, 3).flatten(2)


def _waves(period: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every frequency up to half the rate, at every place: [frequencies, period] each."""
    # The angle is taken modulo a turn in whole numbers: large ones would lose digits.
    places = torch.arange(period, device=like.device)
    turns = places[: period // 2 + 1, None] * places % period
    angles = turns.double() * (2 * math.pi / period)
    return angles.cos().to(like), angles.sin().to(like)


def _shares(period: int, like: Tensor) -> Tensor:
    """How much of a signal each frequency stands for [frequencies]: for itself and its mirror image, but the first and last."""
    shares = torch.full((period // 2 + 1,), 2.0 / period, dtype=like.dtype, device=like.device)
    shares[0] /= 2
    if period % 2 == 0:
        shares[-1] /= 2
    return shares
