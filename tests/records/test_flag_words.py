"""Flags in words: each flag that this package sets has its clause; those of one kind are told together."""

from __future__ import annotations

import re
from pathlib import Path

import cmelt.records
from cmelt.records.flag_words import DOUBTFUL, flags_in_words, in_words


def flags_set_in_the_code() -> set[str]:
    """What stands before the colon, or alone, in every flag that the room sets."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(cmelt.records.__file__).parent.glob("*.py")))
    told = set(re.findall(r'f"([a-z]+(?:-[a-z]+)*):\{', code))
    records = {"short", "poor-quality", "drifting", "low-voltage", "high-voltage", "unit-suspect", "padded", "cropped"}
    return told | records | {"arms-reversed", "limb-inconsistent"}


def test_each_flag_that_is_set_has_words():
    for flag in sorted(flags_set_in_the_code()):
        assert in_words(f"{flag}:V1") != f"{flag}:V1", flag


def test_flags_of_one_kind_are_one_clause():
    told = flags_in_words(["flat:V1", "noisy:II", "flat:V2", "limb-swapped:I/II", "rate-suspect:×2", "short"])
    clauses = ["V1, V2 are flat", "II is noisy", "I and II look exchanged"]
    assert told == [*clauses, "the stated sampling rate looks wrong: twice the true one", "shorter than 5 s"]


def test_each_kind_names_its_leads_pairs_and_figures_in_its_own_way():
    assert in_words("electrodes-exchanged:right-arm/leg") == "electrodes look exchanged: right-arm and leg"
    assert flags_in_words(["duplicated:V1/V2", "duplicated:V3/V4"]) == ["V1 and V2; V3 and V4 hold the same samples"]
    assert flags_in_words(("chest-swapped:V1/V2", "limb-swapped:I/II")) == ["V1 and V2 look exchanged", "I and II look exchanged"]
    assert flags_in_words(["rate-suspect:÷2"]) == ["the stated sampling rate looks wrong: half the true one"]
    assert flags_in_words(["rate-suspect:×3"]) == ["the stated sampling rate looks wrong: ×3"]
    assert flags_in_words(["mains:50", "nan:V1", "nan:V2", "nan:V3"]) == ["50 Hz hum of the mains", "V1, V2, V3 have gaps"]
    assert flags_in_words(["chest-inverted:V1", "chest-inverted:V4"]) == ["V1, V4 look inverted"]
    assert in_words("interpolated:V1") == "short gaps of V1 are bridged" and in_words("dropout:I").startswith("I has a second")
    assert in_words("arms-reversed") == "the arm electrodes look reversed"


def test_what_is_not_known_is_told_as_it_is():
    assert in_words("new-flag:V1") == "new-flag:V1"
    assert flags_in_words([]) == [] and flags_in_words(["new-flag:V1", "short"]) == ["new-flag", "shorter than 5 s"]


def test_doubtful_flags_are_flags():
    assert all(in_words(flag) != flag for flag in DOUBTFUL)
