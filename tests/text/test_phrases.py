"""Phrases: runs of words that recur, with denials kept whole."""

from __future__ import annotations

import numpy as np

from cmelt.text.phrases import mine_phrases, phrases_of

REPORTS = ["sinus rhythm. no st changes", "sinus rhythm. left bundle branch block", "sinusrhythmus überdrehter linkstyp"]


def test_a_phrase_is_a_run_of_words_inside_one_statement():
    found = phrases_of("sinus rhythm. left axis", longest=2)
    assert found == ["sinus", "sinus rhythm", "rhythm", "left", "left axis", "axis"]
    assert "rhythm left" not in found


def test_reports_without_full_stops_have_phrases_too():
    assert {"überdrehter linkstyp", "sinusrhythmus"} <= set(phrases_of(REPORTS[2]))


def test_what_is_denied_is_not_held():
    found = phrases_of("sinus rhythm, no st changes")
    assert "no st changes" in found
    assert "sinus rhythm" in found
    assert not {"st changes", "st", "changes", "no"} & set(found)
    assert "ischämie" not in phrases_of("normales ekg, kein anhalt für ischämie")


def test_phrases_are_counted_by_records_not_by_distinct_reports():
    often_one = np.array([1, 1, 1, 0, 2])
    mined = mine_phrases(REPORTS, often_one, least=3, share=0.7)
    assert "left bundle branch block" in mined.texts
    assert not any("linkstyp" in text for text in mined.texts)
    assert "sinus rhythm" not in mined.texts  # in four of five records: tells little apart


def test_of_phrases_that_the_same_reports_hold_the_longest_is_kept():
    mined = mine_phrases(REPORTS, np.array([0, 1, 2]), least=1, share=1.0)
    holders = [tuple(row) for row in mined.in_reports(np.arange(3))]
    assert len(set(holders)) == len(holders)
    assert "left bundle branch block" in mined.texts
    assert "bundle branch" not in mined.texts


def test_held_agrees_with_the_reports_one_by_one():
    mined = mine_phrases(REPORTS, np.array([0, 1, 2]), least=1, share=1.0)
    order = np.array([2, 0, 0])
    slow = [[phrase in phrases_of(REPORTS[report]) for report in order] for phrase in mined.texts]
    assert mined.in_reports(order).tolist() == slow


def test_the_most_frequent_are_kept_when_there_are_too_many():
    mined = mine_phrases(REPORTS, np.array([0, 0, 1, 1, 2]), least=1, share=1.0, most=1)
    assert mined.texts == ("sinus rhythm",)


def test_a_phrase_of_one_patient_alone_is_none():
    reports = ["sinus rhythm. seen by quarkenbruecken", "sinus rhythm. av block", "av block. seen by quarkenbruecken"]
    group, patients = np.array([0, 0, 1, 2]), np.array([7, 7, 3, 7])
    every = mine_phrases(reports, group, least=2, share=1.0)
    own = mine_phrases(reports, group, patients, least=2, share=1.0)
    assert "seen by quarkenbruecken" in every.texts
    assert set(own.texts) == {"sinus rhythm", "av block"}
    assert own.in_reports(np.arange(3)).tolist() == [[text in report for report in reports] for text in own.texts]
    assert set(mine_phrases(reports, group, np.arange(4), least=2, share=1.0).texts) == set(every.texts)
    assert len(mine_phrases(reports, group, np.zeros(4, np.int64), least=2, share=1.0)) == 0
    assert len(mine_phrases(reports, group, patients, least=9, share=1.0)) == 0
