"""What stands above and below an ECG on its page: scale, facts that name nobody, and what is wrong with the recording."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from cmelt.drawing.filtering import band_of
from cmelt.drawing.marks import SMALL_SIZE, width_of
from cmelt.drawing.paper import LONGEST, Paper
from cmelt.drawing.strips import MOST_OTHERS
from cmelt.records.flag_words import flags_in_words
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record

#: From this age on a person is one of few: no year is printed (as in the safe harbour of HIPAA, 45 CFR 164.514).
OLDEST = 90
OLDEST_EVER = 130
#: No interval, rate or angle is this large.
ABSURD = 1e5
#: Leads' names come out of files.
LONGEST_NAME, LONGEST_CLAUSE = 12, 200
_MEASURED = {
    "heart_rate_bpm": ("heart rate", "/min"), "p_ms": ("P", " ms"), "pr_ms": ("PR", " ms"), "qrs_ms": ("QRS", " ms"),
    "qt_ms": ("QT", " ms"), "qtc_ms": ("QTc", " ms"), "p_axis_deg": ("axis P", "°"), "qrs_axis_deg": ("axis QRS", "°"),
    "t_axis_deg": ("axis T", "°"),
}  # fmt: skip
_SEPARATOR = "   "


def scale_of(record: Record, paper: Paper) -> list[str]:
    """Speed, gain, rate, filter, and which stretch of the record is drawn."""
    low, high = band_of(record.rate)
    drawn = min(LONGEST, record.seconds - paper.start)
    whole = drawn >= record.seconds - 0.5 / record.rate
    return [
        f"{paper.speed:g} mm/s",
        f"{paper.gain:g} mm/mV",
        f"{record.rate:g} Hz",
        f"filter {low:g}–{high:g} Hz" if paper.filtered else "no filter added",
        f"{record.seconds:.4g} s" if whole else f"{paper.start:.4g} to {paper.start + drawn:.4g} of {record.seconds:.4g} s",
    ]


def facts_of(record: Record) -> list[str]:
    """Sex, age, what the device measured, leads it computed: nothing that says who it is, no report, no label, no file name."""
    facts = [record.sex] if record.sex in ("female", "male") else []
    if record.age is not None and 0 <= record.age <= OLDEST_EVER:
        facts.append(f"{OLDEST} years or older" if record.age >= OLDEST else f"{int(record.age)} years")
    for name, (words, unit) in _MEASURED.items():
        if name in record.measurements and abs(record.measurements[name]) < ABSURD:  # nor is NaN
            facts.append(f"{words} {record.measurements[name]:.0f}{unit}")
    derived = flags_in_words([f"derived:{lead}" for lead in record.derived])
    return facts + [printable(clause, LONGEST_CLAUSE) for clause in derived]


def faults_of(record: Record) -> list[str]:
    """What is wrong with the recording, and leads for which there is no room, as clauses. A computed lead is no fault."""
    further = sum(lead not in LEADS for lead in record.leads) - MOST_OTHERS
    passed_over = ("derived",) if any(lead in LEADS for lead in record.leads) else ("derived", "missing")
    shown = [flag for flag in quality_flags(record) if flag.partition(":")[0] not in passed_over]
    clauses = [printable(clause, LONGEST_CLAUSE) for clause in flags_in_words(shown)]
    return clauses + ([f"{further} further leads are not drawn"] if further > 0 else [])


def in_lines(parts: Iterable[str], width: float, separator: str = _SEPARATOR) -> list[str]:
    """Parts side by side, in as many lines as `width` mm of paper need; a part longer than a line is broken between words."""
    lines = [""]
    for part in parts:
        joined = lines[-1] + separator + part if lines[-1] else part
        if width_of(joined, SMALL_SIZE) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for word in part.split():
            longer = f"{lines[-1]} {word}" if lines[-1] else word
            if lines[-1] and width_of(longer, SMALL_SIZE) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return [line for line in lines if line]


def printable(text: str, longest: int = LONGEST_NAME) -> str:
    """A text out of a file, fit to be drawn: no control, format or private characters, on one line, not endless."""
    kept = "".join(" " if one.isspace() else one for one in text if one.isspace() or unicodedata.category(one)[0] != "C")
    kept = " ".join(kept.split())
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"
