"""A card says what its sources say, figure for figure."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.model_card import model_card
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.results import envelope
from cmelt.evaluation.tasks import TaskClass

from .conftest import PlantedEmbedder, planted_store, planted_task

FACTS = {"pairs": "9, from ptb-xl", "seed": "0"}


@pytest.fixture(scope="module")
def results():
    store = planted_store()
    patients = store.index["patient"].str[1:].astype(int)
    store.index["sex"] = np.where(patients % 2 == 0, "female", "male")
    classes = {**planted_task().classes, "absent": TaskClass(("t:absent",), ("absent",))}
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    found = evaluate_tasks(*sides, store, [planted_task(classes=classes)], Protocol(fractions=(0.1, 1.0), draws=2, bootstrap=50))
    return list(envelope(found)["results"].values())


@pytest.fixture(scope="module")
def card(results):
    return model_card("small", FACTS, ["ptb-xl", "simulated"], results, "make train-small")


def test_every_figure_of_the_overview_is_that_of_the_results(card, results):
    (result,) = results
    for comparison in (result["zero_shot"]["contrast"], *(probe["comparison"] for probe in result["probes"])):
        for figure in (comparison["model"]["macro_auroc"], comparison["random"]["macro_auroc"]):
            assert f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" in card
        assert f"{comparison['gain']['value']:+.3f} [" in card
    for name, figures in result["zero_shot"]["contrast"]["model"]["classes"].items():
        (row,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
        assert f"| {result['counts'][name]['positives']} |" in row and f"{figures['auroc']['value']:.3f}" in row


def test_there_is_no_figure_that_the_results_do_not_have(card, results):
    known = set()

    def gather(value):
        if isinstance(value, dict):
            for inner in value.values():
                gather(inner)
        elif isinstance(value, list):
            for inner in value:
                gather(inner)
        elif isinstance(value, float):
            known.update((f"{value:.3f}", f"{value:+.3f}"))

    gather(results)
    shown = re.findall(r"[+-]?\d\.\d{3}\b", card.split("## How good it is")[1])
    assert len(shown) > 30
    assert {number.lstrip("+") for number in shown} <= {number.lstrip("+") for number in known}


def test_groups_and_what_has_no_figures_are_told(card):
    assert "zero-shot, sex: male" in card and "probe on 100 % of the labels" in card
    assert "absent (no evaluated record is positive)" in card


def test_licence_citation_uses_and_the_warning_are_there(card):
    for words in ("CC BY 4.0", "Wagner, Strodthoff", "not a medical device", "must not be used for", "make train-small"):
        assert words in card
    assert "computed here" in card


def test_the_front_matter_is_yaml_that_hubs_read(card):
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "apache-2.0" and head["datasets"] == ["ptb-xl", "simulated"]


def test_tables_are_whole(card):
    for block in re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE):
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1, block.splitlines()[0]


def test_without_results_or_with_data_of_one_s_own_the_card_says_so():
    card = model_card("mine", FACTS, ["folder", "our-ward"], [], "make")
    assert "Not measured yet" in card and "our-ward: not a dataset that cmelt knows" in card
