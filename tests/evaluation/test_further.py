"""Retrieval, identification and the other hospital in the report, in results.json and on the command line."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

import cmelt.store
from cmelt.evaluation import further as module
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.further import Asked, Further, lines, measure_further
from cmelt.evaluation.identification import IdentificationResults
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.report import write_report
from cmelt.evaluation.results import plain
from cmelt.evaluation.retrieval import RetrievalResults
from cmelt.evaluation.search import SearchFigures, SearchResult
from cmelt.evaluation.shift_results import ShiftResults, SourceRecords, TargetRecords
from cmelt.sources.cinc2021 import PARTS

from .conftest import PlantedEmbedder, planted_store, planted_task
from .test_command import FAST, invoke, world  # noqa: F401
from .test_documentation import PAGE
from .test_report import Page
from .test_shift import shared_task, source_store, target_store

MODEL, RANDOM = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
PROTOCOL = Protocol((), bootstrap=30)


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_task", lambda name: shared_task())
        return measure_further(MODEL, RANDOM, source_store(), PROTOCOL, Asked(True, True, target_store(), "georgia"))


@pytest.fixture(scope="module")
def report(found, tmp_path_factory):
    results = evaluate_tasks(MODEL, RANDOM, planted_store(), [planted_task()], PROTOCOL)
    folder = tmp_path_factory.mktemp("further") / "out"
    write_report(results, folder, further=found)
    return folder


def test_what_was_not_asked_is_not_there():
    nothing = measure_further(MODEL, RANDOM, source_store(), PROTOCOL, Asked())
    assert nothing == Further()
    assert nothing.to_json() == {}
    assert lines(nothing) == []


def test_results_json_has_a_key_for_each_beside_the_tasks(found, report):
    content = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert list(content) == ["format", "version", "results", "retrieval", "identification", "shift"]
    assert content["retrieval"] == plain(found.retrieval)
    assert content["shift"]["target"]["part"] == "georgia"


def test_the_page_stays_well_formed_and_every_link_leads_somewhere(report):
    html = (report / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert {"retrieval", "identification", "shift"} <= set(page.ids)
    assert "nan" not in html


def test_the_page_holds_every_figure_with_its_controls(found, report):
    html = (report / "report.html").read_text(encoding="utf-8")
    searches = [*found.retrieval.directions.values(), found.identification.accuracy]
    for search in searches:
        for k in search.model.within:
            for figure in (search.model.within[k], search.random.within[k]):
                assert f"{figure.value:.3f} <small>[{figure.low:.3f}, {figure.high:.3f}]" in html
            assert f'<td class="control">{search.chance.within[k].value:.3f}</td>' in html
        assert f"median rank of {search.candidates}" in html
    for comparison in (found.shift.head, found.shift.at_home, found.shift.zero_shot["contrast"]):
        for side in (comparison.model, comparison.random):
            assert f"{side.macro_auroc.value:.3f} <small>" in html
    for name in found.shift.classes:
        count = found.shift.counts[name]
        assert f"<td>{name}</td><td>{count.train_positives}</td><td>{count.positives}</td>" in html
    assert html.count('class="chart forest"') == 2


def test_the_page_names_no_record_and_no_report(report):
    html = (report / "report.html").read_text(encoding="utf-8").lower()
    assert "report number" not in html
    assert not re.search(r"\be0000\d\b", html)


def test_lines_give_model_control_and_chance(found):
    names = [line.name for line in lines(found)]
    assert names[:3] == ["ECG → report, R@1", "ECG → report, R@5", "ECG → report, R@10"]
    assert names[6:8] == ["patient identification, top 1", "patient identification, top 5"]
    assert names[8:] == ["shift, head at home", "shift, head on the target", "shift, zero-shot on the target"]
    assert lines(found)[0].chance == pytest.approx(1 / found.retrieval.distinct_reports)
    assert lines(found)[-1].chance == 0.5


def test_the_command_measures_what_its_options_ask(world, monkeypatch):  # noqa: F811
    folder, *_ = world
    stores = {"home": source_store(), "abroad": target_store()}
    monkeypatch.setattr(cmelt.store, "open_store", lambda path: stores[str(path)])
    monkeypatch.setattr(module, "load_task", lambda name: shared_task())
    task = ["--task", folder / "mine.yaml", "--no-probe", *FAST]
    asked = ["--retrieval", "--identification", "--shift-to", "abroad", "--shift-part", "georgia"]
    shown = invoke(folder / "run", "--data", "home", *task, *asked)
    assert shown.exit_code == 0, shown.output
    table = shown.stdout.split("beside the tasks")[1].splitlines()
    assert table[0].split() == ["model", "random", "weights", "chance"]
    assert [line[:20].strip() for line in table[1:]][:2] == ["ECG → report, R@1", "ECG → report, R@5"]
    assert len(table) == 12
    printed = json.loads(invoke(folder / "run", "--data", "home", *task, "--identification", "--json").stdout)
    assert set(printed) == {"format", "version", "results", "identification"}
    assert printed == json.loads((folder / "run" / "evaluation" / "results.json").read_text())
    assert "beside the tasks" not in invoke(folder / "run", "--data", "home", *task).stdout


def test_every_key_of_the_results_is_documented():
    layout = PAGE.split("## results.json")[1].split("## Python")[0]
    kinds = (RetrievalResults, IdentificationResults, ShiftResults, SourceRecords, TargetRecords, SearchResult, SearchFigures)
    for kind in kinds:
        for field in dataclasses.fields(kind):
            assert field.name == "per_record" or re.search(rf"\b{field.name}\b", layout), (kind, field.name)


def test_every_part_that_can_be_asked_by_name_is_documented():
    text = PAGE.split("**Another hospital**")[1].split("## Tasks")[0]
    assert all(f"`{part}`" in text for part in PARTS)
