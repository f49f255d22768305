"""MATLAB files: CPSC2018's struct, the Challenges' bare val, structs that name their facts; v4 to v7.3; what must not be read."""

from __future__ import annotations

import struct
import time
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from array_files import write_matlab, write_matlab_73
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, matlab, matlab_v5, read_ecg
from cmelt.records.record import LEADS
from ecg_files import heart

SAID = ReadOptions(rate=500, unit="uV", leads=LEADS)


def header() -> bytes:
    return b"MATLAB 5.0 MAT-file, by hand".ljust(124) + b"\x00\x01IM"


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<2I", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def matrix(name: str, kind: int, shape: tuple[int, ...], *parts: bytes, flags: int = 0) -> bytes:
    named = element(1, name.encode())
    sizes = element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, element(6, struct.pack("<2I", kind | flags, 0)) + sizes + named + b"".join(parts))


def packed(content: bytes) -> bytes:
    stream = zlib.compress(content)
    return struct.pack("<2I", 15, len(stream)) + stream


@pytest.mark.parametrize("name", ["A1980", "A1981"])
def test_cpsc2018_s_own_files_are_read_as_scipy_reads_them(data_dir, name):
    path = data_dir / f"vendor-formats/cpsc2018-mat/{name}.mat"
    told = loadmat(path)["ECG"][0, 0]
    record = read_ecg(path)
    assert np.array_equal(record.signal, told["data"].astype(np.float32))
    assert (record.rate, record.leads) == (500, LEADS)
    assert (record.age, record.sex) == (float(told["age"][0, 0]), str(told["sex"][0]).lower())


def test_a_file_of_averaged_beats_is_no_ecg_that_is_known(data_dir):
    with pytest.raises(RecordError, match="no signal that is known by its name"):
        read_ecg(data_dir / "vendor-formats/matlab-misc/5019019.mat")


@pytest.mark.parametrize("packing", [False, True])
def test_the_cpsc_struct_means_500_hz_millivolts_and_the_twelve_leads(tmp_path, packing):
    data = heart(rate=500).astype(np.float64)
    savemat(tmp_path / "x.mat", {"ECG": {"sex": "Female", "age": np.nan, "data": data}}, do_compression=packing)
    record = read_ecg(tmp_path / "x.mat")
    assert np.array_equal(record.signal, data.astype(np.float32))
    assert (record.rate, record.leads, record.age, record.sex) == (500, LEADS, None, "female")
    with pytest.raises(RecordError, match="states 500 Hz"):
        read_ecg(tmp_path / "x.mat", ReadOptions(rate=250))


@pytest.mark.parametrize("fields", [{"data": heart()[:8]}, {"data": heart(), "gain": 1000.0}])
def test_what_is_not_quite_the_cpsc_struct_gets_none_of_its_facts(tmp_path, fields):
    savemat(tmp_path / "x.mat", {"ECG": {"sex": "Male", "age": 50, **fields}})
    with pytest.raises(RecordError):
        read_ecg(tmp_path / "x.mat")


@pytest.mark.parametrize("version", ["4", "5"])
def test_a_bare_val_states_nothing_and_is_read_when_all_is_said(tmp_path, version):
    steps = np.rint(heart() * 1000).astype(np.int16)
    savemat(tmp_path / "x.mat", {"val": steps}, format=version)
    for options in (
        ReadOptions(),
        ReadOptions(rate=500, unit="uV"),
        ReadOptions(unit="uV", leads=LEADS),
        ReadOptions(rate=500, leads=LEADS),
    ):
        with pytest.raises(RecordError, match="does not"):
            read_ecg(tmp_path / "x.mat", options)
    record = read_ecg(tmp_path / "x.mat", SAID)
    assert np.array_equal(record.signal, (steps / 1000).astype(np.float32))
    assert record.rate == 500


def test_a_val_with_its_header_beside_it_is_a_wfdb_record_and_alone_it_is_not(data_dir, tmp_path):
    path = next((data_dir / "challenge-2021/cpsc2018").rglob("*.mat"))
    assert read_ecg(path).rate == 500
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(RecordError, match="does not"):
        read_ecg(tmp_path / path.name)
    assert np.allclose(read_ecg(tmp_path / path.name, SAID).signal, read_ecg(path).signal, atol=1e-6)


@pytest.mark.parametrize("upright", [True, False])
def test_a_struct_that_names_its_facts_is_read_either_way_up(tmp_path, upright):
    signal = heart() if upright else heart().T
    path = write_matlab(tmp_path / "x.mat", signal, sex="M", age=61, report="sinus rhythm", patient="4711")
    record = read_ecg(path)
    assert np.array_equal(record.signal, heart())
    assert (record.rate, record.leads, record.age, record.sex) == (100, LEADS, 61, "male")
    assert (record.report, record.patient) == ("sinus rhythm", None)
    assert read_ecg(path, ReadOptions(identity=True)).patient == "4711"


