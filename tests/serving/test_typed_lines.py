"""What somebody types: every statement under all of its names, in two languages; nothing for what is near or negated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import cmelt
from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import LANGUAGES, statements
from cmelt.evaluation.prompts.abbreviations import AMBIGUOUS, STATEMENT_OF
from cmelt.evaluation.prompts.names import _NAMES, names_of, plain, statements_called
from cmelt.evaluation.tasks import load_task
from cmelt.serving.classes import task_of
from cmelt.serving.confidence import Calibration, ClassCalibration, Curve, question_of
from cmelt.serving.typed_lines import taken_as, told_of, typed_lines, understood
from cmelt.serving.unusual import Familiar

AF = "atrial-fibrillation"
#: Ways of asking for a finding.
ASKING = (
    "{}", "{}?", "  {} ", "Is there {}?", "are there any {}?", "any signs of {}", "Is there evidence of {} on this ECG?",
    "{} present?", "Does the ECG show {}?", "Gibt es {}?", "Liegt {} vor?", "Besteht eine {}?", "Zeichen einer {}",
    "Hinweise auf {}", "Ist {} zu sehen?", "Sind {} erkennbar?", "Zeigt das EKG {}?",
)  # fmt: skip
#: Ways of saying that it is not there.
DENYING = (
    "no {}", "No signs of {}.", "without {}", "is there no {}?", "absence of {}", "not {}", "rule out {}", "{} ruled out",
    "kein {}", "Keine {}", "ohne {}", "{} ausgeschlossen", "nicht {}",
)  # fmt: skip
#: What is no statement's name: less, more, two of them, or something else.
NEAR = (
    "fibrillation", "ventricular fibrillation", "ventricular tachycardia", "tachycardia", "Tachykardie", "left bundle",
    "bundle", "block", "branch block", "hypertrophy", "Linkstyp", "Steiltyp", "axis deviation", "abnormal ECG", "abnormes EKG",
    "old inferior infarction", "atrial fibrillation with LBBB", "LBBB or RBBB", "LBBB/RBBB", "history of atrial fibrillation",
    "possible LVH", "new LBBB", "atrial fibrillation, rapid response", "Vorhofflimmern und Linksschenkelblock", "STEMI", "QT",
    "PR interval", "P wave", "ST segment", "T wave", "pericarditis", "Brugada", "lbbbb", "afibs flutter", "ISCA", "ISCI",
    "STTC", "?", "the", "is there", "delta wave", "two", "sinus arrest", "heart block", "infarction scar", "Herz",
    "Infarktnarbe", "Mobitz", "degree av block", "left axis",
)  # fmt: skip
EVERY_NAME = [(statement, name) for statement in statements() for name in names_of(statement)]


def test_every_statement_has_names_in_both_languages():
    assert set(_NAMES) == set(statements()) and len(_NAMES) == 102
    assert all(german.strip() for _, german in _NAMES.values())
    assert len(EVERY_NAME) > 5 * 102


def test_every_name_and_abbreviation_means_its_own_statement_and_no_other():
    found = {(statement, name): statements_called(name) for statement, name in EVERY_NAME}
    assert {key: several for key, several in found.items() if several != key[:1]} == {}
    owner = {}
    for statement, name in EVERY_NAME:
        assert owner.setdefault(plain(name), statement) == statement, name


@pytest.mark.parametrize("asking", ASKING)
def test_asked_in_whatever_way_every_name_is_still_itself(asking):
    told = {(statement, name): understood(asking.format(name)).statement for statement, name in EVERY_NAME}
    assert {key: found for key, found in told.items() if found != key[0]} == {}


def test_case_umlauts_hyphens_spelling_and_endings_do_not_matter():
    for line in ("VORHOFFLIMMERN", "Atrial-Fibrillation", "atrial_fibrillation", "a fib"):
        assert understood(line).statement == AF
    for line, statement in (
        ("linksventrikulaere Hypertrophie", "left-ventricular-hypertrophy"), ("ischemia", "ischaemia"),
        ("early repolarization", "early-repolarisation"), ("nonspecific ST change", "non-specific-st-change"),
        ("Preexcitation", "ventricular-pre-excitation"), ("inferioren Infarkts", "inferior-infarction"), ("U wave", "u-waves"),
        ("Zeichen eines Linksschenkelblocks", "left-bundle-branch-block"), ("AV-Block I°", "first-degree-av-block"),
        ("PVCs", "ventricular-premature-beats"), ("normal EKG", "normal-ecg"),
        ("ventrikulären Extrasystolen", "ventricular-premature-beats"),
    ):  # fmt: skip
        assert understood(line).statement == statement, line


def test_a_statement_s_own_sentences_mean_it_and_those_of_its_absence_mean_none():
    shared = {text for one in statements().values() for text in one.present.texts()
              if sum(text in other.present.texts() for other in statements().values()) > 1}  # fmt: skip
    assert len(shared) == 1, "a sentence of two statements names neither"
    for name, statement in statements().items():
        for language in LANGUAGES:
            for text in statement.present.texts([language]):
                assert understood(text).statement == (None if text in shared else name), text
            for text in statement.absent.texts([language]):
                assert understood(text).statement is None, text


@pytest.mark.parametrize("asking", DENYING)
def test_what_is_denied_is_no_statement(asking):
    assert {understood(asking.format(name)).statement for _, name in EVERY_NAME} == {None}


@pytest.mark.parametrize("short", AMBIGUOUS)
def test_an_abbreviation_of_several_is_taken_for_none_and_says_what_it_may_mean(short):
    for line in (short, short.upper(), f"is there {short}?"):
        found = understood(line)
        assert found.statement is None and all(name in found.why for name in AMBIGUOUS[short])


@pytest.mark.parametrize("line", NEAR)
def test_what_is_near_or_more_or_less_than_a_name_is_not_guessed(line):
    assert understood(line).statement is None


@pytest.mark.parametrize("line", [f"{left}atrial fibrillation{right}" for left, right in ('""', "“”", "„“", "«»")])
def test_in_quotes_words_are_words(line):
    found = understood(line)
    assert (found.statement, found.asked) == (None, "atrial fibrillation")
    assert typed_lines([line]).classes[line].prompts == ("atrial fibrillation",)


def test_a_line_taken_for_a_statement_is_asked_exactly_as_the_statement_is():
    lines = ["is there atrial fibrillation?", "LSB", "normal", "is there a delta wave?"]
    task = typed_lines(lines)
    assert list(task.classes) == lines
    assert task.classes[lines[0]] == task_of([AF]).classes[AF]
    assert task.classes["LSB"] == task_of(["lbbb"]).classes["left-bundle-branch-block"]
    assert task.classes["normal"] == task_of(["normal-ecg"]).classes["normal-ecg"]
    assert task.classes[lines[3]] == task_of({"delta wave": ["delta wave"]}).classes["delta wave"]
    assert list(taken_as(task).values()) == [AF, "left-bundle-branch-block", "normal-ecg", None]
    assert told_of(task)[0] == "“is there atrial fibrillation?”: taken as the statement atrial-fibrillation"
    assert told_of(task)[3] == "“is there a delta wave?”: scored as typed, no probability: “delta wave”"
    assert taken_as(task_of([AF])) == {} and taken_as(load_task("ptbxl-super")) == {} and told_of(task_of([AF])) == []


def test_told_to_take_nothing_for_a_statement_it_takes_nothing():
    task = typed_lines(["afib", "is there LBBB?"], as_typed=True)
    assert [one.prompts for one in task.classes.values()] == [("afib",), ("LBBB",)] and set(taken_as(task).values()) == {None}


@pytest.mark.parametrize(("lines", "said"), [([], "no line"), (["a", " "], "empty"), (["a", "a"], "twice")])
def test_what_is_no_list_of_findings_is_refused(lines, said):
    with pytest.raises(ConfigError, match=said):
        typed_lines(lines)


def test_scores_and_probabilities_are_the_statement_s_and_the_answer_says_so(model, processor):
    rng = np.random.default_rng(0)
    record = cmelt.record_of(rng.normal(size=(12, 1000)) / 5, rate=100, unit="mV", leads=cmelt.LEADS)
    curve = Curve((-2.0, 2.0), (0.1, 0.7), (0.0, 0.6), (0.2, 0.9))
    one = ClassCalibration("t", AF, question_of(task_of([AF]).classes[AF], "contrast"), "platt", 90, 20, 80, 18, curve=curve)
    nothing = (0.0,) * processor.settings.width
    familiar = Familiar(nothing, (nothing,), (1.0,), 1.0, 1e9, 99)
    known = dataclasses.replace(processor, calibration=Calibration("w", "s", "validation", "2026-01-02", 9, 0, familiar, (one,)))
    lines = ["Gibt es Vorhofflimmern?", '"atrial fibrillation"', "delta wave"]
    found = cmelt.classify(model, known, record, typed_lines(lines))
    plain_scores = cmelt.classify(model, known, record, [AF])
    assert found.values[0, 0] == pytest.approx(plain_scores.values[0, 0], abs=1e-6)
    assert found.values[0, 1] != pytest.approx(plain_scores.values[0, 0], abs=1e-4)
    if found.cannot_tell[0] is None:
        assert found.probabilities_of(0) == {lines[0]: pytest.approx(plain_scores.probabilities_of(0)[AF], abs=1e-6)}
    assert found.taken_as == {lines[0]: AF, lines[1]: None, lines[2]: None} == found.to_json()["taken_as"]
    assert "taken_as" not in plain_scores.to_json()


def test_codes_of_ptb_xl_are_names_too():
    task = load_task("ptbxl-all")
    own = {tuple(one.present.texts()): name for name, one in statements().items()}
    coded = {name: own[one.prompts] for name, one in task.classes.items() if one.prompts in own}
    assert len(coded) > 60
    wrong = {code: understood(code).statement for code, name in coded.items() if understood(code).statement != name}
    assert set(wrong) <= {"AMI", "STE_"} and set(STATEMENT_OF.values()) <= set(statements()), wrong
