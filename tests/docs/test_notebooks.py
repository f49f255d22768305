"""Each notebook is run in a fresh kernel and must show what it is stored with; what it quotes must stand where it says."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

import cmelt
from cmelt.pages.notice import NOTICE
from cmelt.simulation import simulate
from wfdb_files import write_format_16

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def script() -> ModuleType:
    """scripts/run_notebooks.py; scripts are no package."""
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "scripts" / "run_notebooks.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["run_notebooks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


running = script()


def stored(name: str) -> NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def words_of(notebook: NotebookNode) -> str:
    """Its Markdown."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def said(notebook: NotebookNode) -> str:
    """What its cells print and show as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def test_there_are_the_three_that_the_page_of_notebooks_lists() -> None:
    listed = re.findall(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [path.stem for path in NOTEBOOKS] == ["few_label_probe", "inside_n3s", "zero_shot_on_your_ecg"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_error_or_warning_and_shows_what_is_stored(path: Path) -> None:
    before = path.read_bytes()
    fresh = running.run(path)
    assert running.faults(fresh) == []
    assert running.differences(nbformat.read(path, as_version=4), fresh) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_whole_small_and_of_no_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert running.faults(notebook) == []
    assert path.stat().st_size <= 300_000
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_of_a_notebook_has_words(path: Path) -> None:
    drawn = [
        cell
        for cell in nbformat.read(path, as_version=4).cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    assert drawn
    assert all(len(cell.metadata["mystnb"]["image"]["alt"]) > 30 for cell in drawn)


@pytest.mark.parametrize("name", ["zero_shot_on_your_ecg", "few_label_probe"])
def test_the_notice_stands_above_every_score(name: str) -> None:
    assert NOTICE in stored(name).cells[0].source


def test_an_ecg_under_noise_gets_no_probability_and_a_reason() -> None:
    text = said(stored("zero_shot_on_your_ecg"))
    assert "too noisy" in text and "cannot tell: the limb leads contradict one another; poor quality in all leads" in text


def test_most_of_the_evidence_for_early_beats_lies_on_them() -> None:
    text = said(stored("zero_shot_on_your_ecg"))
    near = re.search(r"of an early beat \((\d+)% of the time\): ([+-][\d.]+)", text)
    elsewhere = re.search(r"everywhere else: ([+-][\d.]+)", text)
    assert near is not None and elsewhere is not None
    assert int(near[1]) < 20 and float(near[2]) > 3 * abs(float(elsewhere[1]))


def test_the_patients_that_the_text_counts_are_those_of_the_calibration() -> None:
    _, processor = cmelt.load("small")
    assert processor.calibration is not None
    [one] = [
        one for one in processor.calibration.classes if (one.task, one.name) == ("ptbxl-diagnoses", "ventricular premature beats")
    ]
    assert f"{one.positive_patients} of {one.patients} had it" in words_of(stored("zero_shot_on_your_ecg"))


def test_simulated_figures_are_said_to_be_simulated() -> None:
    notebook = stored("few_label_probe")
    assert said(notebook).startswith("simulated ECGs: 800")
    assert "**simulated**" in words_of(notebook) and "its figures here flatter it" in words_of(notebook)


def test_the_farthest_negatives_are_guessable_and_the_surest_and_a_band_lies_between() -> None:
    table = said(stored("inside_n3s"))
    guessed = {name: float(value) for name, value in re.findall(r"^(\w+) +(0\.\d\d) \[0\.\d\d, 0\.\d\d\] ", table, re.M)}
    true = {name: float(value) for name, value in re.findall(r"^(\w+): ([\d.]+)% of its negatives are true", table, re.M)}
    assert guessed["farthest"] > 0.65 > 0.56 > guessed["band"] >= guessed["random"] > 0.45
    assert true["farthest"] < true["band"] < true["random"]


def test_figures_of_real_reports_are_those_of_the_page_on_negatives() -> None:
    page = (ROOT / "docs" / "negatives.md").read_text(encoding="utf-8")
    quoted = " ".join(words_of(stored("inside_n3s")).split())
    farthest = re.search(r"^\| farthest .* (0\.\d\d) \[", page, re.M)
    band = re.search(r"^\| band 0\.25–0\.95, by counts .* (0\.\d\d) \[", page, re.M)
    assert farthest is not None and band is not None
    assert f"guessable in {100 * float(farthest[1]):.0f} % of cases" in quoted
    assert f"comes down to {100 * float(band[1]):.0f} %" in quoted
    assert "16,905 reports" in quoted and "16,905" in page


def rows_of(table: str) -> list[list[str]]:
    """The cells of a Markdown table's lines that begin with a number of ECGs."""
    lines = [line.strip("| ") for line in table.splitlines() if re.match(r"\| \d+ ECGs", line)]
    return [[one.strip() for one in line.split(" | ")] for line in lines]


