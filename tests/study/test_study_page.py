"""The table, the files and the page: controls are there, what excludes zero is marked, and nothing of a report is in it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import CMeltError
from cmelt.evaluation.metrics import Figure
from cmelt.study import outcomes
from cmelt.study.assembly import collect, reference_row, stores_of
from cmelt.study.cells import Plan
from cmelt.study.folders import EVALUATIONS
from cmelt.study.outcomes import Scores
from cmelt.study.page import page
from cmelt.study.plots import Dot, curve, forest, shades
from cmelt.study.publication import publish_results
from cmelt.study.results import Entry, Row, StudyResults, cell_text, legend, mark, to_csv, to_json, to_markdown
from tiny_studies import tiny_plan

N = 160
#: How well the scores of each model show the truth.
STRENGTH = {"ours": 3.0, "less": 0.3, "random": 0.0, "supervised": 2.0}
MODELS = {
    "ours": {"recipe": "tiny.yaml"},
    "less": {"recipe": "tiny.yaml", "set": ["objectives.mem=0"]},
    "random": {"kind": "random", "recipe": "tiny.yaml"},
    "supervised": {"kind": "supervised"},
}
EVALUATE = [
    {"kind": "zero-shot", "store": "store", "tasks": ["simulated"]},
    {"kind": "probe", "store": "store", "tasks": ["simulated"], "fractions": [1.0, 0.1], "headline": False},
    {"kind": "supervised", "store": "store", "tasks": ["simulated"]},
]


def scores_of(model: str, seed: int) -> Scores:
    """Made-up scores on made-up records, the same records for all."""
    world = np.random.default_rng(0)
    truth = world.random((N, 2)) < np.array([0.4, 0.3])
    noise = np.random.default_rng([seed, len(model)]).normal(size=(1, N, 2))
    split = np.where(np.arange(N) % 2, 1, 2)
    return Scores(("slow", "fast"), np.arange(N), np.arange(N) // 2, split, truth, STRENGTH[model] * truth + noise)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_store: Path) -> tuple[Plan, Path]:
    """A study whose measurements are made up, and whose training is none."""
    data = {name: {"stores": {"store": few}} for name, few in (("all", {}), ("few", {"pairs": 20}), ("fewer", {"pairs": 10}))}
    cells = [{"models": ["ours", "less"], "data": ["all"]}, {"models": ["ours"], "data": ["few", "fewer"]}]
    folder = tmp_path_factory.mktemp("study")
    plan = tiny_plan(folder, tiny_store, models=MODELS, evaluate=EVALUATE, seeds=[0, 1], cells=cells, data=data)
    out = folder / "out"
    for cell in plan.cells:
        for item in plan.items_of(cell):
            measured = out / "cells" / cell.name / EVALUATIONS / item.name
            outcomes.publish(scores_of(cell.model, cell.seed), measured, {"title": item.title}, 1.0)
        pairs = {"all": 40, "few": 20, "fewer": 10, "": 0}[cell.data]
        run = out / "cells" / cell.name / "run"
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"corpus": {"pairs": pairs}}))
        (out / "cells" / cell.name / "log.jsonl").write_text(json.dumps({"what": "model", "seconds": 61.0}) + "\n")
    return plan, out


@pytest.fixture(scope="module")
def results(study: tuple[Plan, Path]) -> StudyResults:
    return collect(*study, "cmelt study tiny.yaml --out out")


def entry_of(results: StudyResults, name: str, what: str, metric: str = "AUROC") -> Entry:
    column = next(c for c in results.columns if (c.what, c.metric) == (what, metric))
    row = next(r for r in results.rows if r.name == name)
    entry = results.entry(row, column)
    assert entry is not None
    return entry


def test_every_model_stands_beside_its_controls(results: StudyResults) -> None:
    names = [row.name for row in results.rows]
    assert names == [
        "ours, all",
        "ours, few",
        "ours, fewer",
        "less, all",
        "random",
        "supervised",
        "shuffled ECGs (ours, all)",
        "text only",
    ]
    assert [row.control for row in results.rows] == [False] * 4 + [True] * 4
    assert entry_of(results, "text only", "zero-shot").figure.value == 0.5
    shuffled = entry_of(results, "shuffled ECGs (ours, all)", "zero-shot").figure
    assert shuffled.low < 0.5 < shuffled.high


def test_a_supervised_network_stands_beside_every_measurement_of_its_task(results: StudyResults) -> None:
    values = {entry_of(results, "supervised", what).figure.value for what in ("zero-shot", "probe 10 %", "probe 100 %")}
    assert len(values) == 1
    assert not any(column.what.startswith("supervised") for column in results.columns)


def test_what_is_worse_beyond_chance_is_marked_and_the_reference_is_not_compared_with_itself(results: StudyResults) -> None:
    worse, same = entry_of(results, "less, all", "zero-shot"), entry_of(results, "ours, all", "zero-shot")
    assert worse.differs
    assert mark(worse) == " ▼"
    assert worse.reference == "ours, all"
    assert worse.difference is not None
    assert worse.difference.high < 0
    assert same.difference is None
    assert mark(same) == ""


def test_a_difference_whose_interval_holds_zero_is_not_marked() -> None:
    entry = Entry(Figure(0.8, 0.7, 0.9), difference=Figure(0.02, -0.01, 0.05))
    assert mark(entry) == ""
    assert cell_text(entry) == "0.800 [0.700, 0.900]"
    assert mark(replace(entry, difference=Figure(0.02, 0.01, 0.05))) == " ▲"
    assert cell_text(None) == "–"


def test_rows_are_compared_with_the_reference_on_their_own_data_unless_the_study_names_some(study: tuple[Plan, Path]) -> None:
    plan, _ = study
    rows = dict.fromkeys([Row("ours", "all"), Row("ours", "few"), Row("less", "few"), Row("random")])
    assert reference_row(plan, Row("less", "few"), rows) == Row("ours", "few")
    assert reference_row(plan, Row("random"), rows) == Row("ours", "all")
    assert reference_row(plan, Row("ours", "few"), rows) is None
    named = replace(plan, study=replace(plan.study, reference=replace(plan.study.reference, data="all")))
    assert reference_row(named, Row("ours", "few"), rows) == Row("ours", "all")
    assert reference_row(named, Row("ours", "all"), rows) is None


def test_a_figure_is_the_mean_of_its_seeds_each_of_them_told(results: StudyResults) -> None:
    entry = entry_of(results, "less, all", "zero-shot")
    assert len(entry.seeds) == 2
    assert entry.figure.value == pytest.approx(np.mean(entry.seeds))
    assert set(entry.classes) == {"slow", "fast"}
    assert entry.figure.value == pytest.approx(np.mean([figure.value for figure in entry.classes.values()]))


def test_the_legend_says_how_many_seeds_there_really_are(results: StudyResults) -> None:
    assert legend(results).startswith("Mean of 2 seeds")
    one = {key: replace(entry, seeds=entry.seeds[:1]) for key, entry in results.entries.items()}
    assert legend(replace(results, entries=one)).startswith("One seed")
    assert "nothing is said about another training" in legend(replace(results, entries=one))
    some = {key: entry if key[0].model == "ours" else one[key] for key, entry in results.entries.items()}
    assert legend(replace(results, entries=some)).startswith("Mean of 1 to 2 seeds")


def test_the_files_say_the_same(results: StudyResults) -> None:
    content = json.loads(json.dumps(to_json(results), allow_nan=False))
    assert content["format"] == "cmelt-study"
    lines = list(csv.DictReader(io.StringIO(to_csv(results))))
    column = next(n for n, c in enumerate(content["columns"]) if (c["measurement"], c["metric"]) == ("zero-shot", "AUROC"))
    row = next(r for r in content["rows"] if (r["model"], r["data"]) == ("less", "all"))
    wanted = {"model": "less", "data": "all", "measurement": "zero-shot", "metric": "AUROC"}
    (line,) = [line for line in lines if wanted.items() <= line.items()]
    assert float(line["value"]) == pytest.approx(row["entries"][column]["value"], abs=1e-5)
    assert line["excludes_zero"] == "1"
    assert row["entries"][column]["difference"]["excludes_zero"] is True
    text = to_markdown(results)
    assert f"{row['entries'][column]['value']:.3f}" in text
    assert "Research use only" in text
    assert "probe" not in text  # it is no headline here


def test_cells_say_how_they_were_made_and_by_which_command(results: StudyResults) -> None:
    less = next(cell for cell in results.cells if cell.model == "less" and cell.seed == 1)
    assert less.changes == {"objectives.mem": (0, None)} or less.changes == {"objectives.mem": (0.0, None)}
    assert less.command == "cmelt study tiny.yaml --out out --only model=less,data=all,seed=1"
    assert (less.seconds, less.missing, less.stores, less.pairs) == (61.0, (), "store", 40)


def test_cells_that_are_not_there_are_named_as_missing(study: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, out = study[0], shutil.copytree(study[1], tmp_path / "out")
    gone = next(cell for cell in plan.cells if cell.name.startswith("less-all-1"))
    shutil.rmtree(out / "cells" / gone.name)
    found = collect(plan, out, "cmelt study")
    facts = next(cell for cell in found.cells if cell.name == gone.name)
    assert facts.seconds is None
    assert facts.missing == ("store, simulated, zero-shot", "store, simulated, probe 100 %", "store, simulated, probe 10 %")
    assert found.missing == 1
    assert "1 of" in page(found)


def test_a_run_s_description_that_is_not_json_is_an_error(study: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, out = study[0], shutil.copytree(study[1], tmp_path / "out")
    (out / "cells" / plan.cells[-1].name / "run" / "run.json").write_text("{")
    with pytest.raises(CMeltError, match=r"run\.json"):
        collect(plan, out, "cmelt study")


def test_measurements_are_in_the_file_s_order_with_rising_shares(results: StudyResults) -> None:
    whats = list(dict.fromkeys(column.what for column in results.columns))
    assert whats == ["zero-shot", "probe 10 %", "probe 100 %"]
    assert {column.metric for column in results.columns} == {"AUROC", "AUPRC", "F1", "ECE"}


class _Checked(HTMLParser):
    """Every tag that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "line", "circle", "rect", "path") or self.get_starttag_text() in ("<circle>",):
            self.open.append(tag)
        self.seen.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass


