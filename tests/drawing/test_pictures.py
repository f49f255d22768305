"""The files: SVG in true millimetres that nothing in a record can break, PNG and PDF of the same size, `cmelt.plot`."""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import numpy as np
import pytest

import cmelt
from cmelt.drawing.header import facts_of, in_lines, printable
from cmelt.drawing.marks import SMALL_SIZE, width_of
from cmelt.drawing.paper import Paper
from cmelt.drawing.printing import printed
from cmelt.drawing.sheet import sheet_of
from cmelt.drawing.svg import svg_of
from cmelt.errors import ConfigError, RecordError
from cmelt.pages.notice import NOTICE
from cmelt.records.record import LEADS, Record
from ecg_files import heart, record, write_wfdb

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</text><script>alert(1)</script>",
    '"><svg onload=x>',
    "$\\frac$",
    "a\u202eb\x00\x1bc",
    "漢字\n\n&amp;",
    " ",
)


def hostile() -> Record:
    """Names that break SVG, XML, formulas and terminals."""
    return Record(heart()[: len(HOSTILE)], 100.0, HOSTILE, sex="<b>", measurements={"<i>": 1.0, "qt_ms": float("nan")})


def paths(svg: str, kind: str = "trace") -> list[tuple[str, np.ndarray]]:
    """(lead, points in mm) of each path of a kind."""
    found = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if path.get("class") == kind:
            points = [[float(value) for value in pair.split()] for pair in re.findall(r"[ML]([-\d.]+ [-\d.]+)", path.get("d"))]
            found.append((path.get("data-lead"), np.array(points)))
    return found


def test_the_svg_s_unit_is_the_millimetre():
    root = ElementTree.fromstring(cmelt.plot(record()))
    assert (root.get("width"), root.get("height")) == tuple(f"{side}mm" for side in root.get("viewBox").split()[2:])
    assert root.get("width") == "270mm"


def test_a_known_signal_lies_in_the_svg_where_it_should():
    signal = np.zeros((12, 1000), np.float32)
    signal[1, 500:520] = 1.0
    lead, rhythm = paths(cmelt.plot(Record(signal, 100.0, LEADS)))[-1]
    assert lead == "II"
    peak = rhythm[np.argmin(rhythm[:, 1])]
    assert rhythm[0, 1] - peak[1] == pytest.approx(10.0)
    assert peak[0] - rhythm[0, 0] == pytest.approx(5 * 25)


def test_nothing_in_a_record_breaks_out_of_the_svg():
    svg = cmelt.plot(hostile())
    root = ElementTree.fromstring(svg)  # well-formed, control characters and all
    assert {element.tag for element in root.iter()} <= {f"{SVG}{tag}" for tag in ("svg", "title", "desc", "rect", "path", "text")}
    assert not {name for element in root.iter() for name in element.attrib if name.startswith("on")}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", svg)
    assert len(paths(svg)) == len(HOSTILE)
    assert "no name" in {text.text for text in root.iter(f"{SVG}text")}


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_hostile_names_are_printed_without_a_warning(form):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(printed(sheet_of(hostile(), Paper()), form)) > 10_000


def test_a_png_knows_its_size_in_millimetres_and_has_the_trace_where_the_svg_has_it():
    import matplotlib.image

    signal = np.zeros((12, 1000), np.float32)
    signal[:, 300:700] = 1.0
    sheet = sheet_of(Record(signal, 100.0, LEADS), Paper("12x1"))
    content = printed(sheet, "png")
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (round(sheet.width * 8), round(sheet.height * 8))
    place = content.index(b"pHYs") + 4
    across, down, unit = struct.unpack(">IIB", content[place : place + 9])
    assert unit == 1 and across == down == pytest.approx(8000, abs=1)  # dots a metre
    from io import BytesIO

    dark = matplotlib.image.imread(BytesIO(content), format="png")[..., :3].max(axis=2) < 0.35
    for lead, points in paths(svg_of(sheet)):
        top = points[:, 1].min()
        on = points[points[:, 1] == top, 0]
        middle = round((on.min() + on.max()) / 2 * 8)
        assert dark[round(top * 8) - 1 : round(top * 8) + 2, middle].any(), lead
        assert not dark[round((top + 5) * 8) - 8 : round((top + 5) * 8) + 8, middle].any(), lead


def test_a_pdf_s_page_has_the_sheet_s_size_and_says_nothing_of_when_it_was_made():
    sheet = sheet_of(record(), Paper())
    content = printed(sheet, "pdf")
    box = [float(value) for value in re.search(rb"/MediaBox \[([^\]]+)\]", content)[1].split()]
    assert [side / 72 * 25.4 for side in box[2:]] == pytest.approx([sheet.width, sheet.height], abs=1e-3)
    assert b"CreationDate" not in content
    assert content == printed(sheet, "pdf")


@pytest.mark.parametrize("name", ["page.svg", "page.PNG", "page.pdf"])
def test_plot_writes_the_kind_that_the_name_says_and_returns_the_svg(tmp_path, name):
    path = write_wfdb(tmp_path / "ecg", heart())
    (tmp_path / name).write_text("old")
    svg = cmelt.plot(path, tmp_path / name, layout="6x2")
    begin = (tmp_path / name).read_bytes()[:4]
    assert begin == {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF"}[name[-4:].lower()]
    assert svg.startswith("<svg") and len(paths(svg)) == 12
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".")]


