"""Abbreviations mean one statement each; those that mean several are refused."""

from __future__ import annotations

import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.prompts.abbreviations import AMBIGUOUS, STATEMENT_OF, known_statement, statement_named
from cmelt.evaluation.tasks import load_task
from cmelt.serving.classes import task_of


def test_every_abbreviation_is_of_a_statement_and_of_one_alone():
    assert set(STATEMENT_OF.values()) <= set(statements())
    assert {name for several in AMBIGUOUS.values() for name in several} <= set(statements())
    assert not set(AMBIGUOUS) & set(STATEMENT_OF)
    assert not set(STATEMENT_OF) & set(statements())
    assert all(len(set(several)) > 1 for several in AMBIGUOUS.values())


@pytest.mark.parametrize("task", ["ptbxl-rhythm", "ptbxl-diagnoses", "cpsc2018", "code", "cinc2021", "csn-all", "ptbxl-form"])
def test_what_datasets_call_their_classes_is_never_taken_for_another_statement(task):
    """A class of a bundled task that is an abbreviation here is worded there as the statement is, or is refused as ambiguous."""
    compared = 0
    for name, one in load_task(task).classes.items():
        try:
            known = known_statement(name)
        except ConfigError:
            continue
        if known is not None:
            compared += 1
            assert set(statements()[known].present.texts()) & set(one.prompts), (name, known)
    assert compared


@pytest.mark.parametrize("name", ["afib", "AFIB", " Atrial fibrillation", "atrial_fibrillation", "atrial-fibrillation"])
def test_case_spaces_and_underscores_do_not_matter(name):
    assert statement_named(name) == "atrial-fibrillation"


def test_an_abbreviation_of_two_things_is_refused_with_both():
    with pytest.raises(ConfigError, match="say atrial-fibrillation or atrial-flutter"):
        statement_named("AF")
    with pytest.raises(ConfigError, match="say"):
        task_of("st")


def test_what_is_none_is_refused_with_what_is_near():
    assert known_statement("zebra crossing") is None
    with pytest.raises(ConfigError, match=r"perhaps .*lbbb"):
        statement_named("lbbbb")


def test_classes_are_named_by_their_statement_and_each_once():
    assert list(task_of(["afib", "lbbb"]).classes) == ["atrial-fibrillation", "left-bundle-branch-block"]
    assert list(task_of("lbbb").classes) == ["left-bundle-branch-block"]
    with pytest.raises(ConfigError, match="left-bundle-branch-block is named twice"):
        task_of(["lbbb", "left bundle branch block"])
