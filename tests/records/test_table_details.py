"""Text tables in their corners: how each is laid out, to the byte and the line; what columns are; what rate times imply."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, table, table_text
from cmelt.records.readers.table_columns import Columns, choose_columns, kind_of, rate_of_times
from cmelt.records.readers.table_text import Layout, find_layout, parse_rows

SAID = ReadOptions(rate=100, unit="mV")


def fault_of(call, *args) -> str:
    """What the refusal says of the file "x"."""
    with pytest.raises(RecordError) as caught:
        call(*args)
    assert caught.value.where == "x"
    return f"{caught.value.fault} ({caught.value.remedy})"


LAYOUTS = {
    b"I,II\n1,2\n3,4\n": Layout(",", ("I", "II"), 2, {}, 5, 2, False, "utf-8-sig"),
    b"1 2\n3 4\n": Layout(" ", None, 2, {}, 0, 1, False, "utf-8-sig"),
    b"\n# rate: 500\n\n1;2\n3;4\n": Layout(";", None, 2, {"rate": "500"}, 14, 4, False, "utf-8-sig"),
    b"% Unit = uV\n// sex;F\nI;II\n# between\n0,5;1\n":
        Layout(";", ("I", "II"), 2, {"Unit": "uV", "sex": "F"}, 36, 5, True, "utf-8-sig"),
    b"a title\nfs,250\nII\t time (s)\n1\t2\n": Layout("\t", ("II", "time (s)"), 2, {"fs": "250"}, 28, 4, False, "utf-8-sig"),
    b'"I","II","note"\n1,2,"a,b"\n': Layout(",", ("I", "II", "note"), 3, {}, 16, 2, False, "utf-8-sig"),
    b"Name,Jane\nI (\xb5V)\n1\n": Layout(",", None, 0, {}, 0, 0, False, ""),
    b"I,II,\n1,2,\n": Layout(",", ("I", "II", ""), 3, {}, 6, 2, False, "utf-8-sig"),
    b"\xef\xbb\xbfV1,V2\n,2\n": Layout(",", ("V1", "V2"), 2, {}, 9, 2, False, "utf-8-sig"),
    b"I II\n1 -\n\xe2\x88\x922 3\n": Layout(" ", ("I", "II"), 2, {}, 5, 2, False, "utf-8-sig"),
    b"remark,I\nx,1\n": Layout(",", ("remark", "I"), 2, {}, 9, 2, False, "utf-8-sig"),
}  # fmt: skip


@pytest.mark.parametrize("content", LAYOUTS)
def test_how_a_table_is_laid_out_is_found_to_the_byte(content):
    expected = LAYOUTS[content]
    if expected.encoding:
        assert find_layout(content) == expected
    else:
        found = find_layout(content)
        assert (found.encoding, found.headings, found.facts, found.line) == ("cp1252", ("I (µV)",), {"patient": "Jane"}, 3)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"I\n", b"I,II\n1\n", b"words alone\nand more\n", b"1,x\n2,y\n", b"\x00\x01", b" <xml", b"{",
     b"[1, 2]\n[3, 4]\n", b"I\n\n# x\n", b"1,2\n", b"I,II\n,\n"],
)  # fmt: skip
def test_what_is_no_table_has_no_layout(content):
    assert find_layout(content) is None


def test_a_character_cut_in_two_at_the_end_of_what_is_looked_at_is_no_old_code_page():
    head = "I (µV)\n1\n2\n# µ".encode()
    assert find_layout(head[:-1]).encoding == "utf-8-sig"
    assert find_layout(head[:-1] + b"ab").encoding == "utf-8-sig" and find_layout(head[:-1] + b"abc").encoding == "cp1252"


def test_as_many_lines_as_are_looked_at_may_stand_above_the_rows():
    table_ = b"I,II\n1,2\n3,4\n"
    assert find_layout(b"# x\n" * 298 + table_).line == 300
    assert find_layout(b"# x\n" * 299 + table_) is None
    assert find_layout(b"\n" * 2990 + table_).line == 2992
    assert find_layout(b"\n" * 3000 + table_) is None
    long = b"# " + b"x" * ((1 << 16) - 3) + b"\n"
    assert find_layout(long + table_).line == 3
    assert find_layout(b"x" + long + table_) is None


def rows(content: bytes, *places: int) -> list[list[float]]:
    return parse_rows(content, find_layout(content), places, "x").tolist()


def test_rows_are_parsed_with_their_gaps_comments_quotes_and_commas():
    content = b'I,II,note\n1,2,a\n# rest\n\n3,,b\n4.5, -6e-1 ,c\n  \n"7",NA,"d,e"\n\xe2\x88\x928,.5,f,\n'
    np.testing.assert_equal(rows(content, 0, 1), [[1, 3, 4.5, 7, -8], [2, np.nan, -0.6, np.nan, 0.5]])
    assert rows(b"I;II\n0,5;-1,25\n2;,5\n", 1, 0) == [[-1.25, 0.5], [0.5, 2]]
    assert rows(b"1 2\r\n3\t 4\r\n", 1) == [[2, 4]]


def test_what_is_no_row_is_told_with_its_line():
    layout = find_layout(b"I,II\n1,2\n")
    width = "(it is truncated or mixed up: write the table again)"
    assert fault_of(parse_rows, b"I,II\n1,2\n3\n", layout, (0, 1), "x") == f"line 3 has 1 cells where others have 2 {width}"
    assert fault_of(parse_rows, b"I,II\n1,2\n3,4,5\n", layout, (0, 1), "x") == f"line 3 has 3 cells where others have 2 {width}"
    number = "(write a number, or nothing where none was measured)"
    for cell in (b"x", b"1_0", b"1e", b"0x1"):
        told = f"line 3, column II: not a number {number}"
        assert fault_of(parse_rows, b"I,II\n1,2\n3," + cell + b"\n", layout, (0, 1), "x") == told
    named = find_layout(b"Doe,II\n1,2\n")
    assert fault_of(parse_rows, b"Doe,II\nx,2\n", named, (0, 1), "x") == f"line 2, column 1: not a number {number}"
    bare = find_layout(b"1,2,3\n4,5,6\n")
    assert fault_of(parse_rows, b"1,2,3\n4,y,6\n", bare, (0, 1), "x") == f"line 2, column 2: not a number {number}"
    comma = find_layout(b"I;II\n0,5;1\n")
    assert fault_of(parse_rows, b"I;II\n0,5;1.5\n", comma, (0, 1), "x") == f"line 2, column II: not a number {number}"
    assert fault_of(parse_rows, b"I,II\n# none\n", layout, (0, 1), "x") == "the table has no rows (write a row for every sample)"
    assert fault_of(parse_rows, b"I,II\n\0,\0\n", layout, (0, 1), "x").startswith("line 2 has 1 cells")
    longest = b"1," + b"2".rjust((1 << 16) - 3) + b"\n"
    assert parse_rows(b"I,II\n" + longest, layout, (0, 1), "x").tolist() == [[1], [2]]
    assert fault_of(parse_rows, b"I,II\n " + longest, layout, (0, 1), "x") == (
        "line 2 is longer than 65536 characters (check what it is)"
    )


def test_rows_and_cells_are_bounded_before_any_is_read(monkeypatch):
    content, layout = b"I,II\n1,2\n3,4\n", find_layout(b"I,II\n1,2\n")
    told = "holds more rows than an ECG has samples (cut the record, or give it as WFDB or EDF)"
    for name, least in (("_MOST_ROWS", 3), ("_MOST_CELLS", 6)):
        with monkeypatch.context() as patch:
            patch.setattr(table_text, name, least)
            assert parse_rows(content, layout, (0, 1), "x").shape == (2, 2)
            patch.setattr(table_text, name, least - 1)
            assert fault_of(parse_rows, content, layout, (0, 1), "x") == told


# --- columns ---


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("II", "lead"), ("lead avr [mV]", "lead"), ("V9", "lead"), ("mcl1_mV", "lead"), ("MLII", "lead"), ("V4R", "lead"),
     ("V10", None), ("Time", "time"), ("t (ms)", "time"), ("elapsed_time", "time"), ("seconds", "time"), ("ms", "time"),
     ("s", None), ("us", None),
     ("ECG", "signal"), ("signal_uV", "signal"), ("1", None), ("", None), ("remark", None), ("'I'", "lead")],
)  # fmt: skip
def test_a_heading_is_a_lead_s_a_time_s_or_nobody_s(heading, kind):
    assert kind_of(heading) == kind


def test_columns_are_chosen_by_their_headings_or_by_how_many_leads_were_named():
    assert choose_columns(None, 3, None, "x") == Columns((0, 1, 2), None, None)
    assert choose_columns(None, 3, ("I", "II"), "x") == Columns((1, 2), None, None, 0)
    assert choose_columns(None, 1, (), "x") == Columns((0,), None, None)
    assert choose_columns(None, 1, None, "x").places == (0,) and choose_columns(None, 3, ("I", "II"), "x").places == (0, 1, 2)
    chosen = choose_columns(("note", "II (uV)", "time (ms)", "V1 [µV]"), 4, None, "x")
    assert chosen == Columns((1, 3), ("II", "V1"), "uV", 2, 1e-3) and chosen.places == (2, 1, 3)
    assert choose_columns(("ecg_mV", "t"), 2, None, "x") == Columns((0,), None, "mV", 1, None)
    assert choose_columns(("I", "signal"), 2, None, "x").leads == (0,)
    assert choose_columns(("s", "seconds", "I"), 3, None, "x") == Columns((2,), ("I",), None, 1, 1.0)
    columns = "(name the columns I, II, …, V6 and time (s))"
    assert fault_of(choose_columns, ("time", "note"), 2, None, "x") == f"has no columns of leads {columns}"
    assert fault_of(choose_columns, ("time", "t", "I"), 3, None, "x") == f"has two columns of times {columns}"
    assert fault_of(choose_columns, ("I (mV)", "II"), 2, None, "x") == "has leads in different units (write all of them in mV)"
    weeks = "has times in a unit that is not known (write them in s, ms or us)"
    assert fault_of(choose_columns, ("time (weeks)", "I"), 2, None, "x") == weeks


def test_the_rate_is_what_times_imply_within_their_rounding():
    even = np.arange(101) * 0.004
    assert rate_of_times(even, 1.0, None, "x") == 250 and rate_of_times(even + 7, 1.0, None, "x") == 250
    assert rate_of_times(even * 1000, 1e-3, None, "x") == 250 and rate_of_times(even[:2], 1.0, None, "x") == 250
    assert rate_of_times(np.round(np.arange(500) / 360, 3), 1.0, None, "x") == 360
    assert rate_of_times(np.arange(101) / 256.125, 1.0, None, "x") == pytest.approx(256.125)
    assert rate_of_times(np.round(np.arange(500) / 256.125, 4), 1.0, 256.125, "x") == 256.125
    assert rate_of_times(even, 1.0, 300.0, "x") == 250
    for scale in (1.0, 1e3, 1e6):
        assert rate_of_times(even * scale, None, 250.0, "x") == 250
    assert rate_of_times(np.arange(101) * 4.0, 1.0, None, "x") == 0.25
    equidistant = "has times that are not equidistant (resample it, or write a row for every sample)"
    for step, fits in ((1.59, True), (1.62, False), (0.41, True), (0.39, False), (0.0, False), (-1.0, False)):
        steps = np.full(100, 0.004)
        steps[50] *= step
        times = np.concatenate([[0], np.cumsum(steps)])
        if fits:
            assert rate_of_times(times, 1.0, None, "x") == pytest.approx(250, rel=0.01)
        else:
            assert fault_of(rate_of_times, times, 1.0, None, "x") == equidistant
    missing = "has times that are missing (write a time in every row, or none and the rate)"
    for times in (even[:1], np.array([0, np.nan, 2.0]), np.array([0, 1.0, np.inf])):
        assert fault_of(rate_of_times, times, 1.0, None, "x") == missing
    unit = 'does not say in which unit its times are (name their column "time (s)" or "time (ms)")'
    for told in (None, 251.0):
        assert fault_of(rate_of_times, even, None, told, "x") == unit


def test_a_table_states_each_thing_once(tmp_path):
    path = tmp_path / "x"

    def read(text: str, **said):
        path.write_text(text)
        return table.read(path, ReadOptions(**said))

    def told(text: str, **said) -> str:
        with pytest.raises(RecordError) as caught:
            read(text, **said)
        assert caught.value.where == str(path)
        return f"{caught.value.fault} ({caught.value.remedy})"

    timed = "time (s),I (mV)\n" + "".join(f"{number / 100},{number % 7}\n" for number in range(50))
    assert read(timed).rate == 100 and read("# rate: 100\n" + timed).rate == 100
    assert told("# rate: 101\n" + timed) == "states a rate that its times contradict (correct the one or the other)"
    assert told("# unit: uV\n" + timed) == "states two values for its unit (keep the right one)"
    assert read("# unit: mV\n" + timed).rate == 100
    assert told("Dear colleague") == "has no columns of leads (name the columns I, II, …, V6 in the first line)"
    bare = "0.00,1\n0.01,2\n0.02,3\n"
    record = read(bare, leads=("V1",), unit="mV", rate=100)
    assert record.leads == ("V1",) and record.signal.tolist() == [[1, 2, 3]]
    listed = read("# leads: V1 V2\n" + bare, unit="uV", rate=100)
    assert listed.leads == ("V1", "V2") and listed.signal[1].tolist() == pytest.approx([0.001, 0.002, 0.003])


def test_units_of_parquet_columns_stand_in_headings_or_beside_them(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"PAR1")

    def read(headings: list[str], units: list[str | None], **facts: str):
        arrays = [
            np.array([0.0, 10.0, 20.0]) if heading.startswith("time") else np.array([1.0, 2.0, 3.0]) for heading in headings
        ]
        held = {"headings": headings, "units": units, "facts": facts, "arrays": arrays}
        monkeypatch.setattr(table, "contents_apart", lambda task, asked: held if (task, asked) == ("parquet", path) else None)
        return table.read(path, ReadOptions())

    for headings, units in (
        (["I", "II"], ["uV", " microvolts"]),
        (["I (uV)", "II (uV)"], ["µV", None]),
        (["I_uV", "II_uV"], [None, None]),
    ):
        record = read(headings, units, rate="100")
        assert record.leads == ("I", "II") and record.signal[0].tolist() == pytest.approx([0.001, 0.002, 0.003])
    timed = read(["II", "note", "time (ms)"], ["mV", "kg", "s"])
    assert (timed.leads, timed.rate) == (("II",), 100) and timed.signal.tolist() == [[1, 2, 3]]
    for headings, units in ((["I", "II"], ["uV", "mV"]), (["I (uV)", "II (uV)"], ["mV", None])):
        with pytest.raises(RecordError) as caught:
            read(headings, units, rate="100")
        assert str(caught.value) == f"{path}: has leads in different units (write all of them in mV)"


def test_a_table_is_recognised_by_its_beginning(tmp_path):
    head = b"I,II\n" + b"1,2\n" * 2000
    assert table.recognises(tmp_path / "x", head[:4096]) and table.recognises(tmp_path / "x", b"PAR1")
    assert table.recognises(tmp_path / "x", b"I,II\n1,2") and not table.recognises(tmp_path / "x", b"I" * 4096)
    cut = b"I,II\n" + b"1," + b"2" * 4089
    assert len(cut) == 4096 and not table.recognises(tmp_path / "x", cut)
