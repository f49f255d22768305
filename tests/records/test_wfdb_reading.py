"""WFDB: bit for bit what `wfdb` reads, and refusal of what it reads wrongly without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS
from ecg_files import heart, write_wfdb

wfdb = pytest.importorskip("wfdb")


def assert_same_bits(header: Path) -> None:
    ours = read_ecg(header)
    theirs = wfdb.rdrecord(str(header.with_suffix("")))
    assert theirs.units[0].lower() == "mv"
    assert np.array_equal(ours.signal, theirs.p_signal.T.astype(np.float32), equal_nan=True)
    assert ours.rate == theirs.fs
    assert [lead.upper() for lead in ours.leads] == [name.upper() for name in theirs.sig_name]


def test_a_sample_of_the_real_files_is_read_bit_for_bit(data_dir):
    for header in sorted(data_dir.rglob("*.hea"))[::25]:
        assert_same_bits(header)


@pytest.mark.slow
def test_every_real_file_is_read_bit_for_bit(data_dir):
    files = sorted(data_dir.rglob("*.hea"))
    assert len(files) == 2733
    for header in files:
        assert_same_bits(header)


@pytest.mark.parametrize("form", ["16", "24", "32", "80", "212"])
def test_other_formats_are_read_as_wfdb_reads_them(tmp_path, form):
    signal = np.clip(heart(2), -1.2, 1.2).T.astype(np.float64)
    gain = 100 if form == "80" else 1000
    wfdb.wrsamp("r", fs=100, units=["mV"] * 12, sig_name=list(LEADS), p_signal=signal, fmt=[form] * 12,
                adc_gain=[gain] * 12, baseline=[0] * 12, write_dir=str(tmp_path))  # fmt: skip
    assert_same_bits(tmp_path / "r.hea")
    assert np.allclose(read_ecg(tmp_path / "r").signal, signal.T, atol=0.6 / gain)


@pytest.mark.parametrize(
    ("form", "stored"),
    [("61", lambda digital: digital.astype(">i2")), ("160", lambda digital: (digital.astype("<i4") + 32768).astype("<u2"))],
)
def test_big_endian_and_offset_binary_are_read_as_wfdb_reads_them(tmp_path, form, stored):
    header = write_wfdb(tmp_path / "r", heart())
    digital = np.fromfile(tmp_path / "r.dat", dtype="<i2")
    stored(digital).tofile(tmp_path / "r.dat")
    header.write_text(header.read_text().replace(".dat 16 ", f".dat {form} "))
    assert_same_bits(header)
    assert np.allclose(read_ecg(header).signal, heart(), atol=6e-4)


@pytest.mark.parametrize("form", ["16", "24"])
def test_baselines_and_odd_gains_are_applied_as_wfdb_applies_them(tmp_path, form):
    wfdb.wrsamp("r", fs=257, units=["mV"] * 12, sig_name=list(LEADS), p_signal=heart(4).T.astype(np.float64), fmt=[form] * 12,
                adc_gain=[204.8 + row for row in range(12)], baseline=[100 * row - 512 for row in range(12)],
                write_dir=str(tmp_path))  # fmt: skip
    assert_same_bits(tmp_path / "r.hea")
    assert np.allclose(read_ecg(tmp_path / "r").signal, heart(4), atol=3e-3)


def test_what_was_not_measured_is_nan(tmp_path):
    signal = heart()
    signal[3, 10:20] = np.nan
    assert np.array_equal(np.isnan(read_ecg(write_wfdb(tmp_path / "r", signal)).signal), np.isnan(signal))


def test_units_and_gains_come_from_the_header(tmp_path):
    header = write_wfdb(tmp_path / "r", heart() * 1000, gain=1)
    header.write_text(header.read_text().replace("/mV", "/uV"))
    assert np.allclose(read_ecg(header).signal, heart(), atol=1e-3)


def test_microvolts_announced_as_millivolts_are_refused(tmp_path):
    with pytest.raises(RecordError, match="microvolts read as millivolts"):
        read_ecg(write_wfdb(tmp_path / "r", heart() * 1000, gain=1))


def test_comments_of_the_challenges_become_age_sex_and_labels(tmp_path):
    header = write_wfdb(tmp_path / "r", heart(), comments="#Age: 74\n#Sex: Female\n# Dx: 59118001,164889003\n")
    record = read_ecg(header)
    assert (record.age, record.sex, record.labels) == (74, "female", ("snomed:59118001", "snomed:164889003"))
    header = write_wfdb(tmp_path / "s", heart(), comments="#Age: NaN\n#Sex: Unknown\n#Dx: Unknown\n")
    assert (read_ecg(header).age, read_ecg(header).sex, read_ecg(header).labels) == (None, None, ())


@pytest.mark.parametrize("suffix", ["", ".hea", ".dat"])
def test_a_record_may_be_named_by_any_of_its_files(tmp_path, suffix):
    write_wfdb(tmp_path / "a.b", heart())
    assert read_ecg(f"{tmp_path}/a.b{suffix}").signal.shape == (12, 1000)


#: (name, what is replaced in a good header, by what). Each would make another signal, or none.
ALTERED = [
    ("rate negative", " 12 100 ", " 12 -500 "),
    ("rate zero", " 12 100 ", " 12 0 "),
    ("rate absent", "r 12 100 1000", "r 12"),
    ("rate a word", " 12 100 ", " 12 nan "),
    ("rate infinite", " 12 100 ", " 12 inf "),
    ("rate with separators", " 12 100 ", " 12 1_00 "),
    ("too few samples", " 1000\n", " 900\n"),
    ("too many samples", " 1000\n", " 1001\n"),
    ("negative samples", " 1000\n", " -1000\n"),
    ("absurd samples", " 1000\n", " 99999999999999999\n"),
    ("too few signals", "r 12 100", "r 11 100"),
    ("too many signals", "r 12 100", "r 13 100"),
    ("no signals", "r 12 100", "r 0 100"),
    ("several segments", "r 12 100", "r/2 12 100"),
    ("gain zero", " 1000(0)/mV 16 0", " 0(0)/mV 16 0"),
    ("gain negative", " 1000(0)/mV 16 0", " -1000(0)/mV 16 0"),
    ("gain a word", " 1000(0)/mV 16 0", " much 16 0"),
    ("gain absent", " 1000(0)/mV 16 0", ""),
    ("pressure, not voltage", "/mV", "/mmHg"),
    ("another format", ".dat 16 ", ".dat 212 "),
    ("unknown format", ".dat 16 ", ".dat 99 "),
    ("several samples a frame", ".dat 16 ", ".dat 16x2 "),
    ("skew longer than the record", ".dat 16 ", ".dat 16:1000 "),
    ("skew negative", ".dat 16 ", ".dat 16:-3 "),
    ("no samples a frame", ".dat 16 ", ".dat 16x0 "),
    ("offset", ".dat 16 ", ".dat 16+24 "),
    ("another file", "r.dat", "gone.dat"),
    ("a path", "r.dat", "../r.dat"),
    ("an absolute path", "r.dat", "/etc/passwd"),
    ("standard input", "r.dat", "-"),
    ("a folder", "r.dat", ".."),
    ("lead twice", " V2", " V1"),
    ("checksum", " 0 V6", "7 0 V6"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in ALTERED], ids=[case[0] for case in ALTERED])
def test_an_altered_header_is_refused(tmp_path, old, new):
    header = write_wfdb(tmp_path / "r", heart())
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    with pytest.raises(RecordError):
        read_ecg(header)


def test_a_flipped_bit_in_the_samples_is_found_by_the_checksum(tmp_path):
    header = write_wfdb(tmp_path / "r", heart())
    samples = bytearray((tmp_path / "r.dat").read_bytes())
    samples[4000] ^= 4
    (tmp_path / "r.dat").write_bytes(samples)
    with pytest.raises(RecordError, match="checksum"):
        read_ecg(header)


@pytest.mark.parametrize("keep", [0, 1, 12000, 23999])
def test_truncated_samples_are_refused(tmp_path, keep):
    header = write_wfdb(tmp_path / "r", heart())
    (tmp_path / "r.dat").write_bytes((tmp_path / "r.dat").read_bytes()[:keep])
    with pytest.raises(RecordError, match="truncated"):
        read_ecg(header)


def test_length_may_be_left_to_the_file_size(tmp_path):
    header = write_wfdb(tmp_path / "r", heart())
    header.write_text(header.read_text().replace("r 12 100 1000", "r 12 100"))
    assert read_ecg(header).signal.shape == (12, 1000)


def test_errors_name_the_file_and_the_remedy(tmp_path):
    for path in (tmp_path / "none", tmp_path, write_empty(tmp_path / "empty.hea"), write_text(tmp_path / "x.pdf")):
        with pytest.raises(RecordError, match=r"\(.+\)") as caught:
            read_ecg(path)
        assert str(path) in str(caught.value)


def write_empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def write_text(path: Path) -> Path:
    path.write_text("%PDF-1.4 nothing")
    return path
