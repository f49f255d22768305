"""Records upside down, chest leads turned or exchanged: found in hearts that were not fitted on, and sound ones left alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest

from cmelt.records.beats import beats_of
from cmelt.records.chest_leads import chest_fault
from cmelt.records.flag_words import DOUBTFUL, in_words
from cmelt.records.leads import select_leads
from cmelt.records.polarity import (
    _EXPECTED,
    ALL_NEEDED,
    CHEST,
    against_order,
    beat_gram,
    is_upside_down,
    unlikeness,
    uprightness,
)
from cmelt.records.quality import quality_flags
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

ROWS = {lead: LEADS.index(lead) for lead in ALL_NEEDED}
KINDS = ("upside-down", "chest-inverted", "chest-swapped", "chest-reversed")


@cache
def hearts(rate: int = 100, count: int = 40) -> tuple[Record, ...]:
    return tuple(simulate(seed, rate=rate) for seed in range(20_000, 20_000 + count))


def flags_of(record: Record) -> list[str]:
    return [flag for flag in quality_flags(record) if flag.startswith(KINDS)]


def turned(record: Record, *leads: str) -> Record:
    signs = np.array([-1.0 if lead in leads else 1.0 for lead in record.leads], np.float32)
    return replace(record, signal=record.signal * signs[:, None])


def exchanged(record: Record, one: str, other: str) -> Record:
    names = {one: other, other: one}
    return replace(record, signal=record.signal[[LEADS.index(names.get(lead, lead)) for lead in LEADS]])


def arms_exchanged(record: Record) -> Record:
    return turned(exchanged(exchanged(record, "II", "III"), "aVR", "aVL"), "I")


@pytest.mark.parametrize("rate", [100, 500])
def test_a_record_upside_down_is_found_and_a_right_one_is_not(rate):
    normal = [simulate(seed, [], rate=rate) for seed in range(20_000, 20_030)]
    assert np.mean([flags_of(turned(one, *LEADS)) == ["upside-down"] for one in normal]) >= 0.95
    assert not any(flags_of(one) for one in normal)
    some = hearts(rate)  # of whatever condition
    assert np.mean([flags_of(turned(one, *LEADS)) == ["upside-down"] for one in some]) >= 0.75
    assert sum(bool(flags_of(one)) for one in some) <= 2


@pytest.mark.parametrize("lead", CHEST)
def test_a_chest_lead_turned_is_named(lead):
    found = [flags_of(turned(one, lead)) for one in hearts()]
    assert np.mean([flags == [f"chest-inverted:{lead}"] for flags in found]) >= 0.75


@pytest.mark.parametrize(("one", "other"), [("V1", "V4"), ("V1", "V5"), ("V2", "V5"), ("V2", "V6")])
def test_chest_leads_far_apart_under_each_other_s_names_are_named(one, other):
    found = [flags_of(exchanged(record, one, other)) for record in hearts()]
    assert np.mean([flags == [f"chest-swapped:{one}/{other}"] for flags in found]) >= 0.5


def reversed_chest(record: Record) -> Record:
    return replace(record, signal=record.signal[[*range(6), *range(11, 5, -1)]])


@pytest.mark.parametrize("rate", [100, 500])
def test_chest_leads_in_reverse_are_found_and_called_neither_exchanged_arms_nor_upside_down(rate):
    normal = [quality_flags(reversed_chest(simulate(seed, [], rate=rate))) for seed in range(20_000, 20_030)]
    assert np.mean(["chest-reversed" in flags for flags in normal]) >= 0.9
    found = [quality_flags(reversed_chest(one)) for one in hearts(rate)]  # of whatever condition
    assert np.mean(["chest-reversed" in flags for flags in found]) >= 0.5
    told = [flags for flags in found if "chest-reversed" in flags]
    assert not any(set(flags) & {"arms-reversed", "upside-down"} for flags in told)


def test_a_right_heart_that_is_too_strong_is_not_taken_for_chest_leads_in_reverse():
    strong = [quality_flags(simulate(seed, ["right-ventricular-hypertrophy"], rate=100)) for seed in range(30_000, 30_040)]
    assert sum("chest-reversed" in flags for flags in strong) <= 2


def test_the_order_of_the_chest_leads_speaks_against_itself_in_reverse_and_knows_nothing_of_limb_leads():
    for record in hearts(100, 5):
        right, wrong = (against_order(uprightness(beats_of(one), ROWS)) for one in (record, reversed_chest(record)))
        np.testing.assert_allclose(right, -wrong, atol=1e-5)
        assert right.shape == (6, 3)


def test_exchanged_arms_are_still_called_that():
    found = [quality_flags(arms_exchanged(one)) for one in hearts()]
    assert np.mean(["arms-reversed" in flags for flags in found]) >= 0.9
    assert np.mean([any(flag.startswith(KINDS) for flag in flags) for flags in found]) <= 0.06


def test_turning_all_leads_turns_what_speaks_for_it_and_says_nothing_of_single_chest_leads():
    for record in hearts(100, 5):
        right, wrong = beats_of(record), beats_of(turned(record, *LEADS))
        np.testing.assert_allclose(uprightness(right, ROWS), -uprightness(wrong, ROWS), atol=1e-5)
        np.testing.assert_allclose(beat_gram(right, ROWS), beat_gram(wrong, ROWS), atol=1e-6)
        assert chest_fault(right, ROWS) == chest_fault(wrong, ROWS)
        assert not (is_upside_down(right, ROWS) and is_upside_down(wrong, ROWS))


def test_undoing_a_fault_gives_back_what_was_there():
    """The ratio with fault k undone is the inverse of what the fault made worse, for each of the 21."""
    record = hearts()[0]
    right = beat_gram(beats_of(record), ROWS)
    faults = [*(turned(record, lead) for lead in CHEST), *(exchanged(record, *pair) for pair in combinations(CHEST, 2))]
    made_worse = unlikeness(right, _EXPECTED)
    for place, fault in enumerate(faults):
        undone = unlikeness(beat_gram(beats_of(fault), ROWS), _EXPECTED)[place]
        assert undone == pytest.approx(1 / made_worse[place], rel=0.02), place


def test_without_the_leads_that_tell_or_with_limb_leads_at_fault_nothing_is_said():
    upside = turned(simulate(3, [], rate=100), *LEADS)
    assert flags_of(upside) == ["upside-down"]
    assert flags_of(select_leads(upside, LEADS[:11])) == []
    flat = upside.signal.copy()
    flat[11] = 0
    assert flags_of(replace(upside, signal=flat)) == []
    assert flags_of(exchanged(upside, "I", "II")) == [] and "limb-swapped:I/II" in quality_flags(exchanged(upside, "I", "II"))
    assert flags_of(replace(upside, signal=upside.signal[:, :250])) == [], "too few beats"


def test_order_of_leads_and_size_do_not_matter():
    record = turned(hearts()[1], "V3")
    backwards = replace(record, signal=record.signal[::-1].copy(), leads=record.leads[::-1])
    for other in (record, backwards, replace(record, signal=record.signal * np.float32(0.4))):
        assert flags_of(other) == flags_of(record) == ["chest-inverted:V3"]


def test_such_a_record_is_doubtful_and_told_in_words():
    assert set(KINDS) <= set(DOUBTFUL)
    assert in_words("upside-down") == "the whole record looks upside down"
    assert in_words("chest-inverted:V3") == "V3 looks inverted" and in_words("chest-swapped:V1/V2") == "V1 and V2 look exchanged"
    assert in_words("chest-reversed") == "V1 to V6 look as if in reverse"


def test_real_ones_are_found(data_dir):
    records = [read_ecg(path) for path in sorted((data_dir / "ptb-xl/records100/01000").glob("*.hea"))[:120]]
    assert np.mean([flags_of(turned(one, *LEADS)) == ["upside-down"] for one in records]) >= 0.93
    assert np.mean([flags_of(turned(one, "V4")) == ["chest-inverted:V4"] for one in records]) >= 0.9
    assert np.mean([flags_of(reversed_chest(one)) == ["chest-reversed"] for one in records]) >= 0.75
    assert np.mean([bool(flags_of(one)) for one in records]) <= 0.02
