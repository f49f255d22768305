"""Whether an ONNX file computes what the towers do: on simulated ECGs and their reports, alone and among others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from cmelt.config.settings import EcgSettings, TextSettings
from cmelt.model.lead_order import channels
from cmelt.model.towers import Towers
from cmelt.simulation.simulate import simulate
from cmelt.text import clean_report, encode
from cmelt.text.pieces import AbsentTokenizer

if TYPE_CHECKING:
    from cmelt.text.tokenizers import Tokenizer

#: What goes into a file at once, by the names of its inputs.
Feed = dict[str, NDArray]

#: Simulated records: of every three two have findings, which their reports tell.
_SEEDS = range(4)
_PROMPTS = ("normal ecg.", "atrial fibrillation with rapid ventricular response.", "vorhofflimmern")


@dataclass(frozen=True)
class Agreement:
    """How near a file's unit vectors are to those of the towers.

    Attributes:
        difference: the greatest between two components.
        cosine: the lowest between two vectors.
        vectors: how many were compared.
    """

    difference: float
    cosine: float
    vectors: int


def ecg_feeds(settings: EcgSettings) -> list[Feed]:
    """Simulated ECGs: one, three together (one of them without its last lead), shorter ones, and a longer one."""
    rate, samples = min(max(settings.rate, 50.0), 4000.0), settings.samples
    seconds = min(max(1.5 * samples / rate, 2.0), 600.0)
    made = [simulate(seed, rate=rate, seconds=seconds).signal for seed in _SEEDS]
    ecg = np.stack(made)[:, channels(settings)].astype(np.float32)
    ecg[-1, -1] = 0.0
    parts = [ecg[:1, :, :samples], ecg[1:, :, :samples], ecg[:2, :, : samples // 2], ecg[2:3, :, : samples * 3 // 2]]
    return [{"ecg": np.ascontiguousarray(part)} for part in parts]


def text_feeds(settings: TextSettings, tokenizer: Tokenizer) -> list[Feed]:
    """Reports of simulated ECGs and short prompts: one alone, three together, all together.

    Pieces drawn at random where a model has no tokenizer.
    """
    texts = [*_PROMPTS, *(simulate(seed).report or "" for seed in _SEEDS)]
    if isinstance(tokenizer, AbsentTokenizer):
        return [_drawn(settings, lengths) for lengths in ([5], [3, 9, 1], [2, 30, 4, 11])]
    parts = [texts[:1], texts[:3], texts]
    tokens = [encode(tokenizer, [clean_report(text) for text in part], settings.max_tokens) for part in parts]
    return [_text_feed(np.asarray(one.ids), np.asarray(one.mask)) for one in tokens]


@torch.no_grad()
def by_the_towers(towers: Towers, feed: Feed) -> NDArray[np.float32]:
    """Unit vectors [B, D] of a feed's rows, one at a time and without padding: no neighbour can touch them."""
    if "ecg" in feed:
        made = [towers.embed_ecg(torch.from_numpy(row[None])) for row in feed["ecg"]]
    else:
        rows = zip(feed["input_ids"], feed["attention_mask"].astype(bool), strict=True)
        alone = [torch.from_numpy(ids[mask][None]) for ids, mask in rows]
        made = [towers.embed_text(ids, torch.ones_like(ids, dtype=torch.bool)) for ids in alone]
    result: NDArray[np.float32] = F.normalize(torch.cat(made), dim=1).numpy()
    return result


def by_onnx_runtime(path: Path, feeds: Sequence[Feed]) -> list[NDArray[np.float32]]:
    """What the file makes of each feed, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [session.run(None, feed)[0] for feed in feeds]


def agreement(found: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]) -> Agreement:
    """Of lists of unit vectors [B, D]; not-a-number where one of them is."""
    one, other = np.concatenate(found).astype(np.float64), np.concatenate(expected).astype(np.float64)
    if not np.isfinite(one).all():
        return Agreement(math.nan, math.nan, len(one))
    cosines = (one * other).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))
    return Agreement(float(np.abs(one - other).max()), float(cosines.min()), len(one))


def _drawn(settings: TextSettings, lengths: Sequence[int]) -> Feed:
    """Pieces [B, S] drawn evenly from the vocabulary, each row as long as said."""
    pieces = int(settings.architecture.get("vocab_size", settings.vocabulary))
    mask = np.arange(max(lengths))[None] < np.asarray(lengths)[:, None]
    ids = np.random.default_rng(0).integers(0, pieces, mask.shape)
    return _text_feed(np.where(mask, ids, 0), mask)


def _text_feed(ids: NDArray, mask: NDArray) -> Feed:
    return {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
