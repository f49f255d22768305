"""What is on the page's paper, for tests: where points of a trace lie on the screen, and what the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

PIXELS_A_MM = 96 / 25.4

_TRACE = """([pane, lead]) => {
  const paths = document.querySelectorAll(`#pane-${pane} path.trace[data-lead="${lead}"]`);
  return paths[paths.length - 1].getAttribute('d').split(/[ML]/).slice(1).map((point) => point.split(' ').map(Number));
}"""
_SCREEN = """([pane, x, y]) => {
  const {x: left, y: top} = new DOMPoint(x, y).matrixTransform(document.querySelector(`#pane-${pane} svg.ecg`).getScreenCTM());
  return [left, top];
}"""


def watched(page: Page) -> list[str]:
    """Errors of the page as they come: exceptions, and what the console calls an error (refused by the policy, among others)."""
    errors: list[str] = []

    def told(message: Any) -> None:
        # An answer of 4xx is the service's affair; the page has to show it, and tests look at that.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    page.on("console", told)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def show_example(page: Page, name: str, slot: str = "a") -> None:
    """Opens an example and waits until its paper is there."""
    page.select_option("#example", name)
    page.check(f'input[name="slot"][value="{slot}"]')
    page.click("#example-form button")
    page.wait_for_selector(f"#pane-{slot} h2:has-text('The {name} ECG')")
    settled(page)


def settled(page: Page) -> None:
    """Waits until the page does nothing any more."""
    page.wait_for_selector("body:not([aria-busy])")


def trace(page: Page, lead: str, pane: str = "a") -> np.ndarray:
    """Points [n, 2] of the last trace of `lead`, mm of the sheet."""
    return np.array(page.evaluate(_TRACE, [pane, lead]))


def on_screen(page: Page, x: float, y: float, pane: str = "a") -> tuple[float, float]:
    """A point of the sheet in pixels of the screen."""
    left, top = page.evaluate(_SCREEN, [pane, x, y])
    return left, top


def peaks(points: np.ndarray) -> np.ndarray:
    """The tops [n, 2] of a trace of spikes."""
    y = points[:, 1]
    top = (y[1:-1] < y[:-2]) & (y[1:-1] <= y[2:]) & (y[1:-1] < y.min() + 1)
    return points[1:-1][top]
