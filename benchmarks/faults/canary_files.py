"""ECG files of ten formats with a patient's canaries where devices and hospitals put them, and ways to spoil these files.

Spoiled files have a canary where a number, a unit, a date or a lead's name belongs, so that a message that quotes what it
could not read would tell it; others are cut off. They are written by the tests' own encoders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from canary_words import MONTHS, Person

from array_files import table_text, write_hdf5, write_matlab, write_npz
from binary_files import dicom, dicom_group, save_dicom, scp_patient_section, write_edf, write_scp
from cmelt.records.record import LEADS
from ecg_files import write_wfdb
from vendor_files import AECG_ANNOTATIONS, MEDIAN, aecg, aecg_series, aecg_set, muse, muse_rhythm, sierra, sierra_waveform, xli

#: [12, samples] mV at 100 Hz, a path with the format's suffix, whose it is.
Writer = Callable[[Path, np.ndarray, Person], None]


def _wfdb(path: Path, signal: np.ndarray, who: Person, leads: Sequence[str] = LEADS, latin: bool = False) -> None:
    comments = (
        f"# <subject_id>: {who.patient}\n# Name: {who.name}\n# Date of birth: {who.born}\n# Physician: {who.physician}\n"
        f"# Accession: {who.accession}\n# <diagnoses>: {who.report}\n"
    )
    header = write_wfdb(path.with_suffix(""), signal, leads=leads)
    header.write_bytes(header.read_bytes() + comments.encode("latin-1" if latin else "utf-8"))


def _edf(path: Path, signal: np.ndarray, who: Person) -> None:
    born = f"{who.born.day:02d}-{MONTHS[who.born.month - 1]}-{who.born.year}"
    said = f"Startdate 02-MAR-2002 {who.accession} {who.physician} Gerät_7"
    write_edf(path, signal, patient=f"{who.patient} F {born} {who.name.replace(', ', '_')}", recording=said)


def dicom_of(signal: np.ndarray, who: Person) -> Any:
    """The data set of a patient's ECG, names in Latin-1, with private elements."""
    from pydicom.dataset import Dataset

    note = Dataset()
    note.UnformattedTextValue = who.report
    whole = dicom(dicom_group(signal), annotations=[note])
    whole.SpecificCharacterSet = "ISO_IR 100"
    whole.PatientName, whole.PatientID = who.name.replace(", ", "^"), who.patient
    whole.OtherPatientIDs = [who.patient, f"MRN-{who.patient}"]
    whole.PatientBirthDate, whole.AccessionNumber = f"{who.born:%Y%m%d}", who.accession
    whole.ReferringPhysicianName, whole.PatientComments = f"{who.physician}^Dr", who.report
    block = whole.private_block(0x0099, "GERAET 7", create=True)
    block.add_new(0x01, "LO", who.name)
    block.add_new(0x02, "LO", who.patient)
    return whole


def _dicom(path: Path, signal: np.ndarray, who: Person) -> None:
    save_dicom(path, dicom_of(signal, who))


def _muse(path: Path, signal: np.ndarray, who: Person) -> None:
    last, first = who.name.split(", ")
    person = (
        f"<PatientID>{who.patient}</PatientID><PatientLastName>{last}</PatientLastName><PatientFirstName>{first}</PatientFirstName>"
        f"<DateofBirth>{who.born:%m-%d-%Y}</DateofBirth><PatientAge>61</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender>"
    )
    said = f"<DiagnosisStatement><StmtText>{who.report}</StmtText></DiagnosisStatement>"
    order = (
        f"<Order><HISOrderNumber>{who.accession}</HISOrderNumber><OrderingMDLastName>{who.physician}</OrderingMDLastName></Order>"
    )
    diagnosis = f"<Diagnosis><Modality>RESTING</Modality>{said}</Diagnosis>{order}"
    path.write_text(muse(MEDIAN + muse_rhythm(signal), diagnosis, person), encoding="latin-1")


def _philips(path: Path, signal: np.ndarray, who: Person) -> None:
    digital = np.rint(signal * 1000).astype(int)
    document = sierra(sierra_waveform(xli(digital), digital.shape[1]), age=f"<dateofbirth>{who.born}</dateofbirth>")
    last, first = who.name.split(", ")
    named = f"<name><lastname>{last}</lastname><firstname>{first}</firstname></name><sex>"
    document = document.replace("0815-4711", who.patient).replace("<sex>", named).replace("Dr Who", who.physician)
    document = document.replace(
        "<interpretations>", f"<orderinfo><accession>{who.accession}</accession></orderinfo><interpretations>"
    )
    path.write_bytes(f'<?xml version="1.0" encoding="utf-8"?>\n{document.replace("SINUS RHYTHM", who.report)}'.encode())


