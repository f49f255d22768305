"""Reports by language: PTB-XL's three, as a reader would call them."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from cmelt.text.language import CUES, UNKNOWN, language_of


@pytest.mark.parametrize(
    ("report", "language"),
    [
        ("sinusrhythmus lagetyp normal", "de"),
        ("VORHOFFLIMMERN linksschenkelblock", "de"),
        ("sinus rhythm. normal ecg.", "en"),
        ("atrial fibrillation with rapid ventricular response", "en"),
        ("sinusrytm eljest normalt ekg", "sv"),
        ("rythme sinusal, bloc de branche droit", "fr"),
        ("ritmo sinusal, bloqueo de rama derecha", "es"),
        ("ritmo sinusale, blocco di branca destra", "it"),
        ("ritmo sinusal, bloqueio de ramo direito", "pt"),
        ("sinusritme met rechts bundeltakblok", "nl"),
        ("窦性心律 正常心电图", "zh"),
        ("синусовый ритм", "ru"),
        ("4.46", UNKNOWN),
        ("", UNKNOWN),
        ("infarkt", UNKNOWN),
    ],
)
def test_a_report_is_told_by_its_words(report, language):
    assert language_of(report) == language


def test_every_cue_is_one_lower_case_word():
    for words in CUES.values():
        assert all(word == word.lower() and word.replace("-", "").isalpha() for word in words)


def test_reports_known_to_be_english_are_english(data_dir):
    with (data_dir / "report-text" / "ptbxl_fold10_english_500.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    column = "report"
    found = Counter(language_of(row[column]) for row in rows)
    assert found["en"] / len(rows) > 0.97, found


def test_few_reports_of_ptb_xl_stay_untold(data_dir):
    with (data_dir / "ptb-xl" / "ptbxl_database.csv").open(encoding="utf-8") as table:
        reports = [row["report"] for row in csv.DictReader(table)]
    found = Counter(map(language_of, reports))
    assert found[UNKNOWN] / len(reports) < 0.02, found
    assert set(found) == {"de", "en", "sv", UNKNOWN}, found
