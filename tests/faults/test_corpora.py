"""Random archives: no patient and no identical signal in two splits; no model is judged by what it has learned from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from corpora_campaigns import (
    broken_on_purpose,
    joined_and_judged,
    prepared_alike,
    prepared_by_command,
    unsynced,
)
from random_corpora import SETTINGS, Corpus, Row, faults_of, has_fingerprint, signal_of
from tally import Tally
from typer.testing import CliRunner

from cmelt.checkpoints.model_folder import save_model
from cmelt.cli import evaluate
from cmelt.errors import StoreError
from cmelt.records.fingerprint import fingerprint
from cmelt.records.record import Record
from cmelt.store import open_store, prepare_store
from cmelt.text import train_tokenizer
from trained_towers import DETAILS, REPORTS, tiny_model


@pytest.fixture(autouse=True)
def quick():
    with unsynced():
        yield


def held(tally: Tally) -> None:
    assert tally.total > 0
    assert tally.wrong == []


def prepared(folder, *rows: tuple[str, str, int, str]):
    corpus = Corpus(tuple(Row(*row) for row in rows))
    prepare_store(corpus, folder / "out", SETTINGS)
    store = open_store(folder / "out")
    assert faults_of(corpus, store) == []
    return dict(zip(store.index["record"], store.index["split"], strict=True)), store


def test_in_random_archives_no_patient_and_no_identical_signal_is_in_two_splits(tmp_path):
    held(prepared_alike(30, tmp_path))


def test_nor_where_they_are_files_with_a_table_and_the_command_prepares_them(tmp_path):
    held(prepared_by_command(20, tmp_path))


def test_nor_in_several_stores_as_one_and_a_model_is_not_asked_about_signals_and_patients_that_it_knows(tmp_path):
    tally = joined_and_judged(10, tmp_path)
    held(tally)
    assert 0 < sum(tally.figures["stores refused"]) < len(tally.figures["stores refused"])


def test_the_reference_sees_a_record_in_another_split_under_another_patient_or_name(tmp_path):
    assert all(broken_on_purpose(tmp_path))


def test_what_the_drawn_signals_are_is_what_they_are_drawn_for():
    for number in range(14):
        signal, leads = signal_of(number)
        assert bool(fingerprint(Record(signal, 100.0, leads))) == has_fingerprint(number)


@pytest.mark.parametrize("signal", [3, 4, 5, 6])
def test_copies_of_nobody_are_together_however_short_or_few_their_leads_are(signal, tmp_path):
    """Signals 4 to 6 are too short, or have too few leads, for a fingerprint."""
    splits, store = prepared(tmp_path, *((f"r{number}", "", signal, "") for number in range(12)))
    assert len(set(splits.values())) == store.index["patient"].nunique() == 1


def test_a_patient_of_whom_some_records_have_a_fixed_split_is_in_no_other(tmp_path):
    """The hash of a patient's name must not put in training what the table's test holds of the same person."""
    rows = [(f"r{p}-{n}", f"p{p}", 100 * p + n, "test" if n == 0 else "") for p in range(12) for n in range(3)]
    splits, _ = prepared(tmp_path, *rows)
    assert set(splits.values()) == {"test"}


def test_a_copy_of_a_record_with_a_fixed_split_is_in_no_other(tmp_path):
    """Nobody's goes with it; another patient's is held back, and that patient's others stay where they were."""
    rows = [(f"f{n}", "", 7 * n, "train") for n in range(12)] + [(f"c{n}", "", 7 * n, "") for n in range(12)]
    splits, _ = prepared(tmp_path, *rows)
    assert set(splits.values()) == {"train"}
    others = [(f"{kind}{n}", f"p{n}", first + 7 * n, "") for kind, first in (("o", 0), ("x", 700)) for n in range(40)]
    splits, store = prepared(tmp_path / "more", *[(f"f{n}", f"q{n}", 7 * n, "train") for n in range(40)], *others)
    away = [n for n in range(40) if splits[f"x{n}"] != "train"]
    assert away and {splits[f"o{n}"] for n in away} == {""}
    assert store.manifest["held_back"] == len(away)


def test_a_patient_s_own_fixed_split_goes_before_that_of_somebody_s_copy(tmp_path):
    splits, _ = prepared(tmp_path, ("a", "p", 0, "train"), ("b", "p", 7, ""), ("c", "p", 14, ""), ("d", "", 7, "validation"))
    assert splits == {"a": "train", "b": "", "c": "train", "d": "validation"}


def test_equal_signals_share_a_group_however_many_others_are_near(monkeypatch, tmp_path):
    """All fingerprints are made near: beyond a few different signals nothing is compared, equal ones are known all the same."""
    from cmelt.store import tables

    monkeypatch.setattr(tables, "copy_groups", lambda texts: np.zeros(len(texts), dtype=np.int64))
    rows = [(f"r{n}-{copy}", f"p{n}{copy}", 7 * n, "") for n in range(30) for copy in range(2)]
    prepared(tmp_path, *rows)


@pytest.mark.parametrize("known", ["signals", "patients"])
def test_the_command_refuses_a_store_that_the_model_s_pre_training_overlaps_and_says_how_much(known, tiny_store, tmp_path):
    """The store's own splits are clean: what is known comes from the list in the model's folder alone."""
    store = open_store(tiny_store)
    rows = store.rows("test")
    seen = store.index["fingerprint"].iloc[rows[:2]].tolist() if known == "signals" else store.people(rows[:1])
    save_model(tiny_model(), train_tokenizer(REPORTS, 400), tmp_path / "model", {**DETAILS}, "# A card\n", seen)
    label = store.index["labels"].iloc[rows[0]][0]
    task = {"classes": {"one": {"labels": [label], "prompts": ["one"], "negative_prompts": ["none"]}}}
    (tmp_path / "task.yaml").write_text(json.dumps(task))
    asked = [str(tmp_path / "model"), "--data", str(tiny_store), "--task", str(tmp_path / "task.yaml"), "--splits", "test"]
    refused = CliRunner().invoke(evaluate.app, asked)
    assert isinstance(refused.exception, StoreError)
    told = "2 identical signals, 0 shared patients" if known == "signals" else "0 identical signals, 1 shared patients"
    assert told in str(refused.exception) and "--leave-out-known" in str(refused.exception)
    assert not list(tmp_path.rglob("results.json"))


@pytest.mark.slow
def test_in_a_thousand_of_them(tmp_path):
    held(prepared_alike(1000, tmp_path))
    held(prepared_by_command(100, tmp_path))
    held(joined_and_judged(300, tmp_path))
