"""A record's gain: lost in the front end's norms, given back by the leads' amplitude."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cmelt.config.settings import EcgSettings
from cmelt.model.ecg_encoder import Amplitude, EcgEncoder

SIZES = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "position_kernel": 4, "position_groups": 4}
SMALL = EcgSettings(rate=100, samples=320, stem_channels=(8, 8, 8, 16), **SIZES)


def change_with_gain(settings: EcgSettings) -> float:
    """How far the class token moves, relative to its length, when the record is twice as large."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = EcgEncoder(settings).eval()
        encoder.reset_parameters()
        encoder.positions.reset_parameters()
        ecg = torch.randn(2, 12, 320)
    with torch.no_grad():
        once, twice = encoder(ecg)[:, 0], encoder(2 * ecg)[:, 0]
    return float((twice - once).norm() / once.norm())


def test_twice_the_voltage_is_not_seen_by_the_paper_s_front_end_but_with_amplitude():
    assert change_with_gain(SMALL) < 1e-3
    assert change_with_gain(replace(SMALL, amplitude=True)) > 0.01


def test_amplitude_is_a_lead_s_deviation_and_its_highest_and_lowest_value():
    ecg = torch.zeros(1, 2, 4)
    ecg[0, 0] = torch.tensor([1.0, -3.0, 0.0, 0.0])
    amplitude = Amplitude(2, 6)
    with torch.no_grad():
        amplitude.project.weight.copy_(torch.eye(6))
        amplitude.project.bias.zero_()
        sizes = amplitude(ecg)[0, 0].expm1()
    assert sizes.tolist() == pytest.approx([ecg[0, 0].std().item(), 0.0, 1.0, 0.0, 3.0, 0.0], abs=1e-6)
