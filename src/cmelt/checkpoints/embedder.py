"""A trained model as everything downstream uses it: ECGs and texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from cmelt.checkpoints.finding import find_model
from cmelt.checkpoints.model_folder import read_model
from cmelt.checkpoints.seen import read_seen
from cmelt.model.cmelt import CMeltModel
from cmelt.records.record import LEADS
from cmelt.text import clean_report, encode, load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RECORDS_AT_ONCE = 64


@dataclass(frozen=True)
class ModelEmbedder:
    """Embeds ECGs and texts with one model, in evaluation mode.

    Attributes:
        identity: SHA-256 of the weights; ends in "-random" for the control with fresh weights.
        seen: fingerprints of the records it was trained on.
    """

    model: CMeltModel
    tokenizer: PreTrainedTokenizerBase
    identity: str
    device: torch.device
    seen: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Samples a second that the model was made for."""
        return self.model.config.model_settings.ecg.rate

    @property
    def samples(self) -> int:
        """Samples of a record."""
        return self.model.config.model_settings.ecg.samples

    @property
    def leads(self) -> tuple[str, ...]:
        """Lead names in the order the model takes them."""
        return LEADS[: self.model.config.model_settings.ecg.leads]

    @torch.no_grad()
    def embed_ecgs(self, millivolts: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, L, T] millivolts → unit vectors [n, D]."""
        pieces = [
            F.normalize(self.model.embed_ecg(torch.from_numpy(part).to(self.device)), dim=1).cpu().numpy()
            for part in _parts(np.ascontiguousarray(millivolts, dtype=np.float32))
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.model.config.model_settings.width), np.float32)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts, cleaned as reports are → unit vectors [n, D]."""
        result = np.zeros((len(texts), self.model.config.model_settings.width), np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")
        for part in _parts(order):
            tokens = encode(
                self.tokenizer, [clean_report(texts[i]) for i in part], self.model.config.model_settings.text.max_tokens
            )
            embedded = self.model.embed_text(
                torch.from_numpy(tokens.ids).to(self.device), torch.from_numpy(tokens.mask).to(self.device)
            )
            result[part] = F.normalize(embedded, dim=1).cpu().numpy()
        return result


def load_embedder(run: str | Path, *, random: bool = False, seed: int = 0, device: str | None = None) -> ModelEmbedder:
    """The embedder of a run, a model's folder, a bundled model by name, or one of a hub (`find_model`).

    Args:
        random: same architecture and tokenizer with fresh weights drawn from `seed`: the control.
        device: where to compute; by default a GPU where there is one.
    Raises CheckpointError for a folder that holds no model, or a damaged one.
    """
    folder = find_model(run)
    model, manifest = read_model(folder)
    identity = str(manifest["files"]["model.safetensors"]["sha256"])
    if random:
        model, identity = random_model(model, seed), f"{identity[:16]}-random-{seed}"
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return ModelEmbedder(model.to(place), load_tokenizer(folder), identity, place, read_seen(folder))


def load_model(run: str | Path) -> CMeltModel:
    """The model of a run, a model's folder, a bundled model by name, or one of a hub (`find_model`), in evaluation mode."""
    return read_model(find_model(run))[0]


def random_model(like: CMeltModel, seed: int) -> CMeltModel:
    """A model of the same configuration with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CMeltModel(like.config).eval()


def _parts(rows: NDArray) -> list[NDArray]:
    return [rows[i : i + RECORDS_AT_ONCE] for i in range(0, len(rows), RECORDS_AT_ONCE)]