def test_names_of_leads_as_rows_of_letters_and_microvolts_are_understood(tmp_path):
    savemat(tmp_path / "x.mat", {"signal": heart() * 1000, "Fs": 100, "leads": list(LEADS), "units": "µV"})
    record = read_ecg(tmp_path / "x.mat")
    assert np.allclose(record.signal, heart(), atol=1e-6)
    assert record.leads == LEADS


def test_version_7_3_is_read_with_its_cells_and_turned_axes(tmp_path):
    record = read_ecg(write_matlab_73(tmp_path / "x.mat", heart()))
    assert np.array_equal(record.signal, heart())
    assert (record.rate, record.leads) == (100, LEADS)


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"signal": heart(), "data": heart(), "fs": 100}, "more than one array"),
        ({"signal": heart(), "fs": 100, "rate": 500, "unit": "mV", "leads": ",".join(LEADS)}, "two values for its fs"),
        ({"signal": heart(), "fs": 100, "unit": "mV", "leads": ",".join(LEADS), "gain": 200.0}, "gain"),
        ({"signal": heart(), "fs": 0, "unit": "mV", "leads": ",".join(LEADS)}, "sampling rate"),
        ({"signal": heart(), "fs": 100, "unit": "bananas", "leads": ",".join(LEADS)}, "not a voltage"),
        ({"signal": heart(), "fs": 100, "unit": "mV", "leads": "I,II"}, "12 leads where 2"),
        ({"signal": heart()[:, :12], "fs": 100, "unit": "mV", "leads": ",".join(LEADS)}, "either axis"),
        ({"signal": heart() * 1j, "fs": 100}, "complex"),
        ({"signal": heart() * 1000, "fs": 100, "unit": "mV", "leads": ",".join(LEADS)}, "microvolts"),
        ({"signal": np.where(heart() > 0.5, np.inf, heart()), "fs": 100, "unit": "mV", "leads": ",".join(LEADS)}, "infinite"),
        ({"a": {"signal": heart()}, "b": {"signal": heart()}}, "several structures"),
        ({"ECG": np.array([({"x": 1},)], dtype=[("data", "O")]).repeat(2)}, "array of structs"),
    ],
)
def test_what_contradicts_itself_or_is_ambiguous_is_refused(tmp_path, variables, fault):
    savemat(tmp_path / "x.mat", variables)
    with pytest.raises(RecordError, match=fault):
        read_ecg(tmp_path / "x.mat")


def test_leads_in_cells_of_numbers_are_no_names(tmp_path):
    write_matlab(tmp_path / "x.mat", heart(), leads=[str(number) for number in range(12)])
    with pytest.raises(RecordError, match="names of leads"):
        read_ecg(tmp_path / "x.mat")


