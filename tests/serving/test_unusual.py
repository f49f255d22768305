"""The distance of an embedding from familiar ones: against the plain Mahalanobis distance, and what its limit promises."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.serving import unusual
from cmelt.serving.unusual import Familiar, fit_familiar

WIDTH, COUNT = 40, 1200


@pytest.fixture(scope="module")
def drawn():
    """Records of a known normal distribution: three long axes, the rest alike."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    spread = np.concatenate([[2.0, 1.0, 0.5], np.full(WIDTH - 3, 0.1)])

    def draw(count):
        return (rng.standard_normal((count, WIDTH)) * spread) @ axes.T + 1.0

    return draw, axes, spread


def test_distance_is_mahalanobis_s_where_the_rest_is_alike(drawn):
    draw, axes, spread = drawn
    asked = draw(50)
    found = Familiar(tuple(np.ones(WIDTH)), tuple(map(tuple, axes.T[:3])), tuple(spread[:3]), 0.1, 1.0, 1).distances(asked)
    inverse = np.linalg.inv((axes * spread**2) @ axes.T)
    slow = [np.sqrt((one - 1.0) @ inverse @ (one - 1.0) / WIDTH) for one in asked]
    assert found == pytest.approx(slow, rel=1e-9)


def test_one_in_a_hundred_of_the_familiar_is_called_unlike_and_all_of_what_lies_elsewhere(drawn):
    draw, axes, _ = drawn
    fitted = fit_familiar(draw(COUNT), np.arange(COUNT) // 2)
    assert 0.002 < fitted.unlike(draw(4000)).mean() < 0.03
    assert np.median(fitted.distances(draw(500))) == pytest.approx(1.0, abs=0.1)
    assert fitted.unlike(draw(100) + 1.5 * axes.T[10]).all()


def test_a_step_along_a_long_axis_is_nothing_unusual(drawn):
    draw, axes, _ = drawn
    fitted = fit_familiar(draw(COUNT), np.arange(COUNT))
    assert not fitted.unlike(np.ones((1, WIDTH)) + 1.5 * axes.T[:1]).any()


def test_the_limit_comes_from_patients_that_the_fit_has_not_seen(drawn):
    """Copies of one record under one patient's name must not make the limit narrower than strangers need."""
    draw, _, _ = drawn
    few = np.repeat(draw(60), 4, axis=0)
    by_patient, by_record = fit_familiar(few, np.arange(240) // 4), fit_familiar(few, np.arange(240))
    assert by_patient.limit > by_record.limit


def test_no_single_record_is_kept(drawn):
    draw, _, _ = drawn
    fitted = fit_familiar(draw(COUNT), np.arange(COUNT))
    assert (len(fitted.mean), len(fitted.directions), fitted.records) == (WIDTH, unusual.DIRECTIONS, COUNT)


@pytest.mark.parametrize(("records", "patients"), [(80, 80), (300, 4)])
def test_too_few_are_refused(drawn, records, patients):
    draw, _, _ = drawn
    with pytest.raises(StoreError, match="too few"):
        fit_familiar(draw(records), np.arange(records) % patients)


def test_embeddings_that_do_not_move_leave_no_division_by_zero():
    fitted = fit_familiar(np.ones((120, 30)), np.arange(120))
    assert not fitted.unlike(np.ones((1, 30))).any() and fitted.unlike(np.zeros((1, 30))).all()
