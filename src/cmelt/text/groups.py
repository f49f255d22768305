"""Which reports say the same: the unit in which negatives are counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmelt.text.cleaning import clean_report


def report_groups(reports: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The distinct cleaned reports, and for each report the number of its own.

    Two records of one group carry the same words, so neither report is a negative of the other's ECG (78 % of MIMIC-IV-ECG's
    reports are repeats).

    Args:
        reports: n reports, cleaned or not.

    Returns:
        distinct: the N different cleaned reports in order of first appearance (an empty one among them where it occurs).
        group: int64 [n], `distinct[group[i]] == clean_report(reports[i])`.
    """
    numbers: dict[str, int] = {}
    known: dict[str, int] = {}  # what was said before need not be cleaned again, which is nearly all of the work
    group = np.empty(len(reports), dtype=np.int64)
    for row, report in enumerate(reports):
        if report not in known:
            known[report] = numbers.setdefault(clean_report(report), len(numbers))
        group[row] = known[report]
    return list(numbers), group
