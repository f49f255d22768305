"""Any record to 12 leads, one rate, one length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.record import LEADS, LIMB_LEADS, Record
from cmelt.records.standard import standardise, windows
from cmelt.simulation import simulate
from ecg_files import heart, record


def test_a_standard_record_is_left_as_it_is():
    standard = standardise(record(), 100)
    assert np.array_equal(standard.signal, heart())
    assert (standard.missing, standard.flags, standard.samples) == ((), (), 1000)


def test_order_of_the_file_does_not_matter():
    order = tuple(reversed(LEADS))
    assert np.array_equal(standardise(record(leads=order), 100).signal, heart())


@pytest.mark.parametrize(
    "order",
    [
        ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"),  # MIMIC-IV-ECG's files
        ("I", "II", "III", "aVL", "aVF", "aVR", "V1", "V2", "V3", "V4", "V5", "V6"),  # CODE-test's
    ],
)
def test_fault_12_leads_are_taken_by_name_from_files_in_another_order(order):
    standard = standardise(record(leads=order), 100)
    assert np.array_equal(standard.signal, heart())
    assert standard.flags == ()


def test_missing_limb_leads_are_derived_and_missing_chest_leads_are_zero():
    standard = standardise(record(leads=("I", "II", "V1", "V2")), 100)
    assert np.allclose(standard.signal[:8], heart()[:8], atol=1e-6)
    assert standard.missing == ("V3", "V4", "V5", "V6")
    assert not standard.signal[8:].any()
    assert {f"derived:{lead}" for lead in LIMB_LEADS[2:]} <= set(standard.flags)


def test_a_limb_lead_without_a_single_measurement_is_derived_too():
    signal = heart()
    signal[2] = np.nan
    standard = standardise(Record(signal, 100, LEADS), 100)
    assert "derived:III" in standard.flags
    assert np.allclose(standard.signal[2], heart()[2], atol=1e-6)


def test_short_gaps_are_bridged_and_long_ones_make_the_lead_missing():
    signal = heart(rate=500)
    signal[6, 1000:1050] = np.nan  # 0.1 s
    signal[7, 1000:1051] = np.nan
    standard = standardise(Record(signal, 500, LEADS), 500)
    assert standard.missing == ("V2",)
    assert "interpolated:V1" in standard.flags
    assert np.isfinite(standard.signal).all()
    assert not standard.signal[7].any()
    bridge = standard.signal[6, 999:1051]
    assert np.allclose(np.diff(bridge), np.diff(bridge)[0], atol=1e-6)


def test_flat_leads_are_missing():
    signal = heart()
    signal[9] = 0.3
    standard = standardise(Record(signal, 100, LEADS), 100)
    assert standard.missing == ("V4",)
    assert not standard.signal[9].any()


def test_a_record_without_a_usable_lead_is_refused():
    with pytest.raises(RecordError, match="no usable lead"):
        standardise(Record(np.zeros((12, 1000), np.float32), 100, LEADS), 100)
    with pytest.raises(RecordError, match="no usable lead"):
        standardise(Record(np.full((1, 1000), np.nan, np.float32), 100, ("I",)), 100)
    with pytest.raises(RecordError, match="no usable lead"):
        standardise(replace(record(leads=("V1",)), leads=("resp",)), 100)


def test_microvolts_are_refused_here_too():
    with pytest.raises(RecordError, match="microvolts"):
        standardise(replace(record(), signal=heart() * 1000), 100)


def test_longer_records_give_their_first_or_central_stretch():
    long = record(seconds=14)
    assert np.array_equal(standardise(long, 100).signal, long.signal[:, :1000])
    assert np.array_equal(standardise(long, 100, crop="centre").signal, long.signal[:, 200:1200])
    assert standardise(long, 100).flags == ("cropped",)


def test_padding_is_zero_and_stays_zero_under_normalisation():
    short = replace(record(seconds=6), signal=heart(seconds=6) + 5)
    standard = standardise(short, 100)
    assert standard.flags == ("padded",)
    assert standard.samples == 600
    assert not standard.signal[:, 600:].any()
    mean = standard.signal.mean(axis=1)
    assert np.abs(mean).max() < 1e-5  # so (signal - mean) / std leaves the padding at zero


def test_resampled_records_have_the_exact_length():
    for rate in (257.0, 360.0, 1000.0):
        standard = standardise(record(rate=rate), 100)
        assert standard.signal.shape == (12, 1000)
        assert np.corrcoef(standard.signal[1, 50:-50], heart()[1, 50:-50])[0, 1] > 0.98


def test_windows_cover_a_record_and_end_with_it():
    long = record(seconds=25)
    cut = windows(long, 10)
    assert [piece.seconds for piece in cut] == [10, 10, 10]
    assert np.array_equal(cut[0].signal, long.signal[:, :1000])
    assert np.array_equal(cut[2].signal, long.signal[:, 1500:])
    assert windows(record(seconds=8), 10)[0].seconds == 8
    assert len(windows(record(seconds=20), 10)) == 2


def test_millivolts_read_as_microvolts_are_named_and_not_called_flat():
    sound = simulate(3, [], rate=500)
    small = replace(sound, signal=sound.signal / 1000)
    with pytest.raises(RecordError, match="millivolts read as microvolts"):
        standardise(small, 100.0)
