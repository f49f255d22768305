"""A hospital's folder as it is: files of many vendors, WFDB records of several files, tables, letters, damaged files."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from array_files import write_hdf5, write_matlab, write_npz, write_table
from binary_files import write_dicom, write_edf, write_scp
from cmelt.errors import SourceError
from cmelt.records.leads import check_limb_leads
from cmelt.sources.ecg_files import Passed, ecg_files
from cmelt.sources.folder import Folder
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart, write_wfdb
from vendor_files import write_aecg, write_muse, write_philips

GOOD = {
    "wfdb/r0": write_wfdb,
    "muse/e1.xml": write_muse,
    "philips/e2.XML": write_philips,
    "aecg/e3.xml": write_aecg,
    "dicom/e4": write_dicom,  # DICOM files often have no suffix
    "scp/e5.SCP": write_scp,
    "edf/e6.edf": write_edf,
    "mat/e7.mat": write_matlab,
    "h5/e8.hdf5": write_hdf5,
    "np/e9.npz": write_npz,
    "csv/e10.csv": write_table,
}


@pytest.fixture
def archive(tmp_path):
    """One file of each format, each its own ECG; beside them what lies about in such folders."""
    root = tmp_path / "archive"
    for number, (place, write) in enumerate(GOOD.items()):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        write(root / place, heart(number))
    (root / "wfdb" / "r0.atr").write_bytes(b"\x01\x02annotation")
    (root / "letter.txt").write_text("Dear colleague, thank you for sending us the patient.")
    (root / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    (root / ".hidden.xml").write_text("<RestingECG/>")
    (root / "muse" / "empty.xml").write_bytes(b"")
    (root / "muse" / "cut.xml").write_bytes((root / "muse" / "e1.xml").read_bytes()[:3000])
    (root / "packed.xml.gz").write_bytes(gzip.compress(write_muse(root / "muse" / "e11.xml", heart(11)).read_bytes()))
    (root / "muse" / "e11.xml").unlink()
    return root


def test_every_ecg_of_a_tree_is_found_once_and_nothing_else(archive):
    passed = Passed()
    found = list(ecg_files(archive, passed))
    assert sorted(found) == sorted([*GOOD, "muse/empty.xml", "muse/cut.xml", "packed.xml.gz"])
    assert dict(passed.ignored) == {".txt": 1, ".png": 1}
    assert "2 files are no ECGs" in passed.warnings()[0]
    assert list(ecg_files(archive, Passed())) == found


def test_a_folder_of_many_formats_becomes_one_store_and_damaged_files_are_named(archive, tmp_path):
    done = prepare_store(Folder(str(archive)), tmp_path / "store", ShardSettings(100.0, 10.0, "first", "k"), shard_records=4)
    store = open_store(tmp_path / "store", verify="full")
    assert done.records == len(GOOD) + 1
    assert {json.loads(line)["path"] for line in (tmp_path / "store" / "quarantine.jsonl").read_text().splitlines()} == {
        "muse/empty.xml",
        "muse/cut.xml",
    }
    truth = {place: heart(number) for number, place in enumerate(GOOD)} | {"packed.xml.gz": heart(11)}
    for row, place in enumerate(store.index["record"]):
        signal = store.millivolts([row])[0]
        assert np.abs(signal - truth[place]).max() < 0.012, place  # the coarsest of these files has steps of some µV
        assert check_limb_leads(signal, store.leads).consistent


def test_a_table_may_name_files_with_or_without_their_extension(archive, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("record,report\nmuse/e1,first report\nscp/e5.SCP,second report\nwfdb/r0,third report\ndicom/e4,\n")
    source = Folder(str(archive), str(table))
    records = [source.read(entry) for entry in source.entries().entries]
    assert [record.identifier for record in records] == ["muse/e1", "scp/e5.SCP", "wfdb/r0", "dicom/e4"]
    assert records[0].report == "first report"
    for record, number in zip(records, (1, 5, 0, 4), strict=True):
        assert np.abs(record.signal[1] - heart(number)[1]).max() < 0.012


def test_segments_and_their_master_are_one_record(tmp_path):
    write_wfdb(tmp_path / "s_1", heart(0))
    write_wfdb(tmp_path / "s_2", heart(1))
    (tmp_path / "s.hea").write_text("s/2 12 100 2000\ns_1 1000\ns_2 1000\n")
    assert list(ecg_files(tmp_path, Passed())) == ["s"]
    source = Folder(str(tmp_path))
    (entry,) = source.entries().entries
    assert source.read(entry).signal.shape == (12, 2000)


def test_bare_numbers_are_read_when_the_archive_s_rate_unit_and_leads_are_said(tmp_path):
    for number in range(3):
        np.save(tmp_path / f"e{number}.npy", heart(number) * 1000)
    settings = ShardSettings(100.0, 10.0, "first", "k")
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    done = prepare_store(Folder(str(tmp_path), None, 100.0, 100.0, "uV", leads), tmp_path.parent / "said", settings)
    assert (done.records, done.quarantined) == (3, 0)
    assert np.abs(open_store(tmp_path.parent / "said").millivolts([1])[0] - heart(1)).max() < 0.001


def test_a_tree_without_ecgs_says_what_it_found(tmp_path):
    (tmp_path / "a.txt").write_text("a letter")
    with pytest.raises(SourceError, match=r"holds no ECG: 1 files .* \.txt \(1\)"):
        Folder(str(tmp_path)).entries()
