"""NumPy's arrays and archives in their corners: orders, versions, members known and not, sizes, damage."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, numpy_file
from cmelt.records.readers.limits import MOST_VALUES
from cmelt.records.record import LEADS
from ecg_files import heart

SAID = ReadOptions(rate=100, unit="mV", leads=LEADS)


def fault_of(call, *args) -> str:
    """What the refusal says of the file "x"."""
    with pytest.raises(RecordError) as caught:
        call(*args)
    assert caught.value.where == "x"
    return f"{caught.value.fault} ({caught.value.remedy})"


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_arrays_are_read_in_either_order_and_bounded():
    for order in "CF":
        for version in ((1, 0), (2, 0)):
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asarray(heart(), order=order), version=version)
            assert np.array_equal(numpy_file._array(stream.getvalue(), "x", 12_000), heart())
    assert fault_of(numpy_file._array, npy(heart()), "x", 11_999) == (
        "announces 12000 values (more than 11999 are not read: cut the record)"
    )
    content = npy(heart())
    for other in (content[:-1], content + b"\0"):
        told = "does not hold what its header announces (it is truncated or altered: write it again)"
        assert fault_of(numpy_file._array, other, "x", MOST_VALUES) == told
    assert numpy_file._array(npy(np.zeros((1, 12, 30))), "x", MOST_VALUES).shape == (1, 12, 30)
    assert fault_of(numpy_file._array, npy(np.zeros((2, 12, 30))), "x", MOST_VALUES).startswith("holds many records")


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def test_an_archive_s_known_members_are_read_and_bounded(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    members = {"signal.npy": npy(heart()), "remark.npy": b"anything", "fs.npy": npy(np.array(100)), "age": npy(np.array(50))}
    path.write_bytes(archive(members))
    record = numpy_file.read(path, ReadOptions(unit="mV", leads=LEADS))
    assert (record.rate, record.age) == (100, 50) and np.array_equal(record.signal, heart())
    path.write_bytes(archive(members, zipfile.ZIP_STORED) + b"")
    assert numpy_file.read(path, ReadOptions(unit="mV", leads=LEADS)).rate == 100
    monkeypatch.setattr(numpy_file, "LARGEST_FILE", sum(len(members[name]) for name in ("signal.npy", "fs.npy", "age")))
    assert numpy_file.read(path, ReadOptions(unit="mV", leads=LEADS)).rate == 100
    monkeypatch.setattr(numpy_file, "LARGEST_FILE", numpy_file.LARGEST_FILE - 1)
    with pytest.raises(RecordError) as caught:
        numpy_file.read(path, SAID)
    assert str(caught.value) == f"{path}: unpacks to more than 0 MiB (no ECG does: check where it comes from)"


def test_members_of_an_archive_are_counted(tmp_path):
    path = tmp_path / "x.npz"
    for count, told in ((256, None), (257, "holds more than 256 arrays (write one record a file)")):
        members = {"signal.npy": npy(heart())} | {f"a{number}.npy": b"" for number in range(count - 1)}
        path.write_bytes(archive(members))
        if told is None:
            assert numpy_file.read(path, SAID).rate == 100
            continue
        with pytest.raises(RecordError) as caught:
            numpy_file.read(path, SAID)
        assert str(caught.value) == f"{path}: {told}"


def test_a_table_of_contents_that_lies_elsewhere_is_not_followed(tmp_path):
    """A locator of 20 bytes before an archive's end leads to a table of 64-bit sizes, of any number of entries."""
    path = tmp_path / "x.npz"
    content = archive({"signal.npy": npy(heart())})
    end = content.rfind(b"PK\x05\x06")
    for locator, fault in ((b"PK\x06\x07", "holds more than 256 arrays (write one record a file)"),
                           (b"PK\x06\x06", "the archive is damaged (write it again with numpy.savez)")):  # fmt: skip
        path.write_bytes(content[:end] + locator + bytes(16) + content[end:])
        with pytest.raises(RecordError) as caught:
            numpy_file.read(path, SAID)
        assert str(caught.value) == f"{path}: {fault}"


def test_facts_of_an_archive_are_small(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(archive({"signal.npy": npy(heart()), "report.npy": npy(np.zeros((1 << 20) + 1, np.int8))}))
    with pytest.raises(RecordError, match=r"announces 1048577 values \(more than 1048576 are not read: cut the record\)"):
        numpy_file.read(path, SAID)


def test_an_archive_with_a_comment_is_found_and_a_cut_one_is_truncated(tmp_path):
    path = tmp_path / "x.npz"
    stream = io.BytesIO(archive({"signal.npy": npy(heart())}))
    with zipfile.ZipFile(stream, "a") as file:
        file.comment = b"by hand"
    path.write_bytes(stream.getvalue())
    assert numpy_file.read(path, SAID).rate == 100
    for content in (stream.getvalue()[:-40], b"PK\x03\x04" + bytes(99)):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=r"the archive is truncated \(write it again with numpy.savez\)"):
            numpy_file.read(path, SAID)
    damaged = bytearray(stream.getvalue())
    damaged[60] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(RecordError, match=r"the archive is damaged \(write it again with numpy.savez\)"):
        numpy_file.read(path, SAID)
