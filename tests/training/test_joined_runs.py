"""Training on several stores: weighted draws, one table of negatives over all, and a run that knows what it was trained on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cmelt.batches.corpus import corpus_of
from cmelt.cli import app
from cmelt.errors import StoreError, TrainingError
from cmelt.sources.simulated import Simulated
from cmelt.store import ShardSettings, open_store, open_stores, prepare_store
from cmelt.training.loop import pretrain
from cmelt.training.setup import check_store
from tiny_runs import RATE, SAMPLES, Notes, losses_of, tiny_recipe, tiny_recipe_file, weights_of


@pytest.fixture(scope="module")
def other_store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("other") / "store"
    prepare_store(Simulated(30, seed=9, rate=RATE), folder, ShardSettings(RATE, SAMPLES / RATE, "first", "a test's key"))
    return folder


@pytest.fixture(scope="module")
def both(tiny_store, other_store) -> list[Path]:
    return [tiny_store, other_store]


def test_the_corpus_holds_the_pairs_of_both_and_their_reports_once(both):
    joined, parts = open_stores(both), [corpus_of(open_store(path)) for path in both]
    corpus = corpus_of(joined)
    assert len(corpus) == sum(map(len, parts))
    assert set(corpus.distinct) == set(parts[0].distinct) | set(parts[1].distinct)
    assert len(corpus.distinct) == len(set(corpus.distinct))
    assert corpus.without_report == sum(part.without_report for part in parts)
    assert corpus.shares == () and corpus.draws == len(corpus)
    assert np.array_equal(corpus.rows[: len(parts[0])], parts[0].rows)


def test_weights_change_how_often_a_store_is_drawn_and_the_length_of_a_pass(both):
    corpus = corpus_of(open_stores(both, [1, 3]))
    first, second = (share.pairs for share in corpus.shares)
    assert corpus.draws == first + 3 * second
    drawn = np.concatenate([corpus.drawn(8, step, 7) for step in range(corpus.draws // 8)])
    counts = np.bincount(drawn, minlength=len(corpus))
    assert set(counts[:first]) <= {0, 1} and set(counts[first:]) <= {2, 3}


def test_equal_weights_are_the_order_of_no_weights(both):
    plain, weighted = (corpus_of(open_stores(both, weights)) for weights in (None, [1, 1]))
    assert np.array_equal(plain.drawn(16, 5, 3), weighted.drawn(16, 5, 3))


def test_a_run_on_two_stores_goes_on_to_the_same_bits_and_refuses_others(both, tiny_store, tmp_path):
    def go(run: str, weights: list[float] | None, notes: Notes | None = None, paths: list[Path] = both) -> int:
        return pretrain(tiny_recipe(), open_stores(paths, weights), tmp_path / run, notes or Notes())

    assert go("whole", [1, 3]) == 0
    stop = Notes(at={4: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    assert go("stopped", [1, 3], stop) != 0
    for weights, paths in (([1, 2], both), (None, both), ([1, 3], both[::-1]), (None, [tiny_store])):
        with pytest.raises(TrainingError, match="another store"):
            go("stopped", weights, paths=paths)
    assert go("stopped", [1, 3]) == 0
    assert losses_of(tmp_path / "stopped") == losses_of(tmp_path / "whole")
    assert weights_of(tmp_path / "stopped") == weights_of(tmp_path / "whole")
    described = json.loads((tmp_path / "whole/run.json").read_text())
    hashes = [open_store(path).sha256 for path in both]
    assert described["stores"] == [{"store": hashes[0], "weight": 1.0}, {"store": hashes[1], "weight": 3.0}]
    card = (tmp_path / "whole/model/README.md").read_text()
    assert all(text in card for text in (*hashes, "weight 3"))


def test_a_recipe_that_does_not_fit_names_the_stores(both):
    with pytest.raises(StoreError, match="samples at 100 Hz") as error:
        check_store(open_stores(both), tiny_recipe("model.ecg.rate=50"))
    assert all(str(path) in str(error.value) for path in both)


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("repeated", [False, True], ids=["--data A B", "--data A --data B"])
def test_the_command_takes_several_stores_and_weights(both, tmp_path, repeated):
    data = ["--data", both[0], "--data", both[1]] if repeated else ["--data", *both]
    weights = ["--weights", 1, "--weights", 2] if repeated else ["--weights", 1, 2]
    recipe = tiny_recipe_file(tmp_path, "training.steps=1")
    done = invoke("pretrain", *data, *weights, "--recipe", recipe, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert [store["weight"] for store in json.loads((tmp_path / "run/run.json").read_text())["stores"]] == [1, 2]


def test_words_that_follow_no_such_option_are_wrong_usage(both, tmp_path):
    assert invoke("pretrain", "--data", both[0], "--out", tmp_path / "run", both[1]).exit_code == 2
    assert invoke("pretrain", "--data", *both, "--weights", "much", "--out", tmp_path / "run").exit_code == 2
