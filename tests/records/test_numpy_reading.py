"""NumPy files: bare arrays that must be told, archives that tell, and what is never unpickled or unpacked."""

from __future__ import annotations

import io
import struct
import time
import zipfile

import numpy as np
import pytest

from array_files import write_npz
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, numpy_file, read_ecg
from cmelt.records.record import LEADS
from ecg_files import heart

SAID = ReadOptions(rate=100, unit="mV", leads=LEADS)


def npy(shape: str, dtype: str = "<f4", body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + body


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4", np.float16])
def test_a_bare_array_is_read_when_all_is_said(tmp_path, dtype, order):
    np.save(tmp_path / "x.npy", np.asarray(heart(), dtype=dtype, order=order))
    record = read_ecg(tmp_path / "x.npy", SAID)
    assert np.allclose(record.signal, heart(), atol=2e-3 if dtype == np.float16 else 0)
    assert (record.rate, record.leads) == (100, LEADS)


def test_a_bare_array_states_nothing(tmp_path):
    np.save(tmp_path / "x.npy", heart())
    for options in (
        ReadOptions(),
        ReadOptions(rate=100, unit="mV"),
        ReadOptions(rate=100, leads=LEADS),
        ReadOptions(unit="mV", leads=LEADS),
    ):
        with pytest.raises(RecordError, match="does not"):
            read_ecg(tmp_path / "x.npy", options)


def test_integers_are_counted_in_the_unit_that_was_said(tmp_path):
    np.save(tmp_path / "x.npy", np.rint(heart() * 1000).astype(np.int16))
    said = ReadOptions(rate=100, unit="µV", leads=LEADS)
    assert np.allclose(read_ecg(tmp_path / "x.npy", said).signal, heart(), atol=6e-4)
    with pytest.raises(RecordError, match="microvolts"):
        read_ecg(tmp_path / "x.npy", SAID)


def test_samples_by_leads_are_turned_where_the_names_tell(tmp_path):
    np.save(tmp_path / "x.npy", heart().T)
    assert np.array_equal(read_ecg(tmp_path / "x.npy", SAID).signal, heart())


@pytest.mark.parametrize(
    ("shape", "fault"), [((12, 12), "either axis"), ((13, 1000), "13 leads where 12"), ((4, 12, 1000), "many records")]
)
def test_a_shape_that_does_not_tell_is_refused(tmp_path, shape, fault):
    np.save(tmp_path / "x.npy", np.zeros(shape, dtype=np.float32))
    with pytest.raises(RecordError, match=fault):
        read_ecg(tmp_path / "x.npy", SAID)


def test_a_single_lead_needs_one_name(tmp_path):
    np.save(tmp_path / "x.npy", heart()[1])
    record = read_ecg(tmp_path / "x.npy", ReadOptions(rate=100, unit="mV", leads=("lead II",)))
    assert record.leads == ("II",)
    assert np.array_equal(record.signal, heart()[1:2])


def test_an_archive_tells_all_there_is_to_know(tmp_path):
    path = write_npz(tmp_path / "x.npz", heart().T, age=50, sex="female", report="sinus rhythm")
    record = read_ecg(path)
    assert np.array_equal(record.signal, heart())
    assert (record.rate, record.leads, record.age, record.sex, record.report) == (100, LEADS, 50, "female", "sinus rhythm")


def test_what_an_archive_does_not_tell_may_be_said_and_not_contradicted(tmp_path):
    np.savez(tmp_path / "x.npz", ecg=heart(), sampling_rate=100.0)
    assert read_ecg(tmp_path / "x.npz", ReadOptions(unit="mV", leads=LEADS)).rate == 100
    with pytest.raises(RecordError, match="states 100 Hz"):
        read_ecg(tmp_path / "x.npz", ReadOptions(rate=500, unit="mV", leads=LEADS))


def test_nothing_is_ever_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RecordError, match="Python objects"):
        read_ecg(tmp_path / "x.npy", SAID)
    np.savez(tmp_path / "x.npz", signal=heart(), leads=np.array(list(LEADS), dtype=object))
    with pytest.raises(RecordError, match="Python objects"):
        read_ecg(tmp_path / "x.npz", SAID)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (npy("(12, 100000000000)"), "announces"),
        (npy("(12, 1000)", body=b"\0" * 100), "does not hold what"),
        (npy("(12, 1000)", body=b"\0" * 48001), "does not hold what"),
        (npy("(-12, 1000)"), "damaged|announces|not hold"),
        (npy("(12, 1000)", dtype="|O"), "Python objects"),
        (npy("(12, 1000)", dtype="|V1000000000"), "Python objects"),
        (npy("(12, 1000)", dtype="<U0"), "damaged"),
        (npy("(12, 1000)", dtype="<c8", body=b"\0" * 96000), "Python objects"),
        (npy("(" * 3000 + ")" * 3000), "damaged"),
        (npy("(True, 1000)"), "does not hold|damaged"),
        (npy("(12, 1000)", version=b"\x09\x00"), "damaged"),
        (b"\x93NUMPY", "damaged"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "damaged"),
    ],
)
def test_hostile_headers_are_refused_at_once(tmp_path, content, fault):
    (tmp_path / "x.npy").write_bytes(content)
    began = time.process_time()
    with pytest.raises(RecordError, match=fault):
        numpy_file.read(tmp_path / "x.npy", SAID)
    assert time.process_time() - began < 1


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return bytearray(stream.getvalue())


