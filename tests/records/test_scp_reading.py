"""SCP-ECG: every way of compression undone exactly, checksums, the device's own words, and what is refused."""

from __future__ import annotations

import binascii
import struct
from pathlib import Path

import numpy as np
import pytest

from binary_files import (
    default_code,
    packed,
    scp_data_section,
    scp_file,
    scp_lead_section,
    scp_patient_section,
    stream,
    write_scp,
)
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.scp_huffman import decode, default_table, read_tables
from cmelt.records.record import LEADS
from ecg_files import heart

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
DIGITAL = np.rint(heart() * 1000).astype(int)


def read_bodies(tmp_path, bodies, **options):
    path = tmp_path / "e.scp"
    path.write_bytes(scp_file(bodies))
    return read_ecg(path, ReadOptions(**options))


def bodies_of(digital, leads=LEADS, order=2, **more):
    """Sections 2, 3 and 6 of `digital` [leads, samples] in steps of 1 µV at 100 Hz."""
    streams = [stream(row, order) for row in digital]
    return {
        2: struct.pack("<H", 19999),
        3: scp_lead_section(leads, digital.shape[1]),
        6: scp_data_section(streams, 1000, 10_000, order),
        **{int(name[1:]): body for name, body in more.items()},
    }


# --- the signal ---


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("huffman", [True, False], ids=["Huffman", "16 bits"])
def test_amplitudes_and_differences_of_both_orders_are_read_exactly(tmp_path, order, huffman):
    record = read_ecg(write_scp(tmp_path / "e.scp", heart(), order=order, huffman=huffman))
    assert np.array_equal(np.rint(record.signal * 1000).astype(int), DIGITAL)
    assert (record.rate, record.leads) == (100, LEADS)


@pytest.mark.parametrize("order", [1, 2])
def test_differences_wrap_around_in_16_bits_as_the_encoders_do(tmp_path, order):
    square = np.where(np.arange(200) % 40 < 20, 30_000, -30_000)
    bodies = {**bodies_of(square[None], ("II",)), 6: scp_data_section([stream(square, order)], 100, 10_000, order)}
    assert np.array_equal(np.rint(read_bodies(tmp_path, bodies).signal[0] * 1e4), square)


def test_the_default_table_s_codes_are_those_of_the_standard():
    # EN 1064, annex C: 0, 100, 101, 1100, 1101 … and ten bits before 8 and 16 more.
    codes = {
        0: "0", 1: "100", -1: "101", 2: "1100", -2: "1101", 8: "1111111100", -8: "1111111101", 9: "111111111000001001",
        -128: "111111111010000000", 127: "111111111001111111", 128: "1111111111" + "0000000010000000",
        -32768: "1111111111" + "1" + "0" * 15, 32767: "1111111111" + "0" + "1" * 15,
    }  # fmt: skip
    assert {value: default_code(value) for value in codes} == codes
    found, left = decode(packed("".join(codes.values())), len(codes), [default_table()], Path("x.scp"))
    assert found.tolist() == list(codes) and left < 8


def test_random_values_survive_the_default_table():
    rng = np.random.default_rng(1)
    values = np.rint(rng.standard_cauchy(20_000) * 3).clip(-32768, 32767).astype(int)
    found, _ = decode(stream(values, 0), len(values), [default_table()], Path("x.scp"))
    assert np.array_equal(found, values)


def own_tables(*tables):
    """Section 2 with tables of (prefix, further bits, mode, base value); prefixes as ones and zeros, stored first bit lowest."""
    body = struct.pack("<H", len(tables))
    for codes in tables:
        body += struct.pack("<H", len(codes))
        for prefix, more, mode, base in codes:
            body += struct.pack("<BBBhI", len(prefix), len(prefix) + more, mode, base, int(prefix[::-1], 2))
    return body


def test_a_file_s_own_tables_and_switches_between_them_are_followed(tmp_path):
    one = [("0", 0, 1, 0), ("10", 0, 1, 5), ("110", 4, 1, 100), ("111", 0, 0, 2)]  # 111 switches to the second table
    two = [("1", 0, 1, -7), ("01", 12, 1, 0), ("00", 0, 0, 1)]
    bits = "0" + "10" + "110" + "0011" + "110" + "1111" + "111" + "1" + "01" + "100000000001" + "00" + "10"
    values = [0, 5, 103, 99, -7, -2047, 5]
    tables = read_tables(own_tables(one, two), Path("x.scp"))
    found, left = decode(packed(bits), len(values), tables, Path("x.scp"))
    assert found.tolist() == values and left < 8
    bodies = bodies_of(np.array([values]), ("II",), order=0)
    record = read_bodies(tmp_path, {**bodies, 2: own_tables(one, two), 6: scp_data_section([packed(bits)], 1000, 10_000, 0)})
    assert np.array_equal(np.rint(record.signal[0] * 1000), values)


