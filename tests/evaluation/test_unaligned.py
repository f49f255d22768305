"""A model that has never learned to compare ECGs with texts: nothing that compares the two is measured, all else is."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

import cmelt.checkpoints
from cmelt.config.settings import OBJECTIVE_NAMES, ObjectiveSettings
from cmelt.errors import ConfigError
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.further import Asked, lines, measure_further
from cmelt.evaluation.model_card import model_card
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.report import write_report
from cmelt.evaluation.results import plain
from cmelt.evaluation.retrieval import evaluate_retrieval
from cmelt.evaluation.shift import evaluate_shift

from .conftest import PlantedEmbedder, planted_store, planted_task
from .test_command import FAST, invoke, world  # noqa: F401
from .test_shift import shared_task, source_store, target_store

QUICK = Protocol(fractions=(1.0,), bootstrap=20)


@dataclass
class Unaligned(PlantedEmbedder):
    aligned: bool = False

    def embed_texts(self, texts):
        raise AssertionError(f"{texts} compared with ECGs")


@pytest.mark.parametrize(("name", "aligned"), [(n, n in ("ets", "info_nce", "phrases")) for n in OBJECTIVE_NAMES])
def test_only_objectives_that_compare_the_two_embeddings_align_them(name, aligned):
    alone = dict.fromkeys(OBJECTIVE_NAMES, 0.0) | {name: 1.0}
    assert ObjectiveSettings(**alone).aligned is aligned


def test_probes_are_measured_and_zero_shot_is_left_out_with_a_note():
    sides = Unaligned(), Unaligned(blind=True)
    (found,) = evaluate_tasks(*sides, planted_store(), [planted_task()], QUICK)
    truth = evaluate_tasks(PlantedEmbedder(), PlantedEmbedder(blind=True), planted_store(), [planted_task()], QUICK)[0]
    assert plain(found)["zero_shot"] == {}
    assert (found.headline, found.best_zero_shot, found.examples) == (None, None, ())
    assert found.probes == truth.probes
    assert found.counts == truth.counts
    assert list(found.figures) == ["probe 100 %"]
    assert any("never learned to compare" in note for note in found.notes)


def test_zero_shot_alone_is_refused_and_so_is_retrieval():
    sides = Unaligned(), Unaligned(blind=True)
    with pytest.raises(ConfigError, match="linear probes"):
        evaluate_tasks(*sides, planted_store(), [planted_task()], Protocol(fractions=(), bootstrap=5))
    with pytest.raises(ConfigError, match="never learned to compare"):
        evaluate_retrieval(*sides, planted_store(), QUICK)


def test_patients_are_identified_and_a_head_is_asked_in_another_hospital():
    model, control = Unaligned(), Unaligned(blind=True)
    found = evaluate_shift(model, control, source_store(), target_store(), shared_task(), QUICK)
    assert (found.zero_shot, found.headline) == ({}, None)
    assert found.head.model.macro_auroc.value > 0.8
    told = measure_further(model, control, planted_store(), QUICK, Asked(identification=True))
    assert told.identification is not None
    assert not any("zero-shot" in line.name for line in lines(type(told)(shift=found)))


def test_report_and_card_have_the_probes_figures_alone(tmp_path):
    sides = Unaligned(), Unaligned(blind=True)
    results = evaluate_tasks(*sides, planted_store(), [planted_task()], QUICK)
    shift = evaluate_shift(*sides, source_store(), target_store(), shared_task(), QUICK)
    further = measure_further(*sides, planted_store(), QUICK, Asked(identification=True))
    html = write_report(results, tmp_path / "report", further=type(further)(shift=shift)).read_text(encoding="utf-8")
    assert "zero-shot is left out" in html
    assert "<h3>Linear probe</h3>" in html
    assert "<h3>Zero-shot" not in html
    assert (tmp_path / "report" / "summary.png").stat().st_size > 1000
    card = model_card("masked", {}, [], [json.loads(json.dumps(plain(results[0])))], "make it")
    assert "probe on 100 %" in card
    assert f"| fast | {results[0].counts['fast'].positives} | – | – | 0." in card


def test_the_command_says_what_it_leaves_out_and_refuses_what_would_be_nothing_else(world, monkeypatch):  # noqa: F811
    folder, *_ = world
    monkeypatch.setattr(cmelt.checkpoints, "load_embedder", lambda run, *, random=False, seed=0: Unaligned(blind=random))
    asked = [folder / "run", "--data", "store", "--task", folder / "mine.yaml", *FAST]
    done = invoke(*asked)
    assert done.exit_code == 0, done.output
    assert "zero-shot is left out" in done.stderr
    assert "mine, probe 100 %" in done.stdout
    assert "mine, zero-shot" not in done.stdout
    for option in ("--no-probe", "--retrieval"):
        refused = invoke(*asked, option)
        assert isinstance(refused.exception, ConfigError), option
        assert "never learned to compare" in str(refused.exception)
        assert "embedding" not in refused.stderr  # before any work