def test_a_bomb_is_not_unpacked_even_where_the_table_of_contents_lies(tmp_path):
    content = zipped({"signal.npy": bytes(200 << 20)})
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RecordError, match="unpacks to more"):
        numpy_file.read(tmp_path / "x.npz", SAID)
    entry = content.rfind(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 1000)
    (tmp_path / "x.npz").write_bytes(content)
    began = time.process_time()
    with pytest.raises(RecordError):
        numpy_file.read(tmp_path / "x.npz", SAID)
    assert time.process_time() - began < 1


def test_members_are_bounded_together(tmp_path):
    (tmp_path / "x.npz").write_bytes(zipped({name: bytes(100 << 20) for name in ("signal.npy", "data.npy")}))
    with pytest.raises(RecordError):
        numpy_file.read(tmp_path / "x.npz", SAID)


def test_an_archive_of_very_many_members_is_refused_by_its_table_of_contents(tmp_path):
    (tmp_path / "x.npz").write_bytes(zipped({f"a{number}.npy": b"" for number in range(20_000)}, zipfile.ZIP_STORED))
    began = time.process_time()
    with pytest.raises(RecordError, match="more than 256 arrays"):
        numpy_file.read(tmp_path / "x.npz", SAID)
    assert time.process_time() - began < 0.5


def test_an_array_twice_and_unusual_packing_are_refused(tmp_path):
    stream = io.BytesIO()
    np.save(stream, heart())
    archive = zipped({"signal.npy": stream.getvalue(), "signax.npy": stream.getvalue()}, zipfile.ZIP_STORED)
    (tmp_path / "x.npz").write_bytes(archive.replace(b"signax", b"signal"))
    with pytest.raises(RecordError, match="twice"):
        numpy_file.read(tmp_path / "x.npz", SAID)
    (tmp_path / "x.npz").write_bytes(zipped({"signal.npy": stream.getvalue()}, zipfile.ZIP_LZMA))
    with pytest.raises(RecordError, match="unusual"):
        numpy_file.read(tmp_path / "x.npz", SAID)


def test_other_zip_archives_are_none(tmp_path):
    content = zipped({"word/document.xml": b"<a/>"})
    assert not numpy_file.recognises(tmp_path / "x.docx", bytes(content[:4096]))
    assert numpy_file.recognises(tmp_path / "x.npz", bytes(zipped({"signal.npy": b""})[:4096]))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_archives_are_refused(tmp_path, share):
    path = write_npz(tmp_path / "x.npz", heart())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RecordError, match=r"truncated|damaged"):
        numpy_file.read(path)
