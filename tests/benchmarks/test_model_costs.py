"""What a training step computes, in closed form: the release's measured figures, the method page's, and sums by hand."""

from __future__ import annotations

import pytest

from cmelt.config import load_recipe
from model_costs import RELEASE, RELEASE_TOTAL, Cost, Product, Work, costs, gflop_a_record, products, seconds_at_best

PAPER = load_recipe("paper").model


def gflop(work: Work, batch: int = 1) -> dict[str, float]:
    return gflop_a_record(costs(PAPER, work, batch), batch)


@pytest.mark.parametrize("part", sorted(RELEASE))
def test_every_place_computed_is_what_the_release_was_measured_to_take(part):
    assert gflop(Work.whole(PAPER, 64))[part] == pytest.approx(RELEASE[part], abs=0.05)


@pytest.mark.parametrize(("tokens", "forward", "both"), [(32, 38, 114), (64, 49, 147)])
def test_totals_are_those_of_the_method_page(tokens, forward, both):
    found = costs(PAPER, Work.whole(PAPER, tokens))
    assert sum(cost.operations[0] for cost in found.values()) / 1e9 == pytest.approx(forward, abs=0.5)
    assert sum(gflop(Work.whole(PAPER, tokens)).values()) == pytest.approx(both, abs=0.5)


def test_the_paper_s_whole_step_is_the_total_that_shares_are_taken_of():
    assert sum(gflop(Work.whole(PAPER, 64)).values()) == pytest.approx(RELEASE_TOTAL, abs=0.05)


def test_a_quarter_of_the_words_costs_a_quarter_of_the_word_head():
    ours, whole = gflop(Work.ours(PAPER, 64)), gflop(Work.whole(PAPER, 64))
    assert ours["MLM head"] == pytest.approx(whole["MLM head"] / 4)


def test_ours_computes_no_part_more_than_every_place():
    ours, whole = gflop(Work.ours(PAPER, 64), 128), gflop(Work.whole(PAPER, 64), 128)
    assert all(ours[part] <= whole[part] for part in whole)
    assert sum(ours.values()) < 0.9 * sum(whole.values())


def test_a_linear_map_by_hand():
    one = Product(3, 4, 5)
    assert one.operations(batch=2) == (2 * 3 * 4 * 5 * 2, 2 * 2 * 3 * 4 * 5 * 2)
    # Two records' inputs and outputs, the weights once; backward, each of the three matrices twice.
    assert one.values_moved(batch=2) == (2 * 12 + 20 + 2 * 15, 2 * (2 * 12 + 20 + 2 * 15))


def test_what_is_no_weight_is_read_for_every_record():
    assert Product(3, 4, 5, weights=False).values_moved(10)[0] == 10 * (12 + 20 + 15)


def test_what_is_done_once_a_step_costs_a_record_less_the_more_there_are():
    once = Product(3, 4, 5, once=True)
    assert once.operations(1) == once.operations(128)


def test_an_input_without_gradient_has_half_the_backward_pass():
    assert Product(3, 4, 5, gradients=1).operations(1) == (120, 120)
    first, second, *_ = products(PAPER, Work.whole(PAPER, 64))["front end"]
    assert (first.gradients, second.gradients) == (1, 2)


def test_operations_a_byte_grow_with_the_batch():
    def intensity(batch: int) -> float:
        cost = costs(PAPER, Work.ours(PAPER, 64), batch)["T5"]
        return sum(cost.operations) / sum(cost.moved)

    assert intensity(1) < intensity(8) < intensity(128)


def test_a_part_takes_the_slower_of_computing_and_moving():
    found = {"computes": Cost((100, 200), (1, 1)), "moves": Cost((1, 1), (100, 100))}
    assert seconds_at_best(found, peak=10.0, bandwidth=40.0, value_bytes=2) == {"computes": 30.0, "moves": 10.0}
