"""DICOM waveforms: 12-lead, general and ambulatory ECG, and ECG leads among other signals.

A file holds multiplex groups, each with its own rate: the rhythm, and often an averaged beat, which is no recording and left
out. `dicom_structure` has measured the file before pydicom reads its values.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import derive_limb_leads
from cmelt.records.readers.demographics import age_at, age_in_years, sex_named
from cmelt.records.readers.dicom_annotations import measurements_and_report, text_of
from cmelt.records.readers.dicom_structure import Encoded, data_set, looks_like_dicom
from cmelt.records.readers.lead_codes import lead_in_words, lead_of_code
from cmelt.records.readers.limits import read_whole, refuse_size
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions, settle_leads, settle_rate
from cmelt.records.record import Record
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

NAME = "DICOM"

_IMPORTING = Lock()

TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
#: Waveform Sample Interpretation → (bits, kind). Companded sound (MB, AB) is left out on purpose: an ECG has no mu-law.
_SAMPLES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {"SB": (8, "i1"), "UB": (8, "u1"), "SS": (16, "i2"), "US": (16, "u2"), "SL": (32, "i4"), "UL": (32, "u4")}
)
_COMPANDED = ("MB", "AB")
#: What a group of averaged beats is called; devices mark these as DERIVED, too, but filtered rhythms as well.
_AVERAGED = ("MEDIAN", "AVERAGE", "TEMPLATE", "REPRESENTATIVE", "BEAT", "MEAN")
#: A derived group without such a name is an averaged beat if it is no longer than one, in seconds.
_ONE_BEAT = 2.0
#: A padding value that a sample may well have (0) marks a stretch only where nothing moves for so long, in seconds.
_STILL = 0.5

_UNITS: Mapping[str, str] = {"microvolt": "uV", "millivolt": "mV", "volt": "V", "nanovolt": "nV"}
_AGE_UNITS: Mapping[str, str] = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}


@dataclass(frozen=True)
class _Group:
    """One multiplex group's ECG leads: [leads, samples] mV, where it begins (ms; None where unsaid)."""

    signal: NDArray[np.float32]
    leads: tuple[str, ...]
    rate: float
    offset_ms: float | None
    original: bool

    @property
    def seconds(self) -> float:
        return self.signal.shape[1] / self.rate


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (by content alone)
    """DICM after the preamble, or, in a file without one, elements of the first groups in a row."""
    return looks_like_dicom(head)


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the rhythm that the file at `path` holds, with its interpretation and global measurements.

    Raises:
        RecordError: truncated, contradictory, no waveform, no ECG lead, an amplitude or time that is not stated.
    """
    _import_pydicom()
    encoded = data_set(read_whole(path), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on values that are not used here
        try:
            return _record(_parsed(encoded), encoded.big_endian, path, options)
        except RecordError:
            raise
        except Exception as error:  # pydicom raises whatever its parsing runs into; a reader raises RecordError alone
            fault = f"a DICOM element cannot be read ({type(error).__name__})"
            raise RecordError(path, fault, "the file is altered: fetch it again") from None


def _import_pydicom() -> None:
    """One thread at a time: its modules import one another in a circle, and two threads at it at once find halves of them."""
    with _IMPORTING:
        importlib.import_module("pydicom")


def _parsed(encoded: Encoded) -> Any:
    """The data set as pydicom gives it."""
    from pydicom.charset import convert_encodings
    from pydicom.filebase import DicomBytesIO
    from pydicom.filereader import read_dataset

    stream = DicomBytesIO(encoded.content)
    parsed = read_dataset(stream, is_implicit_VR=encoded.implicit, is_little_endian=not encoded.big_endian)
    try:
        characters = convert_encodings(parsed.get("SpecificCharacterSet"))
    except LookupError:  # a character set that nobody knows makes texts odd, not samples
        characters = ["latin-1"]
    parsed.set_original_encoding(encoded.implicit, not encoded.big_endian, characters)
    return parsed


def _record(parsed: Any, big_endian: bool, path: Path, options: ReadOptions) -> Record:
    groups = _ecg_groups(parsed, big_endian, path)
    rhythm = _together(_rhythms(groups), path)
    refuse_impossible_amplitude(rhythm.signal, str(path))
    measurements, report = measurements_and_report(parsed)
    record = Record(
        rhythm.signal,
        settle_rate(rhythm.rate, options, str(path)),
        settle_leads(rhythm.leads, options, len(rhythm.leads), str(path)),
        path.stem,
        report=report,
        patient=text_of(parsed, "PatientID") if options.identity else None,
        age=_age(parsed),
        sex=sex_named(text_of(parsed, "PatientSex") or ""),
        origin=str(path),
        measurements=measurements,
    )
    if text_of(parsed, "SOPClassUID") != TWELVE_LEAD_ECG:
        return record
    complete, derived = derive_limb_leads(record)  # the twelve-lead object may leave out the four that two others determine
    return replace(complete, derived=derived)


def _ecg_groups(parsed: Any, big_endian: bool, path: Path) -> list[_Group]:
    """Every multiplex group that holds ECG leads and is no averaged beat."""
    items = parsed.get("WaveformSequence")
    if not items:
        raise RecordError(path, f"is a DICOM {_what(parsed)}, which holds no waveform", "an ECG must be stored as a waveform")
    found = [(item, _lead_rows(item, path)) for item in items]
    with_leads = [(item, rows) for item, rows in found if rows]
    if not with_leads:
        raise RecordError(path, f"is a DICOM {_what(parsed)} whose channels are no ECG leads", "leave it out")
    rhythms = [(item, rows) for item, rows in with_leads if not _is_averaged(item, path)]
    if not rhythms:
        raise RecordError(path, "holds averaged beats only, no recording", "export the rhythm from the ECG system")
    return [_group(item, rows, big_endian, path) for item, rows in rhythms]


def _what(parsed: Any) -> str:
    from pydicom.uid import UID

    stated = UID(text_of(parsed, "SOPClassUID") or "")
    # What is in no list of classes comes back as it stands in the file, whatever that is.
    return stated.name if stated and stated.name != str(stated) else "object of a class that is not known"


def _is_averaged(item: Any, path: Path) -> bool:
    label = (text_of(item, "MultiplexGroupLabel") or "").upper()
    if any(word in label for word in _AVERAGED):
        return True
    samples, rate = (_required(item, keyword, path) for keyword in ("NumberOfWaveformSamples", "SamplingFrequency"))
    return (text_of(item, "WaveformOriginality") or "") == "DERIVED" and "RHYTHM" not in label and samples < _ONE_BEAT * rate


def _lead_rows(item: Any, path: Path) -> dict[int, str]:
    """Channel number → lead, for the channels that are ECG leads."""
    channels = item.get("ChannelDefinitionSequence") or []
    if len(channels) != int(item.get("NumberOfWaveformChannels") or 0):
        raise RecordError(path, "defines another number of channels than it announces", "the file is altered: fetch it again")
    rows = {}
    for number, channel in enumerate(channels):
        lead = _lead(channel, path)
        if lead is not None:
            rows[number] = lead
    return rows


def _lead(channel: Any, path: Path) -> str | None:
    for source in channel.get("ChannelSourceSequence") or []:
        by_code = lead_of_code(text_of(source, "CodeValue") or "")
        by_words = lead_in_words(text_of(source, "CodeMeaning") or "")
        if by_code is not None and by_words is not None and by_code != by_words:
            raise RecordError(path, f"a channel's code says {by_code}, its meaning {by_words}", "correct the channel's source")
        if by_code or by_words:
            return by_code or by_words
    return lead_in_words(text_of(channel, "ChannelLabel") or "")


def _group(item: Any, rows: Mapping[int, str], big_endian: bool, path: Path) -> _Group:
    rate = _required(item, "SamplingFrequency", path)
    if not 0 < rate < 1e6:
        raise RecordError(path, f"sampling rate {rate:g} Hz", "it must be a positive number")
    channels, samples = len(item.ChannelDefinitionSequence), int(_required(item, "NumberOfWaveformSamples", path))
    refuse_size(channels, samples, path)
    kind = _sample_type(item, big_endian, path)
    data = bytes(item.get("WaveformData") or b"")
    needed = channels * samples * kind.itemsize
    if len(data) != needed + needed % 2:  # values are padded to even lengths
        fault = f"{len(data)} bytes of waveform where {needed} are announced"
        raise RecordError(path, fault, "the file is truncated or altered: fetch it again")
    digital = np.frombuffer(data, dtype=kind, count=channels * samples).reshape(samples, channels)
    padding = _padding_value(item, kind)
    _refuse_skew([item.ChannelDefinitionSequence[row] for row in rows], rate, path)
    signal = np.empty((len(rows), samples), dtype=np.float32)
    for place, row in enumerate(rows):
        signal[place] = _millivolts(digital[:, row], item.ChannelDefinitionSequence[row], padding, rate, path)
    offset = item.get("MultiplexGroupTimeOffset")
    original = (text_of(item, "WaveformOriginality") or "") != "DERIVED"
    return _Group(signal, tuple(rows.values()), rate, None if offset in (None, "") else float(offset), original)


def _required(item: Any, keyword: str, path: Path) -> float:
    """A number that a multiplex group must state."""
    value = item.get(keyword)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RecordError(path, f"a waveform without its {keyword}", "the file is incomplete: export it again") from None


def _sample_type(item: Any, big_endian: bool, path: Path) -> np.dtype[Any]:
    """The samples' type; the file's byte order holds for samples, too."""
    interpretation = text_of(item, "WaveformSampleInterpretation") or ""
    if interpretation not in _SAMPLES:
        what = f"companded to {interpretation}" if interpretation in _COMPANDED else "of a kind that no ECG has"
        raise RecordError(path, f"samples {what}", "store them as linear integers of 8, 16 or 32 bits")
    bits, kind = _SAMPLES[interpretation]
    if int(item.get("WaveformBitsAllocated") or 0) != bits:
        raise RecordError(path, f"samples in {interpretation} of another width", "the file is altered: fetch it again")
    return np.dtype((">" if big_endian else "<") + kind)


def _padding_value(item: Any, kind: np.dtype[Any]) -> int | None:
    value = item.get("WaveformPaddingValue")
    if value is None or value in ("", b""):
        return None
    if isinstance(value, bytes):
        return int(np.frombuffer(value[: kind.itemsize], dtype=kind)[0]) if len(value) >= kind.itemsize else None
    return int(value)


def _refuse_skew(channels: Sequence[Any], rate: float, path: Path) -> None:
    """A multiplexer's delay is under one sample; channels further apart would have to be moved."""
    skews = [
        float(channel.get("ChannelSampleSkew") or 0) + rate * float(channel.get("ChannelTimeSkew") or 0) for channel in channels
    ]
    if max(skews) - min(skews) >= 1.0:
        raise RecordError(path, "channels that are skewed in time against one another", "align the channels first")


