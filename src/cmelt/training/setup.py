"""What a run needs before its first step: the pairs, a tokenizer, the table of negatives, a model. Kept in the run's folder."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cmelt import __version__
from cmelt.batches.corpus import Corpus
from cmelt.batches.phrases import PhraseBook, load_phrases, phrase_book, save_phrases
from cmelt.batches.seeds import generator, torch_seed
from cmelt.config import Recipe, to_mapping
from cmelt.config.parsing import differing_keys
from cmelt.config.settings import ModelSettings
from cmelt.errors import CheckpointError, ConfigError, StoreError, TrainingError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.text_encoder import architecture_of, longest_text, pretrained_text_encoder, put_published, text_config
from cmelt.negatives import (
    NegativeTable,
    build_table,
    coverage,
    embed_distinct,
    hf_encoder,
    load_table,
    lsa_encoder,
    save_table,
    text_only_accuracy,
)
from cmelt.publishing import published, remove_leftovers, verify
from cmelt.records.record import LEADS
from cmelt.store import AnyStore, JoinedStore
from cmelt.text import load_tokenizer, train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Settings that may change between a run and its continuation: they change what is written or where it is computed, not what is.
FREE = ("log_every", "checkpoint_every", "keep_checkpoints", "strategy", "loaders")

Say = Callable[[str], None]


def check_store(store: AnyStore, recipe: Recipe) -> None:
    """Refuse a store that was prepared at another rate, length or lead order than the recipe's model takes.

    Raises StoreError; ConfigError where the recipe wants its leads in an order of its own.
    """
    ecg = recipe.model.ecg
    if ecg.lead_order is not None:
        raise ConfigError("model.ecg.lead_order", "is for imported weights: a store has its leads in one order", "leave it out")
    wanted, found = (ecg.rate, ecg.samples, LEADS[: ecg.leads]), (store.rate, store.samples, store.leads)
    if wanted != found:
        raise StoreError(
            store.path,
            f"holds {found[1]} samples at {found[0]:g} Hz, recipe {recipe.name} takes {wanted[1]} at {wanted[0]:g} Hz",
            f"prepare it with --rate {wanted[0]:g}, or set model.ecg.rate and model.ecg.samples",
        )


@contextmanager
def sole_writer(run: Path, writes: bool) -> Iterator[None]:
    """Hold the run's folder for this process alone, and remove what a killed one left half-written.

    Raises TrainingError where another process is training into it.
    """
    if not writes:
        yield
        return
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(run, "another process is training into it", "wait for it, or choose another --out") from None
        remove_leftovers(run)
        yield


def open_run(run: Path, recipe: Recipe, store: AnyStore, corpus: Corpus, resume: str, world: int = 1) -> None:
    """Make the run's folder, or make sure that the one there is this very run.

    Another number of processes may go on with it if they take as many pairs a step together: the pairs and the objectives are
    the same then, what is hidden of a pair is drawn anew. Raises TrainingError where another run lies there, or (resume
    "never") any.
    """
    identity = {**_identity(recipe, store, corpus), "world": world}
    described = run / "run.json"
    if not described.exists():
        run.mkdir(parents=True, exist_ok=True)
        _write_json(described, identity)
        return
    if resume == "never":
        raise TrainingError(run, "holds a run already", "choose another --out, or go on with it: --resume auto")
    try:
        before = _compared(json.loads(described.read_text()))
    except (ValueError, TypeError, AttributeError):
        raise TrainingError(described, "is not a run's description", "it was altered: choose another --out") from None
    for key, value in _compared(identity).items():
        if differing := differing_keys(before.get(key), value):
            told = f": {', '.join(differing)}" if any(differing) else ""
            remedy = "choose another --out, or give the same recipe and data"
            raise TrainingError(run, f"holds a run with another {key}{told}", remedy)


def state_identity(run: Path, recipe: Recipe, store: AnyStore, corpus: Corpus, world: int) -> dict[str, Any]:
    """What a state of this run was made with, to be kept beside it: recipe, store, pairs and the run's tokenizer."""
    tokenizer = verify(run / "tokenizer", CheckpointError)["sha256"]
    return {**_compared({**_identity(recipe, store, corpus), "world": world}), "tokenizer": tokenizer}


def run_description(run: Path) -> dict[str, Any]:
    """What the run's folder says of its configuration and its stores. Raises TrainingError."""
    try:
        found: dict[str, Any] = json.loads((run / "run.json").read_text())
    except (OSError, ValueError) as fault:
        raise TrainingError(run / "run.json", "is not a run's description", "it was altered: choose another --out") from fault
    return found


def tokenizer_of(run: Path, recipe: Recipe, corpus: Corpus) -> PreTrainedTokenizerBase:
    """The tokenizer the recipe names, or one trained on the run's own reports and kept with it.

    A word has to occur in reports of two patients to be learned from; a record without a patient counts as one of its own.
    """
    folder = run / "tokenizer"
    if not folder.exists():
        named = recipe.model.text.tokenizer or recipe.model.text.weights
        if named:
            tokenizer = load_tokenizer(named)
        else:
            reports = [corpus.distinct[number] for number in corpus.group]
            tokenizer = train_tokenizer(reports, recipe.model.text.vocabulary, corpus.patients or None)
        with published(folder) as staging:
            tokenizer.save_pretrained(staging)
    verify(folder, CheckpointError)
    return load_tokenizer(folder)


