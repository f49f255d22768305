"""Distinct reports as unit vectors, each embedded once, by whatever encoder is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cmelt.errors import ConfigError
from cmelt.negatives.candidates import Progress
from cmelt.text import encode, load_tokenizer

# n texts in, [n, d] vectors out, in the order of the texts; what a text's vector is must not depend on its neighbours.
Encoder = Callable[[list[str]], np.ndarray]


def embed_distinct(reports: Sequence[str], encode: Encoder, batch: int = 64, progress: Progress | None = None) -> np.ndarray:
    """One unit vector a report, in batches of similar length (on a CPU half the time of batches as they come).

    Args:
        reports: N distinct cleaned reports.
        encode: the text encoder, called ceil(N / batch) times.
        progress: called after each batch with (reports done, N).

    Returns:
        float32 [N, d]. Of length 1, but for a report in which the encoder finds nothing: its vector is zero.

    Raises:
        ConfigError: there is no report, or the encoder gives a wrong shape or a value that is not finite.
    """
    if len(reports) == 0:
        raise ConfigError("reports", "there is no report to embed", "prepare a source that has reports")
    order = sorted(range(len(reports)), key=lambda row: (len(reports[row]), row))
    vectors: np.ndarray | None = None
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        found = np.asarray(encode([reports[row] for row in rows]), dtype=np.float32)
        if found.ndim != 2 or len(found) != len(rows) or not np.isfinite(found).all():
            fault = f"it gave an array of shape {found.shape} for {len(rows)} reports, or values that are not finite"
            raise ConfigError("text encoder of N3S", fault, "choose another encoder")
        if vectors is None:
            vectors = np.empty((len(reports), found.shape[1]), dtype=np.float32)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        vectors[rows] = np.divide(found, length, out=np.zeros_like(found), where=length > 0)
        if progress is not None:
            progress(min(start + batch, len(order)), len(order))
    assert vectors is not None
    return vectors


def lsa_encoder(reports: Sequence[str], dims: int = 128, seed: int = 0) -> Encoder:
    """Latent semantic analysis of the reports themselves: no download, no network.

    Words and pairs of words, weighted by rarity (TF-IDF), reduced by a truncated SVD. Single letters count as words: "t" and "i"
    carry meaning in an ECG report.

    Args:
        reports: what the weights and the directions are learned from.
        dims: at most so many dimensions; fewer where the reports have fewer different words.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", sublinear_tf=True, dtype=np.float32)
    try:
        counts = words.fit_transform(reports)
    except ValueError as error:
        raise ConfigError("reports", "there is not a word in them", "prepare a source that has reports") from error
    directions = TruncatedSVD(min(dims, *counts.shape), random_state=seed).fit(counts)

    def embed(texts: list[str]) -> np.ndarray:
        return directions.transform(words.transform(texts)).astype(np.float32)

    return embed


def hf_encoder(name_or_path: str | Path, *, max_tokens: int = 256, device: str | None = None) -> Encoder:
    """A Hugging Face encoder; a report's vector is the mean over its own tokens, padding neither attended to nor averaged.

    Of an encoder-decoder (T5, Flan-T5) only the encoder is loaded.

    Args:
        device: where it runs; None means a GPU where there is one.

    Raises:
        ConfigError: the model is neither on this machine nor to be had from the hub.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_tokenizer(name_or_path)
    try:
        config = AutoConfig.from_pretrained(str(name_or_path), trust_remote_code=False)
        family = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
        model = family.from_pretrained(str(name_or_path), trust_remote_code=False).to(device).eval()
    except (OSError, ValueError, KeyError) as error:
        fault = f"no text encoder can be loaded from it ({type(error).__name__})"
        remedy = 'give a local path that holds its files, or set the encoder to "lsa", which needs no download'
        raise ConfigError(str(name_or_path), fault, remedy) from error

    @torch.inference_mode()
    def embed(texts: list[str]) -> np.ndarray:
        batch = encode(tokenizer, texts, max_tokens)
        mask = torch.from_numpy(batch.mask).to(device)
        states = model(
            input_ids=torch.from_numpy(batch.ids).to(device), attention_mask=mask.long()
        ).last_hidden_state  # [B, S, d]
        weight = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return mean.float().cpu().numpy()

    return embed
