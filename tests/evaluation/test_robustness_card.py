"""What a card says of disturbed ECGs: what breaks, whether it is told, and what putting leads right gives back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmelt.evaluation.model_card import model_card
from cmelt.evaluation.robustness_card import breaks, is_told, robustness_section

ROOT = Path(__file__).resolve().parents[2]


def condition(group: str, name: str, loss: float | None, told: float = 0.04, kept: float | None = 0.0) -> dict:
    def figure(value: float | None) -> list[float] | None:
        return None if value is None else [value, value - 0.01, value + 0.01]

    task = {"auroc": figure(0.9), "difference": figure(loss), "with_probability": figure(kept)}
    task |= {"records": 40, "records_with_probability": 7}
    refused = [1.0, 0.9, 1.0] if loss is None else [0.0, 0.0, 0.1]
    sample = {"refused": refused, "flagged": [told, 0, 1], "no_probability": [told, 0, 1], "tasks": {"ptbxl-super": task}}
    return {"group": group, "name": name, "at": None, "data": {"PTB-XL": sample}}


CONDITIONS = [
    condition("as recorded", "clean", 0.0),
    condition("muscle", "-6 dB", -0.118, told=1.0),
    condition("gain", "× 4", -0.031, told=0.4, kept=-0.029),
    condition("gain", "× 2", -0.004),
    condition("wrong unit", "µV read as mV", None, told=1.0, kept=None),
    condition("exchanged", "arms (RA, LA)", -0.162, told=0.985),
    condition("exchanged, corrected", "none", 0.0),
    condition("exchanged, corrected", "arms (RA, LA)", -0.001),
]


@pytest.fixture
def content() -> dict:
    samples = [{"name": "PTB-XL", "records": 505, "patients": 467, "judged": 259}]
    return {"format": "cmelt-robustness", "weights": "0" * 64, "samples": samples, "conditions": CONDITIONS}


def test_a_break_is_a_loss_beyond_two_hundredths_or_a_refusal_and_is_told_where_nearly_all_lose_their_probability():
    assert [breaks(one) for one in CONDITIONS] == [False, True, True, False, True, True, False, False]
    assert [is_told(one) for one in CONDITIONS if breaks(one)] == [True, False, True, True]


def test_what_breaks_stands_in_a_table_with_what_is_told(content):
    section = robustness_section(content)
    rows = [line for line in section.splitlines() if line.startswith("| muscle")]
    assert rows == ["| muscle: -6 dB | -0.118 [-0.128, -0.108] | 1.00; 1.00 |"]
    assert "| wrong unit: µV read as mV | – | refused |" in section
    assert "259 of PTB-XL" in section and "505 of PTB-XL" in section and "benchmarks/robustness.py" in section
    assert "as they were recorded, 0.040 of PTB-XL get no probability" in section


def test_what_is_not_told_is_named_with_what_it_costs_those_who_believe_it(content):
    section = robustness_section(content)
    missed = section[section.index("Not told well enough") : section.index("### What does not")]
    assert "* gain: × 4: ptbxl-super -0.029 [-0.039, -0.019] of 7" in missed
    assert "muscle" not in missed and "arms" not in missed
    assert "* gain: × 2 (at worst -0.004)" in section


def test_where_all_breaks_are_told_it_says_so(content):
    told = [one for one in CONDITIONS if one["name"] != "× 4"]
    assert "at least 90 % of the records get no probability" in robustness_section({**content, "conditions": told})


def test_each_exchange_stands_beside_itself_put_right_and_beside_right_records(content):
    section = robustness_section(content)
    assert "| arms (RA, LA) | -0.162 [-0.172, -0.152] | -0.001 [-0.011, +0.009] |" in section
    assert "| none |  | +0.000 [-0.010, +0.010] |" in section


def test_a_card_has_the_section_where_it_was_measured_and_none_where_not(content):
    with_it, without = (model_card("m", {}, [], [], "x", one) for one in (content, None))
    assert robustness_section(content) in with_it and "Disturbed" not in without


def measured() -> dict:
    path = ROOT / "benchmarks/results/robustness.json"
    if not path.is_file():
        pytest.skip("not measured in this checkout")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", ["docs/model-card.md", "src/cmelt/weights/small/README.md"])
def test_the_bundled_model_s_pages_have_the_tables_of_what_was_measured_of_these_weights(page):
    content = measured()
    manifest = json.loads((ROOT / "src/cmelt/weights/small/manifest.json").read_text(encoding="utf-8"))
    assert content["weights"] == manifest["files"]["model.safetensors"]["sha256"], "measure the bundled weights anew"
    assert robustness_section(content) in (ROOT / page).read_text(encoding="utf-8"), "make the pages anew"
