"""What of a report is language: cleaning, and whether enough is left to learn from.

The traps are those of PTB-XL (1980s ECG machines, German, English, Swedish) and of MIMIC-IV-ECG's machine statements.
"""

from __future__ import annotations

import re
import unicodedata

FEWEST_WORDS = 3

# Reviewers' codes and the dataset's consensus codes were appended to 2 % of PTB-XL's reports ("Edit: NORM 100, (NDT)",
# "consensus label derived from: {'IMI': 15.0}"). These are the labels: a model that reads them is told the answer.
_LABEL_CODES = re.compile(r"\s*(?:\bedit\s*:|consensus label derived from\s*:).*$", re.DOTALL)

# The amplifier's version ("4.46", cut to "4.4" where the field was full) and the stamp behind it, itself cut at any letter.
# An interval in seconds ("0.22") starts with a zero and stays.
_AMPLIFIER = re.compile(r"(?<![\w.,:])(?:[1-9]\.\d\d|4\.4)\s*(?:u(?:n\w*)?(?:\s+[br]\w*)?)?[\s.]*$")
_STAMP = re.compile(r"\bunbestätigter\s+bericht\b|\bunconfirmed\s+(?:report|diagnosis)\b|\bunconfirmed(?=\W*$)")

_ADORNMENT = re.compile(r"\*+|=-|-=|-{2,}|={2,}|_{2,}|!+|ó[¬©¿½]|[`\\|¬©¿]")
# Machine statements set side by side, "sinus rhythm | left axis deviation", or one a line, as vendors' files have them.
_STATEMENT_BAR = re.compile(r"\s+\|+\s+|\s*[\r\n]+\s*")
_LEAD_RANGE = re.compile(r"\b(v[1-6]) ?- ?(v?[1-6])\b")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"})

# "f#r", "r-s #bergang": the machine's ü in a character set that was lost.
_LOST_UMLAUT = re.compile(r"#(?=[a-zäöüß])")

# The fifth most frequent report of PTB-XL; it says that nobody has read the ECG.
_FINDING_FREE = frozenset({"trace only requested"})


def clean_report(report: str) -> str:
    """The report as the model reads it: lower case, one line, machine adornments and label codes off.

    Lead ranges ("v1-v4"), ratios ("2:1"), intervals ("0.24 sec") and rates ("120 bpm") stay as they are, so do umlauts. Cleaning
    a clean report changes nothing. An empty string comes back where nothing was said.

    Example:
        >>> clean_report("Sinusrhythmus  normales EKG 4.46       unbestÄtigter Bericht")
        'sinusrhythmus normales ecg'
    """
    text = unicodedata.normalize("NFC", report.lower()).translate(_QUOTES)
    # What comes off can lay bare what was behind it ("4.46 *** ."): until nothing more does.
    while (less := _clean_once(text)) != text:
        text = less
    return text


def usable(report: str) -> bool:
    """Whether a cleaned report has at least three words and says something about the ECG."""
    return len(report.split()) >= FEWEST_WORDS and report not in _FINDING_FREE


def _clean_once(text: str) -> str:
    text = _LABEL_CODES.sub("", text)
    text = _LOST_UMLAUT.sub("ü", text)
    text = _ADORNMENT.sub(" ", _STATEMENT_BAR.sub(". ", text))
    text = _STAMP.sub(" ", _AMPLIFIER.sub("", text))
    return _tidy(text.replace("ekg", "ecg"))


def _tidy(text: str) -> str:
    """Single spaces; lead ranges closed up; no doubled, orphaned, leading or trailing punctuation."""
    text = re.sub(r"\s+", " ", text)
    text = _LEAD_RANGE.sub(r"\1-\2", text)
    text = re.sub(r" +([.,;])(?=[^\W\d])", r"\1 ", text)
    text = re.sub(r" +(?=[.,;](?:\s|$))", "", text)
    text = re.sub(r"([.,;:])(?:\s*[.,;])+(?=\s|$)|(,)(?=,)", r"\1", text)
    # A sign with nothing on either side binds nothing; "=" and "+" do ("rate = 74/min").
    text = re.sub(r"(?<=\s)[-.,;:/\"'](?=\s)", "", f" {text} ")
    text = re.sub(r"\(\s*\)|\[\s*\]", "", text)
    text = re.sub(r"\s+", " ", text)
    return text.strip(" .,;:-/=")
