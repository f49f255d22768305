"""Pages are one file each; what comes from data is text, never markup."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from cmelt.pages import NOTICE, Bar, bar_chart, document, facts, histogram, table


def bars_of(svg: str) -> list[tuple[float, float]]:
    """(width, height) of every bar."""
    return [
        (float(bar.attrib["width"]), float(bar.attrib["height"]))
        for bar in ElementTree.fromstring(svg).iter("rect")
        if bar.attrib["class"] == "bar"
    ]


def test_a_page_says_that_it_is_no_medical_device_and_fetches_nothing():
    page = document("A title", {"part": "Part"}, '<h2 id="part">Part</h2>')
    assert NOTICE in page and '<a href="#part">Part</a>' in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|@import|url\(""", page)


def test_text_stays_text():
    hostile = "<script>alert(1)</script>"
    for html in (
        table([hostile], [[hostile]]),
        facts({hostile: hostile}),
        bar_chart([Bar(hostile, 1)], hostile),
        document(hostile, {}, ""),
    ):
        assert "<script>" not in html and "&lt;script&gt;" in html


def test_bars_are_as_long_as_their_values():
    widths = [width for width, _ in bars_of(bar_chart([Bar("a", 200), Bar("b", 50), Bar("c", 0)], "t"))]
    assert widths[0] / widths[1] == 4
    assert widths[2] < 1
    assert bars_of(bar_chart([], "nothing")) == []


def test_a_histogram_counts_every_value_once_the_outer_ones_at_its_ends():
    heights = [height for _, height in bars_of(histogram([-5, 0, 5, 15, 15, 25, 20, 99], [0, 10, 20], "t"))]
    counts = np.array(heights) / heights[0] * 3
    assert np.allclose(counts, [3, 5], atol=0.1)
