"""DICOM, SCP-ECG and EDF files cut off, mislabelled or made to exhaust: a RecordError within a second, in bounded memory."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from binary_files import (
    dicom,
    dicom_group,
    edf_header,
    edf_signal,
    save_dicom,
    scp_data_section,
    scp_file,
    scp_lead_section,
    stream,
    write_dicom,
    write_edf,
    write_scp,
)
from cmelt.errors import RecordError
from cmelt.records.readers import dicom as dicom_reader
from cmelt.records.readers import edf as edf_reader
from cmelt.records.readers import read_ecg
from cmelt.records.readers import scp as scp_reader
from cmelt.records.record import LEADS
from ecg_files import heart

WRITERS = {"dicom": (dicom_reader, write_dicom), "scp": (scp_reader, write_scp), "edf": (edf_reader, write_edf)}
each_format = pytest.mark.parametrize(("reader", "writer"), WRITERS.values(), ids=WRITERS)

SECONDS, BYTES = 1.0, 512 << 20


def refused(path: Path, reason: str | None = None, reader=None) -> None:
    """The file is refused with `reason`, in time and within memory."""
    read = reader.read if reader is not None else read_ecg
    start = time.process_time()
    with pytest.raises(RecordError, match=reason):
        read(path)
    assert time.process_time() - start < SECONDS
    tracemalloc.start()  # in a second reading: it takes time itself
    with pytest.raises(RecordError):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < BYTES


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@each_format
@pytest.mark.parametrize("tenths", range(10))
def test_a_file_cut_off_anywhere_is_refused(tmp_path, reader, writer, tenths):
    content = writer(tmp_path / "e", heart()).read_bytes()
    refused(written(tmp_path / "e", content[: len(content) * tenths // 10]), reader=reader)
    refused(written(tmp_path / "e", content[: max(len(content) * tenths // 10 - 1, 0)]), reader=reader)


@each_format
def test_the_last_byte_is_missed(tmp_path, reader, writer):
    content = writer(tmp_path / "e", heart()).read_bytes()
    refused(written(tmp_path / "e", content[:-1]), reader=reader)


def test_a_real_dicom_file_cut_off_anywhere_is_refused(data_dir, tmp_path):
    content = (data_dir / "vendor-formats" / "dicom-ecg" / "waveform_ecg.dcm").read_bytes()
    for tenths in range(1, 10):  # the ninth still holds the whole rhythm, but not the averaged beats behind it
        refused(written(tmp_path / "e", content[: len(content) * tenths // 10]))


@each_format
def test_a_file_of_another_format_is_refused(tmp_path, reader, writer):
    for name, (_, other) in WRITERS.items():
        if other is not writer:
            refused(other(tmp_path / name, heart()), reader=reader)
    refused(written(tmp_path / "pdf", b"%PDF-1.4\n" + bytes(5000)), reader=reader)
    refused(written(tmp_path / "zeros", bytes(100_000)), reader=reader)
    refused(written(tmp_path / "empty", b""), reader=reader)


# --- DICOM ---


def claiming(**values):
    item = dicom_group(heart())
    for name, value in values.items():
        setattr(item, name, value)
    return item


@pytest.mark.parametrize(
    "values",
    [{"NumberOfWaveformSamples": 4_000_000_000}, {"NumberOfWaveformSamples": 0}, {"SamplingFrequency": "1e30"},
     {"SamplingFrequency": "-500"}],
)  # fmt: skip
def test_a_dicom_header_of_absurd_numbers_is_refused(tmp_path, values):
    refused(save_dicom(tmp_path / "e", dicom(claiming(**values))))


def test_a_deflate_bomb_is_refused(tmp_path):
    path = save_dicom(tmp_path / "e", dicom(), "1.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = path.read_bytes()
    body = struct.pack("<HH2sHI", 0x5400, 0x1010, b"OW", 0, 1 << 28)
    bomb = packer.compress(body) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(1 << 8)) + packer.flush()
    meta = 144 + struct.unpack_from("<I", head, 140)[0]
    assert len(bomb) < 1 << 20
    refused(written(tmp_path / "e", head[:meta] + bomb), "unpacks to more")


def meta_information(content: bytes) -> bytes:
    return content[: 144 + struct.unpack_from("<I", content, 140)[0]]


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
def test_sequences_nested_without_end_are_refused(tmp_path, depth):
    head = meta_information(write_dicom(tmp_path / "e", heart()).read_bytes())
    level = struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    refused(written(tmp_path / "e", head + level * depth), "levels")


def test_millions_of_elements_are_refused(tmp_path):
    head = meta_information(write_dicom(tmp_path / "e", heart()).read_bytes())
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 1_000_000
    refused(written(tmp_path / "e", head + struct.pack("<HH2sHI", 8, 0x1115, b"SQ", 0, len(items)) + items), "more elements")


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 1 << 20])
def test_an_element_longer_than_the_file_is_refused(tmp_path, length):
    content = bytearray(write_dicom(tmp_path / "e", heart()).read_bytes())
    at = content.index(b"\x00\x54\x10\x10OW\x00\x00")
    struct.pack_into("<I", content, at + 8, length)
    refused(written(tmp_path / "e", bytes(content)), "truncated")


# --- SCP-ECG ---


def test_an_scp_lead_of_a_billion_samples_is_refused(tmp_path):
    streams = [stream(row) for row in np.rint(heart() * 1000)]
    body = scp_data_section(streams, 1000, 2000, 2)
    for samples in (4_000_000_000, 30_000_000, 2_000_000):
        bodies = {2: struct.pack("<H", 19999), 3: scp_lead_section(LEADS, samples), 6: body}
        refused(written(tmp_path / "e", scp_file(bodies)))


def test_an_scp_file_of_255_full_leads_is_refused_in_time(tmp_path):
    zeros = bytes(65_535)  # half a million values of one bit each
    rows = struct.pack("<BB", 128, 4) + b"".join(struct.pack("<IIB", 1, 524_280, number) for number in range(100, 228))
    bodies = {2: struct.pack("<H", 19999), 3: rows, 6: scp_data_section([zeros] * 128, 1000, 2000, 2)}
    refused(written(tmp_path / "e", scp_file(bodies)))


def test_huffman_tables_that_lead_in_circles_are_refused(tmp_path):
    circle = struct.pack("<H", 2)
    for target in (2, 1):  # one bit that switches to the other table, whatever it is
        circle += struct.pack("<H", 2)
        circle += b"".join(struct.pack("<BBBhI", 1, 1, 0, target, bit) for bit in (0, 1))
    bodies = {2: circle, 3: scp_lead_section(("II",), 1000), 6: scp_data_section([bytes(65_535)], 1000, 2000, 0)}
    refused(written(tmp_path / "e", scp_file(bodies)), "circles")


@pytest.mark.parametrize("length", [0, 16, 26, 0xFFFFFFF6, 16 + 10 * 2_000])
def test_a_pointer_section_of_absurd_length_is_refused(tmp_path, length):
    content = bytearray(write_scp(tmp_path / "e", heart()).read_bytes())
    struct.pack_into("<I", content, 10, length)
    refused(written(tmp_path / "e", bytes(content)), reader=scp_reader)


# --- EDF ---


@pytest.mark.parametrize(
    ("place", "value"), [(236, "99999999"), (252, "9999"), (184, "99999999"), (244, "1e-300"), (244, "1e300")]
)
def test_an_edf_header_of_absurd_numbers_is_refused(tmp_path, place, value):
    content = bytearray(write_edf(tmp_path / "e", heart()).read_bytes())
    content[place : place + len(value)] = value.encode()
    refused(written(tmp_path / "e", bytes(content)), reader=edf_reader)


def test_an_edf_file_of_a_billion_records_that_are_not_there_is_refused(tmp_path):
    header = edf_header([edf_signal("II", 99_999_999)], 99_999_999)
    refused(written(tmp_path / "e", header + bytes(1000)), "announces")


def test_an_edf_file_longer_than_is_read_is_refused(tmp_path):
    header = edf_header([edf_signal(f"V{number}", 1_000_000, low=-1, high=1) for number in range(1, 7)], 10, seconds=1000)
    path = written(tmp_path / "e", header)
    with path.open("r+b") as file:  # 120 MB of zeros that take no room
        file.truncate(len(header) + 6 * 10 * 2_000_000)
    refused(path, "announces about 1.0e.07 samples")


# --- all together ---


@each_format
def test_nothing_takes_longer_than_a_second(tmp_path, reader, writer):
    content = writer(tmp_path / "e", heart()).read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(60):
        altered = bytearray(content)
        for place in rng.integers(0, min(len(content), 4000), 3):
            altered[place] = int(rng.integers(0, 256))
        path = written(tmp_path / "e", bytes(altered))
        start = time.process_time()
        with contextlib.suppress(RecordError):
            reader.read(path)
        assert time.process_time() - start < SECONDS
