"""Where a DICOM data set begins, how it is encoded, and sequences walked through element by element, written byte for byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from binary_files import dicom, dicom_group, save_dicom
from cmelt.errors import RecordError
from cmelt.records.readers.dicom_structure import Encoded, data_set, looks_like_dicom
from cmelt.records.record import LEADS
from ecg_files import heart

pytest.importorskip("pydicom")


def group():
    return dicom_group(heart()[:3], leads=LEADS[:3])


def test_what_encodes_a_data_set_is_found_and_told(tmp_path):
    syntaxes = {"1.2.840.10008.1.2": True, "1.2.840.10008.1.2.1": False}
    for syntax, implicit in syntaxes.items():
        content = save_dicom(tmp_path / "e.dcm", dicom(group()), syntax).read_bytes()
        found = data_set(content, Path("x"))
        assert (found.implicit, found.big_endian, found.transfer_syntax) == (implicit, False, syntax)
        bare = save_dicom(tmp_path / "e.dcm", dicom(group()), syntax, preamble=False).read_bytes()
        assert looks_like_dicom(bare[:4096]) and data_set(bare, Path("x")) == found
        assert data_set(content + bytes(6), Path("x")).implicit is implicit
        for cut in (content[:-1], content + b"\1\2", content[:140]):
            with pytest.raises(RecordError) as caught:
                data_set(cut, Path("x"))
            assert str(caught.value) == "x: the DICOM file is truncated (fetch it again)"
    assert Encoded(b"", False, True).transfer_syntax == "1.2.840.10008.1.2.2"
    with pytest.raises(RecordError) as caught:
        data_set(b"something else", Path("x"))
    assert str(caught.value) == "x: is not a DICOM file (check what it is)"


def element(tag: tuple[int, int], kind: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    if kind in (b"SQ", b"OB", b"UN"):
        return struct.pack("<HH2sHI", *tag, kind, 0, size) + value
    return struct.pack("<HH2sH", *tag, kind, size) + value


def item(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


ENDS = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
FIRST = element((8, 5), b"CS", b"A ") + element((8, 0x16), b"UI", b"1\0") + element((8, 0x18), b"UI", b"2\0")


def test_sequences_of_known_and_unknown_length_are_walked_through():
    inner = element((8, 0x100), b"SH", b"ab")
    open_ = 0xFFFFFFFF
    for sequence in (
        element((8, 0x1115), b"SQ", item(inner)),
        element((8, 0x1115), b"SQ", item(inner) + item(b"")),
        element((8, 0x1115), b"SQ", item(inner + ENDS[0], open_) + ENDS[1], open_),
        element((8, 0x1115), b"SQ", item(inner + ENDS[0], open_)),
        element((8, 0x1115), b"SQ", item(inner) + ENDS[1], open_),
        element((9, 0x1115), b"UN", item(struct.pack("<HHI", 8, 0x100, 2) + b"ab") + ENDS[1], open_),
    ):
        assert data_set(FIRST + sequence, Path("x")).content == FIRST + sequence
    truncated = (
        element((8, 0x1115), b"SQ", inner),
        element((8, 0x1115), b"SQ", item(inner + ENDS[1], open_), open_),
        element((8, 0x1115), b"SQ", item(inner) + ENDS[0], open_),
        element((8, 0x1115), b"SQ", item(inner, len(inner) + 1)),
        item(inner),
        ENDS[0],
        element((8, 0x100), b"SH", b"ab", 3),
        element((8, 0x100), b"XX", b"ab"),
    )
    for wrong in truncated:
        with pytest.raises(RecordError, match="the DICOM file is truncated"):
            data_set(FIRST + wrong, Path("x"))
    with pytest.raises(RecordError) as caught:
        data_set(FIRST + element((0x7FE0, 0x10), b"OB", item(b""), open_), Path("x"))
    assert str(caught.value) == "x: holds encapsulated pixels, not a waveform (an ECG is a waveform: leave pictures out)"


def test_elements_in_a_row_tell_a_file_without_its_mark():
    assert looks_like_dicom(FIRST)
    assert not looks_like_dicom(FIRST[:-12]) and not looks_like_dicom(FIRST[10:20] + FIRST)
    other = element((0x10, 5), b"CS", b"A ") + FIRST
    assert not looks_like_dicom(other)
    big = b"".join(struct.pack(">HH2sH", 8, tag, b"CS", 2) + b"A " for tag in (5, 0x16, 0x18))
    assert looks_like_dicom(big) and data_set(big, Path("x")).big_endian
