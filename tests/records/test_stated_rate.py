"""A wrong sampling rate shows in everything that lasts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.beats import beats_of
from cmelt.records.mains import Line, mains_line
from cmelt.records.quality import quality_flags
from cmelt.records.readers import read_ecg
from cmelt.records.record import Record
from cmelt.records.stated_rate import rate_features, suspected_rate
from cmelt.simulation import simulate


def suspicion(record) -> str:
    return next((flag.partition(":")[2] for flag in quality_flags(record) if flag.startswith("rate-suspect")), "")


@pytest.mark.parametrize("rate", [100, 250, 500])
def test_normal_hearts_are_believed_and_their_misstated_rates_are_not(rate):
    records = [simulate(seed, [], rate=rate) for seed in range(30)]
    assert [suspicion(record) for record in records] == [""] * 30
    assert np.mean([suspicion(replace(record, rate=record.rate * 2)) == "×2" for record in records]) >= 0.9
    assert np.mean([suspicion(replace(record, rate=record.rate / 2)) == "÷2" for record in records]) >= 0.9


@pytest.mark.parametrize("condition", ["sinus-tachycardia", "atrial-fibrillation", "supraventricular-tachycardia"])
def test_a_fast_heart_is_no_wrong_rate(condition):
    found = [suspicion(simulate(seed, [condition], rate=250)) for seed in range(30)]
    assert np.mean([told == "×2" for told in found]) <= 0.1


def test_mains_in_the_wrong_place_adds_to_a_suspicion():
    record = simulate(3, ["sinus-bradycardia"], rate=500, noise=0.2)
    time = np.arange(5000) / 500
    hum = (0.03 * np.sin(2 * np.pi * 50 * time)[None]).astype(np.float32)
    halved = replace(record, signal=record.signal + hum, rate=250.0)
    line = mains_line(halved)
    assert line is not None
    assert line.hertz == 25
    assert suspected_rate(beats_of(halved), line) == "÷2"


def test_a_line_alone_accuses_nobody():
    beats = beats_of(simulate(3, [], rate=500))
    for hertz in (25, 30, 100, 120):
        assert suspected_rate(beats, Line(hertz, 20.0, 9.0)) == ""


def test_lines_are_not_seen_in_short_records_nor_above_half_the_rate():
    time = np.arange(5000) / 100
    record = simulate(3, [], rate=100, seconds=50.0)
    hummed = replace(record, signal=(record.signal + 0.5 * np.sin(2 * np.pi * 49.9 * time)).astype(np.float32))
    assert mains_line(hummed) is None
    assert mains_line(replace(record, signal=record.signal[:, :300])) is None


def test_two_beats_are_no_evidence():
    record = simulate(3, ["sinus-bradycardia"], rate=100)
    two = replace(record, signal=record.signal[:, :180])
    assert suspected_rate(beats_of(two), None) == ""


def test_features_are_logarithms_of_time_that_shift_with_the_rate():
    record = simulate(3, [], rate=500)
    right, doubled = (rate_features(beats_of(replace(record, rate=rate))) for rate in (500.0, 1000.0))
    assert right[0] - doubled[0] == pytest.approx(np.log(2), abs=0.03)  # from beat to beat
    assert right[2] - doubled[2] == pytest.approx(np.log(2), abs=0.25)  # T


def test_real_records_are_believed_and_their_misstated_rates_mostly_found(data_dir):
    records = [read_ecg(path) for path in sorted((data_dir / "ptb-xl/records100/01000").glob("*.hea"))[:120]]
    assert np.mean([bool(suspicion(record)) for record in records]) <= 0.02
    assert np.mean([suspicion(replace(record, rate=200.0)) == "×2" for record in records]) >= 0.85
    assert np.mean([suspicion(replace(record, rate=50.0)) == "÷2" for record in records]) >= 0.85


@pytest.mark.parametrize("rate", [0.0, -500.0, math.inf, math.nan, 100_001.0, 2e6])
def test_no_ecg_has_such_a_rate(rate):
    with pytest.raises(RecordError, match="sampling rate"):
        Record(np.zeros((1, 9), np.float32), rate, ("II",), "one")
