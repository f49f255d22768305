"""Cleaning takes the machine's adornments off and leaves what was said about the heart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmelt.text import clean_report, usable


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("sinusrhythmus normales ekg 4.46              unbestÄtigter bericht", "sinusrhythmus normales ecg"),
        ("schrittmacher EKG 4.46       unbestÄti", "schrittmacher ecg"),  # the field was full
        ("qrs(t) abnorm   inferiorer infarkt 4.4", "qrs(t) abnorm inferiorer infarkt"),
        ("linksbelastung 4.46    u", "linksbelastung"),
        ("hypertrophy or ischaemia not  excluded 4.40       unconfirmed report", "hypertrophy or ischaemia not excluded"),
        ("*** Atrial fibrillation *** =- abnormal ECG -- ", "atrial fibrillation abnormal ecg"),
        ("* armelektroden mÖglicherweise vertauscht", "armelektroden möglicherweise vertauscht"),
        ("r-s #bergang, kriterien f#r linkshypertrophie", "r-s übergang, kriterien für linkshypertrophie"),
        ("ventrikulär hypertrofi        !", "ventrikulär hypertrofi"),
        ("sinus rhythm..  normal ecg.", "sinus rhythm. normal ecg"),
        ("q waves in ii,,iii, avf .", "q waves in ii,iii, avf"),
        ("es uniform ,vorhof-es", "es uniform, vorhof-es"),
        ("st-hebung v1 - v4", "st-hebung v1-v4"),
        ("Sinus rhythm | Left axis deviation | Abnormal ECG", "sinus rhythm. left axis deviation. abnormal ecg"),
        ("Sinus rhythm\nLeft axis deviation.\r\nAbnormal ECG\n", "sinus rhythm. left axis deviation. abnormal ecg"),
        ("path.ekg, ruhe-ekg", "path.ecg, ruhe-ecg"),
        ("", ""),
        ("  ***  ", ""),
    ],
)
def test_adornments_come_off(raw: str, clean: str) -> None:
    assert clean_report(raw) == clean


@pytest.mark.parametrize(
    "kept",
    [
        "st-hebung v1-v4, v5",
        "2:1 av block is present",
        "sinus rhythm at 120 bpm",
        "pr interval 0.22",  # an interval at the end is no amplifier number
        "unduly short pr (<0.12 sec)",
        "uniform, >5/min",
        "vorhofflimmern/-flattern",
        "premature ventricular contraction(s)",
        "überdrehter linkstyp, qt-verlängerung, großes p, högersidigt skänkelblock, låg r",
        "inferiorer infarkt alter unbest",  # "age undetermined", not "unconfirmed"
        "st & t abnorm, wahrscheinlich inferiore ischämie",
        "atrial rate = 60/min",
    ],
)
def test_what_is_said_about_the_heart_stays(kept: str) -> None:
    assert clean_report(kept) == kept


@pytest.mark.parametrize(
    "raw",
    [
        "sinus rhythm. normal ecg. Edit: NORM 100, (NDT)",
        "sinus rhythm. normal ecg.consensus label derived from: {'IMI': 15.0, 'SR': 0.0},{'NORM': 50.0}",
    ],
)
def test_label_codes_in_the_report_are_not_shown_to_the_model(raw: str) -> None:
    assert clean_report(raw) == "sinus rhythm. normal ecg"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abcäöü ekgv1234,.;:-()*=!#|'\"46\n", max_size=80))
def test_cleaning_a_clean_report_changes_nothing(text: str) -> None:
    once = clean_report(text)
    assert clean_report(once) == once


def test_three_words_are_the_least_a_report_can_say_anything_in() -> None:
    assert usable("sinusrhythmus normales ecg")
    assert not usable("schrittmacher ecg")
    assert not usable("")


def test_a_report_that_nobody_has_read_is_not_usable() -> None:
    assert not usable(clean_report("trace only requested."))


def test_real_ptbxl_reports_lose_stamps_and_codes_but_hardly_a_word(data_dir: Path) -> None:
    import pandas as pd

    table = pd.read_csv(data_dir / "ptb-xl" / "ptbxl_database.csv", usecols=["report", "strat_fold"])
    raw = table.report[table.strat_fold <= 8].drop_duplicates().tolist()
    cleaned = [clean_report(report) for report in raw]
    joined = "\n".join(cleaned)
    assert not re.search(r"unbestätig|unconfirm|4\.4\d|\bedit\b|consensus label|[*!#]|  ", joined)
    assert joined == joined.lower()
    lost = [len(before.split()) - len(after.split()) for before, after in zip(raw, cleaned, strict=True)]
    plain = [n for n, before in zip(lost, raw, strict=True) if not re.search(r"\d\.\d|[A-Z]{3}|[*!#½]|unbest", before)]
    assert sum(n > 1 for n in plain) / len(plain) < 0.05  # loose hyphens and commas only
    assert sum(usable(report) for report in cleaned) / len(cleaned) > 0.99
