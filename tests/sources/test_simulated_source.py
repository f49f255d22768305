"""Simulated ECGs as a source."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cmelt.errors import ConfigError, SourceError
from cmelt.sources.simulated import Simulated


def test_patients_come_one_and_a_half_times():
    entries = Simulated(3000).entries().entries
    visits = Counter(entry.patient for entry in entries)
    assert len(visits) == 2000
    assert max(visits.values()) >= 3


def test_patients_may_be_given():
    assert len({entry.patient for entry in Simulated(50, patients=10).entries().entries}) == 10


def test_more_records_of_the_same_patients_begin_with_the_same_ones():
    few, many = (Simulated(records, patients=20, seed=4).entries().entries for records in (30, 60))
    assert many[:30] == few


def test_seeds_differ_and_repeat():
    first = Simulated(2, seed=1)
    one, again, other = first.entries(), Simulated(2, seed=1).entries(), Simulated(2, seed=2).entries()
    assert one == again
    assert {entry.place for entry in one.entries}.isdisjoint(entry.place for entry in other.entries)
    assert np.array_equal(first.read(one.entries[0]).signal, first.read(again.entries[0]).signal)


def test_rate_and_length_are_those_asked_for():
    source = Simulated(1, rate=250, seconds=4)
    record = source.read(source.entries().entries[0])
    assert (record.rate, record.signal.shape) == (250, (12, 1000))
    assert record.report
    assert record.labels
    assert all(label.startswith("sim:") for label in record.labels)


@pytest.mark.parametrize("wrong", [{"records": 0}, {"records": 1, "patients": -1}, {"records": 1, "seed": -1}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(SourceError):
        Simulated(**wrong)


def test_languages_are_in_the_manifest_and_english_alone_leaves_it_as_it_was():
    assert "languages" not in Simulated(1).settings
    assert Simulated(1, languages=("de", "en")).settings["languages"] == "de,en"


def test_languages_change_reports_and_no_signal():
    plain, german = Simulated(3, seed=5), Simulated(3, seed=5, languages=("de",))
    for entry in plain.entries().entries:
        one, other = plain.read(entry), german.read(entry)
        assert one.report != other.report
        assert np.array_equal(one.signal, other.signal)


def test_unknown_languages_are_refused():
    with pytest.raises(ConfigError, match="en-statements"):
        Simulated(1, languages=("fr",))
