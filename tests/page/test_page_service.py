"""The page with the real service: files of a hospital, scores as Python has them, a minute, a bad file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from paper_on_screen import settled, trace, watched

import cmelt
from cmelt.serving.http.examples import example_record
from cmelt.serving.notice import NOTICE

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.slow
SOURCE = Path(cmelt.__file__).parents[1]


@pytest.fixture(scope="module")
def address(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`cmelt serve` with the bundled model and an index of simulated ECGs, as anybody starts it."""
    for module in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(module, reason="the service needs the extra serve")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"}
    index = tmp_path_factory.mktemp("index") / "index"
    cmelt_command = [sys.executable, "-m", "cmelt.cli"]
    subprocess.run([*cmelt_command, "index", tiny_store, "--out", index], check=True, capture_output=True, env=environment)
    serve = [*cmelt_command, "serve", "--port", "0", "--threads", "1", "--index", str(index)]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, text=True, env=environment) as service:
        assert service.stderr
        said: list[str] = []
        try:
            for line in service.stderr:
                said.append(line)
                if "http://" in line:
                    break
            found = re.search(r"http://[\w.:]+", "".join(said))
            assert found, said
            yield found[0]
        finally:
            service.terminate()
            service.stderr.read()


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    page = context.new_page()
    page.set_default_timeout(240_000)  # a model is loaded, prompts are read
    errors = watched(page)
    page.goto(address)
    page.wait_for_selector("body:not([aria-busy]) #example-form:not([hidden])")
    yield page
    assert errors == []


def test_a_record_of_two_files_is_drawn_as_it_was_measured_and_scored_as_in_python(page: Page, data_dir: Path) -> None:
    header = sorted((data_dir / "ptb-xl" / "records500").rglob("*.hea"))[0]
    page.set_input_files("#file", [header, header.with_suffix(".dat")])
    page.wait_for_selector("#pane-a:not([hidden])")
    record = cmelt.read_ecg(header)
    assert f"{record.rate:g} Hz" in page.inner_text("#pane-a .facts")
    page.select_option("#layout", "12x1")
    drawn = trace(page, "V3")
    height = record.signal[record.leads.index("V3")]
    assert (drawn[:, 1].max() - drawn[:, 1].min()) / 10 == pytest.approx(float(np.ptp(height)), abs=0.004)

    page.fill("#findings", "is there atrial fibrillation?\nnormal ECG")
    page.click("#ask-form button")
    page.wait_for_selector("#score-table tbody tr")
    settled(page)
    assert page.inner_text("#score-notice") == NOTICE
    rows = page.locator("#score-table tbody tr").all()
    shown = {
        row.locator("th").inner_text().split("\n")[0]: float(row.locator("td").first.inner_text().replace("−", "-"))
        for row in rows
    }
    model, processor = cmelt.load("small")
    lines = cmelt.typed_lines(["is there atrial fibrillation?", "normal ECG"])
    expected = cmelt.classify(model, processor, record, lines).of(0)
    assert shown == {name: pytest.approx(value, abs=2e-3) for name, value in expected.items()}


def test_every_example_is_drawn_and_every_set_is_scored(page: Page) -> None:
    examples = page.locator("#example option").all_text_contents()
    for title in examples:
        page.select_option("#example", label=title)
        page.click("#example-form button")
        page.wait_for_selector(f"#pane-a h2:has-text('{title}')")
        settled(page)
        assert page.locator("#pane-a path.trace").count() >= 12, title
    for title in page.locator("#set option").all_text_contents()[1:3]:
        page.select_option("#set", label=title)
        page.click("#ask-form button")
        settled(page)
        assert page.locator("#problem").is_hidden(), title
        assert page.locator("#score-table tbody tr").count() == int(re.search(r"\((\d+)", title)[1])


def test_neighbours_are_found_by_ecg_and_by_text_and_drawn_beside(page: Page) -> None:
    page.click("#example-form button")
    page.wait_for_selector("#pane-a:not([hidden])")
    page.click("#search-form button")
    page.wait_for_selector("#hits li")
    assert page.locator("#hits li").count() == 10
    page.click("#hits button >> nth=0")
    page.wait_for_selector("#pane-b:not([hidden])")
    settled(page)
    assert page.locator("#pane-b path.trace").count() == 13
    page.fill("#search-text", "atrial fibrillation")
    page.fill("#youngest", "60")
    page.select_option("#sex", "female")
    page.click("#search-form button")
    settled(page)
    assert page.locator("#problem").is_hidden(), page.inner_text("#problem")
    assert "male" not in page.inner_text("#hits").replace("female", "")


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_evidence_is_shown_where_the_service_has_it(page: Page, method: str) -> None:
    pytest.importorskip("captum", reason="explanations need the extra explain")
    page.select_option("#example", "atrial-fibrillation")
    page.click("#example-form button")
    page.wait_for_selector("#pane-a:not([hidden])")
    page.click("#ask-form button")
    page.wait_for_selector("#score-table button")
    page.select_option("#method", method)
    page.click("#score-table button:has-text('atrial fibrillation')")
    page.wait_for_selector("#evidence:not([hidden])")
    settled(page)
    assert page.locator("#pane-a .evidence rect").count() > 10
    model, processor = cmelt.load("small")
    expected = cmelt.explain(model, processor, example_record("atrial-fibrillation"), "atrial fibrillation", method=method)
    place = re.search(r"Most speaks for it in (\w+), ([\d.]+)–([\d.]+) s", page.inner_text("#evidence-text"))
    assert place
    row = expected.values[expected.leads.index(place[1])]
    begin, end = (round(float(at) * expected.rate) for at in place.groups()[1:])
    width = end - begin
    sums = np.array([np.convolve(lead, np.ones(width), "valid") for lead in expected.values])
    assert row[begin:end].sum() == pytest.approx(sums.max(), rel=0.02)  # no other fifth of a second has more


def test_a_file_that_is_no_ecg_is_refused_in_words(page: Page) -> None:
    page.set_input_files("#file", {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0 a cat"})
    page.wait_for_selector("#problem:not([hidden])")
    assert "not an ECG format" in page.inner_text("#problem") and "What to do" in page.inner_text("#problem")
