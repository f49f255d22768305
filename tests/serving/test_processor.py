"""Any record in the model's form; nothing guessed, nothing hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cmelt
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions
from cmelt.records.record import LEADS
from cmelt.records.standard import standardise
from ecg_files import heart, record, write_wfdb


def test_a_record_in_the_model_s_own_form_is_one_window_of_it(processor):
    prepared = processor.record(record(1))
    assert prepared.ecg.shape == (1, 12, 1000) and prepared.ecg.dtype == np.float32
    np.testing.assert_array_equal(prepared.ecg[0], standardise(record(1), 100.0).signal)
    facts = prepared.facts
    assert (facts.record, facts.windows, facts.windows_left_out, facts.missing_leads) == ("test-1", 1, 0, ())


def test_a_file_is_read_and_resampled(processor, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(2, rate=500.0), rate=500.0)
    for path in (header, str(header)):
        prepared = processor.record(path)
        assert prepared.ecg.shape == (1, 12, 1000)
        np.testing.assert_allclose(prepared.ecg[0], heart(2), atol=0.1)  # of 3 mV: the sharpest peaks lose a little


def test_leads_are_taken_by_name_in_whatever_order_they_come(processor):
    shuffled = ("V6", "aVR", "I", "V1", "aVF", "V2", "III", "V5", "aVL", "V3", "II", "V4")
    np.testing.assert_array_equal(processor.record(record(3, leads=shuffled)).ecg, processor.record(record(3)).ecg)


def test_absent_leads_are_zero_named_and_computed_where_two_limb_leads_imply_them(processor):
    two = processor.record(record(4, leads=("I", "II")))
    np.testing.assert_allclose(two.ecg[0, :6], heart(4)[:6], atol=1e-5)
    assert not two.ecg[0, 6:].any()
    assert two.facts.missing_leads == LEADS[6:]
    assert "derived:aVF" in two.facts.flags
    one = processor.record(record(4, leads=("V2",)))
    assert one.facts.missing_leads == tuple(lead for lead in LEADS if lead != "V2")
    assert [row for row in range(12) if one.ecg[0, row].any()] == [LEADS.index("V2")]


def test_a_long_record_becomes_windows_the_last_of_which_ends_with_it(processor):
    long = record(5, seconds=34.0)
    prepared = processor.record(long)
    assert (prepared.facts.windows, prepared.ecg.shape) == (4, (4, 12, 1000))
    for window, start in zip(prepared.ecg, (0, 1000, 2000, 2400), strict=True):
        np.testing.assert_array_equal(window, long.signal[:, start : start + 1000])


def test_a_short_record_is_padded_and_says_so(processor):
    prepared = processor.record(record(6, seconds=7.0))
    assert not prepared.ecg[0, :, 700:].any() and prepared.ecg[0, :, :700].any()
    assert "padded" in prepared.facts.flags


def test_stretches_without_an_ecg_are_left_out_and_counted(processor):
    long = record(7, seconds=30.0)
    signal = long.signal.copy()
    signal[:, 1000:2000] = 0.0
    signal[3, 2000:] = np.nan
    facts = processor.record(replace(long, signal=signal)).facts
    assert (facts.windows, facts.windows_left_out) == (2, 1)
    assert facts.missing_leads == ()  # aVR is computed from I and II where it was not recorded
    signal[8, 2000:] = np.nan
    facts = processor.record(replace(long, signal=signal)).facts
    assert facts.missing_leads == () and "partly-missing:V3" in facts.flags


def test_a_record_without_any_ecg_is_refused_whatever_its_length(processor):
    for seconds in (10.0, 30.0):
        empty = replace(record(8, seconds=seconds), signal=np.zeros((12, round(100 * seconds)), np.float32))
        with pytest.raises(RecordError, match="no usable lead"):
            processor.record(empty)


def test_an_array_says_its_rate_unit_and_leads(processor):
    for array, unit in ((heart(9), "mV"), (heart(9) * 1000, "uV"), (heart(9).T, "mV"), (heart(9).astype(np.float64), "mV")):
        made = cmelt.record_of(array, rate=100, unit=unit, leads=[lead.lower() for lead in LEADS], identifier="bed 3")
        np.testing.assert_allclose(made.signal, heart(9), atol=1e-5)
        assert (made.identifier, made.leads) == ("bed 3", LEADS)
    assert processor.record(made).facts.record == "bed 3"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "mm"}, "not a voltage"),
        ({"leads": LEADS[:8]}, "12 leads where 8"),
        ({"rate": 0}, "sampling rate"),
        ({"array": heart(9) * 1000}, "microvolts read as millivolts"),
        ({"leads": ("I", *LEADS[:11])}, "twice"),
    ],
)
def test_an_array_that_contradicts_what_is_said_of_it_is_refused(change, words):
    said = {"array": heart(9), "rate": 100, "unit": "mV", "leads": LEADS} | change
    with pytest.raises(RecordError, match=words):
        cmelt.record_of(said.pop("array"), **said)


def test_nothing_is_guessed_of_a_file_of_bare_numbers(processor, tmp_path):
    np.save(tmp_path / "ecg.npy", heart(1))
    with pytest.raises(RecordError, match="does not"):
        processor.record(tmp_path / "ecg.npy")
    options = ReadOptions(rate=100.0, unit="mV", leads=LEADS)
    np.testing.assert_array_equal(processor.record(tmp_path / "ecg.npy", options).ecg[0], heart(1))
    header = write_wfdb(tmp_path / "r", heart(1))
    with pytest.raises(RecordError, match="states 100 Hz"):
        processor.record(header, ReadOptions(rate=500.0))
