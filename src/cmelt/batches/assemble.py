"""Batch n of a run, from nothing but the store, the recipe, the seed and n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from cmelt.batches.batch import AskedPhrases, Batch, EcgView
from cmelt.batches.corpus import Corpus
from cmelt.batches.masks import keep_leads, keep_tokens, mask_pieces, others_of_batch, rows_to_replace
from cmelt.batches.phrases import PhraseBook
from cmelt.batches.seeds import generator, torch_seed
from cmelt.config.settings import CONTRASTIVE, Recipe
from cmelt.negatives import NegativeTable, draw
from cmelt.store import AnyStore
from cmelt.text import encode, mask_token_id, maskable, shuffle_sentences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Batches:
    """Makes the batches of one process. `rank` of `world` processes takes its slice of every step's pairs."""

    store: AnyStore
    corpus: Corpus
    tokenizer: PreTrainedTokenizerBase
    table: NegativeTable | None
    recipe: Recipe
    rank: int = 0
    world: int = 1
    phrases: PhraseBook | None = None

    def batch(self, step: int) -> Batch:
        """The batch of this process at micro-step `step`."""
        recipe, size = self.recipe, self.recipe.training.batch
        chosen = self.corpus.drawn(size * self.world, step, recipe.seed)[self.rank * size : (self.rank + 1) * size]
        own = self.corpus.group[chosen]
        fused = self._put_negatives_in(own, step)
        tokens, text_mask = self._texts(fused, step)
        hidden, words = mask_pieces(
            tokens,
            maskable(self.tokenizer, tokens) & text_mask,
            recipe.masking.text_share,
            mask_token_id(self.tokenizer),
            len(self.tokenizer),
            self._rng("words", step),
        )
        clean_needed = recipe.masking.contrast_view == "clean" and recipe.objectives.weights.keys() & CONTRASTIVE
        clean = self._texts(own, step) if clean_needed else (None, None)
        rows, measured = self.corpus.rows[chosen], self.corpus.measured[chosen]
        seen_tokens = recipe.seen_samples // recipe.model.ecg.samples_per_token
        return Batch(
            shown=self._shown(rows, measured, step, ""),
            measured=torch.from_numpy(measured),
            kept=torch.from_numpy(keep_tokens(size, seen_tokens, recipe.masking.ecg_keep, self._rng("ecg tokens", step))),
            tokens=torch.from_numpy(hidden),
            text_mask=torch.from_numpy(text_mask),
            words=torch.from_numpy(words),
            clean_tokens=None if clean[0] is None else torch.from_numpy(clean[0]),
            clean_text_mask=None if clean[1] is None else torch.from_numpy(clean[1]),
            own_group=torch.from_numpy(own),
            text_group=torch.from_numpy(fused),
            records=tuple(self.store.index["record"].iloc[rows]),
            millivolts_per_step=self.store.microvolts_per_step / 1000.0,
            second=self._shown(rows, measured, step, " of the second view") if recipe.objectives.two_views else None,
            phrases=self._asked(own, self.corpus.store[chosen], step),
        )

    def _rng(self, purpose: str, step: int) -> np.random.Generator:
        return generator(self.recipe.seed, purpose, step, self.rank)

    def _put_negatives_in(self, own: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        """Report numbers of the fused batch: the own ones, a share of them replaced by negatives."""
        in_batch = self.recipe.negatives.strategy == "in_batch"
        if self.table is None and not in_batch:
            return own
        rng = self._rng("negatives", step)
        replaced = rows_to_replace(len(own), self.recipe.negatives.share, rng)
        fused = own.copy()
        fused[replaced] = others_of_batch(own, replaced, rng) if self.table is None else draw(self.table, own[replaced], rng)
        return fused

    def _shown(self, rows: NDArray[np.int64], measured: NDArray[np.bool_], step: int, which: str) -> EcgView:
        """One view of the records; `which` tells its draws from those of another view of the same step."""
        recipe, size = self.recipe, len(rows)
        change = self._rng(f"augmentation{which}", step)
        signal = self._signals(rows, change)
        gain = np.exp(recipe.augmentation.gain * change.standard_normal(size)).astype(np.float32)
        noise = (recipe.augmentation.noise_mv * change.random(size)).astype(np.float32)
        return EcgView(
            signal=torch.from_numpy(signal),
            gain=torch.from_numpy(gain),
            noise=torch.from_numpy(noise),
            leads_kept=torch.from_numpy(keep_leads(measured, recipe.masking.lead_drop, self._rng(f"leads{which}", step))),
            noise_seed=torch_seed(recipe.seed, f"noise{which}", step, self.rank),
        )

    def _asked(self, own: NDArray[np.int64], stores: NDArray[np.int64], step: int) -> AskedPhrases | None:
        """Phrases that are asked of the records whose reports have these numbers."""
        if self.phrases is None:
            return None
        drawn = self.recipe.objectives.phrase.drawn
        texts, held, counted = self.phrases.ask(own, stores, drawn, self._rng("phrases", step))
        encoded = encode(self.tokenizer, texts, self.recipe.model.text.max_tokens)
        ids, mask = torch.from_numpy(encoded.ids), torch.from_numpy(encoded.mask)
        return AskedPhrases(ids, mask, torch.from_numpy(held), torch.from_numpy(counted))

    def _texts(self, groups: NDArray[np.int64], step: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The reports of these numbers as word pieces [B, S] and mask [B, S]."""
        change = self.recipe.augmentation
        texts = [self.corpus.distinct[group] for group in groups]
        if change.shuffle_sentences or change.drop_sentences:
            rng = self._rng("sentences", step)
            texts = [shuffle_sentences(text, rng, change.drop_sentences) for text in texts]
        encoded = encode(self.tokenizer, texts, self.recipe.model.text.max_tokens)
        return encoded.ids, encoded.mask

    def _signals(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int16]:
        """The signals [B, L, T]: a stretch of each where the recipe crops, else each moved in time by up to `shift_seconds`;
        what is moved in is zero."""
        signals = self.store.signals(rows)
        length = self.recipe.seen_samples
        if length < signals.shape[2]:
            first = rng.integers(0, signals.shape[2] - length + 1, len(rows))
            return np.stack([signal[:, start : start + length] for signal, start in zip(signals, first, strict=True)])
        most = int(self.recipe.augmentation.shift_seconds * self.store.rate)
        if most == 0:
            return signals
        moved = np.zeros_like(signals)
        for i, by in enumerate(rng.integers(-most, most + 1, len(rows))):
            if by >= 0:
                moved[i, :, by:] = signals[i, :, : signals.shape[2] - by]
            else:
                moved[i, :, :by] = signals[i, :, -by:]
        return moved