def _millivolts(digital: NDArray[Any], channel: Any, padding: int | None, rate: float, path: Path) -> NDArray[np.float64]:
    """One channel [samples] in millivolts; NaN where it holds padding."""
    if channel.get("ChannelSensitivity") in (None, ""):
        raise RecordError(path, "a lead without its sensitivity: its amplitude is unknown", "state it in the file")
    per_step = float(channel.ChannelSensitivity) * float(channel.get("ChannelSensitivityCorrectionFactor") or 1)
    if not np.isfinite(per_step) or per_step == 0:
        raise RecordError(path, f"a lead's sensitivity of {per_step:g}", "it must be a number other than 0")
    missing = _is_padding(digital, padding, rate)
    _refuse_unextended_sign(digital[~missing], int(channel.get("WaveformBitsStored") or 0), path)
    # The baseline is in units of the sensitivity, not in steps (PS3.3, C.10.9).
    physical = digital.astype(np.float64) * per_step + float(channel.get("ChannelBaseline") or 0)
    physical[missing] = np.nan
    return physical / units_per_millivolt(_units(channel, path), str(path))


def _units(channel: Any, path: Path) -> str:
    for unit in channel.get("ChannelSensitivityUnitsSequence") or []:
        meaning = (text_of(unit, "CodeMeaning") or "").lower().rstrip("s")
        return text_of(unit, "CodeValue") or _UNITS.get(meaning, meaning)
    raise RecordError(path, "a lead without its unit: its amplitude is unknown", "state it in the file")


