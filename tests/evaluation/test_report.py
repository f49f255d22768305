"""The report stands alone, holds the figures of results.json, and appears whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.report import write_report, writing
from cmelt.evaluation.report.charts import forest_chart, loss_chart, roc_chart
from cmelt.evaluation.report.losses import POINTS, read_losses
from cmelt.publishing import verify

from .conftest import PlantedEmbedder, planted_store, planted_task

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that elements nest and close, and collects text, links and headings."""

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.links, self.tags, self.ids = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [values[key] for key in ("href", "src", "action", "srcset", "xlink:href") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


@pytest.fixture(scope="module")
def results():
    tasks = [planted_task(), planted_task(name="own task <2>", description="")]
    sides = PlantedEmbedder(), PlantedEmbedder(blind=True, identity="random")
    return evaluate_tasks(*sides, planted_store(), tasks, Protocol(fractions=(0.1, 1.0), draws=2, bootstrap=50))


@pytest.fixture
def log(tmp_path):
    lines = [
        {"step": s, "loss": 5.0 / s, "mlm": 3.0 / s, "ets": 2.0 / s, "etm": 0.0, "learning_rate": 1e-4} for s in range(1, 900)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + '\n{"step": 900, "lo', encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path, results, log):
    write_report(results, tmp_path / "out", loss_log=log, store=planted_store())
    return tmp_path / "out"


def read_page(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    return html, Page(html)


def test_page_is_well_formed_and_fetches_nothing(folder):
    html, page = read_page(folder)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "script" not in page.tags
    assert "@import" not in html
    assert "url(" not in html
    assert html.replace("http://www.w3.org/2000/svg", "").count("http") == 0


def test_page_says_what_it_is_not(folder):
    _, page = read_page(folder)
    assert any("Research use only, not a medical device" in text for text in page.text)


def test_page_holds_the_figures_of_the_json(folder):
    html, _ = read_page(folder)
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for entry in content["results"].values():
        comparisons = [*entry["zero_shot"].values(), *(probe["comparison"] for probe in entry["probes"])]
        for comparison in comparisons:
            for side in ("model", "random"):
                figures = comparison[side]
                for f in (figures["macro_auroc"], figures["macro_auprc"]):
                    if comparison is comparisons[0]:
                        assert f"{f['value']:.3f} <small>[{f['low']:.3f}, {f['high']:.3f}]" in html
                assert f"{figures['macro_auroc']['value']:.3f} <small>" in html
        for name, count in entry["counts"].items():
            assert f"<td>{name}</td><td>{count['positives']}</td><td>{100 * count['prevalence']:.1f} %</td>" in html
        assert entry["store"]["sha256"] in html
        assert entry["model"] in html


def test_calls_and_calibration_stand_in_the_page_with_what_they_were_chosen_on(folder, results):
    html, _ = read_page(folder)
    assert html.count("Thresholds chosen on validation") == html.count("chosen on training records, out of fold") == len(results)
    for comparison in (results[0].best_zero_shot, results[0].probes[-1].comparison):
        for side in (comparison.model.decisions, comparison.random.decisions):
            for f in (side.macro_f1, side.macro_ece):
                assert f"{f.value:.3f} <small>[{f.low:.3f}, {f.high:.3f}]" in html
        assert f"an ECE of {comparison.model.decisions.calibrated_ece:.3f}" in html


def test_every_class_has_a_curve_and_the_controls_beside_it(folder, results):
    html, _ = read_page(folder)
    curves = sum(len(r.zero_shot[r.headline].model.classes) + len(r.probes[-1].comparison.model.classes) for r in results)
    assert html.count("<title>ROC curve, ") == curves
    assert html.count('<path class="control"') == curves


def test_examples_show_ecg_report_and_labels_escaped(folder, results):
    html, _ = read_page(folder)
    assert html.count('class="ecg"') == sum(len(r.examples) for r in results) == 6
    row = results[0].examples[0].row
    assert f"report number {row} &lt;b&gt;&amp; more" in html
    assert "<b>& more" not in html
    assert planted_store().index.labels[row][0] in html
    assert "own task &lt;2&gt;" in html


def test_without_a_store_no_report_text_gets_into_the_page(tmp_path, results):
    write_report(results, tmp_path / "out")
    html, _ = read_page(tmp_path / "out")
    assert "report number" not in html
    assert 'class="ecg"' not in html
    assert "no log" in html


def test_json_is_strict_and_keeps_curves_on_one_line(folder):
    text = (folder / "results.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert any(line.count(",") >= 100 for line in text.splitlines())
    assert len(text) < 400_000


def test_figures_that_do_not_exist_are_null(tmp_path, results):
    nothing = Figure(0.5, float("nan"), float("nan"))
    shot = results[0].zero_shot["contrast"]
    changed = replace(results[0], zero_shot={"contrast": replace(shot, shuffled=nothing), "similarity": shot})
    write_report([changed], tmp_path / "out")
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["results"]["planted"]["zero_shot"]["contrast"]["shuffled"] == {"value": 0.5, "low": None, "high": None}


def test_folder_is_sealed_and_replaced_whole(folder, results):
    verify(folder)
    write_report(results[:1], folder)
    verify(folder)
    assert list(json.loads((folder / "results.json").read_text())["results"]) == ["planted"]
    assert sorted(p.name for p in folder.parent.iterdir()) == ["metrics.jsonl", "out"]


def test_a_failure_leaves_the_old_report(folder, results, monkeypatch):
    before = (folder / "report.html").read_bytes()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(writing, "draw_summary", broken)
    with pytest.raises(OSError, match="disk full"):
        write_report(results[:1], folder)
    assert (folder / "report.html").read_bytes() == before
    assert sorted(p.name for p in folder.parent.iterdir()) == ["metrics.jsonl", "out"]


def test_a_folder_with_other_files_is_not_replaced(tmp_path, results):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        write_report(results, tmp_path)
    assert (tmp_path / "thesis.tex").exists()
    with pytest.raises(ConfigError, match="is a file"):
        write_report(results, tmp_path / "thesis.tex")


def test_summary_is_a_picture_with_something_on_it(folder):
    from PIL import Image

    with Image.open(folder / "summary.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 20
    assert ((pixels == (0x1F, 0x63, 0xD6)).all(axis=1)).sum() > 50  # the model's blue


def test_losses_are_averaged_and_a_cut_line_is_passed_over(log):
    curves = read_losses(log)
    assert list(curves) == ["loss", "mlm", "ets"]  # etm was switched off: zero throughout
    steps, values = curves["loss"]
    assert len(steps) == POINTS
    assert steps[0] == 2.0
    assert values[0] == pytest.approx(np.mean([5.0, 2.5, 5 / 3]))
    assert (np.diff(steps) > 0).all()


def test_a_repeated_step_counts_once_with_its_later_value(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [(1, 9.0), (2, 8.0), (3, 7.0), (2, 4.0), (3, float("nan")), (4, 3.0)]
    path.write_text("\n".join(json.dumps({"step": s, "loss": v}) for s, v in rows) + "\n[1]\nnoise\n")
    steps, values = read_losses(path)["loss"]
    assert steps.tolist() == [1, 2, 4]
    assert values.tolist() == [9, 4, 3]


def test_charts_are_well_formed_xml():
    grid = np.linspace(0, 1, 11)
    figure, bare = Figure(0.8, 0.7, 0.9), Figure(0.3, float("nan"), float("nan"))
    for svg in (
        roc_chart(grid, grid, grid, "a < b"),
        forest_chart([("a & b", figure, bare)]),
        loss_chart(np.array([1.0, 2.0]), np.array([3.0, 3.0]), "flat"),
    ):
        root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
        assert "nan" not in svg
        assert root.tag.endswith("svg")
