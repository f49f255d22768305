"""The page for everyone: keyboard alone, screen readers (axe-core), narrow and low screens, light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from paper_on_screen import settled, show_example
from stand_in import StandIn

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: A phone held upright and sideways, and a desk.
SIZES = {"phone": (390, 844), "sideways": (844, 390), "desk": (1440, 900)}
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]}}


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA, with the elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python brings axe-core")
    found = axe.Axe().run(page, options=_RULES).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


def fill(page: Page) -> None:
    """Everything that the page can show at once: two ECGs, calipers, scores, evidence, hits."""
    show_example(page, "gaps")
    show_example(page, "other", "b")
    page.click("#calipers")
    page.click("#ask-form button")
    page.wait_for_selector("#score-table button")
    settled(page)
    page.click("#score-table button >> nth=0")
    page.wait_for_selector("#evidence:not([hidden])")
    page.click("#search-form button")
    page.wait_for_selector("#hits li")
    settled(page)


@pytest.mark.slow
def test_axe_really_looks(page: Page) -> None:
    page.evaluate("document.querySelector('label[for=findings]').remove()")
    show_example(page, "known")
    assert any("findings" in violation for violation in violations(page))


def focus_with_tab(page: Page, wanted: str, most: int = 60) -> None:
    """Presses Tab until the element `wanted` has the focus."""
    for _ in range(most):
        if page.evaluate("(wanted) => document.activeElement?.matches(wanted)", wanted):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {wanted}")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_empty_page_the_full_one_and_dialogs(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    assert violations(page) == []
    fill(page)
    assert violations(page) == []
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
    for button, dialog in (("#screen", "#screen-dialog"), ("#keys", "#keys-dialog")):
        page.click(button)
        assert violations(page) == []
        page.keyboard.press("Escape")
        assert page.locator(dialog).is_hidden()
    page.evaluate("document.getElementById('token-dialog').showModal()")
    assert violations(page) == []


def test_the_whole_way_by_keyboard_alone(page: Page, stand_in: StandIn) -> None:
    focus_with_tab(page, "#example")
    page.keyboard.type("The kn")  # a menu goes to what begins so
    focus_with_tab(page, "#example-form button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#pane-a:not([hidden])")
    assert page.inner_text("#pane-a h2") == "ECG A: The known ECG (simulated)"
    settled(page)
    focus_with_tab(page, "#pane-a .scroller")
    page.keyboard.press("c")
    reading = page.locator("#pane-a .reading")
    assert "1000 ms (60 bpm), 1.00 mV" in reading.inner_text()
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")  # 1 mm: 40 ms
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowUp")  # 0.1 mm: 0.01 mV
    assert "800 ms (75 bpm), 1.11 mV" in reading.inner_text()
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")  # the other point now: 4 ms nearer
    assert "796 ms" in reading.inner_text()
    page.keyboard.press("m")
    assert page.locator("#pane-a .marched").count() > 5
    page.keyboard.press("+")
    assert "125 %" in page.inner_text("#scale")
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    assert reading.inner_text() == "" and page.locator(".calipers").count() == 0
    focus_with_tab(page, "#findings")
    focus_with_tab(page, "#ask-form button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#score-table button")
    settled(page)
    focus_with_tab(page, "#score-table button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#evidence:not([hidden])")
    settled(page)
    assert page.evaluate("document.activeElement.matches('button.finding[aria-pressed=true]')")  # the focus stays where it was


@pytest.mark.slow
def test_letters_do_nothing_outside_the_paper(page: Page) -> None:
    show_example(page, "known")
    page.focus("#findings")
    page.keyboard.type("c+f0")
    assert page.get_attribute("#calipers", "aria-pressed") == "false" and "100 %" in page.inner_text("#scale")


@pytest.mark.slow
def test_the_paper_is_left_with_tab_even_while_measuring(page: Page) -> None:
    show_example(page, "known")
    page.focus("#pane-a .scroller")
    page.keyboard.press("c")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('#pane-a .scroller')")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_nothing_sticks_out_and_every_button_is_large_enough(page: Page, size: str, tmp_path: Path) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    fill(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for button in page.locator("button:visible, select:visible").all():
        box = button.bounding_box()
        assert box and min(box["width"], box["height"]) >= 24, button.inner_text()
    page.screenshot(path=tmp_path / f"{size}.png", full_page=True)
    paper = page.locator("#pane-a .scroller")
    paper.scroll_into_view_if_needed()
    assert paper.bounding_box()["height"] >= min(height, 400) * 0.6  # of a low screen, too, the paper gets most


@pytest.mark.slow
def test_a_screen_reader_is_told_what_happens(page: Page) -> None:
    show_example(page, "gaps")
    assert page.get_attribute("#pane-a svg.ecg", "role") == "img"
    assert page.get_attribute("#pane-a svg.ecg", "aria-label") == "ECG A: The gaps ECG (simulated)"
    assert page.get_attribute("#problem", "role") == "alert"
    assert page.get_attribute("#pane-a .reading", "role") == "status"
    keys = page.locator("#paper-keys").text_content()
    assert keys and re.search("C turns calipers on", keys)
