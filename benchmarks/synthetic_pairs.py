"""Batches of made-up pairs with the shapes of real ones: for what is measured where no store is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cmelt.batches.batch import Batch
    from cmelt.config import Recipe

#: Microvolts a step of the int16 signals, as stores have it: real ones are scaled on the device.
MILLIVOLTS_PER_STEP = 0.001


def synthetic_batch(recipe: Recipe, size: int, text_tokens: int, seed: int = 0) -> Batch:
    """`size` pairs of noise and random word pieces, every text exactly `text_tokens` long, masked as the recipe says."""
    import torch

    from cmelt.batches.batch import Batch, EcgView
    from cmelt.batches.masks import keep_leads, keep_tokens, mask_pieces

    rng, ecg = np.random.default_rng(seed), recipe.model.ecg
    vocabulary = int(recipe.model.text.architecture["vocab_size"])
    signal = (300 * rng.standard_normal((size, ecg.leads, recipe.seen_samples), dtype=np.float32)).astype(np.int16)
    pieces = rng.integers(2, vocabulary - 1, (size, text_tokens))
    tokens, words = mask_pieces(
        pieces, np.ones(pieces.shape, dtype=bool), recipe.masking.text_share, vocabulary - 1, vocabulary, rng
    )
    measured = np.ones((size, ecg.leads), dtype=bool)
    groups = torch.arange(size)
    replaced = torch.from_numpy(rng.random(size) < recipe.negatives.share)
    return Batch(
        shown=EcgView(
            signal=torch.from_numpy(signal),
            gain=torch.ones(size),
            noise=torch.zeros(size),
            leads_kept=torch.from_numpy(keep_leads(measured, recipe.masking.lead_drop, rng)),
            noise_seed=None,
        ),
        measured=torch.from_numpy(measured),
        kept=torch.from_numpy(keep_tokens(size, recipe.seen_samples // ecg.samples_per_token, recipe.masking.ecg_keep, rng)),
        tokens=torch.from_numpy(tokens),
        text_mask=torch.ones(size, text_tokens, dtype=torch.bool),
        words=torch.from_numpy(words),
        clean_tokens=None,
        clean_text_mask=None,
        own_group=groups,
        text_group=torch.where(replaced, groups.roll(1), groups),
        records=tuple(str(number) for number in range(size)),
        millivolts_per_step=MILLIVOLTS_PER_STEP,
    )
