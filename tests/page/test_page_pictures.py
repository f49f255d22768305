"""Stored pictures of the page: it still looks like them, and what would spoil it is seen.

`pytest tests/page/test_page_pictures.py --renew-pictures` takes them anew: look at every one before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("PIL", reason="pictures are compared with pillow")

import pictures
from paper_on_screen import settled, show_example
from pictures import Picture, differences, keep, reference, taken, with_one_font
from stand_in import StandIn

from cmelt.serving.http.examples import example_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK, TABLET, SIDEWAYS, SHEET = (1440, 900), (900, 900), (844, 390), (1122, 793)


def scored(page: Page) -> None:
    """One ECG, its scores, and the evidence for one of them."""
    show_example(page, "atrial-fibrillation")
    page.click("#ask-form button")
    page.click("#score-table button >> nth=0")
    page.wait_for_selector("#evidence:not([hidden])")
    settled(page)


def compared(page: Page) -> None:
    """Two ECGs beside one another."""
    show_example(page, "before")
    show_example(page, "after", "b")


def measured(page: Page) -> None:
    """All leads below one another, with calipers marched out."""
    show_example(page, "left-bundle-branch-block")
    page.select_option("#layout", "12x1")
    page.focus("#pane-a .scroller")
    for key in ("c", "m", "Shift+ArrowLeft"):
        page.keyboard.press(key)


def faulty(page: Page) -> None:
    """A recording with faults, in two columns."""
    show_example(page, "gaps")
    page.select_option("#layout", "6x2")


def opened(page: Page) -> None:
    """One ECG on a low screen, where it is scrolled to."""
    show_example(page, "acute-inferior-infarction")


def printed(page: Page) -> None:
    """The first sheet that the printer gets."""
    show_example(page, "normal")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")


#: Name → the window, its colours, and what is done.
SCENES: dict[str, tuple[tuple[int, int], str, Callable[[Page], None]]] = {
    "desk-light": (DESK, "light", scored),
    "desk-dark": (DESK, "dark", scored),
    "desk-two": (DESK, "light", compared),
    "tablet-light": (TABLET, "light", faulty),
    "tablet-dark": (TABLET, "dark", measured),
    "sideways-light": (SIDEWAYS, "light", opened),
    "sideways-dark": (SIDEWAYS, "dark", opened),
    "print": (SHEET, "dark", printed),
}
#: What spoils the page of "desk-light".
SPOILED = {
    "a trace moved by a millimetre": 'path.trace[data-lead="V2"] { transform: translate(0, 1px); }',
    "all traces moved sideways": "path.trace { transform: translate(1px, 0); }",
    "a missing trace": 'path.trace[data-lead="aVL"] { display: none; }',
    "an inverted trace": 'path.trace[data-lead="V5"] { transform: scaleY(-1); transform-box: fill-box; }',
    "no calibration pulse": "svg.ecg .pulse { display: none; }",
    "no fine grid": "svg.ecg .minor { stroke: none; }",
    "no heavy grid": "svg.ecg .major { stroke: none; }",
    "paper of another colour": "svg.ecg .paper { fill: #f0fff0; }",
    "traces of another colour": "svg.ecg .trace { stroke: #3060ff; }",
    "pale traces": "svg.ecg .trace { stroke-opacity: .5; }",
    "no evidence": "svg.ecg .evidence { display: none; }",
    "no panel of findings": "#asking { display: none; }",
    "the panel below the ECG": "#work.beside { display: block; }",
    "no notice at the scores": "#score-notice { visibility: hidden; }",
    "larger paper": "svg.ecg { width: 280mm; height: auto; }",
}


@pytest.fixture(scope="module")
def scene(browser: Browser, _served: StandIn) -> Iterator[Callable[[str], Page]]:
    """`scene(name)` → the page as that scene has it; kept open for the next who asks."""
    _served.__dict__.update(StandIn(address=_served.address, examples=_served.examples).__dict__)
    own = ("normal", "before", "after", "atrial-fibrillation", "left-bundle-branch-block", "acute-inferior-infarction")
    from cmelt.serving.http.service import drawable

    examples = _served.examples
    _served.examples = {"gaps": examples["gaps"], **{name: drawable(example_record(name)) for name in own}}
    pages: dict[str, Page] = {}

    def prepared(name: str) -> Page:
        if name not in pages:
            (width, height), scheme, prepare = SCENES[name]
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1, bypass_csp=True
            )
            context.set_default_timeout(120_000)
            page = pages[name] = context.new_page()
            page.goto(_served.address)
            page.wait_for_selector("body:not([aria-busy]) #example-form:not([hidden])")
            with_one_font(page)
            prepare(page)
        return pages[name]

    yield prepared
    for page in pages.values():
        page.context.close()
    _served.examples = examples


@pytest.mark.parametrize("name", SCENES)
def test_the_page_looks_as_it_did(scene: Callable[[str], Page], name: str, request: pytest.FixtureRequest) -> None:
    picture = taken(scene(name))
    if request.config.getoption("--renew-pictures", default=False):
        keep(name, picture)
    assert differences(picture, reference(name)) == []


@pytest.mark.parametrize("fault", SPOILED)
def test_what_spoils_the_page_is_seen(scene: Callable[[str], Page], fault: str) -> None:
    page = scene("desk-light")
    style = page.add_style_tag(content=SPOILED[fault])
    spoiled = taken(page)
    style.evaluate("(one) => one.remove()")
    assert differences(spoiled, reference("desk-light"))


def test_a_dark_page_is_no_light_one(scene: Callable[[str], Page]) -> None:
    assert len(differences(taken(scene("desk-dark")), reference("desk-light"))) > 100


def test_letters_may_be_smoothed_in_another_way_and_not_be_gone(scene: Callable[[str], Page]) -> None:
    page = scene("desk-light")
    smoothed = page.add_style_tag(content="* { -webkit-font-smoothing: none; text-rendering: geometricPrecision; }")
    softer = taken(page)
    smoothed.evaluate("(one) => one.remove()")
    blurred = Picture(np.where(softer.letters[:, :, None], around(softer.pixels), softer.pixels), softer.letters)
    assert differences(blurred, reference("desk-light")) == []
    gone = page.add_style_tag(content="#ask-title { color: transparent; }")
    silent = taken(page)
    gone.evaluate("(one) => one.remove()")
    assert differences(silent, reference("desk-light"))


def around(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each pixel the mean of itself and its neighbours left and right."""
    return (pixels + np.roll(pixels, 1, axis=1) + np.roll(pixels, -1, axis=1)) / 3


def test_reference_pictures_are_small_and_all_asked_for() -> None:
    files = {file.stem: file.stat().st_size for file in pictures.FOLDER.iterdir()}
    assert files.keys() == SCENES.keys() and len(files) <= 12
    assert max(files.values()) <= 40_000