HUGE = 2**31 - 1
EMPTY = element(14, b"")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (matrix("val", 6, (HUGE, HUGE), element(9, b"\0" * 64)), "truncated"),
        (matrix("val", 2, (HUGE, HUGE), element(5, b"\4\0\0\0"), element(1, b"data")), "array of structs"),
        (matrix("val", 1, (HUGE, HUGE)), "more structures"),
        (matrix("a", 1, (10000, 1), *[EMPTY] * 10000) + matrix("b", 1, (11000, 1), *[EMPTY] * 11000), "more structures"),
        (matrix("val", 17, (1, 1)), "an object"),
        (matrix("val", 16, (1, 1)), "function handle"),
        (matrix("val", 3, (1, 1)), "an object"),
        (matrix("val", 5, (12, 1000)), "sparse"),
        (matrix("val", 6, (12, -1), element(9, b"")), "damaged"),
        (matrix("val", 99, (12, 1)), "damaged"),
        (matrix("val", 6, (1, 1), element(9, b"\0" * 8)) * 2, "twice"),
        (struct.pack("<2I", 14, 0xFFFFFFF0) + b"\0" * 64, "truncated"),
        (struct.pack("<2I", 15, 12) + b"not zlib at ", "compressed part is damaged"),
        (packed(matrix("val", 6, (1, 1), element(9, b"\0" * 8)))[:-6], "truncated"),
        (b"\0" * 64, "damaged"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_at_once(tmp_path, content, fault):
    (tmp_path / "x.mat").write_bytes(header() + content)
    began = time.process_time()
    with pytest.raises(RecordError, match=fault):
        matlab.read(tmp_path / "x.mat", SAID)
    assert time.process_time() - began < 1


def test_structures_in_structures_without_end_are_refused(tmp_path):
    inner = matrix("", 6, (1, 1), element(9, b"\0" * 8))
    for _ in range(200):
        inner = matrix("", 1, (1, 1), inner)
    (tmp_path / "x.mat").write_bytes(header() + inner)
    with pytest.raises(RecordError, match="more structures"):
        matlab.read(tmp_path / "x.mat")


def test_a_bomb_is_not_unpacked(tmp_path):
    """200 MB of zeros in 200 kB."""
    packer = zlib.compressobj(1)
    stream = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    (tmp_path / "x.mat").write_bytes(header() + struct.pack("<2I", 15, len(stream)) + stream)
    began = time.process_time()
    with pytest.raises(RecordError, match="unpacks to more"):
        matlab.read(tmp_path / "x.mat")
    assert time.process_time() - began < 2


def test_bombs_are_bounded_together(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab_v5, "LARGEST_FILE", 1 << 20)
    parts = [packed(matrix(name, 6, (1, 300_000), element(2, bytes(300_000)))) for name in "abcdef"]
    (tmp_path / "x.mat").write_bytes(header() + b"".join(parts[:3]))
    with pytest.raises(RecordError, match="no signal"):
        matlab.read(tmp_path / "x.mat")
    (tmp_path / "x.mat").write_bytes(header() + b"".join(parts))
    with pytest.raises(RecordError, match="unpacks to more"):
        matlab.read(tmp_path / "x.mat")


def test_numbers_stay_in_the_type_that_they_are_packed_in(tmp_path):
    """MATLAB stores doubles that are whole numbers as bytes: made doubles at once, they would take eight times the room."""
    content = matrix("val", 6, (12, 1000), element(2, bytes(range(120)) * 100))
    (tmp_path / "x.mat").write_bytes(header() + content)
    record = matlab.read(tmp_path / "x.mat", SAID)
    assert record.signal[5, 0] == np.float32(0.005)


def test_big_endian_files_are_read(tmp_path):
    body = element(9, heart()[:1, :10].astype(">f8").tobytes())
    swapped = matrix("val", 6, (1, 10), body)

    def swap(content: bytes, depth: int) -> bytes:
        out = bytearray(content)
        place = 0
        while place + 8 <= len(content):
            kind, size = struct.unpack_from("<2I", content, place)
            out[place : place + 8] = struct.pack(">2I", kind, size)
            inner = content[place + 8 : place + 8 + size]
            if kind == 14:
                inner = swap(inner, depth + 1)
            elif kind in (5, 6):
                inner = b"".join(struct.pack(">I", *struct.unpack("<I", inner[at : at + 4])) for at in range(0, size, 4))
            out[place + 8 : place + 8 + size] = inner
            place += 8 + -(-size // 8) * 8
        return bytes(out)

    (tmp_path / "x.mat").write_bytes(header()[:126] + b"MI" + swap(swapped, 0))
    record = matlab.read(tmp_path / "x.mat", ReadOptions(rate=100, unit="mV", leads=("I",)))
    assert np.array_equal(record.signal, heart()[:1, :10])


@pytest.mark.parametrize("kind", [0, 30, 50, 1000, 1030])
def test_a_v4_header_that_announces_more_than_there_is_is_refused(tmp_path, kind):
    order = ">" if kind >= 1000 else "<"
    (tmp_path / "x.mat").write_bytes(struct.pack(order + "5i", kind, 10**6, 10**6, 0, 4) + b"val\0" + b"\0" * 100)
    assert matlab.recognises(tmp_path / "x.mat", (tmp_path / "x.mat").read_bytes())
    with pytest.raises(RecordError, match="truncated"):
        matlab.read(tmp_path / "x.mat", SAID)


@pytest.mark.parametrize("head", [b"", b"\0" * 100, b"record 12 500 5000\n" * 3, struct.pack("<5i", 0, 12, 10, 0, 4) + b"1al\0"])
def test_nothing_else_is_taken_for_v4(tmp_path, head):
    assert not matlab.recognises(tmp_path / "x", head)


@pytest.mark.slow
def test_whatever_scipy_writes_is_read_with_the_same_numbers(tmp_path):
    rng = np.random.default_rng(0)
    for trial in range(200):
        dtype = rng.choice(["f8", "f4", "i2", "i4", "u1", "i1", "u2"])
        steps = rng.integers(0, 100, (12, int(rng.integers(13, 400)))).astype(dtype)
        version = "4" if trial % 5 == 0 and dtype in ("f8", "f4", "i2", "i4", "u1", "u2") else "5"
        how = {} if version == "4" else {"do_compression": bool(trial % 2)}
        savemat(tmp_path / "x.mat", {"val": steps}, format=version, **how)
        record = matlab.read(tmp_path / "x.mat", SAID)
        assert np.array_equal(record.signal, (loadmat(tmp_path / "x.mat")["val"].astype(np.float64) / 1000).astype(np.float32))