def test_plot_takes_an_array_with_its_leads_rate_and_unit():
    array = cmelt.record_of(heart() * 1000, rate=100, unit="uV", leads=LEADS)
    assert paths(cmelt.plot(array))[0][1] == pytest.approx(paths(cmelt.plot(record()))[0][1], abs=0.011)


def test_what_cannot_be_drawn_or_written_is_an_error_with_its_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"\.svg, \.png, \.pdf"):
        cmelt.plot(record(), tmp_path / "page.jpg")
    with pytest.raises(ConfigError, match="name a folder that is there"):
        cmelt.plot(record(), tmp_path / "no" / "page.svg")
    with pytest.raises(RecordError, match="no such file"):
        cmelt.plot(tmp_path / "no.xml")
    assert not list(tmp_path.iterdir())


def test_figures_that_are_none_are_not_printed():
    absurd = {"qt_ms": float("nan"), "qrs_ms": float("inf"), "pr_ms": 1e300, "heart_rate_bpm": 60.0}
    told = facts_of(replace(record(), age=float("nan"), sex="unknown", measurements=absurd))
    assert told == ["heart rate 60/min"]


def test_text_out_of_files_is_one_short_line_of_plain_characters():
    assert printable("V1\x00\n lead\u202e") == "V1 lead"
    assert printable("x" * 50) == "x" * 11 + "…"


def test_long_lines_are_broken_at_words_and_fit_the_paper():
    for width in (60.0, 120.0):
        lines = in_lines(["25 mm/s", NOTICE, "10 mm/mV"], width)
        assert all(width_of(line, SMALL_SIZE) <= width for line in lines)
        assert " ".join(lines).split() == f"25 mm/s {NOTICE} 10 mm/mV".split()


@dataclass(frozen=True)
class Given:
    """Evidence as any maker of it may give it."""

    leads: tuple[str, ...]
    seconds: object
    values: np.ndarray


def evidence(at: float, sign: float = 1.0, lead: str = "II", rate: float = 50.0, seconds: float = 10.0) -> Given:
    """All of it in 0.2 s of one lead, and half as much against it a second later."""
    times = np.arange(round(seconds * rate)) / rate
    values = np.zeros((2, len(times)))
    values[0, (times >= at - 1e-9) & (times < at + 0.2 - 1e-9)] = sign
    values[0, (times >= at + 1 - 1e-9) & (times < at + 1.2 - 1e-9)] = -sign / 2
    return Given((lead, "V1"), times, values)


def test_evidence_stands_where_it_lies_in_time_above_the_line_for_and_below_it_against():
    svg = cmelt.plot(record(), evidence=evidence(6.0), layout="12x1")
    baseline = 0.0
    (_, speaks_for), (_, against) = paths(svg, "speaks-for") + paths(svg, "speaks-against")
    left = next(points[0, 0] for lead, points in paths(svg) if lead == "II")
    baseline = speaks_for[:, 1].max()
    assert speaks_for[:, 0].min() - left == pytest.approx(6 * 25) and np.ptp(speaks_for[:, 0]) == pytest.approx(5)
    assert against[:, 0].min() - left == pytest.approx(7 * 25)
    assert against[:, 1].min() == pytest.approx(baseline)
    assert np.ptp(speaks_for[:, 1]) == pytest.approx(9.0) and np.ptp(against[:, 1]) == pytest.approx(4.5)
    assert "speaks for" in svg


def test_evidence_stands_in_the_column_in_which_its_stretch_is_drawn_and_on_the_page_where_it_begins():
    svg = cmelt.plot(record(), evidence=evidence(3.0, lead="aVL"))  # second column: 2.5 to 5 s
    assert len(paths(svg, "speaks-for")) == 1
    assert not paths(cmelt.plot(record(), evidence=evidence(6.0, lead="aVL")), "speaks-for")
    later = cmelt.plot(record(seconds=30.0), start=10.0, layout="12x1", evidence=evidence(16.0, seconds=30.0))
    left = next(points[0, 0] for lead, points in paths(later) if lead == "II")
    assert paths(later, "speaks-for")[0][1][:, 0].min() - left == pytest.approx(6 * 25)


def test_evidence_by_length_alone_is_spread_evenly_and_of_leads_that_are_not_there_is_left_out():
    there = evidence(6.0)
    spread = Given(("II", "V1"), 10.0, there.values)
    assert paths(cmelt.plot(record(), evidence=spread), "speaks-for")[0][1] == pytest.approx(
        paths(cmelt.plot(record(), evidence=there), "speaks-for")[0][1], abs=1.0
    )
    few = record(leads=("II",))
    assert paths(cmelt.plot(few, evidence=there), "speaks-for")
    assert paths(cmelt.plot(few), "speaks-for") == []
    silent = replace(there, values=np.zeros((2, 500)))
    assert not paths(cmelt.plot(few, evidence=silent), "speaks-for")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"leads": ("II",)}, "1 leads, values of shape"),
        ({"leads": ("II", "II")}, "each lead once"),
        ({"leads": ("X", "Y")}, "none of the record's leads"),
        ({"values": np.full((2, 500), np.nan)}, "not finite"),
        ({"seconds": np.zeros(500)}, "rising"),
        ({"seconds": np.arange(3.0)}, "rising"),
        ({"seconds": np.arange(500) + 60.0}, "lies at 60"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        cmelt.plot(record(), evidence=replace(evidence(1.0), **wrong))
