"""What every reader promises: a record, or a RecordError; nothing else, whatever the file holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from array_files import write_hdf5, write_matlab, write_npz, write_table
from binary_files import write_dicom, write_edf, write_scp
from cmelt.errors import RecordError
from cmelt.records.readers import READERS, read_ecg
from ecg_files import heart, write_wfdb
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

each_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.NAME)


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
    assert record.origin == str(good)
    again = read_ecg(good)
    assert np.array_equal(again.signal, record.signal)


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
