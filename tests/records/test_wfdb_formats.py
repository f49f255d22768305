"""Every storage format of WFDB: bit for bit what `wfdb` reads where that is right, and what the format's page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.physionet_formats import LAYOUTS
from wfdb_files import checksum, signal_line, write_format_16, write_header

wfdb = pytest.importorskip("wfdb")

#: A gain that brings a format's largest step to 20 mV.
GAIN = {8: 1e3, 16: 1639, 24: 5e5, 32: 1.1e8, 61: 1639, 80: 7, 160: 1639, 212: 103, 310: 26, 311: 26, 508: 7, 516: 1639, 524: 5e5}
BITS = {508: 8, 516: 16, 524: 24}
NAMES = ("I", "II", "III", "aVR", "V1")


def assert_same_bits(header: Path) -> np.ndarray:
    ours = read_ecg(header)
    theirs = wfdb.rdrecord(str(header.with_suffix("")), smooth_frames=False)
    for row, lead in zip(ours.signal, theirs.e_p_signal, strict=True):
        assert np.array_equal(row, np.asarray(lead).astype(np.float32), equal_nan=True)
    return ours.signal


def write_bytes(folder: Path, form: str, leads: int, frames: int, content: bytes) -> Path:
    """A record of `content` whose header states no checksums."""
    number = int(form.split("x")[0].split(":")[0].split("+")[0])
    lines = [f"r.dat {form} {GAIN[number]:g}(0)/mV 16 0 0 0 0 {lead}" for lead in NAMES[:leads]]
    (folder / "r.dat").write_bytes(content)
    return write_header(folder, f"r {leads} 100 {frames}", lines)


@pytest.mark.parametrize("number", sorted(LAYOUTS))
@pytest.mark.parametrize(("leads", "frames"), [(1, 100), (1, 101), (1, 102), (2, 33), (3, 55), (5, 200)])
def test_any_bytes_are_read_as_wfdb_reads_them(tmp_path, number, leads, frames):
    rng = np.random.default_rng(number + frames)
    content = rng.integers(0, 256, LAYOUTS[number].bytes_of(leads * frames)[0], dtype=np.uint8)
    if number == 8:
        content = (content // 16).astype(np.uint8)
    if number == 311:  # of its 32 bits two are unused; wfdb 4.3.1 takes one of them for the third sample's
        content[3::4] &= 0x3F
    header = write_bytes(tmp_path, str(number), leads, frames, content.tobytes())
    assert assert_same_bits(header).shape == (leads, frames)


def bits(content: bytes) -> str:
    """Bit 0 of byte 0 first."""
    return "".join(format(byte, "08b")[::-1] for byte in content)


def signed(low_bit_first: str) -> int:
    value = int(low_bit_first[::-1], 2)
    return value - (1 << len(low_bit_first)) if low_bit_first[-1] == "1" else value


def by_the_page_212(content: bytes) -> list[int]:
    samples = []
    for start in range(0, len(content) - 2, 3):
        stream = bits(content[start : start + 3])
        samples += [signed(stream[0:12]), signed(stream[16:24] + stream[12:16])]
    return samples


def by_the_page_310(content: bytes) -> list[int]:
    samples = []
    for start in range(0, len(content) - 3, 4):
        first, second = bits(content[start : start + 2]), bits(content[start + 2 : start + 4])
        samples += [signed(first[1:11]), signed(second[1:11]), signed(first[11:16] + second[11:16])]
    return samples


def by_the_page_311(content: bytes) -> list[int]:
    stream = [bits(content[start : start + 4]) for start in range(0, len(content) - 3, 4)]
    return [signed(word[10 * place : 10 * place + 10]) for word in stream for place in range(3)]


@pytest.mark.parametrize(
    ("number", "by_the_page"),
    [
        (16, lambda content: [int.from_bytes(content[at : at + 2], "little", signed=True) for at in range(0, len(content), 2)]),
        (24, lambda content: [int.from_bytes(content[at : at + 3], "little", signed=True) for at in range(0, len(content), 3)]),
        (32, lambda content: [int.from_bytes(content[at : at + 4], "little", signed=True) for at in range(0, len(content), 4)]),
        (61, lambda content: [int.from_bytes(content[at : at + 2], "big", signed=True) for at in range(0, len(content), 2)]),
        (80, lambda content: [byte - 128 for byte in content]),
        (160, lambda content: [int.from_bytes(content[at : at + 2], "little") - 32768 for at in range(0, len(content), 2)]),
        (212, by_the_page_212),
        (310, by_the_page_310),
        (311, by_the_page_311),
    ],
)
def test_decoders_do_what_the_format_s_page_says_bit_by_bit(number, by_the_page):
    content = np.random.default_rng(number).integers(0, 256, 3000, dtype=np.uint8)
    expected = by_the_page(content.tobytes())
    assert LAYOUTS[number].decode(content, len(expected)).tolist() == expected


@pytest.mark.parametrize("number", [number for number, layout in LAYOUTS.items() if layout.not_measured is not None])
def test_what_a_format_writes_for_nothing_is_nan(number):
    layout = LAYOUTS[number]
    content = {80: b"\0", 160: b"\0\0", 212: b"\0\x88\0", 310: bytes([0, 4, 0, 4]), 311: (0x200 * 0x100401).to_bytes(4, "little")}
    size = layout.block[0]
    fallback = (layout.not_measured or 0).to_bytes(size, "big" if number == 61 else "little", signed=True)
    first = layout.decode(np.frombuffer(content.get(number, fallback), dtype=np.uint8), 1)
    assert first.tolist() == [layout.not_measured]


def test_nan_comes_back_where_nothing_was_measured(tmp_path):
    steps = np.array([[5, -2048, 7, 100], [1, 2, 3, -2048]])
    content = b"".join(
        bytes([low & 0xFF, ((low >> 8) & 15) | (((high >> 8) & 15) << 4), high & 0xFF]) for low, high in steps.T.tolist()
    )
    header = write_bytes(tmp_path, "212", 2, 4, content)
    signal = assert_same_bits(header)
    assert np.isnan(signal).tolist() == [[False, True, False, False], [False, False, False, True]]


def test_format_8_adds_its_differences_up_from_the_initial_value(tmp_path):
    steps = [[101, 100, 102], [-90, -80, -70]]
    (tmp_path / "r.dat").write_bytes(bytes([1, 10, 0xFF, 10, 2, 10]))
    lines = [
        f"r.dat 8 1000/mV 8 0 {initial} {checksum(np.array(row))} 0 {lead}"
        for initial, row, lead in zip((100, -100), steps, NAMES, strict=False)
    ]
    header = write_header(tmp_path, "r 2 100 3", lines)
    assert np.allclose(read_ecg(header).signal * 1000, steps)
    assert_same_bits(header)


def test_format_8_without_an_initial_value_is_refused(tmp_path):
    (tmp_path / "r.dat").write_bytes(bytes(4))
    with pytest.raises(RecordError, match="without an initial value"):
        read_ecg(write_header(tmp_path, "r 1 100 4", ["r.dat 8 1000/mV 8 0"]), ReadOptions(leads=("I",)))


def test_format_8_that_runs_out_of_32_bits_is_refused(tmp_path):
    header = write_bytes(tmp_path, "8", 1, 4, bytes([100] * 4))
    header.write_text(header.read_text().replace(" 16 0 0 0 0 I", " 16 0 2147483600 5 0 I"))
    with pytest.raises(RecordError, match="runs away"):
        read_ecg(header)


def test_the_last_unit_may_be_filled_up_but_not_more(tmp_path):
    for extra, good in ((0, True), (1, True), (2, False)):  # 3 samples of format 212: 5 bytes, or 6
        header = write_bytes(tmp_path, "212", 1, 3, bytes(5 + extra))
        if good:
            assert read_ecg(header).signal.shape == (1, 3)
        else:
            with pytest.raises(RecordError, match="than its header says"):
                read_ecg(header)


@pytest.mark.parametrize(("number", "frames"), [(16, 50), (24, 50), (212, 50), (310, 51), (311, 52), (80, 50), (524, 50)])
def test_length_may_be_left_to_the_file(tmp_path, number, frames):
    if number in BITS:
        header = write_flac(tmp_path, number, 1, frames)
    else:
        header = write_bytes(tmp_path, str(number), 1, frames, bytes(LAYOUTS[number].bytes_of(frames)[0]))
    header.write_text(header.read_text().replace(f" 100 {frames}\n", " 100\n"))
    assert read_ecg(header).signal.shape == (1, frames)


def write_flac(folder: Path, number: int, leads: int, frames: int, per_frame: int = 1, offset: int = 0) -> Path:
    """A FLAC record of random steps; `offset` samples lie before it in the stream."""
    import soundfile

    depth = BITS[number]
    rng = np.random.default_rng(number + leads)
    steps = rng.integers(-(1 << (depth - 1)), 1 << (depth - 1), (offset + frames * per_frame, leads)).astype(np.int32)
    kind = {8: "PCM_S8", 16: "PCM_16", 24: "PCM_24"}[depth]
    soundfile.write(folder / "r.flac", steps << (32 - depth), 1000, subtype=kind, format="FLAC")
    (folder / "r.flac").rename(folder / "r.dat")
    form = f"{number}" + (f"x{per_frame}" if per_frame > 1 else "") + (f"+{offset}" if offset else "")
    lines = [
        signal_line(steps[offset:, row], "r.dat", form, f"{GAIN[number]:g}(0)/mV", NAMES[row % 5] if leads <= 5 else f"x{row}")
        for row in range(leads)
    ]
    return write_header(folder, f"r {leads} 100 {frames}", lines)


@pytest.mark.parametrize("number", BITS)
@pytest.mark.parametrize(
    ("leads", "frames", "per_frame", "offset"), [(1, 500, 1, 0), (3, 70_000, 1, 0), (2, 300, 4, 0), (1, 50, 1, 7)]
)
def test_flac_is_read_as_wfdb_reads_it(tmp_path, number, leads, frames, per_frame, offset):
    header = write_flac(tmp_path, number, leads, frames, per_frame, offset)
    if not offset:
        assert assert_same_bits(header).shape == (leads, frames * per_frame)
    assert read_ecg(header).rate == 100 * per_frame  # and its checksums hold, from the offset on


@pytest.mark.parametrize("alter", ["cut", "not flac", "more bits", "more channels", "shorter", "longer", "flipped"])
def test_flac_that_is_not_what_the_header_says_is_refused(tmp_path, alter):
    header = write_flac(tmp_path, 516, 2, 2000)
    content, text = (tmp_path / "r.dat").read_bytes(), header.read_text()
    if alter == "cut":
        (tmp_path / "r.dat").write_bytes(content[: len(content) // 2])
    if alter == "not flac":
        (tmp_path / "r.dat").write_bytes(b"RIFF" + content[4:])
    if alter == "flipped":
        (tmp_path / "r.dat").write_bytes(content[:3000] + bytes([content[3000] ^ 16]) + content[3001:])
    replaced = {
        "more bits": text.replace(" 516 ", " 508 "),
        "more channels": "\n".join(["r 3 100 2000", *text.splitlines()[1:], signal_line([0], form="516", lead="V6")]),
        "shorter": text.replace(" 2000\n", " 1999\n"),
        "longer": text.replace(" 2000\n", " 2001\n"),
    }
    header.write_text(replaced.get(alter, text))
    with pytest.raises(RecordError):
        read_ecg(header)


def test_signals_may_lie_in_several_files_of_several_formats(tmp_path):
    steps = np.random.default_rng(0).integers(-1000, 1000, (4, 60))
    (tmp_path / "a.dat").write_bytes(steps[:2].astype("<i2").T.tobytes())
    (tmp_path / "b.d").write_bytes(steps[2].astype("<i4").tobytes())
    (tmp_path / "c.dat").write_bytes(b"any preface" + steps[3].astype(">i2").tobytes())
    files = [("a.dat", "16"), ("a.dat", "16"), ("b.d", "32"), ("c.dat", "61+11")]
    lines = [signal_line(row, *file, lead=lead) for row, file, lead in zip(steps, files, NAMES, strict=False)]
    header = write_header(tmp_path, "r 4 100 60", lines)
    assert np.allclose(read_ecg(header).signal * 1000, steps)
    assert_same_bits(header)


def test_signals_of_one_file_stand_together(tmp_path):
    header = write_format_16(tmp_path, np.zeros((3, 10), dtype=int), NAMES[:3])
    (tmp_path / "b.dat").write_bytes(bytes(20))
    header.write_text(header.read_text().replace("r.dat 16 1000(0)/mV 16 0 0 0 0 II\n", "b.dat 16 1000/mV 16 0 0 0 0 II\n"))
    with pytest.raises(RecordError, match="do not stand together"):
        read_ecg(header)


@pytest.mark.parametrize("per_frame", [2, 5])
def test_several_samples_a_frame_are_a_higher_rate(tmp_path, per_frame):
    rng = np.random.default_rng(per_frame)
    steps = rng.integers(-1000, 1000, (3, 40, per_frame))  # [leads, frames, samples in a frame]
    (tmp_path / "r.dat").write_bytes(steps.transpose(1, 0, 2).astype("<i2").tobytes())
    lines = [signal_line(row.reshape(-1), form=f"16x{per_frame}", lead=lead) for row, lead in zip(steps, NAMES, strict=False)]
    header = write_header(tmp_path, "r 3 100 40", lines)
    record = read_ecg(header)
    assert record.rate == 100 * per_frame
    assert np.allclose(record.signal * 1000, steps.reshape(3, -1))
    assert_same_bits(header)


def test_leads_at_several_rates_are_refused_with_a_remedy(tmp_path):
    header = write_format_16(tmp_path, np.zeros((3, 40), dtype=int), NAMES[:3])
    header.write_text(header.read_text().replace("r.dat 16 ", "r.dat 16x2 ", 1).replace(" 100 40", " 100 30"))
    with pytest.raises(RecordError, match=r"several rates.*resample"):
        read_ecg(header)


def test_other_signals_are_left_out_and_the_leads_read(tmp_path):
    rng = np.random.default_rng(1)
    frames = rng.integers(-1000, 1000, (30, 4 + 4 + 1 + 2))  # two leads at 400 Hz, a pressure at 100, a voltage at 200
    (tmp_path / "r.dat").write_bytes(frames.astype("<i2").tobytes())
    columns = [frames[:, 0:4], frames[:, 4:8], frames[:, 8:9], frames[:, 9:11]]
    said = [("16x4", "1000/mV", "II"), ("16x4", "1/uV", "V"), ("16", "-20(-1600)/mmHg", "ABP"), ("16x2", "2000", "RESP")]
    lines = [
        signal_line(column.reshape(-1), form=form, gain=gain, lead=lead)
        for column, (form, gain, lead) in zip(columns, said, strict=True)
    ]
    record = read_ecg(write_header(tmp_path, "r 4 100 30", lines))
    assert (record.leads, record.rate) == (("II", "V"), 400)
    assert np.allclose(record.signal, [frames[:, :4].reshape(-1) / 1000, frames[:, 4:8].reshape(-1) / 1000])


def test_a_checksum_of_a_signal_that_is_left_out_counts_too(tmp_path):
    header = write_format_16(tmp_path, np.arange(40).reshape(2, 20), ("II", "ABP"))
    header.write_text(header.read_text().replace("mV 16 0 20 590 0 ABP", "mmHg 16 0 20 591 0 ABP"))
    with pytest.raises(RecordError, match="checksum"):
        read_ecg(header)


def test_a_lead_in_no_unit_of_voltage_is_refused_not_left_out(tmp_path):
    header = write_format_16(tmp_path, np.zeros((2, 20), dtype=int), ("II", "V1"))
    header.write_text(header.read_text().replace("/mV", "/mmHg", 1))
    with pytest.raises(RecordError, match="not a voltage"):
        read_ecg(header)


@pytest.mark.parametrize("skews", [(0, 3, 0), (1, 0, 5)])
def test_a_skewed_lead_is_moved_back_into_step(tmp_path, skews):
    steps = np.random.default_rng(2).integers(-1000, 1000, (3, 30))
    lines = [signal_line(row, form=f"16:{skew}", lead=lead) for row, skew, lead in zip(steps, skews, NAMES, strict=False)]
    (tmp_path / "r.dat").write_bytes(steps.astype("<i2").T.tobytes())
    header = write_header(tmp_path, "r 3 100 30", lines)
    # wfdb 4.3.1 fails where two leads are late by different times.
    signal = assert_same_bits(header) if len(set(skews)) == 2 else read_ecg(header).signal
    for row, skew, stored in zip(signal, skews, steps, strict=True):
        assert np.allclose(row[: 30 - skew] * 1000, stored[skew:])
        assert np.isnan(row[30 - skew :]).all()


def test_a_preface_is_skipped_as_in_the_challenges_mat_files(tmp_path):
    from scipy.io import savemat

    steps = np.random.default_rng(3).integers(-1000, 1000, (12, 100)).astype(np.int16)
    savemat(tmp_path / "A1.mat", {"val": steps}, format="4")
    lines = [signal_line(row, "A1.mat", "16+24", "1000/mV", f"V{n}") for n, row in enumerate(steps)]
    header = write_header(tmp_path, "A1.mat 12 500 100", lines, "A1")
    record = read_ecg(tmp_path / "A1.mat")
    assert np.allclose(record.signal * 1000, steps)
    assert (record.identifier, record.origin) == ("A1", str(header))


def test_checksum_is_the_sum_of_16_bits():
    assert checksum(np.array([32767, 32767, 32767])) == 32765
