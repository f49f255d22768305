"""`cmelt.load`: a model and its processor by one name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cmelt.serving.processor import CMeltProcessor

if TYPE_CHECKING:
    from cmelt.model.reduced_precision import Precision
    from cmelt.model.towers import Towers


def load(
    name: str | Path = "small", *, device: str | None = None, precision: Precision | Literal["auto"] = "float32"
) -> tuple[Towers, CMeltProcessor]:
    """A trained model, ready to embed and classify, and what turns records and texts into its input.

    The tower that embeds texts is read when the first text comes.

    Args:
        name: a bundled model ("small"), the folder of a run or of a saved model, or "owner/name" of a hub. What lies on disk
            under that name counts first.
        device: where to compute; by default a GPU where there is one.
        precision: what the ECG tower's transformer multiplies in; all else stays in single precision, texts included. "float32"
            gives the same embeddings everywhere. "bfloat16" and "int8" (CPUs alone) are faster on processors that have them, at
            less than 0.002 of AUROC (docs/embed.md). "auto" is bfloat16 where the device multiplies it itself, float32 elsewhere.
    Raises:
        CheckpointError: no model of that name, a damaged one, or a calibration of other weights beside it.
        ConfigError: no such precision, or int8 on a GPU.

    Example:
        >>> model, processor = cmelt.load("small")  # doctest: +SKIP
        >>> cmelt.classify(model, processor, "patient.dcm", ["atrial-fibrillation"]).of(0)  # doctest: +SKIP
    """
    towers, processor, _ = load_identified(name, device=device, precision=precision)
    return towers, processor


def load_identified(
    name: str | Path, *, device: str | None = None, precision: Precision | Literal["auto"] = "float32"
) -> tuple[Towers, CMeltProcessor, str]:
    """As `load`, and the SHA-256 of the weights' file."""
    import torch

    from cmelt.checkpoints.finding import find_model
    from cmelt.checkpoints.inference import load_towers
    from cmelt.model.reduced_precision import native_precision, reduce_precision
    from cmelt.serving.confidence import read_calibration

    folder = find_model(name)
    found = load_towers(folder)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    calibration = read_calibration(folder, found.identity)
    processor = CMeltProcessor(
        found.towers.settings, found.tokenizer, found.aligned, found.negative_weight, found.identity, calibration
    )
    towers = found.towers.to(place)
    reduce_precision(towers, native_precision(place) if precision == "auto" else precision)
    return towers, processor, found.identity
