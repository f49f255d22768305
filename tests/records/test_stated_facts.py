"""What array files call rate, unit and leads; and what is no statement of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers.bare_arrays import record_of, set_upright
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.readers.stated import as_names, as_rate, facts_of, unit_name
from cmelt.records.record import LEADS
from ecg_files import heart


@pytest.mark.parametrize(
    "name", ["fs", "Fs", "FS_Hz", "rate", "sampling_rate", "SamplingRate", "sample rate", "sampling-frequency", "sfreq"]
)
def test_a_rate_goes_by_many_names(name):
    assert facts_of({name: 500}, "x").rate == 500


@pytest.mark.parametrize(
    ("value", "rate"),
    [(500, 500), (500.0, 500), ("500", 500), ("512 hertz", 512), ("500Hz", 500), ("513,469 Hz", 513.469), (b"250", 250),
     (np.int32(400), 400), (np.array([[360.0]]), 360), (["128"], 128), (np.array("256 Hz"), 256), ("1e3", 1000)],
)  # fmt: skip
def test_a_rate_is_a_number_or_a_text(value, rate):
    assert as_rate(value, "x") == rate


@pytest.mark.parametrize(
    "value", [0, -500, float("nan"), float("inf"), "fast", "", None, True, [500, 250], {"a": 1}, "500 ms", "5 00"]
)
def test_what_is_no_rate_is_refused(value):
    with pytest.raises(RecordError, match="sampling rate"):
        as_rate(value, "x")


@pytest.mark.parametrize("unit", ["uV", "µV", "μV", "UV", " microvolts "])
def test_micro_is_written_in_three_ways(unit):
    assert unit_name(unit) == "uV"


def test_a_unit_a_lead_is_one_unit_where_all_agree():
    assert facts_of({"units": ["mV", "mV"]}, "x").unit == "mV"
    assert facts_of({"units": np.array(["uV", "µV"])}, "x").unit == "uV"
    with pytest.raises(RecordError, match="different units"):
        facts_of({"units": ["mV", "uV"]}, "x")


@pytest.mark.parametrize(
    "value",
    [
        ["I", "II", "aVR"],
        ("I", "II", "aVR"),
        "I,II,aVR",
        "I; II; aVR",
        "I II aVR",
        np.array(["I ", "II", "aVR"]),
        [b"I", b"II", b"aVR"],
    ],
)
def test_names_of_leads_are_a_list_or_a_text(value):
    assert as_names(value, "x") == ("I", "II", "aVR")


def test_one_lead_of_two_words_is_one_lead():
    assert as_names("Lead II", "x") == ("Lead II",)
    assert as_names("Lead I, Lead II", "x") == ("Lead I", "Lead II")


@pytest.mark.parametrize("value", [12, np.array([1, 2, 3]), "", [], ["I", ""], "1,2,3", None, ["I", 2]])
def test_counts_and_indices_are_no_names(value):
    with pytest.raises(RecordError, match="names of leads"):
        as_names(value, "x")


def test_two_names_for_one_thing_must_agree():
    assert facts_of({"fs": 500, "sampling_rate": "500 Hz"}, "x").rate == 500
    with pytest.raises(RecordError, match="two values"):
        facts_of({"fs": 500, "sampling_rate": 250}, "x")


@pytest.mark.parametrize(
    ("value", "age"), [(50, 50), ("50", 50), (np.array([[52]]), 52), (float("nan"), None), ("old", None), (-3, None), (300, None)]
)
def test_an_age_that_cannot_be_is_left_out(value, age):
    assert facts_of({"age": value}, "x").age == age


@pytest.mark.parametrize(("value", "sex"), [("M", "male"), ("female", "female"), ("Female ", "female"), ("?", None), (1, None)])
def test_a_sex_is_read_from_words_alone(value, sex):
    assert facts_of({"gender": value}, "x").sex == sex


@pytest.mark.parametrize(
    "facts",
    [
        {"gain": 200},
        {"scale": 0.001},
        {"baseline": 1024},
        {"resolution": np.array([4.88])},
        {"gain": [200, 200]},
        {"gain": np.full(12, 200.0)},
        {"baseline": np.array([0, 0, 1])},
        {"scale": np.array(["1", "1"])},
    ],
)
def test_a_gain_is_neither_ignored_nor_guessed_at(facts):
    with pytest.raises(RecordError, match="gain"):
        facts_of(facts, "x")


@pytest.mark.parametrize("facts", [{"gain": 1}, {"baseline": 0}, {"scale": np.ones(12)}, {"offset": np.zeros(12)}])
def test_a_gain_that_changes_nothing_is_none(facts):
    assert facts_of(facts, "x").rate is None


def test_names_decide_which_axis_the_leads_are():
    assert set_upright(heart().T, LEADS, "x").shape == (12, 1000)
    assert set_upright(heart(), LEADS, "x").shape == (12, 1000)
    assert set_upright(heart()[:, :5].T, LEADS, "x").shape == (12, 5)
    with pytest.raises(RecordError, match="either axis"):
        set_upright(heart()[:, :12], LEADS, "x")


def test_what_the_top_level_states_counts_for_the_structure_below_and_must_not_contradict_it():
    named = {"fs": 100, "record": {"ecg": heart(), "leads": list(LEADS), "unit": "mV"}}
    assert record_of(named, NOTHING_GIVEN, Path("x")).rate == 100
    named["record"]["fs"] = 500
    with pytest.raises(RecordError, match="two values"):
        record_of(named, NOTHING_GIVEN, Path("x"))


def test_a_structure_called_ecg_is_looked_into():
    named = {"ECG": {"data": heart(), "leads": list(LEADS), "unit": "mV", "fs": 100}}
    assert np.array_equal(record_of(named, NOTHING_GIVEN, Path("x")).signal, heart())


@pytest.mark.parametrize("array", [heart().astype(bool), heart().astype(complex), heart().astype(str), np.zeros((2, 2, 2, 2))])
def test_what_is_no_array_of_numbers_is_refused(array):
    with pytest.raises(RecordError, match=r"not real numbers|4 dimensions"):
        record_of({"signal": array}, ReadOptions(rate=100, unit="mV", leads=LEADS), Path("x"))


def test_gaps_stay_gaps_whatever_the_unit():
    signal = heart().astype(np.float64) * 1e-3
    signal[3, 5:9] = np.nan
    record = record_of({"signal": signal}, ReadOptions(rate=100, unit="V", leads=LEADS), Path("x"))
    assert np.argwhere(np.isnan(record.signal)).tolist() == [[3, place] for place in range(5, 9)]
    assert np.nanmax(np.abs(record.signal - heart())) < 1e-6
