"""Leads put right by what their flags say: the heart's own leads come back, and what is not told is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records import correction
from cmelt.records.correction import correct_leads
from cmelt.records.leads import select_leads
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate
from cmelt.simulation.torso import ELECTRODES, LEADS_FROM_ELECTRODES, electrodes_from_leads

EIGHT = ["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]


@pytest.fixture(scope="module")
def heart() -> Record:
    """A normal heart; its limb leads agree."""
    return simulate(20_003, [], rate=250)


def electrodes_exchanged(record: Record, one: str, other: str) -> Record:
    """By the electrodes' potentials: what a recorder writes with two of them exchanged."""
    electrodes = electrodes_from_leads(select_leads(record, EIGHT).signal.astype(np.float64))
    places = [{one: other, other: one}.get(name, name) for name in ELECTRODES]
    leads = LEADS_FROM_ELECTRODES @ electrodes[[ELECTRODES.index(name) for name in places]]
    return replace(record, signal=leads.astype(np.float32), leads=LEADS)


def with_names(record: Record, **names: str) -> Record:
    return replace(record, leads=tuple(names.get(lead, lead) for lead in record.leads))


def with_turned(record: Record, *leads: str) -> Record:
    signs = np.array([-1 if lead in leads else 1 for lead in record.leads], np.float32)
    return replace(record, signal=record.signal * signs[:, None])


FAULTS = {
    "arms-reversed": lambda one: electrodes_exchanged(one, "RA", "LA"),
    "electrodes-exchanged:right-arm/leg": lambda one: electrodes_exchanged(one, "RA", "LL"),
    "chest-reversed": lambda one: with_names(one, **{f"V{place}": f"V{7 - place}" for place in range(1, 7)}),
    "upside-down": lambda one: with_turned(one, *LEADS),
    "limb-swapped:II/aVL": lambda one: with_names(one, II="aVL", aVL="II"),
    "limb-inverted:aVF": lambda one: with_turned(one, "aVF"),
    "chest-swapped:V1/V5": lambda one: with_names(one, V1="V5", V5="V1"),
    "chest-inverted:V3": lambda one: with_turned(one, "V3"),
}


@pytest.mark.parametrize("flag", FAULTS)
def test_what_a_flag_names_is_undone_and_every_lead_is_the_heart_s_own_again(heart, flag):
    faulty = FAULTS[flag](heart)
    assert flag in quality_flags(faulty)
    found, undone = correct_leads(faulty)
    assert undone == (flag,)
    assert np.abs(select_leads(found, LEADS).signal - select_leads(heart, LEADS).signal).max() < 2e-3
    assert quality_flags(found) == quality_flags(heart)


def test_a_sound_record_comes_back_as_the_same_object(heart):
    found, undone = correct_leads(heart)
    assert found is heart and undone == ()


def test_two_faults_are_undone_one_after_the_other(heart):
    both = with_turned(electrodes_exchanged(heart, "RA", "LA"), "aVF")
    found, undone = correct_leads(both)
    assert undone == ("limb-inverted:aVF", "arms-reversed")
    assert np.abs(select_leads(found, LEADS).signal - select_leads(heart, LEADS).signal).max() < 2e-3


def test_exchanged_arms_are_put_right_where_the_file_has_no_third_limb_lead(heart):
    few = select_leads(electrodes_exchanged(heart, "RA", "LA"), ["I", "II", "V5", "V6"])
    found, undone = correct_leads(few)
    assert undone == ("arms-reversed",)
    assert set(found.leads) == {"I", "III", "V5", "V6"}  # what lies in the place of II was III
    assert np.abs(select_leads(found, ["III"]).signal - select_leads(heart, ["III"]).signal).max() < 2e-3


def test_leads_that_were_computed_are_known_by_their_new_names(heart):
    faulty = replace(electrodes_exchanged(heart, "RA", "LA"), derived=("III", "aVR"))
    assert correct_leads(faulty)[0].derived == ("II", "aVL")


def test_what_no_exchange_mends_is_left_as_it_came(heart):
    odd = replace(heart, leads=("V2", "aVL", "V6", "II", "V1", "aVF", "I", "V5", "aVR", "III", "V4", "V3"))
    assert "limb-inconsistent" in quality_flags(odd)
    found, undone = correct_leads(odd)
    assert found is odd and undone == ()


def test_a_record_that_stays_accused_whatever_is_undone_comes_back_as_it_came(heart, monkeypatch):
    monkeypatch.setattr(correction, "quality_flags", lambda record: ("upside-down",))
    found, undone = correct_leads(heart)
    assert found is heart and undone == ()


def test_the_left_arm_and_the_left_leg_exchanged_are_not_told_and_so_not_put_right(heart):
    faulty = electrodes_exchanged(heart, "LA", "LL")
    found, undone = correct_leads(faulty)
    assert found is faulty and undone == ()
