"""What is hidden from the model: word pieces, ECG tokens, leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmelt.records.record import LEAD_SETS, LEADS

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: What is predicted nowhere; cross-entropy's own sign for it.
NOT_MASKED = -100
#: [sets, 12] True where a reduced lead set has the lead.
_REDUCED: Flags = np.array([[lead in names for lead in LEADS] for names in LEAD_SETS.values() if names])


def mask_pieces(
    pieces: Integers, maskable: Flags, share: float, mask_id: int, vocabulary: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Hide a share of the word pieces, BERT's way: 80 % become the mask symbol, 10 % a random piece, 10 % stay.

    Args:
        pieces: [B, S]; maskable: [B, S] False at padding and special symbols.
    Returns:
        pieces with some hidden [B, S], and the pieces to predict [B, S], NOT_MASKED elsewhere. A text with anything to hide
        has at least one piece hidden.
    """
    lottery = np.where(maskable, rng.random(pieces.shape), 2.0)
    count = np.maximum(1, np.round(share * maskable.sum(1))).astype(int)
    last = np.take_along_axis(np.sort(lottery, axis=1), count[:, None] - 1, axis=1)  # of the winners
    chosen = (lottery <= last) & maskable
    fate = rng.random(pieces.shape)
    hidden = np.where(chosen & (fate < 0.8), mask_id, pieces)
    randomised = chosen & (fate >= 0.8) & (fate < 0.9)
    hidden = np.where(randomised, rng.integers(0, vocabulary, pieces.shape), hidden)
    return hidden, np.where(chosen, pieces, NOT_MASKED)


def keep_tokens(batch: int, tokens: int, share: float, rng: np.random.Generator) -> Integers:
    """Indices of the ECG tokens that stay visible: `int(share × tokens)` of them, uniformly drawn, ascending. [B, K]."""
    count = max(1, int(tokens * share))
    winners = np.argpartition(rng.random((batch, tokens)), count - 1, axis=1)[:, :count]
    return np.sort(winners, axis=1)


def keep_leads(measured: Flags, drop: float, rng: np.random.Generator, sets: float = 0.0) -> Flags:
    """Random lead masking: True where a lead stays. measured [B, 12]; each lead drops out with probability `drop`.

    sets: share of the records that show one of the reduced lead sets instead (`LEAD_SETS`), each as often as another.
    A record keeps at least one measured lead: of nothing, nothing can be learned.
    """
    keep = rng.random(measured.shape) >= drop
    if sets > 0:
        reduced = rng.random(len(measured)) < sets
        keep[reduced] = _REDUCED[rng.integers(len(_REDUCED), size=int(reduced.sum()))]
    blind = ~(keep & measured).any(1)
    rescued = np.where(measured, rng.random(measured.shape), -1.0).argmax(1)
    keep[blind, rescued[blind]] = True
    return keep


def others_of_batch(own: Integers, replaced: Integers, rng: np.random.Generator) -> Integers:
    """For each replaced row the report number of another row of the batch, drawn evenly among the rows with another report.

    own [B]; a row keeps its own number where the whole batch has one report.
    """
    found = own[replaced].copy()
    other = own != found[:, None]  # [R, B]
    able = np.flatnonzero(other.any(1))
    drawn = rng.integers(other[able].sum(1))
    found[able] = own[(other[able].cumsum(1) > drawn[:, None]).argmax(1)]
    return found


def rows_to_replace(batch: int, share: float, rng: np.random.Generator) -> Integers:
    """Rows that get a negative report: `int(share·B + u)` of them with u uniform in [0, 1) (method page, ETM)."""
    count = min(batch, int(share * batch + rng.random()))
    return np.sort(rng.permutation(batch)[:count])