def _is_padding(digital: NDArray[Any], padding: int | None, rate: float) -> NDArray[np.bool_]:
    """Which samples [samples] are padding.

    The extremes of the samples' type are never measured. Any other value (one converter writes 0) is also what a sample may
    have: there only a stretch of `_STILL` seconds counts.
    """
    if padding is None:
        return np.zeros(digital.shape, dtype=bool)
    held = digital == padding
    limits = np.iinfo(digital.dtype)
    if padding in (limits.min, limits.max) and padding != 0:
        return held
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start < _STILL * rate:
            held[start:stop] = False
    return held


def _refuse_unextended_sign(digital: NDArray[Any], bits: int, path: Path) -> None:
    """12 bits in 16 must carry their sign through: 4095 for −1 would be read as a spike."""
    if digital.dtype.kind == "i" and 0 < bits < 8 * digital.dtype.itemsize and digital.size:
        reach = 1 << (bits - 1)
        if int(digital.max()) >= reach or int(digital.min()) < -reach:
            raise RecordError(path, f"samples beyond the {bits} bits they are stored in", "their sign is ambiguous: convert it")


def _rhythms(groups: list[_Group]) -> list[_Group]:
    """The groups to put together: those of the rate and originality of the one with most leads and time."""
    ranked = sorted(groups, key=lambda group: (group.original, len(group.leads), group.seconds), reverse=True)
    best = ranked[0]
    if any(group.offset_ms is None for group in ranked):
        return ranked[:1]  # groups that may have been recorded one after the other are not laid side by side
    return [group for group in ranked if (group.rate, group.original) == (best.rate, best.original)]