def rows_shown(notebook: NotebookNode) -> list[list[str]]:
    """The rows of the table that compares the two encoders."""
    [table] = [
        output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "random weights" in output.get("data", {}).get("text/html", "")
    ]
    return [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)]


def same_rows(quoted: list[list[str]], shown: list[list[str]]) -> bool:
    pairs = zip(quoted, shown, strict=True)
    return all(running.alike(" | ".join(one).replace(" %", "%"), " | ".join(other)) for one, other in pairs)


def test_the_table_of_real_ecgs_is_not_that_of_simulated_ones() -> None:
    notebook = stored("few_label_probe")
    shown, quoted = rows_shown(notebook), rows_of(words_of(notebook))
    assert [len(row) for row in shown] == [len(row) for row in quoted] == [4, 4, 4]
    assert same_rows(shown, shown) and not same_rows(quoted, shown)


@pytest.mark.slow
def test_on_real_ecgs_the_probe_notebook_shows_the_table_that_it_quotes(data_dir: Path, tmp_path: Path) -> None:
    from cmelt.sources.ptb_xl import PtbXl
    from cmelt.store import ShardSettings, prepare_store

    prepare_store(PtbXl(data_dir / "ptb-xl", rate=100), tmp_path / "store", ShardSettings(100, 10, "first", "cmelt"))
    fresh = running.run(ROOT / "notebooks" / "few_label_probe.ipynb", store=str(tmp_path / "store"))
    assert running.faults(fresh) == []
    assert said(fresh).startswith("real ECGs: 2015") and "NORM" in said(fresh)
    assert same_rows(rows_of(words_of(stored("few_label_probe"))), rows_shown(fresh)), rows_shown(fresh)


