"""One bit flipped or a file cut, anywhere in a checkpoint or a model: refused by file and check; a run takes the one before."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from checkpoint_damage import drawn
from checkpoint_reading import models_damaged, states_damaged, towers_damaged

from cmelt.checkpoints.training_state import checkpoints
from cmelt.store import open_store
from cmelt.training.loop import pretrain
from tiny_runs import Notes, tiny_recipe

KEPT = ("training.average=0.9",)


@pytest.fixture(scope="module")
def finished(tiny_store, tmp_path_factory) -> Path:
    """A run with its model and its last two states."""
    run = tmp_path_factory.mktemp("finished") / "run"
    assert pretrain(tiny_recipe(*KEPT), open_store(tiny_store), run, Notes()) == 0
    return run


def test_a_damaged_state_is_refused_and_the_one_before_taken(finished, tiny_store, rng):
    tally = states_damaged(finished, tiny_store, tiny_recipe(*KEPT), 12, 4, rng)
    assert (tally.total, tally.wrong) == (16, [])


def test_a_damaged_model_is_refused_by_who_reads_all_of_it(finished, rng):
    tally = models_damaged(finished / "model", 16, 6, rng)
    assert (tally.total, tally.wrong) == (22, [])


def test_who_reads_the_towers_alone_refuses_damage_in_them_and_is_not_moved_by_damage_elsewhere(finished, rng):
    tally = towers_damaged(finished / "model", 12, 3, rng)
    assert (tally.total, tally.wrong) == (15, [])


@pytest.mark.parametrize("place", [0, 4, 9, 40])
def test_a_weights_file_whose_header_is_broken_is_refused_by_name(place, finished, tmp_path):
    """Its first bytes are a length and JSON, which are read before any hash of a tower can be taken."""
    from cmelt.checkpoints.inference import load_towers
    from cmelt.errors import CheckpointError

    model = Path(shutil.copytree(finished / "model", tmp_path / "model"))
    path = model / "model.safetensors"
    whole = bytearray(path.read_bytes())
    whole[place] ^= 0x40
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_towers(model).towers.text_encoder  # noqa: B018 (read when it is asked for)


def test_damages_are_spread_over_every_file(finished, rng):
    folder = checkpoints(finished / "checkpoints")[0]
    struck = {damage.path.name for damage in drawn(folder, 20, 5, rng)}
    assert struck == {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_the_command_itself_says_what_it_passes_over_and_goes_on(bench):
    """Of the newest state one bit is flipped: the run's own words, and the same final weights."""
    from striking import Trap
    from training_runs import differences

    name = "damaged"
    bench.command(name, Trap("asked", ((5, int(signal.SIGTERM)),)))
    newest, before = checkpoints(bench.folder / name / "checkpoints")
    path = newest / "optimiser.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    ended = bench.command(name)
    assert ended.codes == (0,)
    assert f"checkpoint passed over: {path}: its SHA-256 is not the manifest's" in ended.said
    assert f"going on after step {int(before.name.removeprefix('step-'))}" in ended.said
    assert differences(bench.course(name), bench.undisturbed) == []
