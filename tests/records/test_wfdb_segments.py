"""WFDB records of several segments: joined as `wfdb` joins them, gaps as NaN, nothing read outside the folder or in circles."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, read_ecg
from wfdb_files import write_format_16, write_header

wfdb = pytest.importorskip("wfdb")

STEPS = np.random.default_rng(0).integers(-1000, 1000, (3, 60))


def layout_line(lead: str, units: str = "mV") -> str:
    return f"~ 0 1000(0)/{units} 16 0 0 0 0 {lead}"


@pytest.fixture
def fixed(tmp_path):
    """Three segments of the same leads, one with another gain."""
    for number, gain in enumerate(("1000(0)/mV", "500(20)/mV", "1(0)/uV")):
        write_format_16(tmp_path, STEPS[:, number * 20 : number * 20 + 20], ("II", "V1", "V5"), f"s{number}", gain=gain)
    return write_header(tmp_path, "m/3 3 100 60", ["s0 20", "s1 20", "s2 20"], "m")


@pytest.fixture
def variable(tmp_path):
    """A layout of three leads and a pressure; two segments with some of them, two gaps."""
    lines = [layout_line("II"), layout_line("V1"), layout_line("ABP", "mmHg"), layout_line("V5")]
    write_header(tmp_path, "layout 4 100 0", lines, "layout")
    write_format_16(tmp_path, STEPS[:2, :30], ("V5", "II"), "s1")
    other = write_format_16(tmp_path, STEPS[:3, 30:40], ("II", "ABP", "V1"), "s2")
    other.write_text(other.read_text().replace("/mV", "/mmHg", 2).replace("/mmHg", "/mV", 1))
    return write_header(tmp_path, "m/5 4 100 60", ["layout 0", "~ 15", "s1 30", "s2 10", "~ 5"], "m")


def same_as_wfdb(header, record):
    theirs = wfdb.rdrecord(str(header.with_suffix("")))
    for lead, row in zip(record.leads, record.signal, strict=True):
        physical = theirs.p_signal[:, theirs.sig_name.index(lead)]
        assert np.array_equal(row, physical.astype(np.float32), equal_nan=True)


def test_segments_of_the_same_leads_are_joined_each_with_its_own_scale(fixed):
    record = read_ecg(fixed)
    assert (record.leads, record.rate, record.identifier) == (("II", "V1", "V5"), 100, "m")
    expected = [STEPS[:, :20] / 1000, (STEPS[:, 20:40] - 20) / 500, STEPS[:, 40:] / 1000]
    assert np.allclose(record.signal, np.concatenate(expected, axis=1), atol=1e-6)


def test_segments_of_one_scale_are_joined_as_wfdb_does(tmp_path):
    for number in range(3):
        write_format_16(tmp_path, STEPS[:, number * 20 : number * 20 + 20], ("II", "V1", "V5"), f"s{number}")
    header = write_header(tmp_path, "m/3 3 100 60", ["s0 20", "s1 20", "s2 20"], "m")
    same_as_wfdb(header, read_ecg(header))


def test_a_layout_says_the_leads_and_what_a_segment_lacks_is_nan(variable):
    record = read_ecg(variable)
    assert record.leads == ("II", "V1", "V5")
    expected = np.full((3, 60), np.nan)
    expected[0, 15:45], expected[2, 15:45] = STEPS[1, :30] / 1000, STEPS[0, :30] / 1000
    expected[0, 45:55], expected[1, 45:55] = STEPS[0, 30:40] / 1000, STEPS[2, 30:40] / 1000
    assert np.allclose(record.signal, expected, equal_nan=True, atol=1e-6)
    same_as_wfdb(variable, record)


def test_a_segment_with_nothing_but_a_pressure_is_a_gap(variable):
    lone = write_format_16(variable.parent, STEPS[:1, :30], ("ABP",), "s1")
    lone.write_text(lone.read_text().replace("/mV", "/mmHg"))
    assert np.isnan(read_ecg(variable).signal[:, :45]).all()


def test_a_segment_with_several_samples_a_frame_fills_as_many(tmp_path):
    write_format_16(tmp_path, STEPS[:1], ("II",), "s0", first="s0 1 100 30", form="16x2")
    header = write_header(tmp_path, "m/2 1 100 40", ["s0 30", "~ 10"], "m")
    record = read_ecg(header)
    assert (record.rate, record.signal.shape) == (200, (1, 80))
    assert np.allclose(record.signal[0, :60] * 1000, STEPS[0])


def test_headers_of_segments_may_be_packed(fixed):
    import gzip

    for name in ("s1.hea", "s2.dat"):
        path = fixed.parent / name
        path.with_name(name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert read_ecg(fixed).signal.shape == (3, 60)


def test_the_length_of_the_whole_may_be_left_out_and_the_rate_said(fixed):
    lines = ["s0 20", "s1 20", "s2 20"]
    write_header(fixed.parent, "m/3 3 100", lines, "m")
    assert read_ecg(fixed).signal.shape == (3, 60)
    with pytest.raises(RecordError, match="was said to have 250 Hz"):
        read_ecg(fixed, ReadOptions(rate=250))


@pytest.mark.parametrize(
    ("first", "lines", "message"),
    [
        ("m/3 3 100 60", ["s0 20", "s1 20"], "announces 3 segments and lists 2"),
        ("m/2 3 100 60", ["s0 20", "s1 20"], "its segments 40"),
        ("m/2 3 100 50", ["s0 20", "s1 30"], "announced with 30"),
        ("m/2 3 200 40", ["s0 20", "s1 20"], "at another rate than its record"),
        ("m/1 3 100 20", ["m 20"], "segments itself"),
        ("m/1 3 100 20", ["other 20"], "segments itself"),
        ("m/1 3 100 20", ["gone 20"], "No such file"),
        ("m/1 3 100 20", ["../s0 20"], "outside its own folder"),
        ("m/1 3 100 20", ["/etc/s0 20"], "outside its own folder"),
        ("m/1 3 100 20", [".. 20"], "outside its own folder"),
        ("m/1 3 100 20", ["way 20"], "leads out of the header's folder"),
        ("m/1 3 100 20", ["data_out 20"], "leads out of the header's folder"),
        ("m/1 3 100 20", ["s0 -20"], "negative length"),
        ("m/1 3 100 20", ["s0"], "without a length"),
        ("m/2 3 100 40", ["~ 20", "~ 20"], "nothing but gaps"),
        ("m/2 3 100 40", ["s0 20", "odd 20"], "leads that its record does not have"),
        ("m/2 3 100 40", ["s0 20", "pair 20"], "has a lead twice"),
        ("m/1000000 3 100 40", ["s0 20"], r"about 1.0e\+06 segments"),
        ("m/0 3 100 40", [], "0 segments"),
        ("m/x 3 100 40", ["s0 20"], "not a whole number"),
    ],
)
def test_segments_that_contradict_their_record_are_refused(fixed, first, lines, message):
    folder = fixed.parent
    outside = folder.parent / "outside"
    write_format_16(outside, STEPS[:, :20], ("II", "V1", "V5"), "secret")
    (folder / "way.hea").symlink_to(outside / "secret.hea")
    write_header(folder, "data_out 1 100 20", ["data_out.dat 16 1000 16 0 0 0 0 II"], "data_out")
    (folder / "data_out.dat").symlink_to(outside / "secret.dat")
    write_header(folder, "other/1 3 100 20", ["m 20"], "other")
    write_format_16(folder, STEPS[:, :20], ("II", "V1", "V6"), "odd")
    write_format_16(folder, STEPS[:, :20], ("II", "V1", "V1"), "pair")
    write_header(folder, first, lines, "m")
    with pytest.raises(RecordError, match=message):
        read_ecg(fixed)


def test_a_link_to_a_neighbour_is_followed(fixed):
    (fixed.parent / "s1.dat").rename(fixed.parent / "kept.bin")
    (fixed.parent / "s1.dat").symlink_to("kept.bin")
    assert read_ecg(fixed).signal.shape == (3, 60)
