"""Fingerprints and exact names stay what they are: stores keep them. Where a recording begins is told to the sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records.fingerprint import exact_name, fingerprint, measured_stretch
from cmelt.records.leads import select_leads
from cmelt.records.record import LEADS, Record
from cmelt.records.resample import resample
from cmelt.simulation import simulate


def squares(samples: int, every: int = 7) -> np.ndarray:
    """Square waves of whole microvolts, [12, samples]: no machine computes them differently."""
    places = np.arange(samples)
    rows = [((places // (every + lead)) % 2) * 0.5 + ((places * (lead + 3) % 101) < 9) for lead in range(12)]
    return np.stack(rows).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "samples", "every", "fixed"),
    [
        (500.0, 5000, 35, "f84ec88df005d9cc4b631ca7e33c7b1eada1fcc301a656047d772350d3fedf77"),
        (257.0, 2570, 18, "f0df437b4009ef2eb1f9fc5fb9e509630d010baea00a9882b2b99ca73d7f807a"),
        (199.5, 1995, 9, "24d33e5c94f845b9e769fe135785ea53ce09fea76b6ef058a08023995b20713e"),
        (1000.0, 5600, 70, "f85e83213f71ca913a3b105b1c548d5400000000000000000000000000000000"),
        (40.0, 400, 5, "b0427283f7ee1a875764088b03436b3992ea401ea8eff1a819da7d749ce4004b"),
    ],
)
def test_a_fixed_signal_s_fingerprint_stays_what_it_is_at_every_rate(rate, samples, every, fixed):
    assert fingerprint(Record(squares(samples, every), rate, LEADS)) == fixed


def test_below_forty_hertz_and_without_four_words_there_is_no_fingerprint():
    assert fingerprint(Record(squares(400, 5), 39.9, LEADS)) == ""
    whole = Record(squares(1300), 100.0, LEADS)
    assert fingerprint(select_leads(whole, ("V1", "V2"))).count("0000") >= 12
    assert fingerprint(select_leads(whole, ("V1",))) == ""
    five = replace(whole, signal=whole.signal[:, :600])
    assert fingerprint(select_leads(five, ("V1", "V2", "V3"))) == ""
    assert fingerprint(select_leads(five, ("V1", "V2", "V3", "V6")))[8:20] == fingerprint(whole)[8:20]


@pytest.mark.parametrize("lacking", ["I", "II"])
def test_one_of_the_first_two_leads_that_lacks_is_computed(lacking):
    whole = simulate(3, rate=250)
    rest = select_leads(whole, [lead for lead in LEADS if lead != lacking])
    place = 4 * ("I", "II").index(lacking)
    own, found = (fingerprint(one)[place : place + 4] for one in (whole, rest))
    assert found != "0000" and (int(own, 16) ^ int(found, 16)).bit_count() <= 1
    assert fingerprint(rest)[8:32] == fingerprint(whole)[8:32]


def test_what_follows_a_calibration_mark_takes_no_part():
    whole = Record(squares(1300), 100.0, LEADS)
    pulse = np.concatenate([whole.signal[:, :1000], np.ones((12, 90), np.float32)], axis=1)
    assert fingerprint(Record(pulse, 100.0, LEADS, calibration=90)) == fingerprint(replace(whole, signal=whole.signal[:, :1000]))


@pytest.mark.parametrize("rate", [100.0, 500.0])
def test_a_gap_of_a_tenth_of_five_seconds_is_bridged_and_a_longer_one_is_not(rate):
    record = simulate(3, rate=rate)
    start, tenth = round(1.5 * rate), round(0.5 * rate)
    for longer, measured in ((0, True), (round(0.1 * rate), False)):
        signal = record.signal.copy()
        signal[7, start : start + tenth + longer] = np.nan
        word = fingerprint(replace(record, signal=signal))[12:16]
        assert (word != "0000") == measured
        bridged = record.signal.copy()
        bridged[7, start : start + tenth] = np.linspace(signal[7, start - 1], record.signal[7, start + tenth], tenth + 2)[1:-1]
        if measured:
            other = fingerprint(replace(record, signal=bridged))[12:16]
            assert (int(word, 16) ^ int(other, 16)).bit_count() <= 1


def test_some_volts_bound_what_is_told_apart():
    record = simulate(3, rate=250)
    loud, louder = (np.where(record.signal > 0.1, np.float32(size), np.float32(-size)) for size in (1e5, 1e30))
    assert fingerprint(replace(record, signal=loud)) == fingerprint(replace(record, signal=louder)) != ""


@pytest.mark.parametrize("rate", [100.0, 250.0, 333.0])
def test_padding_counts_from_a_quarter_second_on_at_either_end(rate):
    quarter = round(0.25 * rate)
    body = np.random.default_rng(0).normal(size=(2, 900)).astype(np.float32)
    for before in (0, quarter - 1, quarter, quarter + 40):
        for after in (0, quarter - 1, quarter, quarter + 70):
            for fill in ("edge", "nothing"):
                padded = np.pad(body, ((0, 0), (before, after)), mode="edge")
                if fill == "nothing":
                    padded[:, :before], padded[:, padded.shape[1] - after :] = np.nan, np.nan
                # A lead at rest keeps its last value: where it first moves, the one before is the last of the padding.
                held = fill == "edge"
                begin = before + held if before + held >= quarter else 0
                end = 900 + before - held if after + held >= quarter else padded.shape[1]
                assert measured_stretch(padded, rate) == (begin, end), (before, after, fill)


def test_one_lead_that_moves_or_a_constant_record_is_seen():
    rng = np.random.default_rng(1)
    still = np.zeros((3, 500), np.float32)
    assert measured_stretch(still, 100.0) == (0, 0)
    assert measured_stretch(np.full((3, 500), np.nan, np.float32), 100.0) == (0, 0)
    assert measured_stretch(still[:, :25], 100.0) == (0, 25)
    assert measured_stretch(still[:, :26], 100.0) == (0, 0)
    still[1] = rng.normal(size=500)
    assert measured_stretch(still, 100.0) == (0, 500)
    back = rng.normal(size=(1, 500)).astype(np.float32)
    back[0, 24] = back[0, 0]  # the quarter second ends where it began, and moved meanwhile
    assert measured_stretch(back, 100.0) == (0, 500)


def test_exact_names_stay_what_they_are():
    whole = Record(squares(300), 100.0, LEADS)
    assert exact_name(whole) == "04a36b5b1ce633ecf5ca88717dc427096524a31928715ab598cd6c80f3fb2919"
    two = Record(squares(300)[:2], 62.5, ("V1", "II"))
    assert exact_name(two) == "c0534ca2f0a1711f6f74efcc001920827ac7c3f573d39f9d62861b6b31618f20"
    gap = squares(1000)
    gap[3, 5] = np.nan
    assert exact_name(Record(gap, 100.0, LEADS)) == "c28715080f65f3305ee9750af0a0bb928054dcafb01781fb7c1483789ae682c0"


def test_an_exact_name_is_of_leads_by_name_rate_length_and_microvolts():
    record = Record(squares(300) - np.float32(0.25), 100.0, LEADS)
    same = exact_name(record)
    assert exact_name(select_leads(record, LEADS[::-1])) == same
    assert exact_name(replace(record, signal=record.signal + np.float32(0.0002))) == same
    for other in (
        replace(record, signal=record.signal + np.float32(0.001)),
        replace(record, rate=101.0),
        replace(record, signal=record.signal[:, :299]),
        replace(record, leads=(*LEADS[:11], "V7")),
        select_leads(record, LEADS[:11]),
    ):
        assert exact_name(other) != same
    zero = Record(np.zeros((1, 9), np.float32), 100.0, ("I",))
    assert exact_name(replace(zero, signal=-zero.signal)) == exact_name(zero)


def test_the_fingerprint_begins_where_the_recording_does_at_any_rate():
    ecg = simulate(5, rate=500)
    for rate in (250.0, 360.0):
        signal = resample(ecg.signal, 500, rate)
        padded = np.pad(signal, ((0, 0), (round(0.9 * rate), 11)))
        assert fingerprint(Record(padded, rate, LEADS)) == fingerprint(Record(signal, rate, LEADS))
