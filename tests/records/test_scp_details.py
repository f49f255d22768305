"""SCP-ECG in its corners: codes and tables, sections and pointers, zones and beats, words, ages; and where each bound lies."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from binary_files import packed, scp_data_section, scp_file, scp_lead_section, scp_patient_section, stream
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, scp, scp_rhythm
from cmelt.records.readers.scp_huffman import decode, default_table, read_tables
from cmelt.records.readers.scp_rhythm import read_rhythm
from cmelt.records.readers.scp_sections import Sections, looks_like_scp, read_sections
from cmelt.records.record import LEADS
from ecg_files import heart

X = Path("x.scp")
DIGITAL = np.rint(heart() * 1000).astype(int)
DAMAGED = "the file is damaged: fetch it again"
AGAIN = "export it again from the ECG system"


def fault_of(call, *args, **named) -> str:
    with pytest.raises(RecordError) as caught:
        call(*args, **named)
    assert caught.value.where == "x.scp"
    return f"{caught.value.fault} ({caught.value.remedy})"


# --- Huffman ---


def row(prefix: int, total: int, mode: int, base: int, bits: str) -> bytes:
    return struct.pack("<BBBhI", prefix, total, mode, base, int(bits[::-1], 2))


def table(*rows: bytes) -> bytes:
    return struct.pack("<H", len(rows)) + b"".join(rows)


ONE = row(1, 1, 1, 5, "0")


def test_tables_are_bounded_and_told_by_what_is_wrong():
    assert len(read_tables(struct.pack("<H", 64) + table(ONE) * 64, X)) == 64
    assert len(read_tables(struct.pack("<H", 19999), X)) == 1
    wrong = {
        "announces 0 Huffman tables": struct.pack("<H", 0),
        "announces 65 Huffman tables": struct.pack("<H", 65),
        "a Huffman table of 0 codes": struct.pack("<HH", 1, 0),
        "a Huffman table of 1025 codes": struct.pack("<HH", 1, 1025),
        "its Huffman tables are truncated": struct.pack("<H", 1) + table(ONE)[:-1],
        "a Huffman code of 0 bits and 1 in all": struct.pack("<H", 1) + table(row(0, 1, 1, 0, "0")),
        "a Huffman code of 17 bits and 17 in all": struct.pack("<H", 1) + table(row(17, 17, 1, 0, "0")),
        "a Huffman code of 3 bits and 2 in all": struct.pack("<H", 1) + table(row(3, 2, 1, 0, "0")),
        "a Huffman code of 3 bits and 20 in all": struct.pack("<H", 1) + table(row(3, 20, 1, 0, "0")),
        "a Huffman code that leads to a table that is not there": struct.pack("<H", 1) + table(row(1, 1, 0, 2, "0")),
    }
    for fault, body in wrong.items():
        assert fault_of(read_tables, body, X) == f"{fault} ({DAMAGED})"
    assert fault_of(read_tables, struct.pack("<H", 1) + table(row(1, 1, 0, 0, "0")), X).startswith("a Huffman code that leads")
    assert len(read_tables(struct.pack("<H", 1) + table(*[row(16, 32, 1, 0, f"{code:016b}") for code in range(1024)]), X)) == 1


def test_prefixes_further_bits_and_switches_are_followed():
    codes = [
        row(3, 7, 1, 100, "110"),
        row(3, 19, 1, 0, "111"),
        row(2, 3, 1, 7, "10"),
        row(2, 2, 0, 2, "01"),
        row(2, 2, 1, -3, "00"),
    ]
    other = [row(1, 1, 1, 9, "1"), row(2, 2, 0, 1, "00")]
    tables = read_tables(struct.pack("<H", 2) + table(*codes) + table(*other), X)
    bits = (
        "00"
        + "1100111"
        + "1101000"
        + "111"
        + "1"
        + "0" * 15
        + "111"
        + "0"
        + "1" * 15
        + "100"
        + "101"
        + "01"
        + "1"
        + "1"
        + "00"
        + "00"
    )
    values, left = decode(packed(bits), 10, tables, X)
    assert values.tolist() == [-3, 107, 92, -32768, 32767, 7, 6, 9, 9, -3]
    assert left == 8 * len(packed(bits)) - len(bits)


def test_codes_that_break_off_are_told():
    stream_ = packed("100" * 5)  # five ones, and a zero bit that is a code itself
    assert decode(stream_, 6, [default_table()], X)[0].tolist() == [1] * 5 + [0]
    breaks = "its Huffman code breaks off after 6 of 9 samples"
    assert fault_of(decode, stream_, 9, [default_table()], X) == f"{breaks} ({DAMAGED})"
    within = packed("1111111110" + "000000")
    assert fault_of(decode, within, 1, [default_table()], X) == f"its Huffman code breaks off within the last sample ({DAMAGED})"
    gap = read_tables(struct.pack("<H", 1) + table(ONE), X)
    assert fault_of(decode, b"\xff", 1, gap, X) == f"its Huffman code breaks off after 0 of 1 samples ({DAMAGED})"
    assert decode(b"", 0, gap, X)[0].size == 0
    round_ = read_tables(struct.pack("<H", 2) + table(row(1, 1, 0, 2, "0")) + table(row(1, 1, 0, 1, "0")), X)
    assert fault_of(decode, bytes(9), 3, round_, X) == f"its Huffman tables lead in circles ({DAMAGED})"


# --- sections ---


def bodies_of(digital, leads=LEADS, order=2, **more):
    return {
        2: struct.pack("<H", 19999),
        3: scp_lead_section(leads, digital.shape[1]),
        6: scp_data_section([stream(one, order) for one in digital], 1000, 10_000, order),
        **{int(name[1:]): body for name, body in more.items()},
    }


def test_sections_are_found_by_pointers_and_believed_by_checksums():
    content = scp_file(bodies_of(DIGITAL[:1], ("I",)))
    parts = read_sections(content + b"behind", X)
    assert set(parts.bodies) == {2, 3, 6} == set(parts.sound) and parts.path == X
    assert parts.bodies[2] == struct.pack("<H", 19999) and parts.needed(2, "tables") == parts.optional(2) == parts.bodies[2]
    assert parts.optional(7) == b""
    assert fault_of(parts.needed, 7, "measurements") == f"has no section 7 (measurements) ({AGAIN})"
    altered = Sections(parts.bodies, frozenset({3, 6}), X)
    assert altered.optional(2) == b""
    assert (
        fault_of(altered.needed, 2, "tables") == "the checksum of section 2 (tables) fails (the file is altered: fetch it again)"
    )
    assert fault_of(read_sections, content[:-1], X) == (
        f"{len(content) - 1} bytes where {len(content)} are announced "
        "(the file is truncated, or not written as EN 1064 says: fetch it again)"
    )
    assert fault_of(read_sections, b"no", X) == "is not an SCP-ECG file (check what it is)"
    small = bytearray(content)
    struct.pack_into("<I", small, 2, 21)
    assert fault_of(read_sections, bytes(small), X).startswith(f"{len(content)} bytes where 21 are announced")


def test_a_file_whose_own_checksum_holds_is_believed_whatever_its_sections_say():
    import binascii

    content = bytearray(scp_file(bodies_of(DIGITAL[:1], ("I",))))
    _, size, place = struct.unpack_from("<HII", content, 22 + 10 * 2)
    content[place - 1] ^= 1  # section 2's checksum
    assert 2 not in read_sections(bytes(content), X).sound
    struct.pack_into("<H", content, 0, binascii.crc_hqx(bytes(content[2:]), 0xFFFF))
    assert 2 in read_sections(bytes(content), X).sound and size


def test_a_file_is_known_by_its_mark_or_by_pointing_to_itself():
    content = scp_file(bodies_of(DIGITAL[:1], ("I",)))
    assert looks_like_scp(content[:64]) and looks_like_scp(content[:32]) and not looks_like_scp(content[:31])
    unmarked = content[:16] + bytes(6) + content[22:]
    assert looks_like_scp(unmarked[:64])
    (length,) = struct.unpack_from("<I", content, 10)
    for place, form, value in ((8, "<H", 1), (10, "<I", 16), (10, "<I", 25), (10, "<I", length + 1), (24, "<I", length + 10)):
        other = bytearray(unmarked)
        struct.pack_into(form, other, place, value)
        assert not looks_like_scp(bytes(other[:64]))
    lone = bytearray(unmarked)
    for place in (10, 24):
        struct.pack_into("<I", lone, place, 26)
    assert looks_like_scp(bytes(lone[:64]))


def test_pointers_are_bounded():
    content = bytearray(scp_file(bodies_of(DIGITAL[:1], ("I",))))
    told = f"its pointer section is longer than the file ({DAMAGED})"
    for length in (16 + 10 * 1025, 16 + 10 * 200_000):
        struct.pack_into("<I", content, 10, length)
        assert fault_of(read_sections, bytes(content), X) == told


# --- the rhythm ---


def of(bodies: dict[int, bytes]):
    return read_rhythm(Sections(bodies, frozenset(bodies), X))


def test_what_is_wrong_with_a_rhythm_is_told():
    good = bodies_of(DIGITAL[:1], ("I",))
    rows = [stream(DIGITAL[0])]
    plain = {number: body for number, body in good.items() if number != 2}
    halves = struct.pack("<500h", *DIGITAL[0, :500])
    cases = {
        f"states no amplitude of its rhythm ({AGAIN})": good | {6: scp_data_section(rows, 0, 10_000, 2)},
        f"states no rate of its rhythm ({AGAIN})": good | {6: scp_data_section(rows, 1000, 0, 2)},
        f"differences of order 3 ({DAMAGED})": good | {6: scp_data_section(rows, 1000, 10_000, 3)},
        "its rhythm is truncated (fetch it again)": good | {6: scp_data_section(rows, 1000, 10_000, 2)[:-1]},
        f"a section is shorter than what it announces ({DAMAGED})": good | {6: b"\1"},
        f"a lead that ends before it begins ({DAMAGED})": good | {3: struct.pack("<BBIIB", 1, 0, 5, 4, 1)},
        f"500 samples of a lead that announces 1000 ({DAMAGED})": plain | {6: scp_data_section([halves], 1000, 10_000, 0)},
        f"a lead's code holds more than the lead announces ({DAMAGED})": good | {3: scp_lead_section(("I",), 900)},
        "the record has no samples (leave it out)": good | {3: b"\0\0"},
    }
    for fault, bodies in cases.items():
        assert fault_of(of, bodies) == fault
    assert of(good).signal.shape == (1, 1000)


def test_uncoded_leads_may_be_filled_up_by_a_word_and_cut_where_their_length_ends():
    plain = {3: scp_lead_section(("I",), 499)}
    for count, fits in ((499, True), (500, True), (501, False), (498, False)):
        body = scp_data_section([struct.pack(f"<{count}h", *DIGITAL[0, :count])], 1000, 10_000, 0)
        if fits:
            assert of(plain | {6: body}).signal[0].tolist() == (DIGITAL[0, :499] * 1000).tolist()
        else:
            assert fault_of(of, plain | {6: body}) == f"{count} samples of a lead that announces 499 ({DAMAGED})"


def test_bits_that_fill_up_are_thirty_two_at_most():
    whole = stream(DIGITAL[0])
    for bytes_more, fits in ((3, True), (5, False)):
        body = scp_data_section([whole + bytes(bytes_more)], 1000, 10_000, 2)
        if fits:
            assert of(bodies_of(DIGITAL[:1], ("I",)) | {6: body}).signal.shape == (1, 1000)
        else:
            assert "holds more than" in fault_of(of, bodies_of(DIGITAL[:1], ("I",)) | {6: body})


def test_coded_samples_are_bounded(monkeypatch):
    bodies = bodies_of(DIGITAL[:2], ("I", "II"))
    monkeypatch.setattr(scp_rhythm, "MOST_CODED", 2000)
    assert of(bodies).signal.shape == (2, 1000)
    monkeypatch.setattr(scp_rhythm, "MOST_CODED", 1999)
    assert fault_of(of, bodies) == "announces 1000 compressed samples a lead (at most 1999 in all are read)"


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("samples", [1, 2, 3, 40])
def test_few_samples_and_such_that_wrap_around_are_summed(order, samples):
    values = np.resize([30_000, -30_000, 5, 32_767, -32_768], samples)[None]
    assert of(bodies_of(values, ("I",), order)).signal[0].tolist() == (values[0] * 1000).tolist()


def test_leads_are_named_and_laid_out_from_the_first_on():
    leads = struct.pack("<BB", 3, 0) + b"".join(struct.pack("<IIB", *one) for one in ((11, 20, 1), (6, 15, 3), (11, 30, 0)))
    rows = [DIGITAL[0, :10], DIGITAL[1, :10], DIGITAL[2, :20]]
    rhythm = of({2: struct.pack("<H", 19999), 3: leads, 6: scp_data_section([stream(one) for one in rows], 500, 4000, 2)})
    assert rhythm.rate == 250 and rhythm.leads == ("I", "V1", "SCP lead 0") and rhythm.signal.shape == (3, 25)
    for lead, start in enumerate((5, 0, 5)):
        held = rhythm.signal[lead]
        assert held[start : start + rows[lead].size].tolist() == (rows[lead] * 500).tolist()
        assert np.isnan(np.delete(held, slice(start, start + rows[lead].size))).all()
    from_zero = struct.pack("<BBIIB", 1, 0, 0, 10, 1)
    assert of({2: struct.pack("<H", 19999), 3: from_zero, 6: scp_data_section([stream(rows[0])], 500, 4000, 2)}).signal.shape == (
        1,
        10,
    )


def reference(rhythm_us: int, beat_us: int, bimodal: bool, subtracted: bool = True) -> dict[int, bytes]:
    beat = np.arange(60)
    return {
        2: struct.pack("<H", 19999),
        3: scp_lead_section(("I",), 1000, subtracted=subtracted),
        4: struct.pack("<HHH", round(60 * beat_us / 1000), 25, 1) + struct.pack("<HIII", 0, 101, 125, 160),
        5: scp_data_section([stream(beat, 1)], 1000, beat_us, 1),
        6: scp_data_section([stream(DIGITAL[0])], 1000, rhythm_us, 2, bimodal=bimodal),
    }


def test_rates_of_rhythm_and_reference_beat_must_fit():
    expected = DIGITAL[0].astype(float)
    expected[100:160] += np.arange(60)
    assert np.array_equal(of(reference(10_000, 10_000, False)).signal[0], expected * 1000)
    told = f"the rates of rhythm and reference beat do not fit ({AGAIN})"
    for rhythm_us, beat_us, bimodal in (
        (10_000, 4000, True),
        (5000, 10_000, True),
        (20_000, 10_000, False),
        (18_000, 2000, True),
    ):
        assert fault_of(of, reference(rhythm_us, beat_us, bimodal)) == told


def test_beats_beyond_the_record_or_the_average_are_added_as_far_as_they_reach():
    def rhythm(first: int, fiducial: int, last: int) -> np.ndarray:
        bodies = reference(10_000, 10_000, False)
        bodies[4] = struct.pack("<HHH", 600, 25, 1) + struct.pack("<HIII", 0, first, fiducial, last)
        return of(bodies).signal[0] / 1000 - DIGITAL[0]

    def added(begin: int, samples: np.ndarray) -> np.ndarray:
        found = np.zeros(1000)
        found[begin : begin + samples.size] = samples
        return found

    beat = np.arange(60.0)
    assert np.array_equal(rhythm(101, 125, 160), added(100, beat))
    assert np.array_equal(rhythm(111, 125, 150), added(110, beat[10:50]))
    assert np.array_equal(rhythm(90, 125, 200), added(100, beat))
    assert np.array_equal(rhythm(1, 5, 1000), added(0, beat[20:]))
    assert np.array_equal(rhythm(900, 990, 2000), added(965, beat[:35]))
    assert not rhythm(500, 125, 600).any()


# --- words, ages, measurements ---


def read(tmp_path, bodies, **options):
    path = tmp_path / "e.scp"
    path.write_bytes(scp_file(bodies))
    return scp.read(path, ReadOptions(**options))


def test_the_patient_s_tags_are_read_until_one_breaks_off(tmp_path):
    def who(*fields: tuple[int, bytes], tail: bytes = b""):
        body = b"".join(struct.pack("<BH", number, len(value)) + value for number, value in fields) + tail
        record = read(tmp_path, bodies_of(DIGITAL[:1], ("I",), s1=body), identity=True)
        return record.patient, record.age, record.sex

    first = (2, b"A\0rest"), (2, b"B"), (8, b"\1")
    assert who(*first) == ("A", None, "male")
    assert who((2, b""), (2, b"B "), (8, b"\2"), (255, b""), (4, struct.pack("<HB", 5, 1))) == ("B", None, "female")
    assert who((8, b"\x09"), tail=struct.pack("<BH", 2, 9) + b"short") == (None, None, None)
    assert who((4, struct.pack("<HB", 61, 1))) == (None, 61, None)
    born = (5, struct.pack("<HBB", 1950, 6, 1)), (25, struct.pack("<HBB", 2020, 6, 1))
    assert who((4, struct.pack("<HB", 0, 1)), *born)[1] == 70 and who((4, struct.pack("<HB", 48, 5)))[1] == pytest.approx(
        48 / 8766
    )
    assert who((4, b"\x05\0"), *born)[1] == 70 and who(born[0])[1] is None and who((5, b"\0\0\0"), born[1])[1] is None


def test_texts_are_in_the_character_set_of_the_device_s_language(tmp_path):
    for code, text, codec in ((0x37, "心", "utf-8"), (0x03, "ł", "iso8859_2"), (0x00, "é", "latin-1"), (0x99, "é", "latin-1")):
        device = bytes(16) + bytes([code])
        body = scp_patient_section(t2=text.encode(codec), t14=device)
        assert read(tmp_path, bodies_of(DIGITAL[:1], ("I",), s1=body), identity=True).patient == text
        short = scp_patient_section(t2="é".encode("latin-1"), t14=device[:16])
        assert read(tmp_path, bodies_of(DIGITAL[:1], ("I",), s1=short), identity=True).patient == "é"


def test_measurements_stand_where_their_counts_say(tmp_path):
    def measured(body: bytes) -> dict[str, float]:
        return dict(read(tmp_path, bodies_of(DIGITAL[:1], ("I",), s7=body)).measurements)

    block = struct.pack("<5H3h", 100, 200, 260, 350, 660, 1, -2, 3)
    found = {"p_ms": 100, "pr_ms": 160, "qrs_ms": 90, "qt_ms": 400, "p_axis_deg": 1, "qrs_axis_deg": -2, "t_axis_deg": 3}
    head = struct.pack("<BBHH", 1, 0, 0, 0)
    assert measured(head + block) == found and measured((head + block)[:-2]) == {}
    assert measured(struct.pack("<BBHH", 0, 0, 1000, 0)) == {"heart_rate_bpm": 60} and measured(head[:5]) == {}
    two = struct.pack("<BBHH", 2, 1, 800, 0) + block + bytes(16) + bytes(10)
    rates = struct.pack("<H3H", 0, 71, 0, 430)
    assert measured(two + rates) == found | {"heart_rate_bpm": 71, "qtc_ms": 430}
    assert measured(two + struct.pack("<H", 3) + b"abc" + rates[2:]) == found | {"heart_rate_bpm": 71, "qtc_ms": 430}
    assert measured(two + struct.pack("<H3H", 0, 0, 0, 65_535)) == found | {"heart_rate_bpm": 75}
    assert measured(two + rates[:-2]) == found | {"heart_rate_bpm": 75}
    for at in range(5):
        missing = list(struct.unpack("<5H3h", block))
        missing[at] = 65_535
        names = ({"p_ms", "pr_ms"}, {"p_ms"}, {"pr_ms", "qrs_ms", "qt_ms"}, {"qrs_ms"}, {"qt_ms"})[at]
        assert set(found) - set(measured(head + struct.pack("<5H3h", *missing))) == names


def test_statements_are_as_many_as_are_said_and_there(tmp_path):
    def report(body: bytes, section: str = "s8") -> str | None:
        return read(tmp_path, bodies_of(DIGITAL[:1], ("I",), **{section: body})).report

    head = bytes(8)
    one = struct.pack("<BH", 1, 6) + b"A\0 b\0 "
    assert report(head + b"\2" + one + one) == "A b\nA b" and report(head + b"\1" + one + one) == "A b"
    assert (
        report(head + b"\3" + one + b"\1\5") == "A b"
        and report(head) is None
        and report(head + b"\1" + struct.pack("<BH", 1, 0)) is None
    )
    assert report(head + b"\1" + struct.pack("<BH", 1, 4) + b"\1ABC", "s11") == "ABC"
