"""Exchanged arm electrodes: Einthoven holds, the heart's direction does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records.beats import beats_of
from cmelt.records.leads import check_limb_leads, select_leads
from cmelt.records.quality import quality_flags
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate


def exchanged(record: Record) -> Record:
    """Lead I turned, II and III and aVR and aVL in each other's place."""
    signal = record.signal[[0, 2, 1, 4, 3, 5, *range(6, 12)]].copy()
    signal[0] *= -1
    return replace(record, signal=signal)


def reversed_arms(record: Record) -> bool:
    return "arms-reversed" in quality_flags(record)


def test_einthoven_does_not_see_exchanged_arms():
    other = exchanged(simulate(3, [], rate=100))
    assert check_limb_leads(other.signal, other.leads).consistent


@pytest.mark.parametrize("rate", [100, 500])
def test_exchanged_arms_of_simulated_hearts_are_found_and_right_ones_left_alone(rate):
    records = [simulate(seed, rate=rate) for seed in range(1000, 1060)]
    assert np.mean([reversed_arms(exchanged(record)) for record in records]) >= 0.95
    assert np.mean([reversed_arms(record) for record in records]) <= 0.02


@pytest.mark.parametrize(
    "condition", ["right-axis-deviation", "old-lateral-infarction", "left-bundle-branch-block", "right-ventricular-hypertrophy"]
)
def test_hearts_that_point_elsewhere_are_not_called_reversed(condition):
    found = [reversed_arms(simulate(seed, [condition], rate=100)) for seed in range(40)]
    assert np.mean(found) <= 0.1


def test_right_arm_and_leg_exchanged_are_told_from_exchanged_arms():
    flag = "electrodes-exchanged:right-arm/leg"
    named, found, alarms = [], [], []
    for seed in range(1000, 1040):
        record = simulate(seed, [], rate=100)
        i, ii, iii, avr, avl, avf = record.signal[:6]
        other = replace(record, signal=np.stack([-iii, -ii, -i, avf, avl, avr, *record.signal[6:]]))
        assert check_limb_leads(other.signal, other.leads).consistent
        named.append(flag in quality_flags(other))
        found.append(named[-1] or reversed_arms(other))
        alarms.append(flag in quality_flags(record))
    assert np.mean(found) >= 0.9
    assert np.mean(named) >= 0.6
    assert not any(alarms)


def test_exchanging_twice_is_right_again():
    record = simulate(5, [], rate=250)
    assert not reversed_arms(exchanged(exchanged(record)))


def test_without_the_leads_that_tell_nothing_is_said():
    record = exchanged(simulate(3, [], rate=100))
    assert reversed_arms(record)
    assert not reversed_arms(select_leads(record, LEADS[:10]))
    flat = record.signal.copy()
    flat[11] = 0
    assert not reversed_arms(replace(record, signal=flat))


def test_exchanged_names_are_named_and_not_taken_for_exchanged_electrodes():
    names = ("I", "III", "II", *LEADS[3:])
    flags = quality_flags(replace(simulate(3, [], rate=100), leads=names))
    assert flags == ("limb-swapped:II/III",)


def test_beats_are_where_they_are():
    record = simulate(7, [], rate=500)
    beats = beats_of(record)
    truth = np.array(record.truth["r_times"])
    inside = truth[(truth > 0.2) & (truth < 9.8)]
    nearest = np.abs(inside[:, None] - beats.peaks / beats.rate).min(axis=1)
    assert nearest.max() < 0.06
    assert abs(60 / beats.interval - record.truth["rate_bpm"]) < 3


def test_real_exchanges_are_found(data_dir):
    records = [read_ecg(path) for path in sorted((data_dir / "ptb-xl/records100/01000").glob("*.hea"))[:120]]
    assert np.mean([reversed_arms(exchanged(record)) for record in records]) >= 0.95
    assert np.mean([reversed_arms(record) for record in records]) <= 0.02
