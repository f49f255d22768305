"""Random corpora, many times over: prepared from memory and by the command, two as one, and asked of a model that has seen one.

Each function takes so many draws and returns a `Tally`; tests ask for a few, `benchmarks/faults/corpora.py` for all.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
from random_corpora import SETTINGS, Corpus, draw, faults_between, faults_of, write_files
from tally import Tally

from cmelt.errors import StoreError
from cmelt.evaluation.contamination import check_unseen, overlap_with_training
from cmelt.store import Store, open_store, open_stores, prepare_store

SEED = 31


def prepared_alike(count: int, folder: Path, first: int = 0) -> Tally:
    """One corpus a trial, prepared as it is and in another order: no patient and no signal in two splits, the same splits."""
    tally = Tally("random corpora, prepared")
    for number in range(first, first + count):
        rng = np.random.default_rng([SEED, 0, number])
        corpus = draw(rng)
        store = _prepared(corpus, folder / "store", rng)
        faults = faults_of(corpus, store)
        other = replace(corpus, rows=tuple(corpus.rows[place] for place in rng.permutation(len(corpus.rows))))
        again = _prepared(other, folder / "again", rng)
        splits = [dict(zip(one.index["record"], one.index["split"], strict=True)) for one in (store, again)]
        faults += ["another order of the records gives other splits"] if splits[0] != splits[1] else []
        tally.add(f"corpus {number} of {len(corpus.rows)} records", faults)
        _note(tally, corpus, store)
    return tally


def prepared_by_command(count: int, folder: Path, first: int = 0) -> Tally:
    """The same for archives of files with a table, by `cmelt prepare folder`."""
    from cmelt.cli import main

    tally = Tally("random corpora, written as files and prepared by the command")
    for number in range(first, first + count):
        corpus = draw(np.random.default_rng([SEED, 1, number]), "folder", 30)
        shutil.rmtree(folder / "archive", ignore_errors=True)
        shutil.rmtree(folder / "store", ignore_errors=True)
        tree, table = write_files(corpus, folder / "archive")
        command = ["cmelt", "prepare", "folder", str(tree), "--table", str(table), "--out", str(folder / "store")]
        said = StringIO()
        try:
            with (
                patch.object(sys, "argv", [*command, "--shard-records", "13", "--workers", "1"]),
                redirect_stdout(said),
                redirect_stderr(said),
            ):
                main()
        except SystemExit as end:
            if end.code:
                tally.add(f"archive {number}", [said.getvalue()])
                continue
        store = open_store(folder / "store", verify="full")
        tally.add(f"archive {number} of {len(corpus.rows)} records", faults_of(corpus, store, "folder"))
        _note(tally, corpus, store)
    return tally


def joined_and_judged(count: int, folder: Path, first: int = 0) -> Tally:
    """Two or three corpora of one pool of signals: as one store no signal is in two splits; what a model of the first has
    learned from is refused in each of the others where there is any, by signals and patients, and passes where there is none."""
    tally = Tally("random corpora, joined, and evaluated after pre-training on one")
    for number in range(first, first + count):
        rng = np.random.default_rng([SEED, 2, number])
        pool = rng.choice(200, int(rng.integers(4, 60)), replace=False)
        names = ["one", "one" if rng.random() < 0.5 else "two", "three"][: int(rng.integers(2, 4))]
        corpora = [draw(rng, name, 30, rng.choice(pool, max(2, pool.size // 2), replace=False)) for name in names]
        stores = [_prepared(corpus, folder / f"store-{place}", rng) for place, corpus in enumerate(corpora)]
        distinct = {store.sha256 for store in stores}
        faults = faults_between(stores, open_stores([store.path for store in stores])) if len(distinct) == len(stores) else []
        for corpus, store in zip(corpora[1:], stores[1:], strict=True):
            faults += _judged(corpora[0], stores[0], corpus, store, tally)
        tally.add(f"{len(stores)} corpora, draw {number}", faults)
    return tally


def _judged(trained: Corpus, taught: Store, asked: Corpus, store: Store, tally: Tally) -> Iterable[str]:
    """What is wrong with which records of `asked` a model of the training part of `taught` may not be judged by."""
    rows = taught.rows("train")
    seen = (*taught.index["fingerprint"].iloc[rows], *taught.people(rows))
    signals = set(taught.index["fingerprint"].iloc[rows]) - {""}
    people = set(taught.index["patient"].iloc[rows]) if asked.name == trained.name else set()
    evaluated = store.rows("validation", "test")
    own = [set(store.index[column].iloc[store.rows("train")]) - {""} for column in ("fingerprint", "patient")]
    # Records that the source's own splits put on both sides are known too, whatever the model has seen.
    table = store.index.iloc[evaluated]
    known = [
        (print_ in signals or patient in people, print_ in own[0] or patient in own[1])
        for print_, patient in zip(table["fingerprint"], table["patient"], strict=True)
    ]
    expected = evaluated[[any(one) for one in known]].tolist() if known else []
    tally.note("stores refused", float(bool(expected)))
    found = overlap_with_training(store, evaluated, seen).rows.tolist()
    faults = [] if found == expected else [f"{len(expected)} records are known and {len(found)} were found"]
    return [*faults, *_refusal(store, evaluated, seen, refused=bool(expected))]


def _refusal(store: Store, evaluated: np.ndarray, seen: tuple[str, ...], *, refused: bool) -> list[str]:
    try:
        check_unseen(store, evaluated, seen)
    except StoreError:
        return [] if refused else ["refused without a reason"]
    return ["not refused"] if refused else []


def _prepared(corpus: Corpus, place: Path, rng: np.random.Generator) -> Store:
    shutil.rmtree(place, ignore_errors=True)
    prepare_store(corpus, place, SETTINGS, shard_records=int(rng.integers(1 + len(corpus.rows) // 4, 2 + len(corpus.rows))))
    return open_store(place)


def _note(tally: Tally, corpus: Corpus, store: Store) -> None:
    """How much trouble there was."""
    tally.note("records", len(corpus.rows))
    tally.note("copies", len(corpus.rows) - len({row.signal for row in corpus.rows}))
    tally.note("in no split", float((store.index["split"] == "").sum()))


@contextmanager
def unsynced() -> Iterator[None]:
    """Nothing is brought to the disk: what is asked here is not what a power failure leaves."""
    with patch.object(os, "fsync", lambda _: None):
        yield


def broken_on_purpose(folder: Path) -> list[list[str]]:
    """What the reference says of stores in which one fact each was broken: it must say something of each."""
    rng = np.random.default_rng(SEED)
    corpus = draw(rng, records=40, signals=range(8))
    while len({row.patient for row in corpus.rows}) < 4:
        corpus = draw(rng, records=40, signals=range(8))
    found = []
    for broken in ("split", "patient", "record"):
        store = _prepared(corpus, folder / "broken", rng)
        kept = int(np.flatnonzero(store.index["split"] != "")[0])
        others = {"split": "train" if store.index["split"][kept] == "test" else "test", "patient": "0" * 16, "record": "another"}
        store.index.loc[kept, broken] = others[broken]
        found.append(faults_of(corpus, store))
    return found
