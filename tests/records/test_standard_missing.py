"""Which leads of the standard form are missing: flat, full of gaps, not in the file and not to be derived."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.records.quality import is_flat, longest_gap
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import LONGEST_GAP_SECONDS, standardise
from ecg_files import heart


@pytest.mark.parametrize("seed", range(8))
def test_a_lead_is_missing_where_its_own_checks_say_so(seed):
    rng = np.random.default_rng(seed)
    signal = heart(seed, 250.0)
    for lead in rng.choice(12, 5, replace=False):
        kind = rng.integers(4)
        if kind == 0:
            signal[lead] = rng.normal(scale=0.002, size=2500)
        if kind == 1:
            signal[lead, 100 : 100 + rng.integers(1, 60)] = np.nan
        if kind == 2:
            signal[lead] = 0
            signal[lead, rng.choice(2500, rng.integers(1, 60), replace=False)] = 5
        if kind == 3:
            signal[lead, :2000] = np.nan
    standard = standardise(Record(signal, 250.0, LEADS), 250.0)
    expected = {
        lead for lead, row in zip(LEADS, signal, strict=True) if is_flat(row) or longest_gap(row) > LONGEST_GAP_SECONDS * 250
    }
    assert set(standard.missing) == expected
    gaps = {lead for lead, row in zip(LEADS, signal, strict=True) if np.isnan(row).any()} - expected
    assert {flag.split(":")[1] for flag in standard.flags if flag.startswith("interpolated:")} == gaps


def test_a_lead_that_derives_flat_is_missing():
    signal = heart()
    signal[1] = signal[0]  # II = I: III is nothing
    standard = standardise(Record(signal[[0, 1, 6]], 100.0, ("I", "II", "V1")), 100.0)
    assert "III" in standard.missing
    assert "derived:III" in standard.flags
    assert {"aVR", "aVL", "aVF"} & set(standard.missing) == set()


def test_an_empty_limb_lead_is_derived_and_present():
    signal = heart()
    signal[LEADS.index("aVL")] = np.nan
    standard = standardise(Record(signal, 100.0, LEADS), 100.0)
    assert standard.missing == ()
    assert np.allclose(standard.signal[LEADS.index("aVL")], heart()[LEADS.index("aVL")], atol=1e-5)
