"""Units from what the file says; microvolts that pass for millivolts."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt
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
