"""Our models in the forms that users of transformers know: AutoModel, AutoProcessor, save_pretrained, push_to_hub.

What `save_pretrained` writes is a folder that `cmelt.load` reads as well: sealed with hashes, with the card and the fingerprints
of the records that the model was trained on, so that evaluation still refuses them.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.feature_extraction_utils import BatchFeature, FeatureExtractionMixin
from transformers.processing_utils import ProcessorMixin
from transformers.utils import ModelOutput, cached_file

from cmelt import __version__
from cmelt.checkpoints.seen import PEOPLE, SEEN
from cmelt.checkpoints.shares import SHARES
from cmelt.config.parsing import from_mapping, to_mapping
from cmelt.config.settings import ModelSettings
from cmelt.errors import CheckpointError, ConfigError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.publishing import MANIFEST, seal, verify
from cmelt.records.readers import ReadOptions
from cmelt.serving.arrays import separate, source_of
from cmelt.serving.processor import CMeltProcessor

_CARD = "README.md"
#: Files beside the weights that go where these go.
_KEPT = (SEEN, PEOPLE, _CARD)
#: What is said of a card's figures once the model is saved again: nobody knows whether its weights are the same.
_CARD_NOTE = "\n\nSaved again with `save_pretrained`: all figures above are of the weights that this model was loaded with.\n"
#: By this transformers' own card is known, which says nothing.
_AUTOMATIC_CARD = "automatically generated"
#: What tells which copy on a hub is meant.
_HUB = ("cache_dir", "force_download", "local_files_only", "revision", "token", "subfolder")


@dataclass
class DualEncoderOutput(ModelOutput):
    """Attributes:
    ecg_embeds: [n, D] unit vectors of records.
    text_embeds: [m, D] unit vectors of texts.
    similarity: [n, m] their cosines.
    """

    ecg_embeds: Tensor | None = None
    text_embeds: Tensor | None = None
    similarity: Tensor | None = None


class CMeltDualEncoder(CMeltModel):
    """A model whose `forward` takes what `CMeltEcgTextProcessor` gives: ECGs and texts to unit vectors and cosines.

    Example:
        >>> model = AutoModel.from_pretrained(cmelt.find_model("small"))  # doctest: +SKIP
        >>> model(**processor(ecg="patient.dcm", text="atrial fibrillation", return_tensors="pt")).similarity  # doctest: +SKIP
    """

    def __init__(self, config: CMeltConfig) -> None:
        super().__init__(config)
        self.provenance: dict[str, Any] = {}
        self.kept_files: dict[str, bytes] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str] | None, *args: Any, **kwargs: Any) -> Any:
        """As of every model of transformers; a folder that is sealed with hashes is verified. Raises CheckpointError."""
        where = str(pretrained_model_name_or_path)
        if (Path(where) / MANIFEST).is_file():
            verify(Path(where), CheckpointError)
        hub = {key: kwargs[key] for key in _HUB if key in kwargs}
        found = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = found[0] if isinstance(found, tuple) else found
        model.provenance, model.kept_files = _provenance(where, hub)
        return found

    def get_ecg_features(self, ecg: Tensor, owner: Tensor | None = None) -> Tensor:
        """Windows [w, L, T] in millivolts and whose they are [w] → unit vectors of records [n, D], mean directions of theirs."""
        windows = F.normalize(self.embed_ecg(ecg), dim=1)
        if owner is None:
            return windows
        total = windows.new_zeros(int(owner.max()) + 1, windows.shape[1])
        return F.normalize(total.index_add(0, owner, windows), dim=1)

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Word pieces [m, S] and which are real [m, S] → unit vectors [m, D]."""
        return F.normalize(self.embed_text(input_ids, attention_mask.bool()), dim=1)

    # Another signature than the pre-training pass's: whoever calls this class has it from AutoModel, and calls it as they do.
    def forward(  # type: ignore[override]
        self,
        ecg: Tensor | None = None,
        owner: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_dict: bool = True,
    ) -> DualEncoderOutput | tuple[Tensor, ...]:
        """Unit vectors of what is given, and their cosines where both are. Raises ConfigError where neither is."""
        if ecg is None and input_ids is None:
            raise ConfigError("forward", "is given neither an ECG nor a text", "give what the processor returns")
        ecgs = None if ecg is None else self.get_ecg_features(ecg, owner)
        texts = None
        if input_ids is not None:
            texts = self.get_text_features(input_ids, torch.ones_like(input_ids) if attention_mask is None else attention_mask)
        similarity = None if ecgs is None or texts is None else ecgs @ texts.T
        output = DualEncoderOutput(ecgs, texts, similarity)
        return output if return_dict else output.to_tuple()

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """As of every model of transformers; the folder is one that `cmelt.load` and `cmelt evaluate` take as well."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.kept_files.items():
            (folder / name).write_bytes(content)
        super().save_pretrained(save_directory, *args, **kwargs)
        self._seal(folder)

    def _upload_modified_files(self, working_dir: str, *args: Any, **kwargs: Any) -> Any:
        """The last thing before a push: our card in place of transformers' own, and the seal over what is really sent."""
        card = Path(working_dir) / _CARD
        own = self.kept_files.get(_CARD)
        if own and (not card.is_file() or _AUTOMATIC_CARD in card.read_text(encoding="utf-8")):
            card.write_bytes(own)
        self._seal(Path(working_dir))
        return super()._upload_modified_files(working_dir, *args, **kwargs)

    def _seal(self, folder: Path) -> None:
        seal(folder, {"kind": "cmelt model", "version": __version__, "origin": self.provenance})


