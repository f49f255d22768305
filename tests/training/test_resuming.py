"""A run that was stopped goes on as if nothing had happened: the same losses at the same steps, the same weights, to the bit."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import cmelt.publishing
from cmelt.batches.corpus import corpus_of
from cmelt.checkpoints.seen import read_seen
from cmelt.checkpoints.training_state import checkpoints
from cmelt.errors import CheckpointError, TrainingError
from cmelt.store import Store, open_store
from cmelt.training.loop import pretrain
from tiny_runs import TINY, Notes, apart, losses_of, tiny_recipe, train, weights_of

STEPS, EVERY = TINY["training"]["steps"], TINY["training"]["checkpoint_every"]
#: Batch norm keeps statistics and a count beside its weights.
BATCH_NORM = ("training.average=0.9", "model.ecg.stem=resnet1d", "model.ecg.stem_kernel=7", "model.ecg.masking=signal")
AVERAGED = ("training.average=0.9", "masking.contrast_view=clean", "training.accumulate=2")


def go(store: Path, run: Path, *assignments: str, notes: Notes | None = None, **options) -> tuple[int, Notes]:
    notes = notes or Notes()
    return pretrain(tiny_recipe(*assignments), open_store(store), run, notes, **options), notes


@pytest.fixture(scope="module")
def undisturbed(tiny_store, tmp_path_factory) -> Callable[..., Path]:
    """The folder of a run that nobody stopped, made once for each set of overrides."""
    made: dict[tuple[str, ...], Path] = {}

    def make(*assignments: str) -> Path:
        if assignments not in made:
            run = tmp_path_factory.mktemp("undisturbed") / "run"
            assert go(tiny_store, run, *assignments)[0] == 0
            made[assignments] = run
        return made[assignments]

    return make


def same(run: Path, other: Path) -> None:
    assert losses_of(run) == losses_of(other)
    assert weights_of(run) == weights_of(other)


def test_a_run_leaves_what_it_promises_and_learns(undisturbed):
    run = undisturbed()
    assert [line["step"] for line in losses_of(run)] == list(range(1, STEPS + 1))
    assert {path.name for path in run.iterdir()} >= {
        "run.json",
        "metrics.jsonl",
        "model",
        "tokenizer",
        "negatives",
        "checkpoints",
    }
    assert [path.name for path in checkpoints(run / "checkpoints")] == ["step-00000007", "step-00000006"]
    assert "Research use only" in (run / "model" / "README.md").read_text()
    assert {"loss", "mlm", "mem", "etm", "ets", "info_nce", "gradient_norm", "learning_rate"} <= losses_of(run)[0].keys()


def test_the_model_knows_what_it_was_trained_on(undisturbed, tiny_store):
    store = open_store(tiny_store)
    seen, rows = set(read_seen(undisturbed() / "model")), corpus_of(store).rows
    assert seen == {*store.index["fingerprint"].iloc[rows], *store.people(rows)}
    others = store.rows("validation", "test")
    assert not seen & {*store.index["fingerprint"].iloc[others], *store.people(others)}


def test_the_same_seed_gives_the_same_run_and_another_another(undisturbed, tiny_store, tmp_path):
    go(tiny_store, tmp_path / "again")
    same(tmp_path / "again", undisturbed())
    go(tiny_store, tmp_path / "other", "seed=8")
    assert weights_of(tmp_path / "other") != weights_of(undisturbed())


@pytest.mark.parametrize("assignments", [(), AVERAGED, BATCH_NORM], ids=["plain", "averaged", "batch norm, averaged"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_stopped_by_a_signal_it_saves_and_goes_on(name, assignments, undisturbed, tiny_store, tmp_path):
    code = {"SIGTERM": 143, "SIGINT": 130}[name]
    stop = Notes(at={2: lambda: os.kill(os.getpid(), getattr(signal, name))})
    handler = signal.getsignal(signal.SIGTERM)
    left, notes = go(tiny_store, tmp_path / "run", *assignments, notes=stop)
    assert left == code
    assert "the state is saved" in notes.said[-1]
    assert [path.name for path in checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000002"]
    assert signal.getsignal(signal.SIGTERM) is handler
    assert not (tmp_path / "run" / "model").exists()
    left, notes = go(tiny_store, tmp_path / "run", *assignments)
    assert left == 0 and "going on after step 2" in notes.said
    same(tmp_path / "run", undisturbed(*assignments))


def killed(store: str, folder: str, moment: str, count: int) -> None:
    """Train, and be killed just before the `count`-th call of a function of publishing or of the optimiser."""
    left = [count]

    def dying(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        return call

    if moment == "step":
        torch.optim.AdamW.step = dying(torch.optim.AdamW.step)
    else:
        setattr(cmelt.publishing, moment, dying(getattr(cmelt.publishing, moment)))
    train(store, folder)


# A run publishes tokenizer, table, checkpoints at 3, 6, 7, model: six calls of seal and rename.
MOMENTS = [("step", 5), ("seal", 4), ("rename", 3)]
MORE = [("step", 1), ("step", 3), ("step", 4), ("step", 7), ("seal", 1), ("seal", 2), ("seal", 3), ("seal", 6), ("rename", 1),
        ("rename", 2), ("rename", 4), ("rename", 5), ("rename", 6), ("sync", 9), ("sha256", 14)]  # fmt: skip


@pytest.mark.parametrize(("moment", "count"), MOMENTS + [pytest.param(*m, marks=pytest.mark.slow) for m in MORE])
def test_killed_at_any_moment_it_goes_on_exactly(moment, count, undisturbed, tiny_store, tmp_path):
    run = tmp_path / "run"
    process = apart(killed, str(tiny_store), str(run), moment, count)
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert not (run / "model").exists()
    assert go(tiny_store, run)[0] == 0
    same(run, undisturbed())
    assert not list(run.rglob(".staging-*"))


@pytest.mark.slow
def test_killed_at_random_again_and_again_it_still_arrives(undisturbed, tiny_store, tmp_path):
    run, waits, kills = tmp_path / "run", iter([0.1, 0.3, 0.05, 0.2, 0.4, 0.15, 0.25, 0.35, 0.5, 0.1, 0.6, 0.8]), 0
    while not (run / "model").exists():
        process = apart(train, str(tiny_store), str(run))
        if (wait := next(waits, None)) is not None:
            time.sleep(3 * wait)
            process.kill()
        process.join(300)
        kills += process.exitcode == -signal.SIGKILL
    assert kills > 0
    same(run, undisturbed())


@pytest.mark.parametrize("file", ["model.safetensors", "optimiser.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_said_and_passed_over_for_the_one_before(file, undisturbed, tiny_store, tmp_path):
    run = tmp_path / "run"
    go(tiny_store, run, notes=Notes(at={5: lambda: os.kill(os.getpid(), signal.SIGTERM)}))
    newest, before = checkpoints(run / "checkpoints")
    whole = (newest / file).read_bytes()
    (newest / file).write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 16]) + whole[len(whole) // 2 + 1 :])
    code, notes = go(tiny_store, run)
    assert code == 0
    said = next(line for line in notes.said if "passed over" in line)
    assert file in said and newest.name in said
    assert f"going on after step {int(before.name.removeprefix('step-'))}" in notes.said
    same(run, undisturbed())


def test_where_every_checkpoint_is_damaged_nothing_is_started_over_in_silence(tiny_store, tmp_path):
    run = tmp_path / "run"
    go(tiny_store, run, notes=Notes(at={5: lambda: os.kill(os.getpid(), signal.SIGTERM)}))
    for checkpoint in checkpoints(run / "checkpoints"):
        (checkpoint / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="every checkpoint is damaged"):
        go(tiny_store, run)


def test_another_recipe_another_store_or_a_wish_for_a_new_run_is_refused(undisturbed, tiny_store, tmp_path):
    run = undisturbed()
    with pytest.raises(TrainingError, match="another recipe"):
        go(tiny_store, run, "optimiser.rate=2e-3")
    with pytest.raises(TrainingError, match="holds a run already"):
        go(tiny_store, run, resume="never")
    other = Store(tiny_store, {**open_store(tiny_store).manifest, "sha256": "0" * 64})
    with pytest.raises(TrainingError, match="another store"):
        pretrain(tiny_recipe(), other, run, Notes())
    assert go(tiny_store, tmp_path / "new", "training.steps=1", resume="never")[0] == 0


def test_how_often_to_save_and_to_log_may_change_on_the_way(undisturbed, tiny_store, tmp_path):
    stop = Notes(at={2: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    go(tiny_store, tmp_path / "run", notes=stop)
    assert go(tiny_store, tmp_path / "run", "training.checkpoint_every=100", "training.keep_checkpoints=1")[0] == 0
    same(tmp_path / "run", undisturbed())


def test_a_finished_run_called_again_stays_what_it_is(undisturbed, tiny_store):
    run = undisturbed()
    before = weights_of(run), losses_of(run)
    code, notes = go(tiny_store, run)
    assert code == 0 and f"going on after step {STEPS}" in notes.said and not notes.steps
    assert (weights_of(run), losses_of(run)) == before


def test_a_finished_run_s_model_says_its_run_and_its_store(undisturbed, tiny_store):
    run = undisturbed()
    told = json.loads((run / "model" / "manifest.json").read_text())["run"]
    assert told == json.loads((run / "run.json").read_text())
    assert told["store"] == json.loads((tiny_store / "manifest.json").read_text())["sha256"] and told["recipe"]["training"]


def test_two_processes_do_not_train_into_one_folder(tiny_store, tmp_path):
    refusals = []

    def again() -> None:
        with pytest.raises(TrainingError, match="another process") as error:
            go(tiny_store, tmp_path / "run")
        refusals.append(error)

    assert go(tiny_store, tmp_path / "run", notes=Notes(at={4: again}))[0] == 0
    assert len(refusals) == 1


def test_the_caller_s_randomness_is_left_as_it_was(tiny_store, tmp_path):
    import random

    import numpy as np

    torch.manual_seed(123)
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    go(tiny_store, tmp_path / "run", "training.steps=1")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]


class Poisoned(Store):
    """The tiny store with a scale that is no number: what a store could not be, and what must still be caught."""

    @property
    def microvolts_per_step(self) -> float:
        return float("nan")


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_checkpoint(tiny_store, tmp_path):
    run = tmp_path / "run"
    go(tiny_store, run, notes=Notes(at={4: lambda: os.kill(os.getpid(), signal.SIGTERM)}))
    before = {path: path.read_bytes() for path in (run / "checkpoints").rglob("*.safetensors")}
    healthy = open_store(tiny_store)
    with pytest.raises(TrainingError, match=r"step 5: loss .* is not finite; the batch's records: simulated-"):
        pretrain(tiny_recipe(), Poisoned(healthy.path, healthy.manifest), run, Notes())
    assert {path: path.read_bytes() for path in (run / "checkpoints").rglob("*.safetensors")} == before
    assert len(losses_of(run)) == 4


def test_a_damaged_tokenizer_of_the_run_is_refused(tiny_store, tmp_path):
    run = tmp_path / "run"
    go(tiny_store, run, notes=Notes(at={1: lambda: os.kill(os.getpid(), signal.SIGTERM)}))
    path = run / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text().replace("<mask>", "<musk>"))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        go(tiny_store, run)