def _aecg(path: Path, signal: np.ndarray, who: Person) -> None:
    notes = AECG_ANNOTATIONS.replace("Rythme sinusal", who.report).replace("Dr Who", who.physician)
    document = aecg(aecg_series(aecg_set(signal), annotations=notes))
    named = f"<subjectDemographicPerson><name>{escape(who.name)}</name>"
    document = document.replace("0815-4711", who.patient).replace("<subjectDemographicPerson>", named)
    document = document.replace('"19530508"', f'"{who.born:%Y%m%d}"').replace(
        "</componentOf>", f"<!-- {who.accession} --></componentOf>", 1
    )
    path.write_text(document, encoding="utf-8")


def _scp(path: Path, signal: np.ndarray, who: Person) -> None:
    def text(words: str) -> bytes:
        return words.encode("latin-1") + b"\0"

    last, first = who.name.split(", ")
    tags = {"t0": text(last), "t1": text(first), "t2": text(who.patient), "t8": b"\x02", "t20": text(who.physician)}
    tags |= {"t5": who.born.year.to_bytes(2, "little") + bytes([who.born.month, who.born.day]), "t31": text(who.accession)}
    tags |= {"t30": text(who.report)}
    write_scp(path, signal, more={1: scp_patient_section(**tags)})


def _csv(path: Path, signal: np.ndarray, who: Person) -> None:
    head = f"# patient: {who.name}, {who.patient}, {who.born}\n# physician: {who.physician}\n# {who.accession}: {who.report}\n"
    path.write_text(head + table_text(signal), encoding="utf-8")


def _named(who: Person) -> dict[str, str]:
    return {
        "patient_name": who.name, "patient_id": who.patient, "birth_date": str(who.born), "accession": who.accession,
        "physician": who.physician, "report": who.report,
    }  # fmt: skip


def _npz(path: Path, signal: np.ndarray, who: Person) -> None:
    write_npz(path, signal, **_named(who))


def _matlab(path: Path, signal: np.ndarray, who: Person) -> None:
    write_matlab(path, signal, **_named(who))


def _hdf5(path: Path, signal: np.ndarray, who: Person) -> None:
    import h5py

    write_hdf5(path, signal)
    with h5py.File(path, "a") as file:
        file.attrs.update(_named(who))


#: Suffix and writer of each format.
FORMATS: Mapping[str, tuple[str, Writer]] = {
    "WFDB": (".hea", _wfdb),
    "WFDB, Latin-1": (".hea", partial(_wfdb, latin=True)),
    "EDF": (".edf", _edf),
    "DICOM": (".dcm", _dicom),
    "MUSE XML": (".xml", _muse),
    "Philips XML": (".xml", _philips),
    "aECG XML": (".xml", _aecg),
    "SCP-ECG": (".scp", _scp),
    "CSV": (".csv", _csv),
    "NumPy": (".npz", _npz),
    "MATLAB": (".mat", _matlab),
    "HDF5": (".h5", _hdf5),
}

Spoil = Callable[[bytes, Person], bytes]


def _put(pattern: bytes, words: str, coding: str = "latin-1") -> Spoil:
    """Write `words` of a person over what `pattern` finds: all of it, or its group `it`."""
    expression = re.compile(pattern, re.MULTILINE)

    def spoil(content: bytes, who: Person) -> bytes:
        born = f"{who.born:%Y%m%d}"
        said = words.format(
            name=who.name.split(",")[0], id=who.patient, born=born, doctor=who.physician, word=who.word, order=who.accession
        )

        def over(match: re.Match[bytes]) -> bytes:
            if "it" not in expression.groupindex:
                return said.encode(coding)
            start, end = (place - match.start() for place in match.span("it"))
            return match[0][:start] + said.encode(coding) + match[0][end:]

        changed = expression.sub(over, content)
        if changed == content:
            raise RuntimeError(f"nothing to spoil by {pattern!r}")
        return changed

    return spoil


def _over(place: int, width: int, words: str) -> Spoil:
    """Write over a field of fixed width (EDF)."""

    def spoil(content: bytes, who: Person) -> bytes:
        said = words.format(name=who.name.split(",")[0], id=who.patient, word=who.word).encode("latin-1")[:width].ljust(width)
        return content[:place] + said + content[place + width :]

    return spoil


def _cut(share: float) -> Spoil:
    return lambda content, _: content[: int(len(content) * share)]


def _noise(content: bytes, who: Person) -> bytes:
    middle = len(content) // 2
    return content[:middle] + (who.name + who.patient).encode("latin-1") + content[middle + 16 :]


