"""Files packed by gzip, of any format: unpacked once, bounded, and named as they were."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records import readers
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from ecg_files import heart, write_wfdb


def pack(path: Path, keep: bool = False) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    if not keep:
        path.unlink()
    return packed


@pytest.mark.parametrize("packed", [("r.dat",), ("r.hea",), ("r.dat", "r.hea")])
def test_parts_of_a_wfdb_record_may_be_packed(tmp_path, packed):
    write_wfdb(tmp_path / "r", heart())
    for name in packed:
        pack(tmp_path / name)
    for name in ("r", *(path.name for path in tmp_path.iterdir())):
        record = read_ecg(tmp_path / name)
        assert np.allclose(record.signal, heart(), atol=6e-4)
        assert Path(record.origin).parent == tmp_path


def test_a_header_may_name_the_packed_file_itself(tmp_path):
    header = write_wfdb(tmp_path / "r", heart())
    pack(tmp_path / "r.dat")
    header.write_text(header.read_text().replace("r.dat", "r.dat.gz"))
    assert read_ecg(header).signal.shape == (12, 1000)


@pytest.mark.parametrize("change", [b"", b"\0\0"])
def test_a_packed_signal_file_of_another_length_is_refused(tmp_path, change):
    header = write_wfdb(tmp_path / "r", heart())
    content = (tmp_path / "r.dat").read_bytes()
    (tmp_path / "r.dat").write_bytes(content + change if change else content[:-2])
    pack(tmp_path / "r.dat")
    with pytest.raises(RecordError):
        read_ecg(header)


class Letters:
    """A format invented for these tests: a letter, and as many samples as it has characters."""

    NAME = "letters"

    def recognises(self, path, head):
        return head.startswith(b"LETTER")

    def read(self, path, options=None):
        content = path.read_bytes()
        if b"broken" in content:
            raise RecordError(path, "a broken letter", "write it again")
        return Record(np.ones((1, len(content)), np.float32), 100.0, ("I",), identifier=path.stem, origin=str(path))


@pytest.fixture
def letters(monkeypatch):
    monkeypatch.setattr(readers, "READERS", (*readers.READERS, Letters()))


@pytest.mark.parametrize("name", ["note.xml", "note"])
def test_a_packed_file_of_any_format_is_read_under_its_own_name(tmp_path, letters, name):
    (tmp_path / name).write_bytes(b"LETTER of ten")
    packed = pack(tmp_path / name)
    record = read_ecg(packed)
    assert record.signal.shape == (1, 13)
    assert (record.identifier, record.origin) == ("note", str(packed))


def test_errors_name_the_packed_file_and_nothing_stays_behind(tmp_path, letters, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    (tmp_path / "note.xml").write_bytes(b"LETTER broken")
    packed = pack(tmp_path / "note.xml")
    with pytest.raises(RecordError, match="a broken letter") as caught:
        read_ecg(packed)
    assert caught.value.where == str(packed)
    assert "scratch" not in str(caught.value)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_one_layer_is_unpacked_and_no_more(tmp_path, letters):
    (tmp_path / "note.xml").write_bytes(b"LETTER")
    with pytest.raises(RecordError, match="packed twice"):
        read_ecg(pack(pack(tmp_path / "note.xml")))


@pytest.mark.parametrize("damage", [lambda content: content[:-6], lambda content: content[:20] + b"?" + content[21:]])
def test_damaged_packing_is_refused(tmp_path, letters, damage):
    (tmp_path / "note.xml").write_bytes(b"LETTER of some length, and of some more")
    packed = pack(tmp_path / "note.xml")
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(RecordError, match="damaged or truncated"):
        read_ecg(packed)


def test_packed_nothing_and_packed_unknown_are_refused_under_their_names(tmp_path):
    for name, content in (("empty.dat", b""), ("letter.txt", b"Dear colleague")):
        (tmp_path / name).write_bytes(content)
        packed = pack(tmp_path / name)
        with pytest.raises(RecordError) as caught:
            read_ecg(packed)
        assert caught.value.where == str(packed)


def test_a_zip_archive_is_to_be_unpacked_first(tmp_path):
    write_wfdb(tmp_path / "r", heart())
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(tmp_path / "r.hea", "r.hea")
    with pytest.raises(RecordError, match=r"a zip archive \(unpack it first"):
        read_ecg(tmp_path / "archive.zip")


def test_leads_survive_packing(tmp_path):
    write_wfdb(tmp_path / "r", heart())
    pack(tmp_path / "r.dat")
    assert read_ecg(tmp_path / "r").leads == LEADS


@pytest.mark.parametrize("name", ["..gz", "...gz", ".gz"])
def test_a_packed_file_whose_name_is_nothing_but_dots_is_unpacked_like_any(tmp_path, name):
    """What is left of the name without its ending means a folder: it must not be written to."""
    text = gzip.compress(b"Dear colleague")
    (tmp_path / name).write_bytes(text)
    with pytest.raises(RecordError, match="not an ECG format"):
        read_ecg(tmp_path / name)