@pytest.fixture(params=["twelve leads, real", "two leads"])
def own_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An ECG that somebody may bring."""
    if request.param == "twelve leads, real":
        folder = request.getfixturevalue("data_dir")
        return next(iter(sorted((folder / "ptb-xl" / "records500").rglob("*.hea"))))
    record = simulate(12, ["atrial-fibrillation"], patient=2, rate=100, seconds=30.0)
    return write_format_16(tmp_path, np.round(1000 * record.signal[:2]).astype(np.int16), record.leads[:2], name="mine")


@pytest.mark.slow
def test_the_first_notebook_takes_a_file_of_ones_own(own_file: Path, tmp_path: Path) -> None:
    notebook = stored("zero_shot_on_your_ecg")
    [first] = [cell for cell in notebook.cells if cell.source.startswith("from cmelt.simulation import simulate")]
    first.source = re.sub(r"^ECG = .*$", f"ECG = {str(own_file)!r}", first.source, count=1, flags=re.M)
    assert str(own_file) in first.source
    (tmp_path / "own.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    fresh = running.run(tmp_path / "own.ipynb")
    assert running.faults(fresh) == []
    if own_file.name.startswith("mine"):
        assert "2 leads:\nI II\n" in said(fresh) and "not recorded, and probabilities were fitted on whole ECGs" in said(fresh)
    else:
        assert "12 leads:\nI II III" in said(fresh)


def cell(source: str, **shown: str) -> NotebookNode:
    """A code cell that was run; `text`, `stderr` or `png` is what it shows."""
    made = {"text": ("stream", {"name": "stdout"}), "stderr": ("stream", {"name": "stderr"})}
    outputs = [new_output(made[kind][0], text=value, **made[kind][1]) for kind, value in shown.items()]
    return new_code_cell(source, execution_count=1, outputs=outputs)


def test_a_notebook_that_fails_or_warns_is_told_and_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "faulty.ipynb"
    sources = ["import os, sys; print(os.listdir())", "print('mind this', file=sys.stderr)", "print(os.getcwd())", "1 / 0"]
    path.write_text(nbformat.writes(new_notebook(cells=[new_code_cell(source) for source in sources])), encoding="utf-8")
    before = path.read_bytes()
    assert running.main([str(path)]) == 1
    told = capsys.readouterr().err
    assert "cell 1 says on stderr: mind this" in told
    assert "cell 3 ends in ZeroDivisionError: division by zero" in told
    assert re.search(r"names the path /.*work", told), "the folder that a cell printed"
    assert "cell 0" not in told, "it works in an empty folder, and that is no fault"
    assert path.read_bytes() == before


def test_a_notebook_in_order_is_written_with_what_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "sound.ipynb"
    sources = [
        "import os; print(os.listdir(), repr(os.environ['NOTEBOOK_STORE']))",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]);",
    ]
    path.write_text(nbformat.writes(new_notebook(cells=[new_code_cell(source) for source in sources])), encoding="utf-8")
    assert running.main([str(path)]) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["cells"][0]["outputs"][0]["text"] == ["[] ''\n"]
    assert "image/png" in written["cells"][1]["outputs"][0]["data"]
    assert [one["metadata"] for one in written["cells"]] == [{}, {}]
    assert running.differences(nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)) == []


def test_faults_are_errors_warnings_paths_bulk_and_cells_that_were_not_run() -> None:
    sound = new_notebook(cells=[cell("1", text="84/min, 0.5 [0.4, 0.6], n/a, <a href='x'/>, https://example.org/a/b")])
    assert running.faults(sound) == []
    for faulty, word in (
        (cell("1", stderr="careful"), "stderr"),
        (cell("1", text="see /home/someone/file.txt"), "/home/someone/file.txt"),
        (cell("1", text="x" * 300_001), "bytes"),
        (new_code_cell("1"), "not run"),
    ):
        [fault] = running.faults(new_notebook(cells=[faulty]))
        assert word in fault


def test_numbers_may_differ_a_little_and_words_not_at_all() -> None:
    assert running.alike("gain +0.145 [+0.093, +0.196]", "gain  +0.150 [+0.100, +0.190]")
    assert running.alike("1,919 distinct reports", "1,900 distinct reports")
    assert not running.alike("gain +0.145", "gain -0.145")
    assert not running.alike("gain +0.145", "loss +0.145")
    assert not running.alike("1,919 distinct reports", "1,019 distinct reports")
    assert not running.alike("one 0.5", "one 0.5 0.5")


def test_another_output_is_a_difference_unless_the_cell_says_that_machines_differ() -> None:
    one, other = (new_notebook(cells=[cell("print(word)", text=text)]) for text in ("a report", "another report"))
    [found] = running.differences(one, other)
    assert "cell 0 shows" in found and "another report" in found
    for notebook in (one, other):
        notebook.cells[0].metadata.tags = ["differs-by-machine"]
    assert running.differences(one, other) == []
    silent = new_notebook(cells=[cell("print(word)")])
    silent.cells[0].metadata.tags = ["differs-by-machine"]
    assert running.differences(one, silent), "that it shows anything is the same everywhere"
    assert running.differences(one, new_notebook(cells=[cell("print(other)", text="a report")])) == ["the cells are others"]


def test_a_stored_picture_is_small_and_keeps_its_rare_colours() -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(240, 256, (300, 2000, 3)).astype(np.uint8)
    pixels[100:120, 500:520] = (232, 163, 106)  # evidence
    large = io.BytesIO()
    Image.fromarray(pixels).save(large, "PNG")
    small = Image.open(io.BytesIO(base64.b64decode(running.smaller(base64.b64encode(large.getvalue()).decode()))))
    assert small.size == (1400, 210)
    assert len(small.getcolors() or []) <= 128
    middle = np.asarray(small.convert("RGB"))[77, 357].astype(int)
    assert np.abs(middle - (232, 163, 106)).max() < 20