def test_the_page_stands_alone_and_has_every_part(results: StudyResults) -> None:
    html = page(results)
    checked = _Checked()
    checked.feed(html)
    assert checked.open == []
    assert not re.search(r'(src|href)="(?!#)', html)
    for anchor in ("table", "differences", "plots", "pairs", "classes", "all", "cells", "method"):
        assert f'id="{anchor}"' in html
        assert f'href="#{anchor}"' in html
    assert "not a medical device" in html
    assert "seed=1" in html
    assert checked.seen.count("svg") >= 2


def test_names_are_escaped_on_the_page(results: StudyResults) -> None:
    html = page(replace(results, name="<script>x</script>", description="a & b"))
    assert "<script>" not in html
    assert "a &amp; b" in html


def test_publishing_replaces_the_earlier_results_whole(results: StudyResults, tmp_path: Path) -> None:
    first = publish_results(results, tmp_path)
    again = publish_results(replace(results, description="again"), tmp_path)
    assert first == again
    assert {path.name for path in again.iterdir()} == {"study.json", "table.csv", "table.md", "study.html", "manifest.json"}
    assert json.loads((again / "study.json").read_text())["description"] == "again"


def test_a_forest_plot_puts_dots_in_order_and_intervals_on_them() -> None:
    svg = forest([Dot("a", Figure(0.6, 0.55, 0.65)), Dot("b", Figure(0.9, 0.85, 0.95), "control")], "t", zero=0.5)
    centres = [float(x) for x in re.findall(r'cx="([\d.]+)"', svg)]
    assert centres[0] < centres[1]
    lines = [tuple(map(float, m)) for m in re.findall(r'class="(?:model|control)" x1="([\d.]+)" x2="([\d.]+)"', svg)]
    assert all(low < centre < high for (low, high), centre in zip(lines, centres, strict=True))
    assert 'class="chance"' in svg


