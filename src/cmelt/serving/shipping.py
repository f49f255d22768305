"""From a finished run to a model that is handed to others: half precision, no idle parts, and a card written from its results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmelt.errors import CheckpointError
from cmelt.evaluation.model_card import model_card
from cmelt.evaluation.results import FORMAT
from cmelt.evaluation.robustness_card import FORMAT as ROBUSTNESS
from cmelt.publishing import MANIFEST, published, verify
from cmelt.serving.provenance import RUN

#: Parts that only training has a use for.
_TRAINING_ONLY = ("word_head", "ecg_decoder", "view_head", "phrase_scale")
_CARD, _WEIGHTS = "README.md", "model.safetensors"


def ship(run: str | Path, target: Path, *, reproduce: str) -> Path:
    """Write the model of a run as `target`: half precision, without the heads that only training uses, nor fusion unless ETM has
    trained it. Its card has no figures until `add_results`.

    Args:
        reproduce: the command that makes this model again, for the card.
    Raises:
        CheckpointError: no finished run, or one that does not say what it was trained on.
    """
    from cmelt.checkpoints.embedder import load_model
    from cmelt.checkpoints.finding import find_model
    from cmelt.checkpoints.model_folder import save_model, without_parts
    from cmelt.checkpoints.seen import read_seen
    from cmelt.text import load_tokenizer

    folder = find_model(run)
    manifest = verify(folder, CheckpointError)
    if "training" not in manifest or "sources" not in manifest:
        raise CheckpointError(folder, "does not say what it was trained on", "train it with this version of cmelt")
    model = load_model(folder)
    # Where it is not known what trained the model, nothing of fusion is thrown away.
    matched = model.config.objectives is None or "etm" in model.config.objective_settings.weights
    idle = _TRAINING_ONLY if matched else (*_TRAINING_ONLY, "fusion", "match_head")
    kept: dict[str, Any] = {
        key: manifest[key] for key in ("recipe", "seed", "step", "store", "sources", "training", RUN) if key in manifest
    }
    details: dict[str, Any] = {
        **kept,
        "precision": "float16",
        "reproduce": reproduce,
        "trained_weights": manifest["files"][_WEIGHTS]["sha256"],
    }
    card = _card(target.name, details, [])
    save_model(without_parts(model, idle), load_tokenizer(folder), target, details, card, read_seen(folder), half=True)
    return target


def add_results(folder: Path, evaluations: Sequence[Path], robustness: Path | None = None) -> Path:
    """Write the card of a shipped model anew, with the figures of evaluations of these very weights.

    Args:
        robustness: the file that `benchmarks/robustness.py` has written of them.
    Raises:
        CheckpointError: not a shipped model, not an evaluation, or one of other weights.
    """
    manifest = verify(folder, CheckpointError)
    if "training" not in manifest or "reproduce" not in manifest:
        raise CheckpointError(folder, "is not a model that was shipped", "write it with `ship` first")
    weights = manifest["files"][_WEIGHTS]["sha256"]
    results = [result for evaluation in evaluations for result in _read_results(evaluation, weights)]
    disturbed = None if robustness is None else _read_robustness(robustness, weights)
    details = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
    with published(folder, details, replace=True) as staging:
        for name in manifest["files"]:
            if name not in (_CARD, MANIFEST):
                shutil.copyfile(folder / name, staging / name)
        (staging / _CARD).write_text(_card(folder.name, details, results, disturbed), encoding="utf-8")
    return folder / _CARD


def _card(name: str, details: dict[str, Any], results: list[dict[str, Any]], robustness: dict[str, Any] | None = None) -> str:
    facts = {**details["training"], "recipe": str(details["recipe"]), "weights": "half precision, computed with in single"}
    return model_card(name, facts, details["sources"], results, details["reproduce"], robustness)


def _read_results(evaluation: Path, weights: str) -> list[dict[str, Any]]:
    verify(evaluation, CheckpointError)
    path = evaluation / "results.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = list(content["results"].values()) if content["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        found = None
    if not found:
        raise CheckpointError(path, "holds no results of an evaluation", "write it with cmelt evaluate")
    for result in found:
        if result["model"] != weights:
            raise CheckpointError(path, "is of other weights than the model's", "evaluate the shipped folder itself")
    return found


def _read_robustness(path: Path, weights: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = content["format"] == ROBUSTNESS
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise CheckpointError(path, "holds no figures of disturbed records", "write it with benchmarks/robustness.py")
    if content["weights"] != weights:
        raise CheckpointError(path, "is of other weights than the model's", "measure the shipped folder itself")
    return content
