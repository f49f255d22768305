"""What every reader promises: a record, or a RecordError; nothing else, whatever the file holds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from array_files import write_hdf5, write_matlab, write_npz, write_table
from binary_files import write_dicom, write_edf, write_scp
from cmelt.errors import RecordError
from cmelt.records.readers import READERS, ReadOptions, read_ecg
from cmelt.records.record import LEADS
from ecg_files import heart, write_wfdb
from kept_promises import promises_kept
from vendor_files import write_aecg, write_muse, write_philips

#: For each reader, a writer of a good file of its format; a new reader needs one here.
GOOD_FILES = {
    "WFDB": lambda folder: write_wfdb(folder / "good", heart()),
    "MATLAB": lambda folder: write_matlab(folder / "good.mat", heart()),
    "HDF5": lambda folder: write_hdf5(folder / "good.h5", heart()),
    "NumPy": lambda folder: write_npz(folder / "good.npz", heart()),
    "SCP-ECG": lambda folder: write_scp(folder / "good.scp", heart()),
    "EDF": lambda folder: write_edf(folder / "good.edf", heart()),
    "DICOM": lambda folder: write_dicom(folder / "good.dcm", heart()),
    "GE MUSE XML": lambda folder: write_muse(folder / "good.xml", heart()),
    "Philips Sierra XML": lambda folder: write_philips(folder / "good.xml", heart()),
    "HL7 aECG": lambda folder: write_aecg(folder / "good.xml", heart()),
    "table": lambda folder: write_table(folder / "good.csv", heart()),
}

#: Formats that name the leads themselves in all files, and those whose unit stands in the format's own definition or code.
NAMES_ITS_LEADS, KNOWS_ITS_UNIT = {"GE MUSE XML", "HL7 aECG"}, {"DICOM", "SCP-ECG"}

each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.NAME)


@pytest.fixture(scope="module", autouse=True)
def what_is_promised_of_every_call() -> Iterator[None]:
    """None goes nowhere unasked, and every error names the file, the fault and a remedy."""
    with promises_kept("cmelt.records"):
        yield


def test_every_reader_is_under_this_contract():
    assert {reader.NAME for reader in READERS} == set(GOOD_FILES)


@each_reader
def test_a_reader_recognises_its_own_file_and_no_other(reader, tmp_path):
    good = GOOD_FILES[reader.NAME](tmp_path)
    assert reader.recognises(good, good.read_bytes()[:4096])
    other = tmp_path / "letter.txt"
    other.write_text("Dear colleague")
    assert not reader.recognises(other, b"Dear colleague")


@each_reader
def test_a_reader_gives_named_leads_in_millivolts(reader, tmp_path):
    good = GOOD_FILES[reader.NAME](tmp_path)
    record = reader.read(good)
    assert record.signal.dtype == np.float32
    assert np.allclose(record.signal, heart(), atol=6e-4)
    assert (record.origin, record.identifier) == (str(good), "good")
    again = read_ecg(good)
    assert np.array_equal(again.signal, record.signal)


def answer(reader, path, **said) -> str:
    """What is read under the options that are said, or what the refusal says of the file."""
    try:
        return f"{reader.read(path, ReadOptions(**said)).rate:g}"
    except RecordError as error:
        return str(error).removeprefix(f"{path}: ")


@each_reader
def test_what_the_caller_says_must_be_what_the_file_says(reader, tmp_path):
    good = GOOD_FILES[reader.NAME](tmp_path)
    leads = reader.read(good).leads
    assert answer(reader, good, rate=100.0) == "100"
    assert answer(reader, good, rate=77.0) == "states 100 Hz, and was said to have 77 Hz (leave --rate away)"
    if reader.NAME not in KNOWS_ITS_UNIT:
        told = [answer(reader, good, unit=unit) for unit in ("mV", "uV")]
        assert sorted(one[:6] for one in told) == ["100", "states"]
        assert answer(reader, good, unit="nV") == "states another unit than 'nV' (leave --unit away)"
    if reader.NAME not in NAMES_ITS_LEADS:
        assert answer(reader, good, leads=leads) == "100"
        otherwise = "names its leads otherwise than was said (leave --leads away)"
        assert answer(reader, good, leads=(*leads[1:], leads[0])) == otherwise


@each_reader
def test_a_file_of_another_format_is_refused_by_name(reader, tmp_path):
    for name, write in GOOD_FILES.items():
        if name == reader.NAME:
            continue
        (tmp_path / name).mkdir()
        other = write(tmp_path / name)
        with pytest.raises(RecordError) as caught:
            reader.read(other)
        assert caught.value.where == str(other)


@each_reader
def test_a_file_of_another_name_is_called_by_it(reader, tmp_path):
    good = GOOD_FILES[reader.NAME](tmp_path)
    other = good if reader.NAME == "WFDB" else good.rename(tmp_path / "another.one.x")
    record = reader.read(other)
    assert (record.identifier, record.origin) == ("good" if reader.NAME == "WFDB" else "another.one", str(other))
    assert set(record.leads) == set(LEADS) and record.calibration == 0


@each_reader
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_altered_bytes_give_a_record_or_a_record_error(reader, tmp_path, changes):
    good = GOOD_FILES[reader.NAME](tmp_path)
    content = bytearray(good.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    good.write_bytes(content)
    try:
        record = reader.read(good)
    except RecordError:
        return
    assert record.rate > 0
    assert record.signal.shape == (len(record.leads), 1000)


@each_reader
@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_garbage_gives_a_record_error(reader, tmp_path, content):
    good = GOOD_FILES[reader.NAME](tmp_path)
    good.write_bytes(content)
    with pytest.raises(RecordError):
        reader.read(good)
