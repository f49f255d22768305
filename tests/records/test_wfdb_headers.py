"""WFDB headers as programs and people write them, what callers may add to them, and what their comments say."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, physionet, read_ecg
from cmelt.records.readers.physionet_comments import remarks
from cmelt.records.record import LEADS
from ecg_files import heart, write_wfdb
from wfdb_files import signal_line, write_format_16, write_header

STEPS = np.random.default_rng(0).integers(-1000, 1000, (2, 50))


@pytest.fixture
def header(tmp_path):
    return write_format_16(tmp_path, STEPS, ("I", "II"))


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text,
        lambda text: "# before\n\n" + text.replace("\n", "\n# between\n\n") + "\n  # after",
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("\n", "  \n").replace(" 16 ", "   16  "),
        lambda text: text.replace(" 100 50", " 100/999.56(3) 50 12:36:00 09/09/2180"),
        lambda text: text.replace(" 100 50", " 1e2 50"),
        lambda text: text.replace("1000(0)/mV", "1000/mV"),
        lambda text: text.replace("1000(0)/mV", "1000"),
        lambda text: text.replace("1000(0)/mV", "1e3"),
        lambda text: text.replace("1000(0)/mV", "1/uV"),
        lambda text: text.replace("1000(0)/mV", "1/µV"),
        lambda text: text.replace("1000(0)/mV", "1000000/V"),
        lambda text: text.replace(" 0 I\n", " 0 ECG lead I\n").replace(" 0 II\n", " 0 ii \n"),
    ],
)
def test_a_header_may_be_written_in_many_ways(header, rewrite):
    header.write_bytes(rewrite(header.read_text()).encode())
    record = read_ecg(header)
    assert np.allclose(record.signal * 1000, STEPS)
    assert (record.leads, record.rate) == (("I", "II"), 100)


def test_units_in_an_older_character_set_are_read(header):
    header.write_bytes(header.read_text().replace("1000(0)/mV", "1/µV").encode("latin-1"))
    assert np.allclose(read_ecg(header).signal * 1000, STEPS)


def test_the_zero_of_the_converter_is_the_baseline_where_none_is_stated(header):
    header.write_text(header.read_text().replace("1000(0)/mV 16 0", "1000/mV 16 1024"))
    assert np.allclose(read_ecg(header).signal * 1000, STEPS - 1024)
    header.write_text(header.read_text().replace("1000/mV", "1000(24)/mV"))
    assert np.allclose(read_ecg(header).signal * 1000, STEPS - 24)


def test_zeros_for_all_initial_values_and_checksums_state_nothing(header):
    lines = [f"r.dat 16 1000(0)/mV 16 0 0 0 0 {lead}" for lead in ("I", "II")]
    write_header(header.parent, "r 2 100 50", lines)
    assert np.allclose(read_ecg(header).signal * 1000, STEPS)
    write_header(header.parent, "r 2 100 50", [lines[0], lines[1].replace("0 0 0 II", "0 7 0 II")])
    with pytest.raises(RecordError, match="checksum"):
        read_ecg(header)


@pytest.mark.parametrize("fields", [2, 3, 4, 5, 6])
def test_optional_fields_may_be_missing(header, fields):
    lines = [" ".join(line.split()[: fields + 1]) for line in header.read_text().splitlines()[1:]]
    write_header(header.parent, "r 2 100", lines)
    assert np.allclose(read_ecg(header, ReadOptions(leads=("I", "II"))).signal * 1000, STEPS)


def test_what_the_header_leaves_out_may_be_said(header):
    write_header(header.parent, "r 2", ["r.dat 16 1", "r.dat 16 1"])
    with pytest.raises(RecordError, match="does not name its leads"):
        read_ecg(header, ReadOptions(rate=250, unit="uV"))
    with pytest.raises(RecordError, match="does not state its sampling rate"):
        read_ecg(header, ReadOptions(leads=("i", "V6")))
    record = read_ecg(header, ReadOptions(rate=250, leads=("i", "V6"), unit="uV"))
    assert (record.rate, record.leads) == (250, ("I", "V6"))
    assert np.allclose(record.signal * 1000, STEPS)


@pytest.mark.parametrize("said", [{"rate": 500}, {"unit": "uV"}, {"leads": ("I", "III")}, {"leads": ("I",)}])
def test_what_contradicts_the_header_is_refused(header, said):
    assert read_ecg(header, ReadOptions(rate=100, unit="mV", leads=("I", "II"))).rate == 100
    with pytest.raises(RecordError):
        read_ecg(header, ReadOptions(**said))


def test_doubles_that_are_no_standard_leads_are_numbered(tmp_path):
    steps = np.zeros((4, 20), dtype=int)
    assert read_ecg(write_format_16(tmp_path, steps, ("ECG", "ECG", "V1", ""))).leads == ("ECG", "ECG (2)", "V1", "signal 3")
    with pytest.raises(RecordError, match="V1 occurs twice"):
        read_ecg(write_format_16(tmp_path, steps, ("V1", "V2", "v1", "V3")))


@pytest.mark.parametrize("suffix", [".xyz", ".d0", ".mat", ".dat"])
def test_a_record_may_be_named_by_any_signal_file_that_its_header_names(tmp_path, suffix):
    header = write_format_16(tmp_path, STEPS, ("I", "II"))
    header.write_text(header.read_text().replace("r.dat", f"r{suffix}"))
    path = (tmp_path / "r.dat").rename(tmp_path / f"r{suffix}")
    assert read_ecg(path).origin == str(header)


def test_a_header_is_recognised_by_content_under_any_name(header):
    assert read_ecg(header.rename(header.parent / "listing.txt")).leads == ("I", "II")


@pytest.mark.parametrize(
    "text",
    [
        "0 12 34\n0.002 16 33\n",
        "1 2 3\n4 5 6\n",
        "time\tI\tII\n0.0\t1\t2\n",
        "a 1\nb 2\n",
        "1\t2\n3\t16\n",
        "Dear 12 colleagues\nx.y 16\n",
    ],
)
def test_other_texts_are_no_headers(tmp_path, text):
    (tmp_path / "table.txt").write_text(text)
    assert not physionet.recognises(tmp_path / "table.txt", text.encode())


@pytest.mark.parametrize(
    "text", ["m/2 3 250 100\n~ 50\ns1 50\n", "m/1 3\nlayout 0", "r 1\nr.dat 212x2:1+7", "# by\nr 2 360 9\r\nr.d 61 1"]
)
def test_headers_are_recognised_under_any_name(tmp_path, text):
    assert physionet.recognises(tmp_path / "notes.txt", text.encode())


def test_a_file_that_its_neighbour_header_does_not_name_is_not_its_record(header):
    (header.parent / "r.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RecordError) as caught:
        read_ecg(header.parent / "r.csv")
    assert "r.csv" in caught.value.where


MIMIC = """40689238 12 500 5000 12:36:00 09/09/2180
{lines}
# <subject_id>: 10000032
"""


def mimic_header(tmp_path):
    """As MIMIC-IV-ECG writes them: 200 steps a mV, aVF before aVL, the patient in a comment."""
    order = (*LEADS[:4], "aVF", "aVL", *LEADS[6:])
    signal = heart(0, 500.0)[[LEADS.index(lead) for lead in order]]
    steps = np.rint(signal * 200).astype(int)
    lines = [signal_line(row, "40689238.dat", gain="200.0(0)/mV", lead=lead) for row, lead in zip(steps, order, strict=True)]
    (tmp_path / "40689238.dat").write_bytes(steps.astype("<i2").T.tobytes())
    path = tmp_path / "40689238.hea"
    path.write_text(MIMIC.format(lines="\n".join(lines)))
    return path


def test_a_patient_s_number_leaves_only_when_asked_for(tmp_path):
    path = mimic_header(tmp_path)
    record = read_ecg(path)
    assert record.patient is None
    assert "10000032" not in repr((record.identifier, record.report, record.labels, record.origin, record.leads))
    assert read_ecg(path, ReadOptions(identity=True)).patient == "10000032"
    assert np.allclose(record.signal[record.leads.index("aVL")], heart(0, 500.0)[LEADS.index("aVL")], atol=3e-3)


def test_no_error_tells_the_patient_s_number(tmp_path):
    path = mimic_header(tmp_path)
    path.with_suffix(".dat").write_bytes(b"short")
    with pytest.raises(RecordError) as caught:
        read_ecg(path)
    assert "10000032" not in str(caught.value)


def said(*comments: str, identity: bool = False):
    return remarks(comments, identity=identity)


def test_comments_of_ludb():
    found = said("<age>: 51", "<sex>: F", "<diagnoses>:", "Rhythm: Sinus bradycardia.", "Left ventricular hypertrophy.")
    assert (found.age, found.sex) == (51, "female")
    assert found.report == "Rhythm: Sinus bradycardia.\nLeft ventricular hypertrophy."
    assert said("<age>: >89").age == 90


def test_comments_of_incart_stand_on_one_line():
    found = said("<age>: 65  <sex>: M  <diagnoses> Coronary artery disease, arterial hypertension  <medications>: none")
    assert (found.age, found.sex, found.report) == (65, "male", "Coronary artery disease, arterial hypertension")
    assert said("<age>: 25  <sex>: M  <diagnoses>: (none)  <medications>: (none)").report is None


def test_comments_of_the_european_st_t_database():
    assert (said("Age: 62  Sex: M").age, said("Age: 62  Sex: M").sex) == (62, "male")


def test_comments_of_the_ptb_database():
    found = said("age: 81", "sex: female", "", "ECG date: 01/10/1990", "Diagnose:", "Reason for admission: Myocardial infarction")
    assert (found.age, found.sex, found.report) == (81, "female", None)


@pytest.mark.parametrize("text", ["3 months", "NaN", "-1", "unknown", "62-70", "", "130", "300", "1e1", "?"])
def test_an_age_that_is_not_in_years_is_none(text):
    assert said(f"Age: {text}").age is None


@pytest.mark.parametrize("comment", ["Average: 5", "Heart age 50", "dosage: 5", "voltage: 3"])
def test_a_word_that_ends_in_age_is_no_age(comment):
    assert said(comment).age is None


@pytest.mark.parametrize("key", ["<subject_id>", "subject_id", "Patient ID", "<patient>"])
def test_patients_are_known_by_many_keys_and_told_only_when_asked_for(key):
    assert said(f"{key}: 77", identity=True).patient == "77"
    assert said(f"{key}: 77").patient is None


@pytest.mark.parametrize("line", ["<subject_id>: 10000032", "Patient ID: 10000032", "MRN: 10000032", "Name: Jane Doe"])
def test_what_names_a_person_below_the_findings_is_no_finding(line):
    assert said("<diagnoses>:", "Rhythm: Sinus rhythm.", line).report == "Rhythm: Sinus rhythm."


def test_the_challenges_snomed_codes_become_labels(tmp_path):
    header = write_wfdb(tmp_path / "r", heart(), comments="# Dx: 59118001, 164889003,unknown\n")
    assert read_ecg(header).labels == ("snomed:59118001", "snomed:164889003")


def test_a_header_of_random_bytes_is_called_damaged_whatever_they_are(tmp_path):
    write_wfdb(tmp_path / "r", heart())
    rng = np.random.default_rng(0)
    faults = set()
    for _ in range(20):
        (tmp_path / "r.hea").write_bytes(rng.integers(0, 256, 500, dtype=np.uint8).tobytes())
        with pytest.raises(RecordError) as caught:
            read_ecg(tmp_path / "r.hea")
        faults.add(caught.value.fault)
    assert len(faults) == 1  # one reason to count, not one a file
