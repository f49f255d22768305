"""The page of disturbed records: curves from what was measured, tables between their marks, a picture that is light."""

from __future__ import annotations

import pytest

import robustness_page as page
from robustness_conditions import CLEAN, conditions


def found(auroc: float, silent: float) -> dict:
    tasks = {task: {"auroc": [auroc, auroc - 0.02, auroc + 0.02]} for _, task, _, _ in page.CURVES}
    return {name: {"no_probability": [silent, 0, 1], "tasks": tasks} for name in (page.PTBXL, page.OTHERS)}


@pytest.fixture
def content() -> dict:
    told = []
    for one in conditions():
        at = None if one is CLEAN or one.at != one.at else float(one.at)
        told.append({"group": one.group, "name": one.name, "at": at, "data": found(0.9 if one is CLEAN else 0.8, 0.5)})
    return {"conditions": told}


def test_every_panel_shows_conditions_that_are_asked_and_have_a_place_on_its_axis(content):
    for group, _, _ in page.PANELS:
        assert len(page.curve(content, group, page.PTBXL, "ptbxl-super")) >= 4, group


def test_a_curve_goes_along_its_axis_and_through_the_clean_records_where_the_axis_has_them(content):
    gains = page.curve(content, "gain", page.PTBXL, "ptbxl-super")
    assert [(at, figure[0]) for at, figure in gains] == [(0.25, 0.8), (0.5, 0.8), (1.0, 0.9), (2.0, 0.8), (4.0, 0.8)]
    assert [at for at, _ in page.curve(content, "muscle", page.PTBXL, "ptbxl-super")] == [-6, 0, 6, 12, 18, 24]
    assert [share for _, share in page.untold(content, "muscle")] == [0.5] * 6


def test_what_was_refused_or_not_measured_leaves_a_gap(content):
    for one in content["conditions"]:
        if one["name"] == "× 4":
            one["data"][page.PTBXL]["tasks"]["ptbxl-super"]["auroc"] = None
        one["data"].pop(page.OTHERS)
    assert [at for at, _ in page.curve(content, "gain", page.PTBXL, "ptbxl-super")] == [0.25, 0.5, 1.0, 2.0]
    assert page.curve(content, "gain", page.OTHERS, "cinc2021") == []


def test_the_picture_is_drawn_and_light(content, tmp_path):
    page.draw(content, tmp_path / "curves.png")
    size = (tmp_path / "curves.png").stat().st_size
    assert 5_000 < size < 80_000
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_the_section_stands_between_its_marks_however_often_it_is_made():
    text = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    once = page.with_section(text, "new")
    assert once == page.with_section(once, "new") == f"before\n{page.BEGIN}\n\nnew\n\n{page.END}\nafter\n"
    with pytest.raises(ValueError, match="robustness: begin"):
        page.with_section("no marks", "new")