def with_reference_beat(subtract_at, beat, fiducial, digital, leads, nanovolts=1000):
    """Sections of a rhythm from which `beat` [leads, samples] was taken off with its fiducial on each of `subtract_at`."""
    residual = digital.copy()
    table = struct.pack("<HHH", beat.shape[1] * 10, fiducial, len(subtract_at))
    for at in subtract_at:
        first = at - fiducial + 1
        table += struct.pack("<HIII", 0, first, at, first + beat.shape[1] - 1)
        residual[:, first - 1 : first - 1 + beat.shape[1]] -= beat
    beat_in_file = beat * 1000 // nanovolts
    return residual, {
        2: struct.pack("<H", 19999),
        3: scp_lead_section(leads, digital.shape[1], subtracted=True),
        4: table,
        5: scp_data_section([stream(row, 1) for row in beat_in_file], nanovolts, 10_000, 1),
        6: scp_data_section([stream(row) for row in residual], 1000, 10_000, 2),
    }


@pytest.mark.parametrize("nanovolts", [1000, 5000])
def test_a_subtracted_reference_beat_is_added_back(tmp_path, nanovolts):
    beat = DIGITAL[:, 100:160] // 5 * 5
    residual, bodies = with_reference_beat([120, 310, 505, 900], beat, 25, DIGITAL, LEADS, nanovolts)
    assert not np.array_equal(residual, DIGITAL)
    record = read_bodies(tmp_path, bodies)
    assert np.array_equal(np.rint(record.signal * 1000), DIGITAL)


def test_beats_of_other_types_were_not_subtracted(tmp_path):
    beat = DIGITAL[:, 100:160]
    _, bodies = with_reference_beat([120, 505], beat, 25, DIGITAL, LEADS)
    table = bytearray(bodies[4])
    struct.pack_into("<H", table, 6 + 14, 1)  # the second beat is of type 1
    signal = read_bodies(tmp_path, {**bodies, 4: bytes(table)}).signal
    assert np.array_equal(np.rint(signal[:, :400] * 1000), DIGITAL[:, :400])
    assert np.allclose(signal[:, 480:540] * 1000, (DIGITAL[:, 480:540] - beat), atol=0.5)


def test_a_reference_beat_that_was_not_subtracted_is_not_added(tmp_path):
    _, bodies = with_reference_beat([120, 505], DIGITAL[:, 100:160], 25, DIGITAL, LEADS)
    bodies = {**bodies, 3: bodies_of(DIGITAL)[3], 6: bodies_of(DIGITAL)[6]}
    assert np.array_equal(np.rint(read_bodies(tmp_path, bodies).signal * 1000), DIGITAL)


def decimated(row, protected, factor):
    """What bimodal compression keeps: zones at full rate, means of `factor` samples between them, remainders as they are."""
    kept, place = [], 0
    for first, last in [*protected, (len(row) + 1, len(row))]:
        gap = row[place : first - 1]
        whole = len(gap) // factor * factor
        kept += [round(part.mean()) for part in gap[:whole].reshape(-1, factor)] + gap[whole:].tolist()
        kept += row[first - 1 : last].tolist()
        place = last
    return kept


def bimodal_bodies(digital, protected, factor=4):
    table = struct.pack("<HHH", 600, 25, len(protected))
    table += b"".join(struct.pack("<HIII", 1, first, first + 5, last) for first, last in protected)
    table += b"".join(struct.pack("<II", first, last) for first, last in protected)
    beat = np.zeros((len(digital), 60), dtype=int)
    return {
        2: struct.pack("<H", 19999),
        3: scp_lead_section(LEADS, digital.shape[1]),
        4: table,
        5: scp_data_section([stream(row, 1) for row in beat], 1000, 2000, 1),
        6: scp_data_section([stream(decimated(row, protected, factor)) for row in digital], 1000, 2000 * factor, 2, bimodal=True),
    }


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize(
    "protected", [[(101, 150), (302, 351), (700, 801)], [(1, 50), (951, 1000)]], ids=["inside", "at the ends"]
)
def test_bimodal_compression_keeps_protected_zones_and_draws_lines_between(tmp_path, factor, protected):
    slow = np.rint(200 * np.sin(np.arange(1000) / 40 + np.arange(12)[:, None])).astype(int)
    for first, last in protected:
        slow[:, first - 1 : last] += DIGITAL[:, first - 1 : last]
    record = read_bodies(tmp_path, bimodal_bodies(slow, protected, factor))
    assert record.rate == 500 and record.signal.shape == (12, 1000)
    found = record.signal * 1000
    for first, last in protected:
        assert np.array_equal(np.rint(found[:, first - 1 : last]), slow[:, first - 1 : last])
    assert np.abs(found - slow).max() < 5 * factor  # a line through means of a slow wave


