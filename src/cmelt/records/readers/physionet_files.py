"""The signal files of a WFDB header: found beside it, as large as it says, decoded into integers."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers.limits import LARGEST_FILE, gunzip, read_whole, refuse_size, told
from cmelt.records.readers.physionet_flac import flac_length, read_flac
from cmelt.records.readers.physionet_formats import DIFFERENCES, FLAC_BITS, LAYOUTS, Bytes, Samples
from cmelt.records.readers.physionet_header import Header, SignalLine

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class SignalFile:
    """One file and the signals that it interleaves.

    Attributes:
        path: the file, or the one packed by gzip that stands for it.
        size: its bytes.
        packed: whether it is packed.
        first: place of its first signal in the header; the others follow.
        lines: its signals.
        offset: bytes (FLAC: samples) before the first frame.
    """

    path: Path
    size: int
    packed: bool
    first: int
    lines: tuple[SignalLine, ...]
    offset: int

    @property
    def format(self) -> int:
        """The storage format, which all signals of a file share."""
        return self.lines[0].format

    @cached_property
    def per_frame(self) -> int:
        """Values in a frame, of all its signals together."""
        return sum(line.per_frame for line in self.lines)


def signal_files(header: Header, header_path: Path) -> list[SignalFile]:
    """The files of `header`, in its order.

    Raises:
        RecordError: a format that is not known, one file in two formats or in two places of the header, no file, a link that
            leads out of the folder, a size that no record has.
    """
    refuse_frames(header, header.frames or 1, header_path)
    files: list[SignalFile] = []
    first = 0
    for name, group in groupby(header.signals, key=lambda line: line.file):
        lines = tuple(group)
        if any(file.path.name in (name, name + ".gz") for file in files):
            raise RecordError(header_path, "signals of one file that do not stand together", "correct the header")
        files.append(_signal_file(name, first, lines, header_path))
        first += len(lines)
    return files


def refuse_frames(header: Header, frames: int, header_path: Path) -> None:
    """Refuse `frames` that no ECG has, counting every signal's samples in each."""
    count = len(header.signals)
    refuse_size(count, -(-frames * sum(line.per_frame for line in header.signals) // max(count, 1)), header_path)


def read_frames(file: SignalFile, header: Header, frames: int, header_path: Path) -> Samples:
    """The samples of `file` as stored, [frames, values in a frame]; `frames` 0 leaves their number to the file's size.

    Raises:
        RecordError: a file that is longer or shorter than the header says, damaged, or larger than any ECG.
    """
    if file.format in FLAC_BITS:
        return _flac_frames(file, _content(file, 0), header, frames, header_path)
    if frames and not file.packed:
        _refuse_length(file, file.size - file.offset, frames)
    content = _content(file, frames)
    layout = LAYOUTS[file.format]
    if not frames:
        frames = layout.samples_in(content.size) // file.per_frame
        refuse_frames(header, frames, header_path)
    _refuse_length(file, content.size, frames)
    samples = layout.decode(content, frames * file.per_frame).reshape(frames, file.per_frame)
    return _summed(samples, file, header_path) if file.format == DIFFERENCES else samples


def _refuse_length(file: SignalFile, size: int, frames: int) -> None:
    fewest, most = LAYOUTS[file.format].bytes_of(frames * file.per_frame)
    if not fewest <= size <= most:
        _refuse_other_length(file, max(size, 0), fewest, "bytes")


def _refuse_other_length(file: SignalFile, found: int, announced: int, what: str) -> NoReturn:
    fault = f"the signal file is {'shorter' if found < announced else 'longer'} than its header says"
    state = "truncated" if found < announced else "another one's"
    numbers = f"{found} {what}, {told(announced)} announced"
    raise RecordError(file.path, fault, f"{numbers}: the file is {state} or the header altered; fetch both again")


def _signal_file(name: str, first: int, lines: tuple[SignalLine, ...], header_path: Path) -> SignalFile:
    number = lines[0].format
    if number not in LAYOUTS and number not in FLAC_BITS:
        raise RecordError(header_path, f"signal format {number}", "convert the record to format 16")
    # The first signal of a file may speak for the others, as its offset does in the reference reader.
    if any(line.format != number or line.offset not in (0, lines[0].offset) for line in lines):
        raise RecordError(header_path, "a signal file is announced in two formats", "correct the header")
    for ending in ("", ".gz"):
        path = header_path.with_name(name + ending)
        try:
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                refuse_way_out(path, header_path)
                status = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RecordError(path, f"cannot be read: {error.strerror}", "check its permissions") from error
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(path, "the header's signal file is no plain file", "fetch it")
        return SignalFile(path, status.st_size, path.name.endswith(".gz"), first, lines, lines[0].offset)
    # A name that no file bears may be anything that stands where a name belongs.
    where = header_path.with_name(name) if name.startswith(header_path.name.split(".")[0]) else header_path
    raise RecordError(where, "the header's signal file is not there", "fetch it")


def refuse_way_out(path: Path, header_path: Path) -> None:
    """Refuse the link `path` where it leads out of the header's folder, unless the header is such a link as well: git-annex,
    DataLad and the caches of hubs lay out both so."""
    if _leads_out(path) and not _leads_out(header_path):
        raise RecordError(path, "is a link that leads out of the header's folder", "put the file itself beside its header")


def _leads_out(path: Path) -> bool:
    return path.is_symlink() and os.path.dirname(os.path.realpath(path)) != os.path.realpath(path.parent)


def _content(file: SignalFile, frames: int) -> Bytes:
    """The bytes of `file` behind its offset (FLAC: all of them), unpacked."""
    start = 0 if file.format in FLAC_BITS else file.offset
    if file.packed:
        most = LARGEST_FILE
        if frames and file.format not in FLAC_BITS:
            # One more than there should be, so that too many are noticed; never more than any ECG has.
            most = min(most, start + LAYOUTS[file.format].bytes_of(frames * file.per_frame)[1] + 1)
        unpacked = np.frombuffer(gunzip(read_whole(file.path, min(file.size, LARGEST_FILE)), file.path, most), dtype=np.uint8)
        return unpacked[start:]
    if file.size - start > LARGEST_FILE:
        raise RecordError(file.path, f"is larger than {LARGEST_FILE >> 20} MiB", "no ECG is: cut the record")
    content: Bytes = np.empty(max(file.size - start, 0), dtype=np.uint8)
    try:
        with open(file.path, "rb", buffering=0) as stream:
            stream.seek(start)
            # Into the array at once: half the time of np.fromfile. A read may give less than is there.
            held = 0
            while held < content.size and (more := stream.readinto(content[held:].data)):
                held += more
            complete = held == content.size and not stream.read(1)
    except (OSError, OverflowError) as error:
        raise RecordError(file.path, f"cannot be read ({type(error).__name__})", "check its permissions") from error
    if not complete:
        raise RecordError(file.path, "changed while it was read", "read it again")
    return content


def _flac_frames(file: SignalFile, content: Bytes, header: Header, frames: int, header_path: Path) -> Samples:
    channels, each = len(file.lines), file.lines[0].per_frame
    if any(line.per_frame != each for line in file.lines):
        raise RecordError(header_path, "a FLAC file with signals at several rates", "correct the header")
    held = flac_length(content, file.format, channels, file.path) - file.offset
    if not frames:
        frames = max(held, 0) // each
        refuse_frames(header, frames, header_path)
    if held != frames * each:
        _refuse_other_length(file, max(held, 0), frames * each, "samples a signal")
    samples = read_flac(content, file.format, channels, file.offset, frames * each, file.path)
    if each == 1:
        return samples
    return samples.reshape(frames, each, channels).transpose(0, 2, 1).reshape(frames, each * channels)


def _summed(differences: Samples, file: SignalFile, header_path: Path) -> Samples:
    """Format 8: samples from their differences and the header's initial values."""
    samples: NDArray[np.int32] = np.empty(differences.shape, dtype=np.int32)
    for line, columns in zip(file.lines, columns_of(file.lines), strict=True):
        if line.initial is None:
            raise RecordError(header_path, "format 8 without an initial value", "state it in the header")
        level = line.initial
        for start in range(0, len(differences), 1 << 18):
            part = differences[start : start + (1 << 18), columns]
            levels = np.cumsum(part.reshape(-1), dtype=np.int64) + level
            if levels.min() < _INT32.min or levels.max() > _INT32.max:
                raise RecordError(header_path, "format 8 that runs away", "the header or the file is altered: fetch both again")
            samples[start : start + len(part), columns] = levels.reshape(part.shape)
            level = int(levels[-1])
    return samples


def columns_of(lines: Sequence[SignalLine]) -> list[slice]:
    """Where in a frame each of the signals of one file stands."""
    stops = accumulate(line.per_frame for line in lines)
    return [slice(stop - line.per_frame, stop) for line, stop in zip(lines, stops, strict=True)]
