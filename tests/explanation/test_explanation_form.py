"""An explanation as data: sums stay, JSON is plain, and it says what it is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cmelt.explanation import Explanation
from cmelt.pages.notice import NOTICE


def explanation(rate: float = 500.0, samples: int = 1001) -> Explanation:
    values = np.random.default_rng(0).normal(size=(2, samples)).astype(np.float32)
    return Explanation("x", ("I", "V1"), np.arange(samples) / rate, values, 0.4, 0.1, "occlusion", ("a note",))


@pytest.mark.parametrize(("rate", "shown"), [(100.0, 100.0), (250.0, 250.0), (251.0, 125.5), (500.0, 250.0), (1000.0, 250.0)])
def test_json_has_at_most_250_values_a_second_and_the_same_sums(rate, shown):
    found = explanation(rate)
    told = found.to_json()
    assert told["rate"] == pytest.approx(shown) and told["seconds"] == pytest.approx(len(told["values"][0]) / shown)
    np.testing.assert_allclose(np.sum(told["values"], axis=1), list(found.by_lead().values()), atol=1e-2)


def test_neighbours_are_added_up_where_they_are():
    coarse = explanation(500.0, 5).at_most(250.0)
    fine = explanation(500.0, 5)
    np.testing.assert_allclose(coarse.seconds, [0, 0.004, 0.008])
    np.testing.assert_allclose(coarse.values[:, 0], fine.values[:, :2].sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(coarse.values[:, 2], fine.values[:, 4], rtol=1e-6)


def test_json_is_plain_and_carries_the_notice():
    told = explanation(100.0, 20).to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["notice"] == NOTICE
    assert (told["what"], told["method"], told["score"], told["baseline"]) == ("x", "occlusion", 0.4, 0.1)
    assert told["ecg"] is None
    assert (told["leads"], told["notes"], told["seconds"]) == (["I", "V1"], ["a note"], pytest.approx(0.2))
