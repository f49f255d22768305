"""Reports that say the same are one group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.text import clean_report, groups, report_groups


def test_fault_7_identical_reports_share_a_group_whatever_the_machine_put_around_them() -> None:
    reports = [
        "sinusrhythmus normales ekg 4.46      unbestÄtigter bericht",
        "sinus rhythm. normal ecg.",
        "Sinusrhythmus normales EKG",
        "sinus rhythm. normal ecg",
    ]
    distinct, group = report_groups(reports)
    assert distinct == ["sinusrhythmus normales ecg", "sinus rhythm. normal ecg"]
    assert group.tolist() == [0, 1, 0, 1]
    assert group.dtype == np.int64


def test_no_reports_make_no_groups() -> None:
    distinct, group = report_groups([])
    assert distinct == []
    assert group.shape == (0,)


def test_groups_of_real_reports_lead_back_to_their_text(data_dir: Path) -> None:
    import pandas as pd

    table = pd.read_csv(data_dir / "ptb-xl" / "ptbxl_database.csv", usecols=["report", "strat_fold"])
    reports = table.report[table.strat_fold <= 8].tolist()[:3000]
    distinct, group = report_groups(reports)
    assert len(distinct) == len(set(distinct)) < len(reports) / 1.5
    assert all(distinct[number] == clean_report(report) for number, report in zip(group, reports, strict=True))


def test_what_was_said_before_is_not_cleaned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned: list[str] = []
    monkeypatch.setattr(groups, "clean_report", lambda report: cleaned.append(report) or clean_report(report))
    _, group = report_groups(["Sinus rhythm", "sinus rhythm.", "Sinus rhythm"] * 100)
    assert cleaned == ["Sinus rhythm", "sinus rhythm."]
    assert not group.any()
