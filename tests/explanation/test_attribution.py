"""Attributions of a score: they add up, they lie where the evidence is, and agree with sums done by hand."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest
import torch

from cmelt.errors import ConfigError
from cmelt.evaluation.zero_shot import PromptVectors, scores, unit
from cmelt.explanation import RecordScore, direction_of, flat_lines, integrated_gradients, occlusion
from cmelt.explanation.attribution import LEAST, MISS
from trained_towers import tiny_model

LEADS, SAMPLES = 3, 50


def curved(ecg: torch.Tensor) -> torch.Tensor:
    """[n, L, T] → [n, 2]: an embedding that bends, of which lead 1 from sample 20 to 24 alone decides the direction."""
    seen = ecg[:, 1, 20:25].sum(1)
    return torch.stack([torch.tanh(seen), torch.ones_like(seen)], dim=1)


@pytest.fixture
def score() -> RecordScore:
    return RecordScore(curved, torch.tensor([1.0, -0.5]))


@pytest.fixture
def ecg() -> torch.Tensor:
    return torch.randn(2, LEADS, SAMPLES, generator=torch.Generator().manual_seed(4)).abs()


def gradients_by_hand(score: RecordScore, ecg: torch.Tensor, baseline: torch.Tensor, points: int = 4000) -> torch.Tensor:
    """The definition, in double precision, by midpoints."""
    ecg, baseline = ecg.double(), baseline.double()
    score = RecordScore(score.embed_ecg, score.direction.double())
    total = torch.zeros_like(ecg)
    for shares in (torch.arange(points, dtype=torch.float64) + 0.5).div(points).split(500):
        way = (baseline + shares[:, None, None, None] * (ecg - baseline)).requires_grad_()
        total += torch.autograd.grad(score(way).sum(), way)[0].sum(0)
    return (ecg - baseline) * total / points


def test_integrated_gradients_are_the_integral_of_their_definition(score, ecg):
    baseline = torch.zeros_like(ecg)
    values, error = integrated_gradients(score, ecg, baseline)
    torch.testing.assert_close(values.double(), gradients_by_hand(score, ecg, baseline), atol=1e-3, rtol=0)
    gained = float(score(ecg[None]) - score(baseline[None]))
    assert float(values.sum()) == pytest.approx(gained + error, abs=1e-5) and abs(error) < 0.01 * abs(gained)


def test_what_the_score_does_not_look_at_has_no_evidence(score, ecg):
    for values in (integrated_gradients(score, ecg, torch.zeros_like(ecg))[0], occlusion(score, ecg, torch.zeros_like(ecg), 5)):
        elsewhere = values.clone()
        elsewhere[:, 1, 20:25] = 0
        assert not elsewhere.any() and (values[:, 1, 20:25] > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_a_model_add_up_to_what_the_score_gains(seed):
    model = tiny_model()
    rng = np.random.default_rng(seed)
    wide = torch.from_numpy(rng.normal(0, 0.3, (2, 12, model.settings.ecg.samples)).astype(np.float32))
    direction = torch.from_numpy(rng.normal(size=model.settings.width).astype(np.float32))
    of_model = RecordScore(model.embed_ecg, direction / direction.norm())
    values, error = integrated_gradients(of_model, wide, torch.zeros_like(wide))
    with torch.no_grad():
        gained = float(of_model(wide[None]) - of_model(torch.zeros_like(wide)[None]))
    assert float(values.double().sum()) == pytest.approx(gained, abs=5 * MISS * max(abs(gained), LEAST))
    assert abs(error) < 0.02 * max(abs(gained), LEAST)


def test_occlusion_is_the_loss_of_score_by_stretch_as_taken_by_hand(score, ecg):
    baseline, stretch = torch.full_like(ecg, 0.1), 7  # 50 samples: the last stretch has one alone
    found = occlusion(score, ecg, baseline, stretch)
    for window in range(len(ecg)):
        for lead in range(LEADS):
            for start in range(0, SAMPLES, stretch):
                taken = ecg.clone()
                taken[window, lead, start : start + stretch] = 0.1
                lost = float(score(ecg[None]) - score(taken[None]))
                assert float(found[window, lead, start : start + stretch].sum()) == pytest.approx(lost, abs=1e-6)


def test_a_stretch_longer_than_the_window_takes_the_whole_lead(score, ecg):
    found = occlusion(score, ecg, torch.zeros_like(ecg), 10_000)
    taken = ecg.clone()
    taken[0, 1] = 0
    assert float(found[0, 1].sum()) == pytest.approx(float(score(ecg[None]) - score(taken[None])), abs=1e-6)


@pytest.mark.parametrize("scoring", ["similarity", "contrast", "pairs"])
def test_the_direction_gives_the_scores_of_zero_shot(scoring):
    rng = np.random.default_rng(0)
    prompts = PromptVectors(*rng.normal(size=(3, 1, 8)), negative_weight=0.5)
    ecgs = rng.normal(size=(4, 8)).astype(np.float32)
    expected = scores(ecgs, prompts)[scoring][:, 0]
    np.testing.assert_allclose(unit(ecgs) @ direction_of(prompts, scoring), expected, atol=1e-12)


def test_flat_lines_are_at_the_median_of_what_was_measured():
    ecg = np.ones((1, 2, 10), np.float32)
    ecg[0, 0, :3], ecg[0, :, 8:], ecg[0, 1, :8] = 5.0, 0.0, 0.0  # lead 1 is missing, the last two samples are padding
    flat = flat_lines(ecg, np.array([8]))
    assert flat[0].tolist() == [[1.0] * 8 + [0.0] * 2, [0.0] * 10] and ecg[0, 0, 0] == 5.0


def test_without_captum_the_error_names_the_extra(score, ecg, monkeypatch):
    real = builtins.__import__

    def lacking(name, *arguments, **named):
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", lacking)
    for ask in (lambda: integrated_gradients(score, ecg, ecg), lambda: occlusion(score, ecg, ecg, 5)):
        with pytest.raises(ConfigError, match=r'captum is not installed.*pip install "cmelt\[explain\]"'):
            ask()


def test_a_score_that_never_moves_gives_nothing_and_ends(ecg):
    still = RecordScore(lambda windows: torch.ones(len(windows), 2) + 0 * windows.sum((1, 2))[:, None], torch.ones(2))
    values, error = integrated_gradients(still, ecg, torch.zeros_like(ecg))
    assert not values.any() and math.isclose(error, 0.0, abs_tol=1e-7)