def test_lines_run_from_the_middle_of_one_mean_to_that_of_the_next(tmp_path):
    # Twelve samples as three means, two protected, three left over: half a stretch is held at either end of the lines.
    stored = [0, 4, 8, 100, 200, 7, 8, 9]
    expected = [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 100, 200, 7, 8, 9]
    bodies = {
        **bimodal_bodies(DIGITAL, [(13, 14)]),
        3: scp_lead_section(("II",), len(expected)),
        5: scp_data_section([stream([0] * 300, 1)], 1000, 2000, 1),
        6: scp_data_section([stream(stored)], 1000, 8000, 2, bimodal=True),
    }
    assert np.array_equal(np.rint(read_bodies(tmp_path, bodies).signal[0] * 1000), expected)


def test_protected_zones_that_do_not_fit_the_rhythm_are_refused(tmp_path):
    bodies = bimodal_bodies(DIGITAL, [(101, 150), (302, 351)])
    moved = bytearray(bodies[4])
    struct.pack_into("<I", moved, len(moved) - 4, 391)
    with pytest.raises(RecordError):
        read_bodies(tmp_path, {**bodies, 4: bytes(moved)})


def test_leads_that_begin_later_are_nan_before(tmp_path):
    rows = struct.pack("<BB", 2, 0) + struct.pack("<IIB", 1, 1000, 1) + struct.pack("<IIB", 301, 1000, 2)
    streams = [stream(DIGITAL[0]), stream(DIGITAL[1, 300:])]
    record = read_bodies(
        tmp_path, {**bodies_of(DIGITAL[:2], ("I", "II")), 3: rows, 6: scp_data_section(streams, 1000, 10_000, 2)}
    )
    by_name = dict(zip(record.leads, record.signal, strict=True))
    assert np.array_equal(np.rint(by_name["I"] * 1000), DIGITAL[0])
    assert np.isnan(by_name["II"][:300]).all() and np.array_equal(np.rint(by_name["II"][300:] * 1000), DIGITAL[1, 300:])


def test_eight_leads_imply_the_other_four(tmp_path):
    record = read_ecg(write_scp(tmp_path / "e.scp", heart()[[LEADS.index(lead) for lead in EIGHT]], leads=EIGHT))
    assert record.derived == ("III", "aVR", "aVL", "aVF")
    assert np.allclose(record.signal[[record.leads.index(lead) for lead in LEADS]], heart(), atol=2e-3)


def test_an_unspecified_lead_is_named_by_the_caller_or_not_at_all(tmp_path):
    rows = struct.pack("<BBIIB", 1, 12, 1, 1000, 0)
    bodies = {**bodies_of(DIGITAL[:1], ("I",)), 3: rows}
    with pytest.raises(RecordError, match="does not name its leads"):
        read_bodies(tmp_path, bodies)
    assert read_bodies(tmp_path, bodies, leads=("II",)).leads == ("II",)
    with pytest.raises(RecordError, match="otherwise than was said"):
        read_bodies(tmp_path, bodies_of(DIGITAL[:1], ("I",)), leads=("II",))


def test_amplitude_and_rate_are_the_file_s(tmp_path):
    bodies = bodies_of(DIGITAL)
    record = read_bodies(tmp_path, {**bodies, 6: scp_data_section([stream(row) for row in DIGITAL], 2500, 2000, 2)})
    assert record.rate == 500 and np.allclose(record.signal, DIGITAL * 0.0025, atol=1e-6)


