"""WFDB records: a `.hea` header beside `.dat` or `.mat` samples (PTB-XL, MIMIC-IV-ECG, the Challenges).

Format 16, which nearly all ECG archives use, is read here: 0.3 ms a record against wfdb's 10, and bit for bit the same.
Other formats go through `wfdb`; the header is checked here for both, since wfdb reads altered ones without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.leads import lead_name
from cmelt.records.readers.options import NOTHING_GIVEN, ReadOptions
from cmelt.records.readers.physionet_header import Header, read_header
from cmelt.records.record import Record
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

NAME = "WFDB"

#: What a format writes where nothing was measured.
_NOT_MEASURED: Mapping[int, int] = {
    16: -(1 << 15), 24: -(1 << 23), 32: -(1 << 31), 61: -(1 << 15), 80: -128, 160: -(1 << 15), 212: -2048,
}  # fmt: skip
#: Bytes of a sample, as (bytes, samples).
_BYTES: Mapping[int, tuple[int, int]] = {
    16: (2, 1), 24: (3, 1), 32: (4, 1), 61: (2, 1), 80: (1, 1), 160: (2, 1), 212: (3, 2),
}  # fmt: skip


def recognises(path: Path, head: bytes) -> bool:
    """A header by its extension and first line, a signal file by the header beside it."""
    if path.suffix == ".hea":
        fields = head.split(b"\n", 1)[0].split()
        return head.startswith(b"#") or (len(fields) >= 2 and fields[1].isdigit())
    return path.suffix in (".dat", ".mat") and path.with_suffix(".hea").exists()


def read(path: Path, options: ReadOptions = NOTHING_GIVEN) -> Record:  # noqa: ARG001 (a WFDB header states everything)
    """Read the record whose header (or signal file) is `path`.

    Raises:
        RecordError: a header that is incomplete or contradictory, a signal file that does not fit it, a checksum that fails.
    """
    header_path = path if path.suffix == ".hea" else path.with_suffix(".hea")
    header = read_header(header_path)
    digital = read_digital(header, header_path)  # [leads, samples] integers
    signal = np.empty(digital.shape, dtype=np.float32)
    for row, line in enumerate(header.signals):
        # In the order of operations of the reference reader, so that the two agree to the last bit.
        physical = (digital[row].astype(np.float64) - line.baseline) / line.gain
        physical[digital[row] == _NOT_MEASURED[line.format]] = np.nan
        signal[row] = physical / units_per_millivolt(line.units, str(header_path))
    refuse_impossible_amplitude(signal, str(header_path))
    leads = tuple(lead_name(line.description) or f"signal {row}" for row, line in enumerate(header.signals))
    age, sex, labels = _comments(header.comments)
    return Record(signal, header.rate, leads, header.name, age=age, sex=sex, labels=labels, origin=str(header_path))


def read_digital(header: Header, header_path: Path) -> NDArray[np.integer]:
    """The samples as stored, [leads, samples], with sizes and checksums verified."""
    formats = {line.format for line in header.signals}
    for number in formats - _NOT_MEASURED.keys():
        raise RecordError(header_path, f"signal format {number}", "convert the record to format 16")
    samples = _check_sizes(header, header_path)
    digital = _read_format_16(header, header_path, samples) if formats == {16} else _read_by_wfdb(header_path, samples)
    for row, line in enumerate(header.signals):
        if line.checksum is not None and (int(digital[row].sum(dtype=np.int64)) - line.checksum) % 65536:
            raise RecordError(
                header_path.with_name(line.file), f"the checksum of signal {row} fails", "the file is altered: fetch it again"
            )
    return digital


def _check_sizes(header: Header, header_path: Path) -> int:
    """The number of samples that header and every signal file agree on."""
    samples = header.samples
    for file in dict.fromkeys(line.file for line in header.signals):
        lines = [line for line in header.signals if line.file == file]
        path = header_path.with_name(file)
        if len({(line.format, line.offset) for line in lines}) > 1:
            raise RecordError(header_path, f"{file} is announced in two formats", "correct the header")
        try:
            size = path.stat().st_size - lines[0].offset
        except OSError as error:
            raise RecordError(path, "the header's signal file is not there", "fetch it") from error
        per_bytes, per_samples = _BYTES[lines[0].format]
        samples = samples or size * per_samples // (per_bytes * len(lines))
        needed = -(-samples * len(lines) * per_bytes // per_samples)
        slack = 0 if lines[0].format == 16 else per_bytes
        if not needed <= size <= needed + slack:
            fault = f"{size} bytes of signal where the header announces {needed}"
            raise RecordError(path, fault, "the file is truncated or the header altered: fetch both again")
    if samples == 0:
        raise RecordError(header_path, "the record has no samples", "leave it out")
    return samples


def _read_format_16(header: Header, header_path: Path, samples: int) -> NDArray[np.integer]:
    digital = np.empty((len(header.signals), samples), dtype=np.int16)
    for file in dict.fromkeys(line.file for line in header.signals):
        rows = [row for row, line in enumerate(header.signals) if line.file == file]
        offset = header.signals[rows[0]].offset
        path = header_path.with_name(file)
        try:
            flat = np.fromfile(path, dtype="<i2", count=samples * len(rows), offset=offset)
        except OSError as error:
            raise RecordError(path, f"cannot be read: {error.strerror}", "check its permissions") from error
        if flat.size != samples * len(rows):
            raise RecordError(path, "changed while it was read", "read it again")
        digital[rows] = flat.reshape(samples, len(rows)).T  # samples interleave the leads
    return digital


def _read_by_wfdb(header_path: Path, samples: int) -> NDArray[np.integer]:
    import wfdb

    try:
        record = wfdb.rdrecord(str(header_path.with_suffix("")), physical=False)
        digital = np.asarray(record.d_signal).T
    except Exception as error:  # wfdb raises whatever its parsing runs into; a reader raises RecordError alone
        raise RecordError(header_path, f"wfdb cannot read it ({type(error).__name__})", "fetch it again") from error
    if digital.shape[1] != samples:
        raise RecordError(header_path, f"{digital.shape[1]} samples where the header announces {samples}", "fetch it again")
    return digital


def _comments(comments: tuple[str, ...]) -> tuple[float | None, str | None, tuple[str, ...]]:
    """Age, sex and SNOMED labels, as the PhysioNet Challenges write them ("Age: 74", "Sex: Male", "Dx: 59118001,…")."""
    known = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in comments)}
    try:
        age = float(known.get("age", "nan"))
    except ValueError:
        age = float("nan")
    sex = {"m": "male", "male": "male", "f": "female", "female": "female"}.get(known.get("sex", "").lower())
    codes = [code.strip() for code in known.get("dx", "").split(",")]
    return age if 0 <= age < 130 else None, sex, tuple(f"snomed:{code}" for code in codes if code.isdigit())
