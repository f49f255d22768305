"""Killed at any line, at an epoch's end, inside a checkpoint's writing, under two processes: nothing is lost or changed."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
from striking import Trap
from training_campaigns import (
    Tally,
    calls_of_saves,
    killed_among_two,
    killed_anywhere,
    killed_at_epochs,
    killed_in_a_save,
    told_to_stop,
    told_twice,
)
from training_runs import Bench, differences, leftovers

from cmelt.batches.corpus import corpus_of
from cmelt.checkpoints.training_state import checkpoints
from cmelt.store import open_store
from cmelt.training.setup import open_run
from tiny_runs import tiny_recipe


def held(tally: Tally) -> None:
    assert tally.total > 0
    assert tally.wrong == []


def test_killed_at_random_lines_a_run_goes_on_to_the_same_losses_records_and_weights(bench, rng):
    held(killed_anywhere(bench, 1, rng))


@pytest.mark.slow
def test_killed_at_an_epoch_s_end_it_sees_every_record_once_an_epoch_all_the_same(bench, rng):
    held(killed_at_epochs(bench, 3, rng))
    parts = [bench.undisturbed.taken[0, part] for part in range(3)]
    assert len({record for part in parts for record in part}) == sum(map(len, parts))


def test_killed_inside_a_checkpoint_s_writing_it_goes_on_from_a_whole_one_and_leaves_nothing(bench, rng):
    held(killed_in_a_save(bench, calls_of_saves(bench, 3)[1:2], 1, 0, rng))


def test_a_comparison_of_runs_sees_another_record_another_loss_and_another_weight(bench):
    whole = bench.undisturbed
    assert differences(whole, whole) == []
    other = {**whole.taken, (0, 3): ("another",)}
    assert differences(whole, type(whole)(whole.losses, other, whole.weights, whole.state)) == ["record ids"]
    losses = [{**whole.losses[0], "loss": np.nextafter(whole.losses[0]["loss"], 9)}, *whole.losses[1:]]
    assert differences(whole, type(whole)(losses, whole.taken, whole.weights, whole.state)) == ["losses"]
    weights = whole.weights[:-1] + bytes([whole.weights[-1] ^ 1])
    assert differences(whole, type(whole)(whole.losses, whole.taken, weights, whole.state)) == ["weights"]


def test_records_taken_anew_must_be_those_of_the_first_time(bench):
    (bench.folder / "twice.taken-0").write_text('{"part": 3, "records": ["a"]}\n{"part": 3, "records": ["b"]}\n')
    with pytest.raises(ValueError, match="part 3"):
        bench.taken("twice")


def test_killed_while_its_description_is_written_it_begins_anew_and_leaves_no_draft(tiny_store, tmp_path, monkeypatch):
    """`run.json` is written aside and renamed: what a kill between the two leaves is written over."""
    store, recipe = open_store(tiny_store), tiny_recipe()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        open_run(tmp_path, recipe, store, corpus_of(store), "auto")
    monkeypatch.undo()
    assert leftovers(tmp_path) == [".run.json-draft"]
    open_run(tmp_path, recipe, store, corpus_of(store), "auto")
    assert leftovers(tmp_path) == [] and json.loads((tmp_path / "run.json").read_text())["recipe"]["name"] == "tiny"


@pytest.mark.slow
def test_killed_five_times_in_a_row(bench, rng):
    held(killed_anywhere(bench, 2, rng, kills=5))


@pytest.mark.slow
def test_killed_at_more_lines_and_more_calls(bench, rng):
    held(killed_anywhere(bench, 10, rng))
    held(killed_in_a_save(bench, calls_of_saves(bench, 15), 5, 3, rng))


@pytest.fixture(scope="module")
def pair(tiny_store, tmp_path_factory) -> Bench:
    """Two processes, as torchrun starts them."""
    return Bench.of(tiny_store, tmp_path_factory.mktemp("two"), "training.batch=6", world=2)


@pytest.mark.slow
def test_of_two_processes_one_is_killed_the_other_ends_and_the_run_goes_on(pair, rng):
    held(killed_among_two(pair, 3, rng))


def test_told_to_stop_at_any_line_it_saves_what_was_done_and_leaves_with_its_code(bench, rng):
    held(told_to_stop(bench, 1, rng, [signal.SIGUSR1]))


def test_told_twice_it_leaves_at_once(bench, rng):
    held(told_twice(bench, 1, rng, [signal.SIGTERM]))


@pytest.mark.slow
def test_told_by_any_signal_once_or_twice(bench, rng):
    held(told_to_stop(bench, 2, rng))
    held(told_twice(bench, 1, rng))


@pytest.mark.slow
@pytest.mark.parametrize("line", ["saving", "after asking the others"])
def test_of_two_processes_one_is_told_while_it_saves_and_both_leave_after_the_same_step(line, pair):
    """The notice of one process reaches the other at the next step; it must not leave alone, the other would wait for it."""
    name = f"one-told-{line.split()[0]}"
    trap = Trap("save" if line == "saving" else "asked", ((1, 15),), within="steps")
    ended = pair.command(name, trap)
    assert ended.codes == (143, 143), ended.said
    (newest, *_) = checkpoints(pair.folder / name / "checkpoints")
    assert newest.name == f"step-{len(pair.losses_so_far(name)):08d}"
    assert pair.command(name).codes == (0, 0)
    assert differences(pair.course(name), pair.undisturbed, 1e-6) == []