def test_a_lead_cut_where_its_length_field_ends_is_read_as_far_as_it_goes(tmp_path):
    samples = np.resize(DIGITAL[1], 37_855)
    streams = [stream(samples, 0, None)[:65_534]]
    record = read_bodies(tmp_path, {3: scp_lead_section(("II",), 37_855), 6: scp_data_section(streams, 1000, 1250, 0)})
    assert record.signal.shape == (1, 32_767) and np.array_equal(np.rint(record.signal[0] * 1000), samples[:32_767])


# --- an independent decoder ---


def test_another_decoder_reads_the_same(tmp_path):
    parsers = pytest.importorskip("ecgdatakit.parsing.parsers.scp_ecg")
    _, bodies = with_reference_beat([120, 310, 505, 900], DIGITAL[:, 100:160], 25, DIGITAL, LEADS)
    record = read_bodies(tmp_path, bodies)
    theirs = parsers.SCPECGParser().parse(tmp_path / "e.scp")
    for lead in theirs.leads:
        ours = record.signal[record.leads.index(lead.label)]
        assert np.allclose(ours, lead.samples * lead.resolution / 1000, atol=1e-6)


# --- words and measurements ---


def test_age_sex_and_the_patient_s_number(tmp_path):
    path = write_scp(tmp_path / "e.scp", heart())
    record = read_ecg(path)
    assert (record.age, record.sex, record.patient) == (69, "female", None)  # born 1950-06-01, recorded 2020-05-31
    assert read_ecg(path, ReadOptions(identity=True)).patient == "P-77"


@pytest.mark.parametrize(
    ("value", "years"), [((61, 1), 61), ((6, 2), 0.5), ((26, 3), 0.5), ((0, 0), None), ((200, 1), None), ((5, 9), None)]
)
def test_a_stated_age_has_its_unit(tmp_path, value, years):
    body = scp_patient_section(t4=struct.pack("<HB", *value))
    age = read_bodies(tmp_path, bodies_of(DIGITAL, s1=body)).age
    assert age == (pytest.approx(years, abs=0.01) if years is not None else None)


def measurements(tmp_path, body):
    return dict(read_bodies(tmp_path, bodies_of(DIGITAL, s7=body)).measurements)


def test_measurements_follow_from_onsets_and_ends(tmp_path):
    block = struct.pack("<5H3h", 286, 388, 434, 554, 854, 44, -61, 86)
    head = struct.pack("<BBHH", 1, 1, 850, 0)
    spike = struct.pack("<HhBBHH", 100, 500, 1, 1, 0, 400)
    tail = struct.pack("<H2B3HB", 2, 0, 0, 72, 0, 443, 1)
    expected = {"p_ms": 102, "pr_ms": 148, "qrs_ms": 120, "qt_ms": 420, "p_axis_deg": 44, "qrs_axis_deg": -61, "t_axis_deg": 86}
    assert measurements(tmp_path, head + block + spike + tail) == {**expected, "heart_rate_bpm": 72, "qtc_ms": 443}
    assert measurements(tmp_path, struct.pack("<BBHH", 1, 0, 850, 0) + block) == {**expected, "heart_rate_bpm": 70.6}


def test_what_the_device_did_not_compute_is_no_measurement(tmp_path):
    block = struct.pack("<5H3h", 29999, 29999, 434, 554, 29999, 999, 29999, 86)
    tail = struct.pack("<H3HB", 0, 0, 0, 29999, 0)
    assert measurements(tmp_path, struct.pack("<BBHH", 1, 0, 29999, 29999) + block + tail) == {"qrs_ms": 120, "t_axis_deg": 86}


def statements(*values):
    head = b"\x00" + struct.pack("<HBBBBB", 2020, 5, 31, 12, 0, 0) + bytes([len(values)])
    return head + b"".join(struct.pack("<BH", number, len(value)) + value for number, value in enumerate(values, 1))


def test_statements_are_the_report_in_the_file_s_character_set(tmp_path):
    latin = statements(b"Sinusrhythmus\x00", "ST-Strecke überhöht\x00".encode("latin-1"))
    assert read_bodies(tmp_path, bodies_of(DIGITAL, s8=latin)).report == "Sinusrhythmus\nST-Strecke überhöht"
    device = bytes(8) + b"model " + bytes([20, 0xC0, 0x27]) + bytes(19)  # language code 0x27: GB 2312
    record = read_bodies(
        tmp_path, bodies_of(DIGITAL, s1=scp_patient_section(t14=device), s8=statements("窦性心律\x00".encode("gb2312")))
    )
    assert record.report == "窦性心律"


