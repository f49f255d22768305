"""Where a DICOM data set begins and in which encoding it is: what writers get wrong and readers must still see through."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from binary_files import dicom, dicom_group, save_dicom, write_dicom
from cmelt.errors import RecordError
from cmelt.records.readers import read_ecg
from cmelt.records.readers.dicom_structure import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, data_set, looks_like_dicom
from ecg_files import heart, write_wfdb

pytest.importorskip("pydicom")

IMPLICIT = "1.2.840.10008.1.2"


def meta_ends(content: bytes) -> int:
    return 144 + struct.unpack_from("<I", content, 140)[0]


def readable(path, content: bytes) -> bool:
    path.write_bytes(content)
    return np.allclose(read_ecg(path).signal, heart(), atol=6e-4)


@pytest.mark.parametrize(
    ("syntax", "found"),
    [(IMPLICIT, IMPLICIT_LITTLE), ("1.2.840.10008.1.2.1", EXPLICIT_LITTLE), ("1.2.840.10008.1.2.2", EXPLICIT_BIG)],
)
@pytest.mark.parametrize("preamble", [True, False])
def test_the_encoding_is_found_with_and_without_meta_information(tmp_path, syntax, found, preamble):
    content = save_dicom(tmp_path / "e", dicom(dicom_group(heart())), syntax, preamble).read_bytes()
    assert looks_like_dicom(content[:4096])
    assert data_set(content, tmp_path / "e").transfer_syntax == found


def test_a_data_set_in_another_encoding_than_is_claimed_is_read_as_it_is(tmp_path):
    explicit = write_dicom(tmp_path / "a", heart()).read_bytes()
    implicit = save_dicom(tmp_path / "b", dicom(dicom_group(heart())), IMPLICIT).read_bytes()
    assert readable(tmp_path / "e", explicit[: meta_ends(explicit)] + implicit[meta_ends(implicit) :])
    assert readable(tmp_path / "e", implicit[: meta_ends(implicit)] + explicit[meta_ends(explicit) :])


def test_a_preamble_without_meta_information_is_read(tmp_path):
    content = write_dicom(tmp_path / "a", heart()).read_bytes()
    assert readable(tmp_path / "e", content[:132] + content[meta_ends(content) :])


def test_zeros_behind_the_last_element_are_padding_and_other_bytes_are_not(tmp_path):
    content = write_dicom(tmp_path / "a", heart()).read_bytes()
    assert readable(tmp_path / "e", content + bytes(512))
    with pytest.raises(RecordError, match="truncated"):
        readable(tmp_path / "e", content + b"\x01" * 7)


def test_a_deflated_data_set_that_breaks_off_is_refused(tmp_path):
    content = save_dicom(tmp_path / "a", dicom(dicom_group(heart())), "1.2.840.10008.1.2.1.99").read_bytes()
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    half = packer.compress(bytes(2000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    for rest, reason in ((half, "truncated"), (b"\xff" * 100, "damaged")):
        (tmp_path / "e").write_bytes(content[: meta_ends(content)] + rest)
        with pytest.raises(RecordError, match=reason):
            read_ecg(tmp_path / "e")


def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<HH2s", group, number, kind)
    long = kind in (b"SQ", b"UN", b"OW")
    size = len(value) if length is None else length
    return head + (struct.pack("<HI", 0, size) if long else struct.pack("<H", size)) + value


def with_first(tmp_path, extra: bytes) -> bytes:
    """A good file with an element of group 0009 put in behind group 0008."""
    content = write_dicom(tmp_path / "a", heart()).read_bytes()
    place = content.index(struct.pack("<HH", 0x0010, 0x0010) + b"PN")
    return content[:place] + extra + content[place:]


ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
ITEM_ENDS, SEQUENCE_ENDS = struct.pack("<HHI", 0xFFFE, 0xE00D, 0), struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def test_a_private_sequence_of_unknown_kind_is_stepped_over(tmp_path):
    implicit = struct.pack("<HHI", 0x0009, 0x1001, 4) + b"abcd"  # inside such a sequence no VR is stated
    private = element(0x0009, 0x0010, b"LO", b"MAKER ") + element(
        0x0009, 0x1000, b"UN", ITEM + implicit + ITEM_ENDS + SEQUENCE_ENDS, 0xFFFFFFFF
    )
    assert readable(tmp_path / "e", with_first(tmp_path, private))


@pytest.mark.parametrize(
    "broken",
    [ITEM + ITEM_ENDS, ITEM + SEQUENCE_ENDS, ITEM_ENDS + SEQUENCE_ENDS, element(8, 5, b"CS", b"ISO_IR 100")],
    ids=["sequence not closed", "item not closed", "item never opened", "element where an item is due"],
)
def test_sequences_that_are_not_closed_as_they_were_opened_are_refused(tmp_path, broken):
    with pytest.raises(RecordError):
        readable(tmp_path / "e", with_first(tmp_path, element(0x0009, 0x1000, b"SQ", broken, 0xFFFFFFFF)))


def test_an_item_longer_than_its_sequence_is_refused(tmp_path):
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 100)
    with pytest.raises(RecordError, match="truncated"):
        readable(tmp_path / "e", with_first(tmp_path, element(0x0009, 0x1000, b"SQ", item)))


def test_encapsulated_pixels_are_no_waveform(tmp_path):
    content = write_dicom(tmp_path / "a", heart()).read_bytes()
    (tmp_path / "e").write_bytes(content + element(0x7FE0, 0x0010, b"OW", ITEM + ITEM_ENDS + SEQUENCE_ENDS, 0xFFFFFFFF))
    with pytest.raises(RecordError, match="pixels"):
        read_ecg(tmp_path / "e")


@pytest.mark.parametrize("head", [b"", b"DICM", bytes(132), b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", b"Dear colleague, " * 300])
def test_other_beginnings_are_not_taken_for_dicom(head):
    assert not looks_like_dicom(head)


def test_files_of_other_formats_are_not_taken_for_dicom(tmp_path):
    header = write_wfdb(tmp_path / "r", heart())
    for path in (header, header.with_suffix(".dat")):
        assert not looks_like_dicom(path.read_bytes()[:4096])
