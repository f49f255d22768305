"""Leads by name; limb leads against one another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.errors import RecordError
from cmelt.records.leads import check_limb_leads, derive_limb_leads, lead_name, select_leads
from cmelt.records.record import LEADS, LIMB_LEADS
from ecg_files import heart, record

PAIRS = list(combinations(LIMB_LEADS, 2))


@pytest.mark.parametrize("lead", LEADS)
def test_every_spelling_of_a_lead_is_the_lead(lead):
    for spelling in (
        lead,
        lead.upper(),
        lead.lower(),
        f" {lead} ",
        f"MDC_ECG_LEAD_{lead.upper()}",
        f"Lead {lead}",
        f"ECG {lead}",
    ):
        assert lead_name(spelling) == lead


def test_arabic_numerals_are_limb_leads_and_unknown_names_stay():
    assert [lead_name(f"Lead {number}") for number in (1, 2, 3)] == ["I", "II", "III"]
    assert lead_name(" V7 ") == "V7"
    assert lead_name("MCL1") == "MCL1"
    # Channel numbers and columns of tables are no leads.
    assert [lead_name(name) for name in ("ECG_1", "ECG 2", "3")] == ["ECG_1", "ECG 2", "3"]


def test_leads_are_selected_by_name_and_not_by_place():
    order = ("I", "II", "III", "aVF", "aVL", "aVR", *LEADS[6:])  # as MUSE and CODE write them
    mixed = record(leads=order)
    assert np.array_equal(select_leads(mixed, LEADS).signal, heart())
    assert select_leads(mixed, ("V2", "aVR")).leads == ("V2", "aVR")


def test_a_lead_that_is_not_there_is_named():
    with pytest.raises(RecordError, match="no lead V3"):
        select_leads(record(leads=("I", "II")), ("I", "V3"))


@pytest.mark.parametrize("pair", PAIRS, ids="/".join)
def test_an_exchanged_pair_of_limb_leads_is_named(pair):
    names = list(LEADS)
    a, b = (LEADS.index(lead) for lead in pair)
    names[a], names[b] = names[b], names[a]
    check = check_limb_leads(heart(3), names)
    assert not check.consistent
    assert set(check.swapped) == set(pair)


@pytest.mark.parametrize("lead", LIMB_LEADS)
def test_a_turned_lead_is_named(lead):
    signal = heart(3)
    signal[LEADS.index(lead)] *= -1
    assert check_limb_leads(signal, LEADS).inverted == lead


def test_limb_leads_of_another_recording_are_inconsistent_and_nobody_is_accused():
    signal = heart(3)
    signal[2], signal[4] = heart(4)[2], heart(5)[4]
    check = check_limb_leads(signal, LEADS)
    assert (check.consistent, check.swapped, check.inverted) == (False, None, None)


def test_offsets_and_gaps_do_not_make_limb_leads_inconsistent():
    signal = heart(3) + np.arange(12, dtype=np.float32)[:, None] * 30
    signal[1, 100:130] = np.nan
    assert check_limb_leads(signal, LEADS).error < 0.001


def test_two_limb_leads_cannot_be_checked():
    check = check_limb_leads(heart()[[0, 1, 6]], ("I", "II", "V1"))
    assert check.consistent
    assert np.isnan(check.error)


@given(st.sampled_from(PAIRS), st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_any_two_limb_leads_determine_the_other_four(pair, seed):
    whole, added = derive_limb_leads(record(seed, leads=(*pair, "V1")))
    assert set(added) == set(LIMB_LEADS) - set(pair)
    assert np.allclose(select_leads(whole, LIMB_LEADS).signal, heart(seed)[:6], atol=1e-5)


def test_one_limb_lead_determines_nothing():
    whole, added = derive_limb_leads(record(leads=("II", "V1", "V5")))
    assert added == ()
    assert whole.leads == ("II", "V1", "V5")
