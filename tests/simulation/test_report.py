"""Reports: true, varied, and silent about the held-out phrases."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from cmelt.simulation import CONDITIONS, EXTENDED, HELD_OUT_PHRASES, simulate
from cmelt.simulation.negation import NEGATIONS, NORMAL_FINDINGS


@pytest.fixture(scope="module")
def many():
    """many(n) → n drawn records; their signals are left out (flat), for a report does not depend on them."""
    import importlib

    module = importlib.import_module("cmelt.simulation.simulate")
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "_recorded", lambda *_: np.zeros((12, 1), dtype=np.float32))
    cache: list = []

    def of(count):
        cache.extend(simulate(seed) for seed in range(len(cache), count))
        return cache[:count]

    yield of
    patch.undo()


def phrases(name):
    wording = CONDITIONS[name].wording
    return [p.lower() for p in (*wording.machine, *wording.clinical, *wording.short, *wording.features)]


def test_three_held_out_phrases_a_condition():
    assert set(HELD_OUT_PHRASES) == set(CONDITIONS)
    assert all(len(found) >= 3 for found in HELD_OUT_PHRASES.values())
    everything = [phrase.lower() for found in HELD_OUT_PHRASES.values() for phrase in found]
    assert len(set(everything)) == len(everything)


def test_no_report_contains_a_held_out_phrase(many):
    text = "\n".join(record.report for record in many(3000)).lower()
    assert not [phrase for found in HELD_OUT_PHRASES.values() for phrase in found if phrase.lower() in text]


def test_no_wording_contains_a_held_out_phrase():
    said = "\n".join(p for name in CONDITIONS for p in phrases(name))
    assert not [phrase for found in HELD_OUT_PHRASES.values() for phrase in found if phrase.lower() in said]


def test_nearly_all_words_of_held_out_phrases_occur_in_reports(many):
    words = set(re.findall(r"[a-z0-9:]+", "\n".join(record.report for record in many(3000)).lower()))
    asked = [w for found in HELD_OUT_PHRASES.values() for p in found for w in re.findall(r"[a-z0-9:]+", p.lower())]
    assert np.mean([w in words for w in asked]) > 0.95


def test_most_reports_are_unlike_any_other(many):
    reports = [record.report for record in many(3000)]
    assert len(set(reports)) > 0.94 * len(reports)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # 80 s on an idle core, many times that on a busy one
def test_distinct_reports_run_to_tens_of_thousands(many):
    assert len({record.report for record in many(30000)}) > 25000


def test_findings_are_left_out_of_at_most_a_tenth_of_the_reports(many):
    held, told = Counter(), Counter()
    for record in many(3000):
        text = record.report.lower()
        names = [label.removeprefix("sim:") for label in record.labels]
        for name in names:
            # what is implied by another (flutter by flutter 2:1) is told by its words
            tellers = [name, *(other for other in names if name in CONDITIONS[other].implies)]
            held[name] += 1
            told[name] += any(phrase in text for teller in tellers for phrase in phrases(teller))
    assert sum(told.values()) / sum(held.values()) > 0.95
    assert {name for name in held if held[name] >= 50 and told[name] < 0.9 * held[name]} == set()
    assert sum(told.values()) < sum(held.values())  # and some are left out, as in life


def test_only_normal_records_are_called_normal(many):
    for record in many(3000):
        text = record.report.lower()
        called = any(p in text for p in ("normal ecg", "within normal limits", "a normal tracing", "healthy tracing"))
        if called and "abnormal ecg" not in text:
            assert record.labels == ("sim:normal",)


def test_what_is_denied_is_absent(many):
    """No report says "no atrial fibrillation" of a record that has it; the same for every negation that names a condition."""
    denied = {
        "no atrial fibrillation": {"atrial-fibrillation"},
        "no bundle branch block": {
            "left-bundle-branch-block",
            "right-bundle-branch-block",
            "incomplete-right-bundle-branch-block",
        },
        "no av block": {name for name in CONDITIONS if "av-block" in name},
        "no st elevation": {name for name in CONDITIONS if name.startswith("acute") or name == "pericarditis"},
        "no st depression": {"ischaemic-st-depression", "acute-inferior-infarction"},
        "no premature beats": {name for name in CONDITIONS if "premature" in name or "eminy" in name},
        "no delta wave": {"wolff-parkinson-white"},
        "no qt prolongation": {"long-qt"},
        "no axis deviation": {"left-axis-deviation", "right-axis-deviation"},
        "no t wave inversion": {"t-wave-inversion"},
        "no ventricular hypertrophy": {"left-ventricular-hypertrophy", "right-ventricular-hypertrophy"},
        "normal axis": {"left-axis-deviation", "right-axis-deviation"},
        "normal p waves": {"atrial-fibrillation", "left-atrial-enlargement", "right-atrial-enlargement"},
        "narrow qrs complexes": {"left-bundle-branch-block", "right-bundle-branch-block", "paced-rhythm"},
    }
    seen = Counter()
    for record in many(3000):
        text = record.report.lower()
        names = {label.removeprefix("sim:") for label in record.labels}
        for statement, absent in denied.items():
            if re.search(rf"(?<!ab){statement}", text):
                seen[statement] += 1
                assert names.isdisjoint(absent), statement
    assert set(seen) == set(denied)


def test_negations_name_groups_that_exist():
    known = set().union(*(c.groups for c in EXTENDED.values()))
    for statement, absent in (*NEGATIONS, *NORMAL_FINDINGS):
        assert set(absent) <= known, statement


def test_excluded_and_implied_names_exist():
    known = set().union(*(c.groups for c in EXTENDED.values()))
    for condition in EXTENDED.values():
        assert set(condition.excludes) <= known, condition.name
        assert set(condition.implies) <= set(EXTENDED), condition.name


def test_numbers_in_reports_are_the_truth(many):
    quoted = 0
    for record in many(2000):
        for pattern, key in ((r"PR (?:interval )?(\d+)", "pr_ms"), (r"QRS (?:duration )?(\d+)", "qrs_ms")):
            for number in re.findall(pattern, record.report, flags=re.IGNORECASE):
                quoted += 1
                assert int(number) == round(record.truth[key])
    assert quoted > 200


def test_registers_differ(many):
    reports = [record.report for record in many(2000)]
    letters = [r for r in reports if len(r) > 20]
    assert 0.05 < np.mean([r.isupper() for r in letters]) < 0.25
    assert 0.05 < np.mean([r.islower() for r in letters]) < 0.5
    assert np.mean([bool(re.search(r"there is|shows|demonstrates|consistent with", r.lower())) for r in letters]) > 0.15
    lengths = [len(r.split()) for r in reports]
    assert np.percentile(lengths, 5) < 6
    assert np.percentile(lengths, 95) > 30