def test_a_learning_curve_rises_from_left_to_right_with_equal_steps_for_doublings() -> None:
    points = [(400, Figure(0.9, 0.85, 0.95)), (100, Figure(0.6, 0.5, 0.7)), (200, Figure(0.75, 0.7, 0.8))]
    svg = curve([("ours", points)], "t")
    centres = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]
    steps = np.diff([x for x, _ in centres])
    assert steps[0] == pytest.approx(steps[1], abs=0.2)
    assert centres[0][1] > centres[1][1] > centres[2][1]


def test_shades_grow_with_the_figure_and_chance_has_none() -> None:
    html = shades(["m"], ["a", "b", "c", "d"], [[0.5, 0.75, 1.0, None]], ["", "", "", ""])
    assert [int(share) for share in re.findall(r"(\d+)%, transparent", html)] == [0, 28, 55]
    assert "<td>–</td>" in html


def test_what_a_cell_was_trained_on_is_said_in_words(study: tuple[Plan, Path]) -> None:
    plan, _ = study
    said = {cell.name.rsplit("-", 1)[0]: stores_of(cell) for cell in plan.cells}
    assert said["ours-few-0"] == "store, 20 pairs"
    assert said["random-none-0"] == "none (vocabulary of store)"
    assert said["supervised-none-0"] == "the labels of each task"
