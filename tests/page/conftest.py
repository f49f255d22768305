"""One Chromium for all tests of the page, a stand-in of the service, and a fresh tab a test that must end without an error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import stand_in as service
from page_tools import Tools
from paper_on_screen import watched
from stand_in import StandIn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",  # pictures are compared
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
]
#: Where Debian, Fedora and others put it; or named by $CMELT_CHROMIUM.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-pictures", action="store_true", help="Take the stored pictures of the page anew (tests/page).")


@pytest.fixture(scope="module")  # no longer: the driver's event loop would stand in the way of other tests' own
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright (extra dev)")
    found = os.environ.get("CMELT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium here: install it, or name it in $CMELT_CHROMIUM, to test the page")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _served() -> Iterator[StandIn]:
    with service.serving() as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(_served: StandIn) -> StandIn:
    """The stand-in as it is at first, whatever the last test made of it."""
    fresh = replace(StandIn(), examples=_served.examples, address=_served.address)
    _served.__dict__.update(fresh.__dict__)
    return _served


@pytest.fixture(scope="module")
def tools(browser: Browser, _served: StandIn) -> Iterator[Tools]:
    context = browser.new_context(bypass_csp=True)  # the tests bring code of their own
    page = context.new_page()
    page.goto(_served.address)
    yield Tools(page)
    context.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, stand_in: StandIn) -> Iterator[Page]:
    """The page, opened; a test fails where the browser had anything to complain of."""
    page = context.new_page()
    errors = watched(page)
    page.goto(stand_in.address)
    page.wait_for_selector("body:not([aria-busy]) #example-form:not([hidden])")
    yield page
    assert errors == []
