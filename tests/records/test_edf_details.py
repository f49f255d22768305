"""EDF in its corners: every field of a header, records read in blocks, stamps, dates, and what is said where one is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from binary_files import edf_header, edf_signal, write_edf
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, edf
from cmelt.records.readers.edf_header import Signal, looks_like_edf, read_header
from ecg_files import heart

DIGITAL = np.rint(heart() * 1000).astype(int)
FETCH, CORRECT = "fetch it again", "correct the header"


def fault_of(path, **said) -> str:
    with pytest.raises(RecordError) as caught:
        edf.read(path, ReadOptions(**said))
    assert caught.value.where == str(path)
    return f"{caught.value.fault} ({caught.value.remedy})"


def two(tmp_path, *changed, records: int = 10, data: bytes | None = None, **header):
    """Leads I and II, a second a record, with fields of their signals changed."""
    signals = [edf_signal("ECG I", 100), edf_signal("ECG II", 100)]
    for signal, change in zip(signals, changed, strict=False):
        signal.update(change)
    path = tmp_path / "e.edf"
    rows = DIGITAL[:2].reshape(2, 10, 100).transpose(1, 0, 2).astype("<i2")
    path.write_bytes(edf_header(signals, records, **header) + (rows.tobytes() if data is None else data))
    return path


def test_every_field_of_a_header_is_kept(tmp_path):
    header = read_header(
        two(tmp_path, {"low": -10, "high": 30, "least": -100, "greatest": 100, "unit": "mV"}, seconds=0.5, kind="EDF+C",
            patient="P F 02-MAY-1951 N", recording="Startdate 02-MAR-2002 X")
    )  # fmt: skip
    assert (header.patient, header.recording, header.start_date) == ("P F 02-MAY-1951 N", "Startdate 02-MAR-2002 X", "01.02.20")
    assert (header.kind, header.bytes_before, header.records, header.seconds, header.width) == ("EDF+C", 768, 10, 0.5, 2)
    assert header.signals == (Signal("ECG I", "mV", 10.0, 0.2, 100, 0), Signal("ECG II", "uV", 0.0, 1.0, 100, 100))
    assert header.samples_a_record == 200


def test_a_file_is_known_by_its_mark_and_a_header_as_long_as_its_signals_say(tmp_path):
    head = two(tmp_path).read_bytes()[:256]
    assert looks_like_edf(head) and looks_like_edf(b"\xffBIOSEMI" + head[8:]) and not looks_like_edf(head[:255])
    for place, value in ((0, b"1"), (184, b"769"), (184, b"x"), (252, b"3"), (252, b"x"), (252, b"    ")):
        assert not looks_like_edf(head[:place] + value + head[place + len(value) :])


def altered(path, place: int, value: bytes):
    content = path.read_bytes()
    path.write_bytes(content[:place] + value + content[place + len(value) :])
    return path


def test_what_is_wrong_with_a_header_is_told(tmp_path):
    assert fault_of(two(tmp_path, records="ten")) == f"a number of records that is none ({CORRECT})"
    assert fault_of(two(tmp_path, records=0)) == "the record has no samples (leave it out)"
    assert fault_of(two(tmp_path, records=-2)) == "the record has no samples (leave it out)"
    assert fault_of(two(tmp_path, records=9)) == (
        "4000 bytes of samples where the header announces 3600 (the file is truncated or the header altered: fetch it again)"
    )
    assert fault_of(two(tmp_path, records=-1, data=bytes(4001))).startswith("the record has no samples")
    assert fault_of(two(tmp_path, {"samples": 0}, {"samples": 0}, data=b"")) == "the record has no samples (leave it out)"
    assert fault_of(two(tmp_path, {"samples": "x"})) == f"a signal without its number of samples ({CORRECT})"
    assert fault_of(two(tmp_path, {"samples": -5})) == f"a signal without its number of samples ({CORRECT})"
    assert fault_of(altered(two(tmp_path), 244, b"x       ")) == f"a duration of a record that is no number ({CORRECT})"
    assert fault_of(altered(two(tmp_path), 244, b"1e999   ")) == f"a duration of a record that is no number ({CORRECT})"
    unknown = f"records without a duration: the sampling rate is unknown ({CORRECT})"
    assert fault_of(altered(two(tmp_path), 244, b"0       ")) == fault_of(altered(two(tmp_path), 244, b"-1      ")) == unknown
    assert fault_of(two(tmp_path, {"high": "1e999"})) == f"a physical range that is no number ({CORRECT})"
    assert fault_of(two(tmp_path, {"low": "-1e999"})) == f"a physical range that is no number ({CORRECT})"
    assert fault_of(two(tmp_path, {"greatest": "1e999"})) == f"a digital range that is no number ({CORRECT})"
    assert fault_of(two(tmp_path, {"least": "-1e999"})) == f"a digital range that is no number ({CORRECT})"
    assert fault_of(two(tmp_path, {"low": "x"})) == f"a lead whose digital or physical range is empty ({CORRECT})"
    for change in ({"low": "5", "high": "5"}, {"least": "5", "greatest": "5"}, {"least": 9, "greatest": 3}):
        assert fault_of(two(tmp_path, change)) == f"a lead whose digital or physical range is empty ({CORRECT})"
    slow = "a sampling rate of 0.5 Hz (correct the duration of a record in the header)"
    assert fault_of(two(tmp_path, seconds=200)) == slow
    assert edf.read(two(tmp_path, seconds=100)).rate == 1
    assert fault_of(two(tmp_path, seconds=1e-4)) == "a sampling rate of 1e+06 Hz (correct the duration of a record in the header)"
    other = "ECG leads of several sampling rates (resample them to one rate, or export one rate alone)"
    assert fault_of(two(tmp_path, {"samples": 50}, {"samples": 150})) == other
    nobody = "none of its signals is recognisably an ECG lead (label them I, II, V1 … or ECG I, ECG II …)"
    assert fault_of(two(tmp_path, {"label": "a"}, {"label": "b"})) == nobody
    gone = tmp_path / "gone"
    assert fault_of(gone) == "cannot be read: No such file or directory (check the path and its permissions)"
    gone.write_bytes(b"text")
    assert fault_of(gone) == "is not an EDF or BDF file (check what it is)"


def test_signals_are_counted_to_five_hundred_and_twelve(tmp_path):
    path = tmp_path / "e.edf"
    for count, told in (
        (512, "128"),
        (513, "announces 513 signals (1 to 512 are read)"),
        (0, "announces 0 signals (1 to 512 are read)"),
    ):
        path.write_bytes(edf_header([edf_signal("x", 1)] * count, 1) + bytes(2 * count))
        if count == 512:
            assert len(read_header(path).signals) == 512
        else:
            assert fault_of(path) == told
    content = two(tmp_path).read_bytes()
    path.write_bytes(content[:767])
    assert fault_of(path) == f"the header is truncated ({FETCH})"


def test_a_recorder_that_was_not_shut_down_has_as_many_records_as_fit(tmp_path):
    assert read_header(two(tmp_path, records=-1)).records == 10
    assert read_header(two(tmp_path, records=-1, data=bytes(400))).records == 1


@pytest.mark.parametrize("block", [1, 400, 401, 800, 1200, 4 << 20])
@pytest.mark.parametrize("width", [2, 3])
def test_records_are_read_some_at_a_time(tmp_path, monkeypatch, block, width):
    monkeypatch.setattr(edf, "_BLOCK", block)
    rows = DIGITAL[:2].reshape(2, 10, 100).transpose(1, 0, 2).reshape(-1).astype("<i4")
    data = rows.astype("<i2").tobytes() if width == 2 else rows.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    record = edf.read(two(tmp_path, data=data, bdf=width == 3))
    assert np.array_equal(np.rint(record.signal * 1000), DIGITAL[:2])


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = two(tmp_path)
    header = read_header(path)
    path.write_bytes(path.read_bytes()[:-2])
    monkeypatch.setattr(edf, "read_header", lambda _: header)
    assert fault_of(path) == "changed while it was read (read it again)"


def interrupted(tmp_path, stamps: list[str], kind: str = "EDF+D", label: str = "EDF Annotations"):
    rows = DIGITAL[1].reshape(10, 100).astype("<i2")
    data = b"".join(rows[number].tobytes() + stamp.encode().ljust(40, b"\0") for number, stamp in enumerate(stamps))
    signals = [edf_signal("II", 100), edf_signal(label, 20, "")]
    path = tmp_path / "e.edf"
    path.write_bytes(edf_header(signals, len(stamps), kind=kind) + data)
    return path


def test_records_stand_at_their_stamps(tmp_path, monkeypatch):
    for block in (1, 4 << 20):
        monkeypatch.setattr(edf, "_BLOCK", block)
        signal = edf.read(interrupted(tmp_path, ["+0\x14", "+1\x14", "+2.5004\x14", "+4.9996\x14"])).signal[0] * 1000
        assert signal.size == 600
        for place, number in ((0, 0), (100, 1), (250, 2), (500, 3)):
            assert np.array_equal(np.rint(signal[place : place + 100]), DIGITAL[1, 100 * number : 100 * number + 100])
        assert np.isnan(signal[200:250]).all() and np.isnan(signal[350:500]).all()
    assert edf.read(interrupted(tmp_path, ["-1.5\x14", "-0.5\x14"])).signal.shape == (1, 200)
    assert edf.read(interrupted(tmp_path, ["+0\x14", "+5\x14"], kind="EDF+C")).signal.shape == (1, 200)


def test_stamps_that_cannot_be_are_told(tmp_path, monkeypatch):
    part = "an interruption that is no whole number of samples (cut the record into its uninterrupted parts)"
    assert fault_of(interrupted(tmp_path, ["+0\x14", "+1.0011\x14"])) == part
    assert edf.read(interrupted(tmp_path, ["+0\x14", "+1.0009\x14"])).signal.shape == (1, 200)
    assert (
        fault_of(interrupted(tmp_path, ["+0\x14", "+0.99\x14"]))
        == "records that overlap in time (correct the file's time stamps)"
    )
    none = "a record without its time stamp (the file is damaged: fetch it again)"
    for stamp in ("0\x14", "+1", "+\x14", "+1.\x14", "+1234567890\x14"):
        assert fault_of(interrupted(tmp_path, ["+0\x14", stamp])) == none
    assert fault_of(interrupted(tmp_path, ["+0\x14", "+1\x14"], label="Resp")) == (
        "an interrupted recording without time stamps (export it with its annotations)"
    )
    monkeypatch.setattr(edf, "_MOST_STAMPS", 2)
    assert edf.read(interrupted(tmp_path, ["+0\x14", "+1\x14"])).signal.shape == (1, 200)
    assert fault_of(interrupted(tmp_path, ["+0\x14", "+1\x14", "+2\x14"])) == (
        "3 interrupted records (at most 2 are read: cut the recording)"
    )


@pytest.mark.parametrize(
    ("patient", "recording", "told"),
    [("P F 02-MAY-1951 N", "Startdate 02-MAY-2001 X", ("P", 50, "female")), ("P M", "Startdate 02-MAY-2001", ("P", None, "male")),
     ("X X 02-may-1951", "Startdate 01-MAY-2001", (None, 49, None)), ("", "", (None, None, None)),
     ("P F 02-MAI-1951", "Startdate 02-MAY-2001", ("P", None, "female")),
     ("P F 02-MAY-1951", "Other 02-MAY-2001", ("P", None, "female")),
     ("P F x-MAY-1951", "Startdate 02-MAY-2001", ("P", None, "female")),
     ("P F 2-DEC-1951", "Startdate 1-JAN-2001", ("P", 49, "female")),
     ("P F 02-MAY-x", "Startdate", ("P", None, "female"))],
)  # fmt: skip
def test_who_was_recorded_stands_in_two_fields(tmp_path, patient, recording, told):
    path = write_edf(tmp_path / "e.edf", heart(), kind="EDF+C", patient=patient, recording=recording)
    record = edf.read(path, ReadOptions(identity=True))
    assert (record.patient, record.age, record.sex) == told
    assert edf.read(path).patient is None


def test_labels_are_leads_in_many_spellings():
    labels = {
        "EKG II-Ref": "II", "ecg_v3": "V3", "ECG: aVR": "aVR", "Lead V5 wct": "V5", "Abl. III": "III", "Ableitung I": "I",
        "LL - LA": "III",
        "LL-LA": "III", "ekg ll-ra": "II", "V7": "V7", "ECG Z": "Z", "Y": None, "CC5": "CC5", "": None, "ECG ": None,
        "2": None, "Lead 2": None,
    }  # fmt: skip
    assert {label: edf.lead_of_label(label) for label in labels} == labels
