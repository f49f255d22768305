"""WFDB in its corners: what a header's numbers may be, what its files may hold, and what is said where they do not."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, physionet, physionet_files, read_ecg
from cmelt.records.readers.physionet_header import Segment, SignalLine, header_text, read_header, safe_name
from wfdb_files import write_header

STEPS = np.random.default_rng(0).integers(-1000, 1000, (3, 60))
TWO = ("I", "II")


def fault_of(path, options: ReadOptions | None = None, where=None) -> str:
    """What the refusal says of the file at `path`, or of the one at `where`."""
    with pytest.raises(RecordError) as caught:
        physionet.read(path, options or ReadOptions())
    assert caught.value.where == str(where or path)
    return f"{caught.value.fault} ({caught.value.remedy})"


def line_with(
    tmp_path, first: str = "r 1 100 60", form: str = "16", gain: str = "1000(0)/mV", rest: str = "16 0", name: str = "r.dat"
):
    """A header with one signal."""
    samples = STEPS[0]
    (tmp_path / "r.dat").write_bytes(samples.astype("<i2").tobytes())
    return write_header(tmp_path, first, [f"{name} {form} {gain} {rest}".rstrip()])


# --- headers ---


def test_every_field_of_a_header_is_kept(tmp_path):
    lines = ["a.dat 212x4:2+24 200.5(-7)/uV 12 3 -4 55 0 ECG lead II", "a.dat 212x4:2+24", "~ 0 100/mV 16 8"]
    path = write_header(tmp_path, "rec.1 3 250.5/999(7) 1000 12:00:00", [*lines, "# Age: 5", "#  more "])
    header = read_header(path)
    assert (header.name, header.rate, header.frames, header.count, header.segments) == ("rec.1", 250.5, 1000, 3, ())
    assert header.comments == ("Age: 5", "more")
    assert header.signals == (
        SignalLine("a.dat", 212, 4, 2, 24, 200.5, -7, "uV", -4, 55, "ECG lead II"),
        SignalLine("a.dat", 212, 4, 2, 24, None, 0, None, None, None, ""),
        SignalLine("~", 0, 1, 0, 0, 100.0, 8, "mV", None, None, ""),
    )
    several = read_header(write_header(tmp_path, "m/2 3 250", ["a 10", "~ 5"], "m"))
    assert (several.rate, several.frames, several.segments, several.signals) == (
        250.0,
        0,
        (Segment("a", 10), Segment("~", 5)),
        (),
    )


def test_checksums_of_zero_count_where_an_initial_value_or_another_checksum_is_stated(tmp_path):
    zeros = write_header(tmp_path, "r 2 100 60", [f"r.dat 16 1000 16 0 0 0 0 {lead}" for lead in TWO])
    assert [line.checksum for line in read_header(zeros).signals] == [None, None]
    stated = write_header(tmp_path, "r 2 100 60", ["r.dat 16 1000 16 0 0 0 0 I", "r.dat 16 1000 16 0 3 0 0 II"])
    assert [line.checksum for line in read_header(stated).signals] == [0, 0]


HEADERS = {
    "": "the header is empty (fetch it again)",
    "#nothing\n": "the header is empty (fetch it again)",
    "r\n": "its first line states no number of signals (fetch the header again)",
    "r 0 100\n": "0 signals (an ECG has 1 to 128)",
    "r 129 100\n": "129 signals (an ECG has 1 to 128)",
    "r x 100\n": "a number of signals that is not a whole number (correct the header)",
    "r 2 100 60\nr.dat 16\n": "announces 2 signals and describes 1 (the header is incomplete or altered)",
    "r 1 1e6\nr.dat 16\n": "sampling rate 1e+06 Hz (it must be a positive number)",
    "r 1 0\nr.dat 16\n": "sampling rate 0 Hz (it must be a positive number)",
    "r 1 -5\nr.dat 16\n": "its sampling rate is not a positive number (correct the header)",
    "r 1 100 x\nr.dat 16\n": "a number of samples that is not a whole number (correct the header)",
    "r 1 100 -1\nr.dat 16\n": "a negative number of samples (correct the header)",
    "r 1 100 60\nr.dat\n": "a signal line without a format (the header is incomplete)",
    "r 1 100 60\nr.dat x\n": "a signal line whose format or gain cannot be read (correct the header)",
    "r 1 100 60\nr.dat 16 x\n": "a signal line whose format or gain cannot be read (correct the header)",
    "r 1 100 60\nr.dat 16x0 1\n": "a signal without samples in its frames (correct the header)",
    "r 1 100 60\nr.dat 16 1 16 x\n": "a ADC zero that is not a whole number (correct the header)",
    "r 1 100 60\nr.dat 16 1 16 0 x\n": "a initial value that is not a whole number (correct the header)",
    "r 1 100 60\nr.dat 16 1 16 0 0 x\n": "a checksum that is not a whole number (correct the header)",
    "r/2 1 100\ns 60\n": "announces 2 segments and lists 1 (the header is incomplete or altered)",
    "r/1001 1 100\ns 60\n": "1001 segments (records of 1 to 1000 are read: give one segment)",
    "r/0 1 100\n": "0 segments (records of 1 to 1000 are read: give one segment)",
    "r/x 1 100\n": "a number of segments that is not a whole number (correct the header)",
    "r/1 1 100\ns\n": "a segment without a length (the header is incomplete)",
    "r/1 1 100\ns x\n": "a length of a segment that is not a whole number (correct the header)",
    "r/1 1 100\ns -1\n": "a segment of negative length (correct the header)",
    "r 1 100 60\n../r.dat 16 1\n": "names a signal file outside its own folder (signal files lie beside their header)",
    "r 1 100 60\nr.dat 99 1 16 0 0 0 0 I\n": "signal format 99 (convert the record to format 16)",
    "r 2 100 60\nr.dat 16 1 16 0 0 5 0 I\nr.dat 16+4 1 16 0 0 0 0 II\n":
        "a signal file is announced in two formats (correct the header)",
    "r 1 100 60\nr.dat 16 0 16 0 0 0 0 I\n": "a gain of 0, which means uncalibrated: the amplitude is unknown (state the gain)",
    "r 1 100 60\nr.dat 16\n": "a signal without a gain: its amplitude is unknown (state the gain (steps per mV) in the header)",
    "r 1 100 60\nr.dat 16 1e12 16 0 0 0 0 I\n":
        "a gain of 1e+12 (it must be a positive number of steps per unit, and no absurd one)",
    "r 1 100 60\nr.dat 16 1e-12 16 0 0 0 0 I\n":
        "a gain of 1e-12 (it must be a positive number of steps per unit, and no absurd one)",
    "r 1 100 60\nr.dat 16 1/mmHg 16 0 0 0 0 P\n": "no signal in a unit of voltage (an ECG comes in V, mV, uV or nV)",
    "r 1 100 60\nr.dat 16 1/mmHg 16 0 0 0 0 II\n": "a lead's unit is not a voltage (ECG leads come in V, mV, uV or nV)",
    "r 1 100 60\nr.dat 16:60 1000 16 0 0 5 0 I\n": "a skew that is longer than the record (correct the header)",
}  # fmt: skip


@pytest.mark.parametrize("text", HEADERS)
def test_what_is_wrong_with_a_header_is_told_with_its_remedy(tmp_path, text):
    (tmp_path / "r.dat").write_bytes(STEPS[0].astype("<i2").tobytes())
    (tmp_path / "r.hea").write_text(text.replace(" 5 0 I", f" {int(STEPS[0].sum())} 0 I"))
    options = ReadOptions(leads=("I",)) if "without a gain" in HEADERS[text] else None
    assert fault_of(tmp_path / "r.hea", options) == HEADERS[text]


def test_the_largest_and_the_smallest_numbers_of_a_header_are_read(tmp_path):
    lines = [f"r.dat 16 1000 16 0 0 0 0 x{row}" for row in range(128)]
    (tmp_path / "r.dat").write_bytes(bytes(2 * 128 * 3))
    assert read_ecg(write_header(tmp_path, "r 128 100 3", lines)).signal.shape == (128, 3)
    assert read_header(line_with(tmp_path, "r 1 999999")).rate == 999_999
    assert len(read_header(write_header(tmp_path, "m/1000 1 100", ["s 1"] * 1000, "m")).segments) == 1000
    for gain in ("9e11", "2e-12"):
        path = line_with(tmp_path, gain=f"{gain}/nV", rest="16 0 0 0 0 I")
        if gain == "9e11":
            assert np.abs(read_ecg(path).signal).max() < 1e-9
    late = read_ecg(line_with(tmp_path, form="16:59", rest="16 0 0 0 0 I")).signal[0]
    assert np.isfinite(late).sum() == 1 and late[0] == pytest.approx(STEPS[0, 59] / 1000)


def test_a_header_is_a_plain_file_of_text_up_to_a_megabyte(tmp_path):
    path = line_with(tmp_path, rest="16 0 0 0 0 I")
    text = path.read_text()
    path.write_text(text + "#" * ((1 << 20) - len(text)))
    assert read_ecg(path).leads == ("I",)
    path.write_text(text + "#" * ((1 << 20) - len(text) + 1))
    assert fault_of(path) == "a header of more than a megabyte (this is not a WFDB header)"
    told = "the header holds bytes that no text has: it is damaged, or no header (fetch it again)"
    for byte in (b"\x01", b"\x08", b"\x0e", b"\x19", b"\x1b", b"\x1f"):
        path.write_bytes(text.encode() + b"# " + byte)
        assert fault_of(path) == told
    for byte in (b"\x09", b"\x0b", b"\x0c", b"\x1a"):
        path.write_bytes(text.encode() + b"# " + byte)
        assert read_ecg(path).leads == ("I",)
    os.mkfifo(tmp_path / "pipe.hea")
    with pytest.raises(RecordError) as caught:
        header_text(tmp_path / "pipe.hea")
    assert str(caught.value) == f"{tmp_path / 'pipe.hea'}: is no plain file (give the header itself)"
    with pytest.raises(RecordError) as caught:
        header_text(tmp_path / "gone.hea")
    assert str(caught.value).endswith("cannot be read: No such file or directory (check the path and its permissions)")


def test_a_signal_file_is_named_without_a_way(tmp_path):
    for name in ("r.dat", "..."):
        assert safe_name(name, tmp_path) == name
    for name in ("-", "~", ".", "..", "a/b", "a\\b", "a\0b"):
        with pytest.raises(RecordError, match="outside its own folder"):
            safe_name(name, tmp_path)


# --- which header ---


def test_headers_and_signal_files_are_recognised_by_content_and_neighbours(tmp_path):
    path = line_with(tmp_path, rest="16 0 0 0 0 I")
    recognised = {
        (tmp_path / "r.hea", b"anything 5"): True,
        (tmp_path / "r.hea", b"# comment alone"): True,
        (tmp_path / "r.hea", b"a b"): False,
        (tmp_path / "r.hea", b"word"): False,
        (tmp_path / "r.hea.gz", b"\x1f\x8b"): True,
        (tmp_path / "x", b"\x1f\x8b"): False,
        (tmp_path / "x", path.read_bytes()): True,
        (tmp_path / "x", b"# by\n" + path.read_bytes().replace(b"\n", b"\r\n")): True,
        (tmp_path / "x", b"\xef\xbb\xbf" + path.read_bytes()): True,
        (tmp_path / "x", path.read_bytes() + b"\0"): False,
        (tmp_path / "x", b"# comment alone"): False,
        (tmp_path / "r.dat", b"\0\1"): True,
        (tmp_path / "r.dat.gz", b"\x1f\x8b"): True,
        (tmp_path / "r.xyz", b"\0\1"): False,
        (tmp_path / "..", b"\0\1"): False,
    }
    for (named, head), expected in recognised.items():
        assert physionet.recognises(named, head) is expected, (named.name, head)
    assert not physionet.recognises(tmp_path / "r.hea", b"a b")


def test_a_signal_file_s_header_may_be_packed_or_damaged(tmp_path):
    path = line_with(tmp_path, rest="16 0 0 0 0 I")
    (tmp_path / "r.hea.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.write_bytes(b"\x01\x02")  # damaged: the packed one beside it counts
    record = read_ecg(tmp_path / "r.dat")
    assert record.origin == str(tmp_path / "r.hea.gz") and record.identifier == "r"


def test_a_record_named_after_its_file_is_called_without_the_ending(tmp_path):
    for name in ("r.mat", "r.dat", "r"):
        assert read_ecg(line_with(tmp_path, f"{name} 1 100 60", rest="16 0 0 0 0 I")).identifier == "r"


# --- signal files ---


def test_where_a_signal_file_is_missing_only_a_likely_name_is_told(tmp_path):
    path = line_with(tmp_path, rest="16 0 0 0 0 I", name="r_other.dat")
    missing = "the header's signal file is not there (fetch it)"
    assert fault_of(path, where=tmp_path / "r_other.dat") == missing
    path = line_with(tmp_path, rest="16 0 0 0 0 I", name="doe.dat")
    assert fault_of(path, where=path) == missing
    (tmp_path / "doe.dat").mkdir()
    assert fault_of(path, where=tmp_path / "doe.dat") == "the header's signal file is no plain file (fetch it)"


@pytest.mark.parametrize(("change", "told"), [(-2, "shorter"), (2, "longer")])
def test_a_signal_file_of_another_length_is_told_with_both(tmp_path, change, told):
    path = line_with(tmp_path, rest="16 0 0 0 0 I")
    content = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").write_bytes(content[:change] if change < 0 else content + bytes(change))
    state = "truncated" if change < 0 else "another one's"
    remedy = f"{120 + change} bytes, 120 announced: the file is {state} or the header altered; fetch both again"
    assert fault_of(path, where=tmp_path / "r.dat") == f"the signal file is {told} than its header says ({remedy})"


def test_signals_of_one_file_must_stand_together_and_be_of_one_size(tmp_path, monkeypatch):
    lines = [f"{file} 16 1000 16 0 0 0 0 {lead}" for file, lead in (("a.dat", "I"), ("b.dat", "II"), ("a.dat", "V1"))]
    for name in ("a.dat", "b.dat"):
        (tmp_path / name).write_bytes(bytes(120))
    path = write_header(tmp_path, "r 3 100 60", lines)
    assert fault_of(path) == "signals of one file that do not stand together (correct the header)"
    path = line_with(tmp_path, rest="16 0 0 0 0 I")
    monkeypatch.setattr(physionet_files, "LARGEST_FILE", 120)
    assert read_ecg(path).signal.shape == (1, 60)
    monkeypatch.setattr(physionet_files, "LARGEST_FILE", 119)
    assert fault_of(path, where=tmp_path / "r.dat") == "is larger than 0 MiB (no ECG is: cut the record)"


def test_a_preface_and_a_packed_file_are_read_as_far_as_announced(tmp_path):
    content = bytes(24) + STEPS[0].astype("<i2").tobytes()
    path = line_with(tmp_path, form="16+24", rest="16 0 0 0 0 I")
    (tmp_path / "r.dat").write_bytes(content)
    assert np.allclose(read_ecg(path).signal * 1000, STEPS[:1])
    (tmp_path / "r.dat").unlink()
    (tmp_path / "r.dat.gz").write_bytes(gzip.compress(content))
    assert np.allclose(read_ecg(path).signal * 1000, STEPS[:1])
    (tmp_path / "r.dat.gz").write_bytes(gzip.compress(content + b"\0\0"))
    assert fault_of(path, where=tmp_path / "r.dat.gz").startswith("unpacks to more than 0 MiB")
    (tmp_path / "r.dat.gz").write_bytes(gzip.compress(content[:-2]))
    assert "shorter" in fault_of(path, where=tmp_path / "r.dat.gz")


def test_format_8_adds_up_over_many_pieces_and_within_32_bits(tmp_path):
    steps = np.random.default_rng(1).integers(-100, 100, (1 << 18) + 77).astype("i1")
    (tmp_path / "r.dat").write_bytes(steps.tobytes())
    total = 5 + np.cumsum(steps, dtype=np.int64)
    check = (int(total.sum()) + 32768) % 65536 - 32768
    path = write_header(tmp_path, f"r 1 100 {steps.size}", [f"r.dat 8 1e5/mV 16 0 5 {check} 0 I"])
    assert np.allclose(read_ecg(path).signal[0], total / 1e5, atol=1e-6)
    for initial, fits in ((2**31 - 1, True), (2**31, False), (-(2**31), True), (-(2**31) - 1, False)):
        (tmp_path / "r.dat").write_bytes(bytes(9))
        path = write_header(tmp_path, "r 1 100 9", [f"r.dat 8 1e8/mV 16 0 {initial}"])
        options = ReadOptions(leads=("I",))
        if fits:
            assert read_ecg(path, options).signal[0, 8] == pytest.approx(initial / 1e8)
        else:
            runaway = "format 8 that runs away (the header or the file is altered: fetch both again)"
            assert fault_of(path, options) == runaway
    path = write_header(tmp_path, "r 1 100 9", ["r.dat 8 1000 16 0"])
    assert fault_of(path, ReadOptions(leads=("I",))) == "format 8 without an initial value (state it in the header)"


def test_flac_streams_are_told_by_what_is_wrong_with_them(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    samples = np.tile(np.arange(-500, 500, dtype=np.int16), (2, 1)).T
    lines = [f"r.flac 516 1000/mV 16 0 0 {int(row.sum())} 0 {lead}" for row, lead in zip(samples.T.astype(int), TWO, strict=True)]
    soundfile.write(tmp_path / "r.flac", samples, 1000, subtype="PCM_16")
    path = write_header(tmp_path, "r 2 100 1000", lines)
    assert np.allclose(read_ecg(path).signal * 1000, samples.T)
    flac = tmp_path / "r.flac"
    both = [line.replace(" 516 ", " 516x2 ", 1) for line in lines[:1]] + lines[1:]
    write_header(tmp_path, "r 2 100 500", both)
    assert fault_of(path) in ("a FLAC file with signals at several rates (correct the header)",
                              "signals at several rates in one record (resample them to one rate first)")  # fmt: skip
    write_header(tmp_path, "r 1 100 1000", lines[:1])
    assert fault_of(path, where=flac) == "2 FLAC channels for 1 signals (correct the header)"
    write_header(tmp_path, "r 2 100 1000", [line.replace(" 516 ", " 508 ") for line in lines])
    assert fault_of(path, where=flac) == "a FLAC stream of PCM_16, format 508 announced (correct the header)"
    write_header(tmp_path, "r 2 100 999", lines)
    numbers = "1000 samples a signal, 999 announced: the file is another one's or the header altered; fetch both again"
    assert fault_of(path, where=flac) == f"the signal file is longer than its header says ({numbers})"
    flac.write_bytes(b"RIFF" + flac.read_bytes()[4:])
    assert fault_of(path, where=flac) == "is no FLAC stream (the header's format or the file is wrong: fetch both again)"