_SIGNAL_LINE = rb"^\S+\.dat 16 "
_EDF_LABELS, _EDF_UNITS, _EDF_SAMPLES = 256, 256 + 12 * (16 + 80), 256 + 12 * (16 + 80 + 8 + 8 * 4 + 80)

#: Ways to spoil each format, beside those that spoil any.
SPOILED: Mapping[str, tuple[Spoil, ...]] = {
    "WFDB": (
        _put(rb"^\S+ 12 (?P<it>100) ", "{name}"), _put(rb"^\S+ 12 (?P<it>100) ", "{id}"), _put(rb"^\S+ (?P<it>12) 100 ", "{id}"),
        _put(rb"^\S+ 12 100 (?P<it>1000)", "{id}"), _put(rb"^\S+ 12 100 (?P<it>1000)", "{name}"),
        _put(rb"^(?P<it>\S+) 12 100", "{name} Hans"), _put(_SIGNAL_LINE + rb"(?P<it>\S+)", "{name}"),
        _put(_SIGNAL_LINE + rb"\S+(?P<it>mV)", "{name}"), _put(_SIGNAL_LINE + rb"\S+ (?P<it>16)", "{doctor}"),
        _put(_SIGNAL_LINE + rb"\S+ 16 (?P<it>0)", "{word}"), _put(_SIGNAL_LINE + rb"\S+ 16 0 (?P<it>\S+)", "{born}x"),
        _put(_SIGNAL_LINE + rb"\S+ 16 0 \S+ \S+ 0 (?P<it>.*)$", "{name}"), _put(rb"^# <diagnoses>.*$", "{name} {id} {word}"),
        _put(_SIGNAL_LINE + rb"\S+ 16 0 \S+ (?P<it>\S+)", "{order}"), _put(rb"^\S+\.dat (?P<it>16)", "{name}"),
        _put(rb"^(?P<it>\S+\.dat) 16", "{name}.dat"),
    ),
    "EDF": (
        _over(_EDF_LABELS, 16, "{name}"), _over(_EDF_LABELS + 16, 16, "ECG {name}"), _over(_EDF_UNITS, 8, "{name}"),
        _over(236, 8, "{id}"), _over(244, 8, "{name}"), _over(252, 4, "{name}"), _over(_EDF_SAMPLES, 8, "{name}"),
        _over(168, 16, "{name}"), _over(192, 44, "EDF+C {name}"), _over(184, 8, "{word}"),
    ),
    "MUSE XML": (
        _put(rb"<SampleBase>(?P<it>100)", "{name}"), _put(rb"MICROVOLTS", "{name}"), _put(rb"<LeadID>(?P<it>\w+)", "{name}"),
        _put(rb"<LeadSampleCountTotal>(?P<it>\d+)", "{id}"), _put(rb"<DateofBirth>(?P<it>[\d-]+)", "{born}-{name}"),
        _put(rb"<PatientAge>(?P<it>61)", "{name}"), _put(rb"<LeadAmplitudeUnitsPerBit>(?P<it>1)", "{word}"),
        _put(rb"<LeadSampleSize>(?P<it>2)", "{id}"), _put(rb"<WaveformType>(?P<it>Rhythm)", "{name}"),
        _put(rb"<LeadDataCRC32>(?P<it>\d+)", "{name}"), _put(rb"</PatientLastName>", "</{name}>", "utf-8"),
    ),
    "Philips XML": (
        _put(rb'samplespersecond="(?P<it>\d+)', "{name}", "utf-8"), _put(rb'leadlabels="(?P<it>I II)', "{name} {name}", "utf-8"),
        _put(rb"<dateofbirth>(?P<it>[\d-]+)", "{born} {name}", "utf-8"), _put(rb' resolution="(?P<it>1)', "{name}", "utf-8"),
        _put(rb'compression="(?P<it>XLI)', "{name}", "utf-8"), _put(rb"<documentversion>(?P<it>1.04)", "{name}", "utf-8"),
        _put(rb'numberofleads="(?P<it>12)', "{id}", "utf-8"), _put(rb'bitspersample="(?P<it>16)', "{name}", "utf-8"),
    ),
    "aECG XML": (
        _put(rb'unit="(?P<it>uV)', "{name}", "utf-8"), _put(rb'<scale value="(?P<it>1)', "{name}", "utf-8"),
        _put(rb'code="MDC_ECG_LEAD_(?P<it>\w+)"', "{name}", "utf-8"), _put(rb"<digits>(?P<it>\S+)", "{name}", "utf-8"),
        _put(rb'<head value="(?P<it>[\d.]+)', "{born}{name}", "utf-8"),
        _put(rb'<increment value="(?P<it>[\d.]+)', "{word}", "utf-8"),
        _put(rb'birthTime value="(?P<it>\d+)', "{born}{name}", "utf-8"), _put(rb'<code code="(?P<it>RHYTHM)', "{name}", "utf-8"),
    ),
    "CSV": (
        _put(rb"time \(s\)", "{name}", "utf-8"), _put(rb"(?P<it>I \(mV\))", "{name} (mV)", "utf-8"),
        _put(rb"\(mV\)", "({name})", "utf-8"),
        _put(rb"^0\.0400,(?P<it>[^,]*)", "{name}", "utf-8"), _put(rb"^0\.0500,(?P<it>[^,]*)", "{id}", "utf-8"),
        _put(rb"\A# ", "# rate: {name}\n", "utf-8"), _put(rb"time \(s\)", "time ({word})", "utf-8"),
    ),
}  # fmt: skip
ANY: tuple[Spoil, ...] = (_cut(0.5), _cut(0.1), _noise)


