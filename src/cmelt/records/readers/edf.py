"""EDF, EDF+, BDF and BDF+: the signals whose labels name ECG leads.

Sleep and brain recordings carry many signals beside: those are left out, and so are annotations, which mark events in time and
are no report. A channel's number ("ECG 1") names no lead; `ReadOptions.leads` may.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.readers.demographics import age_at, sex_named
from cmelt.records.readers.edf_header import Header, Signal, is_annotation, looks_like_edf, read_header
from cmelt.records.readers.lead_codes import OTHER_LEADS
from cmelt.records.readers.limits import refuse_size
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions, settle_leads, settle_rate, settle_unit
from cmelt.records.record import LEADS, Record
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

NAME = "EDF"

_CALLED_ECG = re.compile(r"^(?:ECG|EKG)[\s_:\-]*", re.IGNORECASE)
_REFERENCE = re.compile(r"[\s_\-]*(?:ref|wct)$", re.IGNORECASE)
_LEAD_PREFIX = re.compile(r"^(?:lead|abl(?:eitung)?\.?)[\s_:\-]*", re.IGNORECASE)
#: Limb leads as the differences of potential that they are.
_DIFFERENCES: Mapping[str, str] = MappingProxyType({"LA-RA": "I", "LL-RA": "II", "LL-LA": "III"})
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_BLOCK = 4 << 20  # bytes that are read at a time
#: A record may begin this much of a sample off the grid that the first one sets.
_OFF_GRID = 0.1
#: Time stamps that are read one by one: a day of records of one second.
_MOST_STAMPS = 100_000


def recognises(path: Path, head: bytes) -> bool:  # noqa: ARG001 (by content alone)
    """The version field, and a header as long as its number of signals says."""
    return looks_like_edf(head)


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:
    """Read the ECG leads of the file at `path`.

    In interrupted recordings (EDF+D) the gaps between records are NaN.

    Raises:
        RecordError: a header that contradicts itself or the file's size, no ECG lead, leads of several rates.
    """
    header = read_header(path)
    chosen, leads = _ecg_signals(header, options, path)
    if len({signal.samples for signal in chosen}) > 1:
        raise RecordError(path, "ECG leads of several sampling rates", "resample them to one rate, or export one rate alone")
    samples = chosen[0].samples
    if samples == 0:
        raise RecordError(path, "the record has no samples", "leave it out")
    stated = samples / header.seconds
    if not 1 <= stated < 1e6:
        raise RecordError(path, f"a sampling rate of {stated:g} Hz", "correct the duration of a record in the header")
    rate = settle_rate(stated, options, str(path))
    starts = _starts(header, rate, path)
    refuse_size(len(chosen), starts[-1] + samples, path)
    signal = np.full((len(chosen), starts[-1] + samples), np.nan, dtype=np.float32)
    scales = [_scale(one, options, path) for one in chosen]
    done = 0
    for block in _blocks(header, path):
        places = starts[done : done + len(block)]
        for row, (one, (offset, per_step)) in enumerate(zip(chosen, scales, strict=True)):
            _put(signal[row], block[:, one.first : one.first + samples] * per_step + offset, places)
        done += len(block)
    refuse_impossible_amplitude(signal, str(path))
    patient, age, sex = _who(header)
    return Record(
        signal, rate, leads, path.stem, patient=patient if options.identity else None, age=age, sex=sex, origin=str(path)
    )


def _put(row: NDArray[np.float32], values: NDArray[np.floating], places: Sequence[int]) -> None:
    """Put `values` [records, samples] into `row` [all samples], each record at its place (they do not overlap)."""
    records, samples = values.shape
    if places[-1] - places[0] == (records - 1) * samples:
        row[places[0] : places[0] + records * samples] = values.ravel()
        return
    for place, piece in zip(places, values, strict=True):
        row[place : place + samples] = piece


def lead_of_label(label: str) -> str | None:
    """The lead that a label names ("ECG II", "EKG V1-Ref", "avf", "ECG LA-RA"), or None."""
    core = _LEAD_PREFIX.sub("", _REFERENCE.sub("", _CALLED_ECG.sub("", label.strip())).strip())
    difference = _DIFFERENCES.get(core.upper().replace(" ", ""))
    if difference is not None:
        return difference
    if not core or core[0].isdigit():
        return None
    name = lead_name(core)
    if name in LEADS:
        return name
    # X, Y and Z may be anything's axes.
    return core.upper() if core.upper() in OTHER_LEADS and (len(core) > 1 or _CALLED_ECG.match(label)) else None


def _ecg_signals(header: Header, options: ReadOptions, path: Path) -> tuple[list[Signal], tuple[str, ...]]:
    """The signals to read, and their leads: those that are named, else those that are called ECG and named by the caller."""
    signals = [signal for signal in header.signals if not is_annotation(signal.label)]
    named = [(signal, lead) for signal in signals if (lead := lead_of_label(signal.label)) is not None]
    if named:
        stated = tuple(lead for _, lead in named)
        return [signal for signal, _ in named], settle_leads(stated, options, len(named), str(path))
    called = [signal for signal in signals if _CALLED_ECG.match(signal.label)]
    if not called:
        raise RecordError(path, "none of its signals is recognisably an ECG lead", "label them I, II, V1 … or ECG I, ECG II …")
    return called, settle_leads(None, options, len(called), str(path))


def _scale(signal: Signal, options: ReadOptions, path: Path) -> tuple[float, float]:
    """What digital 0 and one step are in millivolts."""
    if math.isnan(signal.per_step):
        raise RecordError(path, "a lead whose digital or physical range is empty", "correct the header")
    units = settle_unit(signal.dimension or None, options, str(path))
    per_millivolt = units_per_millivolt(units, str(path))
    return signal.offset / per_millivolt, signal.per_step / per_millivolt


def _blocks(header: Header, path: Path) -> Iterator[NDArray[np.int32]]:
    """The file's records, some at a time, [records, samples of all signals]."""
    each = header.samples_a_record
    at_once = max(1, _BLOCK // (each * header.width))
    with path.open("rb") as stream:
        stream.seek(header.bytes_before)
        for first in range(0, header.records, at_once):
            count = min(at_once, header.records - first)
            content = stream.read(count * each * header.width)
            if len(content) != count * each * header.width:
                raise RecordError(path, "changed while it was read", "read it again")
            yield _integers(content, header.width).reshape(count, each)


def _integers(content: bytes, width: int) -> NDArray[np.int32]:
    """Little-endian signed integers of two or three bytes."""
    if width == 2:
        return np.frombuffer(content, dtype="<i2").astype(np.int32)
    parts = np.frombuffer(content, dtype=np.uint8).reshape(-1, 3).astype(np.int32)
    return (parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) >> 8


def _starts(header: Header, rate: float, path: Path) -> Sequence[int]:
    """For each record the sample at which it begins."""
    length = round(header.seconds * rate)
    if header.kind not in ("EDF+D", "BDF+D"):
        return range(0, header.records * length, length)
    onsets = _onsets(header, path)
    places = [(onset - onsets[0]) * rate for onset in onsets]
    starts = [round(place) for place in places]
    if any(abs(place - start) > _OFF_GRID for place, start in zip(places, starts, strict=True)):
        raise RecordError(
            path, "an interruption that is no whole number of samples", "cut the record into its uninterrupted parts"
        )
    if any(after - before < length for before, after in pairwise(starts)):
        raise RecordError(path, "records that overlap in time", "correct the file's time stamps")
    return starts


def _onsets(header: Header, path: Path) -> list[float]:
    """When each record began, in seconds: the first entry of its annotations."""
    stamps = next((signal for signal in header.signals if is_annotation(signal.label)), None)
    if stamps is None:
        raise RecordError(path, "an interrupted recording without time stamps", "export it with its annotations")
    if header.records > _MOST_STAMPS:
        raise RecordError(path, f"{header.records} interrupted records", f"at most {_MOST_STAMPS} are read: cut the recording")
    begin, size = stamps.first * header.width, stamps.samples * header.width
    each = header.samples_a_record * header.width
    onsets = []
    with path.open("rb") as stream:
        for number in range(header.records):
            stream.seek(header.bytes_before + number * each + begin)
            onset = re.match(rb"^([+-]\d{1,9}(?:\.\d{1,9})?)\x14", stream.read(min(size, 64)))
            if onset is None:
                raise RecordError(path, "a record without its time stamp", "the file is damaged: fetch it again")
            onsets.append(float(onset[1]))
    return onsets


def _who(header: Header) -> tuple[str | None, float | None, str | None]:
    """Patient's code, age in years, sex. In EDF+ the field is "code sex birthdate name"; plain EDF's is free text."""
    if not header.kind:
        return header.patient or None, None, None
    code, sex, born, *_ = [*header.patient.split(), "X", "X", "X"]
    recorded = header.recording.split()
    date = recorded[1] if len(recorded) > 1 and recorded[0] == "Startdate" else "X"
    return None if code == "X" else code, age_at(_date(born), _date(date)), sex_named(sex)


def _date(text: str) -> str:
    """ "02-MAY-1951" as "19510502"; "" for all else ("X")."""
    parts = text.upper().split("-")
    if len(parts) != 3 or parts[1] not in _MONTHS or not (parts[0].isdigit() and parts[2].isdigit()):
        return ""
    return f"{int(parts[2]):04d}{_MONTHS.index(parts[1]) + 1:02d}{int(parts[0]):02d}"
