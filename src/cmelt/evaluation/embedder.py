"""All that evaluation sees of a model and of a store, and the embedding of a store's records in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import pandas as pd

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
#: Called with (records done, records in all).
Progress = Callable[[int, int], None]


class Embedder(Protocol):
    """A model that puts ECGs and texts into one space; unit vectors out, texts are cleaned inside."""

    @property
    def rate(self) -> float: ...
    @property
    def samples(self) -> int: ...
    @property
    def leads(self) -> tuple[str, ...]: ...
    @property
    def identity(self) -> str: ...
    @property
    def seen(self) -> Sequence[str]:
        """Fingerprints of the records it was trained on, and their patients' names (`Store.people`)."""
        ...

    @property
    def negative_weight(self) -> float:
        """How much of the similarity to negative prompts is taken off a class's own (`ObjectiveSettings.negative_weight`)."""
        ...

    @property
    def aligned(self) -> bool:
        """Whether it has learned to compare ECGs with texts; without, similarities of the two are chance."""
        ...

    def embed_ecgs(self, millivolts: NDArray[np.float32]) -> Vectors:
        """[n, leads, samples] millivolts → [n, D] unit vectors."""
        ...

    def embed_texts(self, texts: list[str]) -> Vectors:
        """n texts → [n, D] unit vectors."""
        ...


class EvaluationStore(Protocol):
    """The part of a prepared store that is read here; `cmelt.store` gives it."""

    @property
    def rate(self) -> float: ...
    @property
    def samples(self) -> int: ...
    @property
    def leads(self) -> tuple[str, ...]: ...
    @property
    def sha256(self) -> str: ...
    @property
    def index(self) -> pd.DataFrame: ...
    def rows(self, *splits: Any) -> Rows: ...
    def people(self, rows: Any) -> list[str]: ...
    def millivolts(self, rows: Any) -> NDArray[np.float32]: ...


def check_fit(embedder: Embedder, store: EvaluationStore) -> None:
    """Refuse a store that was prepared in another form than the model was trained on.

    Raises StoreError naming both sides: nothing is resampled or cut here, since that belongs to preparation.
    """
    pairs = (
        ("rate", f"{store.rate:g} Hz", f"{embedder.rate:g} Hz"),
        ("length", f"{store.samples} samples", f"{embedder.samples} samples"),
        ("leads", " ".join(store.leads), " ".join(embedder.leads)),
    )
    for what, have, need in pairs:
        if have != need:
            remedy = (
                f"prepare it again at {embedder.rate:g} Hz and {embedder.samples} samples, or use a model trained in its form"
            )
            raise StoreError("store", f"its {what} is {have}, the model's is {need}", remedy)


def check_aligned(embedder: Embedder, asked: str) -> None:
    """Refuse what compares ECGs with texts, named by `asked`, where the model has never learned to. Raises ConfigError."""
    if not embedder.aligned:
        fault = "the model has never learned to compare ECGs with texts: every figure would be chance"
        raise ConfigError(asked, fault, "ask what needs the ECG alone: linear probes, fine-tuning, --identification, --shift-to")


def form_of(store: EvaluationStore) -> dict[str, Any]:
    """Which store it is and in what form, for results.json."""
    return {"sha256": store.sha256, "rate_hz": float(store.rate), "samples": int(store.samples), "leads": list(store.leads)}


def embed_rows(
    embedder: Embedder, store: EvaluationStore, rows: Rows, batch: int = 64, progress: Progress | None = None
) -> Vectors:
    """The ECG embeddings of a store's rows, [n, D] float32; `batch` records are in memory at a time."""
    parts: list[Vectors] = []
    for start in range(0, len(rows), batch):
        parts.append(np.asarray(embedder.embed_ecgs(store.millivolts(rows[start : start + batch])), np.float32))
        if progress is not None:
            progress(min(start + batch, len(rows)), len(rows))
    if not parts:
        raise StoreError("store", "no record to embed", "check the task's splits and labels against the store")
    vectors = np.concatenate(parts)
    if not np.isfinite(vectors).all():
        raise StoreError(
            "store", f"{(~np.isfinite(vectors).all(1)).sum()} embeddings are not finite", "the model is damaged or its input is"
        )
    return vectors


def patients_of(index: pd.DataFrame, rows: Rows) -> NDArray[np.int64]:
    """One integer a row, equal where the patient is the same; a record without a known patient is a patient of its own."""
    names: Sequence[str] = index["patient"].to_numpy()[rows].tolist()
    keys = [name if name else f"\0record {row}" for name, row in zip(names, rows, strict=True)]
    return np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)