def _channels(whole: Any, change: Callable[[Any], None]) -> None:
    for channel in whole.WaveformSequence[0].ChannelDefinitionSequence:
        change(channel)


def _element(whole: Any, keyword: str, words: str) -> None:
    """Put text where a number belongs, which pydicom itself would refuse."""
    from pydicom.dataelem import DataElement
    from pydicom.tag import Tag

    whole[keyword] = DataElement(Tag(keyword), "LO", words)


def _no_waveform(whole: Any, sop_class: str) -> None:
    whole.SOPClassUID = sop_class
    del whole.WaveformSequence


def _label_alone(channel: Any, label: str) -> None:
    del channel.ChannelSourceSequence
    channel.ChannelLabel = label


#: Ways to spoil a DICOM data set.
SPOILED_DICOM: tuple[Callable[[Any, Person], None], ...] = (
    lambda whole, who: _no_waveform(whole, who.name.split(",")[0]),
    lambda whole, who: _element(whole.WaveformSequence[0], "WaveformSampleInterpretation", who.name),
    lambda whole, who: _element(whole.WaveformSequence[0], "SamplingFrequency", who.name),
    lambda whole, who: _channels(whole, lambda one: setattr(one.ChannelSensitivityUnitsSequence[0], "CodeValue", who.name[:12])),
    lambda whole, who: _channels(whole, lambda one: _element(one, "ChannelSensitivity", who.name)),
    lambda whole, who: _channels(whole, lambda one: setattr(one.ChannelSourceSequence[0], "CodeMeaning", who.name)),
    lambda whole, who: _channels(whole, lambda one: _label_alone(one, who.name)),
    lambda whole, who: _element(whole, "PatientBirthDate", f"{who.born:%Y%m%d}{who.name}"),
    lambda whole, who: _element(whole, "PatientAge", who.name),
    lambda whole, who: _element(whole, "StudyDate", f"{who.name} {who.born:%Y%m%d}"),
    lambda whole, who: setattr(whole, "SpecificCharacterSet", who.name[:14]),
    lambda whole, who: _element(whole.WaveformSequence[0], "NumberOfWaveformSamples", who.patient),
)


def write_good(path: Path, format_name: str, signal: np.ndarray, who: Person) -> Path:
    """A whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FORMATS[format_name][1](path, signal, who)
    return path


def write_spoiled(path: Path, format_name: str, signal: np.ndarray, who: Person, way: int) -> Path:
    """A file spoiled in the format's `way`-th way, in turn."""
    if format_name == "DICOM" and way % (len(SPOILED_DICOM) + len(ANY)) < len(SPOILED_DICOM):
        whole = dicom_of(signal, who)
        SPOILED_DICOM[way % (len(SPOILED_DICOM) + len(ANY))](whole, who)
        path.parent.mkdir(parents=True, exist_ok=True)
        return save_dicom(path, whole)
    write_good(path, format_name, signal, who)
    own = SPOILED.get(format_name, ())
    ways = (*own, *ANY)
    spoil = ways[way % len(ways)] if format_name != "DICOM" else ANY[way % len(ANY)]
    path.write_bytes(spoil(path.read_bytes(), who))
    return path


def write_unknown(path: Path, format_name: str, signal: np.ndarray, who: Person) -> Path:
    """An array that states what it must not: a name for a unit, a rate, a lead."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = who.name.split(",")[0]
    leads = [name, name, *LEADS[2:]]
    if format_name == "NumPy":
        np.savez(path, signal=signal, fs=name, unit=name, leads=np.array(leads))
    elif format_name == "MATLAB":
        write_matlab(path, signal, leads=leads)
    else:
        import h5py

        write_hdf5(path, signal)
        with h5py.File(path, "a") as file:
            file["signal"].attrs["unit"] = name
    return path
