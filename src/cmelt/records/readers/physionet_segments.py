"""WFDB records of several segments: each a record beside the master header, gaps between them.

Fixed layout: all segments have the same signals. Variable layout: the first "segment", of length 0, lists every signal of the
record, and each segment has some of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers.limits import refuse_size, told
from cmelt.records.readers.options import ReadOptions, settle_rate
from cmelt.records.readers.physionet_files import refuse_way_out
from cmelt.records.readers.physionet_header import GAP, Header, Segment, read_header
from cmelt.records.readers.physionet_signals import Read, chosen_leads, millivolts, named_voltages, scaled_lead
from cmelt.records.record import LEADS, Signal


def read_segments(master: Header, master_path: Path, options: ReadOptions) -> Read:
    """Names, rate (Hz) and millivolts [leads, samples] of the whole record; NaN in gaps and where a segment lacks a lead.

    Raises:
        RecordError: segments that contradict the master header or one another, or that cannot be read.
    """
    total = sum(segment.frames for segment in master.segments)
    if master.frames and total != master.frames:
        fault = f"announces {told(master.frames)} samples, its segments {told(total)}"
        raise RecordError(master_path, fault, "the header is incomplete or altered")
    refuse_size(master.count, total, master_path)
    recorded = [segment for segment in master.segments if segment.name != GAP]
    if not recorded or not any(segment.frames for segment in recorded):
        raise RecordError(master_path, "nothing but gaps", "leave it out")
    first = _segment_header(recorded[0], master, master_path)
    leads, each = chosen_leads(first, _path_of(recorded[0], master_path), options)
    refuse_size(len(leads), total * each, master_path)
    names = tuple(lead.name for lead in leads)
    rate = settle_rate(master.rate * each if master.rate is not None else None, options, str(master_path))
    signal: Signal = np.full((len(leads), total * each), np.nan, dtype=np.float32)
    start = 0
    for segment in master.segments:
        if segment.name != GAP and segment.frames:
            stretch = signal[:, start * each : (start + segment.frames) * each]
            header = _segment_header(segment, master, master_path)
            _fill(stretch, header, _path_of(segment, master_path), options, names, each)
        start += segment.frames
    return names, rate, signal


def _fill(stretch: Signal, header: Header, path: Path, options: ReadOptions, names: tuple[str, ...], each: int) -> None:
    """Write the leads of one segment into their rows of `stretch` [leads, samples]."""
    found = named_voltages(header, options, str(path))
    if any(name in LEADS and name not in names for name in found.values()):
        raise RecordError(path, "a segment with leads that its record does not have", "correct the headers")
    leads = [scaled_lead(header, row, name, options, str(path)) for row, name in found.items() if name in names]
    if len({lead.name for lead in leads}) < len(leads):
        raise RecordError(path, "a segment that has a lead twice", "correct the headers")
    if any(header.signals[lead.row].per_frame != each for lead in leads):
        raise RecordError(path, "a segment at another rate than the others", "resample them to one rate first")
    if leads:
        stretch[[names.index(lead.name) for lead in leads]] = millivolts(header, path, leads, each)


def _segment_header(segment: Segment, master: Header, master_path: Path) -> Header:
    path = _path_of(segment, master_path)
    if path.is_symlink():
        refuse_way_out(path, master_path)
    header = read_header(path)
    if header.segments:
        raise RecordError(path, "a segment that has segments itself", "correct the header")
    if header.frames != segment.frames:
        fault = f"a segment of {told(header.frames)} samples, announced with {told(segment.frames)}"
        raise RecordError(path, fault, "correct the headers")
    if header.rate != master.rate:
        raise RecordError(path, "a segment at another rate than its record", "resample them to one rate first")
    return header


def _path_of(segment: Segment, master_path: Path) -> Path:
    path = master_path.with_name(segment.name + ".hea")
    packed = master_path.with_name(segment.name + ".hea.gz")
    return packed if not path.exists() and packed.exists() else path
