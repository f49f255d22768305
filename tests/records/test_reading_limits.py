"""How much a file may make a reader do, to the byte; what is said of files that are none; who was recorded."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from array_files import write_npz
from cmelt.errors import RecordError
from cmelt.records import readers
from cmelt.records.readers import ReadOptions, limits, read_ecg
from cmelt.records.readers.demographics import age_at, age_in_years, sex_named
from cmelt.records.readers.lead_codes import lead_in_words, lead_of_code
from cmelt.records.readers.limits import MOST_VALUES, gunzip, gunzip_into, inflate, read_whole, refuse_size, told
from cmelt.records.readers.measurements import PLAUSIBLE, plausible
from cmelt.records.readers.options import NOTHING_GIVEN, settle_leads, settle_rate, settle_unit
from ecg_files import heart


def fault_of(call, *args, **named) -> str:
    """What the refusal says."""
    with pytest.raises(RecordError) as caught:
        call(*args, **named)
    return str(caught.value)


# --- sizes ---


def test_counts_are_told_as_they_are_until_they_may_be_anybody_s_number():
    assert [told(count) for count in (7, 100_000, -100_000, 100_001, -2_000_000)] == [
        "7", "100000", "-100000", "about 1.0e+05", "about -2.0e+06"
    ]  # fmt: skip


def test_leads_and_samples_are_bounded_by_themselves_and_together():
    refuse_size(1, 1, "x")
    refuse_size(128, MOST_VALUES // 128, "x")
    refuse_size(1, MOST_VALUES, "x")
    for leads, samples in ((0, 5), (5, 0), (-1, 5)):
        assert fault_of(refuse_size, leads, samples, "x") == "x: the record has no samples (leave it out)"
    assert fault_of(refuse_size, 129, 1, "x") == "x: 129 leads (an ECG has 1 to 128)"
    assert fault_of(refuse_size, 10**7, 1, Path("x")) == "x: about 1.0e+07 leads (an ECG has 1 to 128)"
    more = "announces about 1.7e+07 samples of 2 leads (more than 33554432 values are not read: cut the record)"
    assert fault_of(refuse_size, 2, MOST_VALUES // 2 + 1, "x") == f"x: {more}"


def test_a_whole_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert read_whole(path, 10) == read_whole(path) == b"0123456789"
    small = "an ECG of this format is smaller: check what it is"
    assert fault_of(read_whole, path, 9) == f"{path}: is larger than 0 MiB ({small})"
    path.write_bytes(bytes((3 << 20) + 1))
    assert fault_of(read_whole, path, 3 << 20) == f"{path}: is larger than 3 MiB ({small})"
    path.write_bytes(b"")
    assert fault_of(read_whole, path) == f"{path}: the file is empty (fetch it again)"
    gone = tmp_path / "gone"
    assert fault_of(read_whole, gone) == f"{gone}: cannot be read: No such file or directory (check the path and its permissions)"


def test_no_more_of_a_large_file_is_read_than_may_be(tmp_path):
    path = tmp_path / "x"
    with path.open("wb") as stream:
        stream.truncate(300 << 20)
    tracemalloc.start()
    assert fault_of(read_whole, path, 1 << 20).startswith(f"{path}: is larger than 1 MiB")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


DICE = np.random.default_rng(0)


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
@pytest.mark.parametrize(
    "content",
    [b"x" * 100, bytes(DICE.integers(0, 256, 5000, np.uint8)), bytes(3 << 20), bytes(DICE.integers(0, 2, 2 << 20, np.uint8))],
)
def test_what_is_packed_comes_out_whole_or_not_at_all(content, wbits):
    packer = zlib.compressobj(wbits=wbits)
    packed = packer.compress(content) + packer.flush()
    assert inflate(packed, "x", len(content), wbits) == inflate(packed, "x", wbits=wbits) == content
    remedy = "no ECG does: check where it comes from"
    more = f"x: unpacks to more than {len(content) - 1 >> 20} MiB ({remedy})"
    assert fault_of(inflate, packed, "x", len(content) - 1, wbits) == more
    assert fault_of(inflate, packed[:-6], "x", 8 << 20, wbits) in (
        "x: its compressed part is truncated (fetch it again)",
        "x: its compressed part is damaged (fetch it again)",
    )
    assert fault_of(inflate, b"\xff" * 30, "x", 99, wbits) == "x: its compressed part is damaged (fetch it again)"
    assert inflate(packed + b"behind", "x", len(content), wbits) == content


def test_a_packed_part_that_ends_early_is_truncated():
    packed = zlib.compress(bytes(DICE.integers(0, 256, 9000, np.uint8)), 0)
    assert fault_of(inflate, packed[:-2000], "x") == "x: its compressed part is truncated (fetch it again)"


def test_a_bomb_is_known_before_any_of_it_is_kept(monkeypatch):
    """By what comes out a megabyte at a time: the unpacker that keeps it all is never asked."""
    asked, unpacker = [], zlib.decompressobj

    class Unpacker:
        def __init__(self, wbits):
            self.inner = unpacker(wbits)

        def decompress(self, packed, most):
            asked.append(most)
            return self.inner.decompress(packed, most)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    packed = zlib.compress(bytes(40 << 20))
    monkeypatch.setattr(limits.zlib, "decompressobj", Unpacker)
    assert fault_of(inflate, packed, "x", 5 << 20) == "x: unpacks to more than 5 MiB (no ECG does: check where it comes from)"
    assert asked == [1 << 20] * 6
    asked.clear()
    assert len(inflate(packed, "x", 40 << 20)) == 40 << 20
    assert asked[:-1] == [1 << 20] * (len(asked) - 1) and asked[-1] == (40 << 20) + 1


@pytest.mark.parametrize("size", [1, 5000, 1 << 20, (2 << 20) + 7])
def test_a_gzip_file_comes_out_whole_or_not_at_all(size):
    content = bytes(np.random.default_rng(size).integers(0, 4, size, np.uint8))
    packed = gzip.compress(content)
    target = io.BytesIO()
    gunzip_into(packed, target, "x", size)
    assert gunzip(packed, "x", size) == target.getvalue() == gunzip(packed, "x") == content
    assert gunzip(packed + gzip.compress(b"behind"), "x") == content + b"behind"
    more = f"x: unpacks to more than {size - 1 >> 20} MiB (no ECG does: check where it comes from)"
    damaged = "x: the gzip file is damaged or truncated (fetch it again)"
    for call in (gunzip, lambda packed, where, *most: gunzip_into(packed, io.BytesIO(), where, *most)):
        assert fault_of(call, packed, "x", size - 1) == more
        assert fault_of(call, packed[:-3], "x") == damaged
        assert fault_of(call, b"\x1f\x8b" + bytes(30), "x") == damaged


# --- what is said beside the file ---


def test_rate_unit_and_leads_are_settled_between_file_and_caller():
    said = ReadOptions(rate=500.0, unit="mV", leads=("lead i", "v2"))
    assert (
        settle_rate(None, said, "x") == settle_rate(500.0004, said, "x") - 0.0004 == settle_rate(500.0, NOTHING_GIVEN, "x") == 500
    )
    assert settle_unit(None, said, "x") == settle_unit(" MV", said, "x").strip().replace("MV", "mV") == "mV"
    assert settle_unit("uV", NOTHING_GIVEN, "x") == "uV"
    assert settle_leads(None, said, 2, "x") == settle_leads(("I", "V2"), said, 2, "x") == ("I", "V2")
    assert settle_leads(("i",), NOTHING_GIVEN, 1, "x") == ("I",)
    refusals = {
        "does not state its sampling rate (say it: --rate 500, or ReadOptions(rate=500))": (settle_rate, None, NOTHING_GIVEN),
        "states 250 Hz, and was said to have 500 Hz (leave --rate away)": (settle_rate, 250.0, said),
        "states 500.001 Hz, and was said to have 500 Hz (leave --rate away)": (settle_rate, 500.0006, said),
        'does not state its unit (say it: --unit mV, or ReadOptions(unit="mV"))': (settle_unit, None, NOTHING_GIVEN),
        "states another unit than 'mV' (leave --unit away)": (settle_unit, "uV", said),
        "does not name its leads (say them: --leads I,II,III,…, or ReadOptions(leads=…))": (settle_leads, None, NOTHING_GIVEN, 2),
        "names its leads otherwise than was said (leave --leads away)": (settle_leads, ("V2", "I"), said, 2),
        "holds 3 leads where 2 are named (name every lead once, in the file's order)": (settle_leads, None, said, 3),
    }
    for fault, (settle, stated, options, *count) in refusals.items():
        assert fault_of(settle, stated, options, *count, "x") == f"x: {fault}"


# --- files that are none ---


def test_what_is_no_ecg_is_told_with_all_that_is_known(tmp_path):
    formats = "WFDB, MATLAB, HDF5, NumPy, SCP-ECG, EDF, DICOM, GE MUSE XML, Philips Sierra XML, HL7 aECG, table"
    letter = tmp_path / "letter"
    letter.write_bytes(b"Dear colleague")
    assert fault_of(read_ecg, letter) == f"{letter}: not an ECG format that is known here (known: {formats})"
    for mark in (b"PK\x03\x04", b"PK\x05\x06"):
        letter.write_bytes(mark + b"and so on")
        assert fault_of(read_ecg, str(letter)) == f"{letter}: a zip archive (unpack it first, then name a record in it)"
    letter.write_bytes(b"")
    assert fault_of(read_ecg, letter) == f"{letter}: the file is empty (fetch it again)"
    folder = "is a folder, not a record (name one record; `cmelt prepare folder` takes folders)"
    assert fault_of(read_ecg, tmp_path) == f"{tmp_path}: {folder}"
    gone = "no such file (give the file, or a WFDB record's path without extension)"
    assert fault_of(read_ecg, tmp_path / "gone") == f"{tmp_path / 'gone'}: {gone}"
    assert fault_of(read_ecg, "") == f".: {folder}"


def test_packed_files_are_told_by_their_own_name(tmp_path):
    path = tmp_path / "x.gz"
    for content, fault in (
        (gzip.compress(b"hello"), "the gzip file is packed twice (unpack it first)"),
        (b"", "the gzip file holds nothing (unpack it first)"),
        (b"PK\x03\x04", "a zip archive (unpack it first, then name a record in it)"),
    ):
        path.write_bytes(gzip.compress(content))
        assert fault_of(read_ecg, path) == f"{path}: {fault}"
    write_npz(tmp_path / "x.npz", heart())
    path.write_bytes(gzip.compress((tmp_path / "x.npz").read_bytes()))
    record = read_ecg(path)
    assert (record.identifier, record.origin) == ("x", str(path)) and np.array_equal(record.signal, heart())
    assert "77 Hz" in fault_of(read_ecg, path, ReadOptions(rate=77))


def test_readers_of_installed_packages_come_before_tables(monkeypatch):
    added = type("Added", (), {"NAME": "added"})
    monkeypatch.setattr(readers, "_added_readers", lambda: (added,))
    names = [reader.NAME for reader in readers.known_readers()]
    assert names == [*(reader.NAME for reader in readers.READERS[:-1]), "added", "table"]


# --- who, and what was measured ---


@pytest.mark.parametrize(
    ("number", "unit", "years"),
    [(61, "years", 61), (61, " Y ", 61), (18, "months", 1.5), (6, "MO", 0.5), (52, "wk", 52 * 7 / 365.25), (73, "D", 73 / 365.25),
     (48, "hours", 48 / 8766), (0, "Y", 0), (129.9, "A", 129.9), (130, "Y", None), (-1, "Y", None), (None, "Y", None),
     (61, "fortnights", None), (61, "", None)],
)  # fmt: skip
def test_ages_are_years_whatever_their_unit(number, unit, years):
    assert age_in_years(number, unit) == (None if years is None else pytest.approx(years))


@pytest.mark.parametrize(
    ("birth", "recorded", "years"),
    [("19500601", "20200531", 69), ("19500601", "20200601", 70), (" 1950-06-01 ", "20200601123000", 70),
     ("19500615", "20200714", 70),
     ("20200101", "20210701", 1.5), ("20200101", "20200116", 0.04), ("20191201", "20200101", 0.08), ("20180101", "20200101", 2),
     ("20180102", "20200101", 2.0), ("20200102", "20200101", None), ("18900101", "20200101", None), ("18900102", "20200101", 129),
     ("", "20200101", None), ("19500601", "", None), ("1950", "20200101", None)],
)  # fmt: skip
def test_ages_follow_from_two_dates(birth, recorded, years):
    assert age_at(birth, recorded) == years


def test_sexes_are_named_in_words_and_letters():
    assert [sex_named(text) for text in ("M", " male ", "F", "Female", "O", "")] == [
        "male",
        "male",
        "female",
        "female",
        None,
        None,
    ]


def test_measurements_that_cannot_be_true_are_none():
    for name, (least, greatest) in PLAUSIBLE.items():
        assert dict(plausible({name: least})) == {name: least} and dict(plausible({name: greatest})) == {name: greatest}
        assert not plausible({name: least - 1}) and not plausible({name: greatest + 1}) and not plausible({name: None})
    assert isinstance(plausible({"qrs_ms": 90})["qrs_ms"], float)


def test_codes_and_words_name_leads_or_nothing():
    codes = {" 2:1\0": "I", "2:64": "aVF", "5.6.3-9-9": "V7", "131073": "I", "131072": None, "13107300": None, "2:1000": None,
             "MDC_ECG_LEAD_V3": "V3", "MDC_ECG_HEART_RATE": None, "I": None, "2:x": None}  # fmt: skip
    assert {code: lead_of_code(code) for code in codes} == codes
    words = {"Lead III": "III", "lead 3": "III", "II": "II", "2": None, "V4R": "V4R", "v9r": "V9R", "-aVR": None, "cc5": "CC5",
             "aVF (Goldberger)": "aVF", "D": None, "X": "X", "\0V2 ": "V2"}  # fmt: skip
    assert {text: lead_in_words(text) for text in words} == words