def test_coded_statements_are_the_report_where_there_are_no_others(tmp_path):
    coded = statements(b"\x01AFIB\x00", b"\x01LVH\x00PO\x00")
    assert read_bodies(tmp_path, bodies_of(DIGITAL, s11=coded)).report == "AFIB\nLVH PO"
    both = bodies_of(DIGITAL, s8=statements(b"Vorhofflimmern\x00"), s11=coded)
    assert read_bodies(tmp_path, both).report == "Vorhofflimmern"


# --- checksums and refusals ---


def test_a_flipped_bit_in_the_signal_is_found_by_the_checksums(tmp_path):
    path = write_scp(tmp_path / "e.scp", heart())
    content = bytearray(path.read_bytes())
    content[-500] ^= 4
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"checksum of section 6"):
        read_ecg(path)


def test_names_taken_out_without_new_checksums_leave_the_signal_readable(tmp_path):
    path = write_scp(tmp_path / "e.scp", heart())
    content = path.read_bytes().replace(b"P-77", b"XXXX")
    path.write_bytes(content)
    record = read_ecg(path, ReadOptions(identity=True))
    assert np.array_equal(np.rint(record.signal * 1000), DIGITAL)
    assert record.patient is None and record.sex is None  # the altered section is not believed


def resealed(content):
    """The same bytes with their checksums made good again."""
    content = bytearray(content)
    for number in range((struct.unpack_from("<I", content, 10)[0] - 16) // 10):
        _, size, place = struct.unpack_from("<HII", content, 22 + 10 * number)
        if size and place - 1 + size <= len(content):
            struct.pack_into("<H", content, place - 1, binascii.crc_hqx(bytes(content[place + 1 : place - 1 + size]), 0xFFFF))
    struct.pack_into("<H", content, 0, binascii.crc_hqx(bytes(content[2:]), 0xFFFF))
    return bytes(content)


REFUSED = {
    "no amplitude": ({6: scp_data_section([stream(row) for row in DIGITAL], 0, 10_000, 2)}, "no amplitude"),
    "no rate": ({6: scp_data_section([stream(row) for row in DIGITAL], 1000, 0, 2)}, "no rate"),
    "third differences": ({6: scp_data_section([stream(row) for row in DIGITAL], 1000, 10_000, 3)}, "order 3"),
    "a lead's code missing": ({6: scp_data_section([stream(row) for row in DIGITAL[:11]], 1000, 10_000, 2)}, "truncated|shorter"),
    "samples too many announced": ({3: scp_lead_section(LEADS, 1001)}, "breaks off"),
    "samples too few announced": ({3: scp_lead_section(LEADS, 900)}, "more than the lead announces"),
    "no leads": ({3: b"\x00\x00"}, "no samples"),
    "a lead that ends first": ({3: struct.pack("<BBIIB", 1, 0, 50, 10, 1)}, "ends before"),
    "a lead twice": ({3: scp_lead_section(("I",) * 12, 1000)}, "occurs twice"),
    "beats subtracted, none there": ({3: scp_lead_section(LEADS, 1000, subtracted=True)}, "no section 4"),
    "table that is not there": ({2: struct.pack("<H", 0)}, "0 Huffman tables"),
    "table cut off": ({2: struct.pack("<HH", 1, 5)}, "truncated"),
}


@pytest.mark.parametrize(("changed", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_give_other_numbers_is_refused(tmp_path, changed, reason):
    with pytest.raises(RecordError, match=reason):
        read_bodies(tmp_path, {**bodies_of(DIGITAL), **changed})


@pytest.mark.parametrize("missing", [3, 6])
def test_a_file_without_leads_or_rhythm_is_refused(tmp_path, missing):
    bodies = bodies_of(DIGITAL)
    del bodies[missing]
    with pytest.raises(RecordError, match=f"no section {missing}"):
        read_bodies(tmp_path, bodies)


@pytest.mark.parametrize("field", ["place", "length", "number"])
def test_pointers_that_lead_elsewhere_are_refused(tmp_path, field):
    path = write_scp(tmp_path / "e.scp", heart())
    content = bytearray(path.read_bytes())
    entry = 22 + 10 * 6
    number, size, place = struct.unpack_from("<HII", content, entry)
    struct.pack_into("<HII", content, entry, *{"place": (number, size, 7), "length": (number, 1 << 31, place),
                                               "number": (3, size, place)}[field])  # fmt: skip
    path.write_bytes(resealed(content))
    with pytest.raises(RecordError, match="pointers say"):
        read_ecg(path)