def negatives_of(run: Path, recipe: Recipe, corpus: Corpus, say: Say) -> NegativeTable | None:
    """The N3S table, built once for the run, with its coverage report beside it; None where no objective uses negatives.

    Negatives of the same batch need no table. Their coverage is that of reports drawn anywhere in proportion to their
    frequency, the own one left out: this is what the other rows of a shuffled batch carry.
    """
    settings, folder = recipe.negatives, run / "negatives"
    if settings.share == 0 or not recipe.objectives.weights.keys() & {"etm", "ets"}:
        return None
    looked_up = settings.strategy != "in_batch"
    if (folder / "coverage.json").exists():
        return load_table(folder, corpus.distinct) if looked_up else None
    encode = lsa_encoder(corpus.distinct, seed=recipe.seed) if settings.encoder == "lsa" else hf_encoder(settings.encoder)
    embeddings = embed_distinct(corpus.distinct, encode, progress=now_and_then(say, "negatives: {} of {} reports embedded"))
    table = build_table(
        embeddings,
        strategy="random" if settings.strategy == "in_batch" else settings.strategy,
        candidates=settings.candidates,
        band=settings.band if settings.strategy == "band" else None,
        seed=recipe.seed,
        counts=np.bincount(corpus.group, minlength=len(corpus.distinct)) if settings.strategy != "farthest" else None,
        progress=now_and_then(say, "negatives: those of {} of {} reports chosen"),
    )
    if looked_up:
        save_table(table, folder, corpus.distinct)
    folder.mkdir(exist_ok=True)
    rng = generator(recipe.seed, "coverage")
    covered = coverage(table, embeddings, corpus.group, len(corpus), rng)
    guessed = text_only_accuracy(table, embeddings, corpus.group, rng)
    _write_json(folder / "coverage.json", {"coverage": asdict(covered), "text_only": asdict(guessed)})
    say(
        f"negatives ({settings.strategy}): {covered.distinct} of {len(corpus.distinct)} reports serve in {covered.draws} draws, "
        f"{covered.reachable:.0%} can; told from true ones without the ECG in {guessed.accuracy:.0%} of cases (50 % is honest)"
    )
    return table if looked_up else None


def now_and_then(say: Say, words: str, seconds: float = 30.0) -> Callable[[int, int], None]:
    """Progress (done, total) told in these words, at most once in so many seconds: what is quick says nothing."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            say(words.format(done, total))

    return tell


def phrases_of_run(run: Path, recipe: Recipe, corpus: Corpus, say: Say) -> PhraseBook | None:
    """The phrases that the run's ECGs are asked for, mined once for the run; None where no objective asks."""
    folder = run / "phrases"
    if not recipe.objectives.phrases:
        return None
    if not folder.exists():
        book = phrase_book(corpus, recipe.objectives.phrase)
        save_phrases(book, folder)
        say(f"phrases: {len(book.phrases)} recur in the reports")
    return load_phrases(folder)


def model_of(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> CMeltModel:
    """The model at step 0: fresh weights drawn from the seed, and the text encoder's published ones where named."""
    torch.manual_seed(torch_seed(recipe.seed, "weights"))
    pretrained = pretrained_text_encoder(recipe.model.text.weights) if recipe.model.text.weights else None
    settings = _with_text_sizes(recipe.model, tokenizer, None if pretrained is None else architecture_of(pretrained.config))
    model = CMeltModel(CMeltConfig.of(settings, recipe.objectives))
    if pretrained is not None:
        put_published(pretrained, model.text_encoder)
    if recipe.training.gradient_checkpointing:
        model.recompute_everything()
    return model.train()


def _with_text_sizes(
    settings: ModelSettings, tokenizer: PreTrainedTokenizerBase, published_sizes: dict[str, Any] | None
) -> ModelSettings:
    """The settings with the text encoder's real sizes: of the published weights, or of the vocabulary that was learned.

    Raises ConfigError where the tokenizer has more pieces than the encoder, or its texts may be longer than its positions.
    """
    architecture = dict(settings.text.architecture if published_sizes is None else published_sizes)
    if published_sizes is None:
        architecture["pad_token_id"] = tokenizer.pad_token_id
        if settings.text.tokenizer is None:
            architecture["vocab_size"] = len(tokenizer)
    config, most = text_config(architecture), settings.text.max_tokens
    if config.vocab_size < len(tokenizer):
        raise ConfigError(
            "model.text.architecture.vocab_size",
            f"{config.vocab_size} is below the tokenizer's {len(tokenizer)} pieces",
            "raise it",
        )
    if (longest := longest_text(config)) is not None and longest < most:
        raise ConfigError("model.text.max_tokens", f"is {most}, the text encoder has {longest} positions", "lower it")
    return replace(settings, text=replace(settings.text, architecture=architecture))


def _identity(recipe: Recipe, store: AnyStore, corpus: Corpus) -> dict[str, Any]:
    settings = to_mapping(recipe)
    settings["training"] = {key: value for key, value in settings["training"].items() if key not in FREE}
    joined = zip(store.parts, store.weights, strict=True) if isinstance(store, JoinedStore) else ()
    stores = [{"store": part.sha256, "weight": weight} for part, weight in joined]
    return {
        "version": __version__,
        "recipe": settings,
        "store": store.sha256,
        **({"stores": stores} if stores else {}),
        "corpus": {
            "pairs": len(corpus),
            "distinct_reports": len(corpus.distinct),
            "without_report": corpus.without_report,
        },
    }


def _compared(said: dict[str, Any]) -> dict[str, Any]:
    """Of a run's description, what must be the same for the run to go on."""
    recipe = dict(said.get("recipe", {}))
    training = dict(recipe.pop("training", {}))
    pairs = training.pop("batch", 0) * said.get("world", 1)
    kept = {key: value for key, value in said.items() if key not in ("version", "world")}
    return {**kept, "recipe": {**recipe, "training": training}, "number of pairs a step": pairs}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    # Always of the same name: one that a killed process has left is written over by the next.
    draft = path.with_name(f".{path.name}-draft")
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(path)
