"""Damaged files among good ones (benchmarks/faults/damaged_files.py): refused or flagged, each by name; every good one stored."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path.append(str(SCRIPTS))
from damage import EDITS, FIXED_BYTES, FORMATS, faults_of_content, random_edit  # noqa: E402
from damaged_files import (  # noqa: E402
    CRASHED,
    FLAGGED,
    MOST_SECONDS,
    NAMELESS,
    OTHER,
    REFUSED,
    SAME,
    SAMPLES,
    compared,
    heart_of,
    look,
    prepared,
    read_flagged,
    write_damaged,
    write_good,
)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """Two good files of each format, 200 damaged ones, and what became of each."""
    return struck(tmp_path_factory.mktemp("damaged"), 2 * len(FORMATS), 200)


def struck(root, good_count, damaged_count):
    good = write_good(root, good_count)
    damaged = list(write_damaged(root, good, damaged_count))
    originals = [read_flagged(root / place) for place in good]
    return root, good, damaged, [look(root / one.place, originals[one.original]) for one in damaged]


def test_a_fixed_fault_is_refused_or_flagged_or_does_not_touch_the_ecg(campaign):
    _, _, damaged, looks = campaign
    silent = [(one, of.told) for one, of in zip(damaged, looks, strict=True) if one.fixed and of.outcome in (SAMPLES, OTHER)]
    assert silent == []


def test_no_damage_crashes_a_reader_or_goes_unnamed_or_takes_long(campaign):
    _, _, damaged, looks = campaign
    assert [(one, of) for one, of in zip(damaged, looks, strict=True) if of.outcome in (CRASHED, NAMELESS)] == []
    assert max(of.seconds for of in looks) < MOST_SECONDS


def test_files_with_checksums_let_no_random_edit_of_their_samples_through(campaign):
    _, _, damaged, looks = campaign
    checked = ("MUSE XML", "MATLAB", "NumPy", "SCP-ECG")
    told = [of.outcome for one, of in zip(damaged, looks, strict=True) if one.format in checked and not one.fixed]
    assert len(told) > 20 and set(told) <= {REFUSED, FLAGGED, SAME}


def test_all_good_files_are_stored_and_all_others_are_named(campaign):
    root, good, damaged, _ = campaign
    figures, _ = prepared(root, damaged, good)
    assert [figure.met for figure in figures] == [True, True], figures


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_damaged_files_among_a_thousand_good_ones(tmp_path):
    root, good, damaged, looks = struck(tmp_path, 1000, 10_000)
    fixed = [of.outcome for one, of in zip(damaged, looks, strict=True) if one.fixed]
    assert set(fixed) <= {REFUSED, FLAGGED, SAME} and len(fixed) == 5000
    assert not {CRASHED, NAMELESS} & {of.outcome for of in looks}
    figures, _ = prepared(root, damaged, good)
    assert [figure.met for figure in figures] == [True, True], figures


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_s_good_file_is_read_without_a_new_flag(name, tmp_path):
    suffix, writer = FORMATS[name]
    record, flags = read_flagged(writer(tmp_path / f"good{suffix}", heart_of(3)))
    assert flags == set(quality_flags(Record(heart_of(3), 100.0, LEADS)))
    assert compared((record, flags), (record, flags)) == (SAME, "")


def test_what_differs_is_told_apart():
    truth = Record(heart_of(3), 100.0, LEADS)

    def outcome(signal=truth.signal, rate=100.0, leads=LEADS, flags=frozenset()):
        return compared((Record(signal, rate, leads), set(flags)), (truth, set()))[0]

    one = truth.signal.copy()
    one[3, 17] += np.float32(0.01)
    assert outcome(one) == SAMPLES
    assert outcome(truth.signal * np.float32(1.1)) == OTHER
    assert outcome(rate=101.0) == OTHER
    assert outcome(leads=(*LEADS[:10], "V7", "V8")) == OTHER
    assert outcome(signal=truth.signal[:, :-1]) == OTHER
    assert outcome(signal=truth.signal[[1, 0, *range(2, 12)]], leads=("II", "I", *LEADS[2:])) == SAME
    assert outcome(one, flags={"nan:V1"}) == FLAGGED


def test_every_edit_changes_what_it_is_given_and_every_fault_is_another():
    content = bytes(range(256)) * 8 + b"rate 100 Hz, gain 1000\n" * 20
    rng = np.random.default_rng(1)
    for _ in range(100):
        assert random_edit(content, rng)[1] != content
    for name, edit in EDITS.items():
        assert any(edit(content, rng) != content for _ in range(5)), name
    changed = [fault(content, rng) for fault in FIXED_BYTES.values()]
    assert content not in changed and len(set(changed)) == len(changed)
    signal = heart_of(1)
    for name in FORMATS:
        for fault, change in faults_of_content(name).items():
            assert not np.array_equal(change(signal.copy(), rng), signal), fault
