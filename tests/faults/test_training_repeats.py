"""The same run is the same to the bit, whoever loads and wherever the store lies; a number that is none stops it."""

from __future__ import annotations

import pytest
from striking import Trap
from training_repeats import STRUCK_STEP, WAYS, changed_nothing, neighbours, numbers_refused
from training_runs import Bench, differences

from cmelt.checkpoints.training_state import checkpoints


@pytest.mark.parametrize(("objective", "kind"), [("mem", "nan")])
def test_a_loss_that_is_no_number_ends_the_command_by_objective_and_records_and_the_state_is_intact(objective, kind, bench):
    tally = numbers_refused(bench, (objective,), (kind,))
    assert (tally.total, tally.wrong) == (1, [])


@pytest.mark.slow
def test_every_objective_s_nan_or_infinity_and_a_gradient_s(bench):
    told = set(bench.undisturbed.losses[0]) - {"step", "loss", "gradient_norm", "learning_rate"}
    tally = numbers_refused(bench, tuple(sorted(told)))
    assert tally.total == 2 * len(told) == 12 and tally.wrong == []
    assert numbers_refused(bench, ("etm",), ("gradient",)).wrong == []


@pytest.mark.slow
def test_of_two_processes_one_has_a_loss_that_is_no_number_and_neither_goes_on(tiny_store, tmp_path):
    """The one names objective and records, the other that it was not its own; both go on from the state before."""
    pair = Bench.of(tiny_store, tmp_path, "training.batch=6", world=2)
    ended = pair.command("poisoned", Trap("loss", ((STRUCK_STEP, 0),), objective="ets", poison="nan", rank=1))
    assert ended.codes == (1, 1)
    assert f"step {STRUCK_STEP}: loss ets is not finite" in ended.said
    assert "loss another process's is not finite" in ended.said
    assert all(record in ended.said for record in pair.undisturbed.taken[1, STRUCK_STEP - 1])
    assert [path.name for path in checkpoints(tmp_path / "poisoned" / "checkpoints")][:1] == ["step-00000004"]
    assert pair.command("poisoned").codes == (0, 0)
    assert differences(pair.course("poisoned"), pair.undisturbed, 1e-6) == []


@pytest.mark.slow
def test_a_hundred_steps_are_the_same_whoever_loads_and_wherever_the_store_lies(tiny_store, tmp_path):
    hundred = Bench.of(tiny_store, tmp_path, "training.steps=100", "training.checkpoint_every=40")
    tally = changed_nothing(hundred)
    assert (tally.total, tally.wrong) == (len(WAYS), [])


def test_an_embedding_does_not_change_with_its_neighbours_or_their_padding(tiny_store, rng):
    tally = neighbours(tiny_store, rng, records=12)
    assert (tally.total, tally.wrong) == (3 * 12, [])