class CMeltFeatureExtractor(FeatureExtractionMixin):
    """ECGs as a model takes them: leads by name, millivolts, its rate, windows of its length."""

    model_input_names = ["ecg", "owner"]  # noqa: RUF012 - what transformers calls it

    def __init__(self, settings: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """settings: `ModelSettings` as a mapping, as in config.json."""
        self.settings = to_mapping(from_mapping(ModelSettings, settings or {}, "preprocessor_config.json", "settings"))
        super().__init__(**kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """From a model's config.json, which says all there is to know; or from a folder that a processor alone was saved to."""
        hub = {key: kwargs[key] for key in _HUB if key in kwargs}
        if cached_file(pretrained_model_name_or_path, "config.json", _raise_exceptions_for_missing_entries=False, **hub):
            return cls(CMeltConfig.from_pretrained(pretrained_model_name_or_path, **hub).settings)
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    @property
    def model_settings(self) -> ModelSettings:
        """The typed settings."""
        return from_mapping(ModelSettings, self.settings, "preprocessor_config.json", "settings")

    def __call__(
        self,
        ecg: Any,
        *,
        sampling_rate: float | None = None,
        unit: str | None = None,
        leads: Sequence[str] | None = None,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """One ECG or several: paths, Records, or arrays [leads, samples] whose rate (Hz), unit ("mV") and leads are said.

        Returns:
            ecg: [w, L, T] float32 millivolts, the windows of all of them; owner: [w] whose each is.
        Raises:
            RecordError: no ECG, or something of it left unsaid.
        """
        options = ReadOptions(rate=sampling_rate, unit=unit, leads=None if leads is None else tuple(leads))
        prepare = CMeltProcessor(self.model_settings, tokenizer=None)  # no text comes here
        ecgs = [prepare.record(source_of(one, options, f"array {n}"), options).ecg for n, one in enumerate(separate(ecg))]
        owner = np.repeat(np.arange(len(ecgs)), [len(one) for one in ecgs])
        return BatchFeature({"ecg": np.concatenate(ecgs), "owner": owner}, tensor_type=return_tensors)


class CMeltEcgTextProcessor(ProcessorMixin):
    """ECGs and texts as `CMeltDualEncoder` takes them."""

    def __init__(self, feature_extractor: CMeltFeatureExtractor, tokenizer: Any) -> None:
        super().__init__(feature_extractor, tokenizer)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """From a model's folder or hub name, or from where `save_pretrained` of the processor has written."""
        from transformers import AutoTokenizer

        hub = {key: kwargs[key] for key in _HUB if key in kwargs}
        extractor = CMeltFeatureExtractor.from_pretrained(pretrained_model_name_or_path, **hub)
        return cls(extractor, AutoTokenizer.from_pretrained(pretrained_model_name_or_path, trust_remote_code=False, **hub))

    @property
    def model_input_names(self) -> list[str]:
        """What the model's `forward` takes of what this returns."""
        return ["ecg", "owner", "input_ids", "attention_mask"]

    def __call__(self, ecg: Any = None, text: str | Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """ECGs, as for `CMeltFeatureExtractor`, and one text or several, cleaned as reports are.

        Returns:
            of ECGs `ecg` and `owner`, of texts `input_ids` and `attention_mask` [m, S].
        Raises:
            RecordError: as there; ConfigError: neither an ECG nor a text.
        """
        if ecg is None and text is None:
            raise ConfigError("processor", "is given neither an ECG nor a text")
        tensors = kwargs.pop("return_tensors", None)
        found: dict[str, Any] = {} if ecg is None else dict(self.feature_extractor(ecg, **kwargs))
        if text is not None:
            settings = self.feature_extractor.model_settings
            tokens = CMeltProcessor(settings, self.tokenizer).texts([text] if isinstance(text, str) else list(text))
            found |= {"input_ids": tokens.ids.astype(np.int64), "attention_mask": tokens.mask.astype(np.int64)}
        return BatchFeature(found, tensor_type=tensors)

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """As of every processor of transformers; into a model's folder, whose seal then covers the new files too."""
        written = super().save_pretrained(str(save_directory), *args, **kwargs)
        manifest = Path(save_directory) / MANIFEST
        if manifest.is_file():
            known = json.loads(manifest.read_text(encoding="utf-8"))
            seal(Path(save_directory), {key: value for key, value in known.items() if key not in ("files", "sha256")})
        return written

    def _upload_modified_files(self, working_dir: str, repo_id: str, files_timestamps: dict[str, float], **kwargs: Any) -> Any:
        """Without a card: that is the model's, and under its seal."""
        kept_back = {**files_timestamps, _CARD: math.inf}
        return super()._upload_modified_files(working_dir, repo_id, kept_back, **kwargs)


def register() -> None:
    """Tell the Auto classes that are imported."""
    for module, name, ours in (
        ("modeling_auto", "AutoModel", CMeltDualEncoder),
        ("feature_extraction_auto", "AutoFeatureExtractor", CMeltFeatureExtractor),
        ("processing_auto", "AutoProcessor", CMeltEcgTextProcessor),
    ):
        # An Auto class is missing while its module is still being imported; it is told afterwards.
        auto = getattr(sys.modules.get(f"transformers.models.auto.{module}"), name, None)
        if auto is not None:
            auto.register(CMeltConfig, ours, exist_ok=True)


def _provenance(where: str, hub: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What the manifest that a model was loaded with says of how it came to be, and the files that go with the weights."""

    def content(name: str) -> bytes | None:
        path = cached_file(where, name, _raise_exceptions_for_missing_entries=False, **hub)
        return None if path is None else Path(path).read_bytes()

    manifest = content(MANIFEST)
    said: dict[str, Any] = {} if manifest is None else json.loads(manifest)
    said = said.get("origin") or {key: value for key, value in said.items() if key not in ("files", SHARES)}
    kept = {name: found for name in _KEPT if (found := content(name)) is not None}
    note = _CARD_NOTE.encode()
    if _CARD in kept and not kept[_CARD].endswith(note):
        kept[_CARD] += note
    return said, kept


# Where this file was imported for another reason, the Auto classes that are there already are told now.
register()
