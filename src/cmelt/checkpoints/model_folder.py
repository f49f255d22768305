"""A model folder: what `from_pretrained` of transformers reads, plus hashes and a card."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from cmelt import __version__
from cmelt.checkpoints.divided import put
from cmelt.checkpoints.seen import write_seen
from cmelt.checkpoints.shares import SHARES, share_hashes
from cmelt.checkpoints.tensors import WEIGHTS, halved, read_tensors, refuse_unless_fitting
from cmelt.errors import CheckpointError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.text_encoder import build_text_encoder, text_config
from cmelt.publishing import published, verify

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def save_model(
    model: CMeltModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path,
    details: dict[str, Any],
    card: str,
    seen: Iterable[str] = (),
    *,
    half: bool = False,
) -> None:
    """Publish weights, configuration, tokenizer, card, and the fingerprints of what it has `seen`, as one folder.

    Without a tokenizer the model embeds ECGs alone. `half` writes matrices in half precision: half the bytes; they are computed
    with in single precision all the same. Embeddings change by less than 1e-5 in cosine (tests).
    Raises CheckpointError for weights that half precision cannot hold.
    """
    said = {"kind": "cmelt model", "version": __version__, **details}
    with published(folder, said, replace=True) as staging:
        said[SHARES] = share_hashes(write_weights(model, staging, half=half))
        if tokenizer is not None:
            tokenizer.save_pretrained(staging)
        (staging / "README.md").write_text(card, encoding="utf-8")
        write_seen(seen, staging)


def write_weights(
    model: CMeltModel, folder: Path, *, half: bool = False, whole: dict[str, torch.Tensor] | None = None
) -> dict[str, torch.Tensor]:
    """`config.json` and `model.safetensors` into an open folder; returns the tensors as written, each once.

    whole: the tensors, where the model itself holds its shares of them.
    """
    tensors = distinct_tensors(model) if whole is None else whole
    written = halved(tensors) if half else tensors
    model.config.save_pretrained(folder)
    save_file(written, folder / WEIGHTS, metadata={"format": "pt"})
    return written


def without_parts(model: CMeltModel, absent: Iterable[str]) -> CMeltModel:
    """The model without some of `OPTIONAL_PARTS`, sharing the other weights; asked for what needs them, it says so."""
    config = copy.deepcopy(model.config)
    config.absent = sorted({*config.absent, *absent})
    return model_with(config, distinct_tensors(model))


def model_with(config: CMeltConfig, weights: Mapping[str, torch.Tensor]) -> CMeltModel:
    """A model in evaluation mode that takes these tensors, by name, for its own; those it has no part for are left out."""
    with torch.device("meta"):
        model = CMeltModel(config)
    load_weights(model, {name: weights[name].detach() for name in distinct_tensors(model)}, Path("model"))
    return model.eval()


def read_model(folder: Path) -> tuple[CMeltModel, dict[str, Any]]:
    """A model in evaluation mode from a published folder, and its manifest.

    Raises CheckpointError for a damaged file, and for missing, extra or misshapen tensors, naming them.
    """
    manifest = verify(folder, CheckpointError)
    config = CMeltConfig.from_pretrained(folder)
    # Nothing is initialised twice: the meta device holds shapes only until the weights are put in.
    with torch.device("meta"):
        model = CMeltModel(config)
    load_weights(model, read_tensors(folder), folder / WEIGHTS)
    return model.eval(), manifest


def load_weights(model: CMeltModel, state: dict[str, torch.Tensor], where: Path) -> None:
    """Put `state` into the model, every tensor or none; a model on the meta device takes the tensors themselves.

    Raises CheckpointError naming those that do not fit."""
    known = distinct_tensors(model)
    refuse_unless_fitting(known, state, where)
    if not any(tensor.is_meta for tensor in known.values()):
        for name, tensor in known.items():
            put(state[name], tensor)
        return
    aliases = {id(known[name]): name for name in known}
    full = {name: state[aliases[id(tensor)]] for name, tensor in model.state_dict(keep_vars=True).items()}
    model.load_state_dict(full, strict=True, assign=True)
    # Assigning gives every name a tensor of its own: word embeddings that go by two names are joined again.
    if isinstance(model.text_encoder, PreTrainedModel):
        model.text_encoder.set_input_embeddings(model.text_encoder.get_input_embeddings())
    _restore_buffers(model)


def distinct_tensors(model: CMeltModel) -> dict[str, torch.Tensor]:
    """The model's tensors, one name each (T5 knows its word embeddings by two)."""
    seen: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        seen.setdefault(id(tensor), name)
    state = model.state_dict(keep_vars=True)
    return {name: state[name] for name in seen.values()}


def _restore_buffers(model: CMeltModel) -> None:
    # Buffers that no checkpoint holds (BERT's position ids, for instance) are still shapes without content.
    absent = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    if not absent:
        return
    with torch.random.fork_rng():
        fresh = build_text_encoder(text_config(model.config.model_settings.text.architecture))
    known = {f"text_encoder.{name}": buffer for name, buffer in fresh.named_buffers()}
    for name in absent:
        owner, _, last = name.rpartition(".")
        model.get_submodule(owner).register_buffer(last, known[name], persistent=False)
