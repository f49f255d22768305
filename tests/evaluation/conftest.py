"""A world in which the right answer is known: signals that carry their class, and a model that reads it out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from cmelt.evaluation.tasks import Task, TaskClass
from cmelt.records.record import LEADS
from cmelt.store.patients import people_of

SAMPLES = 50
CLASSES = ("fast", "wide", "tall")
NORMAL = ("nothing wrong", "all well")


@dataclass
class PlantedStore:
    """Records in memory; lead c holds how strongly class c shows, lead 5 how much the record resembles any report at all."""

    index: pd.DataFrame
    signal: np.ndarray
    rate: float = 100.0
    samples: int = SAMPLES
    leads: tuple[str, ...] = LEADS
    sha256: str = "5" * 64

    def rows(self, *splits):
        return np.flatnonzero(self.index["split"].isin(splits)).astype(np.int64)

    def people(self, rows):
        return people_of("planted", self.index["patient"].iloc[rows].tolist())

    def millivolts(self, rows):
        return self.signal[rows]


@dataclass
class PlantedEmbedder:
    """Reads the planted strengths; with `blind`, projects the signal at random as an untrained encoder would."""

    blind: bool = False
    rate: float = 100.0
    samples: int = SAMPLES
    leads: tuple[str, ...] = LEADS
    identity: str = "planted"
    seen: tuple[str, ...] = ()
    negative_weight: float = 1.0
    aligned: bool = True
    calls: list[int] = field(default_factory=list)

    def embed_ecgs(self, millivolts):
        self.calls.append(len(millivolts))
        vectors = millivolts[:, :8, 0].astype(np.float64)
        if self.blind:
            noise = np.random.default_rng(int(abs(millivolts[:, :, 1].sum()) * 1000) % 2**31)
            vectors = noise.normal(size=vectors.shape)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts):
        vectors = np.zeros((len(texts), 8))
        for row, text in enumerate(texts):
            words = [c for c, name in enumerate(CLASSES) if name in text]
            vectors[row, words] = 1.0
            vectors[row, 4] = 0.0 if words else 1.0  # the direction of the normal report
            vectors[row, 5] = 3.0  # every report is above all a report
        if self.blind:
            vectors = np.random.default_rng(len(texts)).normal(size=vectors.shape)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def planted_store(count: int = 600, seed: int = 0, noise: float = 0.5, records_a_patient: int = 2) -> PlantedStore:
    rng = np.random.default_rng(seed)
    patients = np.arange(count) // records_a_patient
    truth = rng.random((count, len(CLASSES))) < np.array([0.3, 0.2, 0.1])
    signal = np.zeros((count, 12, SAMPLES), np.float32)
    signal[:, :3, 0] = 1.5 * truth + noise * rng.normal(size=truth.shape)
    signal[:, 4, 0] = 1.0 * ~truth.any(axis=1) + noise * rng.normal(size=count)
    signal[:, 5, 0] = rng.normal(3.0, 1.0, count)
    signal[:, :, 1] = rng.normal(size=(count, 12))
    signal[:, :, 2:] = 0.1 * rng.normal(size=(count, 12, SAMPLES - 2))
    labels = [[f"t:{name}" for name, has in zip(CLASSES, row, strict=True) if has] or ["t:none"] for row in truth]
    splits = np.array(["train", "train", "train", "validation", "test"])[(patients * 7) % 5]
    index = pd.DataFrame(
        {
            "record": [f"r{i}" for i in range(count)],
            "patient": [f"p{p}" for p in patients],
            "report": [f"Report number {i} <b>& more</b>" for i in range(count)],
            "labels": labels,
            "split": splits,
            "fingerprint": [f"f{i}" for i in range(count)],
            "age": np.nan,
            "sex": "",
        }
    )
    return PlantedStore(index, signal)


def planted_task(**changes) -> Task:
    classes = {name: TaskClass((f"t:{name}",), (f"it is {name}", f"{name} indeed"), NORMAL) for name in CLASSES}
    return Task(**({"classes": classes, "name": "planted", "description": "Planted classes"} | changes))


@pytest.fixture
def store() -> PlantedStore:
    return planted_store()


@pytest.fixture
def embedder() -> PlantedEmbedder:
    return PlantedEmbedder()


@pytest.fixture
def blind() -> PlantedEmbedder:
    return PlantedEmbedder(blind=True, identity="random")


@pytest.fixture
def task() -> Task:
    return planted_task()
