"""A fine-tuned classifier on disk: weights as safetensors, the rest as json, hashed; and how it is used."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from cmelt import __version__
from cmelt.checkpoints.seen import read_seen, write_seen
from cmelt.config.parsing import from_mapping, to_mapping
from cmelt.config.settings import ModelSettings
from cmelt.errors import CheckpointError, RecordError
from cmelt.model.ecg_classifier import EcgClassifier, windowed_logits
from cmelt.publishing import seal, verify
from cmelt.records.record import LEADS

WEIGHTS, DESCRIPTION = "classifier.safetensors", "classifier.json"
FORMAT, FORMAT_VERSION = "cmelt-classifier", 1
RECORDS_AT_ONCE = 64


@dataclass(frozen=True)
class ClassifierFacts:
    """What a classifier is, beside its weights.

    Attributes:
        settings: of the pre-trained model it came from.
        task, classes: what it was fine-tuned for, one logit a class in this order.
        thresholds: probability at and above which a class is called, chosen on validation records; None where none could be.
        leads: those it was trained with; the others are zero.
        window: samples of the windows whose probabilities are averaged; 0 for the whole record.
        origin: SHA-256 of the pre-trained weights.
    """

    settings: ModelSettings
    task: str
    classes: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    leads: tuple[str, ...]
    window: int
    origin: str


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned network in evaluation mode, with the form of the records it takes."""

    network: EcgClassifier
    facts: ClassifierFacts
    identity: str
    seen: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.facts.settings.ecg.rate

    @property
    def samples(self) -> int:
        """Samples of a record."""
        return self.facts.settings.ecg.samples

    @torch.no_grad()
    def probabilities(self, millivolts: NDArray[np.float32]) -> NDArray[np.float64]:
        """[n, 12, T] millivolts in the order of `cmelt.LEADS`, at the classifier's rate → [n, C].

        Leads that it was not trained with are not looked at. Raises RecordError for another shape or values that are not finite.
        """
        if millivolts.ndim != 3 or millivolts.shape[1:] != (self.facts.settings.ecg.leads, self.samples):
            need = f"[n, {self.facts.settings.ecg.leads}, {self.samples}] at {self.rate:g} Hz"
            raise RecordError("ECG", f"has shape {list(millivolts.shape)}", f"give {need}: cmelt.records.standard makes it")
        shown = np.isin(LEADS[: millivolts.shape[1]], self.facts.leads)
        seen = np.where(shown[:, None], millivolts, 0).astype(np.float32)
        if not np.isfinite(seen).all():
            raise RecordError("ECG", "holds values that are not finite", "mend the record, or put zero where a lead is missing")
        place = next(self.network.parameters()).device
        parts = [torch.from_numpy(seen[i : i + RECORDS_AT_ONCE]).to(place) for i in range(0, len(seen), RECORDS_AT_ONCE)]
        found = [torch.sigmoid(windowed_logits(self.network, part, self.facts.window).double()).cpu().numpy() for part in parts]
        return np.concatenate(found) if found else np.zeros((0, len(self.facts.classes)))


def write_classifier(network: EcgClassifier, facts: ClassifierFacts, folder: Path, card: str, seen: Iterable[str] = ()) -> None:
    """Weights, description, card and fingerprints of the training records into `folder`, sealed by a manifest of its own.

    For use inside a folder that is being published."""
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / WEIGHTS)
    said: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "settings": to_mapping(facts.settings),
        "task": facts.task,
        "classes": list(facts.classes),
        "thresholds": list(facts.thresholds),
        "leads": list(facts.leads),
        "window": facts.window,
        "origin": facts.origin,
    }
    (folder / DESCRIPTION).write_text(json.dumps(said, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    write_seen(seen, folder)
    seal(folder, {"kind": "cmelt classifier", "cmelt": __version__})


def load_classifier(run: str | Path, device: str | None = None) -> Classifier:
    """The classifier of a `cmelt finetune` folder, or of its `classifier` folder.

    Raises CheckpointError for a folder that holds none, a damaged one, or weights that do not fit their description.
    """
    folder = next((f for f in (Path(run), Path(run) / "classifier") if (f / DESCRIPTION).is_file()), None)
    if folder is None:
        raise CheckpointError(run, "holds no classifier", "give the folder that cmelt finetune wrote")
    manifest = verify(folder, CheckpointError)
    facts = _read_facts(folder / DESCRIPTION)
    with torch.device("meta"):
        network = EcgClassifier(facts.settings, len(facts.classes))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS), strict=True, assign=True)
    except RuntimeError as error:
        fault = str(error).splitlines()[-1].strip()
        raise CheckpointError(folder / WEIGHTS, fault, "these weights belong to another description") from error
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    identity = str(manifest["files"][WEIGHTS]["sha256"])
    return Classifier(network.eval().to(place), facts, identity, read_seen(folder))


def _read_facts(path: Path) -> ClassifierFacts:
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if (said.get("format"), said.get("version")) != (FORMAT, FORMAT_VERSION):
        found = f"{said.get('format')} {said.get('version')}"
        raise CheckpointError(path, f"is of format {found}, not {FORMAT} {FORMAT_VERSION}", "fine-tune again with this version")
    return ClassifierFacts(
        settings=from_mapping(ModelSettings, said["settings"], path, "settings"),
        task=said["task"],
        classes=tuple(said["classes"]),
        thresholds=tuple(said["thresholds"]),
        leads=tuple(said["leads"]),
        window=int(said["window"]),
        origin=said["origin"],
    )
