"""Uploaded files: read whatever their format, under names that do no harm, gone afterwards."""

from __future__ import annotations

import io
import tempfile

import numpy as np
import pytest

import cmelt
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions
from cmelt.records.record import LEADS
from cmelt.serving.http import uploads
from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.service import drawable
from cmelt.serving.http.uploads import Upload, read_uploaded
from ecg_files import heart, record, write_wfdb

NOTHING = ReadOptions()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where temporary files go; empty before and after each test."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert not list(place.iterdir())


def sent(*paths, names=None) -> list[Upload]:
    names = names or [path.name for path in paths]
    return [Upload(name, io.BytesIO(path.read_bytes())) for name, path in zip(names, paths, strict=True)]


def test_header_and_signals_of_a_wfdb_record_find_each_other(tmp_path):
    header = write_wfdb(tmp_path / "r_1", heart(1))
    both = [header, header.with_suffix(".dat")]
    for paths in (both, both[::-1]):
        found = read_uploaded(sent(*paths), NOTHING)
        np.testing.assert_allclose(found.signal, heart(1), atol=0.001)
        assert (found.identifier, found.origin) == ("", "upload")
    folders = [f"C:\\ward\\{both[0].name}", f"/home/me/{both[1].name}"]
    assert read_uploaded(sent(*both, names=folders), NOTHING).leads == LEADS


def test_a_record_in_segments_is_sent_with_all_its_headers(tmp_path):
    parts = [write_wfdb(tmp_path / f"s{n}", heart(1)[:, 500 * n : 500 * n + 500]) for n in range(2)]
    master = tmp_path / "whole.hea"
    master.write_text("whole/2 12 100 1000\ns0 500\ns1 500\n")
    paths = [*parts, master, *(part.with_suffix(".dat") for part in parts)]
    np.testing.assert_allclose(read_uploaded(sent(*paths), NOTHING).signal, heart(1), atol=0.001)


def test_one_file_may_have_any_name(tmp_path):
    np.savez(tmp_path / "ecg.npz", signal=heart(2), fs=100, units="mV", leads=list(LEADS))
    for name in ("../../etc/passwd", "", ".", "a\0b", "Müller, Anna.npz", "x" * 4000, "con.npz ", "-rf", "ecg.npz"):
        np.testing.assert_allclose(read_uploaded(sent(tmp_path / "ecg.npz", names=[name]), NOTHING).signal, heart(2), atol=1e-6)


@pytest.mark.parametrize("name", ["..", ".hidden", "a b.dat", "a\0.dat", "", "x" * 121, "-rf", "a/", "r.hea"])
def test_of_several_files_each_must_have_a_plain_name_of_its_own(tmp_path, name):
    header = write_wfdb(tmp_path / "r", heart(1))
    with pytest.raises(Refusal) as found:
        read_uploaded(sent(header, header.with_suffix(".dat"), names=["r.hea", name]), NOTHING)
    assert found.value.status == 422


def test_files_that_are_not_one_record_are_refused(tmp_path):
    first, second = (write_wfdb(tmp_path / name, heart(1)) for name in ("a", "b"))
    with pytest.raises(Refusal, match="more than one record"):
        read_uploaded(sent(first, second, first.with_suffix(".dat")), NOTHING)
    with pytest.raises(Refusal, match="none of the files is the header"):
        read_uploaded(sent(first.with_suffix(".dat"), second.with_suffix(".dat")), NOTHING)
    with pytest.raises(RecordError, match="signal file is not there"):
        read_uploaded(sent(first), NOTHING)


def test_a_header_cannot_reach_outside_its_folder(tmp_path):
    header = write_wfdb(tmp_path / "r", heart(1))
    outside = tmp_path / "secret.dat"
    outside.write_bytes(header.with_suffix(".dat").read_bytes())
    for place in (str(outside), "../secret.dat"):
        text = header.read_text().replace("r.dat", place)
        with pytest.raises(RecordError):
            read_uploaded([Upload("r.hea", io.BytesIO(text.encode()))], NOTHING)


def test_the_canonical_form_is_a_file_too(tmp_path):
    (tmp_path / "ecg.cmelt").write_bytes(drawable(record(3)))
    np.testing.assert_allclose(read_uploaded(sent(tmp_path / "ecg.cmelt"), NOTHING).signal, heart(3), atol=0.00051)


def test_bare_numbers_need_to_be_told(tmp_path):
    np.save(tmp_path / "ecg.npy", heart(1))
    with pytest.raises(RecordError, match="does not"):
        read_uploaded(sent(tmp_path / "ecg.npy"), NOTHING)
    told = ReadOptions(rate=100.0, unit="mV", leads=LEADS)
    np.testing.assert_array_equal(read_uploaded(sent(tmp_path / "ecg.npy"), told).signal, heart(1))


def test_whatever_a_reader_raises_the_folder_goes_and_nothing_is_quoted(tmp_path, monkeypatch, folder):
    def broken(*_):
        assert len(list(folder.iterdir())) == 1
        raise ValueError("Zqcanaryzq")

    monkeypatch.setattr(uploads, "read_ecg", broken)
    header = write_wfdb(tmp_path / "r", heart(1))
    with pytest.raises(Refusal) as found:
        read_uploaded(sent(header, header.with_suffix(".dat")), NOTHING)
    assert found.value.status == 422 and "Zqcanaryzq" not in str(found.value.body()) and "ValueError" in found.value.fault


def test_a_full_disk_is_the_service_s_fault_not_the_caller_s(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.shutil, "copyfileobj", full)
    with pytest.raises(Refusal) as found:
        read_uploaded([Upload("a", io.BytesIO(b"x"))], NOTHING)
    assert found.value.status == 503


@pytest.mark.parametrize("place", ["ge-muse-xml/muse-sinus.xml", "dicom-ecg/waveform_ecg.dcm", "hl7-aecg/subject1_0.xml",
                                   "philips-sierra-xml/129DYPRG.XML", "cpsc2018-mat/A1980.mat"])  # fmt: skip
def test_real_files_are_what_cmelt_reads_of_them(data_dir, place):
    path = data_dir / "vendor-formats" / place
    expected, found = cmelt.read_ecg(path), read_uploaded(sent(path, names=["upload"]), NOTHING)
    np.testing.assert_array_equal(found.signal, expected.signal)
    assert (found.leads, found.rate, found.patient) == (expected.leads, expected.rate, None)
