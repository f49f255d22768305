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


def test_what_is_not_known_is_told_as_it_is():
    assert in_words("new-flag:V1") == "new-flag:V1"
    assert flags_in_words([]) == []


def test_doubtful_flags_are_flags():
    assert all(in_words(flag) != flag for flag in DOUBTFUL)
