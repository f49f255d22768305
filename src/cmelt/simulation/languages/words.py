"""The words of one language: all that a report is made of, read from one YAML file beside this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cmelt.config.parsing import from_mapping, read_yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Phrases:
    """How a condition is put into words. "{q}" and the like stand for lists of leads (`leads.LeadFindings`).

    Attributes:
        statements: a recorder's, short.
        clinical: noun phrases that can stand alone or after a colon.
        short: abbreviations.
        features: what is seen.
        held_out: phrases for prompts that no report contains.
    """

    statements: tuple[str, ...]
    clinical: tuple[str, ...]
    short: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """A language: its keys are those of the YAML file.

    Attributes:
        share: how often each register is used: statements, notes, sentences.
        sinus, sinus_regular: sinus rhythm, in general and where it is regular without premature beats;
            sinus_short: in notes.
        rate, pr, qrs, qt, axis_degrees: shapes with a place for each number.
        axis, axis_share: words by `registers.axis_type`, and how often a statement register tells it.
        hedges: shapes that put a finding in doubt.
        normal, otherwise_normal, abnormal, borderline: verdicts.
        separators, note_separators: what stands between statements, each with how often.
        first, more, rhythm_sentence, with_feature, both: shapes of sentences.
        chest_lists: how chest leads are listed: "range" (V4-V6), "short_range" (V4-6), "commas" (V4,5,6).
        seen: shapes that tell in which leads something is seen, by finding.
        negations, normal_findings: by the English statement of `negation.py`, which knows when it is true.
        conditions: phrases by the condition's name.
        respelled, respelled_share: letters that some reports write otherwise, and how many reports do.
    """

    share: dict[str, float]
    sinus: tuple[str, ...]
    sinus_regular: tuple[str, ...]
    sinus_short: tuple[str, ...]
    rate: tuple[str, ...]
    pr: tuple[str, ...]
    qrs: tuple[str, ...]
    qt: tuple[str, ...]
    axis_degrees: tuple[str, ...]
    axis: dict[str, tuple[str, ...]]
    axis_share: float
    hedges: tuple[str, ...]
    normal: tuple[str, ...]
    otherwise_normal: tuple[str, ...]
    abnormal: tuple[str, ...]
    borderline: tuple[str, ...]
    separators: dict[str, float]
    note_separators: dict[str, float]
    first: tuple[str, ...]
    more: tuple[str, ...]
    rhythm_sentence: tuple[str, ...]
    with_feature: tuple[str, ...]
    both: tuple[str, ...]
    chest_lists: tuple[str, ...]
    seen: dict[str, tuple[str, ...]]
    negations: dict[str, tuple[str, ...]]
    normal_findings: dict[str, tuple[str, ...]]
    conditions: dict[str, Phrases]
    respelled: dict[str, str] = field(default_factory=dict)
    respelled_share: float = 0.0


@lru_cache(maxsize=8)
def words_of(language: str) -> Words:
    """The words of "de" or another language that has a file here, read once a process."""
    path = FOLDER / f"{language}.yaml"
    return from_mapping(Words, read_yaml(path), path)
