"""A trained model as everything downstream uses it: ECGs and texts in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from cmelt.model.lead_order import in_model_order
from cmelt.model.towers import Towers
from cmelt.records.record import LEADS
from cmelt.text import clean_report, encode

if TYPE_CHECKING:
    from cmelt.text.tokenizers import Tokenizer

Model = TypeVar("Model", bound=Towers)

#: ECGs or texts that go through a model together: more gains nothing, and takes more memory.
RECORDS_AT_ONCE = 16


@dataclass(frozen=True)
class ModelEmbedder(Generic[Model]):
    """Embeds ECGs and texts with one model, in evaluation mode.

    Attributes:
        identity: SHA-256 of the weights; ends in "-random" for the control with fresh weights.
        seen: fingerprints and patients of the records it was trained on.
        aligned: whether an objective has put ECGs and texts into one space; False where similarities of the two mean nothing
            (a model of masked ECGs alone, for instance), and only what is made of the ECG embeddings does.
        negative_weight: how much of the similarity to negative prompts zero-shot scoring takes off.
    """

    model: Model
    tokenizer: Tokenizer
    identity: str
    device: torch.device
    seen: tuple[str, ...] = ()
    aligned: bool = True
    negative_weight: float = 1.0

    @property
    def rate(self) -> float:
        """Samples a second that the model was made for."""
        return self.model.settings.ecg.rate

    @property
    def samples(self) -> int:
        """Samples of a record."""
        return self.model.settings.ecg.samples

    @property
    def leads(self) -> tuple[str, ...]:
        """Lead names in the order that `embed_ecgs` takes them: a store's, whatever the order of the model's channels."""
        return LEADS[: self.model.settings.ecg.leads]

    def embed_ecgs(self, millivolts: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, L, T] millivolts, leads in the order of `leads` → unit vectors [n, D]."""
        return self.embed_prepared(in_model_order(np.asarray(millivolts), self.model.settings.ecg))

    @torch.no_grad()
    def embed_prepared(self, millivolts: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, L, T] millivolts, leads in the order of the model's channels → unit vectors [n, D]."""
        pieces = [
            F.normalize(self.model.embed_ecg(torch.from_numpy(part).to(self.device)), dim=1).cpu().numpy()
            for part in _parts(np.ascontiguousarray(millivolts, dtype=np.float32))
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.model.settings.width), np.float32)

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts, cleaned as reports are → unit vectors [n, D]."""
        result = np.zeros((len(texts), self.model.settings.width), np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")
        for part in _parts(order):
            tokens = encode(self.tokenizer, [clean_report(texts[i]) for i in part], self.model.settings.text.max_tokens)
            embedded = self.model.embed_text(
                torch.from_numpy(tokens.ids).to(self.device), torch.from_numpy(tokens.mask).to(self.device)
            )
            result[part] = F.normalize(embedded, dim=1).cpu().numpy()
        return result


def _parts(rows: NDArray) -> list[NDArray]:
    return [rows[i : i + RECORDS_AT_ONCE] for i in range(0, len(rows), RECORDS_AT_ONCE)]
