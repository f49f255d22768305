"""Batch n of a run, from nothing but the store, the recipe, the seed and n."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmelt.batches.batch import AskedPhrases, Batch, EcgView
from cmelt.batches.corpus import Corpus
from cmelt.batches.masks import keep_leads, keep_tokens, mask_pieces, others_of_batch, rows_to_replace
from cmelt.batches.phrases import PhraseBook
from cmelt.batches.seeds import generator, torch_seed
from cmelt.batches.signal_memory import SignalMemory
from cmelt.config.settings import CONTRASTIVE, Recipe
from cmelt.negatives import NegativeTable, draw
from cmelt.store import AnyStore
from cmelt.text import TokenBatch, TokenTable, encode, mask_token_id, maskable, shuffle_sentences, token_table

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Batches:
    """Makes the batches of one process. `rank` of `world` processes takes its slice of every step's pairs.

    Several threads may ask for batches at once. With `pinned` their tensors lie in memory that a GPU copies from by itself.
    """

    store: AnyStore
    corpus: Corpus
    tokenizer: PreTrainedTokenizerBase
    table: NegativeTable | None
    recipe: Recipe
    rank: int = 0
    world: int = 1
    phrases: PhraseBook | None = None
    pinned: bool = False
    # A tokenizer changes its own settings while it works: one thread at a time.
    _tokenizing: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    def batch(self, step: int) -> Batch:
        """The batch of this process at micro-step `step`."""
        recipe, size = self.recipe, self.recipe.training.batch
        everyone, here = self.corpus.drawn(size * self.world, step, recipe.seed), slice(self.rank * size, (self.rank + 1) * size)
        chosen = everyone[here]
        own = self.corpus.group[chosen]
        fused = self._put_negatives_in(own, step)
        texts = self._texts(fused, step)
        mask_id, may_be_hidden = self._maskable
        hidden, words = mask_pieces(
            texts.ids,
            may_be_hidden[texts.ids] & texts.mask,
            recipe.masking.text_share,
            mask_id,
            len(may_be_hidden),
            self._rng("words", step),
        )
        clean_needed = recipe.masking.contrast_view == "clean" and recipe.objectives.weights.keys() & CONTRASTIVE
        clean = self._texts(own, step) if clean_needed else None
        rows, measured = self.corpus.rows[chosen], self.corpus.measured[chosen]
        seen_tokens = recipe.model.ecg.tokens_in(recipe.seen_samples)
        batch = Batch(
            shown=self._shown(rows, measured, step, ""),
            measured=torch.from_numpy(measured),
            kept=torch.from_numpy(keep_tokens(size, seen_tokens, recipe.masking.ecg_keep, self._rng("ecg tokens", step))),
            tokens=torch.from_numpy(hidden),
            text_mask=torch.from_numpy(texts.mask),
            words=torch.from_numpy(words),
            clean_tokens=None if clean is None else torch.from_numpy(clean.ids),
            clean_text_mask=None if clean is None else torch.from_numpy(clean.mask),
            own_group=torch.from_numpy(own),
            text_group=torch.from_numpy(fused),
            records=tuple(self._records.take(rows).to_pylist()),
            millivolts_per_step=self.store.microvolts_per_step / 1000.0,
            second=self._shown(rows, measured, step, " of the second view") if recipe.objectives.two_views else None,
            phrases=self._asked(everyone, here, step),
        )
        return batch.pinned() if self.pinned else batch

    @cached_property
    def _records(self) -> pa.Array:
        """The names of the store's records."""
        import pyarrow as pa

        names = pa.array(self.store.index["record"])
        return names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names

    @cached_property
    def _memory(self) -> SignalMemory:
        return SignalMemory((self.recipe.training.batch, len(self.store.leads), self.recipe.seen_samples), self.pinned)

    @cached_property
    def _maskable(self) -> tuple[int, NDArray[np.bool_]]:
        """The id that stands in for a masked piece, and which ids of the vocabulary [V] may be hidden."""
        return mask_token_id(self.tokenizer), maskable(self.tokenizer, np.arange(len(self.tokenizer)))

    @cached_property
    def _reports(self) -> TokenTable:
        """Every distinct report, tokenised."""
        return token_table(self.tokenizer, self.corpus.distinct, self.recipe.model.text.max_tokens)

    @cached_property
    def _phrases(self) -> TokenTable:
        """Every phrase, tokenised."""
        assert self.phrases is not None
        return token_table(self.tokenizer, self.phrases.phrases.texts, self.recipe.model.text.max_tokens)

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
            signal=signal,
            gain=torch.from_numpy(gain),
            noise=torch.from_numpy(noise),
            leads_kept=torch.from_numpy(self._leads(measured, f"leads{which}", step)),
            noise_seed=torch_seed(recipe.seed, f"noise{which}", step, self.rank) if recipe.augmentation.noise_mv else None,
        )

    def _leads(self, measured: NDArray[np.bool_], purpose: str, step: int) -> NDArray[np.bool_]:
        """Leads that are shown [B, L]."""
        masking = self.recipe.masking
        return keep_leads(measured, masking.lead_drop, self._rng(purpose, step), masking.lead_sets)

    def _asked(self, everyone: NDArray[np.int64], here: slice, step: int) -> AskedPhrases | None:
        """Phrases that are asked of everyone's pairs, of which this process has those `here`; it embeds an even share of them.

        The last shares are filled up with the first phrases once more, which the objective leaves out.
        """
        if self.phrases is None:
            return None
        # Every process draws the same.
        rng, drawn = generator(self.recipe.seed, "phrases", step, 0), self.recipe.objectives.phrase.drawn
        chosen, held, counted = self.phrases.ask(self.corpus.group[everyone], self.corpus.store[everyone], drawn, rng)
        held, counted, share = held[here], counted[here], -(-len(chosen) // self.world)
        chosen = chosen[np.arange(self.rank * share, (self.rank + 1) * share) % len(chosen)]
        with self._tokenizing:
            table = self._phrases
        texts = table.rows(chosen)
        return AskedPhrases(*(torch.from_numpy(part) for part in (texts.ids, texts.mask, held, counted)))

    def _texts(self, groups: NDArray[np.int64], step: int) -> TokenBatch:
        """The reports of these numbers as word pieces [B, S] and mask [B, S]."""
        change = self.recipe.augmentation
        if not (change.shuffle_sentences or change.drop_sentences):
            with self._tokenizing:
                table = self._reports
            return table.rows(groups)
        rng = self._rng("sentences", step)
        texts = [shuffle_sentences(self.corpus.distinct[group], rng, change.drop_sentences) for group in groups.tolist()]
        with self._tokenizing:
            return encode(self.tokenizer, texts, self.recipe.model.text.max_tokens)

    def _signals(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """The signals [B, L, T]: a stretch of each where the recipe crops, else each moved in time by up to `shift_seconds`;
        what is moved in is zero."""
        length, most = self.recipe.seen_samples, int(self.recipe.augmentation.shift_seconds * self.store.rate)
        begin: NDArray[np.int64] | int = 0
        if length < self.store.samples:
            begin = rng.integers(0, self.store.samples - length + 1, len(rows))
        elif most:
            begin = -rng.integers(-most, most + 1, len(rows))
        signal = self._memory.tensor()
        self.store.stretches(rows, begin, length, signal.numpy())
        return signal
