"""Unusual voltage: QRS low in every lead as cardiology has it, or high in limb and chest leads; both are also another gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records.beats import beats_of
from cmelt.records.quality import quality_flags
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.records.voltage import unusual_voltage
from cmelt.simulation import simulate

VOLTAGES = {"low-voltage", "high-voltage"}


def beating(limb: float, chest: float, *, rate: float = 500.0, wave: float = 0.0) -> Record:
    """10 s of beats: QRS of `limb` mV, peak to trough, in lead II, `chest` mV in V3, less in others; a T `wave` mV high."""
    time = np.arange(round(10 * rate)) / rate
    phase = (time - 0.5) % 0.8
    qrs = np.clip(1 - np.abs(phase - 0.04) / 0.04, 0, 1) - 0.5 * np.clip(1 - np.abs(phase - 0.11) / 0.03, 0, 1)
    t_wave = np.exp(-(((phase - 0.35) / 0.05) ** 2))
    sizes = {"I": 0.4, "II": 1.0, "V1": -0.5, "V2": -0.8, "V3": 1.0, "V4": 0.9, "V5": 0.8, "V6": 0.7}
    first, second = (limb * sizes[lead] for lead in ("I", "II"))
    limbs = [first, second, second - first, -(first + second) / 2, first - second / 2, second - first / 2]
    tall = np.array([*limbs, *(chest * sizes[lead] for lead in LEADS[6:])]) / 1.5
    return Record((np.outer(tall, qrs) + np.outer(np.sign(tall), wave * t_wave)).astype(np.float32), rate, LEADS)


def voltage_flags(record: Record) -> set[str]:
    return VOLTAGES & set(quality_flags(record))


@pytest.mark.parametrize("rate", [100.0, 250.0, 500.0, 1000.0])
@pytest.mark.parametrize(
    ("limb", "chest", "told"),
    [
        (0.40, 0.90, {"low-voltage"}),
        (0.60, 0.90, set()),
        (0.40, 1.20, set()),
        (1.20, 2.50, set()),
        (2.60, 4.00, set()),
        (1.80, 5.80, set()),
        (2.60, 5.80, {"high-voltage"}),
    ],
)
def test_voltage_is_low_where_no_lead_reaches_its_limit_and_high_where_both_kinds_exceed_theirs(limb, chest, told, rate):
    assert voltage_flags(beating(limb, chest, rate=rate)) == told


@pytest.mark.parametrize("wave", [0.0, 0.45])
def test_qrs_decides_and_no_t_wave(wave):
    assert voltage_flags(beating(0.40, 0.90, wave=wave)) == {"low-voltage"}
    assert voltage_flags(beating(1.80, 4.00, wave=wave * 5)) == set()


def test_one_large_lead_of_either_kind_is_no_low_voltage():
    low = beating(0.40, 0.90)
    for row in (0, 8):
        signal = low.signal.copy()
        signal[row] *= np.float32(4.0)
        assert voltage_flags(replace(low, signal=signal)) == set()


def test_nothing_is_said_of_few_leads_short_records_and_records_that_cannot_be_read():
    for record in (beating(0.40, 0.90), beating(2.60, 5.80)):
        assert voltage_flags(record)
        for kept in (LEADS[:6], LEADS[6:], (*LEADS[:6], "V1", "V2"), ("II", *LEADS[6:])):
            rows = [LEADS.index(lead) for lead in kept]
            assert not voltage_flags(replace(record, signal=record.signal[rows], leads=kept))
        assert voltage_flags(replace(record, signal=record.signal[[0, 1, 6, 8, 10]], leads=("I", "II", "V1", "V3", "V5")))
        assert not voltage_flags(replace(record, signal=record.signal[:, :1100]))  # two whole beats
        noise = np.random.default_rng(0).normal(0, 3 * np.abs(record.signal).max(), record.signal.shape)
        drowned = quality_flags(replace(record, signal=(record.signal + noise).astype(np.float32)))
        assert "poor-quality" in drowned and not VOLTAGES & set(drowned)


def test_leads_that_carry_nothing_do_not_count():
    beats = beats_of(beating(0.40, 0.90))
    live = {lead: row for row, lead in enumerate(LEADS) if lead in ("I", "II", "V4", "V5", "V6")}
    assert unusual_voltage(beats, live) == "low-voltage"
    assert unusual_voltage(beats, {lead: row for lead, row in live.items() if lead != "V4"}) is None
    assert unusual_voltage(beats, {lead: row for lead, row in live.items() if lead != "I"}) is None


def test_most_hearts_get_neither_flag_and_most_of_another_gain_do():
    hearts = [simulate(seed, [], rate=100) for seed in range(20_000, 20_030)]
    told = {gain: [voltage_flags(replace(one, signal=one.signal * np.float32(gain))) for one in hearts] for gain in (0.25, 1, 4)}
    assert sum(map(bool, told[1])) <= 1
    assert sum(one == {"low-voltage"} for one in told[0.25]) >= 25
    assert sum(one == {"high-voltage"} for one in told[4]) >= 23


def test_real_records_of_a_quarter_and_of_four_times_their_gain_are_told(data_dir):
    records = [read_ecg(path) for path in sorted((data_dir / "ptb-xl").rglob("*_lr.hea"))[::12]]
    assert len(records) > 100
    shares = {}
    for gain, flags in ((0.25, {"low-voltage"}), (4.0, {"high-voltage", "poor-quality"}), (1.0, VOLTAGES)):
        scaled = [replace(one, signal=one.signal * np.float32(gain)) for one in records]
        shares[gain] = np.mean([bool(flags & set(quality_flags(one))) for one in scaled])
    assert shares[0.25] > 0.9 and shares[4.0] > 0.9 and shares[1.0] < 0.02
