"""Units from what the file says; microvolts that pass for millivolts."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import standardise
from cmelt.records.units import LARGEST_MV, measured, refuse_impossible_amplitude, units_per_millivolt
from ecg_files import heart


@pytest.mark.parametrize(
    ("units", "per_millivolt"), [("mV", 1), ("mv", 1), ("uV", 1000), ("µV", 1000), ("μV", 1000), ("V", 1e-3), ("nV", 1e6)]
)
def test_voltages_have_a_size(units, per_millivolt):
    assert units_per_millivolt(units, "file") == per_millivolt


@pytest.mark.parametrize("units", ["mmHg", "bpm", "", "adu"])
def test_what_is_no_voltage_is_refused(units):
    with pytest.raises(RecordError, match="not a voltage"):
        units_per_millivolt(units, "file")


def test_microvolts_read_as_millivolts_are_refused_with_that_explanation():
    with pytest.raises(RecordError, match="microvolts read as millivolts"):
        refuse_impossible_amplitude(heart() * 1000, "file")


def test_even_low_voltage_is_seen_through():
    with pytest.raises(RecordError, match="microvolts"):
        refuse_impossible_amplitude(heart() * (1000 * 0.2 / np.ptp(heart(), axis=1).max()), "file")


def test_electrode_offsets_and_one_broken_lead_are_not_microvolts():
    signal = heart() + 300
    signal[7] = np.linspace(-900, 900, signal.shape[1])
    refuse_impossible_amplitude(signal, "file")


def test_a_giant_but_possible_ecg_passes():
    refuse_impossible_amplitude(heart() * (12 / np.ptp(heart(), axis=1).max()), "file")


@pytest.mark.parametrize("absurd", [1e30, -1e30, 3e38, np.inf, LARGEST_MV * 2])
def test_a_number_that_no_electrode_makes_is_a_gap_and_not_the_scale_of_the_record(absurd):
    signal = heart().astype(np.float32)
    signal[7, 300:303] = absurd
    standard = standardise(Record(signal, 100.0, LEADS), 100.0)
    assert "interpolated:V2" in standard.flags and np.isfinite(standard.signal).all()
    whole = standardise(Record(heart().astype(np.float32), 100.0, LEADS), 100.0).signal
    np.testing.assert_allclose(np.delete(standard.signal, 7, axis=0), np.delete(whole, 7, axis=0), atol=1e-6)
    assert np.abs(standard.signal[7]).max() < 10


def test_what_an_electrode_can_make_is_left_as_it_is():
    signal = heart().astype(np.float32) + np.float32(300)
    signal[3, 5] = np.nan
    assert measured(signal) is signal
