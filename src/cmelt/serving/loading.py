"""`cmelt.load`: a model and its processor by one name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cmelt.serving.processor import CMeltProcessor

if TYPE_CHECKING:
    from cmelt.model.towers import Towers


def load(name: str | Path = "small", *, device: str | None = None) -> tuple[Towers, CMeltProcessor]:
    """A trained model, ready to embed and classify, and what turns records and texts into its input.

    Args:
        name: a bundled model ("small"), the folder of a run or of a saved model, or "owner/name" of a hub. What lies on disk
            under that name counts first.
        device: where to compute; by default a GPU where there is one.
    Raises:
        CheckpointError: no model of that name, or a damaged one.

    Example:
        >>> model, processor = cmelt.load("small")  # doctest: +SKIP
        >>> cmelt.classify(model, processor, "patient.dcm", ["atrial-fibrillation"]).of(0)  # doctest: +SKIP
    """
    import torch

    from cmelt.checkpoints.inference import load_towers

    found = load_towers(name)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    processor = CMeltProcessor(found.towers.settings, found.tokenizer, found.aligned, found.negative_weight)
    return found.towers.to(place), processor
