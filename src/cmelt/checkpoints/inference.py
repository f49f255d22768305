"""A model for inference: its two towers and its tokenizer, read without transformers wherever that is possible."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from cmelt.checkpoints.finding import find_model
from cmelt.checkpoints.shapes import shapes_alone
from cmelt.checkpoints.shares import PARTS, SHARES, Share, add_tensor, prefixes
from cmelt.checkpoints.tensors import WEIGHTS, in_single_precision, refuse_unless_fitting, stored_tensors
from cmelt.config.parsing import from_mapping
from cmelt.config.settings import ModelSettings, ObjectiveSettings
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.towers import PlainTowers, Towers
from cmelt.publishing import verify
from cmelt.text.pieces import read_pieces

if TYPE_CHECKING:
    from cmelt.text.tokenizers import Tokenizer

_CONFIG = "config.json"
#: Held while a text tower is read: several threads may come with the first text.
_READING = threading.RLock()


@dataclass(frozen=True)
class TrainedTowers:
    """The towers in evaluation mode, with their tokenizer.

    Attributes:
        aligned: whether an objective has put ECGs and texts into one space; without, their similarity means nothing.
        negative_weight: how much of the similarity to negative prompts zero-shot scoring takes off.
        identity: SHA-256 of the weights' file.
    """

    towers: Towers
    tokenizer: Tokenizer
    aligned: bool
    negative_weight: float
    identity: str


class TowersOnDemand(PlainTowers):
    """The ECG tower, and the text tower once a text comes: reading that one takes twice as long, and it is not always needed."""

    def __init__(self, settings: ModelSettings, folder: Path, hashes: Mapping[str, str]) -> None:
        """hashes: of each tower, checked when it is read. Raises ConfigError where the text encoder is no plain T5."""
        with shapes_alone():
            super().__init__(settings)
        self._folder, self._hashes = folder, hashes
        # Beside what is registered: to all who list parameters or move them, the text tower is not there yet.
        self.__dict__["_unread"] = nn.ModuleDict({part: cast("nn.Module", self._modules.pop(part)) for part in PARTS["text"]})
        _fill(self, "ecg", folder, hashes)

    def __getattr__(self, name: str) -> Any:
        """A part of the text tower is read, with all of it, when it is first asked for. Raises CheckpointError."""
        if name in PARTS["text"]:
            with _READING:
                if self._unread:
                    _fill(self._unread, "text", self._folder, self._hashes)
                    self._unread.eval().to(self.ecg_encoder.class_token.device)
                    self._modules.update(self._unread.items())
                    self.__dict__["_unread"] = {}
        return super().__getattr__(name)


def load_towers(name: str | Path) -> TrainedTowers:
    """The towers of a run, a model's folder, a bundled model by name, or one of a hub (`find_model`).

    T5 text encoders are computed in plain PyTorch, and read when the first text comes; with any other, the whole model is read
    with transformers.

    Raises:
        CheckpointError: no model, or a damaged one. Damage in the text tower may be found with the first text only.
    """
    folder = find_model(name)
    # Where each tower has a hash of its own, it is checked when it is read, and the rest of the file not at all.
    manifest = verify(folder, CheckpointError, sizes_only=(WEIGHTS,))
    hashes = manifest.get(SHARES, {})
    if not hashes:
        verify(folder, CheckpointError)
    if WEIGHTS not in manifest["files"]:
        raise CheckpointError(folder / WEIGHTS, "is not among the model's files", "restore the model's folder")
    settings, objectives = _settings(folder / _CONFIG)
    learned = objectives.aligned, objectives.negative_weight, str(manifest["files"][WEIGHTS]["sha256"])
    try:
        towers, tokenizer = TowersOnDemand(settings, folder, hashes), read_pieces(folder)
    except ConfigError:
        from cmelt.checkpoints.embedder import load_model
        from cmelt.text import load_tokenizer

        return TrainedTowers(load_model(folder), load_tokenizer(folder), *learned)
    return TrainedTowers(towers.eval(), tokenizer, *learned)


def _settings(path: Path) -> tuple[ModelSettings, ObjectiveSettings]:
    """The sizes that config.json states, and what trained the model."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "auto_map" in content:  # where transformers looks for a module to import
            raise CheckpointError(path, "names code of its own that is to be run", "no model of ours has any: do not use it")
        objectives = from_mapping(ObjectiveSettings, content.get("objectives") or {}, path, "objectives")
        return from_mapping(ModelSettings, content["settings"], path, "settings"), objectives
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise CheckpointError(path, f"is no model's configuration ({type(fault).__name__})") from fault


def _fill(modules: nn.Module, share: Share, folder: Path, hashes: Mapping[str, str]) -> None:
    """Put a tower's weights into its parts. Raises CheckpointError for altered ones, and for those that do not fit."""
    known_hash = hashes.get(share)
    state: dict[str, Tensor] = {}
    digest = hashlib.sha256()
    for name, tensor in stored_tensors(folder, prefixes(share)):
        if known_hash is not None:
            add_tensor(digest, name, tensor)
        state[name] = in_single_precision(tensor)
    if known_hash is not None and digest.hexdigest() != known_hash:
        raise CheckpointError(folder / WEIGHTS, f"the SHA-256 of its {share} tower is not the manifest's", "restore the file")
    # T5 knows its word embeddings by two names; which of them is in the file is the writer's choice.
    if (alias := state.pop("text_encoder.encoder.embed_tokens.weight", None)) is not None:
        state.setdefault("text_encoder.shared.weight", alias)
    refuse_unless_fitting(modules.state_dict(), state, folder / WEIGHTS)
    modules.load_state_dict(state, strict=True, assign=True)
