"""From a WFDB header's signals to leads: their names, rates, skews and scales; segments; what comments say."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, physionet, physionet_signals, read_ecg
from cmelt.records.readers.physionet_comments import remarks
from cmelt.records.readers.physionet_signals import Lead, Scales
from wfdb_files import signal_line, write_format_16, write_header

STEPS = np.random.default_rng(0).integers(-1000, 1000, (3, 60))


def fault_of(path, options: ReadOptions | None = None, where=None) -> str:
    """What the refusal says of the file at `path`, or of the one at `where`."""
    with pytest.raises(RecordError) as caught:
        physionet.read(path, options or ReadOptions())
    assert caught.value.where == str(where or path)
    return f"{caught.value.fault} ({caught.value.remedy})"


def test_names_of_signals_are_the_header_s_the_caller_s_or_numbers(tmp_path):
    write_format_16(tmp_path, STEPS, ("I", "", "X1"))
    assert read_ecg(tmp_path / "r.hea").leads == ("I", "signal 1", "X1")
    assert fault_of(tmp_path / "r.hea", ReadOptions(leads=("I", "II", "X1"))) == (
        "names its leads otherwise than was said (leave --leads away)"
    )
    write_format_16(tmp_path, STEPS, ("", "", ""))
    assert read_ecg(tmp_path / "r.hea", ReadOptions(leads=("I", "II", "V1"))).leads == ("I", "II", "V1")
    write_format_16(tmp_path, STEPS, ("ECG", "ECG", "ECG"))
    assert read_ecg(tmp_path / "r.hea").leads == ("ECG", "ECG (2)", "ECG (3)")


def test_voltages_at_another_rate_than_the_leads_are_left_out(tmp_path):
    frames = np.stack([STEPS[0].reshape(30, 2)[:, 0], *STEPS[1].reshape(30, 2).T], axis=1)
    (tmp_path / "r.dat").write_bytes(frames.astype("<i2").tobytes())
    lines = [signal_line(frames[:, 0], lead="resp"), signal_line(STEPS[1], form="16x2", lead="II")]
    record = read_ecg(write_header(tmp_path, "r 2 100 30", lines))
    assert (record.leads, record.rate) == (("II",), 200) and np.allclose(record.signal * 1000, STEPS[1:2])
    several = "signals at several rates in one record (resample them to one rate first)"
    write_header(tmp_path, "r 2 100 30", [lines[0], lines[1].replace(" II", " other")])
    assert fault_of(tmp_path / "r.hea") == several
    write_header(tmp_path, "r 2 100 30", [lines[0].replace("resp", "I"), lines[1]])
    assert fault_of(tmp_path / "r.hea") == several


def test_a_skewed_signal_of_several_samples_a_frame_is_moved_by_as_many(tmp_path):
    (tmp_path / "r.dat").write_bytes(STEPS[0].astype("<i2").tobytes())
    path = write_header(tmp_path, "r 1 100 30", [signal_line(STEPS[0], form="16x2:3", lead="II")])
    signal = read_ecg(path).signal[0]
    assert np.allclose(signal[:54] * 1000, STEPS[0, 6:]) and np.isnan(signal[54:]).all()


def test_long_records_are_converted_and_checked_piece_by_piece(tmp_path, monkeypatch):
    steps = np.random.default_rng(3).integers(-30_000, 30_000, (3, 1000))
    for form, scale in (("16", 1), ("32", 70_000)):
        stored = (steps * scale).astype("<i2" if form == "16" else "<i4")
        (tmp_path / "r.dat").write_bytes(stored.T.tobytes())
        lines = [
            signal_line(row, form=form, gain="1e9(3)/mV", lead=lead) for row, lead in zip(stored, ("I", "II", "V1"), strict=True)
        ]
        for piece in (7, 999, 1 << 16):
            monkeypatch.setattr(physionet_signals, "_AT_A_TIME", piece)
            found = read_ecg(write_header(tmp_path, "r 3 100 1000", lines)).signal
            assert np.array_equal(found, ((stored.astype(float) - 3) / 1e9).astype(np.float32))
            write_header(tmp_path, "r 3 100 1000", [*lines[:2], lines[2].replace(" 0 V1", "1 0 V1")])
            fault = "the checksum of a signal fails (the file is altered: fetch it again)"
            assert fault_of(tmp_path / "r.hea", where=tmp_path / "r.dat") == fault


@pytest.mark.parametrize(
    ("baseline", "gain", "per_millivolt", "single"),
    [
        (0, 200.0, 1, True),
        ((1 << 23) - 1, 200.0, 1, True),
        (1 << 23, 200.0, 1, False),
        (0, 204.8, 1, False),
        (0, 200.0, 1000, False),
    ],
)
def test_single_precision_is_used_where_it_is_exact(baseline, gain, per_millivolt, single):
    scales = Scales.of((Lead(0, "I", 100.0, -5, 1.0), Lead(1, "II", gain, baseline, per_millivolt)), -32768)
    assert scales.single is single
    digital = np.array([[7, -32768, 100], [32767, -32767, 0]], np.int16)
    out = np.empty(digital.shape, np.float32)
    scales.millivolts(digital, out)
    exact = (digital.astype(float) - [[-5], [baseline]]) / [[100.0], [gain]] / [[1], [per_millivolt]]
    exact[0, 1] = np.nan
    assert np.array_equal(out, exact.astype(np.float32), equal_nan=True)


def test_segments_are_told_by_what_contradicts_them(tmp_path):
    write_format_16(tmp_path, STEPS, ("I", "II", "V1"), "s", first="s 3 100 60")
    header = tmp_path / "m.hea"
    write_header(tmp_path, "m/2 3 100 120", ["s 60", "s 60"], "m")
    assert read_ecg(header).signal.shape == (3, 120)
    cases = {
        "announces 121 samples, its segments 120 (the header is incomplete or altered)": (
            "m/2 3 100 121",
            ["s 60", "s 60"],
            header,
        ),
        "nothing but gaps (leave it out)": ("m/1 3 100 60", ["~ 60"], header),
        "a segment of 60 samples, announced with 59 (correct the headers)": ("m/1 3 100 59", ["s 59"], tmp_path / "s.hea"),
        "a segment at another rate than its record (resample them to one rate first)": (
            "m/1 3 99 60",
            ["s 60"],
            tmp_path / "s.hea",
        ),
        "a segment that has segments itself (correct the header)": ("m/1 3 100 60", ["m 60"], header),
    }
    for fault, (first, lines, where) in cases.items():
        write_header(tmp_path, first, lines, "m")
        assert fault_of(header, where=where) == fault
    write_format_16(tmp_path, STEPS, ("I", "II", "V1"), "t", first="t 3 100 30", form="16x2")
    write_header(tmp_path, "m/2 3 100 90", ["s 60", "t 30"], "m")
    assert (
        fault_of(header, where=tmp_path / "t.hea")
        == "a segment at another rate than the others (resample them to one rate first)"
    )


# --- comments ---


def test_comments_are_read_key_by_key():
    def told(*comments: str):
        found = remarks(comments, identity=True)
        return found.age, found.sex, found.labels, found.report, found.patient

    assert told("Age: >89y", "Sex: male") == (90, "male", (), None, None)
    assert told("Age: 5.5 years.", "Age: 7", "Dx: 1, 22,x") == (5.5, None, ("snomed:1", "snomed:22"), None, None)
    assert told("Age: 129.9")[0] == 129.9 and told("Age: >129")[0] is None
    assert told("<diagnosis>: A", "B: c", "<medication>: D", "E: f")[3] == "A\nB: c"
    assert told("<diagnoses>", "none", "(None)", "Flutter", "DOB: 1.1.1950", "after")[3] == "Flutter"
    assert told("Patient: unknown", "MRN: 7")[4] == "7" and told("subject_id: 5", "patient: 6")[4] == "5"
    assert told("diagnoses: plain")[3] is None
