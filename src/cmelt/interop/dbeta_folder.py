"""From the authors' checkpoint to a model folder as all others are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.checkpoints.model_folder import save_model
from cmelt.errors import CheckpointError, ConfigError
from cmelt.interop.dbeta_import import load_dbeta
from cmelt.interop.dbeta_sizes import DbetaSizes
from cmelt.publishing import sha256
from cmelt.text import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Whose tokenizer the published weights were trained with.
TOKENIZER = "google/flan-t5-base"
_RELEASE = "https://github.com/manhph2211/D-BETA"


@dataclass(frozen=True)
class Imported:
    """What an import has made.

    Attributes:
        folder: the model's.
        parameters: how many it has.
        leads: in the order of its input channels.
        tokenizer: where its tokenizer came from; None where it has none, and `lacking` says why.
    """

    folder: Path
    parameters: int
    leads: tuple[str, ...]
    tokenizer: str | None
    lacking: str = ""


def import_dbeta(
    path: str | Path,
    out: str | Path,
    config: str | Path | Mapping[str, Any] | None = None,
    tokenizer: str | Path | None = None,
) -> Imported:
    """Write the model of a checkpoint of the authors' release as a model folder.

    Args:
        path, config: as for `load_dbeta`.
        out: the folder; it must not exist.
        tokenizer: a folder of tokenizer files, or a name of the hub. None: Flan-T5-base's where the vocabulary has its size and
            it can be had; else the folder has none, embeds ECGs, and says what is lacking where it is given a text.
    Raises:
        CheckpointError, ConfigError: as `load_dbeta`; a folder that exists; a tokenizer that cannot be had or does not fit.
    """
    path, out = Path(path), Path(out)
    if out.exists():
        raise CheckpointError(out, "exists already", "choose another --out")
    model = load_dbeta(path, config)
    words, lacking = _tokenizer(tokenizer, int(model.settings.text.architecture["vocab_size"]))
    source = None if words is None else str(tokenizer or TOKENIZER)
    leads = model.settings.ecg.lead_order or ()
    details = {"imported": {"release": _RELEASE, "checkpoint_sha256": sha256(path), "leads": list(leads), "tokenizer": source}}
    save_model(model, words, out, details, _card(out.name, leads, source))
    return Imported(out, sum(one.numel() for one in model.parameters()), leads, source, lacking)


def _tokenizer(named: str | Path | None, vocabulary: int) -> tuple[PreTrainedTokenizerBase | None, str]:
    """The tokenizer, or None and why there is none; one that was asked for is had or is an error."""
    if named is None and vocabulary != DbetaSizes().vocab_size:
        return None, f"the vocabulary has {vocabulary} pieces, which is not Flan-T5's: name a tokenizer that fits"
    if named is None and not _to_be_had(TOKENIZER):
        return None, f"{TOKENIZER} is not on this machine, and the hub does not answer"
    try:
        found = load_tokenizer(named or TOKENIZER)
    except ConfigError as fault:
        if named is not None:
            raise
        return None, f"{TOKENIZER}: {fault.fault}"
    if len(found) > vocabulary:
        excess = f"has {len(found)} pieces, the weights know {vocabulary}"
        raise ConfigError(str(named or TOKENIZER), excess, "name the tokenizer that the weights were trained with")
    return found, ""


def _to_be_had(name: str) -> bool:
    """Whether a copy is kept here, or the hub answers: transformers would ask a hub that does not for a minute, and loudly."""
    from huggingface_hub import model_info, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "tokenizer_config.json"), str):
        return True
    try:
        model_info(name, timeout=5.0)
    except Exception:  # of the library's own, of its HTTP client's, of the system's
        return False
    return True


def _card(name: str, leads: tuple[str, ...], tokenizer: str | None) -> str:
    words = f"Its tokenizer is {tokenizer}'s." if tokenizer else "It has no tokenizer: it embeds ECGs, and reads no text."
    return f"""# {name}

Weights of the authors' release of D-BETA (C-MELT, arXiv 2410.02131), imported by `cmelt import-dbeta`. Not trained here.
Research use only; not a medical device.

* Source: {_RELEASE}. Their licence counts (the release: CC BY-NC 4.0).
* Trained by its authors on MIMIC-IV-ECG: figures on that data are not of unseen records, and which it has seen is not known here.
* Input: 12 leads, 10 s at 500 Hz, millivolts. Channels in the order {", ".join(leads)}, as in MIMIC-IV-ECG's files; `cmelt` puts
  named leads there by itself.
* {words}
* It computes what the release computes; unlike it, a text's embedding does not depend on padding.
"""