def _together(groups: list[_Group], path: Path) -> _Group:
    """Several groups (four of three leads, a rhythm strip beside) as one: each lead of its longest group, at its time."""
    if len(groups) == 1:
        return groups[0]
    chosen: dict[str, _Group] = {}
    for group in sorted(groups, key=lambda group: group.seconds, reverse=True):
        for lead in group.leads:
            chosen.setdefault(lead, group)
    rate = groups[0].rate
    begin = min(group.offset_ms or 0.0 for group in chosen.values())
    start = {lead: round(((group.offset_ms or 0.0) - begin) * rate / 1000) for lead, group in chosen.items()}
    samples = max(start[lead] + group.signal.shape[1] for lead, group in chosen.items())
    refuse_size(len(chosen), samples, path)
    signal = np.full((len(chosen), samples), np.nan, dtype=np.float32)
    for row, (lead, group) in enumerate(chosen.items()):
        one = group.signal[group.leads.index(lead)]
        signal[row, start[lead] : start[lead] + one.size] = one
    return _Group(signal, tuple(chosen), rate, begin, groups[0].original)


def _age(parsed: Any) -> float | None:
    """Years, from the age ("061Y", "012M"), else from the dates of birth and recording."""
    stated = text_of(parsed, "PatientAge") or ""
    if stated[:-1].strip().isdigit() and stated[-1] in _AGE_UNITS:
        return age_in_years(int(stated[:-1]), _AGE_UNITS[stated[-1]])
    recorded = next(filter(None, (text_of(parsed, name) for name in ("AcquisitionDateTime", "ContentDate", "StudyDate"))), "")
    return age_at(text_of(parsed, "PatientBirthDate") or "", recorded)
